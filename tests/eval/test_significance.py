import itertools

import numpy as np
import pytest
from sklearn.metrics import f1_score, matthews_corrcoef

from eval.significance import (
    GroupBootstrap,
    bootstrap_p,
    f1_of_labels,
    independent,
    interval,
    macro_f1,
    matthews,
    mcnemar_p,
    share_interval,
)


def test_figures_of_confusion_matrices_equal_scikit_learn() -> None:
    generator = np.random.default_rng(2)
    for _ in range(20):
        true, found = generator.integers(0, 3, 60), generator.integers(0, 3, 60)
        confusion = np.zeros((3, 3))
        np.add.at(confusion, (true, found), 1)
        assert f1_of_labels(confusion) == pytest.approx(f1_score(true, found, average=None), abs=1e-12)
        assert macro_f1(confusion) == pytest.approx(f1_score(true, found, average="macro"), abs=1e-12)
        assert matthews(confusion) == pytest.approx(matthews_corrcoef(true, found), abs=1e-12)


def test_macro_f1_leaves_out_a_label_without_sentences() -> None:
    # True 0 0 1, found 0 2 1: F1 of 0 is 2/3, of 1 is 1; nothing truly is 2.
    assert macro_f1(np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 0]])) == pytest.approx(5 / 6)


def test_matthews_is_zero_where_one_label_is_always_found() -> None:
    assert matthews(np.array([[3.0, 0, 0], [2, 0, 0], [1, 0, 0]])) == 0.0


def test_groups_are_drawn_whole() -> None:
    # Two groups, one all right and one all wrong: a draw of two has 0, half or all right, and nothing between.
    groups, right = ["a"] * 3 + ["b"] * 3, [1, 1, 1, 0, 0, 0]
    means = GroupBootstrap(groups, 400).means(right)
    values, counts = np.unique(means, return_counts=True)
    assert values.tolist() == [0.0, 0.5, 1.0]
    # By hand: probabilities 1/4, 1/2, 1/4.
    assert counts / 400 == pytest.approx([0.25, 0.5, 0.25], abs=0.07)


def test_groups_of_unlike_size_weigh_by_their_sentences() -> None:
    means = GroupBootstrap(["a", "b", "b", "b"], 200).means([1, 0, 0, 0])
    # Draws are aa (1 of 1 right, in fact 2 of 2), ab (1 of 4), bb (none).
    assert set(means.tolist()) == {1.0, 0.25, 0.0}


def test_confusions_of_draws_hold_the_sentences_of_their_groups() -> None:
    true, found = [0, 1, 2, 2], [0, 2, 2, 1]
    confusions = GroupBootstrap(["a", "a", "b", "b"], 50).confusions(true, found, 3)
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[0, 0] = a[1, 2] = b[2, 2] = b[2, 1] = 1
    possible = [x + y for x, y in itertools.product((a, b), repeat=2)]
    assert all(any(np.array_equal(one, other) for other in possible) for one in confusions)


def test_draws_of_two_models_are_the_same_draws() -> None:
    bootstrap = independent(30, 100)
    values = np.arange(30)
    assert np.array_equal(bootstrap.means(values), independent(30, 100).means(values))
    assert bootstrap.statistics(lambda i: float(values[i].mean())) == pytest.approx(bootstrap.means(values))


def test_the_interval_is_the_middle_95_percent() -> None:
    assert interval(np.arange(0.0, 1001)) == pytest.approx((25, 975))
    assert interval(np.array([np.nan, np.nan])) is None
    assert interval(np.array([0.7, 0.7, 0.7])) is None


def test_all_or_none_right_has_the_exact_interval() -> None:
    # Clopper and Pearson: with n of n right the lower end is 0.025 ** (1 / n).
    right = np.ones(14, dtype=bool)
    draws = independent(14, 100).means(right)
    assert share_interval(right, draws) == pytest.approx((0.025 ** (1 / 14), 1.0))
    assert share_interval(~right, 1 - draws) == pytest.approx((0.0, 1 - 0.025 ** (1 / 14)))
    some = np.array([True] * 10 + [False] * 4)
    of_some = independent(14, 100).means(some)
    assert share_interval(some, of_some) == interval(of_some)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.1] * 99, 2 * 1 / 100),
        ([-0.1] * 99, 2 * 1 / 100),
        ([0.1] * 60 + [-0.1] * 39, 2 * 40 / 100),
        ([0.1] * 50 + [-0.1] * 50, 1.0),
        ([0.0] * 10, 1.0),
    ],
)
def test_bootstrap_p_by_hand(differences: list[float], p: float) -> None:
    assert bootstrap_p(np.array(differences)) == pytest.approx(p)


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        # Two-sided binomial at a half: 2 * (C(6,0) + C(6,1)) / 2**6.
        (1, 5, 2 * (1 + 6) / 64),
        (5, 1, 2 * (1 + 6) / 64),
        (0, 4, 2 / 16),
        (3, 3, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_by_hand(only_first: int, only_second: int, p: float) -> None:
    both = [True] * 7
    first = np.array(both + [True] * only_first + [False] * only_second)
    second = np.array(both + [False] * only_first + [True] * only_second)
    assert mcnemar_p(first, second) == pytest.approx(p)
