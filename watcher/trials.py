"""A changed rule tried on recorded history, for the page of the rule.

Owns the translation between the form's trial and the back-test. Reads over a connection and
thread of its own, so that checks and alerts do not wait. Must not replay or judge itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from watcher.backtest import Told
from watcher.hindsight import Finding, look_back
from watcher.model import Event, Paper
from watcher.rules import Rule
from watcher.store import open_records
from watcher.web import Trial, TrialPaper, Tried

_SHOWN = 20


class Trials:
    """Tries changed rules, one at a time: each replays all history."""

    def __init__(
        self, database: Path, *, zone: Callable[[], ZoneInfo], change: Callable[[Trial], Rule]
    ) -> None:
        """``change`` gives the compiled rule as the trial has it."""
        self._database = database
        self._zone = zone
        self._change = change
        self._turn = asyncio.Lock()

    async def run(self, trial: Trial, now: datetime) -> Tried:
        """What the changed rule would have told in the last days, beside what was told."""
        rule, zone = self._change(trial), self._zone()
        since = now - timedelta(days=trial.days)
        async with self._turn:
            return await asyncio.to_thread(self._replay, rule, zone, since)

    def _replay(self, rule: Rule, zone: ZoneInfo, since: datetime) -> Tried:
        with open_records(self._database) as records:
            span, findings = look_back(records, [rule], zone=zone, since=since)
        return _tried(findings[0], span.days)


def _tried(finding: Finding, days: float) -> Tried:
    winners = {caught.winner.paper.row for caught in finding.caught}
    strongest = sorted(finding.only_here, key=lambda told: -told.decision.strength)
    sent = [event for event in finding.sent or () if not event.known]
    gone = [event for event in finding.only_sent if not event.known]
    return Tried(
        days=days,
        told=len(finding.told),
        before=len(sent),
        only_now=tuple(_from_told(told, winners) for told in strongest[:_SHOWN]),
        no_more=tuple(_from_event(event) for event in gone[:_SHOWN]),
        missed_top=len(finding.missed),
    )


def _from_told(told: Told, winners: set[int]) -> TrialPaper:
    decision = told.decision
    return _paper(told.paper, told.at, decision.kind.value, decision.reason, winners)


def _from_event(event: Event) -> TrialPaper:
    assert event.paper is not None  # noqa: S101 - a rule speaks of papers only
    return _paper(event.paper, event.at, event.type.kind, event.reason, set())


def _paper(paper: Paper, at: datetime, kind: str, reason: str, winners: set[int]) -> TrialPaper:
    return TrialPaper(
        row=paper.row,
        title=paper.title,
        name=paper.name,
        at=at,
        kind=kind,
        reason=reason,
        top=paper.row in winners,
    )
