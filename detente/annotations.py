"""Annotation files: read, checked and written here and nowhere else.

An annotation is one sentence with its label. A file holds one annotation a row (JSONL, CSV, TSV, Parquet); a JSONL
line may also hold a whole annotated article, `{"id", "text", "label", "sentences": [{"start", "end", "label"}]}`,
which is read as one annotation per sentence with the article's id as the group.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from detente.errors import DetenteError, raise_problems
from detente.labels import LABEL_IDS, LABELS, Label, closest, read_label
from detente.rows import Row
from detente.tables import read_rows, write_table

if TYPE_CHECKING:
    import datasets

SPLITS: Final = ("train", "validation", "test")
# The longest of 24,000 hand-annotated sentences has 449 characters; beyond this it is a paragraph.
MAX_TEXT_CHARS: Final = 1000


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotated sentence. Only `id`, `text` and `label` must be given; `group` falls back to the id.

    `sure` is 1 where the annotators found the label clear, 0 where they did not.
    """

    id: str
    text: str
    label: Label
    group: str = ""
    register: str = ""
    rule: str = ""
    region: str = ""
    source: str = ""
    split: str = ""
    sure: str = ""


@dataclass(frozen=True, slots=True)
class Annotations:
    """The checked content of one or more annotation files.

    `dropped` counts exact duplicates, `unlabelled` the rows without a label that were left out. `places` says of each
    row where it stands, `file:line`, if it was read.
    """

    rows: tuple[Annotation, ...]
    dropped: int = 0
    unlabelled: int = 0
    places: tuple[str, ...] = ()

    def in_split(self, split: str) -> "Annotations":
        """Those whose `split` is the one given."""
        return Annotations(tuple(row for row in self.rows if row.split == split))

    def texts(self) -> list[str]:
        """The sentences, in order."""
        return [row.text for row in self.rows]

    def label_ids(self) -> list[int]:
        """The label ids, in order."""
        return [LABEL_IDS[row.label] for row in self.rows]

    def fingerprint(self) -> str:
        """SHA-256 over texts and labels, whatever the order, so that the same data has the same fingerprint."""
        lines = sorted(f"{row.text}\t{row.label}\n" for row in self.rows)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def to_dataset(self) -> "datasets.Dataset":
        """A `datasets.Dataset` with one column per field of `Annotation` (needs the extra `train`)."""
        import datasets

        columns = {f.name: [str(getattr(row, f.name)) for row in self.rows] for f in fields(Annotation)}
        features = {name: datasets.Value("string") for name in columns}
        features["label"] = datasets.ClassLabel(names=[str(label) for label in LABELS])
        return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def text_fingerprint(text: str) -> str:
    """16 hex digits that stand for a sentence, blind to case and white space: tells overlap without showing text."""
    return hashlib.sha256(_same(text).encode()).hexdigest()[:16]


def _same(text: str) -> str:
    """What two texts share if they count as the same: neither case nor white space makes them different."""
    return " ".join(text.casefold().split())


def read_annotations(paths: Sequence[Path], *, leave_out_unlabelled: bool = False) -> Annotations:
    """Read annotation files together and check them as one set.

    A row without a label is an error, or with `leave_out_unlabelled` left out and counted. Labels are read as people
    spell them (`read_label`).

    Raises:
        DetenteError: with one line for each problem, naming file, line, what was found and what to do: an unreadable
            file, a missing column, an unknown label or split, an empty or overlong text, invalid UTF-8, one id on two
            sentences, one text with two labels, one text or one group in two splits.
    """
    checker = _Checker()
    for path in paths:
        before = checker.read
        for where, record in _records(path, checker):
            if leave_out_unlabelled and record.get("label") in (None, ""):
                checker.read += 1
                checker.unlabelled += 1
            else:
                checker.add(where, record)
        if checker.read == before:
            checker.problems.append(f"{path}: no annotations in it; expected one row a sentence")
    raise_problems(checker.problems)
    return Annotations(tuple(checker.rows), checker.dropped, checker.unlabelled, tuple(checker.places))


def write_annotations(path: Path, rows: Sequence[Annotation]) -> None:
    """Write annotations as JSONL, CSV, TSV or Parquet, by the suffix; `read_annotations` gives back the same.

    Raises:
        UsageError: unknown suffix, or the file cannot be written.
    """
    columns = [f.name for f in fields(Annotation)]
    records = [{name: str(value) for name, value in asdict(row).items()} for row in rows]
    if path.suffix.lower() == ".jsonl":
        records = [{name: value for name, value in record.items() if value} for record in records]
    write_table(path, records, columns)


