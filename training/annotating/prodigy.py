"""Prodigy's form: tasks for its choice interface go out; what `db-out` writes comes back.

Written by its documentation; its classification interface, which asks of one label whether it is right, is read, too.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from detente.labels import LABELS
from training.annotating.answers import NO_ANSWER, REJECTED, SKIPPED, Answer, one_label, task_fields
from training.annotating.tasks import Task

SUFFIX = ".jsonl"
SETUP = """prodigy mark NAME FILE --view-id choice
prodigy db-out NAME > answers.jsonl"""
_OPTIONS: Final = [{"id": str(label), "text": str(label)} for label in LABELS]
_WITHOUT_LABEL: Final = {"reject": REJECTED, "ignore": SKIPPED}
# Without named sessions Prodigy calls whoever annotates by the time at which its server was started.
_START_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")


def to_record(task: Task) -> dict[str, Any]:
    """The task for the choice interface, with the guess chosen beforehand."""
    meta = {"task_id": task.id, "group": task.group, "source": task.source}
    record = {"text": task.text, "options": _OPTIONS, "accept": [str(task.guess)] if task.guess else []}
    return record | {"meta": {name: value for name, value in meta.items() if value}}


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether a record is one of a Prodigy data set."""
    return "text" in record and not record.keys().isdisjoint({"options", "_task_hash"})


def answers(record: Mapping[str, Any]) -> Iterator[Answer]:
    """The answer to one task.

    Raises:
        DetenteError: no id or text, several labels or an unknown one.
    """
    fields = task_fields({**record, **(record.get("meta") or {}), "text": record["text"]}, record.get("_input_hash"))
    who = str(record.get("_annotator_id") or record.get("_session_id") or "")
    who = "" if _START_TIME.fullmatch(who) else who
    if record.get("answer") != "accept":
        missing = _WITHOUT_LABEL.get(str(record.get("answer")), NO_ANSWER)
        yield Answer(**fields, label=None, missing=missing, annotator=who)
        return
    chosen = record.get("accept")
    if chosen is None:
        chosen = [record["label"]] if record.get("label") else []
    label = one_label(chosen)
    yield Answer(**fields, label=label, missing="" if label else NO_ANSWER, annotator=who)
