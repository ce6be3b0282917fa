"""Articles in, scored articles out: splits, classifies and sums up. Knows nothing of files or of how a model is run."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from detente.aggregation import article_index, article_label, article_scores
from detente.articles import Article
from detente.errors import UsageError
from detente.inference import Scores, load_classifier
from detente.labels import LABELS, Label
from detente.model import default_model_path, open_model
from detente.sentences import split_sentences

# Sentences that are held before they are classified together: enough to fill batches of like length, with under 5 %
# of padding. On an open pipe an article waits for as many, or for the end of the input.
_SENTENCES_HELD: Final = 2048
_SCORE_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class ScoredSentence:
    """A sentence's place in the text that was given (characters), its label, and its scores in label order."""

    start: int
    end: int
    label: Label
    scores: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ScoredArticle:
    """An article's label, its index in [-1, 1], the mean of its sentences' scores, and the sentences."""

    id: str
    label: Label
    index: float
    scores: tuple[float, float, float]
    sentences: tuple[ScoredSentence, ...]
    model: str
    text: str
    metadata: dict[str, Any]

    def to_record(self, reserved: Sequence[str] = ()) -> dict[str, Any]:
        """The scored article line: a dict without the text, the input's own fields last (see `own_fields`)."""
        record: dict[str, Any] = {
            "id": self.id,
            "label": str(self.label),
            "index": self.index,
            "scores": list(self.scores),
            "sentences": [
                {"start": one.start, "end": one.end, "label": str(one.label), "scores": list(one.scores)}
                for one in self.sentences
            ],
            "model": self.model,
        }
        return record | self.own_fields((*record, *reserved))

    def own_fields(self, taken: Sequence[str]) -> dict[str, Any]:
        """The input's own fields; one whose name is taken gets `input_` in front, as often as it needs."""
        fields: dict[str, Any] = {}
        kept = {key for key in self.metadata if key not in taken}
        for key, value in self.metadata.items():
            name = key
            while (name != key and name in kept) or name in taken or name in fields:
                name = f"input_{name}"
            fields[name] = value
        return fields


class Scorer:
    """Scores articles and sentences with one exported model.

    >>> scorer = Scorer()
    >>> scorer.score("The two armies agreed to a ceasefire on Monday.").label
    <Label.DE_ESCALATION: 'de-escalation'>
    """

    def __init__(self, model: Path | str | None = None, device: str = "cpu", threads: int | None = None) -> None:
        """Open a model directory, by default the one that was installed with the package.

        Args:
            model: a model directory.
            device: `cpu` (ONNX Runtime) or a torch device such as `cuda`, which needs the extra `gpu`.
            threads: threads on the CPU, by default the cores that this process may use.

        Raises:
            DetenteError: the directory is damaged or is none; the device cannot be used.
        """
        directory = open_model(Path(model) if model is not None else default_model_path())
        self.model = directory.version
        self._classifier = load_classifier(directory, device, threads)

    def score_sentences(self, sentences: Sequence[str]) -> Scores:
        """Scores of single sentences: float32, shape (len(sentences), 3), rows sum to 1, columns in label order.

        Raises:
            UsageError: one string was given where a sequence of them is expected.
        """
        if isinstance(sentences, str):
            raise UsageError("score_sentences takes a list of sentences; score takes one text")
        return self._classifier.score(sentences)

    def score(self, text: str) -> ScoredArticle:
        """Score one article given as text.

        Raises:
            UsageError: it is no text, or an empty one.
        """
        if not isinstance(text, str) or not text.strip():
            raise UsageError(f"score takes one text that is not empty, found {text!r:.40}")
        return next(self.score_articles([Article("text", text)]))

    def score_articles(self, articles: Iterable[Article]) -> Iterator[ScoredArticle]:
        """Score articles in order, as a stream: sentences of several articles share a batch."""
        held: list[tuple[Article, list[tuple[int, int]]]] = []
        count = 0
        for article in articles:
            spans = split_sentences(article.text)
            held.append((article, spans))
            count += len(spans)
            if count >= _SENTENCES_HELD:
                yield from self._score_held(held)
                held, count = [], 0
        yield from self._score_held(held)

    def _score_held(self, held: list[tuple[Article, list[tuple[int, int]]]]) -> Iterator[ScoredArticle]:
        scores = self._classifier.score([article.text[start:end] for article, spans in held for start, end in spans])
        position = 0
        for article, spans in held:
            yield self._sum_up(article, spans, scores[position : position + len(spans)])
            position += len(spans)

    def _sum_up(self, article: Article, spans: Sequence[tuple[int, int]], scores: Scores) -> ScoredArticle:
        return ScoredArticle(
            id=article.id,
            label=article_label(scores),
            index=round(article_index(scores), _SCORE_DIGITS),
            scores=_rounded(article_scores(scores)),
            sentences=tuple(
                ScoredSentence(start, end, LABELS[int(row.argmax())], _rounded(row))
                for (start, end), row in zip(spans, scores, strict=True)
            ),
            model=self.model,
            text=article.text,
            metadata=article.metadata,
        )


def _rounded(row: Scores) -> tuple[float, float, float]:
    escalation, de_escalation, neutral = (round(float(value), _SCORE_DIGITS) for value in row)
    return escalation, de_escalation, neutral
