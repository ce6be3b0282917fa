"""The commands `python -m training promote DIR` and `rollback`: put a model into service, or take it out again.

The model in service is a directory, `models/default`; the one that it replaced stands beside it as
`models/default.previous`. On Linux the two change places in one step of the file system, so that a kill leaves one or
the other; elsewhere in three, and the next command ends what a kill began.
"""

import argparse
import contextlib
import ctypes
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout
from rich.console import Console

from detente.atomic import atomic_writer
from detente.errors import DetenteError, UsageError
from detente.model import MANIFEST, ModelDirectory, open_model
from eval.options import add_sets, chosen_sets
from eval.report import Report, headlines_of
from eval.run import run_report
from eval.terminal import show
from training.config import SERVICE
from training.export import checked_target

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate may replace the model in service, and the sentences that say why."""

    promoted: bool
    reasons: list[str]


def promote(arguments: list[str]) -> int:
    """Measure a candidate and the model in service on the same held-out sets, and replace the latter if it may be.

    Returns 0.

    Raises:
        DetenteError: it may not be, by the figures; nothing has changed then.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training promote",
        description="Measure a candidate and the model in service on the same held-out sets. The candidate takes its "
        "place if it is beyond chance better on one set and worse on none (paired bootstrap, 95 %), or, where chance "
        "could explain all differences, if it is not lower on any. The replaced model is kept beside it as "
        "DIR.previous; `python -m training rollback` brings it back.",
    )
    parser.add_argument("candidate", type=Path, metavar="CANDIDATE", help="the model directory to put into service")
    _add_service(parser)
    add_sets(parser)
    parser.add_argument("--force", metavar="REASON", help="replace whatever the figures say; the reason is recorded")
    options = parser.parse_args(arguments)
    if options.force is not None and not options.force.strip():
        raise UsageError("--force: give the reason, in quotes; it is recorded with the model")
    candidate = open_model(options.candidate)
    with _in_service(options.service) as service:
        verdict, record = Verdict(promoted=True, reasons=["there was no model in service"]), {}
        if service.is_dir():
            current = open_model(service)
            if current.version == candidate.version:
                raise UsageError(f"{options.candidate}: is the model in service already ({current.version})")
            report = run_report([current, candidate], chosen_sets(options), "cpu", options.draws)
            show(report, Console())
            verdict = judge(report)
            record = {"replaced": current.version, "figures": headlines_of(report)}
        for reason in verdict.reasons:
            _say(reason)
        if not verdict.promoted and options.force is None:
            raise DetenteError(
                f"{options.candidate}: not promoted; {options.service} stays as it is. If it shall be replaced all the "
                'same, say why: --force "REASON"'
            )
        record |= {"date": datetime.now(UTC).isoformat(timespec="seconds"), "reasons": verdict.reasons}
        if options.force is not None:
            record["forced"] = options.force.strip()
        _replace(service, candidate, record)
    _say(f"{options.service}: is {candidate.version} now")
    if "replaced" in record:
        _say(f"{record['replaced']} is kept; `python -m training rollback` brings it back")
    return 0


