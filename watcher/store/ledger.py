"""The ledger: what is owed, was sent and was given up, for whoever looks at it.

Owns the values of the outbox and every statement that only reads them, and pruning. What changes
them is ``store.outbox``.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

import msgspec

from watcher.clock import from_text, maybe_from_text, to_text
from watcher.model import Digest, Letter, Links, MessageState, Value

decode_digest = msgspec.json.Decoder(Digest).decode


class Words(Value, frozen=True, kw_only=True):
    """What one message says, where its batch does not say it."""

    digest: Digest | None = None
    letter: Letter | None = None


decode_words = msgspec.json.Decoder(Words).decode


class Batch(Value, frozen=True, kw_only=True):
    """A batch about to close, or still open."""

    channel: str
    batch: str
    due_at: datetime
    opened_at: datetime
    closed_at: datetime | None = None
    cursors: tuple[int, ...] = ()
    """The events it tells."""


class Claimed(Value, frozen=True, kw_only=True):
    """A message that is its sender's until the lease ends."""

    key: str
    channel: str
    batch: str
    recipient: str
    promised_at: datetime
    attempt: int
    """1 for the first."""
    first_failed_at: datetime | None
    words: Words
    links: Links = Links()
    """Of a subscriber; put there just before it is sent."""
    timezone: str | None = None
    """In which a subscriber reads times; None: the channel's."""


class Line(Value, frozen=True, kw_only=True):
    """One message as a person looks at it."""

    key: str
    channel: str
    recipient: str
    due_at: datetime
    promised_at: datetime
    attempts: int
    state: MessageState
    error: str | None
    events: tuple[str, ...]
    batch: str
    ended_at: datetime | None = None


class Told(Value, frozen=True, kw_only=True):
    """Where a channel was told of a paper and kind."""

    batch: str
    rule: str | None
    """The rule whose event was the first."""
    due_at: datetime | None
    """Of a batch that can still take something; None when it has closed."""


class Waiting(Value, frozen=True, kw_only=True):
    """What of a channel is not sent yet."""

    channel: str
    messages: int
    oldest: datetime
    """The earliest promised time."""


class Ledger:
    """Every statement that only looks at what is owed and sent."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    # --- looking ---

    def line(self, key: str) -> Line | None:
        """One message by its key."""
        found = self._lines("key = ?", (key,))
        return found[0] if found else None

    def lines(
        self,
        *,
        channel: str | None = None,
        state: MessageState | None = None,
        limit: int | None = None,
    ) -> tuple[Line, ...]:
        """Messages, the latest promised first."""
        return self._lines(
            "(?1 is null or channel = ?1) and (?2 is null or state = ?2)"
            " order by promised_at desc, key limit ?3",
            (channel, state.value if state else None, -1 if limit is None else limit),
        )

    def _lines(self, where: str, values: tuple[Any, ...]) -> tuple[Line, ...]:
        rows = self._conn.execute(
            "select key, channel, recipient, due_at, promised_at, attempts, state, error, batch,"
            " ended_at, (select json_group_array(id) from (select e.id from deliveries d"
            "  join events e on e.cursor = d.event where d.channel = messages.channel"
            "  and d.batch = messages.batch order by e.cursor)) from messages where " + where,
            values,
        )
        return tuple(
            Line(
                key=row[0],
                channel=row[1],
                recipient=row[2],
                due_at=from_text(row[3]),
                promised_at=from_text(row[4]),
                attempts=row[5],
                state=MessageState(row[6]),
                error=row[7],
                batch=row[8],
                ended_at=maybe_from_text(row[9]),
                events=tuple(msgspec.json.decode(row[10])),
            )
            for row in rows
        )

    def words(self, key: str) -> Words | None:
        """What a message says; None before its batch has closed."""
        row = self._conn.execute(
            "select m.words, b.body from messages m left join batches b"
            " on b.channel = m.channel and b.batch = m.batch where m.key = ?",
            (key,),
        ).fetchone()
        if row is None or row == (None, None):
            return None
        return decode_words(row[0]) if row[0] else Words(digest=decode_digest(row[1]))

    def cursors(self, channel: str, batch: str) -> tuple[int, ...]:
        """The events a batch tells, open or closed."""
        rows = self._conn.execute(
            "select event from deliveries where channel = ? and batch = ? order by event",
            (channel, batch),
        )
        return tuple(cursor for (cursor,) in rows)

    def waiting(self) -> tuple[Waiting, ...]:
        """Per channel what is not sent yet, orphaned and disabled channels included."""
        rows = self._conn.execute(
            "select channel, count(*), min(promised_at) from messages where state = 'waiting'"
            " group by channel order by channel"
        )
        return tuple(
            Waiting(channel=row[0], messages=row[1], oldest=from_text(row[2])) for row in rows
        )

    def dead_of(self) -> dict[str, int]:
        """How many messages of each channel were given up."""
        rows = self._conn.execute(
            "select channel, count(*) from messages where state = 'dead' group by channel"
        )
        return dict(rows.fetchall())

    def counts(self, channel: str | None = None) -> dict[str, int]:
        """How many messages there are of each state, of one channel or of all."""
        rows = self._conn.execute(
            "select state, count(*) from messages where ?1 is null or channel = ?1 group by state",
            (channel,),
        )
        return {state.value: 0 for state in MessageState} | dict(rows.fetchall())

    def has_untried(self, channel: str, now: datetime) -> bool:
        """Whether a channel has something due that it was never asked to take."""
        return (
            self._conn.execute(
                "select 1 from messages where state = 'waiting' and channel = ? and due_at <= ?"
                " and attempts = 0 limit 1",
                (channel, to_text(now)),
            ).fetchone()
            is not None
        )

    def first_promise(self, claimed: Claimed) -> datetime:
        """When a message was to leave before quiet hours moved that."""
        row = self._conn.execute(
            "select due_at from batches where channel = ? and batch = ?",
            (claimed.channel, claimed.batch),
        ).fetchone()
        return claimed.promised_at if row is None else min(claimed.promised_at, from_text(row[0]))

    # --- keeping ---

    def prune(self, before: datetime) -> int:
        """Forget messages that ended before an instant, and what their batches said.

        Deliveries stay: without them a channel would be told old news again.
        """
        removed = self._conn.execute(
            "delete from messages where ended_at < ?", (to_text(before),)
        ).rowcount
        self._conn.execute(
            "delete from batches where closed_at < ? and not exists (select 1 from messages m"
            " where m.channel = batches.channel and m.batch = batches.batch)",
            (to_text(before),),
        )
        return removed
