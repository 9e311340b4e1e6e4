"""The real ``watcher run`` as a process of its own, seen from outside: memory, processor time, log.

Needs a system that tells of its processes in ``/proc``.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

_NOT_OURS = ("numpy", "twisted", "greenlet")
"""Packages of the peers and tests that libraries of the product import where they are there: in an
installation of the product they are not."""
_RUN = (
    f"import sys; sys.modules.update(dict.fromkeys({_NOT_OURS!r}));"
    "from watcher.cli import main; main()"
)
_TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc/self/status")


class _Line(msgspec.Struct):
    event: str
    timestamp: datetime


class Program:
    """A running daemon."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.began = time.time()
        self._process, self._log = process, log

    def peak_mb(self) -> float:
        """The most memory it ever had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def logged(self, event: str) -> float | None:
        """Seconds from the start of the process to the first line of an event in its log."""
        with self._log.open("rb") as file:
            for text in file:
                line = msgspec.json.decode(text, type=_Line)
                if line.event == event:
                    return line.timestamp.timestamp() - self.began
        return None

    def wait_for(self, event: str) -> None:
        """Wait for the first line of an event."""
        while self.logged(event) is None:
            self.expect_alive()
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask it to end and wait for that; kill it when it does not."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()
        self._process.wait()

    def expect_alive(self) -> None:
        """Raises SystemExit with its last words when it has ended."""
        if self._process.poll() is not None:
            raise SystemExit(f"the daemon has ended: {self._log.read_text()[-500:]}")


@contextlib.contextmanager
def running(config: Path) -> Iterator[Program]:
    """The daemon over a config, for as long as the block lasts."""
    log = config.with_name("run.log")
    with log.open("wb") as file:
        command = [sys.executable, "-c", _RUN, "run", "--config", str(config)]
        process = subprocess.Popen(command, stderr=file)
    program = Program(process, log)
    try:
        yield program
    finally:
        program.stop()