def rollback(arguments: list[str]) -> int:
    """Let the model in service and the one before it change places; returns 0.

    Raises:
        DetenteError: there is no earlier one.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training rollback",
        description="Put the model that was replaced by the last promotion back into service. The two change places: "
        "a second rollback undoes the first.",
    )
    _add_service(parser)
    options = parser.parse_args(arguments)
    with _in_service(options.service) as service:
        previous = _previous(service)
        if not previous.is_dir():
            raise DetenteError(f"{options.service}: no earlier model is kept beside it ({previous.name})")
        open_model(previous)
        if service.is_dir():
            _exchange(previous, service)
        else:
            previous.rename(service)
        _say(f"{options.service}: is {open_model(service).version} again (rollback once more undoes this)")
    return 0


def judge(report: Report) -> Verdict:
    """Whether the second model of a report may replace the first; every set counts, by its headline figure."""
    learned = [
        f"{one.name} proves nothing: {name} was trained on {result.trained_on:,} of its sentences"
        for one in report.sets
        for name, result in zip(report.models, one.results, strict=True)
        if result.trained_on
    ]
    if learned:
        return Verdict(promoted=False, reasons=learned)
    worse, better, lower = [], [], []
    for one in report.sets:
        comparison = one.comparisons[0]
        # Of a failure rate less is better.
        sign = -1 if one.kind == "behaviour" else 1
        around = comparison.interval
        text = f"{one.name}: {comparison.metric} {comparison.difference:+.3f} "
        text += f"[{around[0]:+.3f}, {around[1]:+.3f}]" if around else "(too few documents for an interval)"
        if around and max(sign * around[0], sign * around[1]) < 0:
            worse.append(f"worse on {text}")
        elif around and min(sign * around[0], sign * around[1]) > 0:
            better.append(f"better on {text}")
        elif sign * comparison.difference < 0:
            lower.append(f"not shown to be better anywhere, and a little worse, as by chance, on {text}")
    if worse:
        return Verdict(promoted=False, reasons=worse)
    if better:
        return Verdict(promoted=True, reasons=better)
    if lower:
        return Verdict(promoted=False, reasons=lower)
    return Verdict(promoted=True, reasons=["no set shows a difference, and the candidate is lower on none"])


def _say(text: str) -> None:
    Console().print(text, highlight=False, markup=False, soft_wrap=True)


def _add_service(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--service", type=Path, default=SERVICE, metavar="DIR", help=f"the model in service ({SERVICE})"
    )


def _previous(service: Path) -> Path:
    return service.with_name(f"{service.name}.previous")


@contextlib.contextmanager
def _in_service(path: Path) -> Iterator[Path]:
    """The checked path of the model in service, held by this command alone and with no killed one's remains."""
    service = checked_target(path)
    lock = FileLock(service.with_name(f".{service.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            _settle(service)
            yield service
    except Timeout:
        raise DetenteError(f"{path}: another command is replacing it; wait for it") from None


def _staging(service: Path, version: str) -> Path:
    return service.with_name(f".{service.name}.incoming-{version}")


def _settle(service: Path) -> None:
    """End what a killed promotion began: keep the model that it had replaced, drop a copy that it had not used."""
    aside = _aside(service)
    if aside.is_dir():
        if service.is_dir():
            _keep(aside, service)
        else:
            aside.rename(service)
    for staged in service.parent.glob(_staging(service, "*").name):
        with contextlib.suppress(DetenteError):
            version = open_model(staged).version
            if staged != _staging(service, version):
                # It holds another model than it was made for: the exchange had happened.
                _keep(staged, service)
                continue
        shutil.rmtree(staged)


def _replace(service: Path, candidate: ModelDirectory, record: dict[str, Any]) -> None:
    """Copy the candidate beside the model in service, with the promotion in its manifest, and let the two trade places.

    Only the copy's manifest differs from the candidate's, and the version does not hang on it.
    """
    staged = _staging(service, candidate.version)
    manifest = {**candidate.manifest, "promotion": record}
    try:
        staged.mkdir()
        for name in candidate.manifest["files"]:
            with (candidate.path / name).open("rb") as source, atomic_writer(staged / name) as target:
                shutil.copyfileobj(source, target)
        with atomic_writer(staged / MANIFEST) as file:
            file.write((json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise DetenteError(f"{staged}: cannot be written: {error.strerror}; {service} stays as it is") from error
    open_model(staged)
    if service.is_dir():
        _exchange(staged, service)
        _keep(staged, service)
    else:
        staged.rename(service)


def _aside(service: Path) -> Path:
    return service.with_name(f".{service.name}.aside")


def _keep(replaced: Path, service: Path) -> None:
    previous = _previous(service)
    if previous.is_dir():
        shutil.rmtree(previous)
    replaced.rename(previous)


def _exchange(first: Path, second: Path) -> None:
    """Let two directories change places: in one step on Linux, elsewhere in three renames."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        renameat2 = None
    if renameat2 and not renameat2(_AT_FDCWD, bytes(first), _AT_FDCWD, bytes(second), _RENAME_EXCHANGE):
        return
    # No such call, or a file system without it (some network ones).
    aside = _aside(second)
    second.rename(aside)
    first.rename(second)
    aside.rename(first)
