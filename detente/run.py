"""One run of `detente score`: from files to one file, or to a folder as a batch job. Knows nothing of options."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detente.articles import Article, BadArticle, Columns, article_files, read_articles
from detente.atomic import check_outputs
from detente.errors import UsageError, complain
from detente.formats import OutputFormat
from detente.page import open_page
from detente.progress import progress
from detente.scoring import Scorer
from detente.writers import open_writer

if TYPE_CHECKING:
    from detente.job import Settings


def score_to_file(
    paths: list[Path],
    outputs: tuple[Path | None, Path | None, Path | None],
    make_scorer: Callable[[], Scorer],
    form: OutputFormat,
    columns: Columns,
) -> tuple[int, int]:
    """Score to one file or standard output; returns how many articles were scored, and how many were bad.

    `outputs` are the file of scored articles, the list of bad ones, and the page.
    """
    out, bad, html = outputs
    sidecar = bad or (out.with_name(out.name + ".bad.jsonl") if out else None)
    files = article_files(paths)
    check_outputs(files, out, sidecar, html)
    bad_articles: list[BadArticle] = []
    scored = 0
    with progress(_size(files), complain) as advance:
        articles = read_articles(files, sys.stdin.buffer if sys.stdin else None, columns)
        good = _good(articles, bad_articles, advance)
        first = next(good, None)
        if first is not None:
            scorer = make_scorer()
            with (
                open_writer(out, form, sys.stdout.buffer) as write,
                open_page(html) if html else nullcontext() as show,
            ):
                for article in scorer.score_articles(chain([first], good)):
                    write(article)
                    if show:
                        show(article)
                    scored += 1
                    advance(article)
    for one in bad_articles:
        complain(f"{one.where}: {one.reason}")
    if sidecar and (bad_articles or bad or sidecar.is_file()):
        # Also when nothing was bad: a list from an earlier run must not stand beside today's output.
        from detente.job import write_bad

        write_bad(bad_articles, sidecar)
        if bad_articles:
            complain(f"bad articles: {len(bad_articles):,}, listed in {sidecar}")
    return scored, len(bad_articles)


def score_to_folder(
    paths: list[Path], out: Path, make_scorer: Callable[[], Scorer], settings: "Settings", watch: bool
) -> tuple[int, int]:
    """Score as a batch job; returns how many articles are scored and how many were bad, earlier runs counted in."""
    from detente.job import Job

    started = time.monotonic()
    if Path("-") in paths:
        raise UsageError("standard input cannot be taken up again after a kill; give files, or --out FILE")
    for path in paths:
        if out.resolve().is_relative_to(path.resolve()) or path.resolve().is_relative_to(out.resolve()):
            raise UsageError(f"{out} and {path}: one lies in the other, so output would be scored; write elsewhere")
    named = [] if watch else article_files(paths)
    with Job(out, make_scorer, settings) as job:
        if watch:
            job.watch(paths, complain)
        else:
            files = job.remaining(named)
            with progress(_size(files), complain) as advance:
                job.score(files, advance)
        summary = job.write_summary(started)
    complain(f"{out}: {summary['articles']:,} articles scored in {summary['shards']:,} shards, {summary['bad']:,} bad")
    return summary["articles"], summary["bad"]


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())


def _good(
    articles: Iterable[Article | BadArticle], bad: list[BadArticle], advance: Callable[[BadArticle], Any]
) -> Iterator[Article]:
    for article in articles:
        if isinstance(article, BadArticle):
            bad.append(article)
            advance(article)
        else:
            yield article
