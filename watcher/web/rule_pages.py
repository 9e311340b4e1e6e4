"""The pages of rules: what they matched, what they cost, and a change tried on history.

Owns which facts stand there. Must not write SQL, judge for itself or change the config.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from aiohttp import web

from watcher.errors import QueryError, WatcherError
from watcher.model import Change, Value
from watcher.query import compile_query
from watcher.rules import Rule
from watcher.store import Records
from watcher.store.pages import Telling
from watcher.web import plots
from watcher.web.common import Problem, context_of, render
from watcher.web.context import Trial, Tried, WebContext
from watcher.web.pages import PER_PAGE, Row, rows_of
from watcher.web.trial import Trials

TRIALS: web.AppKey[Trials] = web.AppKey("trials", Trials)

_DAYS_BACK = 28
_LONGEST = 600
"""Characters that are kept of a query; more than any may have, so that it is named as too long."""


class RuleLine(Value, frozen=True, kw_only=True):
    """A rule with what it told and what it costs."""

    rule: Rule
    today: Rule
    """As its budget has it today."""
    asks: tuple[tuple[str, str], ...]
    channels: tuple[str, ...]
    by_kind: tuple[tuple[str, int], ...]
    total: int
    per_day: float
    days: tuple[tuple[str, int], ...]
    bars: str
    learnt: tuple[str, ...]


async def rules(request: web.Request) -> web.Response:
    """All rules: what they matched, what they cost, what their budgets learnt."""
    context = context_of(request)
    now = context.now
    since = now - timedelta(days=_DAYS_BACK)
    told, current, began = await context.store.read(
        lambda r: (r.pages.tellings(since), context.rules_today(r, now), _began(r, now))
    )
    lines = [
        _rule_line(context, today, rule, told=told, days=_days(now, began))
        for rule, today in current
    ]
    return render(request, "rules.html", lines=lines, days=len(_days(now, began)))


def _began(records: Records, now: datetime) -> datetime:
    first = [s.first_ok_at for s in records.sources.states() if s.first_ok_at]
    return min(first, default=now)


def _days(now: datetime, began: datetime) -> list[str]:
    """The UTC dates of the last weeks, from when the watcher began to see."""
    last = now.date()
    span = min(_DAYS_BACK, max(1, (last - began.date()).days + 1))
    return [(last - timedelta(days=back)).isoformat() for back in reversed(range(span))]


def _rule_line(
    context: WebContext, today: Rule, rule: Rule, *, told: Sequence[Telling], days: Sequence[str]
) -> RuleLine:
    mine = [t for t in told if t.rule == rule.name]
    kinds = dict.fromkeys(Change, 0)
    per_day = dict.fromkeys(days, 0)
    for telling in mine:
        kinds[Change(telling.type.kind)] += telling.count
        if telling.day in per_day:
            per_day[telling.day] += telling.count
    total = sum(kinds.values())
    settings = next((r for r in context.config.rules if r.name == rule.name), None)
    label = f"Papers told a day by {rule.name}: {total} in {len(days)} days"
    return RuleLine(
        rule=rule,
        today=today,
        asks=asks_of(rule),
        channels=settings.channels if settings else (),
        by_kind=tuple((kind.value, count) for kind, count in kinds.items() if count),
        total=total,
        per_day=total / max(len(days), 1),
        days=tuple(per_day.items()),
        bars=plots.bars(tuple(per_day.items()), label=label),
        learnt=_learnt_words(rule, today),
    )


def asks_of(rule: Rule) -> tuple[tuple[str, str], ...]:
    """What a rule asks for, in words: name and need."""
    asked: list[tuple[str, str]] = []
    if rule.query is not None:
        asked.append(("matches", rule.query.text))
    if rule.follows is not None:
        asked.append(("always tells", rule.follows.text))
    if rule.exclude is not None:
        asked.append(("but never", rule.exclude.text))
    if rule.min_upvotes:
        asked.append(("votes", f"at least {rule.min_upvotes}"))
    if Change.RISING in rule.events:
        asked.append(("rising", f"surely {rule.min_multiplier:g} × the usual for its age"))
    if rule.ripen_s:
        asked.append(("waits", f"{rule.ripen_s / 3600:g} h before judging new"))
    if rule.budget is not None:
        asked.append(("budget", f"about {rule.budget:g} a day"))
    asked.append(("tells", ", ".join(change.value for change in rule.events)))
    asked.append(("looks at", ", ".join(sorted(rule.sources)) or "all sources"))
    return tuple(asked)


def _learnt_words(rule: Rule, today: Rule) -> tuple[str, ...]:
    if rule.budget is None:
        return ()
    return (
        f"new needs {today.new_upvotes} votes",
        f"rising needs {today.min_multiplier:.1f} × the usual",
    )


async def rule(request: web.Request) -> web.Response:
    """One rule: its latest papers, and a change of it tried on recorded history."""
    context = context_of(request)
    name = request.match_info["name"]
    own = next((r for r in context.rules if r.name == name), None)
    if own is None:
        raise Problem(404, "No such rule", f"The config has no rule called {name[:80]}.")
    now = context.now
    since = now - timedelta(days=_DAYS_BACK)

    def look(records: Records) -> tuple[RuleLine, tuple[Row, ...]]:
        current = context.rules_today(records, now)
        today = next((today for rule, today in current if rule.name == name), own)
        days = _days(now, _began(records, now))
        line = _rule_line(context, today, own, told=records.pages.tellings(since), days=days)
        latest = records.pages.latest_of(name, limit=PER_PAGE)
        return line, tuple(sorted(rows_of(records, latest, now), key=lambda r: r.at, reverse=True))

    line, rows = await context.store.read(look)
    asked = _asked(own, request)
    tried, wrong = await _try(context, own, asked, request) if asked.sent else (None, None)
    return render(
        request,
        "rule.html",
        status=400 if wrong else 200,
        line=line,
        latest=rows,
        asked=asked,
        tried=tried,
        wrong=wrong,
    )


class Asked(Value, frozen=True, kw_only=True):
    """The form of a change as it was written, or as the rule is."""

    sent: bool
    query: str
    min_upvotes: str
    min_multiplier: str
    days: str


class Wrong(Value, frozen=True, kw_only=True):
    """Why a change cannot be tried, and the field it is about; ``""`` for none of them."""

    field: str
    text: str


def _asked(rule: Rule, request: web.Request) -> Asked:
    given = request.query
    return Asked(
        sent="try" in given,
        query=given.get("query", rule.query.text if rule.query else "")[:_LONGEST].strip(),
        min_upvotes=given.get("min_upvotes", str(rule.min_upvotes))[:20].strip(),
        min_multiplier=given.get("min_multiplier", f"{rule.min_multiplier:g}")[:20].strip(),
        days=given.get("days", "28")[:20].strip(),
    )


async def _try(
    context: WebContext, rule: Rule, asked: Asked, request: web.Request
) -> tuple[Tried | None, Wrong | None]:
    """What the change asked for by the form would have told, or why that cannot be said."""
    field = "query"
    try:
        if asked.query:
            compile_query(asked.query)
        field = "min_upvotes"
        votes = _whole(asked.min_upvotes, 0, 1_000_000)
        field = "min_multiplier"
        multiplier = _number(asked.min_multiplier)
        field = "days"
        days = _whole(asked.days, 1, 60)
    except (QueryError, ValueError) as exc:
        return None, Wrong(field=field, text=str(exc))
    trial = Trial(
        rule=rule.name,
        query=asked.query or None,
        min_upvotes=votes,
        min_multiplier=multiplier,
        days=days,
    )
    try:
        return await (context.try_rule or request.app[TRIALS].try_rule)(trial), None
    except WatcherError as exc:
        return None, Wrong(field="", text=str(exc))


def _whole(text: str, least: int, most: int) -> int:
    text = text or str(least)
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and least <= int(text) <= most):
        raise ValueError(f"{text!r} is no whole number from {least} to {most:,}")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = -1.0
    if not 0 < value <= 10_000:
        raise ValueError(f"{text!r} is no multiplier: write a number such as 2.5")
    return value
