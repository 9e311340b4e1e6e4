"""The verbs that keep: backup, restore, prune, migrate, archive, replay, healthcheck."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests import pages
from tests.servers import FakeClock, Site, page
from tests.test_cli import call
from watcher.agenda import Target
from watcher.archive import Archive, Keeper
from watcher.errors import StoreRefused
from watcher.fetch import Fetcher, FetchOptions
from watcher.health import Report, State
from watcher.model import Change
from watcher.rules import compile_rule
from watcher.store import Lock, Store, open_records
from watcher.visit import App
from watcher.watch import check

NOW = datetime(2026, 10, 5, 12, tzinfo=UTC)
CONFIG = """\
[watcher]
database = "w.db"
[fetch]
per_host_rate = 0
robots = false
allow_private = true
[archive]
[backup]
keep = 2
[[source]]
name = "t"
url = "https://huggingface.co/papers/trending"
"""
FAKES = [fake.but(upvotes=30 + n) for n, fake in enumerate(pages.fakes(6))]


@pytest.fixture
async def home(tmp_path):
    """A folder with a config, a store, and three visits whose pages were kept."""
    (tmp_path / "config.toml").write_text(CONFIG)
    await watch(
        tmp_path, [pages.trending(FAKES), pages.trending(grown(FAKES, 5)), b"<html></html>"]
    )
    return tmp_path


def grown(fakes, by):
    return [fake.but(upvotes=fake.upvotes + by) for fake in fakes]


async def watch(folder, bodies, start=NOW):
    path = folder / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    clock = FakeClock(start)
    keeper = Keeper(
        pages=Archive(folder / "archive", keep=timedelta(days=4000), max_size=10**9),
        odd=Archive(folder / "odd-pages", keep=timedelta(days=4000), max_size=10**9),
    )
    rule = compile_rule("votes", events=[Change.NEW], min_upvotes=20, tell_known=True)
    async with (
        Site(page(b"")) as site,
        Fetcher(
            FetchOptions(per_host_rate=0, allow_private=True, robots=False), clock=clock
        ) as fetcher,
    ):
        app = App(store=store, fetcher=fetcher, rules=[rule])
        app.keeper = keeper
        target = Target(name="t", url=f"{site.url}/papers/trending", family="t")
        for body in bodies:
            site.answers = page(body)
            await check(app, target, clock.now())
            clock.advance(1800)
    await store.close()
    keeper.close()


def run(capsys, home, *args):
    capsys.readouterr()  # the log of what came before
    return call(capsys, "-c", home / "config.toml", *args)


def test_a_backup_is_complete_private_and_never_overwrites(capsys, home):
    code, out, _ = run(capsys, home, "backup", home / "b.db")
    assert code == 0
    assert "wrote" in out
    assert oct((home / "b.db").stat().st_mode)[-3:] == "600"
    with open_records(home / "b.db") as records:
        assert records.papers.count()[0] == 6
    code, _, err = run(capsys, home, "backup", home / "b.db")
    assert code == 1
    assert "there already" in err


def test_backups_without_a_name_go_to_the_nightly_ones_and_so_many_are_kept(capsys, home):
    folder = home / "backups"
    folder.mkdir()
    for day in (1, 2, 3):
        (folder / f"w-2026110{day}T033000Z.db").write_bytes(b"old")
    (folder / "mine.db").write_bytes(b"not ours")
    code, out, _ = run(capsys, home, "backup", "--json")
    assert code == 0
    made = json.loads(out)
    kept = sorted(file.name for file in folder.iterdir())
    assert kept == ["mine.db", "w-20261103T033000Z.db", Path(made["path"]).name]


def test_a_restore_puts_everything_back_and_keeps_what_was_there(capsys, home):
    run(capsys, home, "backup", home / "b.db")
    with open_records(home / "w.db") as records, records.transaction():
        records.conn.execute("delete from sightings")
    code, out, _ = run(capsys, home, "restore", home / "b.db")
    assert code == 0
    assert "6 papers" in out
    with open_records(home / "w.db") as records:
        assert records.papers.count() == (6, 12)
    aside = next(home.glob("w.db.replaced-*"))
    with open_records(aside) as records:
        assert records.papers.count() == (6, 0)
    assert oct((home / "w.db").stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize("lost", [False, True])
async def test_a_consumer_that_was_away_misses_nothing_after_a_restore(capsys, home, lost):
    def events_after(cursor):
        with open_records(home / "w.db") as records:
            found, last, _ = records.pages.after(cursor, limit=100, rule=None, types=(), known=True)
        return [event.paper.name for event in found], last

    later = [fake.but(upvotes=50) for fake in pages.fakes(20)]
    run(capsys, home, "backup", home / "b.db")
    await watch(home, [pages.trending(later[:9])], NOW + timedelta(days=1))
    seen, cursor = events_after(0)
    assert len(seen) == 9
    if lost:
        (home / "w.db").unlink()
    assert run(capsys, home, "restore", home / "b.db")[0] == 0
    assert events_after(cursor) == ([], 6)  # one who asks at once goes on from what there is
    await watch(home, [pages.trending(later)], NOW + timedelta(days=2))
    told = events_after(cursor)[0]
    assert set(told) == {fake.id for fake in later[6:]}
    assert events_after(6)[0] == told
    cursor = events_after(6)[1]
    assert run(capsys, home, "restore", home / "b.db")[0] == 0  # once more the same
    await watch(home, [pages.trending(later)], NOW + timedelta(days=3))
    assert set(events_after(cursor)[0]) == set(told)
    header, first, *_ = run(capsys, home, "events", "--all", "--limit", 1)[1].splitlines()
    assert header.index("at (UTC)") == len(first.split()[0]) + 2


def test_an_empty_store_can_be_restored(capsys, home):
    with open_records(home / "w.db") as records, records.transaction():
        records.conn.execute("delete from events")
        records.conn.execute("delete from sqlite_sequence")
    run(capsys, home, "backup", home / "b.db")
    assert run(capsys, home, "restore", home / "b.db")[0] == 0


def test_a_restore_says_that_no_database_was_there(capsys, home):
    run(capsys, home, "backup", home / "b.db")
    (home / "w.db").unlink()
    code, out, _ = run(capsys, home, "restore", home / "b.db")
    assert code == 0
    assert f"there was none at {home / 'w.db'}; is STATE_DIRECTORY set" in out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_what_root_makes_for_a_service_belongs_to_its_user(capsys, home):
    def owner(path):
        return path.stat().st_uid, path.stat().st_gid

    for path in (home, home / "w.db"):
        os.chown(path, 12_345, 12_346)
    made = Path(json.loads(run(capsys, home, "backup", "--json")[1])["path"])
    assert owner(made) == owner(made.parent) == (12_345, 12_346)
    for there in (True, False):
        if not there:
            (home / "w.db").unlink()
            (home / "w.db.lock").unlink()
        assert run(capsys, home, "restore", made)[0] == 0
        assert owner(home / "w.db") == owner(home / "w.db.lock") == (12_345, 12_346)
    (home / "w.db").unlink()
    (home / "page.html").write_bytes(pages.trending(FAKES))
    assert run(capsys, home, "import", home / "page.html")[0] == 0
    assert owner(home / "w.db") == (12_345, 12_346)


@pytest.mark.parametrize("harm", ["garbled", "empty", "text", "other"])
def test_a_backup_that_is_no_backup_is_refused_and_nothing_changes(capsys, home, harm):
    bad = home / "bad.db"
    run(capsys, home, "backup", bad)
    if harm == "garbled":
        body = bytearray(bad.read_bytes())
        body[20_000:60_000] = bytes(40_000)
        bad.write_bytes(body)
    elif harm == "empty":
        bad.write_bytes(b"")
    elif harm == "text":
        bad.write_text("no database " * 500)
    else:
        with contextlib.closing(sqlite3.connect(bad)) as db:
            db.execute("pragma application_id = 7")
    before = (home / "w.db").read_bytes()
    code, _, err = run(capsys, home, "restore", bad)
    assert code == 78
    assert str(bad) in err
    assert (home / "w.db").read_bytes() == before
    assert not list(home.glob("*replaced*"))


def test_a_damaged_database_is_restored_from_its_backup(capsys, home):
    run(capsys, home, "backup", home / "b.db")
    (home / "w.db").write_bytes(b"")
    code, _, err = run(capsys, home, "papers")
    assert code == 78
    assert "is empty" in err
    assert run(capsys, home, "restore", home / "b.db")[0] == 0
    assert run(capsys, home, "papers")[0] == 0


@pytest.mark.parametrize(
    "verb", [("restore", "b.db"), ("migrate",), ("replay", "--from", "2026-01-01")]
)
def test_verbs_that_need_the_store_alone_refuse_beside_a_daemon(capsys, home, verb):
    run(capsys, home, "backup", home / "b.db")
    lock = Lock(home / "w.db")
    lock.acquire()
    try:
        args = [home / arg if arg == "b.db" else arg for arg in verb]
        code, _, err = run(capsys, home, *args)
        assert code == 78
        assert "another watcher" in err
    finally:
        lock.release()


def test_prune_beside_a_daemon_says_what_went(capsys, home):
    (home / "config.toml").write_text(
        CONFIG + '[keep]\nchecks = "1h"\nsightings = "1h"\n[archive]\n'.replace("[archive]\n", "")
    )
    lock = Lock(home / "w.db")
    lock.acquire()
    try:
        code, out, _ = run(capsys, home, "prune", "--json")
    finally:
        lock.release()
    gone = json.loads(out)
    assert code == 0
    assert gone["checks"] == 3
    assert gone["sightings"] == 6  # the second of two stays, per paper
    with open_records(home / "w.db") as records:
        assert records.papers.count() == (6, 6)
        assert records.events.count() == 6


def test_migrate_says_when_there_is_nothing_to_do(capsys, home):
    code, out, _ = run(capsys, home, "migrate", "--json")
    assert code == 0
    assert json.loads(out)["steps"] == []


def test_kept_pages_are_listed_and_shown(capsys, home):
    code, out, _ = run(capsys, home, "archive", "list", "--json")
    assert code == 0
    found = json.loads(out)
    assert [bool(entry["why"]) for entry in found] == [True, False, False]
    name = found[0]["page"][:10]
    code, out, _ = run(capsys, home, "archive", "show", name)
    assert (code, out) == (0, "<html></html>")
    code, out, _ = run(capsys, home, "archive", "show", name, "--info")
    assert json.loads(out)["source"] == "t"
    assert run(capsys, home, "archive", "show", "ffffffffffff")[0] == 1
    odd = json.loads(run(capsys, home, "archive", "list", "--odd", "--json")[1])
    assert len(odd) == 1
    assert "papers" in run(capsys, home, "archive", "list")[1]


def test_a_kept_page_becomes_a_test_case(capsys, home):
    name = json.loads(run(capsys, home, "archive", "list", "--odd", "--json")[1])[0]["page"]
    code, out, _ = run(capsys, home, "archive", "capture", name[:8], "--to", home / "cases")
    assert code == 0
    assert "cannot be read" in out
    folder = next((home / "cases").iterdir())
    case = json.loads((folder / "case.json").read_text())
    assert (folder / "page.html").read_bytes() == b"<html></html>"
    assert case["error"]
    assert case["url"].endswith("/papers/trending")


def test_a_page_of_a_site_becomes_a_test_case(tmp_path):
    (tmp_path / "config.toml").write_text(CONFIG)
    script = """
