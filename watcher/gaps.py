"""Gaps: the times at which we were blind, and what could have been missed in them.

Owns the arithmetic and the words of the accounting lines ("48 of 48 checks ok, 61 papers
seen, 4 told, 0 waiting"). Pure: visits and spans go in. Must not read the store or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from watcher.model import Value
from watcher.text import count_of

SLACK = 2.5
"""A pause between two good visits is a gap from so many intervals on: one failure is none."""
LEAST = timedelta(minutes=15)
"""A shorter one is never worth a word."""


class Gap(Value, frozen=True, kw_only=True):
    """A time in which some sources were not seen."""

    sources: tuple[str, ...]
    since: datetime
    """The last good visit before it."""
    until: datetime | None = None
    """The first good visit after it; None while it lasts."""

    def length(self, now: datetime) -> timedelta:
        """How long it lasted, or lasts."""
        return (self.until or now) - self.since


class CaughtUp(Value, frozen=True, kw_only=True):
    """What became of a gap."""

    days: tuple[date, ...] = ()
    """Days whose list was read after it: nothing listed on them is missed."""
    missed: int = 0
    """Papers that could have come and gone unseen."""


class Sums(Value, frozen=True, kw_only=True):
    """The counts of a span of time."""

    ok: int
    """Good visits, unchanged pages included."""
    checks: int
    quarantined: int = 0
    papers: int = 0
    told: int = 0
    waiting: int = 0


def gaps_of(
    source: str,
    good: Sequence[datetime],
    *,
    every: timedelta,
    since: datetime,
    until: datetime,
    active: Callable[[datetime], bool] | None = None,
) -> tuple[Gap, ...]:
    """The gaps of one source that end in, or reach into, ``[since, until)``.

    ``good`` holds its good visits in time order, beginning with the last one before
    ``since`` if there is one; a source that was never seen has no gap. ``active`` says when it
    is visited at all.
    """
    if not good:
        return ()
    limit = max(every * SLACK, LEAST)
    found = []
    for before, after in zip(good, [*good[1:], None], strict=True):
        end = after or until
        if end - before <= limit or end <= since:
            continue
        if active is None or _active_time(before, end, active) > limit:
            found.append(Gap(sources=(source,), since=before, until=after))
    return tuple(found)


def _active_time(since: datetime, until: datetime, active: Callable[[datetime], bool]) -> timedelta:
    """How much of a span lies in a source's active hours, to a quarter of an hour."""
    step, total, at = timedelta(minutes=15), timedelta(0), since
    while at < until:
        if active(at):
            total += min(step, until - at)
        at += step
    return total


def together(gaps: Iterable[Gap], *, within: timedelta = timedelta(minutes=45)) -> tuple[Gap, ...]:
    """Gaps of several sources that are the same outage, as one, in time order.

    The shared gap is the time in which none of them was seen.
    """
    groups: list[list[Gap]] = []
    for gap in sorted(gaps, key=lambda gap: gap.since):
        for group in groups:
            first = group[0]
            same_end = (first.until is None) == (gap.until is None) and (
                first.until is None or gap.until is None or abs(gap.until - first.until) <= within
            )
            if abs(gap.since - first.since) <= within and same_end:
                group.append(gap)
                break
        else:
            groups.append([gap])
    return tuple(_merged(group) for group in groups)


def _merged(group: Sequence[Gap]) -> Gap:
    ends = [gap.until for gap in group if gap.until is not None]
    return Gap(
        sources=tuple(sorted(name for gap in group for name in gap.sources)),
        since=max(gap.since for gap in group),
        until=min(ends) if ends else None,
    )


def could_have_missed(gap: Gap, usual: Sequence[int], found: int) -> int:
    """How many papers could have come and gone in a gap: as many as usually come in such a
    time, less those found afterwards.

    ``usual`` holds the new papers of the same hours on earlier days; without any, nobody knows,
    and 0 is said.
    """
    if not usual or gap.until is None:
        return 0
    return max(0, round(sum(usual) / len(usual)) - found)


# --- words -----------------------------------------------------------------------------------


def sums_line(sums: Sums) -> str:
    """``48 of 48 checks ok, 61 papers seen, 4 told, 0 waiting``."""
    put_aside = f" ({sums.quarantined} put aside)" if sums.quarantined else ""
    return (
        f"{sums.ok:,} of {sums.checks:,} checks ok{put_aside}, {count_of(sums.papers, 'paper')} "
        f"seen, {sums.told:,} told, {sums.waiting:,} waiting"
    )


def gap_line(
    gap: Gap,
    caught_up: CaughtUp,
    *,
    zone: ZoneInfo,
    all_sources: int,
    now: datetime,
) -> str:
    """``no data 02:00–07:40, caught up from the day's page; 2 papers could have been missed``."""
    who = "" if len(gap.sources) >= all_sources else f" from {_names(gap.sources)}"
    said = f"no data{who} {_span(gap, zone, now)}"
    if gap.until is None:
        return said
    if caught_up.days:
        pages = (
            "the day's page"
            if len(caught_up.days) == 1
            else (f"the pages of {len(caught_up.days)} days")
        )
        said += f", caught up from {pages}"
    if caught_up.missed:
        return f"{said}; {count_of(caught_up.missed, 'paper')} could have been missed"
    return said if caught_up.days else f"{said}; no paper is known to be missed"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _span(gap: Gap, zone: ZoneInfo, now: datetime) -> str:
    since = gap.since.astimezone(zone)
    today = now.astimezone(zone).date()
    begin = f"{since:%H:%M}" if since.date() == today else f"{since:%d %b %H:%M}"
    if gap.until is None:
        return f"since {begin}"
    until = gap.until.astimezone(zone)
    end = f"{until:%H:%M}" if until.date() == since.date() else f"{until:%d %b %H:%M}"
    return f"{begin}–{end}" if " " not in begin + end else f"{begin} – {end}"


def days_of(gap: Gap, now: datetime) -> tuple[date, ...]:
    """The days (UTC, as the site counts them) that a gap touches."""
    day, last = gap.since.date(), (gap.until or now).date()
    days = []
    while day <= last:
        days.append(day)
        day += timedelta(days=1)
    return tuple(days)


def usual_spans(gap: Gap, days: int = 14) -> tuple[tuple[datetime, datetime], ...]:
    """The same hours of earlier days, the latest first; none for a gap of more than a week."""
    if gap.until is None or gap.until - gap.since > timedelta(days=7):
        return ()
    whole = max(1, -(-(gap.until - gap.since) // timedelta(days=1)))
    shifts = [timedelta(days=whole * n) for n in range(1, days // whole + 1)]
    return tuple((gap.since - shift, gap.until - shift) for shift in shifts)
