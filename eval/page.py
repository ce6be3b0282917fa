"""The report as one HTML file that needs nothing beside it: no network, no fonts, no scripts from elsewhere."""

import json
from pathlib import Path
from typing import Final

import jinja2

from detente.atomic import atomic_writer
from eval.plots import COLOURS, coverage_plot, precision_recall_plot, reliability_plot
from eval.report import Report, to_json, warnings

_TEMPLATE: Final = "page.html.j2"


def write_page(report: Report, path: Path) -> None:
    """Write the report as a page.

    Raises:
        UsageError: the file cannot be written.
    """
    with atomic_writer(path) as file:
        file.write(page(report).encode())


def page(report: Report) -> str:
    """The report's HTML. Everything that comes from files (sentences, names) is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    plots = {}
    for number, found in enumerate(report.sets):
        if found.kind == "labels":
            drawn = (precision_recall_plot, reliability_plot, coverage_plot)
            plots[number] = [draw(report.models, found.results) for draw in drawn]  # type: ignore[arg-type]
    # A script element ends at the first "</" whatever its type.
    data = json.dumps(to_json(report), ensure_ascii=False).replace("<", "\\u003c")
    template = environment.get_template(_TEMPLATE)
    return template.render(report=report, warnings=warnings(report), plots=plots, data=data, colours=COLOURS)
