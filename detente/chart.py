"""Draws a time series of scored articles; needs matplotlib, the extra `plot`."""

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any, Final

from detente.atomic import atomic_writer
from detente.errors import UsageError
from detente.labels import LABELS
from detente.series import Period, Series

SUFFIXES: Final = (".svg", ".png", ".pdf")
# Told apart by people with any colour vision (Okabe and Ito 2008); the labels' are red, blue and grey.
_GROUP_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_LABEL_COLOURS: Final = ("#c0392b", "#2e75b6", "#c8c8c8")
_DAYS: Final = {Period.DAY: 1, Period.WEEK: 7, Period.MONTH: 28, Period.YEAR: 365}


def check_chart(path: Path) -> None:
    """Find out before the work that a chart cannot be drawn.

    Raises:
        UsageError: matplotlib is missing, or the suffix is of no picture.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: unknown type of picture; end it in {', '.join(SUFFIXES)}")
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise UsageError("a chart needs matplotlib; pip install 'detente[plot]'") from error
    del mpl


def draw_chart(series: Series, period: Period, path: Path) -> None:
    """Write a picture: the index with its interval, a line a group; below it label shares and numbers of all articles.

    Of more than six groups those with the most articles are drawn.

    Raises:
        UsageError: matplotlib is missing, or the file cannot be written.
    """
    check_chart(path)
    import matplotlib as mpl
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    style = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9.0, "svg.hashsalt": "detente"}
    with mpl.rc_context(style):
        figure = Figure(figsize=(9.0, 6.0), layout="constrained")
        index, shares, numbers = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1.4, 1))
        _draw_index(index, series, _DAYS[period])
        _draw_totals(shares, numbers, series, _DAYS[period])
        # By the axis's own rules: few ticks, the year said once.
        locator = AutoDateLocator()
        numbers.xaxis.set_major_locator(locator)
        numbers.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        with atomic_writer(path) as file:
            metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
            figure.savefig(file, format=path.suffix.lower().removeprefix("."), dpi=150, metadata=metadata)


def _draw_index(axes: Any, series: Series, days: int) -> None:
    groups = series.groups()
    shown = groups[: len(_GROUP_COLOURS)]
    for group, colour in zip(shown, _GROUP_COLOURS, strict=False):
        # In the middle of what it spans.
        points = [(begin + dt.timedelta(days=days / 2), point) for begin, point in series.of(group)]
        # Names come from the input: a dollar would begin a formula, an underscore hide the entry.
        name = (group or "all articles").replace("$", r"\$").lstrip("_") or "(none)"
        middles, means = [middle for middle, _ in points], [point.index for _, point in points]
        axes.plot(middles, means, color=colour, linewidth=1.2, marker="o", markersize=3, label=name)
        spans = [(middle, *interval) for middle, point in points if (interval := point.interval())]
        if spans:
            axes.vlines(*zip(*spans, strict=True), color=colour, linewidth=1.0, alpha=0.5)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(ylabel="index (95 % interval)", ylim=(-1.02, 1.02))
    axes.text(0.005, 0.98, "escalation", transform=axes.transAxes, va="top", color=_LABEL_COLOURS[0])
    axes.text(0.005, 0.02, "de-escalation", transform=axes.transAxes, va="bottom", color=_LABEL_COLOURS[1])
    if len(groups) > 1:
        left_out = len(groups) - len(shown)
        axes.legend(frameon=False, fontsize=8, title=f"{left_out} more not drawn" if left_out else None, ncols=3)


def _draw_totals(shares: Any, numbers: Any, series: Series, days: int) -> None:
    labels: dict[dt.date, Counter[str]] = {}
    for (_, begin), point in series.points.items():
        labels.setdefault(begin, Counter()).update(point.labels)
    order = sorted(labels)
    totals = [labels[day].total() for day in order]
    below = [0.0] * len(order)
    for label, colour in zip(LABELS, _LABEL_COLOURS, strict=True):
        heights = [labels[day][label] / total for day, total in zip(order, totals, strict=True)]
        shares.bar(order, heights, bottom=below, width=0.9 * days, color=colour, label=str(label), align="edge")
        below = [one + height for one, height in zip(below, heights, strict=True)]
    shares.set(ylabel="share of articles", ylim=(0, 1))
    shares.legend(frameon=False, fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))
    numbers.bar(order, totals, width=0.9 * days, color="#7f7f7f", align="edge")
    numbers.set(ylabel="articles")
