import numpy as np
import pytest

from detente.annotations import Annotation, Annotations
from detente.labels import LABELS
from eval.sets import LabelledSet
from eval.slices import measure_slices


def sliced(rows: list[Annotation], found: list[int]) -> dict[tuple[str, str], object]:
    scores = np.eye(3, dtype=np.float32)[found]
    labelled = LabelledSet("set", Annotations(tuple(rows)))
    return {(one.dimension, one.value): one for one in measure_slices(labelled, scores, 50)}


def row(number: int, label: int, **values: str) -> Annotation:
    return Annotation(f"r{number}", values.pop("text", f"Sentence {number}."), LABELS[label], group="g", **values)


def test_slices_by_hand() -> None:
    rows = [
        row(1, 0, register="wire", sure="1"), row(2, 0, register="wire", sure="0"), row(3, 2, register="wire"),
        row(4, 1, register="quote", text=" ".join(["word"] * 25)),
    ]  # fmt: skip
    found = sliced(rows, [0, 1, 2, 1])
    wire = found["register", "wire"]
    assert (wire.sentences, wire.accuracy) == (3, pytest.approx(2 / 3))
    # F1 of escalation 2/3 (one of two found, none wrongly), of neutral 1.
    assert wire.macro_f1 == pytest.approx((2 / 3 + 1) / 2)
    assert wire.labels == ["escalation", "neutral"]
    assert found["length", "1-10 words"].sentences == 3
    assert found["length", "21-30 words"].sentences == 1
    assert found["sure", "sure"].sentences == found["sure", "not sure"].sentences == 1
    assert found["sure", "not given"].sentences == 2
    # One label alone: no macro-F1, and the exact interval of a share of one.
    quote = found["register", "quote"]
    assert (quote.accuracy, quote.macro_f1) == (1.0, None)
    assert quote.accuracy_interval == pytest.approx((0.025, 1.0))


def test_a_dimension_that_no_row_fills_is_left_out() -> None:
    dimensions = {dimension for dimension, _ in sliced([row(1, 0), row(2, 1)], [0, 1])}
    assert dimensions == {"length"}


def test_rare_sources_are_one_slice() -> None:
    rows = [row(n, n % 3, source="big" if n < 298 else f"small-{n}") for n in range(300)]
    found = sliced(rows, [n % 3 for n in range(300)])
    assert {value for dimension, value in found if dimension == "source"} == {"big", "others"}
    assert found["source", "others"].sentences == 2
