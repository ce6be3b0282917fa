"""Annotation tasks: sentences for people to label, with the model's guess; their file is read and written here alone.

A task file is JSONL: `{"id", "text", "group", "source", "guess", "scores", "model"}`, the first two required.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detente.atomic import atomic_writer
from detente.errors import DetenteError
from detente.labels import LABELS, Label
from detente.tables import read_rows


@dataclass(frozen=True, slots=True)
class Task:
    """One sentence to label.

    `group` is the article that it stands in. `guess` and `scores` (in label order) are what the model with the version
    `model` makes of it.
    """

    id: str
    text: str
    group: str = ""
    source: str = ""
    guess: Label | None = None
    scores: tuple[float, float, float] | None = None
    model: str = ""

    def to_record(self) -> dict[str, Any]:
        """The task as a line of a task file; what is not given is left out."""
        record: dict[str, Any] = {"id": self.id, "text": self.text, "group": self.group, "source": self.source}
        record |= {"guess": self.guess and str(self.guess), "scores": self.scores and list(self.scores)}
        record["model"] = self.model
        return {name: value for name, value in record.items() if value}


def write_tasks(path: Path, tasks: Sequence[Task]) -> None:
    """Write a task file; `read_tasks` gives back the same.

    Raises:
        UsageError: the file cannot be written.
    """
    with atomic_writer(path) as file:
        for task in tasks:
            file.write(json.dumps(task.to_record(), ensure_ascii=False).encode() + b"\n")


def read_tasks(path: Path) -> list[Task]:
    """Read a task file; fields that a task does not have are passed over, but for a label.

    Raises:
        DetenteError: there is no such file; or naming file and line: no JSON, no id or text, an id used twice, an
            unknown guess, wrong scores, a label.
        UsageError: it is no JSON lines or table by its suffix.
    """
    tasks: list[Task] = []
    lines: dict[str, int] = {}
    for row in read_rows(path):
        where = f"{path}:{row.line}"
        if row.problem:
            raise DetenteError(f"{where}: {row.problem}")
        task = _task(where, row.record)
        first = lines.setdefault(task.id, row.line)
        if first != row.line:
            raise DetenteError(f"{where}: id {task.id!r} stands already on line {first}; ids must differ")
        tasks.append(task)
    if not tasks:
        raise DetenteError(f"{path}: no tasks in it; expected one a line, as `python -m training suggest` writes them")
    return tasks


def _task(where: str, record: dict[str, Any]) -> Task:
    fields = {name: record.get(name) or "" for name in ("id", "text", "group", "source", "model")}
    for name, value in fields.items():
        if not isinstance(value, str) or (name in {"id", "text"} and not value.strip()):
            raise DetenteError(f"{where}: {name} is {record.get(name)!r}; expected text")
    label = record.get("label")
    if label is not None and str(label).strip():
        raise DetenteError(
            f"{where}: is annotated as {label!r}; expected a task, which has no label yet (as `python -m "
            "training suggest` writes them)"
        )
    guess, scores = record.get("guess"), record.get("scores")
    if guess is not None and guess not in LABELS:
        raise DetenteError(f"{where}: guess is {guess!r}; expected {', '.join(LABELS)}")
    # By type: true and false are of type int, too.
    numbers = isinstance(scores, list) and all(type(score) in (int, float) and 0 <= score <= 1 for score in scores)
    if scores is not None and not (numbers and len(scores) == len(LABELS)):
        raise DetenteError(f"{where}: scores are {scores!r}; expected {len(LABELS)} numbers from 0 to 1 in label order")
    return Task(**fields, guess=guess and Label(guess), scores=scores and tuple(map(float, scores)))
