import gzip
import io
import json
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detente.articles import Article, BadArticle, Columns, article_files, read_articles
from detente.delimited import DelimitedWriter, escape_cell
from detente.errors import UsageError
from detente.files import MAX_LINE


def read(*paths: Path) -> list[Article | BadArticle]:
    return list(read_articles(article_files(paths)))


def test_a_text_file_is_one_article_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\ufeffTalks resume.\n", encoding="utf-8")
    assert read(path) == [Article(str(path), "Talks resume.\n")]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_rows_give_id_text_and_their_other_fields(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    record = {"id": "7", "text": "Talks resume.", "date": "2024-05-01"}
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([record]), path)
    elif suffix == ".jsonl":
        path.write_text(json.dumps(record), encoding="utf-8")
    else:
        delimiter = "," if suffix == ".csv" else "\t"
        path.write_text("\n".join(delimiter.join(row) for row in (record.keys(), record.values())), encoding="utf-8")
    assert read(path) == [Article("7", "Talks resume.", {"date": "2024-05-01"})]


def test_a_row_without_an_id_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\n{"text": "Talks resume."}\n', encoding="utf-8")
    assert read(path) == [Article(f"{path}:2", "Talks resume.")]


def test_bad_rows_do_not_cost_the_good_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"id": 1, "text": "One."}\n{"id": 2}\n{"id": 3, "text": 5}\n{"id": 4, "text": ""}\nnot json\n'
        b'{"id": 5, "text": "caf\xe9"}\n{"id": 1, "text": "Again."}\n{"id": 6, "text": "\\ud83d half"}\n'
        b'{"id": 7, "text": "Seven."}\n'
    )
    found = read(path)
    assert [a.id for a in found if isinstance(a, Article)] == ["1", "7"]
    bad = [a for a in found if isinstance(a, BadArticle)]
    assert [a.where for a in bad] == [f"{path}:{n}" for n in range(2, 9)]
    expected = [
        "no text",
        "of type int",
        "empty text",
        "not valid JSON",
        "invalid UTF-8",
        "was used before",
        "surrogate",
    ]
    assert all(part in a.reason for part, a in zip(expected, bad, strict=True))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b" \n", "empty"),
        ("a.txt", b"\x00\x01", "binary"),
        ("a.txt", b"caf\xe9", "invalid UTF-8 at byte 3"),
        ("a.jsonl", b"", "empty"),
        ("a.jsonl", b"\x00\x01\x02", "binary"),
        ("a.csv", b"id,text\n", "empty"),
        ("a.csv", b'id,text\n1,"never closed\n', "broken row"),
        ("a.csv", b"id,text\n1,caf\xe9\n", "invalid UTF-8"),
        ("a.csv", b"id,t\xe9xt\n1,Talks.\n", "invalid UTF-8 in the header"),
        ("a.csv", b"id,text,text\n1,One.,Two.\n", "'text' stands twice"),
        ("a.parquet", b"PAR1 but truncated", "not a readable Parquet file"),
    ],
)
def test_an_unreadable_file_is_one_bad_article(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    [bad] = read(path)
    assert isinstance(bad, BadArticle)
    assert reason in bad.reason
    assert bad.where.startswith(str(path))
    assert str(path) not in bad.reason


def test_a_broken_quote_costs_its_own_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,One.\n2,"x"y\n3,Three.\n4,"open\n5,Five.\n6,"two\nlines"\n', encoding="utf-8")
    found = read(path)
    assert [a.id for a in found if isinstance(a, Article)] == ["1", "3", "5", "6"]
    assert [a.where for a in found if isinstance(a, BadArticle)] == [f"{path}:3", f"{path}:5"]


def test_values_that_no_output_could_hold_are_bad_articles(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    digits = "9" * 5000
    path.write_text(
        f'{{"text": "One.", "title": "\\ud83d"}}\n{{"text": "Two.", "n": {digits}}}\n{{"text": "Three."}}\n',
        encoding="utf-8",
    )
    assert [type(a).__name__ for a in read(path)] == ["BadArticle", "BadArticle", "Article"]


def test_one_unreadable_parquet_value_costs_its_own_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(np.array([0, 4, 8, 12], np.int32)), pa.py_buffer(b"One.caf\xe9Two.")]
    )
    pq.write_table(pa.table({"text": texts, "date": pa.array([1, 2, 3], pa.timestamp("ns"))}), path)
    found = read(path)
    assert [a.text for a in found if isinstance(a, Article)] == ["One.", "Two."]
    assert [a.where for a in found if isinstance(a, BadArticle)] == [f"{path}:2"]


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Talks.", encoding="utf-8")
    assert len(read(path, tmp_path, path)) == 1


