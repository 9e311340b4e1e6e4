"""Subscribers' rounds: when somebody's hour has come, their message is filled from the events.

Owns the pass over all who are due, and what a message to a subscriber needs just before it is
sent: is it still wanted, by whom, with which links. Must not send, or know pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime

import msgspec

from watcher.digest import Frame, compose, with_votes
from watcher.model import Digest, Event, Links, Paper, Value
from watcher.query import compile_query
from watcher.store import Records, Store
from watcher.store.ledger import Claimed, Words
from watcher.text import count_of
from watcher.wants import (
    LOOK_BACK,
    SETTLED,
    SHARED_PREFIX,
    Purpose,
    Subscriber,
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
_CURVES = 100
"""Curves that are read at a time, so that nobody waits long for the store."""
_DIGESTS = 40
"""Different digests in one transaction."""
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

    now: datetime
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
    votes = await _votes(store, plan.parcels)
    mailed = 0
    for loads in _shared_out(
        [msgspec.structs.replace(p, digest=with_votes(p.digest, votes)) for p in plan.parcels]
    ):
        mailed += await store.write(_posting(loads, channel, plan))
    for begin in range(0, len(plan.quiet), _CHUNK):
        await store.write(_passing(plan.quiet[begin : begin + _CHUNK], plan))
    return Round(due=len(people), mailed=mailed, digests=len(plan.parcels))


async def _votes(store: Store, parcels: Sequence[Parcel]) -> dict[int, tuple[int, ...]]:
    """The curves of all papers that are told, by the paper's row."""
    rows = sorted({e.event.paper.row for p in parcels for e in p.digest.entries if e.event.paper})
    votes: dict[int, tuple[int, ...]] = {}
    for begin in range(0, len(rows), _CURVES):
        votes.update(await store.read(_read_votes(rows[begin : begin + _CURVES])))
    return votes


def _read_votes(rows: Sequence[int]) -> Callable[[Records], dict[int, tuple[int, ...]]]:
    return lambda records: records.pages.votes(rows)


def _shared_out(parcels: Sequence[Parcel]) -> Iterator[list[tuple[Parcel, Sequence[Subscriber]]]]:
    """The parcels in loads for one transaction each: about so many readers, a few digests."""
    load: list[tuple[Parcel, Sequence[Subscriber]]] = []
    readers = 0
    for parcel in parcels:
        for begin in range(0, len(parcel.readers), _CHUNK):
            some = parcel.readers[begin : begin + _CHUNK]
            load.append((parcel, some))
            readers += len(some)
            if readers >= _CHUNK or len(load) >= _DIGESTS:
                yield load
                load, readers = [], 0
    if load:
        yield load


def _posting(
    load: Sequence[tuple[Parcel, Sequence[Subscriber]]], channel: str, plan: Plan
) -> Callable[[Records], int]:
    def work(records: Records) -> int:
        mailed = 0
        for parcel, some in load:
            ready = [p.address for p in some if _look_after(records, p, plan, mailed_at=plan.now)]
            if ready:
                records.people.share(
                    channel, parcel.batch, parcel.digest, recipients=ready, now=plan.now
                )
            mailed += len(ready)
        return mailed

    return work


def _passing(quiet: Sequence[Subscriber], plan: Plan) -> Callable[[Records], None]:
    def work(records: Records) -> None:
        for person in quiet:
            _look_after(records, person, plan, mailed_at=None)

    return work


def _look_after(
    records: Records, person: Subscriber, plan: Plan, *, mailed_at: datetime | None
) -> bool:
    return records.people.look_after(
        person,
        cursor=plan.cursor,
        horizon=plan.now - SETTLED,
        due_at=next_due(person.wishes, plan.now),
        mailed_at=mailed_at,
    )


def window_for(records: Records, people: Sequence[Subscriber], now: datetime) -> tuple[Window, int]:
    """Everything that a pass for these people looks at, read once; and its last cursor."""
    cursor = records.pages.last_cursor()
    least = min((p.told_cursor for p in people), default=cursor)
    oldest = min((p.told_at or now for p in people), default=now)
    reach = oldest - LOOK_BACK
    found = {e.cursor: e for e in records.events.between(reach, now)}
    found.update({e.cursor: e for e in records.events.after(least, known=False)})
    events = tuple(
        found[place]
        for place in sorted(found)
        if found[place].type.is_change and not found[place].known and place <= cursor
    )
    asked = [p.wishes.query for p in people if p.wishes.query]
    young: tuple[Paper, ...] = ()
    if asked:
        young = records.pages.begun_since(reach, limit=_YOUNG)
    rows = list({e.paper.row for e in events if e.paper} | {p.row for p in young})
    sources: dict[int, tuple[str, ...]] = {}
    if any(compile_query(query).asks_source for query in asked):
        sources = {row: records.papers.sources_of(row) for row in rows}
    horizon = now - SETTLED
    instants = {p.told_at for p in people if p.told_at and p.wishes.min_upvotes} | {horizon}
    before = {at: records.pages.votes_at(rows, int(at.timestamp())) for at in instants}
    window = Window(
        now=now,
        horizon=horizon,
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
    names: dict[tuple[Wanting, date, datetime], str] = {}
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
        due_at = person.due_at or window.now
        day = due_at.astimezone(person.wishes.zone).date()
        name = names.get((want, day, due_at))
        if name is None:
            name = batch_name(day.isoformat(), events, due_at, window.now)
            names[want, day, due_at] = name
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
    return Plan(now=window.now, cursor=cursor, parcels=parcels, quiet=tuple(quiet))


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

    Messages to the recipients that the config names pass as they are. Which channel they subscribe
    to now is no matter: what still waits on an earlier one is theirs, too.
    """

    def __init__(self, tokens: Tokens, public_url: str | None) -> None:
        self._tokens = tokens
        self._public = public_url

    def finish(self, records: Records, claimed: Claimed, now: datetime) -> Claimed | str:
        """A claimed message as its reader wants it now, or why they do not want it any more.

        For ``deliver.Surroundings``. Asked in the transaction that claims it: a mute or an
        unsubscribe counts until then.
        """
        if not claimed.batch.startswith(SHARED_PREFIX):
            return claimed
        person = records.people.by_address(claimed.recipient)
        why = why_unwanted(person)
        if person is None or why is not None:
            return why or ""
        words = claimed.words
        if words.digest is not None:
            digest = tailor(words.digest, person, now)
            if digest is None:
                return "nothing of it is wanted any more"
            words = Words(digest=digest)
        links = links_of(person, self._tokens, self._public) if self._public else Links()
        return msgspec.structs.replace(
            claimed, words=words, links=links, timezone=person.wishes.timezone
        )


def links_of(person: Subscriber, tokens: Tokens, public_url: str) -> Links:
    """The addresses in every mail to a subscriber; they carry no address of theirs."""
    return Links(
        preferences=f"{public_url}/p/{tokens.make(Purpose.PREFERENCES, person.handle)}",
        unsubscribe=f"{public_url}/u/{tokens.make(Purpose.UNSUBSCRIBE, person.handle)}",
    )
