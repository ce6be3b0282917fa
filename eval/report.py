"""All models on all sets, with every later model compared to the first; what the terminal, the page and JSON show."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from detente.atomic import atomic_writer
from detente.errors import UsageError
from detente.inference import Scores
from detente.labels import LABELS
from detente.model import ModelDirectory, training_texts
from detente.tables import without_nan
from eval.behaviour import BehaviourSet
from eval.compare import METRICS, Comparison, compare, headline, headline_interval
from eval.evaluate import Result, measure
from eval.sets import ArticleSet, DirectionSet, EvaluationSet, LabelledSet
from eval.significance import Interval

_KINDS: Final = {LabelledSet: "labels", DirectionSet: "direction", ArticleSet: "articles", BehaviourSet: "behaviour"}


@dataclass(frozen=True)
class Headline:
    """The one figure of a model on a set, with its 95 % interval."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class SetReport:
    """One set: a headline figure (named `metric`) and a result a model, and comparisons with the first model."""

    name: str
    kind: str
    metric: str
    headlines: list[Headline]
    results: list[Result]
    comparisons: list[Comparison]


@dataclass(frozen=True)
class Report:
    """What was measured: `models` are names, in the order of every list in `sets`; `versions` tell weights apart."""

    models: list[str]
    versions: list[str]
    device: str
    draws: int
    labels: list[str]
    sets: list[SetReport]


Score = Callable[[int, EvaluationSet], Scores]


def make_report(
    models: Sequence[ModelDirectory], sets: Sequence[EvaluationSet], score: Score, device: str, draws: int
) -> Report:
    """Measure; `score(number, found)` gives model `number`'s scores of a set's sentences."""
    names = model_names([model.path for model in models])
    trained_on = [training_texts(model) for model in models]
    reports = []
    for found in sets:
        scores = [score(number, found) for number in range(len(models))]
        reports.append(
            SetReport(
                name=found.name,
                kind=_KINDS[type(found)],
                metric=METRICS[type(found)],
                headlines=[Headline(headline(found, s), headline_interval(found, s, draws)) for s in scores],
                results=[measure(found, s, texts, draws) for s, texts in zip(scores, trained_on, strict=True)],
                comparisons=[
                    compare(found, (names[0], name), scores[0], other, draws)
                    for name, other in zip(names[1:], scores[1:], strict=True)
                ],
            )
        )
    return Report(names, [model.version for model in models], device, draws, [str(one) for one in LABELS], reports)


def model_names(paths: Sequence[Path]) -> list[str]:
    """Short names for model directories: the folder's, or the whole path where two folders have one name.

    Raises:
        UsageError: one directory is given twice.
    """
    resolved = [path.resolve() for path in paths]
    twice = [path for path, one in zip(paths, resolved, strict=True) if resolved.count(one) > 1]
    if twice:
        raise UsageError(f"{twice[0]}: is given twice; a model is compared with others, not with itself")
    names = [path.resolve().name for path in paths]
    return [str(path) if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)]


def to_json(report: Report) -> dict[str, Any]:
    """A JSON-ready dict; what is undefined (a correlation with a constant) is null."""
    found: dict[str, Any] = without_nan(asdict(report))
    return found


def headlines_of(report: Report) -> list[dict[str, Any]]:
    """Each set's headline figures by model, and the comparisons with the first, JSON-ready."""
    return [
        {
            "set": one.name,
            "metric": one.metric,
            "models": {name: asdict(figure) for name, figure in zip(report.models, one.headlines, strict=True)},
            "comparisons": [asdict(found) for found in one.comparisons],
        }
        for one in report.sets
    ]


def write_json(report: Report, path: Path) -> None:
    """Write the report as JSON.

    Raises:
        UsageError: the file cannot be written.
    """
    with atomic_writer(path) as file:
        file.write((json.dumps(to_json(report), indent=1, ensure_ascii=False) + "\n").encode())


def warnings(report: Report) -> list[str]:
    """What voids or limits figures, a sentence each: training sentences in a set, labels or rows that are missing."""
    found = []
    for one in report.sets:
        for name, result in zip(report.models, one.results, strict=True):
            trained_on = getattr(result, "trained_on", 0)
            if trained_on:
                found.append(
                    f"{one.name}: {name} was trained on {trained_on:,} of these sentences; its figures there are no "
                    "held-out figures"
                )
        if one.headlines[0].interval is None:
            found.append(f"{one.name}: too few documents, or too alike, for intervals; p-values mean little there")
        first = one.results[0]
        for count, what in (
            ("unlabelled", "without a label"),
            ("dropped_duplicates", "with a sentence that is there already"),
        ):
            if getattr(first, count, 0):
                found.append(f"{one.name}: rows left out {what}: {getattr(first, count):,}")
        if one.kind == "labels":
            absent = [label for label, figure in first.figures.labels.items() if not figure.support]  # type: ignore[union-attr]
            if absent:
                found.append(
                    f"{one.name}: has no {' and no '.join(absent)}; macro-F1 is the mean over the other labels"
                )
    return found


def with_interval(value: float, around: Interval | None) -> str:
    """A figure and its interval, such as `0.858 [0.838, 0.877]`."""
    return f"{value:.3f}" + (f" [{around[0]:.3f}, {around[1]:.3f}]" if around else "")


def p_text(value: float) -> str:
    """A p-value to three digits, such as `0.002` or `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004 - three digits
