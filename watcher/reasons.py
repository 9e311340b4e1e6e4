"""Why a rule fired or kept silent, in words: conditions written out, and the reason line.

Owns the wording of conditions and reasons. Pure. Must not decide anything: what holds is
asked of the case. Written only for verdicts that fire or are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from watcher import growth
from watcher.case import Case, ripe_at
from watcher.model import Change, Condition
from watcher.query import Query
from watcher.rules import Rule

UNKNOWN = "unknown"
_WORDY = frozenset({"source", "query", "follows", "exclude"})
_SELF_NAMED = frozenset({"multiplier", "gaining"})
_MARKS = {True: "✓", False: "✗", None: "?"}


def conditions_of(rule: Rule, case: Case, kind: Change) -> tuple[Condition, ...]:
    """Every condition of a kind, written out. All must be met."""
    follows = None if rule.follows is None else case.outcome(rule.follows)
    written = [_write_source(rule, case), _write_upvotes(rule, case, kind, follows is True)]
    if kind is Change.NEW:
        written.append(_write_ripe(rule, case))
    elif kind is Change.RISING:
        written.append(_write_multiplier(rule, case))
    else:
        written.append(_write_gaining(case))
    written += [_write_wanted(rule, case), _write_exclude(rule, case)]
    return tuple(condition for condition in written if condition is not None)


def _write_source(rule: Rule, case: Case) -> Condition | None:
    if not rule.sources:
        return None
    source = case.subject.source
    ok = source in rule.sources
    value = source if ok else f"{source} is not among them"
    return Condition(name="source", value=value, need=", ".join(sorted(rule.sources)), ok=ok)


def _write_upvotes(rule: Rule, case: Case, kind: Change, followed: bool) -> Condition | None:
    need = 0 if followed else rule.min_upvotes
    if kind is Change.NEW and not followed:
        need = rule.new_upvotes
    if kind is Change.RISING:
        need = max(need, growth.RISING_FLOOR)
    if not need:
        return None
    value = UNKNOWN if case.upvotes is None else str(case.upvotes)
    return Condition(name="upvotes", value=value, need=str(need), ok=case.enough(need))


def _write_ripe(rule: Rule, case: Case) -> Condition | None:
    if not rule.ripen_s:
        return None
    waited = case.moment.now - ripe_at(rule, case.subject.history) + rule.ripen_s
    begin = "first sight" if case.age_s is None else "listing"
    value = f"{_span(waited)} after {begin}"
    return Condition(name="ripening", value=value, need=_span(rule.ripen_s), ok=case.ripe(rule))


def _write_multiplier(rule: Rule, case: Case) -> Condition:
    """The bound is shown rounded down and the floor of 20 votes left to the votes' own line."""
    signals, need = case.signals, rule.min_multiplier
    value = UNKNOWN
    ok: bool | None = None
    if signals.lower_bound is not None and signals.multiplier is not None:
        bound = _floor(signals.lower_bound, need)
        value = f"{_times(signals.multiplier)} papers of its age, lower bound {bound}"
        ok = signals.lower_bound >= need
    elif case.age_s is not None and case.age_s >= growth.FOLLOW_HOURS * growth.HOUR:
        value, ok = "older than 7 days", False
    return Condition(name="multiplier", value=value, need=_need(need), ok=ok)


def _write_gaining(case: Case) -> Condition:
    gain = case.gain_day
    value = UNKNOWN if gain is None else f"{gain:+d} in a day" if gain else "0 in a day"
    rank = case.signals.entered_top
    if rank is not None:
        value = f"{_entered(case, rank)}, {value}"
    elif gain is not None:
        value += f", {_age(case)}"
    need = (
        f"{case.gain_needed} a day after 36 h (and {growth.RISING_FLOOR} votes in its first week), "
        f"or the trending top {growth.TOP} from below"
    )
    return Condition(name="gaining", value=value, need=need, ok=case.again)


def _write_wanted(rule: Rule, case: Case) -> Condition | None:
    """The query, or the authors and organisations that stand in for it."""
    follows = rule.follows
    followed = None if follows is None else case.outcome(follows)
    wanted = None if rule.query is None else case.outcome(rule.query)
    decides = followed or (followed is None and wanted is False) or rule.only_follows
    if follows is not None and decides:
        value = _match(rule, case, follows)
        return Condition(name="follows", value=value, need=follows.text, ok=followed)
    if rule.query is None:
        return None
    value = case.explain(rule.query)
    return Condition(name="query", value=value, need=rule.query.text, ok=wanted)