import asyncio, sys, threading
from pathlib import Path
from tests import pages
from tests.servers import Site, page
from watcher.cli import main
ready, where = threading.Event(), []
async def live():
    async with Site(page(pages.trending(pages.fakes(3)))) as site:
        where.append(site.url); ready.set()
        await asyncio.sleep(60)
threading.Thread(target=lambda: asyncio.run(live()), daemon=True).start()
ready.wait()
main(["-c", sys.argv[1], "archive", "capture", where[0] + "/papers/trending", "--to", sys.argv[2]])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "config.toml", tmp_path / "cases"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    assert "read by its island: 3 papers" in done.stdout
    case = json.loads(next((tmp_path / "cases").glob("*/case.json")).read_text())
    assert len(case["cards"]) == 3


def test_a_replay_mends_what_a_broken_reader_left_and_tells_nothing_again(capsys, home):
    with open_records(home / "w.db") as records, records.transaction():
        truth = records.conn.execute("select * from sightings order by paper, at").fetchall()
        # As if a reader had taken comments for upvotes, and had lost a paper's project.
        records.conn.execute("update sightings set upvotes = comments")
        records.conn.execute("update papers set upvotes = comments, fingerprint = 0")
        records.conn.execute("update checks set cards = 1, fills = null where outcome = 'ok'")
        events = [event.id for event in records.events.after()]
    code, out, _ = run(capsys, home, "replay", "--from", "2026-10-01", "--json")
    done = json.loads(out)
    assert code == 1  # the page without papers still cannot be read
    assert (done["pages"], done["cards"], done["fresh"], len(done["errors"])) == (2, 12, 0, 1)
    with open_records(home / "w.db") as records:
        mended = records.conn.execute("select * from sightings order by paper, at").fetchall()
        assert mended == truth
        assert sorted(p.upvotes for p in records.papers.latest()) == [35, 36, 37, 38, 39, 40]
        assert [event.id for event in records.events.after()] == events
        assert records.conn.execute(
            "select distinct cards from checks where outcome = 'ok'"
        ).fetchall() == [(6,)]
        assert records.sources.state("t").etag is None
    # Twice is as good as once.
    run(capsys, home, "replay", "--from", "2026-10-01")
    with open_records(home / "w.db") as records:
        assert (
            records.conn.execute("select * from sightings order by paper, at").fetchall() == truth
        )


