"""What is learnt from the records before a fixed instant: the baseline and the budgets.

Owns when it is learnt anew (Monday 00:00 UTC; midnight in the watcher's zone) and that it is
a pure function of the records before then, so that a back-test gets what the live loop got.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from watcher import growth
from watcher.case import Case, Matches, Moment, Subject, counted
from watcher.clock import from_unix, to_unix
from watcher.model import History
from watcher.rules import Peak, Rule, Thresholds, budget_thresholds, with_thresholds
from watcher.store import Records
from watcher.telemetry import log

BUDGET_DAYS = 28
"""A budget's thresholds come from the papers of so many days."""
_PEAK_AGES_H = (2, 4, 8, 16, 30, 48, 96, 168)
"""Ages at which a paper is looked at for a budget: enough to find its multiplier's peak."""

_Key = tuple[int, datetime, tuple[Rule, ...]]
_baseline = msgspec.json.Decoder(growth.Baseline)
_thresholds = msgspec.json.Decoder(Thresholds)


def baseline_at(records: Records, now: int, *, keep: bool = True) -> growth.Baseline:
    """The curve of usual votes in force at ``now``: learnt before its Monday, and stored."""
    monday = growth.monday(now)
    stored = records.events.learnt("baseline", monday)
    if stored is not None:
        return _baseline.decode(stored)
    series = records.papers.series(monday - growth.LEARN_SPAN, monday)
    baseline = growth.learn(map(_held, series, itertools.repeat(monday)), monday)
    if keep:
        records.events.keep_learnt("baseline", monday, msgspec.json.encode(baseline).decode())
    return baseline


class Learnt:
    """What is in force now, remembered until the next Monday or midnight, or other rules.

    Asked on the store's thread; other rules may be put in force while these are being learnt, so
    what is remembered is kept with the rules it is of.
    """

    def __init__(self, *, keep: bool = True) -> None:
        """``keep``: what is learnt is stored for everybody; without, records are only read."""
        self._keep = keep
        self._last: tuple[_Key, growth.Baseline, tuple[Rule, ...]] | None = None

    def of(
        self, records: Records, rules: tuple[Rule, ...], *, now: datetime, zone: ZoneInfo
    ) -> tuple[growth.Baseline, tuple[Rule, ...]]:
        """The baseline of this week, and the rules as their budgets have them today."""
        at, last = to_unix(now), self._last
        key = (growth.monday(at), midnight(now, zone), rules)
        if last is None or last[0] != key:
            baseline = baseline_at(records, at, keep=self._keep)
            today = rules_at(records, rules, now=now, zone=zone, baseline=baseline, keep=self._keep)
            last = self._last = (key, baseline, today)
            if self._keep:
                log.info("baseline_learnt", before=from_unix(key[0]).isoformat())
        return last[1], last[2]


def _held(series: growth.Series, before: int) -> growth.Series:
    """A series with its last count held until it stops being followed.

    Only changes are stored: a paper that stood still has no later look, and would be missing
    from the usual of later ages.
    """
    listed_at, looks = series
    end = min(before - 1, listed_at + int(growth.FOLLOW_HOURS * growth.HOUR) - 1)
    followed = tuple(look for look in looks if look[0] <= end)
    if not followed or followed[-1][0] == end:
        return listed_at, followed
    return listed_at, (*followed, (end, followed[-1][1]))


def midnight(now: datetime, zone: ZoneInfo) -> datetime:
    """The last midnight in a zone, as an instant."""
    local = now.astimezone(zone)
    return datetime.combine(local.date(), time(0), zone).astimezone(UTC)


def rules_at(
    records: Records,
    rules: Sequence[Rule],
    *,
    now: datetime,
    zone: ZoneInfo,
    baseline: growth.Baseline,
    keep: bool = True,
) -> tuple[Rule, ...]:
    """The rules as their budgets have them today."""
    return tuple(
        rule
        if rule.budget is None
        else with_thresholds(rule, _today(records, rule, midnight(now, zone), baseline, keep=keep))
        for rule in rules
    )


