"""Compares two models on one set: the difference, its interval, and how likely chance alone gives it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from detente.aggregation import article_label
from detente.inference import Scores
from detente.labels import LABELS
from eval.behaviour import BehaviourSet, passes, suite_draws
from eval.metrics import direction_macro_f1, figures, says_conflict
from eval.sets import ArticleSet, DirectionSet, EvaluationSet, LabelledSet
from eval.significance import (
    Draws,
    GroupBootstrap,
    Interval,
    bootstrap_p,
    independent,
    interval,
    macro_f1,
    mcnemar_p,
    share_interval,
)

METRICS: Final = {
    LabelledSet: "macro-F1",
    DirectionSet: "direction macro-F1",
    ArticleSet: "accuracy",
    BehaviourSet: "failure rate",
}


@dataclass(frozen=True)
class Comparison:
    """A second model against the first on one set; `difference` is second minus first of `metric`.

    `interval` and `bootstrap_p` come from paired draws of whole groups; `only_first_right` and `only_second_right`
    count what McNemar's test rests on, which takes sentences as independent.
    """

    metric: str
    first: str
    second: str
    difference: float
    interval: Interval | None
    bootstrap_p: float
    only_first_right: int
    only_second_right: int
    mcnemar_p: float


def compare(found: EvaluationSet, named: tuple[str, str], first: Scores, second: Scores, draws: int) -> Comparison:
    """Compare two models, named in the same order as their scores, on one set."""
    first_right, second_right = _right(found, first), _right(found, second)
    difference = headline_draws(found, second, draws) - headline_draws(found, first, draws)
    return Comparison(
        metric=METRICS[type(found)],
        first=named[0],
        second=named[1],
        difference=headline(found, second) - headline(found, first),
        interval=interval(difference),
        bootstrap_p=bootstrap_p(difference),
        only_first_right=int((first_right & ~second_right).sum()),
        only_second_right=int((second_right & ~first_right).sum()),
        mcnemar_p=mcnemar_p(first_right, second_right),
    )


def headline_interval(found: EvaluationSet, scores: Scores, draws: int) -> Interval | None:
    """The 95 % interval of the headline figure."""
    around = headline_draws(found, scores, draws)
    match found:
        case ArticleSet():
            return share_interval(_right(found, scores), around)
        case BehaviourSet():
            return share_interval(~_right(found, scores), around)
        case _:
            return interval(around)


def better(found: EvaluationSet, value: float) -> float:
    """A headline figure turned so that more is better."""
    return -value if isinstance(found, BehaviourSet) else value


def headline(found: EvaluationSet, scores: Scores) -> float:
    """The one figure that models are compared by on a set; `METRICS` names it."""
    match found:
        case LabelledSet():
            return figures(found.annotations.label_ids(), scores).macro_f1
        case DirectionSet():
            return direction_macro_f1(found.is_conflict, scores)
        case ArticleSet():
            return float(_right(found, scores).mean())
        case BehaviourSet():
            return float(1 - _right(found, scores).mean())


def headline_draws(found: EvaluationSet, scores: Scores, draws: int) -> Draws:
    """The headline figure of bootstrap draws, shape (draws,); of two models the draws are the same ones."""
    match found:
        case LabelledSet():
            bootstrap = GroupBootstrap(found.groups(), draws)
            return macro_f1(bootstrap.confusions(found.annotations.label_ids(), scores.argmax(axis=1), len(LABELS)))
        case DirectionSet():
            return direction_draws(found.is_conflict, scores, draws)
        case ArticleSet():
            return independent(len(found.articles), draws).means(_right(found, scores))
        case BehaviourSet():
            return suite_draws(found, passes(found, scores), draws)


def direction_draws(is_conflict: Sequence[bool], scores: Scores, draws: int) -> Draws:
    """Direction macro-F1 of bootstrap draws, shape (draws,); PLOVER and CAMEO files name no documents."""
    true = np.asarray(is_conflict, dtype=int)
    return macro_f1(independent(len(true), draws).confusions(true, says_conflict(scores).astype(int), 2))


def _right(found: EvaluationSet, scores: Scores) -> npt.NDArray[np.bool_]:
    """What a model gets right: sentences, articles or cases, by the set."""
    match found:
        case LabelledSet():
            return np.asarray(np.equal(found.annotations.label_ids(), scores.argmax(axis=1)), dtype=bool)
        case DirectionSet():
            return np.asarray(np.equal(found.is_conflict, says_conflict(scores)), dtype=bool)
        case ArticleSet():
            each = zip(found.articles, found.split(scores), strict=True)
            return np.array([article.label == article_label(rows) for article, rows in each])
        case BehaviourSet():
            return np.array(passes(found, scores))
