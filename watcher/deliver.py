"""Sending what is owed: claim, compose, send, record.

Owns the loop, and one worker per channel. Must not know SQL, how any channel speaks, or what
the outcome of a send means (``watcher.outcome``).

A message is claimed in one transaction (its batch closes with it), sent outside of any, and its
outcome recorded in another. A crash between the last two repeats it under the same key with
the same words; a crash anywhere else repeats nothing. Nothing is ever lost: what was claimed
is due again when its lease ends.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta

from watcher import owed
from watcher.channels.edge import Channel
from watcher.config.settings import DeliverySettings
from watcher.errors import SendError, StoreError, StoreRefused
from watcher.fetch import Clock, SystemClock
from watcher.model import EventType, Message, MessageState, Value
from watcher.outcome import Outcome, Recorded, record
from watcher.owed import Footer, Plan
from watcher.schedule import digest_day, quiet_until
from watcher.store import Records, Store
from watcher.store.ledger import Claimed
from watcher.telemetry import Metrics, log

TICK = 1.0
"""Seconds between two looks at the store: another process may have written."""
_LEEWAY = 5.0
"""Seconds that a send may take beyond its channel's own deadline."""
_IDLE = 30.0
"""Seconds after which a channel that has nothing to send closes its connection."""
_MEASURE = 15.0
"""Seconds between two looks at what the metrics show."""
_JUMP = timedelta(minutes=2)
"""More time than this between two ticks means that the machine slept or its clock was set."""
_STORE_PAUSE = 60.0
_FAULT_PAUSE = 60.0
"""Seconds that a channel rests after a fault of ours."""


def _as_it_is(_: Records, claimed: Claimed, __: datetime) -> Claimed:
    return claimed


class Surroundings(Value, frozen=True, kw_only=True):
    """What delivering is given from outside; everything has a default."""

    clock: Clock = SystemClock()
    metrics: Metrics | None = None
    footer: Footer = owed.no_footer
    """Accounting lines of a digest."""
    finish: Callable[[Records, Claimed, datetime], Claimed | str] = _as_it_is
    """The message as its reader wants it now, or why it is not wanted any more; asked in the
    transaction that claims it."""
    chance: Callable[[], float] = random.random
    """For the jitter: numbers in [0, 1)."""
    on_store_error: Callable[[StoreError], Awaitable[None]] | None = None
    """Waits until the store works again; None: a minute."""


class Report(Value, frozen=True, kw_only=True):
    """What one call of ``deliver_due`` did: messages by how they ended, each once."""

    sent: int = 0
    failed: int = 0
    """Not taken; they are tried again."""
    dead: int = 0
    suppressed: int = 0

    @property
    def ok(self) -> bool:
        """Whether everything that was due is gone."""
        return not (self.failed or self.dead)


