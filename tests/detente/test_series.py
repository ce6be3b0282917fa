"""Scored articles as a time series: what `detente index` writes and draws."""

import csv
import datetime as dt
import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from detente.errors import DetenteError, UsageError
from detente.series import Period, Point, parse_date, read_series, student_quantile


def index(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "detente", "index", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def scored(path: Path, *articles: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(article) + "\n" for article in articles), encoding="utf-8")
    return path


def article(day: str, value: float, label: str = "escalation", **more: object) -> dict[str, object]:
    return {"id": f"{day}{value}", "index": value, "label": label, "date": day, **more}


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2024-05-01", 1), ("20240501", 1), ("2024/05/01", 1), ("2024-05-01T23:30:00-05:00", 1),
        ("2024-05-01T00:30:00Z", 1), (" 2024-05-01 12:00 ", 1), ("Wed, 01 May 2024 10:00:00 GMT", 1),
        (1714564800, 1), (1714564800.5, 1), ("1714564800", 1), ("1714564800123", 1),
        (1714564800123, 1), (dt.date(2024, 5, 1), 1), (dt.datetime(2024, 5, 1, 8), 1),
        ("01/05/2024", None), ("yesterday", None), ("", None), (None, None), (True, None), (1e300, None),
        ("2024-13-01", None), ([], None), ("17145648", None),
        ("9999-12-31", None), ("0001-01-01", None), (5, None),
    ],
)  # fmt: skip
def test_dates_are_read_where_nothing_can_be_mixed_up(value: object, day: int | None) -> None:
    assert parse_date(value) == (None if day is None else dt.date(2024, 5, day))


@pytest.mark.parametrize(
    ("period", "begin"),
    [
        (Period.DAY, (2024, 5, 15)),
        (Period.WEEK, (2024, 5, 13)),
        (Period.MONTH, (2024, 5, 1)),
        (Period.YEAR, (2024, 1, 1)),
    ],
)
def test_a_period_begins_with_its_first_day(period: Period, begin: tuple[int, int, int]) -> None:
    assert period.begin(dt.date(2024, 5, 15)) == dt.date(*begin)


def test_the_interval_is_students_of_the_mean() -> None:
    values = np.random.default_rng(3).uniform(-1, 1, 40)
    point = Point()
    for value in values:
        point.add(float(value), "neutral")
    half = stats.t.ppf(0.975, 39) * values.std(ddof=1) / np.sqrt(40)
    assert point.interval() == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-5)
    assert all(student_quantile(n) == pytest.approx(stats.t.ppf(0.975, n), rel=0.003) for n in range(4, 200))
    few = Point()
    few.add(0.5, "neutral")
    assert few.interval() is None


def test_a_row_a_period_and_group_comes_out_as_csv(tmp_path: Path) -> None:
    path = scored(
        tmp_path / "a.jsonl",
        article("2024-05-01", 0.5, source="B"), article("2024-05-01T10:00", 0.1, "neutral", source="B"),
        article("2024-05-09", -0.5, "de-escalation", source="B"), article("2024-05-02", 1.0, source="=A"),
    )  # fmt: skip
    done = index(path, "--by", "week", "--group", "source")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(r["group"], r["period"], r["articles"], r["index"], r["share_neutral"]) for r in rows] == [
        ("B", "2024-04-29", "2", "0.3", "0.5"), ("B", "2024-05-06", "1", "-0.5", "0.0"),
        ("'=A", "2024-04-29", "1", "1.0", "0.0"),
    ]  # fmt: skip
    assert rows[0]["index_low"] == ""


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_what_score_wrote_is_read_whatever_its_form(tmp_path: Path, tiny_model: Path, form: str) -> None:
    texts = tmp_path / "in.jsonl"
    texts.write_text(
        "".join(
            json.dumps(
                {"id": str(n), "title": f"Day {n}", "text": "Shells fell. Talks resume.", "date": f"2024-05-{n:02}"}
            )
            + "\n"
            for n in range(1, 10)
        ),
        encoding="utf-8",
    )
    out = tmp_path / "scored"
    command = [sys.executable, "-m", "detente", "score", texts, "--out", out, "--format", form, "--shard-rows", 4]
    subprocess.run([*map(str, command), "--model", str(tiny_model)], check=True, capture_output=True)
    rows = list(csv.DictReader(io.StringIO(index(out).stdout)))
    assert [(row["period"], row["articles"]) for row in rows] == [(f"2024-05-{n:02}", "1") for n in range(1, 10)]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_field_that_the_first_articles_lack_counts_all_the_same(tmp_path: Path, tiny_model: Path, form: str) -> None:
    texts, out = tmp_path / "in.jsonl", tmp_path / f"out.{form}"
    lines = [{"id": "1", "text": "Talks."}, {"id": "2", "text": "Talks.", "date": "2024-05-01", "source": "B"}]
    texts.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-m", "detente", "score", texts, "--out", out, "--model", tiny_model]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    [row] = csv.DictReader(io.StringIO(index(out, "--group", "source").stdout))
    assert (row["period"], row["group"]) == ("2024-05-01", "B")


