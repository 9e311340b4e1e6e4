"""Who may ask for what: hosts, tokens, sessions, origins, slow clients, random requests."""

import asyncio
import contextlib
import os
import random
import string
import time

import pytest

from tests.webworld import (
    TOKEN,
    FixedClock,
    changed,
    config,
    copy_of,
    open_to_readers,
    seeded,
    serving,
    visiting,
)
from watcher.config.secrets import Secret
from watcher.config.settings import WebSettings
from watcher.config.values import Listen, read_network
from watcher.errors import ConfigError, WatcherError
from watcher.rulebook import compile_rules
from watcher.store import Store, open_records
from watcher.wants import Tokens
from watcher.web import WebContext, start
from watcher.web.app import ROUTES
from watcher.web.connections import Doors
from watcher.web.security import (
    Rates,
    host_allowed,
    local_path,
    session,
    session_holds,
    split_host,
    who_counts,
)

PRIVATE = [r.path for r in ROUTES if not r.public and r.method == "GET" and "{" not in r.path]
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def path(tmp_path):
    return copy_of(seeded(), tmp_path)


# --- who may see ------------------------------------------------------------------------


async def test_on_plain_loopback_every_page_is_open(path):
    async with visiting(path) as (visitor, _):
        for route in PRIVATE:
            assert (await visitor.get(route)).status == 200, route


async def test_with_a_public_url_private_pages_need_the_token_on_loopback_too(path):
    async with visiting(path, **open_to_readers()) as (visitor, _):
        for route in PRIVATE:
            assert (await visitor.get(route)).status == 401, route
            assert (await visitor.get(route, headers=BEARER)).status == 200, route
        assert (await visitor.get("/", headers={"Authorization": "Bearer no"})).status == 401


async def test_with_a_public_url_and_no_token_private_pages_are_closed(path):
    async with visiting(path, public_url="https://p.example.org") as (visitor, _):
        answer = await visitor.get("/api/v1/events")
        assert answer.status == 403
        assert "[web] token" in answer.json["error"]["detail"]
        assert (await visitor.get("/healthz")).status in (200, 503)


async def test_public_pages_ask_for_nothing(path):
    async with visiting(path, **open_to_readers()) as (visitor, _):
        for route in ("/subscribe", "/healthz", "/readyz", "/login", "/static/app.css"):
            assert (await visitor.get(route)).status == 200, route


async def test_listening_to_others_without_a_token_is_refused(path):
    settings = config(path, listen=Listen(host="0.0.0.0", port=0))
    store = Store(path, lambda: open_records(path))
    context = WebContext(
        config=settings, store=store, rules=compile_rules(settings), clock=FixedClock()
    )
    with pytest.raises(ConfigError, match="set \\[web\\] token"):
        await start(context)
    await store.close()


async def test_a_taken_port_is_said_so(path):
    async with serving(path) as (running, context):
        changed(context, listen=Listen(host="127.0.0.1", port=running.port))
        with pytest.raises(WatcherError, match="taken by another program"):
            await start(context)


# --- signing in -------------------------------------------------------------------------


async def test_signing_in_gives_a_strict_cookie_that_opens_the_pages(path):
    async with visiting(path, **open_to_readers()) as (visitor, _):
        answer = await visitor.post("/login", {"token": TOKEN, "next": "/rules"})
        assert (answer.status, answer.headers["Location"]) == (303, "/rules")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        assert (await visitor.get("/rules")).status == 200
        await visitor.post("/logout")
        assert (await visitor.get("/rules")).status == 401


async def test_a_wrong_token_is_said_so_and_soon_limited(path):
    async with visiting(path, **open_to_readers()) as (visitor, _):
        statuses = [(await visitor.post("/login", {"token": "guess"})).status for _ in range(12)]
        assert statuses[:10] == [401] * 10
        assert statuses[-1] == 429


async def test_no_page_sets_a_cookie_but_signing_in(path):
    async with visiting(path, **open_to_readers()) as (visitor, _):
        for route in ("/subscribe", "/login", "/healthz", "/nowhere"):
            assert "Set-Cookie" not in (await visitor.get(route)).headers


def test_a_session_ends_with_its_time_and_with_its_token():
    clock, tokens = FixedClock(), Tokens(b"k" * 32)
    settings = WebSettings(token=Secret("one"))
    value = session(settings, tokens, clock.now())
    assert session_holds(value, settings, tokens, clock.now())
    assert not session_holds(value, WebSettings(token=Secret("two")), tokens, clock.now())
    assert not session_holds(value, settings, Tokens(b"l" * 32), clock.now())
    assert not session_holds(value, settings, tokens, clock.move(days=31))
    for forged in ("", ".", "99999999999.x", value + "x", "é.ü"):
        assert not session_holds(forged, settings, tokens, FixedClock().now())


