"""Runs an exported model on sentences: ONNX Runtime on the CPU, torch on a GPU. Knows nothing of articles or files."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from detente.errors import UsageError
from detente.labels import LABELS
from detente.model import ModelDirectory

Scores = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.int64]
Forward = Callable[[Tokens, Tokens], npt.NDArray[Any]]

# Tokens in a batch, padding included. On 2 cores 512 gave 284 news sentences a second, 256 and 2,048 some 5 % fewer,
# 4,096 10 % fewer and more memory (medians of three).
_BATCH_TOKENS: Final = 512
# A GPU needs more of them to be busy.
_GPU_BATCH_TOKENS: Final = 16_384


_CPU_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


class Classifier(Protocol):
    """What scores sentences."""

    def score(self, sentences: Sequence[str]) -> Scores:
        """Scores of shape (len(sentences), 3), rows sum to 1, columns in label order."""
        ...


def load_classifier(model: ModelDirectory, device: str = "cpu", threads: int | None = None) -> Classifier:
    """The classifier for a device: `cpu` runs `model.onnx`, anything else is a torch device such as `cuda`.

    Raises:
        UsageError: the device is not there, or torch is not installed.
    """
    if device == "cpu" and model.manifest["kind"] == "tfidf":
        return OnnxTextClassifier(model, threads)
    forward = _onnx_forward(model, threads) if device == "cpu" else _torch_forward(model, device)
    return EncoderClassifier(model, forward, _BATCH_TOKENS if device.endswith("cpu") else _GPU_BATCH_TOKENS)


def _label_columns(model: ModelDirectory) -> list[int]:
    """Where each label of `LABELS` stands among the model's outputs: other tools order labels otherwise."""
    return [model.manifest["labels"].index(label) for label in LABELS]


def softmax(logits: npt.NDArray[Any]) -> Scores:
    """Row-wise softmax, shape kept."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores: Scores = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return scores


def available_cores(quota: Path = _CPU_QUOTA) -> int:
    """Cores that this process may use, at least 1: its affinity, or the container's share of time if that is less.

    `quota` is the file in which Linux says so (control groups, version 2): microseconds a period, and the period.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        allowed, period = quota.read_text(encoding="ascii").split()
        # More threads than that are put to sleep in the middle of a product, and the others wait for them.
        cores = min(cores, math.ceil(int(allowed) / int(period)))
    return max(cores, 1)


class OnnxTextClassifier:
    """A model whose graph takes the sentences themselves (TF-IDF with logistic regression)."""

    def __init__(self, model: ModelDirectory, threads: int | None = None) -> None:
        """Load `model.onnx`."""
        self._session = _onnx_session(model, threads)
        self._columns = _label_columns(model)

    def score(self, sentences: Sequence[str]) -> Scores:
        """See `Classifier.score`."""
        if not sentences:
            return np.zeros((0, len(LABELS)), np.float32)
        texts = np.array([sentence.lower() for sentence in sentences], dtype=object).reshape(-1, 1)
        return softmax(self._session.run(["logits"], {"text": texts})[0])[:, self._columns]


class EncoderClassifier:
    """Tokenises, and packs sentences of like length into batches, so that little of a batch is padding."""

    def __init__(self, model: ModelDirectory, forward: Forward, batch_tokens: int = _BATCH_TOKENS) -> None:
        """Load the tokenizer; `forward` runs the encoder on one padded batch of at most so many tokens."""
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(model.path / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(model.manifest["max_length"])
        self._pad_id: int = model.manifest["pad_id"]
        self._forward = forward
        self._batch_tokens = batch_tokens
        self._columns = _label_columns(model)

    def score(self, sentences: Sequence[str]) -> Scores:
        """See `Classifier.score`. Sentences beyond the model's max length are read up to it."""
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(sentences))]
        scores = np.zeros((len(encoded), len(LABELS)), np.float32)
        for indices in _batches([len(ids) for ids in encoded], self._batch_tokens):
            width = len(encoded[indices[0]])
            input_ids = np.full((len(indices), width), self._pad_id, np.int64)
            attention_mask = np.zeros((len(indices), width), np.int64)
            for row, index in enumerate(indices):
                input_ids[row, : len(encoded[index])] = encoded[index]
                attention_mask[row, : len(encoded[index])] = 1
            scores[indices] = softmax(self._forward(input_ids, attention_mask))[:, self._columns]
        return scores


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices in batches of at most so many padded tokens, longest first."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _onnx_session(model: ModelDirectory, threads: int | None) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    options.log_severity_level = 3
    return ort.InferenceSession(model.path / "model.onnx", options, providers=["CPUExecutionProvider"])


def _onnx_forward(model: ModelDirectory, threads: int | None) -> Forward:
    session = _onnx_session(model, threads)

    def forward(input_ids: Tokens, attention_mask: Tokens) -> npt.NDArray[Any]:
        feed = {"input_ids": input_ids, "attention_mask": attention_mask}
        logits: npt.NDArray[Any] = session.run(["logits"], feed)[0]
        return logits

    return forward


def _torch_forward(model: ModelDirectory, device: str) -> Forward:
    """The encoder from `model.safetensors` on a torch device: fp16 on a GPU, fp32 on `torch-cpu`."""
    try:
        import torch
        from transformers import AutoModelForSequenceClassification
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise UsageError(f"device {device}: needs torch and transformers; pip install 'detente[gpu]'") from error
    if model.manifest["kind"] != "encoder":
        raise UsageError(f"device {device}: {model.path} is no encoder; score it on the device cpu")
    try:
        target = torch.device(device.removeprefix("torch-"))
        torch.zeros(1, device=target)  # fails where the device does, before the weights are read
        disable_progress_bar()
        encoder = AutoModelForSequenceClassification.from_pretrained(
            model.path,
            dtype=torch.float32 if target.type == "cpu" else torch.float16,
            use_safetensors=True,
            local_files_only=True,
        )
        encoder.to(target).eval()
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {device}: not usable here ({str(error).splitlines()[0]})") from error

    def forward(input_ids: Tokens, attention_mask: Tokens) -> npt.NDArray[Any]:
        with torch.inference_mode():
            ids, mask = torch.from_numpy(input_ids).to(target), torch.from_numpy(attention_mask).to(target)
            logits: npt.NDArray[Any] = encoder(input_ids=ids, attention_mask=mask).logits.float().cpu().numpy()
        return logits

    return forward
