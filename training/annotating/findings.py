"""What a check of annotations found: shown as tables, written as JSON. Knows nothing of how it was found."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from detente.atomic import atomic_writer
from detente.errors import printable
from training.annotating.drift import LabelShares

# What to do about each kind of finding, in the order in which they are shown.
ADVICE: Final = {
    "rejected": "training, which reads the seeds with the file, would refuse it; mend these lines",
    "held out": "what models are measured on must not be trained on; delete these rows",
    "near held out": "a copy of what models are measured on; delete these rows, unless they report different things",
    "near-duplicate": "nearly the same text with two labels; look whether the difference is worth another label",
    "likely slip": "other annotations contradict these labels; read them again, the first ones first",
    "drift": "sentences of another kind, suggested ones too, have other shares; if they are of one kind, labels are "
    "used differently",
}
_SHOWN: Final = 20
_PARTS_SHOWN: Final = 10
_CUT: Final = 160


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `where` is `file:line`; an error is what keeps the file from being trained on."""

    severity: Literal["error", "warning"]
    kind: str
    where: str
    found: str
    label: str = ""
    text: str = ""

    def to_record(self) -> dict[str, Any]:
        """The finding for JSON, with what to do."""
        return dataclasses.asdict(self) | {"do": ADVICE[self.kind]}


def write_findings(path: Path, findings: Sequence[Finding], shares: Sequence[LabelShares]) -> None:
    """Write everything that was found as JSON.

    Raises:
        UsageError: the file cannot be written.
    """
    content = {
        "findings": [finding.to_record() for finding in findings],
        "label_shares": [dataclasses.asdict(row) for row in shares],
    }
    with atomic_writer(path) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


def show_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print a table for each kind of finding, the first rows of each."""
    for kind, advice in ADVICE.items():
        of_kind = [finding for finding in findings if finding.kind == kind]
        if not of_kind:
            continue
        severity = of_kind[0].severity.upper()
        style = "bold red" if severity == "ERROR" else "bold"
        console.print(Text.assemble((f"{severity} {kind}", style), f": {advice}"), soft_wrap=True)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("where", "label", "found", "text"):
            table.add_column(name, overflow="fold")
        for finding in of_kind[:_SHOWN]:
            text = finding.text if len(finding.text) <= _CUT else finding.text[: _CUT - 1] + "…"
            table.add_row(*(Text(printable(cell)) for cell in (finding.where, finding.label, finding.found, text)))
        console.print(table)
        if len(of_kind) > _SHOWN:
            console.print(f"… and {len(of_kind) - _SHOWN:,} more, all of them in what --json writes\n", highlight=False)


def show_shares(shares: Sequence[LabelShares], console: Console) -> None:
    """Print the label shares of the file and its parts, the parts that differ most first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("labels of", no_wrap=True)
    for name in ("rows", "escal.", "de-esc.", "neutral", "against", "p"):
        table.add_column(name, justify="left" if name == "against" else "right", no_wrap=True)
    for row in shares[:_PARTS_SHOWN]:
        p = "" if row.p is None else "< 0.001" if row.p < 0.001 else f"{row.p:.3f}"  # noqa: PLR2004
        cells = [f"{count / row.rows:.1%}" for count in row.counts]
        table.add_row(Text(printable(row.part)), f"{row.rows:,}", *cells, row.against, p)
    console.print(table)
