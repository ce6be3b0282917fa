"""Measures one model on one set. Knows nothing of how results are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, confusion_matrix

from detente.aggregation import article_index, article_label
from detente.annotations import text_fingerprint
from detente.direction import CONTRADICTING_ROOT
from detente.inference import Scores
from detente.labels import LABEL_IDS, LABELS
from eval.behaviour import BehaviourResult, BehaviourSet, measure_behaviour
from eval.calibration import Calibration, Coverage, calibration, coverage
from eval.compare import direction_draws
from eval.metrics import Figures, PrecisionRecall, direction_macro_f1, figures, precision_recall
from eval.sets import ArticleSet, DirectionSet, EvaluationSet, LabelledSet
from eval.significance import (
    GroupBootstrap,
    Interval,
    f1_of_labels,
    independent,
    interval,
    macro_f1,
    matthews,
    share_interval,
)
from eval.slices import Slice, measure_slices

ERRORS_SHOWN: Final = 20


@dataclass(frozen=True)
class ConfidentError:
    """A sentence whose label the model gets wrong; in a private set `text` is empty and `id` a row's number."""

    id: str
    text: str
    label: str
    predicted: str
    scores: list[float]
    rule: str
    register: str


@dataclass(frozen=True)
class LabelledResult:
    """Figures on annotated sentences; `trained_on` of them were training texts of the model, which voids the rest."""

    name: str
    figures: Figures
    intervals: dict[str, Interval | None]
    calibration: Calibration
    precision_recall: dict[str, PrecisionRecall]
    coverage: list[Coverage]
    slices: list[Slice]
    errors: list[ConfidentError]
    trained_on: int
    unlabelled: int
    dropped_duplicates: int


@dataclass(frozen=True)
class DirectionResult:
    """Direction macro-F1 on PLOVER- or CAMEO-coded sentences, with and without the contradicting root."""

    name: str
    sentences: int
    macro_f1: float
    macro_f1_interval: Interval | None
    sentences_without_request: int | None
    macro_f1_without_request: float | None
    macro_f1_without_request_interval: Interval | None
    neutral_left_out: int
    unlabelled: int
    trained_on: int


@dataclass(frozen=True)
class ArticleResult:
    """Article level: share of right labels, and Spearman correlation of the index with the annotated one.

    The annotated index is the share of escalation minus the share of de-escalation among the annotated sentences.
    """

    name: str
    articles: int
    accuracy: float
    accuracy_interval: Interval | None
    index_correlation: float
    index_correlation_interval: Interval | None
    confusion: list[list[int]]
    trained_on: int


Result = LabelledResult | DirectionResult | ArticleResult | BehaviourResult


def measure(found: EvaluationSet, scores: Scores, trained_on: frozenset[str], draws: int) -> Result:
    """Measure one model on one set, from its scores of `found.sentences()`, shape (sentences, 3).

    `trained_on` are the model's `training_texts`, `draws` the bootstrap draws behind each interval.
    """
    match found:
        case LabelledSet():
            return _measure_labelled(found, scores, trained_on, draws)
        case DirectionSet():
            return _measure_direction(found, scores, trained_on, draws)
        case ArticleSet():
            return _measure_articles(found, scores, trained_on, draws)
        case BehaviourSet():
            return measure_behaviour(found, scores, _overlap(found.sentences(), trained_on), draws)


