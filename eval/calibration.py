"""How far scores can be trusted: calibration error, reliability, and what setting doubtful sentences aside brings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import brier_score_loss

from detente.inference import Scores
from detente.labels import LABELS
from eval.metrics import figures

BINS: Final = 15
# In smaller bins chance alone makes an error: ten sentences in ten bins, perfectly calibrated at 0.8, have 0.32.
_SENTENCES_A_BIN: Final = 10
_DRAWS: Final = 1000
COVERAGES: Final = tuple(round(1 - 0.05 * step, 2) for step in range(15))


@dataclass(frozen=True)
class Bin:
    """Sentences of like confidence: how many, their mean confidence, and the share whose label is right."""

    sentences: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Calibration on one set.

    `expected_error` is the expected calibration error of the top label over bins of equal mass (Naeini, Cooper and
    Hauskrecht 2015; Nguyen and O'Connor 2015 for the equal mass). In finite bins true probabilities have one, too:
    `exact_error` is its mean, `exact_error_95` its 95th percentile, over sets with the same scores and bins, in which
    each sentence, independently of the others, is right with the probability that its score claims (after Bröcker and
    Smith 2007, who draw the scores anew as well). `brier` is the mean squared distance of the scores from the true
    label, summed over labels: 0 at best, 2 at worst (Brier 1950).
    """

    expected_error: float
    exact_error: float
    exact_error_95: float
    brier: float
    bins: list[Bin]


@dataclass(frozen=True)
class Coverage:
    """Figures on the share of the sentences that the model is most certain of.

    Macro-F1 is over the labels that are left, which a rare one may not be.
    """

    share: float
    sentences: int
    macro_f1: float
    accuracy: float
    labels: int


def calibration(label_ids: Sequence[int], scores: Scores, bins: int = BINS) -> Calibration:
    """Calibration of scores, shape (sentences, 3), over at most so many bins; small sets have fewer."""
    true = np.asarray(label_ids)
    confidence, right = scores.max(axis=1).astype(float), scores.argmax(axis=1) == true
    # Equal confidences share a bin: split, their order in the file would decide the error.
    ranks = np.searchsorted(np.sort(confidence), confidence)
    bins = max(1, min(bins, len(true) // _SENTENCES_A_BIN))
    chosen = [np.flatnonzero(ranks * bins // len(true) == number) for number in range(bins)]
    filled = [Bin(len(own), float(confidence[own].mean()), float(right[own].mean())) for own in chosen if len(own)]
    error = sum(one.sentences * abs(one.confidence - one.accuracy) for one in filled) / len(true)
    exact = _errors_of_exact_scores(confidence, chosen)
    # Rows of float32 scores sum to 1 only nearly, which scikit-learn refuses.
    summed = scores.astype(float) / scores.astype(float).sum(axis=1, keepdims=True)
    brier = brier_score_loss(true, summed, labels=range(len(LABELS)), scale_by_half=False)
    return Calibration(float(error), float(exact.mean()), float(np.quantile(exact, 0.95)), float(brier), filled)


def _errors_of_exact_scores(
    confidence: npt.NDArray[np.float64], bins: list[npt.NDArray[np.intp]]
) -> npt.NDArray[np.float64]:
    """Expected calibration errors, shape (draws,), of sets in which confidences are the true probabilities."""
    generator = np.random.default_rng(0)
    distances = np.zeros(_DRAWS)
    for own in bins:
        hits = np.zeros(_DRAWS)
        for probability in confidence[own]:  # one at a time: 200,000 sentences take 2 s and no more memory than this
            hits += generator.random(_DRAWS) < probability
        distances += np.abs(hits - confidence[own].sum())
    return distances / len(confidence)


def coverage(label_ids: Sequence[int], scores: Scores) -> list[Coverage]:
    """Macro-F1 at each of `COVERAGES`, the least certain sentences set aside first."""
    true = np.asarray(label_ids)
    order = np.argsort(-scores.max(axis=1), kind="stable")
    found = []
    for share in COVERAGES:
        kept = order[: max(1, round(share * len(order)))]
        measured = figures(true[kept].tolist(), scores[kept])
        labels = len(np.unique(true[kept]))
        found.append(Coverage(share, len(kept), measured.macro_f1, measured.accuracy, labels))
    return found
