"""Scores models on sets, with a progress bar. Knows nothing of how the report is shown."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from detente.inference import Scores, load_classifier
from detente.model import ModelDirectory
from eval.report import Report, make_report
from eval.sets import EvaluationSet


def run_report(models: Sequence[ModelDirectory], sets: Sequence[EvaluationSet], device: str, draws: int) -> Report:
    """Measure all models on all sets; the first model is what the others are compared with.

    Raises:
        UsageError: the device is not there, or one model is given twice.
    """
    classifiers = [load_classifier(model, device) for model in models]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(sets) * len(models))

        def score(number: int, found: EvaluationSet) -> Scores:
            progress.update(task, description=escape(f"{models[number].path}, {found.name}"))
            scores = classifiers[number].score(found.sentences())
            progress.advance(task)
            return scores

        return make_report(models, sets, score, device, draws)
