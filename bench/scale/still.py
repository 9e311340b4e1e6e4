"""Visits a second when nothing is new: the site says so (304), or the island does.

``python -m bench.scale still``. The whole loop by the daemon, forty sources, one core. For the
second figure the body is another at every visit (each page has a request id) and comes in full;
only its island is that of the source's last visit.
"""

from __future__ import annotations

import math
import sqlite3
from datetime import timedelta
from pathlib import Path

from bench import site
from bench.loop import BETWEEN, Turning, expect, home, run
from bench.peers.meter import Report, Task
from bench.scale.figures import Figure
from bench.scale.setting import VISITS, Setting, loop_pages, main, rate_note
from bench.server import serving
from watcher.model import CheckOutcome

PAGES = 40


class Still:
    """Pages that stay as they are."""

    def advance(self, page: int) -> None:
        """The page shows what it showed."""


class Copies:
    """Pages that say the same in another body at every visit."""

    def __init__(self, rotation: site.Rotation) -> None:
        self._rotation = rotation
        self._shown = [1] * PAGES

    def advance(self, page: int) -> None:
        """The page shows its other copy."""
        self._shown[page] = 1 - self._shown[page]
        self._rotation.point(page, self._shown[page], kind="same")


def measure(setting: Setting) -> list[Figure]:
    """Both figures, one after the other."""
    folder = loop_pages()
    rotation = site.Rotation(folder, pages=PAGES, visits=VISITS)
    with serving(folder, cores=setting.server) as server:
        rotation.rewind()
        count = setting.sized(4_000, 800)
        silent = _run(Task(base=server.base, count=count), Still(), bodies=False)
        rotation.rewind()
        count = setting.sized(2_400, 800)
        equal = _run(Task(base=server.base, count=count), Copies(rotation), bodies=True)
    return [
        Figure(
            what="304 answers",
            value=silent.rate,
            unit="a second",
            at_least=1_200,
            note=rate_note(silent, setting),
        ),
        Figure(
            what="equal islands in other bodies",
            value=equal.rate,
            unit="a second",
            at_least=800,
            note=rate_note(equal, setting),
        ),
    ]


def _run(task: Task, turning: Turning, *, bodies: bool) -> Report:
    with home() as folder:
        watching = run(task, folder, turning)
        expect(watching, CheckOutcome.UNCHANGED)
        _expect_bodies(folder / "watcher.db", task, bodies=bodies)
    return watching.meter.report("still")


def _expect_bodies(database: Path, task: Task, *, bodies: bool) -> None:
    """Whether the pages came (or did not), by what the store remembers of the visits. Once a day
    of the bench's time each page is asked for as a whole."""
    conn = sqlite3.connect(database)
    visits, full = conn.execute(
        "select count(*), sum(bytes > 0) from checks where outcome = 'unchanged'"
    ).fetchone()
    conn.close()
    days = visits / task.pages * BETWEEN / timedelta(days=1)
    most = visits if bodies else task.pages * math.ceil(days)
    if visits < task.total or full > most or (bodies and full < visits):
        raise SystemExit(f"{full} of {visits} unchanged visits had a body")


if __name__ == "__main__":
    main(measure)
