"""Housekeeping: backups, pruning, checks, ledger, heartbeat, gaps, and a store in trouble."""

import asyncio
import contextlib
import os
import resource
import sqlite3
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests import lives, pages
from tests.servers import FakeClock, Site, page
from watcher import care
from watcher.agenda import Target
from watcher.channels import OPTIONS
from watcher.config import parse
from watcher.daemon import Daemon
from watcher.errors import StoreRefused
from watcher.fetch import Fetcher, FetchOptions, SystemClock
from watcher.health import Health
from watcher.model import Change, EventType, Letter
from watcher.rules import compile_rule
from watcher.store import Lock, Store, open_records
from watcher.store.care import Spans, quick_check, verify_backup, write_backup
from watcher.store.ledger import Words
from watcher.visit import App
from watcher.wants import Wishes
from watcher.watch import check

NOW = datetime(2026, 10, 5, 12, tzinfo=UTC)
OPTIONS_HTTP = FetchOptions(per_host_rate=0, allow_private=True, robots=False)


def config_of(tmp_path, text=""):
    return parse(
        f'[watcher]\ndatabase = "w.db"\ntimezone = "Europe/Berlin"\n{text}'.encode(),
        OPTIONS,
        env={},
        folder=tmp_path,
    )


@contextlib.asynccontextmanager
async def cared(tmp_path, text="", at=NOW, rules=()):
    """A store with one page in it, and its housekeeping."""
    config = config_of(tmp_path, text)
    path = tmp_path / "w.db"
    clock = FakeClock(at)
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    async with (
        Site(page(pages.trending(pages.fakes(6)))) as site,
        Fetcher(OPTIONS_HTTP, clock=clock) as fetcher,
    ):
        app = App(store=store, fetcher=fetcher, rules=rules)
        target = Target(name="t", url=f"{site.url}/papers/trending", family="t")
        await check(app, target, clock.now())
        health = Health(clock)
        keeping = care.Care(app, config, clock=clock, health=health, fetcher=fetcher)
        keeping.app, keeping.clock, keeping.health, keeping.site = app, clock, health, site
        keeping.target, keeping.folder = target, tmp_path
        yield keeping
    await store.close()


# --- backups ---------------------------------------------------------------------------------


async def test_a_backup_is_written_each_night_in_the_watchers_zone_and_so_many_are_kept(tmp_path):
    async with cared(tmp_path, "[backup]\nat = 03:30:00\nkeep = 3\n") as keeping:
        for _ in range(6 * 24):
            await keeping._nightly()
            keeping.clock.advance(3600)
        kept = sorted((tmp_path / "backups").glob("*.db"))
        assert len(kept) == 3
        # 03:30 in Berlin is 01:30 UTC in summer; the daemon looks once an hour here.
        assert [file.name[10:13] for file in kept] == ["T02"] * 3
        assert all(oct(file.stat().st_mode)[-3:] == "600" for file in kept)
        assert verify_backup(kept[-1]) == 6
        assert oct((tmp_path / "backups").stat().st_mode)[-3:] == "700"


async def test_a_machine_that_slept_over_the_hour_makes_up_for_it_once(tmp_path):
    async with cared(tmp_path, "[backup]\n") as keeping:
        await keeping._nightly()
        keeping.clock.advance(9 * 86_400)
        for _ in range(3):
            await keeping._nightly()
        assert len(list((tmp_path / "backups").glob("*.db"))) == 2


