"""Shows how far a long scoring is: a bar where someone watches, else a plain line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from detente.articles import BadArticle
from detente.files import bytes_read
from detente.scoring import ScoredArticle

# Between two plain lines.
_SECONDS: Final = 30.0


@contextmanager
def progress(total_bytes: int, tell: Callable[[str], Any]) -> Iterator[Callable[[ScoredArticle | BadArticle], Any]]:
    """A function to call with every article that is done.

    `total_bytes` is the size of the input, 0 if it is unknown; how much of it was read tells how long the rest will
    take. `tell` is called with each plain line.
    """
    if sys.stderr.isatty() and not sys.stdout.isatty():
        yield from _bar(total_bytes)
    else:
        yield from _lines(total_bytes, tell)


def _bar(total_bytes: int) -> Iterator[Callable[[ScoredArticle | BadArticle], Any]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    done = bad = 0
    began, before = time.monotonic(), bytes_read()
    text = TextColumn("{task.fields[done]:,} articles, {task.fields[rate]:.0f} a second, {task.fields[bad]:,} bad")
    with Progress(text, BarColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as shown:
        task = shown.add_task("", total=max(total_bytes, 1), done=0, rate=0.0, bad=0)

        def advance(article: ScoredArticle | BadArticle) -> None:
            nonlocal done, bad
            bad += isinstance(article, BadArticle)
            done += isinstance(article, ScoredArticle)
            rate = done / max(time.monotonic() - began, 1e-3)
            shown.update(task, completed=min(bytes_read() - before, total_bytes), done=done, rate=rate, bad=bad)

        yield advance


def _lines(total_bytes: int, tell: Callable[[str], Any]) -> Iterator[Callable[[ScoredArticle | BadArticle], Any]]:
    done = bad = 0
    began, before = time.monotonic(), bytes_read()
    told = began

    def advance(article: ScoredArticle | BadArticle) -> None:
        nonlocal done, bad, told
        bad += isinstance(article, BadArticle)
        done += isinstance(article, ScoredArticle)
        now = time.monotonic()
        if now - told < _SECONDS:
            return
        told = now
        share = min((bytes_read() - before) / total_bytes, 1.0) if total_bytes else 0.0
        left = f", about {_duration((now - began) * (1 - share) / share)} left" if 0 < share < 1 else ""
        tell(f"{done:,} articles scored, {done / (now - began):.0f} a second, {bad:,} bad{left}")

    yield advance


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
