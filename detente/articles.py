"""Articles from files, folders and standard input. An article that cannot be read comes out as one with a reason.

Knows nothing of sentences or scores.
"""

import codecs
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from detente.errors import DetenteError, UsageError
from detente.files import COMPRESSIONS, file_type, open_input, read_lines
from detente.rows import Row
from detente.tables import TABLE_SUFFIXES, read_jsonl, read_rows
from detente.webpage import can_extract, extract_article

_PAGE_SUFFIXES: Final = (".html", ".htm")
ARTICLE_SUFFIXES: Final = (".txt", *TABLE_SUFFIXES, *_PAGE_SUFFIXES)
_STDIN: Final = Path("-")
# Of a file that is one article; a longer one is something else.
_MAX_BYTES: Final = 64 * 1024 * 1024
# What the columns are called in the exports of archives, feed readers and scrapers; the first that is there is taken.
_USUAL: Final = {
    "text": ("text", "body", "content", "article", "article_text", "full_text", "maintext"),
    "id": ("id", "article_id", "doc_id", "document_id", "uid", "guid"),
    "title": ("title", "headline"),
}


@dataclass(frozen=True, slots=True)
class Article:
    """One article: its text and title as they were given, and every field of its row but text and id."""

    id: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields that hold an article's text, id and title; None means that they are found by their usual names."""

    text: str | None = None
    id: str | None = None
    title: str | None = None

    def find(self, role: str, record: dict[str, Any]) -> str | None:
        """The record's field for a role, `text`, `id` or `title`: the one named, or the first with a usual name.

        One that holds something goes before one that is empty. Case does not count for usual names.
        """
        named = getattr(self, role)
        if named is not None:
            return named if named in record else None
        known = {key.lower(): key for key in reversed(record) if isinstance(key, str)}
        found = [known[name] for name in _USUAL[role] if name in known]
        return next((key for key in found if record[key] not in (None, "")), found[0] if found else None)


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
    check_pages(found.values())
    return list(found.values())


def shown_name(file: Path) -> str:
    """A file's name for people and outputs; what is no UTF-8 in it is spelt out."""
    return str(file).encode("utf-8", "backslashreplace").decode()


def read_articles(
    files: Sequence[Path], stdin: BinaryIO | None = None, columns: Columns | None = None
) -> Iterator[Article | BadArticle]:
    """Yield the articles of files in order; the path `-` is standard input.

    A `.txt` file is one article whose id is its path, and so is a web page. In the other types a row is an article: its
    text is required, its id falls back to `file:line`. All but Parquet and Arrow may be compressed (.gz, .zst).
    Standard input is JSONL if it begins with a brace, else one article. An id that was there before makes the later
    article bad.
    """
    seen: dict[str, str] = {}

    def earlier_place(article_id: str, place: str) -> str | None:
        known = seen.get(article_id)
        seen.setdefault(article_id, place)
        return known

    for file in files:
        for where, article in read_file(file, columns or Columns(), stdin):
            yield unless_repeated(article, where, earlier_place)


def unless_repeated(
    article: Article | BadArticle, where: str, earlier_place: Callable[[str, str], str | None]
) -> Article | BadArticle:
    """The article, or a bad one in its place if its id was used before.

    `earlier_place` takes an id and its place and gives where the id was met before, None if it is new.
    """
    if isinstance(article, BadArticle) or (earlier := earlier_place(article.id, where)) is None:
        return article
    return BadArticle(where, f"id {article.id!r} was used before at {earlier}; ids must differ", article.id)


def files_in(folder: Path) -> list[Path]:
    """The files of a known type at any depth in a folder, in order; none if it is missing."""
    found = (p for p in folder.rglob("*") if file_type(p) in ARTICLE_SUFFIXES and p.is_file())
    # The datasets library leaves its caches beside the data, with the same rows.
    return sorted(p for p in found if not (p.suffix == ".arrow" and p.name.startswith("cache-")))


def check_pages(files: Iterable[Path]) -> None:
    """Find out before the work that there are web pages and nothing to read them with.

    Raises:
        UsageError: trafilatura is missing.
    """
    page = next((file for file in files if file_type(file) in _PAGE_SUFFIXES), None)
    if page and not can_extract():
        raise UsageError(f"{page}: a web page needs trafilatura; pip install 'detente[html]', or name the other files")