async def test_after_a_replay_old_news_is_not_told_and_a_page_not_read_then_is_now(capsys, home):
    path = home / "w.db"
    with open_records(path) as records, records.transaction():
        # The second page could not be read then, by the reader of that day.
        check_row = records.conn.execute(
            "select id, at, source from checks order by id limit 1 offset 1"
        ).fetchone()
        records.conn.execute(
            "update checks set outcome = 'failed', error = 'odd', cards = null where id = ?",
            check_row[:1],
        )
        records.conn.execute("delete from sightings where at > ?", (int(NOW.timestamp()) + 60,))
    run(capsys, home, "replay", "--from", "2026-10-01")
    with open_records(path) as records:
        assert records.papers.count() == (6, 12)
        assert records.sources.count_checks() == {"ok": 2, "failed": 1}
    await watch(home, [pages.trending(grown(FAKES, 6))], start=NOW + timedelta(hours=3))
    with open_records(path) as records:
        assert records.events.count() == 6
        assert records.sources.count_checks()["ok"] == 3


def test_pages_no_longer_kept_are_counted(capsys, home):
    for file in (home / "archive").rglob("*.*"):
        file.unlink()
    _, out, _ = run(capsys, home, "replay", "--from", "2026-10-01", "--source", "t", "--json")
    assert json.loads(out)["missing"] == 2
    assert run(capsys, home, "replay", "--from", "2026-10-01", "--source", "nope")[0] == 1


