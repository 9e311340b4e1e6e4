"""Doubt: is a page what it seems?

Owns the decision to put a page into quarantine: one that contradicts itself, or what the same
page showed earlier, is not judged; one that is merely short is. Pure: a snapshot and what is
remembered of the source's last judged page go in. Must not read pages or tell anyone.
"""

from __future__ import annotations

import array
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import compress
from operator import sub

from watcher.clock import to_unix
from watcher.model import Columns, PageKind, ReaderName, Snapshot, Value, columns_of

SAME_DAY = 86_400
"""Seconds for which a page may be held against what it showed; after that it may be another."""
LONG = 7 * SAME_DAY
"""Seconds for which counts and titles of the same papers may be."""
LEAST = 5
"""Fewer papers than this prove nothing."""
SMALL = 8
"""A page of fewer papers may show quite others half an hour later."""

_FALL, _LEAP = 3, 50
"""Votes that fall or rise by no more are nothing odd."""
_UNKNOWN = -1
_MOST = 2**31 - 1


# --- what is remembered of a source ----------------------------------------------------------


class Reference(Value, frozen=True, kw_only=True):
    """What a source's last judged page showed, packed: there may be ten thousand of them.

    The arrays run side by side, one place per paper that has an id.
    """

    at: int
    """Unix seconds."""
    kind: PageKind | None = None
    listed_on: date | None = None
    reader: ReaderName | None = None
    """None: from the store after a restart, so titles cannot be compared letter by letter."""
    ids: array.array[int]
    titles: array.array[int]
    upvotes: array.array[int]
    stars: array.array[int]
    cards: int
    """All cards, those without an id too."""


def reference_of(snapshot: Snapshot, columns: Columns | None = None) -> Reference:
    """A judged snapshot as the next one will be held against it."""
    columns = columns or columns_of(snapshot)
    named = columns["paper_id"]
    if not all(named):
        columns = {name: tuple(compress(values, named)) for name, values in columns.items()}
    return Reference(
        at=to_unix(snapshot.taken_at),
        kind=snapshot.kind,
        listed_on=snapshot.listed_on,
        reader=snapshot.reader,
        ids=array.array("q", map(hash, columns["paper_id"])),
        titles=array.array("q", map(hash, columns["title"])),
        upvotes=array.array("i", _numbers(columns["upvotes"])),
        stars=array.array("i", _numbers(columns["stars"])),
        cards=len(snapshot.cards),
    )


def remembered_reference(
    at: int,
    papers: Sequence[tuple[str | None, int | None, int | None]],
    *,
    kind: PageKind | None,
    listed_on: date | None,
) -> Reference:
    """The same from the store: ``(arxiv_id, upvotes, stars)`` of the last judged page's papers."""
    known = [paper for paper in papers if paper[0]]
    return Reference(
        at=at,
        kind=kind,
        listed_on=listed_on,
        ids=array.array("q", [hash(name) for name, _, _ in known]),
        titles=array.array("q"),
        upvotes=array.array("i", _numbers(upvotes for _, upvotes, _ in known)),
        stars=array.array("i", _numbers(stars for _, _, stars in known)),
        cards=len(papers),
    )


def _numbers(values: Iterable[int | None]) -> list[int]:
    return [_UNKNOWN if value is None else max(min(value, _MOST), _UNKNOWN) for value in values]


# --- quarantine ------------------------------------------------------------------------------


def contradictions(
    snapshot: Snapshot,
    reference: Reference | None,
    by_cards: Snapshot | None = None,
    *,
    columns: Columns | None = None,
    fresh: Reference | None = None,
) -> tuple[str, ...]:
    """Why a page must not be judged; empty when it may be.

    ``by_cards`` is the same page read by its cards, when that was done; ``columns`` and
    ``fresh`` are the snapshot's own, where the caller has them. What rests on the past lapses
    with time: after a day a page may show other papers, after a week other counts.
    """
    columns = columns or columns_of(snapshot)
    found = [*_with_itself(snapshot, columns)]
    if by_cards is not None:
        found += _with_its_cards(snapshot, by_cards)
    if reference is not None:
        fresh = fresh or reference_of(snapshot, columns)
        age = fresh.at - reference.at
        if 0 <= age <= LONG:
            found += _with_its_counts(fresh, reference)
        if 0 <= age <= SAME_DAY:
            found += _with_its_past(snapshot, fresh, reference)
    return tuple(found)


def _with_itself(snapshot: Snapshot, columns: Columns) -> Iterable[str]:
    cards = len(snapshot.cards)
    ids = [name for name in columns["paper_id"] if name]
    if len(ids) >= LEAST and len(set(ids)) < 0.7 * len(ids):
        yield f"{len(ids) - len(set(ids))} of {len(ids)} cards repeat a paper"
    tomorrow = (snapshot.taken_at + timedelta(days=2)).date()
    both = zip(columns["published_on"], columns["listed_on"], strict=True)
    ahead = len([1 for a, b in both if (a and a > tomorrow) or (b and b > tomorrow)])
    if ahead >= LEAST and ahead > cards / 2:
        yield f"{ahead} of {cards} papers are dated in the future"