def _files(path: Path) -> list[Path]:
    if path == _STDIN:
        return [path]
    if path.is_dir():
        found = files_in(path)
        if not found:
            raise UsageError(f"{path}: holds no files to score; expected {', '.join(ARTICLE_SUFFIXES)}")
        return found
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    if file_type(path) not in ARTICLE_SUFFIXES:
        expected = f"{', '.join(ARTICLE_SUFFIXES)}, or one of them with {' or '.join(COMPRESSIONS)} behind"
        raise UsageError(f"{path}: unknown file type {file_type(path) or '(none)'}; give {expected}")
    return [path]


def read_file(
    file: Path, columns: Columns, stdin: BinaryIO | None = None
) -> Iterator[tuple[str, Article | BadArticle]]:
    """A file's articles with their place in order, ids unchecked; one that breaks off keeps what stood before."""
    name = shown_name(file)
    try:
        if name != str(file):
            yield name, BadArticle(name, "its name is not valid UTF-8; rename it")
        elif file == _STDIN:
            name = "stdin"
            yield from _from_stdin(stdin or io.BytesIO(), columns)
        elif file_type(file) in (".txt", *_PAGE_SUFFIXES):
            with open_input(file) as opened:
                content = opened.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                yield name, BadArticle(name, f"larger than {_MAX_BYTES:,} bytes; split it into articles", name)
            else:
                yield name, (_from_text if file_type(file) == ".txt" else _from_page)(name, content)
        else:
            yield from _from_rows(name, read_rows(file), columns, has_header=file_type(file) != ".jsonl")
    except DetenteError as error:
        yield name, BadArticle(name, str(error).removeprefix(f"{name}: "))


def _from_stdin(stdin: BinaryIO, columns: Columns) -> Iterator[tuple[str, Article | BadArticle]]:
    head = [stdin.readline()]
    while head[-1] and not head[-1].strip():
        head.append(stdin.readline())
    if head[-1].removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        lines = itertools.chain(head, read_lines(stdin))
        yield from _from_rows("stdin", read_jsonl(lines), columns, has_header=False)
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


def _from_page(name: str, content: bytes) -> Article | BadArticle:
    found = extract_article(content)
    if found is None:
        return BadArticle(name, "no article found in the page", name)
    # The text passes through as well: the sentences' places are in it, and not in the page.
    return Article(
        name, found["text"], {key: found[key] for key in found if key != "title" or found[key]}, found["title"]
    )


def _from_rows(
    name: str, rows: Iterable[Row], columns: Columns, *, has_header: bool
) -> Iterator[tuple[str, Article | BadArticle]]:
    empty = True
    for row in rows:
        if has_header and not row.problem and (missing := _missing(row.record, columns)):
            # Said once: every row of the file lacks it.
            yield name, BadArticle(name, missing)
            return
        empty = False
        where = f"{name}:{row.line}"
        yield where, BadArticle(where, row.problem) if row.problem else _from_record(where, row.record, columns)
    if empty:
        yield name, BadArticle(name, "empty; expected one article a row")


def _missing(record: dict[str, Any], columns: Columns) -> str:
    """What is wrong with a table's columns, if anything is."""
    if columns.find("text", record) is None:
        return _no_text(record, columns)
    named = [name for name in (columns.id, columns.title) if name is not None and name not in record]
    return f"no column {named[0]!r}; found {_listed(record)}" if named else ""


def _no_text(record: dict[str, Any], columns: Columns) -> str:
    if columns.text is not None:
        return f"no field or column {columns.text!r}; found {_listed(record)}"
    usual = ", ".join(_USUAL["text"])
    return f"no text; expected a field or column of a usual name ({usual}) or --text-column; found {_listed(record)}"


def _from_record(where: str, record: dict[str, Any], columns: Columns) -> Article | BadArticle:
    id_key, text_key, title_key = (columns.find(role, record) for role in ("id", "text", "title"))
    given = record[id_key] if id_key else None
    article_id = where if given is None or given == "" else str(given)
    text = record[text_key] if text_key else None
    if text is None:
        return BadArticle(where, _no_text(record, columns), article_id)
    if not isinstance(text, str):
        return BadArticle(where, f"text is of type {type(text).__name__}; expected a string", article_id)
    if not text.strip():
        return BadArticle(where, "empty text", article_id)
    title = record[title_key] if title_key and title_key != text_key else None
    metadata = {key: value for key, value in record.items() if key not in (id_key, text_key)}
    return Article(article_id, text, metadata, title.strip() if isinstance(title, str) else "")


def _listed(record: dict[str, Any]) -> str:
    return ", ".join(map(str, record)) or "none"
