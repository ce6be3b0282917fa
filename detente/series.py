"""Scored, dated articles as a time series: how many, their mean index with its interval, the share of each label.

Knows nothing of how articles are scored; reads what `detente score` wrote.
"""

import datetime as dt
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

from detente.atomic import atomic_writer
from detente.delimited import DELIMITERS, DelimitedWriter
from detente.errors import DetenteError, UsageError
from detente.files import file_type
from detente.labels import LABELS
from detente.tables import read_rows

_USUAL_DATES: Final = ("date", "published", "published_at", "publication_date", "pubdate", "datetime", "created_at")
# Below this many articles the spread of so few says too little about the rest.
_FEWEST: Final = 5
_NORMAL: Final = 1.959964
# Years outside are placeholders or mistakes, and beyond what a chart can draw.
_YEARS: Final = range(1800, 2101)
# Seconds since 1970 have nine to ten digits from 1973 to 2286, milliseconds three more.
_SECONDS: Final = re.compile(r"\d{9,10}(\.\d+)?")
_MILLISECONDS: Final = re.compile(r"\d{12,13}(\.\d+)?")
_SHOWN: Final = 5
_SHARES: Final = {label: f"share_{label.replace('-', '_')}" for label in LABELS}
_COLUMNS: Final = ("period", "group", "articles", "index", "index_low", "index_high", *_SHARES.values())


class Period(StrEnum):
    """What one point of the series spans."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"

    def begin(self, date: dt.date) -> dt.date:
        """The first day of the period that a date lies in; weeks begin on Monday."""
        match self:
            case Period.DAY:
                return date
            case Period.WEEK:
                return date - dt.timedelta(days=date.weekday())
            case Period.MONTH:
                return date.replace(day=1)
        return date.replace(month=1, day=1)


@dataclass(slots=True)
class Point:
    """The articles of one period and group: their number, labels, and the sums that mean and spread come from."""

    articles: int = 0
    total: float = 0.0
    squares: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, index: float, label: str) -> None:
        """Count one article in."""
        self.articles += 1
        self.total += index
        self.squares += index * index
        self.labels[label] += 1

    @property
    def index(self) -> float:
        """The mean index of the articles, in [-1, 1]."""
        return self.total / self.articles

    def interval(self) -> tuple[float, float] | None:
        """Student's 95 % interval of the mean over articles like these; None below five articles."""
        if self.articles < _FEWEST:
            return None
        variance = max(self.squares - self.articles * self.index**2, 0.0) / (self.articles - 1)
        half = student_quantile(self.articles - 1) * math.sqrt(variance / self.articles)
        return max(self.index - half, -1.0), min(self.index + half, 1.0)

    def share(self, label: str) -> float:
        """The share of the articles with a label."""
        return self.labels[label] / self.articles


@dataclass(slots=True)
class Series:
    """Points by group and the first day of their period, and the articles without a readable date."""

    points: dict[tuple[str, dt.date], Point] = field(default_factory=dict)
    undated: int = 0
    # Where the first of them are, and what stood there.
    examples: list[str] = field(default_factory=list)

    def groups(self) -> list[str]:
        """The groups, those with the most articles first."""
        counts: Counter[str] = Counter()
        for (group, _), point in self.points.items():
            counts[group] += point.articles
        return [group for group, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]

    def of(self, group: str) -> list[tuple[dt.date, Point]]:
        """A group's points in order of time."""
        return sorted(((begin, point) for (own, begin), point in self.points.items() if own == group), key=_first)

    def records(self) -> Iterator[dict[str, Any]]:
        """A record a point, in order of group and time, for a table."""
        for group in self.groups():
            for begin, point in self.of(group):
                low, high = point.interval() or (None, None)
                yield {
                    "period": begin.isoformat(),
                    "group": group,
                    "articles": point.articles,
                    "index": round(point.index, 4),
                    "index_low": None if low is None else round(low, 4),
                    "index_high": None if high is None else round(high, 4),
                    **{column: round(point.share(label), 4) for label, column in _SHARES.items()},
                }


