"""The command `python -m eval memory [MODEL]`: the most memory that batch jobs of some sizes hold.

Articles are made of a few hundred of the seeds' sentences over and over, each scored once a shard, so that a job of a
million sentences takes minutes. What shows is whether memory grows with the number of articles.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from detente.annotations import read_annotations
from detente.atomic import atomic_writer, check_writable
from detente.model import default_model_path, open_model
from eval.options import positive
from eval.speed import JOB
from eval.timing import run_timed

_SEEDS: Final = Path("seeds/annotations.jsonl")
_DISTINCT: Final = 400
_SENTENCES: Final = 6  # of an article, one a line
_SEED: Final = 13


def memory(arguments: list[str]) -> int:
    """Run a batch job of each size in a process of its own and show its peak memory; returns 0.

    Raises:
        DetenteError: a job fails.
    """
    parser = argparse.ArgumentParser(
        prog="python -m eval memory",
        description="Run batch jobs of several sizes and tell the most memory that each has held. Their articles are "
        f"made of {_DISTINCT} of the seeds' sentences over and over, each scored once a shard.",
    )
    parser.add_argument("model", type=Path, nargs="?", metavar="MODEL", help="model directory (models/default)")
    parser.add_argument(
        "--articles", type=positive, nargs="+", default=[10_000, 200_000], metavar="N",
        help="sizes of the jobs in articles (10000 200000)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args(arguments)
    if options.json:
        check_writable(options.json)
    model = open_model(options.model or default_model_path())
    found = []
    for count in track(options.articles, "batch jobs", console=Console(stderr=True), transient=True):
        with tempfile.TemporaryDirectory() as folder:
            articles = Path(folder) / "articles.jsonl"
            _write_articles(articles, count)
            found.append({"articles": count, **run_timed(model.path, JOB, articles, Path(folder) / "scored")})
    _show(found)
    if options.json:
        with atomic_writer(options.json) as file:
            file.write((json.dumps({"model": model.version, "jobs": found}, indent=1) + "\n").encode())
    return 0


def _write_articles(path: Path, count: int) -> None:
    sentences = read_annotations([_SEEDS]).in_split("train").texts()[:_DISTINCT]
    drawn = np.random.default_rng(_SEED).integers(len(sentences), size=(count, _SENTENCES))
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(drawn):
            text = "\n".join(sentences[index] for index in row)
            file.write(json.dumps({"id": f"article-{number}", "text": text}) + "\n")


def _show(jobs: list[dict[str, Any]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("articles", "sentences", "seconds", "peak MB"):
        table.add_column(column, justify="right")
    for job in jobs:
        table.add_row(
            f"{job['articles']:,}", f"{job['sentences']:,}", f"{job['seconds']:,.0f}", f"{job['peak_mb']:.0f}"
        )
    Console().print(table)
