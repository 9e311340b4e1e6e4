"""The daemon's life as systemd sees it: ready, alive, reloaded, stopped, refused."""

import asyncio
import contextlib
import itertools
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import lives, pages
from tests.servers import FakeClock, Site, page, silence
from watcher import telemetry
from watcher.agenda import Agenda
from watcher.channels import OPTIONS
from watcher.config import Config, host_of, parse
from watcher.daemon import Daemon, Steady
from watcher.errors import ConfigError, StoreError, StoreRefused
from watcher.health import Health, State
from watcher.model import CheckOutcome
from watcher.rules import compile_rule
from watcher.store import Lock, open_records
from watcher.watch import App, Checked
from watcher.web import WebContext

NOW = datetime(2026, 10, 5, 12, tzinfo=UTC)


async def test_ready_is_told_once_the_store_is_there_and_sigterm_ends_it_in_order(tmp_path):
    async with lives.site() as (_, site):
        path = lives.config(tmp_path, site.url)
        async with lives.running(path) as life:
            await life.notify.hear("READY=1")
            assert (tmp_path / "watcher.db").exists()
            await life.see("check_finished", times=2)
            life.signal(signal.SIGTERM)
            assert await life.end(within=10) == 0
            assert life.notify.said("STOPPING=1")
            assert life.events("daemon_stopped")


async def test_a_bad_config_ends_with_78_and_is_never_ready(tmp_path):
    path = lives.config(tmp_path, "http://127.0.0.1:9", every="1x")
    async with lives.running(path) as life:
        assert await life.end() == 78
        assert not life.notify.said("READY=1")


async def test_a_port_that_is_taken_is_one_line_and_never_ready(tmp_path):
    async with lives.site() as (_, site):
        taken = site.url.removeprefix("http://")
        path = lives.config(tmp_path, site.url, tables=f'[web]\nlisten = "{taken}"')
        async with lives.running(path) as life:
            assert await life.end() == 1
            assert f"{taken} is taken by another program" in life.log[-1]["text"]
            assert "Traceback" not in str(life.log)
            assert not life.notify.said("READY=1")


async def test_the_first_sign_of_life_in_the_store_is_that_of_a_daemon_that_is_ready(tmp_path):
    async with lives.site() as (_, site):
        path = lives.config(tmp_path, site.url, tables='[web]\nlisten = "127.0.0.1:0"')
        async with lives.running(path) as life:
            await life.notify.hear("READY=1")
            await life.see("check_finished")
            asked = await lives.start("healthcheck", "-c", str(path))
            said, _ = await asked.communicate()
            assert (asked.returncode, said.decode().strip()) == (0, "ok")


async def test_a_second_daemon_on_the_same_store_refuses_within_seconds(tmp_path):
    async with lives.site() as (_, site):
        path = lives.config(tmp_path, site.url)
        async with lives.running(path) as life:
            await life.notify.hear("READY=1")
            second = await lives.start("run", "-c", str(path))
            _, said = await second.communicate()
            assert second.returncode == 78
            assert f"process {life.process.pid}" in said.decode()
            assert life.process.returncode is None


def test_the_lock_is_refused_within_three_seconds(tmp_path):
    first, second = Lock(tmp_path / "w.db"), Lock(tmp_path / "w.db")
    first.acquire()
    began = time.monotonic()
    with pytest.raises(StoreRefused, match="another watcher"):
        second.acquire()
    assert time.monotonic() - began < 3
    first.release()
    second.acquire()
    second.release()


async def test_sigterm_waits_for_a_visit_under_way_but_not_for_ever(tmp_path):
    async with Site(silence()) as site:
        path = lives.config(tmp_path, site.url)
        async with lives.running(path) as life:
            await life.notify.hear("READY=1")
            await lives.until(lambda: site.pages)
            life.signal(signal.SIGTERM)
            assert await life.end(within=10) == 0


