"""The command `python -m eval benchmark CONFIG… [--model DIR…]`: trains what is missing, measures all, ranks them.

Training, quality and speed are each done again only for what changed. Speeds compare only within one run on one
machine, so that one new model has all of them timed anew, in rounds that take every model in turn.
"""

import argparse
import graphlib
import itertools
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from detente.atomic import atomic_writer, check_writable
from detente.errors import DetenteError, UsageError
from detente.inference import Scores, load_classifier
from detente.model import ModelDirectory, open_model
from eval.compare import better, headline
from eval.leaderboard import Leaderboard, write_leaderboard
from eval.options import add_sets, chosen_sets, positive
from eval.report import make_report, warnings
from eval.sets import EvaluationSet, LabelledSet, seed_sentences
from eval.timing import CODE, KEPT, key_of, machine, measure_speeds

_DATA: Final = {".jsonl", ".csv", ".tsv", ".parquet"}


def command(arguments: list[str]) -> int:
    """Run the command; returns the exit code: 1 if a variant failed.

    Raises:
        UsageError: nothing to benchmark, or nowhere to write.
        DetenteError: nothing could be measured, or what to measure on is damaged.
    """
    options = _parsed(arguments)
    console = Console(stderr=True)
    sets, timed = chosen_sets(options), seed_sentences(Path())
    failures: dict[str, str] = {}
    paths = [*_train(options.configs, failures, console), *options.model]
    scored = _score(paths, sets, failures, console)
    if not scored:
        raise DetenteError("\n".join(["no variant could be measured", *(f"{k}: {v}" for k, v in failures.items())]))
    # The best on the first set of sentences leads, and the others are compared with it.
    ranking = next((number for number, one in enumerate(sets) if isinstance(one, LabelledSet)), 0)
    scored.sort(key=lambda one: -better(sets[ranking], headline(sets[ranking], one.scores[ranking])))
    models = [one.model for one in scored]
    report = make_report(models, sets, lambda number, found: scored[number].scores[sets.index(found)], "cpu",
                         options.draws)  # fmt: skip
    speeds = measure_speeds(dict(zip(report.models, models, strict=True)), timed, options.rounds, failures, console)
    leaderboard = Leaderboard(
        report=report,
        speeds=speeds,
        sizes_mb={n: _size_mb(m) for n, m in zip(report.models, models, strict=True)},
        training_minutes={n: _minutes(m) for n, m in zip(report.models, models, strict=True)},
        failures=failures,
        machine=machine(),
        command=_command(arguments),
        warnings=warnings(report),
        ranked_by=sets[ranking].name,
        timed_sentences=len(timed.sentences()),
    )
    write_leaderboard(leaderboard, options.out)
    console.print(f"{options.out}/LEADERBOARD.md written; models: {len(models)}, failures: {len(failures)}")
    for warning in leaderboard.warnings:
        console.print(f"[bold red]WARNING[/] {escape(warning)}", highlight=False)
    for name, reason in failures.items():
        console.print(f"[red]failed[/] {escape(name)}: {escape(reason)}", highlight=False)
    return 1 if failures else 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m eval benchmark",
        description="Train the variants that are missing or whose config, data or code changed, measure all of them on "
        "the same sets and machine, and write LEADERBOARD.md, leaderboard.json and leaderboard.svg. A variant that "
        "fails is reported, and the others go on.",
    )
    parser.add_argument("configs", type=Path, nargs="*", metavar="CONFIG", help="variants, such as configs/*.yaml")
    parser.add_argument(
        "--model", type=Path, nargs="+", action="extend", default=[], metavar="DIR", help="models that exist already"
    )
    add_sets(parser)
    parser.add_argument("--rounds", type=positive, default=3, help="rounds of timing; medians are reported (3)")
    parser.add_argument("--out", type=Path, default=Path("eval"), metavar="DIR", help="where the results go (eval)")
    options = parser.parse_args(arguments)
    if not options.configs and not options.model:
        raise UsageError("nothing to benchmark; name configs, such as configs/*.yaml, or --model DIR")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{options.out}: no folder for the results: {error.strerror}") from error
    check_writable(options.out / "LEADERBOARD.md")
    return options


def _command(arguments: list[str]) -> str:
    """What was typed, without the folders of files: they are of one machine, and may be private."""
    names = [Path(a).name if os.sep in a and Path(a).suffix in _DATA else a for a in arguments]
    return shlex.join(["python", "-m", "eval", "benchmark", *names])


