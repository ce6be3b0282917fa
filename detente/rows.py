"""One row of a file, whatever the file's type."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file. `problem` says why the row could not be read; then `record` is empty."""

    line: int
    record: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
