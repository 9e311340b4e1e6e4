"""The lines of a text dump: which are furniture, which belong to a card's foot, which are prose.

Owns the written forms of counts, dates and the site's own words, as whole lines. Must not
decide where a card begins or ends.
"""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum

from watcher.errors import ParseError
from watcher.model import Value
from watcher.readers import text

LINES_LIMIT = 50_000
"""A dump of a hundred papers has some seven hundred."""

_BULLET = r"(?:[•*·\-–]\s*)?"
_DAY = rf"(?:Published on\s+)?{text.MONTH}\s+\d{{1,2}}(?:,\s*\d{{4}})?"
_AUTHORS = re.compile(rf"{_BULLET}(\d[\d,]*)\s+authors?", re.ASCII)
_DATED = re.compile(rf"({_DAY})(?:\s+(\d[\d,]*))?", re.ASCII)
_FOOT = re.compile(rf"(\S.{{0,118}}?)?\s*·\s*({_DAY})(?:\s+(\d[\d,]*))?")
_NUMBER = re.compile(r"\d[\d.,]*[kK]?|[-–—]", re.ASCII)
_UPVOTE = re.compile(r"Upvote\s*(\d[\d.,]*[kK]?|[-–—])?", re.ASCII)
_GITHUB = re.compile(r"GitHub\s*(\d[\d.,]*[kK]?)?", re.ASCII)
_SUBMITTED = re.compile(r"Submitted by\s*(\S.{0,100})?")
_CHROME = re.compile(
    r"new|get trending papers in your email inbox.*|subscribe|daily papers|daily|weekly|monthly"
    r"|trending papers(?: ranked by .*)?|by ?.{0,40}and the research community"
    r"|search (?:by arxiv id or title|any paper with ai)|submit a paper|previous|next"
    r"|(?:view )?arxiv page|view pdf|project page|add to collection|hugging face|models|datasets"
    r"|spaces|docs|pricing|log in|sign up|company|© ?hugging face.*|tos|privacy|about|careers"
    r"|website|papers|posts|community|enterprise|system theme|#\d+ paper of the day",
    re.IGNORECASE,
)
"""The words around the cards; only as a whole line."""


class LineKind(StrEnum):
    """What a line is for."""

    PROSE = "prose"
    CHROME = "chrome"
    AUTHORS = "authors"
    DOT = "dot"
    DATED = "dated"
    FOOT = "foot"
    NUMBER = "number"
    UPVOTE = "upvote"
    GITHUB = "github"
    SUBMITTED = "submitted"


class Line(Value, frozen=True, kw_only=True):
    """A line with what it says, and whether a blank line stands before it."""

    kind: LineKind
    text: str
    gap: bool = False


def read(dump: str) -> list[Line]:
    """The lines that are not blank, in order.

    Raises:
        ParseError: there are too many.
    """
    found: list[Line] = []
    gap = True
    if dump.count("\n") > LINES_LIMIT:
        raise ParseError(f"a text of more than {LINES_LIMIT} lines is no page of papers")
    for raw in dump.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        line = text.clean(raw)
        if line is None:
            gap = True
            continue
        found.append(Line(kind=kind_of(line), text=line, gap=gap))
        gap = False
    return found


_KINDS = (
    (LineKind.AUTHORS, _AUTHORS),
    (LineKind.DATED, _DATED),
    (LineKind.NUMBER, _NUMBER),
    (LineKind.UPVOTE, _UPVOTE),
    (LineKind.GITHUB, _GITHUB),
    (LineKind.SUBMITTED, _SUBMITTED),
    (LineKind.CHROME, _CHROME),
    (LineKind.FOOT, _FOOT),
)


def kind_of(line: str) -> LineKind:
    """What a line without surrounding space is for."""
    if line == "·":
        return LineKind.DOT
    if len(line) > 200:
        return LineKind.PROSE
    return next((kind for kind, form in _KINDS if form.fullmatch(line)), LineKind.PROSE)


def authors(line: str) -> int | None:
    """``• 7 authors`` -> 7."""
    found = _AUTHORS.fullmatch(line)
    return text.count(found[1])[0] if found else None


def dated(line: str, at: date) -> tuple[date | None, int]:
    """``Apr 10 2`` -> the day and 2 comments; the count is left out when there are none."""
    found = _DATED.fullmatch(line)
    if not found:
        return None, 0
    return text.day(found[1], at), text.count(found[2])[0] or 0


def number(line: str) -> int | None:
    """A line that is a count; None for a dash."""
    return text.count(line)[0]


def foot(line: str) -> tuple[str | None, str]:
    """``7 authors · Sep 29 3`` -> who, and the dated rest."""
    who, _, rest = line.rpartition("·")
    return text.clean(who), rest.strip()


def stars(line: str) -> tuple[int | None, bool]:
    """``GitHub 11.3k`` -> 11,300, rounded."""
    found = _GITHUB.fullmatch(line)
    return text.count(found[1]) if found else (None, False)


def upvote(line: str) -> str:
    """``Upvote 117`` -> ``117``; empty when the count stands on the next line."""
    found = _UPVOTE.fullmatch(line)
    return (found[1] or "") if found else ""


def submitter(line: str) -> str | None:
    """``Submitted by someone`` -> the login, when it stands on the same line."""
    found = _SUBMITTED.fullmatch(line)
    return text.clean(found[1], text.NAME_LIMIT) if found else None
