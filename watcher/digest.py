"""What is told when, and in which words: events to deliveries, a batch to a digest.

Pure. Owns who hears an event (``assign``), in which batch and when (``route``), and what a
batch says (``compose``). Must not send, store, read a clock or know how mail looks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from watcher.identity import instant_batch
from watcher.model import Delivery, Digest, Entry, Event, EventType, Section, Value
from watcher.schedule import Timetable, next_digest, quiet_until
from watcher.text import clean, clip, count_of

LATE_BLOOMERS = "Late bloomers"
LATE_BLOOMERS_NOTE = "Papers passed over when young that crossed the rule later"
LATE_AFTER = timedelta(minutes=30)
"""A message that leaves later than this after its promised time says so."""
LATE_MARK = " (late)"
"""At the end of its subject."""
SUBJECT_LIMIT = 150

_MATCHED = re.compile(r" · (?=(?:matches|follows) )")
"""Before it stands what is so of the paper, behind it what a rule was looking for."""

_KINDS = (EventType.RISING, EventType.RESURGING, EventType.NEW)
"""What says most of a paper comes first."""


class Frame(Value, frozen=True, kw_only=True):
    """What a message says around its papers."""

    instant: bool = False
    due_at: datetime | None = None
    """The time promised."""
    zone: ZoneInfo = ZoneInfo("UTC")
    """For the date in the subject."""
    max_papers: int = 40
    more_url: str | None = None
    """Where a reader finds what was cut."""
    footer: tuple[str, ...] = ()
    """Accounting lines."""
    votes: Mapping[int, tuple[int, ...]] = {}
    """Upvotes over time by the paper's row, evenly spaced."""
    cursor: int = 0
    """The last there is, for a batch without events."""


def assign(
    events: Iterable[Event], wants: Mapping[str, Collection[str]]
) -> dict[str, tuple[Event, ...]]:
    """Which channel is owed which changes: those of the rules it wants, but no known ones.

    ``wants`` names the channels of each rule.
    """
    owed: dict[str, list[Event]] = {}
    for event in events:
        for channel in () if event.known else wants.get(event.rule or "", ()):
            owed.setdefault(channel, []).append(event)
    return {channel: tuple(heard) for channel, heard in owed.items()}


def route(
    owed: Mapping[str, Sequence[Event]],
    channels: Mapping[str, Timetable],
    now: datetime,
    *,
    closed: Collection[tuple[str, str]] = (),
    overflow: Collection[str] = (),
) -> tuple[Delivery, ...]:
    """Each owed event's batch and due time, in its channel's zone.

    All changes for an instant channel share one batch that is due now, or at the end of its
    quiet hours; a digest's is named after its local date. Every notice is a batch of its own
    and due now. ``closed`` holds (channel, batch) that can take nothing more: what would go
    there goes to the next. Events whose id is in ``overflow`` go to a digest everywhere.
    """
    deliveries: list[Delivery] = []
    for name, events in owed.items():
        if name not in channels:
            continue
        shut = {batch for channel, batch in closed if channel == name}
        for group, digest in _groups(events, channels[name], overflow):
            batch, due = _slot(name, group, channels[name], now=now, shut=shut, digest=digest)
            deliveries += [
                Delivery(event_id=event.id, channel=name, batch=batch, due_at=due)
                for event in group
            ]
    return tuple(deliveries)


def _groups(
    events: Sequence[Event], table: Timetable, overflow: Collection[str]
) -> Iterable[tuple[Sequence[Event], bool]]:
    """Events that share a batch, and whether that batch is a digest."""
    changes = [event for event in events if event.type.is_change]
    late = [e for e in changes if table.digest is not None or e.id in overflow]
    at_once = [event for event in changes if event not in late]
    yield from (([event], False) for event in events if not event.type.is_change)
    if at_once:
        yield at_once, False
    if late:
        yield late, True


def _slot(
    name: str,
    group: Sequence[Event],
    table: Timetable,
    *,
    now: datetime,
    shut: Collection[str],
    digest: bool,
) -> tuple[str, datetime]:
    if digest:
        return next_digest(table, now, closed=shut)
    own = instant_batch(event.id for event in group)
    end = quiet_until(table, now) if group[0].type.is_change else None
    if end is None:
        return own, now
    # One message at dawn instead of one per check of the night.
    shared = instant_batch((name, end.astimezone(UTC).isoformat()))
    return (own if shared in shut else shared), end


def compose(events: Sequence[Event], frame: Frame, now: datetime) -> Digest:
    """What a batch says: each paper once, strongest first, grouped by rule.

    An empty batch gives a proof of life. The strongest ``max_papers`` papers stay, the rest
    is counted; late bloomers stand in a box of their own at the end.
    """
    changes = [event for event in events if event.paper is not None]
    notices = tuple(event for event in events if event.paper is None)
    entries = _entries(changes, frame.votes)
    kept, rest = entries[: frame.max_papers], entries[frame.max_papers :]
    late = frame.due_at is not None and now - frame.due_at > LATE_AFTER
    return Digest(
        title=_title(entries, notices, frame, late=late, now=now),
        composed_at=now,
        sections=_sections(kept),
        notices=notices,
        instant=frame.instant,
        late=late,
        due_at=frame.due_at,
        cut=len(rest),
        more_url=frame.more_url,
        cursor=_cursor(events, rest, frame.cursor),
        footer=frame.footer,
    )


