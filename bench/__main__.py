"""One command, one table: the whole loop beside its peers, as ratios in the same run.

``python -m bench [--rounds 3]``. nginx serves from one core, each contestant reads with the
other; the rounds are interleaved, so that a machine that slows down slows everybody. Peers do
less: none of them stores, judges or remembers anything. Only ratios of one run mean anything.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench import site
from bench.drawing import bars
from bench.peers.meter import Report, Task
from bench.server import pages_folder, pinned, serving

LOOP = "bench.loop"
OURS = "watcher: the whole loop"
CONTESTANTS = {
    "floor: read, inflate, decode": ("bench.peers.floor", 400),
    OURS: (LOOP, 400),
    "the same, every page archived": (LOOP, 400),
    "aiohttp + selectolax": ("bench.peers.bare", 400),
    "Scrapy": ("bench.peers.spider", 160),
    "httpx + BeautifulSoup": ("bench.peers.soup", 80),
}
VISITS = 16
"""More than any page is visited: counts that begin anew would be doubted."""


KEPT = {"MALLOC_TRIM_THRESHOLD_": "67108864", "MALLOC_MMAP_THRESHOLD_": "67108864"}
"""For everybody alike: memory that is freed stays with the process. Else glibc gives the room of
a page back and fetches it anew for the next, or not, by the chance of what lies above it: a bare
peer then takes up to 1.6 times as long."""


def program(module: str, task: Task, cores: set[int]) -> str:
    """Let a program of the bench run in a process of its own; the last line it says."""
    command = [*pinned(cores), sys.executable, "-m", module, msgspec.json.encode(task).decode()]
    env = {**os.environ, **KEPT}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=env
    )
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stderr[-2000:]}")
    return done.stdout.strip().splitlines()[-1]


def one(module: str, task: Task, cores: set[int]) -> Report:
    """Let one contestant run."""
    return msgspec.json.decode(program(module, task, cores), type=Report)


class Measured(NamedTuple):
    """What a run of the bench has found."""

    reports: dict[str, list[Report]]
    """Of each contestant, round by round."""
    server: float
    """The part of its core that the server used while the loop was measured."""
    rows: str
    """What came of comparing the stored rows."""


def measure(rounds: int) -> Measured:
    """Every contestant, round by round."""
    folder = pages_folder()
    site.write_pages(folder, visits=VISITS)
    cores = sorted(os.sched_getaffinity(0))
    found: dict[str, list[Report]] = {name: [] for name in CONTESTANTS}
    shares = []
    with serving(folder, cores={cores[0]}) as server:
        for turn in range(rounds):
            for name, (module, count) in CONTESTANTS.items():
                task = Task(
                    base=server.base, visits=VISITS, count=count, archive="archived" in name
                )
                before, began = server.cpu(), time.perf_counter()
                found[name].append(one(module, task, {cores[-1]}))
                if name == OURS:
                    shares.append((server.cpu() - before) / (time.perf_counter() - began))
                rate = found[name][-1].rate
                print(f"  round {turn + 1}: {name} {rate:.0f} pages/s", file=sys.stderr)
        rows = program("bench.rows", Task(base=server.base, visits=VISITS), {cores[-1]})
    return Measured(found, statistics.median(shares), rows)


def table(found: dict[str, list[Report]]) -> str:
    """Medians, and how many times each the whole loop is."""
    ours = statistics.median(report.rate for report in found[OURS])
    lines = [
        "| who | pages/s | processor ms a page | peak MB | the loop is |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, reports in found.items():
        rate = statistics.median(report.rate for report in reports)
        cpu = statistics.median(report.cpu_ms for report in reports)
        peak = max(report.rss_mb for report in reports)
        lines.append(f"| {name} | {rate:.0f} | {cpu:.2f} | {peak:.0f} | {ours / rate:.2f} × |")
    return "\n".join(lines)


def versions() -> str:
    """The peers' versions."""
    names = ("scrapy", "parsel", "httpx", "beautifulsoup4", "lxml", "aiohttp", "selectolax")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    found = measure(parser.parse_args().rounds)
    server = f"nginx used {found.server:.0%} of its core while the loop ran"
    shown = "\n\n".join([table(found.reports), f"{server}; {found.rows}.", versions()])
    print(f"\n{shown}")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "table.md").write_text(f"{shown}\n", "utf-8")
    bars(
        {name: [report.rate for report in reports] for name, reports in found.reports.items()},
        out / "table.png",
    )


if __name__ == "__main__":
    main()