def _write_exclude(rule: Rule, case: Case) -> Condition | None:
    if rule.exclude is None:
        return None
    outcome = case.outcome(rule.exclude)
    ok = None if outcome is None else not outcome
    value = case.explain(rule.exclude)
    return Condition(name="exclude", value=value, need=f"NOT {rule.exclude.text}", ok=ok)


def format_conditions(conditions: Iterable[Condition]) -> str:
    """One line for people: ``upvotes 38, needs 20 ✓ · query ✗ no match for alignment``."""
    return " · ".join(map(_format, conditions))


def _format(condition: Condition) -> str:
    mark = _MARKS[condition.ok]
    if condition.name in _WORDY:
        return f"{condition.name} {mark} {condition.value}"
    if condition.name in _SELF_NAMED and condition.value != UNKNOWN:
        return f"{condition.value}, needs {condition.need} {mark}"
    return f"{condition.name} {condition.value}, needs {condition.need} {mark}"


def reason_of(rule: Rule, case: Case, kind: Change, late: bool) -> str:
    """The one line that goes wherever the change goes."""
    if kind is Change.RISING:
        said = _reason_rising(rule, case)
    elif kind is Change.RESURGING:
        said = _reason_resurging(case)
    else:
        said = _reason_new(rule, case, late)
    return " · ".join([said, *_matched(rule, case)])


def _reason_rising(rule: Rule, case: Case) -> str:
    signals = case.signals
    bound = _floor(signals.lower_bound or 0.0, rule.min_multiplier)
    return (
        f"{_votes(case.upvotes)} in {_oldest(case)}, surely {bound} × the usual for "
        f"papers of this age ({_times(signals.multiplier or 0.0)})"
    )


def _reason_resurging(case: Case) -> str:
    said = []
    rank = case.signals.entered_top
    if rank is not None:
        said.append(_entered(case, rank))
    gain = case.gain_day
    if gain is not None and gain >= case.gain_needed:
        said.append(f"{gain:+d} votes in a day, {_age(case)}")
    return " · ".join(said)


def _reason_new(rule: Rule, case: Case, late: bool) -> str:
    followed = rule.follows is not None and case.outcome(rule.follows) is True
    need = f", needs {rule.new_upvotes}" if rule.new_upvotes and not followed else ""
    votes = "" if case.upvotes is None else _votes(case.upvotes)
    if late:
        return f"late bloomer: {votes or 'votes unknown'}, {_age(case)}{need}"
    return f"new: {votes}{need}" if votes else "new"


def _matched(rule: Rule, case: Case) -> list[str]:
    for query in (rule.query, rule.follows):
        if query is not None and query.text and case.outcome(query) is True:
            return [_match(rule, case, query)]
    return []


def _match(rule: Rule, case: Case, query: Query) -> str:
    said = case.explain(query)
    return "follows " + said.removeprefix("matches ") if query is rule.follows else said


def _entered(case: Case, rank: int) -> str:
    trending, now = case.moment.trending, case.moment.now
    places = [p for p in case.history.places if p.source in trending and p.at <= now]
    for place in reversed(places):
        below = place.source == places[-1].source and place.rank > max(
            growth.TOP, rank + growth.RANK_NOISE
        )
        if below:
            return f"entered the trending top {growth.TOP} at {rank} from {place.rank}"
    return f"entered the trending top {growth.TOP} at {rank}"


def _oldest(case: Case) -> str:
    """How old the paper is, or may be: what "surely" has to hold for."""
    history = case.subject.history
    age_s = growth.oldest_age(history, case.moment.now) or 0
    return _span(age_s) if history.listed_exact else f"at most {_span(age_s)}"


def _age(case: Case) -> str:
    if case.age_s is not None:
        return f"{_span(case.age_s)} after listing"
    return f"known for {_span(case.least_age_s)}"


def _span(seconds: float) -> str:
    if seconds < growth.HOUR:
        return f"{max(0, int(seconds // 60))} min"
    if seconds < 2 * growth.DAY:
        return f"{int(seconds // growth.HOUR)} h"
    return f"{int(seconds // growth.DAY)} days"


def _votes(count: int | None) -> str:
    return "1 vote" if count == 1 else f"{count} votes"


def _times(multiplier: float) -> str:
    return f"{multiplier:.1f} ×"


def _need(value: float) -> str:
    return f"{value:.1f}" if round(value, 1) == value else f"{value:g}"


def _floor(value: float, need: float) -> str:
    """Rounded down, as finely as the need is written: what is shown never contradicts ✓ or ✗."""
    digits = len(_need(need).partition(".")[2]) or 1
    step = 10**digits
    return f"{math.floor(value * step + 1e-9) / step:.{digits}f}"
