"""What a finished model reaches on the files that its variant holds out, for manifest and card."""

from pathlib import Path
from typing import Any

from detente.annotations import read_annotations
from detente.direction import CONTRADICTING_ROOT, read_direction
from detente.inference import Classifier
from detente.tables import read_rows
from eval.metrics import direction_macro_f1, figures


def measure_held_out(path: Path, classifier: Classifier) -> dict[str, Any]:
    """Figures on one file: annotations, or a direction-coded file, which has the column `penta`.

    Returns what `Figures` holds, or `sentences` and `direction_macro_f1`, and where the file has PLOVER's roots the
    same `without_request`. An annotation file that marks splits is measured on its test rows.

    Raises:
        DetenteError: the file does not pass the checks.
    """
    if "penta" in next(iter(read_rows(path))).record:
        return _direction(path, classifier)
    read = read_annotations([path], leave_out_unlabelled=True)
    rows = read.in_split("test") if any(row.split for row in read.rows) else read
    return figures(rows.label_ids(), classifier.score(rows.texts())).to_json()


def _direction(path: Path, classifier: Classifier) -> dict[str, Any]:
    coded = read_direction(path)
    scores = classifier.score(coded.texts)
    found = {"sentences": len(coded.texts), "direction_macro_f1": direction_macro_f1(coded.is_conflict, scores)}
    if coded.roots:
        kept = [index for index, root in enumerate(coded.roots) if root != CONTRADICTING_ROOT]
        found["without_request"] = direction_macro_f1([coded.is_conflict[i] for i in kept], scores[kept])
    return found
