"""The command `detente`: reads options, wires rooms together, prints errors. Holds no logic of its own."""

import json
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

import detente
from detente.articles import Columns
from detente.atomic import check_outputs
from detente.errors import DetenteError, UsageError, complain
from detente.formats import OutputFormat, job_format, output_format
from detente.model import default_model_path, open_model
from detente.series import Period, read_series, write_series

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
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads on the CPU, 15 to 25 MB each. Default: one a core."
)
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
    # Side by side: hashing the model's 80 MB needs no interpreter, and loading numpy nothing else.
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(open_model, model or default_model_path())
        from detente.run import score_to_file, score_to_folder
        from detente.scoring import Scorer
    columns = Columns(text_column, id_column, title_column)
    form = OutputFormat(chosen) if chosen else None

    def make_scorer() -> Scorer:
        return Scorer(opened.result(), device, threads)

    if out and (out.is_dir() or (not out.suffix and not out.exists())):
        from detente.job import Settings

        if bad or html:
            raise UsageError("--bad and --html go with a single output file; a batch job may be too long for a page")
        settings = Settings(job_format(form), columns, shard_rows)
        scored, unreadable = score_to_folder(list(paths), out, make_scorer, settings, watch)
    elif watch:
        raise UsageError("--watch writes shards; give a folder as --out")
    else:
        scored, unreadable = score_to_file(
            list(paths), (out, bad, html), make_scorer, output_format(out, form), columns
        )
    if unreadable:
        sys.exit(SOME_BAD if scored else DetenteError.exit_code)


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
    from detente.chart import check_chart, draw_chart
    from detente.job import shard_files

    if plot:
        check_chart(plot)
    files = [file for path in paths for file in shard_files(path)]
    check_outputs(files, out, plot)
    period = Period(by)
    series = read_series(files, period, date_column, group)
    write_series(series, out, sys.stdout.buffer)
    if plot:
        draw_chart(series, period, plot)
    if series.undated:
        examples = "; ".join(series.examples)
        complain(f"{series.undated:,} articles without a readable date are left out ({examples})")


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
    from detente.description import describe

    directory = open_model(path or default_model_path())
    if as_json:
        click.echo(json.dumps({"version": directory.version, **directory.manifest}, indent=2, ensure_ascii=False))
    else:
        click.echo(describe(directory))


@contextmanager
def _errors_on_one_line() -> Iterator[None]:
    try:
        yield
    except DetenteError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of the pipe has seen enough (`| head`). Standard output is gone, so nothing may flush it at exit.
        sys.stdout = None
        sys.exit(0)
    except OSError as error:
        sys.stdout = None  # it may be what failed, and would fail once more when it is flushed at exit
        complain(f"{error.filename or 'output'}: {error.strerror}")
        sys.exit(DetenteError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def main() -> None:
    """Run the command `detente`, until it ends the process."""
    # Ended by the system like by the keyboard: temporary files are removed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()
