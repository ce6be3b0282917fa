"""Writes a benchmark's findings (LEADERBOARD.md, leaderboard.json, the chart). Knows nothing of how they came about."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from detente.atomic import atomic_writer
from eval.plots import COLOURS, INK, draw, legend_text
from eval.report import Headline, Report, SetReport, headlines_of, p_text, with_interval
from eval.speed import PIPELINE
from eval.timing import Speed

NAME: Final = "leaderboard"
_NONE: Final = "-"
# Rounds that lie further apart, as a share of their median, say more of the machine than of the model.
_NOISY: Final = 0.2
_MARKERS: Final = "osD^vP*Xp<>h"


@dataclass(frozen=True)
class Leaderboard:
    """A benchmark's findings; `report.models` are ranked, best first."""

    report: Report
    speeds: list[Speed]
    sizes_mb: dict[str, float]
    training_minutes: dict[str, float | None]
    failures: dict[str, str]
    machine: dict[str, str]
    command: str
    timed_sentences: int
    warnings: list[str]
    ranked_by: str


def write_leaderboard(board: Leaderboard, folder: Path) -> None:
    """Write the three files into a folder.

    Raises:
        UsageError: they cannot be written.
    """
    content = {
        "command": board.command,
        "machine": board.machine,
        "warnings": board.warnings,
        "failures": board.failures,
        "speeds": [asdict(one) for one in board.speeds],
        "sizes_mb": board.sizes_mb,
        "training_minutes": board.training_minutes,
        "quality": headlines_of(board.report),
    }
    for name, text in (
        ("LEADERBOARD.md", markdown(board)),
        (f"{NAME}.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n"),
        (f"{NAME}.svg", chart(board)),
    ):
        with atomic_writer(folder / name) as file:
            file.write(text.encode())


def markdown(board: Leaderboard) -> str:
    """The leaderboard as Markdown."""
    report = board.report
    lines = [
        "# Leaderboard",
        "",
        "Written by the benchmark itself, not by hand:",
        "",
        "```",
        board.command,
        "```",
        "",
        f"on {board.machine['processor']}, {board.machine['cores']} cores, GPU {board.machine['gpu']}, ONNX Runtime "
        f"{board.machine['onnxruntime']}, torch {board.machine['torch']}, transformers "
        f"{board.machine['transformers']}, Python {board.machine['python']}. Ranked on {board.ranked_by}; "
        f"square brackets are 95 % bootstrap intervals ({report.draws:,} draws of whole documents).",
        "",
        f"![Macro-F1 against sentences per second]({NAME}.svg)",
        "",
        *(f"> **Warning.** {warning}.\n" for warning in board.warnings),
        "## How good",
        "",
        _row(["variant", *(f"{one.name}: {one.metric}" for one in report.sets)]),
        _row(["---"] * (1 + len(report.sets))),
    ]
    for number, name in enumerate(report.models):
        cells = [with_interval(one.headlines[number].value, one.headlines[number].interval) for one in report.sets]
        lines.append(_row([f"`{name}`", *cells]))
    if len(report.models) > 1:
        lines += [
            "",
            f"Against `{report.models[0]}`, in paired draws: difference, interval, p (bootstrap; McNemar). That is the "
            "best on the very set that ranks, and no correction is made for comparing several, so take a p near 0.05 "
            f"for a hint. {report.draws:,} draws cannot show a bootstrap p under {2 / (report.draws + 1):.3f}.",
            "",
            _row(["variant", *(one.name for one in report.sets)]),
            _row(["---"] * (1 + len(report.sets))),
        ]
        lines += [
            _row([f"`{name}`", *(_difference(one, number) for one in report.sets)])
            for number, name in enumerate(report.models[1:])
        ]
    lines += ["", "## How fast", "", *_speed_table(board)]
    if board.failures:
        lines += ["", "## Failed", "", *(f"- `{name}`: {reason}" for name, reason in board.failures.items())]
    return "\n".join(lines) + "\n"


