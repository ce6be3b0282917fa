"""doccano's form for text classification: a line has the text, a list of labels, and fields that it passes through."""

from collections.abc import Iterator, Mapping
from typing import Any

from detente.errors import DetenteError
from detente.labels import LABELS
from training.annotating.answers import NO_ANSWER, Answer, one_label, task_fields
from training.annotating.tasks import Task

SUFFIX = ".jsonl"
SETUP = f"""A project for Text Classification with "Allow single label", and the labels {", ".join(LABELS)}.
Import Dataset as JSONL (column text, label column label). Annotators set each document's check mark. Export Dataset as
JSONL with "Export only approved documents": in the others the guess stands where an annotator's label would."""


def to_record(task: Task) -> dict[str, Any]:
    """The task as a line that doccano imports, with the guess as its label."""
    record = {"text": task.text, "label": [str(task.guess)] if task.guess else []}
    passed = {"task_id": task.id, "group": task.group, "source": task.source}
    return record | {name: value for name, value in passed.items() if value}


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether a record is one of doccano's exports; without doccano's id it is a line that `export` has written."""
    return {"id", "text"} <= record.keys() and any(isinstance(record.get(name), list) for name in ("label", "labels"))


def answers(record: Mapping[str, Any]) -> Iterator[Answer]:
    """The answer to one task; doccano writes one file for each person and does not name them in it.

    Raises:
        DetenteError: no id or text, several labels or an unknown one, an export of another kind of project.
    """
    found = record["label"] if "label" in record else record["labels"]
    if any(isinstance(one, list | dict) for one in found):
        raise DetenteError("its labels have positions in the text; expected a project for text classification")
    label = one_label(found)
    yield Answer(**task_fields(record), label=label, missing="" if label else NO_ANSWER)