async def test_a_second_sigterm_ends_it_at_once(tmp_path):
    async with Site(silence()) as site:
        path = lives.config(tmp_path, site.url)
        async with lives.running(path) as life:
            await life.notify.hear("READY=1")
            await lives.until(lambda: site.pages)
            life.signal(signal.SIGTERM)
            await life.notify.hear("STOPPING=1")
            began = time.monotonic()
            life.signal(signal.SIGTERM)
            assert await life.end() == 130
            assert time.monotonic() - began < 2


HUNG = """\
import asyncio, os, signal, sys, threading
from pathlib import Path
from watcher import daemon
from watcher.channels import OPTIONS
from watcher.config import load

daemon.LAST_RESORT = 3.0

async def live():
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, threading.Event().wait)  # a thread that never ends
    loop.call_later(1, os.kill, os.getpid(), signal.SIGTERM)
    await daemon.Daemon(load(Path(sys.argv[1]), OPTIONS, {})).run()

asyncio.run(live())
"""


async def test_a_thread_that_hangs_keeps_no_process_alive_that_was_asked_to_stop(tmp_path):
    """The interpreter joins such threads when everything else has ended in order."""
    async with lives.site() as (_, site):
        path = lives.config(tmp_path, site.url)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HUNG, str(path), stdout=asyncio.subprocess.PIPE
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), 20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        assert process.returncode == 0
        assert b"daemon_stopped" in said


async def test_sighup_takes_a_good_config_and_keeps_the_old_one_when_the_new_is_bad(tmp_path):
    async with lives.site() as (_, site):
        path = lives.config(tmp_path, site.url)
        async with lives.running(path) as life:
            await life.notify.hear("READY=1")
            await life.see("check_finished")
            good = path.read_text()
            path.write_text(good.replace('name = "trending"', 'name = "other"'))
            life.signal(signal.SIGHUP)
            await life.see("config_reloaded")
            await life.notify.hear("READY=1", times=2)
            assert any("MONOTONIC_USEC=" in text for _, text in life.notify.heard)
            life.log.clear()
            await life.see("check_finished", times=2)
            assert {line["source"] for line in life.events("check_finished")} == {"other"}
            path.write_text(good.replace("min_upvotes", "min_upvote"))
            life.signal(signal.SIGHUP)
            refused = await life.see("config_refused")
            assert "min_upvote" in refused[0]["error"]
            await life.notify.hear("READY=1", times=3)
            life.log.clear()
            await life.see("check_finished", times=2)
            assert {line["source"] for line in life.events("check_finished")} == {"other"}


async def test_a_reload_says_what_it_cannot_change_and_leaves_that_as_it_was(tmp_path, capsys):
    async with lives.site() as (_, site):
        text = lives.CONFIG.format(
            site=site.url, every="1s", tables='[web]\nlisten = "127.0.0.1:0"', watcher=""
        )
        changed = (
            text.replace("watcher.db", "other.db")
            .replace("per_host_rate = 0", "per_host_rate = 3")
            .replace("127.0.0.1:0", "127.0.0.1:1")
            .replace("min_upvotes = 5", "min_upvotes = 6")
        )
        configs = [parse(t.encode(), OPTIONS, env={}, folder=tmp_path) for t in (text, changed)]
        refused = ConfigError("config.toml:3 [fetch] rate: unknown key\nand more")
        found = iter((refused, configs[1]))
        daemon = Daemon(configs[0], reload=lambda: raised_or_given(next(found)))
        life = asyncio.ensure_future(daemon.run())
        try:
            await lives.until(lambda: checks_of(daemon) >= 1)
            await daemon.reload()
            said = (
                "the config is refused, the old one stays: config.toml:3 [fetch] rate: unknown key"
            )
            assert daemon.health.report(datetime.now(UTC)).problems == (said,)
            await daemon.reload()
            assert daemon.health.report(datetime.now(UTC)).problems == ()
            assert daemon.config.watcher.database == configs[0].watcher.database
            assert daemon.config.fetch == configs[0].fetch
            assert daemon.config.web == configs[0].web
            assert daemon.app.rules[0].min_upvotes == 6
        finally:
            daemon.stop()
            await asyncio.wait_for(life, 20)
    said = capsys.readouterr().out
    for part in ("[watcher] database", "[fetch]", "[web]"):
        assert f"{part} is in force after a restart" in said
    assert "[watcher] contact is in force" not in said