def test_a_field_of_ones_own_called_article_index_changes_nothing(tmp_path: Path) -> None:
    path = scored(tmp_path / "a.jsonl", article("2024-05-01", 0.5, article_index=17, sentence=1))
    [row] = csv.DictReader(io.StringIO(index(path).stdout))
    assert row["index"] == "0.5"


def test_articles_without_a_readable_date_are_counted_and_shown(tmp_path: Path) -> None:
    path = scored(tmp_path / "a.jsonl", article("2024-05-01", 0.5), article("01/05/2024", 0.5))
    done = index(path)
    assert done.returncode == 0
    assert f"1 articles without a readable date are left out ({path}:2: '01/05/2024')" in done.stderr


@pytest.mark.parametrize(
    ("content", "options", "error", "reason"),
    [
        ('{"text": "Talks."}\n', {}, DetenteError, "a.jsonl:1: no scored article"),
        ('{"index": 0.5, "label": "war", "date": "2024-05-01"}\n', {}, DetenteError, "unknown label 'war'"),
        ('{"index": 0.5, "label": "neutral"}\n', {}, UsageError, "no date column"),
        ('{"index": 0.5, "label": "neutral"}\n', {"date_column": "day"}, UsageError, "no article has the field 'day'"),
        (
            '{"index": 0.5, "label": "neutral", "date": "2024-05-01"}\n', {"group_column": "source"}, UsageError,
            "no article has the field 'source'",
        ),
        ("broken\n", {}, DetenteError, "a.jsonl:1: not valid JSON"),
    ],
)  # fmt: skip
def test_files_of_no_use_are_told(
    tmp_path: Path, content: str, options: dict[str, str], error: type[Exception], reason: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(error, match=reason):
        read_series([path], Period.DAY, **options)


def test_the_chart_is_a_picture_and_names_the_groups(tmp_path: Path) -> None:
    articles = [
        article(f"2024-05-{n % 28 + 1:02}", (n % 9 - 4) / 4, source=f"_ag$ency {n % 8}") for n in range(400)
    ]  # fmt: skip
    path, svg = scored(tmp_path / "a.jsonl", *articles), tmp_path / "a.svg"
    assert index(path, "--group", "source", "--plot", svg, "--out", tmp_path / "a.csv").returncode == 0
    drawn = svg.read_text(encoding="utf-8")
    ET.fromstring(drawn)  # noqa: S314 - our own
    assert "2 more not drawn" in drawn
    first = svg.read_bytes()
    index(path, "--group", "source", "--plot", svg, "--out", tmp_path / "a.csv")
    assert svg.read_bytes() == first
    assert index(path, "--plot", tmp_path / "a.doc").returncode == 2
