"""The variants beside plain fine-tuning: fewer layers, a teacher, a frozen encoder, 8-bit matrices; and lineage."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
import torch
import yaml

from detente.annotations import Annotation, write_annotations
from detente.errors import DetenteError
from detente.inference import load_classifier
from detente.model import open_model
from training.__main__ import main
from training.config import EncoderVariant
from training.finetune import Loss

TEXTS = ["Shells fell on the port.", "Talks resume on Monday between the two armies.", "The bank kept its rate."]


@pytest.fixture
def train(tmp_path: Path, sample_file: Path) -> Callable[..., int]:
    def run(name: str, *arguments: str, **values: object) -> int:
        config = tmp_path / f"{name}.yaml"
        config.write_text(yaml.safe_dump({"annotations": [str(sample_file)], **values}), encoding="utf-8")
        return main([str(config), "--out", str(tmp_path / name), "--runs", str(tmp_path / "runs"), *arguments])

    return run


@pytest.fixture
def turned(tmp_path: Path, sample: list[Annotation]) -> Path:
    """The sample with training and test split in each other's place."""
    other = {"train": "test", "test": "train", "validation": "validation"}
    path = tmp_path / "turned.jsonl"
    write_annotations(path, [Annotation(r.id, r.text, r.label, split=other[r.split]) for r in sample])
    return path


def manifest(path: Path) -> dict:
    return json.loads((path / "manifest.json").read_text(encoding="utf-8"))


FAST = {"max_length": 32, "epochs": 1, "batch_size": 8, "learning_rate": 1e-3}


def test_a_cut_encoder_keeps_the_layers_asked_for(
    train: Callable[..., int], tmp_path: Path, tiny_encoder: Path
) -> None:
    assert train("one", kind="encoder", encoder=str(tiny_encoder), layers=1, **FAST) == 0
    assert json.loads((tmp_path / "one/config.json").read_text(encoding="utf-8"))["num_hidden_layers"] == 1
    model = open_model(tmp_path / "one")
    on_onnx, on_torch = (load_classifier(model, device).score(TEXTS) for device in ("cpu", "torch-cpu"))
    assert on_onnx == pytest.approx(on_torch, abs=1e-3)


@pytest.mark.parametrize("in_8_bits", [True, False])
def test_a_model_whose_labels_8_bits_would_change_gets_a_graph_in_fp32(
    train: Callable[..., int], tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch, in_8_bits: bool
) -> None:
    monkeypatch.setattr("training.onnx_graph._HALVED_FROM", 64)  # so small are the matrices of the tiny encoder
    monkeypatch.setattr("training.train._LABELS_KEPT", 0.0 if in_8_bits else 1.01)  # as if all did, as if too few did
    assert train("model", kind="encoder", encoder=str(tiny_encoder), **FAST) == 0
    graph = onnx.load(tmp_path / "model/model.onnx", load_external_data=False).graph
    assert ("MatMulIntegerToFloat" in {node.op_type for node in graph.node}) is in_8_bits
    model = open_model(tmp_path / "model")
    on_onnx, on_torch = (load_classifier(model, device).score(TEXTS) for device in ("cpu", "torch-cpu"))
    assert on_onnx == pytest.approx(on_torch, abs=0.02 if in_8_bits else 1e-5)


