"""Rules: what each of them wants to be told, compiled from the keys of one ``[[rule]]``.

Owns the compiled rule and the thresholds that a budget learns. Pure. Must not know papers
or moments (``case.py``), verdicts (``judgement.py``), channels or the store. The conditions
are described for users in ``docs/rules.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypedDict, Unpack

import msgspec

from watcher import growth
from watcher.errors import QueryError
from watcher.identity import digest_of
from watcher.matching import Node, Not, Several
from watcher.model import Change, Value
from watcher.query import Query, any_of, compile_query


class Wishes(TypedDict, total=False):
    """What ``compile_rule`` takes: the keys of ``[[rule]]``, durations in seconds."""

    query: str | None
    exclude: Iterable[str]
    sources: Iterable[str] | None
    events: Iterable[Change]
    min_upvotes: int
    min_multiplier: float
    ripen_s: float
    authors: Iterable[str]
    organizations: Iterable[str]
    budget: float | None
    tell_known: bool


class Rule(Value, frozen=True, kw_only=True):
    """A compiled rule. Made by ``compile_rule``; ``with_thresholds`` lays a budget over it."""

    name: str
    query: Query | None = None
    """Which papers; None for every paper."""
    exclude: Query | None = None
    follows: Query | None = None
    """Authors and organisations that stand in for the query and the votes."""
    gate: Query
    """Query, follows and exclude in one: what a paper's words and facts must pass."""
    sources: frozenset[str] = frozenset()
    """Empty for all."""
    events: tuple[Change, ...] = tuple(Change)
    min_upvotes: int = 0
    min_multiplier: float = growth.RISING_MULTIPLIER
    new_upvotes: int = 0
    """Votes needed for ``new``, as a budget learnt them; never below ``min_upvotes``."""
    ripen_s: float = 0.0
    budget: float | None = None
    """About so many papers a day."""
    tell_known: bool = False
    """Whether the papers found at the first look are told too."""
    only_follows: bool = False
    """Authors and organisations are all it asks for: it tells of nobody else."""
    fingerprint: str = ""
    """Changes when the rule means something else: then it begins with a first look again."""


class Thresholds(Value, frozen=True, kw_only=True):
    """What a budget asks for until the next midnight."""

    multiplier: float
    """The lower bound needed for ``rising``."""
    upvotes: int
    """The votes needed for ``new``."""


def compile_rule(name: str, **wishes: Unpack[Wishes]) -> Rule:
    """Compile the keys of one ``[[rule]]``.

    Raises:
        QueryError: a query is not in the language; the message names rule and key.
    """
    text = wishes.get("query")
    query = None if text is None else _compile(name, "query", (text,))
    exclude = _compile(name, "exclude", wishes.get("exclude", ()))
    follows = _compile_follows(name, wishes)
    least = wishes.get("min_upvotes", 0)
    unbounded = query is None and not least and wishes.get("budget") is None
    only_follows = unbounded and follows is not None
    return Rule(
        name=name,
        query=query,
        exclude=exclude,
        follows=follows,
        gate=_gate(query, follows if query or only_follows else None, exclude),
        sources=frozenset(wishes.get("sources") or ()),
        events=tuple(sorted(set(wishes.get("events", Change)), key=list(Change).index)),
        min_upvotes=least,
        min_multiplier=wishes.get("min_multiplier", growth.RISING_MULTIPLIER),
        new_upvotes=least,
        ripen_s=wishes.get("ripen_s", 0.0),
        budget=wishes.get("budget"),
        tell_known=wishes.get("tell_known", False),
        only_follows=only_follows,
        fingerprint=_fingerprint(wishes),
    )


def _compile(rule: str, key: str, texts: Iterable[str]) -> Query | None:
    try:
        queries = [compile_query(text) for text in texts if text.strip()]
    except QueryError as exc:
        raise QueryError(f"rule {rule}: {key}: {exc}") from exc
    if len(queries) < 2:
        return queries[0] if queries else None
    return _either(*queries)


