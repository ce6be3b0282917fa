"""Splits an article into sentences with exact character offsets. Knows nothing of labels."""

from collections.abc import Iterator
from typing import Final

import sentencex

# A "sentence" beyond this is a table, a list or text without punctuation. It is cut at white space, so that all of it
# is scored: the encoder reads 128 tokens, about 600 characters of English.
MAX_SENTENCE_CHARS: Final = 600
# sentencex takes quadratic time where quotes never close: 32 s for a megabyte of them, 0.02 s for this much.
_PIECE_CHARS: Final = 20_000


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Offsets (start, end) of the sentences of `text`, in order, without surrounding white space.

    sentencex finds the ends of sentences inside a paragraph; a line break ends one too unless the text is wrapped at a
    fixed width there.
    """
    spans: list[tuple[int, int]] = []
    for start, end in _paragraphs(text) if text else ():
        for piece, piece_end in _pieces(text, start, end):
            for found in sentencex.get_sentence_boundaries("en", text[piece:piece_end]):
                spans += _trimmed(text, piece + found["start_index"], piece + found["end_index"])
    return spans


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    lines = text.splitlines(keepends=True)
    forced = _forced_breaks(lines)
    start = position = 0
    for line, is_forced in zip(lines, forced, strict=True):
        position += len(line)
        if not is_forced:
            yield start, position
            start = position


def _forced_breaks(lines: list[str]) -> list[bool]:
    """For each line, whether it ends there only because the next word would not have fitted in the widest line."""
    width = max((len(line.rstrip()) for line in lines), default=0)
    forced = []
    inner = 0
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        first_word = following.split(maxsplit=1)[:1]
        inside = bool(line.strip()) and bool(first_word)
        inner += inside
        forced.append(inside and len(line.rstrip()) + 1 + len(first_word[0]) > width)
    # A paragraph a line also shows a forced break or two by chance, at its longest lines; a list of headlines of like
    # length shows many, but its lines begin with capitals.
    followed = zip(forced, lines[1:], strict=False)
    going_on = sum(is_forced and following.lstrip()[:1].islower() for is_forced, following in followed)
    is_wrapped_text = going_on > 1 and sum(forced) * 2 >= inner and going_on * 2 >= sum(forced)
    return forced if is_wrapped_text else [False] * len(lines)


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > _PIECE_CHARS:
        cut = text.rfind(" ", start + 1, start + _PIECE_CHARS)
        cut = cut if cut > start else start + _PIECE_CHARS
        yield start, cut
        start = cut
    yield start, end


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > MAX_SENTENCE_CHARS:
        cut = text.rfind(" ", start + 1, start + MAX_SENTENCE_CHARS)
        cut = cut if cut > start else start + MAX_SENTENCE_CHARS
        yield from _trimmed(text, start, cut)
        start = cut
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
