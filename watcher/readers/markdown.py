"""Text dumps in Markdown, as page-to-text tools write them.

Owns what headings and links add to a plain dump: where a card begins, its arXiv id, its votes
(a link to the login), its comments (a link to ``#community``). Must not guess where a heading
or a link can tell.
"""

from __future__ import annotations

import re
from datetime import date, datetime

from watcher.errors import ParseError
from watcher.model import PageKind, Value
from watcher.readers import lines, page, text
from watcher.readers.drafts import Draft
from watcher.readers.lines import LineKind

_HEADING = re.compile(r"(#{1,6})\s+(.+)", re.DOTALL)
_IMAGE = re.compile(r"!\[[^\]\n]*\]\([^)\s]*\)")
_ANCHOR = re.compile(r"\]\((\S+?)(?:\s+\"[^\"]*\")?\)")
_LINK = re.compile(r"\[([^\[\]\n]*)\]\((\S+?)(?:\s+\"[^\"]*\")?\)")
_CARD_HEADING = re.compile(r"^###\s+\S", re.MULTILINE)
_PAPER_LINK = re.compile(r"/papers/\d{4}\.\d{4,5}[)#\s]")
_SOURCE = re.compile(r"^url:\s*(\S+)\s*$", re.MULTILINE)
_FRONT_MATTER = 2_000
_BREAK = re.compile(r"\\+\s*(?:\n|(?=\s))")
"""A backslash at the end of a line, which such tools write for a line break."""


class Part(Value, frozen=True, kw_only=True):
    """A paragraph without its markup: what it says, where it links to, its heading's level."""

    text: str
    links: tuple[str, ...] = ()
    level: int = 0


def is_one(dump: str) -> bool:
    """Whether the text has headings for cards, and links to papers or the page's own words."""
    if not _CARD_HEADING.search(dump):
        return False
    return bool(_PAPER_LINK.search(dump)) or any(
        line.kind is LineKind.CHROME and len(line.text) > 12
        for line in lines.read(dump[:_FRONT_MATTER])
    )


def read(
    dump: str, url: str | None, at: datetime, warnings: list[str]
) -> tuple[list[Draft], page.Hint]:
    """The cards of a Markdown dump, and what its own address or heading says about the page.

    Raises:
        ParseError: there are too many lines.
    """
    if dump.count("\n") > lines.LINES_LIMIT:
        raise ParseError(f"a text of more than {lines.LINES_LIMIT} lines is no page of papers")
    source = _SOURCE.search(dump, 0, _FRONT_MATTER)
    hint = page.hint(url or (source[1] if source else None))
    parts = [part for raw in re.split(r"\n\s*\n", dump) if (part := _part(raw))]
    if hint.kind is None and any(p.level and p.text == "Trending Papers" for p in parts):
        hint = page.Hint(kind=PageKind.TRENDING)
    today = _today(parts, at.date()) if hint.kind is PageKind.SEARCH else None
    drafts: list[Draft] = []
    votes: str | None = None
    for part in parts:
        if part.level >= 3 and (title := text.clean(part.text, text.TITLE_LIMIT)):
            drafts.append(Draft(title=title, paper_id=_paper_id(part), votes=votes))
            votes = None
        elif any("/login?next=%2Fpapers%2F" in link for link in part.links):
            votes = part.text
        elif drafts:
            _add(drafts[-1], part, today or at.date())
    _drop_empty(drafts, warnings)
    return drafts, hint


def _part(raw: str) -> Part | None:
    raw = _IMAGE.sub("", raw.strip())
    heading = _HEADING.fullmatch(raw)
    links = tuple(_ANCHOR.findall(raw))
    said = heading[2] if heading else raw
    # What a link says stands on lines of its own; one with brackets inside keeps its first.
    said = _LINK.sub(r"\n\1\n", said)
    said = _ANCHOR.sub("\n", said).strip().removeprefix("[") if links else said
    said = _BREAK.sub("\n", said)
    if not text.clean(said):
        return None
    return Part(
        text=said.strip(),
        links=links,
        level=len(heading[1]) if heading else 0,
    )


def _today(parts: list[Part], at: date) -> date | None:
    """The day in the page's head, before the first card: the day of capture."""
    for part in parts:
        if part.level >= 3:
            return None
        if found := text.day(text.clean(part.text), at):
            return found
    return None


def _paper_id(part: Part) -> str | None:
    return next((found for link in part.links if (found := text.paper_path(link))), None)


def _add(draft: Draft, part: Part, today: date) -> None:
    """Put a paragraph below a heading where it belongs in the card."""
    for raw in part.text.split("\n"):
        line = (text.clean(raw) or "").strip("[]\\ ").removeprefix("LINK: ")
        kind = lines.kind_of(line) if line else LineKind.CHROME
        if kind is LineKind.AUTHORS:
            draft.author_count = lines.authors(line)
        elif kind is LineKind.DATED:
            draft.published_on, draft.comments = lines.dated(line, today)
        elif kind is LineKind.NUMBER and draft.published_on:
            draft.comments = lines.number(line)
        elif kind is LineKind.GITHUB:
            draft.stars, draft.stars_rounded = lines.stars(line)
            draft.github = next((link for link in part.links if "github.com" in link), None)
        elif kind is LineKind.PROSE and line not in ("-", ""):
            _add_prose(draft, part, raw)


def _add_prose(draft: Draft, part: Part, raw: str) -> None:
    organization = part.links and draft.abstract and not _paper_id(part)
    if organization and len(part.text) <= 80:
        draft.organization = part.text
    elif draft.author_count is None and draft.published_on is None:
        draft.abstract = f"{draft.abstract} {raw}".strip()


def _drop_empty(drafts: list[Draft], warnings: list[str]) -> None:
    """A heading with neither a link to a paper nor anything below it is no card."""
    for draft in [d for d in drafts if not (d.paper_id or d.abstract)]:
        warnings.append(f"not read as a paper: heading {draft.title[:60]!r}")
        drafts.remove(draft)
