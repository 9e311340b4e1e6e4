"""The verbs, as a person or a script calls them."""

import asyncio
import contextlib
import itertools
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path

import click
import pytest

from tests import pages
from tests.conftest import ROOT, SHARED, needs_shared
from watcher.cli import VERBS, cli, main
from watcher.demo.run import CONFIG
from watcher.demo.site import Site, serve
from watcher.demo.world import World
from watcher.store import Lock, open_records

CARD_KEYS = [
    "rank", "paper_id", "title", "abstract", "ai_summary", "authors", "author_count",
    "published_on", "listed_at", "upvotes", "comments", "stars", "github", "project",
    "organization", "submitted_by", "keywords", "thumbnail",
]  # fmt: skip


def call(capsys, *args):
    """Run a verb in this process: ``(exit code, stdout, stderr)``."""
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    return ended.value.code or 0, out, err


@pytest.fixture(scope="module")
def site():
    """The stand-in site, on a thread of its own, at a fixed time."""
    now = datetime(2026, 11, 18, 15, tzinfo=UTC)
    ready, done, where = threading.Event(), threading.Event(), []

    async def live():
        async with await serve(Site(World(3, date(2026, 11, 10), 12)), lambda: now) as running:
            where.append(running.url)
            ready.set()
            while not done.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    assert ready.wait(30)
    yield where[0]
    done.set()
    thread.join()


@pytest.fixture
def config(tmp_path, site):
    path = tmp_path / "config.toml"
    path.write_text(
        f"""
[watcher]
contact = "mailto:test@example.org"
[fetch]
per_host_rate = 0
allow_private = true
[[source]]
name = "trending"
url = "{site}/papers/trending"
every = "1m"
[[source]]
name = "search"
url = "{site}/papers?q=alignment"
every = "1m"
[[rule]]
name = "votes"
min_upvotes = 20
"""
    )
    return path


# --- help and usage ------------------------------------------------------------------------


