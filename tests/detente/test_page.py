"""The page of scored articles: nothing of the text is lost, nothing in it executes."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

from detente.labels import Label
from detente.page import article_html
from detente.scoring import ScoredArticle, ScoredSentence

NASTY = '"><script>alert(1)</script>\n<img src=x onerror="alert(2)"> & \u202eevil\u202c \u05e9\u05dc\u05d5\u05dd. End.'


def scored(text: str, *spans: tuple[int, int, float, bool], title: str = "", name: str = "a") -> ScoredArticle:
    sentences = tuple(
        ScoredSentence(start, end, Label.NEUTRAL, (max(d, 0.0), max(-d, 0.0), 1 - abs(d)), in_title)
        for start, end, d, in_title in spans
    )
    return ScoredArticle(name, Label.NEUTRAL, 0.0, (0.0, 0.0, 1.0), sentences, "m-1", text, {}, title)


class Reader(HTMLParser):
    """The text of each element, the attributes and names of all."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag] = self.texts.get(tag, "") + data


def test_text_is_whole_and_nothing_in_it_becomes_an_element() -> None:
    found = Reader(article_html(scored(NASTY, (0, 30, 0.5, False), (31, len(NASTY), -1.0, False), name=NASTY)))
    assert found.texts["p"] == NASTY
    assert found.texts["h2"] == NASTY
    assert {tag for tag, _ in found.tags} == {"article", "h2", "div", "span", "p", "mark"}
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]


def test_colour_follows_direction_and_strength_and_scores_show_on_hover() -> None:
    article = scored("Up. Down.", (0, 3, 0.5, False), (4, 9, -1.0, False), (0, 2, 0.0, True), title="Hm")
    marks = [attributes for tag, attributes in Reader(article_html(article)).tags if tag == "mark"]
    assert [(mark["class"], mark["style"]) for mark in marks] == [
        ("down", "--share: 0%"), ("up", "--share: 35%"), ("down", "--share: 70%"),
    ]  # fmt: skip
    assert marks[1]["title"] == "escalation 0.50, de-escalation 0.00, neutral 0.50"


def test_the_command_writes_a_page_that_forbids_scripts(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "a.txt").write_text(NASTY, encoding="utf-8")
    page = tmp_path / "a.html"
    command = [sys.executable, "-m", "detente", "score", tmp_path / "a.txt", "--html", page, "--model", tiny_model]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    content = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in content
    assert "<script" not in content
    assert content.endswith("</html>\n")
