import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from eval.calibration import BINS, calibration, coverage


def test_expected_error_by_hand() -> None:
    # Two bins of ten: confidence .5 with 6 right, confidence .9 with 7 right: |.5 - .6| and |.9 - .7|, half each.
    scores = np.array([[0.5, 0.3, 0.2]] * 10 + [[0.05, 0.9, 0.05]] * 10, np.float32)
    true = [0] * 6 + [1] * 4 + [1] * 7 + [2] * 3
    found = calibration(true, scores, bins=2)
    assert found.expected_error == pytest.approx(0.5 * 0.1 + 0.5 * 0.2, abs=1e-6)
    assert [(one.sentences, one.accuracy) for one in found.bins] == [(10, 0.6), (10, 0.7)]


def test_the_order_of_equal_confidences_does_not_matter() -> None:
    scores = np.array([[0.5, 0.3, 0.2]] * 100, np.float32)
    by_label, mixed = [0] * 50 + [1] * 50, [0, 1] * 50
    assert calibration(by_label, scores).expected_error == calibration(mixed, scores).expected_error == 0.0


def test_small_sets_have_few_bins() -> None:
    # Ten sentences at 0.8, eight of them right, are perfectly calibrated; in ten bins they would not seem so.
    scores = np.array([[0.8, 0.1, 0.1]] * 10, np.float32)
    assert calibration([0] * 8 + [1] * 2, scores).expected_error == pytest.approx(0.0, abs=1e-6)


def test_bins_have_equal_mass() -> None:
    scores = np.random.default_rng(3).dirichlet([1, 1, 1], 150).astype(np.float32)
    found = calibration([0] * 150, scores)
    assert [one.sentences for one in found.bins] == [10] * BINS
    confidences = [one.confidence for one in found.bins]
    assert confidences == sorted(confidences)


def test_brier_by_hand_and_as_scikit_learn_has_it() -> None:
    # (.3² + .2² + .1²) and (1² + 0 + 1²), meaned.
    scores = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]], np.float32)
    assert calibration([0, 2], scores).brier == pytest.approx((0.14 + 2.0) / 2, abs=1e-6)
    generator = np.random.default_rng(4)
    many, true = generator.dirichlet([1, 1, 1], 200), list(generator.integers(0, 3, 200))
    exact = many.astype(np.float32).astype(float)
    exact /= exact.sum(axis=1, keepdims=True)
    expected = brier_score_loss(true, exact, labels=[0, 1, 2], scale_by_half=False)
    assert calibration(true, many.astype(np.float32)).brier == pytest.approx(expected, abs=1e-12)


def test_perfect_scores_have_no_error() -> None:
    found = calibration([0, 1, 2], np.eye(3, dtype=np.float32))
    assert (found.expected_error, found.brier) == (0.0, 0.0)


def test_exact_scores_have_the_error_that_drawn_labels_give() -> None:
    generator = np.random.default_rng(5)
    scores = generator.dirichlet([1, 1, 1], 600).astype(np.float32)
    errors = []
    for _ in range(200):
        true = (generator.random(600)[:, None] > scores.cumsum(axis=1)).sum(axis=1).clip(0, 2)
        errors.append(calibration(true.tolist(), scores).expected_error)
    found = calibration([0] * 600, scores)
    assert found.exact_error == pytest.approx(np.mean(errors), rel=0.05)
    assert found.exact_error_95 == pytest.approx(np.quantile(errors, 0.95), rel=0.08)


def test_exact_scores_that_are_equal_share_a_bin() -> None:
    # E|B(100, .5) - 50| / 100; in ten bins of ten it would be 0.12.
    found = calibration([0] * 100, np.array([[0.5, 0.3, 0.2]] * 100, np.float32))
    assert found.exact_error == pytest.approx(0.0398, abs=0.003)


def test_exact_scores_have_less_of_an_error_in_larger_sets() -> None:
    scores = np.random.default_rng(6).dirichlet([1, 1, 1], 1600).astype(np.float32)
    small, large = calibration([0] * 400, scores[:400]), calibration([0] * 1600, scores)
    assert large.exact_error == pytest.approx(small.exact_error / 2, rel=0.1)


def test_coverage_sets_the_least_certain_aside_first() -> None:
    # The two doubtful ones are wrong, so that half of the sentences are all right.
    scores = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.4, 0.3, 0.3], [0.3, 0.4, 0.3]], np.float32)
    found = {one.share: one for one in coverage([0, 1, 1, 0], scores)}
    assert (found[1.0].sentences, found[1.0].macro_f1) == (4, 0.5)
    assert (found[0.5].sentences, found[0.5].macro_f1) == (2, 1.0)
