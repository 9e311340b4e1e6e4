"""One visit of one source, from the request to the commit: the critical path.

``check`` reads from top to bottom. Owns the order of the steps and the one place where a
failure of fetching or reading is caught. Must not know schedules, channels or SQL.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import msgspec
from isal import isal_zlib

from watcher import readers
from watcher.agenda import Target
from watcher.errors import FetchError, ParseError
from watcher.model import CheckOutcome
from watcher.page import NotModified, Page, Validators, unpack
from watcher.record import record_failed, record_seen, record_unchanged
from watcher.telemetry import log
from watcher.visit import App, Checked, Memory, Seen, Visit

__all__ = ["App", "Checked", "Target", "check", "read_page"]


async def check(app: App, target: Target, now: datetime) -> Checked:
    """Visit a target once: fetch, read, remember, judge, record. Never raises for its faults.

    A page that cannot be fetched or read is a failed visit, recorded as such. Raises
    StoreError or StoreRefused when nothing can be recorded at all.
    """
    began = time.perf_counter()
    visit = Visit(target=target, at=now, began=began)
    memory = app.memory.get(target.name) or await _recall(app, target)
    try:
        page, seen = await _look(app, visit, memory)
        if isinstance(page, Page):
            visit = visit.answered(page)
    except (FetchError, ParseError) as exc:
        failure = exc
        checked = await app.store.write(lambda r: record_failed(app, r, visit, failure))
    else:
        record = record_unchanged if seen.snapshot is None else record_seen
        checked = await app.store.write(lambda r: record(app, r, visit, seen))
        app.memory[target.name] = seen.memory
    _report(app, checked, time.perf_counter() - began)
    return checked


async def _recall(app: App, target: Target) -> Memory:
    """The validators of the last judged snapshot, if they were stored under these rules."""
    state = await app.store.read(lambda r: r.sources.state(target.name))
    if state is None or state.context != app.context:
        return Memory()
    return Memory(
        validators=Validators(etag=state.etag, last_modified=state.last_modified),
        island=state.island_hash,
    )


async def _look(app: App, visit: Visit, memory: Memory) -> tuple[Page | NotModified, Seen]:
    """Fetch and read the page; once more when its body turns out to be cut or damaged."""
    for last in (False, True):
        page = await app.fetcher.get(visit.target.url, validators=memory.validators, packed=True)
        if isinstance(page, NotModified):
            return page, Seen(memory=memory)
        try:
            return page, await _read(app, page, visit.target, memory.island, visit.at)
        except FetchError as exc:
            if last or not exc.retryable:
                raise
    raise AssertionError("unreachable")


async def _read(
    app: App, page: Page, target: Target, last_island: str | None, now: datetime
) -> Seen:
    """Inflate and read a page on a thread: both let the event loop run."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(app.threads, read_page, page, target, last_island, now)


def read_page(page: Page, target: Target, last_island: str | None, now: datetime) -> Seen:
    """Bytes to a snapshot, unless the page's data is that of the last judged visit."""
    page = unpack(page)
    island = readers.island_bytes(page.body)
    mark = None
    if island is not None:
        mark = f"{isal_zlib.crc32(island):08x}{isal_zlib.adler32(island):08x}{len(island):x}"
    memory = Memory(validators=page.validators, island=mark)
    if mark is not None and mark == last_island:
        return Seen(memory=memory)
    snapshot = readers.parse(page.body, url=page.url, at=now)
    if target.kind is not None and snapshot.kind is not target.kind:
        snapshot = msgspec.structs.replace(snapshot, kind=target.kind)
    return Seen(memory=memory, snapshot=snapshot)


def _report(app: App, checked: Checked, seconds: float) -> None:
    metrics = app.metrics
    metrics.checks.labels(checked.target, checked.outcome.value).inc()
    metrics.check_seconds.observe(seconds)
    metrics.failures.labels(checked.target).set(checked.failures)
    if checked.outcome is CheckOutcome.FAILED:
        log.warning(
            "check_failed",
            source=checked.target,
            error=checked.error,
            failures=checked.failures,
            seconds=round(seconds, 3),
        )
        return
    metrics.last_success.labels(checked.target).set(checked.at.timestamp())
    if checked.cards is not None:
        metrics.cards.labels(checked.target).set(checked.cards)
    for warning in checked.warnings[:3]:
        log.warning("page_warned", source=checked.target, warning=warning)
    log.info(
        "check_finished",
        source=checked.target,
        outcome=checked.outcome.value,
        cards=checked.cards,
        fresh=checked.fresh,
        moved=checked.moved,
        told=checked.told,
        seconds=round(seconds, 3),
    )
