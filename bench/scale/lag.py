"""How late the event loop is while pages of 1.6 MB are read with 16 connections.

``python -m bench.scale lag``. A companion on the daemon's own loop wants to run every five
milliseconds and notes how late it is; a pause that swallows several of its turns counts for each
of them, so that long pauses are not counted as rare ones.
"""

from __future__ import annotations

import asyncio
import os

from bench import site
from bench.loop import expect, home, run
from bench.peers.meter import Task
from bench.scale.figures import Figure
from bench.scale.setting import Setting, main, pages
from bench.server import serving
from watcher.model import CheckOutcome

PAGES, VISITS = 40, 12
"""Each page is visited some eight times: counts that begin anew would be doubted."""
EVERY = 0.005
AIM_MS = 100


class Lateness:
    """Notes how late the loop is, turn by turn."""

    def __init__(self) -> None:
        self.late: list[float] = []

    async def watch(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        due = loop.time() + EVERY
        while True:
            await asyncio.sleep(max(due - loop.time(), 0))
            now = loop.time()
            while due <= now:
                self.late.append(now - due)
                due += EVERY

    def at(self, share: float) -> float:
        """The lateness in milliseconds that so large a share of all turns keeps within."""
        late = sorted(self.late)
        return late[min(int(len(late) * share), len(late) - 1)] * 1_000


def measure(setting: Setting) -> list[Figure]:
    """On one core, where pages are read on the loop itself, and on two, where a thread does it."""
    folder = pages("large", PAGES, visits=VISITS, drawing=55)
    figures = []
    with serving(folder, cores=setting.server) as server:
        task = Task(base=server.base, warm=40, count=setting.sized(240, 120))
        rotation = site.Rotation(folder, pages=PAGES, visits=VISITS)
        for cores in dict.fromkeys((setting.cores[-1:], setting.cores)):
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, cores)
            rotation.rewind()
            figures.append(_run(task, rotation, f"{len(cores)} core(s)"))
    return figures


def _run(task: Task, rotation: site.Rotation, on: str) -> Figure:
    lateness = Lateness()
    with home() as folder:
        watching = run(task, folder, rotation, company=lateness.watch)
        expect(watching, CheckOutcome.OK)
    report = watching.meter.report("lag")
    return Figure(
        what=f"lag of the event loop, 99 %, {on}",
        value=lateness.at(0.99),
        unit="ms",
        at_most=AIM_MS,
        note=f"{lateness.at(0.5):.1f} ms in the middle, {lateness.at(1):.0f} ms at most; "
        f"{report.rate:.0f} pages a second, {len(lateness.late):,} turns",
    )


if __name__ == "__main__":
    main(measure)
