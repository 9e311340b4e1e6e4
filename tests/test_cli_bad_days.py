"""The verbs on a bad day: readers that are gone, full disks, odd files, slips of the hand."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = '[watcher]\ndatabase = "w.db"\ncontact = "mailto:me@example.org"\n'
LIMIT = 60


def watcher(home, *args, **more):
    command = [sys.executable, "-m", "watcher", *args]
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run(command, cwd=home, check=False, timeout=LIMIT, **more)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("bad")
    (home / "config.toml").write_text(CONFIG)
    assert watcher(home, "once").returncode == 0
    return home


def test_a_reader_that_is_gone_is_no_failure(home):
    reading, writing = os.pipe()
    os.close(reading)
    done = watcher(home, "sources", "--json", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("args", [("sources",), ("papers",), ("stats",)])
def test_a_reader_of_a_table_that_is_gone_is_no_failure(home, args):
    reading, writing = os.pipe()
    os.close(reading)
    done = watcher(home, *args, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("verb", ["once", "papers", "healthcheck"])
def test_closed_streams_are_streams_that_nobody_reads(home, verb, closed):
    command = f'"{sys.executable}" -m watcher {verb} {closed}'
    done = subprocess.run(
        ["sh", "-c", command], cwd=home, check=False, timeout=LIMIT, capture_output=True
    )
    assert done.returncode == (1 if verb == "healthcheck" else 0)
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written_is_one_line(home):
    with Path("/dev/full").open("wb") as full:
        done = watcher(home, "sources", "--json", stdout=full)
    assert done.returncode == 1
    assert done.stderr.startswith(b"watcher: ")
    assert done.stderr.count(b"\n") == 1


def test_the_database_is_no_backup_of_itself(home):
    before = (home / "w.db").read_bytes()
    done = watcher(home, "restore", "w.db")
    assert done.returncode == 1
    assert b"the database itself" in done.stderr
    assert (home / "w.db").read_bytes() == before
    assert not [*home.glob("*.replaced-*")]


@pytest.mark.parametrize("args", [("papers", "--limit", "9" * 20), ("events", "--after", "9" * 20)])
def test_numbers_beyond_what_the_store_has_are_a_slip(home, args):
    done = watcher(home, *args)
    assert done.returncode == 2
    assert b"is not in the range" in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("channels", "mute", "box", "--for", "9999999999w"),
        ("channels", "mute", "box", "--for", "9" * 5000 + "m"),
        ("channels", "mute", "box", "--for", "367d"),
        ("channels", "mute", "box", "--for", "0d"),
        ("parse", "page.html", "--at", "9999-12-31T23:59:59-12:00"),
        ("parse", "page.html", "--at", "0001-01-01T00:00:00+12:00"),
        ("import", ".", "--at", "9999-12-31T23:59:59-12:00"),
        ("import", ".", "--at", "2199-01-01"),
        ("import", ".", "--source", ""),
        ("import", ".", "--source", "two\nlines"),
        ("import", ".", "--source", "daily@2026-10-01"),
        ("webhook-listen", "--secret", "abc"),
        ("webhook-listen",),
        ("papers", "-model"),
    ],
)
def test_values_that_cannot_be_are_slips_in_one_line(home, args):
    done = watcher(home, *args, env={**os.environ, "HOOK_SECRET": ""})
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(b"Error: ")


def test_a_word_that_begins_with_a_dash_has_its_place(home):
    assert b"behind --" in watcher(home, "papers", "-model").stderr
    assert watcher(home, "papers", "--", "-model").returncode in (0, 1)


def test_files_that_are_not_there_are_told_in_plain_words(home):
    done = watcher(home, "parse", "nope.html")
    assert json.loads(done.stdout)["error"] == "nope.html: No such file or directory"
    done = watcher(home, "init", "config.toml/x.toml")
    assert done.returncode == 1
    assert b"[Errno" not in done.stderr
    assert done.stderr.startswith(b"watcher: config.toml")


def test_a_page_saved_in_the_future_is_not_imported(home, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("x")
    os.utime(page, (4e9, 4e9))
    done = watcher(home, "import", str(page), "--json")
    assert done.returncode == 1
    assert "future" in json.loads(done.stdout)["errors"][0]["error"]


def test_a_port_that_is_taken_is_no_bad_config(home):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        secret = "whsec_" + "A" * 32
        done = watcher(home, "webhook-listen", "--port", port, "--secret", secret)
    assert done.returncode == 1
    assert done.stderr.startswith(b"watcher: cannot listen on port ")


def test_a_source_of_pages_that_is_not_there_is_named(home):
    done = watcher(home, "archive", "list", "--source", "trendign")
    assert done.returncode == 1
    assert b"no source is called" in done.stderr


def test_a_cursor_beyond_the_last_is_told(home):
    for more in ((), ("--json",)):
        done = watcher(home, "events", "--after", "99999999", *more)
        assert done.returncode == 0
        assert done.stderr == b"watcher: cursor 99999999 lies beyond the last one, 0\n"


def test_no_dead_messages_are_nothing_to_complain_of(home):
    assert watcher(home, "resend", "--dead").returncode == 0
    assert watcher(home, "resend").returncode == 2


def test_a_page_comes_through_a_pipe_and_a_device_without_end_is_refused(home):
    done = watcher(home, "parse", "-", input=b'{"nothing": 1}')
    assert (done.returncode, json.loads(done.stdout)["file"]) == (1, "-")
    done = watcher(home, "parse", "/dev/zero")
    assert "larger than" in json.loads(done.stdout)["error"]


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are text there")
def test_a_name_that_is_no_text_keeps_no_other_file_from_coming_out(home):
    odd = os.fsdecode(b"b\xe9.html")
    (home / odd).write_bytes(b"x")
    (home / "good.html").write_bytes(b"y")
    done = watcher(home, "parse", odd, "good.html")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["file"], second["file"]) == (odd, "good.html")
