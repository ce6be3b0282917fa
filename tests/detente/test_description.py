"""`detente model info` tells where a model comes from."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from detente.description import describe
from detente.model import open_model


def info(*arguments: str) -> str:
    command = [sys.executable, "-m", "detente", "model", "info", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_it_names_version_data_config_and_held_out_figures(tiny_model: Path) -> None:
    model = open_model(tiny_model)
    text = info(str(tiny_model))
    assert text.startswith(f"{model.version} (encoder)")
    assert "sample.jsonl, 60 sentences, SHA-256" in text
    assert "epochs 2" in text
    assert f"test: macro-F1 {model.manifest['held_out']['test']['macro_f1']:.3f}" in text


def test_as_json_it_is_the_manifest_with_the_version(tiny_model: Path) -> None:
    model = open_model(tiny_model)
    assert json.loads(info(str(tiny_model), "--json")) == {"version": model.version, **model.manifest}


def test_parents_weights_and_a_forced_promotion_are_told(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["data"]["parents"] = ["older-11111111"]
    manifest["data"]["files"][0]["weight"] = 3
    promotion = {"date": "2026-01-02T03:04:05+00:00", "replaced": "older-11111111", "forced": "asked for"}
    manifest["promotion"] = {**promotion, "reasons": ["worse on seeds"]}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    text = describe(open_model(folder))
    assert "parent       older-11111111" in text
    assert "sample.jsonl (weight 3)" in text
    assert "replaced older-11111111, forced: asked for (worse on" in " ".join(text.split())
