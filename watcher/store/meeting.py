"""Meeting a page: its cards find their papers, and what moved becomes a sighting. The hot path.

Owns who a card is, which of its counts are believed, and how much of the past a visit reads:
the last hour of each paper, further back only when somebody asks. So the cost depends on the
page, never on how much is remembered. Shares the tables of ``papers.py``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from watcher.clock import to_unix
from watcher.identity import title_hash
from watcher.model import Card, Counts, History, Look, PageKind, Place, Snapshot
from watcher.store.words import ALL_TOLD, RICHNESS, Words, listing

_HOUR = 3_600
_DAY = 86_400
_WEEK = 7 * _DAY
_encode = msgspec.json.Encoder().encode

LookRow = tuple[int, int, int | None, int | None, int | None]
"""(at, source, upvotes, comments, stars)"""
_Seen = tuple[int | None, int | None, int | None]
"""(upvotes, comments, stars)"""
_NOTHING: _Seen = (None, None, None)


class _Known:
    """A row of ``papers`` while a visit works on it."""

    __slots__ = (
        "comments",
        "fingerprint",
        "first_seen_at",
        "key",
        "listed_at",
        "listed_exact",
        "listed_on",
        "richness",
        "row",
        "stars",
        "told",
        "upvotes",
    )

    def __init__(self, values: Sequence[Any]) -> None:
        (
            self.row,
            self.key,
            self.first_seen_at,
            self.listed_on,
            self.listed_at,
            self.listed_exact,
            self.upvotes,
            self.comments,
            self.stars,
            self.richness,
            self.fingerprint,
            self.told,
        ) = values


_KNOWN = (
    "id, key, first_seen_at, listed_on, listed_at, listed_exact, upvotes, comments, stars,"
    " richness, fingerprint, told"
)
_LOOK = "at, source, upvotes, comments, stars"
_LAST_HOUR = (
    "select s.paper, s.at, s.source, s.upvotes, s.comments, s.stars"
    " from json_each(?1) asked cross join sightings s"
    " on s.paper = asked.value and s.at >= ?2 - 3600 and s.at <= ?2"
)
_BEFORE = (
    "select s.paper, s.at, s.source, s.upvotes, s.comments, s.stars"
    " from json_each(?1) asked cross join sightings s on s.paper = asked.value and s.at ="
    " (select at from sightings where paper = asked.value and at < ?2 - 3600 and {}"
    "  order by at desc limit 1)"
)
_LAST_BEFORE = (
    _BEFORE.format("source = ?3")
    + " and s.source = ?3 union "
    + _BEFORE.format("upvotes is not null")
    + " order by 1, 2, 3"
)
"""What each paper's last of this source was, and its last known, before the last hour."""


def _hour_ago(hours: int) -> str:
    """The looks of the hour that ended so long ago, and back to the last known before it."""
    end, begin = f"?2 - {hours * _HOUR}", f"?2 - {(hours + 1) * _HOUR}"
    return (
        f"select {_LOOK} from sightings where paper = ?1 and at <= {end} and at >= coalesce("
        f"(select at from sightings where paper = ?1 and at < {begin} and upvotes is not null"
        f" order by at desc limit 1), {begin})"
    )


_FURTHER = (
    f"{_hour_ago(24)} union {_hour_ago(48)} union select {_LOOK} from sightings"
    " where paper = ?1 and at = (select at from sightings where paper = ?1"
    " and upvotes is not null order by at limit 1) order by 1, 2"
)


class Falls:
    """Counts of one source that fell by more than three and are not believed yet."""

    def __init__(
        self, conn: sqlite3.Connection, source: int, seen: dict[tuple[int, str], int]
    ) -> None:
        self._conn = conn
        self._source = source
        self._seen = seen

    def __bool__(self) -> bool:
        return bool(self._seen)

    def see(self, paper: int, field: str, value: int, before: int) -> int:
        """The count to believe of a fall: the old one, until the third visit in a row."""
        times = self._seen.get((paper, field), 0) + 1
        if times >= 3:
            self.forget(paper, field)
            return value
        self._seen[paper, field] = times
        self._conn.execute(
            "insert into falls (paper, source, field, seen) values (?, ?, ?, ?)"
            " on conflict do update set seen = excluded.seen",
            (paper, self._source, field, times),
        )
        return before

    def forget(self, paper: int, field: str) -> None:
        """The count is back, or believed."""
        if self._seen.pop((paper, field), None) is not None:
            self._conn.execute(
                "delete from falls where paper = ? and source = ? and field = ?",
                (paper, self._source, field),
            )


