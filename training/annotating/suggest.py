"""The command `python -m training suggest`: chooses the sentences of unread articles that are worth annotating."""

import argparse
import hashlib
import logging
import shlex
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from detente.annotations import read_annotations, text_fingerprint
from detente.articles import Article, BadArticle, article_files, read_articles
from detente.atomic import check_outputs
from detente.errors import DetenteError, UsageError
from detente.files import MAX_LINE, open_input, read_lines
from detente.labels import LABELS, Label
from detente.model import ModelDirectory, open_model, training_texts
from detente.scoring import Scorer
from training.annotating import selection
from training.annotating.pool import Pool
from training.annotating.tasks import Task, write_tasks
from training.config import SERVICE, Variant

log = logging.getLogger(__name__)

_STRATEGIES: Final = {
    "mixed": "uncertain ones that differ: of ten times as many with the smallest margin, one of each k-means cluster",
    "margin": "those whose two highest scores are closest",
    "entropy": "those whose scores are most even",
    "diverse": "k-centre: of a random sample ten times as large, those that leave none of it far from a chosen one",
    "random": "a fair sample of the pool, whatever the guess: the control",
}
_NEED_VECTORS: Final = ("mixed", "diverse")
_LINES_HELD: Final = 2048


def command(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.n < 1:
        raise UsageError(f"--n is {options.n}; expected at least 1")
    if options.out.suffix.lower() != ".jsonl":
        raise UsageError(f"{options.out}: a task file is JSON lines; give it a name that ends in .jsonl")
    read = options.articles if options.lines else article_files(options.articles)
    check_outputs([*read, *map(Path, Variant.annotations), *options.annotated], options.out)
    if options.out.exists():
        raise UsageError(f"{options.out}: is there already, and people may be annotating its tasks; name another file")
    model = open_model(options.model)
    if options.strategy in _NEED_VECTORS and model.manifest["kind"] != "encoder":
        kind = f"{options.model}: is of kind {model.manifest['kind']}, which gives no sentence vectors"
        raise UsageError(f"{kind}; add --strategy margin, which needs none")
    annotated = read_annotations([*map(Path, Variant.annotations), *options.annotated]).texts()
    known = {text_fingerprint(text) for text in annotated}
    if not options.also_learned:
        known |= training_texts(model)
    pool = Pool(options.n * selection.CANDIDATES, known)
    unreadable = _fill(pool, options)
    candidates = pool.candidates(annotated)
    chosen = _choose(options, pool, candidates, model)
    if not chosen:
        raise DetenteError(f"no sentence to choose among {pool.read:,}: {_listed(pool)}{_hint(options)}")
    # In random order, so that those who stop half-way have annotated a fair part.
    chosen.sort(key=lambda task: _random(options.seed + 1, task.text))
    write_tasks(options.out, chosen)
    _sum_up(options, pool, chosen, unreadable)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training suggest",
        description="Choose the sentences of unread articles that are worth annotating, and write them as a task file "
        "with the model's guesses. At least a quarter of them has each guess, as far as there are enough (not with "
        "--strategy random). None is annotated already, or nearly the same as one that is.",
        epilog="Strategies: " + "; ".join(f"{name}: {what}" for name, what in _STRATEGIES.items()) + ".",
    )
    parser.add_argument("articles", type=Path, nargs="+", metavar="ARTICLES", help="files or folders, as for scoring")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="task file to write (.jsonl)")
    parser.add_argument("--n", type=int, default=200, metavar="N", help="sentences to choose (200)")
    parser.add_argument("--strategy", choices=_STRATEGIES, default="mixed", help="how (mixed); see below")
    parser.add_argument("--model", type=Path, default=SERVICE, metavar="DIR", help=f"({SERVICE})")
    parser.add_argument(
        "--annotated", type=Path, nargs="+", default=[], metavar="FILE",
        help="annotation files whose sentences are not to be chosen again, beside the seeds",
    )  # fmt: skip
    parser.add_argument(
        "--also-learned", action="store_true",
        help="also sentences that the model was trained on: those that it learned from teachers have no annotation",
    )  # fmt: skip
    parser.add_argument("--lines", action="store_true", help="ARTICLES are text files with one sentence a line")
    parser.add_argument("--seed", type=int, default=13, metavar="N", help="of what is drawn at random (13)")
    return parser


def _fill(pool: Pool, options: argparse.Namespace) -> int:
    """Put all sentences into the pool; returns how many articles or lines could not be read, each named."""
    unreadable = 0
    scorer = Scorer(options.model)
    columns = (TextColumn("{task.completed:,} sentences scored"), TimeElapsedColumn())
    found = _from_lines(options.articles, scorer) if options.lines else _from_articles(options.articles, scorer)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for task in progress.track(found, total=None):
            if isinstance(task, BadArticle):
                unreadable += 1
                log.warning("bad: %s: %s", task.where, task.reason)
                continue
            scores = np.array([task.scores])
            margin = float(selection.margin(scores)[0])
            match options.strategy:
                case "mixed" | "margin":
                    priority = 1 - margin
                case "entropy":
                    priority = float(selection.entropy(scores)[0])
                case _:
                    priority = _random(options.seed, task.text)
            pool.add(task, margin, priority)
    return unreadable


