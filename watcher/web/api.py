"""The events API and what else scripts ask: events, papers, history, rules, sources.

Owns paths and shapes under ``/api/v1``; ``openapi.py`` describes them and a test drives one
against the other. An event looks and is called as in webhooks. Must not change anything.
"""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from watcher.clock import from_unix
from watcher.errors import QueryError
from watcher.model import EventType
from watcher.query import compile_query
from watcher.rules import Rule
from watcher.store import Records, SourceState
from watcher.store.finding import SORTS
from watcher.web.common import Problem, conditional, context_of, json_answer, may_see
from watcher.web.context import WebContext
from watcher.web.openapi import START, document
from watcher.wire import event_json, instant, maybe_instant, paper_json

MOST_EVENTS, MOST_PAPERS = 1000, 200
_LARGEST = 2**63 - 1


async def events(request: web.Request) -> web.Response:
    """Events behind a cursor: what the webhooks gave, with the same ids, oldest first."""
    after = _whole(request, "after", 0, least=0, most=_LARGEST)
    limit = _whole(request, "limit", 100, least=1, most=MOST_EVENTS)
    types = request.query.getall("type", [])
    for kind in types:
        if kind not in {known.value for known in EventType}:
            raise _bad("type", f"{kind[:40]!r} is no type of event")
    rule = request.query.get("rule")
    known = _flag(request, "known")
    context = context_of(request)
    found, cursor, more = await context.store.read(
        lambda r: r.pages.after(after, limit=limit, rule=rule, types=types, known=known)
    )
    return json_answer({"events": [*map(event_json, found)], "cursor": cursor, "more": more})


async def papers(request: web.Request) -> web.Response:
    """Papers that match a query in the language of the rules; all of them without one."""
    text = request.query.get("q", "").strip()
    sort = request.query.get("sort", "best" if text else "new")
    if sort not in SORTS:
        raise _bad("sort", f"must be one of {', '.join(SORTS)}")
    limit = _whole(request, "limit", 50, least=1, most=MOST_PAPERS)
    start = request.query.get("start")
    if start is not None and re.fullmatch(START, start) is None:
        raise _bad("start", "must be the `next` of the page before")
    try:
        query = compile_query(text) if text else None
    except QueryError as exc:
        raise _bad("q", str(exc)) from exc
    context = context_of(request)
    async with context.searching:
        found = await context.store.read(
            lambda r: r.pages.search(
                query, now=context.now, sort=sort, limit=limit, start=start or ""
            )
        )
    return json_answer(
        {
            "papers": [paper_json(paper) for paper in found.papers],
            "next": found.next,
            "sort": found.sort,
        }
    )


async def paper(request: web.Request) -> web.Response:
    """One paper: all that is remembered of it, and what was said of it."""
    name = request.match_info["paper_id"]

    def look(records: Records) -> dict[str, Any] | None:
        row = records.papers.find(name)
        if row is None:
            return None
        said = records.events.of_paper(row)
        return paper_json(records.papers.get(row)) | {"events": [event_json(e) for e in said]}

    found = await context_of(request).store.read(look)
    if found is None:
        raise Problem(404, "Never seen", f"no paper {name[:80]!r} was seen")
    return json_answer(found)


async def history(request: web.Request) -> web.Response:
    """How the counts of a paper moved, and where it stood on ranked pages."""
    name = request.match_info["paper_id"]

    def look(records: Records) -> dict[str, Any] | None:
        row = records.papers.find(name)
        if row is None:
            return None
        past = records.papers.history(row)
        names = {state.id: state.name for state in records.sources.states()}
        return {
            "paper_id": records.papers.get(row).name,
            "sightings": [
                {
                    "at": instant(from_unix(look.at)),
                    "source": names.get(look.source),
                    "upvotes": look.upvotes,
                    "comments": look.comments,
                    "stars": look.stars,
                }
                for look in past.looks
            ],
            "places": [
                {
                    "at": instant(from_unix(place.at)),
                    "source": names.get(place.source),
                    "rank": place.rank,
                    "page_size": place.page_size,
                }
                for place in past.places
            ],
        }

    found = await context_of(request).store.read(look)
    if found is None:
        raise Problem(404, "Never seen", f"no paper {name[:80]!r} was seen")
    return json_answer(found)


