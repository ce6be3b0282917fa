"""Near-duplicates: edited copies are found, other sentences on the same matter are not."""

import re

import pytest

from detente.annotations import read_annotations
from tests.conftest import SEEDS
from training.annotating.near_duplicates import near_duplicates

TEXT = "The two armies pulled back 40 tanks from the river on Tuesday, the observers said."


@pytest.mark.parametrize(
    "copy",
    [
        TEXT.upper(),
        "TAVRIN (Wire) - " + TEXT,
        TEXT.replace("40", "38"),
        TEXT.replace("Tuesday", "Wednesday"),
        TEXT.replace(", the observers said", ""),
    ],
)
def test_an_edited_copy_is_found(copy: str) -> None:
    assert [pair[:2] for pair in near_duplicates(["Shells fell on the port.", TEXT], [copy])] == [(1, 0)]


def test_the_same_matter_in_other_words_is_no_copy() -> None:
    assert near_duplicates([TEXT, "On the river both sides withdrew armour, according to observers."]) == []


def test_each_pair_of_one_list_is_told_once() -> None:
    pairs = near_duplicates([TEXT, "Shells fell on the port.", TEXT + " ", TEXT.lower()])
    assert [pair[:2] for pair in pairs] == [(0, 2), (0, 3), (2, 3)]


def test_sentences_that_share_only_what_is_rare_are_no_copies() -> None:
    crowd = ["The delegation arrived in the capital with", "Farmers sold apples and pears at the market of"] * 401
    assert near_duplicates([f"{crowd[0]} Ostrovanje."], [*crowd, f"{crowd[1]} Ostrovanje."]) == []


def test_a_text_with_more_copies_than_are_compared_is_passed_over() -> None:
    assert near_duplicates([TEXT, *["Shells fell on the port."] * 401, TEXT])[0][:2] == (0, 402)
    assert near_duplicates(["Shells fell on the port."] * 401) == []


def test_most_copies_of_seeds_with_one_edit_are_found_and_few_seeds_are_taken_for_copies() -> None:
    read = read_annotations([SEEDS / "annotations.jsonl", SEEDS / "articles.jsonl"])
    seeds = [text for text in read.texts() if len(text.split()) >= 8]
    copies: list[str] = []
    for number, text in enumerate(seeds[:2000]):
        words = text.split()
        edits = [
            " ".join(words[: number % len(words)] + words[number % len(words) + 1 :]),
            "GENEVA (Wire) - " + text,
            text.rstrip(".") + ", officials said on Monday.",
            re.sub(r"\d+", lambda found: str(int(found.group()) + 7), text),
            " ".join(words[: len(words) * 4 // 5]),
        ]
        copies.append(edits[number % len(edits)])
    found = {pair[:2] for pair in near_duplicates(copies, seeds)}
    assert sum((index, index) in found for index in range(2000)) > 0.999 * 2000
    assert len(near_duplicates(seeds)) < 0.002 * len(seeds)