async def test_a_source_that_left_the_config_while_it_was_visited_worries_nobody(tmp_path):
    """A host that hangs is being visited most of the time, also when it is taken out."""
    gone = '\n[[source]]\nname = "gone"\nurl = "{}/papers/trending"\nevery = "1s"\n'
    async with lives.site() as (_, site), Site(silence()) as hung:
        text = lives.CONFIG.format(site=site.url, every="1s", tables="", watcher="")
        text = text.replace("[fetch]", '[fetch]\ntimeout = "500ms"')
        configs = [
            parse(t.encode(), OPTIONS, env={}, folder=tmp_path)
            for t in (text + gone.format(hung.url), text)
        ]
        daemon = Daemon(configs[0], reload=lambda: configs[1])
        life = asyncio.ensure_future(daemon.run())
        shown, hanging = daemon.metrics.failures, host_of(hung.url)
        try:
            await lives.until(lambda: shown.get("gone") and daemon.agenda._busy[hanging])
            await daemon.reload()
            assert shown.get("gone") is None
            await lives.until(lambda: not daemon.agenda._busy[hanging])
            await lives.until(lambda: checks_of(daemon) >= 2)
            assert shown.get("gone") is None
            assert shown.get("trending") == 0
            assert daemon.health.report(datetime.now(UTC)).problems == ()
        finally:
            daemon.stop()
            await asyncio.wait_for(life, 20)


@pytest.mark.parametrize("kind", ["visits", "pages"])
def test_rules_put_in_force_while_others_are_being_learnt_stay_in_force(tmp_path, kind):
    """A reload comes on the event loop's thread; budgets are learnt on the store's."""
    old, new = (compile_rule("r", min_upvotes=votes, budget=3.0) for votes in (5, 50))
    with open_records(tmp_path / "w.db", create=True, migrate=True) as records:
        if kind == "visits":
            app = App(store=None, fetcher=None, rules=[old])
            judging, reload = app.learnt, lambda: app.use_rules([new])
        else:
            context = WebContext(config=Config(), store=None, rules=[old], clock=FakeClock(NOW))
            judging, reload = context.learnt, lambda: context.use(Config(), [new])
        asked = []

        def meanwhile(statement):
            if "budget:r:" in statement and not asked:
                asked.append(statement)
                reload()

        records.conn.set_trace_callback(meanwhile)
        assert judging(records, NOW)[1][0].min_upvotes == 5
        assert asked
        assert judging(records, NOW)[1][0].min_upvotes == 50


def raised_or_given(value):
    if isinstance(value, Exception):
        raise value
    return value


async def test_a_hundred_reloads_lose_no_visit_and_leak_no_handle(tmp_path):
    async with lives.site() as (_, site):
        tables = '[archive]\n[channel.me]\ntype = "maildir"\npath = "mail"\n'
        text = lives.CONFIG.format(site=site.url, every="1s", tables=tables, watcher="")
        configs = [
            parse(
                text.replace("[archive]", f'[archive]\nkeep = "{days}d"').encode(),
                OPTIONS,
                env={},
                folder=tmp_path,
            )
            for days in (5, 6)
        ]
        turns = itertools.cycle(configs)
        daemon = Daemon(configs[0], reload=lambda: next(turns))
        life = asyncio.ensure_future(daemon.run())
        try:
            await lives.until(lambda: checks_of(daemon) >= 2)
            before = handles()
            for _ in range(100):
                await daemon.reload()
            assert handles() <= before + 3
            done = checks_of(daemon)
            await lives.until(lambda: checks_of(daemon) >= done + 2)
            # As many as the seconds that passed, not one per reload.
            assert done < 40
        finally:
            daemon.stop()
            await asyncio.wait_for(life, 20)


