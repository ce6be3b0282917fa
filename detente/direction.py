"""Direction-coded files, of PLOVER or CAMEO: sentences coded as conflict or cooperation. Read here and nowhere else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detente.errors import DetenteError
from detente.tables import read_rows

# The pentaclass: 0 neutral, 1 and 2 verbal and material cooperation, 3 and 4 verbal and material conflict.
_IS_CONFLICT: Final = {"1": False, "2": False, "3": True, "4": True}
_NEUTRAL: Final = "0"
# Coded as cooperation there; most of them are demands, which the codebook here labels escalation.
CONTRADICTING_ROOT: Final = "REQUEST"


@dataclass(frozen=True)
class DirectionCoded:
    """The sentences of one file that have a direction.

    `roots` holds the PLOVER root of each sentence, or is empty where the file has none. `neutral` and `unlabelled`
    count the rows that were left out.
    """

    texts: list[str]
    is_conflict: list[bool]
    roots: list[str]
    neutral: int
    unlabelled: int


def read_direction(path: Path) -> DirectionCoded:
    """Read a file with the columns `text`, `penta` (0 to 4) and, if there is one, `root`.

    Raises:
        DetenteError: naming file and line: an unreadable row, an empty text, another penta, or only neutral rows.
        UsageError: no such file, or of an unknown type.
    """
    texts, is_conflict, roots, neutral, unlabelled = [], [], [], 0, 0
    for row in read_rows(path):
        text, code = row.record.get("text"), str(row.record.get("penta", "")).strip().removesuffix(".0")
        if row.problem:
            raise DetenteError(f"{path}:{row.line}: {row.problem}")
        if not isinstance(text, str) or not text.strip():
            raise DetenteError(f"{path}:{row.line}: empty text; fill it in or delete the line")
        if code in ("", "None"):
            unlabelled += 1
        elif code == _NEUTRAL:
            neutral += 1
        elif code in _IS_CONFLICT:
            texts.append(text)
            is_conflict.append(_IS_CONFLICT[code])
            roots.append(str(row.record.get("root") or ""))
        else:
            raise DetenteError(f"{path}:{row.line}: penta is {code!r}; expected 0 to 4")
    if not texts:
        raise DetenteError(f"{path}: every row is neutral (penta 0); direction needs some of 1 to 4")
    return DirectionCoded(texts, is_conflict, roots if any(roots) else [], neutral, unlabelled)
