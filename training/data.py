"""The three splits that a variant is trained with, and where their sentences came from."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from detente.annotations import Annotation, Annotations, read_annotations, text_fingerprint
from detente.direction import CONTRADICTING_ROOT, read_direction
from detente.errors import DetenteError, UsageError
from detente.labels import DE_ESCALATION_ID, ESCALATION_ID, LABELS
from detente.model import ModelDirectory, file_sha256, training_texts
from training.config import AnnotationFile, Variant, annotation_file
from training.heldout import HeldOut, read_held_out

log = logging.getLogger(__name__)

# Not the variant's: whatever seed it is trained with, it holds out what its teachers held out.
_SPLIT_SEED: Final = 13


@dataclass(frozen=True)
class Splits:
    """Training, validation and test sentences; `provenance` goes into the manifest."""

    train: Annotations
    validation: Annotations
    test: Annotations
    provenance: dict[str, Any]
    # None of these is among the sentences above: for teachers to score, and with a direction, each of them with the
    # label id that it shall be likelier of, escalation's or de-escalation's.
    unlabelled: tuple[str, ...] = ()
    direction: tuple[tuple[str, int], ...] = ()
    held_out: tuple[HeldOut, ...] = ()
    # Of annotated sentences, by fingerprint: what they weigh, and which of them are new to the model to start from.
    weights: Mapping[str, float] = field(default_factory=dict)
    fresh: frozenset[str] = frozenset()

    def train_weights(self) -> list[float]:
        """What the sentences of `train` weigh, in order, scaled to a mean of 1: only their ratios count."""
        found = [self.weights.get(text_fingerprint(text), 1.0) for text in self.train.texts()]
        return [weight * len(found) / sum(found) for weight in found]


def load_splits(variant: Variant, more: Sequence[str] = (), parent: ModelDirectory | None = None) -> Splits:
    """Read a variant's annotation files and `more` together, and split what has no split of its own.

    Sentences with a `split` keep it. The others go to train and validation by group: what is not marked as test is
    there to learn from, and is measured on files of its own. What `parent`, the model to start from, has learned is
    never dealt to validation, whose sentences choose checkpoint and temperature, and what it held out for that of the
    same files stays there.

    Raises:
        DetenteError: a file does not pass the checks, or a split that training needs lacks a label.
        UsageError: there is no such file.
    """
    files = [annotation_file(name) for name in (*variant.annotations, *more)]
    paths = [file.path for file in files]
    for path in paths:
        if not path.is_file():
            raise UsageError(f"{path}: no such annotation file (run from the clone's root, or name it differently)")
        if path.suffix.lower() == ".json":
            raise UsageError(
                f"{path}: what an annotation tool exports; python -m training import makes annotations of it"
            )
    read = read_annotations(paths)
    if read.dropped:
        log.warning("%d exact duplicates dropped", read.dropped)
    measured_on = read_held_out(variant.held_out)
    held_out = {text_fingerprint(text) for one in measured_on for text in one.texts()}
    kept = tuple(row for row in read.rows if row.split == "test" or text_fingerprint(row.text) not in held_out)
    if len(kept) < len(read.rows):
        log.warning("%d sentences dropped that stand in held-out files", len(read.rows) - len(kept))
    provenance: dict[str, Any] = {"files": []}
    weights, known = _by_file(files, len(variant.annotations), parent, provenance)
    learned = training_texts(parent) if parent else frozenset()
    rows = assign_splits(kept, variant.validation_share, learned, known - learned)
    splits = {name: Annotations(tuple(r for r in rows if r.split == name)) for name in ("train", "validation", "test")}
    for name in ("train", "validation"):
        absent = set(LABELS) - {row.label for row in splits[name].rows}
        if absent:
            found = f"the {name} split has no {' and no '.join(sorted(absent))}"
            raise DetenteError(f"{', '.join(map(str, paths))}: {found}; add annotations or mark splits")
    provenance |= {
        "sentences": {name: len(split.rows) for name, split in splits.items()},
        "dropped_duplicates": read.dropped,
        "fingerprint": read.fingerprint(),
        "held_out": [file_sha256(Path(name)) for name in variant.held_out],
    }
    # Annotated sentences too, since some of them are held out.
    seen = held_out | {text_fingerprint(text) for text in read.texts()}
    direction = _read_direction(variant, seen, provenance)
    seen |= {text_fingerprint(text) for text, _ in direction}
    return Splits(
        **splits,
        provenance=provenance,
        unlabelled=_read_unlabelled(variant, seen, provenance),
        direction=direction,
        held_out=measured_on,
        weights=weights,
        fresh=frozenset(weights.keys() - known),
    )


def _by_file(
    files: Sequence[AnnotationFile], own: int, parent: ModelDirectory | None, provenance: dict[str, Any]
) -> tuple[dict[str, float], frozenset[str]]:
    """`weights` of `Splits`, and the sentences the parent knows; one that stands in two files has the greater weight.

    Of the first `own` files, the config's, what the parent has learned is known whatever else was changed in them; of
    the others only a file that is the same to the byte, since labels may have been corrected.
    """
    learned_from = {file["sha256"] for file in parent.manifest["data"]["files"]} if parent else set()
    learned = training_texts(parent) if parent else frozenset()
    weights: dict[str, float] = {}
    known: set[str] = set()
    for number, file in enumerate(files):
        fingerprints = [text_fingerprint(text) for text in read_annotations([file.path]).texts()]
        found = {"name": file.path.name, "sha256": file_sha256(file.path), "sentences": len(fingerprints)}
        provenance["files"].append({**found, "weight": file.weight})
        for fingerprint in fingerprints:
            weights[fingerprint] = max(file.weight, weights.get(fingerprint, 0.0))
        if found["sha256"] in learned_from:
            known.update(fingerprints)
        elif number < own:
            known.update(learned.intersection(fingerprints))
    return weights, frozenset(known)


def _read_direction(variant: Variant, known: set[str], provenance: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    """The variant's direction-coded sentences, each once; none that is known, contradicts itself or the codebook."""
    found: dict[str, tuple[str, int]] = {}
    contradicted: set[str] = set()
    for path in map(Path, getattr(variant, "direction", ())):
        coded = read_direction(path)
        roots = coded.roots or [""] * len(coded.texts)
        for text, is_conflict, root in zip(coded.texts, coded.is_conflict, roots, strict=True):
            fingerprint, label_id = text_fingerprint(text), ESCALATION_ID if is_conflict else DE_ESCALATION_ID
            if fingerprint in known or root == CONTRADICTING_ROOT:
                continue
            if found.setdefault(fingerprint, (text, label_id))[1] != label_id:
                contradicted.add(fingerprint)
        provenance.setdefault("direction", []).append({"name": path.name, "sha256": file_sha256(path)})
    kept = tuple(row for fingerprint, row in found.items() if fingerprint not in contradicted)
    if kept:
        provenance["sentences"]["direction"] = len(kept)
    return kept


