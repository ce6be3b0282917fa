"""Times one way to run one model, in a process of its own.

`python -m eval.speed MODEL WAY WORK.json` times sentences and articles that are in memory, `python -m eval.speed MODEL
WAY ARTICLES.jsonl SCORED.jsonl` goes from a file of articles to a file of scored ones, or with the way `job` to a batch
job's folder.

Ways: `cpu` (ONNX Runtime), a torch device such as `cuda`, and `pipeline-N`, the transformers pipeline at batch size N,
which is what a notebook would do. Imports little, since its peak memory is one of the figures.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

PIPELINE: Final = "pipeline-"
JOB: Final = "job"
_WARM_UP: Final = 32
# Linux counts in kilobytes, macOS in bytes.
_MAXRSS_BYTES: Final = 1 if sys.platform == "darwin" else 1024

Label = Callable[[Sequence[str]], list[str]]


def main() -> None:
    """Time the way and print the figures as one JSON line."""
    model, way = Path(sys.argv[1]), sys.argv[2]
    if way == JOB:
        _batch_job(model, Path(sys.argv[3]), Path(sys.argv[4]))
    elif len(sys.argv) > 4:  # noqa: PLR2004 - two files
        _end_to_end(model, way, Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        _in_memory(model, way, json.loads(Path(sys.argv[3]).read_text(encoding="utf-8")))


def _in_memory(model: Path, way: str, work: dict[str, Any]) -> None:
    """With no sentences to time, label one article and end."""
    label = _pipeline(model, int(way.removeprefix(PIPELINE))) if way.startswith(PIPELINE) else _classifier(model, way)
    sentences, articles = work["sentences"], work["articles"]
    label((sentences or articles[0])[:_WARM_UP])
    if not sentences:
        return
    started = time.perf_counter()
    labels = label(sentences)
    seconds = time.perf_counter() - started
    figures: dict[str, Any] = {
        "sentences_per_second": len(sentences) / seconds,
        "sentence_ms": _latencies(label, [[sentence] for sentence in work["single"]]),
        "article_ms": _latencies(label, articles),
        "peak_mb": _peak_mb(),
        "labels": labels,
    }
    print(json.dumps(figures))  # noqa: T201 - what the benchmark reads


def _end_to_end(model: Path, way: str, articles: Path, scored: Path) -> None:
    """Score a file of articles once the model is loaded and warm; print sentences, seconds and peak memory."""
    score = (
        _notebook(model, way, articles, scored) if way.startswith(PIPELINE) else _command(model, way, articles, scored)
    )
    started = time.perf_counter()
    sentences = score()
    seconds = time.perf_counter() - started
    print(json.dumps({"sentences": sentences, "seconds": seconds, "peak_mb": _peak_mb()}))  # noqa: T201


def _batch_job(model: Path, articles: Path, out: Path) -> None:
    """Run `detente score ARTICLES --out FOLDER`; print sentences, seconds and peak memory."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "detente", "score", str(articles), "--out", str(out), "--model", str(model)]
    done = subprocess.run(command, check=False)  # noqa: S603 - our own command
    if done.returncode:
        sys.exit(done.returncode)  # it has said why
    seconds = time.perf_counter() - started
    # The child's own, since this process, from which it inherits the figure, has had less.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _MAXRSS_BYTES / 1e6
    sentences = json.loads((out / "summary.json").read_text(encoding="utf-8"))["sentences"]
    print(json.dumps({"sentences": sentences, "seconds": seconds, "peak_mb": peak}))  # noqa: T201


def _command(model: Path, device: str, articles: Path, scored: Path) -> Callable[[], int]:
    """What `detente score ARTICLES --out SCORED` does."""
    from detente.articles import Article, read_articles
    from detente.formats import OutputFormat
    from detente.scoring import Scorer
    from detente.writers import open_writer

    scorer = Scorer(model, device)
    scorer.score_sentences(["Talks resume on Monday."] * _WARM_UP)

    def score() -> int:
        sentences = 0
        good = (one for one in read_articles([articles]) if isinstance(one, Article))
        with open_writer(scored, OutputFormat.JSONL) as write:
            for article in scorer.score_articles(good):
                write(article)
                sentences += len(article.sentences)
        return sentences

    return score


def _notebook(model: Path, way: str, articles: Path, scored: Path) -> Callable[[], int]:
    """The same with the transformers pipeline over the same sentences, in the order in which they come."""
    from detente.sentences import split_sentences

    label = _pipeline(model, int(way.removeprefix(PIPELINE)))
    label(["Talks resume on Monday."] * _WARM_UP)

    def score() -> int:
        records = [json.loads(line) for line in articles.read_text(encoding="utf-8").splitlines()]
        spans = [split_sentences(record["text"]) for record in records]
        texts = [r["text"][start:end] for r, found in zip(records, spans, strict=True) for start, end in found]
        labels = iter(label(texts))
        with scored.open("w", encoding="utf-8") as file:
            for record, found in zip(records, spans, strict=True):
                sentences = [{"start": start, "end": end, "label": next(labels)} for start, end in found]
                file.write(json.dumps({"id": record["id"], "sentences": sentences}) + "\n")
        return len(texts)

    return score


def _latencies(label: Label, inputs: Sequence[Sequence[str]]) -> list[float]:
    """Milliseconds of each input on its own, shape (inputs,)."""
    found = []
    for sentences in inputs:
        started = time.perf_counter()
        label(sentences)
        found.append(1000 * (time.perf_counter() - started))
    return found


def _peak_mb() -> float:
    """The most memory that this process has had, in megabytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not ru_maxrss, which on Linux a process inherits from the one that started it.
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES / 1e6


def _classifier(model: Path, device: str) -> Label:
    from detente.inference import load_classifier
    from detente.labels import LABELS
    from detente.model import open_model

    classifier = load_classifier(open_model(model), device)
    return lambda sentences: [str(LABELS[index]) for index in classifier.score(sentences).argmax(axis=1)]


def _pipeline(model: Path, batch_size: int) -> Label:
    from transformers import pipeline
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()
    set_verbosity_error()
    classify = pipeline("text-classification", model=str(model), device="cpu", truncation=True)
    return lambda sentences: [found["label"] for found in classify(list(sentences), batch_size=batch_size)]


if __name__ == "__main__":
    main()
