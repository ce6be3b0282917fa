"""Quick mode: the lower layers of a trained model run once over all sentences, and only the upper ones learn on.

Knows nothing of labels and losses. The model is cut in two in place, and put together again when it has learned.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from detente.annotations import Annotations, text_fingerprint
from detente.errors import DetenteError, UsageError
from training.architecture import layer_stack
from training.data import Splits

log = logging.getLogger(__name__)

# Share of the layers that learn on, and how many of the sentences that the parent knows are learned again.
_LEARNING_SHARE: Final = 1 / 3
_REHEARSED: Final = 4000
_BATCH: Final = 32
# Cached states are rounded to half precision, which moves a logit by less than this.
_ROUNDING: Final = 0.05


def rehearsed(splits: Splits, seed: int) -> Splits:
    """All fresh training sentences and a sample of the others, so that these are not forgotten.

    Raises:
        UsageError: no training sentence is fresh.
    """
    fresh = np.array([text_fingerprint(text) in splits.fresh for text in splits.train.texts()], dtype=bool)
    if not fresh.any():
        raise UsageError("the model to start from was trained with all of these files; name new --annotations")
    known = np.flatnonzero(~fresh)
    sample = np.random.default_rng(seed).choice(known, min(_REHEARSED, len(known)), replace=False)
    chosen = np.sort(np.concatenate([np.flatnonzero(fresh), sample]))
    log.warning("quick: %d new sentences and %d of %d known ones", fresh.sum(), len(sample), len(known))
    train = Annotations(tuple(splits.train.rows[index] for index in chosen))
    sentences = {**splits.provenance["sentences"], "train": len(train.rows)}
    return replace(splits, train=train, provenance={**splits.provenance, "sentences": sentences})


class _PassedOn(torch.nn.Module):  # type: ignore[misc]
    """Stands where the embeddings were: what is given as embedded went through the lower layers already."""

    def forward(self, inputs_embeds: torch.Tensor, **_: Any) -> torch.Tensor:
        return inputs_embeds


class FrozenLayers:
    """A model without its lower layers, and what these made of every sentence that it will see."""

    def __init__(self, model: PreTrainedModel, count: int) -> None:
        """Prepare to take the `count` lowest layers off a model."""
        self._model = model
        self._owner, self._name = layer_stack(model)
        self._layers = list(getattr(self._owner, self._name))
        self._embeddings = model.base_model.embeddings
        self._count = count
        self._states: dict[tuple[int, ...], torch.Tensor] = {}

    def take_off(self, sentences: Iterable[Sequence[int]]) -> None:
        """Run the lower layers over sentences, given as token ids, and leave the model without them."""
        self._set(self._layers[: self._count], self._embeddings)
        found: list[torch.Tensor] = []
        hook = self._layers[self._count - 1].register_forward_hook(
            lambda _module, _inputs, output: found.append(output[0] if isinstance(output, tuple) else output)
        )
        by_length = sorted({tuple(ids) for ids in sentences}, key=len)
        log.warning(
            "quick: the lower %d layers run once over %d sentences, a minute or two", self._count, len(by_length)
        )
        starts = range(0, len(by_length), _BATCH)
        for start in track(starts, "lower layers", console=Console(stderr=True), transient=True):
            batch = by_length[start : start + _BATCH]
            found.clear()
            _logits(self._model, _padded(batch))
            for ids, states in zip(batch, found[0], strict=True):
                self._states[ids] = states[: len(ids)].half().cpu()
        hook.remove()
        self._set(self._layers[self._count :], _PassedOn())
        # What the lower layers share with the upper ones, such as relative positions, must stay as it is.
        self._owner.requires_grad_(False)
        getattr(self._owner, self._name).requires_grad_(True)

    def collate(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """A batch for the upper layers; `inputs_embeds` has shape (batch, tokens, hidden size)."""
        states = [self._states[tuple(feature["input_ids"])].float() for feature in features]
        mask = [torch.ones(len(one), dtype=torch.long) for one in states]
        batch = {
            "inputs_embeds": pad_sequence(states, batch_first=True),
            "attention_mask": pad_sequence(mask, batch_first=True),
        }
        if "labels" in features[0]:
            batch["labels"] = torch.tensor([feature["labels"] for feature in features])
        return batch

    def restore(self) -> None:
        """Put the model together again."""
        self._set(self._layers, self._embeddings)

    def _set(self, layers: Sequence[torch.nn.Module], embeddings: torch.nn.Module) -> None:
        setattr(self._owner, self._name, torch.nn.ModuleList(layers))
        self._model.base_model.embeddings = embeddings


def freeze_lower_layers(model: PreTrainedModel, sentences: Sequence[Sequence[int]]) -> FrozenLayers:
    """Take the lower layers off a model in place, having run them over `sentences`, given as token ids.

    Raises:
        DetenteError: it has one layer only, or an architecture whose layers do not run apart from each other.
    """
    total = len(getattr(*layer_stack(model)))
    if total == 1:
        raise DetenteError("a model of one layer has none that could stay as it is; train without --quick")
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    some = list(sentences[:_BATCH])
    expected = _logits(model, _padded(some))
    frozen = FrozenLayers(model, total - max(1, round(total * _LEARNING_SHARE)))
    frozen.take_off(sentences)
    found = _logits(model, frozen.collate([{"input_ids": ids} for ids in some]))
    if not torch.allclose(found, expected, atol=_ROUNDING):
        frozen.restore()
        raise DetenteError(f"{model.config.model_type}: its layers do not run in two parts; train without --quick")
    return frozen


def _padded(sentences: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    ids = [torch.tensor(sentence) for sentence in sentences]
    mask = pad_sequence([torch.ones_like(one) for one in ids], batch_first=True)
    return {"input_ids": pad_sequence(ids, batch_first=True), "attention_mask": mask}


def _logits(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}).logits
    return logits.cpu()
