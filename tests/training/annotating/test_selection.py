"""Strategies: what they pick from scores and vectors, and that every guess gets its share."""

import numpy as np
import pytest

from training.annotating.selection import entropy, k_centre, margin, one_of_each_cluster, quotas

CLUSTERS = np.repeat([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], 5, axis=0) + np.tile(
    [[0.0, 0.0], [0.1, 0.0], [-0.1, 0.0], [0.0, 0.2], [0.0, -0.2]], (3, 1)
)


def test_a_small_margin_is_where_two_labels_are_close() -> None:
    scores = np.array([[0.5, 0.45, 0.05], [0.4, 0.3, 0.3], [0.9, 0.05, 0.05]])
    assert margin(scores) == pytest.approx([0.05, 0.1, 0.85])


def test_entropy_is_highest_where_all_three_labels_are_close() -> None:
    scores = np.array([[0.5, 0.45, 0.05], [0.4, 0.3, 0.3], [1.0, 0.0, 0.0]])
    assert entropy(scores).argsort().tolist() == [2, 0, 1]


def test_k_centre_picks_points_that_are_far_apart() -> None:
    assert {index // 5 for index in k_centre(CLUSTERS, 3)} == {0, 1, 2}


def test_k_centre_never_picks_a_point_twice() -> None:
    assert sorted(k_centre(np.ones((4, 2)), 9)) == [0, 1, 2, 3]


def test_a_guess_that_nobody_made_has_nothing_to_pick() -> None:
    nothing = np.zeros((0, 2))
    assert k_centre(nothing, 3) == one_of_each_cluster(nothing, np.zeros(0), 3, seed=1) == []


def test_of_each_cluster_the_point_in_the_middle_is_picked() -> None:
    assert sorted(one_of_each_cluster(CLUSTERS, np.ones(15), 3, seed=1)) == [0, 5, 10]


def test_as_many_are_picked_as_asked_for_where_points_coincide() -> None:
    vectors = np.array([[0.0, 1.0]] * 4 + [[1.0, 0.0]])
    with pytest.warns(match="distinct clusters"):
        picked = one_of_each_cluster(vectors, np.array([1.0, 1.0, 1.0, 1.0, 0.1]), 4, seed=1)
    assert len(set(picked)) == 4


@pytest.mark.parametrize(
    ("in_pool", "available", "expected"),
    [
        ([200, 100, 700], [100, 100, 100], [30, 28, 42]),  # a quarter each, the rest by the pool's shares
        ([200, 10, 790], [100, 10, 100], [38, 10, 52]),  # what a rare guess cannot fill goes to the others
        ([5, 5, 5], [5, 5, 5], [5, 5, 5]),
        ([0, 0, 0], [0, 0, 0], [0, 0, 0]),
    ],
)
def test_every_guess_gets_its_share(in_pool: list[int], available: list[int], expected: list[int]) -> None:
    assert quotas(100, in_pool, available) == expected


def test_the_rarest_guess_gets_a_quarter_also_of_what_four_does_not_divide() -> None:
    assert min(quotas(30, [10, 10, 980], [30, 30, 30])) == 8


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_no_more_are_chosen_than_asked_for(count: int) -> None:
    assert sum(quotas(count, [10, 10, 980], [30, 30, 30])) == count
