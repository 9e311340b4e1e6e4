"""The whole loop of ``bench.loop`` with the pages behaving otherwise, or with company.

``python -m bench.scale.driving TASK`` is that loop over pages that change at every visit, for the
measure that runs it once with one core and once with two.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from pathlib import Path
from typing import Protocol

import uvloop

from bench import history, loop, site
from bench.loop import Watching, config_of, home
from bench.peers.meter import Task, task_from_arguments, tell
from bench.scale.setting import VISITS, loop_pages
from watcher import telemetry
from watcher.daemon import Daemon
from watcher.model import CheckOutcome


class Turning(Protocol):
    """What a page shows next, after it was visited."""

    def advance(self, page: int) -> object:
        """A page was visited."""


class Company(Protocol):
    """What runs on the daemon's own event loop beside it, until it is cancelled."""

    def __call__(self) -> Coroutine[None, None, None]: ...


def drive(
    task: Task, folder: Path, turning: Turning, *, company: Company | None = None
) -> Watching:
    """Visit each page ``task.total / task.pages`` times by the daemon; its store stays in
    ``folder``. The first round makes the papers and their past and is not timed."""
    clock = loop.SteppingClock()
    config = config_of(task, folder)
    with (
        (folder / "watcher.log").open("w") as log,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        telemetry.configure(stream=log)
        first = Watching(task, turning, clock)  # type: ignore[arg-type]
        runner.run(Daemon(config, clock=clock, on_checked=first.checked).once())
        history.backdate(folder / "watcher.db", loop.START)
        clock.pass_by(loop.BETWEEN)
        watching = Watching(task, turning, clock)  # type: ignore[arg-type]
        watching.daemon = Daemon(config, clock=clock, on_checked=watching.checked)
        runner.run(_together(watching.daemon, company))
    return watching


async def _together(daemon: Daemon, company: Company | None) -> None:
    beside = asyncio.create_task(company()) if company else None
    await daemon.run()
    if beside is not None:
        beside.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beside


def expect(watching: Watching, outcome: CheckOutcome) -> None:
    """Raises SystemExit when a visit ended otherwise: then the figures mean nothing."""
    if set(watching.outcomes) != {outcome.value}:
        raise SystemExit(f"not every visit was {outcome.value}: {dict(watching.outcomes)}")


def main() -> None:
    """One contestant."""
    task = task_from_arguments(__doc__)
    pages = loop_pages()
    rotation = site.Rotation(pages, pages=task.pages, visits=VISITS)
    rotation.rewind()
    with home() as folder:
        watching = drive(task, folder, rotation)
        expect(watching, CheckOutcome.OK)
    tell(watching.meter.report("loop"))


if __name__ == "__main__":
    main()
