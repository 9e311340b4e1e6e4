"""How each channel stands: working, failing, resting, muted, disabled; and refused addresses.

Owns the tables ``channels`` and ``suppressed``. Decides nothing: when a channel is disabled or
its operator told is ``watcher.deliver``'s to say.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from watcher.clock import from_text, maybe_from_text, to_text
from watcher.model import Value


class ChannelState(Value, frozen=True, kw_only=True):
    """What is remembered of a channel, whether or not the config still has it."""

    name: str
    since: datetime
    """When it was met first."""
    disabled_at: datetime | None = None
    disabled_why: str | None = None
    by_hand: bool = False
    """Disabled by a person."""
    muted_until: datetime | None = None
    rest_until: datetime | None = None
    """The other side asked to be left alone until then."""
    failures: int = 0
    """Failed sends since the last good one."""
    failing_since: datetime | None = None
    last_failed_at: datetime | None = None
    last_sent_at: datetime | None = None
    last_error: str | None = None
    told: str | None = None
    """The kind of notice that is out about it."""

    @property
    def disabled(self) -> bool:
        """Nothing is sent until a person enables it again; what is owed waits."""
        return self.disabled_at is not None

    def muted(self, now: datetime) -> bool:
        """Whether papers are dropped instead of sent."""
        return self.muted_until is not None and now < self.muted_until

    def resting(self, now: datetime) -> bool:
        """Whether the other side asked for a pause that lasts."""
        return self.rest_until is not None and now < self.rest_until


class Suppressed(Value, frozen=True, kw_only=True):
    """An address that is not written to again, until a person says otherwise."""

    channel: str
    address: str
    reason: str
    at: datetime


_COLUMNS = (
    "name, since, disabled_at, disabled_why, by_hand, muted_until, rest_until, failures,"
    " failing_since, last_failed_at, last_sent_at, last_error, told"
)
_TIMES = frozenset(
    (
        "since",
        "disabled_at",
        "muted_until",
        "rest_until",
        "failing_since",
        "last_failed_at",
        "last_sent_at",
    )
)


class Standing:
    """Every statement about channels themselves."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def meet(self, names: Iterable[str], now: datetime) -> None:
        """Make the rows of channels that were never met."""
        self._conn.executemany(
            "insert into channels (name, since) values (?, ?) on conflict do nothing",
            [(name, to_text(now)) for name in names],
        )

    def get(self, name: str) -> ChannelState | None:
        """How a channel stands; None when it was never met."""
        row = self._conn.execute(
            f"select {_COLUMNS} from channels where name = ?", (name,)
        ).fetchone()
        return None if row is None else _state(row)

    def all(self) -> tuple[ChannelState, ...]:
        """All channels ever met, by name."""
        rows = self._conn.execute(f"select {_COLUMNS} from channels order by name")
        return tuple(_state(row) for row in rows)

    # --- by a person ---

    def enable(self, name: str, now: datetime) -> bool:
        """Switch a channel on: it starts afresh, and what failed before is due now.

        False when it was never met. What is ``told`` stays: its first good send is told too.
        """
        found = self._update(
            name,
            "disabled_at = null, disabled_why = null, by_hand = 0, rest_until = null,"
            " failures = 0, failing_since = null, last_failed_at = null",
        )
        self.bring_forward(name, now)
        return found

    def disable(self, name: str, now: datetime, *, why: str, by_hand: bool = False) -> bool:
        """Switch a channel off; what is owed waits. False when it was never met."""
        return self._update(
            name,
            "disabled_at = ?, disabled_why = ?, by_hand = ?",
            to_text(now),
            why,
            int(by_hand),
        )

    def mute(self, name: str, until: datetime | None) -> bool:
        """Drop what becomes due until an instant, notices excepted; None ends a mute."""
        return self._update(name, "muted_until = ?", to_text(until) if until else None)

    # --- by what happened ---

    def succeed(self, name: str, now: datetime) -> None:
        """A message was taken: the channel works."""
        self._update(
            name,
            "failures = 0, failing_since = null, last_failed_at = null, rest_until = null,"
            " last_sent_at = ?",
            to_text(now),
        )

    def fail(self, name: str, now: datetime, error: str, *, since: datetime) -> None:
        """A message was not taken; ``since`` is when this run of failures began."""
        self._update(
            name,
            "failures = iif(failing_since is ?1, failures + 1, 1), failing_since = ?1,"
            " last_failed_at = ?2, last_error = ?3",
            to_text(since),
            to_text(now),
            error,
        )

    def rest(self, name: str, until: datetime) -> None:
        """Leave the channel alone until an instant."""
        self._update(name, "rest_until = ?", to_text(until))

    def stir(self, name: str) -> None:
        """Leave it alone no longer."""
        self._update(name, "rest_until = null")

    def tell(self, name: str, kind: str | None) -> None:
        """Remember the kind of notice that is out about a channel; None: all is told."""
        self._update(name, "told = ?", kind)

    def bring_forward(self, name: str, now: datetime, *, since: datetime | None = None) -> int:
        """Make due what failed and waits for another attempt; how many that were.

        ``since``: only what never failed before; what did fails for a reason of its own.
        """
        cursor = self._conn.execute(
            "update messages set due_at = ?2 where channel = ?1 and state = 'waiting'"
            " and due_at > ?2 and first_failed_at >= ?3 and not leased",
            (name, to_text(now), to_text(since) if since else ""),
        )
        return cursor.rowcount

    def _update(self, name: str, what: str, *values: Any) -> bool:
        cursor = self._conn.execute(
            f"update channels set {what} where name = ?{len(values) + 1}", (*values, name)
        )
        return cursor.rowcount > 0

    # --- addresses ---

    def suppress(self, channel: str, address: str, reason: str, now: datetime) -> None:
        """Never write to an address again; what waits for it ends as suppressed."""
        # SQLite's lower() knows ASCII only, which is what differs in practice.
        address = address.lower()
        self._conn.execute(
            "insert into suppressed (channel, address, reason, at) values (?, ?, ?, ?)"
            " on conflict do nothing",
            (channel, address, reason, to_text(now)),
        )
        self._conn.execute(
            "update messages set state = 'suppressed', error = ?, ended_at = ?, leased = 0"
            " where channel = ? and state = 'waiting' and ? in (recipient, lower(recipient))",
            (reason, to_text(now), channel, address),
        )

    def allow(self, channel: str, address: str) -> bool:
        """Write to an address again; False when it was not suppressed."""
        cursor = self._conn.execute(
            "delete from suppressed where channel = ? and address = ?", (channel, address.lower())
        )
        return cursor.rowcount > 0

    def suppressed(self, channel: str | None = None) -> tuple[Suppressed, ...]:
        """The addresses that are not written to, of one channel or of all."""
        rows = self._conn.execute(
            "select channel, address, reason, at from suppressed"
            " where ?1 is null or channel = ?1 order by channel, address",
            (channel,),
        )
        return tuple(
            Suppressed(channel=row[0], address=row[1], reason=row[2], at=from_text(row[3]))
            for row in rows
        )


def _state(row: Sequence[Any]) -> ChannelState:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    for name in _TIMES:
        values[name] = maybe_from_text(values[name])
    values["by_hand"] = bool(values["by_hand"])
    return ChannelState(**values)
