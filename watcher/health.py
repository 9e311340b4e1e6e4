"""Is the watcher well? What the service manager, containers and the web page are told.

Owns the signs of life (loop, scheduler, store), the state made of them, and the feeding of
the service manager's watchdog. Must not repair anything, and must not know HTTP: whoever
serves ``/healthz`` calls ``Health.report``.

A site that does not answer is no illness of ours: it makes the state ``degraded``, which no
restart could mend. ``failing`` is what needs a restart or a person.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from enum import StrEnum

from watcher.clock import span
from watcher.errors import WatcherError
from watcher.fetch import Clock
from watcher.model import CheckOutcome, Value
from watcher.service import notify, watchdog_interval
from watcher.store import Records, Store
from watcher.telemetry import Metrics, log
from watcher.visit import Checked

TICK_PATIENCE = 15.0
"""Seconds without a tick of the scheduler after which it is not alive."""
STORE_PATIENCE = 15.0
"""Seconds within which the store's thread must answer."""
PERIOD = 10.0
"""Seconds between two looks, where no watchdog asks for more."""


class State(StrEnum):
    """How the watcher is, in one word."""

    STARTING = "starting"
    OK = "ok"
    DEGRADED = "degraded"
    """It works, but does not see or reach something."""
    FAILING = "failing"
    STOPPING = "stopping"


class Report(Value, frozen=True, kw_only=True):
    """The state and its reasons, as ``/healthz`` shows them."""

    status: State
    ready: bool
    """Whether work is taken: neither starting nor stopping."""
    problems: tuple[str, ...] = ()
    """One line each; first what makes it fail."""
    last_good_check: datetime | None = None
    last_good_check_age: float | None = None
    """Seconds; None before the first one."""

    @property
    def well(self) -> bool:
        """Whether to answer 200: nothing that a restart or a person at this machine must mend."""
        return self.status is not State.FAILING

    @property
    def line(self) -> str:
        """One line for ``systemctl status``."""
        return "; ".join((self.status.value, *self.problems))


