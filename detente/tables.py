"""Rows of JSONL, CSV, TSV and Parquet files: read with their line numbers, and written.

Knows nothing of what a row means. A row that cannot be read comes out as a row with a problem, so that the caller
decides whether one bad line spoils the file.
"""

import csv
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from detente.atomic import atomic_writer
from detente.errors import DetenteError, UsageError

TABLE_SUFFIXES: Final = (".jsonl", ".csv", ".tsv", ".parquet")
DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}

# Spreadsheets run a cell that begins with one of these as a formula (OWASP, "CSV Injection").
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED_FORMULA: Final = re.compile(r"'+[=+\-@\t\r]")

# How often a CSV is taken up again behind a quote that never closes; each time costs one more reading.
_RESTARTS: Final = 20

# How much of a file is looked at to tell a binary one.
_SNIFFED: Final = 1 << 16

csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file. `problem` says why the row could not be read; then `record` is empty."""

    line: int
    record: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


def read_rows(path: Path, *, unescape: bool = False) -> Iterator[Row]:
    """Yield the rows of a JSONL, CSV, TSV or Parquet file in order.

    Args:
        path: the file; its suffix says what it is.
        unescape: undo `escape_cell` in CSV and TSV, for files that this project writes itself.

    Raises:
        UsageError: the suffix is none of `TABLE_SUFFIXES`.
        DetenteError: the file as a whole cannot be read (missing, binary, a bad header, damaged Parquet).
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
        yield from _read_delimited(path, DELIMITERS[suffix], unescape)
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


def _read_delimited(path: Path, delimiter: str, unescape: bool) -> Iterator[Row]:
    header: list[str] = []
    skipped = 0
    for attempt in range(_RESTARTS + 1):
        # surrogateescape keeps undecodable bytes in the one row that holds them, so the other rows stay readable.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(itertools.islice(file, skipped, None), delimiter=delimiter, strict=True)
            broken = None
            while True:
                line = skipped + reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    break
                except csv.Error as error:
                    if skipped + reader.line_num > line and attempt < _RESTARTS:
                        # A quote that never closes has swallowed rows: go on behind the line that opens it.
                        yield Row(line, problem="a quote opens on this line and does not close; double it or close it")
                        broken = line
                        break
                    yield Row(line, problem=f"broken row ({error}); check its quotes")
                    continue
                if not header:
                    header = _checked_header(path, cells)
                elif cells:
                    yield _delimited_row(line, header, cells, unescape)
        if broken is None:
            return
        skipped = broken


def _checked_header(path: Path, cells: list[str]) -> list[str]:
    if any(_is_undecoded(cell) for cell in cells):
        raise DetenteError(f"{path}: invalid UTF-8 in the header; save the file as UTF-8")
    twice = [cell for cell in dict.fromkeys(cells) if cells.count(cell) > 1]
    if twice:
        raise DetenteError(f"{path}: column {twice[0]!r} stands twice in the header; rename one")
    return cells


def _delimited_row(line: int, header: list[str], cells: list[str], unescape: bool) -> Row:
    if len(cells) != len(header):
        return Row(line, problem=f"found {len(cells)} cells, expected {len(header)} as in the header")
    if any(_is_undecoded(cell) for cell in cells):
        return Row(line, problem="invalid UTF-8; save the file as UTF-8")
    return Row(line, dict(zip(header, map(unescape_cell, cells) if unescape else cells, strict=True)))


def _is_undecoded(cell: str) -> bool:
    return not cell.isascii() and any("\udc80" <= character <= "\udcff" for character in cell)


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise DetenteError(f"{path}: column {twice[0]!r} stands twice; rename one")
            rows_before = 0
            for batch in file.iter_batches(batch_size=1024):
                table = _without_nanoseconds(pa.Table.from_batches([batch]))
                for number, row in enumerate(_parquet_rows(table), start=rows_before + 1):
                    yield replace(row, line=number)
                rows_before += table.num_rows
    except pa.ArrowException as error:
        raise DetenteError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error


def _parquet_rows(table: Any) -> Iterator[Row]:
    """Rows of a few records, the readable ones also where others are not."""
    try:
        yield from [Row(0, record) for record in table.to_pylist()]
    except (ValueError, OverflowError) as error:
        if table.num_rows > 1:
            for index in range(table.num_rows):
                yield from _parquet_rows(table.slice(index, 1))
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


def escape_cell(value: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run as a formula; `unescape_cell` takes it away."""
    return "'" + value if _FORMULA.match(value) else value


def unescape_cell(value: str) -> str:
    """Undo `escape_cell`."""
    return value[1:] if _ESCAPED_FORMULA.match(value) else value


class DelimitedWriter:
    """Writes records as CSV or TSV to a binary file, with escaped formulas and a header."""

    def __init__(self, file: BinaryIO, columns: Sequence[str], delimiter: str = ",") -> None:
        """Write the header."""
        self._columns = columns
        self._writer = csv.writer(_Utf8(file), delimiter=delimiter, lineterminator="\n")
        self._writer.writerow([escape_cell(column) for column in columns])

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
