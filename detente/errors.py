"""The one exception type of the project: an error written for the person who caused it."""


class DetenteError(Exception):
    """Bad input. The command line prints the message alone, without a traceback, and exits with `exit_code`."""

    exit_code = 1


class UsageError(DetenteError):
    """A command was called with options that cannot work, whatever the input holds."""

    exit_code = 2


def printable(text: str) -> str:
    """Text on one line that cannot steer a terminal: control characters become spaces."""
    return "".join(character if character.isprintable() else " " for character in text)