def _read_unlabelled(variant: Variant, known: set[str], provenance: dict[str, Any]) -> tuple[str, ...]:
    """The variant's unlabelled sentences that are not known, each once."""
    name = getattr(variant, "unlabelled", None)
    if name is None:
        return ()
    path = Path(name)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text, one sentence a line ({error})") from error
    kept = {text_fingerprint(line): line.strip() for line in lines if line.strip()}
    sentences = tuple(text for fingerprint, text in kept.items() if fingerprint not in known)
    provenance["unlabelled"] = {"name": path.name, "sha256": file_sha256(path), "sentences": len(sentences)}
    return sentences


def assign_splits(
    rows: Sequence[Annotation],
    validation_share: float,
    learned: frozenset[str] = frozenset(),
    validated: frozenset[str] = frozenset(),
) -> list[Annotation]:
    """Give every row without a split one of train and validation, whole groups at a time, stratified by label.

    Groups with a sentence whose fingerprint is among `learned` go to train, of the others those with one among
    `validated` to validation.
    """
    to_train = {row.group for row in rows if text_fingerprint(row.text) in learned}
    held = {row.group for row in rows if text_fingerprint(row.text) in validated} - to_train
    dealt = to_train | held
    undecided = [row for row in rows if not row.split and row.group not in dealt]
    labels = [row.label for row in undecided]
    folds = round(1 / validation_share) if validation_share else 0
    enough = folds > 1 and len({row.group for row in undecided}) >= folds and min(map(labels.count, LABELS)) >= folds
    if enough:
        folder = StratifiedGroupKFold(folds, shuffle=True, random_state=_SPLIT_SEED)
        _, validation = next(folder.split(np.zeros(len(labels)), labels, [row.group for row in undecided]))
        held |= {undecided[index].group for index in validation}
    elif undecided and folds:
        log.warning("%d sentences are too few to hold any out for validation; all are trained on", len(undecided))
    return [row if row.split else replace(row, split="validation" if row.group in held else "train") for row in rows]
