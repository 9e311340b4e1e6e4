"""What a fetcher is told: the ``[fetch]`` table and the clock."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

from watcher import __version__
from watcher.model import Value
from watcher.page import MAX_BODY
from watcher.politeness import ROBOTS_AGENT


class Clock(Protocol):
    """The one injected clock, as far as fetching needs it."""

    def now(self) -> datetime:
        """The time of day, aware UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time of day, aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class FetchOptions(Value, frozen=True, kw_only=True):
    """The ``[fetch]`` table and what goes into the User-Agent."""

    timeout: float = 30.0
    """Seconds for one request, from connecting to the last byte."""
    per_host_concurrency: int = 2
    per_host_rate: float = 0.15
    """Requests a second; 0 = no limit of our own, the site's still holds."""
    robots: bool = True
    allow_private: bool = False
    contact: str = ""
    """URL or mailto: that a site's owner can reach us by."""
    max_body: int = MAX_BODY
    proxies: tuple[tuple[str, str], ...] = ()
    """``("https", "http://proxy:3128"), ("no", "localhost")``: the items of what urllib's
    ``getproxies_environment`` gives; empty = direct."""

    @property
    def user_agent(self) -> str:
        """Product, version and contact."""
        product = f"{ROBOTS_AGENT}/{__version__}"
        return f"{product} (+{self.contact})" if self.contact else product
