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
from pathlib import Path

import msgspec

from bench import site
from bench.peers.meter import Report, Task
from bench.server import pages_folder, pinned, serving

LOOP = "bench.loop"
CONTESTANTS = {
    "floor: read, inflate, decode": ("bench.peers.floor", 400),
    "watcher: the whole loop": (LOOP, 400),
    "aiohttp + selectolax": ("bench.peers.bare", 400),
    "Scrapy": ("bench.peers.spider", 160),
    "httpx + BeautifulSoup": ("bench.peers.soup", 80),
}
VISITS = 16
"""More than any page is visited: counts that begin anew would be doubted."""


def one(module: str, task: Task, cores: set[int]) -> Report:
    """Let one contestant run in a process of its own."""
    command = [*pinned(cores), sys.executable, "-m", module, msgspec.json.encode(task).decode()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stderr[-2000:]}")
    return msgspec.json.decode(done.stdout.strip().splitlines()[-1], type=Report)


def measure(rounds: int) -> dict[str, list[Report]]:
    """Every contestant, round by round."""
    folder = pages_folder()
    site.write_pages(folder, visits=VISITS)
    cores = sorted(os.sched_getaffinity(0))
    found: dict[str, list[Report]] = {name: [] for name in CONTESTANTS}
    with serving(folder, cores={cores[0]}) as server:
        for turn in range(rounds):
            for name, (module, count) in CONTESTANTS.items():
                task = Task(base=server.base, visits=VISITS, count=count)
                found[name].append(one(module, task, {cores[-1]}))
                rate = found[name][-1].rate
                print(f"  round {turn + 1}: {name} {rate:.0f} pages/s", file=sys.stderr)
    return found


def table(found: dict[str, list[Report]]) -> str:
    """Medians, and how many times each the whole loop is."""
    ours = statistics.median(report.rate for report in found["watcher: the whole loop"])
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
    shown = table(found)
    print(f"\n{shown}\n\n{versions()}")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "table.md").write_text(f"{shown}\n\n{versions()}\n", "utf-8")


if __name__ == "__main__":
    main()
