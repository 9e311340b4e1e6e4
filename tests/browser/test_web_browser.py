"""The pages in a real Chromium: someone subscribes, gets mail, mutes and leaves; others look.

Every test also fails on an error of the console, or a request to another host.
``python -m tests.browser.test_web_browser`` takes the screenshots of docs/web.md anew.
"""

import asyncio
import contextlib
import re
import socket
import tempfile
from pathlib import Path

import aiohttp
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import async_playwright

from tests.browser.chromium import LAUNCH, MARKS, SCREENSHOTS
from tests.hostile import MARK, TITLES
from tests.smtp_server import Mode, smtp_server
from tests.test_web_pages import _hostile
from tests.webworld import (
    NOW,
    TOKEN,
    FixedClock,
    changed,
    copy_of,
    open_to_readers,
    seeded,
    serving,
)
from watcher.config.secrets import Secret
from watcher.config.values import Listen
from watcher.daemon import open_channels
from watcher.deliver import Deliverer, Surroundings
from watcher.model import Counts, Event, EventType
from watcher.owed import plan_of
from watcher.people import Readers, hold_round
from watcher.store import open_records
from watcher.wants import Purpose, SubscriberState, Wishes, next_due
from watcher.web.app import keys_of

pytestmark = MARKS


@contextlib.asynccontextmanager
async def browsing(base, **options):
    """A page of a browser that may speak to ``base`` only."""
    troubles = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**LAUNCH)
        context = await browser.new_context(
            **{"viewport": {"width": 1100, "height": 800}, "timezone_id": "Asia/Tokyo", **options}
        )
        page = await context.new_page()
        page.on(
            "console",
            lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request",
            lambda r: troubles.append(r.url) if not r.url.startswith(base) else None,
        )
        page.set_default_timeout(10_000)
        yield page
        await browser.close()
    assert troubles == []


@pytest.fixture
def path(tmp_path):
    return copy_of(seeded(), tmp_path)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Post:
    """The mail server, and the deliverer that fills it."""

    def __init__(self, server, context, channels, readers):
        self.server, self.context = server, context
        around = Surroundings(clock=context.clock, finish=readers.finish)
        self.deliverer = Deliverer(context.store, plan_of(context.config), channels, around=around)

    async def deliver(self):
        """Send what is due; the mails that came."""
        before = len(self.server.mails)
        await hold_round(self.context.store, "mail", self.context.clock.now())
        await self.deliverer.deliver_due()
        return self.server.mails[before:]


async def test_someone_subscribes_gets_a_digest_mutes_and_leaves_by_one_click(path):
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    web = open_to_readers(public_url=base, listen=Listen(host="127.0.0.1", port=port))
    clock = FixedClock()
    async with (
        smtp_server() as server,
        serving(path, clock=clock, smtp=server.port, **web) as (_, context),
        browsing(base) as page,
    ):
        server.mode = Mode.NO_STARTTLS
        readers = Readers(await keys_of(context), base)
        channels = open_channels(context.config)
        post = Post(server, context, channels, readers)
        await _subscribe(page, base)
        (letter,) = await post.deliver()
        assert letter.recipients == ["ada@example.org"]
        link = re.search(rf"{base}/confirm/\S+", letter.text)[0]
        await page.goto(link)
        await page.get_by_role("button", name="Yes, subscribe").click()
        await page.get_by_role("heading", name="You are subscribed").wait_for()
        await _tell(context, 1)
        clock.move(days=1)
        (digest,) = await post.deliver()
        assert "rising paper" in digest.message["Subject"]
        leave = digest.message["List-Unsubscribe"].strip("<>")
        await page.goto(re.search(rf"{base}/p/\S+", digest.text)[0])
        await page.get_by_role("button", name="Mute for two weeks").click()
        await page.get_by_text("Muted for two weeks.").wait_for()
        await _tell(context, 2)
        clock.move(days=1)
        assert await post.deliver() == []
        async with aiohttp.ClientSession() as provider:  # no cookie, no browser
            form = {"List-Unsubscribe": "One-Click"}
            async with provider.post(leave, data=form) as answer:
                assert answer.status == 200
        person = await context.store.read(lambda r: r.people.by_address("ada@example.org"))
        assert person.state is SubscriberState.LEFT
        await page.goto(leave)
        await page.get_by_role("button", name="Undo").click()
        await page.get_by_text("Welcome back").wait_for()
        for channel in channels.values():
            await channel.close()


