"""People who subscribe by themselves: their wishes, their mutes, when they are due.

Owns the tables ``subscribers``, ``mutes`` and ``own_keys``, and the freezing of a batch that
several subscribers share. Decides nothing: what somebody is told is ``watcher.wants``'s to say.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from watcher.clock import from_text, maybe_from_text, to_text
from watcher.model import Digest
from watcher.store.outbox import Outbox
from watcher.wants import Subscriber, SubscriberState, Wishes

_encode = msgspec.json.Encoder().encode
_wishes = msgspec.json.Decoder(Wishes)
_COLUMNS = (
    "id, handle, address, state, wishes, asked, asked_at, nonce, created_at, confirmed_at,"
    " left_at, told_cursor, told_at, mailed_at, due_at, changed_at"
)
_SAME = "lower(address) = lower(?)"


class People:
    """Every statement about subscribers."""

    def __init__(self, conn: sqlite3.Connection, outbox: Outbox) -> None:
        self._conn = conn
        self._outbox = outbox

    # --- who ---

    def by_handle(self, handle: str) -> Subscriber | None:
        """Whom a token speaks of."""
        return self._one("handle = ?", handle)

    def by_address(self, address: str) -> Subscriber | None:
        """Who has an address, in any case of letters, its domain in Unicode or in ASCII."""
        found = (self._one(_SAME, spelling) for spelling in _spellings(address))
        return next(filter(None, found), None)

    def all(self, state: SubscriberState | None = None) -> tuple[Subscriber, ...]:
        """Everybody, by address; those of one state only, if asked."""
        return self._many(
            "?1 is null or state = ?1 order by lower(address)", (state.value if state else None,)
        )

    def count(self) -> dict[str, int]:
        """How many subscribers there are of each state."""
        rows = self._conn.execute("select state, count(*) from subscribers group by state")
        return {state.value: 0 for state in SubscriberState} | dict(rows.fetchall())

    # --- coming and going ---

    def ask(self, address: str, wishes: Wishes, *, handle: str, nonce: str, now: datetime) -> int:
        """Someone asked to be subscribed: keep their wishes until they confirm; their row.

        ``handle`` is for an address that was never here. What an active subscriber gets stays
        as it is. The nonce makes every earlier confirmation void.
        """
        known = self.by_address(address)
        text, at = _encode(wishes).decode(), to_text(now)
        if known is None:
            row = self._conn.execute(
                "insert into subscribers (handle, address, state, wishes, asked, asked_at, nonce,"
                " letters, letters_since, created_at, changed_at)"
                " values (?, ?, 'asked', ?3, ?3, ?4, ?5, 1, ?4, ?4, ?4) returning id",
                (handle, address, text, at, nonce),
            ).fetchone()
            return int(row[0])
        day_ago = to_text(now - timedelta(days=1))
        self._conn.execute(
            "update subscribers set asked = ?1, asked_at = ?2, nonce = ?3,"
            " letters = iif(letters_since > ?4, letters, 0) + 1,"
            " letters_since = iif(letters_since > ?4, letters_since, ?2) where id = ?5",
            (text, at, nonce, day_ago, known.id),
        )
        return known.id

    def letters_today(self, address: str, now: datetime) -> int:
        """How many letters asked a mailbox for a confirmation within a day: an address, and those
        with a tag (``ada+news@…``), which mail servers put into the same mailbox."""
        local, _, domain = address.lower().rpartition("@")
        box = local.partition("+")[0] or local
        row = self._conn.execute(
            "select coalesce(sum(letters), 0) from subscribers where letters_since > ?1"
            " and (lower(address) = ?2 || '@' || ?3 or (lower(address) >= ?2 || '+'"
            " and lower(address) < ?2 || ',' and lower(address) like '%@' || ?3))",
            (to_text(now - timedelta(days=1)), box, domain),
        ).fetchone()
        return int(row[0])

    def activate(
        self, row: int, wishes: Wishes, now: datetime, *, due_at: datetime, anew: bool
    ) -> None:
        """From now on they are written to. ``anew``: what was told before is not theirs."""
        self._conn.execute(
            "update subscribers set state = 'active', wishes = ?1, asked = null, left_at = null,"
            " confirmed_at = coalesce(confirmed_at, ?2), changed_at = ?2, due_at = ?3,"
            " told_at = iif(?5, ?2, told_at), told_cursor = iif(?5,"
            "  (select coalesce(max(cursor), 0) from events), told_cursor) where id = ?4",
            (_encode(wishes).decode(), to_text(now), to_text(due_at), row, int(anew)),
        )

    def change(self, row: int, wishes: Wishes, now: datetime, *, due_at: datetime | None) -> None:
        """Other wishes; nothing is lost or doubled by another hour."""
        self._conn.execute(
            "update subscribers set wishes = ?, changed_at = ?, due_at = ? where id = ?",
            (_encode(wishes).decode(), to_text(now), due_at and to_text(due_at), row),
        )

    def leave(self, row: int, now: datetime) -> bool:
        """They are not written to any more; nothing is deleted. False when they had left."""
        return (
            self._conn.execute(
                "update subscribers set state = 'left', left_at = ?1, changed_at = ?1,"
                " asked = null, nonce = '', due_at = null where id = ?2 and state != 'left'",
                (to_text(now), row),
            ).rowcount
            > 0
        )

    def remove(self, address: str) -> bool:
        """Forget an address altogether, with its mail and its bounces; False if it was not there.

        Where the config writes to the same address, what became of that mail stays.
        """
        found = self._conn.execute(f"delete from subscribers where {_SAME}", (address,)).rowcount
        if found:
            self._outbox.forget((address,))
            self._conn.execute(
                "delete from suppressed where address = lower(?) and not exists (select 1"
                " from messages where channel = suppressed.channel"
                " and lower(recipient) = suppressed.address)",
                (address,),
            )
        return found > 0

    # --- mutes ---

    def mute(self, row: int, topic: str, until: datetime) -> None:
        """Leave a topic out until an instant."""
        self._conn.execute(
            "insert into mutes (subscriber, topic, until) values (?, ?, ?)"
            " on conflict do update set until = excluded.until",
            (row, topic, to_text(until)),
        )

    def unmute(self, row: int, topic: str, now: datetime) -> None:
        """Hear of a topic again: of what comes from now on."""
        self._conn.execute("delete from mutes where subscriber = ? and topic = ?", (row, topic))
        self._conn.execute(
            "update subscribers set changed_at = ? where id = ?", (to_text(now), row)
        )

    # --- due ---

    def due(self, now: datetime) -> tuple[Subscriber, ...]:
        """Everybody whose time has come, the longest overdue first."""
        return self._many("state = 'active' and due_at <= ? order by due_at, id", (to_text(now),))

    def look_after(
        self,
        subscriber: Subscriber,
        *,
        cursor: int,
        horizon: datetime,
        due_at: datetime,
        mailed_at: datetime | None,
    ) -> bool:
        """They were told of what came up to a cursor and a horizon; False when they changed."""
        return (
            self._conn.execute(
                "update subscribers set told_cursor = ?1, told_at = max(told_at, ?2), due_at = ?3,"
                " mailed_at = coalesce(?4, mailed_at)"
                " where id = ?5 and state = 'active' and due_at = ?6 and told_cursor = ?7",
                (
                    cursor,
                    to_text(horizon),
                    to_text(due_at),
                    to_text(mailed_at) if mailed_at else None,
                    subscriber.id,
                    to_text(subscriber.due_at) if subscriber.due_at else None,
                    subscriber.told_cursor,
                ),
            ).rowcount
            > 0
        )

    def share(
        self,
        channel: str,
        batch: str,
        digest: Digest,
        *,
        recipients: Sequence[str],
        now: datetime,
    ) -> None:
        """Owe one digest to several people: a batch that is closed from the start.

        Its words are stored once, however many read them.
        """
        due_at = digest.due_at or now
        self._outbox.open(channel, batch, due_at=due_at, to=recipients, now=now)
        self._conn.execute(
            "update batches set closed_at = ?, body = ? where channel = ? and batch = ?"
            " and body is null",
            (to_text(now), _encode(digest).decode(), channel, batch),
        )

    # --- keys ---

    def own_key(self, name: str, fresh: bytes, now: datetime) -> bytes:
        """A key of our own, made of ``fresh`` when it is asked for first."""
        self._conn.execute(
            "insert into own_keys (name, value, made_at) values (?, ?, ?) on conflict do nothing",
            (name, fresh, to_text(now)),
        )
        row = self._conn.execute("select value from own_keys where name = ?", (name,)).fetchone()
        return bytes(row[0])

    # --- reading ---

    def _one(self, where: str, value: str) -> Subscriber | None:
        found = self._many(where, (value,))
        return found[0] if found else None

    def _many(self, where: str, values: tuple[Any, ...]) -> tuple[Subscriber, ...]:
        rows = self._conn.execute(
            f"select {_COLUMNS} from subscribers where {where}", values
        ).fetchall()
        muted = self._mutes([row[0] for row in rows])
        return tuple(_subscriber(row, muted.get(row[0], {})) for row in rows)

    def _mutes(self, rows: Iterable[int]) -> dict[int, dict[str, datetime]]:
        found: dict[int, dict[str, datetime]] = {}
        for row, topic, until in self._conn.execute(
            "select subscriber, topic, until from mutes"
            " where subscriber in (select value from json_each(?))",
            (_encode(list(rows)).decode(),),
        ):
            found.setdefault(row, {})[topic] = from_text(until)
        return found


def _spellings(address: str) -> Iterator[str]:
    """An address as it is written, then as it goes over the wire and as people read it."""
    yield address
    local, _, domain = address.rpartition("@")
    with contextlib.suppress(UnicodeError):
        wire = domain.encode("idna")
        if wire.lower() != domain.lower().encode():
            yield f"{local}@{wire.decode()}"
        elif b"xn--" in wire.lower():
            yield f"{local}@{wire.decode('idna')}"


def _subscriber(row: Sequence[Any], muted: dict[str, datetime]) -> Subscriber:
    return Subscriber(
        id=row[0],
        handle=row[1],
        address=row[2],
        state=SubscriberState(row[3]),
        wishes=_wishes.decode(row[4]),
        asked=_wishes.decode(row[5]) if row[5] else None,
        asked_at=maybe_from_text(row[6]),
        nonce=row[7],
        muted=muted,
        created_at=from_text(row[8]),
        confirmed_at=maybe_from_text(row[9]),
        left_at=maybe_from_text(row[10]),
        told_cursor=row[11],
        told_at=maybe_from_text(row[12]),
        mailed_at=maybe_from_text(row[13]),
        due_at=maybe_from_text(row[14]),
        changed_at=from_text(row[15]),
    )
