"""Tells how far fine-tuning is: a line after every evaluation, and a bar where someone watches."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm.contrib.logging import logging_redirect_tqdm
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

log = logging.getLogger(__name__)


class _Lines(TrainerCallback):  # type: ignore[misc]
    """Epoch, loss, validation macro-F1 and the time that is left at most, since training may stop early."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._began, self._first = time.monotonic(), state.global_step

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:  # noqa: ARG002
        if not state.is_world_process_zero:
            return
        done, left = state.global_step - self._first, state.max_steps - state.global_step
        loss = next((entry["loss"] for entry in reversed(state.log_history) if "loss" in entry), float("nan"))
        log.warning(
            "step %d of %d, epoch %.1f of %d: loss %.3f, validation macro-F1 %.4f; at most %.1f minutes left",
            state.global_step, state.max_steps, state.epoch, args.num_train_epochs, loss, metrics["eval_macro_f1"],
            (time.monotonic() - self._began) / done * left / 60,
        )  # fmt: skip


class _Bar(ProgressCallback):  # type: ignore[misc]
    """Without the raw figures that the library's own one prints."""

    def on_log(self, *_: Any, **__: Any) -> None:
        """Leave that to `_Lines`."""


def quiet() -> None:
    """Keep the libraries from telling what is no news here, such as that a new classifier has no trained weights."""
    set_verbosity_error()
    disable_progress_bar()  # of seconds for reading and writing weights
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)


@contextmanager
def shown(trainer: Trainer) -> Iterator[None]:
    """Show the progress of a trainer that is run inside the block."""
    for theirs in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(theirs)
    if sys.stderr.isatty():
        trainer.add_callback(_Bar)
    trainer.add_callback(_Lines)
    with logging_redirect_tqdm():
        yield
