"""The pages of the watcher's own state: sources with their gaps, deliveries with what is stuck.

Owns which facts stand there, and the resending of a message. Must not write SQL or send.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from watcher.accounting import find_own_gaps
from watcher.config import Source, effective_intervals
from watcher.model import MessageState, Value
from watcher.store import Records, SourceState
from watcher.store.pages import Visit
from watcher.text import count_of
from watcher.web import plots
from watcher.web.common import Problem, context_of, render, see_other
from watcher.web.context import WebContext
from watcher.web.pages import PER_PAGE

_CELLS = 96
"""At most so many cells in a strip of visits: quarters of an hour of the last day."""


# --- sources ----------------------------------------------------------------------------


class SourceLine(Value, frozen=True, kw_only=True):
    """A source with its last day."""

    name: str
    url: str
    state: SourceState | None
    every: timedelta | None
    visits: tuple[Visit, ...]
    strip: str
    good: int
    failed: int
    gaps: tuple[tuple[datetime, datetime], ...]
    unseen: bool
    """The last of the gaps is not over."""

    @property
    def health(self) -> str:
        """``ok``, ``failing``, ``late`` (unseen, no failure) or ``waiting`` (never visited)."""
        if self.state is None or self.state.last_check_at is None:
            return "waiting"
        if self.state.failing_since:
            return "failing"
        return "late" if self.unseen else "ok"


async def sources(request: web.Request) -> web.Response:
    """Every source: is it seen, since when, what was missed, and how polite we are."""
    context = context_of(request)
    now = context.now
    start = _whole_or(request.query.get("start"), 0)
    config = context.config  # another may be put in force before the store gets to it
    configured = config.sources

    def look(records: Records) -> tuple[list[SourceLine], int, dict[str, int]]:
        states = {state.name: state for state in records.sources.states()}
        ordered = sorted(configured, key=lambda s: not _is_failing(states.get(s.name)))
        intervals = {visit.source: visit.really for visit in effective_intervals(config)}
        lines = [
            _source_line(
                records,
                source,
                states.get(source.name),
                now,
                every=intervals[source.name],
                zone=config.watcher.timezone,
            )
            for source in ordered[start : start + PER_PAGE]
        ]
        days = sum(state.family != state.name for state in states.values())
        return lines, days, records.pages.count_visits(now - timedelta(days=1))

    lines, days, visits = await context.store.read(look)
    following = start + PER_PAGE
    return render(
        request,
        "sources.html",
        lines=lines,
        days=days,
        visits=visits,
        start=start,
        next=following if following < len(configured) else None,
        total=len(configured),
        failing=sum(line.health == "failing" for line in lines),
        ledger=tuple(context.ledger()),
    )


def _whole_or(text: str | None, default: int) -> int:
    if text and text.isascii() and text.isdecimal() and len(text) < 7:
        return int(text)
    return default


def _is_failing(state: SourceState | None) -> bool:
    return state is not None and state.failing_since is not None


def _source_line(
    records: Records,
    source: Source,
    state: SourceState | None,
    now: datetime,
    *,
    every: timedelta,
    zone: ZoneInfo,
) -> SourceLine:
    since = now - timedelta(days=1)
    visits = records.pages.visits(state.id, since) if state else ()
    failed = sum(v.outcome not in ("ok", "unchanged") for v in visits)
    gaps = find_own_gaps(records, source, since, now, every=every, zone=zone)
    return SourceLine(
        name=source.name,
        url=source.url,
        state=state,
        every=source.every,
        visits=visits,
        strip=_strip(source, visits, since, now),
        good=len(visits) - failed,
        failed=failed,
        gaps=tuple((gap.since, gap.until or now) for gap in gaps),
        unseen=bool(gaps) and gaps[-1].until is None,
    )


def _strip(source: Source, visits: Sequence[Visit], since: datetime, now: datetime) -> str:
    """One cell per visit that is due, or per quarter of an hour where they are more.

    Visits come up to a tenth later than asked for (``agenda``): no cell is shorter than that, so
    that an empty one is a time without a visit.
    """
    worst = {"none": 0, "unchanged": 1, "ok": 1, "quarantined": 2, "failed": 3}
    due = int((now - since) / (source.every * 1.1))
    cells: list[tuple[str, int]] = [("none", 0)] * min(max(due, 6), _CELLS)
    width = (now - since) / len(cells)
    for visit in visits:
        i = min(max(int((visit.at - since) / width), 0), len(cells) - 1)
        outcome, count = cells[i]
        worse = visit.outcome if worst.get(visit.outcome, 3) >= worst[outcome] else outcome
        cells[i] = (worse if worse in worst else "failed", count + 1)
    failed = sum(v.outcome not in ("ok", "unchanged") for v in visits)
    label = f"Visits of {source.name} in the last 24 hours: {len(visits)}, of which {failed} failed"
    words = [
        (outcome, f"{count_of(count, 'visit')}, {outcome}" if count else "no visit")
        for outcome, count in cells
    ]
    return plots.strip(words, label=label)


# --- deliveries -------------------------------------------------------------------------


_HOLDING = frozenset(("disabled", "off", "orphaned"))
"""States in which a channel sends nothing: what it owes waits until a person changes that."""


class ChannelLine(Value, frozen=True, kw_only=True):
    """A channel as the page of deliveries shows it."""

    name: str
    type: str
    state: str
    """``works``, ``failing``, ``muted``, or one of ``_HOLDING``."""
    note: str
    waiting: int
    last_sent_at: datetime | None


async def deliveries(request: web.Request) -> web.Response:
    """Messages that wait or died, the latest that went, and how the channels stand."""
    context = context_of(request)
    now = context.now

    def look(records: Records) -> dict[str, Any]:
        outbox = records.outbox
        return {
            "waiting": outbox.lines(state=MessageState.WAITING, limit=50),
            "dead": outbox.lines(state=MessageState.DEAD, limit=50),
            "sent": outbox.lines(state=MessageState.SENT, limit=25),
            "counts": outbox.counts(),
            "channels": _channel_lines(records, context, now),
            "suppressed": records.standing.suppressed(),
        }

    found = await context.store.read(look)
    resent = request.query.get("resent")
    held = {line.name for line in found["channels"] if line.state in _HOLDING}
    return render(request, "deliveries.html", **found, held=held, resent=resent)


def _channel_lines(records: Records, context: WebContext, now: datetime) -> list[ChannelLine]:
    waiting = {w.channel: w.messages for w in records.outbox.waiting()}
    states = {state.name: state for state in records.standing.all()}
    configured = {channel.name: channel for channel in context.config.channels}
    lines = []
    for name in [*configured, *(n for n in states if n not in configured)]:
        state, channel = states.get(name), configured.get(name)
        how, note = "works", ""
        if channel is None:
            how, note = "orphaned", "left the config; its messages are kept"
            if not waiting.get(name):
                continue
        elif not channel.enabled:
            how, note = "off", "enabled = false in the config"
        elif state is not None and state.disabled:
            how, note = "disabled", state.disabled_why or ""
        elif state is not None and state.muted(now):
            how, note = "muted", f"until {state.muted_until:%d %b %H:%M} UTC"
        elif state is not None and state.failing_since is not None:
            how, note = "failing", state.last_error or ""
        lines.append(
            ChannelLine(
                name=name,
                type=channel.type if channel else "",
                state=how,
                note=note,
                waiting=waiting.get(name, 0),
                last_sent_at=state.last_sent_at if state else None,
            )
        )
    return lines


async def resend(request: web.Request) -> web.Response:
    """Send a message once more: the same key, the same words."""
    context = context_of(request)
    key = request.match_info["key"]
    done = await context.store.write(lambda r: r.outbox.resend(key, context.now))
    if not done:
        raise Problem(404, "No such message", "It may have been pruned since the page was loaded.")
    context.mail_ready()
    return see_other("/deliveries?resent=1")
