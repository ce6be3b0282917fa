"""Files that a variant is measured on: read before it is trained, so that no sentence of theirs is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from detente.annotations import Annotations, read_annotations
from detente.direction import CONTRADICTING_ROOT, DirectionCoded, read_direction
from detente.errors import DetenteError, UsageError
from detente.inference import Classifier
from detente.tables import read_rows
from eval.metrics import direction_macro_f1, figures

# What the splits of the annotation files are called beside them, in manifest and card.
_TAKEN: Final = ("validation", "test")


@dataclass(frozen=True)
class HeldOut:
    """One file: annotations, of which the test rows count if it marks splits, or direction-coded sentences."""

    name: str
    content: Annotations | DirectionCoded

    def texts(self) -> list[str]:
        """All its sentences."""
        return self.content.texts if isinstance(self.content, DirectionCoded) else self.content.texts()

    def measure(self, classifier: Classifier) -> dict[str, Any]:
        """What `Figures` holds, or of direction-coded sentences `sentences` and `direction_macro_f1`.

        Where these have PLOVER's roots, the latter also `without_request`.
        """
        if isinstance(self.content, DirectionCoded):
            return _direction(self.content, classifier)
        read = self.content
        rows = read.in_split("test") if any(row.split for row in read.rows) else read
        return figures(rows.label_ids(), classifier.score(rows.texts())).to_json()


def read_held_out(names: Sequence[str]) -> tuple[HeldOut, ...]:
    """Read a variant's held-out files; what is direction-coded has the column `penta`.

    Raises:
        DetenteError: a file does not pass the checks.
        UsageError: there is no such file, or two would have one name among the figures.
    """
    found: dict[str, HeldOut] = {}
    for path in map(Path, names):
        if path.stem in found or path.stem in _TAKEN:
            raise UsageError(f"{path}: its figures would be taken for others called {path.stem}; rename the file")
        if not path.is_file():
            raise UsageError(f"{path}: no such held-out file")
        first = next(iter(read_rows(path)), None)
        if first is None:
            raise DetenteError(f"{path}: empty; expected sentences to measure on")
        is_direction = "penta" in first.record
        content = read_direction(path) if is_direction else read_annotations([path], leave_out_unlabelled=True)
        found[path.stem] = HeldOut(path.stem, content)
    return tuple(found.values())


def _direction(coded: DirectionCoded, classifier: Classifier) -> dict[str, Any]:
    scores = classifier.score(coded.texts)
    found = {"sentences": len(coded.texts), "direction_macro_f1": direction_macro_f1(coded.is_conflict, scores)}
    if coded.roots:
        kept = [index for index, root in enumerate(coded.roots) if root != CONTRADICTING_ROOT]
        found["without_request"] = direction_macro_f1([coded.is_conflict[i] for i in kept], scores[kept])
    return found
