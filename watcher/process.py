"""What a process that runs for months asks of Python and the C library.

Owns the settings of memory. Must not know what the process does.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator

_ARENA_MAX = -8
"""``M_ARENA_MAX`` of glibc's ``malloc.h``; see mallopt(3)."""


@contextlib.contextmanager
def long_life() -> Iterator[None]:
    """For as long as the block lasts; begin it before anything is built and any thread runs.

    One heap for all threads: with one each, every thread keeps the room of its largest page. No
    garbage collection until all is ``built``: a start makes no garbage.
    """
    # Another C library has no such setting, or knows better.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def built() -> None:
    """What is there by now stays there: the garbage collector need not walk it."""
    gc.collect()
    gc.freeze()
    gc.enable()
