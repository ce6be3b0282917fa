"""The behaviour suite: what a classifier must do whatever its F1, in the manner of CheckList (Ribeiro et al. 2020).

A case is one line of `behaviour.jsonl`, of one of three kinds:

- functionality: `text` has the label `label`;
- invariance: `changed` is `text` after an edit that must not change the label;
- direction: `changed` is `text` with its act turned: its label is `label`, and the direction has moved towards it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from detente.errors import DetenteError
from detente.inference import Scores
from detente.labels import DE_ESCALATION_ID, ESCALATION_ID, LABELS
from detente.tables import read_rows

# What each kind has beside `kind` and `capability`.
_FIELDS: Final = {
    "functionality": ("text", "label"),
    "invariance": ("text", "changed"),
    "direction": ("text", "changed", "label"),
}
NAME_SWAPS: Final = ("country name", "party or group name", "person name")


@dataclass(frozen=True)
class Case:
    """One test; `changed` and `label` are empty where its kind has none."""

    kind: str
    capability: str
    text: str
    changed: str = ""
    label: str = ""


@dataclass(frozen=True)
class BehaviourSet:
    """The cases of a suite."""

    name: str
    cases: list[Case]

    def sentences(self) -> list[str]:
        """What is to be scored: all texts, then all changed texts."""
        return [case.text for case in self.cases] + [case.changed for case in self.cases if case.changed]


@dataclass(frozen=True)
class Failure:
    """A case that the model fails, with the labels that it gives and their scores."""

    kind: str
    capability: str
    text: str
    changed: str
    expected: str
    scores: list[float]
    changed_scores: list[float] | None


@dataclass(frozen=True)
class Capability:
    """How many of a capability's cases fail."""

    kind: str
    capability: str
    cases: int
    failures: int

    @property
    def rate(self) -> float:
        """The failure rate."""
        return self.failures / self.cases


@dataclass(frozen=True)
class NameSwaps:
    """Absolute change in P(escalation) when only a name is swapped: the measure of bias against a name."""

    pairs: int
    mean: float
    percentile_99: float
    largest: float


@dataclass(frozen=True)
class BehaviourResult:
    """What a model does on a suite. `name_swaps` is None where the suite swaps no names."""

    name: str
    cases: int
    failures: int
    failure_rate: float
    capabilities: list[Capability]
    name_swaps: NameSwaps | None
    failed: list[Failure]


def read_behaviour(path: Path) -> BehaviourSet:
    """Read a suite.

    Raises:
        DetenteError: naming file and line of an unknown kind, a missing or unknown field, or an unknown label.
    """
    cases = []
    for row in read_rows(path):
        where, record = f"{path}:{row.line}", dict(row.record)
        if row.problem:
            raise DetenteError(f"{where}: {row.problem}")
        kind = record.get("kind")
        if kind not in _FIELDS:
            raise DetenteError(f"{where}: kind is {kind!r}; expected {', '.join(_FIELDS)}")
        wanted = {"kind", "capability", *_FIELDS[kind]}
        filled = {key for key, value in record.items() if isinstance(value, str) and value.strip()}
        if filled != wanted:
            raise DetenteError(f"{where}: has {', '.join(sorted(filled))}; {kind} needs {', '.join(sorted(wanted))}")
        if "label" in wanted and record["label"] not in LABELS:
            raise DetenteError(f"{where}: unknown label {record['label']!r}; expected {', '.join(LABELS)}")
        cases.append(Case(**{key: record[key] for key in wanted}))
    if not cases:
        raise DetenteError(f"{path}: empty; expected one case a line")
    return BehaviourSet(path.stem, cases)


def passes(suite: BehaviourSet, scores: Scores) -> list[bool]:
    """Whether each case passes, given the scores of `suite.sentences()`."""
    return [_passes(case, before, after) for case, before, after in _with_scores(suite, scores)]


def measure_behaviour(suite: BehaviourSet, scores: Scores) -> BehaviourResult:
    """Failure rates and name swaps from the scores of `suite.sentences()`, shape (sentences, 3)."""
    passed = passes(suite, scores)
    failed, changes = [], []
    for (case, before, after), passing in zip(_with_scores(suite, scores), passed, strict=True):
        if case.capability in NAME_SWAPS and after is not None:
            changes.append(abs(float(after[ESCALATION_ID] - before[ESCALATION_ID])))
        if not passing:
            expected = case.label or LABELS[int(before.argmax())]
            failed.append(Failure(case.kind, case.capability, case.text, case.changed, str(expected),
                                  _rounded(before), None if after is None else _rounded(after)))  # fmt: skip
    counted = list(dict.fromkeys((case.kind, case.capability) for case in suite.cases))
    capabilities = []
    for kind, name in counted:
        own = [p for case, p in zip(suite.cases, passed, strict=True) if (case.kind, case.capability) == (kind, name)]
        capabilities.append(Capability(kind, name, len(own), own.count(False)))
    swaps = None
    if changes:
        percentile = float(np.percentile(changes, 99))
        swaps = NameSwaps(len(changes), float(np.mean(changes)), percentile, max(changes))
    failures = passed.count(False)
    return BehaviourResult(suite.name, len(passed), failures, failures / len(passed), capabilities, swaps, failed)


def _with_scores(suite: BehaviourSet, scores: Scores) -> Iterator[tuple[Case, Scores, Scores | None]]:
    changed = iter(scores[len(suite.cases) :])
    for case, before in zip(suite.cases, scores[: len(suite.cases)], strict=True):
        yield case, before, next(changed) if case.changed else None


def _passes(case: Case, before: Scores, after: Scores | None) -> bool:
    if after is None:
        return int(before.argmax()) == LABELS.index(case.label)
    if case.kind == "invariance":
        return int(before.argmax()) == int(after.argmax())
    wanted = LABELS.index(case.label)
    moved = _direction(after) - _direction(before)
    towards = {ESCALATION_ID: moved > 0, DE_ESCALATION_ID: moved < 0}
    return int(after.argmax()) == wanted and towards.get(wanted, True)


def _direction(scores: Scores) -> float:
    return float(scores[ESCALATION_ID] - scores[DE_ESCALATION_ID])


def _rounded(scores: Scores) -> list[float]:
    return [round(float(value), 4) for value in scores]
