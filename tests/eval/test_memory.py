"""`python -m eval memory` runs batch jobs of the sizes asked for."""

import json
from pathlib import Path

import pytest

from eval.__main__ import main
from tests.conftest import ROOT


def test_a_job_of_each_size_is_run_and_its_peak_told(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    figures = tmp_path / "figures.json"
    assert main(["memory", str(tiny_model), "--articles", "5", "12", "--json", str(figures)]) == 0
    few, more = json.loads(figures.read_text(encoding="utf-8"))["jobs"]
    assert (few["articles"], more["articles"]) == (5, 12)
    # Six lines an article, and some lines hold more than one sentence.
    assert (few["sentences"] >= 30, more["sentences"] >= 72) == (True, True)
    assert min(few["peak_mb"], more["peak_mb"]) > 0
    assert "peak MB" in capsys.readouterr().out
