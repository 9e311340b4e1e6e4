"""Accounting: was a quiet day quiet, or were we blind?

Owns the lines under a digest and in ``watcher stats``: what was checked, seen and told, and
what became of the times without data. Reads the records; writes and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from watcher.config import FOLLOW, Config, Source, day_pages, effective_intervals
from watcher.errors import WatcherError
from watcher.gaps import (
    CaughtUp,
    Gap,
    Sums,
    could_have_missed,
    days_of,
    gap_line,
    gaps_of,
    sums_line,
    together,
    usual_spans,
)
from watcher.owed import Footer
from watcher.store import Records
from watcher.telemetry import log

LONGEST = timedelta(days=31)
"""An account never goes further back."""
CATCH_UP = timedelta(days=60)
"""Days longer ago are not fetched any more."""
GIVEN_UP = 3
"""Failures after which a past day has no page."""
SHOWN = 3
"""Gaps told one by one; the longest come first when there are more."""


def footer_of(config: Callable[[], Config]) -> Footer:
    """What ``watcher.deliver`` writes under a digest; asks for the config when it is needed.

    An account that cannot be given is said so: it must not cost anybody the digest.
    """

    def footer(records: Records, since: datetime, now: datetime) -> tuple[str, ...]:
        try:
            return lines(records, config(), since, now)
        except WatcherError:
            raise
        except Exception as exc:  # noqa: BLE001 - a fault of ours beside what is told
            log.error("task_failed", part="account", error=exc)
            return ("the account of checks and gaps failed, please report it",)

    return footer


def lines(records: Records, config: Config, since: datetime, now: datetime) -> tuple[str, ...]:
    """The accounting lines for ``[since, now)``: the sums, then a line for each gap."""
    since = max(since, now - LONGEST)
    gaps = find_gaps(records, config, since, now)
    told = sorted(gaps, key=lambda gap: gap.length(now), reverse=True)[:SHOWN]
    zone = config.watcher.timezone
    said = [
        gap_line(
            gap,
            caught_up(records, config, gap, now),
            zone=zone,
            all_sources=len(config.sources),
            now=now,
        )
        for gap in sorted(told, key=lambda gap: gap.since)
    ]
    if len(gaps) > SHOWN:
        said.append(f"and {len(gaps) - SHOWN} shorter times without data")
    return (sums_line(sums(records, since, now)), *said)


def sums(records: Records, since: datetime, now: datetime) -> Sums:
    """The counts of ``[since, now)``."""
    found = records.care.accounts(since, now)
    good = found.outcomes.get("ok", 0) + found.outcomes.get("unchanged", 0)
    return Sums(
        ok=good,
        checks=sum(found.outcomes.values()),
        quarantined=found.outcomes.get("quarantined", 0),
        papers=found.papers,
        told=found.told,
        waiting=found.waiting,
    )


def find_gaps(records: Records, config: Config, since: datetime, now: datetime) -> tuple[Gap, ...]:
    """The times in ``[since, now)`` in which sources of the config were not seen."""
    found: list[Gap] = []
    for source, visit in zip(config.sources, effective_intervals(config), strict=True):
        zone = config.watcher.timezone
        found += find_own_gaps(records, source, since, now, every=visit.really, zone=zone)
    return together(found)


def find_own_gaps(
    records: Records,
    source: Source,
    since: datetime,
    now: datetime,
    *,
    every: timedelta,
    zone: ZoneInfo,
) -> tuple[Gap, ...]:
    """The times in ``[since, now)`` in which one source was not seen, though it should have been.

    ``every`` is its real interval, ``zone`` that of its active hours.
    """
    state = records.sources.state(source.name)
    if state is None:
        return ()
    last = records.care.last_good_before(state.id, since)
    good = records.care.good_checks(state.id, since, now)
    hours = source.active
    return gaps_of(
        source.name,
        good if last is None else (last, *good),
        every=every,
        since=since,
        until=now,
        active=None if hours is None else lambda at: hours.contain(at.astimezone(zone).time()),
    )


def caught_up(records: Records, config: Config, gap: Gap, now: datetime) -> CaughtUp:
    """What was found afterwards, and what could have come and gone unseen."""
    if gap.until is None:
        return CaughtUp()
    days: set[date] = set()
    missed = 0
    for name in gap.sources:
        source = config.source(name)
        read = _days_read(records, source, gap, now)
        days |= read
        if read != set(days_of(gap, now)):
            missed += _missed(records, name, gap)
    return CaughtUp(days=tuple(sorted(days)), missed=missed)


def _days_read(records: Records, source: Source, gap: Gap, now: datetime) -> set[date]:
    """The days of a gap whose whole list a daily source has read since."""
    if day_pages(source.url, source.kind) is None or gap.until is None:
        return set()
    read = set()
    for day in days_of(gap, now):
        name = source.name if day == gap.until.astimezone(UTC).date() else f"{source.name}@{day}"
        state = records.sources.state(name)
        if state is not None and state.last_ok_at is not None and state.last_ok_at >= gap.until:
            read.add(day)
    return read


def _missed(records: Records, name: str, gap: Gap) -> int:
    state = records.sources.state(name)
    if state is None or gap.until is None:
        return 0
    usual = [
        records.care.fresh_between(state.id, begin, end)
        for begin, end in usual_spans(gap)
        if records.care.last_good_before(state.id, begin) is not None
    ]
    first = gap.until + timedelta(microseconds=1)
    return could_have_missed(gap, usual, records.care.fresh_between(state.id, gap.until, first))


def missed_days(records: Records, config: Config, now: datetime) -> dict[str, tuple[date, ...]]:
    """Per daily source the days of the last two months that nobody has seen.

    Only days after the source's first visit and before those that are followed anyway; a day
    that failed three times has no page.
    """
    today = now.astimezone(UTC).date()
    begun = records.care.done_at("catch-up")
    going_on = begun is not None and timedelta(0) <= now - begun < timedelta(days=3)
    found = {}
    for source in config.sources:
        if day_pages(source.url, source.kind) is None:
            continue
        state = records.sources.state(source.name)
        if state is None or state.first_ok_at is None:
            continue
        span = FOLLOW if source.follow is None else source.follow
        away = state.last_ok_at is not None and now - state.last_ok_at > span
        if not span or not (away or going_on):
            continue
        begin = max(state.first_ok_at.astimezone(UTC).date(), today - CATCH_UP)
        days = [begin + timedelta(days=n) for n in range((today - span - begin).days)]
        found[source.name] = tuple(
            day for day in days if _is_unseen(records, source, state.id, day)
        )
    return {name: days for name, days in found.items() if days}


def _is_unseen(records: Records, source: Source, main: int, day: date) -> bool:
    past = records.sources.state(f"{source.name}@{day}")
    if past is not None and (past.last_ok_at is not None or past.failures >= GIVEN_UP):
        return False
    begin = datetime.combine(day, time(12), UTC)
    # The list of a day is complete at its end: seen then, it was seen.
    return not records.care.good_checks(main, begin, begin + timedelta(hours=12))
