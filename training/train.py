"""The whole way of a variant: data, fine-tuning or fitting, calibration, export, held-out figures."""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from accelerate import PartialState
from filelock import FileLock, Timeout

from detente.errors import DetenteError
from detente.inference import load_classifier
from detente.model import ModelDirectory
from eval.metrics import figures
from training import baseline, export, finetune
from training.calibration import fit_temperature
from training.config import EncoderVariant, TfidfVariant, Variant
from training.data import Splits, load_splits

log = logging.getLogger(__name__)


def train(variant: Variant, more: Sequence[Path], out: Path, runs: Path) -> dict[str, Any]:
    """Train a variant on its annotation files and `more`, and write the model directory `out`.

    An encoder's checkpoints lie in `runs` until the export is done; the same call after a killed one goes on from the
    last of them. Returns the held-out figures that the manifest holds, {} on all but the main process.

    Raises:
        DetenteError: bad annotations or configuration.
    """
    started = time.monotonic()
    out = export.checked_target(out)
    splits = load_splits(variant, more)
    log.warning("sentences: %s", ", ".join(f"{n:,} {s}" for s, n in splits.provenance["sentences"].items()))
    if isinstance(variant, EncoderVariant):
        run = runs / f"{variant.name}-{_run_key(variant, splits)}"
        with _locked(run):
            held_out = _train_encoder(variant, splits, out, run)
        if not PartialState().is_main_process:
            return {}
    elif isinstance(variant, TfidfVariant):
        held_out = _train_baseline(variant, splits, out)
    log.warning("%s written after %.0f minutes", out, (time.monotonic() - started) / 60)
    return held_out


def _run_key(variant: Variant, splits: Splits) -> str:
    """12 hex digits over config and dealt-out data: checkpoints of one must never be gone on from with another."""
    rows = [[asdict(row) for row in split.rows] for split in (splits.train, splits.validation)]
    return hashlib.sha256(json.dumps([asdict(variant), rows], sort_keys=True).encode()).hexdigest()[:12]


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Keep a run's checkpoints to one command at a time, and remove them when it ends well."""
    # The launcher's word, since the processes' group is set up only by the Trainer.
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    run.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run.with_suffix(".lock"))
    try:
        with lock.acquire(timeout=0):
            yield
            shutil.rmtree(run, ignore_errors=True)
            run.with_suffix(".lock").unlink(missing_ok=True)
    except Timeout:
        raise DetenteError(f"{run}: another command is training the same variant on the same data") from None


def _train_encoder(variant: EncoderVariant, splits: Splits, out: Path, run: Path) -> dict[str, Any]:
    model, tokenizer = finetune.fine_tune(variant, splits, run)
    if not PartialState().is_main_process:
        return {}
    validation = export.encoder_logits(model, tokenizer, splits.validation.texts(), variant.max_length)
    temperature = fit_temperature(validation, np.array(splits.validation.label_ids()))
    export.fold_temperature(model, temperature)
    test = export.encoder_logits(model, tokenizer, splits.test.texts(), variant.max_length)
    with export.new_directory(out) as directory:
        export.write_encoder(model, tokenizer, variant.max_length, directory)
        facts = _facts(variant, "encoder", splits, temperature)
        facts = replace(facts, max_length=variant.max_length, pad_id=tokenizer.pad_token_id)
        return _finish(facts, splits, test, directory)


def _train_baseline(variant: TfidfVariant, splits: Splits, out: Path) -> dict[str, Any]:
    pipeline = baseline.fit_baseline(variant, splits.train)
    validation = baseline.baseline_logits(pipeline, splits.validation.texts())
    temperature = fit_temperature(validation, np.array(splits.validation.label_ids()))
    baseline.fold_temperature(pipeline, temperature)
    test = baseline.baseline_logits(pipeline, splits.test.texts()) if splits.test.rows else np.zeros((0, 3))
    with export.new_directory(out) as directory:
        onnx.save(baseline.baseline_to_onnx(pipeline), directory / "model.onnx")
        return _finish(_facts(variant, "tfidf", splits, temperature), splits, test, directory)


def _facts(variant: Variant, kind: str, splits: Splits, temperature: float) -> export.Facts:
    return export.Facts(
        name=variant.name,
        kind=kind,
        max_length=0,
        pad_id=0,
        temperature=temperature,
        data=splits.provenance,
        config={"kind": kind, **asdict(variant)},
    )


def _finish(facts: export.Facts, splits: Splits, logits: Any, directory: Path) -> dict[str, Any]:
    """Measure the exported model as users will run it, then write card and manifest with what was measured."""
    export.write_training_texts(splits.train, directory)
    classifier = load_classifier(ModelDirectory(directory, asdict(facts)))
    measured = {}
    for name, split in (("validation", splits.validation), ("test", splits.test)):
        if split.rows:
            scores = classifier.score(split.texts())
            measured[name] = figures(split.label_ids(), scores).to_json()
    agreement = float((scores.argmax(axis=1) == logits.argmax(axis=1)).mean()) if splits.test.rows else None
    held_out = {"test": measured["test"]} if "test" in measured else {}
    facts = replace(facts, validation=measured["validation"], held_out=held_out, agreement=agreement)
    export.write_manifest(facts, directory)
    return measured
