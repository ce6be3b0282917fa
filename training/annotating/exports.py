"""Reads files that annotation tools exported: whose they are, and every answer in them. Does not weigh the answers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from detente.delimited import DELIMITERS, unescape_cell
from detente.errors import DetenteError, UsageError
from detente.files import file_type, open_input, read_lines, sniff
from detente.rows import Row
from detente.tables import TABLE_SUFFIXES, read_jsonl, read_rows
from training.annotating import spreadsheet
from training.annotating.answers import Answer
from training.annotating.tools import TOOLS

# Forms that are mistaken for the right ones, by the keys that give them away.
_OTHERS: Final = {
    "Label Studio before version 1": {"completions"},
    "Argilla 1": {"inputs", "annotation"},
    "tasks that no tool has exported": {"guess", "scores"},
    "scored or annotated articles": {"sentences"},
}


@dataclass
class Exports:
    """What stands in some exports. `settled` are the decisions of a person about sentences that others disagreed on.

    `unsettled` counts rows of disagreements without a decision; `problems` are for the person to mend.
    """

    answers: list[Answer] = field(default_factory=list)
    settled: list[Answer] = field(default_factory=list)
    unsettled: int = 0
    problems: list[str] = field(default_factory=list)


def read_exports(paths: Sequence[Path], tool: str | None = None) -> Exports:
    """Read exports, all of them by `tool` or each by the one that its first record looks like.

    The annotator of an answer is called by the file and by what the tool says, or one of them if that is enough.

    Raises:
        DetenteError: a file as a whole cannot be read. What is wrong in it is among the problems.
        UsageError: a suffix that no tool's exports have.
    """
    found = Exports()
    files = {path.resolve(): path for path in paths}.values()
    by_file = {path: list(_file_answers(path, tool, found)) for path in files}
    names = _names([path for path, answers in by_file.items() if answers])
    for path, name in names.items():
        found.answers += (replace(one, annotator=_called(name, one, len(names))) for one in by_file[path])
    return found


def _file_answers(path: Path, wanted: str | None, found: Exports) -> Iterator[Answer]:
    """One file's answers; decisions on disagreements and problems go to `found`."""
    name, rows = wanted, 0
    for where, row in _rows(path):
        if row.record and all(
            cell is None or (isinstance(cell, str) and not cell.strip()) for cell in row.record.values()
        ):
            continue  # Spreadsheets write such rows below a table.
        rows += 1
        if row.problem:
            found.problems.append(f"{where}: {row.problem}")
            continue
        # A table of disagreements is one whatever tool the others come from.
        name = "csv" if spreadsheet.settles(row.record) else name or _recognised(row.record)
        if name is None or not TOOLS[name].recognises(row.record):
            expected = f"an export of {wanted or ', '.join(TOOLS)}" if name == wanted else f"{name}, as before"
            found.problems.append(f"{where}: {_looks(row.record)}; expected {expected}")
            if name is None or rows == 1:
                return  # Not a row but the whole file is something else.
            continue
        try:
            answers = [replace(one, where=where) for one in TOOLS[name].answers(_cells(path, row, name))]
        except DetenteError as error:
            found.problems.append(f"{where}: {error}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # Other programs' nested records: a list where an object should be, at whatever depth.
            found.problems.append(f"{where}: not in the form that {name} exports ({type(error).__name__}: {error})")
        else:
            if TOOLS[name] is spreadsheet and spreadsheet.settles(row.record):
                found.settled += (one for one in answers if one.label)
                found.unsettled += sum(not one.label for one in answers)
            else:
                yield from answers
    if not rows:
        found.problems.append(f"{path}: nothing in it; expected what an annotation tool exported")


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a table, of JSON lines or of one JSON list, with their places."""
    if file_type(path) not in (".json", *TABLE_SUFFIXES):
        known = ", ".join((".json", *TABLE_SUFFIXES))
        raise UsageError(f"{path}: unknown file type {file_type(path) or '(none)'}; tools export one of {known}")
    if file_type(path) not in (".json", ".jsonl"):
        yield from ((f"{path}:{row.line}", row) for row in read_rows(path))
    # Not by the suffix: libraries write lines to files called .json, too.
    elif sniff(path).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
        yield from ((f"{path}: task {row.line}", row) for row in _listed(path))
    else:
        with open_input(path) as file:
            yield from ((f"{path}:{row.line}", row) for row in read_jsonl(read_lines(file)))


def _listed(path: Path) -> Iterator[Row]:
    with open_input(path) as file:
        content = file.read()
    try:
        lines = [json.dumps(record).encode() for record in json.loads(content.decode("utf-8-sig"))]
    except UnicodeDecodeError as error:
        raise DetenteError(f"{path}: invalid UTF-8 at byte {error.start}; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise DetenteError(f"{path}: not valid JSON ({error}); export it again, it may have broken off") from error
    # As lines, since these are checked in one place.
    yield from read_jsonl(lines)


def _recognised(record: Mapping[str, Any]) -> str | None:
    return next((name for name, tool in TOOLS.items() if tool.recognises(record)), None)


def _looks(record: Mapping[str, Any]) -> str:
    other = next((name for name, keys in _OTHERS.items() if not keys.isdisjoint(record)), None)
    known = _recognised(record) or other
    return f"looks like {known}" if known else f"looks like no export; found {', '.join(map(str, record)) or 'nothing'}"


def _cells(path: Path, row: Row, tool: str) -> dict[str, Any]:
    """The record, without the apostrophes that `export` puts before formulas in tables; other tools put none."""
    if TOOLS[tool] is not spreadsheet or file_type(path) not in DELIMITERS:
        return row.record
    return {name: unescape_cell(cell) for name, cell in row.record.items()}


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """What to call the files: by their names alone where these differ."""
    stems = [path.name.partition(".")[0] for path in paths]
    return dict(zip(paths, stems if len(set(stems)) == len(stems) else map(str, paths), strict=True))


def _called(file: str, answer: Answer, files: int) -> str:
    if not answer.annotator:
        return file
    return answer.annotator if files == 1 else f"{file}:{answer.annotator}"
