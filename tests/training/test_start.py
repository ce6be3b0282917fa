"""Retraining from a model: what it starts with, what is refused, what the manifest says; and quick mode."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from detente.annotations import Annotation, write_annotations
from detente.errors import DetenteError, UsageError
from detente.labels import LABELS
from detente.model import default_model_path, file_sha256, open_model, training_texts
from training.__main__ import main
from training.architecture import keep_layers, label_head, widen_head
from training.config import QUICK, EncoderVariant, read_variant
from training.data import load_splits
from training.export import encoder_logits, refuse_to_replace
from training.finetune import _started, fine_tune
from training.lineage import is_current, start_of
from training.quick import freeze_lower_layers, rehearsed
from training.train import _run_key


def new_annotations(count: int, **values: str) -> list[Annotation]:
    """Sentences that are in no file of this project, labels in turn."""
    acts = ("Gunners fired on the bridge", "Both sides signed the border accord", "The museum opened a new wing")
    return [Annotation(f"m{n}", f"{acts[n % 3]} on day {n}.", LABELS[n % 3], **values) for n in range(count)]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mine") / "mine.csv"
    write_annotations(path, new_annotations(9))
    return path


@pytest.fixture(scope="module")
def child(  # noqa: PLR0917
    tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, tiny_model: Path, sample: list[Annotation],
    write_config: Callable[..., Path], mine: Path,
) -> Path:  # fmt: skip
    """A quick child of (a copy of) the tiny model, which sees only some of its parent's sentences again."""
    folder = tmp_path_factory.mktemp("child")
    shutil.copytree(tiny_model, folder / "parent")
    train = [row for row in sample if row.split == "train"]
    write_annotations(folder / "some.jsonl", [*train[::2], *(row for row in sample if row.split != "train")])
    config = write_config(tiny_encoder, annotations=[str(folder / "some.jsonl")], epochs=1)
    shutil.copy(config, folder / "tiny.yaml")
    options = ["--from", str(folder / "parent"), "--quick", "--annotations", f"{mine}=2.5"]
    paths = ["--out", str(folder / "child"), "--runs", str(folder / "runs")]
    assert main([str(config), *options, *paths]) == 0
    return folder / "child"


@pytest.fixture
def retrain(tmp_path: Path, tiny_encoder: Path, tiny_model: Path, write_config: Callable[..., Path]) -> Callable:
    """The command with --from, for what is refused before anything is trained."""

    def run(*arguments: str, **values: object) -> int:
        paths = ["--out", str(tmp_path / "child"), "--runs", str(tmp_path / "runs")]
        return main([str(write_config(tiny_encoder, **values)), "--from", str(tiny_model), *paths, *arguments])

    return run


def manifest(path: Path) -> dict:
    return json.loads((path / "manifest.json").read_text(encoding="utf-8"))


def test_a_quick_child_differs_from_its_parent_in_the_upper_layers_alone(child: Path, tiny_model: Path) -> None:
    before, after = (load_file(path / "model.safetensors") for path in (tiny_model, child))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    # One layer of two is the upper third, rounded.
    assert all(".layer.1." in name or "pooler" in name or "classifier" in name for name in changed)


def test_the_manifest_and_the_card_name_the_parent_the_mode_and_the_weights(child: Path, tiny_model: Path) -> None:
    found, parent = manifest(child), open_model(tiny_model)
    assert found["data"]["parents"] == [parent.version]
    assert (found["config"]["start"], found["config"]["quick"]) == (str(child.parent / "parent"), True)
    assert [file["weight"] for file in found["data"]["files"]] == [1.0, 2.5]
    card = (child / "README.md").read_text(encoding="utf-8")
    assert f"Started from the weights of {parent.version}; its lower layers stayed" in card
    assert "mine.csv (9 sentences, weight 2.5)" in card


def test_a_child_has_learned_what_its_parent_learned(child: Path, tiny_model: Path) -> None:
    # 36 of the parent's, of which it saw 18 again, and 9 new ones.
    learned = training_texts(open_model(child))
    assert len(learned) == 45
    assert training_texts(open_model(tiny_model)) < learned


