"""`python -m eval throughput` times files to files, and compares what the ways say of the same sentences."""

import json
from pathlib import Path

import pytest

from eval.__main__ import main


def test_both_ways_score_every_sentence_and_their_labels_are_compared(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    articles = tmp_path / "articles.jsonl"
    text = "Shells fell on the port. Talks resume on Monday.\nSix dockers were hurt."
    articles.write_text("".join(json.dumps({"id": str(n), "text": text}) + "\n" for n in range(4)), encoding="utf-8")
    figures = tmp_path / "figures.json"
    arguments = [str(tiny_model), "--articles", str(articles), "--limit", "3", "--rounds", "1", "--json", str(figures)]
    assert main(["throughput", *arguments]) == 0
    pipeline, own = json.loads(figures.read_text(encoding="utf-8"))["ways"]
    assert pipeline["sentences"] == own["sentences"] == 9
    assert (pipeline["ratio"], pipeline["same_labels"], own["same_labels"]) == (1.0, 1.0, 1.0)
    assert own["ratio"] == pytest.approx(own["sentences_per_second"] / pipeline["sentences_per_second"])
    assert "9 sentences, medians of 1 rounds" in capsys.readouterr().out


def test_a_file_without_articles_is_told(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none.jsonl").touch()
    assert main(["throughput", str(tiny_model), "--articles", str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl: no articles in it" in capsys.readouterr().err