@pytest.mark.parametrize(
    ("given", "leads"),
    [
        ("/rules?x=1", "/rules?x=1"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        (None, "/"),
    ],
)
def test_after_signing_in_one_stays_on_this_site(given, leads):
    assert local_path(given) == leads


# --- hosts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:8484", True),
        ("localhost", True),
        ("[::1]:8484", True),
        ("papers.example.org", True),
        ("PAPERS.example.org:443", True),
        ("other.example.org", True),
        ("ported.example.org:81", True),
        ("ported.example.org:82", False),
        ("10.0.0.7", True),
        ("10.0.0.8", False),
        ("evil.example", False),
        ('evil.example"><script>', False),
        ("papers.example.org.evil.example", False),
        ("", False),
        (None, False),
        ("127.0.0.1:x", False),
        ("[::1", False),
    ],
)
def test_only_known_names_are_answered_to(host, allowed):
    settings = WebSettings(
        public_url="https://papers.example.org",
        hosts=("other.example.org", "ported.example.org:81"),
    )
    assert host_allowed(host, settings, "10.0.0.7") is allowed


def test_a_host_has_a_name_and_perhaps_a_port():
    assert split_host("Example.org:80") == ("example.org", 80)
    assert split_host("[::1]:9") == ("::1", 9)
    assert split_host("a:99999") == ("", None)


async def test_an_unknown_host_gets_400_and_no_word_of_itself(path):
    async with visiting(path) as (visitor, _):
        answer = await visitor.get("/", headers={"Host": "rebound.example"})
        assert answer.status == 400
        assert "rebound.example" not in answer.text


async def test_links_come_from_the_public_url_never_from_the_host_header(path):
    async with visiting(path, **open_to_readers(hosts=("127.0.0.1", "x.example"))) as (visitor, _):
        answer = await visitor.get("/feeds.opml", headers={**BEARER, "Host": "x.example"})
        assert "x.example" not in answer.text
        assert "https://papers.example.org/f/" in answer.text


# --- posts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
    ],
)
async def test_a_post_from_another_site_changes_nothing(path, headers, status):
    async with visiting(path) as (visitor, _):
        answer = await visitor.post("/deliveries/msg_none/resend", headers=headers)
        assert answer.status == status


async def test_get_changes_nothing_where_only_post_may(path):
    async with visiting(path) as (visitor, _):
        answer = await visitor.get("/deliveries/msg_none/resend")
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"


# --- proxies ----------------------------------------------------------------------------


async def test_forwarded_addresses_are_believed_from_trusted_proxies_only(path):
    async def attempts(visitor, forwarded):
        return (
            await visitor.post("/login", {"token": "x"}, headers={"X-Forwarded-For": forwarded})
        ).status

    async with visiting(path, **open_to_readers()) as (visitor, _):
        for i in range(10):
            assert await attempts(visitor, f"198.51.100.{i}") == 401
        assert await attempts(visitor, "198.51.100.99") == 429  # all were one address: the peer
    trusted = open_to_readers(trusted_proxies=(read_network("127.0.0.1"),))
    async with visiting(path, **trusted) as (visitor, _):
        for i in range(12):
            assert await attempts(visitor, f"198.51.100.{i}") == 401
        for _ in range(10):  # what stands before the last hop was written by the client
            await attempts(visitor, f"10.{random.randrange(250)}.0.1, 203.0.113.5")
        assert await attempts(visitor, "10.9.9.9, 203.0.113.5") == 429


async def test_one_network_of_ipv6_counts_as_one_visitor(path):
    trusted = open_to_readers(trusted_proxies=(read_network("127.0.0.1"),))
    async with visiting(path, **trusted) as (visitor, _):
        statuses = [
            (
                await visitor.post(
                    "/login", {"token": "x"}, headers={"X-Forwarded-For": f"2001:db8:1:2::{i:x}"}
                )
            ).status
            for i in range(11)
        ]
    assert statuses == [401] * 10 + [429]


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_what_limits_count_by(address, counted):
    assert who_counts(address) == counted


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_without_a_token_a_proxy_opens_no_private_page(path, header):
    async with visiting(path) as (visitor, _):
        answer = await visitor.get("/rules", headers={header: "203.0.113.5"})
        assert answer.status == 403
        assert "[web] token" in answer.text
        assert (await visitor.get("/healthz", headers={header: "203.0.113.5"})).status == 200


@pytest.mark.parametrize(
    ("site", "mode", "dest", "status"),
    [
        ("cross-site", "no-cors", "image", 403),
        ("same-site", "cors", "empty", 403),
        ("cross-site", "navigate", "iframe", 403),
        ("cross-site", "navigate", "document", 200),
        ("same-origin", "no-cors", "image", 200),
        ("none", "navigate", "document", 200),
    ],
)
async def test_pages_of_other_sites_cannot_make_a_browser_ask_for_private_ones(
    path, site, mode, dest, status
):
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    async with visiting(path) as (visitor, _):
        assert (await visitor.get("/search?q=a*", headers=headers)).status == status
        assert (await visitor.get("/healthz", headers=headers)).status == 200


