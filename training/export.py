"""Writes a model directory: weights, ONNX graph, tokenizer, manifest, model card. Knows nothing of training.

The temperature is folded into the classifier, so that every way to run the model gives calibrated scores; the manifest
records it.
"""

import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from detente.annotations import text_fingerprint
from detente.errors import UsageError
from detente.labels import LABELS
from detente.model import MANIFEST, MANIFEST_FORMAT, TRAINING_TEXTS, default_model_path, file_sha256
from training.onnx_graph import write_onnx

CARD: Final = "README.md"
_LIBRARIES: Final = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "scikit-learn", "onnxruntime")


def checked_target(path: Path) -> Path:
    """Where a model directory may be written: nowhere that holds anything but a model. Its parent is made.

    Raises:
        UsageError: something else stands there, or it cannot be written.
    """
    target = path.resolve()
    if target.exists() and not (target.is_dir() and ((target / MANIFEST).is_file() or not any(target.iterdir()))):
        raise UsageError(f"{path}: is there already and is no model directory; write to another place")
    inside = next((parent for parent in target.parents if (parent / MANIFEST).is_file()), None)
    if inside:
        raise UsageError(f"{path}: lies inside the model directory {inside}, which it would spoil; write beside it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    if not os.access(target.parent, os.W_OK):
        raise UsageError(f"{path}: cannot be written: no permission to write to {target.parent}")
    return target


def refuse_to_replace(target: Path, name: str) -> None:
    """Make sure that no model is lost to the new one `name` but an earlier one of its name.

    Raises:
        UsageError: the directory `target` holds another, or the default model.
    """
    is_default = target == default_model_path().resolve()
    if (target / MANIFEST).is_file() and (is_default or _name_of(target) != name):
        other = "the default model" if is_default else f"the model {_name_of(target)}"
        raise UsageError(f"{target}: holds {other}; write elsewhere with --out, or give --replace, too")


def _name_of(directory: Path) -> str | None:
    try:
        name: str | None = json.loads((directory / MANIFEST).read_text(encoding="utf-8")).get("name")
    except (OSError, ValueError, AttributeError):
        return None
    return name


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A folder beside `path` that takes its place when the block ends well, and is removed otherwise."""
    staging, old = path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        yield staging
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        staging.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def encoder_logits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int
) -> npt.NDArray[np.float32]:
    """fp32 logits of the torch model, shape (texts, labels); on the GPU if there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    found = batched_logits(
        lambda ids, mask: model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits.cpu(),
        tokenizer,
        texts,
        max_length,
    )
    model.cpu()
    return found


def batched_logits(
    forward: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
) -> npt.NDArray[np.float32]:
    """What `forward` gives for input ids and attention mask, shape (texts, columns), in batches of like length."""
    rows: list[npt.NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(texts)
    by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    with torch.inference_mode():
        for start in range(0, len(texts), 32):
            indices = by_length[start : start + 32]
            batch = tokenizer(
                [texts[i] for i in indices], padding=True, truncation=True, max_length=max_length, return_tensors="pt"
            )
            found = forward(batch["input_ids"], batch["attention_mask"]).float().numpy()
            for index, row in zip(indices, found, strict=True):
                rows[index] = row
    return np.stack(rows) if rows else np.zeros((0, len(LABELS)), np.float32)


def fold_temperature(output_layer: torch.nn.Linear, temperature: float) -> None:
    """Divide the logits by the temperature, in place, by way of the weights of the layer that gives them."""
    with torch.no_grad():
        for parameter in output_layer.parameters():
            parameter.div_(temperature)


def write_encoder(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int, directory: Path) -> None:
    """Write fp16 safetensors, config, tokenizer and an 8-bit ONNX graph of the same rounded weights.

    The model is rounded to half precision in place.
    """
    model.half().save_pretrained(directory)
    tokenizer.model_max_length = max_length
    tokenizer.save_pretrained(directory)
    write_onnx(model.float(), directory / "model.onnx")
    # Stored in half precision, computed in single: fp16 arithmetic on a CPU is slow, and a pipeline obeys this entry.
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "float32"
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Facts:
    """What the manifest says beside the hashes of the files."""

    name: str
    kind: str
    max_length: int
    pad_id: int
    temperature: float
    data: dict[str, Any]
    config: dict[str, Any]
    # Fingerprint of the code that trained it, and how long that took; None if it went on from a checkpoint.
    code: str
    training_seconds: float | None
    # Of the split that chose checkpoint and temperature: no held-out figures.
    validation: dict[str, Any] = field(default_factory=dict)
    # Share of the test sentences on which `model.onnx` and the model that was trained give the same label.
    agreement: float | None = None
    held_out: dict[str, Any] = field(default_factory=dict)


def write_training_texts(texts: Sequence[str], inherited: frozenset[str], directory: Path) -> None:
    """Fingerprints of the sentences trained on, so that an evaluation can tell overlap without having the texts.

    `inherited` are those of teachers, whose scores carry what they learned from them, and of the model started from.
    """
    fingerprints = sorted({text_fingerprint(text) for text in texts} | inherited)
    (directory / TRAINING_TEXTS).write_text("\n".join(fingerprints) + "\n", encoding="ascii")


def write_manifest(facts: Facts, directory: Path) -> None:
    """Write the model card, then the manifest with the SHA-256 of every file."""
    card = jinja2.Template(
        (Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    (directory / CARD).write_text(card.render(asdict(facts), labels=[str(label) for label in LABELS]), encoding="utf-8")
    hashed = [path for path in sorted(directory.iterdir()) if path.name != MANIFEST]
    for path in hashed:
        path.chmod(0o644)  # safetensors writes for its owner alone
    manifest = {
        "format": MANIFEST_FORMAT,
        "labels": [str(label) for label in LABELS],
        **asdict(facts),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in _LIBRARIES}},
        "files": {path.name: file_sha256(path) for path in hashed},
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
