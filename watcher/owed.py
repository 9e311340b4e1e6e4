"""Who is owed what, and when: from events to the outbox, and what a batch says in the end.

Owns the plan (the config as delivering needs it), the writing down of deliveries in the
transaction that records their events, notices, proofs of life, and planning anew when the
config or the clock changed. Must not send: that is ``watcher.deliver``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from watcher.channels.email import EmailOptions
from watcher.clock import to_text, to_unix
from watcher.config import ChannelOptions, Config
from watcher.digest import Frame, assign, compose, route
from watcher.identity import notice_id
from watcher.model import Delivery, Digest, Event, EventType, Look, Value
from watcher.schedule import (
    USUAL_HOUR,
    digest_day,
    due_digest,
    instant_of,
    next_digest,
    quiet_until,
)
from watcher.store import Records
from watcher.store.ledger import Batch

CATCH_UP = timedelta(seconds=45)
"""A digest that is overdue when the watcher starts waits so long for the first checks, so that
one digest covers the whole time it was away."""
OVERDUE = timedelta(minutes=2)
CURVE = 16
"""Points of a curve of votes."""


class Outlet(Value, frozen=True, kw_only=True):
    """A channel of the config and who is reached through it."""

    options: ChannelOptions
    recipients: tuple[str, ...] = ("",)
    """Addresses; one empty text where the channel itself is the recipient."""


class Plan(Value, frozen=True, kw_only=True):
    """The config as delivering needs it."""

    outlets: Mapping[str, Outlet] = {}
    wants: Mapping[str, tuple[str, ...]] = {}
    """Rule to its channels."""
    operators: tuple[str, ...] = ()
    """The channels that may be told notices, the first that works is."""
    more_url: str | None = None
    """Where a reader finds the papers that were cut."""
    first_wait: timedelta = timedelta(0)
    """Between the due time and the first attempt."""


Footer = Callable[[Records, datetime, datetime], tuple[str, ...]]
"""Accounting lines about the time between two instants."""


def no_footer(_: Records, __: datetime, ___: datetime) -> tuple[str, ...]:
    """Nothing to account for."""
    return ()


def plan_of(config: Config) -> Plan:
    """The plan behind a config. When the operator's channel is broken, any other may be told."""
    operator = config.watcher.operator
    others = tuple(channel.name for channel in config.channels if channel.name != operator)
    return Plan(
        outlets={
            channel.name: Outlet(options=channel, recipients=recipients_of(channel))
            for channel in config.channels
        },
        wants={rule.name: rule.channels for rule in config.rules},
        operators=(operator, *others) if operator else (),
        more_url=config.web.public_url if config.web.enabled else None,
        first_wait=config.delivery.retry[0],
    )


def recipients_of(options: ChannelOptions) -> tuple[str, ...]:
    """The addresses behind a mail channel; elsewhere the channel itself, an empty text."""
    if isinstance(options, EmailOptions):
        return tuple(dict.fromkeys(mailbox.address for mailbox in options.to))
    return ("",)


# --- owing --------------------------------------------------------------------------------


def owe(records: Records, plan: Plan, recorded: Sequence[tuple[Event, bool]], now: datetime) -> int:
    """Write down who is owed freshly recorded events; how many deliveries that made.

    ``recorded`` holds each event with "beyond the budget: it goes to a digest everywhere".
    Runs in the transaction that recorded them. A channel hears a paper and kind once: a later
    event joins the batch that will tell it, or is noted as told already.
    """
    heard: set[str] = set()
    told_by: dict[str, str | None] = {}
    added = 0
    spilling = {event.id for event, beyond in recorded if beyond}
    for name, events in assign((event for event, _ in recorded), plan.wants).items():
        if name not in plan.outlets or not plan.outlets[name].recipients:
            continue
        told = records.outbox.told(name, [e.paper.row for e in events if e.paper])
        fresh, joining = [], []
        for event in events:
            earlier = told.get(_subject(event))
            if earlier is None:
                fresh.append(event)
            elif earlier.due_at is not None:
                joining.append(_join(event, name, earlier.batch, earlier.due_at))
            else:
                told_by[event.id] = earlier.rule
                continue
            heard.add(event.id)
        deliveries = [*joining, *_route(records, plan, name, fresh, now, spilling)]
        added += records.outbox.add(deliveries, _recipients(plan, name), now)
    for event_id in told_by.keys() - heard:
        records.outbox.note_told(event_id, told_by[event_id])
    return added


def _subject(event: Event) -> tuple[int, str]:
    return (event.paper.row if event.paper else 0, event.type.value)


def _join(event: Event, channel: str, batch: str, due_at: datetime) -> Delivery:
    return Delivery(event_id=event.id, channel=channel, batch=batch, due_at=due_at)


def _recipients(plan: Plan, name: str) -> dict[str, tuple[str, ...]]:
    return {name: plan.outlets[name].recipients}