def _measure_labelled(labelled: LabelledSet, scores: Scores, trained_on: frozenset[str], draws: int) -> LabelledResult:
    true = labelled.annotations.label_ids()
    measured = figures(true, scores)
    confusions = GroupBootstrap(labelled.groups(), draws).confusions(true, scores.argmax(axis=1), len(LABELS))
    hits, total = np.trace(confusions, axis1=1, axis2=2), confusions.sum(axis=(1, 2))
    intervals = {
        "macro_f1": interval(macro_f1(confusions)),
        "accuracy": share_interval(np.equal(true, scores.argmax(axis=1)), hits / total),
        "matthews": interval(matthews(confusions)),
    } | {str(label): interval(f1_of_labels(confusions)[:, index]) for index, label in enumerate(LABELS)}
    return LabelledResult(
        name=labelled.name,
        figures=measured,
        intervals=intervals,
        calibration=calibration(true, scores),
        precision_recall=precision_recall(true, scores),
        coverage=coverage(true, scores),
        slices=measure_slices(labelled, scores, draws),
        errors=_confident_errors(labelled, scores),
        trained_on=_overlap(labelled.sentences(), trained_on),
        unlabelled=labelled.annotations.unlabelled,
        dropped_duplicates=labelled.annotations.dropped,
    )


def _confident_errors(labelled: LabelledSet, scores: Scores) -> list[ConfidentError]:
    rows, found = labelled.annotations.rows, scores.argmax(axis=1)
    wrong = [i for i, row in enumerate(rows) if found[i] != LABEL_IDS[row.label]]
    wrong.sort(key=lambda i: -scores[i].max())
    return [
        ConfidentError(
            # An id is often an address or a client's name.
            id=f"row {i + 1}" if labelled.private else rows[i].id,
            text="" if labelled.private else rows[i].text,
            label=str(rows[i].label),
            predicted=str(LABELS[found[i]]),
            scores=[round(float(value), 4) for value in scores[i]],
            rule=rows[i].rule,
            register=rows[i].register,
        )
        for i in wrong[:ERRORS_SHOWN]
    ]


def _measure_direction(coded: DirectionSet, scores: Scores, trained_on: frozenset[str], draws: int) -> DirectionResult:
    kept = [index for index, root in enumerate(coded.roots) if root != CONTRADICTING_ROOT]
    without = [coded.is_conflict[i] for i in kept]
    return DirectionResult(
        name=coded.name,
        sentences=len(coded.texts),
        macro_f1=direction_macro_f1(coded.is_conflict, scores),
        macro_f1_interval=interval(direction_draws(coded.is_conflict, scores, draws)),
        sentences_without_request=len(kept) if kept else None,
        macro_f1_without_request=direction_macro_f1(without, scores[kept]) if kept else None,
        macro_f1_without_request_interval=interval(direction_draws(without, scores[kept], draws)) if kept else None,
        neutral_left_out=coded.neutral,
        unlabelled=coded.unlabelled,
        trained_on=_overlap(coded.texts, trained_on),
    )


def _measure_articles(articles: ArticleSet, scores: Scores, trained_on: frozenset[str], draws: int) -> ArticleResult:
    true = [LABEL_IDS[article.label] for article in articles.articles]
    each = articles.split(scores)
    found = [LABEL_IDS[article_label(rows)] for rows in each]
    annotated = np.array([article.index() for article in articles.articles])
    indices = np.array([article_index(rows) for rows in each])
    right = np.asarray(np.equal(true, found), dtype=bool)
    bootstrap = independent(len(true), draws)
    return ArticleResult(
        name=articles.name,
        articles=len(true),
        accuracy=float(accuracy_score(true, found)),
        accuracy_interval=share_interval(right, bootstrap.means(right)),
        index_correlation=_spearman(annotated, indices),
        index_correlation_interval=interval(bootstrap.statistics(lambda i: _spearman(annotated[i], indices[i]))),
        confusion=confusion_matrix(true, found, labels=range(len(LABELS))).tolist(),
        trained_on=_overlap(articles.sentences(), trained_on),
    )


def _spearman(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    if len(set(first)) < 2 or len(set(second)) < 2:  # noqa: PLR2004 - a constant correlates with nothing
        return float("nan")
    return float(spearmanr(first, second).statistic)


def _overlap(texts: Sequence[str], trained_on: frozenset[str]) -> int:
    return sum(text_fingerprint(text) in trained_on for text in texts)
