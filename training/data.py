"""The three splits that a variant is trained with, and where their sentences came from."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from detente.annotations import Annotation, Annotations, read_annotations, text_fingerprint
from detente.errors import DetenteError, UsageError
from detente.labels import LABELS
from detente.model import file_sha256
from training.config import Variant

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Splits:
    """Training, validation and test sentences; `provenance` goes into the manifest."""

    train: Annotations
    validation: Annotations
    test: Annotations
    provenance: dict[str, Any]
    # For a teacher to score; none of them is among the sentences above.
    unlabelled: tuple[str, ...] = ()


def load_splits(variant: Variant, more: Sequence[Path] = ()) -> Splits:
    """Read a variant's annotation files and `more` together, and split what has no split of its own.

    Sentences with a `split` keep it. The others go to train and validation by group: what is not marked as test is
    there to learn from, and is measured on files of its own.

    Raises:
        DetenteError: a file does not pass the checks, or a split that training needs lacks a label.
        UsageError: there is no such file.
    """
    paths = [Path(name) for name in variant.annotations] + list(more)
    for path in paths:
        if not path.is_file():
            raise UsageError(f"{path}: no such annotation file (run from the clone's root, or name it differently)")
    read = read_annotations(paths)
    if read.dropped:
        log.warning("%d exact duplicates dropped", read.dropped)
    rows = assign_splits(read.rows, variant.validation_share, variant.seed)
    splits = {name: Annotations(tuple(r for r in rows if r.split == name)) for name in ("train", "validation", "test")}
    for name in ("train", "validation"):
        absent = set(LABELS) - {row.label for row in splits[name].rows}
        if absent:
            found = f"the {name} split has no {' and no '.join(sorted(absent))}"
            raise DetenteError(f"{', '.join(map(str, paths))}: {found}; add annotations or mark splits")
    provenance = {
        "files": [
            {"name": path.name, "sha256": file_sha256(path), "sentences": len(read_annotations([path]).rows)}
            for path in paths
        ],
        "sentences": {name: len(split.rows) for name, split in splits.items()},
        "dropped_duplicates": read.dropped,
        "fingerprint": read.fingerprint(),
    }
    unlabelled = _read_unlabelled(variant, read, provenance)
    return Splits(**splits, provenance=provenance, unlabelled=unlabelled)


def _read_unlabelled(variant: Variant, annotated: Annotations, provenance: dict[str, Any]) -> tuple[str, ...]:
    """The variant's unlabelled sentences, each once, without those that are annotated: some of these are held out."""
    name = getattr(variant, "unlabelled", None)
    if name is None:
        return ()
    path = Path(name)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text, one sentence a line ({error})") from error
    known = {text_fingerprint(text) for text in annotated.texts()}
    kept = {text_fingerprint(line): line.strip() for line in lines if line.strip()}
    sentences = tuple(text for fingerprint, text in kept.items() if fingerprint not in known)
    provenance["unlabelled"] = {"name": path.name, "sha256": file_sha256(path), "sentences": len(sentences)}
    return sentences


def assign_splits(rows: Sequence[Annotation], validation_share: float, seed: int) -> list[Annotation]:
    """Give every row without a split one of train and validation, whole groups at a time, stratified by label."""
    undecided = [row for row in rows if not row.split]
    labels = [row.label for row in undecided]
    folds = round(1 / validation_share) if validation_share else 0
    enough = folds > 1 and len({row.group for row in undecided}) >= folds and min(map(labels.count, LABELS)) >= folds
    held: set[str] = set()
    if enough:
        folder = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        _, validation = next(folder.split(np.zeros(len(labels)), labels, [row.group for row in undecided]))
        held = {undecided[index].group for index in validation}
    elif undecided and folds:
        log.warning("%d sentences are too few to hold any out for validation; all are trained on", len(undecided))
    return [row if row.split else replace(row, split="validation" if row.group in held else "train") for row in rows]
