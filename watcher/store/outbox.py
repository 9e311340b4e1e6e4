"""The outbox: deliveries, batches that close, and the messages that carry all state.

Owns the tables ``deliveries``, ``batches`` and ``messages``. Every method is plain statements
inside the caller's transaction. Decides nothing: who is owed what is ``watcher.owed``'s to say,
when to try again ``watcher.deliver``'s.

Claiming is pushing the due time forward by a lease: a crash makes the message due again. A
batch closes when its first message is claimed: its words are frozen in the same transaction,
and every later attempt and recipient gets the same under its own key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from watcher.clock import from_text, maybe_from_text, to_text
from watcher.identity import message_key
from watcher.model import Delivery, Digest, MessageState
from watcher.store.ledger import (
    Batch,
    Claimed,
    Ledger,
    Told,
    Words,
    decode_digest,
    decode_words,
)
from watcher.store.standing import ChannelState, Standing

Recipients = Mapping[str, Sequence[str]]
"""Channel to its recipients; one empty text where the channel itself is the recipient."""

Compose = Callable[[Batch], Digest]

_encode = msgspec.json.Encoder().encode


class Outbox(Ledger):
    """Every statement that changes what is owed and sent; it can be looked at too."""

    def __init__(self, conn: sqlite3.Connection, standing: Standing) -> None:
        super().__init__(conn)
        self._standing = standing

    # --- owing ---

    def add(self, deliveries: Iterable[Delivery], recipients: Recipients, now: datetime) -> int:
        """Owe events; returns how many deliveries were new.

        Opens the batches and a message for each recipient. The caller routes nothing to a
        batch that has closed.
        """
        added = 0
        opened: set[tuple[str, str]] = set()
        for item in deliveries:
            place = (item.channel, item.batch)
            if place not in opened:
                self.open(*place, due_at=item.due_at, to=recipients[item.channel], now=now)
                opened.add(place)
            cursor = self._conn.execute(
                "insert into deliveries (event, channel, batch)"
                " select cursor, ?, ? from events where id = ? on conflict do nothing",
                (*place, item.event_id),
            )
            added += cursor.rowcount
        return added

    def open(
        self, channel: str, batch: str, *, due_at: datetime, to: Sequence[str], now: datetime
    ) -> None:
        """Open a batch with its messages, or give an open one the recipients it lacks."""
        self._standing.meet((channel,), now)
        self._conn.execute(
            "insert into batches (channel, batch, due_at, opened_at) values (?, ?, ?, ?)"
            " on conflict do nothing",
            (channel, batch, to_text(due_at), to_text(now)),
        )
        for recipient in to:
            self._insert(channel, batch, recipient, due_at=due_at)

    def post(
        self, channel: str, batch: str, recipient: str, *, words: Words, due_at: datetime
    ) -> str:
        """Owe a message with words of its own (a letter, a subscriber's digest); its key.

        ``batch`` names it among the recipient's messages: the same name is one message.
        """
        self._standing.meet((channel,), due_at)
        return self._insert(channel, batch, recipient, due_at=due_at, words=words)

    def _insert(
        self,
        channel: str,
        batch: str,
        recipient: str,
        *,
        due_at: datetime,
        words: Words | None = None,
    ) -> str:
        key = message_key(channel, batch, recipient)
        refused = self._conn.execute(
            "select reason, at from suppressed where channel = ? and address in (?, ?)",
            (channel, recipient, recipient.lower()),
        ).fetchone()
        state = MessageState.SUPPRESSED if refused else MessageState.WAITING
        self._conn.execute(
            "insert into messages (key, channel, batch, recipient, promised_at, due_at, state,"
            " error, ended_at, words) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            (
                key,
                channel,
                batch,
                recipient,
                to_text(due_at),
                to_text(due_at),
                state.value,
                refused[0] if refused else None,
                to_text(due_at) if refused else None,
                _encode(words).decode() if words else None,
            ),
        )
        return key

    def told(self, channel: str, papers: Sequence[int]) -> dict[tuple[int, str], Told]:
        """What a channel was told, or will be: by paper's row and type of event."""
        rows = self._conn.execute(
            "select e.paper, e.type, d.batch, e.rule, iif(b.closed_at is null, b.due_at, null)"
            " from events e join deliveries d on d.event = e.cursor and d.channel = ?"
            " left join batches b on b.channel = d.channel and b.batch = d.batch"
            " where e.paper in (select value from json_each(?)) order by e.cursor desc",
            (channel, _encode(papers).decode()),
        )
        return {
            (row[0], row[1]): Told(batch=row[2], rule=row[3], due_at=maybe_from_text(row[4]))
            for row in rows
        }

    def note_told(self, event_id: str, rule: str | None) -> None:
        """Write into an event that goes to nobody who had told it already."""
        self._conn.execute(
            "update events set reason = reason || ? where id = ?",
            (f"; already told by {rule or 'another rule'}", event_id),
        )

    def is_closed(self, channel: str, batch: str) -> bool:
        """Whether a batch can take nothing more."""
        return (
            self._conn.execute(
                "select 1 from batches where channel = ? and batch = ? and closed_at is not null",
                (channel, batch),
            ).fetchone()
            is not None
        )

    def overdue(self, channel: str, now: datetime) -> Batch | None:
        """The oldest open digest whose time has come; what is owed now can still join it."""
        found = [batch for batch in self.open_batches(channel) if batch.due_at <= now]
        return next((batch for batch in found if batch.batch.startswith("d:")), None)

    def open_batches(self, channel: str) -> tuple[Batch, ...]:
        """Digests and alerts that can still take something, the first due first."""
        rows = self._conn.execute(
            f"select batch, due_at, opened_at from batches where channel = ? and {_ROUTED}"
            " and closed_at is null order by due_at, batch",
            (channel,),
        )
        return tuple(
            Batch(
                channel=channel, batch=row[0], due_at=from_text(row[1]), opened_at=from_text(row[2])
            )
            for row in rows
        )

    def last_digest(self, channel: str) -> Batch | None:
        """The digest of a channel that was closed last."""
        row = self._conn.execute(
            "select batch, due_at, opened_at, closed_at from batches where channel = ?"
            " and batch >= 'd:' and batch < 'd;' and closed_at is not null"
            " order by closed_at desc limit 1",
            (channel,),
        ).fetchone()
        return row and Batch(
            channel=channel,
            batch=row[0],
            due_at=from_text(row[1]),
            opened_at=from_text(row[2]),
            closed_at=from_text(row[3]),
        )

    # --- planning anew ---

    def reschedule(self, channel: str, batch: str, due_at: datetime) -> None:
        """Give an open batch another due time: the new promise of its messages."""
        due = to_text(due_at)
        self._conn.execute(
            "update batches set due_at = ? where channel = ? and batch = ? and closed_at is null",
            (due, channel, batch),
        )
        self._conn.execute(
            "update messages set due_at = ?1, promised_at = ?1 where channel = ?2 and batch = ?3"
            " and state = 'waiting' and attempts = 0 and not leased",
            (due, channel, batch),
        )

    def postpone(
        self, channel: str, batch: str, due_at: datetime, *, overdue_since: datetime
    ) -> bool:
        """Let a batch leave later than promised, if it was due before ``overdue_since``.

        The promise stays. False when nothing was overdue for so long.
        """
        cursor = self._conn.execute(
            "update messages set due_at = ? where channel = ? and batch = ? and due_at <= ?"
            " and state = 'waiting' and attempts = 0 and not leased",
            (to_text(due_at), channel, batch, to_text(overdue_since)),
        )
        return cursor.rowcount > 0

    def move(self, channel: str, batch: str, to: str) -> None:
        """Let another open batch tell what an open batch would have told."""
        self._conn.execute(
            "update deliveries set batch = ? where channel = ? and batch = ?", (to, channel, batch)
        )
        for table in ("messages", "batches"):
            self._conn.execute(
                f"delete from {table} where channel = ? and batch = ?", (channel, batch)
            )

    def readdress(self, channel: str, recipients: Sequence[str], now: datetime) -> int:
        """Follow a change of a channel's recipients; how many messages were cancelled.

        Who is no longer one gets nothing more. Who is new, or one again, takes over what was
        still waiting for those, and hears what open batches will say. Letters and subscribers'
        messages do not depend on the config.
        """
        names = _encode(recipients).decode()
        left = self._conn.execute(
            "update messages set state = 'cancelled', ended_at = ?3, due_at = ?3, leased = 0,"
            " error = ?4 where channel = ?1"
            f" and state = 'waiting' and words is null and {_ROUTED}"
            " and recipient not in (select value from json_each(?2)) returning batch",
            (channel, names, to_text(now), _LEFT),
        ).fetchall()
        due = {batch: now for (batch,) in left}
        due |= {batch.batch: batch.due_at for batch in self.open_batches(channel)}
        for batch, due_at in due.items():
            # What was cancelled because they had left would stand in the way of what they get.
            self._conn.execute(
                "delete from messages where channel = ? and batch = ? and state = 'cancelled'"
                " and error = ? and recipient in (select value from json_each(?))",
                (channel, batch, _LEFT, names),
            )
            for recipient in recipients:
                self._insert(channel, batch, recipient, due_at=due_at)
        return len(left)

    # --- claiming ---

    def due(self) -> dict[str, datetime]:
        """When each channel's first waiting message is due; disabled channels left out."""
        rows = self._conn.execute(
            "select name, (select min(due_at) from messages"
            "  where state = 'waiting' and channel = name) as due, rest_until"
            " from channels where disabled_at is null"
        )
        return {name: from_text(max(due, rest or "")) for name, due, rest in rows if due}

    def claim(
        self,
        channel: str,
        now: datetime,
        *,
        lease: timedelta,
        compose: Compose,
        quiet: datetime | None = None,
    ) -> Claimed | None:
        """Take the oldest due message of a channel for as long as the lease; None if there is none.

        One at a time, and only when the last was recorded: so that no more is claimed than can
        be sent within the lease, and a mute or an unsubscribe counts until just before sending.
        What a mute removes ends as cancelled. ``quiet`` is when the channel's quiet hours end, in
        which it is: until then alerts wait, those too that failed before; it is their new promise.
        """
        state = self._standing.get(channel)
        if state is None or state.disabled or state.resting(now):
            return None
        while (row := self._oldest_due(channel, now)) is not None:
            if quiet is not None and self._waits_for_dawn(row):
                self._conn.execute(
                    "update messages set due_at = ?1, promised_at = ?1, leased = 0 where key = ?2",
                    (to_text(quiet), row["key"]),
                )
                continue
            own = decode_words(row["words"]) if row["words"] else None
            why = self._muted(row, state, now)
            if why is None:
                return self._take(row, now, lease=lease, words=own, compose=compose)
            self._end(row["key"], MessageState.CANCELLED, now, error=why)
            self._close(channel, row["batch"], now)
        return None

    def _oldest_due(self, channel: str, now: datetime) -> dict[str, Any] | None:
        row = self._conn.execute(
            # Not by due time and then sorted: ten thousand may be due.
            f"select {_ROW} from messages indexed by messages_promised"
            " where state = 'waiting' and channel = ? and due_at <= ?"
            " order by promised_at, key limit 1",
            (channel, to_text(now)),
        ).fetchone()
        return None if row is None else dict(zip(_ROW.split(", "), row, strict=True))

    def _waits_for_dawn(self, row: Mapping[str, Any]) -> bool:
        """Whether it is an alert that nobody has asked for by hand (``resend``)."""
        by_itself = row["attempts"] > 0 or row["due_at"] == row["promised_at"]
        is_alert = row["batch"].startswith("i:")
        return is_alert and by_itself and not self.is_notice(row["channel"], row["batch"])

    def _muted(self, row: Mapping[str, Any], state: ChannelState, now: datetime) -> str | None:
        if not state.muted(now) or state.muted_until is None:
            return None
        spared = row["words"] and decode_words(row["words"]).letter
        if spared or self.is_notice(row["channel"], row["batch"]):
            return None
        return f"the channel is muted until {state.muted_until:%Y-%m-%d %H:%M} UTC"

    def is_notice(self, channel: str, batch: str) -> bool:
        """Whether a batch tells something about the watcher itself."""
        return (
            self._conn.execute(
                "select 1 from deliveries d join events e on e.cursor = d.event"
                " where d.channel = ? and d.batch = ? and e.type not like 'paper.%'",
                (channel, batch),
            ).fetchone()
            is not None
        )

    def _take(
        self,
        row: Mapping[str, Any],
        now: datetime,
        *,
        lease: timedelta,
        words: Words | None,
        compose: Compose,
    ) -> Claimed:
        words = words or Words(digest=self._body(row["channel"], row["batch"], now, compose))
        self._conn.execute(
            "update messages set due_at = ?, leased = 1, attempts = attempts + 1 where key = ?",
            (to_text(now + lease), row["key"]),
        )
        return Claimed(
            key=row["key"],
            channel=row["channel"],
            batch=row["batch"],
            recipient=row["recipient"],
            promised_at=from_text(row["promised_at"]),
            attempt=row["attempts"] + 1,
            first_failed_at=maybe_from_text(row["first_failed_at"]),
            words=words,
        )

    def _body(self, channel: str, batch: str, now: datetime, compose: Compose) -> Digest:
        """What a batch says; composed now, and for good, if nothing of it has left yet."""
        due_at, opened_at, body = self._conn.execute(
            "select due_at, opened_at, body from batches where channel = ? and batch = ?",
            (channel, batch),
        ).fetchone()
        if body is not None:
            return decode_digest(body)
        told = self._conn.execute(
            "select event from deliveries where channel = ? and batch = ? order by event",
            (channel, batch),
        )
        digest = compose(
            Batch(
                channel=channel,
                batch=batch,
                due_at=from_text(due_at),
                opened_at=from_text(opened_at),
                cursors=tuple(cursor for (cursor,) in told),
            )
        )
        self._close(channel, batch, now, body=_encode(digest).decode())
        return digest

    def _close(self, channel: str, batch: str, now: datetime, *, body: str | None = None) -> None:
        self._conn.execute(
            "update batches set closed_at = coalesce(closed_at, ?), body = coalesce(body, ?)"
            " where channel = ? and batch = ?",
            (to_text(now), body, channel, batch),
        )

    # --- outcomes ---

    def sent(self, key: str, now: datetime) -> None:
        """It was taken for good."""
        self._end(key, MessageState.SENT, now)

    def failed(self, key: str, now: datetime, *, error: str, due_at: datetime) -> None:
        """It was not taken; it is tried again at ``due_at``."""
        self._conn.execute(
            "update messages set due_at = ?, leased = 0, error = ?,"
            " first_failed_at = coalesce(first_failed_at, ?) where key = ? and state = 'waiting'",
            (to_text(due_at), error, to_text(now), key),
        )

    def dead(self, key: str, now: datetime, *, error: str) -> None:
        """It is given up."""
        self._end(key, MessageState.DEAD, now, error=error)

    def suppressed(self, key: str, now: datetime, *, error: str) -> None:
        """Its address is refused for good."""
        self._end(key, MessageState.SUPPRESSED, now, error=error)

    def cancelled(self, key: str, now: datetime, *, error: str) -> None:
        """Nobody wants it any more."""
        self._end(key, MessageState.CANCELLED, now, error=error)

    def _end(
        self, key: str, state: MessageState, now: datetime, *, error: str | None = None
    ) -> None:
        self._conn.execute(
            "update messages set state = ?1, error = ?2, ended_at = ?3, due_at = ?3, leased = 0"
            " where key = ?4",
            (state.value, error, to_text(now), key),
        )

    def end_leases(self, now: datetime) -> int:
        """Make due what a process that is gone had claimed; only for who holds the store's lock."""
        return self._conn.execute(
            "update messages set due_at = ?, leased = 0 where leased", (to_text(now),)
        ).rowcount

    def end_long_waits(self, now: datetime, longest: timedelta) -> int:
        """Make due what waits for another attempt for longer than anything is made to wait: a
        clock that was ahead put it off. How many that were."""
        latest = to_text(now + longest)
        self._conn.execute("update channels set rest_until = null where rest_until > ?", (latest,))
        return self._conn.execute(
            "update messages set due_at = ? where state = 'waiting' and attempts > 0"
            " and due_at > ?",
            (to_text(now), latest),
        ).rowcount

    def resend(self, key: str, now: datetime) -> bool:
        """Send a message again, now, whatever became of it: same key, same words.

        False when there is none. An address that was suppressed is written to again, and a
        channel that was left alone for a while is not any more.
        """
        row = self._conn.execute(
            "update messages set state = 'waiting', due_at = ?, leased = 0, attempts = 0,"
            " error = null, first_failed_at = null, ended_at = null where key = ?"
            " returning channel, recipient",
            (to_text(now), key),
        ).fetchone()
        if row is not None:
            self._standing.allow(*row)
            self._standing.stir(row[0])
        return row is not None

    def forget(self, addresses: Collection[str]) -> int:
        """Drop the letters and digests of former subscribers, sent or not; how many that were.

        What the config's own recipients are owed stays, although one may have the same address.
        """
        return self._conn.execute(
            f"delete from messages where not {_ROUTED}"
            " and lower(recipient) in (select lower(value) from json_each(?))",
            (_encode(list(addresses)).decode(),),
        ).rowcount


_ROUTED = "(batch glob 'd:*' or batch glob 'i:*')"
"""Batches that go to the recipients of the config: digests and alerts."""
_LEFT = "no longer a recipient of this channel"
_ROW = "key, channel, batch, recipient, promised_at, due_at, attempts, first_failed_at, words"
