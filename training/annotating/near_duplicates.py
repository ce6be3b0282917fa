"""Pairs of sentences that are nearly the same: wire copy with another number, dateline or ending.

Knows nothing of labels. Sentences that mean the same in other words are none.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

# Of 2,000 seeds edited once (a word dropped, numbers changed, a dateline or an attribution added, the last fifth cut
# off) more than 99.9 % are found among all seeds: tests/training/annotating/test_near_duplicates.py.
NEAR: Final = 0.75
# Candidates are found without the character 4-grams that more sentences than this have, since time grows with its
# square. A template with more copies than this, or a sentence of such 4-grams alone, is thus missed.
_MOST_SENTENCES: Final = 400
# By how much two copies may be less alike without them: of the 2,000 copies 0.994 are found without this.
_SLACK: Final = 0.25
_ROWS: Final = 1000


class Pair(NamedTuple):
    """The indices of two similar sentences, and their similarity in (0, 1]."""

    first: int
    second: int
    similarity: float


def near_duplicates(texts: Sequence[str], others: Sequence[str] | None = None, least: float = NEAR) -> list[Pair]:
    """Pairs of similar sentences: of `texts` with `others`, or without them of `texts` among themselves, each once.

    Similarity is the cosine of the sets of character 4-grams inside words, blind to case. In the order of `first`.
    """
    if not texts or (others is not None and not others):
        return []
    vectoriser = CountVectorizer(analyzer="char_wb", ngram_range=(4, 4), binary=True, dtype=np.float32)
    grams = vectoriser.fit_transform([*texts, *(others or ())])
    whole = normalize(grams)
    # Not by choosing columns: of many copies of one text none is left.
    grams.data[np.bincount(grams.indices)[grams.indices] > _MOST_SENTENCES] = 0
    grams.eliminate_zeros()
    rare = normalize(grams)
    offset = 0 if others is None else len(texts)
    pairs: list[Pair] = []
    for start in range(0, len(texts), _ROWS):
        found = (rare[start : min(start + _ROWS, len(texts))] @ rare[offset:].T).tocoo()
        kept = found.data >= least - _SLACK
        rows, columns = found.row[kept] + start, found.col[kept]
        if others is None:
            rows, columns = rows[rows < columns], columns[rows < columns]
        # Without the common 4-grams two sentences look more alike, or less, than they are.
        cosines = np.asarray(whole[rows].multiply(whole[columns + offset]).sum(axis=1)).ravel()
        near = cosines >= least
        pairs += map(Pair, rows[near].tolist(), columns[near].tolist(), cosines[near].tolist())
    return sorted(pairs)
