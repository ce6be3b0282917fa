"""A teacher's scores, which a student learns beside the labels. Knows nothing of how it does."""

import logging
from pathlib import Path

import numpy as np
import torch

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
    leaked = sum(text_fingerprint(text) in learned for text in held_out)
    if leaked:
        raise DetenteError(
            f"{parent.path}: was trained on {leaked:,} sentences that are held out here; train both on the same "
            "annotation files"
        )


def teacher_scores(path: Path, splits: Splits, kept: Path) -> Scores:
    """The teacher's scores of training and unlabelled sentences, shape (sentences, 3); kept for a resumed run.

    Raises:
        DetenteError: it is no model directory, or has learned from sentences that this variant holds out.
    """
    teacher = open_model(path)
    refuse_leak(teacher, splits)
    texts = [*splits.train.texts(), *splits.unlabelled]
    if kept.is_file():
        scores: Scores = np.load(kept, allow_pickle=False)
        if scores.shape == (len(texts), len(LABELS)):
            return scores
    log.warning("%s scores %d sentences", path, len(texts))
    device = "cpu" if teacher.manifest["kind"] != "encoder" else "cuda" if torch.cuda.is_available() else "torch-cpu"
    # In bf16 a base-size teacher is 2.4 times as fast on CPUs that have units for it; targets need no more digits.
    with torch.autocast("cpu", torch.bfloat16, enabled=device == "torch-cpu" and cpu_has_bf16()):
        scores = load_classifier(teacher, device).score(texts)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(kept) as file:
        np.save(file, scores, allow_pickle=False)
    return scores