def student_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, within 0.3 % from 4 degrees of freedom on.

    Abramowitz and Stegun 1964, 26.7.5.
    """
    x = _NORMAL
    return x + (
        (x**3 + x) / (4 * freedom)
        + (5 * x**5 + 16 * x**3 + 3 * x) / (96 * freedom**2)
        + (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / (384 * freedom**3)
    )


def _first(pair: tuple[dt.date, Point]) -> dt.date:
    return pair[0]


def read_series(
    files: Sequence[Path], period: Period, date_column: str | None = None, group_column: str | None = None
) -> Series:
    """Read scored articles (JSONL, CSV, Parquet) into a series, one article at a time.

    Args:
        files: what `detente score` wrote.
        period: what one point spans.
        date_column: the field with the date, by default the first with a usual name.
        group_column: a field whose values get a series each.

    Raises:
        DetenteError: a file cannot be read or holds no scored articles.
        UsageError: no file has the column that was named, or no article a readable date.
    """
    series = Series()
    found_date = found_group = False
    for file in files:
        for place, record in _articles(file):
            name = date_column if date_column is not None else _date_column(record)
            found_date |= name in record
            found_group |= group_column in record
            date = parse_date(record.get(name)) if name else None
            if date is None:
                series.undated += 1
                if len(series.examples) < _SHOWN:
                    series.examples.append(f"{place}: {record.get(name)!r}" if name else f"{place}: no date column")
                continue
            group = "" if group_column is None else str(record.get(group_column) or "")
            key = (group, period.begin(date))
            series.points.setdefault(key, Point()).add(float(record["index"]), str(record["label"]))
    if date_column is not None and not found_date:
        raise UsageError(f"no article has the field {date_column!r}; look for its name in {files[0]}")
    if group_column is not None and not found_group:
        raise UsageError(f"no article has the field {group_column!r}; look for its name in {files[0]}")
    if not series.points:
        shown = "; ".join(series.examples) or "the files are empty"
        raise UsageError(f"no article has a readable date ({shown}); expected ISO 8601 or RFC 2822, or --date-column")
    return series


def write_series(series: Series, out: Path | None, stdout: BinaryIO) -> None:
    """Write a series as CSV to a file, whole or not at all, or to standard output.

    Raises:
        UsageError: the file cannot be written.
    """
    with nullcontext(stdout) if out is None else atomic_writer(out) as file:
        writer = DelimitedWriter(file, _COLUMNS)
        for record in series.records():
            writer.write(record)


def _articles(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each article once with its place; a CSV has it once a sentence, under other names.

    Fields that fitted no column of CSV or Parquet stand as JSON in `more`.
    """
    last: object = None
    by_sentence = file_type(file) in DELIMITERS
    for row in read_rows(file, unescape=True):
        place = f"{file}:{row.line}"
        if row.problem:
            raise DetenteError(f"{place}: {row.problem}")
        record = row.record
        if isinstance(record.get("more"), str):
            with suppress(ValueError, TypeError):
                record = json.loads(record["more"]) | record
        if by_sentence:
            if record.get("id") == last:
                continue
            last = record.get("id")
            record = record | {"index": record.get("article_index"), "label": record.get("article_label")}
        try:
            is_index = -1 <= float(record["index"]) <= 1
        except (KeyError, TypeError, ValueError):
            is_index = False
        if not is_index:
            raise DetenteError(f"{place}: no scored article; expected what detente score wrote")
        if record.get("label") not in LABELS:
            raise DetenteError(f"{place}: unknown label {record.get('label')!r}; expected {', '.join(LABELS)}")
        yield place, record


def _date_column(record: Iterable[str]) -> str | None:
    known = {name.lower(): name for name in record}
    return next((known[name] for name in _USUAL_DATES if name in known), None)


def parse_date(value: object) -> dt.date | None:
    """A date from ISO 8601 (`2024-05-01`, `20240501`, with a time or not), RFC 2822, or seconds since 1970.

    Milliseconds since 1970 are told by their three digits more. Dates whose day and month could be mixed up
    (`01/05/2024`) are not guessed at: they give None, as do years before 1800 or after 2100 and anything else. The day
    is that of the text, whatever its time zone.
    """
    found = _date(value)
    return found if found and found.year in _YEARS else None


def _date(value: object) -> dt.date | None:
    if isinstance(value, dt.date):
        return value.date() if isinstance(value, dt.datetime) else value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    seconds = 1.0 if _SECONDS.fullmatch(text) else 1e-3 if _MILLISECONDS.fullmatch(text) else None
    found = None
    if seconds is not None:
        found = dt.datetime.fromtimestamp(float(text) * seconds, dt.UTC).date()
    elif isinstance(value, str):
        # Imported only now: it brings sockets along, a tenth of a cold start.
        from email.utils import parsedate_to_datetime

        with suppress(ValueError, TypeError, IndexError):
            found = parsedate_to_datetime(text).date()
        with suppress(ValueError):
            found = dt.datetime.fromisoformat(text.replace("/", "-")).date()
    return found
