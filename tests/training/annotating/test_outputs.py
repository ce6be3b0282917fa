"""No command of annotating writes over what it reads, nor one output over another."""

from pathlib import Path

import pytest

from detente.annotations import Annotation, write_annotations
from detente.labels import Label
from tests.conftest import ROOT
from training.__main__ import main

MINE = Annotation("m", "A cold wind blew over the empty stadium in Marno.", Label.NEUTRAL)


@pytest.mark.parametrize(
    "arguments",
    [
        "export mine.jsonl --tool doccano --out mine.jsonl",
        "import mine.jsonl --out mine.jsonl",
        "import mine.jsonl --tasks tasks.jsonl --out tasks.jsonl",
        "import mine.jsonl --out new.jsonl --json mine.jsonl",
        "import mine.jsonl --out new.csv --json new.csv",
        "import mine.jsonl --out new.csv --disagreements new.csv",
        "check mine.jsonl --json mine.jsonl",
        "check mine.jsonl --held-out tasks.jsonl --json tasks.jsonl",
        "suggest feed.jsonl --out feed.jsonl",
        "suggest . --out feed.jsonl",
        "suggest mine.jsonl --lines --out mine.jsonl",
        "suggest feed.jsonl --annotated mine.jsonl --out mine.jsonl",
        "simulate --out chart.svg --json chart.svg",
        "simulate --pool mine.jsonl --out chart.svg --json mine.jsonl",
    ],
)
def test_nothing_is_written_over(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("training.annotating.simulate._CONFIG", ROOT / "configs" / "frozen-minilm.yaml")
    for name in ("mine.jsonl", "tasks.jsonl", "feed.jsonl"):
        write_annotations(tmp_path / name, [MINE])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(arguments.split()) == 2
    assert "write to another place" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_unknown_suffix_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["import", "missing.json", "--out", "mine.txt"]) == 2
    assert "mine.txt: unknown file type .txt" in capsys.readouterr().err
