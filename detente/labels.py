"""The three labels and their one order. Knows nothing of models or files."""

from enum import StrEnum
from typing import Final


class Label(StrEnum):
    """What a sentence or an article does to a tense relationship. Members stand in id order: 0, 1, 2."""

    ESCALATION = "escalation"
    DE_ESCALATION = "de-escalation"
    NEUTRAL = "neutral"


LABELS: Final = tuple(Label)
LABEL_IDS: Final = {label: index for index, label in enumerate(LABELS)}
ESCALATION_ID: Final = LABEL_IDS[Label.ESCALATION]
DE_ESCALATION_ID: Final = LABEL_IDS[Label.DE_ESCALATION]
