"""nginx on loopback for the benches, pinned to a core, gone with the ``with`` block."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import site

_TICKS = os.sysconf("SC_CLK_TCK")
SPACE = 2 << 30
"""Bytes that must be free in memory for the pages to lie there."""


class Server:
    """A running nginx."""

    def __init__(self, base: str, master: int) -> None:
        self.base = base
        self._master = master

    def cpu(self) -> float:
        """Seconds of processor time that its processes used so far."""
        return sum(map(_cpu_of, [self._master, *_children(self._master)]))


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _children(pid: int) -> list[int]:
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def pages_folder() -> Path:
    """Where the pages are written: in memory where there is room, else in a temporary folder.

    They are kept from one run to the next (their making takes half a minute).
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > SPACE
    parent = memory if roomy and os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    return parent / f"paper-watcher-bench-{os.getuid()}"


def pinned(cores: set[int] | None) -> list[str]:
    """The command prefix that keeps a process on some cores; nothing where that is impossible."""
    taskset = shutil.which("taskset")
    if not cores or taskset is None:
        return []
    return [taskset, "-c", ",".join(map(str, sorted(cores)))]


@contextlib.contextmanager
def serving(folder: Path, *, cores: set[int] | None = None) -> Iterator[Server]:
    """Serve the pages of a folder for as long as the block lasts.

    Raises SystemExit when nginx is not installed or does not start.
    """
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise SystemExit("nginx is not installed: `make bench` does it, or apt install nginx-light")
    with tempfile.TemporaryDirectory(prefix="paper-watcher-nginx-") as home:
        port = _free_port()
        conf = Path(home) / "nginx.conf"
        conf.write_text(
            site.nginx_conf(folder, port=port).replace(f"{folder}/nginx", f"{home}/nginx")
        )
        command = [*pinned(cores), nginx, "-c", str(conf), "-e", f"{home}/early-error.log"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            _wait_for(port, process)
            yield Server(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()
            process.wait(10)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit("nginx did not start")
