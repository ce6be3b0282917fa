"""Figures as SVG that takes its text colour from the page around it, so that one drawing serves light and dark."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from detente.labels import LABELS
from eval.evaluate import LabelledResult

# Told apart by people with any colour vision, on white and on black (Okabe and Ito 2008, without its yellow and black).
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
# Stands for the text colour of the page; matplotlib itself never writes it.
INK: Final = "#010203"
_STYLE: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.0,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def draw(size: tuple[float, float], paint: Callable[[Figure], None], title: str, background: str = "") -> str:
    """An SVG element, `size` in inches, from what `paint` puts on the figure; `title` is what a screen reader says.

    With a `background` colour the drawing stands alone, in dark ink.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Group names repeat from figure to figure, and nothing refers to them.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r'^<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'^<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
    if not background:
        return svg.replace(INK, "currentColor")
    return re.sub(r"^(<svg[^>]*>)", rf'\1<rect width="100%" height="100%" fill="{background}"/>', svg, count=1)


def precision_recall_plot(models: Sequence[str], results: Sequence[LabelledResult]) -> str:
    """Precision against recall, a panel a label."""

    def paint(figure: Figure) -> None:
        panels = figure.subplots(1, len(LABELS), sharey=True)
        for panel, label in zip(panels, LABELS, strict=True):
            panel.set(title=str(label), xlabel="recall", xlim=(0, 1), ylim=(0, 1.02))
            for number, (name, result) in enumerate(zip(models, results, strict=True)):
                curve = result.precision_recall.get(label)
                if curve:
                    legend = f"{legend_text(name)}, area {curve.average_precision:.3f}"
                    panel.plot(
                        curve.recall, curve.precision, drawstyle="steps-post", color=_colour(number), label=legend
                    )
            if panel.lines:
                panel.legend(loc="lower left", fontsize=8)
        panels[0].set_ylabel("precision")

    return draw((9.6, 3.0), paint, f"Precision-recall curves on {_plain(results[0].name)}")


def reliability_plot(models: Sequence[str], results: Sequence[LabelledResult]) -> str:
    """Share of right labels against confidence, in bins of equal mass."""

    def paint(figure: Figure) -> None:
        panel = figure.subplots()
        panel.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        for number, (name, result) in enumerate(zip(models, results, strict=True)):
            bins = result.calibration.bins
            panel.plot(
                [one.confidence for one in bins], [one.accuracy for one in bins], marker="o", markersize=3.5,
                color=_colour(number), label=f"{legend_text(name)}, error {result.calibration.expected_error:.3f}",
            )  # fmt: skip
        panel.set(xlabel="confidence", ylabel="share of right labels", xlim=(0.3, 1.01), ylim=(0, 1.02))
        panel.legend(loc="lower right", fontsize=8)

    return draw((4.7, 3.2), paint, f"Reliability diagram on {_plain(results[0].name)}")


def coverage_plot(models: Sequence[str], results: Sequence[LabelledResult]) -> str:
    """Macro-F1 against the share of sentences that are kept, the most certain ones first."""

    def paint(figure: Figure) -> None:
        panel = figure.subplots()
        for number, (name, result) in enumerate(zip(models, results, strict=True)):
            shares = [100 * one.share for one in result.coverage]
            panel.plot(
                shares, [one.macro_f1 for one in result.coverage], color=_colour(number), label=legend_text(name)
            )
        panel.set(xlabel="% of sentences kept, most certain first", ylabel="macro-F1")
        panel.invert_xaxis()
        panel.legend(loc="best", fontsize=8)

    return draw((4.7, 3.2), paint, f"Coverage against macro-F1 on {_plain(results[0].name)}")


def legend_text(name: str) -> str:
    """A name as matplotlib shows it whatever is in it: no formula between dollars, no leading underscore."""
    return name.replace("$", r"\$").lstrip("_") or "model"


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _plain(name: str) -> str:
    """A set's name comes from a file's: keep it from ending an attribute."""
    return re.sub(r"[^\w .,+-]", "_", name)
