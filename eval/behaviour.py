"""The behaviour suite: what a classifier must do whatever its F1, in the manner of CheckList (Ribeiro et al. 2020).

A case is one line of `behaviour.jsonl`, of one of three kinds:

- functionality: `text` has the label `label`;
- invariance: `changed` is `text` after an edit that must not change the label;
- direction: `changed` is `text` with its act turned: its label is `label`, and that of `text` is another one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np

from detente.errors import DetenteError
from detente.inference import Scores
from detente.labels import ESCALATION_ID, LABELS
from detente.tables import read_rows
from eval.significance import Draws, GroupBootstrap, Interval, share_interval

# What each kind has beside `kind` and `capability`.
_FIELDS: Final = {
    "functionality": ("text", "label"),
    "invariance": ("text", "changed"),
    "direction": ("text", "changed", "label"),
}
# Capabilities of invariance that swap nothing but a name.
_NAMES: Final = " name"


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
    """The cases of a suite. Those of a private one are measured but stand in nothing that is written."""

    name: str
    cases: list[Case]
    private: bool = False

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
    """How many of a capability's cases fail; the totals of a kind have no capability."""

    kind: str
    capability: str
    cases: int
    failures: int
    rate: float


@dataclass(frozen=True)
class NameSwaps:
    """Absolute change in P(escalation) when only a name is swapped: the measure of bias against a name.

    `pairs` are any two names of one sentence, of which there are `sentences`.
    """

    sentences: int
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
    failure_rate_interval: Interval | None
    kinds: list[Capability]
    capabilities: list[Capability]
    name_swaps: NameSwaps | None
    failed: list[Failure]
    trained_on: int


def read_behaviour(path: Path, *, private: bool = False) -> BehaviourSet:
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
    return BehaviourSet(path.stem, cases, private)


def passes(suite: BehaviourSet, scores: Scores) -> list[bool]:
    """Whether each case passes, given the scores of `suite.sentences()`."""
    return [_passes(case, before, after) for case, before, after in _with_scores(suite, scores)]


def suite_draws(suite: BehaviourSet, passed: Sequence[bool], draws: int) -> Draws:
    """The failure rate of bootstrap draws, shape (draws,): cases of one sentence are of a kind, so drawn together."""
    return GroupBootstrap([case.text for case in suite.cases], draws).means(~np.asarray(passed, dtype=bool))


def measure_behaviour(suite: BehaviourSet, scores: Scores, trained_on: int, draws: int) -> BehaviourResult:
    """Failure rates and name swaps from the scores of `suite.sentences()`, shape (sentences, 3)."""
    passed = passes(suite, scores)
    failed = []
    for (case, before, after), passing in zip(_with_scores(suite, scores), passed, strict=True):
        if not passing:
            expected = case.label or LABELS[int(before.argmax())]
            text, changed = ("", "") if suite.private else (case.text, case.changed)
            failed.append(
                Failure(
                    case.kind,
                    case.capability,
                    text,
                    changed,
                    str(expected),
                    _rounded(before),
                    None if after is None else _rounded(after),
                )
            )
    rates = ~np.asarray(passed, dtype=bool)
    return BehaviourResult(
        name=suite.name,
        cases=len(passed),
        failures=len(failed),
        failure_rate=len(failed) / len(passed),
        failure_rate_interval=share_interval(rates, suite_draws(suite, passed, draws)),
        kinds=_counted(suite, passed, lambda case: (case.kind, "")),
        capabilities=_counted(suite, passed, lambda case: (case.kind, case.capability)),
        name_swaps=_name_swaps(suite, scores),
        failed=failed,
        trained_on=trained_on,
    )


def _counted(suite: BehaviourSet, passed: list[bool], key: Callable[[Case], tuple[str, str]]) -> list[Capability]:
    outcomes: dict[tuple[str, str], list[bool]] = {}
    for case, passing in zip(suite.cases, passed, strict=True):
        outcomes.setdefault(key(case), []).append(passing)
    return [
        Capability(kind, name, len(own), own.count(False), own.count(False) / len(own))
        for (kind, name), own in outcomes.items()
    ]


def _name_swaps(suite: BehaviourSet, scores: Scores) -> NameSwaps | None:
    escalation: dict[str, list[float]] = {}
    for case, before, after in _with_scores(suite, scores):
        if after is not None and case.kind == "invariance" and case.capability.endswith(_NAMES):
            escalation.setdefault(case.text, [float(before[ESCALATION_ID])]).append(float(after[ESCALATION_ID]))
    changes = [abs(one - other) for of_names in escalation.values() for one, other in combinations(of_names, 2)]
    if not changes:
        return None
    percentile = float(np.percentile(changes, 99))
    return NameSwaps(len(escalation), len(changes), float(np.mean(changes)), percentile, max(changes))


def _with_scores(suite: BehaviourSet, scores: Scores) -> Iterator[tuple[Case, Scores, Scores | None]]:
    changed = iter(scores[len(suite.cases) :])
    for case, before in zip(suite.cases, scores[: len(suite.cases)], strict=True):
        yield case, before, next(changed) if case.changed else None


def _passes(case: Case, before: Scores, after: Scores | None) -> bool:
    if after is None:
        return int(before.argmax()) == LABELS.index(case.label)
    if case.kind == "invariance":
        return int(before.argmax()) == int(after.argmax())
    return int(after.argmax()) == LABELS.index(case.label) != int(before.argmax())


def _rounded(scores: Scores) -> list[float]:
    return [round(float(value), 4) for value in scores]