def _route(
    records: Records,
    plan: Plan,
    name: str,
    events: Sequence[Event],
    now: datetime,
    spilling: Iterable[str],
) -> list[Delivery]:
    """Batches and due times of what a channel has not heard of yet."""
    options = plan.outlets[name].options
    spilling = _together(events, spilling)
    routed: list[Delivery] = []
    late = records.outbox.overdue(name, now)
    if late is not None:
        # Its hour has come but nothing has left: what is owed now leaves with it.
        waiting = [
            event
            for event in events
            if event.type.is_change and (options.digest is not None or event.id in spilling)
        ]
        routed = [_join(event, name, late.batch, late.due_at) for event in waiting]
        events = [event for event in events if event not in waiting]
    shut: set[tuple[str, str]] = set()
    while True:
        found = route({name: events}, {name: options}, now, closed=shut, overflow=spilling)
        closed = {(name, d.batch) for d in found if records.outbox.is_closed(name, d.batch)}
        if closed <= shut:
            break
        shut |= closed
    routed += [msgspec.structs.replace(d, due_at=d.due_at + plan.first_wait) for d in found]
    return routed


def _together(events: Sequence[Event], spilling: Iterable[str]) -> set[str]:
    """Events of one paper and kind are told at once as soon as one of them is to be."""
    spilling = set(spilling)
    at_once = {_subject(event) for event in events if event.id not in spilling}
    return {e.id for e in events if e.id in spilling and _subject(e) not in at_once}


# --- notices ------------------------------------------------------------------------------


def give_notice(
    records: Records,
    plan: Plan,
    kind: EventType,
    *,
    subject: str,
    reason: str,
    since: datetime,
    now: datetime,
) -> str | None:
    """Record a notice about a source or channel and owe it to the operator.

    ``since`` is when it began: the same thing is told once, also after a crash. Returns the
    channel that is told; None when there is none that could be, or when it was told before.
    """
    event = Event(
        cursor=0,
        id=notice_id(kind.value, subject, to_text(since)),
        type=kind,
        at=now,
        subject=subject,
        reason=reason,
    )
    if not records.events.add(event, subject=subject):
        return None
    hearer = hearer_of(records, plan, kind, subject)
    if hearer is None:
        return None
    deliveries = _route(records, plan, hearer, [event], now, ())
    records.outbox.add(deliveries, _recipients(plan, hearer), now)
    return hearer


def hearer_of(records: Records, plan: Plan, kind: EventType, subject: str) -> str | None:
    """The channel that is told a notice: the operator's, or another when that one is broken."""
    about = subject if kind.value.startswith("channel.") else None
    failing = []
    for name in plan.operators:
        outlet = plan.outlets.get(name)
        state = records.standing.get(name)
        if outlet is None or not outlet.recipients or not outlet.options.enabled:
            continue
        if state is not None and state.disabled:
            continue
        if name == about and kind is not EventType.CHANNEL_RECOVERED:
            continue
        if state is None or state.told is None or name == about:
            return name
        failing.append(name)
    return failing[0] if failing else None


# --- planning anew ------------------------------------------------------------------------


def begin(records: Records, plan: Plan, now: datetime, *, hold: bool) -> int:
    """Take over the outbox after a start, by who holds the store's lock; leases that ended.

    ``hold``: overdue digests wait for the first checks.
    """
    ended = records.outbox.end_leases(now)
    replan(records, plan, now)
    if hold:
        hold_late(records, plan, now)
    return ended


def replan(records: Records, plan: Plan, now: datetime) -> None:
    """Follow a changed config: new hours, days, zones and recipients for what has not left.

    A digest keeps its local date where that still has one; what would have left by now under
    the new hour leaves at once. Nothing that has closed changes its words.
    """
    records.standing.meet(plan.outlets, now)
    for name, outlet in plan.outlets.items():
        records.outbox.readdress(name, outlet.recipients, now)
        for batch in records.outbox.open_batches(name):
            if batch.due_at > now:
                _replan_batch(records, plan, batch, now)


def _replan_batch(records: Records, plan: Plan, batch: Batch, now: datetime) -> None:
    options = plan.outlets[batch.channel].options
    day = digest_day(batch.batch)
    if day is not None and day.weekday() not in options.days:
        _move(records, plan, batch, now)
        return
    if day is None:
        until = quiet_until(options, now)
        if until is not None and records.outbox.is_notice(batch.channel, batch.batch):
            until = None
        due_at = until or min(batch.due_at, now + plan.first_wait)
    else:
        due_at = instant_of(day, options.digest or USUAL_HOUR, options.zone) + plan.first_wait
    if max(due_at, now) != batch.due_at:
        records.outbox.reschedule(batch.channel, batch.batch, max(due_at, now))


