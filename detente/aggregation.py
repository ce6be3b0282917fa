"""From the scores of an article's sentences to the article's index and label."""

from typing import Final

import numpy as np

from detente.inference import Scores
from detente.labels import DE_ESCALATION_ID, ESCALATION_ID, LABELS, Label

# Chosen on the 121 seed articles outside the test split, scored by a model that had seen no article: the middle of the
# thresholds that are all equally good there (92.6 % right). The plain mean reaches 85.1 % at its best thresholds: news
# puts what is new first, and background of the opposite sign last.
ESCALATION_FROM: Final = 0.28
DE_ESCALATION_FROM: Final = -0.19


def article_scores(scores: Scores) -> Scores:
    """Mean of the sentences' scores, shape (3,); an article without sentences is wholly neutral."""
    if not len(scores):
        return np.array([label is Label.NEUTRAL for label in LABELS], np.float32)
    mean: Scores = scores.mean(axis=0)
    return mean


def article_index(scores: Scores) -> float:
    """Mean of P(escalation) - P(de-escalation) over the sentences, in [-1, 1]."""
    mean = article_scores(scores)
    return float(mean[ESCALATION_ID] - mean[DE_ESCALATION_ID])


def lead_direction(scores: Scores) -> float:
    """Like the index, in [-1, 1], but the nth sentence weighs 1/n: headline and lead count most."""
    if not len(scores):
        return 0.0
    weights = 1 / np.arange(1, len(scores) + 1)
    return float(np.average(scores[:, ESCALATION_ID] - scores[:, DE_ESCALATION_ID], weights=weights))


def article_label(scores: Scores) -> Label:
    """The article's label: its lead direction at or beyond a threshold, neutral between the two.

    An article of one sentence has that sentence's label.
    """
    if len(scores) == 1:
        return LABELS[int(scores[0].argmax())]
    direction = lead_direction(scores)
    if direction >= ESCALATION_FROM:
        return Label.ESCALATION
    return Label.DE_ESCALATION if direction <= DE_ESCALATION_FROM else Label.NEUTRAL
