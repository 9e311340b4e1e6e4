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
        lambda r: (r.pages.tellings(since), context.learnt(r, now)[1], _began(r, now))
    )
    lines = [
        _rule_line(context, rule, context.rules[i], told=told, days=_days(now, began))
        for i, rule in enumerate(current)
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
        today = next(r for r in context.learnt(records, now)[1] if r.name == name)
        days = _days(now, _began(records, now))
        line = _rule_line(context, today, own, told=records.pages.tellings(since), days=days)
        latest = records.pages.latest_of(name, limit=PER_PAGE)
        return line, tuple(sorted(rows_of(records, latest, now), key=lambda r: r.at, reverse=True))

    line, rows = await context.store.read(look)
    trial, tried, error = await _try(context, own, request)
    return render(
        request,
        "rule.html",
        status=400 if error else 200,
        line=line,
        latest=rows,
        trial=trial,
        tried=tried,
        error=error,
    )


async def _try(
    context: WebContext, rule: Rule, request: web.Request
) -> tuple[Trial, Tried | None, str | None]:
    """The change asked for by the form, and what it would have told."""
    own = Trial(
        rule=rule.name,
        query=rule.query.text if rule.query else None,
        min_upvotes=rule.min_upvotes,
        min_multiplier=rule.min_multiplier,
    )
    if "try" not in request.query:
        return own, None, None
    asked = request.query
    try:
        trial = Trial(
            rule=rule.name,
            query=asked.get("query", "").strip() or None,
            min_upvotes=_whole(asked.get("min_upvotes", "0"), 0, 1_000_000),
            min_multiplier=_number(asked.get("min_multiplier", "2")),
            days=_whole(asked.get("days", "28"), 1, 60),
        )
        if trial.query:
            compile_query(trial.query)
    except (QueryError, ValueError) as exc:
        return own, None, str(exc)
    try:
        return trial, await (context.try_rule or request.app[TRIALS].try_rule)(trial), None
    except WatcherError as exc:
        return trial, None, str(exc)


def _whole(text: str, least: int, most: int) -> int:
    text = text.strip() or str(least)
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and least <= int(text) <= most):
        raise ValueError(f"{text[:20]!r} is no whole number from {least} to {most:,}")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        value = -1.0
    if not 0 < value <= 10_000:
        raise ValueError(f"{text[:20]!r} is no multiplier: write a number such as 2.5")
    return value
