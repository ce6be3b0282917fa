import json
from collections.abc import Callable
from pathlib import Path

import pytest

from detente.annotations import MAX_TEXT_CHARS, Annotation, read_annotations, text_fingerprint, write_annotations
from detente.errors import DetenteError
from detente.labels import Label

GOOD = {"id": "a", "text": "Talks resume on Monday.", "label": "de-escalation"}


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Path]:
    def write(*records: object) -> Path:
        path = tmp_path / "some.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ({**GOOD, "id": "b", "label": "escalaton"}, "unknown label 'escalaton'"),
        ({**GOOD, "id": "b", "label": "escalaton"}, "did you mean 'escalation'"),
        ({**GOOD, "id": "b", "text": " "}, "empty text"),
        ({**GOOD, "id": "b", "text": "x" * (MAX_TEXT_CHARS + 1)}, "1,001 characters"),
        ({"id": "b", "text": "No label."}, "no label; expected the columns id, text and label"),
        ({**GOOD, "id": "b", "label": "neutral"}, "neutral here and de-escalation at"),
        ({**GOOD, "id": "b", "label": ["neutral"]}, "unknown label \"['neutral']\""),
        ({**GOOD, "id": "b", "text": "TALKS resume on  Monday.", "label": "neutral"}, "neutral here and de-escalation"),
        ({**GOOD, "text": "Another sentence."}, "id 'a' was given to another sentence"),
        ({**GOOD, "id": "b", "text": "Other.", "group": "a", "split": "test"}, "group 'a' is in split test here"),
        ({**GOOD, "id": "b", "text": "Other.", "split": "dev"}, "unknown split 'dev'"),
        ({**GOOD, "id": "b", "text": 5}, "text is of type int"),
        (["not", "an", "object"], "expected an object"),
    ],
)
def test_a_bad_line_is_named_with_file_line_and_reason(
    lines: Callable[..., Path], second: object, expected: str
) -> None:
    path = lines(GOOD, second)
    with pytest.raises(DetenteError) as caught:
        read_annotations([path])
    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"{path}:2: ")


@pytest.mark.parametrize(
    ("spelling", "meant"),
    [
        ("De-escalation", "de-escalation"),
        ("deescalation", "de-escalation"),
        ("DE_ESCALATION", "de-escalation"),
        (" de\u2011escalation ", "de-escalation"),
        ("'Neutral", "neutral"),
        ("1", "de-escalation"),
        (2, "neutral"),
    ],
)
def test_a_label_is_read_as_people_spell_it(lines: Callable[..., Path], spelling: object, meant: str) -> None:
    assert read_annotations([lines({**GOOD, "label": spelling})]).rows[0].label is Label(meant)


@pytest.mark.parametrize("spelling", ["3", "-1", -1, 1.5, True, "not escalation", "escalation, neutral", "e"])
def test_what_only_resembles_a_label_is_none(lines: Callable[..., Path], spelling: object) -> None:
    with pytest.raises(DetenteError, match=":1: unknown label"):
        read_annotations([lines({**GOOD, "label": spelling})])


def test_every_problem_is_listed_so_that_a_file_is_mended_in_one_go(lines: Callable[..., Path]) -> None:
    path = lines({**GOOD, "label": "x"}, {**GOOD, "text": ""}, {"id": "c"})
    with pytest.raises(DetenteError) as caught:
        read_annotations([path])
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [f"{path}:{n}" for n in (1, 2, 3)]


def test_a_text_in_two_splits_is_named(lines: Callable[..., Path]) -> None:
    path = lines({**GOOD, "split": "train"}, {**GOOD, "id": "b", "split": "test"})
    with pytest.raises(DetenteError, match=r":2: this text is in split test here and train at .*:1; keep it in one"):
        read_annotations([path])


@pytest.mark.parametrize("first", ["", "test"])
def test_a_held_out_sentence_stays_held_out_when_another_file_has_it_without_a_split(
    lines: Callable[..., Path], first: str
) -> None:
    second = "" if first else "test"
    found = read_annotations([lines({**GOOD, "split": first}, {**GOOD, "id": "b", "split": second})])
    assert [row.split for row in found.rows] == ["test"]
    assert found.dropped == 1


def test_a_text_or_group_in_two_splits_is_found_across_files(tmp_path: Path) -> None:
    first, second = tmp_path / "first.csv", tmp_path / "second.tsv"
    first.write_text("id,text,label,group,split\n1,One.,neutral,g,train\n", encoding="utf-8")
    second.write_text("id\ttext\tlabel\tgroup\tsplit\n2\tTwo.\tneutral\tg\ttest\n", encoding="utf-8")
    with pytest.raises(
        DetenteError, match=r"second\.tsv:2: group 'g' is in split test here and train at .*first\.csv:2"
    ):
        read_annotations([first, second])


