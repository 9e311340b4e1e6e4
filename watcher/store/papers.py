"""Papers and how their counts move.

Owns the tables ``papers``, ``sightings``, ``falls`` and ``places``. ``meet`` is the hot
path: its cost depends on the page, never on how much is remembered.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from watcher.clock import from_unix, to_unix
from watcher.identity import title_hash
from watcher.model import (
    Card,
    Counts,
    History,
    Look,
    PageKind,
    Paper,
    Place,
    Snapshot,
    Value,
)
from watcher.store.words import RICHNESS, Words, fingerprint, listing

_HOUR = 3_600
_DAY = 86_400
_WEEK = 7 * _DAY
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Met(Value, frozen=True, kw_only=True):
    """A paper as a visit met it: remembered, with the page laid over."""

    row: int
    key: str
    card: Card
    fresh: bool
    """Never seen before."""
    moved: bool
    """A count differs from this source's last, or this source shows it for the first time."""
    counts: Counts
    """Latest known, the page's first."""
    history: History
    """Enough of the past for the signals; not all of it (see ``Papers.history``)."""
    version: int
    """Changes with the paper's words."""


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
        ) = values

    @property
    def counts(self) -> Counts:
        """The latest known."""
        return Counts(upvotes=self.upvotes, comments=self.comments, stars=self.stars)


_KNOWN = (
    "id, key, first_seen_at, listed_on, listed_at, listed_exact, upvotes, comments, stars,"
    " richness, fingerprint"
)
_LookRow = tuple[int, int, int | None, int | None, int | None]
"""(at, source, upvotes, comments, stars)"""


class _Trail(NamedTuple):
    """What a visit reads of a paper's sightings, in time order."""

    past: list[_LookRow]
    recent: list[_LookRow]
    """Without gaps, and not empty when there is any sighting by then."""


_NO_TRAIL = _Trail([], [])


def _looks_around(hours: int) -> str:
    """The looks of the hour that ended so long ago, and back to the last known before it."""
    end, begin = f"?2 - {hours * _HOUR}", f"?3 - {hours * _HOUR}"
    old_enough = f"a.first <= {end} and " if hours else ""
    return (
        f"select s.paper, {hours}, s.at, s.source, s.upvotes, s.comments, s.stars"
        f" from asked a cross join sightings s on {old_enough}s.paper = a.paper and s.at <= {end}"
        f" and s.at >= coalesce((select at from sightings where paper = a.paper and at < {begin}"
        "  and upvotes is not null order by at desc limit 1),"
        f" (select max(at) from sightings where paper = a.paper and at < {begin}), {begin})"
    )


