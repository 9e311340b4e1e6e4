"""Sixteen connections on one event loop, as fast as aiohttp reads: floor and bare peer share it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import uvloop

from bench.peers.meter import Meter, Task
from watcher.inflate import inflate

CAP = 8 << 20


async def read_all(task: Task, work: Callable[[bytes], int]) -> Meter:
    """Read every page, inflate it with isal and hand it to ``work``, which counts its papers."""
    meter = Meter(task)
    addresses = task.addresses()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        headers={"Accept-Encoding": "gzip"},
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=2**18,
    ) as session:

        async def connection() -> None:
            for address in addresses:
                async with session.get(address) as answer:
                    body = await answer.read()
                    encoding = answer.headers.get("Content-Encoding", "")
                meter.page(work(inflate(body, encoding, cap=CAP)))

        async with asyncio.TaskGroup() as group:
            for _ in range(task.connections):
                group.create_task(connection())
    return meter


def run(task: Task, work: Callable[[bytes], int]) -> Meter:
    """The same on uvloop, from the beginning to the end."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(read_all(task, work))