def _in_order(configs: Sequence[Path]) -> dict[Path, set[Path]]:
    """Configs, each with those it needs (it names their model directory, as of its teacher), which come before it.

    Raises:
        UsageError: two configs would write one model directory, or need each other.
    """
    made = {Path("models") / config.stem: config for config in configs}
    for config in configs:
        other = made[Path("models") / config.stem]
        if other != config:
            raise UsageError(f"{other} and {config}: both would write models/{config.stem}; rename one")
    needs: dict[Path, set[Path]] = {}
    for config in configs:
        try:
            values = yaml.safe_load(config.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            values = None  # training says what is wrong with it
        lists = (
            [value if isinstance(value, list) else [value] for value in values.values()]
            if isinstance(values, dict)
            else []
        )
        named = {Path(value) for value in itertools.chain(*lists) if isinstance(value, str)}
        needs[config] = {made[path] for path in named if path in made} - {config}
    try:
        return {config: needs[config] for config in graphlib.TopologicalSorter(needs).static_order()}
    except graphlib.CycleError as error:
        raise UsageError(f"{', '.join(map(str, error.args[1]))}: need each other; one has to come first") from error


def _train(configs: Sequence[Path], failures: dict[str, str], console: Console) -> list[Path]:
    """Train what changed, each in a process of its own; returns the model directories that are there."""
    there = []
    for number, (config, needs) in enumerate(_in_order(list(dict.fromkeys(configs))).items(), start=1):
        console.print(f"[bold]\\[{number}/{len(configs)}] {escape(str(config))}[/]", highlight=False)
        missing = [one.stem for one in needs if one.stem in failures]
        # Not from the model that its parent left behind earlier.
        reason = f"needs {', '.join(missing)}, which failed" if missing else _run_training(config)
        if reason is None:
            there.append(Path("models") / config.stem)
        else:
            failures[config.stem] = reason
    return there


def _run_training(config: Path) -> str | None:
    """Train one variant if it changed; returns why that failed, if it did."""
    arguments = [sys.executable, "-m", "training", str(config), "--if-changed"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE) as process:  # noqa: S603 - our own command
        tail = b""
        # Passed on as it comes, since it holds training's progress bar.
        while process.stderr and (chunk := os.read(process.stderr.fileno(), 4096)):
            sys.stderr.buffer.write(chunk)
            sys.stderr.flush()
            tail = (tail + chunk)[-4096:]
    if process.returncode == 0:
        return None
    lines = tail.decode(errors="replace").strip().splitlines()
    told = [line.removeprefix("training: ") for line in lines if line.startswith("training: ")]
    return told[0] if told else (lines or [f"exit code {process.returncode}"])[-1]


def _finite(scores: Scores) -> Scores:
    if not np.isfinite(scores).all():
        raise DetenteError("gives scores that are no numbers")
    return scores


@dataclass(frozen=True)
class _Scored:
    model: ModelDirectory
    scores: list[Scores]


def _score(
    paths: Sequence[Path], sets: Sequence[EvaluationSet], failures: dict[str, str], console: Console
) -> list[_Scored]:
    """Scores of every model on every set; kept, so that the same model scores the same sentences once."""
    scored = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("scoring", total=len(paths) * len(sets))
        for path in dict.fromkeys(paths):
            progress.update(task, description=escape(f"scoring with {path.name}"))
            try:
                model = open_model(path)
                classifier = None
                found = []
                run_by = json.dumps([model.version, model.manifest, CODE, machine()], sort_keys=True)
                for one in sets:
                    kept = KEPT / f"{key_of(run_by, *one.sentences())}.npy"
                    if kept.is_file():
                        found.append(np.load(kept, allow_pickle=False))
                    else:
                        classifier = classifier or load_classifier(model)
                        found.append(_finite(classifier.score(one.sentences())))
                        KEPT.mkdir(parents=True, exist_ok=True)
                        with atomic_writer(kept) as file:
                            np.save(file, found[-1], allow_pickle=False)
                    progress.advance(task)
                scored.append(_Scored(model, found))
            except Exception as error:
                failures[path.name] = str(error).splitlines()[0] if str(error) else type(error).__name__
    return scored


def _size_mb(model: ModelDirectory) -> float:
    """Megabytes of the files that scoring on the CPU needs."""
    names = [name for name in model.manifest["files"] if name.startswith("model.onnx") or name == "tokenizer.json"]
    return float(sum((model.path / name).stat().st_size for name in names)) / 1e6


def _minutes(model: ModelDirectory) -> float | None:
    seconds: float | None = model.manifest.get("training_seconds")
    return None if seconds is None else seconds / 60
