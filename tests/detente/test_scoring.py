import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from detente import Label, Scorer
from detente.aggregation import (
    DE_ESCALATION_FROM,
    ESCALATION_FROM,
    article_index,
    article_label,
    article_scores,
    lead_direction,
)
from detente.articles import Article
from detente.errors import UsageError
from detente.inference import EncoderClassifier, _batches, available_cores, load_classifier
from detente.model import open_model


@pytest.fixture(scope="module")
def scorer(tiny_model: Path) -> Scorer:
    return Scorer(tiny_model)


def test_scores_are_float32_rows_that_sum_to_one(scorer: Scorer) -> None:
    scores = scorer.score_sentences(["Talks resume.", "Shells fell on the town."])
    assert scores.dtype == np.float32
    assert scores.shape == (2, 3)
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert scorer.score_sentences([]).shape == (0, 3)


def test_neither_order_nor_company_changes_a_score(scorer: Scorer) -> None:
    texts = ["Talks resume.", "Shells fell on the town last night, officials said. " * 3, "Rain."]
    together = scorer.score_sentences(texts * 40)
    alone = np.concatenate([scorer.score_sentences([text]) for text in texts])
    assert np.allclose(together[:3], alone, atol=1e-5)
    assert np.allclose(together[3:6], together[:3], atol=1e-6)


def test_an_article_is_the_mean_of_its_sentences(scorer: Scorer) -> None:
    article = scorer.score("Talks resume on Monday. Shells fell on the town. It rained.")
    assert len(article.sentences) == 3
    means = np.mean([sentence.scores for sentence in article.sentences], axis=0)
    assert np.allclose(article.scores, means, atol=2e-4)
    assert article.index == pytest.approx(means[0] - means[1], abs=2e-4)


def test_articles_come_out_in_order_with_their_fields_however_they_are_batched(scorer: Scorer) -> None:
    articles = [Article(str(n), "Talks resume. " * (n % 7 + 1), {"n": n}) for n in range(900)]
    scored = list(scorer.score_articles(iter(articles)))
    assert [(a.id, a.metadata, len(a.sentences)) for a in scored] == [
        (a.id, a.metadata, n % 7 + 1) for n, a in enumerate(articles)
    ]


def test_an_input_field_whose_name_is_taken_is_kept_under_another(scorer: Scorer) -> None:
    [scored] = scorer.score_articles([Article("1", "Talks.", {"label": "theirs", "date": "2024"})])
    record = scored.to_record()
    assert (record["input_label"], record["date"]) == ("theirs", "2024")
    assert record["label"] == scored.label


def test_no_input_field_is_lost_to_another_of_its_new_name(scorer: Scorer) -> None:
    fields = {"label": "A", "input_label": "B", "input_input_label": "C"}
    [scored] = scorer.score_articles([Article("1", "Talks.", fields)])
    assert {"A", "B", "C"} <= set(map(str, scored.to_record().values()))
    assert scored.to_record()["input_label"] == "B"


def test_one_string_is_not_taken_for_a_list_of_sentences(scorer: Scorer) -> None:
    with pytest.raises(UsageError, match="list of sentences"):
        scorer.score_sentences("abc")


def test_batches_hold_every_sentence_once_and_little_padding() -> None:
    lengths = list(np.random.default_rng(1).integers(5, 60, 2048))
    batches = list(_batches(lengths, 512))
    assert sorted(index for batch in batches for index in batch) == list(range(2048))
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert padded < 1.05 * sum(lengths)


@pytest.mark.parametrize("threads", [2, 5])
def test_scores_do_not_hang_on_the_number_of_threads(tiny_model: Path, threads: int) -> None:
    texts = [f"{'Talks resume. ' * (n % 7)}Shells fell on port {n}." for n in range(60)]
    alone, together = (load_classifier(open_model(tiny_model), threads=n).score(texts) for n in (1, threads))
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(np.unique(alone, axis=0)) > 7