async def _subscribe(page, base):
    await page.goto(f"{base}/subscribe")
    assert await page.locator("#timezone").input_value() == "Asia/Tokyo"  # guessed
    assert await page.locator("#weekday").is_hidden()
    await page.get_by_label("once a week").check()
    assert await page.locator("#weekday").is_visible()
    await page.get_by_label("once a day").check()
    await page.get_by_label("Your mail address").fill("ada@example.org")
    await page.locator("input[value=fast]").check()
    await page.get_by_role("button", name="Subscribe").click()
    await page.get_by_role("heading", name="Look into your mailbox").wait_for()


async def _tell(context, number):
    """A change that the rule ``fast`` tells now."""

    def work(r):
        event = Event(
            cursor=0, id=f"evt_told_{number}", type=EventType.RISING, at=context.clock.now(),
            rule="fast", paper=r.papers.get(number), counts=Counts(upvotes=50),
            reason="50 votes in 3 h",
        )  # fmt: skip
        r.events.add(event)

    await context.store.write(work)


async def test_someone_signs_in_searches_and_opens_a_paper(path):
    async with serving(path, **open_to_readers()) as (running, _), browsing(running.url) as page:
        await page.goto(f"{running.url}/login?next=/")
        await page.get_by_label("Token").fill(TOKEN)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", name="Today").wait_for()
        await page.keyboard.press("/")  # the key leads to the search
        box = page.get_by_label("Words, or a query as in the rules")
        await box.wait_for()
        await box.fill("title:agent* OR title:model*")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**q=title*")
        first = page.locator(".papers h2 a").first
        title = await first.inner_text()
        await first.click()
        assert await page.locator("h1").inner_text() == title
        assert await page.locator("svg.plot.wide").is_visible()
        assert not await page.locator("svg.plot.narrow").is_visible()
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("heading", name="Sign in").wait_for()


async def test_times_are_shown_in_the_readers_zone(path):
    async with serving(path) as (running, _), browsing(running.url) as page:
        await page.goto(f"{running.url}/sources")
        assert await page.locator("[data-zone]").inner_text() == "Asia/Tokyo"
        shown = page.locator("time[data-at]").first
        instant = (await shown.get_attribute("datetime"))[11:16]
        hour = (int(instant[:2]) + 9) % 24
        assert f"{hour:02d}:{instant[3:]}" in await shown.inner_text()


async def test_everything_works_without_javascript(path):
    async with (
        serving(path) as (running, _),
        browsing(running.url, java_script_enabled=False) as page,
    ):
        await page.goto(running.url)
        await page.locator("#rule").select_option("fast")
        await page.get_by_role("button", name="Show").click()
        assert "rule=fast" in page.url
        await page.get_by_role("link", name="Search").click()
        await page.locator("#q").fill("agent*")
        await page.get_by_role("button", name="Search").click()
        assert await page.locator(".papers li").count() > 0


async def test_the_keyboard_alone_reaches_everything(path):
    async with serving(path) as (running, _), browsing(running.url) as page:
        await page.goto(running.url)
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        seen = set()
        for _ in range(60):
            await page.keyboard.press("Tab")
            seen.add(await page.evaluate("document.activeElement.tagName"))
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none"
        assert {"A", "SELECT"} <= seen


async def test_hostile_titles_do_nothing_in_a_browser(tmp_path):
    with open_records(tmp_path / "w.db", create=True, migrate=True) as records:
        _hostile(records)
    async with serving(tmp_path / "w.db") as (running, _), browsing(running.url) as page:
        routes = ["/", "/search?q=hostile&sort=votes", "/rules/everything"]
        routes += [f"/papers/2611.{90_000 + n}" for n in range(0, len(TITLES), 8)]
        for route in routes:
            await page.goto(running.url + route)
            assert await page.evaluate("window.hacked") is None, route
            assert MARK in await page.locator("main").inner_text()
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, route


PAGES = ["/", "/search?q=agent*", "/rules", "/rules/fast?try=1&min_upvotes=x", "/sources",
         "/deliveries", "/feeds", "/subscribe", "/login", "/nothing"]  # fmt: skip


