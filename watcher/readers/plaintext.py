"""Text dumps without markup.

Owns the order of a card's parts in text: votes, title, abstract, then the foot (authors or an
organization, a dot, the date, the count of comments). Any part but the title may be missing,
and so may all feet. Must not rely on the words of any one dump.
"""

from __future__ import annotations

from datetime import date

from watcher.errors import ParseError
from watcher.readers import lines, prose
from watcher.readers.drafts import Draft
from watcher.readers.lines import Line, LineKind
from watcher.readers.prose import Role

_LONG_LINE = 200
"""A line this long is a paragraph of its own, whatever stands right before and after it."""

_WHO_LIMIT = 80
_HEAD_LINES = 60
_FOOT_KINDS = frozenset((LineKind.AUTHORS, LineKind.DOT, LineKind.FOOT))


def read(dump: str, at: date, warnings: list[str]) -> list[Draft]:
    """The cards of a dump, in order; with and without their feet.

    Raises:
        ParseError: nothing in the text says that it is such a page.
    """
    found = lines.read(dump)
    known = (LineKind.CHROME, LineKind.AUTHORS, LineKind.FOOT)
    if not any(line.kind in known for line in found):
        raise ParseError("nothing in the text says that it is a page of papers")
    head, today = _head(found, at)
    reading = _Reading(found[head:], today or at, warnings)
    return reading.read()


def _head(found: list[Line], at: date) -> tuple[int, date | None]:
    """Where the cards begin: after the box with the day, if it comes before any abstract.

    The box shows the day of capture, on which year-less dates were written.
    """
    for place, line in enumerate(found[:_HEAD_LINES]):
        if line.kind in _FOOT_KINDS or len(line.text) >= _LONG_LINE:
            break
        if line.kind is LineKind.DATED:
            return place + 1, lines.dated(line.text, at)[0]
    return 0, None


class _Reading:
    """One pass over the lines, foot after foot."""

    def __init__(self, found: list[Line], today: date, warnings: list[str]) -> None:
        self._lines = found
        self._today = today
        self._warnings = warnings
        self._drafts: list[Draft] = []
        self._row: list[str] = []
        self._before: dict[int, Draft] = {}
        """Votes and submitters, by the place in the row of the title they stand before."""

    def read(self) -> list[Draft]:
        place = 0
        while place < len(self._lines):
            place = self._step(place)
        self._end_row(complete=False)
        return self._drafts

    def _step(self, place: int) -> int:
        """Read what begins at a line; returns where the next thing begins."""
        line = self._lines[place]
        if line.kind in _FOOT_KINDS or self._is_who(place):
            return self._read_foot(place)
        if line.kind is LineKind.PROSE:
            return self._read_paragraph(place)
        if line.kind is LineKind.NUMBER:
            self._next().votes = line.text
        elif line.kind is LineKind.UPVOTE:
            return self._read_upvote(place)
        elif line.kind is LineKind.SUBMITTED:
            return self._read_submitter(place)
        elif line.kind is LineKind.GITHUB:
            self._read_stars(line.text)
        return place + 1

    def _kind(self, place: int) -> LineKind | None:
        return self._lines[place].kind if place < len(self._lines) else None

    def _is_who(self, place: int) -> bool:
        """A short line right before a dot: an organization in the authors' place."""
        line = self._lines[place]
        return (
            self._kind(place + 1) is LineKind.DOT
            and line.kind in (LineKind.PROSE, LineKind.CHROME)
            and len(line.text) <= _WHO_LIMIT
            and bool(self._row)
        )

    def _next(self) -> Draft:
        """What is gathered for the title that comes next in the row."""
        return self._before.setdefault(len(self._row), Draft(title=""))

    def _read_paragraph(self, place: int) -> int:
        """Lines without a gap are one paragraph; a very long line always is one by itself."""
        words = [self._lines[place].text]
        place += 1
        while (
            len(words[-1]) < _LONG_LINE
            and self._kind(place) is LineKind.PROSE
            and not self._lines[place].gap
            and len(self._lines[place].text) < _LONG_LINE
            and not self._is_who(place)
        ):
            words.append(self._lines[place].text)
            place += 1
        self._row.append(" ".join(words))
        return place

    def _read_foot(self, place: int) -> int:
        foot = Draft(title="")
        line = self._lines[place]
        dated: str | None = None
        if line.kind is LineKind.FOOT:
            who, dated = lines.foot(line.text)
            _who(foot, who)
            place += 1
        else:
            if line.kind is not LineKind.DOT:
                _who(foot, line.text)
                place += 1
            if self._kind(place) is LineKind.DOT:
                place += 1
            if self._kind(place) is LineKind.DATED:
                dated = self._lines[place].text
                place += 1
        if dated is not None:
            foot.published_on, foot.comments = lines.dated(dated, self._today)
            if self._kind(place) is LineKind.NUMBER and not self._lines[place].gap:
                foot.comments = lines.number(self._lines[place].text)
                place += 1
        self._end_row(complete=True, foot=foot)
        return place

    def _read_upvote(self, place: int) -> int:
        """``Upvote`` and its count stand below the card they belong to."""
        votes = lines.upvote(self._lines[place].text)
        place += 1
        if not votes and self._kind(place) is LineKind.NUMBER:
            votes = self._lines[place].text
            place += 1
        self._end_row(complete=True)
        if votes and self._drafts:
            self._drafts[-1].votes = votes
        return place

    def _read_submitter(self, place: int) -> int:
        login = lines.submitter(self._lines[place].text)
        place += 1
        if login is None and self._kind(place) is LineKind.PROSE:
            login = self._lines[place].text
            place += 1
        self._next().submitted_by = login
        return place

    def _read_stars(self, line: str) -> None:
        self._end_row(complete=True)
        if self._drafts:
            self._drafts[-1].stars, self._drafts[-1].stars_rounded = lines.stars(line)

    def _end_row(self, *, complete: bool, foot: Draft | None = None) -> None:
        """Turn the paragraphs since the last foot into cards; the foot is the last one's."""
        roles = prose.roles(self._row, complete=complete)
        first = len(self._drafts)
        for place, (role, paragraph) in enumerate(zip(roles, self._row, strict=True)):
            if role is Role.TITLE:
                self._drafts.append(self._started(place, paragraph))
            elif role is Role.ABSTRACT and len(self._drafts) > first:
                draft = self._drafts[-1]
                draft.abstract = f"{draft.abstract} {paragraph}".strip()
            else:
                self._warnings.append(f"not read as part of a paper: {paragraph[:60]!r}")
        self._warnings += [
            f"{draft.title[:60]!r} has no abstract"
            for draft in self._drafts[first:]
            if not draft.abstract
        ]
        waiting = self._before.get(len(self._row))
        self._before = {0: waiting} if waiting else {}
        if foot and not self._row:
            self._warnings.append("a foot of a card without a card")
        elif foot and len(self._drafts) > first:
            draft = self._drafts[-1]
            draft.author_count, draft.organization = foot.author_count, foot.organization
            draft.published_on, draft.comments = foot.published_on, foot.comments
        self._row = []

    def _started(self, place: int, title: str) -> Draft:
        before = self._before.get(place, Draft(title=""))
        return Draft(title=title, votes=before.votes, submitted_by=before.submitted_by)


def _who(foot: Draft, who: str | None) -> None:
    if who is None:
        return
    foot.author_count = lines.authors(who)
    if foot.author_count is None:
        foot.organization = who
