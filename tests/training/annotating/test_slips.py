"""Slips: flipped labels are found by scores that have not seen them, and scores never come from a row's own group."""

import numpy as np
import pytest

from training.annotating.slips import flip, likely_slips, out_of_sample, word_features

GENERATOR = np.random.default_rng(1)
LABEL_IDS = np.arange(600) % 3
# Three clouds that overlap a little.
FEATURES = np.eye(3)[LABEL_IDS] * 6 + GENERATOR.normal(size=(600, 3))
GROUPS = [str(row // 4) for row in range(600)]
ALL, NONE = np.ones(600, bool), np.zeros(600, bool)


def test_most_flipped_labels_are_found_and_most_of_what_is_found_was_flipped() -> None:
    flipped, rows = flip(LABEL_IDS, 0.05, seed=2)
    slips = likely_slips(out_of_sample(FEATURES, flipped, GROUPS, ALL, NONE), flipped)
    hits = [slip.row in rows for slip in slips]
    assert len(rows) == 30
    assert sum(hits) >= 24
    assert sum(hits) / len(hits) > 0.8


def test_a_slip_names_the_label_that_was_there() -> None:
    flipped, rows = flip(LABEL_IDS, 0.05, seed=2)
    slips = likely_slips(out_of_sample(FEATURES, flipped, GROUPS, ALL, NONE), flipped)
    of_flipped = [slip for slip in slips if slip.row in rows]
    assert np.mean([slip.likelier == LABEL_IDS[slip.row] for slip in of_flipped]) > 0.9


def test_the_worst_slip_comes_first() -> None:
    scores = np.array([[0.7, 0.3, 0], [0.1, 0.9, 0], [0, 0.2, 0.8], [0.85, 0.15, 0], [0, 0.1, 0.9], [0.9, 0.1, 0]])
    slips = likely_slips(scores, np.array([0, 1, 2, 1, 0, 0]))
    assert [(slip.row, slip.likelier) for slip in slips] == [(4, 2), (3, 0)]


def test_without_anything_to_learn_from_nothing_is_doubted() -> None:
    scores = out_of_sample(FEATURES[:3], LABEL_IDS[:3], GROUPS[:3], ALL[:3], NONE[:3])
    assert likely_slips(scores, LABEL_IDS[:3]) == []


def test_a_label_that_leaks_through_its_group_is_no_evidence() -> None:
    # Every group has a word of its own and one label: only a model that saw the group could tell.
    texts = [f"word{group} word{group}" for group in GROUPS]
    labels = np.array([int(group) % 3 for group in GROUPS])
    scores = out_of_sample(word_features(texts), labels, GROUPS, ALL, NONE)
    assert (scores.argmax(axis=1) == labels).mean() < 0.6


def test_what_is_held_out_is_judged_and_not_learned_from() -> None:
    held_out = np.arange(600) < 300
    wrong = np.where(held_out, (LABEL_IDS + 1) % 3, LABEL_IDS)
    scores = out_of_sample(FEATURES, wrong, GROUPS, held_out, held_out)
    assert (scores.argmax(axis=1) == LABEL_IDS[held_out]).mean() > 0.9


@pytest.mark.parametrize("rows", [5, 150])
def test_a_small_file_is_judged_by_what_was_learned_from_others(rows: int) -> None:
    judged = np.arange(600) < rows
    wrong = np.where(judged, (LABEL_IDS + 1) % 3, LABEL_IDS)
    scores = out_of_sample(FEATURES, wrong, GROUPS, judged, NONE)
    assert scores.shape == (rows, 3)
    assert (scores.argmax(axis=1) == LABEL_IDS[judged]).mean() > 0.9
