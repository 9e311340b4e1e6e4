"""Pages, feeds, events API, subscriptions, metrics and health, over aiohttp.web.

``start(WebContext(...))`` listens and gives a ``Web`` with ``url`` and ``close()``.
"""

from watcher.web.app import Web, build, start
from watcher.web.context import Trial, TrialPaper, Tried, WebContext

__all__ = [
    "Trial",
    "TrialPaper",
    "Tried",
    "Web",
    "WebContext",
    "build",
    "start",
]
