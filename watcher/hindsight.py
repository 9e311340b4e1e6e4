"""Hindsight: what a back-test says of a rule, now that it is known what became of the papers.

Owns the winners of each week, who was told in time, what was missed, and the comparison with
what the rule in force had sent. A *winner* is a paper that within seven days of its listing
came into the top tenth of the papers listed in the same ISO week; the *lead* is the time from
the first word about it until its votes reached that week's cut (``series/README`` of the
shared facts). Only reads. Must not replay (``backtest``) or print.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from statistics import median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from watcher import growth
from watcher.backtest import Replay, Told
from watcher.case import Case, Moment, Subject, counted
from watcher.clock import from_unix, to_unix
from watcher.errors import UnknownName
from watcher.model import Event, History, Paper, Value
from watcher.rules import Rule
from watcher.store import Records

TOP_PART = 10
"""A winner is one in so many of its week."""
FEWEST = 10
"""Weeks with fewer papers have no winners: there the best is nothing special."""
_STEP = 50
"""Visits between two words about the progress."""
_FOLLOWED = int(growth.FOLLOW_HOURS * growth.HOUR)


class Winner(Value, frozen=True, kw_only=True):
    """A paper that came into the top tenth of its week."""

    paper: Paper
    """With the votes of its seventh day."""
    history: History
    sources: tuple[str, ...]
    cut: int
    """The votes that made a winner of its week."""
    crossed_at: datetime
    """When it was first seen to have them."""


class Caught(Value, frozen=True, kw_only=True):
    """A winner that the rule told."""

    winner: Winner
    told: Told
    """The first word about it."""

    @property
    def lead_h(self) -> float:
        """Hours from the first word to the cut; negative when it came after."""
        return (self.winner.crossed_at - self.told.at) / timedelta(hours=1)


class Finding(Value, frozen=True, kw_only=True):
    """What a rule would have done."""

    rule: str
    told: tuple[Told, ...]
    """In time order, what was known at a first look left out."""
    known: int
    daily: tuple[tuple[date, int], ...]
    """Changes per local day, days without any included."""
    caught: tuple[Caught, ...]
    missed: tuple[Winner, ...]
    """Winners that it wants (query, sources, exclude) and never told."""
    sent: tuple[Event, ...] | None = None
    """What the rule of this name had told; None when there never was one."""

    @property
    def lead_h(self) -> float | None:
        """The median lead over the winners it told."""
        return median(caught.lead_h for caught in self.caught) if self.caught else None

    @property
    def both(self) -> int:
        """Changes told then and here, whatever the time of day."""
        return len(self.told) - len(self.only_here)

    @property
    def only_here(self) -> tuple[Told, ...]:
        """Changes that were not sent then."""
        ids = {event.id for event in self.sent or ()}
        return tuple(told for told in self.told if told.decision.keys[0] not in ids)

    @property
    def only_sent(self) -> tuple[Event, ...]:
        """Changes that were sent then and would not be here."""
        ids = {told.decision.keys[0] for told in self.told}
        return tuple(event for event in self.sent or () if event.id not in ids)


class Span(NamedTuple):
    """The time a back-test speaks of."""

    since: datetime
    until: datetime

    @property
    def days(self) -> float:
        """Its length, at least an hour's."""
        return max((self.until - self.since) / timedelta(days=1), 1 / 24)


# --- what became of the papers ------------------------------------------------------------


def winners(records: Records, span: Span) -> tuple[Winner, ...]:
    """The papers listed in a span that came into the top tenth of their week within seven days.

    Only papers whose seven days are over by its end. Imports beside the visits count too.
    """
    end = to_unix(span.until) - _FOLLOWED
    weeks: dict[tuple[int, int], list[tuple[int, int, History]]] = {}
    for row in records.papers.listed_between(_week_begin(to_unix(span.since)), end):
        history = records.papers.history(row)
        if history.listed_at is None:
            continue
        votes = growth.count_at(history.looks, history.listed_at + _FOLLOWED)
        if votes is not None:
            year, week, _ = from_unix(history.listed_at).isocalendar()
            weeks.setdefault((year, week), []).append((votes, row, history))
    families = records.sources.families()
    found = []
    for listed in weeks.values():
        if len(listed) < FEWEST:
            continue
        best = sorted((votes for votes, _, _ in listed), reverse=True)
        cut = max(best[math.ceil(len(best) / TOP_PART) - 1], 1)
        for votes, row, history in listed:
            if votes >= cut and (history.listed_at or 0) >= to_unix(span.since):
                paper = records.papers.get(row)
                found.append(_winner(paper, history, families, cut=cut))
    return tuple(sorted(found, key=lambda winner: winner.crossed_at))


