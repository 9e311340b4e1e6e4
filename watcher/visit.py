"""What a visit shares and carries: the edges, the rules, and its own state on the way.

Owns ``App`` and the values that ``watch`` and ``record`` hand to each other. Must not fetch,
judge or write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec

from watcher import growth, learning, readers
from watcher.agenda import Target
from watcher.archive import Keeper
from watcher.case import Matches
from watcher.clock import to_unix
from watcher.doubt import Reference
from watcher.drift import Finding, Portrait
from watcher.identity import digest_of
from watcher.model import CheckOutcome, PageKind, Snapshot, Value
from watcher.owed import Plan
from watcher.page import NotModified, Page, Validators
from watcher.rules import Rule
from watcher.store import Check, Records, Store
from watcher.telemetry import Metrics


class Fetching(Protocol):
    """What a check needs of HTTP."""

    async def get(
        self, url: str, *, validators: Validators | None = None, packed: bool = False
    ) -> Page | NotModified:
        """Visit a page; raises FetchError."""


NextDue = Callable[[Target, int, float | None], datetime | None]
"""When a target is to be visited next, after so many failures in a row, and if the site asked
for a wait of so many seconds. Asked while the visit is written down, on the store's thread."""


def _nobody_knows(_: Target, __: int, ___: float | None) -> datetime | None:
    return None


class Alert(Value, frozen=True, kw_only=True):
    """When a failing source is told."""

    after: int = 3
    """Failed visits in a row."""
    hours: float = 6.0
    """Or hours since the last good one."""


_TRUSTED = 86_400
"""Seconds."""


class App:
    """What every check shares: the edges, the rules, and a little memory."""

    def __init__(
        self,
        *,
        store: Store,
        fetcher: Fetching,
        rules: Sequence[Rule] = (),
        zone: ZoneInfo | None = None,
        threads: Executor | None = None,
        metrics: Metrics | None = None,
        plan: Plan | None = None,
        alert: Alert | None = None,
    ) -> None:
        self.store = store
        self.fetcher = fetcher
        self.rules = tuple(rules)
        self.zone = zone or ZoneInfo("UTC")
        self.threads = threads
        self.metrics = metrics or Metrics()
        self.plan = plan or Plan()
        self.alert = alert or Alert()
        self.next_due: NextDue = _nobody_knows
        self.keeper = Keeper()
        """Where pages are kept; nowhere until it is set."""
        self.matches = Matches()
        self.memory: dict[str, Memory] = {}
        self.memos = readers.Memos()
        self.under_way = UnderWay()
        self.compared: dict[PageKind, datetime] = {}
        """When island and cards of a kind of page were last compared in full."""
        self.context = context_of(self.rules)
        self._learnt = learning.Learnt()

    def use_rules(self, rules: Sequence[Rule]) -> None:
        """Put other rules in force: every page is read and judged anew at its next visit."""
        self.rules = tuple(rules)
        self.context = context_of(self.rules)
        self.matches = Matches()
        self.memory = {}  # a visit under way keeps its own

    def learnt(self, records: Records, now: datetime) -> tuple[growth.Baseline, tuple[Rule, ...]]:
        """The baseline of this week and the rules as their budgets have them today."""
        return self._learnt.of(records, self.rules, now=now, zone=self.zone)


class UnderWay:
    """How many visits are under way; each is one for the length of a ``with`` block."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *exc: object) -> None:
        self.count -= 1


class Memory(Value, frozen=True, kw_only=True):
    """What makes the next visit of a target cheap; only ever about judged snapshots."""

    validators: Validators = Validators()
    island: str | None = None
    form: int = 0
    """Stands for the form of the first cards, all but their digits; 0: unknown."""
    agreed: int = 0
    """That form when they last said what the island said."""
    looked_at: int = 0
    """Unix seconds of the last thorough look since the start."""
    read_at: int = 0
    """Unix seconds since when a whole page was read; 0: unknown."""
    reference: Reference | None = None
    """What the page showed, to hold the next one against."""
    portrait: bytes = b""
    """JSON of what the source's pages usually look like."""


def trusted(memory: Memory, now: datetime) -> bool:
    """Whether the site may answer that the page is what it was. Once a day it is asked for the
    page itself: a validator that never changes would make us blind without a sign."""
    return not memory.read_at or 0 <= to_unix(now) - memory.read_at < _TRUSTED


def sighted(memory: Memory) -> Memory:
    """A memory with which the next visit looks at the page though it did not change."""
    return msgspec.structs.replace(memory, validators=Validators(), island=None)


class Checked(Value, frozen=True, kw_only=True):
    """How a visit ended."""

    target: str
    at: datetime
    outcome: CheckOutcome
    cards: int | None = None
    fresh: int = 0
    moved: int = 0
    told: int = 0
    """Changes recorded that somebody may hear of."""
    known: int = 0
    """Changes recorded at a first look, owed to nobody."""
    owed: int = 0
    """Deliveries that this made."""
    baseline: bool = False
    """True when this was the first good visit of the target."""
    error: str | None = None
    retry_after: float | None = None
    failures: int = 0
    """Failed visits in a row, this one included."""
    next_due_at: datetime | None = None
    """As it was written down; None when nobody plans."""
    warnings: tuple[str, ...] = ()
    drifting: int | None = None
    """Fields that are not as usual; None: not looked at."""
    page: str | None = None
    """The hash under which the page was kept."""
    unsure: bool = False
    """Whether counts fell that are believed only once the page was looked at again."""


class Visit(Value, frozen=True, kw_only=True):
    """A visit while it is under way."""

    target: Target
    at: datetime
    began: float
    context: str = ""
    """The fingerprint of the rules under which it began."""
    page: Page | None = None

    def answered(self, page: Page) -> Visit:
        """The visit once its page is there; the body is not kept."""
        return msgspec.structs.replace(self, page=msgspec.structs.replace(page, body=b""))

    def check(self, source: int, outcome: CheckOutcome, **more: Any) -> Check:
        """The row that remembers this visit."""
        return Check(
            source=source,
            at=self.at,
            outcome=outcome,
            status=more.pop("status", 200 if self.page else None),
            bytes=self.page.bytes_read if self.page else 0,
            duration_ms=int((time.perf_counter() - self.began) * 1000),
            **more,
        )


class Seen(Value, frozen=True, kw_only=True):
    """A page as it was read; no snapshot when it shows what it showed the last time."""

    memory: Memory
    """For the next visit."""
    snapshot: Snapshot | None = None
    doubts: tuple[str, ...] = ()
    """Why the page must not be judged; empty when it may be."""
    scrutiny: Scrutiny | None = None
    """How the page looks beside its usual self; None: not looked at."""
    page: str | None = None
    """The hash under which the page was kept."""
    fills: Mapping[str, int] = {}
    """For each field that the page shows, how many of its cards have it."""


class Scrutiny(Value, frozen=True, kw_only=True):
    """What a look at a page's form has found."""

    portrait: Portrait
    """After this page."""
    changed: bool
    """Whether it is to be stored."""
    findings: tuple[Finding, ...] = ()
    tell: tuple[str, ...] = ()
    """Drifts to be told now."""
    healed: tuple[str, ...] = ()
    """Drifts that had been told and are over."""


def context_of(rules: Sequence[Rule]) -> str:
    """A fingerprint of rules and readers: validators stored under another are not used."""
    return digest_of(readers.VERSION, *sorted(f"{r.name}={r.fingerprint}" for r in rules))
