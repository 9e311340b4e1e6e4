"""What the web part is given: everything it reads, calls or shows, injectable one by one.

Owns the context and the values its callables give. Must not know HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol, TypedDict, Unpack
from zoneinfo import ZoneInfo

from watcher import growth, learning
from watcher.config import Config, patience
from watcher.health import Report, State
from watcher.model import Letter, Value
from watcher.politeness import HostLedger
from watcher.rules import Rule
from watcher.store import Records, Store
from watcher.telemetry import Metrics


class Clock(Protocol):
    """The one injected clock, as far as pages need it."""

    def now(self) -> datetime:
        """The time of day, aware UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""


class Trial(Value, frozen=True, kw_only=True):
    """A changed rule, to be tried on recorded history."""

    rule: str
    query: str | None
    min_upvotes: int
    min_multiplier: float
    days: int = 28


class TrialPaper(Value, frozen=True, kw_only=True):
    """A paper that a trial told, or that was told and would not be."""

    row: int
    title: str
    name: str
    at: datetime
    kind: str
    reason: str = ""
    top: bool = False
    """It reached its week's top tenth later."""


class Tried(Value, frozen=True, kw_only=True):
    """What a changed rule would have told, beside what the rule as it is told."""

    days: float
    told: int
    """By the changed rule."""
    before: int
    """By the rule as it is."""
    only_now: tuple[TrialPaper, ...] = ()
    """Told by the change alone, the strongest first."""
    no_more: tuple[TrialPaper, ...] = ()
    """Told by the rule as it is, and not by the change."""
    caught_top: int = 0
    """Papers of their week's top tenth that the changed rule told."""
    missed_top: int = 0
    """Papers of their week's top tenth that it is about and did not tell."""
    lead_h: float | None = None
    """The median of the hours from the first word to the votes of the top tenth."""


Ledger = Callable[[], Sequence[HostLedger]]
GetHealth = Callable[[], Report]
EnqueueLetter = Callable[[Records, str, Letter, str, datetime], object]
"""Records, address, letter, name of the letter among those to the address, due time. Runs inside
the transaction that records what the letter is about."""
Try = Callable[[Trial], Awaitable[Tried]]


class Hooks(TypedDict, total=False):
    """What the owner of the web part may lend it; each may be absent."""

    metrics: Metrics | None
    ledger: Ledger | None
    health: GetHealth | None
    enqueue_letter: EnqueueLetter | None
    try_rule: Try | None
    mail_ready: Callable[[], None] | None
    """Called after something was put into the outbox, so that it leaves at once."""


class WebContext:
    """All that pages, feeds, API and subscriptions need; no daemon is necessary.

    ``config`` and ``rules`` may be replaced while it runs (``use``): every request reads them
    anew.
    """

    def __init__(
        self,
        *,
        config: Config,
        store: Store,
        rules: Sequence[Rule],
        clock: Clock,
        **hooks: Unpack[Hooks],
    ) -> None:
        self.config = config
        self.store = store
        self.rules = tuple(rules)
        self.clock = clock
        self.metrics = hooks.get("metrics") or Metrics()
        self.ledger: Ledger = hooks.get("ledger") or (lambda: ())
        self.enqueue_letter = hooks.get("enqueue_letter")
        self.try_rule = hooks.get("try_rule")
        self.mail_ready = hooks.get("mail_ready") or (lambda: None)
        self._health = hooks.get("health")
        self.searching = asyncio.Semaphore(1)
        """Searches wait for each other here, not in the store's queue before what the daemon
        writes: a broad one takes seconds."""
        self._learnt = learning.Learnt(keep=False)

    def use(self, config: Config, rules: Sequence[Rule]) -> None:
        """Put another config in force; where it listens stays as it is."""
        self.config = config
        self.rules = tuple(rules)

    @property
    def zone(self) -> ZoneInfo:
        """The watcher's zone: days of pages, and times where the browser runs no script."""
        return self.config.watcher.timezone

    @property
    def now(self) -> datetime:
        """The time of day."""
        return self.clock.now()

    async def health(self) -> Report:
        """How the watcher is, as its owner tells; without one, by its sources."""
        if self._health is not None:
            return self._health()
        return await self.store.read(lambda r: health_of(r, self.config, self.now))

    def is_blind(self, report: Report) -> bool:
        """Whether no source at all was read well for longer than ``[alert] hours``, though one
        should have been visited."""
        age = report.last_good_check_age
        hours = self.config.alert.hours
        if age is None or age <= hours * 3600:
            return False
        return age > patience(self.config).total_seconds()

    def learnt(self, records: Records, now: datetime) -> tuple[growth.Baseline, tuple[Rule, ...]]:
        """The baseline in force and the rules as their budgets have them today.

        Only reads: what the checks have learnt is found in the records; else it is worked out
        here and remembered until the next Monday or midnight.
        """
        return self._learnt.of(records, self.rules, now=now, zone=self.zone)

    def rules_today(self, records: Records, now: datetime) -> tuple[tuple[Rule, Rule], ...]:
        """Each rule as the config has it, and as its budget has it today."""
        rules = self.rules  # others may be put in force while budgets are worked out
        today = {rule.name: rule for rule in self.learnt(records, now)[1]}
        return tuple((rule, today.get(rule.name, rule)) for rule in rules)


def health_of(records: Records, config: Config, now: datetime) -> Report:
    """The state as the records have it, for whoever runs the pages without a daemon."""
    names = {source.name for source in config.sources}
    states = [state for state in records.sources.states() if state.name in names]
    newest = max((s.last_ok_at for s in states if s.last_ok_at), default=None)
    problems = tuple(
        f"source {state.name}: failed {state.failures} times in a row"
        for state in states
        if state.failing_since
    )
    return Report(
        status=State.DEGRADED if problems else State.OK,
        ready=True,
        problems=problems,
        last_good_check=newest,
        last_good_check_age=(now - newest).total_seconds() if newest else None,
    )