def _speed_table(board: Leaderboard) -> list[str]:
    baseline = next((one for one in board.speeds if one.way == f"{PIPELINE}32"), None)
    lines = [
        f"Sentences a second over the {board.timed_sentences:,} sentences of the seeds' test split"
        + (", and times the transformers pipeline at batch 32" if baseline else "")
        + "; one sentence and one seed article at a time, 50th and 95th percentile; from a cold "
        "start to one scored article; peak memory while scoring all; files that the CPU needs; training without "
        "that of the model that a variant is made from. Medians of rounds that took every row in turn"
        + _noise(board.speeds),
        "",
        _row(
            [
                "variant",
                "macro-F1",
                "sentences/s",
                "x pipeline",
                "sentence, ms",
                "article, ms",
                "cold start, s",
                "peak, MB",
                "size, MB",
                "training, min",
            ]
        ),
        _row(["---"] * 10),
    ]
    for one in sorted(board.speeds, key=lambda one: -one.sentences_per_second):
        minutes = board.training_minutes[one.model]
        lines.append(
            _row(
                [
                    way_name(one),
                    f"{one.macro_f1:.3f}",
                    f"{one.sentences_per_second:,.0f}",
                    f"{one.sentences_per_second / baseline.sentences_per_second:.1f}" if baseline else _NONE,
                    f"{one.sentence_ms_p50:.1f}; {one.sentence_ms_p95:.1f}",
                    f"{one.article_ms_p50:.0f}; {one.article_ms_p95:.0f}",
                    f"{one.cold_start_s:.2f}",
                    f"{one.peak_mb:.0f}",
                    f"{board.sizes_mb[one.model]:.0f}" if one.way == "cpu" else _NONE,
                    _NONE if minutes is None or one.way != "cpu" else f"{minutes:.1f}",
                ]
            )
        )
    return lines


def way_name(speed: Speed) -> str:
    """What a row of speeds is called: the model, and the way if it is not the usual one."""
    if speed.way == "cpu":
        return speed.model
    if speed.way.startswith(PIPELINE):
        return f"transformers pipeline, batch {speed.way.removeprefix(PIPELINE)} ({speed.model})"
    return f"{speed.model} on {speed.way}"


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats or equals in both coordinates, by falling first coordinate."""
    front: list[tuple[float, float]] = []
    for point in sorted(points, reverse=True):
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front


def chart(board: Leaderboard) -> str:
    """Macro-F1 against sentences a second, a panel for each of the first two labelled sets, a point a variant."""
    shown = [one for one in board.report.sets if one.kind == "labels"][:2]

    def paint(figure: Figure) -> None:
        if not shown:
            figure.text(0.5, 0.5, "no labelled set was measured", ha="center")
            return
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for panel, one in zip(panels, shown, strict=True):
            points = [(speed.sentences_per_second, _of(board, one, speed).value) for speed in board.speeds]
            front = pareto_front([p for p, speed in zip(points, board.speeds, strict=True) if speed.way != "cuda"])
            panel.step([x for x, _ in front], [y for _, y in front], where="post", color=INK, linewidth=1, alpha=0.5)
            for place, (speed, point) in enumerate(zip(board.speeds, points, strict=True)):
                low, high = _of(board, one, speed).interval or (point[1], point[1])
                spread = [[max(0, point[1] - low)], [max(0, high - point[1])]]
                panel.errorbar(
                    *point, yerr=spread, fmt=_MARKERS[place % len(_MARKERS)], color=COLOURS[place % len(COLOURS)],
                    markersize=6, elinewidth=0.7, capsize=2, label=legend_text(way_name(speed)),
                )  # fmt: skip
            panel.set(xscale="log", xlabel="sentences a second (log scale)", ylabel="macro-F1", title=one.name)
        # A legend, not labels at the points: variants of one encoder lie too close together for these.
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)

    title = "Macro-F1 against sentences per second; the line is the Pareto front"
    return draw((2.4 + 3.8 * max(1, len(shown)), 3.8), paint, title, background="#ffffff")


def _noise(speeds: Sequence[Speed]) -> str:
    noisy = [f"{way_name(one)} {one.spread:.0%}" for one in speeds if one.spread > _NOISY]
    return f", which lay apart by more than {_NOISY:.0%} for {', '.join(noisy)}." if noisy else "."


def _of(board: Leaderboard, found: SetReport, speed: Speed) -> Headline:
    return found.headlines[board.report.models.index(speed.model)]


def _difference(found: SetReport, number: int) -> str:
    one = found.comparisons[number]
    low_high = f" [{one.interval[0]:+.3f}, {one.interval[1]:+.3f}]" if one.interval else ""
    return f"{one.difference:+.3f}{low_high}, p {p_text(one.bootstrap_p)}; {p_text(one.mcnemar_p)}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