def test_one_worker_runs_in_the_callers_thread_and_what_fails_in_another_is_raised(tiny_model: Path) -> None:
    threads: list[int] = []

    def forward(input_ids: np.ndarray, _: np.ndarray) -> np.ndarray:
        threads.append(threading.get_ident())
        if len(threads) > 3:
            raise RuntimeError("out of memory")
        return np.zeros((len(input_ids), 3))

    texts = [f"Shells fell on port {n}." for n in range(60)]
    EncoderClassifier(open_model(tiny_model), forward, 512).score(texts)
    assert set(threads) == {threading.get_ident()}
    threads.clear()
    with pytest.raises(RuntimeError, match="out of memory"):
        EncoderClassifier(open_model(tiny_model), forward, 30, workers=2).score(texts)
    assert threading.get_ident() not in threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_scorer_that_has_scored_goes_on_in_a_forked_process(tiny_model: Path) -> None:
    # In a process of its own, so that a hang ends at the time limit.
    program = f"""
import multiprocessing
from detente import Scorer
scorer = Scorer({str(tiny_model)!r}, threads=2)
texts = ["Shells fell on the port.", "Talks resume on Monday."] * 9
before = scorer.score_sentences(texts)

def again():
    return scorer.score_sentences(texts)

with multiprocessing.get_context("fork").Pool(1) as pool:
    assert (pool.apply(again) == before).all()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_numpy_is_not_loaded_before_the_command_has_set_up_its_threads() -> None:
    program = "import sys, detente.__main__; print('numpy' in sys.modules, 'Scorer' in dir(detente))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"]


def directed(*directions: float) -> np.ndarray:
    """One sentence for each P(escalation) - P(de-escalation)."""
    return np.array([[0.5 + d / 2, 0.5 - d / 2, 0.0] for d in directions], np.float32)


def test_the_article_label_follows_the_thresholds() -> None:
    for direction, label in (
        (ESCALATION_FROM + 0.01, Label.ESCALATION), (ESCALATION_FROM - 0.01, Label.NEUTRAL), (0, Label.NEUTRAL),
        (DE_ESCALATION_FROM + 0.01, Label.NEUTRAL), (DE_ESCALATION_FROM - 0.01, Label.DE_ESCALATION),
    ):  # fmt: skip
        assert article_label(directed(direction, direction)) is label


def test_an_article_of_one_sentence_has_its_label() -> None:
    assert article_label(np.array([[0.35, 0.05, 0.6]], np.float32)) is Label.NEUTRAL


def test_the_lead_decides_the_label_and_all_sentences_the_index() -> None:
    scores = directed(-1, -1, 1, 1)
    assert article_index(scores) == pytest.approx(0)
    # Directions -1, -1, 1, 1 with the weights 1, a half, a third, a quarter: minus 11 twelfths over 25 twelfths.
    assert lead_direction(scores) == pytest.approx(-0.44)
    assert article_label(scores) is Label.DE_ESCALATION


def test_an_article_without_sentences_is_neutral() -> None:
    nothing = np.zeros((0, 3), np.float32)
    assert article_label(nothing) is Label.NEUTRAL
    assert article_index(nothing) == 0
    assert list(article_scores(nothing)) == [0, 0, 1]


def test_an_unusable_device_is_wrong_usage(tiny_model: Path) -> None:
    with pytest.raises(UsageError, match="not usable here"):
        load_classifier(open_model(tiny_model), "nonsense")


@pytest.mark.parametrize("text", ["", " \n", 5])
def test_what_is_no_text_is_told(scorer: Scorer, text: object) -> None:
    with pytest.raises(UsageError, match="one text that is not empty"):
        scorer.score(text)


def test_a_title_is_scored_as_the_first_sentence_unless_the_text_opens_with_it(scorer: Scorer) -> None:
    own, opening = scorer.score_articles(
        [Article("1", "It holds.", {}, "Truce signed"), Article("2", "Truce signed\n\nIt holds.", {}, "Truce signed")]
    )
    assert [(s.start, s.end, s.in_title) for s in own.sentences] == [(0, 12, True), (0, 9, False)]
    assert [own.sentence_text(s) for s in own.sentences] == ["Truce signed", "It holds."]
    assert [s.in_title for s in opening.sentences] == [False, False]
    assert np.allclose([s.scores for s in own.sentences], [s.scores for s in opening.sentences], atol=1e-3)
    records = own.to_record()["sentences"]
    assert [record.get("in_title") for record in records] == [True, None]
    [prefix, two] = scorer.score_articles(
        [Article("1", "Truces rarely hold.", {}, "Truce"), Article("2", "It rained.", {}, "Truce? No. Not yet.")]
    )
    assert [prefix.sentence_text(s) for s in prefix.sentences] == ["Truce", "Truces rarely hold."]
    assert [(two.sentence_text(s), s.in_title) for s in two.sentences][-2:] == [
        ("Not yet.", True),
        ("It rained.", False),
    ]


def test_a_repeated_sentence_is_scored_once_and_memory_stays_bounded(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Scorer(tiny_model)
    plain = [
        a.to_record() for a in scorer.score_articles(Article(str(n), f"Talks {n % 9}. It rained.") for n in range(9))
    ]
    scored: list[str] = []
    score = scorer._classifier.score
    monkeypatch.setattr(scorer._classifier, "score", lambda texts: [scored.extend(texts), score(texts)][1])
    monkeypatch.setattr("detente.scoring._SENTENCES_HELD", 10)
    monkeypatch.setattr("detente.scoring._SENTENCES_KNOWN", 12)
    texts = [f"Talks {n % 9}. It rained." for n in range(90)]
    found = [a.to_record() for a in scorer.score_articles(Article(str(n), text) for n, text in enumerate(texts))]
    assert sorted(scored) == sorted({*scored})
    assert len(scored) == 10
    assert [record["sentences"] for record in found[:9]] == [record["sentences"] for record in plain]
    assert [record["sentences"] for record in found[81:]] == [record["sentences"] for record in plain]
    scored.clear()
    list(scorer.score_articles(Article(str(n), f"Talks {n % 40}.") for n in range(80)))
    assert len(scored) == 80  # forty are more than the twelve that are remembered


@pytest.mark.parametrize(
    ("said", "most"),
    [("50000 100000", 1), ("100000 100000", 1), ("150000 100000", 2), ("max 100000", 10_000), ("", 10_000)],
)
def test_no_more_threads_than_the_container_has_time_for(tmp_path: Path, said: str, most: int) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(said, encoding="ascii")
    without = available_cores(tmp_path / "none")
    assert available_cores(quota) == min(without, most)