def test_a_child_is_out_of_date_when_its_weights_or_its_parent_changed(child: Path, mine: Path) -> None:
    parent = child.parent / "parent"
    variant = read_variant(child.parent / "tiny.yaml")
    variant = replace(variant, start=str(parent), **QUICK)
    assert is_current(variant, [f"{mine}=2.5"], child)
    assert not is_current(variant, [str(mine)], child)
    with (parent / "README.md").open("a", encoding="utf-8") as file:
        file.write("Another version.\n")
    changed = manifest(parent)
    changed["files"]["README.md"] = file_sha256(parent / "README.md")
    (parent / "manifest.json").write_text(json.dumps(changed), encoding="utf-8")
    assert not is_current(variant, [f"{mine}=2.5"], child)


@pytest.mark.parametrize("quick", [False, True])
def test_a_child_starts_with_its_parents_labels(
    tiny_model: Path, sample_file: Path, tmp_path: Path, sample: list[Annotation], quick: bool
) -> None:
    # A rate this small changes nothing.
    variant = EncoderVariant(
        name="x", encoder="x", annotations=(str(sample_file),), max_length=32, epochs=1, learning_rate=1e-12,
        rule_loss_weight=0.5, quick=quick,
    )  # fmt: skip
    model, tokenizer = fine_tune(variant, load_splits(variant), tmp_path / "run", open_model(tiny_model))
    parent = AutoModelForSequenceClassification.from_pretrained(tiny_model, dtype=torch.float32)
    texts = [row.text for row in sample]
    found, expected = (encoder_logits(one, tokenizer, texts, 32) for one in (model, parent))
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_parent_that_has_learned_what_is_held_out_is_refused(
    retrain: Callable, tmp_path: Path, sample: list[Annotation], capsys: pytest.CaptureFixture[str], split: str
) -> None:
    turned = tmp_path / "turned.jsonl"
    other = {"train": split, split: "train"}
    write_annotations(turned, [Annotation(r.id, r.text, r.label, split=other.get(r.split, r.split)) for r in sample])
    assert retrain(annotations=[str(turned)]) == 1
    assert "was trained on 36 sentences that are held out here" in capsys.readouterr().err
    assert not (tmp_path / "child").exists()


def test_what_the_parent_learned_is_never_dealt_to_validation(
    tmp_path: Path, tiny_model: Path, sample: list[Annotation]
) -> None:
    # A second round: the file has grown, and marks no splits.
    known = [replace(row, split="", group=f"g{n}") for n, row in enumerate(sample) if row.split == "train"]
    path = tmp_path / "grown.jsonl"
    write_annotations(path, known + new_annotations(60))
    variant = EncoderVariant(name="x", encoder="x", annotations=(str(path),), validation_share=0.2)
    parent = open_model(tiny_model)
    validation = load_splits(variant, (), parent).validation.rows
    assert validation
    assert {row.text for row in validation} <= {row.text for row in new_annotations(60)}
    assert {row.text for row in load_splits(variant).validation.rows} & {row.text for row in known}


def test_what_the_parent_was_validated_on_stays_validation(tmp_path: Path) -> None:
    path, config, parent = (tmp_path / name for name in ("mine.jsonl", "words.yaml", "parent"))
    write_annotations(path, [replace(row, group=f"g{n // 3}") for n, row in enumerate(new_annotations(150))])
    config.write_text(f"kind: tfidf\nannotations: [{path}]\n", encoding="utf-8")
    assert main([str(config), "--out", str(parent)]) == 0
    variant = EncoderVariant(name="x", encoder="x", annotations=(str(path),))
    expected = load_splits(variant).validation
    assert 0 < len(expected.rows) < 150
    assert load_splits(variant, (), open_model(parent)).validation.texts() == expected.texts()


