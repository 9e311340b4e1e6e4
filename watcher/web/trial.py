"""A changed rule tried on recorded history, while a page waits.

Owns the limits of that: its own connection on a thread, one trial at a time, and an end after
some seconds. What a trial finds is ``watcher.hindsight``'s. Must not write or tell anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import msgspec

from watcher.config import Config
from watcher.errors import WatcherError
from watcher.hindsight import Finding, Span, look_back
from watcher.rulebook import compile_rules
from watcher.rules import Rule
from watcher.store import open_records
from watcher.web.context import Trial, TrialPaper, Tried, WebContext

PATIENCE = 20.0
"""Seconds that a page waits for a trial."""
_HINT = "`watcher backtest` on the command line takes its time"


class Trials:
    """Tries changed rules, one after the other."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._lock = asyncio.Lock()

    async def try_rule(self, trial: Trial) -> Tried:
        """What a changed rule would have told. Raises WatcherError when that cannot be said."""
        if self._lock.locked():
            raise WatcherError(f"another change is being tried; wait some seconds, or {_HINT}")
        async with self._lock:
            return await asyncio.to_thread(self._try, trial, time.monotonic() + PATIENCE)

    def _try(self, trial: Trial, until: float) -> Tried:
        context = self._context
        rule = changed_rule(context.config, trial)
        with open_records(context.store.path) as records:
            since = context.now - timedelta(days=trial.days)
            span, (finding,) = look_back(
                records, (rule,), zone=context.zone, since=since, advance=_until(until)
            )
            return _tried(finding, span)


def _until(moment: float) -> Callable[[int, int], None]:
    def look_at_clock(done: int, of: int) -> None:
        if time.monotonic() > moment:
            raise WatcherError(
                f"only {done:,} of {of:,} visits were judged within {PATIENCE:.0f} s; {_HINT}"
            )

    return look_at_clock


def changed_rule(config: Config, trial: Trial) -> Rule:
    """The rule of the config with what a trial changes. Raises ConfigError, UnknownName."""
    changed = msgspec.structs.replace(
        config.rule(trial.rule),
        query=trial.query,
        min_upvotes=trial.min_upvotes,
        min_multiplier=trial.min_multiplier,
    )
    return compile_rules(msgspec.structs.replace(config, rules=(changed,)))[0]


def _tried(finding: Finding, span: Span) -> Tried:
    best = {caught.winner.paper.row for caught in finding.caught}
    only_now = [
        TrialPaper(
            row=told.paper.row,
            title=told.paper.title,
            name=told.paper.name,
            at=told.at,
            kind=told.decision.kind.value,
            reason=told.decision.reason,
            top=told.paper.row in best,
        )
        for told in sorted(finding.only_here, key=lambda told: -told.decision.strength)
    ]
    no_more = [
        TrialPaper(
            row=event.paper.row,
            title=event.paper.title,
            name=event.paper.name,
            at=event.at,
            kind=event.type.kind,
            reason=event.reason,
        )
        for event in sorted(finding.only_sent, key=lambda event: -event.strength)
        if event.paper is not None
    ]
    return Tried(
        days=span.days,
        told=len(finding.told),
        before=len(finding.sent or ()),
        only_now=tuple(only_now),
        no_more=tuple(no_more),
        caught_top=len(finding.caught),
        missed_top=len(finding.missed),
        lead_h=finding.lead_h,
    )
