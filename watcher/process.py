"""What a process that runs for months asks of Python and the C library.

Owns the settings of memory, and what a signal does before anybody takes it. Must not know what
the process does.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import signal
from collections.abc import Iterator

_ARENA_MAX = -8
"""``M_ARENA_MAX`` of glibc's ``malloc.h``; see mallopt(3)."""


@contextlib.contextmanager
def long_life() -> Iterator[None]:
    """For as long as the block lasts; begin it before anything is built and any thread runs.

    One heap for all threads: with one each, every thread keeps the room of its largest page. No
    garbage collection until all is ``built``: a start makes no garbage. A SIGHUP that comes before
    anybody listens to it is no reason to die: the config is about to be read anyway.
    """
    before = None
    with contextlib.suppress(ValueError):  # not the main thread: then nobody listens to signals
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Another C library has no such setting, or knows better.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        if before is not None:
            signal.signal(signal.SIGHUP, before)


def built() -> None:
    """What is there by now stays there: the garbage collector need not walk it."""
    gc.collect()
    gc.freeze()
    gc.enable()
