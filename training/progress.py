"""Tells how far fine-tuning is: a line after every evaluation, and a bar where someone watches."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback


class TrainingProgress(TrainerCallback):  # type: ignore[misc]
    """A trainer's callback. The trainer runs inside `with TrainingProgress().bar`, so that an error ends the bar."""

    def __init__(self, *, silent: bool = False) -> None:
        """With several processes all but one are `silent`."""
        columns = (TextColumn("fine-tuning"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True, quiet=silent)
        self.bar = Progress(
            *columns, console=console, transient=True, disable=silent or not console.is_interactive,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._task = self.bar.add_task("", total=None)
        self._began, self._first = time.monotonic(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Begin where the checkpoint is that training goes on from."""
        self._began, self._first = time.monotonic(), state.global_step
        self.bar.reset(self._task, total=state.max_steps, completed=state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Move the bar."""
        self.bar.update(self._task, completed=state.global_step)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:  # noqa: ARG002
        """Tell the figure, and how long the rest will take if it does not stop early."""
        done, left = state.global_step - self._first, state.max_steps - state.global_step
        minutes = (time.monotonic() - self._began) / max(done, 1) * left / 60
        self._tell(
            f"step {state.global_step:,} of {state.max_steps:,}, epoch {state.epoch:.1f} of {args.num_train_epochs:g}: "
            f"validation macro-F1 {metrics['eval_macro_f1']:.4f}; about {minutes:.1f} minutes of fine-tuning left"
        )

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Tell which checkpoint is kept."""
        early = "; stopped early, since no later one was better" if state.global_step < state.max_steps else ""
        self._tell(f"fine-tuned; step {state.best_global_step} is kept, the best on validation{early}")

    def _tell(self, line: str) -> None:
        self.bar.console.print(line, soft_wrap=True, markup=False, highlight=False)
