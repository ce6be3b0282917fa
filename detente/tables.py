"""Rows of JSONL, CSV, TSV, Parquet and Arrow files: read with their line numbers, and written.

Knows nothing of what a row means. A row that cannot be read comes out as a row with a problem, so that the caller
decides whether one bad line spoils the file.
"""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from detente.atomic import atomic_writer
from detente.delimited import DELIMITERS, DelimitedWriter, read_delimited
from detente.errors import DetenteError, UsageError
from detente.files import MAX_LINE, file_type, open_input, read_lines, sniff
from detente.rows import Row

# Rows that are held at once.
_BATCH_ROWS: Final = 1024
_ARROW_FILE: Final = b"ARROW1"
_WRITTEN: Final = (".jsonl", ".csv", ".tsv", ".parquet")
TABLE_SUFFIXES: Final = (*_WRITTEN, ".arrow")


def read_rows(path: Path, *, unescape: bool = False) -> Iterator[Row]:
    """Yield the rows of a JSONL, CSV, TSV, Parquet or Arrow file in order; Arrow is what the datasets library saves.

    Args:
        path: the file; its suffix says what it is.
        unescape: undo `escape_cell` in CSV and TSV, for files that this project writes itself.

    Raises:
        UsageError: the suffix is none of `TABLE_SUFFIXES`.
        DetenteError: the file as a whole cannot be read (missing, binary, a bad header, damaged Parquet).
    """
    suffix = file_type(path)
    if suffix not in TABLE_SUFFIXES:
        raise UsageError(f"{path}: unknown file type {suffix or '(none)'}; give one of {', '.join(TABLE_SUFFIXES)}")
    if suffix in (".parquet", ".arrow"):
        if path.suffix.lower() != suffix:
            raise DetenteError(f"{path}: {suffix} files are compressed inside; unpack it first")
        yield from _read_columnar(path, suffix)
        return
    if b"\0" in sniff(path):
        raise DetenteError(f"{path}: holds NUL bytes, so it is a binary file; expected {suffix} text in UTF-8")
    if suffix == ".jsonl":
        with open_input(path) as file:
            yield from read_jsonl(read_lines(file))
    else:
        yield from read_delimited(path, DELIMITERS[suffix], unescape)


def read_jsonl(lines: Iterable[bytes | None]) -> Iterator[Row]:
    """Yield one row per line of JSON objects; blank lines are skipped, bad ones come out with their problem."""
    for number, raw in enumerate(lines, start=1):
        if raw is None:
            yield Row(number, problem=f"the line is longer than {MAX_LINE:,} bytes")
            continue
        if not raw.strip():
            continue
        try:
            record = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            yield Row(number, problem=f"invalid UTF-8 at byte {error.start} of the line; save the file as UTF-8")
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error).partition(";")[0]
            yield Row(number, problem=f"not valid JSON ({reason}); expected one JSON object on each line")
        else:
            if not isinstance(record, dict):
                yield Row(number, problem=f"found a JSON {type(record).__name__}, expected an object in braces")
            elif b"\\u" in raw and _has_surrogate(record):
                yield Row(number, problem="holds a lone surrogate, half of a character; save it as UTF-8")
            else:
                yield Row(number, record)


def _has_surrogate(record: dict[str, Any]) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _read_columnar(path: Path, suffix: str) -> Iterator[Row]:
    import pyarrow as pa

    kind = "Parquet" if suffix == ".parquet" else "Arrow"
    try:
        with open_input(path) as file:
            rows_before = 0
            for batch in _parquet_batches(file) if suffix == ".parquet" else _arrow_batches(file):
                names = batch.schema.names
                twice = [name for name in names if names.count(name) > 1]
                if twice:
                    raise DetenteError(f"{path}: column {twice[0]!r} stands twice; rename one")
                table = _without_nanoseconds(pa.Table.from_batches([batch]))
                for number, row in enumerate(_table_rows(table), start=rows_before + 1):
                    yield replace(row, line=number)
                rows_before += table.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DetenteError(f"{path}: not a readable {kind} file ({str(error).splitlines()[0]})") from error


def _parquet_batches(file: BinaryIO) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        yield from opened.iter_batches(batch_size=_BATCH_ROWS)


def _arrow_batches(file: BinaryIO) -> Iterator[Any]:
    """The batches of a stream, as the datasets library writes it, or of a file, which others write."""
    import pyarrow as pa

    is_file = file.read(len(_ARROW_FILE)) == _ARROW_FILE
    file.seek(0)
    if is_file:
        with pa.ipc.open_file(file) as opened:
            batches = (opened.get_batch(number) for number in range(opened.num_record_batches))
            yield from itertools.chain.from_iterable(map(_slices, batches))
    else:
        with pa.ipc.open_stream(file) as stream:
            yield from itertools.chain.from_iterable(map(_slices, stream))


def _slices(batch: Any) -> Iterator[Any]:
    return (batch.slice(start, _BATCH_ROWS) for start in range(0, batch.num_rows, _BATCH_ROWS))


def _table_rows(table: Any) -> Iterator[Row]:
    """Rows of a few records, the readable ones also where others are not."""
    try:
        yield from [Row(0, record) for record in table.to_pylist()]
    except (ValueError, OverflowError) as error:
        if table.num_rows > 1:
            for index in range(table.num_rows):
                yield from _table_rows(table.slice(index, 1))
        elif isinstance(error, UnicodeDecodeError):
            yield Row(0, problem="invalid UTF-8; write the file anew")
        else:
            yield Row(0, problem=f"a value that cannot be read ({str(error).splitlines()[0]})")


def _without_nanoseconds(table: Any) -> Any:
    """Timestamps in microseconds, which is as fine as Python's own are; finer ones need pandas to be read."""
    import pyarrow as pa

    for index, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            coarser = table.column(index).cast(pa.timestamp("us", column.type.tz), safe=False)
            table = table.set_column(index, column.name, coarser)
    return table


def check_table(path: Path) -> None:
    """Find out before the work that a table cannot be written.

    Raises:
        UsageError: unknown suffix.
    """
    suffix = path.suffix.lower()
    if suffix not in _WRITTEN:
        raise UsageError(f"{path}: unknown file type {suffix or '(none)'}; give one of {', '.join(_WRITTEN)}")


def write_table(path: Path, records: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Write records to a JSONL, CSV, TSV or Parquet file, by its suffix, whole or not at all.

    Raises:
        UsageError: unknown suffix, or the file cannot be written.
    """
    check_table(path)
    suffix = path.suffix.lower()
    with atomic_writer(path) as file:
        if suffix == ".jsonl":
            for record in records:
                file.write(json_line(record))
        elif suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist([{name: r.get(name) for name in columns} for r in records]), file)
        else:
            writer = DelimitedWriter(file, columns, DELIMITERS[suffix])
            for record in records:
                writer.write(record)


def json_line(record: dict[str, Any]) -> bytes:
    """One line of JSONL. What JSON lacks is written as text (dates from Parquet, say) or as null (NaN, infinity)."""
    try:
        line = json.dumps(record, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:
        line = json.dumps(without_nan(record), ensure_ascii=False, default=str)
    return (line + "\n").encode("utf-8")


def without_nan(value: Any) -> Any:
    """A JSON-ready value with None for every number that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
