"""Subscribers' rounds: when somebody's hour has come, their message is filled from the events.

Owns the pass over all who are due, and what a message to a subscriber needs just before it is
sent: is it still wanted, by whom, with which links. Must not send, or know pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from watcher.digest import Frame, compose
from watcher.model import Digest, Event, Links, Paper, Value
from watcher.store import Records, Store
from watcher.text import count_of
from watcher.wants import (
    LOOK_BACK,
    SHARED_PREFIX,
    Purpose,
    Subscriber,
    SubscriberState,
    Tokens,
    Wanting,
    Window,
    batch_name,
    choose,
    next_due,
    tailor,
    wanting,
    why_unwanted,
)

_CHUNK = 250
"""Subscribers looked after in one transaction: checks wait for no longer than that takes."""
_YOUNG = 5_000
"""Papers of the last days that own queries look through at most, the newest."""


class Round(Value, frozen=True, kw_only=True):
    """How a pass over the subscribers went."""

    due: int = 0
    mailed: int = 0
    """Messages put into the outbox."""
    digests: int = 0
    """Different digests among them."""


class Parcel(Value, frozen=True, kw_only=True):
    """One digest and who gets it."""

    batch: str
    digest: Digest
    readers: tuple[Subscriber, ...]


class Plan(Value, frozen=True, kw_only=True):
    """What a pass decided; nothing is written down yet."""

    cursor: int
    parcels: tuple[Parcel, ...] = ()
    quiet: tuple[Subscriber, ...] = ()
    """Those for whom there is nothing this time."""


async def hold_round(store: Store, channel: str, now: datetime, *, max_papers: int = 40) -> Round:
    """Look after every subscriber who is due: one pass over the events since their last mail.

    Fills the outbox of ``channel``; what is sent leaves at the pace of that channel. Cheap when
    nobody is due. A crash in the middle loses nothing and doubles nothing: each chunk of
    subscribers is one transaction with their messages.
    """
    people = await store.read(lambda r: r.people.due(now))
    if not people:
        return Round()
    window, cursor = await store.read(lambda r: window_for(r, people, now))
    plan = await asyncio.to_thread(plan_round, people, window, cursor=cursor, max_papers=max_papers)
    mailed = 0
    for parcel in plan.parcels:
        for begin in range(0, len(parcel.readers), _CHUNK):
            some = parcel.readers[begin : begin + _CHUNK]
            mailed += await store.write(_posting(parcel, some, channel, cursor, now))
    for begin in range(0, len(plan.quiet), _CHUNK):
        quiet = plan.quiet[begin : begin + _CHUNK]
        await store.write(_passing(quiet, cursor, now))
    return Round(due=len(people), mailed=mailed, digests=len(plan.parcels))


def _posting(
    parcel: Parcel, some: Sequence[Subscriber], channel: str, cursor: int, now: datetime
) -> Callable[[Records], int]:
    def work(records: Records) -> int:
        ready = [
            person.address
            for person in some
            if records.people.look_after(
                person, cursor=cursor, now=now, due_at=next_due(person.wishes, now), mailed=True
            )
        ]
        if ready:
            records.people.share(channel, parcel.batch, parcel.digest, recipients=ready, now=now)
        return len(ready)

    return work


def _passing(quiet: Sequence[Subscriber], cursor: int, now: datetime) -> Callable[[Records], None]:
    def work(records: Records) -> None:
        for person in quiet:
            due_at = next_due(person.wishes, now)
            records.people.look_after(person, cursor=cursor, now=now, due_at=due_at, mailed=False)

    return work


def window_for(records: Records, people: Sequence[Subscriber], now: datetime) -> tuple[Window, int]:
    """Everything that a pass for these people looks at, read once; and its last cursor."""
    cursor = records.pages.last_cursor()
    least = min((p.told_cursor for p in people), default=cursor)
    oldest = min((p.told_at or now for p in people), default=now)
    found = {e.cursor: e for e in records.events.between(now - LOOK_BACK, now)}
    found.update({e.cursor: e for e in records.events.after(least, known=False)})
    events = tuple(
        found[place]
        for place in sorted(found)
        if found[place].type.is_change and not found[place].known and place <= cursor
    )
    asked = [p.wishes.query for p in people if p.wishes.query]
    young: tuple[Paper, ...] = ()
    if asked:
        young = records.pages.begun_since(min(oldest, now - LOOK_BACK), limit=_YOUNG)
    rows = list({e.paper.row for e in events if e.paper} | {p.row for p in young})
    sources: dict[int, tuple[str, ...]] = {}
    if any("source" in query for query in asked):
        sources = {row: records.papers.sources_of(row) for row in rows}
    instants = {p.told_at for p in people if p.told_at and (p.wishes.query or p.wishes.min_upvotes)}
    before = {at: records.pages.votes_at(rows, int(at.timestamp())) for at in instants}
    window = Window(
        now=now,
        events=events,
        young=young,
        votes_at=lambda at: before.get(at, {}),
        sources=sources,
    )
    return window, cursor


def plan_round(
    people: Sequence[Subscriber], window: Window, *, cursor: int, max_papers: int = 40
) -> Plan:
    """Who is told what; equal wishes are worked out once. Pure."""
    told: dict[Wanting, tuple[Event, ...]] = {}
    groups: dict[str, list[Subscriber]] = {}
    events_of: dict[str, tuple[Event, ...]] = {}
    quiet = []
    for person in people:
        want = wanting(person, window.now)
        events = told.get(want)
        if events is None:
            events = told[want] = choose(want, window)
        if not events:
            quiet.append(person)
            continue
        day = (person.due_at or window.now).astimezone(person.wishes.zone).date()
        name = batch_name(day.isoformat(), events)
        groups.setdefault(name, []).append(person)
        events_of[name] = events
    parcels = tuple(
        Parcel(
            batch=name,
            digest=_digest(events_of[name], readers[0], window, max_papers=max_papers),
            readers=tuple(readers),
        )
        for name, readers in groups.items()
    )
    return Plan(cursor=cursor, parcels=parcels, quiet=tuple(quiet))


def _digest(
    events: Sequence[Event], reader: Subscriber, window: Window, *, max_papers: int
) -> Digest:
    frame = Frame(
        due_at=reader.due_at,
        zone=reader.wishes.zone,
        max_papers=max_papers,
        footer=(f"You subscribed to this; {count_of(len(events), 'change')} matched your wishes.",),
    )
    return compose(events, frame, window.now)


# --- just before sending ------------------------------------------------------------------


class Readers:
    """What delivering needs to know of subscribers; runs inside its transactions.

    ``channel`` is the channel of ``[web] subscribe``; messages of others pass untouched.
    """

    def __init__(self, channel: str | None, tokens: Tokens, public_url: str | None) -> None:
        self.channel = channel
        self._tokens = tokens
        self._public = public_url

    def is_theirs(self, channel: str, batch: str) -> bool:
        """Whether a message is a subscriber's digest."""
        return channel == self.channel and batch.startswith(SHARED_PREFIX)

    def why_unwanted(
        self, records: Records, message: tuple[str, str, str], digest: Digest | None, now: datetime
    ) -> str | None:
        """Why ``(channel, batch, recipient)`` is to be cancelled; None when it is still wanted."""
        channel, batch, recipient = message
        if not self.is_theirs(channel, batch):
            return None
        person = records.people.by_address(recipient)
        why = why_unwanted(person)
        if why is None and person is not None and digest is not None:
            why = None if tailor(digest, person, now) else "nothing of it is wanted any more"
        return why

    def tailored(
        self, records: Records, message: tuple[str, str, str], digest: Digest, now: datetime
    ) -> Digest:
        """The digest without what its reader has muted since it was composed."""
        channel, batch, recipient = message
        if not self.is_theirs(channel, batch):
            return digest
        person = records.people.by_address(recipient)
        return (tailor(digest, person, now) if person else None) or digest

    def links(self, records: Records, channel: str, recipient: str) -> Links:
        """The signed addresses of a subscriber; none for anybody else, or without a public URL."""
        person = records.people.by_address(recipient) if channel == self.channel else None
        if person is None or person.state is SubscriberState.ASKED or self._public is None:
            return Links()
        return links_of(person, self._tokens, self._public)

    def zone(self, records: Records, channel: str, recipient: str) -> str | None:
        """In which zone a subscriber reads times; None for anybody else."""
        person = records.people.by_address(recipient) if channel == self.channel else None
        return person.wishes.timezone if person else None


def links_of(person: Subscriber, tokens: Tokens, public_url: str) -> Links:
    """The addresses in every mail to a subscriber; they carry no address of theirs."""
    return Links(
        preferences=f"{public_url}/p/{tokens.make(Purpose.PREFERENCES, person.handle)}",
        unsubscribe=f"{public_url}/u/{tokens.make(Purpose.UNSUBSCRIBE, person.handle)}",
    )
