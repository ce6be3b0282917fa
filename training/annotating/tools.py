"""The annotation tools, by the name that the commands call them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from training.annotating import argilla, doccano, label_studio, prodigy, spreadsheet
from training.annotating.answers import Answer
from training.annotating.tasks import Task


class Tool(Protocol):
    """What each tool's module has."""

    SUFFIX: str  # of the file that it imports
    SETUP: str  # what a person has to set up in it

    def to_record(self, task: Task) -> dict[str, Any]:
        """The task in the form that the tool imports."""

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Whether a record is one of its exports."""

    def answers(self, record: Mapping[str, Any]) -> Iterator[Answer]:
        """The answers in one record."""


# In the order in which they are asked whether they recognise a record; a table is whatever the others leave.
TOOLS: Final[dict[str, Tool]] = {
    "label-studio": label_studio,
    "argilla": argilla,
    "prodigy": prodigy,
    "doccano": doccano,
    "csv": spreadsheet,
}
