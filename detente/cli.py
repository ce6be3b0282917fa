"""The command `detente`: reads options, wires rooms together, prints errors. Holds no logic of its own."""

import itertools
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

import detente
from detente.articles import Article, BadArticle, Columns, article_files, read_articles
from detente.atomic import check_writable
from detente.chart import check_chart, draw_chart
from detente.errors import DetenteError, UsageError, printable
from detente.job import SHARD_ROWS, Job, Settings, shard_files, write_bad
from detente.page import open_page
from detente.progress import progress
from detente.scoring import Scorer
from detente.series import Period, read_series, write_series
from detente.writers import OutputFormat, job_format, open_writer, output_format

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
            help="Articles: .txt, .jsonl, .csv, .tsv, .html (needs the extra 'html'), also as .gz or .zst; .parquet, "
            ".arrow; a folder of them; or - for standard input."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write: .jsonl, .csv or .parquet. A name without suffix, or a folder: a batch job that writes "
            "shards there, and goes on where it was when it is started again. Without it, standard output."
        ),
    ] = None,
    chosen: Annotated[
        OutputFormat | None,
        typer.Option("--format", help="Default: the suffix of --out, jsonl for a folder, else a table to read."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with every sentence coloured by direction and strength.")
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Go on scoring files as they are moved into the folders, until it is stopped."),
    ] = False,
    shard_rows: Annotated[int, typer.Option(min=1, help="Articles in a shard of a batch job.")] = SHARD_ROWS,
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
    columns = Columns(text_column, id_column, title_column)

    def make_scorer() -> Scorer:
        return Scorer(model, device, threads)

    with _errors_on_one_line():
        if out and (out.is_dir() or (not out.suffix and not out.exists())):
            if bad or html:
                raise UsageError(
                    "--bad and --html go with a single output file; a batch job may be too long for a page"
                )
            settings = Settings(job_format(chosen), columns, shard_rows)
            scored, unreadable = _score_to_folder(paths, out, make_scorer, settings, watch)
        elif watch:
            raise UsageError("--watch writes shards; give a folder as --out")
        else:
            settings = Settings(output_format(out, chosen), columns)
            scored, unreadable = _score_to_file(paths, (out, bad, html), make_scorer, settings)
    if unreadable:
        raise typer.Exit(SOME_BAD if scored else DetenteError.exit_code)


def _score_to_file(
    paths: list[Path],
    outputs: tuple[Path | None, Path | None, Path | None],
    make_scorer: Callable[[], Scorer],
    settings: Settings,
) -> tuple[int, int]:
    """Score to one file or standard output; returns how many articles were scored, and how many were bad.

    `outputs` are the file of scored articles, the list of bad ones, and the page.
    """
    out, bad, html = outputs
    sidecar = bad or (out.with_name(out.name + ".bad.jsonl") if out else None)
    files = article_files(paths)
    _check_outputs(files, out, sidecar, html)
    bad_articles: list[BadArticle] = []
    scored = 0
    with progress(_size(files), _complain) as advance:
        articles = read_articles(files, sys.stdin.buffer if sys.stdin else None, settings.columns)
        good = _good(articles, bad_articles, advance)
        first = next(good, None)
        if first is not None:
            scorer = make_scorer()
            with (
                open_writer(out, settings.form, sys.stdout.buffer) as write,
                open_page(html) if html else nullcontext() as show,
            ):
                for article in scorer.score_articles(itertools.chain([first], good)):
                    write(article)
                    if show:
                        show(article)
                    scored += 1
                    advance(article)
    for one in bad_articles:
        _complain(f"{one.where}: {one.reason}")
    if sidecar and (bad_articles or bad or sidecar.is_file()):
        # Also when nothing was bad: a list from an earlier run must not stand beside today's output.
        write_bad(bad_articles, sidecar)
        if bad_articles:
            _complain(f"bad articles: {len(bad_articles):,}, listed in {sidecar}")
    return scored, len(bad_articles)


def _score_to_folder(
    paths: list[Path], out: Path, make_scorer: Callable[[], Scorer], settings: Settings, watch: bool
) -> tuple[int, int]:
    """Score as a batch job; returns how many articles are scored and how many were bad, earlier runs counted in."""
    started = time.monotonic()
    if Path("-") in paths:
        raise UsageError("standard input cannot be taken up again after a kill; give files, or --out FILE")
    for path in paths:
        if out.resolve().is_relative_to(path.resolve()) or path.resolve().is_relative_to(out.resolve()):
            raise UsageError(f"{out} and {path}: one lies in the other, so output would be scored; write elsewhere")
    named = [] if watch else article_files(paths)
    with Job(out, make_scorer, settings) as job:
        if watch:
            job.watch(paths, _complain)
        else:
            files = job.remaining(named)
            with progress(_size(files), _complain) as advance:
                job.score(files, advance)
        summary = job.write_summary(started)
    _complain(f"{out}: {summary['articles']:,} articles scored in {summary['shards']:,} shards, {summary['bad']:,} bad")
    return summary["articles"], summary["bad"]


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())


@app.command()
def index(  # noqa: PLR0917 - typer passes by name
    paths: Annotated[
        list[Path], typer.Argument(help="Scored articles: files of detente score, or a folder of shards.")
    ],
    by: Annotated[Period, typer.Option("--by", help="What one row or point spans.")] = Period.DAY,
    group: Annotated[str | None, typer.Option(help="Field whose values get a series each, such as source.")] = None,
    date_column: Annotated[str | None, typer.Option(help="Field with the date. Default: date, published …")] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file to write. Without it, standard output.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Picture to draw: .svg, .png or .pdf (needs the extra 'plot').")
    ] = None,
) -> None:
    """Sum up scored, dated articles as a time series: how many, mean index with its interval, share of each label."""
    with _errors_on_one_line():
        if plot:
            check_chart(plot)
        files = [file for path in paths for file in shard_files(path)]
        _check_outputs(files, out, plot)
        series = read_series(files, by, date_column, group)
        write_series(series, out, sys.stdout.buffer)
        if plot:
            draw_chart(series, by, plot)
        if series.undated:
            examples = "; ".join(series.examples)
            _complain(f"{series.undated:,} articles without a readable date are left out ({examples})")


def _check_outputs(files: list[Path], *outputs: Path | None) -> None:
    """Refuse, before anything is done, to write where it cannot be done or would destroy an input or another output."""
    taken = {file.resolve(): "among the files to read" for file in files}
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in taken:
            raise UsageError(f"{path}: is {taken[path.resolve()]} and would be overwritten; write to another place")
        check_writable(path)
        taken[path.resolve()] = "given for another output"


def _good(
    articles: Iterable[Article | BadArticle], bad: list[BadArticle], advance: Callable[[BadArticle], Any]
) -> Iterator[Article]:
    for article in articles:
        if isinstance(article, BadArticle):
            bad.append(article)
            advance(article)
        else:
            yield article


def _complain(message: str) -> None:
    print(f"detente: {printable(message)}", file=sys.stderr)


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
