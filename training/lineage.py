"""What a model came from (config, annotation files, parent model, code), and whether all that still is as it was."""

import ast
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from detente.errors import DetenteError
from detente.model import ModelDirectory, file_sha256, open_model
from training.config import KINDS, PretrainedVariant, Variant, annotation_file
from training.encoders import WEIGHTS

_ROOT: Final = Path(__file__).parent.parent
_PACKAGES: Final = ("detente", "eval", "training")
_ENTRY: Final = "training.train"


def config_of(variant: Variant) -> dict[str, Any]:
    """The variant as the manifest holds it."""
    kind = next(name for name, kind in KINDS.items() if kind is type(variant))
    config: dict[str, Any] = json.loads(json.dumps({"kind": kind, **asdict(variant)}))
    return config


def parents_of(variant: Variant) -> list[str]:
    """The versions of the models that a variant starts from and learns from, in this order.

    Raises:
        DetenteError: one of them is not there, or no model to start from.
    """
    start = start_of(variant)
    versions = [start.version] if start else []
    for name in getattr(variant, "teachers", ()):
        try:
            versions.append(open_model(Path(name)).version)
        except DetenteError as error:
            raise DetenteError(f"{variant.name} needs {name}, which has to be trained first\n{error}") from error
    return versions


def start_of(variant: Variant) -> ModelDirectory | None:
    """The model whose weights a variant starts from; None if that is the pretrained encoder.

    Raises:
        DetenteError: it is no whole model directory, or not of the encoder that the config names.
    """
    name = getattr(variant, "start", None)
    if name is None:
        return None
    model = open_model(Path(name))
    if model.manifest["kind"] != "encoder":
        raise DetenteError(f"{name}: is of kind {model.manifest['kind']}; only an encoder can be started from")
    had = model.manifest.get("config", {})
    for key, fits in (
        ("encoder", had.get("encoder") == getattr(variant, "encoder", None)),
        # It can lose layers, not gain any; whether it has as many as it is to keep is known once it is loaded.
        ("layers", had.get("layers") is None or getattr(variant, "layers", None) is not None),
    ):
        if not fits:
            found, expected = had.get(key), getattr(variant, key)
            raise DetenteError(f"{name}: its {key} is {found}, the config's is {expected}; take a config that agrees")
    if getattr(variant, "quick", False) and had.get("layers") != getattr(variant, "layers", None):
        # Layers that have never followed each other would stay as they are.
        raise DetenteError(
            f"{name}: has other layers than the config's {variant.name}; a cut model needs more than --quick"
        )
    return model


def is_current(variant: Variant, more: Sequence[str], out: Path) -> bool:
    """Whether `out` holds a model of this variant, made of the same files, the same parent and the same code."""
    try:
        manifest = open_model(out).manifest
    except DetenteError:
        return False
    files = [annotation_file(name) for name in (*variant.annotations, *more)]
    hashes = [(file_sha256(file.path), file.weight) for file in files if file.path.is_file()]
    data = manifest["data"]
    same_data = (
        [(file["sha256"], file.get("weight")) for file in data["files"]] == hashes
        and data.get("unlabelled", {}).get("sha256") == _hash_of(getattr(variant, "unlabelled", None))
        and [file["sha256"] for file in data.get("direction", [])]
        == [_hash_of(n) for n in getattr(variant, "direction", ())]
        and data.get("encoder_sha256") == encoder_weights(variant)
    )
    return (
        manifest["config"] == config_of(variant)
        and same_data
        and data.get("held_out", []) == [_hash_of(name) for name in variant.held_out]
        and data.get("parents", []) == parents_of(variant)
        and manifest.get("code") == code_fingerprint()
    )


def _hash_of(name: str | None) -> str | None:
    return file_sha256(Path(name)) if name and Path(name).is_file() else None


def encoder_weights(variant: Variant) -> str | None:
    """SHA-256 of the weights of a local encoder folder, which can change without its name; None for any other."""
    return _hash_of(str(Path(variant.encoder) / WEIGHTS)) if isinstance(variant, PretrainedVariant) else None


def code_fingerprint() -> str:
    """16 hex digits over the source of every module of this project that training imports, however far."""
    found: dict[str, bytes] = {}
    waiting = [_ENTRY]
    while waiting:
        name = waiting.pop()
        path = _ROOT.joinpath(*name.split(".")).with_suffix(".py")
        if name in found or not path.is_file():
            continue
        found[name] = path.read_bytes()
        for node in ast.walk(ast.parse(found[name])):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in _PACKAGES:
                # `from training import export` names a module, `from training.export import …` lies in one.
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return hashlib.sha256(b"".join(name.encode() + found[name] for name in sorted(found))).hexdigest()[:16]
