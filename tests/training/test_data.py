from collections import Counter
from pathlib import Path

import pytest

from detente.annotations import Annotation, write_annotations
from detente.errors import DetenteError, UsageError
from detente.labels import LABELS
from training.config import TfidfVariant
from training.data import assign_splits, load_splits


def unsplit(count: int) -> list[Annotation]:
    """Groups of four sentences, labels in turn."""
    return [Annotation(f"u{n}", f"Sentence number {n}.", LABELS[n % 3], f"group{n // 4}") for n in range(count)]


def test_no_group_crosses_splits_and_each_label_is_held_out() -> None:
    rows = assign_splits(unsplit(400), 0.1)
    splits = {split: [row for row in rows if row.split == split] for split in ("train", "validation")}
    assert not {row.group for row in splits["train"]} & {row.group for row in splits["validation"]}
    assert len(splits["validation"]) == pytest.approx(40, abs=4)
    assert all(count == pytest.approx(13, abs=3) for count in Counter(r.label for r in splits["validation"]).values())


def test_a_given_split_is_kept_and_the_same_sentences_get_the_same_splits() -> None:
    rows = [Annotation("t", "A test sentence.", LABELS[0], "t", split="test"), *unsplit(90)]
    first, second = assign_splits(rows, 0.1), assign_splits(rows, 0.1)
    assert first == second
    assert first[0].split == "test"


def test_too_few_sentences_are_all_trained_on() -> None:
    assert {row.split for row in assign_splits(unsplit(12), 0.1)} == {"train"}


def test_more_files_join_those_of_the_config(tmp_path: Path, sample_file: Path) -> None:
    more = tmp_path / "more.csv"
    write_annotations(more, unsplit(120))
    splits = load_splits(TfidfVariant(name="x", annotations=(str(sample_file),)), [str(more)])
    assert splits.provenance["sentences"] == {"train": 144, "validation": 24, "test": 12}
    assert [(file["name"], file["sentences"]) for file in splits.provenance["files"]] == [
        ("sample.jsonl", 60), ("more.csv", 120),
    ]  # fmt: skip


def test_a_split_without_one_of_the_labels_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_annotations(path, [row for row in unsplit(120) if row.label != LABELS[1]])
    with pytest.raises(DetenteError, match="the train split has no de-escalation"):
        load_splits(TfidfVariant(name="x", annotations=(str(path),)))


def test_a_missing_file_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no such annotation file"):
        load_splits(TfidfVariant(name="x", annotations=("nowhere.jsonl",)))


def test_a_file_may_weigh_its_sentences(tmp_path: Path, sample_file: Path) -> None:
    write_annotations(tmp_path / "more.csv", unsplit(36))
    variant = TfidfVariant(name="x", annotations=(str(sample_file),), validation_share=0)
    splits = load_splits(variant, [f"{tmp_path}/more.csv=3"])
    # 36 sentences that weigh 1 and 36 that weigh 3, meaned to 1.
    assert splits.train_weights() == [0.5] * 36 + [1.5] * 36
    assert [file["weight"] for file in splits.provenance["files"]] == [1.0, 3.0]


def test_a_sentence_of_two_files_has_the_greater_weight(tmp_path: Path, sample_file: Path) -> None:
    variant = TfidfVariant(name="x", annotations=(f"{sample_file}=0.5",))
    (tmp_path / "twin.jsonl").write_bytes(sample_file.read_bytes())
    splits = load_splits(variant, [f"{tmp_path}/twin.jsonl=2"])
    assert set(splits.weights.values()) == {2.0}
