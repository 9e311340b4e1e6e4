"""No fault is silent: each one that would look like a quiet day shows in a metric and a notice.

The cases are those of the shared notes on reliability: hostile answers (6), slots that were
missed (9), who watches the watcher (14), and the fifteen faults that hurt most (15). Those that
belong to sending, webhooks and the store's opening are in their own files; ``ELSEWHERE`` says
where.
"""

import asyncio
import contextlib
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests import pages
from tests.conftest import ROOT
from tests.mutations import CONSENT, LOGIN, OOPS
from tests.servers import BAD, FakeClock, Site, page
from watcher.agenda import Target
from watcher.care import Care
from watcher.channels import OPTIONS
from watcher.config import parse
from watcher.daemon import Daemon
from watcher.fetch import Fetcher, FetchOptions, SystemClock
from watcher.health import Health
from watcher.heartbeat import is_well
from watcher.model import Change, CheckOutcome, EventType
from watcher.rules import compile_rule
from watcher.store import Store, open_records
from watcher.telemetry import SourceGauge
from watcher.visit import Alert, App
from watcher.watch import check, note_fault

NOW = datetime(2026, 10, 5, 12, tzinfo=UTC)
GOOD = page(pages.trending(pages.fakes(12)))
HANGING = {"silence", "silence after the headers", "one byte at a time", "endless headers",
           "endless 1xx", "large length"}  # fmt: skip
RULES = (compile_rule("any", events=[Change.NEW]),)


@contextlib.asynccontextmanager
async def watching(tmp_path, *, after=2, timeout=5.0):
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    clock = FakeClock(NOW)
    options = FetchOptions(per_host_rate=0, allow_private=True, robots=False, timeout=timeout)
    async with Site(GOOD) as site, Fetcher(options, clock=clock) as fetcher:
        app = App(store=store, fetcher=fetcher, rules=RULES, alert=Alert(after=after, hours=12))
        target = Target(name="t", url=f"{site.url}/papers/trending", family="t")

        async def visit(answers=None):
            clock.advance(1800)
            site.answers = answers or site.answers
            return await check(app, target, clock.now())

        visit.app, visit.clock, visit.site, visit.fetcher = app, clock, site, fetcher
        visit.target = target
        yield visit
    await store.close()


def metric(app, name, *labels):
    found = getattr(app.metrics, name)
    if isinstance(found, SourceGauge):
        return found.get(*labels)
    return (found.labels(*labels) if labels else found)._value.get()


async def said(app):
    events = await app.store.read(lambda r: r.events.after(known=False))
    return [event.type for event in events]


# --- 6: hostile and broken answers; 15: login page, partial page, hung daemon -------------------

