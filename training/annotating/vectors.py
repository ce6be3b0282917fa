"""Sentence vectors of an encoder's folder, a model directory's among them. Knows nothing of what they are used for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track
from transformers import AutoTokenizer
from transformers.utils import logging

from training.export import batched_logits
from training.frozen import FrozenClassifier

Vectors = npt.NDArray[np.float32]
# Between two steps of the progress bar.
_CHUNK: Final = 512


def sentence_vectors(folder: Path, texts: Sequence[str], max_length: int) -> Vectors:
    """Mean of the last hidden states of each sentence's tokens, of length 1: shape (texts, hidden size).

    On the GPU if there is one.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    logging.set_verbosity_error()  # it tells that the weights of the classifier on top are not used
    logging.disable_progress_bar()
    encoder = FrozenClassifier(folder).eval().to(device)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    vectors = np.zeros((len(texts), encoder.encoder.config.hidden_size), np.float32)
    starts = range(0, len(texts), _CHUNK)
    for start in track(starts, "sentence vectors", console=Console(stderr=True), transient=True):
        vectors[start : start + _CHUNK] = batched_logits(
            lambda ids, mask: encoder.vectors(ids.to(device), mask.to(device)).cpu(),
            tokenizer,
            texts[start : start + _CHUNK],
            max_length,
        )
    return vectors
