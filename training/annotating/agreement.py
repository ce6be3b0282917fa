"""How far annotators agree beyond chance. Knows labels alone: no texts, no files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from detente.labels import Label


@dataclass(frozen=True)
class Pair:
    """Two annotators on the sentences that both have labelled: share of equal labels, and Cohen's kappa (1960)."""

    first: str
    second: str
    sentences: int
    agreed: float
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """All annotators together; a figure is None where it is not defined, as no two different labels were given.

    `fleiss_kappa` (1971) is over the `complete` sentences that everyone has labelled, `krippendorff_alpha` (nominal,
    1980) over the `sentences` that at least two have.
    """

    pairs: tuple[Pair, ...]
    sentences: int
    krippendorff_alpha: float | None
    complete: int
    fleiss_kappa: float | None


def agreement(votes: Sequence[Mapping[str, Label]]) -> Agreement:
    """Figures over sentences, each with the label of each of its annotators; sentences with one do not count."""
    shared = [given for given in votes if len(given) > 1]
    annotators = sorted({name for given in shared for name in given})
    complete = [given for given in shared if len(given) == len(annotators)]
    pairs = [_pair(first, second, shared) for first, second in combinations(annotators, 2)]
    return Agreement(
        pairs=tuple(pair for pair in pairs if pair),
        sentences=len(shared),
        krippendorff_alpha=_beyond_chance(shared, "alpha"),
        complete=len(complete),
        # NLTK calls it by its other name, multi-pi.
        fleiss_kappa=_beyond_chance(complete, "pi"),
    )


def _pair(first: str, second: str, votes: Sequence[Mapping[str, Label]]) -> Pair | None:
    from sklearn.metrics import cohen_kappa_score

    both = [(given[first], given[second]) for given in votes if first in given and second in given]
    if not both:
        return None
    agreed = sum(one == other for one, other in both) / len(both)
    kappa = float(cohen_kappa_score(*zip(*both, strict=True))) if len(set().union(*both)) > 1 else None
    return Pair(first, second, len(both), agreed, kappa)


def _beyond_chance(votes: Sequence[Mapping[str, Label]], measure: str) -> float | None:
    answers = [(name, number, str(label)) for number, given in enumerate(votes) for name, label in given.items()]
    if len({label for _, _, label in answers}) < 2:  # noqa: PLR2004
        return None
    from nltk.metrics.agreement import AnnotationTask

    return float(getattr(AnnotationTask(answers), measure)())
