"""What pages, feeds and the API ask of the records: lists with a known, small cost.

Owns no table. Every question here is answered by an index and a limit, so that a page costs
the same at a hundred papers and at a hundred thousand. Must not decide what is shown.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from watcher.clock import from_text, to_text, to_unix
from watcher.matching import Node, Not, Number, Several, doc_of
from watcher.model import Event, EventType, Paper, Value
from watcher.query import Query
from watcher.store.events import Events
from watcher.store.papers import Papers

_encode = msgspec.json.Encoder().encode
_BEGUN = "coalesce(p.listed_at, p.first_seen_at)"
_BY_BEST, _BY_NEW, _BY_VOTES = "best", "new", "votes"
SORTS = (_BY_BEST, _BY_NEW, _BY_VOTES)
_RANKED = 2_000
"""Ranking more matches than this by relevance would make a page slow: then the newest first."""
_LOOKED = 400
"""Papers whose words are looked through for one page of results, where no index helps."""
_CHECKS = 20_000


class Found(Value, frozen=True, kw_only=True):
    """A page of search results."""

    papers: tuple[Paper, ...] = ()
    next: str | None = None
    """Where to go on; None at the end."""
    looked: int = 0
    """Papers whose words were looked at."""
    sort: str = _BY_NEW
    """The order really used."""


class Telling(Value, frozen=True, kw_only=True):
    """How often a rule told a kind on a day."""

    rule: str
    type: EventType
    day: str
    """UTC date, ``2026-11-21``."""
    count: int


class SeenBy(Value, frozen=True, kw_only=True):
    """What one source showed of a paper."""

    source: str
    first: int
    last: int
    """Unix seconds of the first and the last stored sighting."""
    sightings: int
    upvotes: int | None
    """The highest it showed."""
    best_rank: int | None
    rank: int | None
    """The last known place on its ranked page."""


class Visit(Value, frozen=True, kw_only=True):
    """One visit of a source, as a strip of visits shows it."""

    at: datetime
    outcome: str
    duration_ms: int
    cards: int | None
    error: str | None
    bytes: int = 0


class Pages:
    """Every question of pages, feeds and API."""

    def __init__(self, conn: sqlite3.Connection, papers: Papers, events: Events) -> None:
        self._conn = conn
        self._papers = papers
        self._events = events

    # --- events ---

    def told(
        self, since: datetime, until: datetime, *, rule: str | None = None, limit: int = 300
    ) -> tuple[Event, ...]:
        """Changes told in ``[since, until)``, baselines left out, the strongest first."""
        cursors = self._conn.execute(
            "select cursor from events where at >= ?1 and at < ?2 and not known"
            " and paper is not null and (?3 is null or rule = ?3)"
            " order by strength desc, cursor limit ?4",
            (to_text(since), to_text(until), rule, limit),
        )
        return self._in_order([cursor for (cursor,) in cursors])

    def told_by_type(self, since: datetime, until: datetime) -> dict[str, int]:
        """How many changes of each type were told in ``[since, until)``."""
        rows = self._conn.execute(
            "select type, count(*) from events where at >= ? and at < ? and not known"
            " and paper is not null group by type",
            (to_text(since), to_text(until)),
        )
        return dict(rows.fetchall())

    def latest_of(self, rule: str | None, *, limit: int) -> tuple[Event, ...]:
        """The newest changes of a rule (or of all), newest first, baselines left out."""
        # The two spellings each have their index; "? is null or" would have none.
        if rule is None:
            cursors = self._conn.execute(
                "select cursor from events where not known and paper is not null"
                " order by cursor desc limit ?",
                (limit,),
            )
        else:
            cursors = self._conn.execute(
                "select cursor from events where rule = ? and not known"
                " order by cursor desc limit ?",
                (rule, limit),
            )
        return self._in_order([cursor for (cursor,) in cursors])

    def after(
        self, cursor: int, *, limit: int, rule: str | None, types: Sequence[str], known: bool
    ) -> tuple[tuple[Event, ...], int, bool]:
        """Events behind a cursor, where to go on from, and whether there are more.

        Looks at no more than 20 × ``limit`` rows, however few of them match; then the answer
        may be short, or empty, with more to come.
        """
        window = self._conn.execute(
            "select cursor, (?2 or not known) and (?3 is null or rule = ?3)"
            " and (?4 = '[]' or type in (select value from json_each(?4)))"
            " from events where cursor > ?1 order by cursor limit ?5",
            (cursor, int(known), rule, _encode(types).decode(), limit * 20),
        ).fetchall()
        wanted = [number for number, wants in window if wants]
        kept = wanted[:limit]
        last = window[-1][0] if window else cursor
        if len(wanted) > limit:
            last = kept[-1]
        more = self._conn.execute("select 1 from events where cursor > ? limit 1", (last,))
        return self._events.by_cursors(kept), last, more.fetchone() is not None

    def tellings(self, since: datetime) -> tuple[Telling, ...]:
        """Per rule, kind and day what was told since an instant."""
        rows = self._conn.execute(
            "select rule, type, substr(at, 1, 10), count(*) from events where at >= ?"
            " and not known and rule is not null group by 1, 2, 3",
            (to_text(since),),
        )
        return tuple(
            Telling(rule=rule, type=EventType(kind), day=day, count=count)
            for rule, kind, day, count in rows
        )

    def last_cursor(self) -> int:
        """The cursor of the newest event; 0 without any."""
        return int(self._conn.execute("select max(cursor) from events").fetchone()[0] or 0)

    def _in_order(self, cursors: list[int]) -> tuple[Event, ...]:
        found = {event.cursor: event for event in self._events.by_cursors(cursors)}
        return tuple(found[cursor] for cursor in cursors if cursor in found)

    # --- papers ---

    def votes(self, rows: Sequence[int], *, points: int = 28) -> dict[int, tuple[int, ...]]:
        """Upvotes over time of some papers, evenly spaced, for sparklines."""
        series: dict[int, list[tuple[int, int]]] = {}
        for paper, at, upvotes in self._conn.execute(
            "select paper, at, max(upvotes) from sightings"
            " where paper in (select value from json_each(?)) and upvotes is not null"
            " group by paper, at order by paper, at",
            (_encode(rows).decode(),),
        ):
            series.setdefault(paper, []).append((at, upvotes))
        return {paper: _evenly(looks, points) for paper, looks in series.items()}

    def votes_at(self, rows: Sequence[int], at: int) -> dict[int, int]:
        """The highest count known of some papers at an instant (Unix seconds)."""
        found = self._conn.execute(
            "select paper, max(upvotes) from sightings"
            " where paper in (select value from json_each(?)) and at <= ?"
            " and upvotes is not null group by paper",
            (_encode(rows).decode(), at),
        )
        return dict(found.fetchall())

    def begun_since(self, since: datetime, *, limit: int) -> tuple[Paper, ...]:
        """Papers listed (or first seen) since an instant, the newest first."""
        rows = self._conn.execute(
            f"select p.id from papers p where {_BEGUN} >= ? order by {_BEGUN} desc, p.id desc"
            " limit ?",
            (to_unix(since), limit),
        )
        return self._papers.many([row for (row,) in rows])

    def count_papers(self) -> int:
        """How many papers are remembered."""
        return int(self._conn.execute("select count(*) from papers").fetchone()[0])

    def seen_by(self, row: int) -> tuple[SeenBy, ...]:
        """Which sources showed a paper, and how; the first to do so first."""
        found = self._conn.execute(
            "select o.name, min(s.at), max(s.at), count(*), max(s.upvotes),"
            " (select min(rank) from places where paper = ?1 and source = s.source),"
            " (select rank from places where paper = ?1 and source = s.source"
            "   order by at desc limit 1)"
            " from sightings s join sources o on o.id = s.source where s.paper = ?1"
            " group by s.source order by min(s.at), o.name",
            (row,),
        )
        return tuple(
            SeenBy(
                source=name,
                first=first,
                last=last,
                sightings=count,
                upvotes=upvotes,
                best_rank=best,
                rank=rank,
            )
            for name, first, last, count, upvotes, best, rank in found
        )

    # --- search ---

    def search(
        self, query: Query | None, *, now: datetime, sort: str, limit: int, start: str = ""
    ) -> Found:
        """A page of the papers that match a query (all, without one).

        ``start`` is the ``next`` of the page before. Words are found by the full-text index,
        counts and ages by the narrow table of papers; what neither knows (organisations,
        keywords, sources) is looked for in a few hundred papers per page, the newest first.
        """
        match = query.fts() if query else None
        numbers, values = narrowed(query.root, now) if query else ("1", [])
        first = _offset(start)
        if match and sort == _BY_BEST and first is not None:
            ranked = self._ranked(match, numbers, values)
            if ranked is not None:
                return self._page(query, ranked[first:], now, limit, first)
        if sort == _BY_VOTES:
            rows = self._by_votes(match, numbers, values)
            page = self._page(query, rows[first or 0 :], now, limit, first or 0)
            return msgspec.structs.replace(page, sort=_BY_VOTES)
        return self._newest(query, match, (numbers, values), now=now, limit=limit, start=start)

    def _ranked(self, match: str, numbers: str, values: list[float]) -> list[int] | None:
        """Matching rows, the best first; None when there are too many to rank quickly."""
        some = self._conn.execute(
            "select count(*) from (select 1 from texts_index where texts_index match ? limit ?)",
            (match, _RANKED + 1),
        ).fetchone()[0]
        if some > _RANKED:
            return None
        found = self._conn.execute(
            "select f.rowid from texts_index f join papers p on p.id = f.rowid"
            f" where texts_index match ? and {numbers}"
            " order by bm25(texts_index, 8.0, 2.0, 3.0, 4.0), f.rowid desc",
            (match, *values),
        )
        return [row for (row,) in found]

    def _by_votes(self, match: str | None, numbers: str, values: list[float]) -> list[int]:
        if match:
            found = self._conn.execute(
                "select f.rowid from texts_index f join papers p on p.id = f.rowid"
                f" where texts_index match ? and {numbers} and p.upvotes is not null"
                " order by p.upvotes desc, p.id desc limit 2000",
                (match, *values),
            )
        else:
            found = self._conn.execute(
                f"select p.id from papers p where {numbers} and p.upvotes is not null"
                " order by p.upvotes desc, p.id desc limit 2000",
                values,
            )
        return [row for (row,) in found]

    def _page(
        self, query: Query | None, rows: Sequence[int], now: datetime, limit: int, first: int
    ) -> Found:
        kept: list[Paper] = []
        looked = 0
        for paper in self._papers.many(rows[:_LOOKED]):
            if len(kept) == limit:
                break
            looked += 1
            if self._matches(query, paper, now):
                kept.append(paper)
        more = looked < len(rows)
        following = str(first + looked) if more else None
        return Found(papers=tuple(kept), next=following, looked=looked, sort=_BY_BEST)

    def _newest(
        self,
        query: Query | None,
        match: str | None,
        narrow: tuple[str, list[float]],
        *,
        now: datetime,
        limit: int,
        start: str,
    ) -> Found:
        begun, last = _place(start)
        numbers, values = narrow
        words = (
            " and p.id in (select rowid from texts_index where texts_index match ?)"
            if match
            else ""
        )
        # Without an index on what is looked for, a page looks through some hundred papers.
        rows = self._conn.execute(
            f"select p.id, {_BEGUN} from papers p indexed by papers_begun"
            f" where {_BEGUN} <= ? and ({_BEGUN} < ? or p.id < ?) and {numbers}{words}"
            f" order by {_BEGUN} desc, p.id desc limit ?",
            (begun, begun, last, *values, *([match] if match else []), _LOOKED + 1),
        ).fetchall()
        begun_of = dict(rows)
        page = self._page(query, [row for row, _ in rows], now, limit, 0)
        if page.next is None:
            return msgspec.structs.replace(page, sort=_BY_NEW)
        end = rows[page.looked - 1][0]
        following = f"{begun_of[end]}-{end}"
        return msgspec.structs.replace(page, next=following, sort=_BY_NEW)

    def _matches(self, query: Query | None, paper: Paper, now: datetime) -> bool:
        if query is None:
            return True
        sources = self._papers.sources_of(paper.row) if "source" in query.text.lower() else ()
        return query.match(doc_of(paper, now=now, sources=sources)) is True

    # --- visits ---

    def visits(self, source: int, since: datetime, *, limit: int = 500) -> tuple[Visit, ...]:
        """The visits of a source since an instant, oldest first; of too many the newest."""
        rows = self._conn.execute(
            "select at, outcome, duration_ms, cards, error, bytes from checks"
            " where source = ? and at >= ? order by at desc limit ?",
            (source, to_text(since), limit),
        ).fetchall()
        return tuple(
            Visit(
                at=from_text(at),
                outcome=outcome,
                duration_ms=duration,
                cards=cards,
                error=error,
                bytes=size,
            )
            for at, outcome, duration, cards, error, size in reversed(rows)
        )

    def count_visits(self, since: datetime) -> dict[str, int]:
        """How the visits since an instant ended; at most the newest 20,000 are counted."""
        rows = self._conn.execute(
            "select outcome, count(*) from (select outcome from checks where at >= ?"
            " order by at desc limit ?) group by outcome",
            (to_text(since), _CHECKS),
        )
        return dict(rows.fetchall())


def narrowed(node: Node, now: datetime) -> tuple[str, list[float]]:
    """A condition on ``papers p`` that holds for every paper a query matches, and its values.

    Counts and ages become comparisons; everything else is left to matching. SQL's unknown is
    the query's unknown.
    """
    exact = _exact(node)
    if exact is not None:
        return exact
    if isinstance(node, Number) and node.field == "age":
        return _aged(node, now)
    if isinstance(node, Several):
        parts = [narrowed(part, now) for part in node.parts]
        if not parts:
            return "1", []
        joined = (" or " if node.decisive else " and ").join(sql for sql, _ in parts)
        return f"({joined})", [value for _, values in parts for value in values]
    return "1", []


def _exact(node: Node) -> tuple[str, list[float]] | None:
    """SQL that is true, false and unknown exactly when a part is; None when there is none."""
    if isinstance(node, Number) and node.field != "age":
        column = f"p.{node.field}"
        return _between(column, node)
    if isinstance(node, Not):
        part = _exact(node.part)
        return None if part is None else (f"not ({part[0]})", part[1])
    return None


def _between(column: str, node: Number) -> tuple[str, list[float]]:
    terms = [f"{column} is not null"]
    values: list[float] = []
    if node.low > -math.inf:
        terms.append(f"{column} {'>=' if node.with_low else '>'} ?")
        values.append(node.low)
    if node.high < math.inf:
        terms.append(f"{column} {'<=' if node.with_high else '<'} ?")
        values.append(node.high)
    if len(terms) > 1:
        terms = terms[1:]  # a comparison with null is null by itself
    return f"({' and '.join(terms)})", values


def _aged(node: Number, now: datetime) -> tuple[str, list[float]]:
    """Listed within bounds, or not known to be listed: matching decides those."""
    terms: list[str] = []
    values: list[float] = []
    if node.high < math.inf:
        terms.append("p.listed_at >= ?")
        values.append(to_unix(now - timedelta(hours=min(node.high, 1e6))) - 1)
    if node.low > -math.inf:
        terms.append("p.listed_at <= ?")
        values.append(to_unix(now - timedelta(hours=min(node.low, 1e6))) + 1)
    if not terms:
        return "1", []
    return f"(p.listed_at is null or ({' and '.join(terms)}))", values


def _offset(start: str) -> int | None:
    if start and not (start.isascii() and start.isdecimal() and len(start) < 10):
        return None
    return int(start or 0)


def _place(start: str) -> tuple[int, int]:
    begun, _, row = start.partition("-")
    if start.isascii() and begun.isdecimal() and row.isdecimal() and len(start) < 30:
        return int(begun), int(row)
    return 2**53, 2**53


def _evenly(looks: Sequence[tuple[int, int]], points: int) -> tuple[int, ...]:
    """Counts at evenly spaced times from the first look to the last."""
    begin, end = looks[0][0], looks[-1][0]
    if begin == end or len(looks) == 1:
        return (looks[-1][1],)
    steps = min(points, max(2, len(looks)))
    values, i = [], 0
    for step in range(steps):
        at = begin + (end - begin) * step / (steps - 1)
        while i + 1 < len(looks) and looks[i + 1][0] <= at:
            i += 1
        values.append(looks[i][1])
    return tuple(values)
