"""The commands `python -m eval MODEL… [--on FILE…]` and `python -m eval benchmark`, `throughput` and `memory`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from detente.atomic import check_writable
from detente.errors import DetenteError, printable
from detente.model import open_model
from eval.options import add_sets, chosen_sets
from eval.report import write_json
from eval.run import run_report
from eval.terminal import show


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if given[:1] == ["benchmark"]:
            from eval.benchmark import command

            return command(given[1:])
        if given[:1] == ["throughput"]:
            from eval.throughput import throughput

            return throughput(given[1:])
        if given[:1] == ["memory"]:
            from eval.memory import memory

            return memory(given[1:])
        _evaluate(given)
    except DetenteError as error:
        for line in str(error).splitlines():
            print(f"eval: {printable(line)}", file=sys.stderr)
        return error.exit_code
    return 0


def _evaluate(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m eval",
        description="Measure exported models: macro-F1 and more with 95 % intervals, calibration, slices, confident "
        "errors, behaviour. Further models are compared with the first. `python -m eval benchmark` trains and "
        "benchmarks variants, `throughput` times models, `memory` tells what batch jobs hold; each has its own --help.",
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="model directories, the reference first")
    add_sets(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write one self-contained page")
    parser.add_argument("--device", default="cpu", help="cpu (ONNX Runtime), cuda, or torch-cpu (fp32 torch)")
    options = parser.parse_args(arguments)
    for path in (options.json, options.html):
        if path:
            check_writable(path)
    report = run_report(
        [open_model(path) for path in options.models], chosen_sets(options), options.device, options.draws
    )
    if options.json:
        write_json(report, options.json)
    if options.html:
        from eval.page import write_page

        write_page(report, options.html)
    console = Console()
    console.print(", ".join(report.versions) + f", device {report.device}\n", highlight=False, markup=False)
    show(report, console)
    for path in filter(None, (options.json, options.html)):
        console.print(f"{path} written", highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(main())
