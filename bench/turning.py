"""Pages that change at every visit, turned by a process of their own beside the server.

What a site does costs the site's core: the peers, who ask for each visit by its own address, do
not pay for it either. ``python -m bench.turning FOLDER PAGES VISITS`` turns the page of each byte
it reads and ends with its input.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import site


class Turner:
    """Lets pages turn from afar; a context manager. Every page begins with its first visit."""

    def __init__(self, folder: Path, *, pages: int, visits: int) -> None:
        site.Rotation(folder, pages=pages, visits=visits).rewind()
        command = [sys.executable, "-m", "bench.turning", str(folder), str(pages), str(visits)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert self._process.stdin is not None
        self._input = self._process.stdin.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def advance(self, page: int) -> None:
        """Let a page show its next visit, a moment from now."""
        os.write(self._input, bytes([page]))


def main() -> None:
    """Turn what is asked for, on another core than the one that is measured."""
    if hasattr(os, "sched_setaffinity"):
        ours, all_cores = os.sched_getaffinity(0), set(range(os.cpu_count() or 1))
        os.sched_setaffinity(0, all_cores - ours or ours)
    folder, pages, visits = sys.argv[1:]
    rotation = site.Rotation(Path(folder), pages=int(pages), visits=int(visits))
    while asked := os.read(0, 1):
        rotation.advance(asked[0])


if __name__ == "__main__":
    main()
