import json
import shutil
from pathlib import Path

import pytest

from detente.errors import DetenteError
from detente.inference import load_classifier
from detente.model import MANIFEST, open_model


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "model")


def edit(directory: Path, **values: object) -> None:
    path = directory / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_an_untouched_directory_opens(copy: Path) -> None:
    assert open_model(copy).version.startswith("tiny-")


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors", "tokenizer.json", "config.json", "README.md"])
def test_a_changed_byte_is_refused(copy: Path, name: str) -> None:
    path = copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DetenteError, match=rf"{name}: changed since it was exported"):
        open_model(copy)


def test_a_missing_file_is_refused(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    with pytest.raises(DetenteError, match=r"tokenizer\.json: is missing"):
        open_model(copy)


def test_a_model_with_another_label_order_gives_the_same_scores(copy: Path, tiny_model: Path) -> None:
    sentences = ["Shells fell on the port.", "Talks resume on Monday."]
    expected = load_classifier(open_model(tiny_model)).score(sentences)
    edit(copy, labels=["neutral", "escalation", "de-escalation"])
    assert load_classifier(open_model(copy)).score(sentences).tolist() == expected[:, [1, 2, 0]].tolist()


def test_other_labels_are_refused(copy: Path) -> None:
    edit(copy, labels=["positive", "negative", "neutral"])
    with pytest.raises(DetenteError, match=r"its labels are \['positive', .*expected \['escalation'"):
        open_model(copy)


def test_a_damaged_manifest_is_refused(copy: Path) -> None:
    (copy / MANIFEST).write_text("{", encoding="utf-8")
    with pytest.raises(DetenteError, match="cannot be read"):
        open_model(copy)
    (copy / MANIFEST).write_text("{}", encoding="utf-8")
    with pytest.raises(DetenteError, match="its format is None"):
        open_model(copy)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "svm"), ("max_length", "128"), ("pad_id", None), ("files", ["model.onnx"]), ("labels", None),
        ("temperature", "warm"),
    ],
)  # fmt: skip
def test_a_manifest_entry_of_another_kind_is_refused(copy: Path, key: str, value: object) -> None:
    edit(copy, **{key: value})
    with pytest.raises(DetenteError):
        open_model(copy)


def test_an_added_or_unlisted_file_is_refused(copy: Path) -> None:
    (copy / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(DetenteError, match=r"pytorch_model\.bin: is not in the manifest"):
        open_model(copy)
    (copy / "pytorch_model.bin").unlink()
    edit(copy, files={})
    with pytest.raises(DetenteError, match="is not in the manifest"):
        open_model(copy)


def test_a_folder_without_a_manifest_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(DetenteError, match="no model directory"):
        open_model(tmp_path)


def test_a_file_name_that_leaves_the_directory_is_refused(copy: Path) -> None:
    edit(copy, files={"../secret": "0"})
    with pytest.raises(DetenteError, match="outside the model directory"):
        open_model(copy)