def _week_begin(at: int) -> int:
    """A cut is that of the whole week, also when a span begins within it."""
    return growth.monday(at)


def _winner(paper: Paper, history: History, families: dict[int, str], *, cut: int) -> Winner:
    end = (history.listed_at or 0) + _FOLLOWED
    reached = (
        look.at
        for look in history.looks
        if look.upvotes is not None and look.upvotes >= cut and look.at <= end
    )
    followed = tuple(look for look in history.looks if look.at <= end)
    seen = dict.fromkeys(families.get(look.source, "") for look in followed)
    then = History(
        listed_at=history.listed_at,
        listed_exact=history.listed_exact,
        first_seen_at=history.first_seen_at,
        looks=followed,
    )
    return Winner(
        paper=counted(paper, then.counts),
        history=then,
        sources=tuple(seen),
        cut=cut,
        crossed_at=from_unix(next(reached, end)),
    )


def wants(rule: Rule, winner: Winner) -> bool:
    """Whether a rule is about a paper at all: its query, sources and ``exclude``."""
    if rule.sources and not rule.sources.intersection(winner.sources):
        return False
    subject = Subject(
        paper=winner.paper,
        key=winner.paper.name,
        source=winner.sources[0] if winner.sources else "",
        sources=winner.sources,
        history=winner.history,
    )
    moment = Moment(now=to_unix(winner.crossed_at))
    return Case(subject, moment, {}).outcome(rule.gate) is True


# --- what a rule would have done ----------------------------------------------------------


def find(
    rule: Rule,
    decided: Iterable[Told],
    best: Sequence[Winner],
    *,
    span: Span,
    zone: ZoneInfo,
    sent: Iterable[Event] | None = None,
) -> Finding:
    """What a rule would have done in a span, and what came of it.

    ``decided`` are the replay's decisions, also of other rules and other times; ``sent`` the
    events of the rule of this name, None when there is none to compare with.
    """
    mine = [told for told in decided if told.decision.rule == rule.name]
    before = {told.decision.paper for told in mine if told.at < span.since or told.decision.known}
    told = tuple(t for t in mine if t.at >= span.since and not t.decision.known)
    first: dict[int, Told] = {}
    for one in told:
        first.setdefault(one.decision.paper, one)
    wanted = [w for w in best if w.paper.row in first or wants(rule, w)]
    return Finding(
        rule=rule.name,
        told=told,
        known=sum(t.at >= span.since and t.decision.known for t in mine),
        daily=_daily(told, span, zone),
        caught=tuple(
            Caught(winner=w, told=first[w.paper.row]) for w in wanted if w.paper.row in first
        ),
        missed=tuple(w for w in wanted if w.paper.row not in first and w.paper.row not in before),
        sent=None
        if sent is None
        else tuple(e for e in sent if not e.known and span.since <= e.at <= span.until),
    )


def _daily(told: Iterable[Told], span: Span, zone: ZoneInfo) -> tuple[tuple[date, int], ...]:
    days = Counter(one.at.astimezone(zone).date() for one in told)
    first, last = (at.astimezone(zone).date() for at in span)
    return tuple(
        (day, days[day])
        for day in (first + timedelta(days=n) for n in range((last - first).days + 1))
    )


def look_back(
    records: Records,
    rules: Sequence[Rule],
    *,
    zone: ZoneInfo,
    since: datetime | None = None,
    advance: Callable[[int, int], None] = lambda _done, _of: None,
) -> tuple[Span, tuple[Finding, ...]]:
    """Replay all history before ``rules``; what each would have done since an instant.

    A rule is replayed from the first visit on, as if it had always been there: what it told
    before ``since`` is not told again. ``advance`` hears how many visits of how many are done.
    Raises UnknownName when there is no visit to replay.
    """
    replay = Replay(records, rules, zone=zone)
    decided: list[Told] = []
    times: list[datetime] = []
    for number, (at, told) in enumerate(replay.run(), 1):
        times.append(at)
        decided += told
        if number % _STEP == 0 or number == replay.visits:
            advance(number, replay.visits)
    if not times:
        raise UnknownName("no visit is recorded yet: there is nothing to test against")
    span = Span(max(since or min(times), min(times)), max(times))
    best = winners(records, span)
    sent: dict[str, list[Event]] = {}
    for event in records.events.between(span.since, span.until + timedelta(seconds=1)):
        sent.setdefault(event.rule or "", []).append(event)
    return span, tuple(
        find(rule, decided, best, span=span, zone=zone, sent=sent.get(rule.name)) for rule in rules
    )