async def test_no_alert_waits_for_a_backup(tmp_path):
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    await store.write(
        lambda r: r.conn.executemany(
            "insert into learnt (name, before, body) values ('x', ?, ?)",
            [(n, "y" * 4000) for n in range(15_000)],
        )
    )
    loop = asyncio.get_running_loop()
    copying = asyncio.ensure_future(care.in_thread(lambda: write_backup(path, tmp_path / "b.db")))
    waits = []
    while not copying.done():
        began = loop.time()
        await store.write(lambda r: r.care.done("pulse", NOW))
        waits.append(loop.time() - began)
        await asyncio.sleep(0.005)
    await copying
    assert len(waits) >= 3
    assert sorted(waits)[len(waits) // 2] < 0.5
    await store.close()
    assert quick_check(tmp_path / "b.db") is None


async def test_an_address_that_never_confirmed_is_forgotten(tmp_path):
    async with cared(tmp_path) as keeping:

        def ask(r):
            wishes = Wishes(query="x")
            for name, age in (("old", 15), ("fresh", 13), ("active", 99)):
                at = NOW - timedelta(days=age)
                row = r.people.ask(f"{name}@a.org", wishes, handle=name, nonce="", now=at)
                words = Words(letter=Letter(subject="Please confirm", lines=()))
                r.outbox.post("mail", f"l:{name}", f"{name}@a.org", words=words, due_at=at)
                if name == "active":
                    r.people.activate(row, wishes, at, due_at=NOW, anew=True)
            pruned = r.care.prune(Spans(), NOW).asked
            letters = sorted(line.recipient for line in r.outbox.lines())
            return pruned, [p.handle for p in r.people.all()], letters

        left = ["active@a.org", "fresh@a.org"]
        assert await keeping.app.store.write(ask) == (1, ["active", "fresh"], left)


async def test_a_backup_that_cannot_be_written_is_told_and_tried_again(tmp_path, capsys):
    async with cared(tmp_path, '[backup]\nfolder = "blocked"\n') as keeping:
        (tmp_path / "blocked").write_text("no folder")
        await keeping._carefully(keeping._nightly)
        assert "backup_failed" in capsys.readouterr().out
        assert any("no backup" in line for line in keeping.health.report(NOW).problems)
        assert keeping.app.metrics.backup_failures._value.get() == 1
        (tmp_path / "blocked").unlink()
        await keeping._carefully(keeping._nightly)
        assert not (tmp_path / "blocked").exists()
        keeping.clock.advance(3700)
        await keeping._carefully(keeping._nightly)
        assert list((tmp_path / "blocked").glob("*.db"))
        assert keeping.health.report(NOW).problems == ()


async def test_the_newest_backup_is_named_wherever_it_lies(tmp_path):
    async with cared(tmp_path, '[backup]\nfolder = "elsewhere"\n') as keeping:
        await keeping._nightly()
        newest = next((tmp_path / "elsewhere").glob("*.db"))
        told = care.with_backup(StoreRefused("w.db is damaged."), keeping.config)
        assert f"watcher restore {newest}" in str(told)
        other = StoreRefused("another watcher (process 1) is using w.db")
        assert care.with_backup(other, keeping.config) is other


async def test_what_is_asked_of_a_host_is_booked_each_minute_and_never_half(tmp_path):
    async with cared(tmp_path) as keeping:
        await keeping.begin()
        await keeping._book()
        assert await keeping.app.store.read(lambda r: r.care.ledger(NOW)) == ()
        keeping.clock.advance(61)
        await keeping._book()
        (line,) = await keeping.app.store.read(lambda r: r.care.ledger(NOW))
        assert (line.requests, line.pages) == (1, 1)


# --- removing --------------------------------------------------------------------------------


async def test_pruning_keeps_papers_events_keys_and_every_signal(tmp_path):
    rule = compile_rule("any", events=[Change.NEW])
    async with cared(tmp_path, rules=(rule,)) as keeping:
        app, clock = keeping.app, keeping.clock
        for day in range(1, 120):
            clock.advance(86_400)
            shown = [fake.but(upvotes=fake.upvotes + day) for fake in pages.fakes(6)]
            keeping.site.answers = page(pages.trending(shown))
            await check(app, keeping.target, clock.now())
        before = await app.store.read(lambda r: everything(r, clock.now()))
        config = config_of(
            tmp_path,
            '[keep]\nsightings = "30d"\nplaces = "30d"\nchecks = "30d"\nmessages = "30d"\n',
        )
        keeping.config = config
        await keeping._prune()
        after = await app.store.read(lambda r: everything(r, clock.now()))
        for name in ("papers", "events", "keys", "pairs", "counts_now", "signals"):
            assert after[name] == before[name], name
        assert after["sightings"] < before["sightings"] / 2
        assert after["checks"] in (30, 31)
        assert after["orders"] >= 1
        assert (await app.store.read(lambda r: r.care.note("prune"))) not in (None, "0")
        # What was told stays told.
        clock.advance(3600)
        assert (await check(app, keeping.target, clock.now())).told == 0


def everything(records, now):
    at = int(now.timestamp())
    count = {
        table: records.conn.execute(f"select count(*) from {table}").fetchone()[0]
        for table in ("papers", "events", "keys", "pairs", "sightings", "checks", "orders")
    }
    histories = {
        row: records.papers.history(row, at)
        for (row,) in records.conn.execute("select id from papers")
    }
    recent = {
        row: [look for look in history.looks if look.at > at - 25 * 86_400]
        for row, history in histories.items()
    }
    known_then = {
        row: [look.upvotes for look in history.looks if look.at <= at - 30 * 86_400][-1:]
        for row, history in histories.items()
    }
    count["counts_now"] = {p.row: (p.upvotes, p.stars) for p in records.papers.latest()}
    count["signals"] = (recent, known_then)
    return count


async def test_zero_keeps_for_ever(tmp_path):
    async with cared(tmp_path) as keeping:
        keeping.clock.advance(86_400 * 4000)
        now = keeping.clock.now()
        gone = await keeping.app.store.write(lambda r: r.care.prune(Spans(), now))
        assert gone.total == 0


# --- the weekly check ------------------------------------------------------------------------


def damage(path, *, share=0.5):
    """Garble a page in the middle of a database that nobody has open."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(int(size * share) // 4096 * 4096)
        file.write(os.urandom(8192))


async def test_damage_is_found_within_a_week_told_and_turns_health(tmp_path):
    async with cared(tmp_path, "[backup]\n") as keeping:
        await keeping._weekly()
        await keeping._nightly()
        assert keeping.health.report(NOW).problems == ()
        clean = keeping.app.metrics.store_sound._value.get()
        copy = tmp_path / "copy.db"
        write_backup(tmp_path / "w.db", copy)
        damage(copy)
        assert quick_check(copy) is not None
        keeping.app.store._path = copy  # the check looks at the damaged one
        keeping.clock.advance(8 * 86_400)
        await keeping._weekly()
        report = keeping.health.report(NOW)
        assert not report.well
        assert "damaged" in report.problems[0]
        assert (clean, keeping.app.metrics.store_sound._value.get()) == (1, 0)
        events = await keeping.app.store.read(lambda r: r.events.after())
        told = [event for event in events if event.type is EventType.STORE_FAILING]
        assert len(told) == 1
        assert "watcher restore" in told[0].reason
        # The next process knows it from the start, looks again at once and tells nothing twice.
        keeping.app.metrics.store_sound.set(1)
        again = care.Care(
            keeping.app, keeping.config, clock=keeping.clock, health=Health(keeping.clock),
            fetcher=keeping._fetcher,
        )  # fmt: skip
        await again.begin()
        assert not again._health.report(NOW).well
        assert keeping.app.metrics.store_sound._value.get() == 0
        assert keeping.app.metrics.last_backup._value.get() == NOW.timestamp()
        await again._weekly()
        assert not again._health.report(NOW).well
        assert len(await keeping.app.store.read(lambda r: r.events.after())) == len(events)
        again._doubted, keeping.app.store._path = True, tmp_path / "w.db"
        await again._weekly()
        assert again._health.report(NOW).well
        assert keeping.app.metrics.store_sound._value.get() == 1


# --- a store in trouble ----------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["empty", "damaged", "foreign", "newer", "text"])
async def test_a_store_that_cannot_be_trusted_is_refused_left_alone_and_the_backup_named(
    tmp_path, harm
):
    async with cared(tmp_path, '[backup]\nfolder = "elsewhere"\n') as keeping:
        await keeping._nightly()
        config = keeping.config
    database = tmp_path / "w.db"
    spoil(database, harm)
    before = database.read_bytes()
    with pytest.raises(StoreRefused) as refused:
        await Daemon(config).run()
    assert database.read_bytes() == before
    newest = next((tmp_path / "elsewhere").glob("*.db"))
    assert f"`watcher restore {newest}`" in str(refused.value)


async def test_a_refused_store_is_told_once_however_often_it_is_started(tmp_path):
    text = 'operator = "me"\n[channel.me]\ntype = "maildir"\npath = "mail"\n'
    config, database = config_of(tmp_path, text), tmp_path / "w.db"
    database.write_bytes(b"")
    for _ in range(3):
        with pytest.raises(StoreRefused):
            await Daemon(config).run()
    (letter,) = letters(tmp_path)
    assert "refused, the watcher has stopped" in letter
    assert "is empty, where history should be" in " ".join(letter.split())
    # Whoever runs a verb by hand sees it: nobody need be told.
    (tmp_path / "w.db.refused").unlink()
    with pytest.raises(StoreRefused):
        await Daemon(config, clock=Later(1)).once()
    assert len(letters(tmp_path)) == 1
    # A timer's round has nobody before it.
    with pytest.raises(StoreRefused):
        await Daemon(config, clock=Later(2)).once(due_only=True)
    assert len(letters(tmp_path)) == 2
    # Mended, and then damaged again: that is news.
    database.unlink()
    await a_short_life(config)
    database.write_bytes(b"")
    with pytest.raises(StoreRefused):
        await Daemon(config, clock=Later(3)).run()
    assert len(letters(tmp_path)) == 3


async def test_a_second_daemon_is_no_matter_for_the_operator(tmp_path):
    text = 'operator = "me"\n[channel.me]\ntype = "maildir"\npath = "mail"\n'
    lock = Lock(tmp_path / "w.db")
    lock.acquire()
    with pytest.raises(StoreRefused, match="another watcher"):
        await Daemon(config_of(tmp_path, text)).run()
    lock.release()
    assert letters(tmp_path) == []


async def a_short_life(config):
    daemon = Daemon(config)
    life = asyncio.ensure_future(daemon.run())
    await lives.until(lambda: daemon.health.report(NOW).ready)
    daemon.stop()
    assert await asyncio.wait_for(life, 20) == 0


async def test_a_refused_store_ends_the_process_with_78_and_a_line(tmp_path):
    (tmp_path / "watcher.db").write_bytes(b"")
    path = lives.config(tmp_path, "http://127.0.0.1:9")
    async with lives.running(path) as life:
        assert await life.end() == 78
        assert "is empty, where history should be" in str(life.log)
        assert not life.notify.said("READY=1")


def spoil(database, harm):
    if harm == "empty":
        database.write_bytes(b"")
    elif harm == "damaged":
        damage(database, share=0)
    elif harm == "text":
        database.write_text("dear diary\n" * 1000)
    elif harm == "foreign":
        database.unlink()
        other = sqlite3.connect(database)
        other.execute("create table songs (name)")
        other.commit()
        other.close()
    elif harm == "newer":
        with contextlib.closing(sqlite3.connect(database)) as db:
            name = db.execute(
                "select name from sqlite_master where name like '%migrations%' and type = 'table'"
            ).fetchone()[0]
            columns = [row[1] for row in db.execute(f"pragma table_info({name})")]
            values = {"migration_set": "paper-watcher", "name": "9999_future"}
            row = [values.get(column, "2026-11-21T00:00:00Z") for column in columns]
            if columns[0] == "id":
                row[0] = None
            marks = ", ".join("?" * len(row))
            db.execute(f"insert into {name} values ({marks})", row)
            db.commit()
            db.execute("pragma wal_checkpoint(truncate)")


@contextlib.contextmanager
def full_disk(size=16_384):
    """No file of this process can grow beyond a few pages."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_pauses_turns_health_is_told_and_all_goes_on_with_space(tmp_path):
    mail = '[channel.me]\ntype = "maildir"\npath = "mail"\n'
    async with lives.site() as (_, site):
        text = lives.CONFIG.format(
            site=site.url, every="1s", tables=mail, watcher='operator = "me"'
        )
        daemon = Daemon(parse(text.encode(), OPTIONS, env={}, folder=tmp_path), clock=QuickClock())
        life = asyncio.ensure_future(daemon.run())
        try:
            await lives.until(lambda: good_visits(daemon))
            with full_disk():
                await lives.until(lambda: not report_of(daemon).well)
                assert "written" in report_of(daemon).problems[0]
                failed = daemon.metrics.store_errors._value.get()
                assert failed >= 1
                assert daemon.health.alive
                await lives.until(lambda: letters(tmp_path))
                done = good_visits(daemon)
                await asyncio.sleep(0.5)
                assert good_visits(daemon) == done
                assert not life.done()
            await lives.until(lambda: report_of(daemon).well)
            await lives.until(lambda: good_visits(daemon) > done)
            await lives.until(lambda: len(letters(tmp_path)) == 2)
        finally:
            daemon.stop()
            await asyncio.wait_for(life, 20)
    said = " ".join(letters(tmp_path))
    assert "cannot be written" in said
    assert "works again" in said
    assert quick_check(tmp_path / "watcher.db") is None


async def test_a_disk_that_is_full_at_the_start_is_waited_for(tmp_path):
    async with lives.site() as (_, site):
        text = lives.CONFIG.format(site=site.url, every="1s", tables="", watcher="")
        config = parse(text.encode(), OPTIONS, env={}, folder=tmp_path)
        daemon = Daemon(config, clock=QuickClock())
        with full_disk(4096):
            life = asyncio.ensure_future(daemon.run())
            await lives.until(lambda: not report_of(daemon).well or daemon._store_told)
            assert not life.done()
        try:
            await lives.until(lambda: good_visits(daemon))
            assert report_of(daemon).well
        finally:
            daemon.stop()
            await asyncio.wait_for(life, 20)


def report_of(daemon):
    return daemon.health.report(datetime.now(UTC))


def good_visits(daemon):
    counter = daemon.metrics.checks
    return sum(counter.labels("trending", name)._value.get() for name in ("ok", "unchanged"))


def letters(folder):
    return [path.read_text() for path in (folder / "mail").rglob("*") if path.is_file()]


class Later(SystemClock):
    """The machine's clock, some days later."""

    def __init__(self, days):
        super().__init__()
        self._days = days

    def now(self):
        return super().now() + timedelta(days=self._days)


class QuickClock(SystemClock):
    """A minute's wait is over in a moment."""

    async def sleep(self, seconds):
        await asyncio.sleep(min(seconds, 0.2))


# --- clocks and channels on a bad day --------------------------------------------------------


async def test_what_was_done_by_a_clock_that_was_ahead_is_done_again(tmp_path):
    async with cared(tmp_path, "[backup]\n") as keeping:
        future = NOW + timedelta(days=700)
        chores = ("backup", "prune", "quick-check", "ask-api")
        for chore in chores:
            await keeping.app.store.write(lambda r, chore=chore: r.care.done(chore, future, ""))
        await keeping._nightly()
        await keeping._weekly()
        await keeping._ask_api()
        for chore in chores:
            done = await keeping.app.store.read(lambda r, chore=chore: r.care.done_at(chore))
            assert done == NOW, chore


async def test_with_every_channel_disabled_the_watcher_is_not_well(tmp_path):
    text = '[channel.a]\ntype = "console"\n[channel.b]\ntype = "console"\n'
    async with cared(tmp_path, text) as keeping:
        store = keeping.app.store
        await store.write(lambda r: r.standing.meet(("a", "b"), NOW))
        for name, well in (("a", True), ("b", False)):
            await store.write(lambda r, name=name: r.standing.disable(name, NOW, why="410"))
            keeping.clock.advance(60)
            await keeping._pulse()
            assert keeping.health.report(NOW).well is well
            note = await store.read(lambda r: r.care.note("pulse"))
            assert f"channel {name} is disabled" in note
        assert "nobody is told anything" in note


async def test_a_disabled_channel_worries_nobody_once_it_has_left_the_config(tmp_path):
    text = '[channel.a]\ntype = "console"\n[channel.b]\ntype = "console"\n'
    async with cared(tmp_path, text) as keeping:
        store = keeping.app.store
        await store.write(lambda r: r.standing.meet(("a", "b"), NOW))
        await store.write(lambda r: r.standing.disable("a", NOW, why="410"))
        both = keeping.config
        for config, worried in (
            (both, True),
            (msgspec.structs.replace(both, channels=both.channels[1:]), False),
            (both, True),
        ):
            keeping.config = config
            keeping.clock.advance(60)
            await keeping._pulse()
            assert any("channel a" in p for p in keeping.health.report(NOW).problems) is worried


async def test_a_channel_that_a_person_has_switched_off_hears_nothing_either(tmp_path):
    text = '[channel.a]\ntype = "console"\n[channel.b]\ntype = "console"\n'
    async with cared(tmp_path, text) as keeping:
        store = keeping.app.store
        await store.write(lambda r: r.standing.meet(("a", "b"), NOW))
        for name, by_hand, well in (("a", True, True), ("b", False, False)):
            await store.write(
                lambda r, name=name, by_hand=by_hand: r.standing.disable(
                    name, NOW, why="410", by_hand=by_hand
                )
            )
            keeping.clock.advance(60)
            await keeping._pulse()
            assert keeping.health.report(NOW).well is well