def test_a_folder_is_searched_at_any_depth_for_known_types(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.txt", "deep/a.txt", "notes.pdf"):
        (tmp_path / name).write_text("Talks.", encoding="utf-8")
    assert article_files([tmp_path]) == [tmp_path / "b.txt", tmp_path / "deep/a.txt"]


def test_a_path_that_cannot_be_scored_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"")
    for path, reason in ((tmp_path / "none.txt", "no such"), (tmp_path / "a.pdf", "type .pdf"), (tmp_path, "no files")):
        with pytest.raises(UsageError, match=reason):
            article_files([path])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"Talks resume.\nNow.", [Article("stdin", "Talks resume.\nNow.")]),
        (b'\n{"id": "x", "text": "One."}\n{"text": "Two."}', [Article("x", "One."), Article("stdin:3", "Two.")]),
        (b'\xef\xbb\xbf{"id": "x", "text": "One."}', [Article("x", "One.")]),
        (b"\n\n Talks.", [Article("stdin", "\n\n Talks.")]),
    ],
)
def test_standard_input_is_jsonl_if_it_begins_with_a_brace(content: bytes, expected: list[Article]) -> None:
    assert list(read_articles([Path("-")], io.BytesIO(content))) == expected


def compressed(path: Path, content: bytes) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content))
    else:
        path.write_bytes(pa.compress(content, codec="zstd", asbytes=True))
    return path


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.tsv"])
def test_compressed_files_are_read_as_what_they_hold(tmp_path: Path, name: str, suffix: str) -> None:
    content = {
        "a.txt": "Talks resume.", "a.jsonl": '{"text": "Talks resume."}\n{"text": "Guns fall silent."}',
        "a.csv": "id,text\n1,Talks resume.\n2,Guns fall silent.", "a.tsv": "text\nTalks resume.\nGuns fall silent.",
    }[name]  # fmt: skip
    plain = tmp_path / name
    plain.write_text(content, encoding="utf-8")
    packed = compressed(tmp_path / (name + suffix), content.encode())
    texts = [article.text for article in read(plain) if isinstance(article, Article)]
    assert [article.text for article in read(packed) if isinstance(article, Article)] == texts
    assert article_files([tmp_path]) == [plain, packed]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("kept", [10, 250_000])
def test_a_compressed_file_that_breaks_off_keeps_what_stood_before(tmp_path: Path, suffix: str, kept: int) -> None:
    rng = np.random.default_rng(1)
    lines = [json.dumps({"text": f"Talks {rng.bytes(300).hex()}."}) for _ in range(1500)]
    path = compressed(tmp_path / f"a.jsonl{suffix}", "\n".join(lines).encode())
    path.write_bytes(path.read_bytes()[:kept])
    *good, bad = read(path)
    assert all(isinstance(article, Article) for article in good[:-1])
    assert isinstance(bad, BadArticle)
    assert "damaged" in bad.reason or "cannot be read" in bad.reason
    assert (len(good) > 20) == (kept > 10)


def test_a_line_too_long_for_an_article_costs_itself_alone(tmp_path: Path) -> None:
    jsonl, csv = tmp_path / "a.jsonl", tmp_path / "a.csv"
    long = "x" * (MAX_LINE + 10)
    jsonl.write_text(f'{{"text": "One."}}\n{{"text": "{long}"}}\n{{"text": "Two."}}\n', encoding="utf-8")
    csv.write_text(f"text\nOne.\n{long}\nTwo.\n", encoding="utf-8")
    for path, line in ((jsonl, 2), (csv, 3)):
        first, bad, last = read(path)
        assert isinstance(bad, BadArticle)
        assert bad.where == f"{path}:{line}"
        assert "longer than" in bad.reason
        assert [article.text for article in (first, last) if isinstance(article, Article)] == ["One.", "Two."]


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ";"), ("a.csv", "\t"), ("a.tsv", ";"), ("a.csv", "|")])
def test_another_delimiter_than_the_suffix_says_is_seen(tmp_path: Path, name: str, delimiter: str) -> None:
    path = tmp_path / name
    path.write_text(f"id{delimiter}text\n7{delimiter}Talks, at last, resume.\n", encoding="utf-8")
    assert read(path) == [Article("7", "Talks, at last, resume.")]


