"""Fine-tunes an encoder with the transformers Trainer. Knows nothing of calibration or export.

The classifier has 3 label logits and, if the variant learns the codebook's rules as a second target, one more logit
per rule. Both targets thus share one standard head, whatever the architecture; `label_head` cuts it down to 3.
"""

import logging
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, EvalPrediction, get_last_checkpoint

from detente.annotations import Annotations, text_fingerprint
from detente.errors import DetenteError
from detente.inference import Scores, load_classifier
from detente.labels import LABELS
from detente.model import open_model, training_texts
from training.config import EncoderVariant
from training.data import Splits
from training.encoders import find_encoder

log = logging.getLogger(__name__)

NO_RULE: Final = -100  # cross_entropy's ignore_index


def fine_tune(variant: EncoderVariant, splits: Splits, run: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Fine-tune on the training split; the checkpoint with the best validation macro-F1 is returned, with 3 labels.

    Checkpoints go to the folder `run`; if it has some, training goes on from the last.

    Raises:
        DetenteError: the encoder cannot be had.
    """
    folder = find_encoder(variant)
    set_seed(variant.seed)  # the classifier's first weights are drawn below, before the Trainer sets it
    rules = sorted({row.rule for row in splits.train.rows} - {""}) if variant.rule_loss_weight else []
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=len(LABELS) + len(rules), use_safetensors=True, dtype=torch.float32
    )
    if variant.layers:
        keep_layers(model, variant.layers)
    if not isinstance(getattr(model, "classifier", None), torch.nn.Linear):
        raise DetenteError(f"{variant.encoder}: its classifier ({model.config.model_type}) is not one linear layer")
    arguments = _arguments(variant, run, len(splits.train.rows))
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=_tokenised(splits.train, tokenizer, rules, variant.max_length, _teacher_scores(variant, splits)),
        eval_dataset=_tokenised(splits.validation, tokenizer, rules, variant.max_length),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_loss_func=Loss(variant, label_weights(splits.train.label_ids(), variant.label_balance)),
        compute_metrics=_validation_metrics,
        callbacks=[EarlyStoppingCallback(variant.patience)],
    )
    checkpoint = _last_checkpoint(run)
    if checkpoint:
        log.warning("going on from %s", checkpoint)
    trainer.train(resume_from_checkpoint=checkpoint)
    # Without the wrapper for mixed precision: what is calibrated and exported computes in fp32.
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    return label_head(trained).cpu().float().eval(), tokenizer


def _last_checkpoint(run: Path) -> str | None:
    """The last whole checkpoint; those that a kill cut short lack the file that is written last, and are removed."""
    for folder in run.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if not (folder / TRAINER_STATE_NAME).is_file():
            shutil.rmtree(folder, ignore_errors=True)
    found: str | None = get_last_checkpoint(str(run)) if run.is_dir() else None
    return found


def _arguments(variant: EncoderVariant, run: Path, sentences: int) -> TrainingArguments:
    on_gpu = torch.cuda.is_available()
    # Also on CPUs with AMX or AVX512-BF16 units: 85 against 60 sentences a second there, measured with MiniLM.
    bf16 = torch.cuda.is_bf16_supported() if on_gpu else torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001
    arguments = TrainingArguments(
        output_dir=str(run),
        num_train_epochs=variant.epochs,
        per_device_train_batch_size=variant.batch_size,
        per_device_eval_batch_size=variant.batch_size * 2,
        learning_rate=variant.learning_rate,
        weight_decay=variant.weight_decay,
        lr_scheduler_type="linear",
        bf16=bf16,
        fp16=on_gpu and not bf16,
        use_cpu=not on_gpu,
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        eval_strategy="steps",
        save_strategy="steps",
        logging_strategy="steps",
        save_total_limit=2,
        load_best_model_at_end=True,
        restore_callback_states_from_checkpoint=True,  # the patience that is used up
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        average_tokens_across_devices=False,
        label_names=["labels"],
        seed=variant.seed,
        report_to="none",
        dataloader_pin_memory=on_gpu,
    )
    steps_per_epoch = -(-sentences // (variant.batch_size * arguments.world_size * max(arguments.n_gpu, 1)))
    arguments.warmup_steps = int(variant.warmup_share * steps_per_epoch * variant.epochs)
    interval = max(1, steps_per_epoch // variant.evaluations_per_epoch)
    arguments.eval_steps = arguments.save_steps = arguments.logging_steps = interval
    return arguments


def _teacher_scores(variant: EncoderVariant, splits: Splits) -> Scores | None:
    """The teacher's scores of the training sentences, shape (sentences, 3).

    Raises:
        DetenteError: it is no model directory, or has learned from sentences that this variant holds out.
    """
    if variant.teacher is None:
        return None
    teacher = open_model(Path(variant.teacher))
    learned = training_texts(teacher)
    held_out = [*splits.validation.texts(), *splits.test.texts()]
    leaked = sum(text_fingerprint(text) in learned for text in held_out)
    if leaked:
        raise DetenteError(
            f"{variant.teacher}: was trained on {leaked:,} sentences that are held out here; train teacher and student "
            "on the same annotation files"
        )
    return load_classifier(teacher).score(splits.train.texts())


def _tokenised(
    rows: Annotations,
    tokenizer: PreTrainedTokenizerBase,
    rules: list[str],
    max_length: int,
    teacher_scores: Scores | None = None,
) -> Any:
    """A dataset whose `labels` are numbers: label id, rule id, and the teacher's three scores if there is one."""
    rule_ids = {rule: index for index, rule in enumerate(rules)}

    def encode(batch: dict[str, list[Any]], indices: list[int]) -> dict[str, list[Any]]:
        input_ids = tokenizer(batch["text"], truncation=True, max_length=max_length)["input_ids"]
        return {
            "input_ids": input_ids,
            "length": [len(ids) for ids in input_ids],
            "labels": [
                [float(label), float(rule_ids.get(rule, NO_RULE))]
                + ([] if teacher_scores is None else teacher_scores[index].tolist())
                for label, rule, index in zip(batch["label"], batch["rule"], indices, strict=True)
            ],
        }

    dataset = rows.to_dataset()
    return dataset.map(encode, batched=True, with_indices=True, remove_columns=dataset.column_names, desc="tokenising")


class Loss:
    """Cross-entropy over the label logits plus the weighted one over the rule logits, meaned over the batch.

    With a teacher, part of the former is taken against its scores.
    """

    def __init__(self, variant: EncoderVariant, weights: torch.Tensor) -> None:
        self._weights = weights
        self._smoothing = variant.label_smoothing
        self._rule_weight = variant.rule_loss_weight
        self._distillation_weight = variant.distillation_weight if variant.teacher else 0.0

    def __call__(self, outputs: Any, targets: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:  # noqa: ARG002
        """`targets` has shape (batch, 2 or 5): label id, rule id, and in training the teacher's scores if any."""
        logits = outputs.logits.float()
        labels, rules, teacher_scores = targets[:, 0].long(), targets[:, 1].long(), targets[:, 2:]
        loss = cross_entropy(
            logits[:, : len(LABELS)], labels, weight=self._weights.to(logits.device), label_smoothing=self._smoothing
        )
        if teacher_scores.shape[1]:
            taught = cross_entropy(logits[:, : len(LABELS)], teacher_scores)
            loss = (1 - self._distillation_weight) * loss + self._distillation_weight * taught
        if self._rule_weight and (rules != NO_RULE).any():
            loss = loss + self._rule_weight * cross_entropy(logits[:, len(LABELS) :], rules)
        return loss


def label_weights(label_ids: list[int], balance: float) -> torch.Tensor:
    """Weights of the labels in the loss, shape (3,): their inverse frequency to the power of `balance`."""
    counts = torch.bincount(torch.tensor(label_ids), minlength=len(LABELS)).float()
    return (counts.mean() / counts) ** balance


def _validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    labels = np.asarray(prediction.label_ids)[:, 0].astype(int)
    found = np.asarray(prediction.predictions)[:, : len(LABELS)].argmax(axis=1)
    return {"macro_f1": float(f1_score(labels, found, average="macro"))}


def keep_layers(model: PreTrainedModel, count: int) -> None:
    """Cut an encoder down to `count` of its layers, first and last among them, spread evenly, in place.

    Raises:
        DetenteError: it has fewer layers, or none that can be told from its configuration.
    """
    config, total = model.config, getattr(model.config, "num_hidden_layers", 0)
    stacks = [
        (parent, name)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, torch.nn.ModuleList) and len(child) == total
    ]
    if not 1 <= count <= total or len(stacks) != 1:
        raise DetenteError(f"layers is {count}; {config.model_type} has {total} that can be chosen from")
    kept = np.linspace(0, total - 1, count).round().astype(int)
    parent, name = stacks[0]
    layers = getattr(parent, name)
    setattr(parent, name, torch.nn.ModuleList([layers[int(index)] for index in kept]))
    config.num_hidden_layers = count


def label_head(model: PreTrainedModel) -> PreTrainedModel:
    """Cut the classifier down to the label logits, in place, so that what is left is a standard 3-way model."""
    wide = model.classifier
    narrow = torch.nn.Linear(wide.in_features, len(LABELS), bias=wide.bias is not None)
    with torch.no_grad():
        narrow.weight.copy_(wide.weight[: len(LABELS)])
        if wide.bias is not None:
            narrow.bias.copy_(wide.bias[: len(LABELS)])
    model.classifier = narrow
    model.num_labels = len(LABELS)
    model.config.id2label = {index: str(label) for index, label in enumerate(LABELS)}
    model.config.label2id = {str(label): index for index, label in enumerate(LABELS)}
    model.config.problem_type = "single_label_classification"
    return model
