"""Figures on parts of a set: by register, rule, region, source, length and how sure the annotators were."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from detente.annotations import Annotation
from detente.inference import Scores
from detente.labels import LABEL_IDS, LABELS
from eval.metrics import figures
from eval.sets import LabelledSet
from eval.significance import GroupBootstrap, Interval, interval, macro_f1, share_interval

# Upper ends in words; a news sentence has 22 on average.
_LENGTHS: Final = (10, 20, 30, 40)
# A source has one slice if it gives a hundredth of the set; the others together are one.
_RARE: Final = 0.01


@dataclass(frozen=True)
class Slice:
    """One part of a set. With one label in it, `macro_f1` is None, and `accuracy` is that label's recall."""

    dimension: str
    value: str
    sentences: int
    accuracy: float
    accuracy_interval: Interval | None
    macro_f1: float | None
    macro_f1_interval: Interval | None
    labels: list[str]


def measure_slices(labelled: LabelledSet, scores: Scores, draws: int) -> list[Slice]:
    """Every part that has sentences, largest first within its dimension; dimensions that no row fills are left out.

    Sources of a private set are left out too: they may name a client.
    """
    rows = labelled.annotations.rows
    found = []
    for dimension, value_of in _DIMENSIONS.items():
        values = [value_of(row) for row in rows]
        if not any(values) or (labelled.private and dimension == "source"):
            continue
        counts = {value: values.count(value) for value in set(values)}
        small = {value for value, count in counts.items() if value and count < _RARE * len(rows)}
        merged = small if dimension == "source" and len(small) > 1 else set()
        names = [("others" if value in merged else value) or "not given" for value in values]
        for name in sorted(set(names), key=lambda one: (-names.count(one), one)):
            chosen = [index for index, value in enumerate(names) if value == name]
            found.append(_slice(dimension, name, [rows[i] for i in chosen], scores[chosen], draws))
    return found


def _slice(dimension: str, value: str, rows: list[Annotation], scores: Scores, draws: int) -> Slice:
    true, predicted = [LABEL_IDS[row.label] for row in rows], scores.argmax(axis=1)
    measured = figures(true, scores)
    bootstrap = GroupBootstrap([row.group for row in rows], draws)
    labels = [str(label) for index, label in enumerate(LABELS) if index in true]
    several = len(labels) > 1
    right = np.asarray(np.equal(true, predicted), dtype=bool)
    return Slice(
        dimension=dimension,
        value=value,
        sentences=len(rows),
        accuracy=measured.accuracy,
        accuracy_interval=share_interval(right, bootstrap.means(right)),
        macro_f1=measured.macro_f1 if several else None,
        macro_f1_interval=interval(macro_f1(bootstrap.confusions(true, predicted, len(LABELS)))) if several else None,
        labels=labels,
    )


def _length(row: Annotation) -> str:
    words = len(row.text.split())
    bounds = (0, *_LENGTHS)
    place = int(np.searchsorted(_LENGTHS, words))
    return f"{bounds[place] + 1}-{bounds[place + 1]} words" if place < len(_LENGTHS) else f"over {_LENGTHS[-1]} words"


_SURE: Final = {"1": "sure", "1.0": "sure", "true": "sure", "0": "not sure", "0.0": "not sure", "false": "not sure"}
_DIMENSIONS: Final[dict[str, Callable[[Annotation], str]]] = {
    "register": lambda row: row.register,
    "rule": lambda row: row.rule,
    "region": lambda row: row.region,
    "source": lambda row: row.source,
    "length": _length,
    "sure": lambda row: _SURE.get(row.sure.lower(), row.sure),
}
