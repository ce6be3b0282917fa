"""Figures from true labels and scores. Knows nothing of models or files."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_recall_curve,
    precision_recall_fscore_support,
)

from detente.inference import Scores
from detente.labels import DE_ESCALATION_ID, ESCALATION_ID, LABELS

# Points that a curve is thinned to: more cannot be seen on a screen.
_CURVE_POINTS: Final = 100


@dataclass(frozen=True)
class LabelFigures:
    """Precision, recall and F1 of one label, 0 where they are undefined, and how many sentences truly have it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Figures:
    """What a model reaches on one set of labelled sentences.

    `macro_f1` is the mean over the labels that occur in the set, so that a set without one of them is not punished for
    it. `matthews` is Matthews correlation. `confusion` has true labels as rows and predicted ones as columns, in label
    order.
    """

    sentences: int
    macro_f1: float
    accuracy: float
    matthews: float
    labels: dict[str, LabelFigures]
    confusion: list[list[int]]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision against recall of one label as its score's threshold falls, and the area under the steps."""

    average_precision: float
    precision: list[float]
    recall: list[float]


def figures(label_ids: Sequence[int], scores: Scores) -> Figures:
    """Figures of scores, shape (sentences, 3), against true label ids, shape (sentences,)."""
    true, found = np.asarray(label_ids), scores.argmax(axis=1)
    every = list(range(len(LABELS)))
    precision, recall, f1, support = precision_recall_fscore_support(true, found, labels=every, zero_division=0.0)
    return Figures(
        sentences=len(true),
        macro_f1=float(f1[support > 0].mean()),
        accuracy=float(accuracy_score(true, found)),
        # With one label throughout, scikit-learn warns and gives the same 0.
        matthews=float(matthews_corrcoef(true, found)) if len(np.union1d(true, found)) > 1 else 0.0,
        labels={
            str(label): LabelFigures(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
            for i, label in enumerate(LABELS)
        },
        confusion=confusion_matrix(true, found, labels=every).tolist(),
    )


def precision_recall(label_ids: Sequence[int], scores: Scores) -> dict[str, PrecisionRecall]:
    """The precision-recall curve of each label that the set has, thinned to a hundred points."""
    curves = {}
    for index, label in enumerate(LABELS):
        is_label = np.asarray(label_ids) == index
        if not is_label.any():
            continue
        precision, recall, _ = precision_recall_curve(is_label, scores[:, index])
        # Recall falls along the curve; evenly spaced ones are kept, each at its highest threshold.
        chosen = np.unique(len(recall) - 1 - np.searchsorted(recall[::-1], np.linspace(0, 1, _CURVE_POINTS)))
        curves[str(label)] = PrecisionRecall(
            float(average_precision_score(is_label, scores[:, index])),
            [round(float(value), 4) for value in precision[chosen]],
            [round(float(value), 4) for value in recall[chosen]],
        )
    return curves


def says_conflict(scores: Scores) -> npt.NDArray[np.bool_]:
    """Where P(escalation) > P(de-escalation), shape (sentences,)."""
    said: npt.NDArray[np.bool_] = scores[:, ESCALATION_ID] > scores[:, DE_ESCALATION_ID]
    return said


def direction_macro_f1(is_conflict: Sequence[bool], scores: Scores) -> float:
    """Macro-F1 of conflict against cooperation; the mean is over those of the two that occur, as in `Figures`."""
    true = np.asarray(is_conflict)
    return float(f1_score(true, says_conflict(scores), labels=np.unique(true), average="macro", zero_division=0.0))
