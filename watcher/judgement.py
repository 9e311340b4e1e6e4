"""The judgement: which rule newly says what about which paper.

Owns verdicts and the once-only decisions. Pure: rules, subjects and the moment go in,
decisions come out; live loop, back-test and ``why`` use the same functions. Must not know
channels, the store or a clock.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from watcher import growth
from watcher.case import Case, Matches, Moment, Subject
from watcher.identity import event_id
from watcher.matching import Outcome
from watcher.model import Change, Condition, Value, Verdict
from watcher.query import Query
from watcher.reasons import conditions_of, reason_of
from watcher.rules import Rule

_NOT_SETTLED = object()
_NEW, _RISING = Change.NEW, Change.RISING  # looked up in the hot loop


class Decision(Value, frozen=True, kw_only=True):
    """A rule speaks about a paper: what the store records as an event."""

    rule: str
    paper: int
    """The row."""
    source: str
    kind: Change
    keys: tuple[str, ...]
    """All keys used up by it; the first is the event's id."""
    reason: str
    conditions: tuple[Condition, ...]
    strength: float
    """The lower bound of the multiplier, or else votes / 20: the larger, the stronger."""
    known: bool = False
    """Recorded at the first look, owed to nobody."""
    late: bool = False
    """A late bloomer."""
    overflow: bool = False
    """Beyond the rule's budget of the day: it goes to a digest."""


def decide(
    rules: Sequence[Rule],
    subjects: Iterable[Subject],
    moment: Moment,
    *,
    matches: Matches | None = None,
) -> tuple[Decision, ...]:
    """Decide what each rule newly says about each paper, strongest first.

    The order of rules and subjects is irrelevant. A key in ``moment.said`` never speaks
    again; when ``new`` and ``rising`` come together, one ``rising`` uses up both keys.
    ``matches`` is kept between calls to remember what the words decided.
    """
    matches = Matches() if matches is None else matches
    decisions: list[Decision] = []
    for subject in subjects:
        outcomes = matches.of(subject)
        case = None
        for rule in rules:
            settled = outcomes.get(rule.gate, _NOT_SETTLED)
            if settled is False or settled is None:
                continue  # most papers, most of the time
            if rule.sources and subject.source not in rule.sources:
                continue
            if case is None:
                case = Case(subject, moment, outcomes)
            if settled is not True and case.outcome(rule.gate) is not True:
                continue
            kinds = _fresh(rule, case)
            if kinds:
                decisions += _decisions(rule, case, kinds)
    decisions.sort(key=lambda decision: (-decision.strength, decision.keys))
    return _within_budgets(decisions, rules, moment)


def may_speak(
    rules: Iterable[Rule],
    source: str,
    outcomes: Mapping[Query, Outcome],
    most: Callable[[], int],
) -> bool:
    """Whether ``decide`` has to look at a paper; False is certain, and quick to find out.

    ``outcomes`` are those known for its words, ``most`` tells at least the votes it has.
    """
    for rule in rules:
        settled = outcomes.get(rule.gate, _NOT_SETTLED)
        if settled is False or settled is None:
            continue
        if rule.sources and source not in rule.sources:
            continue
        if rule.min_upvotes and rule.follows is None and most() < rule.min_upvotes:
            continue
        return True
    return False


def _fresh(rule: Rule, case: Case) -> list[Change]:
    """The kinds that fire and were never said, for a paper that passed the gate."""
    followed = rule.follows is not None and case.outcome(rule.follows) is True
    if rule.min_upvotes and not followed and case.enough(rule.min_upvotes) is not True:
        return []
    kinds = []
    said = case.moment.said
    for kind in rule.events:
        if key_of(rule.name, case.key, kind) in said:
            continue  # whatever holds now: looking into the past is dear
        if kind is _NEW:
            fires = case.enough(0 if followed else rule.new_upvotes) and case.ripe(rule)
        elif kind is _RISING:
            fires = case.surely(rule)
        else:
            fires = case.again
        if fires:
            kinds.append(kind)
    return kinds


@functools.lru_cache(maxsize=65_536)
def key_of(rule: str, paper_key: str, kind: Change) -> str:
    """The key that a rule uses up when it speaks about a paper: the event's id."""
    return event_id(rule, paper_key, kind.value)


def _decisions(rule: Rule, case: Case, kinds: list[Change]) -> list[Decision]:
    key = case.key
    keys: dict[Change, tuple[str, ...]]
    keys = {kind: (key_of(rule.name, key, kind),) for kind in kinds}
    if Change.NEW in keys and Change.RISING in keys:
        keys[Change.RISING] += keys.pop(Change.NEW)
    return [_decision(rule, case, kind, used) for kind, used in keys.items()]


def _decision(rule: Rule, case: Case, kind: Change, keys: tuple[str, ...]) -> Decision:
    subject = case.subject
    late = kind is Change.NEW and case.late(rule)
    bound = case.signals.lower_bound
    at_first = (rule.name, subject.source) in case.moment.first_looks
    return Decision(
        rule=rule.name,
        paper=subject.paper.row,
        source=subject.source,
        kind=kind,
        keys=keys,
        reason=reason_of(rule, case, kind, late),
        conditions=conditions_of(rule, case, kind),
        strength=(case.upvotes or 0) / growth.RISING_FLOOR if bound is None else bound,
        known=at_first and not rule.tell_known,
        late=late,
    )


def _within_budgets(
    decisions: list[Decision], rules: Sequence[Rule], moment: Moment
) -> tuple[Decision, ...]:
    """Mark what is beyond each rule's budget of the day; the strongest come first."""
    left = {
        rule.name: math.ceil(rule.budget) - moment.told_today.get(rule.name, 0)
        for rule in rules
        if rule.budget is not None
    }
    marked = []
    for decision in decisions:
        if not decision.known and decision.rule in left:
            left[decision.rule] -= 1
            if left[decision.rule] < 0:
                decision = msgspec.structs.replace(decision, overflow=True)  # noqa: PLW2901
        marked.append(decision)
    return tuple(marked)


def judge(rule: Rule, subject: Subject, moment: Moment) -> tuple[Verdict, ...]:
    """A verdict with every condition for each kind the rule tells; for ``why``.

    Fires exactly when ``decide`` would, had the rule never spoken about the paper.
    """
    case = Case(subject, moment, {})
    verdicts = []
    for kind in rule.events:
        conditions = conditions_of(rule, case, kind)
        fires = all(condition.ok is True for condition in conditions)
        verdicts.append(Verdict(rule=rule.name, kind=kind, fires=fires, conditions=conditions))
    return tuple(verdicts)
