"""The composition root: one process with a clock, a queue, checkers and a way to stop.

Owns what runs beside what, the signals, and what a failing store means. APScheduler is the
clock only: its job moves due targets to the queue. Must not know how a page is fetched, read
or judged, nor how a message is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import urllib.request
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from watcher import process
from watcher.accounting import footer_of, missed_days
from watcher.agenda import Agenda, Target
from watcher.care import Care, keeper_of, with_backup
from watcher.channels import open_channel
from watcher.channels.edge import Channel
from watcher.config import Config
from watcher.deliver import Deliverer, Report, Surroundings
from watcher.errors import ConfigError, StoreError, StoreRefused, WatcherError
from watcher.fetch import Clock, Fetcher, FetchOptions, SystemClock
from watcher.health import Health
from watcher.heartbeat import Heartbeat, cry
from watcher.model import CheckOutcome
from watcher.owed import plan_of
from watcher.rulebook import compile_rules
from watcher.service import notify
from watcher.store import Lock, Records, Store, open_records
from watcher.store.ledger import Claimed
from watcher.telemetry import Metrics, log
from watcher.visit import Alert
from watcher.wants import SHARED_PREFIX, why_unwanted
from watcher.watch import App, Checked, check, note_fault

if TYPE_CHECKING:
    from watcher.front import Front

CHECKERS = 16
"""Visits under way at once; each host has its own, smaller limit."""
DRAIN = 7.0
"""Seconds that visits and sends under way get to end by themselves."""
LAST_RESORT = 9.5
"""Seconds after the wish to stop at which the process ends, whatever still hangs."""
_TICK = 0.5
_ROUND = 10
"""Seconds between two looks for subscribers whose hour has come."""
_BLIND_TICKS = 10.0
"""Seconds without a tick after which the clock is thought to have been set."""
_STORE_PAUSE = 60.0


def open_channels(config: Config) -> dict[str, Channel]:
    """The channels of a config; nothing is connected to before the first send."""
    return {channel.name: open_channel(channel.name, channel) for channel in config.channels}


def fetch_options(config: Config) -> FetchOptions:
    """The ``[fetch]`` table as the fetcher takes it."""
    fetch = config.fetch
    return FetchOptions(
        timeout=fetch.timeout.total_seconds(),
        per_host_concurrency=fetch.per_host_concurrency,
        per_host_rate=fetch.per_host_rate,
        robots=fetch.robots,
        allow_private=fetch.allow_private,
        contact=config.watcher.contact or "",
        proxies=tuple(urllib.request.getproxies_environment().items()),
    )


def _reading_threads() -> ThreadPoolExecutor | None:
    """A thread to inflate and read pages on, beside the event loop; None on a single core, where
    it only costs. A second one would: little of the reading is done without Python's lock."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if cores == 1:
        return None
    return ThreadPoolExecutor(1, thread_name_prefix="reader")


def _followed(new: Config, old: Config) -> tuple[Config, tuple[str, ...]]:
    """A new config as a running daemon can follow it, and the parts that wait for a restart.

    Of ``[web]`` all or nothing: where it listens decides whether it needs a token. Raises
    ConfigError when the parts do not go together.
    """
    replace = msgspec.structs.replace
    at_start = {
        "[watcher] database": new.watcher.database != old.watcher.database,
        "[watcher] contact": new.watcher.contact != old.watcher.contact,
        "[fetch]": new.fetch != old.fetch,
        "[web]": (new.web.enabled, new.web.listen) != (old.web.enabled, old.web.listen),
    }
    watcher = replace(new.watcher, database=old.watcher.database, contact=old.watcher.contact)
    web = old.web if at_start["[web]"] else new.web
    needed = web.subscribe if web is not new.web and web.enabled else None
    if needed is not None and needed not in {one.name for one in new.channels}:
        raise ConfigError(
            f"[channel.{needed}] is gone, but [web] subscribe needs it until a restart: "
            "where [web] listens has changed too, and that is in force after a restart"
        )
    waiting = tuple(part for part, differs in at_start.items() if differs)
    return replace(new, watcher=watcher, fetch=old.fetch, web=web), waiting


