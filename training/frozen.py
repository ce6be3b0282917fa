"""The cheap way with an encoder: it stays frozen, and logistic regression learns from its sentence vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase

from detente.annotations import Annotations
from detente.labels import LABELS
from training.config import FrozenVariant
from training.encoders import find_encoder
from training.export import batched_logits
from training.onnx_graph import traced, write_graph


class FrozenClassifier(torch.nn.Module):  # type: ignore[misc]
    """Mean of the last hidden states over the tokens, scaled to length 1, then one linear layer."""

    def __init__(self, folder: Path) -> None:
        """Load the encoder; the linear layer is `fit`."""
        super().__init__()
        self.encoder = AutoModel.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, attn_implementation="eager"
        )
        self.classifier = torch.nn.Linear(self.encoder.config.hidden_size, len(LABELS))

    def vectors(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Sentence vectors, shape (batch, hidden size)."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        return normalize((states * weights).sum(1) / weights.sum(1), dim=1)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits, shape (batch, 3)."""
        logits: torch.Tensor = self.classifier(self.vectors(input_ids, attention_mask))
        return logits


def fit_frozen(
    variant: FrozenVariant, train: Annotations, weights: Sequence[float]
) -> tuple[FrozenClassifier, PreTrainedTokenizerBase]:
    """Fit the linear layer on the training split, whose sentences count by their weights.

    Raises:
        DetenteError: the encoder cannot be had.
    """
    folder = find_encoder(variant)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = FrozenClassifier(folder).eval()
    vectors = batched_logits(model.vectors, tokenizer, train.texts(), variant.max_length)
    regression = LogisticRegression(
        C=variant.inverse_regularisation, class_weight="balanced", max_iter=2000, random_state=variant.seed
    ).fit(vectors, train.label_ids(), sample_weight=weights)
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(regression.coef_))
        model.classifier.bias.copy_(torch.from_numpy(regression.intercept_))
    return model, tokenizer


def write_frozen(model: FrozenClassifier, tokenizer: Any, max_length: int, directory: Path) -> None:
    """Write tokenizer and ONNX graph."""
    tokenizer.model_max_length = max_length
    tokenizer.save_pretrained(directory)
    write_graph(traced(model), directory / "model.onnx")
