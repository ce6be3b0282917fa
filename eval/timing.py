"""Times models against each other: every way in turn, in rounds, each in a process of its own; medians count."""

import hashlib
import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from detente.atomic import atomic_writer
from detente.errors import DetenteError
from detente.inference import available_cores
from detente.labels import LABELS
from detente.model import ModelDirectory
from detente.sentences import split_sentences
from eval.metrics import figures
from eval.sets import LabelledSet, read_articles
from eval.speed import PIPELINE

KEPT: Final = Path("runs/benchmark")
_ARTICLES: Final = Path("seeds/articles.jsonl")
_EXAMPLE: Final = Path("examples/neighbours.txt")
# Sentences timed one by one; their 95th percentile rests on ten.
_SINGLE: Final = 200
_SEED: Final = 13
_PIPELINE_BATCHES: Final = (1, 32)


@dataclass(frozen=True)
class Speed:
    """Medians over rounds of one way to run a model, by name; latencies are milliseconds, cold start seconds.

    `spread` is how far the rounds' sentences a second lie apart, as a share of their median.

    `macro_f1` is that of the labels given while timing, on the timed sentences.
    """

    model: str
    way: str
    sentences_per_second: float
    spread: float
    sentence_ms_p50: float
    sentence_ms_p95: float
    article_ms_p50: float
    article_ms_p95: float
    cold_start_s: float
    peak_mb: float
    macro_f1: float


def measure_speeds(
    models: dict[str, ModelDirectory], timed: LabelledSet, rounds: int, failures: dict[str, str], console: Console
) -> list[Speed]:
    """Speed of every model, and of the transformers pipeline on the best encoder's weights.

    What was timed before is taken again if nothing that speed hangs on has changed, and no way failed.
    """
    encoders = [name for name, model in models.items() if model.manifest["kind"] == "encoder"]
    ways = [(name, "cpu") for name in models]
    if machine()["gpu"] != "none":
        ways += [(name, "cuda") for name in encoders]
    ways += [(name, f"{PIPELINE}{batch}") for name in encoders[:1] for batch in _PIPELINE_BATCHES]
    work, cold = _work(timed)
    labels = json.dumps(timed.annotations.label_ids())
    key = key_of(
        CODE, json.dumps(machine()), str(rounds), work, cold, labels, *(f"{n} {models[n].version} {w}" for n, w in ways)
    )
    kept = KEPT / "speed.json"
    if kept.is_file() and (before := json.loads(kept.read_text(encoding="utf-8")))["key"] == key:
        return [Speed(**one) for one in before["speeds"]]
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {way: [] for way in ways}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, Progress(console=console, transient=True) as progress:
        files = Path(folder) / "work.json", Path(folder) / "cold.json"
        for file, text in zip(files, (work, cold), strict=True):
            file.write_text(text, encoding="utf-8")
        task = progress.add_task("timing", total=rounds * len(ways))
        for _ in range(rounds):
            for name, way in ways:
                progress.update(task, description=escape(f"timing {name}, {way}"))
                try:
                    measured[name, way].append(_timed(models[name].path, way, *files))
                except DetenteError as error:
                    failed[f"{name}, {way}"] = str(error)
                progress.advance(task)
    speeds = [_summary(name, way, found, timed) for (name, way), found in measured.items() if found]
    failures |= failed
    if not failed:
        KEPT.mkdir(parents=True, exist_ok=True)
        with atomic_writer(kept) as output:
            output.write(json.dumps({"key": key, "speeds": [asdict(one) for one in speeds]}).encode())
    return speeds


def _work(timed: LabelledSet) -> tuple[str, str]:
    """What a process is given to time, as JSON: all sentences, some singly, the articles; and one article alone."""
    sentences = timed.sentences()
    single = np.random.default_rng(_SEED).choice(len(sentences), min(_SINGLE, len(sentences)), replace=False)
    articles = [[a.text[start:end] for start, end in split_sentences(a.text)] for a in read_articles(_ARTICLES)]
    example = _EXAMPLE.read_text(encoding="utf-8")
    one = [[example[start:end] for start, end in split_sentences(example)]]
    work = {"sentences": sentences, "single": [sentences[int(i)] for i in single], "articles": articles}
    return json.dumps(work), json.dumps({"sentences": [], "single": [], "articles": one})


def _timed(model: Path, way: str, work: Path, cold: Path) -> dict[str, Any]:
    """One round of one way: the figures of a process that scores much, and how long one takes for an article."""
    started = time.perf_counter()
    if way == "cpu":
        _run(["-m", "detente", "score", str(_EXAMPLE), "--model", str(model)])
    else:
        _run(["-m", "eval.speed", str(model), way, str(cold)])
    seconds = time.perf_counter() - started
    return {**run_timed(model, way, work), "cold_start_s": seconds}


def run_timed(model: Path, way: str, *files: Path) -> dict[str, Any]:
    """The figures that `eval.speed` prints for one way, run in a process of its own.

    Raises:
        DetenteError: it failed.
    """
    printed = _run(["-m", "eval.speed", str(model), way, *map(str, files)]).splitlines()
    if not printed:
        raise DetenteError("it ended without a figure")
    figures: dict[str, Any] = json.loads(printed[-1])
    return figures


def _run(arguments: list[str]) -> str:
    done = subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DetenteError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return done.stdout


def _summary(name: str, way: str, rounds: list[dict[str, Any]], timed: LabelledSet) -> Speed:
    def median(values: list[float]) -> float:
        return float(np.median(values))

    rates = [one["sentences_per_second"] for one in rounds]
    ids = [LABELS.index(label) for label in rounds[0]["labels"]]
    one_hot = np.eye(len(LABELS), dtype=np.float32)[ids]
    return Speed(
        model=name,
        way=way,
        sentences_per_second=median(rates),
        spread=float(np.ptp(rates)) / median(rates),
        sentence_ms_p50=median([float(np.percentile(one["sentence_ms"], 50)) for one in rounds]),
        sentence_ms_p95=median([float(np.percentile(one["sentence_ms"], 95)) for one in rounds]),
        article_ms_p50=median([float(np.percentile(one["article_ms"], 50)) for one in rounds]),
        article_ms_p95=median([float(np.percentile(one["article_ms"], 95)) for one in rounds]),
        cold_start_s=median([one["cold_start_s"] for one in rounds]),
        peak_mb=median([one["peak_mb"] for one in rounds]),
        macro_f1=figures(timed.annotations.label_ids(), one_hot).macro_f1,
    )


def machine() -> dict[str, str]:
    """What speeds depend on beside the models."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": str(available_cores()),
        "gpu": _gpu_name(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("onnxruntime", "tokenizers", "torch", "transformers")},
    }


def _gpu_name() -> str:
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "none"


def key_of(*parts: str) -> str:
    """24 hex digits that stand for some texts together."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _code() -> str:
    package, here = Path(__file__).parent.parent / "detente", Path(__file__)
    files = [*sorted(package.glob("*.py")), here, here.with_name("speed.py")]
    return key_of(*(file.read_text(encoding="utf-8") for file in files))


# Of the code that scores and times, as it was when it was imported: training may take an hour in which it is edited.
CODE: Final = _code()
