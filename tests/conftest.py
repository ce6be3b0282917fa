"""Tiny real things: an encoder of each architecture, annotations cut from the seeds, a trained model directory."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModel,
    BertConfig,
    DebertaV2Config,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

from detente.annotations import Annotation, Annotations, read_annotations, write_annotations
from training.__main__ import main

ROOT = Path(__file__).parent.parent
SEEDS = ROOT / "seeds"

_SIZES = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
}


def _config(architecture: str, vocabulary: int) -> PreTrainedConfig:
    sizes = {**_SIZES, "vocab_size": vocabulary, "pad_token_id": 0}
    if architecture == "deberta-v2":
        # The switches that DeBERTa-v3 models set: relative positions, shared keys, no absolute ones.
        return DebertaV2Config(
            **sizes, type_vocab_size=0, relative_attention=True, position_buckets=8, norm_rel_ebd="layer_norm",
            share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False, max_relative_positions=-1,
        )  # fmt: skip
    if architecture == "modernbert":
        special = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
        return ModernBertConfig(**sizes, **special, local_attention=16, global_attn_every_n_layers=2)
    if architecture == "mpnet":
        return MPNetConfig(**sizes)
    return BertConfig(**sizes)


@pytest.fixture(scope="session")
def sample() -> list[Annotation]:
    """Sixty real seed sentences, all labels in train, validation and test."""
    rows = read_annotations([SEEDS / "annotations.jsonl"]).rows
    chosen = []
    for split, count in (("train", 12), ("validation", 4), ("test", 4)):
        for label in ("escalation", "de-escalation", "neutral"):
            chosen += [row for row in rows if row.split == split and row.label == label][:count]
    return [replace(row, id=f"n{number}") for number, row in enumerate(chosen)]


@pytest.fixture(scope="session")
def make_encoder(tmp_path_factory: pytest.TempPathFactory, sample: list[Annotation]) -> Callable[[str], Path]:
    """A function that writes a randomly initialised encoder of an architecture, with a word-piece tokenizer."""

    def make(architecture: str) -> Path:
        folder = tmp_path_factory.mktemp(architecture)
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False)
        tokenizer.train_from_iterator([row.text for row in sample], trainer)
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
            mask_token="[MASK]", model_input_names=["input_ids", "attention_mask"],
        ).save_pretrained(folder)  # fmt: skip
        torch.manual_seed(1)
        AutoModel.from_config(_config(architecture, tokenizer.get_vocab_size())).save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_encoder(make_encoder: Callable[[str], Path]) -> Path:
    """A tiny BERT."""
    return make_encoder("bert")


@pytest.fixture(scope="session")
def sample_file(tmp_path_factory: pytest.TempPathFactory, sample: list[Annotation]) -> Path:
    """The sample as an annotation file."""
    path = tmp_path_factory.mktemp("annotations") / "sample.jsonl"
    write_annotations(path, sample)
    return path


@pytest.fixture(scope="session")
def sample_annotations(sample: list[Annotation]) -> Annotations:
    """The sample as it is read."""
    return Annotations(tuple(sample))


@pytest.fixture(scope="session")
def write_config(tmp_path_factory: pytest.TempPathFactory, sample_file: Path) -> Callable[..., Path]:
    """A function that writes a variant's YAML over the sample."""

    def write(encoder: Path, **values: object) -> Path:
        path = tmp_path_factory.mktemp("config") / "tiny.yaml"
        defaults: dict[str, object] = {
            "kind": "encoder", "encoder": str(encoder), "annotations": [str(sample_file)], "max_length": 32,
            "epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "rule_loss_weight": 0.5,
        }  # fmt: skip
        path.write_text(yaml.safe_dump(defaults | values), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, write_config: Callable[..., Path]) -> Path:
    """A model directory trained from the tiny BERT on the sample."""
    folder = tmp_path_factory.mktemp("model")
    config = write_config(tiny_encoder)
    assert main([str(config), "--out", str(folder / "tiny"), "--runs", str(folder / "runs")]) == 0
    return folder / "tiny"
