"""When a channel may speak: digest hours, days of the week and quiet hours in local time.

Pure. Owns the turning of local times into instants: a local time that does not exist is the
first that does, a time that exists twice happens once, the first time. Must not know events
or read a clock.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from watcher.config.values import Hours, Weekday

DIGEST_PREFIX = "d:"
USUAL_HOUR = time(8)
"""The hour of a digest on a channel that has no hour of its own."""

_SEARCHED = 400
"""Days: longer than any pause between two digests, even with some batches closed."""


class Timetable(Protocol):
    """The part of a channel's options (or a subscriber's wishes) that says when."""

    @property
    def digest(self) -> time | None:
        """Local hour of the daily message; None means at once."""

    @property
    def zone(self) -> ZoneInfo:
        """The zone of all its local times."""

    @property
    def days(self) -> tuple[Weekday, ...]:
        """Days on which its digest leaves."""

    @property
    def quiet_hours(self) -> Hours | None:
        """Local hours in which alerts wait."""


def instant_of(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The UTC instant of a local time.

    Where the clock is set forward over ``clock``, the first instant after the leap; where it
    is set back, the first of the two.
    """
    first = datetime.combine(day, clock, zone).replace(fold=0).astimezone(UTC)
    wanted = datetime.combine(day, clock)
    if first.astimezone(zone).replace(tzinfo=None) == wanted:
        return first
    return _end_of_leap(wanted, zone)


def _end_of_leap(missing: datetime, zone: ZoneInfo) -> datetime:
    # Read with the offset after the leap a missing time lies before it, with the offset
    # before the leap it lies after it: the leap is between the two.
    before = missing.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = missing.replace(tzinfo=zone, fold=0).astimezone(UTC)
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def batch_of(day: date) -> str:
    """The name of the digest of a local date."""
    return f"{DIGEST_PREFIX}{day.isoformat()}"


def digest_day(batch: str) -> date | None:
    """The local date a digest's batch is named after; None for instant batches."""
    if not batch.startswith(DIGEST_PREFIX):
        return None
    return date.fromisoformat(batch.removeprefix(DIGEST_PREFIX))


def next_digest(
    table: Timetable, now: datetime, *, closed: Collection[str] = ()
) -> tuple[str, datetime]:
    """Batch and due time of the first digest after ``now`` whose batch is not ``closed``.

    One digest per local date that exists; a channel without an hour of its own is given
    the usual one, for what is too much to be told at once.
    """
    clock = table.digest or USUAL_HOUR
    today = now.astimezone(table.zone).date()
    for ahead in range(-1, _SEARCHED):
        day = today + timedelta(days=ahead)
        due = instant_of(day, clock, table.zone)
        if due > now and _on(table, day) and batch_of(day) not in closed:
            return batch_of(day), due
    raise ValueError(f"no day out of {table.days} is free within {_SEARCHED} days")


def due_digest(table: Timetable, now: datetime) -> tuple[str, datetime]:
    """Batch and due time of the last digest at or before ``now``.

    For proofs of life and for catching up: whether it was sent is the store's to know.
    """
    clock = table.digest or USUAL_HOUR
    today = now.astimezone(table.zone).date()
    for back in range(-1, 9):
        day = today - timedelta(days=back)
        due = instant_of(day, clock, table.zone)
        if due <= now and _on(table, day):
            return batch_of(day), due
    raise ValueError(f"no day out of {table.days} came up within a week")


def _on(table: Timetable, day: date) -> bool:
    # A date that a zone leapt over (Samoa, 30 December 2011) has no instant of its own.
    return day.weekday() in table.days and _exists(day, table.zone)


def _exists(day: date, zone: ZoneInfo) -> bool:
    return instant_of(day, time.min, zone).astimezone(zone).date() == day


def quiet_until(table: Timetable, now: datetime) -> datetime | None:
    """When the quiet hours end that ``now`` lies in; None outside of them."""
    hours = table.quiet_hours
    local = now.astimezone(table.zone)
    if hours is None or not hours.contain(local.time()):
        return None
    same_day = local.time() < hours.end
    day = local.date() if same_day else local.date() + timedelta(days=1)
    end = instant_of(day, hours.end, table.zone)
    return end if end > now else None