def _compile_follows(rule: str, wishes: Wishes) -> Query | None:
    try:
        authors = any_of("author", wishes.get("authors", ()))
        organizations = any_of("organization", wishes.get("organizations", ()))
    except QueryError as exc:
        raise QueryError(f"rule {rule}: authors or organizations: {exc}") from exc
    named = [query for query in (authors, organizations) if query.text]
    return _either(*named) if named else None


def _either(*queries: Query) -> Query:
    roots = tuple(query.root for query in queries)
    return Query(", ".join(query.text for query in queries), Several(parts=roots, decisive=True))


def _gate(query: Query | None, follows: Query | None, exclude: Query | None) -> Query:
    wanted = [found for found in (query, follows) if found is not None]
    parts: list[Node] = [_either(*wanted).root] if wanted else []
    if exclude is not None:
        parts.append(Not(part=exclude.root))
    return Query("", Several(parts=tuple(parts), decisive=False))


def _fingerprint(wishes: Wishes) -> str:
    """A hash of what the rule asks for; absent keys and their defaults are the same."""
    absent = {"events": sorted(Change), "min_multiplier": growth.RISING_MULTIPLIER}
    asked = {key: _tidy(value) for key, value in wishes.items() if key != "tell_known"}
    said = {key: v for key, v in asked.items() if v and v != absent.get(key)}
    return digest_of(msgspec.json.encode(said, order="sorted").decode())


def _tidy(value: object) -> object:
    """Lists in one order, numbers of one type, so that equal wishes look alike."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return sorted(map(str, value))
    return value


def with_thresholds(rule: Rule, thresholds: Thresholds) -> Rule:
    """The rule as its budget has it today: never asking less than the rule itself."""
    return msgspec.structs.replace(
        rule,
        min_multiplier=max(rule.min_multiplier, thresholds.multiplier),
        new_upvotes=max(rule.min_upvotes, thresholds.upvotes),
    )


# --- budgets ----------------------------------------------------------------------------


class Peak(Value, frozen=True, kw_only=True):
    """The most that one paper wanted by a rule reached while it was followed."""

    upvotes: int = 0
    lower_bound: float = 0.0
    """Of its multiplier, at looks with at least 20 votes; 0 when never known."""


def budget_thresholds(rule: Rule, peaks: Sequence[Peak], *, days: float) -> Thresholds:
    """The least thresholds at which a rule with a budget had told about N papers a day.

    ``peaks`` are the papers of the last ``days`` days that pass the rule's query and sources
    and reached its own thresholds. The k best by multiplier would have been told as rising
    and the k best by votes as new; k is the largest with which both together are no more than
    budget × days papers. Never less than the rule asks itself; the rule's own thresholds when
    it has no budget or there is nothing to learn from. The multiplier is a multiple of 0.1.
    """
    own = Thresholds(multiplier=rule.min_multiplier, upvotes=rule.min_upvotes)
    quota = math.inf if rule.budget is None else rule.budget * days
    if _told(rule, peaks, own) <= quota:
        return own
    low, high = 1, len(peaks)
    while high - low > 1:
        middle = (low + high) // 2
        if _told(rule, peaks, _best(rule, peaks, middle)) <= quota:
            low = middle
        else:
            high = middle
    return _best(rule, peaks, low)


def _told(rule: Rule, peaks: Iterable[Peak], needed: Thresholds) -> int:
    rising, new = Change.RISING in rule.events, Change.NEW in rule.events
    return sum(
        (new and peak.upvotes >= needed.upvotes)
        or (rising and peak.lower_bound >= needed.multiplier)
        for peak in peaks
    )


def _best(rule: Rule, peaks: Sequence[Peak], k: int) -> Thresholds:
    """The thresholds that the k best papers by multiplier and the k best by votes reach."""
    bounds = sorted((peak.lower_bound for peak in peaks), reverse=True)
    votes = sorted((peak.upvotes for peak in peaks), reverse=True)
    return Thresholds(
        multiplier=max(rule.min_multiplier, math.floor(bounds[k - 1] * 10) / 10),
        upvotes=max(rule.min_upvotes, votes[k - 1]),
    )
