"""Scored articles as one HTML page: every sentence coloured by direction and strength, its scores on hover.

All text that comes from outside is escaped, and the page forbids scripts and anything from elsewhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Final

from detente.atomic import atomic_writer
from detente.labels import DE_ESCALATION_ID, ESCALATION_ID, LABELS
from detente.scoring import ScoredArticle, ScoredSentence
from detente.writers import Write

_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Scored articles</title>
<style>
:root { color-scheme: light dark; --up: #d6452f; --down: #2f7fd6; }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
article { border-top: 1px solid color-mix(in srgb, currentColor 25%, transparent); padding: 1rem 0; }
h2 { font-size: 1.1rem; margin: .2rem 0; overflow-wrap: anywhere; }
p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.facts { font-size: .85rem; opacity: .8; overflow-wrap: anywhere; }
.label { font-weight: 600; }
mark { unicode-bidi: isolate; color: inherit; border-radius: .2em;
  background: color-mix(in srgb, var(--tint) var(--share), transparent); }
mark:hover { outline: 1px solid currentColor; }
.up { --tint: var(--up); } .down { --tint: var(--down); }
.scale { display: inline-block; width: 12rem; height: .8rem; vertical-align: middle; border-radius: .2em;
  background: linear-gradient(to right, color-mix(in srgb, var(--down) 70%, transparent), transparent,
  color-mix(in srgb, var(--up) 70%, transparent)); }
</style>
</head>
<body>
<p class="facts">de-escalation <span class="scale"></span> escalation &ensp; each sentence by P(escalation) &minus;
P(de-escalation); point at one for its scores</p>
"""
_FOOT: Final = "</body>\n</html>\n"
# Text stays readable on the strongest colour.
_STRONGEST: Final = 70


@contextmanager
def open_page(path: Path) -> Iterator[Write]:
    """A function that adds one scored article to a page, which is written whole or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    with atomic_writer(path) as file:

        def write(article: ScoredArticle) -> None:
            file.write(article_html(article).encode())

        file.write(_HEAD.encode())
        yield write
        file.write(_FOOT.encode())


def article_html(article: ScoredArticle) -> str:
    """The article as an HTML element; its text is whole, between and in the sentences."""
    in_title = [one for one in article.sentences if one.in_title]
    in_text = [one for one in article.sentences if not one.in_title]
    heading = _coloured(article.title, in_title) if in_title else escape(article.id)
    facts = [
        f'<span class="label">{article.label}</span>', f"index {article.index:+.2f}",
        *([escape(article.id)] if in_title else []), escape(article.model),
    ]  # fmt: skip
    return (
        f'<article>\n<h2 dir="auto">{heading}</h2>\n'
        f'<div class="facts">{" · ".join(facts)}</div>\n'
        f'<p dir="auto">{_coloured(article.text, in_text)}</p>\n</article>\n'
    )


def _coloured(text: str, sentences: list[ScoredSentence]) -> str:
    parts, position = [], 0
    for one in sentences:
        direction = one.scores[ESCALATION_ID] - one.scores[DE_ESCALATION_ID]
        scores = ", ".join(f"{label} {score:.2f}" for label, score in zip(LABELS, one.scores, strict=True))
        parts += [
            escape(text[position : one.start]),
            f'<mark class="{"up" if direction > 0 else "down"}" style="--share: {_STRONGEST * abs(direction):.0f}%" '
            f'title="{scores}">{escape(text[one.start : one.end])}</mark>',
        ]
        position = one.end
    return "".join([*parts, escape(text[position:])])
