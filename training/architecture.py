"""What is changed about an encoder before and after training: its depth and its head. Knows nothing of data."""

import numpy as np
import torch
from transformers import PreTrainedModel

from detente.errors import DetenteError
from detente.labels import LABELS


def keep_layers(model: PreTrainedModel, count: int) -> None:
    """Cut an encoder down to `count` of its layers, first and last among them, spread evenly, in place.

    Raises:
        DetenteError: it has fewer layers, or none that can be told from its configuration.
    """
    parent, name = layer_stack(model)
    layers, config = getattr(parent, name), model.config
    total = len(layers)
    if not 1 <= count <= total:
        raise DetenteError(f"layers is {count}; {config.model_type} has {total} that can be chosen from")
    kept = np.linspace(0, total - 1, count).round().astype(int)
    setattr(parent, name, torch.nn.ModuleList([layers[int(index)] for index in kept]))
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[int(index)] for index in kept]
    config.num_hidden_layers = count


def layer_stack(model: PreTrainedModel) -> tuple[torch.nn.Module, str]:
    """The module that holds the encoder's layers, and the name of its list of them.

    Raises:
        DetenteError: an architecture that keeps them otherwise.
    """
    stacks = [
        (parent, name)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, torch.nn.ModuleList) and len(child) == getattr(model.config, "num_hidden_layers", 0)
    ]
    if len(stacks) != 1:
        raise DetenteError(f"{model.config.model_type}: its layers cannot be told from its configuration")
    return stacks[0]


def output_layer(model: PreTrainedModel) -> torch.nn.Linear:
    """The linear layer that gives the logits.

    Raises:
        DetenteError: an architecture whose head ends otherwise.
    """
    head = model.classifier if hasattr(model, "classifier") else None
    layer = getattr(head, "out_proj", head)
    if not isinstance(layer, torch.nn.Linear):
        raise DetenteError(f"{model.config.model_type}: its classifier does not end in a linear layer")
    return layer


def widen_head(model: PreTrainedModel, count: int) -> None:
    """Give the classifier `count` more logits behind its own, drawn at random as a new head's are, in place."""
    layer = output_layer(model)
    more = torch.empty(count, layer.in_features).normal_(std=getattr(model.config, "initializer_range", 0.02))
    layer.weight = torch.nn.Parameter(torch.cat([layer.weight.detach(), more]))
    if layer.bias is not None:
        layer.bias = torch.nn.Parameter(torch.cat([layer.bias.detach(), torch.zeros(count)]))
    layer.out_features += count


def label_head(model: PreTrainedModel) -> PreTrainedModel:
    """Cut the classifier down to the label logits, in place, so that what is left is a standard 3-way model."""
    layer, count = output_layer(model), len(LABELS)
    with torch.no_grad():
        layer.weight = torch.nn.Parameter(layer.weight[:count].clone())
        if layer.bias is not None:
            layer.bias = torch.nn.Parameter(layer.bias[:count].clone())
    layer.out_features = count
    model.num_labels = count
    model.config.id2label = {index: str(label) for index, label in enumerate(LABELS)}
    model.config.label2id = {str(label): index for index, label in enumerate(LABELS)}
    model.config.problem_type = "single_label_classification"
    return model
