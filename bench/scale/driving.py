"""The whole loop of ``bench.loop`` over the pages of these measures, as a program of its own.

``python -m bench.scale.driving TASK``: for the measure that runs it once with one core and once
with two.
"""

from __future__ import annotations

from bench.loop import changing, expect, home, run
from bench.peers.meter import task_from_arguments, tell
from bench.scale.setting import loop_pages
from watcher.model import CheckOutcome


def main() -> None:
    """One contestant."""
    task = task_from_arguments(__doc__)
    with home() as folder, changing(task, loop_pages()) as turning:
        watching = run(task, folder, turning)
        expect(watching, CheckOutcome.OK)
    tell(watching.meter.report("loop"))


if __name__ == "__main__":
    main()
