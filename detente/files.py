"""Opens input files as the bytes that they hold, compressed or not, and reads lines of bounded length."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from detente.errors import DetenteError

COMPRESSIONS: Final = (".gz", ".zst")
# A longer line is no row but damage, or another format: a long article has 0.1 million characters.
MAX_LINE: Final = 16 * 1024 * 1024
# How much of a file is looked at to tell a binary one.
_SNIFFED: Final = 1 << 16


def file_type(path: Path) -> str:
    """The suffix that says what a file holds, in lower case: `.jsonl` of `a.jsonl`, `a.jsonl.gz` and `A.JSONL.ZST`."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in COMPRESSIONS else suffix


class _Counted(io.FileIO):
    """A file that adds up what is read of it and of all others of its kind."""

    total = 0

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        _Counted.total += count or 0
        return count

    def readall(self) -> bytes:
        found = super().readall()
        _Counted.total += len(found)
        return found


def bytes_read() -> int:
    """Bytes taken from input files since this process began, as they lie on the disk: tells how far a reading is."""
    return _Counted.total


@contextmanager
def open_input(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; one that ends in .gz or .zst is decompressed on the way.

    Raises:
        DetenteError: also while it is read: it cannot be read, is damaged or breaks off.
    """
    kind = path.suffix.lower()
    try:
        with io.BufferedReader(_Counted(path)) as file:
            if kind == ".gz":
                with gzip.open(file) as unpacked:
                    yield cast("BinaryIO", unpacked)
            elif kind == ".zst":
                yield from _unpacked_zstandard(file)
            else:
                yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DetenteError(f"{path}: damaged {kind} file ({error}); what stood before the damage was read") from error
    except OSError as error:
        # pyarrow's errors of decompression are OSErrors without a number.
        reason = error.strerror or f"damaged {kind} file ({error})"
        raise DetenteError(f"{path}: cannot be read: {reason}") from error


def sniff(path: Path) -> bytes:
    """The first 64 KiB of what a file holds, or less where it is damaged; the reading will tell of that."""
    head = b""
    with open_input(path) as file, suppress(EOFError, zlib.error, OSError):
        # Piece by piece, since a read that meets the damage gives nothing of what stands before it.
        while len(head) < _SNIFFED and (piece := file.read1(_SNIFFED)):  # type: ignore[attr-defined]
            head += piece
    return head


def _unpacked_zstandard(file: BinaryIO) -> Iterator[BinaryIO]:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd") as unpacked:
        yield cast("BinaryIO", io.BufferedReader(_Raw(unpacked)))


class _Raw(io.RawIOBase):
    """What `io.BufferedReader` asks for, over a pyarrow stream, whose own `readline` is not implemented."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._stream.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


def read_lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Lines with their ends, None in place of one that is longer than `MAX_LINE` bytes."""
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield None
        else:
            yield line
