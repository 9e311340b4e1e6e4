"""A soak: ``python -m tests.soak [--checks 10000]``.

The real daemon as a process of its own, twenty sources twice a second on the stand-in site in a
fast-forward world, archive and backups on. Watches memory, file descriptors and that no visit is
lost; exits 1 when a promise is broken.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from watcher.demo.site import Site, serve
from watcher.demo.world import World

SOURCES = 20
EVERY = 0.5
BEGIN, SPAN = timedelta(hours=15), timedelta(hours=6)
"""When the site's clock begins, and how far it goes while the checks are made. In the afternoon
the day's lists are full: what memory grows by then is no longer longer pages. Never over
midnight: the daemon, whose clock is the real one, would rightly doubt the page of another day
within the same hour."""
MOST_GROWTH = 1e6
"""Bytes per 1,000 checks."""
WARM = 0.3
"""Share of the soak that fills caches and is left out."""
PAGES = ("/papers/trending", "/papers", "/papers?q=alignment", "/papers?q=diffusion",
         "/papers?q=agents", "/papers?q=video", "/api/daily_papers")  # fmt: skip

CONFIG = """\
[watcher]
database = "soak.db"
operator = "me"
[fetch]
per_host_rate = 0
per_host_concurrency = 16
allow_private = true
[archive]
max_size = "50MB"
[backup]
[channel.me]
type = "maildir"
path = "mail"
digest = "08:00"
[[rule]]
name = "rising"
channels = ["me"]
"""


def write_config(folder, url):
    path = folder / "config.toml"
    sources = "".join(
        f'[[source]]\nname = "s{n:02d}"\nurl = "{url}{PAGES[n % len(PAGES)]}"\n'
        f'every = "{int(EVERY * 1000)}ms"\nfollow = "0s"\n'
        for n in range(SOURCES)
    )
    path.write_text(CONFIG + sources, "utf-8")
    return path


def counted(database):
    """Checks recorded so far; 0 while there is no database yet."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db,
    ):
        return db.execute("select count(*) from checks").fetchone()[0]
    return 0


def memory_of(pid):
    """Resident bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def slope(points):
    """Least squares: bytes per check."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    over = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return over / sum((x - mean_x) ** 2 for x, _ in points)


def judge(database, samples, checks):
    """What was promised, and whether it held."""
    warm = [sample for sample in samples if sample[0] >= checks * WARM]
    growth = slope([(done, memory) for done, memory, _ in warm]) * 1000
    handles = sorted({fds for *_, fds in warm})
    with contextlib.closing(sqlite3.connect(database)) as db:
        outcomes = dict(db.execute("select outcome, count(*) from checks group by 1"))
        longest, names = 0.0, 0
        for (source,) in db.execute("select id from sources").fetchall():
            names += 1
            at = [
                datetime.fromisoformat(text).timestamp()
                for (text,) in db.execute(
                    "select at from checks where source = ? order by at", (source,)
                )
            ]
            longest = max(longest, *(b - a for a, b in itertools.pairwise(at)))
        sound = db.execute("pragma quick_check").fetchone()[0]
    print(f"checks {outcomes}; longest pause of a source {longest:.1f} s; database {sound}")
    print(
        f"memory {warm[0][1] / 1e6:.1f} -> {warm[-1][1] / 1e6:.1f} MB, "
        f"{growth / 1e6:+.3f} MB per 1,000 checks; file descriptors {handles[0]}-{handles[-1]}"
    )
    return {
        "memory grows by less than 1 MB per 1,000 checks": growth < MOST_GROWTH,
        "file descriptors do not grow": settled([fds for *_, fds in warm]),
        "no source was forgotten": names == SOURCES and longest < 30,
        "no check failed or was put aside": set(outcomes) <= {"ok", "unchanged"},
        "the database is sound": sound == "ok",
    }


def settled(handles):
    """Connections come and go; they do not become more."""
    third = len(handles) // 3
    return max(handles[-third:]) <= max(handles[:third]) + 2


async def soak(checks, folder):
    """Run until so many checks are recorded."""
    day = datetime.now(UTC).date()
    start, done = datetime.combine(day, datetime.min.time(), UTC) + BEGIN, 0
    site = Site(World(5, day - timedelta(days=2), 4))

    def now():
        return start + SPAN * min(1.0, done / checks)

    async with await serve(site, now) as running:
        path = write_config(folder, running.url)
        with (folder / "log").open("wb") as log:
            daemon = subprocess.Popen(
                [Path(sys.executable).with_name("watcher"), "run", "-c", path],
                stdout=log,
                stderr=log,
            )
            samples = []
            try:
                shown = 0
                while (done := counted(folder / "soak.db")) < checks:
                    if daemon.poll() is not None:
                        sys.exit(f"the daemon ended: {(folder / 'log').read_text()[-2000:]}")
                    if done:
                        fds = len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))
                        samples.append((done, memory_of(daemon.pid), fds))
                    if done >= shown + 1000:
                        shown = done
                        print(f"{done:6,} checks, {samples[-1][1] / 1e6:.1f} MB", flush=True)
                    await asyncio.sleep(1)
            finally:
                daemon.send_signal(signal.SIGTERM)
                code = await asyncio.to_thread(daemon.wait, 20)
        held = judge(folder / "soak.db", samples, checks)
        held["it ended in order"] = code == 0
    return held


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=10_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        held = asyncio.run(soak(args.checks, Path(folder)))
    for promise, kept in held.items():
        print(f"{'ok ' if kept else 'NO '} {promise}")
    sys.exit(not all(held.values()))


if __name__ == "__main__":
    main()
