"""Pages and subscribers of a running daemon: what a reload changes, and what it refuses."""

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from tests import lives, makers
from watcher.channels import OPTIONS
from watcher.config import parse
from watcher.daemon import Daemon, _followed
from watcher.model import MessageState
from watcher.store import open_records
from watcher.wants import Wishes, handle_of

TABLES = """
[web]
listen = "127.0.0.1:0"
public_url = "{url}"
subscribe = "{subscribe}"

[channel.{channel}]
type = "email"
smtp = "smtp://127.0.0.1:1"
from = "papers@example.org"
to = "team@example.org"
allow_plaintext = true
"""


def text(site, *, url="https://one.example", channel="mail", subscribe="mail", rule="votes"):
    tables = TABLES.format(url=url, channel=channel, subscribe=subscribe)
    if not subscribe:
        tables = tables.replace('subscribe = ""\n', "")
    made = lives.CONFIG.format(site=site, every="1s", tables=tables, watcher="")
    return made.replace('name = "votes"', f'name = "{rule}"')


async def page_of(daemon, path):
    async with (
        aiohttp.ClientSession() as session,
        session.get(daemon._front._web.url + path) as got,
    ):
        return got.status, await got.text()


def config(tmp_path, made):
    return parse(made.encode(), OPTIONS, env={}, folder=tmp_path)


@pytest.fixture
async def life(tmp_path):
    """A daemon with pages and subscribers, and the configs that its reloads find."""
    found = []
    async with lives.site() as (_, site):
        daemon = Daemon(config(tmp_path, text(site.url)), reload=lambda: found.pop(0))
        running = asyncio.ensure_future(daemon.run())
        try:
            await lives.until(lambda: daemon.health.report(datetime.now(UTC)).ready)
            yield daemon, found, site.url
        finally:
            daemon.stop()
            await asyncio.wait_for(running, 20)


async def test_pages_and_links_follow_a_reload(life, tmp_path):
    daemon, found, site = life
    assert "votes" in (await page_of(daemon, "/subscribe"))[1]
    assert daemon._front._readers._public == "https://one.example"
    found.append(config(tmp_path, text(site, url="https://two.example", rule="many votes")))
    await daemon.reload()
    assert "many votes" in (await page_of(daemon, "/subscribe"))[1]
    assert daemon._front._readers._public == "https://two.example"
    found.append(config(tmp_path, text(site, subscribe="")))
    await daemon.reload()
    assert (await page_of(daemon, "/subscribe"))[0] == 404
    await daemon._hold_round()


@pytest.mark.parametrize("subscribe", ["post", ""])
async def test_who_has_left_gets_nothing_more_through_an_earlier_channel_either(
    life, tmp_path, subscribe
):
    daemon, found, site = life
    both = text(site, channel="post", subscribe=subscribe)
    found.append(config(tmp_path, both + TABLES[TABLES.index("[channel") :].format(channel="mail")))
    await daemon.reload()
    now = datetime.now(UTC)

    def owe(r):
        who = r.people.ask(
            "ada@example.org", Wishes(), handle=handle_of(b"1" * 9), nonce="", now=now
        )
        r.people.leave(who, now)
        digest = makers.digest_of(makers.event())
        r.people.share("mail", "s:2026-11-21:x", digest, recipients=["ada@example.org"], now=now)

    await daemon.app.store.write(owe)
    daemon.deliverer.wake()
    async with asyncio.timeout(10):
        while not (lines := await daemon.app.store.read(lambda r: r.outbox.lines()))[0].error:
            await asyncio.sleep(0.05)
    assert (lines[0].state, lines[0].error) == (MessageState.CANCELLED, "they have unsubscribed")


def test_who_has_left_gets_nothing_more_where_there_are_no_pages_any_more(tmp_path):
    now = datetime.now(UTC)
    daemon = Daemon(
        config(tmp_path, text("http://127.0.0.1:1").replace("[web]", "[web]\nenabled = false"))
    )
    with open_records(tmp_path / "w.db", create=True, migrate=True) as records:
        people = records.people
        who = people.ask("ada@example.org", Wishes(), handle=handle_of(b"1" * 9), nonce="", now=now)
        people.leave(who, now)
        digest = makers.digest_of(makers.event())
        people.share("mail", "s:2026-11-21:x", digest, recipients=["ada@example.org"], now=now)
        claimed = records.outbox.claim("mail", now, lease=timedelta(minutes=1), compose=None)
        assert daemon._finish(records, claimed, now) == "they have unsubscribed"


async def test_a_reload_that_would_leave_subscribers_without_a_channel_is_refused(life, tmp_path):
    daemon, found, site = life
    made = text(site, channel="post", subscribe="post").replace(
        'listen = "127.0.0.1:0', 'listen = "127.0.0.1:1'
    )
    found.append(config(tmp_path, made))
    before = daemon.config
    await daemon.reload()
    assert daemon.config is before
    (said,) = daemon.health.report(datetime.now(UTC)).problems
    assert "[channel.mail] is gone, but [web] subscribe needs it until a restart" in said
    found.append(config(tmp_path, made.replace('listen = "127.0.0.1:1', 'listen = "127.0.0.1:0')))
    await daemon.reload()
    assert daemon.config.web.subscribe == "post"
    assert daemon.health.report(datetime.now(UTC)).problems == ()


def test_pages_that_are_off_need_no_channel(tmp_path):
    def off(made):
        return config(tmp_path, made.replace("[web]\n", "[web]\nenabled = false\n"))

    site = "http://127.0.0.1:1"
    old = off(text(site))
    new = off(text(site, channel="post", subscribe="post").replace('"127.0.0.1:0', '"127.0.0.1:1'))
    followed, waiting = _followed(new, old)
    assert (followed.web, waiting) == (old.web, ("[web]",))
