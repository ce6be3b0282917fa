"""What one person made of one task, whichever tool it was made in. Knows no tool and decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from detente.errors import DetenteError
from detente.labels import Label, read_label

# Why an answer has no label. None of these is a mistake in the file.
NO_ANSWER: Final = "without an answer"
SKIPPED: Final = "skipped"
REJECTED: Final = "rejected"


@dataclass(frozen=True, slots=True)
class Answer:
    """One person's label for one task.

    `label` is None where they gave none, and `missing` says why. `annotator` is what the tool calls the person, empty
    where it does not say. `at` sorts one person's answers to a task by time, where the tool has it. `where` is the
    place in the export, for messages.
    """

    id: str
    text: str
    label: Label | None
    missing: str = ""
    annotator: str = ""
    group: str = ""
    source: str = ""
    at: str = ""
    where: str = ""


def task_fields(record: Mapping[str, Any], own_id: object = None) -> dict[str, str]:
    """Id, text, group and source of the task that an export's record shows.

    The id is `task_id`, which `export` writes because tools have an `id` of their own, or else `id`, or else `own_id`.

    Raises:
        DetenteError: there is no id or no text.
    """
    found = next((value for value in (record.get("task_id"), record.get("id"), own_id) if value not in (None, "")), "")
    fields = {"id": str(found)} | {name: _text(record.get(name)) for name in ("text", "group", "source")}
    missing = [name for name in ("id", "text") if not fields[name].strip()]
    if missing:
        raise DetenteError(f"no {' and no '.join(missing)}; found {', '.join(map(str, record)) or 'nothing'}")
    return fields


def one_label(found: Sequence[object]) -> Label | None:
    """The one label that was chosen, None if there is none.

    Raises:
        DetenteError: there are several, or it is unknown.
    """
    if len(found) > 1:
        raise DetenteError(f"several labels, {', '.join(map(str, found))}; a sentence has one")
    return read_label(found[0]) if found else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
