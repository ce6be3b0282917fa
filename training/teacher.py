"""Teachers' scores, which a student learns beside the labels. Knows nothing of how it does."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from detente.annotations import text_fingerprint
from detente.atomic import atomic_writer
from detente.errors import DetenteError
from detente.inference import Scores, load_classifier
from detente.labels import LABELS
from detente.model import ModelDirectory, open_model, training_texts
from training.data import Splits

log = logging.getLogger(__name__)


def cpu_has_bf16() -> bool:
    """Whether the processor has units for bf16 (AMX, AVX512-BF16)."""
    return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001


def refuse_leak(parent: ModelDirectory, splits: Splits) -> None:
    """Make sure that a model to learn from, or to measure anew, has not been trained on what is held out here.

    Raises:
        DetenteError: it has.
    """
    learned = training_texts(parent)
    held_out = [*splits.validation.texts(), *splits.test.texts()]
    held_out += [text for one in splits.held_out for text in one.texts()]
    leaked = sum(text_fingerprint(text) in learned for text in held_out)
    if leaked:
        raise DetenteError(
            f"{parent.path}: was trained on {leaked:,} sentences that are held out here; train both on the same "
            "annotation files, with the same held_out"
        )


def teacher_scores(paths: Sequence[Path], splits: Splits, texts: Sequence[str], kept: Path) -> Scores:
    """The mean of the teachers' scores of texts, shape (texts, 3).

    Each teacher's stay in the folder `kept`, for a resumed run and for the next student of the same teacher.

    Raises:
        DetenteError: one is no model directory, or has learned from sentences that this variant holds out.
    """
    teachers = [open_model(path) for path in paths]
    for teacher in teachers:
        refuse_leak(teacher, splits)
    mean: Scores = np.mean([_scores(teacher, texts, kept) for teacher in teachers], axis=0)
    return mean


def _scores(teacher: ModelDirectory, texts: Sequence[str], kept: Path) -> Scores:
    key = hashlib.sha256("\n".join([teacher.version, *texts]).encode()).hexdigest()[:16]
    path = kept / f"teacher-{key}.npy"
    kept.mkdir(parents=True, exist_ok=True)
    # Students that start side by side wait for the first of them.
    with FileLock(path.with_suffix(".lock")):
        if path.is_file():
            scores: Scores = np.load(path, allow_pickle=False)
            if scores.shape == (len(texts), len(LABELS)):
                return scores
        log.warning("%s scores %d sentences", teacher.path, len(texts))
        is_encoder = teacher.manifest["kind"] == "encoder"
        # In bf16 a base-size teacher is 2.4 times as fast on CPUs that have units for it. On others the graph's 8 bits
        # are faster than fp32 (1.8 times with MiniLM) and move a score by 0.003 on average: targets need no more.
        bf16 = is_encoder and cpu_has_bf16()
        device = "cuda" if is_encoder and torch.cuda.is_available() else "torch-cpu" if bf16 else "cpu"
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            scores = load_classifier(teacher, device).score(texts)
        with atomic_writer(path) as file:
            np.save(file, scores, allow_pickle=False)
        return scores
