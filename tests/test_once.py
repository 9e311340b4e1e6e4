"""``watcher once`` beside a site that does not answer: one visit of each source, and an end."""

import asyncio
import json
import signal
import time

import pytest
from aiohttp import web

from tests import lives

SLOW = """
[[source]]
name = "slow"
url = "{}/papers/trending"
every = "1s"
"""


@pytest.fixture
async def silent():
    """A site that answers after some seconds."""
    asked = []

    async def answer(request):
        asked.append(request.path)
        await asyncio.sleep(4 if len(asked) == 1 else 60)
        return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    port = server._server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", asked
    await runner.cleanup()


async def test_a_source_is_visited_once_however_long_another_takes(tmp_path, silent):
    url, asked = silent
    async with lives.site() as (_, site):
        path = lives.config(tmp_path, site.url, tables=SLOW.format(url))
        done = await lives.start("once", "--json", "-c", str(path))
        out, _ = await asyncio.wait_for(done.communicate(), 40)
    assert len(asked) == 1
    assert done.returncode == 75
    assert sorted(one["target"] for one in json.loads(out)) == ["slow", "trending"]


async def test_asked_to_stop_it_gives_up_what_does_not_end_and_says_so(tmp_path, silent):
    url, asked = silent
    asked.append("the first is quick")
    async with lives.site() as (_, site):
        path = lives.config(tmp_path, site.url, tables=SLOW.format(url))
        done = await lives.start("once", "-c", str(path))
        await lives.until(lambda: len(asked) == 2)
        await asyncio.sleep(0.5)
        began = time.monotonic()
        done.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(done.communicate(), 20)
        took = time.monotonic() - began
    assert done.returncode == 130
    assert took < 9
    assert "✓ trending" in out.decode()
    assert err.decode().strip().endswith("stopped")
