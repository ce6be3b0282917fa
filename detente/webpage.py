"""The article of a web page, without menus and advertising; needs trafilatura, the extra `html`."""

from importlib.util import find_spec
from typing import Any

_KEPT = ("date", "author", "url", "hostname", "sitename", "language")


def can_extract() -> bool:
    """Whether trafilatura is installed, with the part of lxml that it cleans pages with."""
    return find_spec("trafilatura") is not None and find_spec("lxml_html_clean") is not None


def extract_article(content: bytes) -> dict[str, Any] | None:
    """The page's text, title and what it says of itself, as a record; None if there is no article in it.

    The title is the text's first line where the page shows it there. `can_extract` has to be true.
    """
    import trafilatura

    # Pages nest and break in ways that the parser below it fails on; one of them must not stop the others.
    try:
        found = trafilatura.bare_extraction(content, with_metadata=True, include_comments=False, include_tables=False)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return None
    record = found.as_dict() if found is not None else {}
    if not record.get("text"):
        return None
    return {"text": record["text"], "title": record.get("title") or ""} | {
        key: record[key] for key in _KEPT if record.get(key)
    }
