"""Pairs of sentences that are nearly the same: wire copy with another number, dateline or ending.

Knows nothing of labels. Sentences that mean the same in other words are none.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

# Of 1,968 seeds edited once (a word dropped, numbers changed, a dateline or an attribution added, the last fifth cut
# off; tests/training/test_near_duplicates.py) 99.9 % are found, at 0.85 95.5 %. Among the 16,228 seeds there are 26
# pairs.
NEAR: Final = 0.75
# Character 4-grams in more sentences than this are left out of a comparison, since time grows with its square: the
# products of 16,228 seeds take 2 s, without it 100 s. Copies in larger numbers than this can thus be missed.
_MOST_SENTENCES: Final = 400
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
    vectoriser = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(4, 4), binary=True, use_idf=False, max_df=_MOST_SENTENCES, dtype=np.float32
    )
    vectors = vectoriser.fit_transform([*texts, *(others or ())])
    left, right = (vectors, vectors) if others is None else (vectors[: len(texts)], vectors[len(texts) :])
    pairs: list[Pair] = []
    for start in range(0, len(texts), _ROWS):
        found = (left[start : start + _ROWS] @ right.T).tocoo()
        rows, columns = found.row + start, found.col
        kept = (found.data >= least) & ((rows < columns) if others is None else True)
        pairs += map(Pair, rows[kept].tolist(), columns[kept].tolist(), found.data[kept].tolist())
    return sorted(pairs)