def _today(
    records: Records, rule: Rule, before: datetime, baseline: growth.Baseline, *, keep: bool
) -> Thresholds:
    name, until = f"budget:{rule.name}:{rule.fingerprint}", to_unix(before)
    stored = records.events.learnt(name, until)
    if stored is not None:
        return _thresholds.decode(stored)
    first = before - timedelta(days=BUDGET_DAYS)
    peaks = tuple(_peaks(records, rule, (to_unix(first), until), baseline))
    days = _days_recorded(records, first, before)
    learnt = budget_thresholds(rule, peaks, days=days)
    if keep:
        records.events.keep_learnt(name, until, msgspec.json.encode(learnt).decode())
    return learnt


def _days_recorded(records: Records, first: datetime, before: datetime) -> float:
    begun = records.papers.first_seen(to_unix(first))
    since = max(first, from_unix(begun)) if begun is not None else before
    return max((before - since) / timedelta(days=1), 1.0)


def _peaks(
    records: Records, rule: Rule, span: tuple[int, int], baseline: growth.Baseline
) -> Iterator[Peak]:
    """The best each paper wanted by the rule has reached, from the looks before the instant."""
    names = records.sources.families()
    there = {} if rule.tell_known else _first_looks(records)
    matches = Matches()
    for row in records.papers.listed_between(*span):
        history = records.papers.history(row, span[1] - 1)
        if not history.looks:
            continue  # listed before the instant, but not seen before it
        if history.looks[0].at == there.get(history.looks[0].source):
            continue  # it stood there at the first look, and would have been told to nobody
        sources = tuple({names.get(look.source, "") for look in history.looks})
        if rule.sources and not rule.sources.intersection(sources):
            continue
        paper = records.papers.as_of(records.papers.get(row), span[1] - 1)
        subject = Subject(
            paper=counted(paper, history.counts),
            key="",
            source=sources[0] if sources else "",
            sources=sources,
            history=history,
        )
        outcomes = matches.of(subject)
        wanted = [
            at
            for at in _times(history, span[1])
            if Case(subject, Moment(now=at), outcomes).outcome(rule.gate) is True
        ]
        if wanted:
            yield _peak(history, wanted, baseline)


def _first_looks(records: Records) -> dict[int, int]:
    """Of each source, when its first page was seen (Unix seconds). What stood on it was known:
    with the papers of weeks, the first days would seem to bring far more than they do.

    Not of past days that came after their source's first look: what was missed then is told.
    """
    begun = {s.name: (s, s.first_ok_at) for s in records.sources.states() if s.first_ok_at}
    return {
        state.id: to_unix(at)
        for state, at in begun.values()
        if state.name == state.family
        or state.family not in begun
        or state.name.rpartition("@")[2] < str(begun[state.family][1].date())
    }


def _times(history: History, before: int) -> list[int]:
    """When a paper is looked at for a budget, in time order: a query that asks for age or
    counts may have held on its first day only."""
    begin = history.listed_at
    ages = () if begin is None else (begin + age_h * growth.HOUR for age_h in _PEAK_AGES_H)
    return sorted({*(at for at in ages if at < before), before - 1})


def _peak(history: History, times: Sequence[int], baseline: growth.Baseline) -> Peak:
    """The best it has reached until the last of some times, its multiplier at each of them."""
    looks = [look for look in history.looks if look.at <= times[-1]]
    votes = [look.upvotes for look in looks if look.upvotes is not None]
    bound = 0.0
    if history.listed_at is not None:
        for at in times:
            found = growth.signals(history, at, baseline=baseline)
            if found.lower_bound is not None and (found.upvotes or 0) >= growth.RISING_FLOOR:
                bound = max(bound, found.lower_bound)
    return Peak(upvotes=max(votes, default=0), lower_bound=bound)
