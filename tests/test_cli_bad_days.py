"""The verbs on a bad day: readers that are gone, full disks, odd files, slips of the hand."""

import json
import os
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
