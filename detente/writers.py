"""Scored articles out: JSONL, CSV, Parquet, or a table to read. One writer a format, each fed one article at a time."""

import json
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from detente.atomic import atomic_writer
from detente.delimited import DelimitedWriter
from detente.errors import printable
from detente.formats import OutputFormat
from detente.labels import LABELS
from detente.scoring import ScoredArticle
from detente.tables import json_line

_PARQUET_ROWS: Final = 1000
_SCORE_COLUMNS: Final = tuple(f"score_{label.replace('-', '_')}" for label in LABELS)
_SENTENCE_COLUMNS: Final = (
    "id", "article_label", "article_index", "sentence", "start", "end", "label", *_SCORE_COLUMNS, "text", "model",
)  # fmt: skip
# Holds, as JSON, what has no column of its own: the first rows fix the columns for the input's own fields.
_MORE: Final = "more"
# What pyarrow raises where a value is not of a column's type (its own exceptions are among these).
_MISFIT: Final = (KeyError, TypeError, ValueError, ArithmeticError, NotImplementedError)


Write = Callable[[ScoredArticle], None]


@contextmanager
def open_writer(path: Path | None, chosen: OutputFormat, stdout: BinaryIO | None = None) -> Iterator[Write]:
    """A function that writes one scored article, to a file (whole or not at all) or to standard output.

    Raises:
        UsageError: the file cannot be written.
    """
    if path is None:
        if stdout is None:
            raise TypeError("no path and no standard output")
        with _format_writer(stdout, chosen) as write:
            yield write
    else:
        with atomic_writer(path) as file, _format_writer(file, chosen) as write:
            yield write


@contextmanager
def _format_writer(file: BinaryIO, chosen: OutputFormat) -> Iterator[Write]:
    match chosen:
        case OutputFormat.JSONL:
            yield lambda article: _write_all(file, json_line(article.to_record()))
        case OutputFormat.TABLE:
            yield lambda article: _write_all(file, _table(article).encode())
        case OutputFormat.CSV:
            yield _csv_writer(file)
        case OutputFormat.PARQUET:
            with _parquet_writer(file) as write:
                yield write


def _write_all(file: BinaryIO, content: bytes) -> None:
    file.write(content)
    file.flush()


def _table(article: ScoredArticle) -> str:
    """The article's line, then one line a sentence: label, its score, and the sentence cut to the terminal's width."""
    width = shutil.get_terminal_size((100, 24)).columns
    lines = [f"{article.label.upper()}  index {article.index:+.2f}  {printable(article.id)}"]
    for sentence in article.sentences:
        text = printable(article.sentence_text(sentence))
        shown = textwrap.shorten(text, max(width - 22, 20), placeholder=" …")
        lines.append(f"  {sentence.label:<13} {max(sentence.scores):.2f}  {shown}")
    return "\n".join(lines) + "\n\n"


def _csv_writer(file: BinaryIO) -> Write:
    """One row a sentence."""
    rows: DelimitedWriter | None = None
    own: tuple[str, ...] = ()
    taken = (*_SENTENCE_COLUMNS, _MORE)

    def write(article: ScoredArticle) -> None:
        nonlocal rows, own
        if rows is None:
            own = tuple(article.own_fields(taken))
            rows = DelimitedWriter(file, (*_SENTENCE_COLUMNS, *own, _MORE))
        fields = article.own_fields(taken)
        more = {key: value for key, value in fields.items() if key not in own}
        shared = {key: value for key, value in fields.items() if key in own} | {_MORE: more or None}
        # The title has the number 0, and its sentences before the last one negative ones.
        first = 1 - sum(sentence.in_title for sentence in article.sentences)
        for number, sentence in enumerate(article.sentences, start=first):
            values = (
                article.id, str(article.label), article.index, number, sentence.start, sentence.end,
                str(sentence.label), *sentence.scores, article.sentence_text(sentence), article.model,
            )  # fmt: skip
            rows.write(dict(zip(_SENTENCE_COLUMNS, values, strict=True)) | shared)

    return write


@contextmanager
def _parquet_writer(file: BinaryIO) -> Iterator[Write]:
    """One row an article, nested like the JSONL line."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    scores = pa.list_(pa.float32(), len(LABELS))
    spans = [
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("label", pa.string()),
        ("scores", scores),
        ("in_title", pa.bool_()),
    ]
    fixed = [
        ("id", pa.string()), ("label", pa.string()), ("index", pa.float64()), ("scores", scores),
        ("sentences", pa.list_(pa.struct(spans))), ("model", pa.string()), (_MORE, pa.string()),
    ]  # fmt: skip
    names = [name for name, _ in fixed]
    schema: Any = None
    held: list[dict[str, Any]] = []
    sink: Any = None

    def flush() -> None:
        nonlocal schema, sink
        if sink is None:
            schema = pa.schema(fixed + _inferred(held, names))
            sink = pq.ParquetWriter(file, schema)
        sink.write_table(pa.Table.from_pylist([_fitted(record, schema, names) for record in held], schema))
        held.clear()

    def write(article: ScoredArticle) -> None:
        held.append(article.to_record(reserved=[_MORE]))
        if len(held) >= _PARQUET_ROWS:
            flush()

    yield write
    flush()
    sink.close()


def _inferred(records: Sequence[dict[str, Any]], taken: Sequence[str]) -> list[tuple[str, Any]]:
    """Columns for the input's own fields, with the type that their values share, if they share one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = []
    for name in dict.fromkeys(key for record in records for key in record if key not in taken):
        with suppress(*_MISFIT):
            array = pa.array([record.get(name) for record in records])
            pq.write_table(pa.table({name: array}), pa.BufferOutputStream())  # Parquet lacks some of Arrow's types
            columns.append((name, array.type))
    return columns


def _fitted(record: dict[str, Any], schema: Any, ours: Sequence[str]) -> dict[str, Any]:
    """The record with those of the input's own fields that fit no column moved to `_MORE`."""
    import pyarrow as pa

    fitted = {name: record[name] for name in ours if name in record}
    more: dict[str, Any] = {}
    for name, value in record.items():
        if name in ours:
            continue
        try:
            # Arrow cuts 1.5 down to an integer column without a word, so what goes in must come out again.
            fits = pa.array([value], schema.field(name).type).to_pylist() == [value]
        except _MISFIT:
            fits = False
        (fitted if fits else more)[name] = value
    return fitted | {_MORE: json.dumps(more, ensure_ascii=False, default=str) if more else None}