def test_more_layers_than_there_are_is_told(
    train: Callable[..., int], tiny_encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("three", kind="encoder", encoder=str(tiny_encoder), layers=3, **FAST) == 1
    assert "layers is 3; bert has 2" in capsys.readouterr().err


def test_an_encoder_that_lists_its_layers_can_be_cut(
    train: Callable[..., int], tmp_path: Path, make_encoder: Callable[[str], Path]
) -> None:
    assert train("one", kind="encoder", encoder=str(make_encoder("modernbert")), layers=1, **FAST) == 0
    assert open_model(tmp_path / "one").manifest["agreement"] == 1.0


def test_a_student_learns_from_its_teacher(
    train: Callable[..., int], tmp_path: Path, tiny_encoder: Path, tiny_model: Path
) -> None:
    settings = {"kind": "encoder", "encoder": str(tiny_encoder), **FAST}
    assert train("alone", **settings) == 0
    assert train("taught", **settings, teachers=[str(tiny_model)]) == 0
    alone, taught = (manifest(tmp_path / name) for name in ("alone", "taught"))
    assert alone["files"]["model.safetensors"] != taught["files"]["model.safetensors"]
    assert taught["data"]["parents"] == [open_model(tiny_model).version]


def test_unlabelled_sentences_are_learned_from_the_teacher_alone(
    train: Callable[..., int], tmp_path: Path, tiny_encoder: Path, tiny_model: Path, sample: list[Annotation]
) -> None:
    held_out = next(row.text for row in sample if row.split == "test")
    more = tmp_path / "more.txt"
    more.write_text(
        "\n".join(["Shells fell again.", "Shells  fell again.", "", held_out, "Talks go on."]), encoding="utf-8"
    )
    values = {"kind": "encoder", "encoder": str(tiny_encoder), "teachers": [str(tiny_model)], **FAST}
    assert train("student", **values, unlabelled=str(more)) == 0
    found = manifest(tmp_path / "student")["data"]
    # The doubled one counts once, and the one that is held out not at all.
    assert found["unlabelled"]["sentences"] == 2
    assert found["sentences"]["train"] == 36
    assert len((tmp_path / "student/training_texts.txt").read_text(encoding="ascii").split()) == 38


def test_the_loss_mixes_labels_and_teacher_by_the_distillation_weight() -> None:
    variant = EncoderVariant(name="v", encoder="e", teachers=("t",), distillation_weight=0.25)
    loss = Loss(variant, torch.ones(3))
    logits = torch.tensor([[2.0, 0.0, 0.0]])
    # log-softmax of (2, 0, 0) is -0.2395 for the first and -2.2395 for the others.
    on_label, on_teacher = 2.239540, 0.5 * 0.239540 + 0.5 * 2.239540
    found = loss(SimpleNamespace(logits=logits), torch.tensor([[1.0, -100.0, -100.0, 1.0, 0.5, 0.5, 0.0]]))
    assert float(found) == pytest.approx(0.75 * on_label + 0.25 * on_teacher, abs=1e-5)
    unlabelled = loss(SimpleNamespace(logits=logits), torch.tensor([[-100.0, -100.0, -100.0, 1.0, 0.5, 0.5, 0.0]]))
    assert float(unlabelled) == pytest.approx(0.25 * on_teacher, abs=1e-5)
    without = loss(SimpleNamespace(logits=logits), torch.tensor([[1.0, -100.0, -100.0, 1.0]]))
    assert float(without) == pytest.approx(on_label, abs=1e-5)


def test_direction_weighs_escalation_against_de_escalation_alone() -> None:
    loss = Loss(EncoderVariant(name="v", encoder="e", direction_weight=0.5), torch.ones(3))
    targets = torch.tensor([[-100.0, -100.0, 0.0, 1.0], [-100.0, -100.0, 1.0, 1.0]])
    for neutral in (0.0, 9.0):
        found = loss(SimpleNamespace(logits=torch.tensor([[2.0, 0.0, neutral]] * 2)), targets)
        # log-softmax of (2, 0) is -0.1269 for the first and -2.1269 for the second.
        assert float(found) == pytest.approx(0.5 * (0.126928 + 2.126928) / 2, abs=1e-5)


def test_direction_coded_sentences_are_learned_from_but_for_those_held_out(
    train: Callable[..., int], tmp_path: Path, tiny_encoder: Path, sample: list[Annotation]
) -> None:
    held_out = next(row.text for row in sample if row.split == "test")
    rows = ["Rebels shelled a town.\t4\tASSAULT", "Rebels  shelled a town.\t4\tASSAULT", "A visit took place.\t0\t"]
    rows += ["They met.\t1\tCONSULT", "They asked for aid.\t1\tREQUEST", f"{held_out}\t3\tACCUSE"]
    rows += ["Both sides signed.\t1\tAGREE", "Guns fell silent.\t2\tYIELD", "Guns fell silent.\t4\tASSAULT"]
    coded, measured_on = tmp_path / "coded.tsv", tmp_path / "measured.tsv"
    coded.write_text("text\tpenta\troot\n" + "\n".join(rows) + "\n", encoding="utf-8")
    measured_on.write_text("text\tpenta\nThey met.\t1\n", encoding="utf-8")
    settings = {"kind": "encoder", "encoder": str(tiny_encoder), "held_out": [str(measured_on)], **FAST}
    assert train("alone", **settings) == train("directed", **settings, direction=[str(coded)]) == 0
    alone, directed = (manifest(tmp_path / name) for name in ("alone", "directed"))
    assert directed["held_out"]["measured"]["sentences"] == 1
    assert "| measured | 1 | " in (tmp_path / "directed/README.md").read_text(encoding="utf-8")
    # Left are the shelling, once, and the signing: the others are neutral, held out twice over, or contradict.
    assert directed["data"]["sentences"]["direction"] == 2
    assert alone["files"]["model.safetensors"] != directed["files"]["model.safetensors"]


def test_annotated_sentences_of_a_held_out_file_are_not_trained_on(
    train: Callable[..., int], tmp_path: Path, tiny_encoder: Path, sample: list[Annotation]
) -> None:
    measured_on = tmp_path / "measured.jsonl"
    own = next(row.text for row in sample if row.split == "train")
    measured_on.write_text(json.dumps({"id": "m", "text": own.upper(), "label": "neutral"}) + "\n", encoding="utf-8")
    values = {"kind": "encoder", "encoder": str(tiny_encoder), "held_out": [str(measured_on)], **FAST}
    assert train("less", **values) == 0
    found = manifest(tmp_path / "less")
    assert found["data"]["sentences"]["train"] == 35
    assert found["held_out"]["measured"]["sentences"] == 1


def test_held_out_articles_are_known_by_their_sentences(
    train: Callable[..., int], tmp_path: Path, tiny_encoder: Path, sample: list[Annotation]
) -> None:
    own = next(row for row in sample if row.split == "train")
    spans = [{"start": 0, "end": len(own.text), "label": str(own.label)}]
    article = {"id": "a", "text": f"{own.text}\n\nMore.", "label": str(own.label), "sentences": spans}
    measured_on = tmp_path / "measured.jsonl"
    measured_on.write_text(json.dumps(article) + "\n", encoding="utf-8")
    values = {"kind": "encoder", "encoder": str(tiny_encoder), "held_out": [str(measured_on)], **FAST}
    assert train("less", **values) == 0
    assert manifest(tmp_path / "less")["data"]["sentences"]["train"] == 35


def test_a_teacher_that_has_seen_a_held_out_file_is_refused(  # noqa: PLR0917
    train: Callable[..., int], tmp_path: Path, tiny_encoder: Path, tiny_model: Path, sample: list[Annotation],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    measured_on = tmp_path / "measured.jsonl"
    own = next(row for row in sample if row.split == "train")
    measured_on.write_text(json.dumps({"id": "m", "text": own.text, "label": str(own.label)}) + "\n", encoding="utf-8")
    values = {"kind": "encoder", "encoder": str(tiny_encoder), "teachers": [str(tiny_model)], **FAST}
    assert train("student", **values, held_out=[str(measured_on)]) == 1
    assert "was trained on 1 sentences that are held out here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("test.jsonl", "{}", "would be taken for others called test"),
        ("none.jsonl", None, "no such held-out file"),
        ("empty.jsonl", "", "empty; expected sentences"),
        ("broken.jsonl", '{"id": "1", "text": "Talks.", "label": "war"}', "unknown label 'war'"),
    ],
)
def test_a_held_out_file_of_no_use_is_told_before_training(  # noqa: PLR0917
    train: Callable[..., int], tmp_path: Path, tiny_encoder: Path, capsys: pytest.CaptureFixture[str],
    name: str, content: str | None, reason: str,
) -> None:  # fmt: skip
    path = tmp_path / name
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert train("v", kind="encoder", encoder=str(tiny_encoder), held_out=[str(path)], **FAST) > 0
    found = capsys.readouterr().err
    assert reason in found
    assert "sentences: " not in found