ANSWERS = {
    **BAD,
    "login page": page(LOGIN.encode()),
    "consent page": page(CONSENT.encode()),
    "error page": page(OOPS.encode()),
    "empty page": page(b"<html><body></body></html>"),
    "deep page": page(b"<html>" + b"<div>" * 100_000 + b"</html>"),
    "tag of 100,000 attributes": page(
        b"<html><p " + b" ".join(b"a%d=1" % n for n in range(100_000)) + b"></p></html>"
    ),
    "latin-1 with a lie": page(
        "<html>é</html>".encode("latin-1"), headers={"Content-Type": "text/html; charset=utf-16"}
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_hostile_answer_shows_in_a_metric_and_is_told_and_its_end_too(tmp_path, name):
    async with watching(tmp_path, timeout=0.15 if name in HANGING else 5.0) as visit:
        app = visit.app
        assert (await visit()).outcome is CheckOutcome.OK
        last = metric(app, "last_success", "t")
        for n in (1, 2):
            ended = await visit(ANSWERS[name])
            assert ended.outcome in (CheckOutcome.FAILED, CheckOutcome.QUARANTINED), ended
            assert metric(app, "failures", "t") == n
        assert metric(app, "last_success", "t") == last
        assert await said(app) == [EventType.SOURCE_FAILING]
        assert (await visit(GOOD)).outcome is not CheckOutcome.FAILED
        assert metric(app, "failures", "t") == 0
        assert metric(app, "last_success", "t") > last
        assert await said(app) == [EventType.SOURCE_FAILING, EventType.SOURCE_RECOVERED]


# --- 15.6: cold start and the flood --------------------------------------------------------------


async def test_a_cold_start_and_another_page_under_the_old_address_are_no_storm(tmp_path):
    async with watching(tmp_path) as visit:
        first = await visit()
        assert (first.known, first.told) == (12, 0)
        others = [f.but(id=f"2512.{n:05d}") for n, f in enumerate(pages.fakes(20, seed=9))]
        ended = await visit(page(pages.trending(others)))
        assert ended.outcome is CheckOutcome.QUARANTINED
        assert await said(visit.app) == []


# --- 15.7: 429 -----------------------------------------------------------------------------------


async def test_a_refusal_for_too_many_requests_shows_in_the_ledger_the_gauge_and_a_notice(tmp_path):
    refused = page(
        b"", status=429, headers={"RateLimit": '"pages";r=0;t=120', "RateLimit-Policy":
                                  '"fixed window";"pages";q=100;w=300'}
    )  # fmt: skip
    async with watching(tmp_path) as visit:
        await visit()
        for _ in range(2):
            await visit(refused)
        health = Health(visit.clock)
        config = parse(b"", OPTIONS, env={}, folder=tmp_path)
        care = Care(visit.app, config, clock=visit.clock, health=health, fetcher=visit.fetcher)
        await care._pulse()
        await care.book()
        host = f"127.0.0.1:{visit.site.port}"
        assert metric(visit.app, "window_share", host) == 1.0
        ledger = await visit.app.store.read(lambda r: r.care.ledger(NOW))
        assert ledger[0].too_many >= 1
        assert ledger[0].share == 1.0
        assert EventType.SOURCE_FAILING in await said(visit.app)


async def test_a_pause_that_a_host_asked_for_outlives_a_restart(tmp_path):
    refused = page(b"", status=429, headers={"Retry-After": "3000"})
    config = parse(b"", OPTIONS, env={}, folder=tmp_path)
    async with watching(tmp_path) as visit:
        await visit(refused)
        care = Care(
            visit.app, config, clock=visit.clock, health=Health(visit.clock),
            fetcher=visit.fetcher,
        )  # fmt: skip
        await care.book()
        options = FetchOptions(per_host_rate=0, allow_private=True, robots=False)
        async with Fetcher(options, clock=visit.clock) as another:
            again = Care(
                visit.app, config, clock=visit.clock, health=Health(visit.clock), fetcher=another
            )
            await again.begin()
            (until,) = another.pauses().values()
            assert until - visit.clock.now() > timedelta(seconds=1000)


# --- 15.10, 9: what hangs, what was missed -------------------------------------------------------


async def test_a_clock_set_back_silences_nothing_and_is_logged(tmp_path, capsys):
    """An interval job sleeps for as long as the clock was set back."""
    async with Site(GOOD) as site:
        text = (
            f"[fetch]\nper_host_rate = 0\nrobots = false\nallow_private = true\n[[source]]\n"
            f'name = "t"\nurl = "{site.url}/papers/trending"\nevery = "1s"\n'
        )
        clock = Adjustable()
        daemon = Daemon(parse(text.encode(), OPTIONS, env={}, folder=tmp_path), clock=clock)
        life = asyncio.ensure_future(daemon.run())
        try:
            await until(lambda: visits(daemon) >= 2)
            clock.set(timedelta(hours=-1))
            ahead = datetime.now(UTC) + timedelta(hours=1)
            daemon._scheduler.modify_job("round", next_run_time=ahead)
            daemon._last_tick -= 60  # as the watch over the clock finds it, a minute later
            before = visits(daemon)
            await until(lambda: visits(daemon) > before)
            assert daemon._scheduler.get_job("round").next_run_time < ahead
        finally:
            daemon.stop()
            await asyncio.wait_for(life, 20)
    assert "check_missed" in capsys.readouterr().out


class Adjustable:
    """The machine's clock, with a time of day that can be set; five seconds are short."""

    def __init__(self):
        self._by = timedelta(0)

    def set(self, by):
        self._by += by

    def now(self):
        return datetime.now(UTC) + self._by

    def monotonic(self):
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds):
        await asyncio.sleep(min(seconds, 0.1))


def visits(daemon):
    counter = daemon.metrics.checks
    return sum(counter.labels("t", name)._value.get() for name in ("ok", "unchanged"))


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_fault_of_our_own_on_one_page_is_a_failed_visit_and_told(tmp_path, capsys):
    async with watching(tmp_path) as visit:
        await visit()
        for _ in range(2):
            visit.clock.advance(1800)
            ended = await note_fault(
                visit.app, visit.target, visit.clock.now(), ZeroDivisionError("in a rule")
            )
        assert ended.failures == 2
        assert metric(visit.app, "failures", "t") == 2
        assert await said(visit.app) == [EventType.SOURCE_FAILING]
        events = await visit.app.store.read(lambda r: r.events.after(known=False))
        assert "please report it (ZeroDivisionError: in a rule)" in events[0].reason
        assert "task_failed" in capsys.readouterr().out


async def test_a_fault_of_our_own_does_not_end_the_daemon(tmp_path):
    async with Site({}, routes={"/a": GOOD, "/b": GOOD}) as site:
        text = "[fetch]\nper_host_rate = 0\nrobots = false\nallow_private = true\n" + "".join(
            f'[[source]]\nname = "{name}"\nurl = "{site.url}/{name}"\nevery = "1s"\n'
            for name in ("a", "t")
        ).replace("/t", "/b")
        daemon = Daemon(parse(text.encode(), OPTIONS, env={}, folder=tmp_path))
        life = asyncio.ensure_future(daemon.run())
        try:
            await until(lambda: visits(daemon) >= 1)
            real = daemon.app.fetcher.get

            async def get(url, **more):
                if url.endswith("/a"):
                    raise ZeroDivisionError("a bug")
                return await real(url, **more)

            daemon.app.fetcher.get = get
            before = visits(daemon)
            await until(lambda: visits(daemon) > before + 1)
            await until(lambda: daemon.metrics.checks.labels("a", "failed")._value.get() >= 1)
            assert not life.done()
        finally:
            daemon.stop()
            await asyncio.wait_for(life, 20)


async def test_a_source_that_failed_before_a_restart_is_known_to_fail_after_it(tmp_path):
    """It may be hours until the next visit; until then nobody must be told that all is well."""
    now = datetime.now(UTC)
    with open_records(tmp_path / "watcher.db", create=True, migrate=True) as records:
        source = records.sources.id_of("t", "http://127.0.0.1:9/papers/trending")
        for _ in range(4):
            records.sources.fail(source, now, "no connection")
        records.sources.plan(source, now + timedelta(minutes=20))
    text = '[[source]]\nname = "t"\nurl = "http://127.0.0.1:9/papers/trending"\n'
    text += "[fetch]\nallow_private = true\n"
    daemon = Daemon(parse(text.encode(), OPTIONS, env={}, folder=tmp_path))
    life = asyncio.ensure_future(daemon.run())
    try:
        await until(lambda: daemon.health.report(now).ready)
        assert daemon.metrics.failures.get("t") == 4
        report = daemon.health.report(now)
        assert report.problems == ("source t: failed 4 times in a row",)
        assert not is_well(report, daemon.health.blind(3))
    finally:
        daemon.stop()
        await asyncio.wait_for(life, 20)


async def test_a_loop_that_hung_over_a_due_time_loses_no_visit_and_shows_its_lag(
    tmp_path, monkeypatch
):
    """APScheduler drops a run that is more than a second late, unless it is told not to."""
    monkeypatch.setenv("WATCHDOG_USEC", "1200000")
    async with Site(GOOD) as site:
        text = (
            f"[fetch]\nper_host_rate = 0\nrobots = false\nallow_private = true\n[[source]]\n"
            f'name = "t"\nurl = "{site.url}/papers/trending"\nevery = "1s"\n'
        )
        daemon = Daemon(parse(text.encode(), OPTIONS, env={}, folder=tmp_path))
        life = asyncio.ensure_future(daemon.run())
        try:
            for _ in range(2):
                before = visits(daemon)
                await until(lambda before=before: visits(daemon) > before)
                time.sleep(1.8)  # the loop hangs
                before = visits(daemon)
                await until(lambda before=before: visits(daemon) > before)
            await until(lambda: daemon.metrics.loop_lag._value.get() > 1)
        finally:
            daemon.stop()
            await asyncio.wait_for(life, 20)


# --- 15.9, 15.15: the store takes no writes ------------------------------------------------------


@contextlib.asynccontextmanager
async def locked(daemon):
    """Another program holds the store, for longer than anybody waits for it."""
    await daemon.app.store.read(lambda r: r.conn.execute("pragma busy_timeout = 50"))
    with contextlib.closing(sqlite3.connect(daemon.app.store.path, isolation_level=None)) as other:
        other.execute("begin immediate")
        yield "is locked by another program"
        other.execute("rollback")


@contextlib.asynccontextmanager
async def read_only(daemon):
    await daemon.app.store.read(lambda r: r.conn.execute("pragma query_only = on"))
    yield "is read-only"
    await daemon.app.store.read(lambda r: r.conn.execute("pragma query_only = off"))


@pytest.mark.parametrize("trouble", [locked, read_only])
async def test_a_store_that_takes_no_writes_pauses_is_told_turns_health_and_all_goes_on(
    tmp_path, trouble
):
    async with Site(GOOD) as site:
        text = (
            f'[watcher]\noperator = "me"\n[channel.me]\ntype = "maildir"\npath = "mail"\n'
            f"[fetch]\nper_host_rate = 0\nrobots = false\nallow_private = true\n[[source]]\n"
            f'name = "t"\nurl = "{site.url}/papers/trending"\nevery = "1s"\n'
        )
        config = parse(text.encode(), OPTIONS, env={}, folder=tmp_path)
        daemon = Daemon(config, clock=QuickClock())
        life = asyncio.ensure_future(daemon.run())
        try:
            await until(lambda: visits(daemon) >= 1)
            async with trouble(daemon) as why:
                await until(lambda: not daemon.health.report(NOW).well)
                assert why in daemon.health.report(NOW).problems[0]
                assert daemon.metrics.store_errors._value.get() >= 1
                assert daemon.health.alive, "a restart would not help"
                await until(lambda: len(letters(tmp_path)) == 1)
                assert not life.done()
            before = visits(daemon)
            await until(lambda: daemon.health.report(NOW).well)
            await until(lambda: visits(daemon) > before)
            await until(lambda: len(letters(tmp_path)) == 2)
        finally:
            daemon.stop()
            await asyncio.wait_for(life, 20)


def letters(folder):
    return [path for path in (folder / "mail").rglob("*") if path.is_file()]


class QuickClock(SystemClock):
    """A minute's wait is over in a moment."""

    async def sleep(self, seconds):
        await asyncio.sleep(min(seconds, 0.2))


# --- the others ----------------------------------------------------------------------------------

ELSEWHERE = {
    "layout drift is named, nothing is told as new (6, 15.1)": (
        "test_doubt.py", "test_a_mutated_page_invents_nothing_and_is_right_or_put_aside"),
    "half pages are put aside and kept (6, 15.3)": (
        "test_blind.py", "test_a_doubtful_page_counts_as_blind_and_is_kept_for_a_look"),
    "one notice, one recovery, no storm (14)": (
        "test_blind.py", "test_twenty_sources_of_one_host_are_one_notice_with_the_list"),
    "a gap is accounted for (14)": (
        "test_blind.py", "test_the_account_of_an_outage_is_that_of_the_records"),
    "missed days are fetched (9)": (
        "test_blind.py", "test_days_missed_for_longer_than_is_followed_are_fetched_once"),
    "sleep, clock jumps, daylight saving (9, 15.2)": (
        "test_lifecycle.py", "test_a_clock_set_forward_or_a_sleep_gives_one_visit_and_not_a_burst"),
    "what hangs is restarted (15.10)": (
        "test_lifecycle.py", "test_a_stuck_store_stops_the_watchdog"),
    "the dead-man's switch (14)": (
        "test_blind.py", "test_the_heartbeat_starts_beats_fails_and_beats_again"),
    "empty, damaged, foreign, newer database (15.6)": (
        "test_care.py", "test_a_store_that_cannot_be_trusted_is_refused_left_alone"),
    "damage that nobody has met yet (14)": (
        "test_care.py", "test_damage_is_found_within_a_week_told_and_turns_health"),
    "a full disk (15.15)": (
        "test_care.py", "test_a_full_disk_pauses_turns_health_is_told_and_all_goes_on"),
    "a backup that fails (14)": (
        "test_care.py", "test_a_backup_that_cannot_be_written_is_told_and_tried_again"),
    "lost or doubled at a crash (15.4)": (
        "test_deliver.py", "test_a_crash_before_the_outcome_is_recorded_repeats_the_same_message"),
    "mail that is partly refused (15.5)": (
        "test_deliver.py", "test_partial_refusals_end_as_sent_suppressed_and_waiting"),
    "messages that were given up (14)": (
        "test_deliver.py", "test_the_metrics_show_what_waits_and_what_was_given_up"),
    "a threshold that flaps, old news (15.6)": (
        "test_outbox.py", "test_the_same_event_is_owed_once"),
    "half a transaction (15.8)": (
        "test_store.py", "test_what_raises_inside_a_transaction_leaves_nothing_behind"),
    "a store that is locked (15.9)": (
        "test_store.py", "test_a_locked_store_is_a_retryable_error_and_works_again_afterwards"),
    "two that migrate at once (15.9)": (
        "test_store.py", "test_two_programs_may_open_and_migrate_one_store_at_once"),
    "a digest slept over (9, 15.2)": (
        "test_outbox.py", "test_after_downtime_an_overdue_digest_waits_for_the_first_checks"),
    "one digest a date, whatever clocks do (9, 15.15)": (
        "test_schedule.py", "test_every_local_date_has_exactly_one_digest_at_every_hour"),
    "a clock that jumps over a digest (9)": (
        "test_outbox.py", "test_a_clock_that_jumps_and_comes_back_doubles_and_loses_no_digest"),
    "one bad title, in mail (15.11)": (
        "test_channels_email.py", "test_ten_thousand_titles_break_no_header"),
    "one bad title, in feeds (15.11)": (
        "test_web_feeds.py", "test_hostile_words_keep_every_feed_well_formed_and_inert"),
    "one odd item of a page (15.11)": (
        "test_readers_island.py", "test_one_odd_item_is_a_warning_and_not_the_end_of_the_page"),
    "where webhooks may go (15.13)": (
        "test_guard.py", "test_no_spelling_of_this_machine_is_reached"),
    "unsubscribing that scanners cannot do (15.14)": (
        "test_web_subscriptions.py", "test_the_link_to_unsubscribe_shows_a_page_and_changes"),
    "a dead endpoint (15.15)": (
        "test_deliver.py", "test_a_dead_endpoint_delays_nobody"),
    "a channel that is switched off (14, 15.15)": (
        "test_deliver.py", "test_an_endpoint_that_is_gone_is_disabled_at_once_and_the_operator"),
    "the operator's own channel is broken (14)": (
        "test_outbox.py", "test_a_notice_about_the_operators_channel_takes_another"),
    "secrets (15.12)": ("test_canary.py", "test_no_secret_is_in_logs_metrics_pages_files"),
    "alert rules watch the metrics (14)": (
        "test_operations.py", "test_every_metric_of_an_alert_rule_exists"),
}  # fmt: skip


@pytest.mark.parametrize("case", ELSEWHERE)
def test_the_other_silent_failures_have_their_test(case):
    file, name = ELSEWHERE[case]
    assert f"def {name}" in (ROOT / "tests" / file).read_text("utf-8")
