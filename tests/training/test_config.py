from pathlib import Path

import pytest

from detente.errors import UsageError
from tests.conftest import ROOT
from training.__main__ import main
from training.config import KINDS, AnnotationFile, EncoderVariant, annotation_file, read_variant


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_reads(path: Path) -> None:
    variant = read_variant(path)
    assert variant.name == path.stem
    assert type(variant) in KINDS.values()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "kind: encoder\nencoder: x\nlerning_rate: 1\n",
            r"c\.yaml:3: unknown key 'lerning_rate'; did you mean 'learning_rate'",
        ),
        ("kind: encoder\nencoder: x\nepochs: many\n", r"c\.yaml:3: epochs is 'many'; expected int"),
        ("kind: encoder\nencoder: x\nunlabelled: a.txt\n", r"c\.yaml:3: unlabelled does nothing without teachers"),
        ("kind: encoder\nencoder: x\nepochs: true\n", r"c\.yaml:3: epochs is True; expected int"),
        ("kind: encoder\nencoder: x\nepochs: -1\n", r"c\.yaml:3: epochs is -1; expected more than 0"),
        ("kind: encoder\nencoder: x\nannotations: one.jsonl\n", r"c\.yaml:3: annotations is 'one\.jsonl'"),
        ("kind: tfidf\nlearning_rate: 1\n", r"c\.yaml:2: unknown key 'learning_rate'"),
        ("kind: encoder\nencoder: x\nepochs: 2\nepochs: 3\n", r"c\.yaml:4: epochs stands already on line 3"),
        ("kind: encoder\nencoder: x\nlearning_rate: .nan\n", r"c\.yaml:3: learning_rate is nan; expected more than 0"),
        (
            "kind: encoder\nencoder: x\nvalidation_share: 1.5\n",
            r"c\.yaml:3: validation_share is 1\.5; expected a share",
        ),
        ("kind: encoder\nencoder: x\nannotations: []\n", r"c\.yaml:3: annotations is empty"),
        ("kind: encoder\nencoder: x\nname: ../evil\n", r"c\.yaml:3: unknown key 'name'"),
        ("kind: [a]\n", r"c\.yaml:1: kind is \['a'\]"),
        ("kind: encoder\n", r"c\.yaml: lacks the key encoder"),
        ("kind: encoder\nencoder: x\nquick: true\n", r"c\.yaml:3: unknown key 'quick'"),
        ("kind: transformer\n", r"c\.yaml:1: kind is 'transformer'; expected encoder or frozen or tfidf"),
        ("- a\n- b\n", r"c\.yaml: expected keys and values"),
        ("kind: [\n", r"c\.yaml: not valid YAML"),
        ("", r"c\.yaml: expected keys and values"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_closest_key(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=reason):
        read_variant(path)


def test_numbers_read_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("kind: encoder\nencoder: x\nlearning_rate: 1e-4\nweight_decay: 0\n", encoding="utf-8")
    variant = read_variant(path)
    assert isinstance(variant, EncoderVariant)
    assert (variant.learning_rate, variant.weight_decay) == (1e-4, 0.0)


def test_a_weight_stands_behind_the_last_equals_sign() -> None:
    assert annotation_file("a.csv") == AnnotationFile(Path("a.csv"), 1.0)
    assert annotation_file("a=b.csv=2.5") == AnnotationFile(Path("a=b.csv"), 2.5)


def test_a_file_whose_own_name_ends_like_a_weight_is_found(tmp_path: Path) -> None:
    path = tmp_path / "round=3"
    path.touch()
    assert annotation_file(str(path)) == AnnotationFile(path, 1.0)
    assert annotation_file(f"{path}=2") == AnnotationFile(path, 2.0)


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "much", ""])
def test_a_weight_that_is_no_positive_number_is_told(weight: str) -> None:
    with pytest.raises(UsageError, match=r"as a weight '.*' is no number above 0; write a\.csv=3"):
        annotation_file(f"a.csv={weight}")


def test_a_mistyped_command_is_told_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sugest", "archive/"]) == 2
    assert "sugest: no such config and no command; did you mean 'suggest'?" in capsys.readouterr().err


def test_a_tools_export_is_no_annotation_file(
    tmp_path: Path, sample_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.yaml").write_text(f"kind: tfidf\nannotations: [{sample_file}]\n", encoding="utf-8")
    (tmp_path / "project.json").write_text("[]", encoding="utf-8")
    assert main([str(tmp_path / "words.yaml"), "--annotations", str(tmp_path / "project.json")]) == 2
    assert "python -m training import makes annotations of it" in capsys.readouterr().err
