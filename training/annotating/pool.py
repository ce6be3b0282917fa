"""The sentences of a pool that come into question, held in bounded memory however large the pool is.

Knows nothing of files, nor of what is chosen from them in the end.
"""

import heapq
import re
from collections import Counter
from collections.abc import Container
from typing import Final

from detente.annotations import MAX_TEXT_CHARS, text_fingerprint
from detente.labels import LABELS, Label
from training.annotating.near_duplicates import near_duplicates
from training.annotating.tasks import Task

# Below this it is a byline, a caption or a part of one.
MIN_WORDS: Final = 4
_WORD: Final = re.compile(r"[^\W\d_]+")


class Pool:
    """Counts all sentences, and keeps the ones of highest priority of each guess, each text once."""

    def __init__(self, size: int, known: Container[str]) -> None:
        """Keep up to `size` sentences of each guess, none whose fingerprint is `known`."""
        self.read = 0
        self.margins = 0.0
        self.by_guess: Counter[Label] = Counter()
        self.dropped: Counter[str] = Counter()
        self._size = size
        self._known = known
        self._heaps: dict[Label, list[tuple[float, str, Task]]] = {label: [] for label in LABELS}
        self._held: set[str] = set()

    def add(self, task: Task, margin: float, priority: float) -> None:
        """Take a scored sentence into account; of those with one priority it is always the same ones that are kept."""
        self.read += 1
        fingerprint = text_fingerprint(task.text)
        if len(_WORD.findall(task.text)) < MIN_WORDS:
            self.dropped[f"have fewer than {MIN_WORDS} words"] += 1
        elif len(task.text) > MAX_TEXT_CHARS:
            self.dropped[f"have more than {MAX_TEXT_CHARS:,} characters"] += 1
        elif fingerprint in self._known:
            self.dropped["are annotated or learned already"] += 1
        elif fingerprint in self._held:
            self.dropped["stand in the pool twice"] += 1
        elif task.guess:
            self.by_guess[task.guess] += 1
            self.margins += margin
            self._keep(self._heaps[task.guess], (priority, fingerprint, task))

    def _keep(self, heap: list[tuple[float, str, Task]], entry: tuple[float, str, Task]) -> None:
        self._held.add(entry[1])
        if len(heap) < self._size:
            heapq.heappush(heap, entry)
        else:
            self._held.discard(heapq.heappushpop(heap, entry)[1])

    def candidates(self, annotated: list[str]) -> dict[Label, list[tuple[float, Task]]]:
        """The sentences kept, by guess, with their priority, highest first.

        Of those that are nearly the same the first stays; none is near one of the texts in `annotated`.
        """
        entries = sorted((entry for heap in self._heaps.values() for entry in heap), reverse=True)
        texts = [task.text for _, _, task in entries]
        dropped = {pair.first for pair in near_duplicates(texts, annotated)}
        self.dropped["are nearly the same as an annotated one"] += len(dropped)
        before = len(dropped)
        for pair in sorted(near_duplicates(texts), key=lambda pair: pair.second):
            if pair.first not in dropped:
                dropped.add(pair.second)
        self.dropped["are nearly the same as another candidate"] += len(dropped) - before
        kept: dict[Label, list[tuple[float, Task]]] = {label: [] for label in LABELS}
        for index, (priority, _, task) in enumerate(entries):
            if index not in dropped and task.guess:
                kept[task.guess].append((priority, task))
        return kept
