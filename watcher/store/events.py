"""What was said: events, and the keys that keep it from being said twice.

Owns the tables ``events``, ``keys``, ``pairs`` and ``learnt``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from watcher.clock import from_text, maybe_from_text, to_text
from watcher.model import Condition, Counts, Event, EventType, Paper
from watcher.store.papers import Papers

_encode = msgspec.json.Encoder().encode
_conditions = msgspec.json.Decoder(tuple[Condition, ...])

_COLUMNS = (
    "cursor, id, type, at, rule, paper, subject, upvotes, comments, stars, reason, conditions,"
    " strength, known, late"
)


class Events:
    """Every statement about events."""

    def __init__(self, conn: sqlite3.Connection, papers: Papers) -> None:
        self._conn = conn
        self._papers = papers

    # --- telling once ---

    def said(self, papers: Sequence[int]) -> frozenset[str]:
        """The keys used up by everything already said of these papers."""
        rows = self._conn.execute(
            "select key from keys where paper in (select value from json_each(?))",
            (_encode(papers).decode(),),
        )
        return frozenset(key for (key,) in rows)

    def use_keys(self, paper: int, keys: Iterable[str], at: datetime) -> None:
        """Mark things as said of a paper."""
        self._conn.executemany(
            "insert into keys (paper, key, at) values (?, ?, ?) on conflict do nothing",
            [(paper, key, to_text(at)) for key in keys],
        )

    def told_since(self, since: datetime) -> dict[str, int]:
        """Per rule how many changes it told since an instant, baselines left out."""
        rows = self._conn.execute(
            "select rule, count(*) from events where at >= ? and not known"
            " and rule is not null group by rule",
            (to_text(since),),
        )
        return dict(rows.fetchall())

    def add(self, event: Event, *, source: int | None = None, subject: str | None = None) -> int:
        """Store an event; its cursor, or 0 when one with this id is there already."""
        row = self._conn.execute(
            "insert into events (id, type, at, rule, paper, source, subject, upvotes, comments,"
            " stars, reason, conditions, strength, known, late)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " on conflict (id) do nothing returning cursor",
            (
                event.id,
                event.type.value,
                to_text(event.at),
                event.rule,
                event.paper.row if event.paper else None,
                source,
                subject,
                event.counts.upvotes,
                event.counts.comments,
                event.counts.stars,
                event.reason,
                _encode(event.conditions).decode() if event.conditions else None,
                event.strength,
                int(event.known),
                int(event.late),
            ),
        ).fetchone()
        return int(row[0]) if row else 0

    # --- baselines of pairs (rule, source) ---

    def pairs(self, source: str) -> dict[str, tuple[str, datetime]]:
        """Rule to the wording (fingerprint) and the time at which it first judged a source."""
        rows = self._conn.execute(
            "select rule, fingerprint, at from pairs where source = ?", (source,)
        )
        return {rule: (fingerprint, from_text(at)) for rule, fingerprint, at in rows}

    def keep_pair(self, rule: str, source: str, fingerprint: str, at: datetime) -> None:
        """The first snapshot of this pair has been judged under this wording of the rule."""
        self._conn.execute(
            "insert into pairs (rule, source, fingerprint, at) values (?, ?, ?, ?)"
            " on conflict do update set fingerprint = excluded.fingerprint, at = excluded.at",
            (rule, source, fingerprint, to_text(at)),
        )

    # --- what was learnt ---

    def learnt(self, name: str, before: int) -> str | None:
        """Something learnt from the records before an instant, as it was stored."""
        row = self._conn.execute(
            "select body from learnt where name = ? and before = ?", (name, before)
        ).fetchone()
        return None if row is None else str(row[0])

    def keep_learnt(self, name: str, before: int, body: str) -> None:
        """Store what was learnt; the first to learn it wins."""
        self._conn.execute(
            "insert into learnt (name, before, body) values (?, ?, ?) on conflict do nothing",
            (name, before, body),
        )

    # --- reading ---

    def after(
        self, cursor: int = 0, *, limit: int | None = None, known: bool = True
    ) -> tuple[Event, ...]:
        """Events behind a cursor, oldest first; ``known=False`` leaves out baselines."""
        return self._read(
            "cursor > ? and (? or not known) order by cursor limit ?",
            (cursor, int(known), -1 if limit is None else limit),
        )

    def latest(self, *, limit: int, known: bool = False) -> tuple[Event, ...]:
        """The newest events, newest first."""
        return self._read("(? or not known) order by cursor desc limit ?", (int(known), limit))

    def of_paper(self, paper: int) -> tuple[Event, ...]:
        """Everything said of one paper, oldest first."""
        return self._read("paper = ? order by cursor", (paper,))

    def between(self, since: datetime, until: datetime) -> tuple[Event, ...]:
        """Events decided in ``[since, until)``, oldest first, baselines included."""
        return self._read("at >= ? and at < ? order by cursor", (to_text(since), to_text(until)))

    def by_cursors(self, cursors: Iterable[int]) -> tuple[Event, ...]:
        """Events by their cursors, oldest first."""
        return self._read(
            "cursor in (select value from json_each(?)) order by cursor",
            (_encode(list(cursors)).decode(),),
        )

    def tallies(self) -> dict[str, tuple[int, int, datetime | None]]:
        """Per rule how many changes it told, how many were known, and when it told the last."""
        rows = self._conn.execute(
            "select rule, sum(not known), sum(known), max(iif(known, null, at)) from events"
            " where rule is not null group by rule"
        )
        return {rule: (told, known, maybe_from_text(at)) for rule, told, known, at in rows}

    def notices(
        self, subject: str, types: Iterable[EventType], *, since: datetime | None = None
    ) -> tuple[tuple[EventType, datetime], ...]:
        """Type and time of the notices about something, oldest first."""
        rows = self._conn.execute(
            "select type, at from events where subject = ?1 and (?2 is null or at >= ?2)"
            " and type in (select value from json_each(?3)) order by cursor",
            (subject, to_text(since) if since else None, _encode(list(types)).decode()),
        )
        return tuple((EventType(kind), from_text(at)) for kind, at in rows)

    def count(self) -> int:
        """How many events are stored."""
        return int(self._conn.execute("select count(*) from events").fetchone()[0])

    def _read(self, where: str, values: tuple[Any, ...]) -> tuple[Event, ...]:
        rows = self._conn.execute(f"select {_COLUMNS} from events where {where}", values).fetchall()
        wanted = list({row[5] for row in rows if row[5] is not None})
        papers = {paper.row: paper for paper in self._papers.many(wanted)}
        return tuple(_event(row, papers) for row in rows)


def _event(row: Sequence[Any], papers: dict[int, Paper]) -> Event:
    return Event(
        cursor=row[0],
        id=row[1],
        type=EventType(row[2]),
        at=from_text(row[3]),
        rule=row[4],
        paper=papers.get(row[5]) if row[5] is not None else None,
        subject=row[6],
        counts=Counts(upvotes=row[7], comments=row[8], stars=row[9]),
        reason=row[10],
        conditions=_conditions.decode(row[11]) if row[11] else (),
        strength=row[12],
        known=bool(row[13]),
        late=bool(row[14]),
    )