class _Visit(NamedTuple):
    """What is the same for all cards of a page."""

    source: int
    at: int
    snapshot: Snapshot
    falls: Falls
    size: int
    """Different papers on the page."""
    newest: bool
    """Nothing newer can be stored."""


class Met:
    """A paper as a visit met it: remembered, with the page laid over.

    Its history is made when it is asked for: of most papers no rule asks.
    """

    __slots__ = (
        "_meetings",
        "_paper",
        "_rank",
        "_visit",
        "card",
        "fresh",
        "key",
        "moved",
        "row",
        "seen",
        "trail",
        "words",
    )

    def __init__(
        self, meetings: Meetings, visit: _Visit, paper: _Known, card: Card, rank: int
    ) -> None:
        self.row: int = paper.row
        self.key: str = paper.key
        self.card = card
        self.fresh = False
        """Never seen before."""
        self.moved = False
        """A count differs from this source's last, or this source shows it for the first time."""
        self.words = 0
        """Changes with the paper's words; 0 when other words are known than the card tells."""
        self._meetings = meetings
        self._visit = visit
        self._paper = paper
        self._rank = rank
        self.seen = _NOTHING
        """``counts``, bare."""
        self.trail: list[LookRow] = []
        """The looks of ``history``, bare."""

    @property
    def counts(self) -> Counts:
        """Latest known, the page's first."""
        upvotes, comments, stars = self.seen
        return Counts(upvotes=upvotes, comments=comments, stars=stars)

    @property
    def most(self) -> int | None:
        """No source showed more votes in the last hour, nor was more known before; None when no
        votes are known."""
        return max((look[2] for look in self.trail if look[2] is not None), default=None)

    @property
    def history(self) -> History:
        """The last hour: its looks and the last known before, and the place on this page."""
        paper, visit = self._paper, self._visit
        here = Place(at=visit.at, source=visit.source, rank=self._rank, page_size=visit.size)
        return History(
            listed_at=paper.listed_at,
            listed_exact=bool(paper.listed_exact),
            first_seen_at=paper.first_seen_at,
            looks=tuple(map(look_of, dict.fromkeys(self.trail))),
            places=(here,) if visit.snapshot.kind is PageKind.TRENDING else (),
        )

    def further(self) -> History:
        """The history with all of the past that a case may ask of."""
        return self._meetings.further(self.row, self.history)


