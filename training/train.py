"""The whole way of a variant: data, fine-tuning or fitting, calibration, export, held-out figures."""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from accelerate import PartialState
from filelock import FileLock, Timeout
from transformers import PreTrainedModel

from detente.errors import DetenteError, UsageError
from detente.inference import load_classifier
from detente.labels import LABELS
from detente.model import ModelDirectory, open_model, training_texts
from eval.metrics import figures
from training import baseline, export, finetune, frozen, quick
from training.architecture import output_layer
from training.calibration import fit_temperature
from training.config import EncoderVariant, FrozenVariant, TfidfVariant, Variant
from training.data import Splits, load_splits
from training.lineage import code_fingerprint, config_of, encoder_weights, parents_of, start_of
from training.onnx_graph import write_onnx
from training.teacher import refuse_leak

log = logging.getLogger(__name__)

# Share of validation labels that the CPU's graph has to have in common with the fp32 model. The default's has 99.6 %;
# below this the trade is no longer that of speed for nothing.
_LABELS_KEPT: Final = 0.99


def train(variant: Variant, more: Sequence[str], out: Path, runs: Path, *, replace: bool = False) -> dict[str, Any]:
    """Train a variant on its annotation files and `more`, each as `annotation_file` reads it, and write `out`.

    `replace` lets it take the place of any other model. An encoder's checkpoints lie in `runs` until the export is
    done; the same call after a killed one goes on from the last of them. Returns the held-out figures that the manifest
    holds, {} on all but the main process.

    Raises:
        DetenteError: bad annotations or configuration, or a parent model that is not there or knows what is held out.
        UsageError: nowhere to write.
    """
    started = time.monotonic()
    out = export.checked_target(out)
    if not replace:
        export.refuse_to_replace(out, variant.name)
    parents, parent = parents_of(variant), start_of(variant)
    if parent and parent.path.resolve() == out:
        raise UsageError(f"{out}: is the model to start from; write the new one beside it with --out")
    splits = load_splits(variant, more, parent)
    if parent:
        refuse_leak(parent, splits)
    if isinstance(variant, EncoderVariant) and variant.quick:
        splits = quick.rehearsed(splits, variant.seed)
    for key, value in (("parents", parents), ("encoder_sha256", encoder_weights(variant))):
        if value:
            splits.provenance[key] = value
    log.warning("sentences: %s", ", ".join(f"{n:,} {s}" for s, n in splits.provenance["sentences"].items()))
    making = _Making(variant, splits, out, started, code_fingerprint())
    match variant:
        case EncoderVariant():
            run = runs / f"{variant.name}-{_run_key(variant, splits)}"
            with _locked(run):
                held_out = making.encoder(variant, run, parent)
        case FrozenVariant():
            held_out = making.frozen(variant)
        case TfidfVariant():
            held_out = making.baseline(variant)
        case _:
            raise TypeError(type(variant))
    if held_out:
        log.warning("%s written after %.1f minutes", out, (time.monotonic() - started) / 60)
    return held_out


def _run_key(variant: Variant, splits: Splits) -> str:
    """12 hex digits over config and dealt-out data: checkpoints of one must never be gone on from with another."""
    rows = [[asdict(row) for row in split.rows] for split in (splits.train, splits.validation)]
    parts: list[Any] = [asdict(variant), rows, splits.train_weights(), splits.unlabelled, splits.direction]
    parts.append(splits.provenance.get("parents"))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


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