def test_a_teacher_that_has_seen_what_is_held_out_is_refused(
    train: Callable[..., int], turned: Path, tiny_encoder: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"kind": "encoder", "encoder": str(tiny_encoder), "teachers": [str(tiny_model)], **FAST}
    assert train("student", **{**values, "annotations": [str(turned)]}) == 1
    assert "was trained on 36 sentences that are held out here" in capsys.readouterr().err


def test_a_missing_teacher_is_told(
    train: Callable[..., int], tiny_encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("student", kind="encoder", encoder=str(tiny_encoder), teachers=["models/none"], **FAST) == 1
    assert "student needs models/none, which has to be trained first" in capsys.readouterr().err


def test_a_frozen_encoder_trains_and_scores_on_the_cpu(
    train: Callable[..., int], tmp_path: Path, tiny_encoder: Path
) -> None:
    assert train("frozen", kind="frozen", encoder=str(tiny_encoder), max_length=32) == 0
    found = manifest(tmp_path / "frozen")
    assert (found["kind"], found["agreement"]) == ("frozen", 1.0)
    scores = load_classifier(open_model(tmp_path / "frozen")).score(TEXTS)
    assert scores.sum(axis=1) == pytest.approx(1, abs=1e-6)
    # Whatever is beside a sentence in a batch must not change its vector.
    assert load_classifier(open_model(tmp_path / "frozen")).score(TEXTS[:1]) == pytest.approx(scores[:1], abs=1e-5)
    with pytest.raises(DetenteError, match="is no encoder"):
        load_classifier(open_model(tmp_path / "frozen"), "torch-cpu")


def test_if_changed_trains_only_when_config_or_data_changed(
    train: Callable[..., int], tmp_path: Path, sample: list[Annotation], capsys: pytest.CaptureFixture[str]
) -> None:
    def version() -> str:
        return open_model(tmp_path / "words").version

    path = tmp_path / "own.jsonl"
    write_annotations(path, sample)
    values = {"kind": "tfidf", "min_documents": 1, "annotations": [str(path)]}
    assert train("words", "--if-changed", **values) == 0
    first = version()
    capsys.readouterr()
    assert train("words", "--if-changed", **values) == 0
    assert "is up to date" in capsys.readouterr().out
    assert train("words", "--if-changed", **values, max_ngram=1) == 0
    second = version()
    write_annotations(path, sample[:-1])
    assert train("words", "--if-changed", **values, max_ngram=1) == 0
    assert len({first, second, version()}) == 3


def test_no_model_is_written_into_another(
    train: Callable[..., int], tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("words", "--out", str(tiny_model / "words"), kind="tfidf", min_documents=1) == 2
    assert "lies inside the model directory" in capsys.readouterr().err
    assert open_model(tiny_model).version.startswith("tiny-")


def test_the_manifest_says_how_long_training_took_and_by_which_code(tiny_model: Path) -> None:
    found = manifest(tiny_model)
    assert 0 < found["training_seconds"] < 600
    assert len(found["code"]) == 16
