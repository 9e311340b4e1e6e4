"""A paper's words and listing: what pages told, and what they told before.

Owns the tables ``texts`` and ``revisions``. The merge follows the design: nothing replaces
a text by ``None``, the words of a poorer reader never replace those of a richer one, and a
list of authors counts only when it is complete.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from isal import isal_zlib

from watcher.clock import to_unix
from watcher.model import Card, PageKind, ReaderName, Snapshot

RICHNESS = {
    ReaderName.ISLAND: 3,
    ReaderName.API: 3,
    ReaderName.CARDS: 2,
    ReaderName.DUMP: 1,
}
_FIELDS = (
    "title",
    "abstract",
    "ai_summary",
    "authors",
    "author_count",
    "published_on",
    "github",
    "project",
    "organization",
    "submitted_by",
    "keywords",
    "thumbnail",
)
_COLUMNS = ", ".join(_FIELDS)
ALL_TOLD = (1 << len(_FIELDS)) - 1
_MARKS = 50_000
_BY = "by"
"""In a revision, beside the fields that changed: the source whose page changed them."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def listing(card: Card, snapshot: Snapshot) -> tuple[str | None, int | None, bool]:
    """What a card says of its paper's listing: ``(listed_on, listed_at, exact)``.

    The day may be known without the hour; then ``listed_at`` is the time of this visit,
    kept within that day, and not exact. All None for a paper that is not known to be listed.
    """
    day = card.listed_on or snapshot.listed_on
    if card.listed_at is not None:
        return (str(day) if day else None), to_unix(card.listed_at), True
    seen = snapshot.taken_at
    if day is not None:
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        end = begin + timedelta(days=1) - timedelta(seconds=1)
        return str(day), to_unix(min(max(seen, begin), end)), False
    if snapshot.kind is PageKind.DAILY:
        return None, to_unix(seen), False
    return None, None, False


class Words:
    """Every statement about words."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._marks: dict[int, int] = {}
        """From the hash of words, which only this process knows, to their fingerprint."""

    def fingerprint(self, card: Card) -> int:
        """A number that changes with a card's words. Its low bits (``ALL_TOLD``) say which of
        the words the card tells, one for each column in ``texts``."""
        words = (
            card.title,
            card.abstract,
            card.ai_summary,
            card.authors,
            card.author_count,
            card.published_on,
            card.github,
            card.project,
            card.organization,
            card.submitted_by,
            card.keywords,
            card.thumbnail,
        )
        seen = hash(words)
        mark = self._marks.get(seen)
        if mark is None:
            if len(self._marks) >= _MARKS:
                self._marks.clear()
            mark = self._marks[seen] = _fingerprint(card)
        return mark

    def add(self, paper: int, card: Card) -> None:
        """Store the words of a paper met for the first time."""
        values = _from_card(card)
        self._conn.execute(
            f"insert into texts (paper, {_COLUMNS}) values (?{', ?' * len(_FIELDS)})",
            (paper, *(values.get(name) for name in _FIELDS)),
        )

    def merge(
        self, paper: int, card: Card, *, at: int, source: int, richer: bool, newer: bool
    ) -> bool:
        """Lay a card's words over the stored ones; True when something changed.

        ``richer``: the reader is at least as rich as the one that gave the stored words;
        ``newer``: the card is not older than them. Otherwise it only fills gaps.
        """
        stored = self._row(paper)
        if stored is None:
            self.add(paper, card)
            return True
        changed: dict[str, Any] = {}
        for name, value in _from_card(card).items():
            if value == stored[name]:
                continue
            if stored[name] is None or (richer and newer):
                changed[name] = value
        if not changed:
            return False
        self.keep_before(paper, at, {name: stored[name] for name in changed}, source=source)
        self._conn.execute(
            f"update texts set {', '.join(f'{name} = ?' for name in changed)} where paper = ?",
            (*changed.values(), paper),
        )
        return True

    def keep_before(self, paper: int, at: int, before: dict[str, Any], *, source: int) -> None:
        """Remember what was true of a paper until ``source`` was seen at ``at``."""
        before = {**before, _BY: source}
        row = self._conn.execute(
            "select before from revisions where paper = ? and until = ?", (paper, at)
        ).fetchone()
        if row is not None:
            before = {**before, **_decode(row[0])}
        self._conn.execute(
            "insert into revisions (paper, until, before) values (?, ?, ?)"
            " on conflict do update set before = excluded.before",
            (paper, at, _encode(before).decode()),
        )

    def before(self, paper: int, at: int) -> dict[str, Any]:
        """The fields that were different at an instant, with their values of then."""
        rows = self._conn.execute(
            "select before from revisions where paper = ? and until > ? order by until desc",
            (paper, at),
        )
        values: dict[str, Any] = {}
        for (before,) in rows:
            values.update(_decode(before))
        values.pop(_BY, None)
        return values

    def listed_by(self, instant: int) -> dict[int, tuple[int | None, int]]:
        """Of papers whose listing was learnt at or after an instant: what was known before,
        as ``(listed_at, first_seen_at)``."""
        rows = self._conn.execute(
            "select r.paper, r.before, p.first_seen_at from revisions r"
            " join papers p on p.id = r.paper where r.until >= ?"
            " and r.before like '%\"listed_at\"%' order by r.until desc",
            (instant,),
        )
        return {paper: (_decode(before)["listed_at"], first) for paper, before, first in rows}

    def _row(self, paper: int) -> dict[str, Any] | None:
        row = self._conn.execute(
            f"select {_COLUMNS} from texts where paper = ?", (paper,)
        ).fetchone()
        return None if row is None else dict(zip(_FIELDS, row, strict=True))


def _fingerprint(card: Card) -> int:
    told = _from_card(card)
    said = (f"{name}={value}" for name, value in told.items())
    words = "\x1f".join(said).encode("utf-8", "surrogatepass")
    bits = sum(1 << i for i, name in enumerate(_FIELDS) if name in told)
    return int(isal_zlib.crc32(words)) << 30 | (len(words) & 0x3FFFF) << len(_FIELDS) | bits


def _from_card(card: Card) -> dict[str, Any]:
    """The fields a card carries, as they are stored; absent and incomplete ones left out."""
    count = card.author_count
    complete = card.authors is not None and count in (None, len(card.authors))
    values = {
        "title": card.title,
        "abstract": card.abstract,
        "ai_summary": card.ai_summary,
        "authors": _encode(card.authors).decode() if complete else None,
        "author_count": count if count is not None or not card.authors else len(card.authors),
        "published_on": str(card.published_on) if card.published_on else None,
        "github": card.github,
        "project": card.project,
        "organization": card.organization,
        "submitted_by": card.submitted_by,
        "keywords": _encode(card.keywords).decode() if card.keywords else None,
        "thumbnail": card.thumbnail,
    }
    return {name: value for name, value in values.items() if value is not None}


def read_revision(before: str) -> tuple[dict[str, Any], int]:
    """What a revision says was true before it, and the source that ended it (0: unknown)."""
    values = _decode(before)
    return values, values.pop(_BY, 0)
