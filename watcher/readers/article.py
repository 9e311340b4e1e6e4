"""One article of a list: the card of a paper as people see it.

Owns where in an article each part stands, in the grids of 2024 to 2026, the trending list and
search results. Relies on links, roles and written words before class names. Must not know the
page around the article.
"""

from __future__ import annotations

import re
from datetime import date

from selectolax.lexbor import LexborNode

from watcher.model import Card, Value
from watcher.readers import text
from watcher.readers.drafts import DASHES

_WORD_LIMIT = 120
"""No date, login or count of authors is longer."""

_AUTHORS = re.compile(r"(?:·\s*)?(\d[\d,]*)\s+authors?", re.ASCII)
_GROUPED = re.compile(r"(?<!\S)\d{1,3}(?: \d{3})+$", re.ASCII)
_ORGANIZATION = re.compile(r"(?:https?://[^/\s]+)?/([A-Za-z0-9][\w.-]*)", re.ASCII)
_SITE_PAGES = frozenset(
    (
        "papers",
        "models",
        "datasets",
        "spaces",
        "posts",
        "docs",
        "login",
        "join",
        "pricing",
        "huggingface",
        "enterprise",
        "collections",
        "tasks",
        "blog",
        "learn",
        "terms-of-service",
        "privacy",
    )
)
_SUBMITTED = "Submitted by"
_ELSEWHERE = re.compile(r"(?!.*(?:/papers\b|arxiv\.org/))(?:/|https?://)", re.DOTALL)
"""The address of something else than a paper: of a dataset, a post, an advertisement."""


class Found(Value, frozen=True, kw_only=True):
    """One article, read, and what its counts looked like."""

    card: Card
    rounded: frozenset[str] = frozenset()
    layout: str = "grid"


def read(article: LexborNode, today: date) -> Found | None:
    """One article. Of a desktop and a mobile copy inside it the first counts.

    None for one without a title, or whose title leads to something that is no paper.
    """
    heading = article.css_first("h3, h2, h4")
    title = text.clean(heading.text(), text.TITLE_LIMIT) if heading else None
    if heading is None or title is None:
        return None
    address = _address(heading)
    if _ELSEWHERE.match(address):
        return None
    links = [(a, a.attributes.get("href") or "") for a in article.css("a[href]")]
    words = _words(article, heading)
    paper_id = _paper_id(address, links)
    upvotes, dashed, votes_rounded = _upvotes(article, links)
    github, stars, stars_rounded = _github(links)
    body_text = _body_text(article, links, heading)
    author_count = _author_count(words)
    published = next((d for word in words if (d := text.day(word, today))), None)
    rounded = {"upvotes": votes_rounded, "stars": stars_rounded}
    thumbnail = _thumbnail(links)
    card = Card(
        paper_id=paper_id,
        title=title,
        abstract=body_text,
        authors=_authors(article),
        author_count=author_count,
        published_on=published,
        upvotes=upvotes,
        comments=_comments(links),
        stars=stars,
        github=github,
        organization=_organization(links),
        submitted_by=_submitted_by(words),
        thumbnail=thumbnail,
        dashed=dashed,
    )
    return Found(
        card=card,
        rounded=frozenset(name for name, is_rounded in rounded.items() if is_rounded),
        layout=_layout(card, links),
    )


def _layout(card: Card, links: list[tuple[LexborNode, str]]) -> str:
    if card.github or any("arxiv.org/abs/" in href for _, href in links):
        return "trending"
    return "search" if card.abstract and not card.thumbnail else "grid"


def _words(article: LexborNode, heading: LexborNode) -> list[str]:
    """The short texts of the article's first copy, one per node, in order."""
    words = []
    for node in article.traverse(include_text=True):
        if node.is_text_node:
            written = node.text_content
            if written and len(written) <= _WORD_LIMIT and not written.isspace():
                words.append(" ".join(written.split()))
        elif node.tag == heading.tag and node.mem_id != heading.mem_id:
            break  # the second copy
    return words


