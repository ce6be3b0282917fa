"""Task files: what is written is read back the same, and mistakes are named with their line."""

import json
from pathlib import Path

import pytest

from detente.errors import DetenteError
from detente.labels import Label
from training.annotating.tasks import Task, read_tasks, write_tasks

FULL = Task("a-01", "Both armies pulled back.", "a", "wire", Label.DE_ESCALATION, (0.1, 0.7, 0.2), "tiny-12345678")


def test_tasks_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    tasks = [FULL, Task("b", '=1+1 "quoted", шум\u2028')]
    write_tasks(tmp_path / "tasks.jsonl", tasks)
    assert read_tasks(tmp_path / "tasks.jsonl") == tasks


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"id": ""}, "id is ''"),
        ({"text": None}, "text is None"),
        ({"guess": "De-escalation"}, "guess is 'De-escalation'"),
        ({"scores": [0.5, 0.5]}, "scores are"),
        ({"guess": ["neutral"]}, "guess is"),
        ({"scores": "high"}, "scores are"),
        ({"scores": [0.5, 0.5, True]}, "scores are"),
        ({"scores": [0.5, 0.5, float("nan")]}, "scores are"),
        ({"id": "a"}, "id .a. stands already on line 1"),
        ({"label": "neutral"}, "is annotated as 'neutral'; expected a task"),
        ({"label": 0}, "is annotated as 0; expected a task"),
    ],
)
def test_a_mistake_in_a_task_file_is_named_with_its_line(tmp_path: Path, change: dict, found: str) -> None:
    lines = [{"id": "a", "text": "One."}, {"id": "b", "text": "Two.", "guess": "neutral"} | change]
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with pytest.raises(DetenteError, match=f"tasks.jsonl:2: {found}"):
        read_tasks(path)
