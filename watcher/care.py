"""Housekeeping: what the daemon does for itself beside visits and messages.

Owns the nightly backup, the removal of old records and pages, the weekly integrity check, the
politeness ledger, the sign of life in the store and the daily second opinion of the API. Must
not visit, judge or deliver.

Every chore is due by what the store remembers of it, never by a timer alone: a machine that
slept over 03:30 makes up for it. A chore that fails is told in the log and tried again later;
none of them stops the daemon.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec

from watcher.archive import Archive, Keeper
from watcher.clock import to_unix
from watcher.config import Config
from watcher.crosscheck import second_opinion
from watcher.errors import StoreError, StoreRefused
from watcher.fetch import Clock, Fetcher
from watcher.health import Health
from watcher.model import EventType
from watcher.notices import tell
from watcher.politeness import HostLedger
from watcher.schedule import instant_of
from watcher.store import ChannelState, Records
from watcher.store.care import Ledger, Pruned, Spans, quick_check, write_backup
from watcher.telemetry import log
from watcher.visit import App

T = TypeVar("T")

LOOK = 15.0
"""Seconds between two looks at what is due."""
PULSE = timedelta(seconds=30)
"""Between two signs of life in the store."""
PULSE_OLD = timedelta(minutes=3)
"""An older sign of life is none."""
LEDGER_EVERY = timedelta(minutes=1)
AGAIN = timedelta(hours=1)
"""After a chore has failed."""
CHECK_EVERY = timedelta(days=7)
ASK_EVERY = timedelta(days=1)
ODD_MAX = 200_000_000
"""Bytes of odd pages kept for a look."""
_BREATH = 0.05
"""Seconds between two helpings of removal: visits and alerts go first."""
_COUNTED = ("requests", "pages", "not_modified", "failures", "too_many", "retries",
            "bytes_read", "bytes_saved")  # fmt: skip


def spans_of(config: Config) -> Spans:
    """How long each kind of record is kept, by ``[keep]``."""
    keep = config.keep
    return Spans(
        sightings=keep.sightings, places=keep.places, checks=keep.checks, messages=keep.messages
    )


def backup_folder(config: Config) -> Path:
    """Where nightly backups go."""
    return config.backup.folder or Path(config.watcher.database).parent / "backups"


def archive_folder(config: Config) -> Path:
    """Where judged pages go."""
    return config.archive.folder or Path(config.watcher.database).parent / "archive"


def odd_folder(config: Config) -> Path:
    """Where odd pages go, with or without an archive."""
    return Path(config.watcher.database).parent / "odd-pages"


def keeper_of(config: Config) -> Keeper:
    """Where pages are kept, by ``[archive]`` and ``[keep]``."""
    long = timedelta(days=36_500)
    pages = None
    if config.archive.enabled:
        pages = Archive(
            archive_folder(config), keep=config.archive.keep, max_size=config.archive.max_size
        )
    odd = Archive(odd_folder(config), keep=config.keep.quarantine or long, max_size=ODD_MAX)
    return Keeper(pages=pages, odd=odd)


# --- chores that the command line does too -----------------------------------------------------


def back_up(config: Config, now: datetime, *, to: Path | None = None) -> tuple[Path, int]:
    """Write a backup, to the nightly folder unless ``to`` says where; its place and size.

    Removes the oldest of the nightly ones beyond ``[backup] keep``. Raises StoreError,
    StoreRefused. May take long: call it on a thread.
    """
    database = Path(config.watcher.database)
    folder = backup_folder(config)
    target = to or folder / f"{database.stem}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.db"
    size = write_backup(database, target)
    if to is None:
        for old in backups_in(folder, database.stem)[config.backup.keep :]:
            old.unlink(missing_ok=True)
        for left in folder.glob(f".{database.stem}-*.part"):
            if left.stat().st_mtime < now.timestamp() - 86_400:
                left.unlink(missing_ok=True)
    return target, size


def backups_in(folder: Path, stem: str) -> list[Path]:
    """The nightly backups of a database, the newest first."""
    return sorted(folder.glob(f"{stem}-????????T??????Z.db"), reverse=True)


def newest_backup(config: Config) -> Path | None:
    """The newest backup there is, nightly or before a migration."""
    database = Path(config.watcher.database)
    found = [
        *backups_in(backup_folder(config), database.stem),
        *database.parent.glob(f"{database.stem}*.backup"),
    ]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def with_backup(exc: StoreRefused, config: Config) -> StoreRefused:
    """The refusal with the newest backup named, also where it lies elsewhere."""
    newest = newest_backup(config)
    if newest is None or str(newest) in str(exc) or "another watcher" in str(exc):
        return exc
    said = str(exc).replace("No backup lies beside it; the file was left as it is.", "").strip()
    return StoreRefused(f"{said} The newest backup is {newest}: `watcher restore {newest}`.")


def prune_records(records: Records, spans: Spans, now: datetime) -> Pruned:
    """Remove all that is old, for who has the records to himself."""
    total = Pruned()
    while True:
        with records.transaction():
            part = records.care.prune(spans, now)
        total += part
        if not part.total:
            break
    after: int | None = 0
    while spans.sightings and after is not None:
        with records.transaction():
            gone, after = records.care.thin_sightings(now - spans.sightings, after)
        total += Pruned(sightings=gone)
    return total


# --- the daemon's part -------------------------------------------------------------------------


class Care:
    """The housekeeping of one process."""

    def __init__(
        self, app: App, config: Config, *, clock: Clock, health: Health, fetcher: Fetcher
    ) -> None:
        self._app = app
        self.config = config
        self._clock = clock
        self._health = health
        self._fetcher = fetcher
        self._booked: dict[str, HostLedger] = {}
        self._retry: dict[str, datetime] = {}
        self._last: dict[str, datetime] = {}
        self._doubted = False
        """Whether the last integrity check, by an earlier process, found damage."""

    async def begin(self) -> None:
        """Go on where the last process stopped: pauses that hosts asked for, what was wrong."""
        self._last["ledger"] = self._clock.now()
        pauses, backup, finding = await self._app.store.read(
            lambda r: (r.care.pauses(), r.care.done_at("backup"), r.care.note("quick-check"))
        )
        self._fetcher.resume(pauses)
        if backup is not None:
            self._app.metrics.last_backup.set(backup.timestamp())
        if finding is not None:
            # Damaged then; looked at again at once, because it may have been mended since.
            self._doubted = True
            self._show_finding(finding)

    async def run(self) -> None:
        """Look after everything, for ever."""
        while True:
            for chore in (
                self._pulse,
                self._book,
                self._tidy,
                self._nightly,
                self._weekly,
                self._ask_api,
            ):
                await self._carefully(chore)
            await self._clock.sleep(LOOK)

    async def once(self) -> None:
        """What is due now, for a round without a daemon."""
        for chore in (self._pulse, self.book, self._nightly, self._weekly):
            await self._carefully(chore)

    async def _carefully(self, chore: Callable[[], object]) -> None:
        """A chore that fails is told and tried again; it stops nothing."""
        name = chore.__name__.strip("_")
        now = self._clock.now()
        if self._retry.get(name, now) > now:
            return
        try:
            await chore()  # type: ignore[misc]
        except StoreError as exc:
            # The visits tell of a store that fails; here only what failed beside it.
            log.debug("task_failed", part=name, error=exc)
            self._retry[name] = now + timedelta(minutes=1)
        except Exception as exc:  # noqa: BLE001 - housekeeping must never end the daemon
            log.error("task_failed", part=name, error=exc)
            self._retry[name] = now + AGAIN

    def _is_time(self, name: str, every: timedelta) -> bool:
        now = self._clock.now()
        last = self._last.get(name)
        if _is_recent(last, every, now):
            return False
        self._last[name] = now
        return True

    # --- every minute ---

    async def _pulse(self) -> None:
        """Write a sign of life with the state of health, and keep the gauges right."""
        for host in self._fetcher.ledger():
            self._app.metrics.requests.labels(host.host).set(host.requests)
            self._app.metrics.window_share.labels(host.host).set(share_used(host))
        if not self._is_time("pulse", PULSE):
            return
        now = self._clock.now()
        states = await self._app.store.read(lambda r: r.standing.all())
        configured = {channel.name for channel in self.config.channels}
        for state in states:
            line = None
            if state.disabled and not state.by_hand and state.name in configured:
                line = f"channel {state.name} is disabled: {state.disabled_why or 'it failed'}"
            self._health.worry(f"channel {state.name}", line)
        self._health.mute(self._unheard(states))
        report = msgspec.json.encode(self._health.report(now)).decode()
        await self._app.store.write(lambda r: r.care.done("pulse", now, report))

    def _unheard(self, states: Sequence[ChannelState]) -> str | None:
        """Why nobody can be told anything any more; None while somebody can."""
        broken = {state.name for state in states if state.disabled and not state.by_hand}
        by_hand = {state.name for state in states if state.disabled and state.by_hand}
        wanted = {channel.name for channel in self.config.channels if channel.enabled} - by_hand
        if not wanted or not wanted <= broken:
            return None
        return "every channel is disabled, nobody is told anything: `watcher channels` says why"

    async def _book(self) -> None:
        """Write what was asked of each host since the last time into the ledger."""
        if not self._is_time("ledger", LEDGER_EVERY):
            return
        await self.book()

    async def book(self) -> None:
        """Write the ledger and the pauses now; also at the end."""
        now, lines = self._clock.now(), self._fetcher.ledger()
        entries = [entry for line in lines if (entry := self._since_booked(line)) is not None]
        pauses = self._fetcher.pauses()

        def write(records: Records) -> None:
            for entry in entries:
                records.care.add_to_ledger(to_unix(now) // 3600, entry)
            records.care.keep_pauses(pauses)

        await self._app.store.write(write)
        self._booked = {line.host: line for line in lines}

    def _since_booked(self, line: HostLedger) -> Ledger | None:
        before = self._booked.get(line.host)
        counts = {
            name: max(0, getattr(line, name) - (getattr(before, name) if before else 0))
            for name in _COUNTED
        }
        if not any(counts.values()):
            return None
        return Ledger(host=line.host, share=line.peak_share, **counts)

    async def _tidy(self) -> None:
        """Keep folders within their size, and memory free of days that are past."""
        if not self._is_time("tidy", timedelta(minutes=5)):
            return
        now = self._clock.now()
        for archive in (self._app.keeper.pages, self._app.keeper.odd):
            if archive is not None and archive.is_full:
                await in_thread(lambda archive=archive: archive.prune(now))  # type: ignore[misc]

    # --- every night ---

    async def _nightly(self) -> None:
        if self.config.backup.enabled and await self._is_due("backup"):
            await self._back_up()
        if await self._is_due("prune"):
            await self._prune()

    async def _is_due(self, chore: str) -> bool:
        """Whether a nightly chore was not done since its hour last came. What a clock that was
        ahead did in the future does not count."""
        now = self._clock.now()
        done, papers = await self._app.store.read(
            lambda r: (r.care.done_at(chore), r.papers.first_seen(0))
        )
        if done is None:
            return papers is not None
        return done < last_instant(self.config, now) or done > now

    async def _back_up(self) -> None:
        now = self._clock.now()
        try:
            path, size = await in_thread(lambda: back_up(self.config, now))
        except (StoreError, StoreRefused) as exc:
            log.error("backup_failed", error=exc)
            self._app.metrics.backup_failures.inc()
            self._health.worry("backup", f"no backup: {exc}")
            self._retry["nightly"] = now + AGAIN
            return
        self._health.worry("backup", None)
        self._app.metrics.last_backup.set(now.timestamp())
        log.info("backup_written", path=str(path), bytes=size)
        await self._app.store.write(lambda r: r.care.done("backup", now, str(path)))

    async def _prune(self) -> None:
        now, spans, store = self._clock.now(), spans_of(self.config), self._app.store
        total = Pruned()
        while (part := await store.write(lambda r: r.care.prune(spans, now))).total:
            total += part
            await asyncio.sleep(_BREATH)
        after: int | None = 0
        while spans.sightings and after is not None:
            at: int = after
            gone, after = await store.write(
                lambda r, at=at: r.care.thin_sightings(now - spans.sightings, at)  # type: ignore[misc]
            )
            total += Pruned(sightings=gone)
            await asyncio.sleep(_BREATH)
        pages = await in_thread(lambda: self._prune_pages(now))
        await store.write(lambda r: r.care.done("prune", now, str(total.total)))
        log.info("records_pruned", rows=total.total, pages=pages)

    def _prune_pages(self, now: datetime) -> int:
        keeper = self._app.keeper
        return sum(a.prune(now)[0] for a in (keeper.pages, keeper.odd) if a is not None)

    # --- every week ---

    async def _weekly(self) -> None:
        done = await self._app.store.read(lambda r: r.care.done_at("quick-check"))
        now = self._clock.now()
        due = not _is_recent(done, CHECK_EVERY, now)
        if not due and not self._doubted:
            return
        finding = await in_thread(lambda: quick_check(self._app.store.path))
        self._doubted = False
        self._show_finding(finding)
        log.info("records_checked", sound=finding is None, finding=finding)
        await self._app.store.write(lambda r: self._note_check(r, finding, now, told=not due))

    def _show_finding(self, finding: str | None) -> None:
        self._health.store_damaged(finding)
        self._app.metrics.store_sound.set(finding is None)

    def _note_check(
        self, records: Records, finding: str | None, now: datetime, *, told: bool
    ) -> None:
        records.care.done("quick-check", now, finding)
        if finding is not None and not told:
            newest = newest_backup(self.config)
            way = (
                f"the newest backup is {newest}: `watcher restore {newest}`"
                if newest
                else ("there is no backup of it")
            )
            reason = f"the database is damaged ({finding}); {way}"
            tell(self._app, records, EventType.STORE_FAILING, "store", reason, since=now, now=now)

    # --- every day ---

    async def _ask_api(self) -> None:
        """Hold yesterday's list against the API, once a day and daily source."""
        done = await self._app.store.read(lambda r: r.care.done_at("ask-api"))
        now = self._clock.now()
        if _is_recent(done, ASK_EVERY, now):
            return
        # Whatever comes of it, the API is not asked again today.
        await self._app.store.write(lambda r: r.care.done("ask-api", now))
        for source in self.config.sources:
            await second_opinion(self._app, source, now)


