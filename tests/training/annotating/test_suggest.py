"""Suggesting: sentences of unread articles become tasks, none of them annotated, repeated or no sentence."""

import json
import shlex
from collections import Counter
from pathlib import Path

import pytest

from detente.annotations import Annotation, write_annotations
from detente.labels import LABELS, Label
from training.__main__ import main
from training.annotating.pool import Pool
from training.annotating.tasks import Task, read_tasks

PLACES = ["Tavrin", "Oskel", "Marno", "Velgrad", "Piran", "Sutek", "Halden", "Borsk", "Quill", "Zemlin"]
ACTS = [
    "Shells hit the grain harbour of {} before dawn and killed four dockers.",
    "Envoys from both banks will meet in {} to discuss a truce along the lower river.",
    "The {} orchestra opens its season with a concert of Baroque songs.",
    "Parliament in {} voted to expel the neighbour's consul over spying.",
]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: list[Annotation]) -> Path:
    """A working folder with small seeds."""
    (tmp_path / "seeds").mkdir()
    write_annotations(tmp_path / "seeds" / "annotations.jsonl", sample[:50])
    write_annotations(tmp_path / "seeds" / "articles.jsonl", sample[50:])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _articles(folder: Path) -> Path:
    path = folder / "feed.jsonl"
    rows = [
        {
            "id": f"a{number}",
            "title": f"{place} in brief",
            "source": "wire",
            "text": " ".join(ACTS).format(*[place] * 4),
        }
        for number, place in enumerate(PLACES)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def _suggest(model: Path, pool: Path, *options: str) -> list[Task]:
    out = pool.with_name("tasks.jsonl")
    out.unlink(missing_ok=True)
    assert main(["suggest", str(pool), "--model", str(model), "--out", str(out), *options]) == 0
    return read_tasks(out)


@pytest.mark.parametrize("strategy", ["mixed", "margin", "entropy", "diverse", "random"])
def test_a_task_has_what_annotators_and_their_tools_need(tiny_model: Path, clone: Path, strategy: str) -> None:
    tasks = _suggest(tiny_model, _articles(clone), "--n", "4", "--strategy", strategy)
    assert len({task.id for task in tasks}) == 4
    for task in tasks:
        assert task.scores is not None
        assert task.guess == LABELS[task.scores.index(max(task.scores))]
        assert task.id.startswith(f"{task.group}-")
        assert (task.source, task.model[:5]) == ("wire", "tiny-")


def test_of_sentences_that_differ_in_a_name_one_is_chosen(tiny_model: Path, clone: Path) -> None:
    tasks = _suggest(tiny_model, _articles(clone), "--n", "30", "--strategy", "margin")
    openings = Counter(task.text.split()[0] for task in tasks)
    assert openings["Shells"] == openings["Envoys"] == 1


def test_what_is_annotated_learned_or_no_sentence_is_not_chosen(
    tiny_model: Path, clone: Path, sample: list[Annotation], capsys: pytest.CaptureFixture
) -> None:
    mine = Annotation("m", "Rebels in the north handed over their last mortars on Friday.", Label.DE_ESCALATION)
    write_annotations(clone / "mine.csv", [mine])
    pool = clone / "pool.txt"
    fresh = "Customs officers at the bridge let the first lorries through."
    near = mine.text.replace("Friday", "Sunday")
    pool.write_text("\n".join([fresh, mine.text, near, sample[0].text, "By our correspondent", ""]), encoding="utf-8")
    tasks = _suggest(tiny_model, pool, "--lines", "--annotated", str(clone / "mine.csv"), "--strategy", "margin")
    assert [task.text for task in tasks] == [fresh]
    told = capsys.readouterr().out
    assert "2 are annotated or learned already" in told
    assert "1 have fewer than 4 words" in told
    assert "1 are nearly the same as an annotated one" in told


def test_the_next_step_that_is_printed_works(tiny_model: Path, clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = _articles(clone)
    _suggest(tiny_model, pool, "--n", "3", "--strategy", "margin")
    following = capsys.readouterr().out.split("next: python -m training ")[1]
    assert main(shlex.split(following)) == 0


def test_tasks_that_people_may_be_annotating_are_not_overwritten(
    tiny_model: Path, clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone / "tasks.jsonl").write_text("of last week", encoding="utf-8")
    command = ["suggest", str(_articles(clone)), "--model", str(tiny_model), "--out", "tasks.jsonl"]
    assert main(command) == 2
    assert "people may be annotating its tasks" in capsys.readouterr().err
    assert (clone / "tasks.jsonl").read_text(encoding="utf-8") == "of last week"


def test_a_task_file_of_another_type_is_refused(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suggest", str(_articles(clone)), "--out", "tasks.csv"]) == 2
    assert "ends in .jsonl" in capsys.readouterr().err


def test_a_line_keeps_its_id_when_others_come_before_it(tiny_model: Path, clone: Path) -> None:
    pool = clone / "pool.txt"
    pool.write_text("Four lorries crossed the bridge.\n", encoding="utf-8")
    before = _suggest(tiny_model, pool, "--lines", "--strategy", "margin")
    pool.write_text("The museum opened a new wing.\nFour lorries crossed the bridge.\n", encoding="utf-8")
    after = _suggest(tiny_model, pool, "--lines", "--strategy", "margin")
    assert before[0].id in {task.id for task in after}
    assert len({task.id for task in after}) == 2


def test_the_same_seed_chooses_the_same_sentences(tiny_model: Path, clone: Path) -> None:
    pool = _articles(clone)
    first, again, other = (
        _suggest(tiny_model, pool, "--n", "3", "--strategy", "random", "--seed", seed) for seed in ("1", "1", "2")
    )
    assert first == again != other


def test_a_bad_article_is_named_and_the_others_are_read(
    tiny_model: Path, clone: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pool = _articles(clone)
    pool.write_text(pool.read_text(encoding="utf-8") + '\n{"id": "x"}\n', encoding="utf-8")
    assert _suggest(tiny_model, pool, "--n", "2", "--strategy", "margin")
    assert "feed.jsonl:11: no text" in caplog.text


def test_a_line_that_cannot_be_read_is_named_and_the_others_are_read(
    tiny_model: Path, clone: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (clone / "pool.txt").write_bytes(b"Four lorries crossed the bridge.\n\xff\xfe broken\n")
    (task,) = _suggest(tiny_model, clone / "pool.txt", "--lines", "--strategy", "margin")
    assert task.text == "Four lorries crossed the bridge."
    assert "pool.txt:2: invalid UTF-8" in caplog.text


def test_a_model_without_vectors_is_refused_before_the_work(
    tmp_path: Path, clone: Path, sample_file: Path, capsys: pytest.CaptureFixture
) -> None:
    config = tmp_path / "words.yaml"
    config.write_text(f"kind: tfidf\nannotations: ['{sample_file}']\nmin_documents: 1\n", encoding="utf-8")
    assert main([str(config), "--out", str(clone / "words")]) == 0
    pool = _articles(clone)
    assert main(["suggest", str(pool), "--model", "words", "--out", "tasks.jsonl"]) == 2
    assert "of kind tfidf, which gives no sentence vectors; add --strategy margin" in capsys.readouterr().err
    assert len(_suggest(clone / "words", pool, "--n", "4", "--strategy", "margin")) == 4


def test_a_pool_without_new_sentences_makes_no_task_file(
    tiny_model: Path, clone: Path, sample: list[Annotation], capsys: pytest.CaptureFixture
) -> None:
    (clone / "pool.txt").write_text(sample[0].text, encoding="utf-8")
    assert main(["suggest", "pool.txt", "--lines", "--model", str(tiny_model), "--out", "tasks.jsonl"]) == 1
    assert "no sentence to choose among 1: 1 are annotated" in capsys.readouterr().err
    assert not (clone / "tasks.jsonl").exists()


def test_a_pool_holds_the_highest_priorities_of_each_guess_and_each_text_once() -> None:
    pool = Pool(2, known=())
    for number, word in enumerate(["one", "two", "three", "four", "four"]):
        text = f"{word} " * 9
        pool.add(Task(word, text, guess=Label.NEUTRAL, scores=(0.1, 0.2, 0.7)), 0.5, priority=min(number, 3))
    pool.add(Task("far", "Shells fell on the port.", guess=Label.ESCALATION, scores=(0.9, 0.1, 0.0)), 0.8, priority=0)
    held = pool.candidates([])
    assert [task.id for _, task in held[Label.NEUTRAL]] == ["four", "three"]
    assert [task.id for _, task in held[Label.ESCALATION]] == ["far"]
    assert (pool.read, pool.by_guess[Label.NEUTRAL], pool.dropped["stand in the pool twice"]) == (6, 4, 1)
