"""What tools have exported becomes annotations; what is wrong with it is named, and then nothing is written.

Label Studio 1.23.2 has made `label-studio.json`, `-min.json` and `.csv`: six tasks in `export`'s form were imported
into a project through its REST API and annotated there by two people. Argilla 2.8.0 has written `argilla.json` (nested,
by its record class) and `argilla.jsonl` (`to_datasets`) after three people's responses. The forms of doccano and
Prodigy follow their documentation and doccano's source.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detente.labels import Label
from tests.training.annotating.conftest import ALDER, BRIDGE, FILES, problems, take_back
from training.__main__ import main
from training.annotating.exports import read_exports
from training.annotating.tasks import Task, write_tasks
from training.annotating.tools import TOOLS
from training.annotating.votes import decide

E, D, N = Label.ESCALATION, Label.DE_ESCALATION, Label.NEUTRAL


@pytest.mark.parametrize("name", ["label-studio.json", "label-studio-min.json", "label-studio.csv"])
def test_label_studios_exports_are_read(out: Path, name: str) -> None:
    found = take_back(out, FILES / name)
    assert {id_: (row.label, row.sure) for id_, row in found.items()} == {
        "brevia-01": (E, "1"),
        "caldova-01": (N, "1"),
        "caldova-02": (E, ""),
    }
    assert (found["brevia-01"].text, found["brevia-01"].group, found["brevia-01"].source) == (ALDER, "brevia", "wire")


@pytest.mark.parametrize("name", ["label-studio.json", "label-studio-min.json", "label-studio.csv"])
def test_the_later_of_one_persons_two_annotations_counts(name: str) -> None:
    # JSON has the older first, the others the newer.
    exports = read_exports([FILES / name])
    given_twice = [answer.label for answer in exports.answers if answer.id == "caldova-02"]
    assert sorted(given_twice) == [E, N]
    assert [row.label for row in decide(exports).annotations if row.id == "caldova-02"] == [E]


def test_skipped_and_unanswered_tasks_are_counted_and_no_mistake(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take_back(out, FILES / "label-studio.json")
    shown = capsys.readouterr().out
    assert "tasks skipped: 1\n" in shown
    assert "tasks without an answer: 1\n" in shown


def test_argillas_responses_are_read_but_for_drafts_and_discarded_ones(out: Path) -> None:
    found = take_back(out, FILES / "argilla.jsonl")
    assert {id_: (row.label, row.sure) for id_, row in found.items()} == {
        "brevia-01": (E, "1"),
        "brevia-02": (D, "0"),
        "brevia-03": (N, ""),
    }


def test_argillas_nested_records_are_read_alike_but_do_not_tell_drafts(out: Path) -> None:
    found = take_back(out, FILES / "argilla.json")
    assert {id_: row.label for id_, row in found.items()} == {
        "brevia-01": E, "brevia-02": D, "brevia-03": N, "caldova-01": E,
    }  # fmt: skip


def test_doccanos_files_are_one_persons_each(lines: Callable[..., Path], out: Path) -> None:
    task = {"id": 1, "text": ALDER, "task_id": "a", "group": "g", "Comments": []}
    anna = lines({**task, "label": ["escalation"]}, name="anna.jsonl")
    ben = lines({**task, "label": ["neutral"]}, {"id": 2, "text": BRIDGE, "label": []}, name="ben.jsonl")
    assert take_back(out, anna, lines({**task, "label": ["escalation"]}, name="c.jsonl"), ben)["a"].sure == "0"


def test_prodigys_answers_are_read(lines: Callable[..., Path], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def task(number: int, **more: object) -> dict[str, object]:
        return {"text": f"{BRIDGE} {number}", "meta": {"task_id": f"t{number}"}, "_task_hash": number, **more}

    path = lines(
        task(1, accept=["neutral"], answer="accept"),
        task(2, label="escalation", answer="accept"),
        task(3, label="escalation", answer="reject"),
        task(4, accept=[], answer="ignore"),
        task(5, accept=[], answer="accept"),
    )
    assert {id_: row.label for id_, row in take_back(out, path).items()} == {"t1": N, "t2": E}
    shown = capsys.readouterr().out
    assert all(f"tasks {why}: 1\n" in shown for why in ("rejected", "skipped", "without an answer"))


def test_prodigys_unnamed_sessions_are_one_annotator(lines: Callable[..., Path]) -> None:
    task = {"text": ALDER, "meta": {"task_id": "a"}, "_task_hash": 1, "accept": ["escalation"], "answer": "accept"}
    names = [{"_annotator_id": "2026-01-02_10-00-00"}, {"_annotator_id": "2026-01-03_10-00-00"}]
    assert {one.annotator for one in read_exports([lines(*(task | name for name in names))]).answers} == {"anna"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_whatever_its_delimiter(table: Callable[..., Path], out: Path, delimiter: str) -> None:
    rows = [("id", "text", "label"), ("1", ALDER, "DE_ESCALATION"), ("2", BRIDGE, "")]
    assert take_back(out, table(*map(delimiter.join, rows)))["1"].label is D


def test_blank_rows_and_labels_of_a_spreadsheet_are_no_mistake(
    table: Callable[..., Path], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table("id,text,label", f"1,{ALDER}, escalation ", f"2,{BRIDGE}, ", ",,", ", ,")
    assert [row.label for row in take_back(out, path).values()] == [E]
    assert "tasks without an answer: 1\n" in capsys.readouterr().out


def test_a_text_like_a_formula_comes_back_as_it_was(tmp_path: Path, out: Path) -> None:
    write_tasks(tmp_path / "tasks.jsonl", [Task("1", "=2+2 is what they agreed on."), Task("2", "'=1' was the sign.")])
    path = tmp_path / "table.csv"
    assert main(["export", str(tmp_path / "tasks.jsonl"), "--tool", "csv", "--out", str(path)]) == 0
    rows = path.read_text(encoding="utf-8").splitlines()
    assert not any(cell.startswith("=") for row in rows for cell in row.split(","))
    path.write_text("\n".join([rows[0], *(row + "neutral" for row in rows[1:])]), encoding="utf-8")
    assert [row.text for row in take_back(out, path).values()] == ["=2+2 is what they agreed on.", "'=1' was the sign."]


@pytest.mark.parametrize("tool", TOOLS)
def test_what_nobody_has_answered_gives_no_annotation(tmp_path: Path, out: Path, capsys, tool: str) -> None:
    # The guess stands where some tools put an answer.
    write_tasks(tmp_path / "tasks.jsonl", [Task("1", ALDER, guess=E)])
    path = tmp_path / f"handed-out{TOOLS[tool].SUFFIX}"
    assert main(["export", str(tmp_path / "tasks.jsonl"), "--tool", tool, "--out", str(path)]) == 0
    assert problems(out, capsys, path)


def test_a_suffix_that_no_tools_exports_have_is_told(
    lines: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lines({"id": 1, "text": ALDER, "label": ["escalation"]}, name="all.txt")
    assert main(["import", str(path), "--out", str(tmp_path / "mine.jsonl")]) == 2
    assert "all.txt: unknown file type .txt; tools export one of .json, .jsonl" in capsys.readouterr().err


def test_a_file_called_json_may_hold_lines(lines: Callable[..., Path], out: Path) -> None:
    path = lines({"id": 1, "text": ALDER, "label": ["escalation"]}, name="all.json")
    assert take_back(out, path)["1"].label is E


# What is wrong.


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"id": "1", "data": {"text": ALDER}, "completions": []}, "looks like Label Studio before version 1"),
        ({"id": "1", "inputs": {"text": ALDER}, "annotation": "x"}, "looks like Argilla 1"),
        ({"id": "1", "text": ALDER, "guess": "neutral"}, "looks like tasks that no tool has exported"),
        ({"id": "1", "text": ALDER, "index": 0.5, "sentences": []}, "looks like scored or annotated articles"),
        ({"first": 1, "second": 2}, "looks like no export; found first, second"),
        ({"id": "1", "text": ALDER, "label": [[0, 5, "LOC"]]}, "its labels have positions in the text"),
        ({"id": "1", "fields": {"text": ALDER}, "responses": [{}]}, "its responses are a list, as in Argilla 1"),
        ({"id": "1", "text": ALDER, "label": ["neutral", "escalation"]}, "several labels, neutral, escalation"),
        ({"id": "1", "text": ALDER, "label": ["escalating"]}, "unknown label 'escalating'"),
        ({"id": "1", "text": ALDER, "label": ["escalating"]}, "did you mean 'escalation'"),
        ({"id": "1", "text": ALDER, "label": ["-1\u200b"]}, "unknown label '-1"),
        ({"id": "1", "text": "", "label": ["neutral"]}, "no text; found id, text, label"),
        ({"id": "1", "fields": {"text": ALDER}, "responses": {"label": 5}}, "not in the form that argilla exports"),
        ({"id": 1, "text": ALDER, "annotation_id": 2, "annotator": 3, "lead_time": 4, "mood": "x"}, "without a label"),
        ("no object", "found a JSON str, expected an object"),
    ],
)
def test_a_record_that_cannot_be_used_is_named(
    lines: Callable[..., Path], out: Path, capsys: pytest.CaptureFixture[str], record: object, found: str
) -> None:
    path = lines(record)
    problem = problems(out, capsys, path)[0]
    assert problem.startswith(f"{path}:1: ")
    assert found in problem


def test_a_task_in_a_json_list_is_named_by_its_place(tmp_path: Path, out: Path, capsys) -> None:
    path = tmp_path / "project.json"
    good = {"id": 7, "data": {"text": ALDER}, "annotations": []}
    result = {"type": "choices", "value": {"choices": ["Angry"]}}
    path.write_text(json.dumps([good, {**good, "annotations": [{"result": [result]}]}]), encoding="utf-8")
    assert problems(out, capsys, path)[0].startswith(f"{path}: task 2: unknown label 'Angry'")


def test_the_tool_that_was_named_is_held_against_the_file(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [problem] = problems(out, capsys, FILES / "label-studio.csv", "--tool", "prodigy")
    assert problem.endswith(":2: looks like label-studio; expected an export of prodigy")


def test_an_export_that_broke_off_is_named(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "half.json"
    path.write_bytes((FILES / "label-studio.json").read_bytes()[:3000])
    assert "not valid JSON" in problems(out, capsys, path)[0]


def test_a_text_that_a_spreadsheet_took_for_a_formula_is_named(table: Callable[..., Path], out: Path, capsys) -> None:
    path = table("id,text,label", "1,#NAME?,neutral", f"2,{ALDER},escalation", "3,#REF!,neutral")
    found = problems(out, capsys, path)
    assert [line.split(": ")[0] for line in found] == [f"{path}:2", f"{path}:4"]
    assert "took it for a formula" in found[0]


def test_one_id_on_two_texts_is_named_with_both_places(table: Callable[..., Path], out: Path, capsys) -> None:
    first = table("id,text,label", f"1,{ALDER},escalation")
    second = table("id,text,label", f"1,{BRIDGE},neutral", name="ben.csv")
    [problem] = problems(out, capsys, first, second)
    assert problem.startswith(f"{second}:2: the text of id '1' is ")
    assert f"in {first}:2; give one of them another id" in problem


def test_a_text_that_was_changed_is_named_and_one_of_other_typography_is_restored(
    table: Callable[..., Path], tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tasks(tmp_path / "tasks.jsonl", [Task("1", '"No" - that\'s all...', "g", "s"), Task("2", ALDER)])
    curly = "1,\u201cNo\u201d \u2013 that\u2019s  all\u2026,neutral"
    path = table("id,text,label", curly, f"2,{ALDER.replace('shelled', 'left')},neutral")
    assert problems(out, capsys, path, "--tasks", tmp_path / "tasks.jsonl")[0].startswith(f"{path}:3: the text of id")
    path = table("id,text,label", curly, name="ben.csv")
    [row] = take_back(out, path, "--tasks", tmp_path / "tasks.jsonl").values()
    assert (row.text, row.group, row.source) == ('"No" - that\'s all...', "g", "s")
    assert "taken as they were: 1\n" in capsys.readouterr().out


def test_an_id_that_is_no_tasks_is_named(table: Callable[..., Path], tmp_path: Path, out: Path, capsys) -> None:
    write_tasks(tmp_path / "tasks.jsonl", [Task("007", ALDER)])
    path = table("id,text,label", f"7,{ALDER},escalation")
    assert "id '7' is not among the tasks" in problems(out, capsys, path, "--tasks", tmp_path / "tasks.jsonl")[0]


def test_one_text_with_two_labels_under_two_ids_is_named(table: Callable[..., Path], out: Path, capsys) -> None:
    path = table("id,text,label", f"1,{ALDER},escalation", f"2,{ALDER},neutral")
    assert "this text is neutral here and escalation at" in problems(out, capsys, path)[0]


def test_without_any_label_nothing_is_written(table: Callable[..., Path], out: Path, capsys) -> None:
    assert "no sentence has a label" in problems(out, capsys, table("id,text,label", f"1,{ALDER},"))[0]


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def _places(value: object, before: tuple = ()) -> list[tuple]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before] + [place for key, one in inside for place in _places(one, (*before, key))]


@pytest.mark.parametrize("name", ["label-studio.json", "label-studio-min.json", "argilla.json"])
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_an_export_it_is_read_or_named(tmp_path_factory, name: str, data: st.DataObject) -> None:
    records = json.loads((FILES / name).read_text(encoding="utf-8"))
    *way, last = data.draw(st.sampled_from(_places(records)[1:]))
    inside = records
    for key in way:
        inside = inside[key]
    inside[last] = data.draw(_json)
    path = tmp_path_factory.getbasetemp() / f"changed-{name}"
    path.write_text(json.dumps(records), encoding="utf-8")
    found = read_exports([path])
    assert all(problem.startswith(f"{path}: task ") for problem in found.problems)
    assert decide(found).votes or found.problems
