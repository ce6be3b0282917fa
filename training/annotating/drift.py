"""Label shares of annotations against those of others, to see when labels are used differently."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import chi2_contingency

from detente.annotations import Annotation
from detente.labels import LABELS

# Of a source or register, for chi-square to mean something.
_ENOUGH: Final = 30
# Both have to be met: in a large file the smallest difference is beyond chance, in a small one chance makes large ones.
_BEYOND_CHANCE: Final = 0.001
_NOTABLE: Final = 0.1


@dataclass(frozen=True, slots=True)
class LabelShares:
    """How often each label was given in a part of a file, in label order, and what it is compared with.

    `p` is chi-square's, `effect` Cramér's V, 0 to 1; both None where there is nothing to compare with.
    """

    part: str
    counts: tuple[int, ...]
    against: str = ""
    p: float | None = None
    effect: float | None = None

    @property
    def rows(self) -> int:
        """Rows of the part."""
        return sum(self.counts)

    @property
    def is_drift(self) -> bool:
        """Whether the shares differ by more than chance, and by enough to look at."""
        return self.p is not None and self.effect is not None and self.p < _BEYOND_CHANCE and self.effect >= _NOTABLE


def label_shares(rows: Sequence[Annotation], seeds: Sequence[Annotation]) -> list[LabelShares]:
    """The file's label shares against the seeds', then the seeds', then each source's and register's.

    A source or register is compared with the rest of the file; those with fewer than 30 rows are left out. In the order
    of their effect, the largest first.
    """
    counts, of_seeds = _counts(rows), _counts(seeds)
    whole = [_compared("the file", counts, "the seeds", of_seeds), LabelShares("the seeds", tuple(of_seeds.tolist()))]
    parts: list[LabelShares] = []
    for name in ("source", "register"):
        found = Counter((getattr(row, name), row.label) for row in rows)
        for value in dict.fromkeys(value for value, _ in found):
            own = np.array([found[value, label] for label in LABELS])
            if value and own.sum() >= _ENOUGH and len(rows) - own.sum() >= _ENOUGH:
                parts.append(_compared(f"{name} {value}", own, "the rest", counts - own))
    return whole + sorted(parts, key=lambda part: -(part.effect or 0))


def _counts(rows: Sequence[Annotation]) -> np.ndarray:
    found = Counter(row.label for row in rows)
    return np.array([found[label] for label in LABELS])


def _compared(part: str, counts: np.ndarray, against: str, others: np.ndarray) -> LabelShares:
    table = np.stack([counts, others])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] == 1 or not table.sum(axis=1).all():
        return LabelShares(part, tuple(counts.tolist()), against)
    found = chi2_contingency(table, correction=False)
    effect = float(np.sqrt(found.statistic / table.sum()))
    return LabelShares(part, tuple(counts.tolist()), against, float(found.pvalue), effect)