def test_columns_are_found_by_their_usual_names_or_by_those_given(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("GUID,Headline,text,Body\n7,Truce,,It holds.\n", encoding="utf-8")
    assert read(path) == [Article("7", "It holds.", {"Headline": "Truce", "text": ""}, "Truce")]
    path.write_text("nr,kop,stuk,text\n7,Truce,It holds.,no\n", encoding="utf-8")
    found = list(read_articles([path], columns=Columns(text="stuk", id="nr", title="kop")))
    assert found == [Article("7", "It holds.", {"kop": "Truce", "text": "no"}, "Truce")]


def test_a_table_without_a_text_column_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,words\n1,One.\n2,Two.\n", encoding="utf-8")
    [bad] = read(path)
    assert isinstance(bad, BadArticle)
    assert bad.where == str(path)
    assert "--text-column; found id, words" in bad.reason
    [bad] = read_articles([path], columns=Columns(text="word"))
    assert isinstance(bad, BadArticle)
    assert bad.reason == "no field or column 'word'; found id, words"
    [bad] = read_articles([path], columns=Columns(text="words", id="ID"))
    assert isinstance(bad, BadArticle)
    assert bad.reason == "no column 'ID'; found id, words"


PAGE = """<html><head><title>Two armies pull back - The Example</title>
<meta property="article:published_time" content="2024-05-01T10:00:00Z"></head><body><nav><a href="/">Home</a></nav>
<article><h1>Two armies pull back</h1><p>The two armies began to pull back on Monday, the mission said.</p>
<p>The generals shook hands in the rain, two weeks after the shelling of the dam.</p><script>alert(1)</script></article>
<footer>All rights reserved</footer></body></html>"""


def test_a_web_page_gives_its_article_and_what_it_says_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(PAGE, encoding="utf-8")
    [article] = read(path)
    assert isinstance(article, Article)
    assert article.title == "Two armies pull back"
    assert "The generals shook hands" in article.text
    assert not {"Home", "alert", "rights"} & set(article.text.replace("(", " ").split())
    # The places of sentences are in the text, so it passes through.
    assert article.metadata["text"] == article.text
    assert article.metadata["date"] == "2024-05-01"


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"\x00\x01" * 500, b"<" * 20_000, b"\xff\xfe<p>"])
def test_a_page_without_an_article_is_bad(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.htm"
    path.write_bytes(content)
    [bad] = read(path)
    assert bad == BadArticle(str(path), "no article found in the page", str(path))


def test_a_folder_of_the_datasets_library_is_read(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"id": ["1", "2"], "text": ["One.", "Two."], "n": [1, 2]}).save_to_disk(tmp_path / "set")
    assert read(tmp_path / "set") == [Article("1", "One.", {"n": 1}), Article("2", "Two.", {"n": 2})]
    [arrow] = (tmp_path / "set").glob("*.arrow")
    (tmp_path / "set/cache-1.arrow").write_bytes(arrow.read_bytes())
    assert len(read(tmp_path / "set")) == 2
    with pa.ipc.new_file(tmp_path / "b.arrow", pa.schema({"text": pa.string()})) as sink:
        sink.write_table(pa.table({"text": ["Three."] * 3000}))
    assert len(read(tmp_path / "b.arrow")) == 3000
    arrow.write_bytes(arrow.read_bytes()[:100])
    [bad] = read(arrow)
    assert isinstance(bad, BadArticle)


@given(
    name=st.sampled_from(["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.parquet", "a.arrow", "a.jsonl.gz", "a.csv.zst"]),
    content=st.binary(max_size=400)
    | st.text(alphabet="ab,;\t\n\r\"'{}[]:=0\u202e\ufeff\u00e9", max_size=200).map(str.encode),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_reading_ends_and_names_what_is_bad(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found = read(path)
    assert found
    assert all(article.text.strip() if isinstance(article, Article) else article.reason for article in found)


@given(
    rows=st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, max_size=5),
    junk=st.text(alphabet='",\n;', max_size=6),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_before_the_damage_are_never_lost(tmp_path: Path, rows: list[str], junk: str) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        writer = DelimitedWriter(file, ["text"])
        for row in rows:
            writer.write({"text": row})
        file.write(junk.encode())
    good = [article.text for article in read(path) if isinstance(article, Article)]
    expected = [escape_cell(row) for row in rows if row.strip()]
    assert good[: len(expected)] == expected
