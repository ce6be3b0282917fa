"""Label Studio's forms: tasks with predictions go out; JSON, JSON-MIN and CSV exports come back."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from detente.errors import DetenteError
from detente.labels import LABELS
from training.annotating.answers import NO_ANSWER, SKIPPED, Answer, one_label, task_fields
from training.annotating.tasks import Task

SUFFIX = ".json"
_CHOICES: Final = "\n".join(f'    <Choice value="{label}" hotkey="{key}"/>' for key, label in enumerate(LABELS, 1))
SETUP = f"""In the project's Settings, Labeling Interface, Code:
<View>
  <Text name="text" value="$text"/>
  <Choices name="label" toName="text" choice="single" required="true">
{_CHOICES}
  </Choices>
</View>
Then Import this file, and Export as JSON (which tells skipped tasks, too) or JSON-MIN."""


def to_record(task: Task) -> dict[str, Any]:
    """The task in Label Studio's basic JSON form; the prediction's score is that of the guess."""
    data = {"task_id": task.id, "text": task.text, "group": task.group, "source": task.source}
    record: dict[str, Any] = {"data": {name: value for name, value in data.items() if value}}
    if task.guess:
        choice = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [str(task.guess)]}}
        score = {"score": max(task.scores)} if task.scores else {}
        record["predictions"] = [{"model_version": task.model, **score, "result": [choice]}]
    return record


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether a record is a task of one of Label Studio's exports."""
    return _is_full(record) or {"annotation_id", "annotator", "lead_time"} <= record.keys()


def answers(record: Mapping[str, Any]) -> Iterator[Answer]:
    """The answers to one task: several in JSON, one in JSON-MIN and CSV, which have one record for each.

    Raises:
        DetenteError: no id or text, several labels or an unknown one, labels of another interface than `SETUP`'s.
    """
    if not _is_full(record):
        if record["annotation_id"] not in (None, "") and "label" not in record:
            raise DetenteError("annotated, but without a label; expected an interface whose Choices are named label")
        when = str(record.get("updated_at") or record.get("created_at") or "")
        yield _answer(task_fields(record), _chosen(record.get("label")), record.get("annotator"), when)
        return
    fields = task_fields(record["data"], record.get("id"))
    for annotation in record.get("annotations") or ():
        who = annotation.get("completed_by")
        who = who.get("id") if isinstance(who, dict) else who
        when = str(annotation.get("updated_at") or annotation.get("created_at") or "")
        if annotation.get("was_cancelled"):
            yield Answer(**fields, label=None, missing=SKIPPED, annotator=_name(who), at=when)
        else:
            chosen = [one for one in annotation.get("result") or () if one.get("type") == "choices"]
            named = [one for one in chosen if one.get("from_name") == "label"] or chosen
            yield _answer(fields, [label for one in named for label in one["value"]["choices"]], who, when)
    if not record.get("annotations"):
        yield Answer(**fields, label=None, missing=NO_ANSWER)


def _is_full(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("data"), dict) and not record.keys().isdisjoint({"annotations", "predictions"})


def _answer(fields: dict[str, str], chosen: list[Any], who: object, when: str) -> Answer:
    label = one_label(chosen)
    return Answer(**fields, label=label, missing="" if label else NO_ANSWER, annotator=_name(who), at=when)


def _chosen(value: Any) -> list[Any]:
    """JSON-MIN has one choice as it is, several as `{"choices": […]}`."""
    if isinstance(value, dict):
        return list(value.get("choices", ()))
    return [] if value in (None, "") else [value]


def _name(who: object) -> str:
    return "" if who is None else str(who)
