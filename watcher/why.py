"""Why a rule spoke about a paper, or kept silent: stored verdicts for yes, fresh ones for no.

Owns the recomputing of verdicts of one paper at a moment, from what the records knew by then.
Only reads. Judges with the functions of the live loop; must not print.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from watcher import growth, learning
from watcher.case import Moment, Subject, counted
from watcher.clock import from_unix, to_unix
from watcher.judgement import judge, key_of
from watcher.model import Change, Event, History, PageKind, Value, Verdict
from watcher.rules import Rule
from watcher.store import Records

_LOOKED_BACK = 400
"""Looks at a paper that are judged once more to find where it came closest."""
_ABOUT = frozenset({"source", "query", "follows", "exclude"})
"""Conditions that say whether a rule is about a paper at all."""


class Answer(Value, frozen=True, kw_only=True):
    """What a rule says of a paper and kind."""

    verdict: Verdict
    """Stored, where the rule has spoken; else recomputed."""
    at: datetime
    """The moment it is about."""
    said: bool = False
    """The rule has used up its one word about this paper and kind."""
    told: Event | None = None
    """The event that said it; None when nothing was said, or when the event was pruned."""
    closest: Verdict | None = None
    """For no: the verdict of the look at which more conditions were met than now."""
    closest_at: datetime | None = None


def answers(
    records: Records, rules: Sequence[Rule], row: int, *, now: datetime, zone: ZoneInfo
) -> tuple[Answer, ...]:
    """Every rule's verdict per kind on a paper at ``now``; rules gone from the config last.

    ``rules`` as they are compiled: budgets are laid over here. What a rule has said by then is
    answered with what was stored; the rest is judged from the sightings up to ``now``.
    """
    desk = _Desk(records, row, zone=zone, now=now)
    found: list[Answer] = []
    for rule in rules:
        found += [desk.answer(rule, verdict) for verdict in desk.verdicts(rule, now)]
    names = {rule.name for rule in rules}
    return (*found, *(_stored(event) for event in desk.events if event.rule not in names))


def verdicts(
    records: Records, rules: Sequence[Rule], row: int, *, now: datetime, baseline: growth.Baseline
) -> tuple[tuple[Verdict, ...], ...]:
    """For each rule its fresh verdicts on a paper at ``now``, one per kind, said before or not.

    ``rules`` as their budgets have them today, ``baseline`` that of this week.
    """
    desk = _Desk(records, row, zone=ZoneInfo("UTC"), now=now, baseline=baseline)
    return tuple(desk.judge(rule, to_unix(now)) for rule in rules)


def _stored(event: Event) -> Answer:
    verdict = Verdict(
        rule=event.rule or "",
        kind=Change(event.type.kind),
        fires=True,
        conditions=event.conditions,
    )
    return Answer(verdict=verdict, at=event.at, said=True, told=event)


class _Desk:
    """One paper on the desk, and what is looked up for it once."""

    def __init__(
        self,
        records: Records,
        row: int,
        *,
        zone: ZoneInfo,
        now: datetime,
        baseline: growth.Baseline | None = None,
    ) -> None:
        """``baseline``: that of ``now``, where it is in hand."""
        self._records = records
        self._row = row
        self._zone = zone
        self._now = now
        self._paper = records.papers.get(row)
        self._key = records.papers.key_of(row)
        self._keys = records.events.said([row])
        self._events = {event.id: event for event in records.events.of_paper(row)}
        self._states = records.sources.states()
        self._whole = records.papers.history(row)
        self._baselines = {} if baseline is None else {growth.monday(to_unix(now)): baseline}
        self._ruled: dict[tuple[str, datetime], Rule] = {}
        self._judged: dict[tuple[str, datetime], tuple[Verdict, ...]] = {}

    @property
    def events(self) -> tuple[Event, ...]:
        """What had been said by then."""
        return tuple(event for event in self._events.values() if event.at <= self._now)

    def answer(self, rule: Rule, verdict: Verdict) -> Answer:
        """Stored, when the rule has spoken; else the fresh verdict and the closest one."""
        key = key_of(rule.name, self._key, verdict.kind)
        told = self._events.get(key)
        if told is None and verdict.kind is Change.NEW and key in self._keys:
            # New and rising came together: one rising was told for both.
            told = self._events.get(key_of(rule.name, self._key, Change.RISING))
        if told is None and key in self._keys:
            return Answer(verdict=verdict, at=self._now, said=True)
        if told is None or told.at > self._now:
            answer = Answer(verdict=verdict, at=self._now)
            return answer if verdict.fires else self._with_closest(rule, answer)
        if told.id == key:
            return _stored(told)
        then = self._of_kind(rule, verdict.kind, told.at)
        return Answer(verdict=then, at=told.at, said=True, told=told)

    def verdicts(self, rule: Rule, now: datetime) -> tuple[Verdict, ...]:
        """The verdict of each kind, by the source that speaks most for it."""
        place = (rule.name, now)
        if place not in self._judged:
            self._judged[place] = self.judge(self._as_of(rule, now), to_unix(now))
        return self._judged[place]

    def judge(self, rule: Rule, at: int) -> tuple[Verdict, ...]:
        """The same for a rule as its budget has it then; ``at`` in Unix seconds."""
        best: dict[Change, Verdict] = {}
        for family in self._families(rule, at):
            subject = self._subject(family, at)
            moment = Moment(now=at, baseline=self._baseline(at), trending=self._trending(family))
            for verdict in judge(rule, subject, moment):
                known = best.get(verdict.kind)
                if known is None or _met(verdict) > _met(known):
                    best[verdict.kind] = verdict
        return tuple(best.values())

    def _of_kind(self, rule: Rule, kind: Change, now: datetime) -> Verdict:
        return next(v for v in self.verdicts(rule, now) if v.kind is kind)

    def _with_closest(self, rule: Rule, answer: Answer) -> Answer:
        """Name the look that came closest, where that is closer than now.

        Not for a paper the rule is not about: no look was close then.
        """
        kind, now = answer.verdict.kind, to_unix(self._now)
        if any(c.ok is False and c.name in _ABOUT for c in answer.verdict.conditions):
            return answer
        times = sorted({look.at for look in self._whole.looks if look.at < now})
        best = (_met(answer.verdict), self._bound(kind, now))
        for at in times[-_LOOKED_BACK:]:
            verdict = self._of_kind(rule, kind, from_unix(at))
            found = (_met(verdict), self._bound(kind, at))
            if found > best:
                best = found
                answer = msgspec.structs.replace(answer, closest=verdict, closest_at=from_unix(at))
        return answer

    def _bound(self, kind: Change, at: int) -> float:
        """How surely it was rising."""
        if kind is not Change.RISING:
            return 0.0
        found = growth.signals(self._history(at), at, baseline=self._baseline(at))
        return found.lower_bound or 0.0

    # --- what was known by then ---

    def _families(self, rule: Rule, at: int) -> list[str]:
        """The sources that showed it by then: those of the rule, or all when it was in none."""
        names = {state.id: state.family for state in self._states}
        shown = dict.fromkeys(
            names.get(look.source, "") for look in self._whole.looks if look.at <= at
        )
        mine = [name for name in shown if name in rule.sources]
        return mine or list(shown) or [""]

    def _trending(self, family: str) -> frozenset[int]:
        return frozenset(
            state.id
            for state in self._states
            if state.family == family and state.kind == PageKind.TRENDING.value
        )

    def _subject(self, family: str, at: int) -> Subject:
        history, paper = self._history(at), self._records.papers.as_of(self._paper, at)
        names = {state.id: state.family for state in self._states}
        shown = (look.source for look in reversed(history.looks))
        last = next((source for source in shown if names.get(source) == family), 0)
        return Subject(
            paper=counted(paper, history.counts),
            key=self._key,
            source=family,
            history=history,
            shows=self._records.sources.shows(last),
        )

    def _history(self, at: int) -> History:
        paper = self._records.papers.as_of(self._paper, at)
        return History(
            listed_at=None if paper.listed_at is None else to_unix(paper.listed_at),
            listed_exact=paper.listed_exact,
            first_seen_at=self._whole.first_seen_at,
            looks=tuple(look for look in self._whole.looks if look.at <= at),
            places=tuple(place for place in self._whole.places if place.at <= at),
        )

    def _baseline(self, at: int) -> growth.Baseline:
        monday = growth.monday(at)
        if monday not in self._baselines:
            self._baselines[monday] = learning.baseline_at(self._records, at, keep=False)
        return self._baselines[monday]

    def _as_of(self, rule: Rule, now: datetime) -> Rule:
        if rule.budget is None:
            return rule
        place = (rule.name, learning.midnight(now, self._zone))
        if place not in self._ruled:
            (self._ruled[place],) = learning.rules_at(
                self._records,
                (rule,),
                now=now,
                zone=self._zone,
                baseline=self._baseline(to_unix(now)),
                keep=False,
            )
        return self._ruled[place]


def _met(verdict: Verdict) -> int:
    """How many of its conditions are met."""
    return sum(condition.ok is True for condition in verdict.conditions)
