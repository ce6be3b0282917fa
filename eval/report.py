"""Results as tables for a terminal."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from detente.labels import LABELS
from eval.evaluate import ArticleResult, DirectionResult, LabelledResult, Result

# Short enough for three columns beside the others on 80 characters.
_PREDICTED: Final = ("→ esc.", "→ de-esc.", "→ neutral")


def show(results: Sequence[Result], console: Console) -> None:
    """Print one table a result, and a warning where a set holds sentences that the model was trained on."""
    for result in results:
        console.print(_rendered(result))
        trained_on = 0 if isinstance(result, ArticleResult) else result.trained_on
        if trained_on:
            console.print(
                f"[bold red]WARNING[/] the model was trained on {trained_on:,} of these sentences: "
                "the figures above are no held-out figures"
            )
        console.print()


def _rendered(result: Result) -> RenderableType:
    match result:
        case LabelledResult():
            return _labelled(result)
        case DirectionResult():
            return _direction(result)
        case ArticleResult():
            return _articles(result)


def _labelled(result: LabelledResult) -> Group:
    found = result.figures
    figures = f"macro-F1 {found.macro_f1:.3f}, accuracy {found.accuracy:.3f}, {found.sentences:,} sentences"
    table = _table("label", "P", "R", "F1", "n", *_PREDICTED)
    for label, row in zip(LABELS, found.confusion, strict=True):
        one = found.labels[label]
        table.add_row(
            label, f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}", str(one.support), *map(str, row)
        )
    return Group(Text(f"{result.name}: {figures}", style="bold"), table)


def _direction(result: DirectionResult) -> Group:
    table = _table("direction", "macro-F1", "sentences")
    table.add_row("conflict against cooperation", f"{result.macro_f1:.3f}", str(result.sentences))
    if result.macro_f1_without_request is not None:
        without = f"{result.macro_f1_without_request:.3f}"
        table.add_row("the same without REQUEST", without, str(result.sentences_without_request))
    note = f" ({result.neutral_left_out} neutral rows left out)" if result.neutral_left_out else ""
    return Group(Text(f"{result.name}{note}", style="bold"), table)


def _articles(result: ArticleResult) -> Group:
    title = (
        f"{result.name}: accuracy {result.accuracy:.3f}, index correlation {result.index_correlation:.3f}, "
        f"{result.articles} articles"
    )
    table = _table("article label", *_PREDICTED)
    for label, row in zip(LABELS, result.confusion, strict=True):
        table.add_row(label, *map(str, row))
    return Group(Text(title, style="bold"), table)


def _table(first: str, *others: str) -> Table:
    table = Table()
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