def test_rates_fill_again_with_time_and_forget_nobody_who_is_limited():
    rates = Rates(2, 3600, most=3)
    assert [rates.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert rates.wait("a", 0.0) == pytest.approx(1.0)
    assert rates.take("a", 1.0)
    for i in range(50):
        rates.take(f"other {i}", 1.0)
    assert not rates.take("a", 1.5)


# --- headers ----------------------------------------------------------------------------


async def test_every_answer_carries_the_strict_headers(path):
    async with visiting(path) as (visitor, _):
        for route in ("/", "/nowhere", "/api/v1/events", "/feeds/all.atom", "/static/app.js"):
            headers = (await visitor.get(route)).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Server"] == "paper-watcher"


async def test_pages_have_no_inline_script_style_or_handler(path):
    async with visiting(path) as (visitor, _):
        for route in PRIVATE:
            answer = await visitor.get(route)
            if "html" in answer.headers["Content-Type"]:
                text = answer.text.lower()
                assert text.count("<script") == 1
                for bad in ("<style", " style=", "javascript:", " onclick=", " onload="):
                    assert bad not in text, (route, bad)


async def test_no_secret_stands_on_any_page(path):
    token = "hunter2hunter2hunter2"
    secret = "0123456789abcdef0123456789abcdef"
    web = open_to_readers(token=Secret(token), secret=Secret(secret))
    async with visiting(path, **web) as (visitor, _):
        for route in PRIVATE:
            answer = await visitor.get(route, headers={"Authorization": f"Bearer {token}"})
            assert answer.status == 200
            assert token not in answer.text
            assert secret not in answer.text


# --- slow and odd clients -----------------------------------------------------------------


async def test_500_slow_connections_do_not_slow_a_page_down(path):
    async with serving(path) as (running, _):
        host, port = "127.0.0.1", running.port
        slow = []
        for _ in range(500):
            _, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            slow.append(writer)
        times = []
        for _ in range(5):
            began = time.perf_counter()
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /rules HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 5)
            times.append(time.perf_counter() - began)
            assert answer.startswith(b"HTTP/1.1 200")
            writer.close()
        assert sorted(times)[2] < 0.2
        assert len(running.doors) <= 256
        for writer in slow:
            writer.transport.abort()