class Deliverer:
    """Sends what is due over the channels of a config."""

    def __init__(
        self,
        store: Store,
        plan: Plan,
        channels: Mapping[str, Channel],
        *,
        settings: DeliverySettings | None = None,
        around: Surroundings | None = None,
    ) -> None:
        self._store = store
        self._plan = plan
        self._channels = dict(channels)
        self._settings = settings or DeliverySettings()
        self._around = around or Surroundings()
        self._clock = self._around.clock
        self._metrics = self._around.metrics or Metrics()
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._busy: set[str] = set()
        self._used: dict[str, float] = {}
        self._retired: dict[str, list[Channel]] = {}
        """Channels of an older config that are still sending."""
        self._measured = 0.0
        self._trouble: StoreError | None = None
        self._refused: StoreRefused | None = None

    # --- from outside ---

    def wake(self) -> None:
        """Something was owed just now: look at once. From the event loop's thread."""
        self._wake.set()

    def stop(self) -> None:
        """Claim nothing more; what is being sent ends, and is recorded."""
        self._stop.set()
        self._wake.set()

    async def use(
        self, plan: Plan, channels: Mapping[str, Channel], settings: DeliverySettings
    ) -> None:
        """Put another config in force: what has not left follows it."""
        now = self._clock.now()
        await self._store.write(lambda r: owed.replan(r, plan, now))
        old = self._channels
        self._plan, self._channels, self._settings = plan, dict(channels), settings
        for name in self._busy & old.keys():
            self._retired.setdefault(name, []).append(old[name])
        await _close([channel for name, channel in old.items() if name not in self._busy])
        self.wake()

    async def begin(self, *, hold: bool = True) -> None:
        """Take over the outbox; by who holds the store's lock.

        ``hold``: overdue digests wait a little for the first checks.
        """
        now = self._clock.now()
        plan = self._plan
        await self._store.write(lambda r: owed.begin(r, plan, now, hold=hold))
        await self._end_long_waits(now)

    # --- two lives ---

    async def deliver_due(self) -> Report:
        """Send all that is due now, each channel by a worker of its own; until nothing is."""
        states: dict[str, MessageState] = {}
        while due := await self._due_channels():
            done = await asyncio.gather(*map(self._serve, due), return_exceptions=True)
            for part in done:
                if isinstance(part, BaseException):
                    raise part
                states |= part
        return _report_of(states)

    async def run(self) -> None:
        """Deliver until ``stop``. Raises StoreRefused; everything else is waited out."""
        begun, seen = False, self._clock.now()
        async with asyncio.TaskGroup() as group:
            while not self._stop.is_set() and self._refused is None:
                try:
                    if not begun:
                        await self.begin()
                        begun = True
                    seen = await self._notice_jump(seen)
                    next_at = await self._start_due(group)
                except StoreRefused as exc:
                    self._refused = exc
                except StoreError as exc:
                    self._trouble = exc
                else:
                    await self._rest(next_at)
                await self._wait_out_trouble()
        await _close(self._channels.values())
        if self._refused is not None:
            raise self._refused

    async def _start_due(self, group: asyncio.TaskGroup) -> datetime | None:
        """Start a worker for each channel that has something due; when the next one has."""
        self._wake.clear()
        now = self._clock.now()
        plan = self._plan
        await self._measure(now)
        if await self._store.read(lambda r: owed.quiet_notes_due(r, plan, now)):
            await self._store.write(lambda r: owed.open_quiet_notes(r, plan, now))
        times = await self._due_times()
        for name, due_at in times.items():
            if due_at <= now:
                self._busy.add(name)
                group.create_task(self._work(name))
        for name in self._idle():
            self._busy.add(name)
            group.create_task(self._hang_up(name, self._channels[name]))
        return min((at for at in times.values() if at > now), default=None)

    async def _due_times(self) -> dict[str, datetime]:
        """When each channel that can send, and is not at it, has something due."""
        times = await self._store.read(lambda r: r.outbox.due())
        return {
            name: at
            for name, at in times.items()
            if name in self._channels
            and name not in self._busy
            and self._plan.outlets[name].options.enabled
        }

    async def _due_channels(self) -> list[str]:
        now = self._clock.now()
        plan = self._plan
        await self._store.write(lambda r: owed.open_quiet_notes(r, plan, now))
        return [name for name, at in (await self._due_times()).items() if at <= now]

    async def _rest(self, next_at: datetime | None) -> None:
        """Wait until something is due, until woken, and never longer than a tick."""
        seconds = TICK
        if next_at is not None:
            left = (next_at - self._clock.now()).total_seconds()
            seconds = min(max(left, 0.01), TICK)
        await self._sleep(seconds, self._wake)

    async def _sleep(self, seconds: float, unless: asyncio.Event) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        woken = asyncio.ensure_future(unless.wait())
        try:
            await asyncio.wait((sleeping, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            woken.cancel()

    async def _notice_jump(self, seen: datetime) -> datetime:
        """After the machine slept, overdue digests wait for the first checks; what a clock that
        was ahead put off is due. The time now."""
        now = self._clock.now()
        if now - seen > _JUMP:
            plan = self._plan
            await self._store.write(lambda r: owed.hold_late(r, plan, now))
        elif seen - now > _JUMP:
            await self._end_long_waits(now)
        return now

    async def _end_long_waits(self, now: datetime) -> None:
        # Servers may ask for a day; our own waits vary by some tenths.
        longest = 2 * max(self._settings.retry) + timedelta(days=1)
        await self._store.write(lambda r: r.outbox.end_long_waits(now, longest))

    async def _wait_out_trouble(self) -> None:
        trouble, self._trouble = self._trouble, None
        if trouble is None or self._stop.is_set():
            return
        if self._around.on_store_error is not None:
            await self._around.on_store_error(trouble)
        else:
            log.error("store_failed", error=trouble)
            await self._sleep(_STORE_PAUSE, self._stop)

    # --- one channel ---

    async def _work(self, name: str) -> None:
        """A worker in the loop: its faults are noted, and never stop another's work."""
        try:
            await self._serve(name)
        except StoreRefused as exc:
            self._refused = exc
        except StoreError as exc:
            self._trouble = exc
        except Exception as exc:  # noqa: BLE001 - a fault of ours must not end the others
            log.error("task_failed", task=f"delivering to {name}", error=exc)
            await self._sleep(_FAULT_PAUSE, self._stop)
        finally:
            self._busy.discard(name)
            self._used[name] = self._clock.monotonic()
            self._wake.set()
            await _close(self._retired.pop(name, []))

    async def _serve(self, name: str) -> dict[str, MessageState]:
        """Send what is due on one channel, the oldest promise first: claim, send, record.

        Gives each message's key with what became of it at last.
        """
        states: dict[str, MessageState] = {}
        while not self._stop.is_set() and name in self._channels:
            claimed = await self._claim(name)
            channel = self._channels.get(name)
            if claimed is None or channel is None:
                break
            _announce(claimed)
            outcome = await self._send(claimed, channel)
            recorded = await self._record(outcome)
            self._tell(outcome, recorded)
            states[claimed.key] = recorded.state
        return states

    async def _claim(self, name: str) -> Claimed | None:
        """Take the next message; its batch is composed and closed in the same transaction."""
        # The plan that has the channel: another one may be in force before the store gets to it.
        now, plan = self._clock.now(), self._plan
        deadline = timedelta(seconds=self._channels[name].deadline + 2 * _LEEWAY)
        lease = max(self._settings.lease, deadline)
        return await self._store.write(lambda r: self._take(r, plan, name, now, lease))

    def _take(
        self, records: Records, plan: Plan, name: str, now: datetime, lease: timedelta
    ) -> Claimed | None:
        """The next message that is still wanted, as its reader wants it; on the store's thread."""
        around, quiet = self._around, quiet_until(plan.outlets[name].options, now)
        while True:
            claimed = records.outbox.claim(
                name,
                now,
                lease=lease,
                quiet=quiet,
                compose=lambda batch: owed.words_of(records, plan, batch, now, around.footer),
            )
            if claimed is None:
                return None
            finished = around.finish(records, claimed, now)
            if not isinstance(finished, str):
                return finished
            records.outbox.cancelled(claimed.key, now, error=finished)

    async def _send(self, claimed: Claimed, channel: Channel) -> Outcome:
        """Hand it to its channel, outside any transaction."""
        try:
            async with asyncio.timeout(channel.deadline + _LEEWAY):
                await channel.send(self._message(claimed))
        except SendError as exc:
            error: SendError | None = exc
        except TimeoutError:
            error = SendError(f"channel {claimed.channel}: no end within {channel.deadline:g} s")
        except Exception as exc:  # noqa: BLE001 - a channel's fault is a failed attempt
            log.error("task_failed", task=f"sending to {claimed.channel}", error=exc)
            error = SendError(f"channel {claimed.channel} failed: {type(exc).__name__}")
        else:
            error = None
        return Outcome(claimed=claimed, at=self._clock.now(), error=error)

    def _message(self, claimed: Claimed) -> Message:
        return Message(
            key=claimed.key,
            channel=claimed.channel,
            batch=claimed.batch,
            recipient=claimed.recipient,
            digest=claimed.words.digest,
            letter=claimed.words.letter,
            links=claimed.links,
            attempt=claimed.attempt,
            timezone=claimed.timezone or self._plan.outlets[claimed.channel].options.zone.key,
        )

    async def _record(self, outcome: Outcome) -> Recorded:
        """Write down what happened, whatever happens meanwhile: not to know it is to repeat it."""
        plan, settings, chance = self._plan, self._settings, self._around.chance()
        while True:
            try:
                return await asyncio.shield(
                    self._store.write(lambda r: record(r, plan, settings, outcome, chance=chance))
                )
            except StoreError as exc:
                if self._stop.is_set() or not exc.retryable:
                    raise
                self._trouble = exc
                await self._wait_out_trouble()

    def _tell(self, outcome: Outcome, recorded: Recorded) -> None:
        """Log lines and metrics of one attempt."""
        claimed, error = outcome.claimed, outcome.error
        self._metrics.messages.labels(claimed.channel, recorded.state.value).inc()
        facts = {"channel": claimed.channel, "key": claimed.key, "attempt": claimed.attempt}
        if error is None:
            log.info("message_sent", **facts)
        else:
            state, due_at = recorded.state.value, recorded.due_at
            log.warning("message_failed", **facts, state=state, due_at=due_at, error=error)
        if recorded.notice is not None:
            facts = {"channel": claimed.channel, "told": recorded.told}
            if recorded.notice is EventType.CHANNEL_RECOVERED:
                log.info("channel_recovered", **facts)
            else:
                disabled = recorded.notice is EventType.CHANNEL_DISABLED
                log.error("channel_disabled" if disabled else "channel_failed", **facts)
            self.wake()

    # --- connections and metrics ---

    async def _measure(self, now: datetime) -> None:
        """Show what waits and what was given up, every now and then."""
        moment = self._clock.monotonic()
        if moment - self._measured < _MEASURE:
            return
        self._measured = moment
        waiting, dead, states = await self._store.read(
            lambda r: (r.outbox.waiting(), r.outbox.dead_of(), r.standing.all())
        )
        per_channel = {part.channel: part.messages for part in waiting}
        for state in states:
            self._metrics.waiting.labels(state.name).set(per_channel.get(state.name, 0))
            self._metrics.dead.labels(state.name).set(dead.get(state.name, 0))
            # What is owed to a channel that left the config is kept, and alarms nobody.
            orphaned = state.name not in self._plan.outlets
            self._metrics.disabled.labels(state.name).set(state.disabled and not orphaned)
        ages = [
            (now - part.oldest).total_seconds()
            for part in waiting
            if part.channel in self._plan.outlets
        ]
        self._metrics.oldest.set(max(0.0, *ages) if ages else 0.0)

    def _idle(self) -> list[str]:
        """Channels that have had nothing to send for a while."""
        limit = self._clock.monotonic() - _IDLE
        names = [name for name, used in self._used.items() if used < limit]
        for name in names:
            del self._used[name]
        return [name for name in names if name in self._channels and name not in self._busy]

    async def _hang_up(self, name: str, channel: Channel) -> None:
        try:
            await _close([channel])
        finally:
            self._busy.discard(name)
            await _close(self._retired.pop(name, []))


def _announce(claimed: Claimed) -> None:
    digest = claimed.words.digest
    if claimed.attempt == 1 and digest is not None and digest_day(claimed.batch) is not None:
        facts = {"channel": claimed.channel, "batch": claimed.batch, "late": digest.late}
        log.info("digest_due", **facts, papers=len(digest.entries), cut=digest.cut)


async def _close(channels: Iterable[Channel]) -> None:
    for channel in channels:
        try:
            async with asyncio.timeout(_LEEWAY):
                await channel.close()
        except (SendError, TimeoutError) as exc:
            log.warning("task_failed", task=f"closing {channel.name}", error=exc)


def _report_of(states: Mapping[str, MessageState]) -> Report:
    number = Counter(states.values())
    return Report(
        sent=number[MessageState.SENT],
        failed=number[MessageState.WAITING],
        dead=number[MessageState.DEAD],
        suppressed=number[MessageState.SUPPRESSED],
    )