def test_help_lists_every_verb_and_each_has_its_own_help(capsys):
    code, out, _ = call(capsys, "--help")
    assert code == 0
    for verb in VERBS:
        assert f"  {verb} " in out, verb
        code, text, _ = call(capsys, verb, "--help")
        assert code == 0
        assert "Usage:" in text


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every verb and every verb of a verb."""
    if not isinstance(command, click.Group):
        return [path]
    below = click.Context(command)
    names = command.list_commands(below)
    found = [path] if path and command.invoke_without_command else []
    for name in names:
        one = command.get_command(below, name)
        assert one is not None
        found += _commands(one, (*path, name))
    return found


def _examples(text: str) -> list[list[str]]:
    """The arguments of each example, without what the shell does with them."""
    lines = text.partition("Examples:")[2].partition("Options:")[0].splitlines()
    found = []
    for line in filter(None, map(str.strip, lines)):
        words = shlex.split(line, comments=True)
        args = words[words.index("watcher") + 1 :]
        found.append([*itertools.takewhile(lambda word: word not in ("|", ">", "2>>", "&&"), args)])
    return found


def _take(command: click.Command, args: list[str], parent: click.Context | None = None) -> None:
    """Raises UsageError when a command would not take these arguments."""
    with contextlib.suppress(click.BadParameter):  # the files of an example are not here
        context = command.make_context("watcher", [*args], parent=parent, obj={})
        rest = [*context._protected_args, *context.args]
        if isinstance(command, click.Group) and rest:
            _, below, rest = command.resolve_command(context, rest)
            assert below is not None
            _take(below, rest, context)


@pytest.mark.parametrize("path", _commands(cli), ids=" ".join)
def test_every_verb_shows_examples_that_it_would_take(capsys, path):
    examples = _examples(call(capsys, *path, "--help")[1])
    assert examples
    for args in examples:
        _take(cli, args)


@pytest.mark.parametrize("path", [(), *_commands(cli)], ids=" ".join)
def test_a_file_that_cannot_be_read_is_no_wrong_usage(path):
    command = cli
    for name in path:
        command = command.get_command(click.Context(command), name)
    verbs = ("init", "backup", "restore", "archive", "demo", "digest")  # they write there, or check
    for param in command.params:
        if isinstance(param.type, click.Path) and ("-c" in param.opts or path[0] not in verbs):
            assert not param.type.readable, param.name


def test_an_example_with_a_wrong_option_would_be_found():
    with pytest.raises(click.UsageError):
        _take(cli, ["deliveries", "--sate", "dead"])


def test_version(capsys):
    assert call(capsys, "--version")[:2] == (0, "paper-watcher, version 0.1.0\n")


@pytest.mark.parametrize("args", [["paprs"], ["once", "--nope"], ["paper"], ["parse"]])
def test_wrong_usage_is_exit_2(capsys, args):
    assert call(capsys, *args)[0] == 2


def test_a_wrong_verb_names_the_nearest(capsys):
    assert "'papers'" in call(capsys, "paprs")[2]


# --- configs -------------------------------------------------------------------------------


def test_init_writes_a_config_that_is_valid_and_never_overwrites(capsys, tmp_path):
    path = tmp_path / "sub" / "config.toml"
    assert call(capsys, "init", path)[0] == 0
    assert call(capsys, "-c", path, "check-config")[0] == 0
    code, _, err = call(capsys, "init", path)
    assert code == 78
    assert "--force" in err
    assert call(capsys, "init", path, "--force")[0] == 0


def test_the_shipped_sample_is_the_one_at_the_top():
    for name, shipped in (("config.toml", "sample.toml"), ("config.schema.json",) * 2):
        assert (ROOT / name).read_bytes() == (ROOT / "watcher" / shipped).read_bytes()


def test_a_wrong_config_names_every_error_and_exits_78_before_anything_is_fetched(capsys, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(
        '[watcher]\ntimezone = "Mars/Olympus"\n[[source]]\nname = "a"\nevry = "1h"\n'
        'url = "http://127.0.0.1:9/papers"\n[[rule]]\nname = "r"\nquery = "a AND ("\n'
        'channels = ["nobody"]\n'
    )
    for verb in ("check-config", "once", "run"):
        code, _, err = call(capsys, "-c", path, verb)
        assert code == 78
        for words in (":2 ", "Mars/Olympus", ":5 ", 'did you mean "every"', ":9 ", "nobody"):
            assert words in err, words
    assert not (tmp_path / "watcher.db").exists()


def test_no_config_says_where_it_was_looked_for(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WATCHER_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    code, _, err = call(capsys, "once")
    assert code == 78
    assert "watcher init" in err
    assert "xdg" in err


def test_check_config_shows_how_often_each_source_is_visited(capsys, config):
    code, out, _ = call(capsys, "check-config", "-c", config)
    assert code == 0
    assert "trending" in out
    assert "is fine" in out


def test_check_config_gives_programs_what_is_in_force_with_secrets_masked(capsys, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(
        '[channel.hook]\ntype = "slack"\nurl = "https://hooks.example/s3cret"\n'
        '[[source]]\nname = "daily"\nurl = "https://huggingface.co/papers"\n'
    )
    path.chmod(0o644)
    code, out, _ = call(capsys, "check-config", "-c", path, "--json")
    assert code == 0
    assert "s3cret" not in out
    said = json.loads(out)
    assert said["in_force"]["channel"]["hook"]["url"] == "https://hooks.example/***"
    assert said["in_force"]["source"][0]["every"] == "30m"
    assert any("holds secrets and others can read it" in line for line in said["warnings"])


@pytest.fixture
def of_a_service(tmp_path, monkeypatch):
    """A config whose secrets only the service can see, and its database."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    path = tmp_path / "config.toml"
    path.write_text(
        '[watcher]\ncontact = "mailto:me@example.org"\noperator = "me"\n[channel.me]\n'
        'type = "email"\nsmtp = "smtp://me@mail.example.org"\npassword_file = "smtp-password"\n'
        'from = "a@example.org"\nto = ["b@example.org"]\n[channel.hook]\ntype = "webhook"\n'
        'url_file = "hook-url"\nsecret_file = "hook-secret"\n[web]\ntoken_file = "web-token"\n'
        'listen = "0.0.0.0:8484"\nsubscribe = "me"\npublic_url = "https://papers.example.org"\n'
    )
    open_records(tmp_path / "watcher.db", create=True, migrate=True).close()
    return path


