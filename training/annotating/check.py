"""The command `python -m training check`: what is wrong, and what may be wrong, with annotations before training."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, Literal

import numpy as np
from rich.console import Console

from detente.annotations import Annotation, Annotations, check_annotations, read_annotations, text_fingerprint
from detente.atomic import check_outputs
from detente.errors import DetenteError, UsageError
from detente.inference import Scores
from detente.labels import LABEL_IDS, LABELS
from detente.model import ModelDirectory, open_model, training_texts
from eval import behaviour
from training.annotating.drift import LabelShares, label_shares
from training.annotating.findings import Finding, show_findings, show_shares, write_findings
from training.annotating.near_duplicates import near_duplicates
from training.annotating.slips import Ids, flip, likely_slips, out_of_sample, word_features
from training.config import SERVICE, Variant
from training.heldout import read_held_out

# If a model has learned more of a file than this, its vectors say what it was told, and words judge. They find 0.69 of
# the labels that `--measure` changes in seeds/annotations.jsonl, vectors 0.81 of those in its test split, which
# models/default has not learned; precision is 0.27 and 0.31 at least: labels that were not changed may be wrong.
_LEARNED: Final = 0.1
# Seeds that slips are learned from beside a model's vectors, which hold most of what there is to learn.
_SEEDS_BESIDE_VECTORS: Final = 2000
_BEHAVIOUR: Final = Path(behaviour.__file__).with_suffix(".jsonl")
_FLIPPED: Final = 0.05
_SEED: Final = 13


def command(arguments: list[str]) -> int:
    """Run the command; returns the exit code, 1 if there are errors."""
    options = _parser().parse_args(arguments)
    if options.json and options.measure:
        raise UsageError("--measure writes no --json; leave one of them out")
    seed_files = [*map(Path, Variant.annotations)]
    check_outputs([*seed_files, *options.files, *options.held_out], options.json)
    for path in [*options.files, *options.held_out]:
        if not path.is_file():
            raise UsageError(f"{path}: no such annotation file")
    model = None if options.no_model else open_model(options.model)
    console = Console()
    try:
        read = read_annotations(options.files)
    except UsageError:
        raise
    except DetenteError as error:
        return _tell(_rejected(error.problems or [str(error)]), [], options.json, console)
    seeds = read_annotations(seed_files)
    if options.measure:
        _measure(read, seeds, model, console)
        return 0
    console.print(f"{len(read.rows):,} annotations, {read.dropped:,} exact duplicates dropped", highlight=False)
    findings = _clashes(read, seeds)
    findings += _held_out(read, seeds, options.held_out)
    findings += _near_contradictions(read, seeds)
    scores = _scores(read, np.array(read.label_ids()), seeds, model, console)
    findings += _slips(read, scores)
    shares = label_shares(read.rows, seeds.rows)
    findings += _drift(options.files, shares)
    return _tell(findings, shares, options.json, console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training check",
        description="Check annotation files before training. Errors (exit code 1) keep them from being trained on: "
        "rows that cannot be read, one text with two labels, an id, text or group that clashes with the seeds, "
        "sentences that models are measured on. Warnings are to be "
        "looked at: nearly the same text as one held out, or with two labels, likely slips, labels given more or less "
        "often than in the seeds.",
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="annotation files, checked as one set")
    parser.add_argument(
        "--held-out", type=Path, nargs="+", default=[], metavar="FILE",
        help="more that must not be trained on: annotations (of which the rows with split test, if splits are marked) "
        "or direction-coded files, beside the seeds' test split and the behaviour suite",
    )  # fmt: skip
    parser.add_argument("--model", type=Path, default=SERVICE, metavar="DIR", help=f"({SERVICE})")
    parser.add_argument("--no-model", action="store_true", help="judge labels by words alone; needs no torch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    parser.add_argument(
        "--measure", action="store_true",
        help="only tell how many of 5 %% labels that are changed at random the search for slips finds in these files",
    )  # fmt: skip
    return parser


def _rejected(problems: Sequence[str]) -> list[Finding]:
    found = [problem.partition(": ") for problem in problems]
    return [Finding("error", "rejected", where, problem) for where, _, problem in found]


def _clashes(read: Annotations, seeds: Annotations) -> list[Finding]:
    """What training, which reads the files together with the seeds, refuses. Seeds that are checked are no clash."""
    rows = ((place, asdict(row)) for one in (seeds, read) for row, place in zip(one.rows, one.places, strict=True))
    return _rejected(check_annotations(rows))


def _held_out(read: Annotations, seeds: Annotations, names: Sequence[Path]) -> list[Finding]:
    """Rows that stand, or nearly stand, in what models are measured on; rows marked as test are not trained on."""
    held: list[tuple[str, str]] = [
        (row.text, place) for row, place in zip(seeds.rows, seeds.places, strict=True) if row.split == "test"
    ]
    suite = behaviour.read_behaviour(_BEHAVIOUR)
    held += [(text, f"{suite.name} suite") for text in suite.sentences()]
    for one in read_held_out([str(name) for name in names]):
        content = one.content
        if isinstance(content, Annotations) and any(row.split for row in content.rows):
            content = content.in_split("test")
        texts = content.texts() if isinstance(content, Annotations) else content.texts
        held += [(text, one.name) for text in texts]
    rows = [(row, place) for row, place in zip(read.rows, read.places, strict=True) if row.split != "test"]
    # By fingerprint, too: a short sentence of common words alone is like none.
    exact = {text_fingerprint(text): place for text, place in held}
    found = {
        index: _finding("error", "held out", row, place, f"stands held out at {exact[fingerprint]}")
        for index, (row, place) in enumerate(rows)
        if (fingerprint := text_fingerprint(row.text)) in exact
    }
    pairs = near_duplicates([row.text for row, _ in rows], [text for text, _ in held])
    for pair in sorted(pairs, key=lambda pair: -pair.similarity):
        # No error: headlines of a series are alike and report different things.
        like = f"{pair.similarity:.2f} like one held out at {held[pair.second][1]}"
        found.setdefault(pair.first, _finding("warning", "near held out", *rows[pair.first], like))
    return [found[index] for index in sorted(found)]


def _near_contradictions(read: Annotations, seeds: Annotations) -> list[Finding]:
    """Rows whose text has nearly a twin with another label in the files or in the seeds."""
    own = {text_fingerprint(row.text) for row in read.rows}
    both = zip(seeds.rows, seeds.places, strict=True)
    others = [(seed, place) for seed, place in both if text_fingerprint(seed.text) not in own]
    findings: list[Finding] = []
    near = [(*pair, read.rows[pair.second], read.places[pair.second]) for pair in near_duplicates(read.texts())]
    pairs = near_duplicates(read.texts(), [seed.text for seed, _ in others])
    near += [(*pair, *others[pair.second]) for pair in pairs]
    for first, _, similarity, other, place in sorted(near, key=lambda pair: -pair[2]):
        row = read.rows[first]
        if row.label != other.label:
            found = f"{similarity:.2f} like {place}, which is {other.label}: {other.text}"
            findings.append(_finding("warning", "near-duplicate", row, read.places[first], found))
    return findings


def _scores(
    read: Annotations, label_ids: Ids, seeds: Annotations, model: ModelDirectory | None, console: Console
) -> Scores:
    """Scores of the rows by what has not learned their labels, which are `label_ids`: shape (rows, 3)."""
    own, groups = {text_fingerprint(row.text) for row in read.rows}, {row.group for row in read.rows}
    others = [
        row
        for row in seeds.rows
        if row.split != "test" and row.group not in groups and text_fingerprint(row.text) not in own
    ]
    learned = len(own & training_texts(model)) / len(own) if model else 0.0
    if model is None or model.manifest["kind"] != "encoder" or learned > _LEARNED:
        why = f": {model.path} has learned {learned:.0%} of these sentences" if learned > _LEARNED and model else ""
        console.print(f"labels judged by words{why}", highlight=False, markup=False, soft_wrap=True)
        features = word_features([*read.texts(), *(row.text for row in others)])
    else:
        from training.annotating.vectors import sentence_vectors  # torch takes seconds to import

        why = f"labels judged by the sentence vectors of {model.path}"
        console.print(why, highlight=False, markup=False, soft_wrap=True)
        drawn = np.random.default_rng(_SEED).permutation(len(others))[:_SEEDS_BESIDE_VECTORS]
        others = [others[index] for index in drawn]
        texts = [*read.texts(), *(row.text for row in others)]
        features = sentence_vectors(model.path, texts, model.manifest["max_length"])
    rows = [*read.rows, *others]
    return out_of_sample(
        features,
        np.array([*label_ids, *(LABEL_IDS[row.label] for row in others)]),
        [row.group for row in rows],
        np.arange(len(rows)) < len(read.rows),
        np.array([row.split == "test" for row in rows]),
    )


def _slips(read: Annotations, scores: Scores) -> list[Finding]:
    findings = []
    for slip in likely_slips(scores, np.array(read.label_ids())):
        row = read.rows[slip.row]
        found = f"{LABELS[slip.likelier]} {slip.likelier_score:.2f}, its own label {slip.given_score:.2f}"
        found += "; marked as not sure" if row.sure == "0" else ""
        findings.append(_finding("warning", "likely slip", row, read.places[slip.row], found))
    return findings


def _drift(files: Sequence[Path], shares: Sequence[LabelShares]) -> list[Finding]:
    findings = []
    for one in shares:
        if one.is_drift:
            found = f"other shares of labels than in {one.against}: Cramér's V {one.effect:.2f}, more than chance makes"
            where = ", ".join(map(str, files)) if one is shares[0] else one.part
            findings.append(Finding("warning", "drift", where, found))
    return findings


def _finding(severity: Literal["error", "warning"], kind: str, row: Annotation, where: str, found: str) -> Finding:
    return Finding(severity, kind, where, found, str(row.label), row.text)


def _measure(read: Annotations, seeds: Annotations, model: ModelDirectory | None, console: Console) -> None:
    label_ids, flipped = flip(np.array(read.label_ids()), _FLIPPED, _SEED)
    slips = likely_slips(_scores(read, label_ids, seeds, model, console), label_ids)
    hits = [slip.row in flipped for slip in slips]
    first = sum(hits[: len(flipped)])
    console.print(
        f"{len(flipped):,} labels of {len(label_ids):,} flipped: {sum(hits):,} are among {len(hits):,} likely slips "
        f"(recall {sum(hits) / max(len(flipped), 1):.2f}, precision at least {sum(hits) / max(len(hits), 1):.2f}), "
        f"{first:,} among the first {len(flipped):,}",
        highlight=False,
        soft_wrap=True,
    )


def _tell(findings: Sequence[Finding], shares: Sequence[LabelShares], path: Path | None, console: Console) -> int:
    if shares:
        show_shares(shares, console)
    show_findings(findings, console)
    if path:
        write_findings(path, findings, shares)
    errors = sum(finding.severity == "error" for finding in findings)
    console.print(f"errors: {errors:,}, warnings: {len(findings) - errors:,}", style="bold", highlight=False)
    return 1 if errors else 0
