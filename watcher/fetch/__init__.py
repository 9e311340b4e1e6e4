"""Polite HTTP: a URL -> ``Page`` or ``NotModified``.

``fetcher.py`` does it, ``faults.py`` words what can go wrong, ``options.py`` is what it is told.
The values and the pure parts lie below, in ``page``, ``inflate`` and ``politeness``.
"""

from watcher.fetch.fetcher import Fetcher
from watcher.fetch.options import Clock, FetchOptions, SystemClock

__all__ = ["Clock", "FetchOptions", "Fetcher", "SystemClock"]
