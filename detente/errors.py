"""The one exception type of the project: an error written for the person who caused it."""

import sys
from collections.abc import Sequence
from typing import Final

# A file with a systematic mistake has it on every line: the first ones are enough to see it.
_PROBLEMS_SHOWN: Final = 20


class DetenteError(Exception):
    """Bad input. The command line prints the message alone, without a traceback, and exits with `exit_code`."""

    exit_code = 1
    # All of them, where the message has only the first ones.
    problems: Sequence[str] = ()


class UsageError(DetenteError):
    """A command was called with options that cannot work, whatever the input holds."""

    exit_code = 2


def printable(text: str) -> str:
    """Text on one line that cannot steer a terminal: control characters become spaces."""
    return "".join(character if character.isprintable() else " " for character in text)


def raise_problems(problems: Sequence[str]) -> None:
    """Raise a `DetenteError` with one line for each problem, the first ones of many, or nothing if there are none."""
    if problems:
        more = len(problems) - _PROBLEMS_SHOWN
        tail = [f"… and {more} more problems like these"] if more > 0 else []
        error = DetenteError("\n".join([*problems[:_PROBLEMS_SHOWN], *tail]))
        error.problems = tuple(problems)
        raise error


def complain(message: str) -> None:
    """Tell the person at the command `detente` something on standard error, one line."""
    sys.stderr.write(f"detente: {printable(message)}\n")
