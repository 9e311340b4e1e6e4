"""What is to be visited when: the targets of a config and their due times.

Pure but for its own memory: ``now`` is an argument everywhere. Owns intervals, the falling
pace of a daily source's past days, active hours, waits after failures, fairness between
hosts, and what a jump of the clock means. Must not visit, store or read a clock.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

from watcher.config import FOLLOW, Config, Source, day_pages, effective_intervals, host_of
from watcher.model import PageKind, Value
from watcher.schedule import instant_of

_SLOWEST = timedelta(hours=12)
_LONGEST_WAIT = timedelta(hours=6)
_PATIENCE = 5
"""Failures in a row after which the waits grow."""
MOST_TROUBLED = 8
"""Visits at one time to hosts whose last one failed: those that hang are the longest overdue, and
would leave nobody to visit the others."""

_SPREAD = 0.1
"""Visits are spread over this part of an interval: many watchers do not come at once."""
_WIDEST = timedelta(minutes=15)
"""The most by which a visit is late for that after an instant that all watchers share."""
_EARLY = 1.0
"""Seconds before its host may be asked that a target is handed out: no turn is wasted."""

Turns = Callable[[str], tuple[float, float]]
"""Seconds until the host of a URL may be asked, and between two requests to it."""


class Target(Value, frozen=True, kw_only=True):
    """A page to visit: a source of the config, or one day of a daily source's past."""

    name: str
    url: str
    family: str
    """The source of the config it belongs to: rules know it by this name."""
    kind: PageKind | None = None
    day: date | None = None
    """The day of a daily source's past; None for the source itself."""

    @property
    def host(self) -> str:
        """Limits count by host."""
        return host_of(self.url)


class Entry:
    """A target with its due time."""

    __slots__ = ("active", "due_at", "every", "target", "under_way")

    def __init__(self, target: Target, every: timedelta, due_at: datetime, source: Source) -> None:
        self.target = target
        self.every = every
        self.due_at = due_at
        self.active = source.active
        self.under_way = False


