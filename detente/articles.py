"""Articles from files, folders and standard input. An article that cannot be read comes out as one with a reason.

Knows nothing of sentences or scores.
"""

import codecs
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from detente.errors import DetenteError, UsageError
from detente.tables import TABLE_SUFFIXES, Row, read_jsonl, read_rows

ARTICLE_SUFFIXES: Final = (".txt", *TABLE_SUFFIXES)
_STDIN: Final = Path("-")


@dataclass(frozen=True, slots=True)
class Article:
    """One article: its text as it was given, and every other field of its row."""

    id: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BadArticle:
    """An article, or a whole file, that could not be read. `where` is the file, with the line if it has one."""

    where: str
    reason: str
    id: str | None = None


def article_files(paths: Sequence[Path]) -> list[Path]:
    """The files to read, each once: those named, and those of a known type at any depth in the folders named.

    Raises:
        UsageError: a path does not exist, a file is of another type, or a folder holds nothing to score.
    """
    found = {file.resolve() if file != _STDIN else file: file for path in paths for file in _files(path)}
    return list(found.values())


def read_articles(files: Sequence[Path], stdin: BinaryIO | None = None) -> Iterator[Article | BadArticle]:
    """Yield the articles of files in order; the path `-` is standard input.

    A `.txt` file is one article whose id is its path. In JSONL, CSV, TSV and Parquet a row is an article: `text` is
    required, `id` falls back to `file:line`. Standard input is JSONL if it begins with a brace, else one article. An
    id that was there before makes the later article bad.
    """
    seen: dict[str, str] = {}
    for file in files:
        for where, article in _articles_of(file, stdin):
            if isinstance(article, Article) and (first := seen.setdefault(article.id, where)) != where:
                yield BadArticle(where, f"id {article.id!r} was used before at {first}; ids must differ", article.id)
            else:
                yield article


def _files(path: Path) -> list[Path]:
    if path == _STDIN:
        return [path]
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in ARTICLE_SUFFIXES and p.is_file())
        if not found:
            raise UsageError(f"{path}: holds no files to score; expected {', '.join(ARTICLE_SUFFIXES)}")
        return found
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    if path.suffix.lower() not in ARTICLE_SUFFIXES:
        raise UsageError(f"{path}: unknown file type {path.suffix or '(none)'}; give {', '.join(ARTICLE_SUFFIXES)}")
    return [path]


def _articles_of(file: Path, stdin: BinaryIO | None) -> Iterator[tuple[str, Article | BadArticle]]:
    """Articles with their place, so that a file that breaks off in the middle keeps what stood before."""
    name = str(file)
    try:
        if file == _STDIN:
            name = "stdin"
            yield from _from_stdin(stdin or io.BytesIO())
        elif file.suffix.lower() == ".txt":
            yield name, _from_text(name, file.read_bytes())
        else:
            yield from _from_rows(name, read_rows(file))
    except DetenteError as error:
        yield name, BadArticle(name, str(error).removeprefix(f"{name}: "))
    except OSError as error:
        yield name, BadArticle(name, f"cannot be read: {error.strerror}")


def _from_stdin(stdin: BinaryIO) -> Iterator[tuple[str, Article | BadArticle]]:
    head = [stdin.readline()]
    while head[-1] and not head[-1].strip():
        head.append(stdin.readline())
    if head[-1].removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        yield from _from_rows("stdin", read_jsonl(itertools.chain(head, stdin)))
    else:
        yield "stdin", _from_text("stdin", b"".join(head) + stdin.read())


def _from_text(name: str, content: bytes) -> Article | BadArticle:
    if b"\0" in content:
        return BadArticle(name, "holds NUL bytes, so it is a binary file; expected text in UTF-8", name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return BadArticle(name, f"invalid UTF-8 at byte {error.start}; save the file as UTF-8", name)
    if not text.strip():
        return BadArticle(name, "empty; expected an article's text", name)
    return Article(name, text)


def _from_rows(name: str, rows: Iterable[Row]) -> Iterator[tuple[str, Article | BadArticle]]:
    empty = True
    for row in rows:
        empty = False
        where = f"{name}:{row.line}"
        yield where, BadArticle(where, row.problem) if row.problem else _from_record(where, row.record)
    if empty:
        yield name, BadArticle(name, "empty; expected one article a row")


def _from_record(where: str, record: dict[str, Any]) -> Article | BadArticle:
    given, text = record.get("id"), record.get("text")
    article_id = where if given is None or given == "" else str(given)
    if text is None:
        return BadArticle(where, f"no text; expected a field or column 'text', found {_listed(record)}", article_id)
    if not isinstance(text, str):
        return BadArticle(where, f"text is of type {type(text).__name__}; expected a string", article_id)
    if not text.strip():
        return BadArticle(where, "empty text", article_id)
    return Article(article_id, text, {key: value for key, value in record.items() if key not in ("id", "text")})


def _listed(record: dict[str, Any]) -> str:
    return ", ".join(map(str, record)) or "none"
