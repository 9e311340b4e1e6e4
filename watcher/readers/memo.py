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

TARGETS = 50
"""Memos that are kept. One of a page of fifty papers takes a fifth of a megabyte."""
ITEMS = 100
"""Items that a memo keeps: the first of a page, those that move."""
_UNUSED = timedelta(days=1)

_START = b"{&quot;paper&quot;:{"
"""An item begins so, and nothing else does: inside a text a quote has a backslash before it."""
_STEP = re.compile(rb"&quot;(?:[^&\\]++|\\.|&(?!quot;))*+&quot;|[{}]", re.DOTALL)
"""A text, or a brace that stands in none."""
_NAMED = len(_START) + 48
"""Bytes at the head of an item that surely hold its id."""
_COUNTS = (b"&quot;upvotes&quot;:", b"&quot;numComments&quot;:", b"&quot;githubStars&quot;:")
_FOLLOWERS = b"&quot;followerCount&quot;:"
"""A number that moves and is never read."""
_NUMBERS = (*_COUNTS, _FOLLOWERS)
_NUMBER = re.compile(rb"(?:0|[1-9]\d{0,14})(?=[,}])")

_Counts = tuple[int | None, int | None, int | None]
"""(upvotes, comments, stars)"""


class Layout(NamedTuple):
    """Where the numbers of an item stand: all the bytes between them are always the same."""

    numbers: tuple[tuple[int, int], ...]
    """For each number the bytes before it, from the last one on, and its place in ``_NUMBERS``."""
    tail: int
    """Bytes after the last number, up to the item's end."""
    mark: int
    """CRC-32 of all those bytes."""


class Entry(NamedTuple):
    """An item that was read."""

    card: Card
    shows: frozenset[str]
    """The fields that its keys speak for."""
    layout: Layout


class Slot(NamedTuple):
    """An item's place on the page of now."""

    head: bytes
    layout: Layout | None
    """None for an item that cannot be known again: it has no end, or its counts are not certain."""
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


class Memo:
    """The items of one source's last page; each reading of a page leaves its own."""

    __slots__ = ("day", "entries")

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        """By the first bytes of each item."""
        self.day: date | None = None
        """The list day that the cards were given."""

    def __len__(self) -> int:
        return len(self.entries)

    def sift(self, body: bytes, span: tuple[int, int]) -> tuple[bytes, list[Slot]]:
        """An island's value, which stands in a body, without the items that are known; and the
        places of all items."""
        start, stop = span
        place = body.find(_START, start, stop)
        view, slots = memoryview(body)[:stop], []
        kept = [body[start:stop] if place < 0 else body[start:place]]
        while place >= 0:
            slot, end = self._recognise(body, view, place)
            if slot is None:
                end = body.find(_START, place + 1, stop)
                item = body[place : end if end >= 0 else stop]
                kept.append(item)
                slot = _survey(item)
            elif body.startswith(_START, end + 1, stop):
                end += 1  # the comma
            else:
                kept.append(body[end:stop])
                end = -1
            slots.append(slot)
            place = end
        return b"".join(kept), slots

    def _recognise(self, body: bytes, view: memoryview, place: int) -> tuple[Slot | None, int]:
        """The known item that begins here, and where it ends; None for any other. The ``view`` is
        of the body up to the island's end."""
        head = body[place : place + _NAMED]
        entry = self.entries.get(head)
        if entry is None:
            return None, place
        counts: list[int | None] = [None] * len(_NUMBERS)
        mark = 0
        for gap, which in entry.layout.numbers:
            begin = place + gap
            number = _NUMBER.match(body, begin)
            if number is None:
                return None, place
            mark = isal_zlib.crc32(view[place:begin], mark)
            place = number.end()
            counts[which] = int(number[0])
        end = place + entry.layout.tail
        if isal_zlib.crc32(view[place:end], mark) != entry.layout.mark:
            return None, place
        return Slot(head, entry.layout, (counts[0], counts[1], counts[2]), entry), end

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
        entries: dict[bytes, Entry] = {}
        fresh = iter(decoded)
        for slot in slots[:ITEMS]:
            if slot.entry is not None:
                entries[slot.head] = slot.entry
                by_id.pop(slot.entry.card.paper_id or "", None)
                continue
            item, layout = next(fresh), slot.layout
            card = by_id.pop(text.paper_id(item.paper.id) or "", None)  # not for its double
            if layout and card and slot.counts == (card.upvotes, card.comments, card.stars):
                entries[slot.head] = Entry(card, items.shown([item]), layout)
        self.entries, self.day = entries, day


def _survey(item: bytes) -> Slot:
    """Where an item's numbers stand, and what they are."""
    head, counts, spans = item[:_NAMED], [], []
    for which, name in enumerate(_NUMBERS):
        found = item.rfind(name)  # they stand near the end
        number = _NUMBER.match(item, found + len(name)) if found >= 0 else None
        counts.append(int(number[0]) if number else None)
        if number:
            spans.append((*number.span(), which))
    length = len(item) - 1 if item.endswith(b"},") else _end_of(item)
    if not length or any(item.count(name) > 1 for name in _COUNTS):
        return Slot(head, None, (None, None, None), None)  # a cut one, or two papers in one
    numbers, place, mark = [], 0, 0
    for begin, end, which in sorted(spans):
        numbers.append((begin - place, which))
        mark = isal_zlib.crc32(item[place:begin], mark)
        place = end
    mark = isal_zlib.crc32(item[place:length], mark)
    layout = Layout(tuple(numbers), length - place, mark)
    return Slot(head, layout, (counts[0], counts[1], counts[2]), None)


def _end_of(item: bytes) -> int:
    """The length of the last item of a list, behind which something else follows; 0: unknown."""
    depth = 0
    for step in _STEP.finditer(item):
        if step[0] == b"{":
            depth += 1
        elif step[0] == b"}":
            depth -= 1
            if not depth:
                return step.end()
    return 0


class Memos:
    """The memos of the targets that are visited, while all of them have room."""

    def __init__(self, limit: int = TARGETS) -> None:
        self._limit = limit
        self._memos: dict[str, tuple[Memo, datetime]] = {}
        self._crowded_until: datetime | None = None
        self._expected = 0

    def of(self, target: str, now: datetime) -> Memo | None:
        """The memo of a target; None when there are more targets than memos.

        Then nobody gets one for a day: so many targets are each visited too rarely to make it
        worth its memory.
        """
        memo, _ = self._memos.pop(target, (None, now))
        if memo is None:
            if self._is_crowded(now):
                return None
            memo = Memo()
        self._memos[target] = (memo, now)
        return memo

    def expect(self, targets: int) -> None:
        """So many targets will be visited from now on: when they are too many, nobody begins."""
        self._expected, self._crowded_until = targets, None
        if targets > self._limit:
            self._memos.clear()

    def _is_crowded(self, now: datetime) -> bool:
        if self._expected > self._limit:
            return True
        if self._crowded_until and now < self._crowded_until:
            return True
        if len(self._memos) < self._limit:
            return False
        oldest, (_, used) = next(iter(self._memos.items()))
        if now - used >= _UNUSED:
            del self._memos[oldest]
            return False
        self._memos.clear()
        self._crowded_until = now + _UNUSED
        return True