def _kept_otherwise(new: Config, old: Config) -> bool:
    return (new.archive, new.keep) != (old.archive, old.keep)


class Steady(IntervalTrigger):  # type: ignore[misc]
    """Every so often. What a clock leapt over when it was set is one time: the scheduler would
    list every one of them, millions after a year."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """The next time; None is never."""
        due: datetime | None = super().get_next_fire_time(previous, now)
        return due if previous is None or due is None or due > now else now + self.interval


class Daemon:
    """Everything that runs, over one config. ``run`` and ``once`` are its two lives."""

    def __init__(
        self,
        config: Config,
        *,
        reload: Callable[[], Config] | None = None,
        clock: Clock | None = None,
        on_checked: Callable[[Checked], None] | None = None,
    ) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self.metrics = Metrics()
        self._reload = reload
        self._on_checked = on_checked or (lambda _: None)
        self.health = Health(self.clock, self.metrics)
        self._stop = asyncio.Event()
        self._reload_asked = asyncio.Event()
        self._unattended = False
        """Whether nobody sits before it: then what it cannot write down is told."""
        self._code = 1
        """What the process ends with when the last resort must end it."""
        self._work = asyncio.Event()
        self._store_works = asyncio.Event()
        self._store_works.set()
        self._store_told = False
        self._last_tick = self.clock.monotonic()
        self._last_wall = self.clock.now()
        self._broken: StoreError | StoreRefused | None = None
        self.delivered = Report()
        """What ``once`` sent."""
        self._front: Front | None = None
        self._fetcher: Fetcher
        self.heartbeat = Heartbeat(config, clock=self.clock, health=self.health)
        self.care: Care
        self.app: App
        self.agenda: Agenda
        self.deliverer: Deliverer

    # --- two lives ---

    async def run(self) -> int:
        """Run until told to stop; the exit code."""
        self._unattended = True
        async with self._open(patient=True):
            if self._front is not None:  # ready before READY is said
                await self._front.open()
            scheduler = self._start_clock()
            with self._signals():
                async with asyncio.TaskGroup() as group:
                    checkers = [group.create_task(self._check_loop()) for _ in range(CHECKERS)]
                    deliver = group.create_task(self._deliver_loop())
                    watches = [
                        group.create_task(self._watch_clock()),
                        group.create_task(self._reload_loop()),
                        group.create_task(self.health.keep_watch(self.app.store)),
                        group.create_task(self.care.run()),
                        group.create_task(self.heartbeat.run()),
                    ]
                    process.built()
                    self.health.begin()
                    log.info("daemon_ready", sources=len(self.config.sources))
                    await self._stop.wait()
                    log.info("daemon_stopping")
                    self.health.end()
                    scheduler.shutdown(wait=False)
                    self._work.set()
                    self.deliverer.stop()
                    await self._drain([*checkers, deliver])
                    if self._front is not None:
                        await self._front.close()
                    for watch in watches:
                        watch.cancel()
        log.info("daemon_stopped")
        self._code = 0
        if self._broken is not None:
            await self._tell_store_refused(self._broken)
            raise self._broken
        return 0

    async def once(
        self, names: Collection[str] | None = None, *, due_only: bool = False
    ) -> tuple[Checked, ...]:
        """Visit every target (or those of the named sources, or those that are due) once."""
        self._unattended = due_only
        done: list[Checked] = []
        async with self.heartbeat.round():
            async with self._open(due_now=not due_only):
                await self._visit_all(names, done)
                if self._broken is None and not self.is_stopped:
                    await self.deliverer.begin(hold=False)
                    await self._hold_round()
                    self.delivered = await self.deliverer.deliver_due()
                    await self.care.once()
            if self._broken is not None:
                raise self._broken
        return tuple(done)

    _busy = 0

    async def _visit_all(self, names: Collection[str] | None, done: list[Checked]) -> None:
        """Visit all that is due, or those of the named sources among it."""
        pending = asyncio.Semaphore(CHECKERS)
        visited: set[str] = set()
        tasks: set[asyncio.Task[None]] = set()
        with self._signals():
            async with asyncio.TaskGroup() as group:
                while not self._stop.is_set():
                    target = self.agenda.take(self.clock.now())
                    if target is None:
                        if not self._busy:
                            break
                        self._work.clear()
                        await self._work.wait()
                        continue
                    if target.name in visited or (names is not None and target.name not in names):
                        self.agenda.done(target, self.clock.now())
                        continue
                    visited.add(target.name)
                    self._busy += 1
                    task = group.create_task(self._check_one(target, pending, done))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                if tasks:
                    await self._drain([*tasks])

    async def _check_one(
        self, target: Target, slots: asyncio.Semaphore, done: list[Checked]
    ) -> None:
        try:
            async with slots:
                done.append(await self._visit(target))
        except (StoreError, StoreRefused) as exc:
            # No other visit could be written down either.
            self._broken = self._broken or exc
            self._stop.set()
        finally:
            self._busy -= 1
            self._work.set()

    # --- opening ---

    @contextlib.asynccontextmanager
    async def _open(self, *, due_now: bool = False, patient: bool = False) -> AsyncIterator[None]:
        """The store, the fetcher and the agenda, for as long as the block lasts."""
        lock, store = await self._open_store(patient=patient)
        threads = _reading_threads()
        try:
            try:
                async with Fetcher(
                    fetch_options(self.config),
                    clock=self.clock,
                    token=self.config.fetch.hf_token.reveal()
                    if self.config.fetch.hf_token
                    else None,
                ) as fetcher:
                    self._fetcher = fetcher
                    self.app = App(
                        store=store,
                        fetcher=fetcher,
                        rules=compile_rules(self.config),
                        zone=self.config.watcher.timezone,
                        threads=threads,
                        metrics=self.metrics,
                        alert=Alert(after=self.config.alert.after, hours=self.config.alert.hours),
                    )
                    self.app.keeper = keeper_of(self.config)
                    self.app.next_due = self._next_due
                    await self._follow_addresses()
                    self.agenda = await self._plan(due_now=due_now)
                    self.app.memos.expect(len(self.agenda))
                    self.deliverer = self._open_deliverer(store)
                    self._front = await self._open_front()
                    self.care = Care(
                        self.app,
                        self.config,
                        clock=self.clock,
                        health=self.health,
                        fetcher=fetcher,
                    )
                    await self.care.begin()
                    try:
                        yield
                    finally:
                        with contextlib.suppress(WatcherError):
                            await self.care.book()
                        self.app.keeper.close()
            finally:
                await store.close()
        finally:
            if threads is not None:
                threads.shutdown(wait=False, cancel_futures=True)
            lock.release()

    async def _open_store(self, *, patient: bool) -> tuple[Lock, Store]:
        """The lock and the store; ``patient`` waits for a disk that is full or read-only."""
        path = Path(self.config.watcher.database)
        while True:
            lock, held = Lock(path), False
            try:
                lock.acquire()
                held = True
                store = Store(path, lambda: open_records(path, migrate=True, create=True))
            except StoreRefused as exc:
                lock.release()
                refused = with_backup(exc, self.config)
                if held and self._unattended:
                    await self._tell_store_refused(refused)
                raise refused from exc
            except StoreError as exc:
                lock.release()
                if not patient or not exc.retryable:
                    raise
                await self._tell_store_failed(exc)
                # A restart would not help, and a manager gives up after some of them.
                notify(f"STATUS=waiting: {exc}\nEXTEND_TIMEOUT_USEC={int(_STORE_PAUSE * 2e6)}")
                await self.clock.sleep(_STORE_PAUSE)
            else:
                log.info("store_opened", path=str(path))
                with contextlib.suppress(OSError):
                    self._refusal_told.unlink()
                return lock, store

    async def _tell_store_failed(self, exc: StoreError) -> None:
        """Once per failure: in the log, in the state, and to the operator past the store."""
        self.metrics.store_errors.inc()
        self.health.store_failed(str(exc))
        if self._store_told:
            return
        self._store_told = True
        log.error("store_failed", error=exc)
        await cry(
            self.config,
            "Watcher: the database cannot be written, checks pause",
            f"{exc}. Nothing is lost: it is tried again every minute, and what was missed is "
            "caught up.",
            now=self.clock.now(),
        )

    @property
    def _refusal_told(self) -> Path:
        """Beside the database: the refusal that the operator was told."""
        return Path(f"{self.config.watcher.database}.refused")

    async def _tell_store_refused(self, exc: Exception) -> None:
        """To the operator past the store, once: who starts us again and again makes no storm."""
        told = self._refusal_told
        with contextlib.suppress(OSError):
            if told.read_text("utf-8") == str(exc):
                return
        subject = "Watcher: the database is refused, the watcher has stopped"
        if await cry(self.config, subject, str(exc), now=self.clock.now()):
            with contextlib.suppress(OSError):
                told.write_text(str(exc), "utf-8")

    def _open_deliverer(self, store: Store) -> Deliverer:
        """The way out: the channels of the config over the store's outbox."""
        plan = plan_of(self.config)
        self.app.plan = plan
        return Deliverer(
            store,
            plan,
            open_channels(self.config),
            settings=self.config.delivery,
            around=Surroundings(
                clock=self.clock,
                metrics=self.metrics,
                footer=footer_of(lambda: self.config),
                finish=self._finish,
                on_store_error=self._wait_for_store,
            ),
        )

    # --- pages and subscribers ---

    async def _open_front(self) -> Front | None:
        """Pages and subscribers, if ``[web]`` asks for them."""
        if not self.config.web.enabled:
            return None
        from watcher.front import Front  # noqa: PLC0415 - see there
        from watcher.web import WebContext  # noqa: PLC0415

        front = Front(
            WebContext(
                config=self.config,
                store=self.app.store,
                rules=self.app.rules,
                clock=self.clock,
                metrics=self.metrics,
                ledger=self._fetcher.ledger,
                health=lambda: self.health.report(self.clock.now()),
                mail_ready=self.deliverer.wake,
            )
        )
        readers = await front.readers_of(self.config)
        front.use(self.config, self.app.rules, readers)
        return front

    def _finish(self, records: Records, claimed: Claimed, now: datetime) -> Claimed | str:
        """A message as its reader wants it now, or why not; also where there are no pages any more
        and a subscriber's messages still wait."""
        if self._front is not None:
            return self._front.finish(records, claimed, now)
        if not claimed.batch.startswith(SHARED_PREFIX):
            return claimed
        return why_unwanted(records.people.by_address(claimed.recipient)) or claimed

    async def _hold_round(self) -> None:
        """Fill the messages of subscribers whose hour has come."""
        if self._front is not None and self._store_works.is_set():
            await self._front.hold_round(self.clock.now())

    async def _deliver_loop(self) -> None:
        try:
            await self.deliverer.run()
        except StoreRefused as exc:
            self._refuse(exc)

    async def _plan(self, config: Config | None = None, *, due_now: bool = False) -> Agenda:
        """The agenda of a config, from what the store remembers of each target."""
        config = config or self.config
        now = self.clock.now()
        states, missed = await self.app.store.read(
            lambda r: (r.sources.states(), missed_days(r, config, now))
        )
        for name, days in missed.items():
            log.info("gap_found", source=name, days=len(days), first=str(days[0]))
        if missed:
            await self.app.store.write(lambda r: r.care.done("catch-up", now))
        names = {source.name for source in config.sources}
        last_ok = [s.last_ok_at for s in states if s.name in names and s.last_ok_at]
        self.health.remember(max(last_ok, default=None))
        for state in states:
            if state.name not in names:
                continue
            if state.last_ok_at is not None:
                self.metrics.last_success.set(state.name, state.last_ok_at.timestamp())
            self.metrics.failures.set(state.name, state.failures)
            self.health.recall(state.name, state.failures)
        due = {
            state.name: None if due_now and state.name in names else state.next_due_at
            for state in states
        }
        return Agenda(config, now=now, due=due, missed=missed, seed=hash(str(now)))

    async def _follow_addresses(self) -> None:
        """Let sources begin anew whose address was edited."""
        urls = {source.name: source.url for source in self.config.sources}
        if await self.app.store.read(lambda r: r.sources.moved(urls)):
            await self.app.store.write(lambda r: r.sources.move(urls))

    # --- the clock ---

    def _start_clock(self) -> AsyncIOScheduler:
        # grace None: a late tick is still a tick; coalesce: after a sleep one is enough.
        scheduler = AsyncIOScheduler(
            executors={"default": AsyncIOExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone="UTC",
        )
        scheduler.add_job(self._tick, Steady(seconds=_TICK), id="tick")
        scheduler.add_job(self._hold_round, Steady(seconds=_ROUND), id="round")
        # It swallows what its jobs raise.
        scheduler.add_listener(
            lambda event: log.error("task_failed", part=event.job_id, error=event.exception),
            EVENT_JOB_ERROR,
        )
        scheduler.start()
        self._scheduler = scheduler
        return scheduler

    async def _tick(self) -> None:
        """What the clock does: look at the agenda and wake the checkers."""
        self._last_tick = self.clock.monotonic()
        self.agenda.follow(self.clock.now())
        self._work.set()
        # Last, so that a tick which fails is no sign of life.
        self.health.tick()

    async def _watch_clock(self) -> None:
        """Notice that the clock was set, which an interval job sleeps through."""
        while True:
            await self.clock.sleep(5)
            now, moment = self.clock.now(), self.clock.monotonic()
            late = moment - self._last_tick
            if late > _BLIND_TICKS:
                log.warning("check_missed", seconds=round(late, 1))
                for job in ("tick", "round"):
                    self._scheduler.modify_job(job, next_run_time=datetime.now(now.tzinfo))
                self._last_tick = moment
            if now < self._last_wall:
                self.agenda.turn_clock(now)
            self._last_wall = now

    # --- checking ---

    async def _check_loop(self) -> None:
        while not self._stop.is_set():
            await self._store_works.wait()
            target = self.agenda.take(self.clock.now(), self._fetcher.turn)
            if target is None:
                self._work.clear()
                await self._work.wait()
                continue
            try:
                await self._visit(target)
            except StoreRefused as exc:
                self._refuse(exc)
            except StoreError as exc:
                await self._pause_for_store(exc)

    async def _visit(self, target: Target) -> Checked:
        """One visit, and the plan for the next."""
        self.metrics.queue.set(self.agenda.waiting)
        try:
            checked = await self._check(target)
        except BaseException:
            self.agenda.give_back(target)
            raise
        failures = checked.failures if checked.outcome is CheckOutcome.FAILED else 0
        self.agenda.done(target, self.clock.now(), failures=failures, due_at=checked.next_due_at)
        await self._store_recovered()
        if target.day is None:
            self.health.checked(checked)
        if target.name not in self.agenda:  # the config has changed on the way
            self._forget_gone()
        if checked.owed:
            self.deliverer.wake()
        self._on_checked(checked)
        return checked

    def _forget_gone(self) -> None:
        """How sources are that left the config is no matter any more."""
        names = frozenset(self.agenda.names())
        self.health.forget_sources(names)
        self.metrics.keep_sources(names)

    def _next_due(self, target: Target, failures: int, retry_after: float | None) -> datetime:
        """When a target is due again; written down with the visit that just ended."""
        now = self.clock.now()
        return self.agenda.after(target, now, failures=failures, retry_after=retry_after)

    async def _check(self, target: Target) -> Checked:
        """A visit; a fault of our own on one page must not stop the others."""
        now = self.clock.now()
        try:
            return await check(self.app, target, now)
        except StoreRefused:
            raise
        except Exception as exc:
            if isinstance(exc, StoreError) and exc.retryable:
                raise
            return await note_fault(self.app, target, now, exc)

    async def _wait_for_store(self, exc: StoreError) -> None:
        """For whoever else met a failing store: go on when it works again."""
        await self._pause_for_store(exc)
        await self._store_works.wait()

    async def _pause_for_store(self, exc: StoreError) -> None:
        """The store refuses writes for now: told once, tried again each minute."""
        if not self._store_works.is_set():
            return
        self._store_works.clear()
        await self._tell_store_failed(exc)
        while not self._stop.is_set():
            await self._nap(_STORE_PAUSE)
            try:
                await self.app.store.write(lambda r: r.care.prove_space(self.clock.now()))
            except StoreRefused as refused:
                self._refuse(refused)
            except StoreError:
                continue
            break
        self._store_works.set()

    async def _nap(self, seconds: float) -> None:
        """Wait on the injected clock, or until asked to stop."""
        waits = [
            asyncio.ensure_future(self.clock.sleep(seconds)),
            asyncio.ensure_future(self._stop.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _store_recovered(self) -> None:
        """A whole visit was written down: if the store was told to fail, it works again."""
        if not self._store_told:
            return
        self._store_told = False
        self.health.store_failed(None)
        log.info("store_recovered")
        words = "Checks and messages go on; what was missed is being caught up."
        await cry(self.config, "Watcher: the database works again", words, now=self.clock.now())

    def _refuse(self, exc: StoreRefused) -> None:
        self._broken = with_backup(exc, self.config)
        log.error("store_refused", error=self._broken)
        self._stop.set()

    # --- stopping and reloading ---

    @contextlib.contextmanager
    def _signals(self):  # type: ignore[no-untyped-def]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        if self._reload is not None:
            loop.add_signal_handler(signal.SIGHUP, self._reload_asked.set)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            # Asked twice: what is under way is given up; the next start does it again.
            os._exit(130)
        # Never cancelled: the interpreter waits for threads of its own at the very end.
        last_resort = threading.Timer(LAST_RESORT, lambda: os._exit(self._code))
        last_resort.daemon = True
        last_resort.start()
        self.stop()

    @property
    def is_stopped(self) -> bool:
        """Whether it was asked to end."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the daemon to end, as SIGTERM does."""
        self._stop.set()
        self._work.set()

    async def _reload_loop(self) -> None:
        """One reload at a time, however often it is asked for."""
        while True:
            await self._reload_asked.wait()
            self._reload_asked.clear()
            try:
                await self.reload()
            except StoreRefused as exc:
                self._refuse(exc)
            except StoreError as exc:
                await self._wait_for_store(exc)
                self._reload_asked.set()

    async def reload(self) -> None:
        """Put the config on disk in force, or keep the old one and say why."""
        assert self._reload is not None  # noqa: S101
        notify(f"RELOADING=1\nMONOTONIC_USEC={int(self.clock.monotonic() * 1e6)}")
        try:
            asked = self._reload()
            config, waiting = _followed(asked, self.config)
            rules = compile_rules(config)
            channels = open_channels(config)
            agenda = await self._plan(config)
            readers = await self._front.readers_of(config) if self._front else None
        except (StoreError, StoreRefused):
            raise
        except WatcherError as exc:
            log.error("config_refused", error=exc)
            said = str(exc).partition("\n")[0]
            self.health.worry("config", f"the config is refused, the old one stays: {said}")
        else:
            self.health.worry("config", None)
            if _kept_otherwise(config, self.config):
                self.app.keeper.close()
                self.app.keeper = keeper_of(config)
            for warning in asked.warnings:
                log.warning("config_warned", warning=warning)
            for part in waiting:
                log.warning("config_warned", warning=f"{part} is in force after a restart")
            self.config = self.care.config = config
            self.heartbeat.use(config)
            # Before the rules: the store's thread may be about to ask who hears of them.
            self.app.plan = plan_of(config)
            self.app.use_rules(rules)
            self.app.zone = config.watcher.timezone
            self.app.alert = Alert(after=config.alert.after, hours=config.alert.hours)
            # No await from here on: a visit must not end between the two agendas.
            agenda.take_over(self.agenda, self.clock.now())
            self.agenda = agenda
            self.app.memos.expect(len(agenda))
            self._forget_gone()
            self._work.set()
            if self._front is not None and readers is not None:
                self._front.use(config, rules, readers)
            await self._follow_addresses()
            await self.deliverer.use(self.app.plan, channels, config.delivery)
            log.info("config_reloaded", sources=len(config.sources), rules=len(rules))
        notify("READY=1")

    async def _drain(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Let what is under way end; cancel what does not."""
        self._store_works.set()
        _, late = await asyncio.wait(tasks, timeout=DRAIN)
        for task in late:
            task.cancel()
