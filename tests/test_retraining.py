"""The walk-through in docs/retraining.md is run line by line, with a tiny model and a person who annotates."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

import detente.cli
import eval.__main__
import training.__main__
from detente.annotations import read_annotations
from detente.model import open_model
from tests.conftest import ROOT, SEEDS


def _lines() -> list[list[str]]:
    text = (ROOT / "docs" / "retraining.md").read_text(encoding="utf-8")
    return [
        shlex.split(line) for block in re.findall(r"^```\n(.*?)^```", text, re.S | re.M) for line in block.splitlines()
    ]


def _run(words: list[str]) -> int:
    match words:
        case ["python", "-m", "training", *arguments]:
            return training.__main__.main(arguments)
        case ["python", "-m", "eval", *arguments]:
            return eval.__main__.main(arguments)
        case ["detente", *arguments]:
            return detente.cli.app(arguments, standalone_mode=False) or 0
        case _:
            raise AssertionError(words)


def _annotate(tasks: Path, project: Path) -> None:
    """Export a project in which someone has agreed with every guess but the last, which they skipped."""
    done = []
    for number, task in enumerate(json.loads(tasks.read_text(encoding="utf-8")), start=1):
        result = task["predictions"][0]["result"]
        answer = {"id": number, "result": result, "completed_by": 1, "was_cancelled": False}
        done.append({"id": number, "data": task["data"], "annotations": [answer]})
    done[-1]["annotations"][0] |= {"result": [], "was_cancelled": True}
    project.write_text(json.dumps(done), encoding="utf-8")


@pytest.fixture
def clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample_file: Path, tiny_encoder: Path, tiny_model: Path
) -> Path:
    """A folder like a clone's, with the sample for seeds, a tiny model in service, and an archive of articles."""
    for folder in ("seeds", "models", "configs", "archive"):
        (tmp_path / folder).mkdir()
    shutil.copy(sample_file, tmp_path / "seeds" / "annotations.jsonl")
    article = next(
        line
        for line in (ROOT / "seeds" / "articles.jsonl").read_text(encoding="utf-8").splitlines()
        if json.loads(line)["split"] == "test"
    )
    (tmp_path / "seeds" / "articles.jsonl").write_text(article + "\n", encoding="utf-8")
    shutil.copytree(tiny_model, tmp_path / "models" / "default")
    config = {
        "kind": "encoder", "encoder": str(tiny_encoder), "max_length": 32, "batch_size": 8, "learning_rate": 1e-3,
        "rule_loss_weight": 0.5,
    }  # fmt: skip
    (tmp_path / "configs" / "minilm.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    texts = read_annotations([SEEDS / "annotations.jsonl"]).in_split("train").texts()[-200:]
    for number in range(0, len(texts), 20):
        (tmp_path / "archive" / f"{number}.txt").write_text("\n".join(texts[number : number + 20]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_walk_through_works_as_it_stands(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = open_model(clone / "models" / "default").version
    codes = {}
    for words in _lines():
        if words[3:4] == ["import"]:
            _annotate(clone / "label-studio.json", clone / "project.json")
        capsys.readouterr()
        codes[" ".join(words[:4])] = _run(words)
        if words[3:4] == ["promote"]:
            # Whether so little data makes it better is chance; that it can be put into service and back is not.
            if codes["python -m training promote"]:
                _run([*words, "--force", "to see it work"])
            assert open_model(clone / "models" / "default").manifest["data"]["parents"] == [before]
    assert {name for name, code in codes.items() if code} <= {"python -m training promote"}
    assert len(read_annotations([clone / "mine.jsonl"]).rows) == 29
    assert open_model(clone / "models" / "default").version == before
    # Of the last line alone, which shows what is in service.
    assert before in capsys.readouterr().out