def test_a_damaged_page_costs_a_replay_no_other(capsys, home):
    kept = json.loads(run(capsys, home, "archive", "list", "--json")[1])
    name = next(entry["page"] for entry in kept[::-1] if not entry["why"])
    file = home / "archive" / name[:2] / f"{name}.zst"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"")
    code, out, _ = run(capsys, home, "replay", "--from", "2026-10-01", "--json")
    done = json.loads(out)
    assert (code, done["pages"], done["missing"], len(done["errors"])) == (1, 1, 0, 2)
    assert name in done["errors"][0]
    code, _, err = run(capsys, home, "archive", "show", name)
    assert code == 1
    assert f"{name}.zst cannot be read" in err


def test_a_backup_that_cannot_be_brought_to_this_version_leaves_all_as_it_was(
    capsys, home, monkeypatch
):
    assert run(capsys, home, "backup", home / "kept.db")[0] == 0
    before = (home / "w.db").read_bytes()

    def refuse(path):
        raise StoreRefused(f"{path} is of no use")

    monkeypatch.setattr("watcher.store.care.bring_up_to_date", refuse)
    code, _, err = run(capsys, home, "restore", home / "kept.db")
    assert code == 78
    assert "is of no use" in err
    assert (home / "w.db").read_bytes() == before
    assert not [*home.glob("*.replaced-*"), *home.glob(".*.part")]


