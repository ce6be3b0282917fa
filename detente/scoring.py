"""Articles in, scored articles out: splits, classifies and sums up. Knows nothing of files or of how a model is run."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from detente.aggregation import article_index, article_label, article_scores
from detente.articles import Article
from detente.errors import UsageError
from detente.inference import Scores, load_classifier
from detente.labels import LABELS, Label
from detente.model import ModelDirectory, default_model_path, open_model
from detente.sentences import split_sentences

# Sentences that are held before they are classified together: enough to fill batches of like length, with under 5 %
# of padding. On an open pipe an article waits for as many, or for the end of the input.
_SENTENCES_HELD: Final = 2048
# Sentences whose scores are remembered, about 10 MB of them.
_SENTENCES_KNOWN: Final = 20_000
_SCORE_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class ScoredSentence:
    """A sentence's place in the text that was given (characters), its label, and its scores in label order.

    The title, if the article has one of its own, comes first; its sentences' places are in the title.
    """

    start: int
    end: int
    label: Label
    scores: tuple[float, float, float]
    in_title: bool = False

    def to_record(self) -> dict[str, Any]:
        """The sentence as it stands in a scored article line; `in_title` is there for the title alone."""
        record = {"start": self.start, "end": self.end, "label": str(self.label), "scores": list(self.scores)}
        return record | {"in_title": True} if self.in_title else record


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
    title: str = ""

    def sentence_text(self, sentence: ScoredSentence) -> str:
        """The words of one of its sentences."""
        return (self.title if sentence.in_title else self.text)[sentence.start : sentence.end]

    def to_record(self, reserved: Sequence[str] = ()) -> dict[str, Any]:
        """The scored article line: a dict without the text, the input's own fields last (see `own_fields`)."""
        record: dict[str, Any] = {
            "id": self.id,
            "label": str(self.label),
            "index": self.index,
            "scores": list(self.scores),
            "sentences": [one.to_record() for one in self.sentences],
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

    def __init__(
        self, model: Path | str | ModelDirectory | None = None, device: str = "cpu", threads: int | None = None
    ) -> None:
        """Open a model directory, by default the one that was installed with the package.

        Args:
            model: a model directory, or one that `open_model` has verified already.
            device: `cpu` (ONNX Runtime) or a torch device such as `cuda`, which needs the extra `gpu`.
            threads: threads on the CPU, by default the cores that this process may use.

        Raises:
            DetenteError: the directory is damaged or is none; the device cannot be used.
        """
        directory = model if isinstance(model, ModelDirectory) else open_model(Path(model or default_model_path()))
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
        held: list[_Split] = []
        count = 0
        known: dict[str, Scores] = {}
        for article in articles:
            split = _split(article)
            held.append(split)
            count += len(split.spans)
            if count >= _SENTENCES_HELD:
                yield from self._score_held(held, known)
                held, count = [], 0
        yield from self._score_held(held, known)

    def _score_held(self, held: "list[_Split]", known: dict[str, Scores]) -> Iterator[ScoredArticle]:
        """Score articles together; a sentence that was there before, as in wire copy, is not scored again."""
        sentences = [sentence for split in held for sentence in split.sentences]
        fresh = list(dict.fromkeys(sentence for sentence in sentences if sentence not in known))
        known.update(zip(fresh, self._classifier.score(fresh), strict=True))
        scores = np.stack([known[sentence] for sentence in sentences]) if sentences else self._classifier.score([])
        for sentence in sentences:
            known[sentence] = known.pop(sentence)  # last used, last forgotten
        for sentence in list(itertools.islice(known, max(len(known) - _SENTENCES_KNOWN, 0))):
            del known[sentence]
        position = 0
        for split in held:
            yield self._sum_up(split, scores[position : position + len(split.spans)])
            position += len(split.spans)

    def _sum_up(self, split: "_Split", scores: Scores) -> ScoredArticle:
        article = split.article
        return ScoredArticle(
            id=article.id,
            label=article_label(scores),
            index=round(article_index(scores), _SCORE_DIGITS),
            scores=_rounded(article_scores(scores)),
            sentences=tuple(
                ScoredSentence(start, end, LABELS[int(row.argmax())], _rounded(row), number < split.in_title)
                for number, ((start, end), row) in enumerate(zip(split.spans, scores, strict=True))
            ),
            model=self.model,
            text=article.text,
            metadata=article.metadata,
            title=article.title,
        )


@dataclass(frozen=True, slots=True)
class _Split:
    """An article and the places of its sentences, the first `in_title` of them in its title."""

    article: Article
    spans: list[tuple[int, int]]
    in_title: int

    @property
    def sentences(self) -> list[str]:
        """The words of the sentences."""
        title, text = self.article.title, self.article.text
        return [
            (title if number < self.in_title else text)[start:end] for number, (start, end) in enumerate(self.spans)
        ]


def _split(article: Article) -> _Split:
    spans = split_sentences(article.text)
    text = article.text.lstrip()
    # A text that opens with its title, on a line or as a sentence of its own, has it already.
    opens = text.startswith(article.title) and text[len(article.title) : len(article.title) + 1] in ("", "\n", "\r")
    if opens or (spans and article.text[slice(*spans[0])] == article.title):
        return _Split(article, spans, in_title=0)
    title = split_sentences(article.title)
    return _Split(article, [*title, *spans], in_title=len(title))


def _rounded(row: Scores) -> tuple[float, float, float]:
    escalation, de_escalation, neutral = (round(float(value), _SCORE_DIGITS) for value in row)
    return escalation, de_escalation, neutral
