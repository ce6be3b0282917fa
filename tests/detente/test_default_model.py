"""What the models that ship must always get right."""

import pytest

from detente import Label, Scorer
from detente.annotations import read_annotations
from detente.inference import load_classifier
from detente.model import default_model_path, open_model
from eval.metrics import figures
from tests.conftest import ROOT, SEEDS

NEIGHBOURS = (ROOT / "examples" / "neighbours.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer()


def test_neighbours_that_repair_ties_after_strikes_are_de_escalation(scorer: Scorer) -> None:
    article = scorer.score(NEIGHBOURS)
    assert article.label is Label.DE_ESCALATION
    assert article.index < -0.3


@pytest.mark.parametrize(
    ("sentence", "label"),
    [
        ("The minister said the strikes had not been meant as escalation and pledged dialogue.", "de-escalation"),
        ("The two armies agreed to a ceasefire on Monday.", "de-escalation"),
        ("Both governments sent their ambassadors back on Friday.", "de-escalation"),
        ("The prisoners were freed in an exchange at the border.", "de-escalation"),
        ("Shells fell on the port overnight and killed four soldiers.", "escalation"),
        ("The foreign ministry threatened to retaliate within hours.", "escalation"),
        ("Parliament imposed sanctions on the neighbouring state's central bank.", "escalation"),
        ("The rebels broke the truce and attacked an army post.", "escalation"),
        ("The striker's attack won the cup final in the last minute.", "neutral"),
        ("The central bank left its main rate unchanged on Thursday.", "neutral"),
        ("The museum of modern art opens a new wing in May.", "neutral"),
    ],
)
def test_a_plain_sentence_has_its_label(scorer: Scorer, sentence: str, label: str) -> None:
    assert scorer.score(sentence).label == label


@pytest.mark.parametrize("name", ["default", "fast"])
def test_it_reaches_on_the_test_split_what_its_manifest_says(name: str) -> None:
    model = open_model(ROOT / "models" / name)
    rows = read_annotations([SEEDS / "annotations.jsonl", SEEDS / "articles.jsonl"]).in_split("test")
    found = figures(rows.label_ids(), load_classifier(model).score(rows.texts()))
    said = model.manifest["held_out"]["test"]
    # Another processor rounds otherwise: one sentence of 1,310 may flip.
    assert found.macro_f1 == pytest.approx(said["macro_f1"], abs=0.002)
    assert found.macro_f1 >= 0.80
    assert model.manifest["agreement"] >= 0.99


@pytest.mark.parametrize("name", ["default", "fast"])
def test_the_readme_and_the_model_card_quote_the_manifest(name: str) -> None:
    manifest = open_model(ROOT / "models" / name).manifest
    quoted = f"{manifest['held_out']['test']['macro_f1']:.3f}"
    assert quoted in (ROOT / "README.md").read_text(encoding="utf-8")
    assert quoted in (ROOT / "models" / name / "README.md").read_text(encoding="utf-8")


def test_a_pipeline_opens_it_and_gives_the_same_labels(scorer: Scorer) -> None:
    from transformers import pipeline

    texts = read_annotations([SEEDS / "annotations.jsonl"]).in_split("test").texts()[:200]
    theirs = pipeline("text-classification", model=str(default_model_path()), device="cpu")(texts, batch_size=16)
    ours = scorer.score_sentences(texts).argmax(axis=1)
    agreeing = sum(one["label"] == list(Label)[i] for one, i in zip(theirs, ours, strict=True))
    assert agreeing >= 198  # 8-bit products move the label of one in 250


@pytest.mark.parametrize("name", ["default", "fast"])
def test_the_model_was_trained_on_no_test_sentence(name: str) -> None:
    from detente.annotations import text_fingerprint
    from detente.model import training_texts

    trained_on = training_texts(open_model(ROOT / "models" / name))
    rows = read_annotations([SEEDS / "annotations.jsonl", SEEDS / "articles.jsonl"])
    assert not [row.id for row in rows.in_split("test").rows if text_fingerprint(row.text) in trained_on]
    assert all(text_fingerprint(row.text) in trained_on for row in rows.in_split("train").rows)


@pytest.mark.parametrize("name", ["default", "fast"])
def test_the_weights_in_the_repository_are_under_sixty_megabytes(name: str) -> None:
    assert all(path.stat().st_size < 60_000_000 for path in (ROOT / "models" / name).iterdir())
