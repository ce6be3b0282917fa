"""What a batch job has done, kept in one SQLite file, so that a killed one goes on where it was.

All of a shard's entries are one transaction: either a shard counts with its files and ids, or nothing of it does.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from detente.errors import DetenteError, UsageError

_FORMAT: Final = 1
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shards (number INTEGER PRIMARY KEY, counts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, rows INTEGER NOT NULL,
    done INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ids (id TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """How far an input file was read: its rows that are in finished shards, and whether those are all."""

    size: int
    modified: int
    rows: int
    done: bool

    @classmethod
    def now(cls, path: Path, rows: int, *, done: bool) -> Self:
        """The file as it lies there, with what was read of it."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, rows, done)

    def same_file(self, other: "ReadFile") -> bool:
        """Whether size and time of change are those of the other."""
        return (self.size, self.modified) == (other.size, other.modified)


class Journal:
    """The journal of one output folder, open; to be used in a `with` block."""

    def __init__(self, path: Path) -> None:
        """Open or begin it.

        Raises:
            DetenteError: the file is no journal of this version.
        """
        self._path = path
        with self._told():
            self._database = sqlite3.connect(path, isolation_level=None)
            # A power cut may cost the shard that is under way, never the file.
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_TABLES)
            self._keep("journal", _FORMAT, "this version of detente reads another")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the database as errors for the person whose disk is full or whose file is damaged."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise DetenteError(f"{self._path}: cannot be written ({error}); mend that and start again") from error
        except sqlite3.DatabaseError as error:
            raise DetenteError(f"{self._path}: no journal of a batch job ({error}); give another --out") from error

    def keep_settings(self, settings: Mapping[str, Any]) -> None:
        """Fix what all shards of a job share; once there is a shard, make sure that it still is the same.

        Raises:
            UsageError: one differs from what the job was begun with.
        """
        with self._told():
            for name, value in settings.items():
                if not self.shards():
                    self._database.execute("DELETE FROM settings WHERE name = ?", (name,))
                self._keep(name, value, "finish it with these settings, or give another --out")

    def _keep(self, name: str, value: Any, advice: str) -> None:
        wanted = json.dumps(value)
        self._database.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, wanted))
        [(found,)] = self._database.execute("SELECT value FROM settings WHERE name = ?", (name,))
        if found != wanted:
            raise UsageError(f"{self._path.parent}: was begun with {name} {found}, now it is {wanted}; {advice}")

    def read_files(self) -> dict[str, ReadFile]:
        """What was read of each file, by its path."""
        with self._told():
            rows = self._database.execute("SELECT path, size, modified, rows, done FROM files")
            return {path: ReadFile(size, modified, count, bool(done)) for path, size, modified, count, done in rows}

    def shards(self) -> int:
        """How many shards are finished; the next one has this number."""
        [(count,)] = self._database.execute("SELECT count(*) FROM shards")
        return int(count)

    def counts(self) -> list[dict[str, Any]]:
        """What was counted in each finished shard, in order."""
        return [json.loads(row) for (row,) in self._database.execute("SELECT counts FROM shards ORDER BY number")]

    def begin_shard(self) -> None:
        """Begin a shard; what follows counts once `finish_shard` was called."""
        with self._told():
            self._database.execute("BEGIN IMMEDIATE")

    def earlier_place(self, article_id: str, place: str) -> str | None:
        """Where an id was met before; None if it is new, and from now on known from `place`."""
        with self._told():
            if self._database.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", (article_id, place)).rowcount:
                return None
            [(found,)] = self._database.execute("SELECT place FROM ids WHERE id = ?", (article_id,))
            return str(found)

    def finish_shard(self, number: int, counts: Mapping[str, Any] | None, files: Mapping[str, ReadFile]) -> None:
        """Make a shard count, with what was read of the files that it came from; without counts, the files alone."""
        with self._told():
            if counts is not None:
                self._database.execute("INSERT INTO shards VALUES (?, ?)", (number, json.dumps(counts)))
            self._database.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
                [(path, one.size, one.modified, one.rows, one.done) for path, one in files.items()],
            )
            self._database.execute("COMMIT")

    def drop_shard(self) -> None:
        """Forget what was begun."""
        with suppress(sqlite3.Error):  # closing does as much
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