def checks_of(daemon):
    counter = daemon.metrics.checks
    return sum(counter.labels("trending", name)._value.get() for name in ("ok", "unchanged"))


def handles():
    return len(list(Path("/proc/self/fd").iterdir()))


# --- the watchdog: what hangs is not fed ---


@contextlib.asynccontextmanager
async def living(tmp_path, monkeypatch):
    """A daemon in this loop under a watchdog of 1.2 s, which has fed it twice."""
    monkeypatch.setenv("WATCHDOG_USEC", "1200000")
    notify = lives.NotifySocket(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(notify.path))
    async with lives.site() as (_, site):
        text = lives.CONFIG.format(site=site.url, every="1s", tables="", watcher="")
        daemon = Daemon(parse(text.encode(), OPTIONS, env={}, folder=tmp_path))
        life = asyncio.ensure_future(daemon.run())
        try:
            await notify.hear("WATCHDOG=1", times=2, within=20)
            yield daemon, notify
        finally:
            daemon.stop()
            await asyncio.wait_for(life, 20)
            notify.close()


async def fed_no_more(daemon, notify):
    """Wait until the daemon knows that it hangs; whether the watchdog was left alone then."""
    async with asyncio.timeout(20):
        while daemon.health.alive:
            await asyncio.sleep(0.05)
    beats = len(notify.said("WATCHDOG=1"))
    await asyncio.sleep(3 * daemon.health.period)
    return len(notify.said("WATCHDOG=1")) == beats


async def test_a_living_daemon_feeds_the_watchdog_and_says_how_it_is(tmp_path, monkeypatch):
    async with living(tmp_path, monkeypatch) as (_, notify):
        await notify.hear("WATCHDOG=1", times=5, within=20)
        assert any("last good check" in text for _, text in notify.heard)


async def test_a_worry_stands_in_the_status_at_once(tmp_path, monkeypatch):
    async with living(tmp_path, monkeypatch) as (daemon, notify):
        last, daemon.health.period = daemon.health.period, 60.0
        await asyncio.sleep(2 * last)  # from now on it looks no more
        daemon.health.worry("config", "the config is refused")
        await lives.until(lambda: "the config is refused" in notify.heard[-1][1], within=5)
        daemon.health.worry("config", None)
        await lives.until(lambda: notify.heard[-1][1].endswith("; ok"), within=5)


async def test_a_stuck_scheduler_stops_the_watchdog(tmp_path, monkeypatch):
    async with living(tmp_path, monkeypatch) as (daemon, notify):
        daemon._scheduler.pause()
        assert await fed_no_more(daemon, notify)
        report = daemon.health.report(datetime.now(UTC))
        assert report.problems[0] == "the scheduler does not tick"
        assert not report.well


async def test_a_tick_that_fails_is_no_sign_of_life_and_is_logged(tmp_path, monkeypatch, capsys):
    async with living(tmp_path, monkeypatch) as (daemon, notify):
        daemon.agenda.follow = lambda now: 1 / 0
        assert await fed_no_more(daemon, notify)
        del daemon.agenda.follow
    said = capsys.readouterr().out
    assert "task_failed" in said
    assert "division by zero" in said


async def test_a_stuck_store_stops_the_watchdog(tmp_path, monkeypatch):
    async with living(tmp_path, monkeypatch) as (daemon, notify):
        gate = threading.Event()
        stuck = asyncio.ensure_future(daemon.app.store.read(lambda r: gate.wait()))
        try:
            assert await fed_no_more(daemon, notify)
            assert "the store does not answer" in daemon.health.report(datetime.now(UTC)).problems
        finally:
            gate.set()
            await stuck
        await notify.hear("WATCHDOG=1", times=len(notify.said("WATCHDOG=1")) + 1, within=20)


