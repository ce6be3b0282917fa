"""Likely slips of annotators: labels that a model which has not seen them contradicts (confident learning).

Knows nothing of files or of how sentences become features.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from detente.inference import Scores
from detente.labels import LABELS

_FOLDS: Final = 5
# Fewer sentences than this are judged by what was learned from others alone, if there are as many of those.
_ENOUGH: Final = 200
_INVERSE_REGULARISATION: Final = 10.0

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Slip(NamedTuple):
    """A row whose label is doubtful, the label id that is likelier, and the row's scores for both."""

    row: int
    likelier: int
    given_score: float
    likelier_score: float


def word_features(texts: Sequence[str]) -> Any:
    """TF-IDF over words and word pairs, sparse, shape (texts, terms).

    For sentences that the encoder has learned, whose vectors repeat their labels, slips and all. An encoder that has
    learned none does no better: in eval/LEADERBOARD.md `frozen-minilm` stands behind `tfidf`.
    """
    return TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, dtype=np.float32).fit_transform(texts)


def out_of_sample(features: Any, label_ids: Ids, groups: list[str], judged: Mask, held_out: Mask) -> Scores:
    """Scores of the judged rows by logistic regressions that have seen neither them nor their groups: (judged, 3).

    All zero where there is nothing to learn from.

    Args:
        features: dense or sparse, shape (rows, features).
        label_ids: of all rows; those that are not judged are there to learn from.
        groups: of all rows.
        judged: which rows to score, in folds of whole groups if there are enough of them.
        held_out: which rows are never learned from.
    """
    rows = np.flatnonzero(judged)
    others = ~judged & ~held_out
    scores = np.zeros((len(label_ids), len(LABELS)), np.float32)
    folds = [rows]
    own = [groups[row] for row in rows]
    fewest = min(len(set(own)), *np.bincount(label_ids[rows], minlength=len(LABELS)).tolist())
    if fewest >= _FOLDS and (len(rows) >= _ENOUGH or others.sum() < _ENOUGH):
        folder = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=13)
        folds = [rows[test] for _, test in folder.split(rows, label_ids[rows], own)]
    for fold in folds:
        learned = others.copy() if len(folds) == 1 else ~held_out
        learned[fold] = False
        if len(set(label_ids[learned].tolist())) == 1 or not learned.any():
            continue
        # More threads wait for each other as soon as anything else runs on the cores.
        with threadpool_limits(1):
            regression = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=1000).fit(
                features[learned], label_ids[learned]
            )
        scores[np.ix_(fold, regression.classes_)] = regression.predict_proba(features[fold])
    return scores[rows]


def likely_slips(scores: Scores, label_ids: Ids) -> list[Slip]:
    """Rows whose label is contradicted with confidence, the worst first.

    Confident learning (Northcutt, Jiang and Chuang 2021): a label is credible for a row if its score there reaches the
    mean score of that label over the rows that bear it. A row is doubtful where the highest credible label is another
    than its own. They are ordered by how far that one's score is above their own's.
    """
    thresholds = np.array(
        [
            scores[label_ids == label, label].mean() if (label_ids == label).any() else np.inf
            for label in range(len(LABELS))
        ]
    )
    credible = np.where(scores >= thresholds, scores, -1)
    likelier = credible.argmax(axis=1)
    own = scores[np.arange(len(scores)), label_ids]
    other = scores[np.arange(len(scores)), likelier]
    doubtful = np.flatnonzero((credible.max(axis=1) >= 0) & (likelier != label_ids) & (other > own))
    slips = [Slip(int(row), int(likelier[row]), float(own[row]), float(other[row])) for row in doubtful]
    return sorted(slips, key=lambda slip: slip.given_score - slip.likelier_score)


def flip(label_ids: Ids, share: float, seed: int) -> tuple[Ids, set[int]]:
    """Label ids of which a share is another at random, and the rows of these: to measure what the check finds."""
    generator = np.random.default_rng(seed)
    rows = generator.choice(len(label_ids), round(share * len(label_ids)), replace=False)
    flipped = label_ids.copy()
    flipped[rows] = (label_ids[rows] + generator.integers(1, len(LABELS), len(rows))) % len(LABELS)
    return flipped, set(rows.tolist())
