"""In which formats scored articles are written, and which one a command means. Light, so that `--help` is quick."""

from enum import StrEnum
from pathlib import Path

from detente.errors import UsageError


class OutputFormat(StrEnum):
    """How scored articles are written."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def output_format(path: Path | None, asked: OutputFormat | None) -> OutputFormat:
    """The format asked for, else the one that the file's suffix names, else a table.

    Raises:
        UsageError: the suffix is unknown, or Parquet was asked for on standard output.
    """
    suffix = path.suffix.lower().removeprefix(".") if path else ""
    if asked is None and path is None:
        return OutputFormat.TABLE
    if asked is None and suffix in set(OutputFormat):
        return OutputFormat(suffix)
    if asked is None:
        raise UsageError(f"{path}: its suffix names no format; end it in .jsonl, .csv or .parquet, or give --format")
    if asked is OutputFormat.PARQUET and path is None:
        raise UsageError("Parquet goes to a file; give --out FILE.parquet")
    return asked


def job_format(asked: OutputFormat | None) -> OutputFormat:
    """The format of a batch job's shards, JSONL unless another was asked for.

    Raises:
        UsageError: a table to read was asked for.
    """
    if asked is OutputFormat.TABLE:
        raise UsageError("a batch job writes no table; give --format jsonl, csv or parquet")
    return asked or OutputFormat.JSONL