class Meetings:
    """Every statement of a visit about papers and sightings."""

    def __init__(self, conn: sqlite3.Connection, history: Callable[[int, int], History]) -> None:
        """``history`` tells everything remembered of a paper up to a time."""
        self._conn = conn
        self._history = history
        self._words = Words(conn)
        self._newest = 2**53
        """Time of the newest snapshot met over this connection; at first every one is old."""

    def meet(self, source: int, snapshot: Snapshot, *, live: bool = True) -> tuple[Met, ...]:
        """See ``Papers.meet``."""
        at = to_unix(snapshot.taken_at)
        who = self._who(snapshot, at)
        trails = self._trails([paper.row for paper, _, fresh in who if not fresh], source, at)
        visit = _Visit(
            source, at, snapshot, self._falls(source), len(who), live and at >= self._newest
        )
        met = []
        sightings = []
        updates = []
        for rank, (paper, card, fresh) in enumerate(who, 1):
            one = Met(self, visit, paper, card, rank)
            before = (paper.upvotes, paper.comments, paper.stars, paper.fingerprint)
            mark = self._words.fingerprint(card)
            if not fresh:
                self._relist(paper, card, visit)
            if mark != paper.fingerprint:
                self._reword(paper, card, visit, mark)
            trail = trails.get(paper.row, [])
            last = next((look[2:] for look in reversed(trail) if look[1] == source), None)
            seen, one.moved = _counts(visit, paper, card, last)
            if one.moved:
                sightings.append((paper.row, at, source, *seen))
            trail.append((at, source, *seen))
            latest = visit.newest or fresh or not self._has_newer(paper.row, at)
            if latest:
                _lay_over(paper, seen)
            after = (paper.upvotes, paper.comments, paper.stars, paper.fingerprint)
            if after != before:
                updates.append((*after, paper.row))
            if mark == paper.fingerprint and not paper.told & ~mark:
                one.words = mark
            one.fresh, one.trail = fresh, trail
            one.seen = after[:3] if latest or not live else self._known_by(paper.row, trail[-1])
            met.append(one)
        self._write(sightings, updates)
        if snapshot.kind is PageKind.TRENDING:
            self._place([m.row for m in met], source, at)
        self._newest = at if self._newest == 2**53 else max(self._newest, at)
        return tuple(met)

    def _write(self, sightings: list[tuple[Any, ...]], updates: list[tuple[Any, ...]]) -> None:
        self._conn.executemany(
            f"insert into sightings (paper, {_LOOK}) values (?, ?, ?, ?, ?, ?)"
            " on conflict do nothing",
            sightings,
        )
        self._conn.executemany(
            "update papers set upvotes = ?, comments = ?, stars = ?, fingerprint = ? where id = ?",
            updates,
        )

    # --- the past ---

    def _trails(self, rows: Sequence[int], source: int, at: int) -> dict[int, list[LookRow]]:
        """Per paper the looks of the last hour, in time order; where those leave it open what
        this source showed last or what was known last, these looks too."""
        found: dict[int, list[LookRow]] = {}
        asked = _encode(rows).decode()
        for row in self._conn.execute(_LAST_HOUR, (asked, at)):
            found.setdefault(row[0], []).append(row[1:])
        open_ones = [row for row in rows if not _settled(found.get(row, ()), source)]
        if open_ones:
            earlier: dict[int, list[LookRow]] = {}
            asked = _encode(open_ones).decode()
            for row in self._conn.execute(_LAST_BEFORE, (asked, at, source)):
                earlier.setdefault(row[0], []).append(row[1:])
            for paper, looks in earlier.items():
                found[paper] = looks + found.get(paper, [])
        return found

    def further(self, row: int, history: History) -> History:
        """A visit's history of a paper, with the hours one and two days ago, the first look and
        the places of the week: all that a case asks of the past."""
        here = history.looks[-1]
        past = map(look_of, self._conn.execute(_FURTHER, (row, here.at)))
        places = self.places(row, here.source, here.at - 1) if history.places else ()
        return msgspec.structs.replace(
            history,
            # What the visit read has gaps too: its own last may be older than the last known.
            looks=tuple(sorted({*past, *history.looks}, key=attrgetter("at", "source"))),
            places=(*places, *history.places),
        )

    def _has_newer(self, paper: int, at: int) -> bool:
        row = self._conn.execute(
            "select 1 from sightings where paper = ? and at > ? limit 1", (paper, at)
        ).fetchone()
        return row is not None

    def _known_by(self, paper: int, here: LookRow) -> _Seen:
        """The counts known when a page was seen, where newer sightings are stored already."""
        history = self._history(paper, here[0])
        known = msgspec.structs.replace(history, looks=(*history.looks, look_of(here))).counts
        return known.upvotes, known.comments, known.stars

    def _falls(self, source: int) -> Falls:
        rows = self._conn.execute(
            "select paper, field, seen from falls where source = ?", (source,)
        )
        return Falls(self._conn, source, {(paper, field): n for paper, field, n in rows})

    # --- who is it? ---

    def _who(self, snapshot: Snapshot, at: int) -> list[tuple[_Known, Card, bool]]:
        """The paper of each card, in the page's order and each once; True for a fresh one."""
        known = self._known(snapshot.cards)
        found: dict[int, tuple[_Known, Card, bool]] = {}
        for card in snapshot.cards:
            paper, fresh = known.get(card.paper_id) if card.paper_id else None, False
            if paper is None:
                paper, fresh = self._resolve(card, snapshot, at)
                if card.paper_id:
                    known[card.paper_id] = paper
            if paper.row not in found:
                found[paper.row] = (paper, card, fresh)
        return list(found.values())

    def _known(self, cards: Iterable[Card]) -> dict[str, _Known]:
        ids = _encode([card.paper_id for card in cards if card.paper_id]).decode()
        rows = self._conn.execute(
            f"select arxiv_id, {_KNOWN} from papers"
            " where arxiv_id in (select value from json_each(?))",
            (ids,),
        )
        return {row[0]: _Known(row[1:]) for row in rows}

    def _resolve(self, card: Card, snapshot: Snapshot, at: int) -> tuple[_Known, bool]:
        """The row of a card that no arXiv id led to, made when it is new."""
        name = title_hash(card.title)
        rows = self._conn.execute(
            # Also by its name at birth: its title may be another by now.
            f"select {_KNOWN}, arxiv_id from papers where title_hash = ?1 or key = 't:' || ?1"
            " limit 3",
            (name,),
        ).fetchall()
        if card.paper_id is None:
            mine = [row for row in rows if row[1] == f"t:{name}"] or rows
            if rows and (len(rows) == 1 or mine is not rows):
                return _Known(mine[0][:-1]), False
        else:
            nameless = [row for row in rows if row[-1] is None]
            if len(nameless) == 1 and len(rows) == 1:
                self._conn.execute(
                    "update papers set arxiv_id = ? where id = ?", (card.paper_id, rows[0][0])
                )
                return _Known(rows[0][:-1]), False
        return self._add(card, snapshot, name, at), True

    def _add(self, card: Card, snapshot: Snapshot, name: str, at: int) -> _Known:
        listed_on, listed_at, exact = listing(card, snapshot)
        richness, mark = RICHNESS[snapshot.reader], self._words.fingerprint(card)
        row = self._conn.execute(
            "insert into papers (key, arxiv_id, title_hash, first_seen_at, listed_on, listed_at,"
            " listed_exact, richness, fingerprint, told) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            f" returning {_KNOWN}",
            (
                card.paper_id or f"t:{name}",
                card.paper_id,
                name,
                at,
                listed_on,
                listed_at,
                int(exact),
                richness,
                mark,
                mark & ALL_TOLD,
            ),
        ).fetchone()
        known = _Known(row)
        self._words.add(known.row, card)
        return known

    def _relist(self, paper: _Known, card: Card, visit: _Visit) -> None:
        """Keep the best knowledge of when a paper was listed: exact beats first seen."""
        snapshot, at = visit.snapshot, visit.at
        if paper.listed_exact and at >= paper.first_seen_at:
            return
        listed_on, listed_at, exact = listing(card, snapshot)
        better = listed_at is not None and not paper.listed_exact
        if better and not exact:
            better = paper.listed_at is None or listed_at < paper.listed_at
        first = min(paper.first_seen_at, at)
        if not better and first == paper.first_seen_at:
            return
        if better:
            self._words.keep_before(
                paper.row,
                at,
                {"listed_at": paper.listed_at, "listed_exact": bool(paper.listed_exact)},
                source=visit.source,
            )
            paper.listed_at, paper.listed_exact = listed_at, int(exact)
            paper.listed_on = listed_on or paper.listed_on
        paper.first_seen_at = first
        self._conn.execute(
            "update papers set listed_on = ?, listed_at = ?, listed_exact = ?, first_seen_at = ?"
            " where id = ?",
            (paper.listed_on, paper.listed_at, paper.listed_exact, first, paper.row),
        )

    def _reword(self, paper: _Known, card: Card, visit: _Visit, mark: int) -> None:
        """Lay the card's words over the known ones; ``mark`` is their fingerprint."""
        snapshot, at = visit.snapshot, visit.at
        richness = RICHNESS[snapshot.reader]
        richer = richness >= paper.richness
        newest = self._conn.execute(
            "select max(at) from sightings where paper = ?", (paper.row,)
        ).fetchone()[0]
        newer = newest is None or at >= newest
        self._words.merge(paper.row, card, at=at, source=visit.source, richer=richer, newer=newer)
        told = paper.told | mark & ALL_TOLD
        if told != paper.told:
            self._conn.execute("update papers set told = ? where id = ?", (told, paper.row))
            paper.told = told
        if not (richer and newer):
            return
        paper.fingerprint = mark
        self._conn.execute(
            "update papers set richness = ?, title_hash = ? where id = ?",
            (richness, title_hash(card.title), paper.row),
        )

    # --- ranks ---

    def _place(self, rows: Sequence[int], source: int, at: int) -> None:
        """Remember the worst rank of each day."""
        size, day = len(rows), at // _DAY
        self._conn.executemany(
            "insert into places (paper, source, day, at, rank, page_size)"
            " values (?, ?, ?, ?, ?, ?) on conflict do update"
            " set rank = excluded.rank, at = excluded.at, page_size = excluded.page_size"
            " where excluded.rank > rank",
            [(row, source, day, at, rank, size) for rank, row in enumerate(rows, 1)],
        )

    def places(self, paper: int, source: int | None, until: int) -> tuple[Place, ...]:
        """The worst place of each day of the last week, in time order."""
        rows = self._conn.execute(
            "select at, source, rank, page_size from places"
            " where paper = ?1 and (?2 is null or source = ?2) and at <= ?3 and at >= ?3 - ?4"
            " order by at",
            (paper, source, until, _WEEK),
        )
        return tuple(Place(at=a, source=s, rank=r, page_size=n) for a, s, r, n in rows)