async def test_a_stuck_loop_stops_the_watchdog(tmp_path, monkeypatch):
    async with living(tmp_path, monkeypatch) as (_, notify):
        asyncio.get_running_loop().remove_reader(notify.socket)
        heard = []

        def listen():
            notify.socket.settimeout(0.1)
            until = time.monotonic() + 2
            while time.monotonic() < until:
                with contextlib.suppress(TimeoutError):
                    heard.append((time.monotonic(), notify.socket.recv(4096).decode()))

        thread = threading.Thread(target=listen)
        thread.start()
        began = time.monotonic()
        time.sleep(1.5)  # the loop hangs
        ended = time.monotonic()
        thread.join()
        beats = [at for at, text in heard if text == "WATCHDOG=1"]
        assert not [at for at in beats if began + 0.1 < at < ended - 0.01]


def test_a_store_that_says_the_disk_is_full_is_alive_but_not_well():
    health = Health(FakeClock(NOW))
    health.begin()
    health.store_failed("the disk is full")
    assert health.alive
    report = health.report(NOW)
    assert (report.status, report.well) == (State.FAILING, False)
    health.store_failed(None)
    assert health.report(NOW).status is State.OK


def test_a_site_that_fails_makes_the_state_degraded_and_not_failing():
    health = Health(FakeClock(NOW))
    assert health.report(NOW).status is State.STARTING
    health.remember(NOW - timedelta(hours=2))
    health.begin()
    health.checked(Checked(target="t", at=NOW, outcome=CheckOutcome.FAILED, failures=3))
    report = health.report(NOW)
    assert (report.status, report.well) == (State.DEGRADED, True)
    assert report.problems == ("source t: failed 3 times in a row",)
    assert report.last_good_check_age == 7200
    health.checked(Checked(target="t", at=NOW, outcome=CheckOutcome.UNCHANGED))
    assert health.report(NOW).problems == ()


# --- reloads lose no visit and double none ---


def agenda_of(*names, now, due=None, every="30m"):
    sources = "".join(
        f'[[source]]\nname = "{n}"\nurl = "https://site-{n}.example/papers/trending"\n'
        f'every = "{every}"\n'
        for n in names
    )
    return Agenda(parse(sources.encode(), OPTIONS, env={}, folder=Path()), now=now, due=due or {})


def test_a_visit_under_way_is_not_begun_again_after_a_reload():
    before = agenda_of("a", "b", now=NOW)
    first = before.take(NOW)
    after = agenda_of("a", "b", now=NOW)
    after.take_over(before, NOW)
    second = after.take(NOW)
    assert {first.name, second.name} == {"a", "b"}
    assert after.take(NOW) is None
    due = after.done(first, NOW)
    assert due > NOW
    assert after.take(due).name == "a"


def test_a_visit_that_waited_at_a_reload_is_not_lost():
    before = agenda_of("a", "b", now=NOW)
    taken = before.take(NOW)
    waiting = ({"a", "b"} - {taken.name}).pop()
    after = agenda_of("a", "b", "c", now=NOW)
    after.take_over(before, NOW)
    assert {after.take(NOW).name, after.take(NOW).name} == {waiting, "c"}


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=-1), timedelta(days=-20000)])
def test_a_clock_set_back_delays_no_visit_by_more_than_its_interval(jump):
    agenda = agenda_of("a", now=NOW)
    agenda.done(agenda.take(NOW), NOW)
    then = NOW + jump
    agenda.turn_clock(then)
    assert then < agenda.due_at("a") <= then + timedelta(minutes=34)
    assert agenda.take(then) is None


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(days=1), timedelta(days=9)])
def test_a_clock_set_forward_or_a_sleep_gives_one_visit_and_not_a_burst(jump):
    agenda = agenda_of("a", now=NOW)
    agenda.done(agenda.take(NOW), NOW)
    then = NOW + jump
    assert agenda.take(then).name == "a"
    agenda.done(agenda.target("a"), then)
    assert agenda.take(then) is None


def test_a_stored_time_of_a_wrong_clock_is_not_believed():
    agenda = agenda_of("a", now=NOW, due={"a": NOW + timedelta(days=4000)})
    assert agenda.due_at("a") <= NOW + timedelta(minutes=30)


