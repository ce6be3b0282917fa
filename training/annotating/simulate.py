"""The command `python -m training simulate`: how many annotations each way of choosing them needs for the same model.

Sentences whose labels are known play the pool: a label is looked at only when a strategy has chosen its sentence. The
learner is logistic regression on a pretrained encoder's sentence vectors, which trains in a moment; fine-tuning gains
from the same sentences, but not by as much. Measured on the validation split, since strategies are chosen by it.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits
from transformers import AutoTokenizer

from detente.atomic import atomic_writer, check_outputs
from detente.errors import UsageError
from detente.inference import Scores
from detente.labels import LABELS
from training.annotating import selection
from training.annotating.curves import Curves, chart, table, to_json
from training.config import FrozenVariant, annotation_file, read_variant
from training.data import Splits, load_splits
from training.encoders import find_encoder
from training.export import batched_logits
from training.frozen import FrozenClassifier

Vectors = npt.NDArray[np.float32]
# From scores (rows, 3) and vectors (rows, size) of what is not annotated yet: the indices of n rows to annotate.
Strategy = Callable[[Scores, Vectors, int, np.random.Generator], Sequence[int]]

_CONFIG: Final = Path("configs/frozen-minilm.yaml")
_FIRST: Final = 50
_EACH_ROUND: Final = 50


def random(scores: Scores, vectors: Vectors, n: int, rng: np.random.Generator) -> Sequence[int]:  # noqa: ARG001
    """Any `n` of them: what the others are measured against."""
    return rng.choice(len(scores), n, replace=False).tolist()  # type: ignore[no-any-return]


def _by_guess(
    priority: Callable[[Scores, np.random.Generator], selection.Floats],
    choose: Callable[[Vectors, selection.Floats, int, np.random.Generator], Sequence[int]],
) -> Strategy:
    """As `suggest` does it: a quota for each guess, and of those with the highest priorities `choose` picks."""

    def strategy(scores: Scores, vectors: Vectors, n: int, rng: np.random.Generator) -> Sequence[int]:
        guesses, priorities = scores.argmax(axis=1), priority(scores, rng)
        in_pool = np.bincount(guesses, minlength=len(LABELS)).tolist()
        chosen: list[int] = []
        for guess, quota in enumerate(selection.quotas(n, in_pool, in_pool)):
            rows = np.flatnonzero(guesses == guess)
            rows = rows[np.argsort(-priorities[rows], kind="stable")][: quota * selection.CANDIDATES]
            chosen += rows[list(choose(vectors[rows], priorities[rows], quota, rng))].tolist()
        return chosen

    return strategy


def _first(vectors: Vectors, priorities: selection.Floats, n: int, rng: np.random.Generator) -> Sequence[int]:  # noqa: ARG001
    return range(n)


STRATEGIES: Final[dict[str, Strategy]] = {
    "random": random,
    "margin": _by_guess(lambda scores, _: 1 - selection.margin(scores), _first),
    "entropy": _by_guess(lambda scores, _: selection.entropy(scores), _first),
    "diverse": _by_guess(lambda scores, rng: rng.random(len(scores)), lambda v, _p, n, _r: selection.k_centre(v, n)),
    "mixed": _by_guess(
        lambda scores, _: 1 - selection.margin(scores),
        lambda v, p, n, rng: selection.one_of_each_cluster(v, p, n, int(rng.integers(2**31))),
    ),
}


@dataclass(frozen=True)
class Pool:
    """Sentences to choose from and to measure on, as vectors (rows, size) and label ids (rows,).

    `inverse_regularisation` is that of the logistic regressions which learn from them.
    """

    name: str
    vectors: Vectors
    label_ids: npt.NDArray[np.int64]
    measured_vectors: Vectors
    measured_label_ids: npt.NDArray[np.int64]
    inverse_regularisation: float


def command(arguments: list[str]) -> int:
    """Run the command; returns the exit code.

    Raises:
        UsageError: nowhere to write, two pools of one name, or one that is not large enough.
        DetenteError: annotation files that do not pass the checks.
    """
    options = _parsed(arguments)
    variant = read_variant(_CONFIG)
    if not isinstance(variant, FrozenVariant):
        raise UsageError(f"{_CONFIG}: expected a variant of kind frozen")
    files = [annotation_file(name).path for name in variant.annotations]
    check_outputs([_CONFIG, *files, *options.pool], options.out, options.json)
    sources = {"seeds": variant.annotations}
    for path in options.pool:
        if path.stem in sources:
            raise UsageError(f"{path}: its figures would be taken for others called {path.stem}; rename the file")
        sources[path.stem] = (str(path),)
    console = Console(stderr=True)
    found = []
    for name, annotations in sources.items():
        splits = load_splits(FrozenVariant(name=name, encoder=variant.encoder, annotations=annotations))
        if len(splits.train.rows) < options.up_to:
            raise UsageError(f"{name}: has {len(splits.train.rows):,} sentences to choose from; lower --up-to")
        console.print(f"{name}: vectors of {len(splits.train.rows) + len(splits.validation.rows):,} sentences")
        found.append(simulate(_pool(name, splits, variant), STRATEGIES, options.seeds, options.up_to, console))
    with atomic_writer(options.out) as file:
        file.write(chart(found).encode())
    if options.json:
        with atomic_writer(options.json) as file:
            file.write(json.dumps([to_json(curves) for curves in found], indent=2).encode() + b"\n")
    for curves in found:
        Console(highlight=False).print(table(curves))
    return 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training simulate",
        description="Hide the labels of annotated sentences, let each strategy choose whose to reveal, 50 a round, and "
        "draw macro-F1 on their validation split against the number revealed. No sentence is written anywhere.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the chart goes (.svg)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, of every seed and round")
    parser.add_argument(
        "--pool", type=Path, nargs="+", default=[], metavar="FILE",
        help="annotation files that are a pool of their own, each, beside the seeds",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="repeats, each with another start (5)")
    parser.add_argument("--up-to", type=int, default=1000, metavar="N", help="annotations to go up to (1000)")
    options = parser.parse_args(arguments)
    if options.seeds < 2 or options.up_to < _FIRST + _EACH_ROUND:  # noqa: PLR2004
        raise UsageError(f"expected at least 2 --seeds and --up-to {_FIRST + _EACH_ROUND}")
    return options


def _pool(name: str, splits: Splits, variant: FrozenVariant) -> Pool:
    folder = find_encoder(variant)
    tokenizer, encoder = AutoTokenizer.from_pretrained(folder), FrozenClassifier(folder).eval()
    vectors = [
        batched_logits(encoder.vectors, tokenizer, split.texts(), variant.max_length)
        for split in (splits.train, splits.validation)
    ]
    label_ids = [np.array(split.label_ids()) for split in (splits.train, splits.validation)]
    return Pool(name, vectors[0], label_ids[0], vectors[1], label_ids[1], variant.inverse_regularisation)


def simulate(
    pool: Pool, strategies: dict[str, Strategy], seeds: int, up_to: int, console: Console | None = None
) -> Curves:
    """Play every strategy through, `seeds` times; those of one seed start from the same random sentences."""
    annotations = list(range(_FIRST, up_to + 1, _EACH_ROUND))
    macro_f1 = {name: np.zeros((seeds, len(annotations))) for name in strategies}
    # More threads wait for each other as soon as anything else runs on the cores.
    with threadpool_limits(1), Progress(console=console, transient=True, disable=console is None) as progress:
        task = progress.add_task(pool.name, total=seeds * len(strategies))
        for seed in range(seeds):
            for name, strategy in strategies.items():
                macro_f1[name][seed] = _play(pool, strategy, len(annotations), np.random.default_rng(seed))
                progress.advance(task)
        whole = _fit(pool, np.arange(len(pool.vectors)))
    sizes = len(pool.vectors), len(pool.measured_vectors)
    return Curves(pool.name, *sizes, annotations, macro_f1, _macro_f1(whole, pool))


def _play(pool: Pool, strategy: Strategy, rounds: int, rng: np.random.Generator) -> list[float]:
    revealed = rng.choice(len(pool.vectors), _FIRST, replace=False)
    learner = _fit(pool, revealed)
    found = [_macro_f1(learner, pool)]
    for _ in range(rounds - 1):
        hidden = np.setdiff1d(np.arange(len(pool.vectors)), revealed)
        chosen = strategy(_scores(learner, pool.vectors[hidden]), pool.vectors[hidden], _EACH_ROUND, rng)
        revealed = np.concatenate([revealed, hidden[list(chosen)]])
        learner = _fit(pool, revealed)
        found.append(_macro_f1(learner, pool))
    return found


def _fit(pool: Pool, revealed: npt.NDArray[np.integer]) -> LogisticRegression | DummyClassifier:
    label_ids = pool.label_ids[revealed]
    if len(set(label_ids.tolist())) == 1:
        return DummyClassifier().fit(pool.vectors[revealed], label_ids)
    learner = LogisticRegression(C=pool.inverse_regularisation, class_weight="balanced", max_iter=2000)
    return learner.fit(pool.vectors[revealed], label_ids)


def _scores(learner: LogisticRegression | DummyClassifier, vectors: Vectors) -> Scores:
    """Scores, shape (rows, 3), also where the learner has not met every label yet."""
    scores: Scores = np.zeros((len(vectors), len(LABELS)), np.float32)
    scores[:, learner.classes_] = learner.predict_proba(vectors)
    return scores


def _macro_f1(learner: LogisticRegression | DummyClassifier, pool: Pool) -> float:
    found = learner.predict(pool.measured_vectors)
    return float(f1_score(pool.measured_label_ids, found, average="macro", labels=range(len(LABELS)), zero_division=0))