class Health:
    """The signs of life of one process. Every method is cheap and belongs to the event loop."""

    def __init__(self, clock: Clock, metrics: Metrics | None = None) -> None:
        self._clock = clock
        self._metrics = metrics
        self._ready = False
        self._stopping = False
        self._ticked_at: float | None = None
        self._store_stuck = False
        self._store_error: str | None = None
        self._damage: str | None = None
        self._unheard: str | None = None
        self._last_ok: datetime | None = None
        self._failing: dict[str, tuple[int, str]] = {}
        self._worries: dict[str, str] = {}
        watchdog = watchdog_interval()
        self._feeds = watchdog is not None
        self.period = min(PERIOD, watchdog / 4) if watchdog else PERIOD
        """Seconds between two looks."""
        self.patience = min(TICK_PATIENCE, watchdog / 2) if watchdog else TICK_PATIENCE

    # --- what the parts report ---

    def remember(self, last_ok: datetime | None) -> None:
        """When a source was last read well, as the store remembers it."""
        self._last_ok = self._last_ok or last_ok

    def begin(self) -> None:
        """Config, migrations and ports are done."""
        self._ready = True
        self._ticked_at = self._clock.monotonic()
        notify("READY=1")

    def end(self) -> None:
        """Asked to stop: no new work is taken."""
        self._stopping = True
        notify("STOPPING=1")

    def tick(self) -> None:
        """The scheduler has ticked."""
        self._ticked_at = self._clock.monotonic()

    def checked(self, checked: Checked) -> None:
        """A visit has ended."""
        if checked.outcome in (CheckOutcome.OK, CheckOutcome.UNCHANGED):
            self._last_ok = checked.at
            self._failing.pop(checked.target, None)
        else:
            doubted = checked.outcome is CheckOutcome.QUARANTINED
            said = _failed(checked.failures, "doubtful" if doubted else "failed")
            line = f"source {checked.target}: {said}"
            self._failing[checked.target] = (checked.failures, line)

    def recall(self, target: str, failures: int) -> None:
        """How often in a row a source had failed when the last process stopped."""
        if failures and target not in self._failing:
            self._failing[target] = (failures, f"source {target}: {_failed(failures)}")

    def forget_sources(self, names: frozenset[str]) -> None:
        """Keep what is known of these targets only: the config has changed."""
        self._failing = {name: said for name, said in self._failing.items() if name in names}

    def store_failed(self, error: str | None) -> None:
        """The store refuses writes (None: it takes them again)."""
        self._store_error = error

    def store_damaged(self, finding: str | None) -> None:
        """The integrity check found something (None: it is sound)."""
        self._damage = finding

    def mute(self, why: str | None) -> None:
        """Nobody can be told anything (None: somebody can): that is for a person to mend."""
        self._unheard = why

    def worry(self, subject: str, line: str | None) -> None:
        """Something else is not as it should be, a channel for instance (None: it is again)."""
        if line == self._worries.get(subject):
            return
        if line is None:
            del self._worries[subject]
        else:
            self._worries[subject] = line
        self._tell_status()  # at once: whoever has asked for a reload looks now

    # --- what is made of it ---

    @property
    def scheduler_alive(self) -> bool:
        """The scheduler has ticked lately."""
        if self._ticked_at is None:
            return True
        return self._clock.monotonic() - self._ticked_at <= self.patience

    @property
    def alive(self) -> bool:
        """Loop (or this would not run), scheduler and store thread are alive.

        A store that answers "the disk is full" is alive: a restart would not help.
        """
        return self.scheduler_alive and not self._store_stuck

    def report(self, now: datetime) -> Report:
        """The state at a time, for health endpoints."""
        broken = self._broken()
        status = State.OK
        if broken:
            status = State.FAILING
        elif not self._ready:
            status = State.STARTING
        elif self._stopping:
            status = State.STOPPING
        elif self._failing or self._worries:
            status = State.DEGRADED
        age = max(0.0, (now - self._last_ok).total_seconds()) if self._last_ok else None
        return Report(
            status=status,
            ready=self._ready and not self._stopping,
            problems=(*broken, *self.blind(1), *self._worries.values()),
            last_good_check=self._last_ok,
            last_good_check_age=age,
        )

    def blind(self, after: int) -> tuple[str, ...]:
        """One line for each source that has failed so often in a row."""
        return tuple(line for failures, line in self._failing.values() if failures >= after)

    def _broken(self) -> tuple[str, ...]:
        found = []
        if not self.scheduler_alive:
            found.append("the scheduler does not tick")
        if self._store_stuck:
            found.append("the store does not answer")
        if self._store_error is not None:
            found.append(f"the store cannot be written: {self._store_error}")
        if self._damage is not None:
            found.append(f"the store is damaged: {self._damage}")
        if self._unheard is not None:
            found.append(self._unheard)
        return tuple(found)

    # --- the look, again and again ---

    async def keep_watch(self, store: Store) -> None:
        """Look for signs of life and feed the watchdog while there are any; for ever."""
        loop = asyncio.get_running_loop()
        was_alive = True
        while True:
            self._store_stuck = not await self._answers(store)
            if self.alive and self._feeds:
                notify("WATCHDOG=1")
            self._tell_status()
            if was_alive and not self.alive:
                log.error("task_failed", part="watchdog", error="; ".join(self._broken()))
            was_alive = self.alive
            asleep = loop.time()
            await asyncio.sleep(self.period)
            if self._metrics is not None:
                self._metrics.loop_lag.set(max(0.0, loop.time() - asleep - self.period))

    def _tell_status(self) -> None:
        notify(f"STATUS={_status_line(self.report(self._clock.now()))}")

    async def _answers(self, store: Store) -> bool:
        try:
            async with asyncio.timeout(min(STORE_PATIENCE, self.patience)):
                await store.read(_nothing)
        except TimeoutError:
            return False
        except WatcherError:
            return True
        return True


def _failed(failures: int, what: str = "failed") -> str:
    return f"{what} once" if failures == 1 else f"{what} {failures} times in a row"


def _nothing(_: Records) -> None:
    """A round trip through the store's thread."""


def _status_line(report: Report) -> str:
    age = report.last_good_check_age
    seen = "no good check yet" if age is None else f"last good check {_ago(age)}"
    return f"{seen}; {report.line}"


def _ago(seconds: float) -> str:
    return f"{span(timedelta(seconds=seconds))} ago"