def _address(heading: LexborNode) -> str:
    """Where a title leads: by the link in it, or else the one around it."""
    link, node = heading.css_first("a[href]"), heading.parent
    while link is None and node is not None and node.tag != "article":
        link, node = node if node.tag == "a" else None, node.parent
    return (link.attributes.get("href") or "") if link else ""


def _paper_id(address: str, links: list[tuple[LexborNode, str]]) -> str | None:
    first = text.paper_path(address)
    return first or next((p for _, href in links if (p := text.paper_path(href))), None)


def _upvotes(
    article: LexborNode, links: list[tuple[LexborNode, str]]
) -> tuple[int | None, bool, bool]:
    """Votes, whether a dash stood there, whether they are rounded."""
    boxes = [a for a, href in links if "/login?next=" in href]
    boxes += article.css("[role=checkbox], div.leading-none, div.text-orange-500")
    for box in boxes:
        written = _last_word(box)
        if written in DASHES:
            return None, True, False
        number, rounded = text.count(written)
        if number is not None:
            return number, False, rounded
    return None, False, False


def _comments(links: list[tuple[LexborNode, str]]) -> int | None:
    """The link to the discussion is absent when there are none."""
    for link, href in links:
        if href.endswith("#community"):
            return text.count(_last_word(link))[0]
    return None


def _last_word(node: LexborNode) -> str:
    """The count behind an icon or a label; its thousands may be parted by spaces."""
    written = text.clean(node.text()) or ""
    grouped = _GROUPED.search(written)
    return grouped[0] if grouped else written.rpartition(" ")[2]


def _github(links: list[tuple[LexborNode, str]]) -> tuple[str | None, int | None, bool]:
    for link, href in links:
        written = text.clean(link.text()) or ""
        if written.startswith("GitHub") and (address := text.link(href)):
            return (address, *text.count(written.removeprefix("GitHub").strip()))
    return None, None, False


def _body_text(
    article: LexborNode, links: list[tuple[LexborNode, str]], heading: LexborNode
) -> str | None:
    """The abstract or summary. Highlighted words are joined exactly as they are written."""
    for paragraph in article.css("p"):
        if written := text.clean(paragraph.text()):
            return written
    title = text.clean(heading.text())
    for link, href in links:
        if text.paper_path(href) and "#" not in href and link.css_first("ul, img, video") is None:
            written = text.clean(link.text())
            if written and written != title and not _AUTHORS.fullmatch(written):
                return written
    return None


def _author_count(words: list[str]) -> int | None:
    for word in words:
        if found := _AUTHORS.fullmatch(word):
            return text.count(found[1])[0]
    return None


def _authors(article: LexborNode) -> tuple[str, ...] | None:
    """The names at the avatars: logins where there is an account; at most five are shown."""
    avatars = article.css_first("ul")
    if avatars is None:
        return None
    names = [
        name
        for item in avatars.css("li[title]")
        if (name := text.clean(item.attributes.get("title"), text.NAME_LIMIT))
    ]
    if "flex-row-reverse" in (avatars.attributes.get("class") or ""):
        names.reverse()
    return tuple(names) or None


def _organization(links: list[tuple[LexborNode, str]]) -> str | None:
    for link, href in links:
        found = _ORGANIZATION.fullmatch(href)
        if found and found[1] not in _SITE_PAGES and link.css_first("img, svg, span"):
            return text.clean(link.text(), text.NAME_LIMIT)
    return None


def _submitted_by(words: list[str]) -> str | None:
    """The login after the badge's words, in the same text or the next one."""
    for place, word in enumerate(words):
        if word.startswith(_SUBMITTED):
            rest = word.removeprefix(_SUBMITTED).strip()
            following = words[place + 1] if place + 1 < len(words) else ""
            return text.clean(rest or following, text.NAME_LIMIT)
    return None


def _thumbnail(links: list[tuple[LexborNode, str]]) -> str | None:
    for link, href in links:
        if text.paper_path(href):
            media = link.css_first("video, img")
            if media is not None and link.css_first("ul") is None:
                source = media.attributes.get("src")
                nested = media.css_first("source[src]")
                return text.link(source or (nested.attributes.get("src") if nested else None))
    return None
