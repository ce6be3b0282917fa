import json
import re
from pathlib import Path

import pytest

from detente.annotations import Annotation, write_annotations
from detente.labels import LABELS
from detente.model import default_model_path, open_model
from eval.__main__ import main
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def measured(models: Path | list[Path], tmp_path: Path, *arguments: object) -> dict:
    out = tmp_path / "figures.json"
    names = [str(model) for model in (models if isinstance(models, list) else [models])]
    assert main([*names, "--json", str(out), *map(str, arguments)]) == 0
    return json.loads(out.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def tiny_words(tmp_path_factory: pytest.TempPathFactory, sample_file: Path) -> Path:
    """A second model, of another kind."""
    from training.__main__ import main as train

    folder = tmp_path_factory.mktemp("words")
    config = folder / "words.yaml"
    config.write_text(f"kind: tfidf\nmin_documents: 1\nannotations: ['{sample_file}']\n", encoding="utf-8")
    assert train([str(config), "--out", str(folder / "words")]) == 0
    return folder / "words"


def test_without_files_it_measures_the_test_split_the_articles_and_behaviour(tiny_words: Path, tmp_path: Path) -> None:
    found = measured(tiny_words, tmp_path)["sets"]
    assert [one["kind"] for one in found] == ["labels", "articles", "behaviour"]
    assert found[0]["results"][0]["figures"]["sentences"] == 1310
    assert found[1]["results"][0]["articles"] == 14
    for one in found:
        [headline] = one["headlines"]
        assert headline["interval"][0] < headline["value"] < headline["interval"][1]
    assert found[2]["results"][0]["cases"] == len((ROOT / "eval/behaviour.jsonl").read_text().splitlines())


def test_it_gives_the_figures_that_the_manifest_holds(tiny_model: Path, tmp_path: Path, sample_file: Path) -> None:
    [found] = measured(tiny_model, tmp_path, "--on", sample_file)["sets"]
    manifest = json.loads((tiny_model / "manifest.json").read_text(encoding="utf-8"))
    [result] = found["results"]
    assert result["figures"] == manifest["held_out"]["test"]
    assert result["trained_on"] == 0
    assert found["headlines"][0]["value"] == result["figures"]["macro_f1"]


def test_a_second_model_comes_with_its_difference_from_the_first(
    tiny_model: Path, tiny_words: Path, tmp_path: Path, sample_file: Path
) -> None:
    found = measured([tiny_model, tiny_words], tmp_path, "--on", sample_file)
    [one] = found["sets"]
    [comparison] = one["comparisons"]
    first, second = (headline["value"] for headline in one["headlines"])
    assert (comparison["first"], comparison["second"]) == ("tiny", "words")
    assert comparison["difference"] == pytest.approx(second - first)
    assert comparison["interval"][0] <= comparison["difference"] <= comparison["interval"][1]
    right = [sum(r["figures"]["confusion"][i][i] for i in range(3)) for r in one["results"]]
    assert comparison["only_second_right"] - comparison["only_first_right"] == right[1] - right[0]
    assert 0 < comparison["mcnemar_p"] <= 1


def test_a_model_given_twice_is_refused(
    tiny_model: Path, sample_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tiny_model), str(tiny_model), "--on", str(sample_file)]) == 2
    assert "is given twice" in capsys.readouterr().err


