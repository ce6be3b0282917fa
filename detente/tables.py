"""Rows of JSONL, CSV, TSV and Parquet files: read with their line numbers, written atomically.

Knows nothing of what a row means. A row that cannot be read comes out as a row with a problem, so that the caller
decides whether one bad line spoils the file.
"""

import contextlib
import csv
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from detente.errors import DetenteError, UsageError

TABLE_SUFFIXES: Final = (".jsonl", ".csv", ".tsv", ".parquet")
DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}

# Spreadsheets run a cell that begins with one of these as a formula (OWASP, "CSV Injection").
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED_FORMULA: Final = re.compile(r"'+[=+\-@\t\r]")

# How much of a file is looked at to tell a binary one.
_SNIFFED: Final = 1 << 16

csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file. `problem` says why the row could not be read; then `record` is empty."""

    line: int
    record: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a JSONL, CSV, TSV or Parquet file in order.

    Raises:
        UsageError: the suffix is none of `TABLE_SUFFIXES`.
        DetenteError: the file as a whole cannot be read (missing, binary, no header, damaged Parquet).
    """
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise UsageError(f"{path}: unknown file type {suffix or '(none)'}; give one of {', '.join(TABLE_SUFFIXES)}")
    try:
        if suffix == ".parquet":
            yield from _read_parquet(path)
            return
        with path.open("rb") as file:
            if b"\0" in file.read(_SNIFFED):
                raise DetenteError(f"{path}: holds NUL bytes, so it is a binary file; expected {suffix} text in UTF-8")
            file.seek(0)
            if suffix == ".jsonl":
                yield from read_jsonl(file)
                return
        yield from _read_delimited(path, DELIMITERS[suffix])
    except OSError as error:
        raise DetenteError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_jsonl(file: Iterable[bytes]) -> Iterator[Row]:
    """Yield one row per line of JSON objects; blank lines are skipped, bad ones come out with their problem."""
    for number, raw in enumerate(file, start=1):
        if not raw.strip():
            continue
        try:
            record = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            yield Row(number, problem=f"invalid UTF-8 at byte {error.start} of the line; save the file as UTF-8")
        except (json.JSONDecodeError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
            yield Row(number, problem=f"not valid JSON ({reason}); expected one JSON object on each line")
        else:
            if isinstance(record, dict):
                yield Row(number, record)
            else:
                yield Row(number, problem=f"found a JSON {type(record).__name__}, expected an object in braces")


def _read_delimited(path: Path, delimiter: str) -> Iterator[Row]:
    # surrogateescape keeps undecodable bytes in the one row that holds them, so the other rows stay readable.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        header: list[str] | None = None
        rows = iter(reader)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(rows)
            except StopIteration:
                break
            except csv.Error as error:
                # Quotes are out of step from here on: what follows cannot be told apart into rows.
                yield Row(line, problem=f"broken CSV ({error}); check the quotes from this line on")
                return
            if not cells:
                continue
            if header is None:
                header = cells
            elif len(cells) != len(header):
                yield Row(line, problem=f"found {len(cells)} cells, expected {len(header)} as in the header")
            elif any("\udc80" <= character <= "\udcff" for cell in cells for character in cell):
                yield Row(line, problem="invalid UTF-8; save the file as UTF-8")
            else:
                yield Row(line, dict(zip(header, map(unescape_cell, cells), strict=True)))


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=1024):
                for record in batch.to_pylist():
                    number += 1
                    yield Row(number, record)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DetenteError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error


def escape_cell(value: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run as a formula; `unescape_cell` takes it away."""
    return "'" + value if _FORMULA.match(value) else value


def unescape_cell(value: str) -> str:
    """Undo `escape_cell`."""
    return value[1:] if _ESCAPED_FORMULA.match(value) else value


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its name when the block ends well, and is removed otherwise.

    Raises:
        UsageError: the folder is missing or cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        # Not NamedTemporaryFile: its mode 0600 would outlive the rename.
        file = temporary.open("xb")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


class DelimitedWriter:
    """Writes records as CSV or TSV to a binary file, with escaped formulas and a header."""

    def __init__(self, file: BinaryIO, columns: Sequence[str], delimiter: str = ",") -> None:
        """Write the header for `columns`."""
        self._columns = columns
        self._writer = csv.writer(_Utf8(file), delimiter=delimiter, lineterminator="\n")
        self._writer.writerow(columns)

    def write(self, record: dict[str, Any]) -> None:
        """Write one record; keys outside the columns are an error, missing ones an empty cell."""
        unknown = record.keys() - set(self._columns)
        if unknown:
            raise DetenteError(f"no column for {', '.join(sorted(unknown))}")
        self._writer.writerow([_cell(record.get(column)) for column in self._columns])


class _Utf8:
    """The little that `csv.writer` asks of a text file, without closing the binary one below."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode("utf-8"))


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return escape_cell(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value


def write_table(path: Path, records: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Write records to a JSONL, CSV, TSV or Parquet file, by its suffix, whole or not at all.

    Raises:
        UsageError: unknown suffix, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise UsageError(f"{path}: unknown file type {suffix or '(none)'}; give one of {', '.join(TABLE_SUFFIXES)}")
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
    """One line of JSONL. Values that JSON lacks (dates from Parquet, say) are written as their text."""
    return (json.dumps(record, ensure_ascii=False, default=str) + "\n").encode("utf-8")