_RECENT = (
    "with asked (paper, first) as materialized (select id, first_seen_at from papers"
    " where id in (select value from json_each(?1))) "
    + " union all ".join(map(_looks_around, (0, 24, 48)))
    + " union all select s.paper, -1, s.at, s.source, s.upvotes, s.comments, s.stars"
    " from asked a cross join sightings s on s.paper = a.paper and s.at <= ?2"
    " and s.at = (select at from sightings where paper = a.paper and upvotes is not null"
    "  order by at limit 1) order by 1, 3, 4"
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


class Papers:
    """Every statement about papers and sightings."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._words = Words(conn)
        self._newest = 2**53
        """Time of the newest snapshot met over this connection; at first every one is old."""

    # --- meeting a page ---

    def meet(self, source: int, snapshot: Snapshot, *, live: bool = True) -> tuple[Met, ...]:
        """Remember a snapshot of ``source``; one ``Met`` per card, in the page's order.

        A card that stands twice on the page is met once. Snapshots older than what is
        remembered are filed in their place and only fill gaps in the words; ``live=False``
        looks for newer sightings of each paper, which a visit made just now need not.
        """
        at = to_unix(snapshot.taken_at)
        visits, live = live, live and at >= self._newest
        known = self._known(snapshot.cards)
        looks = self._recent_looks([k.row for k in known.values()], at)
        falls = self._falls(source)
        met: dict[int, Met] = {}
        new_looks: list[tuple[Any, ...]] = []
        updates: list[tuple[Any, ...]] = []
        for card in snapshot.cards:
            paper = known.get(card.paper_id) if card.paper_id else None
            fresh = False
            if paper is None:
                paper, fresh = self._resolve(card, snapshot, at)
                if card.paper_id:
                    known[card.paper_id] = paper
            if paper.row in met:
                continue
            before = (paper.upvotes, paper.comments, paper.stars, paper.fingerprint)
            self._relist(paper, card, snapshot, at)
            if not fresh:
                self._reword(paper, card, snapshot, at)
            trail = looks.get(paper.row, _NO_TRAIL)
            last = self._last_of(source, paper.row, trail.recent, at)
            seen = self._believed(paper, card, snapshot, last, falls)
            moved = last is None or _differs(seen, last, snapshot.rounded)
            if last is None or moved:
                new_looks.append((paper.row, at, source, *seen))
            else:
                seen = list(last)  # a rounded count that agrees is the exact one
            here: _LookRow = (at, source, seen[0], seen[1], seen[2])
            latest = live or fresh or not self._has_newer(paper.row, at)
            if latest:
                _lay_over(paper, seen)
            if before != (paper.upvotes, paper.comments, paper.stars, paper.fingerprint):
                updates.append(
                    (paper.upvotes, paper.comments, paper.stars, paper.fingerprint, paper.row)
                )
            met[paper.row] = Met(
                row=paper.row,
                key=paper.key,
                card=card,
                fresh=fresh,
                moved=moved,
                counts=self._known_by(paper.row, here) if visits and not latest else paper.counts,
                history=_history(paper, (*trail.past, *trail.recent, here)),
                version=paper.fingerprint,
            )
        self._conn.executemany(
            "insert into sightings (paper, at, source, upvotes, comments, stars)"
            " values (?, ?, ?, ?, ?, ?) on conflict do nothing",
            new_looks,
        )
        self._conn.executemany(
            "update papers set upvotes = ?, comments = ?, stars = ?, fingerprint = ? where id = ?",
            updates,
        )
        self._newest = at if self._newest == 2**53 else max(self._newest, at)
        result = tuple(met.values())
        if snapshot.kind is PageKind.TRENDING:
            result = self._place(source, result, at)
        return result

    def _known(self, cards: Iterable[Card]) -> dict[str, _Known]:
        ids = _encode([card.paper_id for card in cards if card.paper_id]).decode()
        rows = self._conn.execute(
            f"select arxiv_id, {_KNOWN} from papers"
            " where arxiv_id in (select value from json_each(?))",
            (ids,),
        )
        return {row[0]: _Known(row[1:]) for row in rows}

    def _recent_looks(self, rows: list[int], at: int) -> dict[int, _Trail]:
        """Per paper the looks of the last hour, and of the hours one and two days ago, each with
        the last known count before it, and the first look: all that a case asks of them."""
        found: dict[int, _Trail] = {}
        for paper, hours, *look in self._conn.execute(
            _RECENT, (_encode(rows).decode(), at, at - _HOUR)
        ):
            trail = found.setdefault(paper, _Trail([], []))
            (trail.past if hours else trail.recent).append(tuple(look))
        return found

    def _has_newer(self, paper: int, at: int) -> bool:
        row = self._conn.execute(
            "select 1 from sightings where paper = ? and at > ? limit 1", (paper, at)
        ).fetchone()
        return row is not None

    def _known_by(self, paper: int, here: _LookRow) -> Counts:
        """The counts known when a page was seen, where newer sightings are stored already."""
        history = self.history(paper, here[0])
        return msgspec.structs.replace(history, looks=(*history.looks, _look(here))).counts

    def _last_of(
        self, source: int, paper: int, trail: Sequence[_LookRow], at: int
    ) -> Sequence[int | None] | None:
        """The counts this source showed last, at or before ``at``."""
        for look in reversed(trail):
            if look[1] == source:
                return look[2:]
        if not trail:
            return None
        row = self._conn.execute(
            "select upvotes, comments, stars from sightings"
            " where paper = ? and source = ? and at <= ? order by at desc limit 1",
            (paper, source, at),
        ).fetchone()
        return None if row is None else tuple(row)

    def _believed(
        self,
        paper: _Known,
        card: Card,
        snapshot: Snapshot,
        last: Sequence[int | None] | None,
        falls: Falls,
    ) -> list[int | None]:
        """A card's counts as they are to be stored.

        A count that a rounded page cannot contradict keeps its exact value; one that fell by
        more than three is not believed until three visits have seen it.
        """
        upvotes = card.upvotes
        if upvotes is None and card.dashed and paper.listed_at is not None:
            upvotes = 0
        seen = [upvotes, card.comments, card.stars]
        known = (paper.upvotes, paper.comments, paper.stars)
        for i, field in enumerate(("upvotes", "comments", "stars")):
            value, before = seen[i], last[i] if last is not None else None
            if value is None:
                # A source that has shown a count and now does not: its last holds.
                seen[i] = before
                continue
            exact = known[i]
            if field in snapshot.rounded and exact is not None and agrees(value, exact):
                seen[i] = exact
            elif before is not None and value < before - 3:
                seen[i] = falls.see(paper.row, field, value, before)
            elif falls:
                falls.forget(paper.row, field)
        return seen

    def _falls(self, source: int) -> Falls:
        rows = self._conn.execute(
            "select paper, field, seen from falls where source = ?", (source,)
        )
        return Falls(self._conn, source, {(paper, field): n for paper, field, n in rows})

    # --- who is it? ---

    def _resolve(self, card: Card, snapshot: Snapshot, at: int) -> tuple[_Known, bool]:
        """The row of a card that no arXiv id led to, made when it is new."""
        name = title_hash(card.title)
        rows = self._conn.execute(
            f"select {_KNOWN}, arxiv_id from papers where title_hash = ? limit 3", (name,)
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
        richness = RICHNESS[snapshot.reader]
        row = self._conn.execute(
            "insert into papers (key, arxiv_id, title_hash, first_seen_at, listed_on, listed_at,"
            " listed_exact, richness, fingerprint) values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
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
                fingerprint(card),
            ),
        ).fetchone()
        known = _Known(row)
        self._words.add(known.row, card)
        return known

    def _relist(self, paper: _Known, card: Card, snapshot: Snapshot, at: int) -> None:
        """Keep the best knowledge of when a paper was listed: exact beats first seen."""
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
            )
            paper.listed_at, paper.listed_exact = listed_at, int(exact)
            paper.listed_on = listed_on or paper.listed_on
        paper.first_seen_at = first
        self._conn.execute(
            "update papers set listed_on = ?, listed_at = ?, listed_exact = ?, first_seen_at = ?"
            " where id = ?",
            (paper.listed_on, paper.listed_at, paper.listed_exact, first, paper.row),
        )

    def _reword(self, paper: _Known, card: Card, snapshot: Snapshot, at: int) -> None:
        mark = fingerprint(card)
        if mark == paper.fingerprint:
            return
        richness = RICHNESS[snapshot.reader]
        richer = richness >= paper.richness
        newest = self._conn.execute(
            "select max(at) from sightings where paper = ?", (paper.row,)
        ).fetchone()[0]
        newer = newest is None or at >= newest
        self._words.merge(paper.row, card, at=at, richer=richer, newer=newer)
        if not (richer and newer):
            return
        paper.fingerprint = mark
        self._conn.execute(
            "update papers set richness = ?, title_hash = ? where id = ?",
            (richness, title_hash(card.title), paper.row),
        )

    # --- ranks ---

    def _place(self, source: int, met: tuple[Met, ...], at: int) -> tuple[Met, ...]:
        """Remember the worst rank of each day, and give those now in the top their past."""
        size, day = len(met), at // _DAY
        self._conn.executemany(
            "insert into places (paper, source, day, at, rank, page_size)"
            " values (?, ?, ?, ?, ?, ?) on conflict do update"
            " set rank = excluded.rank, at = excluded.at, page_size = excluded.page_size"
            " where excluded.rank > rank",
            [(m.row, source, day, at, rank, size) for rank, m in enumerate(met, 1)],
        )
        placed = []
        for rank, m in enumerate(met, 1):
            places = self.places(m.row, source, at) if rank <= 10 and not m.fresh else ()
            here = Place(at=at, source=source, rank=rank, page_size=size)
            past = tuple(p for p in places if p.at < at)
            history = msgspec.structs.replace(m.history, places=(*past, here))
            placed.append(msgspec.structs.replace(m, history=history))
        return tuple(placed)

    def places(self, paper: int, source: int | None, until: int) -> tuple[Place, ...]:
        """The worst place of each day of the last week, in time order."""
        rows = self._conn.execute(
            "select at, source, rank, page_size from places"
            " where paper = ?1 and (?2 is null or source = ?2) and at <= ?3 and at >= ?3 - ?4"
            " order by at",
            (paper, source, until, _WEEK),
        )
        return tuple(Place(at=a, source=s, rank=r, page_size=n) for a, s, r, n in rows)

    # --- asking ---

    def find(self, name: str) -> int | None:
        """The row of a paper by arXiv id (with or without version), ``t:`` name or url."""
        wanted = name.strip().rstrip("/").rsplit("/", 1)[-1].split("#")[0]
        if not wanted.startswith("t:") and "v" in wanted:
            wanted = wanted.split("v", maxsplit=1)[0]
        row = self._conn.execute(
            "select id from papers where arxiv_id = ?1 or key = ?1"
            " or (?1 like 't:%' and title_hash = substr(?1, 3)) limit 1",
            (wanted,),
        ).fetchone()
        return None if row is None else int(row[0])

    def key_of(self, row: int) -> str:
        """The paper's name at birth."""
        found = self._conn.execute("select key from papers where id = ?", (row,)).fetchone()
        return str(found[0])

    def sources_of(self, row: int) -> tuple[str, ...]:
        """The families of sources that ever showed a paper."""
        rows = self._conn.execute(
            "select distinct o.family from sightings s join sources o on o.id = s.source"
            " where s.paper = ?",
            (row,),
        )
        return tuple(name for (name,) in rows)

    def first_seen(self, since: int) -> int | None:
        """When the first paper met at or after an instant was met."""
        row = self._conn.execute(
            "select min(first_seen_at) from papers where first_seen_at >= ?", (since,)
        ).fetchone()
        return row[0]  # type: ignore[no-any-return]

    def listed_between(self, since: int, until: int) -> list[int]:
        """Rows of the papers listed in ``[since, until)``, or met then and not listed.

        As far as was known before ``until``: a listing learnt later plays no part.
        """
        found = self._begun(since, until)
        for row, (listed_at, first) in self._words.listed_by(until).items():
            begun = first if listed_at is None else listed_at
            (found.add if since <= begun < until else found.discard)(row)
        return sorted(found)

    def _begun(self, since: int, until: int) -> set[int]:
        rows = self._conn.execute(
            "select id from papers where listed_at >= ?1 and listed_at < ?2"
            " union select id from papers where listed_at is null"
            " and first_seen_at >= ?1 and first_seen_at < ?2",
            (since, until),
        )
        return {row for (row,) in rows}

    def begun_between(self, since: int, until: int, *, family: str) -> list[int]:
        """Rows of the papers whose listing, or first sight without one, lies in
        ``[since, until]``, and that a family of sources saw."""
        rows = self._conn.execute(
            "select value from json_each(?1) asked where exists (select 1 from sightings s"
            " join sources o on o.id = s.source where s.paper = asked.value and o.family = ?2)",
            (_encode(sorted(self._begun(since, until + 1))).decode(), family),
        )
        return [row for (row,) in rows]

    def get(self, row: int) -> Paper:
        """All that is remembered of one paper."""
        return next(iter(self.many([row])))

    def many(self, rows: Sequence[int]) -> tuple[Paper, ...]:
        """Several papers, in the order asked; unknown rows are left out."""
        found = {
            paper.row: paper
            for paper in self._read(
                "p.id in (select value from json_each(?))", (_encode(rows).decode(),)
            )
        }
        return tuple(found[row] for row in rows if row in found)

    def all_rows(self) -> list[int]:
        """Every paper's row."""
        return [row for (row,) in self._conn.execute("select id from papers order by id")]

    def latest(self, *, limit: int | None = None, offset: int = 0) -> tuple[Paper, ...]:
        """Papers by when they were listed or first seen, the newest first."""
        return tuple(
            self._read(
                "1 order by coalesce(p.listed_at, p.first_seen_at) desc, p.id desc"
                " limit ? offset ?",
                (-1 if limit is None else limit, offset),
            )
        )

    def search(self, match: str, *, limit: int | None = None) -> tuple[Paper, ...]:
        """Papers whose words match an FTS5 expression, the best first."""
        rows = self._conn.execute(
            "select rowid from texts_index where texts_index match ? order by rank limit ?",
            (match, -1 if limit is None else limit),
        )
        return self.many([row for (row,) in rows])

    def _read(self, where: str, values: tuple[Any, ...]) -> Iterator[Paper]:
        rows = self._conn.execute(
            "select p.id, p.arxiv_id, p.title_hash, p.first_seen_at, p.listed_at, p.listed_exact,"
            " p.upvotes, p.comments, p.stars, t.title, t.abstract, t.ai_summary, t.authors,"
            " t.author_count, t.published_on, t.github, t.project, t.organization,"
            " t.submitted_by, t.keywords, t.thumbnail"
            f" from papers p join texts t on t.paper = p.id where {where}",
            values,
        )
        return (_paper(row) for row in rows)

    def as_of(self, paper: Paper, at: int) -> Paper:
        """The paper with the words and the listing it had at an instant."""
        before = self._words.before(paper.row, at)
        return msgspec.structs.replace(paper, **revived(before)) if before else paper

    def history(self, row: int, until: int | None = None) -> History:
        """Everything remembered of a paper's listing, counts and places up to an instant."""
        listed_at, exact, first = self._conn.execute(
            "select listed_at, listed_exact, first_seen_at from papers where id = ?", (row,)
        ).fetchone()
        if until is not None:
            before = self._words.before(row, until)
            listed_at = before.get("listed_at", listed_at)
            exact = before.get("listed_exact", exact)
        end = until if until is not None else 2**53
        looks = self._conn.execute(
            "select at, source, upvotes, comments, stars from sightings"
            " where paper = ? and at <= ? order by at, source",
            (row, end),
        )
        return History(
            listed_at=listed_at,
            listed_exact=bool(exact),
            first_seen_at=first,
            looks=tuple(_look(look) for look in looks),
            places=self.places(row, None, end) if until is not None else self._all_places(row),
        )

    def _all_places(self, row: int) -> tuple[Place, ...]:
        rows = self._conn.execute(
            "select at, source, rank, page_size from places where paper = ? order by at", (row,)
        )
        return tuple(Place(at=a, source=s, rank=r, page_size=n) for a, s, r, n in rows)

    def series(self, since: int, before: int) -> Iterator[tuple[int, tuple[tuple[int, int], ...]]]:
        """``(listed_at, ((at, upvotes), …))`` of the papers listed in a span, for learning.

        Listings and counts as they were known before ``before``.
        """
        listed = dict(
            self._conn.execute(
                "select id, listed_at from papers where listed_at >= ?1 and listed_at < ?2",
                (since, before),
            ).fetchall()
        )
        for row, (listed_at, _) in self._words.listed_by(before).items():
            listed.pop(row, None)
            if listed_at is not None and since <= listed_at < before:
                listed[row] = listed_at
        rows = self._conn.execute(
            "select s.paper, s.at, max(s.upvotes) from json_each(?1) asked join sightings s"
            " on s.paper = asked.value where s.at < ?2 and s.upvotes is not null"
            " group by s.paper, s.at order by s.paper, s.at",
            (_encode(sorted(listed)).decode(), before),
        )
        for row, looks in groupby(rows, key=itemgetter(0)):
            yield listed[row], tuple((at, upvotes) for _, at, upvotes in looks)

    def count(self) -> tuple[int, int]:
        """How many papers and sightings are stored."""
        papers = self._conn.execute("select count(*) from papers").fetchone()[0]
        sightings = self._conn.execute("select count(*) from sightings").fetchone()[0]
        return papers, sightings


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


def _look(row: Sequence[Any]) -> Look:
    return Look(at=row[0], source=row[1], upvotes=row[2], comments=row[3], stars=row[4])


def _history(paper: _Known, looks: Iterable[_LookRow]) -> History:
    return History(
        listed_at=paper.listed_at,
        listed_exact=bool(paper.listed_exact),
        first_seen_at=paper.first_seen_at,
        looks=tuple(map(_look, dict.fromkeys(looks))),
    )


def _paper(row: Sequence[Any]) -> Paper:
    return Paper(
        row=row[0],
        arxiv_id=row[1],
        title_hash=row[2],
        first_seen_at=from_unix(row[3]),
        listed_at=None if row[4] is None else from_unix(row[4]),
        listed_exact=bool(row[5]),
        upvotes=row[6],
        comments=row[7],
        stars=row[8],
        title=row[9],
        abstract=row[10],
        ai_summary=row[11],
        authors=None if row[12] is None else tuple(_decode(row[12])),
        author_count=row[13],
        published_on=None if row[14] is None else date.fromisoformat(row[14]),
        github=row[15],
        project=row[16],
        organization=row[17],
        submitted_by=row[18],
        keywords=None if row[19] is None else tuple(_decode(row[19])),
        thumbnail=row[20],
    )


def revived(before: dict[str, Any]) -> dict[str, Any]:
    """Fields of a paper as they were before a change, from their stored form."""
    values = dict(before)
    if values.get("listed_at") is not None:
        values["listed_at"] = from_unix(values["listed_at"])
    if values.get("published_on") is not None:
        values["published_on"] = date.fromisoformat(values["published_on"])
    for name in ("authors", "keywords"):
        if values.get(name) is not None:
            values[name] = tuple(_decode(values[name]))
    return values
