"""One command for all that must hold at scale: ``python -m bench.scale [NAME …] [--quick]``.

Prints one Markdown table per measure and saves it in ``bench/out``. Each measure runs in a
process of its own, ends by itself, and is ended when it takes too long. Full scale takes some
minutes and some gigabytes in the temporary folder, which are freed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from bench.scale.figures import Figure, table
from bench.scale.setting import Setting
from bench.server import pinned

OUT = Path(__file__).parent.parent / "out"
MEASURES = {
    "still": ("nothing new", 120),
    "lag": ("the event loop while large pages are read", 120),
    "flat": ("the cost of a visit beside what is remembered", 300),
    "many": ("10,000 sources", 420),
    "cores": ("two cores", 240),
}
"""Title, and the seconds after which it is ended."""
UNPINNED = frozenset({"many", "cores"})
"""They choose the cores of what they start themselves."""


def main() -> None:
    """Run what is asked for, all of it without a name."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *MEASURES], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="small: shows that it runs")
    asked = parser.parse_args()
    # Asked to stop, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    setting = Setting(cores=tuple(_cores()), quick=asked.quick)
    OUT.mkdir(exist_ok=True)
    broken = [name for name in asked.names or MEASURES if not _show(name, setting)]
    sys.exit(f"broken: {', '.join(broken)}" if broken else 0)


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _show(name: str, setting: Setting) -> bool:
    """Measure, print, save; False when the measure broke."""
    began = time.monotonic()
    figures, fault = _run(name, setting)
    title = f"## {MEASURES[name][0]}" + (" (quick)" if setting.quick else "")
    took = f"{time.monotonic() - began:.0f} s on {len(setting.cores)} core(s)"
    text = f"{title}\n\n{table(figures) if figures else f'Not measured: {fault}'}\n\n{took}\n"
    print(text, flush=True)
    (OUT / f"scale-{name}.md").write_text(text, "utf-8")
    return not fault


def _run(name: str, setting: Setting) -> tuple[list[Figure], str]:
    """What a measure found, or why it found nothing."""
    pin = [] if name in UNPINNED else pinned(setting.own)
    process = subprocess.Popen(
        [
            *pin,
            *(sys.executable, "-m", f"bench.scale.{name}"),
            msgspec.json.encode(setting).decode(),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, said = process.communicate(timeout=MEASURES[name][1])
    except subprocess.TimeoutExpired:
        return [], f"it took longer than {MEASURES[name][1]} s"
    finally:
        _end(process)
    if process.returncode:
        print(said[-3_000:], file=sys.stderr)
        return [], (said.strip().splitlines() or ["it failed without a word"])[-1]
    return msgspec.json.decode(out.strip().splitlines()[-1], type=list[Figure]), ""


def _end(process: subprocess.Popen[str]) -> None:
    """Let it clean up, then make sure that nothing of its own session is left."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        process.terminate()
        process.wait(15)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