def _is_recent(done: datetime | None, every: timedelta, now: datetime) -> bool:
    """Whether something was done within a span, and not in the future of a clock that was ahead."""
    return done is not None and timedelta(0) <= now - done < every


def last_instant(config: Config, now: datetime) -> datetime:
    """When the hour of nightly chores last came, in the watcher's zone."""
    zone = config.watcher.timezone
    today = now.astimezone(zone).date()
    at = instant_of(today, config.backup.at, zone)
    return at if at <= now else instant_of(today - timedelta(days=1), config.backup.at, zone)


def share_used(line: HostLedger) -> float:
    """The part of the site's rate window that is used up, as the site last said."""
    if not line.quota or line.remaining is None:
        return 0.0
    return max(0.0, min(1.0, 1 - line.remaining / line.quota))


async def in_thread(work: Callable[[], T]) -> T:
    """Run something slow on a thread that the end of the process does not wait for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(setter: Callable[..., None], value: object) -> None:
        if not future.done():
            setter(value)

    def run() -> None:
        try:
            result = work()
        except BaseException as exc:  # noqa: BLE001 - handed to the one who asked
            done: tuple[Callable[..., None], object] = (future.set_exception, exc)
        else:
            done = (future.set_result, result)
        try:
            loop.call_soon_threadsafe(settle, *done)
        except RuntimeError:
            return  # the loop has gone; so has the one who asked

    threading.Thread(target=run, name="care", daemon=True).start()
    return await future
