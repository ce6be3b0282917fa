"""Tasks go out in the form that each tool documents, and a person is told what to set up."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from detente.labels import LABELS, Label
from tests.training.annotating.conftest import ALDER
from training.__main__ import main
from training.annotating import argilla, label_studio, prodigy
from training.annotating.tasks import Task, write_tasks
from training.annotating.tools import TOOLS

TASK = Task("a-01", ALDER, "a", "wire", Label.ESCALATION, (0.7, 0.1, 0.2), "tiny-12345678")


def test_the_guess_is_label_studios_prediction_with_its_score_and_model() -> None:
    [prediction] = label_studio.to_record(TASK)["predictions"]
    assert (prediction["score"], prediction["model_version"]) == (0.7, "tiny-12345678")
    assert prediction["result"][0]["value"] == {"choices": ["escalation"]}


def test_label_studios_interface_has_the_labels_and_the_names_that_the_predictions_use() -> None:
    code = label_studio.SETUP[label_studio.SETUP.index("<View>") : label_studio.SETUP.index("</View>") + 7]
    view = ET.fromstring(code)  # noqa: S314
    assert [choice.get("value") for choice in view.iter("Choice")] == list(LABELS)
    result = label_studio.to_record(TASK)["predictions"][0]["result"][0]
    assert (view.find("Choices").get("name"), view.find("Text").get("name")) == (result["from_name"], result["to_name"])


def test_the_guess_is_argillas_suggestion() -> None:
    suggestion = {"value": "escalation", "score": 0.7, "agent": "tiny-12345678"}
    assert argilla.to_record(TASK)["suggestions"] == {"label": suggestion}


def test_the_guess_is_chosen_beforehand_among_prodigys_options() -> None:
    record = prodigy.to_record(TASK)
    assert record["accept"] == ["escalation"]
    assert [option["id"] for option in record["options"]] == list(LABELS)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_person_is_told_what_to_set_up(tmp_path: Path, capsys: pytest.CaptureFixture[str], tool: str) -> None:
    write_tasks(tmp_path / "tasks.jsonl", [TASK])
    path = tmp_path / f"out{TOOLS[tool].SUFFIX}"
    assert main(["export", str(tmp_path / "tasks.jsonl"), "--tool", tool, "--out", str(path)]) == 0
    assert TOOLS[tool].SETUP.replace("FILE", str(path)) in capsys.readouterr().out


def test_a_file_that_the_tool_would_not_import_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tasks(tmp_path / "tasks.jsonl", [TASK])
    out = tmp_path / "out.csv"
    assert main(["export", str(tmp_path / "tasks.jsonl"), "--tool", "argilla", "--out", str(out)]) == 2
    assert "argilla imports .json" in capsys.readouterr().err
    assert not out.exists()


def test_a_table_has_a_column_to_fill_in(tmp_path: Path) -> None:
    write_tasks(tmp_path / "tasks.jsonl", [TASK])
    out = tmp_path / "out.csv"
    assert main(["export", str(tmp_path / "tasks.jsonl"), "--tool", "csv", "--out", str(out)]) == 0
    header, row = out.read_text(encoding="utf-8").splitlines()
    assert header == "id,text,guess,score_escalation,score_de_escalation,score_neutral,group,source,label"
    assert row == f"a-01,{ALDER},escalation,0.7,0.1,0.2,a,wire,"