def _records(path: Path, checker: "_Checker") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Records with their place `file:line`, articles unfolded into their sentences."""
    for row in read_rows(path, unescape=True):
        where = f"{path}:{row.line}"
        if row.problem:
            checker.read += 1
            checker.problems.append(f"{where}: {row.problem}")
        elif "sentences" in row.record:
            yield from _sentences(where, row, checker)
        else:
            yield where, row.record


def _sentences(where: str, row: Row, checker: "_Checker") -> Iterator[tuple[str, Mapping[str, Any]]]:
    article = row.record
    text, spans = article.get("text"), article["sentences"]
    checker.read += 1
    if not (isinstance(text, str) and isinstance(article.get("id"), str) and isinstance(spans, list)):
        checker.problems.append(f"{where}: an article needs a text id, a text and a list of sentences")
        return
    shared: dict[str, Any] = {key: article[key] for key in ("region", "source", "split") if key in article}
    for number, span in enumerate(spans, start=1):
        place = f"{where} (sentence {number})"
        match span:
            case {"start": int(start), "end": int(end)} if 0 <= start < end <= len(text):
                yield place, {
                    **span, **shared, "id": f"{article['id']}-{number:02d}", "group": article["id"],
                    "text": text[start:end],
                }  # fmt: skip
            case _:
                checker.problems.append(f"{place}: start and end must lie in the text, 0 <= start < end <= {len(text)}")


def check_annotations(records: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """The problems that `read_annotations` would find in records, each given with its place; none if it is empty."""
    checker = _Checker()
    for where, record in records:
        checker.add(where, record)
    return checker.problems


class _Checker:
    """Collects annotations and every problem among them, so that a file can be mended in one go."""

    def __init__(self) -> None:
        self.rows: list[Annotation] = []
        self.places: list[str] = []
        self.problems: list[str] = []
        self.read = 0
        self.dropped = 0
        self.unlabelled = 0
        # The place among `rows` by text.
        self._texts: dict[str, int] = {}
        self._ids: dict[str, str] = {}
        self._groups: dict[str, tuple[str, str]] = {}

    def add(self, where: str, record: Mapping[str, Any]) -> None:
        self.read += 1
        problems = list(_field_problems(record))
        if problems:
            self.problems += [f"{where}: {problem}" for problem in problems]
            return
        given = [f.name for f in fields(Annotation) if record.get(f.name) not in (None, "")]
        known: dict[str, Any] = {name: str(record[name]) for name in given}
        text, known["group"] = known.pop("text"), known.get("group", known["id"])
        known["label"] = read_label(record["label"])
        self._add_checked(where, Annotation(text=text.strip(), **known))

    def _add_checked(self, where: str, row: Annotation) -> None:
        key = _same(row.text)
        index = self._texts.get(key)
        if index is not None:
            place, twin = self.places[index], self.rows[index]
            if twin.label != row.label:
                found = f"this text is {row.label} here and {twin.label} at {place}"
                self.problems.append(f"{where}: {found}; give both one label or delete one")
            elif not row.split:
                self.dropped += 1
            elif not twin.split:
                # The sentence is held out by one of the files, so it must not be dealt out anew by the other.
                self.dropped += 1
                self.rows[index], self.places[index] = row, where
            elif twin.split != row.split:
                found = f"this text is in split {row.split or '(none)'} here and {twin.split or '(none)'} at {place}"
                self.problems.append(f"{where}: {found}; keep it in one")
            else:
                self.dropped += 1
            return
        place = self._ids.setdefault(row.id, where)
        if place != where:
            self.problems.append(f"{where}: id {row.id!r} was given to another sentence at {place}; ids must differ")
        place, split = self._groups.setdefault(row.group, (where, row.split))
        if split != row.split:
            found = f"group {row.group!r} is in split {row.split or '(none)'} here and {split or '(none)'} at {place}"
            self.problems.append(f"{where}: {found}; a group must stay in one split")
        self._texts[key] = len(self.rows)
        self.rows.append(row)
        self.places.append(where)


def _field_problems(record: Mapping[str, Any]) -> Iterator[str]:
    missing = [name for name in ("id", "text", "label") if record.get(name) is None]
    if missing:
        yield f"no {' and no '.join(missing)}; expected the columns id, text and label, found {_listed(record)}"
        return
    text, split = record["text"], record.get("split") or ""
    if not isinstance(text, str):
        yield f"text is of type {type(text).__name__}; expected a string"
    elif not text.strip():
        yield "empty text; fill it in or delete the line"
    elif len(text) > MAX_TEXT_CHARS:
        yield f"text has {len(text):,} characters, expected at most {MAX_TEXT_CHARS:,}; annotate its sentences singly"
    elif re.search("[\ud800-\udfff]", text):
        yield "text holds a lone surrogate, half of a character; save the file as UTF-8"
    try:
        read_label(record["label"])
    except DetenteError as error:
        yield str(error)
    if split and split not in SPLITS:
        yield f"unknown split {split!r}; expected {', '.join(SPLITS)} or none{closest(split, SPLITS)}"
    if not str(record["id"]).strip():
        yield "empty id; give every sentence an id of its own"


def _listed(record: Mapping[str, Any]) -> str:
    return ", ".join(map(str, record)) or "none"
