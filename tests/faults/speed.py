"""How quickly alerts leave, beside an endpoint that is dead: real sockets, real time.

python -m tests.faults --speed
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.loopback import receiver
from tests.postbox import Post, plan
from tests.servers import Site, silence
from watcher.channels.webhook import WebhookChannel, WebhookOptions
from watcher.config.secrets import Secret, SecretUrl
from watcher.fetch import SystemClock
from watcher.store import open_records

SECRET = Secret("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
EACH = 100
"""Messages for the dead endpoint, and as many for the live one."""


@dataclass
class Speed:
    """What was measured, in seconds."""

    isolated: float
    """Until the last of the live endpoint's messages had arrived, the dead one's waiting too."""
    alerts: list[float]
    """From the commit of a check to the arrival, one alert at a time."""

    def __str__(self) -> str:
        middle, worst = statistics.median(self.alerts), max(self.alerts)
        return (
            f"{EACH} messages for an endpoint that never answers, {EACH} for a live one: "
            f"the live ones arrived within {self.isolated:.2f} s\n"
            f"a due alert arrives after {middle * 1000:.0f} ms (median of {len(self.alerts)}), "
            f"{worst * 1000:.0f} ms at worst"
        )


def hook(name: str, url: str) -> WebhookChannel:
    options = WebhookOptions(
        name=name, type="webhook", url=SecretUrl(url), secret=SECRET, allow_private=True
    )
    return WebhookChannel(name, options)


async def measure(alerts: int = 30) -> Speed:
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        empty = Path(folder) / "empty.db"
        open_records(empty, create=True, migrate=True).close()
        async with Site(answers=silence()) as dead, receiver() as live:
            store = Path(shutil.copy(empty, Path(folder) / "a.db"))
            isolated = await _isolated(store, f"{dead.url}/hook", live)
            live.requests.clear()
            store = Path(shutil.copy(empty, Path(folder) / "b.db"))
            return Speed(isolated, await _one_by_one(store, live, alerts))


async def _isolated(path: Path, dead: str, live) -> float:
    channels = hook("dead", dead), hook("live", live.url)
    base = plan("dead", "live", wants={"alignment": ("dead", "live")})
    async with Post(path, *channels, base=base, clock=SystemClock()) as here:
        for number in range(EACH):
            await here.tell(number + 1)
        begun = time.perf_counter()
        running = asyncio.ensure_future(here.deliverer.run())
        try:
            await _until(lambda: len(live.requests) >= EACH)
            return time.perf_counter() - begun
        finally:
            running.cancel()
            await asyncio.wait([running])
            for channel in channels:
                await channel.close()


async def _one_by_one(path: Path, live, alerts: int) -> list[float]:
    found = []
    async with Post(path, hook("live", live.url), clock=SystemClock()) as here:
        running = asyncio.ensure_future(here.deliverer.run())
        for number in range(alerts):
            await here.tell(number + 1)
            begun = time.perf_counter()
            here.deliverer.wake()
            await _until(lambda: len(live.requests) > number)  # noqa: B023
            found.append(time.perf_counter() - begun)
        here.deliverer.stop()
        await running
    return found


async def _until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)
