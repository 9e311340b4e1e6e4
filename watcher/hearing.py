"""A hearing: what one visit puts before the rules, and what they newly say of it.

Owns all that a decision of a visit depends on beyond rules, papers and their sightings: first
looks, what was said, the budget's day, whose ripening has ended. The live loop hears each
visit with the records behind it, a back-test with its memory of them: the same functions, so
the same decisions. Must not know SQL, channels or where its papers come from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Protocol

import msgspec

from watcher import growth
from watcher.agenda import Target
from watcher.case import Matches, Moment, Subject
from watcher.clock import to_unix
from watcher.judgement import Decision, decide
from watcher.model import Value
from watcher.rules import Rule

MISSED_AFTER = 2 * growth.HOUR
"""A paper of a past day first seen so long after its listing was missed in its time."""


class Ledger(Protocol):
    """What was said so far. Keys and pairs are those of ``store.events.Events``."""

    def said(self, papers: Sequence[int]) -> Collection[str]:
        """The keys used up by everything said of these papers."""

    def told_since(self, since: datetime) -> Mapping[str, int]:
        """Per rule how many changes it told since an instant, baselines left out."""

    def pairs(self, source: str) -> Mapping[str, tuple[str, datetime]]:
        """Rule to the fingerprint and the time with which it first judged a source."""

    def keep_pair(self, rule: str, source: str, fingerprint: str, at: datetime) -> None:
        """The first snapshot of this pair has been judged."""


class Hearing(Value, frozen=True, kw_only=True):
    """One visit as the rules know it."""

    target: Target
    now: datetime
    midnight: datetime
    """The last one in the watcher's zone: a budget's day began then."""
    baseline: growth.Baseline
    rules: tuple[Rule, ...]
    """As their budgets have them today."""
    trending: frozenset[int] = frozenset()
    """The store's number of the source, when its page is a trending list."""


def hear(
    ledger: Ledger,
    hearing: Hearing,
    subjects: Sequence[Subject],
    *,
    matches: Matches | None = None,
    looked: bool = False,
) -> tuple[Decision, ...]:
    """What the rules newly say about the subjects of a visit; strongest first.

    Notes the first looks that this visit was. Nothing happens without rules or subjects, unless
    a page was ``looked`` at of which the rules are sure to say nothing.
    """
    rules, target, now = hearing.rules, hearing.target, hearing.now
    if not rules or not (subjects or looked):
        return ()
    first = first_looks(ledger, rules, target)
    told_today: Mapping[str, int] = {}
    if any(rule.budget is not None for rule in rules):
        told_today = ledger.told_since(hearing.midnight)
    moment = Moment(
        now=to_unix(now),
        baseline=hearing.baseline,
        trending=hearing.trending,
        said=ledger.said([subject.paper.row for subject in subjects]),
        first_looks=frozenset((rule.name, target.family) for rule in first),
        told_today=told_today,
    )
    decisions = decide(rules, subjects, moment, matches=matches)
    for rule in first:
        ledger.keep_pair(rule.name, target.name, rule.fingerprint, now)
    return decisions if target.day is None else _marked_late(decisions, subjects, hearing)


def _marked_late(
    decisions: Sequence[Decision], subjects: Sequence[Subject], hearing: Hearing
) -> tuple[Decision, ...]:
    """Decisions about a past day, late where nobody was looking when the paper was listed."""
    now = to_unix(hearing.now)
    missed = {s.paper.row for s in subjects if _was_missed(s, hearing.target, now)}
    return tuple(
        msgspec.structs.replace(d, late=True) if d.paper in missed and not d.known else d
        for d in decisions
    )


def _was_missed(subject: Subject, target: Target, now: int) -> bool:
    """Whether a paper of a past day is seen for the first time long after its listing."""
    history = subject.history
    if history.first_seen_at < now or target.day is None:
        return False
    listed = history.listed_at if history.listed_exact else None
    if listed is None:
        # All that is known is the day: it may have come at its very end.
        listed = to_unix(datetime.combine(target.day + timedelta(days=1), time(0), UTC))
    return now - listed > MISSED_AFTER


def first_looks(ledger: Ledger, rules: Sequence[Rule], target: Target) -> tuple[Rule, ...]:
    """The rules whose first judged snapshot of this target it is: what is there is known.

    A past day of a daily source has a first look of its own only if it lies before the
    rule's first look at the source; a day that came later was missed, and is told.
    """
    wanted = [rule for rule in rules if not rule.sources or target.family in rule.sources]
    mine = ledger.pairs(target.name)
    unseen = [rule for rule in wanted if mine.get(rule.name, ("",))[0] != rule.fingerprint]
    if not unseen or target.day is None:
        return tuple(unseen)
    began = ledger.pairs(target.family)
    return tuple(
        rule
        for rule in unseen
        if rule.name not in began
        or began[rule.name][0] != rule.fingerprint
        or target.day < began[rule.name][1].date()
    )


def ripe_spans(
    rules: Sequence[Rule], target: Target, *, since: datetime | None, now: datetime
) -> Iterator[tuple[int, int]]:
    """Begins (listing, or first sight) of the papers whose ripening for some rule ended after
    the visit at ``since``, up to now: spans of Unix seconds, both ends included.

    None for a past day: its source looks after all that ripens, and the day's own first look
    must not take for known what is ripe on another page.
    """
    if since is None or target.day is not None:
        return
    for wait in {rule.ripen_s for rule in rules if rule.ripen_s}:
        yield to_unix(since) - int(wait) + 1, to_unix(now) - int(wait)
