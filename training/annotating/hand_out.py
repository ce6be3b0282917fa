"""The command `python -m training export`: tasks to a file that an annotation tool imports."""

import argparse
import json
from pathlib import Path

from rich.console import Console

from detente.atomic import atomic_writer, check_outputs
from detente.errors import UsageError
from detente.tables import write_table
from training.annotating.tasks import read_tasks
from training.annotating.tools import TOOLS


def command(arguments: list[str]) -> int:
    """Write the file and say what to set up in the tool; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training export",
        description="Write annotation tasks as a file that an annotation tool imports, with the model's guess as the "
        "label chosen beforehand, and say what to set up in the tool.",
        epilog="Example: python -m training export tasks.jsonl --tool label-studio --out label-studio.json",
    )
    parser.add_argument("tasks", type=Path, metavar="TASKS", help="what `python -m training suggest` has written")
    parser.add_argument("--tool", choices=TOOLS, required=True, help="csv: a table to fill in with a spreadsheet")
    suffixes = ", ".join(f"{tool.SUFFIX} for {name}" for name, tool in TOOLS.items())
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=f"file to write: {suffixes}")
    options = parser.parse_args(arguments)
    check_outputs([options.tasks], options.out)
    tool = TOOLS[options.tool]
    if options.out.suffix.lower() != tool.SUFFIX:
        raise UsageError(f"{options.out}: {options.tool} imports {tool.SUFFIX}; give the file such a name")
    records = [tool.to_record(task) for task in read_tasks(options.tasks)]
    if tool.SUFFIX == ".json":
        with atomic_writer(options.out) as file:
            file.write(json.dumps(records, ensure_ascii=False, indent=1).encode() + b"\n")
    else:
        write_table(options.out, records, list(records[0]))
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(f"{options.out}: {len(records):,} tasks for {options.tool}")
    console.print(tool.SETUP.replace("FILE", str(options.out)))
    return 0
