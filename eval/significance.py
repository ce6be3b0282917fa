"""Intervals and p-values: the bootstrap over groups, and McNemar's test. Knows nothing of models or files.

Sentences of one document share its subject and its words, so they are no independent draws: where groups are known,
whole groups are drawn with replacement.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

Interval = tuple[float, float]
Draws = npt.NDArray[np.float64]

DRAWS: Final = 1000
_SEED: Final = 13
# Draws that are held at once: 64 times the groups of the largest sets are some tens of megabytes.
_CHUNK: Final = 64


class GroupBootstrap:
    """Bootstrap draws of whole groups (Efron and Tibshirani 1993, chapter 6).

    Two statistics from one object come from the same draws, which is what makes a difference between models a paired
    one (Berg-Kirkpatrick, Burkett and Klein 2012).
    """

    def __init__(self, groups: Sequence[str], draws: int = DRAWS) -> None:
        """Args: the group of each sentence, and how many draws of as many groups as there are."""
        names, self._group_of = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        self._groups = len(names)
        self._draws = draws

    def confusions(self, true: npt.ArrayLike, found: npt.ArrayLike, classes: int) -> Draws:
        """Confusion matrices of the draws, shape (draws, classes, classes), true classes as rows."""
        cells = np.asarray(true) * classes + np.asarray(found)
        table = np.zeros((self._groups, classes * classes))
        np.add.at(table, (self._group_of, cells), 1)
        return np.concatenate([chunk @ table for chunk in self._counts()]).reshape(-1, classes, classes)

    def means(self, values: npt.ArrayLike) -> Draws:
        """Means of a value per sentence in the draws, shape (draws,)."""
        sizes = np.bincount(self._group_of, minlength=self._groups)
        sums = np.bincount(self._group_of, weights=np.asarray(values, dtype=float), minlength=self._groups)
        return np.concatenate([(chunk @ sums) / (chunk @ sizes) for chunk in self._counts()])

    def statistics(self, statistic: Callable[[npt.NDArray[np.int64]], float]) -> Draws:
        """Any statistic of the draws, shape (draws,), given the positions of a draw's sentences."""
        positions = np.arange(len(self._group_of))
        drawn = (counts for chunk in self._counts() for counts in chunk)
        return np.array([statistic(np.repeat(positions, counts[self._group_of])) for counts in drawn])

    def _counts(self) -> Iterator[npt.NDArray[Any]]:
        """How often each group is in each draw, shape (at most `_CHUNK`, groups); the same on every call."""
        generator = np.random.default_rng(_SEED)
        for start in range(0, self._draws, _CHUNK):
            size = min(_CHUNK, self._draws - start)
            yield generator.multinomial(self._groups, np.full(self._groups, 1 / self._groups), size=size)


def independent(units: int, draws: int = DRAWS) -> GroupBootstrap:
    """A bootstrap over units that have no groups: each is one of its own."""
    return GroupBootstrap([str(number) for number in range(units)], draws)


def f1_of_labels(confusions: Draws) -> Draws:
    """F1 of each class, shape (..., classes), from confusion matrices; not a number where a class has no sentence."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    support = confusions.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        f1: Draws = np.where(support > 0, 2 * hits / (support + confusions.sum(axis=-2)), np.nan)
    return f1


def macro_f1(confusions: Draws) -> Draws:
    """Mean F1 over the classes that have sentences, shape (...), from confusion matrices."""
    mean: Draws = np.nanmean(f1_of_labels(confusions), axis=-1)
    return mean


def matthews(confusions: Draws) -> Draws:
    """Matthews correlation in its multiclass form (Gorodkin 2004), 0 where it is undefined."""
    true, found = confusions.sum(axis=-1), confusions.sum(axis=-2)
    total, hits = true.sum(axis=-1), np.trace(confusions, axis1=-2, axis2=-1)
    covariance = hits * total - (true * found).sum(axis=-1)
    variances = (total**2 - (true**2).sum(axis=-1)) * (total**2 - (found**2).sum(axis=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation: Draws = np.where(variances > 0, covariance / np.sqrt(variances), 0.0)
    return correlation


def interval(draws: Draws) -> Interval | None:
    """The 95 % percentile interval; None where no draw has a value, or all the same, which tells nothing of chance."""
    known = draws[~np.isnan(draws)]
    if not len(known) or np.ptp(known) == 0:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def share_interval(right: npt.NDArray[np.bool_], draws: Draws) -> Interval | None:
    """The interval of a share: that of its draws, or the exact one (Clopper and Pearson 1934) for all or none."""
    if not len(right) or not (right.all() or not right.any()):
        return interval(draws)
    exact = binomtest(int(right.sum()), len(right)).proportion_ci(0.95, method="exact")
    return float(exact.low), float(exact.high)


def bootstrap_p(differences: Draws) -> float:
    """Two-sided p-value of no difference: twice the smaller share of draws at or beyond zero.

    The observed sample counts as one draw (Davison and Hinkley 1997, section 4.2), so that p is never 0.
    """
    known = differences[~np.isnan(differences)]
    below, above = int((known <= 0).sum()), int((known >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(known) + 1))


def mcnemar_p(first_right: npt.NDArray[np.bool_], second_right: npt.NDArray[np.bool_]) -> float:
    """Exact two-sided p-value of McNemar's test (1947), from which sentences each of two models gets right.

    Only sentences that one gets right and the other wrong count; with none, the p-value is 1.
    """
    only_first, only_second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)
