"""The command `python -m training import`: what people made of the tasks, to an annotation file."""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Column, Table

from detente.annotations import write_annotations
from detente.atomic import atomic_writer, check_outputs
from detente.delimited import DELIMITERS
from detente.errors import DetenteError, UsageError, printable, raise_problems
from detente.labels import LABELS
from detente.tables import check_table, read_rows, write_table
from training.annotating.agreement import Agreement, agreement
from training.annotating.exports import Exports, read_exports
from training.annotating.spreadsheet import VOTE
from training.annotating.tasks import read_tasks
from training.annotating.tools import TOOLS
from training.annotating.votes import Decision, Disagreement, decide

_EPILOG: Final = """FILE is what a tool exports: Label Studio's JSON, JSON-MIN or CSV; Argilla's records as JSON or
JSONL; Prodigy's or doccano's JSONL; a table (.csv, .tsv) with the columns id, text, label. Labels may be spelled
De-escalation, DE_ESCALATION, deescalation …, or be the ids 0, 1, 2 of escalation, de-escalation, neutral.

Several people: the label that more than half of them gave counts. Where there is none, the sentence goes to the
table of disagreements. Fill in its column label, give the table another name, since settled labels are not written
over, and give it as one more FILE beside the same others: what is settled counts more than the votes. The annotations
say in sure whether several agreed (1) or not all did (0).

Example: python -m training import anna.json ben.json --tasks tasks.jsonl --out annotations.jsonl
then:    python -m training import anna.json ben.json settled.csv --tasks tasks.jsonl --out annotations.jsonl"""


def command(arguments: list[str]) -> int:
    """Read the exports, report on them, write annotations and disagreements; returns the exit code.

    Raises:
        DetenteError: there are problems, all of which are named, and nothing is written.
        UsageError: a file cannot be written, or is read too, or holds what a person has settled.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training import",
        description="Make an annotation file of what people have labelled in annotation tools.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="an export, or several people's")
    parser.add_argument("--tool", choices=TOOLS, help="what exported them (found out from each file)")
    parser.add_argument(
        "--tasks", type=Path, metavar="FILE", help="the tasks that were exported: their text, group and source count"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="annotations to write: .jsonl, .csv, .tsv or .parquet"
    )
    parser.add_argument(
        "--disagreements", type=Path, metavar="FILE", help="table to settle, .csv or .tsv (OUT.disagreements.csv)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the agreement of the annotators there, too")
    options = parser.parse_args(arguments)
    to_settle = options.disagreements or options.out.with_name(f"{options.out.stem}.disagreements.csv")
    check_table(options.out)
    _check_work(to_settle)
    check_outputs([*options.files, *filter(None, [options.tasks])], options.out, to_settle, options.json)
    tasks = read_tasks(options.tasks) if options.tasks else None
    exports = read_exports(options.files, options.tool)
    decision = decide(exports, tasks)
    raise_problems([*exports.problems, *decision.problems])
    console = Console(soft_wrap=True, highlight=False, markup=False)
    _report(console, exports, decision, None if tasks is None else len(tasks))
    figures = agreement(decision.votes)
    if figures.sentences:
        _show(console, figures)
    if decision.annotations:
        write_annotations(options.out, decision.annotations)
        console.print(f"{options.out}: {len(decision.annotations):,} annotations")
    if options.json:
        with atomic_writer(options.json) as file:
            file.write(json.dumps(asdict(figures), ensure_ascii=False, indent=2).encode() + b"\n")
    if decision.disagreements:
        _write_disagreements(to_settle, decision.disagreements)
        console.print(f"{to_settle}: {len(decision.disagreements):,} disagreements to settle")
    elif to_settle.exists() and decision.annotations:
        console.print(f"{to_settle}: stands there from before, but nothing is left to settle; delete it")
    if not decision.annotations:
        raise DetenteError(
            f"no sentence has a label that counts; {options.out} was not written (export from the tool what people "
            "have labelled; a file made for a tool to import has no answers yet)"
        )
    return 0


def _check_work(to_settle: Path) -> None:
    """Find out before anything is read whether writing the disagreements would cost somebody's work."""
    if to_settle.suffix.lower() not in DELIMITERS:
        raise UsageError(f"{to_settle}: disagreements are a table; give it a name that ends in .csv or .tsv")
    # A row that cannot be read may have been settled, too.
    if to_settle.is_file() and any(
        row.problem or str(row.record.get("label") or "").strip() for row in read_rows(to_settle)
    ):
        raise UsageError(f"{to_settle}: holds settled labels; move it, and give it as one more FILE under its new name")


def _report(console: Console, exports: Exports, decision: Decision, tasks: int | None) -> None:
    """Say what the answers were, and what of them was left out or changed."""
    of_tasks = f" of {tasks:,} tasks" if tasks is not None else ""
    people = len(set().union(*decision.votes))
    console.print(f"sentences labelled: {len(decision.votes):,}{of_tasks}, by annotators: {people:,}")
    # Labels that were mixed up by their ids show here.
    counts = Counter(row.label for row in decision.annotations)
    console.print(f"annotations: {', '.join(f'{counts[label]:,} {label}' for label in LABELS)}")
    notes = {f"tasks {why}": count for why, count in sorted(decision.missing.items())} | {
        "answers given anew by the same annotator, of which the last counts": decision.repeated,
        "texts whose quotes, dashes or spaces had changed, taken as they were": decision.restored,
        "disagreements settled": len(exports.settled),
        "disagreements not settled yet": exports.unsettled,
    }
    for what, count in notes.items():
        if count:
            console.print(f"{what}: {count:,}")


def _show(console: Console, figures: Agreement) -> None:
    table = Table(Column("annotators", overflow="fold"), "sentences", "agreed", "beyond chance", box=box.SIMPLE)
    for pair in figures.pairs:
        names = printable(f"{pair.first}, {pair.second}")
        table.add_row(names, f"{pair.sentences:,}", f"{pair.agreed:.0%}", f"Cohen's kappa {_figure(pair.kappa)}")
    table.add_row("all", f"{figures.complete:,}", "", f"Fleiss' kappa {_figure(figures.fleiss_kappa)}")
    alpha = f"Krippendorff's alpha {_figure(figures.krippendorff_alpha)}"
    table.add_row("two or more", f"{figures.sentences:,}", "", alpha)
    console.print(table)


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _write_disagreements(path: Path, disagreements: Sequence[Disagreement]) -> None:
    annotators = sorted({name for one in disagreements for name in one.votes})
    records: list[dict[str, Any]] = []
    for one in disagreements:
        told = one.sentence
        record = {"id": told.id, "text": told.text, "group": told.group, "source": told.source}
        record |= {f"{VOTE}{name}": str(one.votes.get(name, "")) for name in annotators}
        records.append(record | {"label": ""})
    write_table(path, records, list(records[0]))
