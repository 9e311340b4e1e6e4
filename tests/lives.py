"""The real daemon as a process: a notify socket, a site to watch, a way to end it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from watcher.demo.site import Running, Site, serve
from watcher.demo.world import World

CONFIG = """\
[watcher]
database = "watcher.db"
timezone = "UTC"
{watcher}

[fetch]
per_host_rate = 0
robots = false
allow_private = true

{tables}

[[source]]
name = "trending"
url = "{site}/papers/trending"
every = "{every}"

[[rule]]
name = "votes"
min_upvotes = 5
"""


def world(days: int = 6) -> World:
    """Invented papers around today."""
    return World(7, (datetime.now(UTC) - timedelta(days=days - 2)).date(), days)


@contextlib.asynccontextmanager
async def site(days: int = 6, **more) -> AsyncIterator[tuple[Site, Running]]:
    made = Site(world(days), **more)
    async with await serve(made, lambda: datetime.now(UTC)) as running:
        yield made, running


def config(folder: Path, url: str, *, every: str = "1s", tables: str = "", watcher: str = ""):
    """Write a config for a site; its path."""
    path = folder / "config.toml"
    path.write_text(CONFIG.format(site=url, every=every, tables=tables, watcher=watcher))
    return path


async def until(condition: Callable[[], object], within: float = 30) -> None:
    """Wait for something that another process does."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.02)


class NotifySocket:
    """What systemd listens on."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.heard: list[tuple[float, str]] = []
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.socket, self._hear)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                text = self.socket.recv(4096).decode()
                self.heard.append((asyncio.get_running_loop().time(), text))
                self._news.set()

    def said(self, word: str) -> list[float]:
        """When a message that begins so came."""
        return [at for at, text in self.heard if text.startswith(word)]

    async def hear(self, word: str, *, times: int = 1, within: float = 30) -> None:
        """Wait until it was said so often."""
        async with asyncio.timeout(within):
            while len(self.said(word)) < times:
                self._news.clear()
                await self._news.wait()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


class Life:
    """A process of ``watcher run``."""

    def __init__(self, process: asyncio.subprocess.Process, notify: NotifySocket) -> None:
        self.process = process
        self.notify = notify
        self.log: list[dict] = []
        self._news = asyncio.Event()
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self.process.stderr
        while line := await self.process.stderr.readline():
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.log.append({"event": "", "text": line.decode().rstrip()})
            self._news.set()

    def events(self, name: str) -> list[dict]:
        return [line for line in self.log if line["event"] == name]

    async def see(self, name: str, *, times: int = 1, within: float = 30) -> list[dict]:
        """Wait until the log says it so often."""
        async with asyncio.timeout(within):
            while len(self.events(name)) < times:
                self._news.clear()
                await self._news.wait()
        return self.events(name)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def end(self, within: float = 30) -> int:
        """Wait for the end; the exit code."""
        async with asyncio.timeout(within):
            code = await self.process.wait()
            await self._reader
        return code

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        self._reader.cancel()


async def start(*args: str, env: dict[str, str] | None = None) -> asyncio.subprocess.Process:
    """A verb in a process of its own, its log as JSON lines."""
    return await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("watcher")),
        *args,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )


@contextlib.asynccontextmanager
async def running(
    path: Path,
    *,
    watchdog: float | None = None,
    env: dict[str, str] | None = None,
    args: tuple[str, ...] = (),
) -> AsyncIterator[Life]:
    """``watcher run`` over a config, told to be ready; killed at the end if it still runs."""
    notify = NotifySocket(path.parent)
    more = {"NOTIFY_SOCKET": str(notify.path)}
    if watchdog is not None:
        more["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
    life = Life(await start("run", "-c", str(path), *args, env={**more, **(env or {})}), notify)
    try:
        yield life
    finally:
        await life.kill()
        notify.close()