async def grave_faults(page):
    """What axe-core calls serious or critical on the page that is open."""
    found = (await Axe().run(page)).response["violations"]
    return [
        (v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


async def test_axe_finds_no_serious_violation(path):
    async with serving(path) as (running, context):
        paper = await context.store.read(lambda r: r.pages.latest_of("fast", limit=1)[0].paper)
        one = f"/papers/{paper.name}"
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(**LAUNCH)
            for scheme, routes in (("light", [*PAGES, one]), ("dark", ["/", "/rules", one])):
                page = await browser.new_page(color_scheme=scheme)
                for route in routes:
                    await page.goto(running.url + route)
                    assert await grave_faults(page) == [], (scheme, route)
                await page.close()
            await browser.close()


async def test_axe_finds_no_serious_violation_on_a_readers_pages(path):
    async with serving(path, **open_to_readers()) as (running, context):
        tokens = await keys_of(context)

        def subscribe(r):
            wishes = Wishes(topics=("fast",), query="robot")
            row = r.people.ask("a@example.org", wishes, handle="h" * 12, nonce="n", now=NOW)
            confirm = tokens.make(Purpose.CONFIRM, "h" * 12, "n")
            return row, confirm, [
                f"/p/{tokens.make(Purpose.PREFERENCES, 'h' * 12)}",
                f"/u/{tokens.make(Purpose.UNSUBSCRIBE, 'h' * 12)}",
            ]  # fmt: skip

        _, confirm, links = await context.store.write(subscribe)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(**LAUNCH)
            page = await browser.new_page()
            for route in (f"/confirm/{confirm}", "/subscribe", *links):
                await page.goto(running.url + route)
                for button in ("Yes, subscribe", "Stop these mails"):
                    if await page.get_by_role("button", name=button).count():
                        await page.get_by_role("button", name=button).click()
                assert await grave_faults(page) == [], route
            await browser.close()


async def test_no_page_is_wider_than_its_screen(path):
    async with serving(path) as (running, context):
        paper = await context.store.read(lambda r: r.pages.latest_of("fast", limit=1)[0].paper)
        async with browsing(running.url) as page:
            for route in ["/", "/search?q=agent*", "/rules", "/rules/fast", "/sources",
                          "/deliveries", "/feeds", f"/papers/{paper.name}"]:  # fmt: skip
                await page.goto(running.url + route)
                for width in (320, 390, 768):
                    await page.set_viewport_size({"width": width, "height": 800})
                    wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    assert wide <= 0, (route, width)


SHOTS = [
    ("today-wide-light", "/", 1200, 860, "light"),
    ("today-phone-dark", "/", 390, 844, "dark"),
    ("paper-wide-dark", "{paper}", 1200, 1060, "dark"),
    ("paper-phone-light", "{paper}", 390, 1100, "light"),
    ("rule-wide-light", "/rules/fast?try=1&min_upvotes=60&min_multiplier=3", 1200, 900, "light"),
    ("preferences-phone-light", "{preferences}", 390, 844, "light"),
]


BEARER = {"Authorization": f"Bearer {TOKEN}"}
READERS_SEE = ("/subscribe", "{preferences}")


async def take_screenshots(folder):
    """The pages as docs and README show them, into a folder."""
    with tempfile.TemporaryDirectory() as place:
        web = {"public_url": None, "token": None, "subscribe": "mail"}
        async with (
            serving(copy_of(seeded(), Path(place)), **web) as (running, context),
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(**LAUNCH)
            changed(context, public_url="http://127.0.0.1")
            changed(context, token=Secret(TOKEN))
            where = await _places(context)
            for name, route, width, height, scheme in SHOTS:
                page = await browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    timezone_id="Europe/Berlin",
                    extra_http_headers={} if route in READERS_SEE else BEARER,
                )
                await page.goto(running.url + route.format(**where))
                await page.screenshot(path=str(folder / f"web-{name}.png"))
                await page.close()
            await browser.close()


async def _places(context):
    """Addresses of a paper worth looking at and of somebody's preferences."""
    tokens = await keys_of(context)

    def look(r):
        wishes = Wishes(topics=("fast", "agents & tools"), timezone="Europe/Berlin")
        row = r.people.ask("ada@example.org", wishes, handle="h" * 12, nonce="", now=NOW)
        r.people.activate(row, wishes, NOW, due_at=next_due(wishes, NOW), anew=True)
        told = [e for e in r.pages.latest_of("fast", limit=200) if e.type is EventType.RISING]
        best = max(told, key=lambda e: len(r.papers.history(e.paper.row).looks))
        return best.paper.name

    return {
        "paper": f"/papers/{await context.store.write(look)}",
        "preferences": f"/p/{tokens.make(Purpose.PREFERENCES, 'h' * 12)}",
    }


if __name__ == "__main__":
    asyncio.run(take_screenshots(SCREENSHOTS))
