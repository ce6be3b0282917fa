"""The command `detente`: reads options, wires rooms together, prints errors. Holds no logic of its own."""

import itertools
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import detente
from detente.articles import Article, BadArticle, Columns, article_files, read_articles
from detente.atomic import check_writable
from detente.chart import check_chart, draw_chart
from detente.description import describe
from detente.errors import DetenteError, UsageError, printable
from detente.model import default_model_path, open_model
from detente.page import open_page
from detente.progress import progress
from detente.scoring import Scorer
from detente.series import Period, read_series, write_series
from detente.writers import OutputFormat, job_format, open_writer, output_format

if TYPE_CHECKING:
    from detente.job import Settings

SOME_BAD: Final = 3
# Articles in a shard of a batch job: what a kill costs, two minutes' work for 20 sentences an article and 350 sentences
# a second.
SHARD_ROWS: Final = 2000
_FILE: Final = click.Path(path_type=Path)


class _Command(click.Command):
    """A command whose errors are one line each, for the person who made them."""

    def invoke(self, ctx: click.Context) -> Any:
        with _errors_on_one_line():
            return super().invoke(ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(detente.__version__, prog_name="detente", message="%(prog)s %(version)s")
def app() -> None:
    """Says of news, sentence by sentence and article by article: escalation, de-escalation or neutral."""


@app.command(cls=_Command)
@click.argument("paths", nargs=-1, required=True, type=_FILE)
@click.option(
    "--out",
    type=_FILE,
    help="File to write: .jsonl, .csv or .parquet. A name without suffix, or a folder: a batch job that writes shards "
    "there, and goes on where it was when it is started again. Without it, standard output.",
)
@click.option(
    "--format",
    "chosen",
    type=click.Choice([str(form) for form in OutputFormat]),
    help="Default: the suffix of --out, jsonl for a folder, else a table to read.",
)
@click.option("--html", type=_FILE, help="Also write a page with every sentence coloured by direction and strength.")
@click.option("--watch", is_flag=True, help="Go on scoring files as they are moved into PATHS, until it is stopped.")
@click.option(
    "--shard-rows",
    type=click.IntRange(min=1),
    default=SHARD_ROWS,
    show_default=True,
    help="Articles in a shard of a batch job.",
)
@click.option("--model", type=_FILE, help="Model directory. Default: the model that ships inside.")
@click.option("--text-column", help="Field with the article's text. Default: text, body, content or the like.")
@click.option("--id-column", help="Field with its id. Default: id, article_id, guid …")
@click.option("--title-column", help="Field with its title, scored as the first sentence. Default: title, headline.")
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="cpu (ONNX Runtime), or a torch device such as cuda (needs the extra 'gpu').",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads on the CPU. Default: one a core.")
@click.option(
    "--bad", type=_FILE, help="JSONL file that lists unreadable articles. Default: OUT.bad.jsonl, if there is an --out."
)
def score(  # noqa: PLR0917 - click passes by name
    paths: tuple[Path, ...],
    out: Path | None,
    chosen: str | None,
    html: Path | None,
    watch: bool,
    shard_rows: int,
    model: Path | None,
    text_column: str | None,
    id_column: str | None,
    title_column: str | None,
    device: str,
    threads: int | None,
    bad: Path | None,
) -> None:
    """Score articles.

    PATHS: .txt, .jsonl, .csv, .tsv, .html (needs the extra 'html'), also as .gz or .zst; .parquet, .arrow; a folder of
    them; or - for standard input.

    Exit codes: 0 all scored, 1 nothing could be scored, 2 wrong usage, 3 scored, but some articles were bad.
    """
    columns = Columns(text_column, id_column, title_column)
    form = OutputFormat(chosen) if chosen else None

    def make_scorer() -> Scorer:
        return Scorer(model, device, threads)

    if out and (out.is_dir() or (not out.suffix and not out.exists())):
        from detente.job import Settings

        if bad or html:
            raise UsageError("--bad and --html go with a single output file; a batch job may be too long for a page")
        settings = Settings(job_format(form), columns, shard_rows)
        scored, unreadable = _score_to_folder(list(paths), out, make_scorer, settings, watch)
    elif watch:
        raise UsageError("--watch writes shards; give a folder as --out")
    else:
        scored, unreadable = _score_to_file(
            list(paths), (out, bad, html), make_scorer, output_format(out, form), columns
        )
    if unreadable:
        sys.exit(SOME_BAD if scored else DetenteError.exit_code)


def _score_to_file(
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
    _check_outputs(files, out, sidecar, html)
    bad_articles: list[BadArticle] = []
    scored = 0
    with progress(_size(files), _complain) as advance:
        articles = read_articles(files, sys.stdin.buffer if sys.stdin else None, columns)
        good = _good(articles, bad_articles, advance)
        first = next(good, None)
        if first is not None:
            scorer = make_scorer()
            with (
                open_writer(out, form, sys.stdout.buffer) as write,
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
        from detente.job import write_bad

        write_bad(bad_articles, sidecar)
        if bad_articles:
            _complain(f"bad articles: {len(bad_articles):,}, listed in {sidecar}")
    return scored, len(bad_articles)


def _score_to_folder(
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


@app.command(cls=_Command)
@click.argument("paths", nargs=-1, required=True, type=_FILE)
@click.option(
    "--by", type=click.Choice([str(period) for period in Period]), default=str(Period.DAY), show_default=True,
    help="What one row or point spans.",
)  # fmt: skip
@click.option("--group", help="Field whose values get a series each, such as source.")
@click.option("--date-column", help="Field with the date. Default: date, published …")
@click.option("--out", type=_FILE, help="CSV file to write. Without it, standard output.")
@click.option("--plot", type=_FILE, help="Picture to draw: .svg, .png or .pdf (needs the extra 'plot').")
def index(  # noqa: PLR0917 - click passes by name
    paths: tuple[Path, ...], by: str, group: str | None, date_column: str | None, out: Path | None, plot: Path | None
) -> None:
    """Sum up scored, dated articles as a time series: how many, mean index with its interval, share of each label.

    PATHS: files that detente score wrote, or a folder of shards.
    """
    from detente.job import shard_files

    if plot:
        check_chart(plot)
    files = [file for path in paths for file in shard_files(path)]
    _check_outputs(files, out, plot)
    period = Period(by)
    series = read_series(files, period, date_column, group)
    write_series(series, out, sys.stdout.buffer)
    if plot:
        draw_chart(series, period, plot)
    if series.undated:
        examples = "; ".join(series.examples)
        _complain(f"{series.undated:,} articles without a readable date are left out ({examples})")


@app.group()
def model() -> None:
    """Look at model directories."""


@model.command(cls=_Command)
@click.argument("path", type=_FILE, required=False)
@click.option("--json", "as_json", is_flag=True, help="The whole manifest as JSON.")
def info(path: Path | None, as_json: bool) -> None:
    """Tell what a model is: kind, data with fingerprints, parents, config, held-out figures, promotion.

    PATH: a model directory. Default: the model that ships inside.
    """
    directory = open_model(path or default_model_path())
    if as_json:
        click.echo(json.dumps({"version": directory.version, **directory.manifest}, indent=2, ensure_ascii=False))
    else:
        click.echo(describe(directory))


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
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of the pipe has seen enough (`| head`). Standard output is gone, so nothing may flush it at exit.
        sys.stdout = None
        sys.exit(0)
    except OSError as error:
        sys.stdout = None  # it may be what failed, and would fail once more when it is flushed at exit
        _complain(f"{error.filename or 'output'}: {error.strerror}")
        sys.exit(DetenteError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def main() -> None:
    """Entry point of the command `detente`."""
    # Ended by the system like by the keyboard: temporary files are removed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()