@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]
)
def test_daylight_saving_changes_no_interval(day):
    agenda = agenda_of("a", now=day)
    visits = []
    now = day
    while now < day + timedelta(hours=6):
        if (target := agenda.take(now)) is not None:
            visits.append(now)
            agenda.done(target, now)
        now += timedelta(minutes=1)
    gaps = {b - a for a, b in itertools.pairwise(visits)}
    assert gaps
    assert min(gaps) >= timedelta(minutes=30)
    assert max(gaps) <= timedelta(minutes=35)


def test_what_a_clock_leapt_over_is_one_tick():
    every = Steady(seconds=0.5)
    now = datetime(2027, 10, 5, tzinfo=UTC)
    before = now - timedelta(days=365)
    assert every.get_next_fire_time(before, now) == now + timedelta(seconds=0.5)
    assert every.get_next_fire_time(now, now) == now + timedelta(seconds=0.5)


async def test_a_reload_waits_for_a_store_that_is_locked(tmp_path, monkeypatch):
    text = '[watcher]\ndatabase = "w.db"\n'
    daemon = Daemon(parse(text.encode(), OPTIONS, env={}, folder=tmp_path))
    tried, waited = [], []

    async def reload():
        tried.append(1)
        if len(tried) < 3:
            raise StoreError("locked")
        done.set()

    async def wait(exc):
        waited.append(str(exc))

    done = asyncio.Event()
    monkeypatch.setattr(daemon, "reload", reload)
    monkeypatch.setattr(daemon, "_wait_for_store", wait)
    loop = asyncio.create_task(daemon._reload_loop())
    daemon._reload_asked.set()
    async with asyncio.timeout(10):
        await done.wait()
    loop.cancel()
    assert (len(tried), waited) == (3, ["locked", "locked"])


def test_a_log_that_cannot_be_written_ends_nothing():
    done = []
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as full:
        telemetry.configure(stream=full, json=True)
        telemetry.log.info("daemon_ready")
        telemetry.log.error("task_failed", part="x")
        done.append(1)
    telemetry.configure()
    assert done


async def test_an_edited_url_is_noticed_at_the_start_before_any_past_day_is_visited(tmp_path):
    path = tmp_path / "w.db"
    with open_records(path, create=True, migrate=True) as records, records.transaction():
        records.sources.id_of("daily", "https://old.example/papers")
        records.events.keep_pair("r", "daily", "f", datetime(2026, 10, 5, tzinfo=UTC))
    text = '[watcher]\ndatabase = "w.db"\n[[source]]\nname = "daily"\n'
    text += 'url = "https://new.example/papers"\n'
    daemon = Daemon(parse(text.encode(), OPTIONS, env={}, folder=tmp_path))
    async with daemon._open():
        look = await daemon.app.store.read(
            lambda r: (r.sources.state("daily").url, r.events.pairs("daily"))
        )
        assert look == ("https://new.example/papers", {})


async def test_sites_that_want_a_minute_between_requests_keep_no_other_source_waiting(tmp_path):
    """Eight hosts with three sources each would take up all checkers by waiting for their turn."""
    papers = page(pages.trending(pages.fakes(6)))
    delay = {"/robots.txt": page(b"User-agent: *\nCrawl-delay: 60\n")}
    seen = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(Site(papers, routes=delay)) for _ in range(8)]
        well = await stack.enter_async_context(Site(papers))
        sources = [(f"slow{n}{i}", site.url, i) for n, site in enumerate(slow) for i in range(3)]
        text = "[fetch]\nallow_private = true\nper_host_rate = 0\n" + "".join(
            f"[[source]]\nname = '{name}'\nurl = '{url}/papers/trending?{i}'\n"
            for name, url, i in [*sources, ("well", well.url, 0)]
        )
        config = parse(text.encode(), OPTIONS, env={}, folder=tmp_path)
        daemon = Daemon(config, on_checked=lambda c: seen.set() if c.target == "well" else None)
        running = asyncio.create_task(daemon.run())
        try:
            async with asyncio.timeout(30):
                await seen.wait()
        finally:
            running.cancel()
            await asyncio.wait([running])
