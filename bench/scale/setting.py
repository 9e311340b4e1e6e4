"""What every measure is told, where its pages lie, and how it runs as a process of its own."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from bench import site
from bench.peers.meter import Report
from bench.scale.figures import Figure
from bench.server import pages_folder

T = TypeVar("T")
VISITS = 16
"""More than any page is visited: counts that begin anew would be doubted."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """How large a measure is to be, and on which cores it runs."""

    cores: tuple[int, ...]
    """Those there are: the server gets the first, what is measured the last."""
    quick: bool = False
    """A small version: shows that the measure runs, proves little."""

    @property
    def server(self) -> set[int]:
        """The core of the server."""
        return {self.cores[0]}

    @property
    def own(self) -> set[int]:
        """The core of what is measured."""
        return {self.cores[-1]}

    @property
    def shared(self) -> str:
        """A remark for figures that a server on the same core has spoilt."""
        return "" if len(self.cores) > 1 else "; the server has the same core"

    def sized(self, full: T, quick: T) -> T:
        """The one or the other."""
        return quick if self.quick else full


def pages(name: str, count: int, *, visits: int, same: int = 0, drawing: int = 3) -> Path:
    """A folder with the pages of one kind of measure, made when they are not there yet.

    Not the folder of ``make bench``: both may run at a time, and both let their pages change.
    """
    folder = pages_folder()
    folder = folder.with_name(f"{folder.name}-scale") / name
    site.write_pages(folder, count, visits=visits, same=same, drawing=drawing)
    return folder


def loop_pages() -> Path:
    """Forty pages of 0.9 MB: the ones of ``make bench``."""
    return pages("loop", 40, visits=VISITS, same=2)


def room(needed: int) -> str:
    """Why so many bytes do not fit into the temporary folder; empty when they do."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free >= needed:
        return ""
    return f"needs {needed / 1e9:.1f} GB in {tempfile.gettempdir()}, {free / 1e9:.1f} GB are free"


def rate_note(report: Report, setting: Setting) -> str:
    """What one visit costs, and what a core with nothing else to do would make of it."""
    cpu = report.cpu_ms
    return f"{cpu:.2f} ms of processor time each ({1_000 / cpu:,.0f} a core-second){setting.shared}"


def main(measure: Callable[[Setting], list[Figure]]) -> None:
    """A measure as a program: its setting on the command line, its figures on standard output."""
    # Asked to stop, it leaves its blocks: servers end, folders go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    setting = msgspec.json.decode(sys.argv[1], type=Setting)
    print(msgspec.json.encode(measure(setting)).decode())
