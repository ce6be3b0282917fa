"""CSV and TSV: rows read however damaged the file is, and written so that no spreadsheet runs a cell as a formula."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO

from detente.errors import DetenteError
from detente.files import MAX_LINE, open_input
from detente.rows import Row

DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}
# What other programs put where a comma or a tab is expected: a header without the one and with another names it.
_OTHER_DELIMITERS: Final = (";", "\t", ",", "|")

# Spreadsheets run a cell that begins with one of these as a formula (OWASP, "CSV Injection").
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED_FORMULA: Final = re.compile(r"'+[=+\-@\t\r]")

# csv.writer puts quotes around a carriage return only where that is part of its line ends.
_ROW_END: Final = "\r\n"

# How often a file is taken up again behind a quote that never closes; each time costs one more reading.
_RESTARTS: Final = 20

# Bounds what a quote that never closes can swallow before it is noticed.
csv.field_size_limit(MAX_LINE)


class _LongLineError(Exception):
    """A line is longer than any row."""


class _Lines:
    """The lines of a text file with their ends; `number` counts those that were read."""

    def __init__(self, file: TextIO, skipped: int) -> None:
        self._file = file
        self.number = 0
        while self.number < skipped and (line := file.readline(MAX_LINE)):
            self.number += _ends(line)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) < MAX_LINE or _ends(line):
            return line
        while (line := self._file.readline(MAX_LINE)) and not _ends(line):
            pass
        raise _LongLineError


def _ends(line: str) -> bool:
    return line.endswith(("\n", "\r"))


def read_delimited(path: Path, delimiter: str, unescape: bool) -> Iterator[Row]:
    """Yield the rows behind the header, those that cannot be read with their problem.

    The delimiter is the one given, unless the header has none of it and one of another kind.

    Raises:
        DetenteError: the file cannot be read, or its header is of no use.
    """
    header: list[str] = []
    skipped = 0
    delimiter = _delimiter(path, delimiter)
    for attempt in range(_RESTARTS + 1):
        broken = None
        with open_input(path) as binary:
            # surrogateescape keeps undecodable bytes in the one row that holds them, so the others stay readable.
            text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
            lines = _Lines(text, skipped)
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            while True:
                line = lines.number + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    break
                except _LongLineError:
                    yield Row(lines.number, problem=f"the line is longer than {MAX_LINE:,} characters")
                    continue
                except csv.Error as error:
                    if lines.number > line and attempt < _RESTARTS:
                        # A quote that never closes has swallowed rows: go on behind the line that opens it.
                        yield Row(line, problem="a quote opens on this line and does not close; double it or close it")
                        broken = line
                        break
                    swallowed = f", and lines up to {lines.number} with it" if lines.number > line else ""
                    yield Row(line, problem=f"broken row ({error}){swallowed}; check its quotes")
                    continue
                if not header:
                    header = _checked_header(path, cells)
                elif cells:
                    yield _delimited_row(line, header, cells, unescape)
        if broken is None:
            return
        skipped = broken


def _delimiter(path: Path, expected: str) -> str:
    with open_input(path) as file:
        header = file.readline(MAX_LINE).decode("utf-8", errors="replace")
    if expected in header:
        return expected
    return next((other for other in _OTHER_DELIMITERS if other in header), expected)


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
        self._writer = csv.writer(_Utf8(file), delimiter=delimiter, lineterminator=_ROW_END)
        self._writer.writerow([escape_cell(column) for column in columns])

    def write(self, record: dict[str, Any]) -> None:
        """Write one record; keys outside the columns are an error, missing ones an empty cell."""
        unknown = record.keys() - set(self._columns)
        if unknown:
            raise DetenteError(f"no column for {', '.join(sorted(unknown))}")
        self._writer.writerow([_cell(record.get(column)) for column in self._columns])


class _Utf8:
    """The little that `csv.writer` asks of a text file, without closing the one below. A row ends in a newline."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.removesuffix(_ROW_END).encode("utf-8") + b"\n")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return escape_cell(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value