def _move(records: Records, plan: Plan, batch: Batch, now: datetime) -> None:
    """The weekday of a digest's date was struck off: the next one tells what it would have."""
    name, outlet = batch.channel, plan.outlets[batch.channel]
    shut: set[str] = set()
    while True:
        target, due_at = next_digest(outlet.options, now, closed=shut)
        if not records.outbox.is_closed(name, target):
            break
        shut.add(target)
    due_at += plan.first_wait
    records.outbox.open(name, target, due_at=due_at, to=outlet.recipients, now=now)
    records.outbox.move(name, batch.batch, target)


def hold_late(records: Records, plan: Plan, now: datetime) -> int:
    """After downtime or sleep: let overdue digests wait for the first checks; how many do.

    What these find joins them, so that one digest, marked late, covers the gap. A digest that
    waits already does not wait longer: a daemon that is started again and again still sends it.
    """
    held = 0
    since = now - OVERDUE
    for name in plan.outlets:
        late = records.outbox.overdue(name, since)
        if late is not None:
            until = now + CATCH_UP
            held += records.outbox.postpone(name, late.batch, until, overdue_since=since)
    return held


def open_quiet_notes(records: Records, plan: Plan, now: datetime) -> int:
    """Open the digests that are owed although nothing happened; how many that were.

    One per local date; after downtime one for the whole of it.
    """
    due = quiet_notes_due(records, plan, now)
    for name in due:
        outlet = plan.outlets[name]
        batch, due_at = due_digest(outlet.options, now)
        records.outbox.open(
            name, batch, due_at=due_at + plan.first_wait, to=outlet.recipients, now=now
        )
    return len(due)


def quiet_notes_due(records: Records, plan: Plan, now: datetime) -> list[str]:
    """Channels whose last digest hour passed in silence, and that want a proof of life."""
    return [name for name in plan.outlets if _quiet_note_due(records, plan, name, now)]


def _quiet_note_due(records: Records, plan: Plan, name: str, now: datetime) -> bool:
    options = plan.outlets[name].options
    if not options.quiet_note or options.digest is None or not plan.outlets[name].recipients:
        return False
    state = records.standing.get(name)
    batch, due_at = due_digest(options, now)
    if state is None or state.since > due_at or records.outbox.is_closed(name, batch):
        return False
    if records.outbox.overdue(name, now) is not None:
        return False
    last = records.outbox.last_digest(name)
    return last is None or last.closed_at is None or last.closed_at < due_at


# --- what a batch says --------------------------------------------------------------------


def words_of(
    records: Records, plan: Plan, batch: Batch, now: datetime, footer: Footer = no_footer
) -> Digest:
    """Compose a batch: its events, their curves of votes and the accounting lines."""
    options = plan.outlets[batch.channel].options
    events = records.events.by_cursors(batch.cursors)
    instant = digest_day(batch.batch) is None
    rows = {event.paper.row for event in events if event.paper is not None}
    frame = Frame(
        instant=instant,
        due_at=batch.due_at,
        zone=options.zone,
        max_papers=options.max_papers,
        more_url=plan.more_url,
        footer=() if instant else footer(records, _last_time(records, batch), now),
        votes={row: _curve(records, row, now) for row in sorted(rows)},
        cursor=0 if events else records.pages.last_cursor(),
    )
    return compose(events, frame, now)


def preview(
    records: Records, plan: Plan, name: str, now: datetime, footer: Footer = no_footer
) -> Digest:
    """What a channel's next digest would say if it left now; an empty one when nothing waits."""
    waiting = [b for b in records.outbox.open_batches(name) if digest_day(b.batch) is not None]
    if waiting:
        batch = msgspec.structs.replace(
            waiting[0], cursors=records.outbox.cursors(name, waiting[0].batch)
        )
    else:
        day, due_at = next_digest(plan.outlets[name].options, now)
        batch = Batch(channel=name, batch=day, due_at=due_at, opened_at=now)
    return words_of(records, plan, batch, now, footer)


def _last_time(records: Records, batch: Batch) -> datetime:
    """When the digest before this one was composed: the begin of what it accounts for."""
    last = records.outbox.last_digest(batch.channel)
    state = records.standing.get(batch.channel)
    if last is not None and last.closed_at is not None:
        return last.closed_at
    return state.since if state is not None else batch.opened_at


def _curve(records: Records, row: int, now: datetime) -> tuple[int, ...]:
    at = to_unix(now)
    history = records.papers.history(row, at)
    return votes_over_time(history.looks, at)


def votes_over_time(looks: Sequence[Look], until: int, points: int = CURVE) -> tuple[int, ...]:
    """Upvotes at evenly spaced times from the first known count on; empty when none is known.

    Between two sightings the count stands still; of several sources the highest counts.
    """
    known = [look for look in looks if look.upvotes is not None]
    if not known or until <= known[0].at:
        return ()
    begin, curve, latest, position = known[0].at, [], {}, 0
    for step in range(points):
        at = begin + (until - begin) * step // (points - 1)
        while position < len(known) and known[position].at <= at:
            latest[known[position].source] = known[position].upvotes or 0
            position += 1
        curve.append(max(latest.values()))
    return tuple(curve)
