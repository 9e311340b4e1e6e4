"""``python -m tests.faults --kills 500``: kill the daemon, compare, print the verdict."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.faults.harness import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1, help="another seed, another history")
    parser.add_argument("--lanes", type=int, default=2, help="daemons side by side")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        verdict = asyncio.run(
            run(Path(folder), kills=asked.kills, seed=asked.seed, lanes=asked.lanes)
        )
    sys.stdout.write(f"{verdict}\n")
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
