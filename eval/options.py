"""The options that both commands have: what is measured on, and how many bootstrap draws."""

import argparse
from pathlib import Path

from eval.sets import EvaluationSet, read_sets, seed_sets
from eval.significance import DRAWS


def add_sets(parser: argparse.ArgumentParser) -> None:
    """The options that say what is measured on, shared by both commands."""
    parser.add_argument(
        "--on", type=Path, nargs="+", action="extend", metavar="FILE", default=[],
        help="files to measure on: annotations or annotated articles (their test rows where they mark splits), PLOVER- "
        "or CAMEO-coded ones (column penta; by direction), a behaviour suite (field capability). Default: the seeds' "
        "test split, their articles, and the behaviour suite",
    )  # fmt: skip
    parser.add_argument(
        "--private", type=Path, nargs="+", action="extend", metavar="FILE", default=[],
        help="further files to measure on, beside those of --on or the default ones, whose sentences, ids and sources "
        "stand in nothing that is written, so that it can be passed on",
    )  # fmt: skip
    parser.add_argument("--draws", type=positive, default=DRAWS, help=f"bootstrap draws behind an interval ({DRAWS})")


def chosen_sets(options: argparse.Namespace) -> list[EvaluationSet]:
    """The sets that the options name; without `--on`, the seeds' and the private ones."""
    found = [one for path in options.on for one in read_sets(path)] if options.on else seed_sets(Path())
    found += [one for path in options.private for one in read_sets(path, private=True)]
    return found


def positive(text: str) -> int:
    """A whole number from 1 up, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number