def _from_articles(paths: Sequence[Path], scorer: Scorer) -> Iterator[Task | BadArticle]:
    """The sentences of articles, split and scored as `detente score` does; the titles among them."""
    bad: list[BadArticle] = []

    def readable() -> Iterator[Article]:
        for article in read_articles(article_files(paths)):
            if isinstance(article, BadArticle):
                bad.append(article)
            else:
                yield article

    for article in scorer.score_articles(readable()):
        source = article.metadata.get("source")
        for number, sentence in enumerate(article.sentences, start=1):
            yield Task(
                id=f"{article.id}-{number:02d}",
                text=article.sentence_text(sentence),
                group=article.id,
                source=source if isinstance(source, str) else "",
                guess=sentence.label,
                scores=sentence.scores,
                model=article.model,
            )
    yield from bad


def _from_lines(paths: Sequence[Path], scorer: Scorer) -> Iterator[Task | BadArticle]:
    """The lines of text files, each a sentence that stands for itself."""
    for path in paths:
        with open_input(path) as file:
            lines = enumerate(read_lines(file), start=1)
            while held := list(islice(lines, _LINES_HELD)):
                texts: dict[int, str] = {}
                for number, raw in held:
                    try:
                        texts[number] = (raw or b"").decode("utf-8-sig").strip()
                    except UnicodeDecodeError:
                        yield BadArticle(f"{path}:{number}", "invalid UTF-8; save the file as UTF-8")
                    if raw is None:
                        yield BadArticle(f"{path}:{number}", f"the line is longer than {MAX_LINE:,} bytes")
                texts = {number: text for number, text in texts.items() if text}
                for text, row in zip(texts.values(), scorer.score_sentences([*texts.values()]), strict=True):
                    escalation, de_escalation, neutral = (round(float(score), 4) for score in row)
                    yield Task(
                        # The line's number would be another sentence's when the file has grown.
                        id=f"{path.stem}-{text_fingerprint(text)}",
                        text=text,
                        guess=LABELS[int(row.argmax())],
                        scores=(escalation, de_escalation, neutral),
                        model=scorer.model,
                    )


def _random(seed: int, text: str) -> float:
    """A number in [0, 1) that is drawn by seed and text alone, so that the order of the pool does not matter."""
    return int(hashlib.sha256(f"{seed} {text_fingerprint(text)}".encode()).hexdigest()[:13], 16) / 16**13


def _choose(
    options: argparse.Namespace,
    pool: Pool,
    candidates: dict[Label, list[tuple[float, Task]]],
    model: ModelDirectory,
) -> list[Task]:
    if options.strategy == "random":
        drawn = sorted((entry for found in candidates.values() for entry in found), key=lambda entry: -entry[0])
        return [task for _, task in drawn[: options.n]]
    available = [len(candidates[label]) for label in LABELS]
    wanted = selection.quotas(options.n, [pool.by_guess[label] for label in LABELS], available)
    if options.strategy not in _NEED_VECTORS:
        return [task for label, quota in zip(LABELS, wanted, strict=True) for _, task in candidates[label][:quota]]
    first = [candidates[label][: quota * selection.CANDIDATES] for label, quota in zip(LABELS, wanted, strict=True)]
    texts = [task.text for entries in first for _, task in entries]
    from training.annotating.vectors import sentence_vectors  # torch takes seconds to import

    vectors = sentence_vectors(model.path, texts, model.manifest["max_length"])
    chosen: list[Task] = []
    for entries, quota in zip(first, wanted, strict=True):
        own, vectors = vectors[: len(entries)], vectors[len(entries) :]
        if options.strategy == "diverse":
            indices = selection.k_centre(own, quota)
        else:
            priorities = np.array([priority for priority, _ in entries])
            indices = selection.one_of_each_cluster(own, priorities, quota, options.seed)
        chosen += [entries[index][1] for index in indices]
    return chosen


def _listed(pool: Pool) -> str:
    return ", ".join(f"{count:,} {why}" for why, count in pool.dropped.items() if count) or "none left out"


def _hint(options: argparse.Namespace) -> str:
    return "" if options.also_learned else "; --also-learned takes what the model has learned without annotation"


def _sum_up(options: argparse.Namespace, pool: Pool, chosen: list[Task], unreadable: int) -> None:
    guesses = [task.guess for task in chosen]
    margins = selection.margin(np.array([task.scores for task in chosen]))
    by_guess = ", ".join(f"{label} {guesses.count(label)} of {pool.by_guess[label]:,}" for label in LABELS)
    lines = [f"read: {pool.read:,} sentences" + (f"; {unreadable:,} that could not be read" if unreadable else "")]
    lines += [f"left out: {_listed(pool)}{_hint(options) if len(chosen) < options.n else ''}"]
    lines += [f"chosen: {len(chosen):,} of {options.n:,} asked for, by guess: {by_guess}"]
    lines += [f"mean margin: {margins.mean():.3f}, of the pool {pool.margins / pool.by_guess.total():.3f}"]
    following = ["export", str(options.out), "--tool", "label-studio", "--out", str(options.out.with_suffix(".json"))]
    lines += [f"{options.out} written; next: python -m training {shlex.join(following)}"]
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for line in lines:
        console.print(line)