def _entries(changes: Sequence[Event], votes: Mapping[int, tuple[int, ...]]) -> list[Entry]:
    """One per paper, the strongest first."""
    by_paper: dict[int, list[Event]] = {}
    for event in sorted(changes, key=_rank):
        if event.paper is not None:
            by_paper.setdefault(event.paper.row, []).append(event)
    return [_entry(told, votes.get(row, ())) for row, told in by_paper.items()]


def _rank(event: Event) -> tuple[float, int, int, str, int]:
    # Where rules say the same of a paper, what says most of it comes first, and then the rule by
    # its name: papers of the same rules always stand under the same one.
    kind = _KINDS.index(event.type) if event.type in _KINDS else len(_KINDS)
    votes = event.counts.upvotes or 0
    return (-event.strength, -votes, kind, event.rule or "", event.cursor)


def _entry(told: Sequence[Event], votes: tuple[int, ...]) -> Entry:
    rules = tuple(dict.fromkeys(event.rule for event in told if event.rule))
    return Entry(
        event=told[0],
        reasons=_reasons(told, several=len(rules) > 1),
        rules=rules,
        event_ids=tuple(event.id for event in told),
        first_cursor=min(event.cursor for event in told),
        votes=votes,
    )


def _reasons(told: Sequence[Event], *, several: bool) -> tuple[str, ...]:
    """One line for each thing that was said; rules that say the same of a paper, and differ in
    what they were looking for, share one."""
    lines: dict[str, tuple[list[str], list[str]]] = {}
    for event in told:
        said, *matched = _MATCHED.split(event.reason, maxsplit=1)
        if event.reason:
            names, matches = lines.setdefault(said, ([], []))
            names.append(event.rule or "")
            matches += matched
    return tuple(
        (f"{', '.join(dict.fromkeys(filter(None, names)))}: " if several and any(names) else "")
        + " · ".join([said, *dict.fromkeys(matches)])
        for said, (names, matches) in lines.items()
    )


def with_votes(digest: Digest, votes: Mapping[int, tuple[int, ...]]) -> Digest:
    """A digest with the curves of its papers, by the paper's row."""
    sections = tuple(
        msgspec.structs.replace(
            section,
            entries=tuple(
                msgspec.structs.replace(entry, votes=votes.get(entry.event.paper.row, ()))
                if entry.event.paper
                else entry
                for entry in section.entries
            ),
        )
        for section in digest.sections
    )
    return msgspec.structs.replace(digest, sections=sections)


def is_late_bloomer(event: Event) -> bool:
    """Whether a paper is told as new only after its youth has passed."""
    return event.type is EventType.NEW and event.late


def _sections(entries: Sequence[Entry]) -> tuple[Section, ...]:
    groups: dict[str, list[Entry]] = {}
    bloomers: list[Entry] = []
    for entry in entries:
        if is_late_bloomer(entry.event):
            bloomers.append(entry)
        else:
            groups.setdefault(entry.rules[0] if entry.rules else "", []).append(entry)
    sections = [Section(title=rule, entries=tuple(group)) for rule, group in groups.items()]
    if bloomers:
        sections.append(
            Section(title=LATE_BLOOMERS, entries=tuple(bloomers), note=LATE_BLOOMERS_NOTE)
        )
    return tuple(sections)


def _cursor(events: Sequence[Event], cut: Sequence[Entry], last: int) -> int:
    highest = max((event.cursor for event in events), default=last)
    missing = {event_id for entry in cut for event_id in entry.event_ids}
    return min((event.cursor - 1 for event in events if event.id in missing), default=highest)


def _title(
    entries: Sequence[Entry], notices: Sequence[Event], frame: Frame, *, late: bool, now: datetime
) -> str:
    said = _alert_title(entries, notices) if frame.instant else ""
    if not said:
        day = (frame.due_at or now).astimezone(frame.zone)
        said = f"{day:%a} {day.day} {day:%b}: {count_kinds(entries, notices)}"
    mark = LATE_MARK if late else ""
    return clip(clean(said), SUBJECT_LIMIT - len(mark)) + mark


def _alert_title(entries: Sequence[Entry], notices: Sequence[Event]) -> str:
    if len(notices) == 1 and not entries:
        return f"Watcher: {notices[0].reason}"
    if len(entries) == 1 and not notices:
        event = entries[0].event
        return f"{event.type.kind.capitalize()}: {event.paper.title if event.paper else ''}"
    return count_kinds(entries, notices) if entries or notices else ""


def count_kinds(entries: Sequence[Entry], notices: Sequence[Event] = ()) -> str:
    """``3 rising, 12 new papers``; the words for an empty digest when there is nothing."""
    kinds = {"rising": 0, "resurging": 0, "new": 0}
    bloomers = 0
    for entry in entries:
        if is_late_bloomer(entry.event):
            bloomers += 1
        else:
            kinds[entry.event.type.kind] += 1
    parts = [f"{count:,} {kind}" for kind, count in kinds.items() if count]
    if parts:
        parts[-1] += " paper" if parts[-1].startswith("1 ") else " papers"
    if bloomers:
        parts.append(count_of(bloomers, "late bloomer"))
    if notices:
        parts.append(count_of(len(notices), "notice"))
    return ", ".join(parts) or "nothing new, all quiet"
