"""Runs in the guest, as root: tries what ``deploy/systemd/README.md`` promises, line by line."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
import urllib.request
from pathlib import Path

CONFIG = Path("/etc/watcher/config.toml")
STATE = Path("/var/lib/watcher")
DATABASE = STATE / "watcher.db"
SEEN = Path("/var/tmp/events-before-the-cut")
PROGRAM = "/opt/paper-watcher/.venv/bin/watcher"
TEXT = """\
[watcher]
timezone = "Europe/Berlin"
operator = "me"
[fetch]
per_host_rate = 0
allow_private = true
[backup]
[archive]
[web]
[[source]]
name = "trending"
url = "http://127.0.0.1:8000/papers/trending"
every = "5s"
[[source]]
name = "daily"
url = "http://127.0.0.1:8000/papers"
every = "5s"
[[rule]]
name = "all"
channels = ["me"]
[channel.me]
type = "email"
smtp = "smtp://me@localhost:2525"
password_file = "smtp-password"
allow_private = true
from = "watcher@example.org"
to = ["me@example.org"]
"""


def say(line):
    print(f"\ntrial: {line}", flush=True)


def promise(what, kept, more=""):
    more = " ".join(str(more).split())  # one line of the console
    say(f"{'ok' if kept else 'BROKEN'}: {what}{f' ({more})' if more else ''}")


def run(*command, env=None):
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}
    )
    return done.returncode, done.stdout + done.stderr


def verb(*words):
    """A verb by hand, as the alias of docs/operations.md has it."""
    return run(PROGRAM, "-c", str(CONFIG), *words, env={"STATE_DIRECTORY": str(STATE)})


def shown(name, unit="watcher"):
    return run("systemctl", "show", "-p", name, "--value", unit)[1].strip()


def journal(*more):
    return run("journalctl", "--no-pager", "-b", "-u", "watcher", *more)[1]


def until(condition, within=120):
    """Seconds until it holds; None when it did not in time."""
    began = time.monotonic()
    while time.monotonic() - began < within:
        with contextlib.suppress(sqlite3.Error, OSError):
            if condition():
                return time.monotonic() - began
        time.sleep(0.5)
    return None


def counted(table):
    with contextlib.closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)) as db:
        return db.execute(f"select count(*) from {table}").fetchone()[0]


def is_active():
    return shown("ActiveState") == "active"


def first_boot():
    CONFIG.parent.mkdir()
    CONFIG.write_text(TEXT)
    store = Path("/etc/credstore")
    store.mkdir(mode=0o700)
    (store / "smtp-password").write_text("s3cret\n")
    (store / "smtp-password").chmod(0o600)

    code, said = run("systemctl", "enable", "--now", "watcher")
    promise(
        "it starts, and is ready before systemctl returns", code == 0 and is_active(), said[-200:]
    )
    good = until(lambda: "last good check" in shown("StatusText"))
    promise("the status names the last good check", good is not None, shown("StatusText"))
    process = Path("/proc", shown("MainPID"), "status").read_text()
    fields = dict(line.split(":\t", 1) for line in process.splitlines() if ":\t" in line)
    promise("it is no root and has no capabilities",
            not fields["Uid"].startswith("0\t") and not int(fields["CapEff"], 16))  # fmt: skip
    promise("system calls are filtered, privileges never gained",
            fields["Seccomp"] == "2" and fields["NoNewPrivs"] == "1")  # fmt: skip
    private = STATE.resolve()
    modes = {path.name: path.stat().st_mode & 0o077 for path in [private, *private.iterdir()]}
    promise("what it writes is its own", not any(modes.values()), f"{len(modes)} files")
    with urllib.request.urlopen("http://127.0.0.1:8484/", timeout=60) as page:
        promise("the page is there", page.status == 200)
    promise("the journal calls it watcher", "watcher[" in journal())
    exposure = run("systemd-analyze", "security", "watcher", "watcher-once", "--no-pager")[1]
    hardened = [
        f"level for {unit}.service: 1.1 OK" in exposure for unit in ("watcher", "watcher-once")
    ]
    promise("both units are hardened", all(hardened), "" if all(hardened) else exposure)

    code, said = verb("stats")
    promise("a verb by hand reads its database", code == 0 and "papers" in said, said[-200:])
    verb("backup")
    owners = {path.stat().st_uid for path in (private / "backups").iterdir()}
    promise("root's backup belongs to the service", owners == {private.stat().st_uid} != {0})
    code, said = verb("check-config")
    promise(
        "check-config by hand names the credential only",
        code == 78 and said.count("config.toml") == 1,
    )
    code, said = run("systemd-run", "--pipe", "--wait", "-q", "-p", "LoadCredential=smtp-password",
                     PROGRAM, "--config", str(CONFIG), "test-channel", "me")  # fmt: skip
    promise("a channel can be tried with the credential", code == 0, said[-200:])
    mails = Path("/var/tmp/mails")
    taken = until(lambda: mails.read_text() == "1 ['s3cret']\n")
    promise("the mail came, with the password", taken is not None, mails.read_text().strip())

    good = CONFIG.read_text()
    CONFIG.write_text(good.replace('every = "5s"', 'every = "3s"'))
    run("systemctl", "reload", "watcher")
    promise("a reload is followed", until(lambda: "config_reloaded" in journal()) is not None)
    CONFIG.write_text(f"{good}nonsense = 3\n")
    run("systemctl", "reload", "watcher")
    told = until(lambda: "the config is refused" in shown("StatusText"), within=20)
    promise("a bad reload is refused, and stands in the status", told is not None and is_active())
    code, _ = run("systemctl", "restart", "watcher")
    time.sleep(10)
    states = [shown(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")]
    promise(
        "a bad config is 78 and not restarted",
        code != 0 and states == ["failed", "78", "0"],
        states,
    )
    CONFIG.write_text(good)
    run("systemctl", "reset-failed", "watcher")
    run("systemctl", "start", "watcher")

    os.kill(int(shown("MainPID")), signal.SIGKILL)
    again = until(lambda: shown("NRestarts") == "1" and is_active())
    promise("killed, it is started again", again is not None)
    os.kill(int(shown("MainPID")), signal.SIGSTOP)
    again = until(lambda: shown("NRestarts") == "2" and is_active(), within=300)
    promise(
        "hung, the watchdog has it started again",
        again is not None and "Watchdog timeout" in journal(),
    )
    began = time.monotonic()
    run("systemctl", "stop", "watcher")
    took = time.monotonic() - began
    promise("it stops in time", took < 15 and shown("Result") == "success", f"{took:.1f} s")

    code, said = run("systemctl", "start", "watcher-once.service")
    promise(
        "a round without the daemon",
        code == 0 and shown("Result", "watcher-once") == "success",
        said[-200:],
    )
    run("systemctl", "start", "watcher")
    visits = counted("checks")
    promise("it goes on where it was", until(lambda: counted("checks") > visits) is not None)
    SEEN.write_text(f"{counted('events')} {counted('checks')}")
    os.sync()
    until(lambda: counted("checks") > visits + 20)
    say("READY FOR THE CUT")
    time.sleep(600)


def second_boot():
    promise("it is there again after a power cut", until(is_active, within=600) is not None)
    events, visits = map(int, SEEN.read_text().split())
    promise(
        "no event and no visit is lost", counted("events") >= events and counted("checks") >= visits
    )
    with contextlib.closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)) as db:
        sound = db.execute("pragma integrity_check").fetchone()[0]
    promise("the database is sound", sound == "ok", sound)
    visits = counted("checks")
    promise("it goes on", until(lambda: counted("checks") > visits) is not None)
    say("DONE")
    time.sleep(600)


try:
    second_boot() if SEEN.exists() else first_boot()
except BaseException as exc:
    say(f"BROKEN: {exc!r}")
    raise
