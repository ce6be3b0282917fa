"""The report as tables for a terminal."""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detente.labels import LABELS
from eval.behaviour import BehaviourResult
from eval.evaluate import ArticleResult, DirectionResult, LabelledResult, Result
from eval.report import Report, SetReport, p_text, warnings, with_interval

# Short enough for three columns beside the others on 80 characters: found as escalation, de-escalation, neutral.
_PREDICTED: Final = ("→E", "→D", "→N")


def show(report: Report, console: Console) -> None:
    """Print each set's tables, comparisons with the first model, and warnings last, where they are read."""
    for one in report.sets:
        console.print(f"[bold]{escape(one.name)}[/]", highlight=False)
        for name, result in zip(report.models, one.results, strict=True):
            console.print(_summary(f"{name}: " if len(report.models) > 1 else "", result), highlight=False)
            table = _table(result)
            if table:
                console.print(table)
        if one.kind == "behaviour":
            console.print(_capabilities(report.models, one))
        if one.comparisons:
            console.print(_comparisons(one))
        console.print()
    for warning in warnings(report):
        console.print(f"[bold red]WARNING[/] {escape(warning)}", highlight=False)


def _summary(name: str, result: Result) -> str:
    match result:
        case LabelledResult():
            text = (
                f"macro-F1 {with_interval(result.figures.macro_f1, result.intervals['macro_f1'])}, "
                f"accuracy {result.figures.accuracy:.3f}, Matthews {result.figures.matthews:.3f}, calibration error "
                f"{result.calibration.expected_error:.3f} (exact scores {result.calibration.exact_error:.3f}, up to "
                f"{result.calibration.exact_error_95:.3f}), Brier {result.calibration.brier:.3f}, "
                f"{result.figures.sentences:,} sentences"
            )
        case DirectionResult():
            text = (
                f"macro-F1 {with_interval(result.macro_f1, result.macro_f1_interval)}, {result.sentences:,} sentences"
            )
            if result.macro_f1_without_request is not None:
                without = with_interval(result.macro_f1_without_request, result.macro_f1_without_request_interval)
                text += f"; without REQUEST {without}, {result.sentences_without_request:,}"
            if result.neutral_left_out:
                text += f" ({result.neutral_left_out:,} neutral rows left out)"
        case ArticleResult():
            text = (
                f"accuracy {with_interval(result.accuracy, result.accuracy_interval)}, index correlation "
                f"{with_interval(result.index_correlation, result.index_correlation_interval)}, "
                f"{result.articles} articles"
            )
        case BehaviourResult():
            rate = with_interval(result.failure_rate, result.failure_rate_interval)
            text = f"failure rate {rate}, {result.failures} of {result.cases} cases"
            if result.name_swaps:
                swaps = result.name_swaps
                text += (
                    f"; {swaps.pairs} swaps of a name change P(escalation) by {swaps.mean:.3f} on average, "
                    f"{swaps.percentile_99:.3f} at the 99th percentile, {swaps.largest:.3f} at most"
                )
    return f"{escape(name)}{text}"


def _table(result: Result) -> Table | None:
    match result:
        case LabelledResult():
            table = _columns("label", "P", "R", "F1", "n", *_PREDICTED)
            for label, row in zip(LABELS, result.figures.confusion, strict=True):
                one = result.figures.labels[label]
                f1 = with_interval(one.f1, result.intervals[label])
                table.add_row(label, f"{one.precision:.3f}", f"{one.recall:.3f}", f1, str(one.support), *map(str, row))
            return table
        case ArticleResult():
            table = _columns("article label", *_PREDICTED)
            for label, row in zip(LABELS, result.confusion, strict=True):
                table.add_row(label, *map(str, row))
            return table
    return None


def _capabilities(models: Sequence[str], one: SetReport) -> Table:
    """Failures of each capability that has any; those that all models pass are counted in the last row."""
    results = [result for result in one.results if isinstance(result, BehaviourResult)]
    table = _columns("failing", "cases", *map(escape, models))
    for each in zip(*(result.kinds for result in results), strict=True):
        counts = [f"{found.failures} ({found.rate:.0%})" for found in each]
        table.add_row(f"all of {each[0].kind}", str(each[0].cases), *counts, style="bold")
    passed = 0
    for each in zip(*(result.capabilities for result in results), strict=True):
        if any(found.failures for found in each):
            counts = [f"{found.failures} ({found.rate:.0%})" for found in each]
            table.add_row(escape(f"{each[0].kind}: {each[0].capability}"), str(each[0].cases), *counts)
        else:
            passed += 1
    table.add_row(f"{passed} more capabilities", "", *["0" for _ in models])
    return table


def _comparisons(one: SetReport) -> Table:
    first = one.comparisons[0]
    table = _columns(escape(f"against {first.first}"), first.metric, "p boot.", "p McN.", "won:lost")
    for found in one.comparisons:
        low_high = f" [{found.interval[0]:+.3f}, {found.interval[1]:+.3f}]" if found.interval else ""
        only = f"{found.only_second_right}:{found.only_first_right}"
        difference = f"{found.difference:+.3f}{low_high}"
        table.add_row(escape(found.second), difference, p_text(found.bootstrap_p), p_text(found.mcnemar_p), only)
    return table


def _columns(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
