"""One visit of one source, from the request to the commit: the critical path.

``check`` reads from top to bottom. Owns the order of the steps and the one place where a
failure of fetching or reading is caught. Must not know schedules, channels or SQL.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from watcher.agenda import Target
from watcher.errors import FetchError, ParseError
from watcher.model import CheckOutcome
from watcher.page import NotModified, Page, Validators
from watcher.reading import COMPARE_EVERY, Means, read_page, recall, still
from watcher.record import record_doubted, record_failed, record_seen, record_unchanged
from watcher.store import Records
from watcher.telemetry import log
from watcher.visit import App, Checked, Memory, Seen, Visit, sighted, trusted

__all__ = ["App", "Checked", "Target", "check", "note_fault", "read_page"]


async def check(app: App, target: Target, now: datetime) -> Checked:
    """Visit a target once: fetch, read, remember, judge, record. Never raises for its faults.

    A page that cannot be fetched or read is a failed visit, recorded as such. Raises
    StoreError or StoreRefused when nothing can be recorded at all.
    """
    began = time.perf_counter()
    visit = Visit(target=target, at=now, began=began, context=app.context)
    memories = app.memory  # others, once the config has changed on the way
    memory = memories.get(target.name) or await _recall(app, target)
    with app.under_way:
        try:
            page, seen = await _look(app, visit, memory)
            if isinstance(page, Page):
                visit = visit.answered(page)
        except (FetchError, ParseError) as exc:
            failure = exc
            checked = await _write(app, lambda r: record_failed(app, r, visit, failure))
        else:
            record = _recorder(seen)
            checked = await _write(app, lambda r: record(app, r, visit, seen))
            memories[target.name] = sighted(seen.memory) if checked.unsure else seen.memory
    _report(app, target, checked, time.perf_counter() - began)
    return checked


async def _write(app: App, work: Callable[[Records], Checked]) -> Checked:
    """Write a visit down; among many, together with half of them, while the others go on."""
    return await app.store.write(work, company=max(app.under_way.count // 2, 1))


async def note_fault(app: App, target: Target, now: datetime, fault: Exception) -> Checked:
    """A visit that a fault of our own ended: a failed one, so that the others go on.

    Raises StoreError or StoreRefused when it cannot be recorded.
    """
    log.error("task_failed", part="check", source=target.name, error=fault)
    said = f"a fault of the watcher itself, please report it ({type(fault).__name__}: {fault})"
    visit = Visit(target=target, at=now, began=time.perf_counter())
    error = ParseError(" ".join(said.split()))
    checked = await app.store.write(lambda r: record_failed(app, r, visit, error))
    _report(app, target, checked, 0.0)
    return checked


def _recorder(seen: Seen) -> Callable[[App, Records, Visit, Seen], Checked]:
    if seen.doubts:
        return record_doubted
    return record_unchanged if seen.snapshot is None else record_seen


async def _recall(app: App, target: Target) -> Memory:
    """What is stored of the last judged snapshot; its validators only if they were stored under
    these rules."""
    return await app.store.read(lambda r: recall(r, target.name, target.url, app.context))


async def _look(app: App, visit: Visit, memory: Memory) -> tuple[Page | NotModified, Seen]:
    """Fetch and read the page; once more when its body turns out to be cut or damaged."""
    validators = memory.validators if trusted(memory, visit.at) else Validators()
    for last in (False, True):
        page = await app.fetcher.get(visit.target.url, validators=validators, packed=True)
        if isinstance(page, NotModified):
            return page, still(memory, visit.at)
        try:
            return page, await _read(app, page, visit.target, memory, visit.at)
        except FetchError as exc:
            if last or not exc.retryable:
                raise
    raise AssertionError("unreachable")


async def _read(app: App, page: Page, target: Target, memory: Memory, now: datetime) -> Seen:
    """Inflate and read a page, on a thread where there are any: most of it needs no GIL."""
    means = Means(app.keeper, app.memos.of(target.name, now), _compares(app, memory, now))
    if app.threads is None:
        return read_page(page, target, memory, now, means)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(app.threads, read_page, page, target, memory, now, means)


def _compares(app: App, memory: Memory, now: datetime) -> bool:
    """Whether it is this visit's turn to compare island and cards for its kind of page."""
    kind = memory.reference.kind if memory.reference else None
    if kind is None or now - app.compared.get(kind, now - COMPARE_EVERY) < COMPARE_EVERY:
        return False
    app.compared[kind] = now
    return True


def _report(app: App, target: Target, checked: Checked, seconds: float) -> None:
    """The log line and the metrics of a visit. Labels are the config's names, never a day's."""
    app.metrics.checks.labels(target.family, checked.outcome.value).inc()
    app.metrics.check_seconds.observe(seconds)
    if target.day is None:
        _gauge(app, checked)
    if checked.outcome is CheckOutcome.FAILED:
        log.warning(
            "check_failed",
            source=checked.target,
            error=checked.error,
            failures=checked.failures,
            seconds=round(seconds, 3),
        )
        return
    if checked.outcome is CheckOutcome.QUARANTINED:
        log.warning(
            "page_quarantined",
            source=checked.target,
            error=checked.error,
            failures=checked.failures,
            page=checked.page,
        )
        return
    if checked.baseline:
        log.info("baseline_taken", source=checked.target, known=checked.known)
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


def _gauge(app: App, checked: Checked) -> None:
    metrics, name = app.metrics, checked.target
    metrics.failures.set(name, checked.failures)
    if checked.drifting is not None:
        metrics.drift.set(name, checked.drifting)
    if checked.outcome in (CheckOutcome.OK, CheckOutcome.UNCHANGED):
        metrics.last_success.set(name, checked.at.timestamp())
        if checked.cards is not None:
            metrics.cards.set(name, checked.cards)