@pytest.mark.parametrize(
    "args",
    [
        ("stats",), ("papers",), ("sources",), ("rules",), ("events",), ("deliveries",),
        ("channels",), ("channels", "enable", "hook"), ("digest", "preview", "me"), ("prune",),
        ("subscribers", "list"), ("backup",), ("archive", "list"), ("migrate",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_sends_nothing_needs_no_secret(capsys, of_a_service, args):
    code, _, err = call(capsys, *args, "-c", of_a_service)
    assert (code, err) == (0, "")


@pytest.mark.parametrize("args", [("once",), ("run",), ("test-channel", "me"), ("check-config",)])
def test_what_sends_asks_for_its_secrets_and_says_who_sees_those_of_a_service(
    capsys, of_a_service, args, monkeypatch
):
    code, _, err = call(capsys, *args, "-c", of_a_service)
    assert code == 78
    for name in ("smtp-password", "hook-url", "hook-secret", "web-token"):
        assert f"there is no file {of_a_service.parent / name}\n" in err
    assert err.count("CREDENTIALS_DIRECTORY") == 1
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(of_a_service.parent))
    assert "CREDENTIALS_DIRECTORY" not in call(capsys, *args, "-c", of_a_service)[2]


def test_a_slip_is_told_without_a_word_about_services(capsys, of_a_service):
    of_a_service.write_text(of_a_service.read_text() + "[fetch]\ntimout = 3\n")
    assert "CREDENTIALS_DIRECTORY" not in call(capsys, "check-config", "-c", of_a_service)[2]
    assert call(capsys, "stats", "-c", of_a_service)[0] == 78


# --- the main job --------------------------------------------------------------------------


def test_once_remembers_and_a_second_time_changes_nothing(capsys, config):
    code, out, _ = call(capsys, "once", "-c", config)
    assert code == 0
    assert "trending (baseline): 50 papers" in out.replace("\n", " ")
    assert "told to nobody" in out
    before = json.loads(call(capsys, "stats", "-c", config, "--json")[1])
    assert before["papers"] > 50
    assert set(before) >= {"papers", "sightings", "checks", "events", "messages"}
    code, out, _ = call(capsys, "once", "-c", config, "--json")
    assert code == 0
    assert {visit["outcome"] for visit in json.loads(out)} == {"unchanged"}
    after = json.loads(call(capsys, "stats", "-c", config, "--json")[1])
    assert (after["papers"], after["sightings"]) == (before["papers"], before["sightings"])
    assert after["checks"] == {"ok": 2, "unchanged": 2, "failed": 0, "quarantined": 0}


CHANNELS = """
channels = ["here"]
known = "tell"
[channel.here]
type = "console"
"""


def test_once_says_nothing_of_a_baseline_that_was_told(capsys, config):
    twice = config.read_text().replace("/papers?q=alignment", "/papers/trending")
    config.write_text(twice + CHANNELS)  # the second source has nothing left to tell
    code, out, _ = call(capsys, "once", "-c", config)
    assert code == 0
    assert out.count("changes to tell") == 1
    assert "told to nobody" not in out


def test_once_keeps_messages_to_the_console_out_of_its_json(capsys, config):
    config.write_text(config.read_text() + CHANNELS)
    code, out, err = call(capsys, "once", "--json", "-c", config)
    assert code == 0
    assert {visit["outcome"] for visit in json.loads(out)} == {"ok"}
    assert "New" in err


def test_once_counts_messages_not_attempts(capsys, config):
    mail = CHANNELS.replace(
        '"console"',
        '"email"\nsmtp = "smtp://127.0.0.1:9"\nallow_plaintext = true\n'
        'from = "papers@example.org"\nto = ["ada@example.org", "bo@example.org"]',
    )
    retries = '[delivery]\nretry = ["0s", "0s", "0s", "5m"]\n'
    config.write_text(config.read_text() + mail + retries)
    code, out, _ = call(capsys, "once", "-c", config)
    waiting = json.loads(call(capsys, "deliveries", "--json", "-c", config)[1])
    assert code == 75
    assert {message["attempts"] for message in waiting} == {3}
    assert f"0 messages sent, {len(waiting)} failed" in out


def test_once_due_does_nothing_when_nothing_is_due(capsys, config):
    call(capsys, "once", "-c", config)
    code, out, _ = call(capsys, "once", "--due", "-c", config)
    assert (code, out) == (0, "nothing is due\n")


def test_once_exits_75_when_a_source_failed_and_does_the_others_all_the_same(capsys, config):
    text = config.read_text() + '[[source]]\nname = "gone"\nurl = "http://127.0.0.1:9/papers"\n'
    config.write_text(text.replace("/papers?q=alignment", "/papers/9999.99999"))
    code, out, _ = call(capsys, "once", "-c", config)
    assert code == 75
    assert "✓ trending" in out
    assert "✗ gone" in out
    assert "✗ search" in out
    rows = {
        row["name"]: row for row in json.loads(call(capsys, "sources", "--json", "-c", config)[1])
    }
    assert rows["trending"]["last_ok"]
    assert rows["gone"]["failing_since"]
    assert set(rows["gone"]) >= {"name", "url", "last_ok", "failing_since", "next_due", "cards"}


def test_once_of_an_unknown_source_is_exit_1_and_names_the_nearest(capsys, config):
    code, _, err = call(capsys, "once", "--source", "trendign", "-c", config)
    assert code == 1
    assert "trending" in err


def test_papers_are_listed_searched_and_shown(capsys, config):
    call(capsys, "once", "-c", config)
    everything = json.loads(call(capsys, "papers", "--json", "-c", config)[1])
    found = json.loads(call(capsys, "papers", "alignment", "--json", "-c", config)[1])
    assert 0 < len(found) <= len(everything)
    many = json.loads(call(capsys, "papers", "upvotes:>=50", "--json", "-c", config)[1])
    assert many
    assert all(paper["upvotes"] >= 50 for paper in many)
    by_source = [
        json.loads(call(capsys, "papers", f"{field}:trending", "--json", "-c", config)[1])
        for field in ("source", "Source")
    ]
    assert by_source[0] == by_source[1] != []
    name = many[0]["paper_id"]
    shown = json.loads(call(capsys, "paper", name, "--json", "-c", config)[1])
    assert shown["sightings"][-1]["upvotes"] == many[0]["upvotes"]
    code, out, _ = call(capsys, "paper", f"https://huggingface.co/papers/{name}", "-c", config)
    assert code == 0
    assert many[0]["title"].split()[0] in out
    code, _, err = call(capsys, "paper", "1234.56789", "-c", config)
    assert code == 1
    assert "1234.56789" in err
    code, _, err = call(capsys, "papers", "/regex/", "-c", config)
    assert code == 1
    assert "\n" not in err.strip()
    code, _, err = call(capsys, "papers", "alignment or speech", "-c", config)
    assert (code, err) == (0, "! or is searched as a word; write OR to join\n")


def test_a_database_that_is_none_is_refused_with_78_and_left_alone(capsys, config):
    broken = config.parent / "watcher.db"
    broken.write_bytes(b"this is not a database at all")
    code, _, err = call(capsys, "once", "-c", config)
    assert code == 78
    assert "watcher.db" in err
    assert broken.read_bytes() == b"this is not a database at all"


# --- pages on disk -------------------------------------------------------------------------


def test_parse_prints_the_contract_and_goes_on_after_an_unreadable_file(capsys, tmp_path):
    good, bad = tmp_path / "trending.html", tmp_path / "bad.html"
    good.write_bytes(pages.trending(pages.fakes(3)))
    bad.write_bytes(b"<html>nothing here</html>")
    code, out, _ = call(capsys, "parse", bad, good, tmp_path / "missing.html")
    shown = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [set(one) for one in shown[::2]] == [{"file", "error"}] * 2
    assert set(shown[1]) == {"file", "kind", "reader", "listed_on", "shows", "warnings", "cards"}
    assert (shown[1]["kind"], shown[1]["reader"]) == ("trending", "island")
    assert all(list(card) == CARD_KEYS for card in shown[1]["cards"])
    assert call(capsys, "parse", good)[0] == 0


def test_import_remembers_only_and_again_changes_nothing(capsys, config, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    for number in range(4):
        shown = [fake.but(upvotes=30 + number) for fake in pages.fakes(5)]
        (folder / f"{number}.html").write_bytes(pages.trending(shown))
    (folder / "notes.txt").write_text("")
    for day, number in enumerate((2, 0, 3, 1), 1):
        args = [folder / f"{number}.html", "--at", f"2026-11-0{day}", "--source", "old"]
        assert call(capsys, "import", *args, "-c", config)[0] == 0
    code, out, _ = call(
        capsys, "import", folder, "--at", "2026-11-01", "--source", "old", "--json", "-c", config
    )
    report = json.loads(out)
    assert code == 1  # the empty notes are no page
    assert len(report["errors"]) == 1
    stats = json.loads(call(capsys, "stats", "--json", "-c", config)[1])
    assert (stats["papers"], stats["events"]) == (5, 0)
    again = json.loads(
        call(capsys, "import", folder / "0.html", "--at", "2026-11-02", "--source", "old",
             "--json", "-c", config)[1]
    )  # fmt: skip
    assert again["moved"] == 0


def test_import_takes_the_oldest_page_first_whatever_its_name(capsys, config, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    fakes = pages.fakes(5)
    seen = [[fake.but(stars=n, upvotes=n) for fake in fakes] for n in (100, 110, 120)]
    saved = {
        "page-8.html": pages.grid_2026(seen[0]),
        "page-9.html": pages.grid_2026(seen[1]),
        "page-10.html": pages.grid_2026(seen[2], with_island=False),  # shows no stars
    }
    for hour, (name, body) in enumerate(saved.items()):
        (folder / name).write_bytes(body)
        os.utime(folder / name, (1_791_200_000 + 3600 * hour,) * 2)
    assert call(capsys, "import", folder, "-c", config)[0] == 0
    with open_records(config.parent / "watcher.db") as records:
        latest = {(paper.upvotes, paper.stars) for paper in records.papers.latest()}
    assert latest == {(120, 110)}


def test_import_asks_for_the_time_of_files_that_have_none(capsys, config, tmp_path):
    saved = tmp_path / "search.html"
    saved.write_bytes(pages.search("moons", pages.fakes(3), with_island=False))
    os.utime(saved, (0, 0))  # as archives without times leave it
    code, _, err = call(capsys, "import", saved, "-c", config)
    assert code == 1
    assert "its time is of 1970; say with --at when it was saved" in " ".join(err.split())
    assert call(capsys, "import", saved, "--at", "2026-10-05", "-c", config)[0] == 0
    with open_records(config.parent / "watcher.db") as records:
        assert {paper.published_on.year for paper in records.papers.latest()} == {2026}


@needs_shared
def test_the_dumps_give_every_card(capsys):
    dumps = sorted((SHARED / "dumps").glob("*.txt"))
    assert [len(json.loads(call(capsys, "parse", path)[1])["cards"]) for path in dumps] == [
        88, 49, 45,
    ]  # fmt: skip


# --- the real program ----------------------------------------------------------------------


def watcher(*args, **more):
    return subprocess.Popen(
        [sys.executable, "-c", "from watcher.cli import main; main()", *map(str, args)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, **more,
    )  # fmt: skip


def test_run_visits_on_schedule_stops_on_sigterm_and_lets_nobody_else_in(config):
    daemon = watcher("run", "-c", config)
    try:
        lines = []
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and sum("check_finished" in x for x in lines) < 2:
            lines.append(daemon.stderr.readline())
        events = [json.loads(line)["event"] for line in lines]
        assert events[0] == "daemon_started"
        assert "daemon_ready" in events
        second = watcher("run", "-c", config)
        _, err = second.communicate(timeout=20)
        assert second.returncode == 78
        assert str(daemon.pid) in err
        daemon.terminate()
        _, rest = daemon.communicate(timeout=15)
        assert daemon.returncode == 0
        assert "daemon_stopped" in rest
    finally:
        daemon.kill()
        daemon.wait()


def test_once_visits_all_although_its_reader_is_gone(capsys, config):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "watcher", "once", "-c", config],
        stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(call(capsys, "stats", "--json", "-c", config)[1])["checks"]["ok"] == 2


def test_ctrl_c_in_an_import_leaves_whole_files_and_can_be_resumed(config, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        shown = [fake.but(id=f"2601.{number:02d}{i:03d}", title=f"{number} {i}")
                 for i, fake in enumerate(pages.fakes(20))]  # fmt: skip
        (folder / f"{number:02d}.html").write_bytes(pages.trending(shown))
    importing = watcher("import", folder, "--at", "2026-11-01", "-c", config)
    database = config.parent / "watcher.db"
    deadline = time.monotonic() + 20
    while not Path(f"{database}-wal").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    importing.send_signal(2)
    importing.communicate(timeout=20)
    with open_records(database) as records:
        assert records.papers.count()[0] % 20 == 0
        assert records.conn.execute("pragma quick_check").fetchone()[0] == "ok"
    done = watcher("import", folder, "--at", "2026-11-01", "--json", "-c", config)
    out, _ = done.communicate(timeout=60)
    assert done.returncode == 0
    assert json.loads(out)["files"] == 60
    with open_records(database) as records:
        assert records.papers.count()[0] == 1200


def test_the_demo_finds_a_rising_paper_and_survives_outage_and_redesign(tmp_path):
    demo = watcher("demo", "--days", 8, "--folder", tmp_path / "demo")
    out, err = demo.communicate(timeout=120)
    assert demo.returncode == 0, err
    assert "rising" in out
    assert "has failed 3 times in a row" in out
    assert "works again" in out
    assert "watcher init" in out
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "name", ["watcher.db", "watcher.db-wal", "config.toml", "mail/new/1.a", "mail/cur/1.a:2,S"]
)
def test_the_demo_touches_nothing_of_a_real_watcher(capsys, tmp_path, name):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("precious")
    code, _, err = call(capsys, "demo", "--days", 1, "--folder", tmp_path)
    assert code == 1
    assert str(file) in err
    assert "--folder" in err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]
    assert file.read_text() == "precious"


def test_a_demo_beside_another_is_refused_and_one_after_it_clears_its_own_files_only(
    capsys, tmp_path
):
    (tmp_path / "config.toml").write_text(CONFIG.format(site="http://127.0.0.1:9"))
    old, filed = tmp_path / "mail" / "new" / "1.a", tmp_path / "mail" / ".Filed" / "1.a"
    for mail in (old, filed):
        mail.parent.mkdir(parents=True)
        mail.write_text("a mail")
    lock = Lock(tmp_path / "watcher.db")
    lock.acquire()
    code, _, err = call(capsys, "demo", "--days", 1, "--folder", tmp_path)
    assert code == 78
    assert "another watcher" in err
    assert old.exists()
    lock.release()
    held = lock.path.stat().st_ino
    assert call(capsys, "demo", "--days", 1, "--folder", tmp_path)[0] == 0
    assert not old.exists()
    assert filed.exists()
    assert lock.path.stat().st_ino == held
