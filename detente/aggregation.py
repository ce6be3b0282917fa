"""From the scores of an article's sentences to the article's index and label."""

from typing import Final

import numpy as np

from detente.inference import Scores
from detente.labels import DE_ESCALATION_ID, ESCALATION_ID, LABELS, Label

# TODO thresholds
ESCALATION_FROM: Final = 0.15
DE_ESCALATION_FROM: Final = -0.1


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


def article_label(scores: Scores) -> Label:
    """The article's label, from its index alone: beyond a threshold it has a direction, between them it is neutral."""
    index = article_index(scores)
    if index >= ESCALATION_FROM:
        return Label.ESCALATION
    return Label.DE_ESCALATION if index <= DE_ESCALATION_FROM else Label.NEUTRAL
