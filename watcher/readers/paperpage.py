"""The page of one paper, read from its HTML when its island cannot be read.

Owns the DOM of ``/papers/ID``. Must not read lists. Links to ``/papers?q=…`` in the abstract
are searches for its keywords, not papers.
"""

from __future__ import annotations

import re
from datetime import date, datetime

from selectolax.lexbor import LexborHTMLParser, LexborNode

from watcher.errors import ParseError
from watcher.model import Card, PageKind, ReaderName, Snapshot
from watcher.readers import page, text

_AI_LABEL = "AI-generated summary"
"""Stands below the summary, in a box with it."""
_TITLE_PREFIX = "Paper page - "
_IN_TEXT = re.compile(r"arxiv:\s*(\d{4}\.\d{4,5})", re.ASCII | re.IGNORECASE)
_SHOWS = frozenset(
    (
        "paper_id",
        "title",
        "abstract",
        "ai_summary",
        "authors",
        "author_count",
        "published_on",
        "upvotes",
        "stars",
        "github",
        "project",
        "organization",
    )
)


def is_one(dom: LexborHTMLParser, hint: page.Hint) -> bool:
    """Whether this is the page of a single paper."""
    if dom.css_first("[data-target=PaperContent]") is not None:
        return True
    if _meta(dom, "og:title").startswith(_TITLE_PREFIX):
        return True
    return hint.kind is PageKind.PAPER and dom.css_first("article") is None


def parse(dom: LexborHTMLParser, *, hint: page.Hint, at: datetime) -> Snapshot:
    """The page as a snapshot with one card.

    Raises:
        ParseError: there is no title or no abstract.
    """
    heading = dom.css_first("h1")
    title = text.clean(heading.text(), text.TITLE_LIMIT) if heading else None
    summary, abstract = _abstract(dom)
    if title is None or abstract is None:
        raise ParseError("the page of a single paper has no title or no abstract")
    authors = _authors(dom)
    upvotes, votes_rounded = _upvotes(dom)
    github, stars, stars_rounded = _button(dom, "GitHub")
    card = Card(
        paper_id=_paper_id(dom, hint),
        title=title,
        abstract=abstract,
        ai_summary=summary,
        authors=authors,
        author_count=len(authors) if authors else None,
        published_on=_published(dom, at.date()),
        upvotes=upvotes,
        stars=stars,
        github=github,
        project=_button(dom, "Project page")[0],
        organization=_organization(dom),
    )
    rounded = (("upvotes", votes_rounded), ("stars", stars_rounded))
    return Snapshot(
        reader=ReaderName.CARDS,
        taken_at=at,
        cards=(card,),
        kind=PageKind.PAPER,
        shows=_SHOWS,
        rounded=frozenset(name for name, is_rounded in rounded if is_rounded),
    )


def _meta(dom: LexborHTMLParser, name: str) -> str:
    node = dom.css_first(f"meta[property='{name}']")
    return (node.attributes.get("content") or "") if node else ""


def _paper_id(dom: LexborHTMLParser, hint: page.Hint) -> str | None:
    canonical = dom.css_first("link[rel=canonical]")
    for address in (canonical.attributes.get("href") if canonical else None, _meta(dom, "og:url")):
        if found := text.paper_path(address):
            return found
    written = _IN_TEXT.search(dom.body.text() if dom.body else "")
    return hint.paper_id or (written[1] if written else None)


def _abstract(dom: LexborHTMLParser) -> tuple[str | None, str | None]:
    """The AI summary, if there is one, and the abstract below the heading of that name."""
    heading = next((h for h in dom.css("h2, h3") if text.clean(h.text()) == "Abstract"), None)
    parent = heading.parent if heading else None
    if parent is None:
        return None, None
    summary = abstract = None
    for paragraph in parent.css("p"):
        written = text.clean(paragraph.text())
        box = text.clean(paragraph.parent.text()) if paragraph.parent else None
        named = paragraph.attributes.get("class") or ""
        if (box or "").endswith(_AI_LABEL) or "text-blue-700" in named:
            summary = summary or written
        else:
            abstract = abstract or written
    return summary, abstract


def _authors(dom: LexborHTMLParser) -> tuple[str, ...] | None:
    found = []
    for node in dom.css("span.author"):
        named = node.css_first("a, button")
        name = text.clean((named or node).text(), text.NAME_LIMIT)
        if name:
            found.append(name.rstrip(" ,"))
    return tuple(found) or None


def _upvotes(dom: LexborHTMLParser) -> tuple[int | None, bool]:
    for link in dom.css("a[href*='/login?next=%2Fpapers%2F'], [role=checkbox]"):
        written = (text.clean(link.text()) or "").removeprefix("Upvote").strip()
        number, rounded = text.count(written)
        if number is not None:
            return number, rounded
    return None, False


def _button(dom: LexborHTMLParser, label: str) -> tuple[str | None, int | None, bool]:
    for link in dom.css("a.btn[href], a[href^='https://github.com/']"):
        written = text.clean(link.text()) or ""
        if written.startswith(label) and (address := text.link(link.attributes.get("href"))):
            return (address, *text.count(written.removeprefix(label).strip()))
    return None, None, False


def _published(dom: LexborHTMLParser, at: date) -> date | None:
    for node in dom.css("div, span"):
        written = text.clean(node.text(deep=False)) or ""
        if written.startswith("Published on") and (found := text.day(written, at)):
            return found
    return None


def _organization(dom: LexborHTMLParser) -> str | None:
    pill: LexborNode | None = dom.css_first("a[href] > img + span.font-medium")
    return text.clean(pill.text(), text.NAME_LIMIT) if pill else None
