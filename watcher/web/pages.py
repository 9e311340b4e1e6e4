"""The pages people look at: today, a paper, search, rules, sources, deliveries, feeds, sign in.

Owns which facts stand on which page. Each reads the records once, on the store's thread, and
renders a template. Must not write SQL, judge for itself, or change anything but by POST.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from aiohttp import web

from watcher import growth, why
from watcher.clock import from_unix, to_unix
from watcher.digest import Frame, compose
from watcher.errors import QueryError
from watcher.model import (
    Entry,
    Event,
    Paper,
    Value,
    Verdict,
)
from watcher.query import compile_query
from watcher.schedule import instant_of
from watcher.store import Records, SourceState
from watcher.store.finding import SORTS, Found
from watcher.store.pages import SeenBy
from watcher.view import EntryView, entry_view
from watcher.web import plots
from watcher.web.bands import bands
from watcher.web.common import Problem, context_of, paper_path, render
from watcher.web.context import WebContext

PER_PAGE = 40
MOST_TOLD = 150
"""Changes on the page of a day; the rest is counted."""
_KINDS = ("rising", "resurging", "new")


# --- today ------------------------------------------------------------------------------


class Row(Value, frozen=True, kw_only=True):
    """A paper in a list of what was told."""

    entry: EntryView
    path: str
    at: datetime
    rules: tuple[str, ...]
    votes: int | None
    spark: str


class Today(Value, frozen=True, kw_only=True):
    """What the page of a day shows."""

    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    total: int
    shown: int
    visits: dict[str, int]
    failing: tuple[SourceState, ...]
    papers: int


async def today(request: web.Request) -> web.Response:
    """The last 24 hours, or one day of the watcher's zone (``?day=2026-11-20``)."""
    context = context_of(request)
    now = context.now
    day = _day(request.query.get("day"))
    since, until = _span(context, day, now)
    rule = request.query.get("rule") or None
    if rule is not None and rule not in {known.name for known in context.rules}:
        raise Problem(404, "No such rule", f"The config has no rule called {rule[:80]}.")
    found = await context.store.read(
        lambda r: _today(r, context, span=(since, until), rule=rule, now=now)
    )
    here = now.astimezone(context.zone).date()
    return render(
        request,
        "today.html",
        page=found,
        day=day,
        rule=rule,
        rules=[r.name for r in context.rules],
        earlier=(day or here) - timedelta(days=1),
        later=day + timedelta(days=1) if day and day < here else None,
        is_today=day is None,
        has_sources=bool(context.config.sources),
    )


def _day(text: str | None) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or not 2000 <= day.year <= 2100:
        raise Problem(400, "Not a day", "A day is written like 2026-11-21.")
    return day


def _span(context: WebContext, day: date | None, now: datetime) -> tuple[datetime, datetime]:
    if day is None:
        return now - timedelta(days=1), now + timedelta(minutes=5)
    zone = context.zone
    return instant_of(day, time.min, zone), instant_of(day + timedelta(days=1), time.min, zone)


def _today(
    records: Records,
    context: WebContext,
    *,
    span: tuple[datetime, datetime],
    rule: str | None,
    now: datetime,
) -> Today:
    events = records.pages.told(*span, rule=rule, limit=MOST_TOLD)
    counts = records.pages.told_by_type(*span)
    rows = rows_of(records, events, now)
    groups = {kind: tuple(row for row in rows if _kind_of(row) == kind) for kind in _KINDS}
    names = {source.name for source in context.config.sources}
    failing = tuple(
        state
        for state in records.sources.states()
        if state.failing_since and state.name in names and state.told_failing
    )
    return Today(
        groups=tuple(groups.items()),
        total=len(events) if rule else sum(counts.values()),
        shown=len(events),
        visits=records.pages.count_visits(now - timedelta(days=1)),
        failing=failing,
        papers=records.pages.count_papers(),
    )


def rows_of(records: Records, events: Sequence[Event], now: datetime) -> tuple[Row, ...]:
    """Events as rows: each paper once, with the reasons of all its rules and its curve."""
    votes = records.pages.votes([e.paper.row for e in events if e.paper])
    told = compose(events, Frame(max_papers=10_000, votes=votes), now)
    entries = sorted(told.entries, key=lambda entry: -entry.event.strength)
    return tuple(_row(entry) for entry in entries)


def _row(entry: Entry) -> Row:
    paper = entry.event.paper
    assert paper is not None  # noqa: S101 - a change has one
    return Row(
        entry=entry_view(entry),
        path=paper_path(paper.name),
        at=entry.event.at,
        rules=entry.rules,
        votes=paper.upvotes if paper.upvotes is not None else entry.event.counts.upvotes,
        spark=plots.sparkline(entry.votes),
    )


def _kind_of(row: Row) -> str:
    kind = row.entry.kind.lower()
    return kind if kind in _KINDS else "new"


# --- a paper ----------------------------------------------------------------------------


class RuleVerdict(Value, frozen=True, kw_only=True):
    """What one rule makes of a paper now, and what it has said of it."""

    rule: str
    verdicts: tuple[Verdict, ...]
    said: tuple[Event, ...]

    @property
    def state(self) -> str:
        """``told``, ``known``, ``fires`` or ``silent``."""
        if any(not event.known for event in self.said):
            return "told"
        if self.said:
            return "known"
        return "fires" if any(verdict.fires for verdict in self.verdicts) else "silent"