def test_a_child_may_have_fewer_layers_than_its_parent_and_children_as_many(
    tiny_encoder: Path, tiny_model: Path, tmp_path: Path, write_config: Callable[..., Path]
) -> None:
    # A rate this small changes nothing that half precision tells apart.
    config = write_config(
        tiny_encoder, start=str(tiny_model), teachers=[str(tiny_model)], layers=1, epochs=1, learning_rate=1e-9,
        rule_loss_weight=0.5,
    )  # fmt: skip
    cut, runs = tmp_path / "cut", tmp_path / "runs"
    assert main([str(config), "--out", str(cut), "--runs", str(runs)]) == 0
    parent, kept = (load_file(path / "model.safetensors") for path in (tiny_model, cut))
    assert parent.keys() - kept.keys() == {name for name in parent if ".layer.1." in name}
    assert kept["classifier.weight"].shape == parent["classifier.weight"].shape
    assert all(np.allclose(kept[name], parent[name], atol=1e-3) for name in kept if ".layer.0." in name)
    assert manifest(cut)["data"]["parents"] == [open_model(tiny_model).version] * 2
    variant = replace(read_variant(config), start=str(cut))
    model, _ = _started(variant, 0, start_of(variant))
    assert model.config.num_hidden_layers == 1


def test_a_cut_model_is_not_trained_quickly(retrain: Callable, capsys: pytest.CaptureFixture[str], mine: Path) -> None:
    assert retrain("--quick", "--annotations", str(mine), layers=1) == 1
    assert "a cut model needs more than --quick" in capsys.readouterr().err


def test_a_parent_that_was_cut_cannot_grow(
    tiny_encoder: Path, tiny_model: Path, tmp_path: Path, write_config: Callable[..., Path], capsys
) -> None:
    shutil.copytree(tiny_model, tmp_path / "cut")
    changed = manifest(tmp_path / "cut")
    changed["config"]["layers"] = 1
    (tmp_path / "cut" / "manifest.json").write_text(json.dumps(changed), encoding="utf-8")
    assert main([str(write_config(tiny_encoder)), "--from", str(tmp_path / "cut"), "--out", str(tmp_path / "x")]) == 1
    assert "its layers is 1, the config's is None; take a config that agrees" in capsys.readouterr().err


def test_checkpoints_of_another_parent_are_not_gone_on_from(sample_file: Path) -> None:
    variant = EncoderVariant(name="x", encoder="x", annotations=(str(sample_file),))
    splits = load_splits(variant)
    keys = {
        _run_key(variant, replace(splits, provenance={**splits.provenance, "parents": parents}))
        for parents in ([], ["a-00000000"], ["a-11111111"])
    }
    assert len(keys) == 3


def test_checkpoints_of_other_weights_are_not_gone_on_from(sample_file: Path, mine: Path) -> None:
    variant = EncoderVariant(name="x", encoder="x", annotations=(str(sample_file),))
    assert _run_key(variant, load_splits(variant, [str(mine)])) != _run_key(
        variant, load_splits(variant, [f"{mine}=2"])
    )


@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "modernbert", "mpnet"])
def test_the_upper_layers_give_the_whole_models_logits_from_what_the_lower_ones_made(
    architecture: str, make_encoder: Callable[[str], Path], sample: list[Annotation]
) -> None:
    folder = make_encoder(architecture)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3).eval()
    ids = tokenizer([row.text for row in sample], truncation=True, max_length=32)["input_ids"]
    batch = tokenizer.pad({"input_ids": ids}, return_tensors="pt")
    with torch.inference_mode():
        whole = model(**batch).logits
        frozen = freeze_lower_layers(model, ids)
        upper = model(**frozen.collate([{"input_ids": one} for one in ids])).logits
        frozen.restore()
        again = model(**batch).logits
    assert upper == pytest.approx(whole, abs=2e-3)
    assert torch.equal(again, whole)


@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "modernbert", "mpnet"])
def test_quick_mode_changes_nothing_that_the_lower_layers_share(
    architecture: str, make_encoder: Callable[[str], Path], sample_file: Path, tmp_path: Path
) -> None:
    variant = EncoderVariant(
        name="x", encoder=str(make_encoder(architecture)), annotations=(str(sample_file),), max_length=32, epochs=1,
        quick=True, learning_rate=1e-2,
    )  # fmt: skip
    splits = load_splits(variant)
    before = AutoModelForSequenceClassification.from_pretrained(variant.encoder).state_dict()
    model, tokenizer = fine_tune(variant, splits, tmp_path / "run", None)
    ids = tokenizer(splits.test.texts()[:1], truncation=True, max_length=32)["input_ids"]
    assert model(torch.tensor(ids)).logits.shape == (1, 3)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before.get(name, tensor))}
    assert changed
    shared = ("embeddings", "layer.0.", "layers.0.", "rel_embeddings", "relative_attention_bias", "encoder.LayerNorm")
    assert not [name for name in changed if any(part in name for part in shared)]


