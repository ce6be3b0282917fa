"""From answers to annotations: whose label counts, and whether the sentence is still the one that was handed out."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from detente.annotations import Annotation, check_annotations
from detente.labels import Label
from training.annotating.answers import Answer
from training.annotating.exports import Exports
from training.annotating.tasks import Task

# What spreadsheets and editors change in a text without being asked. NFKC takes care of dots and spaces.
_TYPOGRAPHY: Final = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032`\u00b4", "'") | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033«»", '"')
)
_DASHES: Final = re.compile("[\u2010-\u2015\u2212-]+")
_SHOWN_CHARS: Final = 60
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True)
class Disagreement:
    """A sentence without a label that most of its annotators gave it."""

    sentence: Answer | Task
    votes: Mapping[str, Label]


@dataclass
class Decision:
    """What the answers come to.

    `votes` has, for each sentence, each annotator's label. `repeated` counts answers that the same annotator replaced
    by a later one, `restored` the texts whose typography had changed, `missing` the sentences without any label by why.
    """

    annotations: list[Annotation] = field(default_factory=list)
    disagreements: list[Disagreement] = field(default_factory=list)
    votes: list[Mapping[str, Label]] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    restored: int = 0
    problems: list[str] = field(default_factory=list)


def decide(exports: Exports, tasks: Sequence[Task] | None = None) -> Decision:
    """Weigh the answers to each sentence.

    The label is the settled one; or else the one that more than half of the annotators gave, each by their last
    answer; without such a label the sentence is a disagreement. An annotation is sure ("1") where several agree, not
    sure ("0") where not all do or it had to be settled, and says nothing where one person has annotated alone.

    With `tasks`, text, group and source are those of the task.
    """
    found = Decision()
    known = {task.id: task for task in tasks} if tasks is not None else None
    first: dict[str, Answer] = {}
    labels: dict[str, dict[str, Label]] = {}
    settled: dict[str, Answer] = {}
    missing: dict[str, str] = {}
    for answer in (*exports.answers, *exports.settled):
        _check_text(answer, first.setdefault(answer.id, answer), known, found)
    for answer in sorted(exports.answers, key=lambda answer: answer.at):
        if answer.label is None:
            missing[answer.id] = answer.missing
            continue
        given = labels.setdefault(answer.id, {})
        found.repeated += answer.annotator in given
        given[answer.annotator] = answer.label
    for answer in exports.settled:
        before = settled.setdefault(answer.id, answer)
        if before.label != answer.label:
            settled_twice = f"settled as {answer.label} here and as {before.label} at {before.where}"
            found.problems.append(f"{answer.where}: {answer.id!r} is {settled_twice}; keep one")
    found.missing.update(why for id_, why in missing.items() if id_ not in labels and id_ not in settled)
    places: list[tuple[str, Any]] = []
    for id_, answer in first.items():
        votes = labels.get(id_, {})
        label = settled[id_].label if id_ in settled else _majority(votes)
        if votes:
            found.votes.append(votes)
        task = known[id_] if known and id_ in known else answer
        if label:
            sure = "0" if id_ in settled or len(set(votes.values())) > 1 else "1" if len(votes) > 1 else ""
            row = Annotation(id_, task.text, label, group=task.group, source=task.source, sure=sure)
            found.annotations.append(row)
            places.append((answer.where, asdict(row)))
        elif votes:
            found.disagreements.append(Disagreement(task, votes))
    found.problems += check_annotations(places)
    return found


def _majority(votes: Mapping[str, Label]) -> Label | None:
    """The label of more than half of the annotators."""
    counts = Counter(votes.values()).most_common(1)
    return counts[0][0] if counts and 2 * counts[0][1] > len(votes) else None


def _check_text(answer: Answer, first: Answer, known: Mapping[str, Task] | None, found: Decision) -> None:
    """Find out whether the sentence that was answered is the task's, or else that of the first answer."""
    if known is None:
        expected, place, advice = first.text, first.where, "give one of them another id"
    elif answer.id in known:
        expected, place, advice = known[answer.id].text, "the tasks", "undo the change"
    else:
        found.problems.append(f"{answer.where}: id {answer.id!r} is not among the tasks; are they the right ones?")
        return
    if answer.text == expected:
        return
    if _plain(answer.text) == _plain(expected):
        found.restored += 1
    else:
        texts = f"{_short(answer.text)} here and {_short(expected)} in {place}"
        found.problems.append(f"{answer.where}: the text of id {answer.id!r} is {texts}; {advice}")


def _plain(text: str) -> str:
    """What two texts share if only their typography differs."""
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).translate(_TYPOGRAPHY)
    return " ".join(_DASHES.sub("-", plain).removeprefix("'").split())


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…")