class Agenda:
    """All targets and when each is due. ``take`` hands out work, ``done`` plans it anew."""

    def __init__(
        self,
        config: Config,
        *,
        now: datetime,
        due: Mapping[str, datetime | None],
        missed: Mapping[str, Collection[date]] | None = None,
        seed: int = 0,
    ) -> None:
        """``due`` holds what is stored of each target's next visit; without it, it is due now.

        ``missed`` holds days of daily sources that are past following and were never seen: each
        is visited until it went well once.
        """
        self._missed = {name: set(days) for name, days in (missed or {}).items()}
        self._config = config
        self._zone = config.watcher.timezone
        self._slots = config.fetch.per_host_concurrency
        self._random = random.Random(seed)  # noqa: S311 - spreads visits, guards nothing
        self._entries: dict[str, Entry] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._ready: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        self._busy: dict[str, int] = defaultdict(int)
        self._troubled: set[str] = set()
        """Hosts whose last visit failed."""
        self._held: dict[str, datetime] = {}
        """Hosts that may not be asked yet, and until when: a visit would only wait."""
        self._day: date | None = None
        self._begun = False
        """Whether what is added now has become due at midnight, and not at our start."""
        intervals = {visit.source: visit.really for visit in effective_intervals(config)}
        for source in config.sources:
            target = Target(name=source.name, url=source.url, family=source.name, kind=source.kind)
            self._add(target, intervals[source.name], source, now, due)
        self._intervals = intervals
        self._due = dict(due)
        self.follow(now)
        self._begun = True

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def names(self) -> tuple[str, ...]:
        """Every target, sources first, in the order of the config."""
        return tuple(self._entries)

    def target(self, name: str) -> Target:
        """A target by its name."""
        return self._entries[name].target

    def due_at(self, name: str) -> datetime:
        """When a target is due."""
        return self._entries[name].due_at

    def next_due(self) -> datetime | None:
        """The earliest due time of a target that is not under way; None when all are."""
        times = [entry.due_at for entry in self._entries.values() if not entry.under_way]
        return min(times, default=None)

    @property
    def waiting(self) -> int:
        """How many targets are due and wait for their turn."""
        return sum(map(len, self._ready.values()))

    def _add(
        self,
        target: Target,
        every: timedelta,
        source: Source,
        now: datetime,
        due: Mapping[str, datetime | None],
    ) -> None:
        stored = due.get(target.name)
        entry = Entry(target, every, now, source)
        if stored is not None or target.day is not None:
            # A stored time further away than one interval comes from another clock or config.
            wanted = now if stored is None else min(stored, now + every)
            if self._begun:
                wanted += self._spread(entry)
            entry.due_at = self._opened(entry, wanted, now)
        self._entries[target.name] = entry
        heapq.heappush(self._heap, (entry.due_at, target.name))

    # --- a daily source's past days ---

    def follow(self, now: datetime) -> None:
        """Take up the days that have become past, and drop those that are past following."""
        today = now.astimezone(UTC).date()
        if today == self._day:
            return
        self._day = today
        followed: dict[str, list[Target]] = defaultdict(list)
        for entry in self._entries.values():
            if entry.target.day is not None:
                followed[entry.target.family].append(entry.target)
        for source in self._config.sources:
            wanted = dict(past_days(source, today, self._intervals[source.name]))
            if source.name in self._missed:
                wanted |= dict(missed_days(source, self._missed[source.name]))
            days = {target.day for target in wanted}
            for target in followed[source.name]:
                if target.day not in days:
                    del self._entries[target.name]
            for target, every in wanted.items():
                if target.name in self._entries:
                    self._entries[target.name].every = every
                else:
                    self._add(target, every, source, now, self._due)
        self._leave_queues()

    def _leave_queues(self) -> None:
        """What is not there any more waits for its turn no longer."""
        for host, ready in self._ready.items():
            self._ready[host] = [place for place in ready if place[1] in self._entries]
            heapq.heapify(self._ready[host])

    # --- work ---

    def take(self, now: datetime, turns: Turns | None = None) -> Target | None:
        """The longest overdue target whose host has a free slot; None when there is none.

        Of hosts whose last visit failed only so many are visited at one time. With ``turns``
        none is handed out that would have to wait for its host's pace: those that may be asked
        rarely are the longest overdue, and would leave nobody to visit the others.
        """
        self._collect(now)
        best: str | None = None
        crowded = sum(self._busy[host] for host in self._troubled) >= MOST_TROUBLED
        for host, ready in self._ready.items():
            if not ready or self._busy[host] >= self._slots:
                continue
            if crowded and host in self._troubled:
                continue
            if best is not None and self._ready[best][0] <= ready[0]:
                continue
            if turns is None or not self._is_held(host, now, turns):
                best = host
        if best is None:
            return None
        _, name = heapq.heappop(self._ready[best])
        self._busy[best] += 1
        target = self._entries[name].target
        if turns is not None:
            self._hold(best, now, turns(target.url)[1])
        return target

    def _is_held(self, host: str, now: datetime, turns: Turns) -> bool:
        if now >= self._held.get(host, now):
            self._hold(host, now, turns(self._entries[self._ready[host][0][1]].target.url)[0])
        return now < self._held[host]

    def _hold(self, host: str, now: datetime, seconds: float) -> None:
        self._held[host] = now + timedelta(seconds=max(seconds - _EARLY, 0.0))

    def _collect(self, now: datetime) -> None:
        """Move what has become due to the queues of the hosts."""
        while self._heap and self._heap[0][0] <= now:
            due_at, name = heapq.heappop(self._heap)
            entry = self._entries.get(name)
            if entry is None or entry.under_way or entry.due_at != due_at:
                continue
            entry.under_way = True
            heapq.heappush(self._ready[entry.target.host], (due_at, name))

    def give_back(self, target: Target) -> None:
        """A visit could not be written down: it is due again, in its old place."""
        self._busy[target.host] = max(self._busy[target.host] - 1, 0)
        entry = self._entries.get(target.name)
        if entry is not None:
            entry.under_way = False
            heapq.heappush(self._heap, (entry.due_at, target.name))

    def after(
        self, target: Target, now: datetime, *, failures: int = 0, retry_after: float | None = None
    ) -> datetime:
        """When a target is due next if a visit ends now; ``done`` holds to it."""
        entry = self._entries.get(target.name)
        return now if entry is None else self._next(entry, now, failures, retry_after)

    def done(
        self,
        target: Target,
        now: datetime,
        *,
        failures: int = 0,
        retry_after: float | None = None,
        due_at: datetime | None = None,
    ) -> datetime:
        """A visit has ended; plan the next (at ``due_at`` if that is known) and return its time."""
        self._busy[target.host] = max(self._busy[target.host] - 1, 0)
        if failures:
            self._troubled.add(target.host)
        else:
            self._troubled.discard(target.host)
        entry = self._entries.get(target.name)
        if entry is None:
            return now
        missed = self._missed.get(target.family, set())
        if target.day in missed and not failures:
            missed.discard(target.day)
            del self._entries[target.name]
            return now
        entry.under_way = False
        entry.due_at = due_at or self._next(entry, now, failures, retry_after)
        heapq.heappush(self._heap, (entry.due_at, target.name))
        return entry.due_at

    def _next(
        self, entry: Entry, now: datetime, failures: int, retry_after: float | None
    ) -> datetime:
        wait = entry.every
        if failures > _PATIENCE:
            grown = entry.every * 2.0 ** min(failures - _PATIENCE, 10)
            wait = max(entry.every, min(grown, _LONGEST_WAIT))
        elif retry_after is not None:
            # Also when nobody was asked, because the host wants a pause: the turn is not lost.
            wait = min(wait, timedelta(seconds=max(retry_after, 60.0)))
        if retry_after is not None:
            wait = max(wait, timedelta(seconds=retry_after))
        # Never before the interval, but for active hours: short ones would be missed on many days.
        planned = now + wait * (1 + _SPREAD * self._random.random())
        early = wait * _SPREAD if retry_after is None else timedelta(0)
        return self._when_active(entry, planned, opening_from=now + wait - early)

    def _when_active(
        self, entry: Entry, planned: datetime, *, opening_from: datetime | None = None
    ) -> datetime:
        """``planned``, or when it lies outside of the active hours their first beginning after it
        (or after ``opening_from``, which itself is better than to miss the rest of the hours)."""
        hours, earliest = entry.active, opening_from or planned
        if hours is None or hours.contain(planned.astimezone(self._zone).time()):
            return planned
        local = earliest.astimezone(self._zone)
        day = local.date()
        if local.time() > hours.start:
            day += timedelta(days=1)
        opening = instant_of(day, hours.start, self._zone)
        if opening > planned and hours.contain(local.time()):
            return earliest
        return opening + self._spread(entry)

    def _spread(self, entry: Entry) -> timedelta:
        """How long after an instant that all watchers share: an opening, or midnight."""
        widest = min(entry.every * _SPREAD, _WIDEST)
        return min(widest, entry.active.length if entry.active else widest) * self._random.random()

    def _opened(self, entry: Entry, due_at: datetime, now: datetime) -> datetime:
        """A due time within the active hours; one that has come keeps its place if they are now."""
        opened = self._when_active(entry, max(due_at, now))
        return due_at if opened <= now else opened

    def take_over(self, before: Agenda, now: datetime) -> None:
        """Go on from another agenda (the config has changed): its visits under way are ours.

        They end with ``done`` here, and are not begun a second time. What had become due there
        keeps its place; what nobody knows yet is due now.
        """
        self._troubled = set(before._troubled)
        for name, old in before._entries.items():
            entry = self._entries.get(name)
            running = old.under_way and not before._waits(name)
            if running:
                self._busy[old.target.host] += 1
            if entry is None:
                continue
            entry.under_way = running
            entry.due_at = self._opened(entry, min(old.due_at, now + entry.every * 1.1), now)
            if not running:
                heapq.heappush(self._heap, (entry.due_at, name))

    def _waits(self, name: str) -> bool:
        """Whether a target stands in a queue, due but not handed out yet."""
        ready = self._ready.get(self._entries[name].target.host, ())
        return any(waiting == name for _, waiting in ready)

    def turn_clock(self, now: datetime) -> None:
        """The clock was set: nothing is due later than its interval from now."""
        self._held.clear()
        for name, entry in self._entries.items():
            if entry.under_way or entry.due_at <= now + entry.every * 1.1:
                continue
            entry.due_at = self._when_active(entry, now + entry.every)
            heapq.heappush(self._heap, (entry.due_at, name))


def past_days(source: Source, today: date, every: timedelta) -> Iterable[tuple[Target, timedelta]]:
    """The past days of a daily source that are visited again, each with its interval.

    The older the day, the rarer: twice the source's interval for yesterday, doubled with
    each further day, between an hour (or the source's own interval) and twelve.
    """
    page_of = day_pages(source.url, source.kind)
    if page_of is None:
        return
    span = FOLLOW if source.follow is None else source.follow
    for age in range(1, span.days + 1):
        day = today - timedelta(days=age)
        pace = max(every, min(max(every * 2**age, timedelta(hours=1)), _SLOWEST))
        yield _past_day(source, day, page_of(day)), pace


def missed_days(source: Source, days: Iterable[date]) -> Iterable[tuple[Target, timedelta]]:
    """Days that are past following and were never seen, each until it went well once."""
    page_of = day_pages(source.url, source.kind)
    if page_of is None:
        return
    for day in sorted(days, reverse=True):
        yield _past_day(source, day, page_of(day)), _SLOWEST


def _past_day(source: Source, day: date, url: str) -> Target:
    return Target(
        name=f"{source.name}@{day.isoformat()}",
        url=url,
        family=source.name,
        kind=source.kind or PageKind.DAILY,
        day=day,
    )
