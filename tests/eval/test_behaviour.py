import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from detente.annotations import read_annotations, text_fingerprint
from detente.errors import DetenteError
from eval.behaviour import BehaviourSet, Case, measure_behaviour, passes, read_behaviour
from tests.conftest import ROOT, SEEDS

E, D, N = [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]


@pytest.fixture(scope="module")
def suite() -> BehaviourSet:
    return read_behaviour(ROOT / "eval" / "behaviour.jsonl")


def test_the_suite_has_every_kind_and_enough_cases(suite: BehaviourSet) -> None:
    assert len(suite.cases) >= 400
    capabilities = Counter(case.capability for case in suite.cases)
    assert min(capabilities.values()) >= 6
    assert {"country name", "party or group name", "person name"} <= set(capabilities)
    rules = [f"{letter}{number}" for letter, last in (("E", 6), ("D", 7)) for number in range(1, last + 1)]
    for rule in rules:
        assert any(name.startswith(f"{rule} ") for name in capabilities), rule


def test_no_sentence_of_the_suite_is_a_seed(suite: BehaviourSet) -> None:
    seeds = read_annotations([SEEDS / "annotations.jsonl", SEEDS / "articles.jsonl"]).texts()
    assert not {text_fingerprint(text) for text in suite.sentences()} & {text_fingerprint(text) for text in seeds}


def test_no_case_stands_twice(suite: BehaviourSet) -> None:
    assert len({(case.text, case.changed) for case in suite.cases}) == len(suite.cases)


CASES = {
    "functionality": Case("functionality", "E1 violence", "Shells fell.", label="escalation"),
    "invariance": Case("invariance", "country name", "Ghana shelled a port.", "Peru shelled a port."),
    "direction": Case("direction", "act negated", "They kept firing.", "They ceased firing.", "de-escalation"),
    "to neutral": Case("direction", "denial", "They will fire.", "They had no comment.", "neutral"),
}


@pytest.mark.parametrize(
    ("case", "scores", "passing"),
    [
        ("functionality", [E], True),
        ("functionality", [N], False),
        ("invariance", [E, E], True),
        ("invariance", [E, N], False),
        ("direction", [E, D], True),
        # The right label, but the turned act did not turn it: both have it.
        ("direction", [D, D], False),
        ("direction", [E, N], False),
        ("to neutral", [E, N], True),
        ("to neutral", [E, E], False),
        ("to neutral", [N, N], False),
    ],
)
def test_when_a_case_passes(case: str, scores: list[list[float]], passing: bool) -> None:
    assert passes(BehaviourSet("suite", [CASES[case]]), np.array(scores, np.float32)) == [passing]


def test_failures_and_name_swaps_are_counted_by_hand() -> None:
    other = Case("invariance", "country name", "Ghana shelled a port.", "Chad shelled a port.")
    found = measure_behaviour(
        BehaviourSet("suite", [CASES["functionality"], CASES["invariance"], other]),
        # Texts first, then the changed texts of the last two.
        np.array([N, [0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1]], np.float32),
        trained_on=0,
        draws=50,
    )
    assert (found.cases, found.failures, found.failure_rate) == (3, 2, pytest.approx(2 / 3))
    assert {one.capability: one.rate for one in found.capabilities} == {"E1 violence": 1.0, "country name": 0.5}
    assert {one.kind: (one.cases, one.failures) for one in found.kinds} == {
        "functionality": (1, 1),
        "invariance": (2, 1),
    }
    # Ghana .5, Peru .7, Chad .2: changes of .2, .3 and, between the two swaps, .5.
    assert found.name_swaps is not None
    assert (found.name_swaps.sentences, found.name_swaps.pairs) == (1, 3)
    assert found.name_swaps.mean == pytest.approx(1 / 3)
    assert found.name_swaps.largest == pytest.approx(0.5)
    assert found.name_swaps.percentile_99 == pytest.approx(0.3 + 0.98 * 0.2)
    assert [one.expected for one in found.failed] == ["escalation", "escalation"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"kind": "style", "capability": "x", "text": "A."}, "kind is 'style'; expected functionality"),
        ({"kind": "invariance", "capability": "x", "text": "A."}, "invariance needs capability, changed, kind, text"),
        (
            {"kind": "functionality", "capability": "x", "text": "A.", "label": "war"},
            "unknown label 'war'; expected escalation",
        ),
    ],
)
def test_a_damaged_suite_is_named_by_line(tmp_path: Path, line: dict[str, str], reason: str) -> None:
    good = {"kind": "functionality", "capability": "x", "text": "B.", "label": "neutral"}
    path = tmp_path / "suite.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in (good, line)) + "\n", encoding="utf-8")
    with pytest.raises(DetenteError, match=rf"suite\.jsonl:2: .*{reason}"):
        read_behaviour(path)