def test_sentences_that_the_model_was_trained_on_are_told_loudly(
    tiny_model: Path, tmp_path: Path, sample: list[Annotation], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.csv"
    rows = [Annotation(row.id, row.text.upper(), row.label) for row in sample if row.split == "train"]
    write_annotations(path, [*rows, Annotation("new", "A sentence that is new.", sample[0].label)])
    page = tmp_path / "page.html"
    [found] = measured(tiny_model, tmp_path, "--on", path, "--html", page)["sets"]
    assert found["results"][0]["trained_on"] == 36
    assert "WARNING new: tiny was trained on 36 of these sentences" in " ".join(capsys.readouterr().out.split())
    assert "was trained on 36 of these sentences" in page.read_text(encoding="utf-8")


def test_plover_coded_files_are_measured_by_direction_with_and_without_request(
    tiny_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "coded.tsv"
    rows = ["1\tAGREE", "2\tAID", "3\tACCUSE", "4\tASSAULT", "1\tREQUEST", "0\t"]
    lines = ["text\tpenta\troot", *(f"Sentence {n}.\t{row}" for n, row in enumerate(rows))]
    path.write_text("\n".join(lines), encoding="utf-8")
    [found] = measured(tiny_model, tmp_path, "--on", path)["sets"]
    [result] = found["results"]
    assert (found["kind"], result["sentences"], result["sentences_without_request"]) == ("direction", 5, 4)
    assert result["neutral_left_out"] == 1


def test_rows_without_a_label_are_left_out_and_counted(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "half.csv"
    path.write_text("id,text,label\n1,Talks resume.,de-escalation\n2,Not yet read.,\n3,Shells fell.,escalation\n")
    [found] = measured(tiny_model, tmp_path, "--on", path)["sets"]
    assert (found["results"][0]["figures"]["sentences"], found["results"][0]["unlabelled"]) == (2, 1)
    printed = " ".join(capsys.readouterr().out.split())
    coded = tmp_path / "coded.tsv"
    coded.write_text("text\tpenta\nA.\t1\nB.\t3\nC.\t\n")
    [found] = measured(tiny_model, tmp_path, "--on", coded)["sets"]
    assert (found["results"][0]["sentences"], found["results"][0]["unlabelled"]) == (2, 1)
    assert "half: rows left out without a label: 1" in printed
    assert "half: has no neutral; macro-F1 is the mean over the other labels" in printed


def test_no_draws_are_refused(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tiny_model), "--draws", "0"])
    assert "0 is less than 1" in capsys.readouterr().err


def test_one_sentence_is_enough_and_gives_no_undefined_figure(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("id,text,label\n1,Talks resume.,de-escalation\n")
    page = tmp_path / "page.html"
    [found] = measured(tiny_model, tmp_path, "--on", path, "--html", page)["sets"]
    assert found["results"][0]["intervals"]["escalation"] is None
    assert "NaN" not in json.dumps(found)
    assert ">nan<" not in page.read_text(encoding="utf-8")


def test_annotated_articles_are_measured_by_sentence_and_by_article(tiny_words: Path, tmp_path: Path) -> None:
    found = measured(tiny_words, tmp_path, "--on", ROOT / "seeds/articles.jsonl")["sets"]
    assert [(one["name"], one["kind"]) for one in found] == [("articles", "labels"), ("articles as wholes", "articles")]


def test_the_page_stands_alone_holds_the_json_and_escapes_what_it_shows(
    tiny_model: Path, tiny_words: Path, tmp_path: Path
) -> None:
    path, page = tmp_path / "set.csv", tmp_path / "page.html"
    hostile = "</script><script>alert(1)</script> said the minister"
    rows = [Annotation(f"{n}", f"{hostile} {n}", LABELS[n % 3]) for n in range(9)]
    write_annotations(path, rows)
    found = measured([tiny_model, tiny_words], tmp_path, "--on", path, "--html", page)
    html = page.read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    assert not re.search(r"""(src|href)=["'](?!#)""", html)
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/)", html)
    embedded = re.search(r'<script type="application/json" id="report">(.*?)</script>', html, re.DOTALL)
    assert embedded
    assert json.loads(embedded[1]) == found
    shown = found["sets"][0]["headlines"][0]["value"]
    assert f">{shown:.3f}" in html


def test_sentences_ids_and_sources_of_a_private_set_stand_in_nothing_that_is_written(
    tiny_model: Path, tmp_path: Path
) -> None:
    path, page = tmp_path / "secret.csv", tmp_path / "page.html"
    rows = [
        Annotation(f"Confidential-id-{n}", f"Confidential sentence {n}.", LABELS[n % 3], source=f"Confidential {n % 2}")
        for n in range(9)
    ]
    write_annotations(path, rows)
    out = tmp_path / "figures.json"
    public = tmp_path / "public.csv"
    write_annotations(public, [Annotation("p", "A public sentence.", LABELS[0])])
    suite = tmp_path / "suite.jsonl"
    cases = [
        {"kind": "functionality", "capability": "[/x] E1", "text": f"Confidential case {label}.", "label": str(label)}
        for label in LABELS
    ]
    suite.write_text("\n".join(map(json.dumps, cases)), encoding="utf-8")
    arguments = ["--on", public, "--private", path, suite, "--json", out, "--html", page]
    assert main([str(tiny_model), *map(str, arguments)]) == 0
    sets = json.loads(out.read_text(encoding="utf-8"))["sets"]
    assert sets[1]["results"][0]["errors"]
    assert sets[2]["results"][0]["failed"]
    for written in (out, page):
        assert "Confidential" not in written.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content", "code", "reason"),
    [
        ("a.jsonl", "", 1, "empty"),
        ("a.jsonl", '{"id": "1", "text": "Talks."}', 1, "no column 'label'; found id, text"),
        ("a.jsonl", '{"text": "Talks.", "label": "neutral"}', 1, "a.jsonl:1: no id"),
        ("a.csv", "id,text,label\n1,Talks.,\n2,More talks.,\n", 1, "none of its 2 rows has a label"),
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


def test_outside_a_clone_it_asks_for_files(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(tiny_model)]) == 2
    assert "run in the clone's root, or name files with --on" in capsys.readouterr().err


def test_the_committed_report_is_of_the_default_model_and_its_page_matches_its_json() -> None:
    report = json.loads((ROOT / "docs/report.json").read_text(encoding="utf-8"))
    html = (ROOT / "docs/report.html").read_text(encoding="utf-8")
    embedded = re.search(r'<script type="application/json" id="report">(.*?)</script>', html, re.DOTALL)
    assert embedded
    assert json.loads(embedded[1]) == report
    model = open_model(default_model_path())
    assert report["versions"] == [model.version]
    measured_then = report["sets"][0]["results"][0]["figures"]["macro_f1"]
    assert measured_then == pytest.approx(model.manifest["held_out"]["test"]["macro_f1"], abs=0.002)
    for one in report["sets"]:
        assert f">{one['headlines'][0]['value']:.3f} <small>" in html
