import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, pipeline

from detente.annotations import Annotation
from detente.inference import load_classifier
from detente.labels import LABELS
from detente.model import open_model
from training.__main__ import main
from training.config import EncoderVariant
from training.finetune import NOT_GIVEN, Loss, _last_checkpoint, label_weights


def figures(model: Path) -> list[dict[str, object]]:
    manifest = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
    return [manifest["validation"], manifest["held_out"], manifest["temperature"]]


def test_the_same_seed_and_data_give_the_same_model(
    tiny_model: Path, tiny_encoder: Path, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    again = tmp_path / "tiny"
    assert main([str(write_config(tiny_encoder)), "--out", str(again), "--runs", str(tmp_path / "runs")]) == 0
    assert figures(again) == figures(tiny_model)
    assert (again / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
    assert (again / "model.onnx").read_bytes() == (tiny_model / "model.onnx").read_bytes()


def test_a_killed_run_goes_on_from_its_last_checkpoint_to_the_same_end(
    tiny_encoder: Path, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config = write_config(tiny_encoder, epochs=12, patience=6)
    whole = tmp_path / "whole"
    assert main([str(config), "--out", str(whole), "--runs", str(tmp_path / "other-runs")]) == 0

    runs, out = tmp_path / "runs", tmp_path / "tiny"
    command = [sys.executable, "-m", "training", str(config), "--out", str(out), "--runs", str(runs)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    # trainer_state.json is the last file of a checkpoint.
    while process.poll() is None and not list(runs.glob("*/checkpoint-*/trainer_state.json")):
        assert time.monotonic() < deadline, "no checkpoint after two minutes"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists(), "killed too late to show anything"

    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "going on from" in done.stderr
    assert figures(out) == figures(whole)
    assert not any(runs.iterdir())


def test_two_processes_train_one_model(tiny_encoder: Path, write_config: Callable[..., Path], tmp_path: Path) -> None:
    config = write_config(tiny_encoder, epochs=1)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command = [*launcher, "-m", "training", str(config), "--out", str(tmp_path / "m"), "--runs", str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # 36 sentences in batches of 8 are 5 steps for one process, 3 for two.
    assert done.stderr.count("step 3 of 3") == 1
    assert done.stdout.count("test: macro-F1") == 1
    assert open_model(tmp_path / "m").manifest["held_out"]["test"]["sentences"] == 12


def test_the_exported_model_opens_in_a_pipeline_unchanged_and_gives_the_same_labels_and_scores(
    tiny_model: Path, sample: list[Annotation]
) -> None:
    texts = [row.text for row in sample]
    ours = load_classifier(open_model(tiny_model)).score(texts)
    theirs = pipeline("text-classification", model=str(tiny_model), device="cpu")(texts, truncation=True)
    assert [one["label"] for one in theirs] == [LABELS[i] for i in ours.argmax(axis=1)]
    assert np.allclose([one["score"] for one in theirs], ours.max(axis=1), atol=2e-4)


def test_the_rule_head_is_gone_from_the_exported_model(tiny_model: Path) -> None:
    config = AutoConfig.from_pretrained(tiny_model)
    assert config.id2label == dict(enumerate(LABELS))
    with safe_open(tiny_model / "model.safetensors", "np") as weights:
        assert weights.get_slice("classifier.weight").get_shape() == [3, 16]
    assert open_model(tiny_model).manifest["config"]["rule_loss_weight"] > 0


def test_the_manifest_says_what_made_the_model(tiny_model: Path, sample_file: Path) -> None:
    manifest = open_model(tiny_model).manifest
    assert manifest["data"]["files"][0]["name"] == sample_file.name
    assert manifest["data"]["sentences"] == {"train": 36, "validation": 12, "test": 12}
    assert 0.5 < manifest["agreement"] <= 1
    assert set(manifest["held_out"]) == {"test"}
    assert manifest["validation"]["sentences"] == 12
    assert {"torch", "transformers", "python"} <= set(manifest["versions"])


def test_no_path_of_this_machine_is_in_the_exported_files(tiny_model: Path) -> None:
    for path in tiny_model.iterdir():
        if path.name != "manifest.json":  # its config names the tiny encoder's folder, as the user gave it
            assert str(Path(__file__).parent.parent).encode() not in path.read_bytes(), path


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_loss_is_that_of_the_labels_plus_the_weighted_one_of_the_rules(weight: float) -> None:
    loss = Loss(EncoderVariant(name="x", encoder="x", rule_loss_weight=weight), torch.ones(3))
    logits = torch.zeros((2, 5))
    targets = torch.tensor([[0, 1, NOT_GIVEN, 1], [2, NOT_GIVEN, NOT_GIVEN, 1]])
    outputs = type("Outputs", (), {"logits": logits})
    # Uniform logits: log 3 for the labels, log 2 for the rule that one of the two has.
    assert float(loss(outputs, targets)) == pytest.approx(np.log(3) + weight * np.log(2) / 2)


def test_a_sentence_of_weight_three_counts_like_three_of_weight_one() -> None:
    loss = Loss(EncoderVariant(name="x", encoder="x", rule_loss_weight=0.5), torch.tensor([1.0, 2.0, 0.5]))
    logits = torch.tensor([[2.0, 0.0, 1.0, 0.5, 0.0], [0.0, 1.0, 0.0, 0.0, 1.5]])
    targets = torch.tensor([[0.0, 1, NOT_GIVEN, 1], [0, 0, NOT_GIVEN, 1]])

    def found(rows: list[int], weights: list[float]) -> float:
        weighted = torch.cat([targets[rows][:, :3], torch.tensor(weights)[:, None]], dim=1)
        return float(loss(type("Outputs", (), {"logits": logits[rows]}), weighted))

    # Scaled to a mean of 1, as `Splits.train_weights` does it.
    assert found([0, 1], [0.5, 1.5]) == pytest.approx(found([0, 1, 1, 1], [1, 1, 1, 1]))
    assert found([0, 1], [1, 1]) != pytest.approx(found([0, 1], [0.5, 1.5]))


def test_rare_labels_weigh_more_as_balance_grows() -> None:
    ids = [0, 0, 0, 0, 1, 2]
    assert label_weights(ids, 0).tolist() == [1, 1, 1]
    assert label_weights(ids, 1).tolist() == [0.5, 2, 2]
    assert label_weights(ids, 0.5).tolist() == pytest.approx([0.5**0.5, 2**0.5, 2**0.5])


def test_annotations_without_rules_train_too(
    tiny_encoder: Path, write_config: Callable[..., Path], tmp_path: Path, sample: list[Annotation]
) -> None:
    path = tmp_path / "plain.csv"
    lines = ["id,text,label,split", *(f'{r.id},"{r.text.replace(chr(34), "")}",{r.label},{r.split}' for r in sample)]
    path.write_text("\n".join(lines), encoding="utf-8")
    config = write_config(tiny_encoder, annotations=[str(path)], epochs=1)
    assert main([str(config), "--out", str(tmp_path / "m"), "--runs", str(tmp_path / "runs")]) == 0


def test_bad_annotations_are_told_without_a_traceback_and_cost_no_model(
    tiny_encoder: Path, write_config: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "1", "text": "Talks.", "label": "peace"}\n', encoding="utf-8")
    out = tmp_path / "m"
    out.mkdir()
    (out / "manifest.json").write_text('{"name": "tiny"}', encoding="utf-8")
    assert main([str(write_config(tiny_encoder)), "--annotations", str(bad), "--out", str(out)]) == 1
    assert f"{bad}:1: unknown label 'peace'" in capsys.readouterr().err
    assert (out / "manifest.json").exists()


def test_an_encoder_whose_weights_do_not_fit_is_refused(
    tiny_encoder: Path, write_config: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(tiny_encoder, tmp_path / "other")
    weights = {f"other.{name}": weight for name, weight in load_file(other / "model.safetensors").items()}
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    assert main([str(write_config(other)), "--out", str(tmp_path / "m"), "--runs", str(tmp_path / "runs")]) == 1
    assert "tensors are missing, such as bert.embeddings" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_training_stops_early_and_keeps_the_best_checkpoint(
    tiny_encoder: Path, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    # A rate this small changes no label: the first evaluation stays the best, and two more without a better end it.
    config = write_config(tiny_encoder, epochs=50, learning_rate=1e-12, patience=2)
    command = [sys.executable, "-m", "training", str(config), "--out", str(tmp_path / "m"), "--runs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.count("validation macro-F1") == 3
    assert "Writing model shards" not in done.stderr
    assert "step 2 is kept, the best on validation; stopped early" in done.stderr


def test_a_checkpoint_that_a_kill_cut_short_is_passed_over(tmp_path: Path) -> None:
    for step, whole in ((10, True), (20, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / ("trainer_state.json" if whole else "model.safetensors")).write_text("{}", encoding="utf-8")
    assert _last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert _last_checkpoint(tmp_path / "nowhere") is None


@pytest.mark.parametrize("name", [".", "notes", "notes/a.txt"])
def test_a_folder_that_is_no_model_is_never_replaced(
    tiny_encoder: Path, write_config: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("precious", encoding="utf-8")
    assert main([str(write_config(tiny_encoder)), "--out", name]) == 2
    assert (tmp_path / "notes" / "a.txt").read_text(encoding="utf-8") == "precious"