# --- what is believed ---------------------------------------------------------------------


def _counts(visit: _Visit, paper: _Known, card: Card, last: _Seen | None) -> tuple[_Seen, bool]:
    """A card's counts as they are to be stored, and whether they say anything new."""
    rounded, falls = visit.snapshot.rounded, visit.falls
    upvotes = card.upvotes
    if upvotes is None and card.dashed and paper.listed_at is not None:
        upvotes = 0
    shown = (upvotes, card.comments, card.stars)
    if shown == last and not falls and not rounded:
        return last, False
    seen = _believed(visit, paper, shown, last or _NOTHING)
    if last is None or _differs(seen, last, rounded):
        return seen, True
    return last, False  # a rounded count that agrees is the exact one


def _believed(visit: _Visit, paper: _Known, shown: _Seen, last: _Seen) -> _Seen:
    """A count that a rounded page cannot contradict keeps its exact value; one that fell by
    more than three is not believed until three visits have seen it."""
    falls, rounded = visit.falls, visit.snapshot.rounded
    seen = list(shown)
    for i, field in enumerate(("upvotes", "comments", "stars")):
        value, before = shown[i], last[i]
        if value is None:
            # A source that has shown a count and now does not: its last holds.
            seen[i] = before
            continue
        exact = getattr(paper, field) if rounded else None
        if field in rounded and exact is not None and agrees(value, exact):
            seen[i] = exact
        elif before is not None and value < before - 3:
            seen[i] = falls.see(paper.row, field, value, before)
        elif falls:
            falls.forget(paper.row, field)
    return seen[0], seen[1], seen[2]


