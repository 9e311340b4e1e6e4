"""Readers: the bytes of a page -> ``Snapshot``, or ``ParseError``.

Owns the choice of reader by content (never by file name) and the fall from one to the next.
Must not do I/O or read a clock. To add a page format: write ``parse(body, *, url, at)`` in a
module of its own and put a line into ``READERS``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from watcher.errors import ParseError
from watcher.model import Columns, PageKind, ReaderName, Snapshot, columns_of
from watcher.readers import api, cards, dump, island, text
from watcher.readers.compare import differences
from watcher.readers.island import island_bytes
from watcher.readers.memo import Memo, Memos
from watcher.readers.tag import Tag, find

VERSION = "3"
"""Raised when a reader sees more or otherwise: pages are then read anew."""

__all__ = [
    "READERS",
    "VERSION",
    "Memo",
    "Memos",
    "Reader",
    "Tag",
    "choose",
    "cross_check",
    "fill",
    "find",
    "island_bytes",
    "parse",
]


class Reader(Protocol):
    """Bytes of a page, its address if known, the time of capture -> its cards."""

    def __call__(self, body: bytes, *, url: str | None, at: datetime) -> Snapshot:
        """Read the page; raises ``ParseError``."""


READERS: Mapping[ReaderName, Reader] = {
    ReaderName.ISLAND: island.parse,
    ReaderName.API: api.parse,
    ReaderName.CARDS: cards.parse,
    ReaderName.DUMP: dump.parse,
}

WARNINGS_LIMIT = 20
NAMELESS = 5
"""So many papers, none of them with an arXiv id, are no list but an island of another form."""
_JSON_START = re.compile(rb"\s*+(?:\{\s*+[\"}]|\[\s*+(?:[\[{\"\]]|\d++(?!\]\()|null|true|false))")
"""``[101](`` is a link in Markdown: the votes of a search page's first card."""
_HTML_START = re.compile(rb"\s*+<(?:!|\?|[a-zA-Z])")
_END_TAG_EVERY = 1_000
"""A piece out of the middle of a page has at least one end tag in so many bytes; a text about
pages has fewer."""


def parse(
    body: bytes,
    *,
    url: str | None = None,
    at: datetime,
    reader: ReaderName | None = None,
    memo: Memo | None = None,
    tag: Tag | None = None,
) -> Snapshot:
    """Read a page, whatever its format.

    ``at`` is the time of capture: dates without a year depend on it. ``reader`` forces one.
    ``memo`` holds what the island of the source's last page said, and after it what this one
    says: it saves most of the work, and changes nothing of what is read. ``tag`` is the island's,
    where the caller has found it already.
    When the island cannot be read, the cards are, and a warning says so.

    Raises:
        ParseError: the page has no papers where it should have some, or is too odd to read.
    """
    body = text.from_utf16(body)
    if not body or body.isspace():
        raise ParseError("the page is empty")
    chosen = reader or (ReaderName.ISLAND if tag else choose(body))
    try:
        if chosen is ReaderName.ISLAND:
            return _limited(_by_island(body, url=url, at=at, memo=memo, tag=tag))
        return _limited(READERS[chosen](body, url=url, at=at))
    except RecursionError as exc:
        raise ParseError("the page is nested too deeply to be read") from exc
    except ParseError as broken:
        if reader is not None or chosen is not ReaderName.ISLAND:
            raise
        return _limited(_by_cards(body, url, at, broken))


def _by_island(
    body: bytes, *, url: str | None, at: datetime, memo: Memo | None, tag: Tag | None
) -> Snapshot:
    snapshot = island.parse(body, url=url, at=at, memo=memo, tag=tag)
    if not snapshot.cards and snapshot.kind is not PageKind.SEARCH and b"<article" in body:
        raise ParseError("the island lists no papers, but the page shows some")
    if len(snapshot.cards) >= NAMELESS and all(card.paper_id is None for card in snapshot.cards):
        raise ParseError("none of the island's papers has an arXiv id")
    return snapshot


def _limited(snapshot: Snapshot) -> Snapshot:
    """A page of nonsense must not fill the log."""
    more = len(snapshot.warnings) - WARNINGS_LIMIT
    if more <= 0:
        return snapshot
    kept = (*snapshot.warnings[:WARNINGS_LIMIT], f"and {more} more warnings")
    return msgspec.structs.replace(snapshot, warnings=kept)


def choose(body: bytes) -> ReaderName:
    """The reader for these bytes, by their content alone."""
    start = body[3:] if body.startswith(b"\xef\xbb\xbf") else body
    if _JSON_START.match(start):
        return ReaderName.API
    if _HTML_START.match(start) or body.count(b"</") * _END_TAG_EVERY > len(body):
        return ReaderName.ISLAND if find(body) else ReaderName.CARDS
    return ReaderName.DUMP


def _by_cards(body: bytes, url: str | None, at: datetime, broken: ParseError) -> Snapshot:
    try:
        snapshot = cards.parse(body, url=url, at=at)
    except ParseError as exc:
        raise ParseError(f"{broken}; the cards do not help: {exc}") from exc
    if not snapshot.cards:
        raise broken
    warning = f"read by its cards: {broken}"
    return msgspec.structs.replace(snapshot, warnings=(warning, *snapshot.warnings))


def cross_check(snapshot: Snapshot, body: bytes, *, url: str | None = None) -> tuple[str, ...]:
    """What the cards of a page say otherwise than its island, as warnings; dear, for it builds
    the tree. Empty for a snapshot of any other reader."""
    if snapshot.reader is not ReaderName.ISLAND:
        return ()
    try:
        by_cards = cards.parse(text.from_utf16(body), url=url, at=snapshot.taken_at)
    except ParseError as exc:
        if snapshot.cards or snapshot.kind is PageKind.TRENDING:
            return (f"the island can be read, the cards cannot: {exc}",)
        return ()
    return differences(snapshot, by_cards)


def fill(snapshot: Snapshot, columns: Columns | None = None) -> dict[str, int]:
    """For each field the page shows, how many of its cards have it."""
    columns = columns or columns_of(snapshot)
    cards = len(snapshot.cards)
    return {name: cards - columns[name].count(None) for name in sorted(snapshot.shows)}
