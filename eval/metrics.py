"""Figures from true labels and scores. Knows nothing of models or files."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from detente.inference import Scores
from detente.labels import DE_ESCALATION_ID, ESCALATION_ID, LABELS


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
    it. `confusion` has true labels as rows and predicted ones as columns, in label order.
    """

    sentences: int
    macro_f1: float
    accuracy: float
    labels: dict[str, LabelFigures]
    confusion: list[list[int]]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


def figures(label_ids: Sequence[int], scores: Scores) -> Figures:
    """Figures of scores, shape (sentences, 3), against true label ids, shape (sentences,)."""
    true, found = np.asarray(label_ids), scores.argmax(axis=1)
    every = list(range(len(LABELS)))
    precision, recall, f1, support = precision_recall_fscore_support(true, found, labels=every, zero_division=0.0)
    return Figures(
        sentences=len(true),
        macro_f1=float(f1[support > 0].mean()),
        accuracy=float(accuracy_score(true, found)),
        labels={
            str(label): LabelFigures(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
            for i, label in enumerate(LABELS)
        },
        confusion=confusion_matrix(true, found, labels=every).tolist(),
    )


def direction_macro_f1(is_conflict: Sequence[bool], scores: Scores) -> float:
    """Macro-F1 of conflict against cooperation, where conflict means P(escalation) > P(de-escalation).

    The mean is over those of the two that occur, as in `Figures`.
    """
    found = scores[:, ESCALATION_ID] > scores[:, DE_ESCALATION_ID]
    true = np.asarray(is_conflict)
    return float(f1_score(true, found, labels=np.unique(true), average="macro", zero_division=0.0))
