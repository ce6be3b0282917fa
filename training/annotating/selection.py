"""Which sentences are worth a person's time, by scores and sentence vectors alone. Knows nothing of files or texts."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans

from detente.inference import Scores
from detente.labels import LABELS

# Candidates for each sentence to choose, Zhdanov's factor: enough for clusters to differ, and still the uncertain ones.
CANDIDATES: Final = 10
# Every guess gets at least one of so many sentences chosen, as far as there are enough.
_ONE_IN: Final = 4

Floats = npt.NDArray[np.floating]


def margin(scores: Scores) -> Floats:
    """Difference of the two highest scores of each row, shape (rows,): 0 where the model cannot decide."""
    ordered = np.sort(scores, axis=1)
    return ordered[:, -1] - ordered[:, -2]


def entropy(scores: Scores) -> Floats:
    """Shannon entropy of each row in nats, shape (rows,): highest where the model has no idea."""
    found: Floats = -(scores * np.log(np.maximum(scores, 1e-12))).sum(axis=1)
    return found


def quotas(count: int, in_pool: Sequence[int], available: Sequence[int]) -> list[int]:
    """How many sentences of each guess to choose, `count` in all if there are as many.

    Each guess gets a quarter of `count`, rounded up, or a third of it where that is less. The rest is dealt by the
    guesses' shares of the pool, so that chosen sentences look somewhat like it and the rare label is not starved. None
    gets more than are `available`.
    """
    least = min(math.ceil(count / _ONE_IN), count // len(LABELS))
    dealt = [min(least, there) for there in available]
    rest = count - least * len(LABELS)
    wanted = [least + rest * seen / max(sum(in_pool), 1) for seen in in_pool]
    for _ in range(min(count, sum(available)) - sum(dealt)):
        open_ = [guess for guess in range(len(LABELS)) if dealt[guess] < available[guess]]
        dealt[max(open_, key=lambda guess: wanted[guess] - dealt[guess])] += 1
    return dealt


def k_centre(vectors: Floats, count: int) -> list[int]:
    """Indices of `count` rows that leave no row far from a chosen one: greedy k-centre (Sener and Savarese 2018).

    The first is the row nearest to the mean; each further one is the farthest from all before.
    """
    chosen: list[int] = []
    if not len(vectors):
        return chosen
    distances = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
    following = int(distances.argmin())
    nearest = np.full(len(vectors), np.inf)
    while len(chosen) < min(count, len(vectors)):
        chosen.append(following)
        nearest = np.minimum(nearest, np.linalg.norm(vectors - vectors[following], axis=1))
        nearest[chosen] = -1  # never twice, also where rows are equal
        following = int(nearest.argmax())
    return chosen


def one_of_each_cluster(vectors: Floats, weights: Floats, count: int, seed: int) -> list[int]:
    """Indices of `count` rows: of each k-means cluster the row nearest to its centre.

    `weights`, shape (rows,), are the rows' uncertainties, which draw the centres to them (Zhdanov 2019, "Diverse
    mini-batch active learning"). Where rows coincide there are fewer clusters; the heaviest rows then fill up.
    """
    count = min(count, len(vectors))
    if count == 0:
        return []
    found = KMeans(count, n_init=1, random_state=seed).fit(vectors, sample_weight=np.maximum(weights, 1e-6))
    distances = np.linalg.norm(vectors - found.cluster_centers_[found.labels_], axis=1)
    nearest: dict[int, int] = {}
    for row in np.argsort(distances, kind="stable").tolist():
        nearest.setdefault(int(found.labels_[row]), row)
    chosen = list(nearest.values())
    taken = set(chosen)
    others = [row for row in np.argsort(-weights, kind="stable").tolist() if row not in taken]
    return (chosen + others)[:count]
