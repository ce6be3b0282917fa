"""Runs an exported model on sentences: ONNX Runtime on the CPU, torch on a GPU. Knows nothing of articles or files."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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

# Tokens in a batch of several sentences, padding included: with 256 and 1,024 two cores were as fast within chance.
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
    if device == "cpu":
        # Batches side by side, one thread each, instead of threads that share every product: medians of three on two
        # cores are 224 news sentences a second against 205 (their ranges overlap), and 510 against 394 with three
        # layers. A lone sentence runs on one core, and a second thread holds 25 MB more, further ones 15.
        return EncoderClassifier(model, _onnx_forward(model), _BATCH_TOKENS, threads or available_cores())
    batch_tokens = _BATCH_TOKENS if device == "torch-cpu" else _GPU_BATCH_TOKENS
    return EncoderClassifier(model, _torch_forward(model, device), batch_tokens)


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
        # More threads than that are put to sleep in the middle of their work.
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

    def __init__(self, model: ModelDirectory, forward: Forward, batch_tokens: int, workers: int = 1) -> None:
        """Load the tokenizer.

        Args:
            model: where it is.
            forward: runs the encoder on one padded batch; several threads call it if there are several workers.
            batch_tokens: the most tokens in a batch, padding included.
            workers: how many batches are run at a time.
        """
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(model.path / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(model.manifest["max_length"])
        self._pad_id: int = model.manifest["pad_id"]
        self._forward = forward
        self._batch_tokens = batch_tokens
        self._workers = workers
        self._columns = _label_columns(model)

    def score(self, sentences: Sequence[str]) -> Scores:
        """See `Classifier.score`. Sentences beyond the model's max length are read up to it."""
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(sentences))]
        lengths = [len(ids) for ids in encoded]
        most = self._batch_tokens
        if self._workers > 1:
            # Of a single article, too, every worker gets something to do; halves and thirds of this were no faster.
            most = min(most, math.ceil(sum(lengths) / self._workers))
        batches = list(_batches(lengths, most))
        scores = np.zeros((len(encoded), len(LABELS)), np.float32)
        found = self._side_by_side([[encoded[index] for index in indices] for indices in batches])
        for indices, logits in zip(batches, found, strict=True):
            scores[indices] = softmax(logits)[:, self._columns]
        return scores

    def _side_by_side(self, batches: Sequence[Sequence[Sequence[int]]]) -> list[npt.NDArray[Any]]:
        # Alone in the caller's own thread, whose settings, such as torch's autocast, other threads do not have.
        if self._workers == 1 or len(batches) <= 1:
            return list(map(self._logits, batches))
        # Threads of this call alone: those that wait for the next one would be missing in a forked process.
        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(self._logits, batches))

    def _logits(self, batch: Sequence[Sequence[int]]) -> npt.NDArray[Any]:
        """What the encoder says of a batch of token ids, the longest first: shape (batch, 3)."""
        input_ids = np.full((len(batch), len(batch[0])), self._pad_id, np.int64)
        attention_mask = np.zeros_like(input_ids)
        for row, ids in enumerate(batch):
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
        return self._forward(input_ids, attention_mask)


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


def _onnx_forward(model: ModelDirectory) -> Forward:
    session = _onnx_session(model, threads=1)

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
