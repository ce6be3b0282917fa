"""The benchmark on tiny models: what it writes, what it does again, and what it does when a variant fails."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from detente.annotations import Annotation, write_annotations
from detente.errors import UsageError
from eval.__main__ import main
from eval.benchmark import _command, _in_order
from eval.leaderboard import pareto_front
from tests.conftest import ROOT


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample_file: Path) -> Path:
    """A folder that looks like a clone, with sixty sentences and three articles for seeds."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "seeds").mkdir()
    shutil.copy(sample_file, tmp_path / "seeds/annotations.jsonl")
    lines = (ROOT / "seeds/articles.jsonl").read_text(encoding="utf-8").splitlines()
    chosen = [line for line in lines if json.loads(line)["split"] == "test"][:3]
    (tmp_path / "seeds/articles.jsonl").write_text("\n".join(chosen) + "\n", encoding="utf-8")
    for name in ("detente", "eval", "training"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "out").mkdir()
    (tmp_path / "sample.jsonl").write_bytes(sample_file.read_bytes())
    for name, ngram in (("one", 1), ("two", 2)):
        (tmp_path / f"{name}.yaml").write_text(
            f"kind: tfidf\nmin_documents: 1\nmax_ngram: {ngram}\nannotations: [sample.jsonl]\n", encoding="utf-8"
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def benchmark(*arguments: str) -> int:
    return main(["benchmark", *arguments, "--on", "sample.jsonl", "--out", "out", "--rounds", "1"])


def found(clone: Path) -> dict:
    return json.loads((clone / "out/leaderboard.json").read_text(encoding="utf-8"))


def test_it_trains_measures_ranks_and_times_and_a_failing_variant_stops_no_other(clone: Path, tiny_model: Path) -> None:
    (clone / "broken.yaml").write_text("kind: tfidf\nmax_ngrams: 2\n", encoding="utf-8")
    assert benchmark("broken.yaml", "one.yaml", "two.yaml", "--model", str(tiny_model), "none") == 1
    board = found(clone)
    assert set(board["failures"]) == {"broken", "none"}
    assert "did you mean 'max_ngram'" in board["failures"]["broken"]
    models = board["quality"][0]["models"]
    assert set(models) == {"one", "two", "tiny"}
    values = [one["value"] for one in models.values()]
    assert values == sorted(values, reverse=True)
    ways = {(one["model"], one["way"]) for one in board["speeds"]}
    assert {("one", "cpu"), ("two", "cpu"), ("tiny", "cpu"), ("tiny", "pipeline-1"), ("tiny", "pipeline-32")} <= ways
    for one in board["speeds"]:
        assert one["sentences_per_second"] > 0
        assert 0 < one["sentence_ms_p50"] <= one["sentence_ms_p95"]
    # Each process's own: a model of words needs far less than a transformers pipeline.
    peaks = {(one["model"], one["way"]): one["peak_mb"] for one in board["speeds"]}
    assert 20 < peaks["one", "cpu"] < 0.5 * peaks["tiny", "pipeline-32"]
    markdown = (clone / "out/LEADERBOARD.md").read_text(encoding="utf-8")
    for name in ("one", "two", "tiny", "broken"):
        assert f"`{name}`" in markdown
    assert "<svg" in (clone / "out/leaderboard.svg").read_text(encoding="utf-8")


def test_the_pipeline_gives_the_macro_f1_of_the_model_it_runs(clone: Path, tiny_model: Path) -> None:
    assert benchmark("--model", str(tiny_model)) == 0
    by_way = {one["way"]: one["macro_f1"] for one in found(clone)["speeds"]}
    assert by_way["pipeline-32"] == by_way["pipeline-1"] == pytest.approx(by_way["cpu"], abs=0.02)


def test_what_is_finished_is_not_done_again(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert benchmark("one.yaml", "two.yaml") == 0
    first = found(clone)
    kept = {path: path.stat().st_mtime_ns for path in (clone / "runs/benchmark").iterdir()}
    capfd.readouterr()
    assert benchmark("one.yaml", "two.yaml") == 0
    assert capfd.readouterr().out.count("is up to date") == 2
    assert found(clone) == first
    assert {path: path.stat().st_mtime_ns for path in (clone / "runs/benchmark").iterdir()} == kept
    (clone / "two.yaml").write_text((clone / "two.yaml").read_text().replace("ngram: 2", "ngram: 3"), encoding="utf-8")
    assert benchmark("one.yaml", "two.yaml") == 0
    assert capfd.readouterr().out.count("is up to date") == 1
    assert found(clone)["speeds"] != first["speeds"]


def test_with_nothing_that_works_it_says_why(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clone.is_dir()
    assert benchmark("--model", "none") == 1
    assert "no variant could be measured" in capsys.readouterr().err
    assert benchmark() == 2
    assert "nothing to benchmark" in capsys.readouterr().err


def test_a_teacher_is_trained_before_its_student(tmp_path: Path) -> None:
    student, teacher = tmp_path / "a.yaml", tmp_path / "b.yaml"
    student.write_text("kind: encoder\nteachers: [models/b]\n", encoding="utf-8")
    teacher.write_text("kind: encoder\n", encoding="utf-8")
    assert _in_order([student, teacher]) == {teacher: set(), student: {teacher}}
    student.write_text("kind: encoder\nteachers: [./models/b/]\n", encoding="utf-8")
    assert list(_in_order([student, teacher])) == [teacher, student]


def test_two_configs_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both would write models/a"):
        _in_order([tmp_path / "a.yaml", tmp_path / "other" / "a.yaml"])


def test_a_variant_whose_parent_failed_is_not_measured_with_an_older_one(clone: Path) -> None:
    (clone / "parent.yaml").write_text("kind: tfidf\nmax_ngrams: 2\n", encoding="utf-8")
    (clone / "child.yaml").write_text("kind: encoder\nencoder: x\nteachers: [models/parent]\n", encoding="utf-8")
    assert benchmark("child.yaml", "parent.yaml", "one.yaml") == 1
    assert found(clone)["failures"]["child"] == "needs parent, which failed"


def test_overlap_with_training_data_stands_at_the_top(clone: Path, sample: list[Annotation]) -> None:
    write_annotations(clone / "all.jsonl", [replace(row, split="") for row in sample])
    assert main(["benchmark", "one.yaml", "--on", "all.jsonl", "--out", "out", "--rounds", "1"]) == 0
    [warning] = [one for one in found(clone)["warnings"] if "trained on" in one]
    assert warning in (clone / "out/LEADERBOARD.md").read_text(encoding="utf-8")


def test_a_behaviour_suite_alone_ranks_the_fewest_failures_first(clone: Path) -> None:
    shutil.copy(ROOT / "eval/behaviour.jsonl", clone / "suite.jsonl")
    arguments = ["one.yaml", "two.yaml", "--on", "suite.jsonl", "--out", "out", "--rounds", "1"]
    assert main(["benchmark", *arguments]) == 0
    values = [one["value"] for one in found(clone)["quality"][0]["models"].values()]
    assert values == sorted(values)


def test_folders_of_data_stay_out_of_the_command_that_is_shown() -> None:
    assert _command(["configs/a.yaml", "--private", "/home/me/secret/a.csv"]).endswith("configs/a.yaml --private a.csv")


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1, 0.9), (2, 0.8), (3, 0.7)], [(3, 0.7), (2, 0.8), (1, 0.9)]),
        ([(1, 0.7), (2, 0.8), (3, 0.7)], [(3, 0.7), (2, 0.8)]),
        ([(1, 0.8), (2, 0.8)], [(2, 0.8)]),
        ([(5, 0.5)], [(5, 0.5)]),
    ],
)
def test_the_pareto_front_by_hand(points: list[tuple[float, float]], front: list[tuple[float, float]]) -> None:
    assert pareto_front(points) == front


def test_the_committed_leaderboard_is_what_its_json_says() -> None:
    board = json.loads((ROOT / "eval/leaderboard.json").read_text(encoding="utf-8"))
    markdown = (ROOT / "eval/LEADERBOARD.md").read_text(encoding="utf-8")
    assert board["command"] in markdown
    table = markdown.split("## How fast")[0].split("Against `")[0]
    rows = {cells[1].strip(" `"): cells[2:-1] for line in table.splitlines() if len(cells := line.split("|")) > 3}
    for place, one in enumerate(board["quality"]):
        for name, headline in one["models"].items():
            assert rows[name][place].split()[0] == f"{headline['value']:.3f}"
