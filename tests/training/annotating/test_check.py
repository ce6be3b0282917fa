"""Checking annotations: errors are told from warnings, and each finding names its place."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from detente.annotations import Annotation, write_annotations
from detente.labels import Label
from eval.behaviour import read_behaviour
from tests.conftest import ROOT
from training.__main__ import main
from training.annotating.drift import label_shares

HELD_OUT = Annotation("h", "The frigate left the strait at noon without a shot.", Label.DE_ESCALATION, split="test")
FINE = Annotation("f", "A cold wind blew over the empty stadium in Marno.", Label.NEUTRAL, source="wire")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: list[Annotation]) -> Path:
    """A working folder with small seeds."""
    (tmp_path / "seeds").mkdir()
    write_annotations(tmp_path / "seeds" / "annotations.jsonl", [*sample[:50], HELD_OUT])
    write_annotations(tmp_path / "seeds" / "articles.jsonl", sample[50:])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _check(rows: list[Annotation], *options: str, exit_code: int) -> list[dict]:
    write_annotations(Path("mine.csv"), rows)
    judged_by = [] if "--model" in options else ["--no-model"]
    assert main(["check", "mine.csv", "--json", "found.json", *judged_by, *options]) == exit_code
    return json.loads(Path("found.json").read_text(encoding="utf-8"))["findings"]


def _places(findings: list[dict], kind: str) -> list[str]:
    return [found["where"] for found in findings if found["kind"] == kind]


@pytest.mark.usefixtures("clone")
def test_a_file_without_errors_passes() -> None:
    assert _check([FINE], exit_code=0) == []


@pytest.mark.usefixtures("clone")
def test_all_that_the_reader_rejects_is_told(capsys: pytest.CaptureFixture) -> None:
    Path("mine.csv").write_text("id,text,label\na,One.,escalation\nb,,neutral\nc,Two.,peace\n", encoding="utf-8")
    assert main(["check", "mine.csv", "--no-model", "--json", "found.json"]) == 1
    found = json.loads(Path("found.json").read_text(encoding="utf-8"))["findings"]
    assert _places(found, "rejected") == ["mine.csv:3", "mine.csv:4"]
    assert "errors: 2, warnings: 0" in capsys.readouterr().out


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize(
    ("text", "kind", "exit_code"),
    [(HELD_OUT.text.upper(), "held out", 1), (HELD_OUT.text.replace("noon", "dawn"), "near held out", 0)],
)
def test_a_held_out_sentence_is_an_error_and_its_near_copy_a_warning(text: str, kind: str, exit_code: int) -> None:
    copy = replace(HELD_OUT, id="m", text=text, split="")
    assert _places(_check([FINE, copy], exit_code=exit_code), kind) == ["mine.csv:3"]


@pytest.mark.usefixtures("clone")
def test_a_row_that_is_itself_marked_as_test_is_no_error() -> None:
    assert _places(_check([FINE, replace(HELD_OUT, id="m")], exit_code=0), "held out") == []


@pytest.mark.usefixtures("clone")
def test_a_sentence_of_the_behaviour_suite_is_held_out() -> None:
    case = read_behaviour(ROOT / "eval" / "behaviour.jsonl").cases[0]
    (found,) = _check([FINE, replace(FINE, id="b", text=case.changed)], exit_code=1)
    assert (found["where"], found["found"]) == ("mine.csv:3", "stands held out at behaviour suite")


def test_a_direction_coded_file_can_be_held_out(clone: Path) -> None:
    (clone / "coded.tsv").write_text(f"text\tpenta\n{FINE.text}\t4\n", encoding="utf-8")
    found = _check([FINE], "--held-out", "coded.tsv", exit_code=1)
    assert "coded" in found[0]["found"]


@pytest.mark.usefixtures("clone")
def test_a_seed_with_another_label_is_an_error(sample: list[Annotation]) -> None:
    other = next(label for label in Label if label != sample[0].label)
    found = _check([FINE, replace(sample[0], id="m", label=other)], exit_code=1)
    assert _places(found, "rejected") == ["mine.csv:3"]


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize(
    "clash",
    [{"id": "n0"}, {"group": HELD_OUT.id}, {"text": HELD_OUT.text, "split": "train"}],
    ids=["id", "group", "split"],
)
def test_what_clashes_with_the_seeds_is_an_error_as_in_training(clash: dict[str, str]) -> None:
    assert "rejected" in [one["kind"] for one in _check([replace(FINE, **clash)], exit_code=1)]


@pytest.mark.usefixtures("clone")
def test_the_seeds_themselves_can_be_checked() -> None:
    assert main(["check", "seeds/annotations.jsonl", "--no-model", "--json", "found.json"]) == 0


@pytest.mark.usefixtures("clone")
def test_each_of_many_problems_is_in_the_json() -> None:
    Path("mine.csv").write_text("id,text,label\n" + "a,,neutral\n" * 50, encoding="utf-8")
    assert main(["check", "mine.csv", "--no-model", "--json", "found.json"]) == 1
    found = json.loads(Path("found.json").read_text(encoding="utf-8"))["findings"]
    assert _places(found, "rejected") == [f"mine.csv:{line}" for line in range(2, 52)]


@pytest.mark.usefixtures("clone")
def test_near_duplicates_with_two_labels_are_a_warning_with_both_places() -> None:
    twin = replace(FINE, id="t", text=FINE.text.replace("cold", "bitter"), label=Label.ESCALATION)
    (found,) = [found for found in _check([FINE, twin], exit_code=0) if found["kind"] == "near-duplicate"]
    assert found["where"] == "mine.csv:2"
    assert "mine.csv:3, which is escalation" in found["found"]


def test_a_flipped_label_is_a_likely_slip(clone: Path) -> None:
    texts = {
        Label.ESCALATION: "Shells hit the harbour of {} and killed dockers",
        Label.DE_ESCALATION: "Envoys meet in {} to sign a truce",
        Label.NEUTRAL: "The orchestra of {} plays a concert",
    }
    names = ["Tavrin", "Oskel", "Marno", "Velgrad", "Piran", "Sutek", "Halden", "Borsk", "Quill", "Zemlin"]
    rows = [Annotation(f"{label}-{name}", text.format(name), label) for label, text in texts.items() for name in names]
    write_annotations(clone / "seeds" / "annotations.jsonl", [row for row in rows if "Tavrin" not in row.text])
    mine = [replace(row, id=f"m{number}") for number, row in enumerate(rows) if "Tavrin" in row.text]
    flipped = Annotation("m", "Envoys meet in Dresk to sign a truce", Label.ESCALATION)
    assert _places(_check([*mine, flipped], exit_code=0), "likely slip") == ["mine.csv:5"]


def test_vectors_of_a_model_judge_what_it_has_not_learned(
    clone: Path, tiny_model: Path, capsys: pytest.CaptureFixture, sample: list[Annotation]
) -> None:
    _check([FINE], "--model", str(tiny_model), exit_code=0)
    assert f"by the sentence vectors of {tiny_model}" in capsys.readouterr().out.replace("\n", "")
    write_annotations(clone / "learned.csv", [row for row in sample if row.split == "train"])
    main(["check", "learned.csv", "--model", str(tiny_model)])
    assert "has learned 100% of these" in capsys.readouterr().out.replace("\n", " ")


def test_measuring_tells_how_many_flipped_labels_are_found(
    clone: Path, sample: list[Annotation], capsys: pytest.CaptureFixture
) -> None:
    write_annotations(clone / "mine.csv", [row for row in sample if row.split != "test"])
    assert main(["check", "mine.csv", "--no-model", "--measure"]) == 0
    assert "2 labels of 48 flipped" in capsys.readouterr().out


def test_measuring_writes_no_json_and_says_so(clone: Path, capsys: pytest.CaptureFixture) -> None:
    write_annotations(clone / "mine.csv", [FINE])
    assert main(["check", "mine.csv", "--no-model", "--measure", "--json", "found.json"]) == 2
    assert "--measure writes no --json" in capsys.readouterr().err


def test_labels_given_otherwise_than_in_the_seeds_are_drift() -> None:
    seeds = [replace(FINE, label=label) for label in Label for _ in range(100)]
    rows = [replace(FINE, label=label) for label in (Label.NEUTRAL, Label.NEUTRAL, Label.ESCALATION) for _ in range(40)]
    assert label_shares(rows, seeds)[0].is_drift
    assert not label_shares(seeds[::5], seeds)[0].is_drift


def test_a_source_that_differs_from_the_rest_of_the_file_is_drift() -> None:
    wire = [replace(FINE, label=label) for label in Label for _ in range(100)]
    odd = [replace(FINE, label=Label.NEUTRAL, source="odd")] * 40
    shares = {row.part: row for row in label_shares([*wire, *odd], wire)}
    assert shares["source odd"].counts == (0, 0, 40)
    assert shares["source odd"].is_drift