async def rules(request: web.Request) -> web.Response:
    """The rules in force, with the thresholds that budgets learnt."""
    context = context_of(request)
    now = context.now
    current = await context.store.read(lambda r: context.rules_today(r, now))
    channels = {rule.name: list(rule.channels) for rule in context.config.rules}
    return json_answer(
        {"rules": [rule_json(rule, today, channels.get(rule.name, [])) for rule, today in current]}
    )


async def sources(request: web.Request) -> web.Response:
    """The sources of the config, and how their visits went."""
    context = context_of(request)
    states = await context.store.read(lambda r: {s.name: s for s in r.sources.states()})
    return json_answer({"sources": [*source_lines(context, states)]})


def source_lines(context: WebContext, states: dict[str, SourceState]) -> list[dict[str, Any]]:
    """``name url last_ok failing_since next_due cards error`` of each source."""
    lines = []
    for source in context.config.sources:
        state = states.get(source.name)
        lines.append(
            {
                "name": source.name,
                "url": source.url,
                "last_ok": maybe_instant(state.last_ok_at if state else None),
                "failing_since": maybe_instant(state.failing_since if state else None),
                "next_due": maybe_instant(state.next_due_at if state else None),
                "cards": state.cards if state else None,
                "error": state.last_error if state else None,
            }
        )
    return lines


def rule_json(rule: Rule, today: Rule, channels: list[str]) -> dict[str, Any]:
    """A rule as the config has it; ``today`` is what its budget asks for until midnight."""
    return {
        "name": rule.name,
        "query": rule.query.text if rule.query else None,
        "exclude": rule.exclude.text if rule.exclude else None,
        "follows": rule.follows.text if rule.follows else None,
        "sources": sorted(rule.sources),
        "events": [change.value for change in rule.events],
        "min_upvotes": rule.min_upvotes,
        "min_multiplier": rule.min_multiplier,
        "ripen_s": rule.ripen_s,
        "budget": rule.budget,
        "channels": channels,
        "today": {"new_upvotes": today.new_upvotes, "min_multiplier": today.min_multiplier},
    }


async def openapi(_request: web.Request) -> web.Response:
    """The document that describes all this (OpenAPI 3.1)."""
    return json_answer(document())


async def unknown(_request: web.Request) -> web.Response:
    """Anything else under ``/api``."""
    raise Problem(404, "No such path", "see /api/v1/openapi.json for what there is")


# --- for machines that watch the watcher ------------------------------------------------


async def healthz(request: web.Request) -> web.Response:
    """200 while it is well and sees, 503 when it is blind or its store failed."""
    context = context_of(request)
    report = await context.health()
    blind = context.is_blind(report)
    well = report.well and not blind
    answer: dict[str, Any] = {
        "status": "blind" if blind and report.well else report.status.value,
        "problems": len(report.problems),
        "last_good_check": maybe_instant(report.last_good_check),
        "last_good_check_age": report.last_good_check_age,
    }
    if may_see(request):
        answer["problems"] = list(report.problems)
    return json_answer(answer, status=200 if well else 503)


async def readyz(request: web.Request) -> web.Response:
    """200 while it takes work: config read, store open, not stopping."""
    report = await context_of(request).health()
    await context_of(request).store.read(lambda r: r.pages.last_cursor())
    return json_answer({"ready": report.ready}, status=200 if report.ready else 503)


async def metrics(request: web.Request) -> web.Response:
    """What Prometheus scrapes."""
    body = generate_latest(context_of(request).metrics.registry)
    return conditional(request, body, CONTENT_TYPE_LATEST)


# --- parameters -------------------------------------------------------------------------


def _whole(request: web.Request, name: str, default: int, *, least: int, most: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
        raise _bad(name, f"must be a whole number from {least} to {most}")
    return int(text)


def _flag(request: web.Request, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise _bad(name, "must be true or false")
    return text == "true"


def _bad(name: str, text: str) -> Problem:
    return Problem(400, "Bad request", f"{name}: {text}")
