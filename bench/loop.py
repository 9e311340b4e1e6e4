"""The whole loop against the clock: the real daemon over pages that change at every visit.

``python -m bench.loop TASK`` is one contestant (``bench.table`` runs it beside the peers): forty
sources, each a trending page of fifty papers, three rules, a digest by maildir, the store on
disk with every commit synced. Nothing is left out: agenda, robots.txt, conditional request,
inflating, reading, history, signals, verdicts, one transaction, the next visit's time, metrics
and a log line for each visit. What is injected is the clock: some 30 minutes pass between two
visits of a source, and the papers have two days of history when it begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import uvloop

from bench import history, site
from bench.peers.meter import Meter, Report, Task, task_from_arguments, tell
from bench.server import pages_folder
from bench.turning import Turner
from watcher import telemetry
from watcher.channels import OPTIONS
from watcher.config import Config, parse
from watcher.daemon import Daemon
from watcher.fetch import SystemClock
from watcher.model import CheckOutcome
from watcher.watch import Checked

START = datetime(2026, 10, 14, 12, tzinfo=UTC)
"""The day on which the pages were written."""
BETWEEN = timedelta(minutes=30)
"""Between two visits of a source."""

CONFIG = """\
[watcher]
database = "watcher.db"
timezone = "Europe/Berlin"
contact = "mailto:me@example.org"
operator = "me"

[fetch]
per_host_rate = 0
per_host_concurrency = {connections}
allow_private = true

[[rule]]
name = "alignment"
query = 'title:alignment OR abstract:"preference optimization"'
channels = ["me"]

[[rule]]
name = "busy"
min_upvotes = 175
channels = ["me"]

[[rule]]
name = "agents"
query = "agent* AND upvotes:>=10"
exclude = ["survey"]
events = ["rising", "resurging"]
channels = ["me"]

[channel.me]
type = "maildir"
path = "mail"
digest = "08:00"
"""
SOURCE = """
[[source]]
name = "{name}"
url = "{url}"
every = "13m"
"""


class SteppingClock(SystemClock):
    """Time passes with each visit, not by itself; only what sleeps, sleeps really."""

    def __init__(self) -> None:
        self._now = START

    def now(self) -> datetime:
        """The bench's time."""
        return self._now

    def pass_by(self, duration: timedelta) -> None:
        """Let time pass."""
        self._now += duration


def config_of(task: Task, folder: Path) -> Config:
    """As many sources as there are pages, each at its fixed address."""
    sources = [
        SOURCE.format(name=f"t{page:02}", url=task.base + site.path(page))
        for page in range(task.pages)
    ]
    text = CONFIG.format(connections=task.connections) + "".join(sources)
    text += "[archive]\n" if task.archive else ""
    return parse(text.encode(), OPTIONS, env={}, folder=folder)


class Turning(Protocol):
    """What a page shows next, after it was visited."""

    def advance(self, page: int) -> object:
        """A page was visited."""


class Company(Protocol):
    """What runs on the daemon's own event loop beside it, until it is cancelled."""

    def __call__(self) -> Coroutine[None, None, None]: ...


class Watching:
    """What is noted of every visit, and the end of it all."""

    def __init__(self, task: Task, turning: Turning, clock: SteppingClock) -> None:
        self.meter = Meter(task)
        self.outcomes: Counter[str] = Counter()
        self.told = self.moved = 0
        self.daemon: Daemon | None = None
        self._turning, self._clock, self._step = turning, clock, BETWEEN / task.pages

    def checked(self, checked: Checked) -> None:
        """A visit has ended: its page shows the next, and time goes on."""
        self._turning.advance(int(checked.target[1:]))
        if self.daemon is None:  # the first round: all at one time
            return
        self._clock.pass_by(self._step)
        self.outcomes[checked.outcome.value] += 1
        self.told += checked.told
        self.moved += checked.moved
        self.meter.page(checked.cards or 0)
        if self.meter.done:
            self.daemon.stop()


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """A folder on a real disk, as the store has it in life; gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="paper-watcher-loop-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def changing(task: Task, pages: Path) -> Turner:
    """Pages that change at every visit, from the first one on."""
    return Turner(pages, pages=task.pages, visits=task.visits)


def run(task: Task, folder: Path, turning: Turning, *, company: Company | None = None) -> Watching:
    """Visit each page ``task.total / task.pages`` times by the daemon; its store stays in
    ``folder``. The first round makes the papers and their past and is not timed."""
    clock = SteppingClock()
    config = config_of(task, folder)
    with (
        (folder / "watcher.log").open("w") as log,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        telemetry.configure(stream=log)
        first = Watching(task, turning, clock)
        runner.run(Daemon(config, clock=clock, on_checked=first.checked).once())
        history.backdate(folder / "watcher.db", START)
        clock.pass_by(BETWEEN)
        watching = Watching(task, turning, clock)
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
    began = time.perf_counter()
    with home() as folder, changing(task, pages_folder()) as turning:
        watching = run(task, folder, turning)
        expect(watching, CheckOutcome.OK)
        report: Report = watching.meter.report(
            "loop",
            told=watching.told,
            moved=watching.moved / watching.meter.seen,
            all_seconds=time.perf_counter() - began,
        )
    tell(report)


if __name__ == "__main__":
    main()
