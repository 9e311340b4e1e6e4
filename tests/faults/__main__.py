"""``python -m tests.faults --kills 500``: kill the daemon, compare, print the verdict.

``--speed`` measures how quickly alerts leave instead.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.faults.harness import run
from tests.faults.speed import measure
from watcher import telemetry


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1, help="another seed, another history")
    parser.add_argument("--lanes", type=int, default=2, help="daemons side by side")
    parser.add_argument("--speed", action="store_true", help="measure how quickly alerts leave")
    asked = parser.parse_args()
    telemetry.configure(level="critical")
    if asked.speed:
        sys.stdout.write(f"{asyncio.run(measure())}\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        verdict = asyncio.run(
            run(Path(folder), kills=asked.kills, seed=asked.seed, lanes=asked.lanes)
        )
    sys.stdout.write(f"{verdict}\n")
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
