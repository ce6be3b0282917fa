"""A batch job: files in, shards of scored articles out, in one folder. Killed at any moment, it goes on where it was.

A shard is written under a temporary name, synced, renamed and then entered in the journal. One that was renamed but not
entered is made again, to the same bytes: what a shard holds depends on the files and on the shards before it alone.
"""

import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from filelock import FileLock, Timeout

from detente.articles import Article, BadArticle, Columns, check_pages, files_in, read_file, shown_name, unless_repeated
from detente.atomic import atomic_writer
from detente.errors import UsageError
from detente.formats import OutputFormat
from detente.journal import Journal, ReadFile
from detente.labels import LABELS
from detente.scoring import ScoredArticle, Scorer
from detente.tables import json_line
from detente.writers import open_writer

SUMMARY: Final = "summary.json"
_JOURNAL: Final = "journal.sqlite"
# Seconds between two looks at watched folders.
_PAUSE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What all shards of a job share."""

    form: OutputFormat
    columns: Columns
    # Articles in a shard.
    shard_rows: int


class Job:
    """A job on an output folder, which is its own while the `with` block runs."""

    def __init__(self, out: Path, make_scorer: Callable[[], Scorer], settings: Settings) -> None:
        """Open the folder, which is made if it is missing.

        Raises:
            UsageError: another job works on it, it was begun with other settings or another model, or it cannot be
                written to.
            DetenteError: its journal is damaged.
        """
        self._out, self._settings = out, settings
        self._touched: dict[str, ReadFile] = {}
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{out}: cannot be made: {error.strerror}") from error
        if not os.access(out, os.W_OK):
            raise UsageError(f"{out}: cannot be written: no permission")
        with ExitStack() as stack:
            try:
                stack.enter_context(FileLock(out / ".lock").acquire(timeout=0))
            except Timeout:
                raise UsageError(f"{out}: another job is writing there; wait for it, or give another --out") from None
            if not (out / _JOURNAL).exists() and any(path.name != ".lock" for path in out.iterdir()):
                raise UsageError(f"{out}: holds other files and no job's journal; give an empty or a new folder")
            self._journal = stack.enter_context(Journal(out / _JOURNAL))
            self._remove_leftovers()
            self._scorer = make_scorer()
            columns = settings.columns
            self._journal.keep_settings(
                {
                    "model": self._scorer.model,
                    "format": str(settings.form),
                    "columns": [columns.text, columns.id, columns.title],
                    "rows a shard": settings.shard_rows,
                }
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._journal.drop_shard()
        self._stack.close()

    def _remove_leftovers(self) -> None:
        """Remove what a kill left: temporary files, and the shard that was renamed but not entered.

        Raises:
            UsageError: there are more shards than that, so the journal has lost some.
        """
        finished = self._journal.shards()
        renamed = [path for path in self._out.glob(f"part-{'[0-9]' * 6}.*") if int(path.name[5:11]) >= finished]
        if any(int(path.name[5:11]) > finished for path in renamed):
            raise UsageError(
                f"{self._out}: holds {max(renamed).name}, but its journal knows of {finished:,} shards; "
                "restore the journal, or give another --out"
            )
        for path in [*renamed, *self._out.glob(".part-*.tmp")]:
            path.unlink()

    def remaining(self, files: Sequence[Path]) -> list[Path]:
        """Those of the files that are not wholly scored.

        Raises:
            UsageError: one was changed after some of it was scored.
        """
        known = self._journal.read_files()
        left = []
        for file in files:
            read = known.get(_key(file))
            if read and not read.same_file(_state(file)):
                raise UsageError(f"{file}: was changed after it was scored; score it under another name or --out")
            if not (read and read.done):
                left.append(file)
        return left

    def score(self, files: Sequence[Path], advance: Callable[[ScoredArticle | BadArticle], Any]) -> None:
        """Score what remains of the files. `advance` is called with every article as it is done."""
        rows = self._rows(files, self._journal.read_files())
        while self._score_shard(itertools.islice(rows, self._settings.shard_rows), advance):
            pass

    def watch(self, paths: Sequence[Path], tell: Callable[[str], Any], pause: float = _PAUSE) -> None:
        """Score files as they arrive in `paths`, until the process is interrupted; what is told are changed files.

        A file is taken when neither its size nor its time of change moved during a pause, in seconds; what is written
        more slowly has to be moved in when it is whole.

        Raises:
            UsageError: one of `paths` is no folder.
        """
        for path in paths:
            if not path.is_dir():
                raise UsageError(f"{path}: no folder to watch")
        began = time.monotonic()
        seen: dict[Path, ReadFile] = {}
        told: set[Path] = set()
        # Interrupting is how a watch ends; the shard under way is made again by the next.
        with suppress(KeyboardInterrupt):
            while True:
                found = {file: _state(file) for path in paths for file in files_in(path)}
                known = self._journal.read_files()
                settled = [file for file, state in found.items() if seen.get(file) == state]
                changed = {f for f in settled if (read := known.get(_key(f))) and not read.same_file(found[f])}
                for file in sorted(changed - told):
                    tell(f"{file}: was changed after it was scored, and is left alone; give it another name")
                told |= changed
                fresh = [f for f in settled if f not in changed and not ((read := known.get(_key(f))) and read.done)]
                if fresh:
                    check_pages(fresh)
                    self.score(fresh, lambda _: None)
                    self.write_summary(began)
                    tell(f"{len(fresh):,} files scored, {self._journal.shards():,} shards")
                seen = found
                time.sleep(pause)

    def _rows(self, files: Sequence[Path], known: dict[str, ReadFile]) -> Iterator[tuple[str, Article | BadArticle]]:
        """The rows not yet in a shard, with their places; how far each file was read is noted on the way."""
        for file in files:
            key = _key(file)
            skipped = known[key].rows if key in known else 0
            state = _state(file)
            # One that may not be read today counts as bad, and is tried again by the next run.
            readable = os.access(file, os.R_OK)
            number = 0
            # By its whole path, so that ids made of it differ wherever the command is run.
            for number, (where, article) in enumerate(read_file(file.resolve(), self._settings.columns), start=1):
                if number > skipped:
                    self._touched[key] = replace(state, rows=number if readable else 0)
                    yield where, article
            self._touched[key] = replace(state, rows=number if readable else 0, done=readable)

    def _score_shard(
        self, rows: Iterator[tuple[str, Article | BadArticle]], advance: Callable[[ScoredArticle | BadArticle], Any]
    ) -> bool:
        """Score one shard's rows; returns whether there were any."""
        number = self._journal.shards()
        part = self._out / f"part-{number:06}.{self._settings.form}"
        bad: list[BadArticle] = []
        counts: Counter[str] = Counter()
        self._touched = {}
        self._journal.begin_shard()
        good = self._good(rows, bad, advance)
        first = next(good, None)
        if first is not None:
            with open_writer(part, self._settings.form) as write:
                for article in self._scorer.score_articles(itertools.chain([first], good)):
                    write(article)
                    counts.update(["articles", str(article.label)])
                    counts["sentences"] += len(article.sentences)
                    advance(article)
        if bad:
            write_bad(bad, part.with_name(f"{part.stem}.bad.jsonl"))
        counts["bad"] = len(bad)
        found = bool(bad) or first is not None
        _sync(self._out)
        self._journal.finish_shard(number, counts if found else None, self._touched)
        return found

    def _good(
        self,
        rows: Iterator[tuple[str, Article | BadArticle]],
        bad: list[BadArticle],
        advance: Callable[[ScoredArticle | BadArticle], Any],
    ) -> Iterator[Article]:
        for where, read in rows:
            article = unless_repeated(read, where, self._journal.earlier_place)
            if isinstance(article, BadArticle):
                bad.append(article)
                advance(article)
            else:
                yield article

    def write_summary(self, started: float) -> dict[str, Any]:
        """Write and return what the whole job has done so far; `started` is this run's `time.monotonic()`."""
        counts: Counter[str] = Counter()
        shards = self._journal.counts()
        for one in shards:
            counts.update(one)
        summary = {
            "articles": counts["articles"],
            "bad": counts["bad"],
            "sentences": counts["sentences"],
            "labels": {str(label): counts[label] for label in LABELS},
            "shards": len(shards),
            "model": self._scorer.model,
            "seconds_of_last_run": round(time.monotonic() - started, 1),
        }
        with atomic_writer(self._out / SUMMARY) as file:
            file.write((json.dumps(summary, indent=2) + "\n").encode())
        return summary


def shard_files(path: Path) -> list[Path]:
    """A job's shards in order, if `path` is its folder; else the file itself.

    Raises:
        UsageError: there is neither.
    """
    if not path.is_dir():
        if not path.is_file():
            raise UsageError(f"{path}: no such file or folder")
        return [path]
    found = sorted(one for one in path.glob("part-*") if one.suffixes != [".bad", ".jsonl"])
    if not found:
        raise UsageError(f"{path}: holds no shards (part-…) of a batch job; name files or another folder")
    return found


def write_bad(bad: Sequence[BadArticle], path: Path) -> None:
    """List articles that could not be read, as JSONL with where, id and reason."""
    with atomic_writer(path) as file:
        for article in bad:
            file.write(json_line({"where": article.where, "id": article.id, "reason": article.reason}))


def _key(file: Path) -> str:
    return shown_name(file.resolve())


def _state(file: Path) -> ReadFile:
    try:
        return ReadFile.now(file, 0, done=False)
    except OSError:
        return ReadFile(0, 0, 0, done=False)  # gone meanwhile: reading it gives one bad article


def _sync(folder: Path) -> None:
    """Make renames in a folder outlast a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
