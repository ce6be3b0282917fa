"""Tasks go out to each tool, are answered as the tool would, and come back with the same ids, texts and groups."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detente.annotations import read_annotations
from detente.labels import LABELS, Label
from training.__main__ import main
from training.annotating.tasks import Task, write_tasks


def _label_studio(path: Path, labels: dict[str, Label]) -> None:
    tasks = json.loads(path.read_text(encoding="utf-8"))
    for number, task in enumerate(tasks):
        choice = {"type": "choices", "value": {"choices": [labels[task["data"]["task_id"]]]}, "from_name": "label"}
        task["id"] = number
        task["annotations"] = [{"completed_by": 1, "was_cancelled": False, "result": [choice]}]
    path.write_text(json.dumps(tasks), encoding="utf-8")


def _argilla(path: Path, labels: dict[str, Label]) -> None:
    records = json.loads(path.read_text(encoding="utf-8"))
    for record in records:
        record["responses"] = {"label": [{"value": labels[record["id"]], "user_id": "u"}]}
    path.write_text(json.dumps(records), encoding="utf-8")


def _lines(path: Path, change: Callable[[dict], dict]) -> None:
    with path.open(encoding="utf-8", newline="\n") as file:
        records = [json.loads(line) for line in file]
    path.write_text("".join(json.dumps(change(record)) + "\n" for record in records), encoding="utf-8")


def _doccano(path: Path, labels: dict[str, Label]) -> None:
    numbers = iter(range(len(labels)))
    _lines(path, lambda record: {"id": next(numbers), **record, "label": [labels[record["task_id"]]], "Comments": []})


def _prodigy(path: Path, labels: dict[str, Label]) -> None:
    hashes = {"_input_hash": 1, "_task_hash": 2}
    _lines(path, lambda r: {**r, **hashes, "accept": [labels[r["meta"]["task_id"]]], "answer": "accept"})


def _csv(path: Path, labels: dict[str, Label]) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";", quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        for row, label in zip(rows, labels.values(), strict=True):
            writer.writerow([*row[:-1], label])


FILLED = {
    "label-studio": (".json", _label_studio),
    "argilla": (".json", _argilla),
    "doccano": (".jsonl", _doccano),
    "prodigy": (".jsonl", _prodigy),
    "csv": (".csv", _csv),
}

# NUL is left out: a CSV file with one is refused as binary.
_any = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=30)
_awkward = st.sampled_from(
    ["=1+1", "'=SUM(A1)", "+", "-5", "@home", '"so-called"', "a,b;c\td", "one\ntwo", "one\r\ntwo", "\r", "\u200bzero",
     "\ufeff", "\u05e9\u05dc\u05d5\u05dd.", "\u202e\u0645\u0631", "\u2028", "\u201ccurly\u201d", "&amp; <b>", "{{x}}",
     "\\n", " padded ", "e\u0301", "\U0001d54f"]
)  # fmt: skip
_texts = st.one_of(_any, _awkward, st.tuples(_awkward, _any).map("".join)).filter(str.strip)
_names = st.one_of(st.just(""), _texts)
_tasks = st.lists(
    st.builds(
        Task, _texts, _texts, _names, _names, st.none() | st.sampled_from(LABELS),
        st.none() | st.just((0.25, 0.5, 0.25)), st.just("tiny-12345678"),
    ),
    min_size=1, max_size=4, unique_by=(lambda task: task.id, lambda task: " ".join(task.text.casefold().split())),
)  # fmt: skip


@pytest.mark.parametrize("tool", FILLED)
@settings(max_examples=25, deadline=None)
@given(with_tasks=st.booleans(), tasks=_tasks, data=st.data())
def test_a_round_trip_changes_nothing(tool: str, with_tasks: bool, tasks: list[Task], data: st.DataObject) -> None:
    labels = {task.id: data.draw(st.sampled_from(LABELS)) for task in tasks}
    suffix, fill = FILLED[tool]
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_tasks(folder / "tasks.jsonl", tasks)
        handed_out, out = folder / f"out{suffix}", folder / "annotations.jsonl"
        assert main(["export", str(folder / "tasks.jsonl"), "--tool", tool, "--out", str(handed_out)]) == 0
        fill(handed_out, labels)
        known = ["--tasks", str(folder / "tasks.jsonl")] if with_tasks else []
        assert main(["import", str(handed_out), *known, "--out", str(out)]) == 0
        with out.open(encoding="utf-8", newline="\n") as file:
            records = [json.loads(line) for line in file]
        found = [(r["id"], r["text"], r["label"], r.get("group", ""), r.get("source", "")) for r in records]
        assert found == [(task.id, task.text, labels[task.id], task.group, task.source) for task in tasks]
        assert len(read_annotations([out]).rows) == len(tasks)
