"""The three labels, their one order and how people spell them. Knows nothing of models or files."""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from detente.errors import DetenteError


class Label(StrEnum):
    """What a sentence or an article does to a tense relationship. Members stand in id order: 0, 1, 2."""

    ESCALATION = "escalation"
    DE_ESCALATION = "de-escalation"
    NEUTRAL = "neutral"


LABELS: Final = tuple(Label)
LABEL_IDS: Final = {label: index for index, label in enumerate(LABELS)}
ESCALATION_ID: Final = LABEL_IDS[Label.ESCALATION]
DE_ESCALATION_ID: Final = LABEL_IDS[Label.DE_ESCALATION]

# What a spelling may have more or less of: white space, underscores, every hyphen and dash, and marks without a width.
_JOINTS: Final = re.compile("[\\s_\u2010-\u2015\u2212-]+")
_WIDTHLESS: Final = re.compile("[\u00ad\u200b-\u200f\ufeff]")
_DIGIT: Final = re.compile(r"\d")
_QUOTES: Final = "'\"`\u2018\u2019\u201c\u201d"
_SPELLINGS: Final = {_JOINTS.sub("", label): label for label in LABELS} | {str(i): lb for lb, i in LABEL_IDS.items()}


def read_label(spelling: object) -> Label:
    """The label that is meant, whatever its case and joints ("De-escalation", "DE_ESCALATION"), or whose id it is.

    Raises:
        DetenteError: it is none; names the closest.
    """
    if isinstance(spelling, str) or (isinstance(spelling, int) and not isinstance(spelling, bool)):
        # NFKC: full-width letters and hyphens that do not break are the plain ones.
        plain = _WIDTHLESS.sub("", unicodedata.normalize("NFKC", str(spelling))).casefold()
        plain = plain.strip().strip(_QUOTES).strip()
        # An id has no joints: -1 is not 1.
        label = _SPELLINGS.get(plain if _DIGIT.search(plain) else _JOINTS.sub("", plain))
        if label:
            return label
    raise DetenteError(f"unknown label {str(spelling)!r}; expected {', '.join(LABELS)}{closest(spelling, LABELS)}")


def closest(found: object, known: Sequence[str]) -> str:
    """The end of an error message: which of the known words may have been meant, or nothing."""
    close = difflib.get_close_matches(str(found).lower(), known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