def test_quick_mode_learns_all_that_is_new_and_a_sample_of_the_rest(
    sample_file: Path, tiny_model: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.quick._REHEARSED", 10)
    variant = EncoderVariant(name="x", encoder="x", annotations=(str(sample_file),))
    splits = load_splits(variant, [str(mine)], open_model(tiny_model))
    found = rehearsed(splits, seed=1)
    assert found.provenance["sentences"] == {"train": 19, "validation": 12, "test": 12}
    assert {row.text for row in new_annotations(9)} <= set(found.train.texts())
    assert rehearsed(splits, seed=1).train == found.train != rehearsed(splits, seed=2).train


def test_a_model_of_one_layer_cannot_be_trained_quickly(tiny_model: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model)
    keep_layers(model, 1)
    with pytest.raises(DetenteError, match="a model of one layer has none that could stay"):
        freeze_lower_layers(model, [[2, 7, 3]])


@pytest.mark.parametrize(
    ("arguments", "values", "reason"),
    [
        (["--quick"], {}, "name new --annotations"),
        (["--from", "nowhere"], {}, "nowhere: no model directory"),
        ([], {"layers": 3}, "layers is 3; bert has 2 that can be chosen from"),
    ],
)
def test_a_parent_that_does_not_fit_is_told(
    retrain: Callable, capsys: pytest.CaptureFixture[str], arguments: list[str], values: dict, reason: str
) -> None:
    assert retrain(*arguments, **values) > 0
    assert reason in capsys.readouterr().err


def test_quick_mode_without_a_parent_is_wrong_usage(
    tiny_encoder: Path, write_config: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(write_config(tiny_encoder)), "--quick"]) == 2
    assert "--quick needs a trained model to start from" in capsys.readouterr().err


def test_only_encoders_start_from_a_model(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "words.yaml"
    config.write_text("kind: tfidf\n", encoding="utf-8")
    assert main([str(config), "--from", str(tiny_model)]) == 2
    assert "--from and --quick are for variants of kind encoder" in capsys.readouterr().err


def test_a_model_is_not_replaced_by_its_own_child(
    retrain: Callable, tiny_model: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = open_model(tiny_model).version
    assert retrain("--annotations", str(mine), "--out", str(tiny_model)) == 2
    assert "is the model to start from" in capsys.readouterr().err
    assert open_model(tiny_model).version == before


def test_another_configs_model_gives_way_only_when_told(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "first"}', encoding="utf-8")
    refuse_to_replace(tmp_path, "first")
    with pytest.raises(UsageError, match="holds the model first; write elsewhere with --out, or give --replace"):
        refuse_to_replace(tmp_path, "second")


def test_the_default_model_gives_way_only_when_told() -> None:
    path = default_model_path()
    with pytest.raises(UsageError, match="holds the default model"):
        refuse_to_replace(path.resolve(), manifest(path)["name"])


def test_replace_lets_another_configs_model_give_way(tmp_path: Path, sample_file: Path) -> None:
    for name in ("one", "two"):
        config = f"kind: tfidf\nmin_documents: 1\nannotations: [{sample_file}]\n"
        (tmp_path / f"{name}.yaml").write_text(config, encoding="utf-8")
    out = ["--out", str(tmp_path / "model")]
    assert main([str(tmp_path / "one.yaml"), *out]) == 0
    assert main([str(tmp_path / "two.yaml"), *out]) == 2
    assert manifest(tmp_path / "model")["name"] == "one"
    assert main([str(tmp_path / "two.yaml"), *out, "--replace"]) == 0
    assert manifest(tmp_path / "model")["name"] == "two"


def test_widening_a_head_keeps_its_logits(tiny_model: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model, dtype=torch.float32).eval()
    ids = torch.tensor([[2, 7, 9, 3]])
    before = model(ids).logits
    widen_head(model, 4)
    assert model(ids).logits.shape == (1, 7)
    assert torch.allclose(label_head(model)(ids).logits, before, atol=1e-6)
