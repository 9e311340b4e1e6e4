"""What every contestant shares: its task on the command line, its clock, its report.

A contestant reads ``warm`` pages, then ``count`` pages against the clock, and prints one line
of JSON. Time runs from the end of one page to the end of another, with all connections busy at
both ends, so that neither start-up nor tail is in it.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator

import msgspec

from bench import site

CONNECTIONS = 16


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a contestant has to read."""

    base: str
    """``http://127.0.0.1:PORT``"""
    pages: int = 40
    visits: int = 10
    """How many there are of each page."""
    warm: int = 80
    count: int = 400
    connections: int = CONNECTIONS
    archive: bool = False
    """Whether the pages are kept too; of the loop alone."""

    @property
    def total(self) -> int:
        """Pages to be read in all."""
        return self.warm + self.count

    def addresses(self) -> Iterator[str]:
        """Every visit of every page, each page before any page again."""
        for number in range(self.total):
            visit, page = divmod(number, self.pages)
            yield self.base + site.path(page, visit % self.visits)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How it went."""

    name: str
    pages: int
    seconds: float
    cpu: float
    """Seconds of processor time, user and system, all threads."""
    cards: int
    """Papers found on those pages, to see that the work was done."""
    rss_mb: float = 0.0
    """The most memory it had."""
    versions: str = ""
    extra: dict[str, float] = {}

    @property
    def rate(self) -> float:
        """Pages a second."""
        return self.pages / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Processor time per page."""
        return self.cpu / self.pages * 1000


class Meter:
    """Counts pages; knows when the clock starts and ends."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.seen = self.cards = 0
        self._began = self._ended = (0.0, 0.0)

    def page(self, cards: int) -> None:
        """A page was read; it had so many papers."""
        self.seen += 1
        if self._task.warm < self.seen <= self._task.total:
            self.cards += cards
        if self.seen == self._task.warm:
            self._began = _now()
        elif self.seen == self._task.total:
            self._ended = _now()

    @property
    def done(self) -> bool:
        """All pages were read."""
        return self.seen >= self._task.total

    def report(self, name: str, *, versions: str = "", **extra: float) -> Report:
        """What was measured; raises when not all was read or a page came without papers."""
        expected = self._task.count * site.CARDS
        if not self.done or self.cards != expected:
            raise SystemExit(f"{name}: {self.seen} pages, {self.cards} of {expected} papers")
        return Report(
            name=name,
            pages=self._task.count,
            seconds=self._ended[0] - self._began[0],
            cpu=self._ended[1] - self._began[1],
            cards=self.cards,
            rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            versions=versions,
            extra=extra,
        )


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def task_from_arguments(description: str | None = None) -> Task:
    """The task as ``bench.table`` passes it: one JSON object."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("task", help='e.g. {"base": "http://127.0.0.1:8080"}')
    return msgspec.json.decode(parser.parse_args().task, type=Task)


def tell(report: Report) -> None:
    """The report as one line on standard output."""
    print(msgspec.json.encode(report).decode(), flush=True)
