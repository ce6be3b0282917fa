"""Writes a file whole or not at all."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from detente.errors import UsageError


def check_writable(path: Path) -> None:
    """Find out before the work, not after it, that a file cannot be written.

    Raises:
        UsageError: it is a folder, or its folder is missing or may not be written to.
    """
    folder = path.resolve().parent
    if path.is_dir():
        raise UsageError(f"{path}: cannot be written: it is a folder")
    if not folder.is_dir():
        raise UsageError(f"{path}: cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{path}: cannot be written: no permission to write to {folder}")


def check_outputs(files: Sequence[Path], *outputs: Path | None) -> None:
    """Find out before the work that an output cannot be written, or would destroy an input or another output.

    Raises:
        UsageError: so it is.
    """
    taken = {file.resolve(): "among the files to read" for file in files}
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in taken:
            raise UsageError(f"{path}: is {taken[path.resolve()]} and would be overwritten; write to another place")
        check_writable(path)
        taken[path.resolve()] = "given for another output"


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its name when the block ends well, and is removed otherwise.

    A link is followed; a pipe or device is written to as it is.

    Raises:
        UsageError: the folder is missing or cannot be written to.
    """
    check_writable(path)
    target = path.resolve()
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
        return
    temporary = target.with_name(f".{target.name[:200]}.{os.urandom(4).hex()}.tmp")
    try:
        # Not NamedTemporaryFile: its mode 0600 would outlive the rename.
        file = temporary.open("xb")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