@dataclass(frozen=True)
class _Making:
    """One model in the making: how each kind of variant gets its weights, and what all of them end with."""

    variant: Variant
    splits: Splits
    out: Path
    started: float
    code: str

    def encoder(self, variant: EncoderVariant, run: Path, parent: ModelDirectory | None) -> dict[str, Any]:
        splits, resumed = self.splits, run.is_dir() and any(run.iterdir())
        model, tokenizer = finetune.fine_tune(variant, splits, run, parent)
        if not PartialState().is_main_process:
            return {}
        log.warning("calibrating, exporting and measuring")
        validation = export.encoder_logits(model, tokenizer, splits.validation.texts(), variant.max_length)
        temperature = fit_temperature(validation, np.array(splits.validation.label_ids()))
        export.fold_temperature(output_layer(model), temperature)
        test = export.encoder_logits(model, tokenizer, splits.test.texts(), variant.max_length)
        with export.new_directory(self.out) as directory:
            export.write_encoder(model, tokenizer, variant.max_length, directory)
            needed = {"max_length": variant.max_length, "pad_id": tokenizer.pad_token_id}
            self._keep_labels(directory, model, validation, **needed)
            return self._finish(directory, test, kind="encoder", temperature=temperature, resumed=resumed, **needed)

    def _keep_labels(
        self, directory: Path, model: PreTrainedModel, expected: npt.NDArray[np.float32], **needed: int
    ) -> None:
        """Write the graph anew in fp32 if 8-bit products give too many validation sentences another label.

        `expected` are the fp32 logits of the validation sentences, shape (sentences, 3), `needed` what the manifest
        has to tell beside the labels for the model to run.
        """
        exported = ModelDirectory(directory, {"kind": "encoder", "labels": list(LABELS), **needed})
        scores = load_classifier(exported).score(self.splits.validation.texts())
        kept = float((scores.argmax(axis=1) == expected.argmax(axis=1)).mean())
        if kept < _LABELS_KEPT:
            log.warning("in 8 bits %.1f %% of the validation sentences keep their label; the CPU gets fp32", 100 * kept)
            write_onnx(model, directory / "model.onnx", quantised=False)

    def frozen(self, variant: FrozenVariant) -> dict[str, Any]:
        splits = self.splits
        model, tokenizer = frozen.fit_frozen(variant, splits.train, splits.train_weights())
        validation = export.batched_logits(model, tokenizer, splits.validation.texts(), variant.max_length)
        temperature = fit_temperature(validation, np.array(splits.validation.label_ids()))
        export.fold_temperature(model.classifier, temperature)
        test = export.batched_logits(model, tokenizer, splits.test.texts(), variant.max_length)
        with export.new_directory(self.out) as directory:
            frozen.write_frozen(model, tokenizer, variant.max_length, directory)
            return self._finish(
                directory, test, kind="frozen", temperature=temperature, max_length=variant.max_length,
                pad_id=tokenizer.pad_token_id,
            )  # fmt: skip

    def baseline(self, variant: TfidfVariant) -> dict[str, Any]:
        splits = self.splits
        pipeline = baseline.fit_baseline(variant, splits.train, splits.train_weights())
        validation = baseline.baseline_logits(pipeline, splits.validation.texts())
        temperature = fit_temperature(validation, np.array(splits.validation.label_ids()))
        baseline.fold_temperature(pipeline, temperature)
        test = baseline.baseline_logits(pipeline, splits.test.texts()) if splits.test.rows else np.zeros((0, 3))
        with export.new_directory(self.out) as directory:
            onnx.save(baseline.baseline_to_onnx(pipeline), directory / "model.onnx")
            return self._finish(directory, test, kind="tfidf", temperature=temperature)

    def _learned_by_parents(self) -> frozenset[str]:
        parents = [name for name in (getattr(self.variant, "start", None),) if name]
        parents += getattr(self.variant, "teachers", ())
        return frozenset().union(*(training_texts(open_model(Path(parent))) for parent in parents))

    def _finish(
        self,
        directory: Path,
        reference: Any,
        *,
        kind: str,
        temperature: float,
        max_length: int = 0,
        pad_id: int = 0,
        resumed: bool = False,
    ) -> dict[str, Any]:
        """Measure the exported model as users will run it, then write card and manifest with what was measured.

        `reference` are logits or scores of the test sentences from the model before export, shape (sentences, 3).
        """
        splits = self.splits
        export.write_training_texts(
            [*splits.train.texts(), *splits.unlabelled, *(text for text, _ in splits.direction)],
            self._learned_by_parents(),
            directory,
        )
        facts = export.Facts(
            name=self.variant.name,
            kind=kind,
            max_length=max_length,
            pad_id=pad_id,
            temperature=temperature,
            data=splits.provenance,
            config=config_of(self.variant),
            code=self.code,
            training_seconds=None,
        )
        classifier = load_classifier(ModelDirectory(directory, {**asdict(facts), "labels": list(LABELS)}))
        measured = {}
        for name, split in (("validation", splits.validation), ("test", splits.test)):
            if split.rows:
                scores = classifier.score(split.texts())
                measured[name] = figures(split.label_ids(), scores).to_json()
        for held_out in splits.held_out:
            measured[held_out.name] = held_out.measure(classifier)
        agreement = float((scores.argmax(axis=1) == reference.argmax(axis=1)).mean()) if splits.test.rows else None
        seconds = None if resumed else round(time.monotonic() - self.started, 1)
        facts = replace(
            facts,
            validation=measured["validation"],
            held_out={name: found for name, found in measured.items() if name != "validation"},
            agreement=agreement,
            training_seconds=seconds,
        )
        export.write_manifest(facts, directory)
        return measured
