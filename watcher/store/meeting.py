"""Meeting a page: its cards find their papers, and what moved becomes a sighting. The hot path.

Owns who a card is, what is written of it, and how much of the past a visit reads:
the last hour of each paper, further back only when somebody asks. So the cost depends on the
page, never on how much is remembered. Shares the tables of ``papers.py``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from watcher.clock import to_unix
from watcher.growth import HELD_BY
from watcher.identity import title_hash
from watcher.model import Card, Counts, History, PageKind, Place, Snapshot
from watcher.store.belief import NOTHING, Falls, Seen, believe
from watcher.store.trail import BY_TIME, FOREVER, HOUR, KNOWN, Known, LookRow, look_of
from watcher.store.words import ALL_TOLD, RICHNESS, Words, listing

_DAY = 86_400
_WEEK = 7 * _DAY
_encode = msgspec.json.Encoder().encode

_LOOKED_BACK = HOUR + 600
"""Seconds that are read: visits are not written down in the order they began."""
RECENT = 2_500
"""Papers kept in hand between visits, at about a kilobyte each."""

_LOOK = "at, source, upvotes, comments, stars"
_LAST_HOUR = (
    "select s.paper, s.at, s.source, s.upvotes, s.comments, s.stars"
    " from json_each(?1) asked cross join sightings s"
    f" on s.paper = asked.value and s.at >= ?2 - {_LOOKED_BACK} and s.at <= ?3"
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

_MANY = 25
"""Rows that one statement writes."""
_INTO = f"insert into sightings (paper, {_LOOK}) values "
_INSERT, _INSERTS = (
    f"{_INTO}{', '.join(['(?, ?, ?, ?, ?, ?)'] * rows)} on conflict do nothing"
    for rows in (1, _MANY)
)
_UPDATE = "update papers set upvotes = ?, comments = ?, stars = ?, fingerprint = ? where id = ?"
_UPDATES = (
    "update papers set upvotes = v.column1, comments = v.column2, stars = v.column3,"
    f" fingerprint = v.column4 from (values {', '.join(['(?, ?, ?, ?, ?)'] * _MANY)}) v"
    " where id = v.column5"
)


def _hour_ago(hours: int) -> str:
    """The looks of the hour that ended so long ago, and back to the last known before it; and
    those that tell which count held then."""
    end, begin = f"?2 - {hours * HOUR}", f"?2 - {(hours + 1) * HOUR}"
    return (
        f"select {_LOOK} from (select {_LOOK} from sightings where paper = ?1 and at <= {end}"
        f" and at >= {end} - {_WEEK} and upvotes is not null order by at desc, source desc"
        f" limit {HELD_BY}) union all "
        f"select {_LOOK} from sightings where paper = ?1 and at <= {end} and at >= coalesce("
        f"(select at from sightings where paper = ?1 and at < {begin} and upvotes is not null"
        f" order by at desc limit 1), {begin})"
    )


_FURTHER = (
    f"{_hour_ago(24)} union all {_hour_ago(48)} union all select {_LOOK} from sightings"
    " where paper = ?1 and at = (select at from sightings where paper = ?1"
    " and upvotes is not null order by at limit 1)"
)


class _Visit(NamedTuple):
    """What is the same for all cards of a page."""

    source: int
    at: int
    snapshot: Snapshot
    falls: Falls
    size: int
    """Different papers on the page."""
    live: bool
    """See ``Papers.meet``."""


class Met:
    """A paper as a visit met it: remembered, with the page laid over.

    Its history is made when it is asked for: of most papers no rule asks.
    """

    __slots__ = (
        "_history",
        "_meetings",
        "_paper",
        "_rank",
        "_visit",
        "card",
        "fresh",
        "here",
        "key",
        "moved",
        "row",
        "seen",
        "update",
        "words",
    )

    def __init__(
        self, meetings: Meetings, visit: _Visit, paper: Known, card: Card, rank: int, here: LookRow
    ) -> None:
        self.here = here
        """What the page shows, as a look."""
        self.row: int = paper.row
        self.key: str = paper.key
        self.card = card
        self.fresh = False
        """Never seen before."""
        self.moved = False
        """A count differs from this source's last, or this source shows it for the first time."""
        self.words = 0
        """Changes with the paper's words; 0 when other words are known than the card tells."""
        self._history: History | None = None
        self._meetings = meetings
        self._visit = visit
        self._paper = paper
        self._rank = rank
        self.seen = NOTHING
        """``counts``, bare."""
        self.update: tuple[Any, ...] | None = None
        """The counts and fingerprint to be stored with the paper, if they changed."""

    @property
    def counts(self) -> Counts:
        """Latest known, the page's first."""
        upvotes, comments, stars = self.seen
        return Counts(upvotes=upvotes, comments=comments, stars=stars)

    def most(self) -> int:
        """No source showed more votes in the last hour, nor was more known before; -1 when no
        votes are known."""
        votes = self.here[2]
        return self._paper.most if votes is None else max(votes, self._paper.most)

    @property
    def trail(self) -> list[LookRow]:
        """The looks of ``history``, bare."""
        return self._paper.trail if self.moved else [*self._paper.trail, self.here]

    @property
    def history(self) -> History:
        """The last hour: its looks and the last known before, and the place on this page."""
        if self._history is None:
            self._history = self._recall()
        return self._history

    def _recall(self) -> History:
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
        self._recent: dict[str, Known] = {}
        """Papers met lately, by arXiv id: most visits meet what the last one met."""
        self.unsure = False
        """See ``Papers.unsure``."""

    def forget(self) -> None:
        """Drop what was kept of rows: others may have written, or our own were rolled back."""
        self._recent.clear()

    def meet(self, source: int, snapshot: Snapshot, *, live: bool = True) -> tuple[Met, ...]:
        """See ``Papers.meet``."""
        if not live or len(self._recent) > RECENT:
            self.forget()
        at = to_unix(snapshot.taken_at)
        who = self._who(snapshot, at)
        visit = _Visit(source, at, snapshot, self._falls(source), len(who), live)
        self._read_trails([paper for paper, _, _ in who], visit)
        met = [self._meet(visit, rank, *one) for rank, one in enumerate(who, 1)]
        self._write(
            [(m.row, *m.here) for m in met if m.moved],
            [(*m.update, m.row) for m in met if m.update],
        )
        if snapshot.kind is PageKind.TRENDING:
            self._place([paper for paper, _, _ in who], source, at)
        if not live:
            self.forget()
        self.unsure = visit.falls.doubted
        return tuple(met)

    def _meet(self, visit: _Visit, rank: int, paper: Known, card: Card, fresh: bool) -> Met:
        before = (paper.upvotes, paper.comments, paper.stars, paper.fingerprint)
        mark = self._words.fingerprint(card)
        if not fresh and not (paper.listed_exact and visit.at >= paper.first_seen_at):
            self._relist(paper, card, visit)
        if mark != paper.fingerprint:
            self._reword(paper, card, visit, mark)
        last = paper.lasts.get(visit.source)
        rounded = visit.snapshot.rounded
        seen, moved = believe(paper, card, last and last[2:], rounded=rounded, falls=visit.falls)
        if last and last[0] == visit.at:
            moved = False  # of two looks in one second the first is kept
        here: LookRow = (visit.at, visit.source, *seen)
        one = Met(self, visit, paper, card, rank, here)
        one.fresh, one.moved = fresh, moved
        if moved:
            paper.add(here)
        latest = paper.latest
        if latest:
            _lay_over(paper, seen)
        after = (paper.upvotes, paper.comments, paper.stars, paper.fingerprint)
        if after != before:
            one.update = after
        one.seen = after[:3] if latest or not visit.live else self._known_by(paper.row, here)
        if mark == paper.fingerprint and not paper.told & ~mark:
            one.words = mark
        return one

    def _write(self, sightings: list[tuple[Any, ...]], updates: list[tuple[Any, ...]]) -> None:
        self._write_rows(sightings, _INSERT, _INSERTS)
        self._write_rows(updates, _UPDATE, _UPDATES)

    def _write_rows(self, rows: Sequence[tuple[Any, ...]], one: str, many: str) -> None:
        """Most rows many at a time: a statement lets go of Python's lock, and on two cores waits
        until it gets it back."""
        rest = len(rows) % _MANY
        for i in range(0, len(rows) - rest, _MANY):
            self._conn.execute(many, [*chain.from_iterable(rows[i : i + _MANY])])
        if rest:
            self._conn.executemany(one, rows[-rest:])

    # --- the past ---

    def _read_trails(self, papers: Sequence[Known], visit: _Visit) -> None:
        """Read the looks of the last hour where they are not in hand; where those leave it open
        what this source showed last or what was known last, these looks too."""
        at, source = visit.at, visit.source
        unread = {paper.row: paper for paper in papers if not paper.covers(at)}
        if unread:
            trails: dict[int, list[LookRow]] = {row: [] for row in unread}
            until = FOREVER if visit.live else at
            for row in self._conn.execute(_LAST_HOUR, (_rows(unread), at, until)):
                trails[row[0]].append(row[1:])
            for number, trail in trails.items():
                past = [look for look in trail if look[0] <= at]
                latest = len(past) == len(trail) and (visit.live or not self._has_newer(number, at))
                unread[number].follow(at - _LOOKED_BACK, past, latest=latest)
        open_ones = {p.row: p for p in papers if not p.counted or source not in p.lasts}
        if open_ones:
            earlier: dict[int, list[LookRow]] = {}
            for row in self._conn.execute(_LAST_BEFORE, (_rows(open_ones), at, source)):
                earlier.setdefault(row[0], []).append(row[1:])
            for number, looks in earlier.items():
                paper = open_ones[number]
                trail = sorted({*looks, *paper.trail}, key=BY_TIME)
                paper.follow(paper.begin, trail, latest=paper.latest)

    def further(self, row: int, history: History) -> History:
        """A visit's history of a paper, with the hours one and two days ago, the first look and
        the places of the week: all that a case asks of the past."""
        here = history.looks[-1]
        looks = {(look.at, look.source): look for look in history.looks}
        for one in self._conn.execute(_FURTHER, (row, here.at)):
            looks.setdefault(one[:2], look_of(one))
        places = self.places(row, here.source, here.at - 1) if history.places else ()
        return msgspec.structs.replace(
            history,
            # What the visit read has gaps too: its own last may be older than the last known.
            looks=tuple(looks[key] for key in sorted(looks)),
            places=(*places, *history.places),
        )

    def _has_newer(self, paper: int, at: int) -> bool:
        row = self._conn.execute(
            "select 1 from sightings where paper = ? and at > ? limit 1", (paper, at)
        ).fetchone()
        return row is not None

    def _known_by(self, paper: int, here: LookRow) -> Seen:
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

    def _who(self, snapshot: Snapshot, at: int) -> list[tuple[Known, Card, bool]]:
        """The paper of each card, in the page's order and each once; True for a fresh one."""
        known = self._known(snapshot.cards)
        found: dict[int, tuple[Known, Card, bool]] = {}
        for card in snapshot.cards:
            paper, fresh = known.get(card.paper_id) if card.paper_id else None, False
            if paper is None:
                paper, fresh = self._resolve(card, snapshot, at)
                if card.paper_id:
                    known[card.paper_id] = paper
                    if fresh:
                        self._recent[card.paper_id] = paper
            if paper.row not in found:
                found[paper.row] = (paper, card, fresh)
        return list(found.values())

    def _known(self, cards: Iterable[Card]) -> dict[str, Known]:
        recent = self._recent
        ids = [card.paper_id for card in cards if card.paper_id]
        missing = [name for name in ids if name not in recent]
        if missing:
            rows = self._conn.execute(
                f"select arxiv_id, {KNOWN} from papers"
                " where arxiv_id in (select value from json_each(?))",
                (_encode(missing).decode(),),
            )
            recent.update((row[0], Known(row[1:])) for row in rows)
        return {name: recent[name] for name in ids if name in recent}

    def _resolve(self, card: Card, snapshot: Snapshot, at: int) -> tuple[Known, bool]:
        """The row of a card that no arXiv id led to, made when it is new."""
        name = title_hash(card.title)
        rows = self._conn.execute(
            # Also by its name at birth: its title may be another by now.
            f"select {KNOWN}, arxiv_id from papers where title_hash = ?1 or key = 't:' || ?1"
            " limit 3",
            (name,),
        ).fetchall()
        if card.paper_id is None:
            mine = [row for row in rows if row[1] == f"t:{name}"] or rows
            if rows and (len(rows) == 1 or mine is not rows):
                self._recent.pop(mine[0][-1], None)  # one paper, one row in hand
                return Known(mine[0][:-1]), False
        else:
            nameless = [row for row in rows if row[-1] is None]
            if len(nameless) == 1 and len(rows) == 1:
                self._conn.execute(
                    "update papers set arxiv_id = ? where id = ?", (card.paper_id, rows[0][0])
                )
                return Known(rows[0][:-1]), False
        return self._add(card, snapshot, name, at), True

    def _add(self, card: Card, snapshot: Snapshot, name: str, at: int) -> Known:
        listed_on, listed_at, exact = listing(card, snapshot)
        richness, mark = RICHNESS[snapshot.reader], self._words.fingerprint(card)
        row = self._conn.execute(
            "insert into papers (key, arxiv_id, title_hash, first_seen_at, listed_on, listed_at,"
            " listed_exact, richness, fingerprint, told) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            f" returning {KNOWN}",
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
        known = Known(row)
        known.begin = 0
        self._words.add(known.row, card)
        return known

    def _relist(self, paper: Known, card: Card, visit: _Visit) -> None:
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

    def _reword(self, paper: Known, card: Card, visit: _Visit, mark: int) -> None:
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
        paper.fingerprint, paper.richness = mark, richness
        self._conn.execute(
            "update papers set richness = ?, title_hash = ? where id = ?",
            (richness, title_hash(card.title), paper.row),
        )

    # --- ranks ---

    def _place(self, papers: Sequence[Known], source: int, at: int) -> None:
        """Remember the worst rank of each day."""
        size, day = len(papers), at // _DAY
        worse = []
        for rank, paper in enumerate(papers, 1):
            if paper.worst[:2] != (source, day) or rank > paper.worst[2]:
                paper.worst = (source, day, rank)
                worse.append((paper.row, source, day, at, rank, size))
        self._conn.executemany(
            "insert into places (paper, source, day, at, rank, page_size)"
            " values (?, ?, ?, ?, ?, ?) on conflict do update"
            " set rank = excluded.rank, at = excluded.at, page_size = excluded.page_size"
            " where excluded.rank > rank",
            worse,
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


def _lay_over(paper: Known, seen: Sequence[int | None]) -> None:
    if seen[0] is not None:
        paper.upvotes = seen[0]
    if seen[1] is not None:
        paper.comments = seen[1]
    if seen[2] is not None:
        paper.stars = seen[2]


def _rows(papers: Iterable[int]) -> str:
    return _encode(list(papers)).decode()