def agrees(rounded: int, exact: int) -> bool:
    """True when a count abbreviated to three digits can stand for an exact one."""
    if rounded == exact:
        return True
    step: int = 10 ** max(len(str(rounded)) - 3, 0)
    return step > 1 and abs(rounded - exact) < step


def _differs(
    seen: Sequence[int | None], last: Sequence[int | None], rounded: frozenset[str]
) -> bool:
    if seen[0] != last[0] or seen[1] != last[1]:
        return True
    now, then = seen[2], last[2]
    if now == then or now is None or then is None:
        return now != then
    return "stars" not in rounded or not agrees(now, then)


def _lay_over(paper: _Known, seen: Sequence[int | None]) -> None:
    if seen[0] is not None:
        paper.upvotes = seen[0]
    if seen[1] is not None:
        paper.comments = seen[1]
    if seen[2] is not None:
        paper.stars = seen[2]


def _settled(looks: Sequence[LookRow], source: int) -> bool:
    """Whether these looks tell what the source showed last and what was known last."""
    mine = any(look[1] == source for look in looks)
    return mine and any(look[2] is not None for look in looks)


def look_of(row: Sequence[Any]) -> Look:
    """A row of ``sightings`` (``LookRow``) as a value."""
    return Look(at=row[0], source=row[1], upvotes=row[2], comments=row[3], stars=row[4])
