import json
from pathlib import Path

import pytest

from detente.annotations import Annotation, write_annotations
from eval.__main__ import main
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def measured(model: Path, tmp_path: Path, *arguments: object) -> list[dict[str, object]]:
    out = tmp_path / "figures.json"
    assert main([str(model), "--json", str(out), *map(str, arguments)]) == 0
    return json.loads(out.read_text(encoding="utf-8"))["results"]


def test_without_files_it_measures_the_test_split_and_the_articles(tiny_model: Path, tmp_path: Path) -> None:
    found = measured(tiny_model, tmp_path)
    assert [result["kind"] for result in found] == ["labels", "articles", "articles"]
    assert found[0]["figures"]["sentences"] == 1310
    assert [result["articles"] for result in found[1:]] == [14, 135]
    assert all(-1 <= result["index_correlation"] <= 1 for result in found[1:])


def test_it_gives_the_figures_that_the_manifest_holds(tiny_model: Path, tmp_path: Path, sample_file: Path) -> None:
    [found] = measured(tiny_model, tmp_path, "--on", sample_file)
    manifest = json.loads((tiny_model / "manifest.json").read_text(encoding="utf-8"))
    assert found["figures"] == manifest["held_out"]["test"]
    assert found["trained_on"] == 0


def test_sentences_that_the_model_was_trained_on_are_told_loudly(
    tiny_model: Path, tmp_path: Path, sample: list[Annotation], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.csv"
    rows = [Annotation(row.id, row.text.upper(), row.label) for row in sample if row.split == "train"]
    write_annotations(path, [*rows, Annotation("new", "A sentence that is new.", sample[0].label)])
    [found] = measured(tiny_model, tmp_path, "--on", path)
    assert found["trained_on"] == 36
    assert "was trained on 36 of these sentences" in " ".join(capsys.readouterr().out.split())


def test_plover_coded_files_are_measured_by_direction_with_and_without_request(
    tiny_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "coded.tsv"
    rows = ["1\tAGREE", "2\tAID", "3\tACCUSE", "4\tASSAULT", "1\tREQUEST", "0\t"]
    lines = ["text\tpenta\troot", *(f"Sentence {n}.\t{row}" for n, row in enumerate(rows))]
    path.write_text("\n".join(lines), encoding="utf-8")
    [found] = measured(tiny_model, tmp_path, "--on", path)
    assert (found["kind"], found["sentences"], found["sentences_without_request"]) == ("direction", 5, 4)
    assert found["neutral_left_out"] == 1


@pytest.mark.parametrize(
    ("name", "content", "code", "reason"),
    [
        ("a.jsonl", "", 1, "empty"),
        ("a.jsonl", '{"id": "1", "text": "Talks."}', 1, "a.jsonl:1: no label"),
        ("a.csv", "id,text,label,split\n1,Talks.,neutral,train\n", 1, "no row as test"),
        ("a.tsv", "text\tpenta\nTalks.\t7\n", 1, "a.tsv:2: penta is '7'; expected 0 to 4"),
        ("a.tsv", "text\tpenta\nTalks.\t0\n", 1, "every row is neutral"),
        ("a.txt", "Talks.", 2, "unknown file type .txt"),
    ],
)
def test_a_file_that_cannot_be_measured_on_is_one_line_and_an_exit_code(  # noqa: PLR0917 - fixtures
    tiny_model: Path,
    tmp_path: Path,
    name: str,
    content: str,
    code: int,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert main([str(tiny_model), "--on", str(path)]) == code
    assert reason in capsys.readouterr().err


def test_a_model_or_file_that_is_not_there_is_told(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none")]) == 1
    assert "no model directory" in capsys.readouterr().err
    assert main([str(tiny_model), "--on", str(tmp_path / "none.csv")]) == 2
    assert "no such file" in capsys.readouterr().err
