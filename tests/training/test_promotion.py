"""What may replace the model in service, and that it is replaced whole, can be undone, and survives a kill."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from detente.annotations import Annotation, write_annotations
from detente.labels import LABEL_IDS, LABELS
from detente.model import open_model
from eval.compare import Comparison
from eval.report import Headline, Report, SetReport
from training.__main__ import main
from training.promotion import _staging, judge


def report(*differences: tuple[str, float, tuple[float, float] | None], trained_on: int = 0) -> Report:
    """A report of two models with such differences, each of a kind of set."""

    class Learned:
        def __init__(self, count: int) -> None:
            self.trained_on = count

    sets = [
        SetReport(
            f"set {number}", kind, "macro-F1", [Headline(0.5, None)] * 2, [Learned(0), Learned(trained_on)],
            [Comparison("macro-F1", "old", "new", difference, around, 0.5, 1, 1, 0.5)],
        )
        for number, (kind, difference, around) in enumerate(differences)
    ]  # fmt: skip
    return Report(["old", "new"], ["old-1", "new-2"], "cpu", 100, [], sets)


BETTER, LOWER, WORSE = (0.02, (0.01, 0.03)), (-0.005, (-0.02, 0.01)), (-0.02, (-0.03, -0.01))


@pytest.mark.parametrize(
    ("differences", "promoted"),
    [
        ([("labels", *BETTER), ("direction", *LOWER)], True),
        ([("labels", *BETTER), ("direction", *WORSE)], False),
        ([("labels", 0.005, (-0.01, 0.02)), ("articles", 0.0, (0.0, 0.0))], True),
        ([("labels", 0.005, (-0.01, 0.02)), ("direction", *LOWER)], False),
        ([("labels", 0.02, None)], True),
        ([("labels", -0.02, None), ("direction", *BETTER)], True),
        ([("labels", -0.02, None)], False),
        ([("behaviour", *WORSE)], True),
        ([("behaviour", *BETTER)], False),
    ],
    ids=[
        "better",
        "worse somewhere",
        "no difference",
        "lower somewhere",
        "higher, no interval",
        "better, and lower without an interval",
        "lower, no interval",
        "fewer failures",
        "more failures",
    ],
)
def test_a_candidate_is_promoted_if_better_somewhere_and_worse_nowhere(differences: list, promoted: bool) -> None:
    assert judge(report(*differences)).promoted == promoted


def test_a_set_that_the_candidate_has_learned_proves_nothing() -> None:
    verdict = judge(report(("labels", *BETTER), trained_on=3))
    assert not verdict.promoted
    assert "set 0 proves nothing: new was trained on 3 of its sentences" in verdict.reasons


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, sample: list[Annotation]) -> tuple[Path, Path]:
    """One model that has learned the sample, and one that has learned it with every label turned into the next."""
    folder = tmp_path_factory.mktemp("models")
    turned = [replace(row, label=LABELS[(LABEL_IDS[row.label] + 1) % len(LABELS)]) for row in sample]
    for name, rows in (("right", sample), ("wrong", turned)):
        write_annotations(folder / f"{name}.jsonl", rows)
        config = {"kind": "tfidf", "min_documents": 1, "annotations": [str(folder / f"{name}.jsonl")]}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        assert main([str(folder / f"{name}.yaml"), "--out", str(folder / name)]) == 0
    return folder / "right", folder / "wrong"


@pytest.fixture
def held_out(tmp_path: Path, sample: list[Annotation]) -> Path:
    """Sentences that neither has learned, but the first is right about, since one word is all that is new."""
    path = tmp_path / "held-out.jsonl"
    write_annotations(path, [replace(row, text=f"{row.text} Indeed.", split="") for row in sample])
    return path


def promote(candidate: Path, service: Path, held_out: Path, *more: str) -> int:
    return main(["promote", str(candidate), "--service", str(service), "--on", str(held_out), "--draws", "50", *more])


def test_a_forced_promotion_records_why_and_is_undone_by_a_rollback(
    tmp_path: Path, models: tuple[Path, Path], held_out: Path
) -> None:
    first, second = (open_model(path).version for path in models)
    service = tmp_path / "models" / "default"
    assert promote(models[0], service, held_out) == 0
    assert promote(models[1], service, held_out, "--force", "the desk asked for it") == 0
    record = open_model(service).manifest["promotion"]
    assert (open_model(service).version, record["replaced"]) == (second, first)
    assert record["forced"] == "the desk asked for it"
    assert record["figures"][0]["set"] == "held-out"
    for expected in (first, second):
        assert main(["rollback", "--service", str(service)]) == 0
        assert open_model(service).version == expected


def test_a_candidate_that_is_better_beyond_chance_is_promoted(
    tmp_path: Path, models: tuple[Path, Path], held_out: Path
) -> None:
    assert promote(models[1], tmp_path / "default", held_out) == 0
    assert promote(models[0], tmp_path / "default", held_out) == 0
    promotion = open_model(tmp_path / "default").manifest["promotion"]
    assert promotion["reasons"][0].startswith("better on held-out: macro-F1 +")


def test_a_candidate_that_is_worse_is_refused_and_changes_nothing(
    tmp_path: Path, models: tuple[Path, Path], held_out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = tmp_path / "default"
    assert promote(models[0], service, held_out) == 0
    before = sorted((file.name, file.stat().st_mtime_ns) for file in service.iterdir())
    assert promote(models[1], service, held_out) == 1
    assert "not promoted" in capsys.readouterr().err
    assert sorted((file.name, file.stat().st_mtime_ns) for file in service.iterdir()) == before


def test_the_model_in_service_cannot_be_promoted_anew(
    tmp_path: Path, models: tuple[Path, Path], held_out: Path
) -> None:
    assert promote(models[0], tmp_path / "default", held_out) == 0
    assert promote(models[0], tmp_path / "default", held_out) == 2


def test_nothing_to_roll_back_to_is_an_error(tmp_path: Path, models: tuple[Path, Path], held_out: Path) -> None:
    assert promote(models[0], tmp_path / "default", held_out) == 0
    assert main(["rollback", "--service", str(tmp_path / "default")]) == 1


@pytest.mark.parametrize("exchanged", [False, True])
def test_a_promotion_that_was_killed_leaves_the_old_model_or_the_new_one(
    tmp_path: Path, models: tuple[Path, Path], exchanged: bool
) -> None:
    versions = [open_model(path).version for path in models]
    service = tmp_path / "default"
    shutil.copytree(models[exchanged], service)
    # As a kill leaves it: the copy of the candidate, or what it was exchanged for, under the candidate's name.
    shutil.copytree(models[not exchanged], _staging(service, versions[1]))
    assert open_model(service).version == versions[exchanged]
    assert main(["rollback", "--service", str(service)]) == (0 if exchanged else 1)
    assert open_model(service).version == versions[0]
    assert not list(tmp_path.glob(".default.incoming-*"))


@pytest.mark.parametrize("renames", [1, 2])
def test_where_models_trade_places_in_three_renames_a_kill_between_them_loses_none(
    tmp_path: Path, models: tuple[Path, Path], renames: int
) -> None:
    old, new = (open_model(path).version for path in models)
    service, aside = tmp_path / "default", tmp_path / ".default.aside"
    shutil.copytree(models[0], aside)
    shutil.copytree(models[1], service if renames == 2 else _staging(service, new))
    assert main(["rollback", "--service", str(service)]) == (0 if renames == 2 else 1)
    assert open_model(service).version == old


def test_a_rollback_brings_back_what_is_left_when_the_model_in_service_is_gone(
    tmp_path: Path, models: tuple[Path, Path]
) -> None:
    shutil.copytree(models[0], tmp_path / "default.previous")
    assert main(["rollback", "--service", str(tmp_path / "default")]) == 0
    assert open_model(tmp_path / "default").version == open_model(models[0]).version


def test_hidden_files_of_a_candidate_stay_where_they_are(
    tmp_path: Path, models: tuple[Path, Path], held_out: Path
) -> None:
    shutil.copytree(models[0], tmp_path / "candidate")
    (tmp_path / "candidate" / ".cache").mkdir()
    assert promote(tmp_path / "candidate", tmp_path / "default", held_out) == 0
    assert not (tmp_path / "default" / ".cache").exists()


def test_a_copy_that_was_cut_short_is_removed(tmp_path: Path, models: tuple[Path, Path], held_out: Path) -> None:
    service = tmp_path / "default"
    _staging(service, "half-00000000").mkdir(parents=True)
    assert promote(models[0], service, held_out) == 0
    assert not list(tmp_path.glob(".default.incoming-*"))
