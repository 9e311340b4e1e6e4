"""What pages, feeds and the API ask of the records: lists with a known, small cost.

Owns no table. Every question here is answered by an index and a limit, so that a page costs
the same at a hundred papers and at a hundred thousand. Must not decide what is shown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

import msgspec

from watcher.clock import from_text, to_text, to_unix
from watcher.model import Event, EventType, Paper, Value
from watcher.store.events import Events
from watcher.store.finding import BEGUN, Finding
from watcher.store.papers import Papers

_encode = msgspec.json.Encoder().encode
_CHECKS = 20_000


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
        self.search = Finding(conn, papers).search

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
        """The newest changes of a rule (or of all), newest first, baselines left out. Among all,
        what several rules said of a paper is the change of the rule that said it first."""
        # The two spellings each have their index; "? is null or" would have none.
        if rule is None:
            cursors = self._conn.execute(
                "select cursor from events e where not known and paper is not null"
                " and not exists (select 1 from events f where f.paper = e.paper"
                "  and f.type = e.type and not f.known and f.cursor < e.cursor)"
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
        # A cursor beyond the newest event comes from before a restore: go on from what there is.
        last = window[-1][0] if window else min(cursor, self.last_cursor())
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
            f"select p.id from papers p where {BEGUN} >= ? order by {BEGUN} desc, p.id desc"
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
