"""What a model is measured on: annotation files, annotated articles, PLOVER- and CAMEO-coded files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detente.annotations import Annotations, read_annotations
from detente.errors import DetenteError, UsageError
from detente.labels import LABEL_IDS, LABELS, Label
from detente.tables import read_rows

# The pentaclass of PLOVER and the ConfliBERT CAMEO files: 0 neutral, 1 and 2 cooperation, 3 and 4 conflict.
_PENTA_CONFLICT: Final = {"1": False, "2": False, "3": True, "4": True}
_PENTA_NEUTRAL: Final = "0"


@dataclass(frozen=True)
class LabelledSet:
    """Annotated sentences."""

    name: str
    annotations: Annotations


@dataclass(frozen=True)
class DirectionSet:
    """Sentences coded as conflict or cooperation; neutral ones are left out and counted.

    `roots` holds the PLOVER root of each sentence, or is empty where the file has none.
    """

    name: str
    texts: list[str]
    is_conflict: list[bool]
    roots: list[str]
    neutral: int


@dataclass(frozen=True)
class AnnotatedArticle:
    """An article, its label, and the label ids of its annotated sentences."""

    text: str
    label: Label
    label_ids: list[int]
    split: str


def read_set(path: Path) -> LabelledSet | DirectionSet:
    """Read a file to measure on: direction-coded if it has the column `penta`, else an annotation file.

    Raises:
        DetenteError: naming file and line of what is wrong.
        UsageError: no such file, or of an unknown type.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    first = next(iter(read_rows(path)), None)
    if first is None:
        raise DetenteError(f"{path}: empty; expected one annotated sentence a row")
    if "penta" in first.record:
        return _read_direction(path)
    return LabelledSet(path.stem, read_annotations([path]))


def _read_direction(path: Path) -> DirectionSet:
    texts, is_conflict, roots, neutral = [], [], [], 0
    for row in read_rows(path):
        text, code = row.record.get("text"), str(row.record.get("penta", "")).strip().removesuffix(".0")
        if row.problem:
            raise DetenteError(f"{path}:{row.line}: {row.problem}")
        if not isinstance(text, str) or not text.strip():
            raise DetenteError(f"{path}:{row.line}: empty text; fill it in or delete the line")
        if code == _PENTA_NEUTRAL:
            neutral += 1
        elif code in _PENTA_CONFLICT:
            texts.append(text)
            is_conflict.append(_PENTA_CONFLICT[code])
            roots.append(str(row.record.get("root") or ""))
        else:
            raise DetenteError(f"{path}:{row.line}: penta is {code!r}; expected 0 to 4")
    if not texts:
        raise DetenteError(f"{path}: every row is neutral (penta 0); direction needs some of 1 to 4")
    return DirectionSet(path.stem, texts, is_conflict, roots if any(roots) else [], neutral)


def read_articles(path: Path) -> list[AnnotatedArticle]:
    """Read annotated articles (`seeds/articles.jsonl` has their form). The sentences are checked as annotations are.

    Raises:
        DetenteError: an article without a label, or whatever `read_annotations` raises.
    """
    read_annotations([path])
    articles = []
    for row in read_rows(path):
        record = row.record
        if record.get("label") not in LABELS or not record.get("sentences"):
            raise DetenteError(f"{path}:{row.line}: no annotated article; expected its label and its sentences")
        label_ids = [LABEL_IDS[span["label"]] for span in record["sentences"]]
        articles.append(AnnotatedArticle(record["text"], Label(record["label"]), label_ids, record.get("split", "")))
    return articles
