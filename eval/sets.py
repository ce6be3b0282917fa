"""What a model is measured on: annotated sentences and articles, PLOVER- and CAMEO-coded files, the behaviour suite."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from detente.annotations import Annotations, read_annotations
from detente.direction import DirectionCoded, read_direction
from detente.errors import DetenteError, UsageError
from detente.inference import Scores
from detente.labels import DE_ESCALATION_ID, ESCALATION_ID, LABEL_IDS, LABELS, Label
from detente.sentences import split_sentences
from detente.tables import read_rows
from eval.behaviour import BehaviourSet, read_behaviour

_SEEDS: Final = ("seeds/annotations.jsonl", "seeds/articles.jsonl")


@dataclass(frozen=True)
class LabelledSet:
    """Annotated sentences. Of a private set neither texts nor ids nor sources stand in anything that is written."""

    name: str
    annotations: Annotations
    private: bool = False

    def sentences(self) -> list[str]:
        """What is to be scored."""
        return self.annotations.texts()

    def groups(self) -> list[str]:
        """The document of each sentence."""
        return [row.group for row in self.annotations.rows]


@dataclass(frozen=True, kw_only=True)
class DirectionSet(DirectionCoded):
    """Sentences coded as conflict or cooperation."""

    name: str

    def sentences(self) -> list[str]:
        """What is to be scored."""
        return self.texts


@dataclass(frozen=True)
class AnnotatedArticle:
    """An article, its label, and the label ids of its annotated sentences."""

    text: str
    label: Label
    label_ids: list[int]
    split: str

    def index(self) -> float:
        """The annotated index: the share of escalation less the share of de-escalation among the sentences."""
        ids = self.label_ids
        return (ids.count(ESCALATION_ID) - ids.count(DE_ESCALATION_ID)) / len(ids)


@dataclass(frozen=True)
class ArticleSet:
    """Annotated articles, scored as a user's are: from their text, split into sentences."""

    name: str
    articles: list[AnnotatedArticle]

    @cached_property
    def per_article(self) -> list[list[str]]:
        """The sentences of each article, as the splitter finds them."""
        return [[a.text[start:end] for start, end in split_sentences(a.text)] for a in self.articles]

    def sentences(self) -> list[str]:
        """What is to be scored."""
        return [sentence for found in self.per_article for sentence in found]

    def split(self, scores: Scores) -> list[Scores]:
        """The scores of `sentences()`, article by article."""
        return list(np.split(scores, np.cumsum([len(found) for found in self.per_article])[:-1]))


EvaluationSet = LabelledSet | DirectionSet | ArticleSet | BehaviourSet


def seed_sets(root: Path) -> list[EvaluationSet]:
    """What a clone measures on by default: the test split, the articles, the behaviour suite. `root` is the clone's.

    Raises:
        UsageError: the files are not there, as outside a clone.
        DetenteError: they are damaged.
    """
    labelled = seed_sentences(root)
    test = [article for article in read_articles(root / _SEEDS[1]) if article.split == "test"]
    return [labelled, ArticleSet("articles test", test), read_behaviour(Path(__file__).parent / "behaviour.jsonl")]


def seed_sentences(root: Path) -> LabelledSet:
    """The test split of the seeds, articles' sentences among them; raises as `seed_sets` does."""
    paths = [root / name for name in _SEEDS]
    for path in paths:
        if not path.is_file():
            raise UsageError(f"{path}: no such file; run in the clone's root, or name files with --on")
    return _held_out(LabelledSet("seeds test", read_annotations(paths)), paths)


def read_sets(path: Path, *, private: bool = False) -> list[EvaluationSet]:
    """Read a file to measure on; what it holds is told from its first row.

    A row with `penta` is direction-coded, one with `capability` a behaviour case, one with `sentences` an annotated
    article (measured by sentence and by article); anything else is an annotation. Annotation files that mark splits
    are measured on their test rows. Rows without a label are left out and counted.

    Raises:
        DetenteError: naming file and line of what is wrong.
        UsageError: no such file, or of an unknown type.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    first = next(iter(read_rows(path)), None)
    if first is None:
        raise DetenteError(f"{path}: empty; expected one annotated sentence a row")
    if "penta" in first.record:
        return [DirectionSet(**vars(read_direction(path)), name=path.stem)]
    if "capability" in first.record:
        return [read_behaviour(path, private=private)]
    read = read_annotations([path], leave_out_unlabelled=True)
    if not read.rows and "label" not in first.record and "sentences" not in first.record:
        raise DetenteError(f"{path}: no column 'label'; found {', '.join(first.record)}")
    if not read.rows:
        raise DetenteError(f"{path}: none of its {read.unlabelled:,} rows has a label; annotate some first")
    labelled = _held_out(LabelledSet(path.stem, read, private), [path])
    if "sentences" not in first.record:
        return [labelled]
    articles = read_articles(path)
    test = [article for article in articles if article.split == "test"]
    return [labelled, ArticleSet(f"{path.stem} as wholes", test or articles)]


def _held_out(found: LabelledSet, paths: Sequence[Path]) -> LabelledSet:
    """The rows marked as test; all rows if the files mark no splits."""
    read = found.annotations
    if not any(row.split for row in read.rows):
        return found
    chosen = replace(read.in_split("test"), unlabelled=read.unlabelled, dropped=read.dropped)
    if not chosen.rows:
        raise DetenteError(f"{', '.join(map(str, paths))}: marks splits, but no row as test; there is nothing held out")
    return replace(found, annotations=chosen)


def read_articles(path: Path) -> list[AnnotatedArticle]:
    """Read annotated articles (`seeds/articles.jsonl` has their form). The sentences are checked as annotations are.

    Raises:
        DetenteError: an article without a label, or whatever `read_annotations` raises.
    """
    read_annotations([path], leave_out_unlabelled=True)
    articles = []
    for row in read_rows(path):
        record = row.record
        if record.get("label") not in LABELS or not record.get("sentences"):
            raise DetenteError(f"{path}:{row.line}: no annotated article; expected its label and its sentences")
        label_ids = [LABEL_IDS[span["label"]] for span in record["sentences"] if span.get("label")]
        if not label_ids:
            raise DetenteError(f"{path}:{row.line}: none of the article's sentences has a label")
        articles.append(AnnotatedArticle(record["text"], Label(record["label"]), label_ids, record.get("split", "")))
    return articles