def test_invalid_utf8_is_named_in_jsonl_and_csv(tmp_path: Path) -> None:
    for name, content in (
        ("a.jsonl", json.dumps(GOOD).encode() + b'\n{"id": "b", "text": "caf\xe9", "label": "neutral"}\n'),
        ("a.csv", b"id,text,label\na,Talks.,neutral\nb,caf\xe9,neutral\n"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DetenteError, match=rf"{name}:\d: invalid UTF-8"):
            read_annotations([path])


def test_a_missing_csv_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,sentence,label\n1,Talks.,neutral\n", encoding="utf-8")
    with pytest.raises(
        DetenteError, match="no text; expected the columns id, text and label, found id, sentence, label"
    ):
        read_annotations([path])


def test_an_empty_file_is_an_error(lines: Callable[..., Path]) -> None:
    with pytest.raises(DetenteError, match="no annotations in it"):
        read_annotations([lines()])


def test_exact_duplicates_are_dropped_and_counted(lines: Callable[..., Path]) -> None:
    found = read_annotations(
        [lines(GOOD, {**GOOD, "id": "b"}, {**GOOD, "id": "c", "text": "Talks  resume on Monday."})]
    )
    assert [row.id for row in found.rows] == ["a"]
    assert found.dropped == 2


def test_without_a_group_each_sentence_is_its_own(lines: Callable[..., Path]) -> None:
    assert read_annotations([lines(GOOD)]).rows[0].group == "a"


def test_an_annotated_article_unfolds_into_its_sentences(lines: Callable[..., Path]) -> None:
    article = {
        "id": "art", "text": "Shells fell. Talks go on.", "label": "neutral", "split": "test",
        "sentences": [
            {"start": 0, "end": 12, "label": "escalation", "rule": "E1"},
            {"start": 13, "end": 25, "label": "de-escalation"},
        ],
    }  # fmt: skip
    found = read_annotations([lines(article)]).rows
    assert [(row.id, row.text, row.label, row.group, row.split) for row in found] == [
        ("art-01", "Shells fell.", Label.ESCALATION, "art", "test"),
        ("art-02", "Talks go on.", Label.DE_ESCALATION, "art", "test"),
    ]


def test_a_span_outside_the_article_is_named(lines: Callable[..., Path]) -> None:
    article = {"id": "art", "text": "Short.", "sentences": [{"start": 0, "end": 99, "label": "neutral"}]}
    with pytest.raises(DetenteError, match=r":1 \(sentence 1\): start and end must lie in the text"):
        read_annotations([lines(article)])


def test_an_article_that_cannot_be_unfolded_is_one_problem(lines: Callable[..., Path]) -> None:
    path = lines({"id": "art", "text": 5, "sentences": []})
    with pytest.raises(DetenteError) as caught:
        read_annotations([path])
    assert str(caught.value) == f"{path}:1: an article needs a text id, a text and a list of sentences"


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_what_is_written_is_read_back_the_same(tmp_path: Path, suffix: str) -> None:
    rows = (
        Annotation("1", '=HYPERLINK("x") is no "formula", said Zoë', Label.NEUTRAL, "g", "quote", "denial", "europe"),
        Annotation("2", "'=quoted already", Label.ESCALATION, "g"),
        Annotation("3", "Two\tparts\nof a sentence.", Label.DE_ESCALATION, "h", split="test"),
        Annotation("4", "-5 degrees", Label.NEUTRAL, "h", split="test"),
        Annotation("5", "An old\rline end.", Label.NEUTRAL, "i"),
    )
    path = tmp_path / f"a{suffix}"
    write_annotations(path, rows)
    assert read_annotations([path]).rows == rows


def test_no_cell_of_a_csv_begins_like_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_annotations(path, [Annotation(str(n), f"{c}1+1", Label.NEUTRAL, "g") for n, c in enumerate("=+-@")])
    assert all(line.split(",")[1].startswith("'") for line in path.read_text(encoding="utf-8").splitlines()[1:])


def test_a_datasets_object_comes_out(lines: Callable[..., Path]) -> None:
    dataset = read_annotations([lines(GOOD)]).to_dataset()
    assert dataset.features["label"].names == ["escalation", "de-escalation", "neutral"]
    assert dataset[0]["label"] == 1
    assert dataset[0]["text"] == GOOD["text"]


def test_fingerprints_are_blind_to_order_and_to_case() -> None:
    rows = (Annotation("1", "A.", Label.NEUTRAL), Annotation("2", "B.", Label.ESCALATION))
    from detente.annotations import Annotations

    assert Annotations(rows).fingerprint() == Annotations(rows[::-1]).fingerprint()
    assert Annotations(rows).fingerprint() != Annotations(rows[:1]).fingerprint()
    assert text_fingerprint("Talks  Resume.") == text_fingerprint("talks resume.")