async def test_a_request_that_never_ends_is_cut_off(path):
    def impatient(make):
        return Doors(make, header_deadline=0.2, answer_deadline=0.3)

    settings = config(path)
    store = Store(path, lambda: open_records(path))
    context = WebContext(
        config=settings, store=store, rules=compile_rules(settings), clock=FixedClock()
    )
    running = await start(context, doors=impatient)
    try:
        for begin in (b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(begin)
            assert await asyncio.wait_for(_until_end(reader), 2) == b""
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(
            b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken="
        )
        assert await asyncio.wait_for(_until_end(reader), 2) == b""
        assert len(running.doors) == 0
        writer.close()
    finally:
        await running.close()
        await store.close()


async def _until_end(reader):
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


@contextlib.asynccontextmanager
async def _behind(path, doors, **hooks):
    settings = config(path)
    store = Store(path, lambda: open_records(path))
    context = WebContext(
        config=settings, store=store, rules=compile_rules(settings), clock=FixedClock(), **hooks
    )
    running = await start(context, doors=doors)
    try:
        yield running
    finally:
        await running.close()
        await store.close()


async def test_a_request_that_has_come_is_not_cut_off_while_it_is_answered(path):
    async def slowly(_):
        await asyncio.sleep(0.6)
        raise WatcherError("tried in vain")

    def impatient(make):
        return Doors(make, header_deadline=0.2, answer_deadline=5)

    async with _behind(path, impatient, try_rule=slowly) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        with contextlib.closing(writer):
            for begin in (b"/rules", b"/rules/fast?try=1"):  # through the same door
                writer.write(b"GET " + begin + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                await asyncio.sleep(0.1)
            await asyncio.sleep(1)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            found = await asyncio.wait_for(_until_end(reader), 3)
        assert b"tried in vain" in found
        assert found.count(b"HTTP/1.1 ") == 3


async def test_slow_bodies_do_not_keep_others_out(path):
    async with _behind(path, lambda make: Doors(make, most=4)) as running:
        clients = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(4)]
        try:
            for _, writer in clients:
                writer.write(
                    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n"
                    b"Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken="
                )
            await asyncio.sleep(0.1)
            clients.append(await asyncio.open_connection("127.0.0.1", running.port))
            reader, writer = clients[-1]
            writer.write(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert (await asyncio.wait_for(_until_end(reader), 2)).startswith(b"HTTP/1.1 ")
        finally:
            for _, writer in clients:
                writer.transport.abort()


async def test_searches_do_not_queue_before_what_the_daemon_writes(path):
    async with visiting(path) as (visitor, context):
        held, asked = asyncio.Event(), []
        read = context.store.read

        async def slow_read(work):
            asked.append(work)
            await held.wait()
            return await read(work)

        context.store.read = slow_read
        searches = [
            asyncio.ensure_future(visitor.get(to))
            for to in ("/search?q=agent", "/api/v1/papers?q=agent", "/search?q=tool")
        ]
        await asyncio.sleep(0.1)
        assert len(asked) == 1
        held.set()
        assert [answer.status for answer in await asyncio.gather(*searches)] == [200] * 3


async def test_random_requests_never_find_a_fault_of_ours(path):
    """WATCHER_REQUESTS=10000 asks that many; the seed is new in each run."""
    count = int(os.environ.get("WATCHER_REQUESTS", "1000")) // 20
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    async with serving(path, subscribe="mail") as (running, _):
        statuses = await asyncio.gather(*(_pester(running.port, dice, count) for _ in range(20)))
    worst = max(status for part in statuses for status in part)
    assert worst < 500, f"seed {seed}"


_PATHS = [r.path for r in ROUTES]
_KEYS = ["q", "after", "limit", "type", "start", "sort", "day", "rule", "try", "query", "next",
         "min_upvotes", "min_multiplier", "known", "days", "resent", "said", "v"]  # fmt: skip
_VALUES = ["", "0", "-1", "9" * 30, "%C2%B2", "%00", "%ff%fe", "a%20OR", "title:(", "*",
           "2026-13-40", "2026-11-19", "votes", "1-2", "NOT%20x", "age:<9999999w", "paper.new",
           "%F0%9F%A6%8A",
           "..%2f..%2fetc", "%22%3E%3Cscript%3E", "nan", "inf", "1e999",
           "source:daily"]  # fmt: skip


async def _pester(port, dice, count):
    statuses = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_random_request(dice))
        with contextlib.suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), 10)
            statuses.append(int(answer.split(b" ", 2)[1]))
        writer.close()
    return statuses


def _random_request(dice):
    method = dice.choice(["GET"] * 6 + ["POST"] * 3 + ["PUT", "OPTIONS", "DELETE", "X-ODD"])
    path = dice.choice(_PATHS)
    while "{" in path:
        begin, _, rest = path.partition("{")
        path = begin + _word(dice) + rest.partition("}")[2]
    query = "&".join(
        f"{dice.choice(_KEYS)}={dice.choice(_VALUES)}" for _ in range(dice.randrange(4))
    )
    host = dice.choice(["127.0.0.1"] * 9 + ["evil.example", "localhost:1", "["])
    headers = [
        f"Host: {host}",
        "Connection: close",
        f"Accept: {dice.choice(['*/*', 'text/html', 'application/json', ''])}",
        f"If-None-Match: {dice.choice(['*', 'W/x', chr(34)])}",
        f"Cookie: watcher_session={_word(dice)}",
        f"Authorization: {dice.choice(['Bearer', 'Bearer x', 'Basic YTpi', ''])}",
        f"X-Forwarded-For: {dice.choice(['1.2.3.4', ',,', 'x', '[::1]'])}",
    ]
    body = b""
    if method not in ("GET", "OPTIONS"):
        kind = dice.choice(
            ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain",
             "multipart/form-data", "application/json; charset=odd",
             "application/x-www-form-urlencoded; charset=nope"]
        )  # fmt: skip
        body = dice.choice(
            [b"", b"action=save&frequency=daily&topics=fast&hour=99", b"\xff\xfe=%00", b"--x\r\n",
             b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--\r\n",
             b"List-Unsubscribe=One-Click", bytes(dice.randrange(256) for _ in range(200))]
        )  # fmt: skip
        headers += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    target = f"{path}?{query}" if query else path
    return (
        f"{method} {target} HTTP/1.1\r\n".encode()
        + "\r\n".join(headers).encode()
        + b"\r\n\r\n"
        + body
    )


_WORDS = ["fast", "agents%20%26%20tools", "all", "2611.00001", "t:abc", "app.css", "%2e%2e%2f",
          "%00", "%ff", "%F0%9F%A6%8A", "a%2Fb", "x" * 3000]  # fmt: skip


def _word(dice):
    letters = string.ascii_letters + string.digits + "-_.:;,~"
    made = "".join(dice.choice(letters) for _ in range(dice.randrange(1, 40)))
    return dice.choice([made, dice.choice(_WORDS)])
