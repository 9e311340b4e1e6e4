"""Pages, feeds, events API, subscriptions, metrics and health, over aiohttp.web.

``start(WebContext(...))`` listens and gives a ``Web`` with ``url`` and ``close()``.
"""

from watcher.web.app import Web, start
from watcher.web.context import WebContext

__all__ = ["Web", "WebContext", "start"]
