"""Détente: escalation, de-escalation or neutral, sentence by sentence and article by article."""

from typing import TYPE_CHECKING, Any

from detente.errors import DetenteError
from detente.labels import LABELS, Label

if TYPE_CHECKING:
    from detente.scoring import ScoredArticle, ScoredSentence, Scorer

__version__ = "0.1.0"
__all__ = ["LABELS", "DetenteError", "Label", "ScoredArticle", "ScoredSentence", "Scorer", "__version__"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    # What loads numpy is loaded when it is asked for, so that the command can say before with how many threads.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from detente import scoring

    return getattr(scoring, name)
