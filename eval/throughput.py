"""The command `python -m eval throughput [MODEL…]`: from a file of articles to a file of scored ones, how fast.

Every way in turn, in rounds, each in a process of its own; medians count. What is timed begins when the model is loaded
and warm, and ends when the output is written. Rates of one run compare; rates of two machines do not.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from detente.articles import Article, read_articles
from detente.atomic import atomic_writer, check_writable
from detente.errors import DetenteError
from detente.model import ModelDirectory, default_model_path, open_model
from eval.options import positive
from eval.report import model_names
from eval.sets import read_articles as annotated_articles
from eval.speed import PIPELINE
from eval.timing import machine, run_timed

_SEED_ARTICLES: Final = Path("seeds/articles.jsonl")


@dataclass(frozen=True)
class Throughput:
    """One way from file to file; `ratio` is to the pipeline's rate, `same_labels` the share of its labels."""

    way: str
    sentences: int
    sentences_per_second: float
    spread: float
    ratio: float
    same_labels: float
    peak_mb: float


def throughput(arguments: list[str]) -> int:
    """Time the ways and show them; returns 0.

    Raises:
        DetenteError: a way fails, or there are no articles.
    """
    options = _parsed(arguments)
    models = [open_model(path) for path in options.models or [default_model_path()]]
    names = model_names([model.path for model in models])
    ways = [(f"transformers pipeline, batch {options.batch}, {names[0]}", models[0], f"{PIPELINE}{options.batch}")]
    ways += [(f"detente score, {name}", model, options.device) for name, model in zip(names, models, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        articles = Path(folder) / "articles.jsonl"
        if not _write_articles(options.articles, options.limit, articles):
            raise DetenteError(f"{options.articles or _SEED_ARTICLES}: no articles in it")
        found = _measure(ways, articles, Path(folder), options.rounds)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("from file to file")
    for column in ("sentences/s", "ratio", "same labels", "peak MB"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found:
        rate = f"{one.sentences_per_second:.0f} ± {one.spread / 2:.0%}"
        table.add_row(escape(one.way), rate, f"{one.ratio:.2f}", f"{one.same_labels:.2%}", f"{one.peak_mb:.0f}")
    console = Console()
    console.print(table)
    host = machine()
    console.print(
        f"{found[0].sentences:,} sentences, medians of {options.rounds} rounds; {host['processor']}, {host['cores']} "
        f"cores, GPU: {host['gpu']}", highlight=False, markup=False,
    )  # fmt: skip
    if options.json:
        with atomic_writer(options.json) as file:
            report = {"ways": [asdict(one) for one in found], "rounds": options.rounds, "machine": host}
            file.write((json.dumps(report, indent=1) + "\n").encode())
    return 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m eval throughput",
        description="Time models from a JSONL file of articles to one of scored articles, against the transformers "
        "pipeline with the first model's weights over the same sentences.",
    )
    parser.add_argument("models", type=Path, nargs="*", metavar="MODEL", help="model directories (models/default)")
    parser.add_argument(
        "--articles", type=Path, metavar="FILE", help="a file of articles, as for scoring (the seeds' 135)"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N articles")
    parser.add_argument("--batch", type=positive, default=32, metavar="N", help="the pipeline's batch size (32)")
    parser.add_argument(
        "--device", choices=["cpu", "torch-cpu"], default="cpu", help="ONNX Runtime (cpu) or fp32 torch"
    )
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="rounds; medians are shown (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args(arguments)
    if options.json:
        check_writable(options.json)
    return options


def _write_articles(path: Path | None, limit: int | None, out: Path) -> int:
    """Write what both kinds of ways can read: id and text, one article a line; returns how many."""
    if path is None:
        texts = [article.text for article in annotated_articles(_SEED_ARTICLES)]
    else:
        texts = [one.text for one in islice(read_articles([path]), limit) if isinstance(one, Article)]
    texts = texts[:limit]
    out.write_text("".join(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(texts)), "utf-8")
    return len(texts)


def _measure(
    ways: Sequence[tuple[str, ModelDirectory, str]], articles: Path, folder: Path, rounds: int
) -> list[Throughput]:
    measured: list[list[dict[str, Any]]] = [[] for _ in ways]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=rounds * len(ways))
        for _ in range(rounds):
            for number, (name, model, way) in enumerate(ways):
                progress.update(task, description=escape(name))
                measured[number].append(run_timed(model.path, way, articles, folder / f"{number}.jsonl"))
                progress.advance(task)
    labels = [list(_labels(folder / f"{number}.jsonl")) for number in range(len(ways))]
    rates = [[one["sentences"] / one["seconds"] for one in found] for found in measured]
    return [
        Throughput(
            way=name,
            sentences=measured[number][0]["sentences"],
            sentences_per_second=float(np.median(rates[number])),
            spread=float(np.ptp(rates[number]) / np.median(rates[number])),
            ratio=float(np.median(rates[number]) / np.median(rates[0])),
            same_labels=float(np.mean([a == b for a, b in zip(labels[0], labels[number], strict=True)])),
            peak_mb=float(np.median([one["peak_mb"] for one in measured[number]])),
        )
        for number, (name, _, _) in enumerate(ways)
    ]


def _labels(scored: Path) -> Iterator[str]:
    with scored.open(encoding="utf-8") as file:
        for line in file:
            yield from (sentence["label"] for sentence in json.loads(line)["sentences"])
