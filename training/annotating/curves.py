"""Learning curves as a table, a chart and JSON. Knows nothing of how they came about."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from rich.table import Table

from detente.series import student_quantile
from eval.plots import COLOURS, INK, draw, legend_text

# The levels of macro-F1 that the table has; those between what the first round and all rounds reach are shown.
_LEVELS: Final = tuple(level / 100 for level in range(40, 100, 5))


@dataclass(frozen=True)
class Curves:
    """Macro-F1 after each round, shape (seeds, rounds), by strategy; `whole` is that with the whole pool annotated.

    `sentences` and `measured_on` are the sizes of the pool and of what it is measured on.
    """

    name: str
    sentences: int
    measured_on: int
    annotations: list[int]
    macro_f1: dict[str, npt.NDArray[np.float64]]
    whole: float

    def needed(self, strategy: str, level: float) -> list[float]:
        """Annotations until macro-F1 first reached `level`, for each seed, linear between rounds; infinite if never."""
        return [_first_reached(self.annotations, row, level) for row in self.macro_f1[strategy]]


def table(curves: Curves) -> Table:
    """Annotations that each strategy needs to reach levels of macro-F1, for a terminal."""
    seeds = len(next(iter(curves.macro_f1.values())))
    title = f"{curves.name}: annotations needed, of {curves.sentences:,}; mean of {seeds} ± half its 95 % interval"
    shown = Table(title=title, caption=f"macro-F1 with all of them: {curves.whole:.3f}")
    shown.add_column("strategy")
    levels = _shown_levels(curves)
    for level in levels:
        shown.add_column(f"for {level:.2f}", justify="right")
    shown.add_column(f"macro-F1 at {curves.annotations[-1]:,}", justify="right")
    for name, rows in curves.macro_f1.items():
        mean, half = _mean_interval(rows[:, -1])
        needed = [_needed_text(curves.needed(name, level)) for level in levels]
        shown.add_row(name, *needed, f"{mean:.3f} ± {half:.3f}")
    return shown


def to_json(curves: Curves) -> dict[str, Any]:
    """Every figure behind table and chart, JSON-ready; a level that was never reached is null."""
    finite = {
        name: {f"{level:.2f}": [n if math.isfinite(n) else None for n in curves.needed(name, level)]
               for level in _shown_levels(curves)}
        for name in curves.macro_f1
    }  # fmt: skip
    return {
        "pool": curves.name,
        "sentences": curves.sentences,
        "measured_on": curves.measured_on,
        "macro_f1_of_all": curves.whole,
        "annotations": curves.annotations,
        "macro_f1": {name: rows.tolist() for name, rows in curves.macro_f1.items()},
        "needed": finite,
    }


def chart(found: Sequence[Curves]) -> str:
    """A panel for each pool: means over the seeds and their 95 % intervals, as SVG."""

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, len(found), squeeze=False)[0]
        for panel, curves in zip(panels, found, strict=True):
            for number, (name, rows) in enumerate(curves.macro_f1.items()):
                mean, half = _mean_interval(rows)
                colour = COLOURS[number % len(COLOURS)]
                panel.plot(curves.annotations, mean, color=colour, label=name)
                panel.fill_between(curves.annotations, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
            panel.axhline(curves.whole, color=INK, linewidth=0.8, linestyle=":")
            title = f"{legend_text(curves.name)}; dotted: all {curves.sentences:,} annotated"
            panel.set(title=title, xlabel="annotations", ylabel="macro-F1", xlim=(0, curves.annotations[-1]))
        panels[0].legend(loc="lower right", fontsize=8)

    return draw((4.8 * len(found), 3.4), paint, "Macro-F1 against annotations, by strategy", background="#ffffff")


def _shown_levels(curves: Curves) -> list[float]:
    means = [rows.mean(axis=0) for rows in curves.macro_f1.values()]
    return [one for one in _LEVELS if min(row[0] for row in means) < one <= max(row.max() for row in means)]


def _needed_text(needed: list[float]) -> str:
    reached = np.array([one for one in needed if math.isfinite(one)])
    if len(reached) < len(needed):
        return f"{len(reached)} of {len(needed)} did"
    mean, half = _mean_interval(reached)
    return f"{mean:.0f} ± {half:.0f}"


def _first_reached(annotations: Sequence[int], macro_f1: npt.NDArray[np.float64], level: float) -> float:
    above = np.flatnonzero(macro_f1 >= level)
    if not len(above):
        return math.inf
    last = int(above[0])
    if last == 0:
        return float(annotations[0])
    before, after = macro_f1[last - 1], macro_f1[last]
    share = (level - before) / (after - before)
    return float(annotations[last - 1] + share * (annotations[last] - annotations[last - 1]))


def _mean_interval(values: npt.NDArray[np.float64]) -> tuple[Any, Any]:
    """Means over the first axis and half the width of their 95 % intervals (Student's)."""
    half = student_quantile(len(values) - 1) * values.std(axis=0, ddof=1) / math.sqrt(len(values))
    return values.mean(axis=0), half
