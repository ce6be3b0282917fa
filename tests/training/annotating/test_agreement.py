"""The figures are those of the literature's own examples."""

import pytest

from detente.labels import Label
from training.annotating.agreement import agreement

E, D, N = Label.ESCALATION, Label.DE_ESCALATION, Label.NEUTRAL


def test_cohens_kappa_of_two_annotators() -> None:
    # 50 proposals, read by two: 20 both yes, 15 both no, 5 and 10 divided. Observed 0.7, by chance 0.5.
    votes = [{"a": E, "b": E}] * 20 + [{"a": N, "b": N}] * 15 + [{"a": E, "b": N}] * 5 + [{"a": N, "b": E}] * 10
    [pair] = agreement(votes).pairs
    assert (pair.first, pair.second, pair.sentences, pair.agreed) == ("a", "b", 50, 0.7)
    assert pair.kappa == pytest.approx(0.4)


def test_fleiss_kappa_of_fourteen_annotators() -> None:
    table = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    given = [[category for category, count in enumerate(row) for _ in range(count)] for row in table]
    found = agreement([dict(enumerate(row)) for row in given])
    assert found.complete == 10
    assert found.fleiss_kappa == pytest.approx(0.210, abs=5e-4)


def test_krippendorffs_alpha_where_some_have_not_labelled_all() -> None:
    # Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: nominal alpha 0.743.
    rows = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    votes = [{name: row[unit] for name, row in enumerate(rows) if row[unit] != "."} for unit in range(12)]
    found = agreement(votes)
    assert found.sentences == 11
    assert found.krippendorff_alpha == pytest.approx(0.743, abs=5e-4)


def test_a_sentence_with_one_annotator_says_nothing_of_agreement() -> None:
    found = agreement([{"a": E}, {"b": D}])
    assert found.pairs == ()
    assert (found.sentences, found.krippendorff_alpha, found.fleiss_kappa) == (0, None, None)


def test_annotators_who_know_one_label_only_have_no_kappa() -> None:
    found = agreement([{"a": N, "b": N}] * 3)
    assert found.pairs[0].agreed == 1
    assert (found.pairs[0].kappa, found.krippendorff_alpha, found.fleiss_kappa) == (None, None, None)
