"""What a source's last island said, so that an item that says it again is not decoded again.

Owns the sifting of an island's raw value: an item whose bytes are those of the last visit but
for its counts gives last time's card with the counts of now; all others are left to the decoder.
An item is known only by its own earlier bytes, read in full from the same source. Must not
change what a page says: with a memo or without, the snapshot is the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec
from isal import isal_zlib

from watcher.model import Card
from watcher.readers import items, text
from watcher.readers.items import Item

TARGETS = 100
"""Memos that are kept. One of a page of fifty papers takes a quarter of a megabyte."""
ITEMS = 100
"""Items that a memo keeps: the first of a page, those that move."""
_UNUSED = timedelta(days=1)

_START = b"{&quot;paper&quot;:{"
"""An item begins so, and nothing else does: inside a text a quote has a backslash before it."""
_END = b"},"
_NAMED = 48
"""Bytes of an item that surely hold its id."""
_COUNTS = (b"&quot;upvotes&quot;:", b"&quot;numComments&quot;:", b"&quot;githubStars&quot;:")
_FOLLOWERS = b"&quot;followerCount&quot;:"
"""A number that moves and is never read."""
_NUMBERS = (*_COUNTS, _FOLLOWERS)
_NUMBER = re.compile(rb"(?:0|[1-9]\d{0,14})(?=[,}])")

_Key = tuple[bytes, int, int]
_Counts = tuple[int | None, int | None, int | None]
"""(upvotes, comments, stars)"""


class Entry(NamedTuple):
    """An item that was read."""

    card: Card
    shows: frozenset[str]
    """The fields that its keys speak for."""


class Slot(NamedTuple):
    """An item's place on the page of now."""

    key: _Key | None
    """None for an item that cannot be known again: its end or its counts are not certain."""
    counts: _Counts
    entry: Entry | None
    """None when it has to be decoded."""

    @property
    def card(self) -> Card | None:
        """The known card with the counts of now."""
        if self.entry is None:
            return None
        card = self.entry.card
        if self.counts == (card.upvotes, card.comments, card.stars):
            return card
        upvotes, comments, stars = self.counts
        return msgspec.structs.replace(card, upvotes=upvotes, comments=comments, stars=stars)


_UNKNOWN = Slot(None, (None, None, None), None)


class Memo:
    """The items of one source's last page; each reading of a page leaves its own."""

    __slots__ = ("day", "entries")

    def __init__(self) -> None:
        self.entries: dict[_Key, Entry] = {}
        self.day: date | None = None
        """The list day that the cards were given."""

    def __len__(self) -> int:
        return len(self.entries)

    def sift(self, value: bytes) -> tuple[bytes, list[Slot]]:
        """An island's value without the items that are known, and the places of all items."""
        head, *parts = value.rsplit(_START)  # from the end it is twice as fast
        kept, slots = [head], []
        for part in parts:
            slot = self._slot(part)
            slots.append(slot)
            if slot.entry is None:
                kept += (_START, part)
        return b"".join(kept), slots

    def _slot(self, part: bytes) -> Slot:
        if not part.endswith(_END):  # the last of a list, or none of a list
            return _UNKNOWN
        spans, counts = [], []
        for name in _NUMBERS:
            found = part.rfind(name)  # they stand near the end
            number = _NUMBER.match(part, found + len(name)) if found >= 0 else None
            counts.append(int(number[0]) if number else None)
            if number:
                spans.append(number.span())
        spans.sort()
        mark = size = place = 0
        for begin, end in spans:
            mark = isal_zlib.crc32(part[place:begin], mark)
            size += begin - place
            place = end
        key = (part[:_NAMED], isal_zlib.crc32(part[place:], mark), size + len(part) - place)
        entry = self.entries.get(key)
        if entry is None and any(part.count(name) > 1 for name in _COUNTS):
            return _UNKNOWN
        return Slot(key, (counts[0], counts[1], counts[2]), entry)

    def forget(self) -> None:
        """Every item is to be decoded."""
        self.entries = {}

    def learn(
        self,
        slots: Sequence[Slot],
        decoded: Sequence[Item],
        cards: Sequence[Card],
        day: date | None,
    ) -> None:
        """Keep what a page said: the known items, and the ``decoded`` ones of the other slots.

        An item whose counts were not found where they were looked for is not kept.
        """
        by_id = {card.paper_id: card for card in cards if card.paper_id}
        entries: dict[_Key, Entry] = {}
        fresh = iter(decoded)
        for slot in slots[:ITEMS]:
            if slot.entry is not None and slot.key is not None:
                entries[slot.key] = slot.entry
                continue
            item = next(fresh)
            card = by_id.get(text.paper_id(item.paper.id) or "")
            if slot.key and card and slot.counts == (card.upvotes, card.comments, card.stars):
                entries[slot.key] = Entry(card, items.shown([item]))
        self.entries, self.day = entries, day


class Memos:
    """The memos of the targets that are visited, as many as memory allows."""

    def __init__(self, limit: int = TARGETS) -> None:
        self._limit = limit
        self._memos: dict[str, tuple[Memo, datetime]] = {}

    def of(self, target: str, now: datetime) -> Memo | None:
        """The memo of a target; None when there is no room for one more.

        Whoever has one keeps it (among more targets than memos, giving each the oldest would
        leave none with its own), unless it was not asked for all day.
        """
        memo, _ = self._memos.pop(target, (None, now))
        if memo is None:
            if len(self._memos) >= self._limit and not self._drop_unused(now):
                return None
            memo = Memo()
        self._memos[target] = (memo, now)
        return memo

    def _drop_unused(self, now: datetime) -> bool:
        target, (_, used) = next(iter(self._memos.items()))
        if now - used < _UNUSED:
            return False
        del self._memos[target]
        return True