class PaperPage(Value, frozen=True, kw_only=True):
    """What the page of a paper shows."""

    paper: Paper
    seen: tuple[SeenBy, ...]
    events: tuple[Event, ...]
    verdicts: tuple[RuleVerdict, ...]
    signals: growth.Signals
    curves: tuple[str, ...]
    points: tuple[tuple[int, int], ...]
    """``(at, upvotes)`` for the table beside the plot."""
    usual: float | None
    inexact: bool


async def paper(request: web.Request) -> web.Response:
    """One paper: its words, how its votes grew, what every rule says."""
    context = context_of(request)
    name = request.match_info["name"]
    found = await context.store.read(lambda r: _paper(r, context, name, context.now))
    if found is None:
        raise Problem(404, "Never seen", f"No paper called {name[:80]} was seen. Search finds one.")
    return render(request, "paper.html", page=found, paper=found.paper, from_unix=from_unix)


def _paper(records: Records, context: WebContext, name: str, now: datetime) -> PaperPage | None:
    row = records.papers.find(name)
    if row is None:
        return None
    found = records.papers.get(row)
    history = records.papers.history(row)
    events = records.events.of_paper(row)
    baseline, rules = context.learnt(records, now)
    signals = growth.signals(history, to_unix(now), baseline=baseline, trending=_trending(records))
    verdicts = why.verdicts(records, rules, row, now=now, baseline=baseline)
    points = plots.merged(history.looks)
    return PaperPage(
        paper=found,
        seen=records.pages.seen_by(row),
        events=events,
        verdicts=tuple(
            RuleVerdict(
                rule=rule.name,
                verdicts=fresh,
                said=tuple(event for event in events if event.rule == rule.name),
            )
            for rule, fresh in zip(rules, verdicts, strict=True)
        ),
        signals=signals,
        curves=_curves(found, points, events, baseline),
        points=_few(points),
        usual=None if signals.age_h is None else baseline.expected(signals.age_h),
        inexact=found.listed_at is not None and not found.listed_exact,
    )


def _trending(records: Records) -> frozenset[int]:
    return frozenset(s.id for s in records.sources.states() if s.kind == "trending")


def _curves(
    found: Paper,
    points: Sequence[tuple[int, int]],
    events: Sequence[Event],
    baseline: growth.Baseline,
) -> tuple[str, ...]:
    """The vote curve for wide and for narrow screens; none without a count."""
    if not points:
        return ()
    begin = to_unix(found.listed_at or found.first_seen_at)
    by_age = [((at - begin) / growth.HOUR, votes) for at, votes in points]
    by_age = [(age, votes) for age, votes in by_age if age >= 0] or [(0.0, points[-1][1])]
    marks = [
        plots.Mark(
            age_h=(to_unix(event.at) - begin) / growth.HOUR,
            votes=event.counts.upvotes or 0,
            kind=event.type.kind,
            label=f"{event.type.kind} by {event.rule}: {event.reason}",
        )
        for event in events
        if not event.known and event.type.is_change and event.counts.upvotes is not None
    ]
    band = bands(baseline) if found.listed_at else ()
    since = "listing" if found.listed_at else "first sight"
    first_of_kind = {mark.kind: mark for mark in reversed(marks)}
    return tuple(
        plots.vote_curve(
            by_age, band, frame=frame, marks=tuple(first_of_kind.values()), since=since
        )
        for frame in (plots.WIDE, plots.NARROW)
    )


def _few(points: Sequence[tuple[int, int]], most: int = 40) -> tuple[tuple[int, int], ...]:
    if len(points) <= most:
        return tuple(points)
    last = len(points) - 1
    return tuple(points[round(i * last / (most - 1))] for i in range(most))


# --- search -----------------------------------------------------------------------------


async def search(request: web.Request) -> web.Response:
    """Everything seen, by the language of the rules."""
    context = context_of(request)
    text = request.query.get("q", "").strip()
    sort = request.query.get("sort", "best" if text else "new")
    sort = sort if sort in SORTS else "best"
    start = request.query.get("start", "")
    error, query = None, None
    if text:
        try:
            query = compile_query(text)
        except QueryError as exc:
            error = str(exc)
    found, total = Found(), 0
    votes: dict[int, tuple[int, ...]] = {}
    if error is None:
        async with context.searching:
            found, votes, total = await context.store.read(
                lambda r: _search(r, query, now=context.now, sort=sort, start=start)
            )
    return render(
        request,
        "search.html",
        status=400 if error else 200,
        q=text,
        sort=sort,
        error=error,
        notes=query.notes if query else (),
        found=found,
        sparks={row: plots.sparkline(curve) for row, curve in votes.items()},
        total=total,
        start=start,
    )


def _search(
    records: Records, query: Any, *, now: datetime, sort: str, start: str
) -> tuple[Found, dict[int, tuple[int, ...]], int]:
    found = records.pages.search(query, now=now, sort=sort, limit=PER_PAGE, start=start)
    votes = records.pages.votes([paper.row for paper in found.papers])
    return found, votes, records.pages.count_papers()
