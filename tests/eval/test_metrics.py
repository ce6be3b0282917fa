import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, precision_score, recall_score

from detente.labels import LABELS
from eval.metrics import direction_macro_f1, figures, precision_recall


def scores_of(found: list[int]) -> np.ndarray:
    """Scores whose largest is the label found."""
    return np.eye(3, dtype=np.float32)[found] * 0.6 + 0.1


def test_figures_equal_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    true, found = list(generator.integers(0, 3, 500)), list(generator.integers(0, 3, 500))
    ours = figures(true, scores_of(found))
    assert ours.macro_f1 == pytest.approx(f1_score(true, found, average="macro"), abs=1e-12)
    for i, label in enumerate(LABELS):
        one = ours.labels[label]
        assert one.precision == pytest.approx(precision_score(true, found, labels=[i], average="macro"), abs=1e-12)
        assert one.recall == pytest.approx(recall_score(true, found, labels=[i], average="macro"), abs=1e-12)
        assert one.support == true.count(i)


def test_the_precision_recall_curve_is_scikit_learns_at_evenly_spaced_recalls() -> None:
    generator = np.random.default_rng(6)
    true = generator.integers(0, 3, 400)
    scores = generator.dirichlet([1, 1, 1], 400).astype(np.float32)
    for index, label in enumerate(LABELS):
        curve = precision_recall(true.tolist(), scores)[label]
        expected = average_precision_score(true == index, scores[:, index])
        assert curve.average_precision == pytest.approx(expected, abs=1e-12)
        precision, recall, _ = precision_recall_curve(true == index, scores[:, index])
        points = {(round(float(p), 4), round(float(r), 4)) for p, r in zip(precision, recall, strict=True)}
        assert set(zip(curve.precision, curve.recall, strict=True)) <= points
        assert np.abs(np.diff(sorted(curve.recall))).max() < 0.03


def test_a_label_that_is_not_in_the_set_has_no_curve() -> None:
    assert set(precision_recall([0, 0, 2], scores_of([0, 1, 2]))) == {"escalation", "neutral"}


def test_figures_by_hand() -> None:
    # True E E D N, found E D D N: F1 of E 2/3 (1 of 1 found, 1 of 2 there), of D 2/3, of N 1.
    ours = figures([0, 0, 1, 2], scores_of([0, 1, 1, 2]))
    assert [one.f1 for one in ours.labels.values()] == pytest.approx([2 / 3, 2 / 3, 1])
    assert ours.macro_f1 == pytest.approx(7 / 9)
    assert ours.accuracy == 0.75
    assert ours.confusion == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_a_label_that_is_not_in_the_set_does_not_count() -> None:
    ours = figures([0, 0, 2, 2], scores_of([0, 0, 2, 2]))
    assert ours.macro_f1 == 1.0
    assert ours.labels["de-escalation"].support == 0


def test_a_label_that_is_never_predicted_has_zero() -> None:
    ours = figures([0, 1, 2], scores_of([0, 0, 2]))
    assert ours.labels["de-escalation"].f1 == 0.0
    assert ours.macro_f1 == pytest.approx((2 / 3 + 0 + 1) / 3)


def test_direction_leaves_neutral_out_of_it() -> None:
    # The neutral score is the largest throughout, yet direction compares the other two.
    scores = np.array([[0.2, 0.1, 0.7], [0.1, 0.2, 0.7], [0.2, 0.1, 0.7]], np.float32)
    assert direction_macro_f1([True, False, True], scores) == 1.0
    assert direction_macro_f1([True, True], scores[[0, 2]]) == 1.0
    # Conflict found twice, once rightly: F1 2/3; cooperation found once, rightly, of two: F1 2/3.
    assert direction_macro_f1([True, False, False], scores) == pytest.approx(2 / 3)
