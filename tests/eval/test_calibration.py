import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from eval.calibration import BINS, calibration, coverage


def test_expected_error_by_hand() -> None:
    # Confidences .5 .6 | .8 .9 in two bins; right are the second and fourth: |.55 - .5| and |.85 - .5|, half each.
    scores = np.array([[0.5, 0.3, 0.2], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]], np.float32)
    found = calibration([1, 0, 0, 2], scores, bins=2)
    assert found.expected_error == pytest.approx(0.5 * 0.05 + 0.5 * 0.35, abs=1e-6)
    assert [one.sentences for one in found.bins] == [2, 2]
    assert [one.accuracy for one in found.bins] == [0.5, 0.5]


def test_bins_have_equal_mass() -> None:
    scores = np.random.default_rng(3).dirichlet([1, 1, 1], 100).astype(np.float32)
    found = calibration([0] * 100, scores)
    assert len(found.bins) == BINS
    assert {one.sentences for one in found.bins} == {6, 7}
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


def test_coverage_sets_the_least_certain_aside_first() -> None:
    # The two doubtful ones are wrong, so that half of the sentences are all right.
    scores = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.4, 0.3, 0.3], [0.3, 0.4, 0.3]], np.float32)
    found = {one.share: one for one in coverage([0, 1, 1, 0], scores)}
    assert (found[1.0].sentences, found[1.0].macro_f1) == (4, 0.5)
    assert (found[0.5].sentences, found[0.5].macro_f1) == (2, 1.0)
