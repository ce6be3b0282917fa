"""Tells in words what a model directory's manifest holds: where the model comes from and how good it was measured."""

import textwrap
from typing import Any, Final

from detente.errors import printable
from detente.labels import LABELS
from detente.model import ModelDirectory

_WIDTH: Final = 100
_HASH_DIGITS: Final = 12


def describe(model: ModelDirectory) -> str:
    """Lines of text for a terminal: what the model was made of, how, with which libraries, and its held-out figures."""
    manifest = model.manifest
    data, config = manifest["data"], manifest.get("config", {})
    lines = [f"{model.version} ({manifest['kind']}), {model.path}", ""]
    lines += [f"parent       {parent}" for parent in data.get("parents", [])]
    for file in [*data.get("files", []), data.get("unlabelled"), *data.get("direction", [])]:
        if file:
            count = f", {file['sentences']:,} sentences" if "sentences" in file else ""
            lines.append(f"file         {file['name']}{_weight(file)}{count}, SHA-256 {file['sha256'][:_HASH_DIGITS]}…")
    counts = ", ".join(f"{count:,} {split}" for split, count in data.get("sentences", {}).items())
    lines.append(f"sentences    {counts}; fingerprint {data.get('fingerprint', '?')[:_HASH_DIGITS]}…")
    told = {key: value for key, value in config.items() if value or key == "seed"}
    lines += _wrapped("config", ", ".join(f"{key} {_value(value)}" for key, value in told.items()))
    lines += _promotion(manifest.get("promotion"))
    seconds = manifest.get("training_seconds")
    lines += _wrapped("trained", f"{seconds / 60:.1f} minutes") if seconds else []
    versions = manifest.get("versions", {})
    lines += _wrapped("with", ", ".join(f"{name} {version}" for name, version in versions.items()))
    lines += ["", f"held-out figures (temperature {manifest['temperature']:.2f}, fitted on validation):"]
    found = {"validation": manifest.get("validation"), **manifest["held_out"]}
    lines += [f"  {name}: {_figures(one)}" for name, one in found.items() if one]
    return "\n".join(printable(line) for line in lines)


def _weight(file: dict[str, Any]) -> str:
    return f" (weight {file['weight']:g})" if file.get("weight", 1) != 1 else ""


def _value(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _wrapped(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        f"{name:13}{text}", _WIDTH, subsequent_indent=" " * 13, break_long_words=False, break_on_hyphens=False
    )


def _promotion(record: dict[str, Any] | None) -> list[str]:
    if not record:
        return []
    replaced = f", replaced {record['replaced']}" if "replaced" in record else ""
    forced = f", forced: {record['forced']}" if "forced" in record else ""
    return _wrapped("promoted", f"{record['date']}{replaced}{forced} ({'; '.join(record['reasons'])})")


def _figures(found: dict[str, Any]) -> str:
    if "macro_f1" not in found:
        without = f", without REQUEST {found['without_request']:.3f}" if "without_request" in found else ""
        return f"direction macro-F1 {found['direction_macro_f1']:.3f}{without}, {found['sentences']:,} sentences"
    each = ", ".join(f"{label} {found['labels'][label]['f1']:.3f}" for label in LABELS if label in found["labels"])
    return f"macro-F1 {found['macro_f1']:.3f} ({each}), {found['sentences']:,} sentences"
