"""The command `detente`: reads options, wires rooms together, prints errors. Holds no logic of its own."""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

import detente
from detente.articles import Article, BadArticle, Columns, article_files, read_articles
from detente.atomic import atomic_writer, check_writable
from detente.errors import DetenteError, UsageError, printable
from detente.scoring import Scorer
from detente.tables import json_line
from detente.writers import OutputFormat, open_writer, output_format

SOME_BAD = 3

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Says of news, sentence by sentence and article by article: escalation, de-escalation or neutral.",
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"detente {detente.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


@app.command()
def score(  # noqa: PLR0917 - typer passes by name
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Articles: .txt, .jsonl, .csv, .tsv, .parquet, also .gz and .zst of all but the last, a folder of "
            "them, or - for standard input."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="File to write: .jsonl, .csv or .parquet. Without it, standard output.")
    ] = None,
    chosen: Annotated[
        OutputFormat | None, typer.Option("--format", help="Default: the suffix of --out, else a table to read.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Model directory. Default: the model that ships inside.")] = None,
    text_column: Annotated[
        str | None, typer.Option(help="Field with the article's text. Default: text, body, content or the like.")
    ] = None,
    id_column: Annotated[str | None, typer.Option(help="Field with its id. Default: id, article_id, guid …")] = None,
    title_column: Annotated[
        str | None, typer.Option(help="Field with its title, scored as the first sentence. Default: title, headline.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu (ONNX Runtime), or a torch device such as cuda (needs the extra 'gpu').")
    ] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads on the CPU. Default: one a core.")] = None,
    bad: Annotated[
        Path | None,
        typer.Option(help="JSONL file that lists unreadable articles. Default: OUT.bad.jsonl, if there is an --out."),
    ] = None,
) -> None:
    """Score articles.

    Exit codes: 0 all scored, 1 nothing could be scored, 2 wrong usage, 3 scored, but some articles were bad.
    """
    with _errors_on_one_line():
        form = output_format(out, chosen)
        sidecar = bad or (out.with_name(out.name + ".bad.jsonl") if out else None)
        files = article_files(paths)
        columns = Columns(text_column, id_column, title_column)
        _check_outputs(files, out, sidecar)
        bad_articles: list[BadArticle] = []
        good = _good(read_articles(files, sys.stdin.buffer if sys.stdin else None, columns), bad_articles)
        first = next(good, None)
        scored = 0
        if first is not None:
            scorer = Scorer(model, device, threads)
            with open_writer(out, form, sys.stdout.buffer) as write, _progress() as advance:
                for article in scorer.score_articles(_chain(first, good)):
                    write(article)
                    scored += 1
                    advance(scored)
        for one in bad_articles:
            _complain(f"{one.where}: {one.reason}")
        if sidecar and (bad_articles or bad or sidecar.is_file()):
            # Also when nothing was bad: a list from an earlier run must not stand beside today's output.
            _list_bad(bad_articles, sidecar)
    if bad_articles:
        raise typer.Exit(SOME_BAD if scored else DetenteError.exit_code)


def _check_outputs(files: list[Path], out: Path | None, sidecar: Path | None) -> None:
    """Refuse, before anything is scored, to write where it cannot be done or would destroy an input."""
    inputs = {file.resolve() for file in files}
    outputs = [path for path in (out, sidecar) if path]
    for path in outputs:
        if path.resolve() in inputs:
            raise UsageError(f"{path}: is among the files to score and would be overwritten; write to another place")
        check_writable(path)
    if out and sidecar and out.resolve() == sidecar.resolve():
        raise UsageError(f"{out}: is given for both the scored and the bad articles; give two files")


def _good(articles: Iterable[Article | BadArticle], bad: list[BadArticle]) -> Iterator[Article]:
    for article in articles:
        if isinstance(article, BadArticle):
            bad.append(article)
        else:
            yield article


def _chain(first: Article, rest: Iterable[Article]) -> Iterator[Article]:
    yield first
    yield from rest


def _list_bad(bad: list[BadArticle], sidecar: Path) -> None:
    with atomic_writer(sidecar) as file:
        for article in bad:
            file.write(json_line({"where": article.where, "id": article.id, "reason": article.reason}))
    if bad:
        _complain(f"bad articles: {len(bad):,}, listed in {sidecar}")


def _complain(message: str) -> None:
    print(f"detente: {printable(message)}", file=sys.stderr)


@contextmanager
def _progress() -> Iterator[Callable[[int], Any]]:
    """A line on standard error that counts articles, where someone is watching."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda _: None
        return
    yield lambda done: print(f"\r{done:,} articles scored", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


@contextmanager
def _errors_on_one_line() -> Iterator[None]:
    try:
        yield
    except DetenteError as error:
        _complain(str(error))
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        # The reader of the pipe has seen enough (`| head`). Standard output is gone, so nothing may flush it at exit.
        sys.stdout = None
        raise typer.Exit(0) from None
    except OSError as error:
        sys.stdout = None  # it may be what failed, and would fail once more when it is flushed at exit
        _complain(f"{error.filename or 'output'}: {error.strerror}")
        raise typer.Exit(DetenteError.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def main() -> None:
    """Entry point of the command `detente`."""
    # Ended by the system like by the keyboard: temporary files are removed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()