# --- health ----------------------------------------------------------------------------------


def pulse(home, report, age=timedelta(seconds=10)):
    with open_records(home / "w.db") as records, records.transaction():
        note = msgspec.json.encode(report).decode()
        records.care.done("pulse", datetime.now(UTC) - age, note)


def test_nobody_is_well_when_nobody_runs(capsys, home):
    for _ in range(2):
        code, out, _ = run(capsys, home, "healthcheck")
        assert code == 1
        assert "does not run" in out
        pulse(home, Report(status=State.OK, ready=True))  # of one that has ended since


@pytest.fixture
def running(home):
    """Somebody has the database."""
    lock = Lock(home / "w.db")
    lock.acquire()
    yield
    lock.release()


@pytest.mark.usefixtures("running")
def test_health_is_that_of_the_last_sign_of_life(capsys, home):
    code, out, _ = run(capsys, home, "healthcheck")
    assert code == 1
    assert "cannot write" in out
    pulse(home, Report(status=State.OK, ready=True))
    assert run(capsys, home, "healthcheck")[0] == 0
    pulse(home, Report(status=State.DEGRADED, ready=True, problems=("source t: failed once",)))
    code, out, _ = run(capsys, home, "healthcheck")
    assert (code, out) == (0, "degraded; source t: failed once\n")
    pulse(home, Report(status=State.FAILING, ready=True, problems=("the store is full",)))
    code, out, _ = run(capsys, home, "healthcheck", "--json")
    assert code == 1
    assert json.loads(out) == {
        "well": False, "status": "failing", "problems": ["the store is full"],
    }  # fmt: skip
    pulse(home, Report(status=State.OK, ready=True), age=timedelta(minutes=9))
    assert run(capsys, home, "healthcheck")[0] == 1


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("slip", ["[watcher]\nevry = 3\n", "[[source]]\n"])
def test_a_slip_in_the_config_makes_no_running_daemon_ill(capsys, home, slip):
    pulse(home, Report(status=State.OK, ready=True))
    path = home / "config.toml"
    text = path.read_text()
    path.write_text(text.replace("[watcher]\n", slip, 1) if "evry" in slip else text + slip)
    assert run(capsys, home, "check-config")[0] == 78
    assert run(capsys, home, "healthcheck")[:2] == (0, "ok\n")


def test_health_of_a_store_that_cannot_be_opened(capsys, home):
    (home / "w.db").write_bytes(b"")
    code, out, _ = run(capsys, home, "healthcheck")
    assert code == 1
    assert "is empty" in out
