"""A table that people fill in with a spreadsheet, and the table of disagreements that one of them settles.

What a spreadsheet does to text is undone where that is safe, in `exports.py`, or found out by `votes.py`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from detente.errors import DetenteError
from detente.labels import LABELS, read_label
from training.annotating.answers import NO_ANSWER, Answer, task_fields
from training.annotating.tasks import Task

SUFFIX = ".csv"
SETUP = f"""Fill in the column label: {", ".join(LABELS)}. Leave it empty where you cannot say.
Change nothing else, and save as CSV. Several people: give each a copy with a name of its own."""
# What stands in a cell whose text was taken for a formula.
_FORMULA_ERROR: Final = re.compile(r"#(NAME|REF|VALUE|DIV/0|N/A|NULL|NUM|ERROR|SPILL)[?!]?")
# The columns of the table of disagreements that hold one annotator's labels.
VOTE: Final = "label of "


def to_record(task: Task) -> dict[str, Any]:
    """The task as a row with an empty label; every row has all columns."""
    scores = task.scores or ("", "", "")
    record: dict[str, Any] = {"id": task.id, "text": task.text, "guess": str(task.guess or "")}
    record |= {f"score_{label.replace('-', '_')}": score for label, score in zip(LABELS, scores, strict=True)}
    return record | {"group": task.group, "source": task.source, "label": ""}


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether a record is a row of a table with the columns that are needed."""
    return {"text", "label"} <= record.keys() and not isinstance(record["label"], list | dict)


def settles(record: Mapping[str, Any]) -> bool:
    """Whether a record is a row of a table of disagreements."""
    return any(name.startswith(VOTE) for name in record)


def answers(record: Mapping[str, Any]) -> Iterator[Answer]:
    """The answer in one row.

    Raises:
        DetenteError: no id or text, an unknown label, an error of the spreadsheet where the text should be.
    """
    fields = task_fields(record)
    if _FORMULA_ERROR.fullmatch(fields["text"].strip()):
        raise DetenteError(f"the text is {fields['text']!r}: a spreadsheet took it for a formula; copy it in anew")
    given = record["label"]
    label = read_label(given) if given is not None and str(given).strip() else None
    yield Answer(**fields, label=label, missing="" if label else NO_ANSWER)
