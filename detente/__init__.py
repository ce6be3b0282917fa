"""Détente: escalation, de-escalation or neutral, sentence by sentence and article by article."""

from detente.errors import DetenteError
from detente.labels import LABELS, Label
from detente.scoring import ScoredArticle, ScoredSentence, Scorer

__version__ = "0.1.0"
__all__ = ["LABELS", "DetenteError", "Label", "ScoredArticle", "ScoredSentence", "Scorer", "__version__"]