def _with_its_cards(snapshot: Snapshot, by_cards: Snapshot) -> Iterable[str]:
    """The island is what is judged: what it lacks, or nobody sees, is a contradiction."""
    ours = {card.paper_id for card in snapshot.cards if card.paper_id}
    theirs = {card.paper_id for card in by_cards.cards if card.paper_id}
    only_theirs = len(theirs - ours)
    if only_theirs >= LEAST and only_theirs > 0.2 * len(theirs):
        yield f"{only_theirs} of {len(theirs)} papers among the cards are not in the island"


def _with_its_past(snapshot: Snapshot, fresh: Reference, reference: Reference) -> Iterable[str]:
    """The same page, earlier that day. A page of another day says nothing about this one."""
    if reference.cards < SMALL:
        return
    ago = _ago(fresh, reference)
    if snapshot.kind is not None and reference.kind not in (None, snapshot.kind):
        yield f"it is a {snapshot.kind} page, {ago} it was a {reference.kind} page"
        return
    if _began_anew(snapshot, reference):
        return
    now, before = fresh.cards, reference.cards
    nameless = now - len(fresh.ids)
    if len(reference.ids) > 0.8 * before and nameless > 0.5 * now and nameless >= 3:
        yield f"{nameless} of {now} papers have no id, {ago} nearly all had one"
        return
    kept = len(set(fresh.ids).intersection(reference.ids))
    if now < 0.5 * before and kept < 0.5 * before:
        yield f"it shows {now} papers, {ago} it showed {before}"
    elif kept < 0.1 * len(reference.ids) and now < 3 * before and nameless < now / 2:
        yield f"it shows {kept} of the {before} papers that it showed {ago}"


def _began_anew(snapshot: Snapshot, reference: Reference) -> bool:
    """Whether the list is that of another day, week or month, and rightly another one."""
    if None not in (snapshot.listed_on, reference.listed_on):
        return snapshot.listed_on != reference.listed_on
    now = snapshot.taken_at.astimezone(UTC).date()
    then = datetime.fromtimestamp(reference.at, UTC).date()
    if snapshot.kind is PageKind.WEEK:
        return now.isocalendar()[:2] != then.isocalendar()[:2]
    if snapshot.kind is PageKind.MONTH:
        return (now.year, now.month) != (then.year, then.month)
    return snapshot.kind in (None, PageKind.DAILY) and now != then


def _with_its_counts(fresh: Reference, reference: Reference) -> Iterable[str]:
    """The same papers, other titles; or votes that fell or leapt, which all at once they never
    do."""
    if fresh.ids == reference.ids and _is_calm(fresh, reference):
        return
    place = dict(zip(reference.ids, range(len(reference.ids)), strict=True))
    both = [(i, then) for i, then in enumerate(map(place.get, fresh.ids)) if then is not None]
    if len(both) < LEAST:
        return
    ago = _ago(fresh, reference)
    if reference.reader is fresh.reader:
        titles, known = fresh.titles, reference.titles
        other = len([1 for i, then in both if titles[i] != known[then]])
        if other > len(both) / 2:
            yield f"{other} of {len(both)} papers have another title than {ago}"
    for field, now, before in (
        ("upvotes", fresh.upvotes, reference.upvotes),
        ("stars", fresh.stars, reference.stars),
    ):
        counted = [(before[then], now[i]) for i, then in both]
        pairs = [(old, value) for old, value in counted if _UNKNOWN not in (old, value)]
        fell = len([1 for old, value in pairs if value < old - _FALL and value < 0.9 * old])
        leapt = len([1 for old, value in pairs if value > 10 * old + _LEAP])
        for count, word in ((fell, "fell"), (leapt, "leapt up")):
            if count >= LEAST and count > len(pairs) / 2:
                yield f"{field} of {count} of {len(pairs)} papers {word} since {ago}"


def _is_calm(fresh: Reference, reference: Reference) -> bool:
    """Whether the same papers in the same order surely have nothing odd: the usual case."""
    if reference.reader is fresh.reader and fresh.titles != reference.titles:
        return False
    moved = [
        *map(sub, fresh.upvotes, reference.upvotes),
        *map(sub, fresh.stars, reference.stars),
    ]
    return not moved or (min(moved) >= -_FALL and max(moved) <= _LEAP)


def _ago(fresh: Reference, reference: Reference) -> str:
    minutes = max(0, fresh.at - reference.at) // 60
    return f"{minutes} min ago" if minutes < 120 else f"{minutes // 60} h ago"
