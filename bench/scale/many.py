"""10,000 sources: memory, the first fetch after a start, and what planning them costs.

``python -m bench.scale many``. The daemon is the real ``watcher run`` with the real clock, seen
from outside; each source has its own address, 200 pages of 0.9 MB lie behind them and change
while they are visited. Only the agenda's own cost is measured inside: two visits of each source
and all ticks between them, by the agenda itself over an hour of made-up time.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import site
from bench.loop import CONFIG, START, home
from bench.scale.figures import Figure
from bench.scale.program import PROC, Program, running
from bench.scale.setting import Setting, main, pages
from bench.server import serving
from watcher.agenda import Agenda
from watcher.channels import OPTIONS
from watcher.clock import to_text
from watcher.config import parse
from watcher.daemon import CHECKERS

PAGES, VISITS = 200, 8
TURNS = 2
"""How often all pages change while every source is visited once."""
EVERY = timedelta(minutes=30)
TICK = timedelta(seconds=0.5)
SOURCE = """
[[source]]
name = "s{number:05}"
url = "{url}"
every = "{every}"
"""


def measure(setting: Setting) -> list[Figure]:
    """All figures; those of the process only where the system tells of processes."""
    few, many = setting.sized(1_000, 100), setting.sized(10_000, 500)
    figures = [_agenda(many, hosts=1), _agenda(many, hosts=many)]
    if not PROC.exists():
        return [*figures, Figure(what="memory, start, idling", note="there is no /proc here")]
    folder = pages("many", PAGES, visits=VISITS)
    with serving(folder, cores=setting.server) as server:
        rotation = site.Rotation(folder, pages=PAGES, visits=VISITS)
        with home() as place:
            figures.append(_memory(_Life(place, server.base, few), rotation, at_most=100))
        with home() as place:
            life = _Life(place, server.base, many)
            figures.append(_memory(life, rotation, at_most=250))
            figures += _start_and_idle(life)
    idle, worst = figures[-1].value or 0.0, max(one.value or 0.0 for one in figures[:2])
    whole = Figure(
        what="the scheduler's own share, both together",
        value=idle + worst,
        unit="% of a core",
        at_most=5,
    )
    return [*figures, whole]


# --- the agenda alone ---


def _agenda(sources: int, *, hosts: int) -> Figure:
    """The share of a core that an hour of planning takes."""
    urls = (f"http://h{n % hosts}.example/papers/trending?s={n}" for n in range(sources))
    text = CONFIG.format(connections=2) + _sources(urls, "30m")
    config = parse(text.encode(), OPTIONS, env={}, folder=Path())
    # As the store would have them: spread over the half-hour.
    due = {one.name: START + EVERY * n / sources for n, one in enumerate(config.sources)}
    agenda = Agenda(config, now=START, due=due)
    span = timedelta(hours=1) if hosts == 1 else timedelta(minutes=10)
    began = time.process_time()
    visits = _let_pass(agenda, span)
    share = (time.process_time() - began) / span.total_seconds() * 100
    each = "one host" if hosts == 1 else f"{hosts:,} hosts"
    return Figure(
        what=f"agenda of {sources:,} sources every 30 min, {each}",
        value=share,
        unit="% of a core",
        note=f"{visits:,} visits in {span.total_seconds() / 60:.0f} min of made-up time",
    )


def _let_pass(agenda: Agenda, span: timedelta) -> int:
    """What clock and checkers do in a time; how many visits that were."""
    visits, now = 0, START
    while now < START + span:
        now += TICK
        agenda.follow(now)
        for _ in range(CHECKERS):  # each is woken by the tick
            while (target := agenda.take(now)) is not None:
                visits += agenda.waiting >= 0  # the daemon asks for its gauge
                agenda.done(target, now, due_at=agenda.after(target, now))
    return visits


# --- the real process ---


class _Life:
    """A folder with a config of so many sources and their store."""

    def __init__(self, folder: Path, base: str, sources: int) -> None:
        self.folder, self.base, self.sources = folder, base, sources
        self.database = folder / "watcher.db"

    def config(self, every: str) -> Path:
        """Write the config anew."""
        urls = (f"{self.base}{site.path(n % PAGES)}&s={n}" for n in range(self.sources))
        path = self.folder / "config.toml"
        path.write_text(CONFIG.format(connections=CHECKERS) + _sources(urls, every))
        return path

    def store(self) -> AbstractContextManager[sqlite3.Connection]:
        """The store, to look into. Held open until the daemon has ended: whoever closes it last
        clears its journal away."""
        uri = f"file:{self.database}?mode=rw"
        return closing(sqlite3.connect(uri, uri=True, timeout=10, isolation_level=None))


def _sources(urls: Iterator[str], every: str) -> str:
    return "".join(
        SOURCE.format(number=number, url=url, every=every) for number, url in enumerate(urls)
    )


def _memory(life: _Life, rotation: site.Rotation, *, at_most: float) -> Figure:
    """The peak after every source was visited twice, and read in full both times."""
    rotation.rewind()
    with ExitStack() as stack:
        program = stack.enter_context(running(life.config("5s")))
        program.wait_for("daemon_ready")
        conn = stack.enter_context(life.store())
        _wait_until_visited(life, conn, rotation, program)
        peak, cpu = program.peak_mb(), program.cpu()
        program.stop()
        visits, good = conn.execute("select count(*), sum(outcome = 'ok') from checks").fetchone()
        papers = conn.execute("select count(*) from papers").fetchone()[0]
    return Figure(
        what=f"memory at {life.sources:,} sources, peak",
        value=peak,
        unit="MB",
        at_most=at_most,
        note=f"{visits:,} visits ({good:,} of changed pages), {papers:,} papers, "
        f"{cpu / visits * 1_000:.1f} ms of processor time each",
    )


def _wait_until_visited(
    life: _Life, conn: sqlite3.Connection, rotation: site.Rotation, program: Program
) -> None:
    """Let the pages change as the visits go on, until each source was visited twice."""
    shown = 0
    while True:
        time.sleep(0.25)
        program.expect_alive()
        visits = _visits(conn)
        if visits >= 2 * life.sources and _least(life, conn) >= 2:
            return
        turn = min(visits * TURNS // life.sources, VISITS - 1)
        if turn > shown:
            shown = turn
            for page in range(PAGES):
                rotation.point(page, shown)


def _visits(conn: sqlite3.Connection) -> int:
    return int(conn.execute("select coalesce(max(id), 0) from checks").fetchone()[0])


def _least(life: _Life, conn: sqlite3.Connection) -> int:
    """How often the source with the fewest good visits was visited."""
    counts = conn.execute(
        "select count(*) from checks where outcome in ('ok', 'unchanged') group by source"
    ).fetchall()
    return min(n for (n,) in counts) if len(counts) >= life.sources else 0


def _start_and_idle(life: _Life) -> list[Figure]:
    """A start with one source due, then a quiet time with none."""
    seconds = 10.0
    with ExitStack() as stack:
        conn = stack.enter_context(life.store())
        later = to_text(datetime.now(UTC) + EVERY * 0.9)
        conn.execute("update sources set next_due_at = iif(name = 's00000', null, ?)", (later,))
        before, config = _visits(conn), life.config("30m")
        program = stack.enter_context(running(config))
        while _visits(conn) == before:
            time.sleep(0.02)
            program.expect_alive()
        first = time.time() - program.began - _took(conn)
        steps = [program.logged(event) for event in ("daemon_started", "store_opened")]
        time.sleep(3)
        cpu, began = program.cpu(), time.monotonic()
        time.sleep(seconds)
        idle = (program.cpu() - cpu) / (time.monotonic() - began) * 100
        if _visits(conn) != before + 1:
            raise SystemExit("the quiet time was not quiet")
        program.stop()
    read, opened = (f"{step:.2f} s" for step in steps if step is not None)
    return [
        Figure(
            what=f"start to first fetch with {life.sources:,} sources stored",
            value=first,
            unit="s",
            at_most=1,
            note=f"Python and the config took until {read}, the store was open at {opened}",
        ),
        Figure(
            what=f"the daemon with {life.sources:,} sources, none due",
            value=idle,
            unit="% of a core",
            note="clock, queue, checkers, housekeeping",
        ),
    ]


def _took(conn: sqlite3.Connection) -> float:
    """Seconds from the last visit's request to its commit."""
    row = conn.execute("select duration_ms from checks order by id desc limit 1").fetchone()
    return int(row[0]) / 1_000


if __name__ == "__main__":
    main(measure)
