"""Measures one model on sets of sentences and articles. Knows nothing of how results are shown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, confusion_matrix

from detente.aggregation import article_index, article_label
from detente.annotations import Annotations, text_fingerprint
from detente.errors import DetenteError
from detente.inference import Classifier
from detente.labels import DE_ESCALATION_ID, ESCALATION_ID, LABEL_IDS, LABELS
from detente.model import TRAINING_TEXTS, ModelDirectory
from detente.sentences import split_sentences
from eval.metrics import Figures, direction_macro_f1, figures
from eval.sets import AnnotatedArticle, DirectionSet, LabelledSet

# Rows with this root contradict the codebook (a request counts as cooperation there), so both ways are reported.
CONTRADICTING_ROOT = "REQUEST"


@dataclass(frozen=True)
class LabelledResult:
    """Figures on annotated sentences; `trained_on` of them were training texts of the model, which voids the rest."""

    name: str
    figures: Figures
    trained_on: int


@dataclass(frozen=True)
class DirectionResult:
    """Direction macro-F1 on PLOVER- or CAMEO-coded sentences, with and without the contradicting root."""

    name: str
    sentences: int
    macro_f1: float
    sentences_without_request: int | None
    macro_f1_without_request: float | None
    neutral_left_out: int
    trained_on: int


@dataclass(frozen=True)
class ArticleResult:
    """Article level: share of right labels, and Spearman correlation of the index with the annotated one.

    The annotated index is the share of escalation minus the share of de-escalation among the annotated sentences.
    """

    name: str
    articles: int
    accuracy: float
    index_correlation: float
    confusion: list[list[int]]


Result = LabelledResult | DirectionResult | ArticleResult


def measure_labelled(classifier: Classifier, labelled: LabelledSet, trained_on: frozenset[str]) -> LabelledResult:
    """Measure on annotated sentences."""
    texts = labelled.annotations.texts()
    scores = classifier.score(texts)
    return LabelledResult(labelled.name, figures(labelled.annotations.label_ids(), scores), _overlap(texts, trained_on))


def measure_direction(classifier: Classifier, coded: DirectionSet, trained_on: frozenset[str]) -> DirectionResult:
    """Measure conflict against cooperation."""
    scores = classifier.score(coded.texts)
    kept = [index for index, root in enumerate(coded.roots) if root != CONTRADICTING_ROOT]
    without = direction_macro_f1([coded.is_conflict[i] for i in kept], scores[kept]) if kept else None
    return DirectionResult(
        coded.name,
        len(coded.texts),
        direction_macro_f1(coded.is_conflict, scores),
        len(kept) if kept else None,
        without,
        coded.neutral,
        _overlap(coded.texts, trained_on),
    )


def measure_articles(classifier: Classifier, name: str, articles: Sequence[AnnotatedArticle]) -> ArticleResult:
    """Measure at article level the way articles are scored: from their text, split into sentences."""
    spans = [split_sentences(article.text) for article in articles]
    scores = classifier.score(
        [a.text[start:end] for a, found in zip(articles, spans, strict=True) for start, end in found]
    )
    each = np.split(scores, np.cumsum([len(found) for found in spans])[:-1])
    labels = [LABEL_IDS[article.label] for article in articles]
    found = [LABEL_IDS[article_label(rows)] for rows in each]
    confusion = confusion_matrix(labels, found, labels=range(len(LABELS))).tolist()
    annotated = [
        article.label_ids.count(ESCALATION_ID) / len(article.label_ids)
        - article.label_ids.count(DE_ESCALATION_ID) / len(article.label_ids)
        for article in articles
    ]
    correlation = float(spearmanr(annotated, [article_index(rows) for rows in each]).statistic)
    return ArticleResult(name, len(articles), float(accuracy_score(labels, found)), correlation, confusion)


def test_split(paths: Sequence[Path], read: Annotations) -> LabelledSet:
    """The rows marked as test; all rows if the files mark no splits.

    Raises:
        DetenteError: the files mark splits, but no row as test.
    """
    chosen = read.in_split("test") if any(row.split for row in read.rows) else read
    if not chosen.rows:
        raise DetenteError(f"{', '.join(map(str, paths))}: marks splits, but no row as test; there is nothing held out")
    return LabelledSet(" + ".join(path.stem for path in paths) + (" (test)" if chosen is not read else ""), chosen)


def training_texts(model: ModelDirectory) -> frozenset[str]:
    """Fingerprints of the sentences that the model was trained on."""
    return frozenset((model.path / TRAINING_TEXTS).read_text(encoding="ascii").split())


def _overlap(texts: Sequence[str], trained_on: frozenset[str]) -> int:
    return sum(text_fingerprint(text) in trained_on for text in texts)


def to_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Results as JSON-ready dicts, each with its kind."""
    kinds = {LabelledResult: "labels", DirectionResult: "direction", ArticleResult: "articles"}
    return [{"kind": kinds[type(result)], **asdict(result)} for result in results]
