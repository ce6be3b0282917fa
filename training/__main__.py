"""The command `python -m training CONFIG [--annotations FILE…]`, and those around it: `python -m training NAME …`."""

import argparse
import dataclasses
import difflib
import importlib
import logging
import sys
from pathlib import Path
from typing import Final

from detente.errors import DetenteError, UsageError, printable
from detente.model import open_model
from training.config import QUICK, EncoderVariant, Variant, annotation_file, read_variant
from training.lineage import is_current

# Module and function, which takes the arguments behind the name and returns the exit code.
_COMMANDS: Final = {
    "suggest": "training.annotating.suggest:command",
    "export": "training.annotating.hand_out:command",
    "import": "training.annotating.take_back:command",
    "check": "training.annotating.check:command",
    "simulate": "training.annotating.simulate:command",
    "promote": "training.promotion:promote",
    "rollback": "training.promotion:rollback",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        if given and given[0] in _COMMANDS:
            # Imported only now: one command's libraries should not slow another.
            module, _, function = _COMMANDS[given[0]].partition(":")
            found: int = getattr(importlib.import_module(module), function)(given[1:])
            return found
        close = difflib.get_close_matches(given[0], _COMMANDS, n=1) if given and not Path(given[0]).exists() else []
        if close:
            raise UsageError(f"{given[0]}: no such config and no command; did you mean {close[0]!r}?")
        return _train(given)
    except DetenteError as error:
        for line in str(error).splitlines():
            print(f"training: {printable(line)}", file=sys.stderr)
        return error.exit_code


def _train(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train a variant and write its model directory. A run that was killed goes on from its last "
        "checkpoint when the same command is given again.",
        epilog=f"Other commands, each with --help: {', '.join(_COMMANDS)}. "
        "An annotation file has the columns id, text and label (escalation, de-escalation or neutral), and if you have "
        "them group (the document: it never crosses splits), split (train, validation or test), rule, region, "
        "register, source and sure (1 or 0: did the annotators find it clear). "
        "Several GPUs: accelerate launch -m training CONFIG …",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the variant, such as configs/minilm.yaml")
    parser.add_argument(
        "--annotations", nargs="+", action="extend", default=[], metavar="FILE[=WEIGHT]",
        help="more annotation files (.jsonl, .csv, .tsv, .parquet), beside those that the config names; in "
        "mine.csv=3 each sentence counts three times as much as in a file without a weight (works in a config, too)",
    )  # fmt: skip
    parser.add_argument(
        "--from", type=Path, dest="start", metavar="DIR",
        help="start from this model's weights instead of the pretrained encoder's",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true",
        help="with --from: only the model's upper third learns, three times over the new annotations and 4,000 of the "
        "known ones, which takes minutes on a laptop",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="model directory to write (models/<config name>)")
    parser.add_argument(
        "--replace", action="store_true", help="let it take the place of another config's model, or of the default"
    )  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="N", help="another seed than the config's; name --out, too")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where checkpoints go meanwhile")
    parser.add_argument(
        "--if-changed", action="store_true",
        help="do nothing if DIR holds a model of the same config, annotation files and code already",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    variant = _variant(options)
    for one in map(annotation_file, options.annotations):
        if not one.path.is_file():
            raise UsageError(f"{one.path}: no such annotation file")
    out = options.out or Path("models") / variant.name
    if options.if_changed and is_current(variant, options.annotations, out):
        print(f"{out}: is up to date")
        return 0
    # Imported only now: torch takes seconds, and a typing mistake should not have to wait for it.
    from training.train import train

    held_out = train(variant, options.annotations, out, options.runs, replace=options.replace)
    for split, found in held_out.items():
        if "labels" not in found:
            print(f"{split}: direction macro-F1 {found['direction_macro_f1']:.3f} on {found['sentences']:,} sentences")
            continue
        f1 = ", ".join(f"{label} {one['f1']:.3f}" for label, one in found["labels"].items())
        print(f"{split}: macro-F1 {found['macro_f1']:.3f} on {found['sentences']:,} sentences ({f1})")
    return 0


def _variant(options: argparse.Namespace) -> Variant:
    """The config's variant, changed by the options.

    Raises:
        UsageError: a bad config, or options that it or each other rule out.
    """
    variant = read_variant(options.config)
    if options.seed is not None:
        variant = dataclasses.replace(variant, seed=options.seed)
    if isinstance(variant, EncoderVariant):
        if options.start:
            open_model(options.start)  # a mistake is told now, and not seconds later
            variant = dataclasses.replace(variant, start=str(options.start))
        if options.quick:
            variant = dataclasses.replace(variant, **QUICK)
        if variant.quick and not variant.start:
            raise UsageError("--quick needs a trained model to start from; name it with --from, say models/default")
    elif options.start or options.quick:
        raise UsageError(f"{options.config}: --from and --quick are for variants of kind encoder")
    return variant


if __name__ == "__main__":
    sys.exit(main())
