import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.metrics import f1_score

from detente.annotations import Annotation, write_annotations
from detente.labels import LABELS
from training.__main__ import main
from training.annotating.curves import Curves, chart, table, to_json
from training.annotating.simulate import STRATEGIES, Pool, random, simulate


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Three overlapping clouds, one for each label, the second of them rare."""
    rng = np.random.default_rng(1)
    label_ids = rng.choice(3, 900, p=[0.45, 0.1, 0.45])
    vectors = (rng.normal(0, 0.6, (900, 4)) + np.eye(3, 4)[label_ids]).astype(np.float32)
    return Pool("clouds", vectors[:700], label_ids[:700], vectors[700:], label_ids[700:], inverse_regularisation=10.0)


@pytest.fixture(scope="module")
def curves(pool: Pool) -> Curves:
    return simulate(pool, {"random": random}, seeds=3, up_to=200)


def test_a_strategy_sees_only_what_is_hidden_and_never_a_label(pool: Pool) -> None:
    hidden = []

    def first(scores: np.ndarray, vectors: np.ndarray, n: int, _: np.random.Generator) -> list[int]:
        assert scores.shape == (len(vectors), 3)
        assert scores.sum(axis=1) == pytest.approx(1, abs=1e-5)
        hidden.append(len(vectors))
        return list(range(n))

    simulate(pool, {"first": first}, seeds=1, up_to=200)
    assert hidden == [650, 600, 550]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_pool_can_be_annotated_to_its_last_sentence(pool: Pool, name: str) -> None:
    small = replace(pool, vectors=pool.vectors[:110], label_ids=pool.label_ids[:110])
    assert simulate(small, {name: STRATEGIES[name]}, seeds=1, up_to=100).macro_f1[name].shape == (1, 2)


def test_a_first_draw_of_one_label_alone_predicts_it(pool: Pool) -> None:
    rare = replace(pool, label_ids=np.where(np.arange(700) < 5, pool.label_ids, 2))
    macro_f1 = simulate(rare, {"random": random}, seeds=3, up_to=100).macro_f1["random"]
    always = f1_score(pool.measured_label_ids, np.full(200, 2), average="macro", labels=range(3), zero_division=0)
    assert macro_f1.min() == pytest.approx(always)


def test_strategies_of_one_seed_start_from_the_same_sentences(pool: Pool) -> None:
    found = simulate(pool, {"one": random, "other": random}, seeds=2, up_to=100).macro_f1
    assert np.array_equal(found["one"], found["other"])
    assert found["one"][0, 0] != found["one"][1, 0]


def test_the_number_needed_lies_between_two_rounds_in_proportion(pool: Pool) -> None:
    curves = Curves(pool.name, 650, 100, [50, 100, 150], {"x": np.array([[0.4, 0.6, 0.5], [0.7, 0.7, 0.7]])}, whole=0.9)
    assert curves.needed("x", 0.55) == [pytest.approx(87.5), 50]
    assert curves.needed("x", 0.65) == [math.inf, 50]


def test_table_and_figures_say_how_many_were_needed(curves: Curves) -> None:
    shown = table(curves)
    assert "700" in str(shown.title)
    found = to_json(curves)
    assert np.array(found["macro_f1"]["random"]).shape == (3, 4)
    assert found["annotations"] == [50, 100, 150, 200]
    assert len(shown.columns) == 2 + len(found["needed"]["random"])


def test_the_chart_is_one_whole_svg_whatever_the_pool_is_called(curves: Curves) -> None:
    odd = Curves("a<b$c", 650, 100, curves.annotations, curves.macro_f1, curves.whole)
    assert ET.fromstring(chart([curves, odd])).tag.endswith("svg")  # noqa: S314 - our own


def test_the_command_writes_chart_and_figures_but_no_sentence(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    acts = ("Gunners fired on bridge", "Both sides signed accord", "The museum opened wing")
    rows = [Annotation(f"m{n}", f"{acts[n % 3]} number {n}.", LABELS[n % 3]) for n in range(240)]
    write_annotations(tmp_path / "mine.jsonl", rows)
    config = {"kind": "frozen", "encoder": str(tiny_encoder), "annotations": [str(tmp_path / "mine.jsonl")]}
    (tmp_path / "frozen.yaml").write_text(yaml.safe_dump({**config, "max_length": 32}), encoding="utf-8")
    monkeypatch.setattr("training.annotating.simulate._CONFIG", tmp_path / "frozen.yaml")
    chart, figures = tmp_path / "chart.svg", tmp_path / "figures.json"
    assert main(["simulate", "--out", str(chart), "--json", str(figures), "--up-to", "150", "--seeds", "2"]) == 0
    assert [one["pool"] for one in json.loads(figures.read_text(encoding="utf-8"))] == ["seeds"]
    written = chart.read_text(encoding="utf-8") + figures.read_text(encoding="utf-8") + capsys.readouterr().out
    assert not any(act in written for act in acts)
    assert main(["simulate", "--out", str(chart), "--up-to", "1000"]) == 2
    assert main(["simulate", "--out", str(chart), "--pool", str(tmp_path / "seeds.jsonl")]) == 2
    assert "taken for others called seeds" in capsys.readouterr().err


def test_too_few_rounds_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--out", "x.svg", "--up-to", "50"]) == 2
    assert "expected at least 2 --seeds and --up-to 100" in capsys.readouterr().err
