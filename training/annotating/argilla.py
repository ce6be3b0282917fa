"""Argilla's forms (version 2): records with suggestions go out; records with responses come back.

Its `records.to_json` writes them nested and without the status of a response; `to_datasets` flat and with it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from detente.errors import DetenteError
from detente.labels import LABELS
from training.annotating.answers import NO_ANSWER, SKIPPED, Answer, one_label, task_fields
from training.annotating.tasks import Task

SUFFIX = ".json"
SETUP = f"""Settings of the dataset, and how this file gets in and out:
rg.Settings(fields=[rg.TextField("text")], questions=[rg.LabelQuestion("label", labels={list(map(str, LABELS))})],
            metadata=[rg.TermsMetadataProperty("group"), rg.TermsMetadataProperty("source")])
dataset.records.from_json("FILE")
dataset.records(with_responses=True).to_datasets().to_json("answers.jsonl")"""
# What a response is called that counts: drafts and discarded ones do not. `to_json` leaves the status out.
_SUBMITTED: Final = ("submitted", None)


def to_record(task: Task) -> dict[str, Any]:
    """The task as `dataset.records.from_json` reads it; the suggestion's score is that of the guess."""
    metadata = {name: value for name, value in (("group", task.group), ("source", task.source)) if value}
    record: dict[str, Any] = {"id": task.id, "fields": {"text": task.text}, "metadata": metadata}
    if task.guess:
        score = max(task.scores) if task.scores else None
        suggestion = {"value": str(task.guess), "score": score, "agent": task.model or None}
        record["suggestions"] = {"label": suggestion}
    return record


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether a record is one of Argilla 2, nested or flat."""
    return isinstance(record.get("fields"), dict) or {"_server_id", "status"} <= record.keys()


def answers(record: Mapping[str, Any]) -> Iterator[Answer]:
    """The answers to one task, one for each response.

    Raises:
        DetenteError: no id or text, an unknown label, responses of another version's form.
    """
    if isinstance(record.get("fields"), dict):
        fields = task_fields({**(record.get("metadata") or {}), **record["fields"]}, record.get("id"))
        responses = _nested(record.get("responses") or {})
    else:
        fields = task_fields(record, record.get("_server_id"))
        columns = [record.get(f"label.responses{column}") or [] for column in ("", ".users", ".status")]
        responses = list(zip(*columns, strict=True))
    for value, user, status in responses:
        label = one_label([value]) if value is not None and status in _SUBMITTED else None
        missing = "" if label else NO_ANSWER if status == "draft" else SKIPPED
        yield Answer(**fields, label=label, missing=missing, annotator=str(user or ""))
    if not responses:
        yield Answer(**fields, label=None, missing=NO_ANSWER)


def _nested(responses: Any) -> list[tuple[Any, Any, Any]]:
    if not isinstance(responses, dict):
        raise DetenteError("its responses are a list, as in Argilla 1; expected those of version 2, by question")
    return [(one.get("value"), one.get("user_id"), one.get("status")) for one in responses.get("label") or ()]
