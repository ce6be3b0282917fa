"""Fine-tunes an encoder with the transformers Trainer. Knows nothing of calibration or export.

The classifier has 3 label logits and, if the variant learns the codebook's rules as a second target, one more logit
per rule. Both targets thus share one standard head, whatever the architecture; `architecture.label_head` cuts it to 3.
"""

import logging
import re
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
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, EvalPrediction, get_last_checkpoint
from transformers.utils import logging as logging_of_library

from detente.annotations import Annotations
from detente.errors import DetenteError
from detente.labels import DE_ESCALATION_ID, ESCALATION_ID, LABEL_IDS, LABELS
from detente.model import ModelDirectory
from training.architecture import keep_layers, label_head, output_layer, widen_head
from training.config import EncoderVariant
from training.data import Splits
from training.encoders import find_encoder
from training.progress import TrainingProgress
from training.quick import freeze_lower_layers
from training.teacher import cpu_has_bf16, teacher_scores

log = logging.getLogger(__name__)

NOT_GIVEN: Final = -100  # no label or rule: cross_entropy's ignore_index


def fine_tune(
    variant: EncoderVariant, splits: Splits, run: Path, parent: ModelDirectory | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Fine-tune on the training split; the checkpoint with the best validation macro-F1 is returned, with 3 labels.

    It starts from the weights of `parent`, if there is one, its label logits among them. Checkpoints go to the folder
    `run`; if it has some, training goes on from the last.

    Raises:
        DetenteError: the encoder cannot be had, or has no lower layers that could stay as they are.
    """
    set_seed(variant.seed)  # the classifier's first weights are drawn below, before the Trainer sets it
    rules = sorted({row.rule for row in splits.train.rows} - {""}) if variant.rule_loss_weight else []
    model, tokenizer = _started(variant, len(rules), parent)
    output_layer(model)  # told now, not after hours of training
    learned = _learned(variant, splits, tokenizer, rules, run.parent)
    validation = _validation(splits, tokenizer, rules, variant.max_length)
    frozen = freeze_lower_layers(model, [*learned["input_ids"], *validation["input_ids"]]) if variant.quick else None
    trainer = Trainer(
        model=model,
        args=_arguments(variant, run, len(learned)),
        train_dataset=learned,
        eval_dataset=validation,
        data_collator=frozen.collate if frozen else DataCollatorWithPadding(tokenizer),
        compute_loss_func=Loss(variant, label_weights(splits.train.label_ids(), variant.label_balance)),
        compute_metrics=_validation_metrics,
        callbacks=[EarlyStoppingCallback(variant.patience)],
    )
    checkpoint = _last_checkpoint(run)
    if checkpoint:
        log.warning("going on from %s", checkpoint)
    progress = TrainingProgress(silent=not trainer.is_world_process_zero())
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(progress)
    with progress.bar:
        trainer.train(resume_from_checkpoint=checkpoint)
    # Without the wrapper for mixed precision: what is calibrated and exported computes in fp32.
    trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    if frozen:
        frozen.restore()
    return label_head(trained).cpu().float().eval(), tokenizer


def _started(
    variant: EncoderVariant, rules: int, parent: ModelDirectory | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model that training starts with, and its tokenizer."""
    if parent:
        model = _read_weights(parent.path, r".*", local_files_only=True)
        widen_head(model, rules)
        tokenizer = AutoTokenizer.from_pretrained(parent.path, local_files_only=True)
    else:
        folder = find_encoder(variant)
        # The head is new. A pooler stands before it, and many pretrained encoders come without one.
        model = _read_weights(folder, r"{encoder}\.(?!.*pooler\.).*", num_labels=len(LABELS) + rules)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    if variant.layers:
        keep_layers(model, variant.layers)
    return model, tokenizer


def _read_weights(folder: Path, needed: str, **settings: Any) -> PreTrainedModel:
    """A classifier with the weights in a folder; `needed` is a pattern of names of tensors that it must not lack.

    In it `{encoder}` stands for the name of the part below the head.

    Raises:
        DetenteError: it lacks some, so that these would be random.
    """
    logging_of_library.disable_progress_bar()  # for weights that are read and written within a second
    level = logging_of_library.get_verbosity()
    logging_of_library.set_verbosity_error()  # its report of what is missing is checked here
    try:
        model, found = AutoModelForSequenceClassification.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **settings
        )
    finally:
        logging_of_library.set_verbosity(level)
    pattern = re.compile(needed.format(encoder=re.escape(model.base_model_prefix)))
    missing = sorted(filter(pattern.fullmatch, found["missing_keys"]))
    if missing:
        raise DetenteError(
            f"{folder}: its weights are not those of a {model.config.model_type}; {len(missing)} tensors are missing, "
            f"such as {missing[0]}"
        )
    return model


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
    bf16 = torch.cuda.is_bf16_supported() if on_gpu else cpu_has_bf16()
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
        disable_tqdm=True,  # `TrainingProgress` shows it
    )
    steps_per_epoch = -(-sentences // (variant.batch_size * arguments.world_size * max(arguments.n_gpu, 1)))
    arguments.warmup_steps = int(variant.warmup_share * steps_per_epoch * variant.epochs)
    interval = max(1, steps_per_epoch // variant.evaluations_per_epoch)
    arguments.eval_steps = arguments.save_steps = arguments.logging_steps = interval
    return arguments


def _learned(
    variant: EncoderVariant, splits: Splits, tokenizer: PreTrainedTokenizerBase, rules: list[str], kept: Path
) -> Any:
    """The training dataset: annotated, direction-coded and, if there are teachers to score them, unlabelled sentences.

    Its `labels` are label id, rule id, direction, weight and the teachers' scores, if any.
    """
    import datasets

    texts = splits.train.texts() + [text for text, _ in splits.direction]
    annotated = zip(_targets(splits.train, rules), splits.train_weights(), strict=True)
    targets: list[list[float]] = [[*row, NOT_GIVEN, weight] for row, weight in annotated]
    targets += [[NOT_GIVEN, NOT_GIVEN, label_id, 1.0] for _, label_id in splits.direction]
    if variant.teachers:
        texts += splits.unlabelled
        targets += [[NOT_GIVEN, NOT_GIVEN, NOT_GIVEN, 1.0]] * len(splits.unlabelled)
        scores = teacher_scores([Path(name) for name in variant.teachers], splits, texts, kept)
        targets = [[*own, *row] for own, row in zip(targets, scores.tolist(), strict=True)]
    labels = [[float(target) for target in row] for row in targets]
    return datasets.Dataset.from_dict({**_encoded(texts, tokenizer, variant.max_length), "labels": labels})


def _encoded(texts: list[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> dict[str, list[Any]]:
    input_ids = tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]
    return {"input_ids": input_ids, "length": [len(ids) for ids in input_ids]}


def _validation(splits: Splits, tokenizer: PreTrainedTokenizerBase, rules: list[str], max_length: int) -> Any:
    """The validation dataset, whose `labels` are label id, rule id, no direction and a weight of 1."""
    import datasets

    labels = [[float(target) for target in (*row, NOT_GIVEN, 1.0)] for row in _targets(splits.validation, rules)]
    encoded = _encoded(splits.validation.texts(), tokenizer, max_length)
    return datasets.Dataset.from_dict({**encoded, "labels": labels})


def _targets(rows: Annotations, rules: list[str]) -> list[tuple[int, int]]:
    rule_ids = {rule: index for index, rule in enumerate(rules)}
    return [(LABEL_IDS[row.label], rule_ids.get(row.rule, NOT_GIVEN)) for row in rows.rows]


class Loss:
    """Cross-entropy over the label logits plus the weighted one over the rule logits, meaned over the batch.

    An annotated sentence counts as often as its weight says, and a target as much as the share of the batch that has
    it. With teachers, part of the former is taken against their scores. Direction-coded sentences add the cross-entropy
    between escalation and de-escalation alone, which says nothing of neutral.
    """

    def __init__(self, variant: EncoderVariant, weights: torch.Tensor) -> None:
        self._weights = weights
        self._smoothing = variant.label_smoothing
        self._rule_weight = variant.rule_loss_weight
        self._distillation_weight = variant.distillation_weight if variant.teachers else 0.0
        self._direction_weight = variant.direction_weight

    def __call__(self, outputs: Any, targets: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:  # noqa: ARG002
        """`targets` has shape (batch, 4 or 7): label id, rule id, direction, weight, and teachers' scores if any."""
        logits = outputs.logits.float()
        of_labels = logits[:, : len(LABELS)]
        labels, rules, directions = (targets[:, column].long() for column in range(3))
        weights, teacher_scores = targets[:, 3], targets[:, 4:]
        loss = of_labels.new_zeros(())
        labelled = (labels != NOT_GIVEN).float().mean()
        if labelled > 0:
            of_label = self._weights.to(logits.device)
            losses = cross_entropy(
                of_labels, labels, weight=of_label, label_smoothing=self._smoothing, reduction="none"
            )
            # By the share of labelled sentences, so that each of them weighs the same whatever else is in its batch.
            loss = labelled * (weights * losses).sum() / of_label[labels[labels != NOT_GIVEN]].sum()
        if teacher_scores.shape[1]:
            taught = (weights * cross_entropy(of_labels, teacher_scores, reduction="none")).mean()
            loss = (1 - self._distillation_weight) * loss + self._distillation_weight * taught
        directed = (directions != NOT_GIVEN).float().mean()
        if directed > 0:
            # Columns in the order of their label ids, 0 and 1.
            of_direction = of_labels[:, [ESCALATION_ID, DE_ESCALATION_ID]]
            loss = loss + self._direction_weight * directed * cross_entropy(of_direction, directions)
        if self._rule_weight and (rules != NOT_GIVEN).any():
            losses = cross_entropy(logits[:, len(LABELS) :], rules, reduction="none")
            loss = loss + self._rule_weight * (weights * losses).mean()
        return loss


def label_weights(label_ids: list[int], balance: float) -> torch.Tensor:
    """Weights of the labels in the loss, shape (3,): their inverse frequency to the power of `balance`."""
    counts = torch.bincount(torch.tensor(label_ids), minlength=len(LABELS)).float()
    return (counts.mean() / counts) ** balance


def _validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    labels = np.asarray(prediction.label_ids)[:, 0].astype(int)
    found = np.asarray(prediction.predictions)[:, : len(LABELS)].argmax(axis=1)
    return {"macro_f1": float(f1_score(labels, found, average="macro"))}
