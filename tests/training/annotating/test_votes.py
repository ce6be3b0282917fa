"""Whose label counts, what happens where none does, and what is said about the annotators."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from detente.labels import Label
from tests.training.annotating.conftest import ALDER, BRIDGE, FILES, problems, take_back
from training.annotating.answers import Answer
from training.annotating.exports import Exports, read_exports
from training.annotating.votes import decide

E, D, N = Label.ESCALATION, Label.DE_ESCALATION, Label.NEUTRAL


def answered(*labels: Label | None) -> Exports:
    """One sentence's answers, each by another person."""
    return Exports([Answer("1", ALDER, label, annotator=str(number)) for number, label in enumerate(labels)])


@pytest.mark.parametrize(
    ("labels", "expected", "sure"),
    [
        ((E,), E, ""),
        ((E, E), E, "1"),
        ((E, E, N), E, "0"),
        ((E, E, None), E, "1"),
        ((E, N), None, None),
        ((E, D, N), None, None),
        ((E, E, N, D), None, None),
    ],
)
def test_the_label_of_more_than_half_of_the_annotators_counts(labels: tuple, expected: Label, sure: str) -> None:
    found = decide(answered(*labels))
    assert [(row.label, row.sure) for row in found.annotations] == ([(expected, sure)] if expected else [])
    assert len(found.disagreements) == (expected is None)


def test_a_settled_label_counts_more_than_the_votes() -> None:
    exports = answered(E, E, E)
    exports.settled = [replace(exports.answers[0], label=N)]
    assert [(row.label, row.sure) for row in decide(exports).annotations] == [(N, "0")]


def test_a_sentence_settled_in_two_ways_is_named() -> None:
    exports = answered(E)
    exports.settled = [replace(exports.answers[0], label=label, where=f"s.csv:{label}") for label in (N, D)]
    assert "settled as de-escalation here and as neutral at s.csv:neutral" in decide(exports).problems[0]


def test_disagreements_are_written_settled_and_read_back(table: Callable[..., Path], out: Path) -> None:
    anna = table("id,text,label,group", f"1,{ALDER},escalation,g", f"2,{BRIDGE},neutral,g")
    ben = table("id,text,label,group", f"1,{ALDER},neutral,g", f"2,{BRIDGE},neutral,g", name="ben.csv")
    assert list(take_back(out, anna, ben)) == ["2"]
    to_settle = out.with_name("annotations.disagreements.csv")
    header, row = to_settle.read_text(encoding="utf-8").splitlines()
    assert header == "id,text,group,source,label of anna,label of ben,label"
    assert row == f"1,{ALDER},g,,escalation,neutral,"
    settled = out.with_name("settled.csv")
    settled.write_text(f"{header}\n{row}De-escalation\n", encoding="utf-8")
    found = take_back(out, anna, ben, settled)
    assert {id_: (one.label, one.sure, one.group) for id_, one in found.items()} == {
        "1": (D, "0", "g"),
        "2": (N, "1", "g"),
    }


def test_a_table_of_disagreements_that_nothing_is_left_of_is_named(
    table: Callable[..., Path], out: Path, capsys
) -> None:
    anna = table("id,text,label", f"1,{ALDER},escalation", f"2,{BRIDGE},neutral")
    ben = table("id,text,label", f"1,{ALDER},neutral", name="ben.csv")
    take_back(out, anna, ben)
    assert "nothing is left to settle" not in capsys.readouterr().out
    take_back(out, anna, ben, table("id,text,label", f"1,{ALDER},neutral", name="cleo.csv"))
    assert "disagreements.csv: stands there from before, but nothing is left to settle" in capsys.readouterr().out


def test_one_file_under_two_spellings_of_its_path_is_one_annotators(table: Callable[..., Path]) -> None:
    anna = table("id,text,label", f"1,{ALDER},escalation")
    found = read_exports([anna, anna.parent / ".." / anna.parent.name / anna.name])
    assert [one.annotator for one in found.answers] == ["anna"]


def test_a_task_that_nobody_labelled_is_counted_once_and_one_that_somebody_did_is_not() -> None:
    exports = answered(None, None)
    exports.answers = [replace(one, missing="skipped") for one in exports.answers]
    exports.answers += [Answer("2", BRIDGE, None, "skipped", "0"), Answer("2", BRIDGE, N, annotator="1")]
    assert decide(exports).missing == {"skipped": 1}


def test_a_settled_table_is_read_beside_a_named_tools_exports(lines: Callable[..., Path], table, out: Path) -> None:
    anna = lines({"id": 1, "text": ALDER, "label": ["escalation"]})
    settled = table("id,text,label of anna,label of ben,label", f"1,{ALDER},escalation,neutral,neutral", name="s.csv")
    assert take_back(out, anna, settled, "--tool", "doccano")["1"].label is N


def test_what_a_person_has_settled_is_not_written_over(table: Callable[..., Path], out: Path, capsys) -> None:
    anna = table("id,text,label", f"1,{ALDER},escalation")
    settled = table("id,text,label of anna,label of ben,label", f"1,{ALDER},escalation,neutral,neutral", name="s.csv")
    [problem] = problems(out, capsys, anna, settled, "--disagreements", settled, code=2)
    assert "holds settled labels" in problem


def test_settled_rows_that_cannot_be_read_are_not_written_over(table: Callable[..., Path], out: Path, capsys) -> None:
    anna, ben = (table("id,text,label", f"1,{ALDER},{label}", name=f"{label}.csv") for label in (E, N))
    settled = table("", name="s.csv")
    settled.write_bytes(b"id,text,label of anna,label of ben,label\n1,caf\xe9,escalation,neutral,neutral\n")
    [problem] = problems(out, capsys, anna, ben, "--disagreements", settled, code=2)
    assert "holds settled labels" in problem


def test_people_of_two_files_are_told_apart_even_if_the_tool_calls_them_the_same(tmp_path: Path) -> None:
    for name in ("north.json", "south.json"):
        (tmp_path / name).write_bytes((FILES / "label-studio.json").read_bytes())
    found = read_exports([tmp_path / "north.json", tmp_path / "south.json"])
    assert {one.annotator for one in found.answers if one.label} == {"north:1", "north:3", "south:1", "south:3"}


def test_the_agreement_is_shown_and_written(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take_back(out, FILES / "label-studio.json", "--json", tmp_path / "agreement.json")
    figures = json.loads((tmp_path / "agreement.json").read_text(encoding="utf-8"))
    kappa = pytest.approx(0.5)
    assert figures["pairs"] == [{"first": "1", "second": "3", "sentences": 3, "agreed": 2 / 3, "kappa": kappa}]
    shown = capsys.readouterr().out
    assert "Cohen's kappa 0.500" in shown
    assert f"Krippendorff's alpha {figures['krippendorff_alpha']:.3f}" in shown
