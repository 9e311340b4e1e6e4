"""Two cores against one: the whole loop pinned to one core, then free to use two.

``python -m bench.scale cores``. nginx serves from the first core in both cases, so the second
case has to share that core with it; the server's part is printed. A daemon on one core reads
its pages on the event loop, on two cores it has threads for that. The runs are interleaved, so
that a machine that slows down slows both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import msgspec

from bench.peers.meter import Report, Task
from bench.scale.figures import Figure
from bench.scale.setting import VISITS, Setting, loop_pages, main
from bench.server import Server, pinned, serving

AIM = 1.5


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the loop, and what the server did meanwhile."""

    report: Report
    server: float
    """The server's part of a core while the loop ran, its untimed beginning included."""


def measure(setting: Setting) -> list[Figure]:
    """The ratio, and the rates it is made of."""
    what = "two cores against one"
    if len(setting.cores) < 2:
        return [Figure(what=what, unit="×", at_least=AIM, note="there is one core only")]
    one: list[Run] = []
    two: list[Run] = []
    with serving(loop_pages(), cores=setting.server) as server:
        task = Task(base=server.base, visits=VISITS, count=setting.sized(400, 160))
        for _ in range(setting.sized(3, 1)):
            one.append(_run(task, server, setting.own))
            two.append(_run(task, server, setting.server | setting.own))
    ratio = _rate(two) / _rate(one)
    return [
        Figure(what="pages a second, one core", value=_rate(one), note=_note(one)),
        Figure(what="pages a second, two cores", value=_rate(two), note=_note(two)),
        Figure(what=what, value=ratio, unit="×", at_least=AIM, note=f"medians of {len(one)} runs"),
    ]


def _run(task: Task, server: Server, cores: set[int]) -> Run:
    command = [*pinned(cores), sys.executable, "-m", "bench.scale.driving"]
    before, began = server.cpu(), time.perf_counter()
    done = subprocess.run(
        [*command, msgspec.json.encode(task).decode()],
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    share = (server.cpu() - before) / (time.perf_counter() - began)
    report = msgspec.json.decode(done.stdout.strip().splitlines()[-1], type=Report)
    return Run(report=report, server=share)


def _rate(runs: Sequence[Run]) -> float:
    return statistics.median(run.report.rate for run in runs)


def _note(runs: Sequence[Run]) -> str:
    busy = statistics.median(run.report.cpu / run.report.seconds for run in runs)
    cpu = statistics.median(run.report.cpu_ms for run in runs)
    share = statistics.median(run.server for run in runs)
    ours = f"the daemon used {busy:.2f} cores ({cpu:.2f} ms a page)"
    return f"{ours}, the server {share:.2f} of the first one"


if __name__ == "__main__":
    main(measure)
