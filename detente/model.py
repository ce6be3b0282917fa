"""The model directory: opened only if every file is there and unchanged. Knows nothing of how a model is run."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from detente.errors import DetenteError
from detente.labels import LABELS

MANIFEST: Final = "manifest.json"
MANIFEST_FORMAT: Final = 1
TRAINING_TEXTS: Final = "training_texts.txt"
_BLOCK: Final = 8 * 1024 * 1024
_TYPES: Final = {
    "name": str, "kind": str, "max_length": int, "pad_id": int, "temperature": float, "files": dict, "data": dict,
    "held_out": dict,
}  # fmt: skip
# What each kind of model cannot be run or measured without.
FILES: Final = {
    "encoder": {"model.onnx", "model.safetensors", "config.json", "tokenizer.json", TRAINING_TEXTS},
    "frozen": {"model.onnx", "tokenizer.json", TRAINING_TEXTS},
    "tfidf": {"model.onnx", TRAINING_TEXTS},
}


@dataclass(frozen=True, slots=True)
class ModelDirectory:
    """A verified model directory and its manifest."""

    path: Path
    manifest: dict[str, Any]

    @property
    def version(self) -> str:
        """Name and 8 hex digits over the hashes of all files: what a scored article says it was scored by."""
        files = json.dumps(self.manifest["files"], sort_keys=True)
        return f"{self.manifest['name']}-{hashlib.sha256(files.encode()).hexdigest()[:8]}"


def default_model_path() -> Path:
    """Where `models/default` is: inside the installed package, or beside it in a clone."""
    package = Path(__file__).parent
    packaged = package / "models" / "default"
    return packaged if packaged.is_dir() else package.parent / "models" / "default"


def open_model(path: Path) -> ModelDirectory:
    """Check a model directory against its manifest and return it.

    Raises:
        DetenteError: no manifest, a missing, added or changed file, or other labels than this version's.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DetenteError(f"{path}: no model directory, it has no {MANIFEST}; train one or name another") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DetenteError(f"{path / MANIFEST}: cannot be read ({error}); restore the model directory") from error
    _check_manifest(path, manifest)
    for name, expected in manifest["files"].items():
        _check_file(path / name, expected)
    return ModelDirectory(path, manifest)


def training_texts(model: ModelDirectory) -> frozenset[str]:
    """Fingerprints (`annotations.text_fingerprint`) of the sentences that the model was trained on."""
    return frozenset((model.path / TRAINING_TEXTS).read_text(encoding="ascii").split())


def _check_manifest(path: Path, manifest: Any) -> None:
    where = path / MANIFEST
    if not isinstance(manifest, dict) or manifest.get("format") != MANIFEST_FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise DetenteError(f"{where}: its format is {found!r}, this version reads {MANIFEST_FORMAT}; export it anew")
    labels = manifest.get("labels")
    if not isinstance(labels, list) or sorted(map(str, labels)) != sorted(LABELS):
        raise DetenteError(f"{path}: its labels are {labels}; expected {list(map(str, LABELS))} in any order")
    wrong = [key for key, kind in _TYPES.items() if type(manifest.get(key)) is not kind]
    if wrong or manifest["kind"] not in FILES:
        raise DetenteError(f"{where}: {', '.join(wrong or ['kind'])} is missing or wrong; restore the model directory")
    listed = manifest["files"]
    on_disk = {file.name for file in path.iterdir() if not file.name.startswith(".")} - {MANIFEST}
    for name in sorted({*listed, *on_disk, *FILES[manifest["kind"]]}):
        if Path(name).name != name:
            raise DetenteError(f"{where}: names {name!r}, which lies outside the model directory")
        if name not in listed:
            raise DetenteError(f"{path / name}: is not in the manifest; restore the model directory")
        if name not in on_disk:
            raise DetenteError(f"{path / name}: is missing; restore the model directory")


def _check_file(path: Path, expected: str) -> None:
    try:
        found = file_sha256(path)
    except OSError as error:
        raise DetenteError(f"{path}: cannot be read ({error.strerror}); restore the model directory") from error
    if found != expected:
        raise DetenteError(
            f"{path}: changed since it was exported (SHA-256 {found[:12]}…, the manifest says {expected[:12]}…); "
            "restore the model directory"
        )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        # Large blocks: between two of them a thread waits for the interpreter.
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
