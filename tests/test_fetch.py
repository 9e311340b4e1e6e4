"""The fetcher as a polite visitor, against real sites on loopback and a clock that jumps."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest
from yarl import URL

from tests.servers import (
    HTML,
    PACK,
    Answers,
    Behaviour,
    FakeClock,
    Request,
    Site,
    conditional,
    listener,
    page,
    raw,
    redirect,
    reset,
    silence,
)
from watcher import __version__
from watcher.errors import FetchError
from watcher.fetch import Fetcher, FetchOptions, SystemClock
from watcher.fetch.faults import redirected, stay_within
from watcher.fetch.fetcher import RETRY_BUDGET, ROBOTS_MAX_AGE, ROBOTS_RETRY, may_have_token
from watcher.page import NotModified, Page, Validators
from watcher.politeness import ROBOTS_LIMIT

POLICY = '"fixed window";"pages";q=100;w=300'


def fetcher(clock: FakeClock | None = None, token: str | None = None, **options: object) -> Fetcher:
    given = {
        "timeout": 2.0,
        "per_host_rate": 0.0,
        "robots": False,
        "allow_private": True,
        **options,
    }
    return Fetcher(FetchOptions(**given), clock=clock or FakeClock(), token=token)  # type: ignore[arg-type]


def limited(remaining: int, reset_in: int) -> dict[str, str]:
    return {"RateLimit": f'"pages";r={remaining};t={reset_in}', "RateLimit-Policy": POLICY}


# ---------------------------------------------------------------- one visit


async def test_a_page_comes_with_all_that_the_next_visit_needs() -> None:
    clock = FakeClock()
    answer = page(
        headers={"ETag": 'W/"abc"', "Last-Modified": "Sat, 21 Nov 2026 07:00:00 GMT"},
    )
    async with Site(answer) as site, fetcher(clock) as visitor:
        got = await visitor.get(f"{site.url}/papers?q=a b#top")
    assert isinstance(got, Page)
    assert got.url == f"{site.url}/papers?q=a+b"
    assert got.status == 200
    assert got.body == HTML
    assert got.fetched_at == clock.now()
    assert got.validators == Validators(
        etag='W/"abc"', last_modified="Sat, 21 Nov 2026 07:00:00 GMT"
    )
    assert got.content_type == "text/html"
    assert got.bytes_read == len(HTML)
    assert "paragraph" not in repr(got)


async def test_the_request_says_who_asks_and_carries_nothing_else() -> None:
    cookie = page(headers={"Set-Cookie": "session=1; Path=/"})
    async with Site(cookie) as site, fetcher(contact="mailto:me@example.org") as visitor:
        for _ in range(2):  # under a name, because no jar keeps the cookies of bare addresses
            await visitor.get(f"http://localhost:{site.port}/")
    first, second = (request.headers for request in site.requests)
    assert first == second
    assert first == {
        "host": f"localhost:{site.port}",
        "user-agent": f"paper-watcher/{__version__} (+mailto:me@example.org)",
        "accept": "text/html,application/json;q=0.9,*/*;q=0.5",
        "accept-encoding": "gzip, br, zstd",
    }
    assert site.connections == 1, "the connection is kept"


async def test_nothing_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listener() as (port, reached), Site(page()) as site:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        async with fetcher() as visitor:
            await visitor.get(site.url)
        assert reached == []


@pytest.mark.parametrize(
    ("etag", "modified"),
    [
        ('"v1"', ""),
        ('W/"v1"', "Sat, 21 Nov 2026 07:00:00 GMT"),
        ('"a b, c"', ""),
        ("", "Sat, 21 Nov 2026 07:00:00 GMT"),
    ],
)
async def test_validators_make_the_next_visit_a_304(etag: str, modified: str) -> None:
    async with Site(conditional(etag=etag, modified=modified)) as site, fetcher() as visitor:
        first = await visitor.get(site.url)
        assert isinstance(first, Page)
        second = await visitor.get(site.url, validators=first.validators)
        assert isinstance(second, NotModified)
        assert second.status == 304
        third = await visitor.get(site.url, validators=Validators(etag='"other"'))
        assert isinstance(third, Page)
        (counts,) = visitor.ledger()
    asked = site.requests[1].headers
    assert ("if-none-match" in asked) == bool(etag)
    assert ("if-modified-since" in asked) == (not etag), "the ETag wins"
    assert (counts.pages, counts.not_modified, counts.bytes_saved) == (2, 1, len(HTML))
    assert site.connections == 1


async def test_an_odd_validator_is_not_remembered() -> None:
    odd = page(headers={"ETag": '"' + "x" * 2000 + '"', "Last-Modified": "caf\u00e9"})
    async with Site(odd) as site, fetcher() as visitor:
        got = await visitor.get(site.url)
    assert isinstance(got, Page)
    assert got.validators == Validators()


async def test_cancelling_a_visit_ends_it_and_frees_its_place() -> None:
    async with (
        Site(page(), routes={"/slow": silence()}) as site,
        fetcher(per_host_concurrency=1, timeout=30) as visitor,
    ):
        task = asyncio.create_task(visitor.get(f"{site.url}/slow"))
        while not site.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(await visitor.get(site.url), Page)


async def test_no_more_than_the_allowed_number_of_requests_run_at_once() -> None:
    async def slow(request: Request, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(0.01)
        return await page()(request, writer)

    for allowed in (1, 2, 5):
        async with Site(slow) as site, fetcher(per_host_concurrency=allowed) as visitor:
            await asyncio.gather(*(visitor.get(f"{site.url}/{n}") for n in range(12)))
            assert site.at_once == allowed
            assert len(site.requests) == 12


async def test_the_system_clock_is_the_default_and_tells_utc() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.now().utcoffset() == timedelta(0)


async def test_a_fetcher_works_only_between_enter_and_exit() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await fetcher().get("http://127.0.0.1:1/")


# ---------------------------------------------------------------- redirects


async def test_redirects_within_the_site_are_followed_and_counted() -> None:
    routes = {
        "/old": redirect("/newer", 301),
        "/newer": redirect("new?x=1#part", 307),
        "/new": conditional(etag='"n"'),
    }
    async with Site(page(status=404), routes=routes) as site, fetcher() as visitor:
        got = await visitor.get(f"{site.url}/old")
        again = await visitor.get(f"{site.url}/old", validators=Validators(etag='"n"'))
        (counts,) = visitor.ledger()
    assert isinstance(got, Page)
    assert got.url == f"{site.url}/new?x=1"
    assert isinstance(again, NotModified)
    assert counts.requests == 6
    assert (counts.pages, counts.not_modified, counts.failures) == (1, 1, 0)


@pytest.mark.parametrize(
    ("source", "there", "same"),
    [
        ("https://papers.test/a", "https://papers.test/b", True),
        ("https://papers.test/a", "https://www.papers.test/a", True),
        ("https://www.papers.test/a", "https://papers.test/a", True),
        ("https://papers.test/a", "https://papers.test.:443/a", True),
        ("http://papers.test/a", "https://papers.test/a", True),
        ("https://papers.test/a", "https://evilpapers.test/a", False),
        ("https://papers.test/a", "https://papers.test.evil.example/a", False),
        ("https://a.papers.test/", "https://b.papers.test/", False),
        ("https://papers.test/", "https://127.0.0.1/", False),
    ],
)
def test_a_redirect_stays_within_the_site(source: str, there: str, same: bool) -> None:
    if same:
        stay_within(URL(source), URL(there))
        return
    with pytest.raises(FetchError, match="another site") as caught:
        stay_within(URL(source), URL(there))
    assert not caught.value.retryable


def test_a_redirect_from_https_to_http_is_refused() -> None:
    with pytest.raises(FetchError, match="from https to http"):
        redirected(URL("https://papers.test/"), "http://papers.test/", 302)
    assert str(redirected(URL("http://papers.test/a/b"), "//papers.test/c", 302)) == (
        "http://papers.test/c"
    )


# ---------------------------------------------------------------- the token and the proxy


async def test_the_token_goes_to_its_own_host_and_nowhere_else() -> None:
    async with Site(redirect("/b"), routes={"/b": page()}) as site:
        async with fetcher(token="hf_canary") as visitor:
            await visitor.get(site.url)
        assert all("authorization" not in request.headers for request in site.requests)
        assert "hf_canary" not in repr(visitor.options)


def test_only_the_tokens_own_host_over_https_may_have_it() -> None:
    good = ["https://huggingface.co/papers", "https://huggingface.co:443/"]
    bad = [
        "http://huggingface.co/",
        "https://huggingface.co:8443/",
        "https://www.huggingface.co/",
        "https://huggingface.co.evil.example/",
        "https://evilhuggingface.co/",
    ]
    assert all(may_have_token(URL(url)) for url in good)
    assert not any(may_have_token(URL(url)) for url in bad)


async def test_a_proxy_is_used_when_it_is_given_and_not_for_excepted_hosts() -> None:
    async with Site(page(b"<html>by proxy</html>")) as proxy, Site(page()) as site:
        proxies = (("http", f"http://127.0.0.1:{proxy.port}"), ("no", "127.0.0.1"))
        async with fetcher(proxies=proxies, allow_private=False, robots=True) as visitor:
            got = await visitor.get("http://papers.test/trending")
        async with fetcher(proxies=proxies) as visitor:
            direct = await visitor.get(site.url)
    assert isinstance(got, Page)
    assert isinstance(direct, Page)
    assert got.body == b"<html>by proxy</html>"
    assert [r.target for r in proxy.requests] == [
        "http://papers.test/robots.txt",
        "http://papers.test/trending",
    ]
    assert direct.body == HTML


async def test_behind_a_proxy_no_redirect_leads_inside() -> None:
    inside = "http://169.254.169.254/latest/meta-data/"
    async with Site(redirect(inside)) as proxy:
        proxies = (("http", f"http://127.0.0.1:{proxy.port}"),)
        async with fetcher(proxies=proxies, allow_private=False, robots=True) as visitor:
            with pytest.raises(FetchError, match="not a public address"):
                await visitor.get("http://papers.test/trending")
    assert [r.target for r in proxy.requests] == ["http://papers.test/robots.txt"]


# ---------------------------------------------------------------- pace


async def test_requests_to_one_host_are_spaced_and_hosts_do_not_wait_for_each_other() -> None:
    clock = FakeClock()
    async with (
        Site(page(), clock=clock) as one,
        Site(page(), clock=clock) as two,
        fetcher(clock, per_host_rate=0.15) as visitor,
    ):
        for n in range(5):
            await visitor.get(f"{one.url}/{n}")
        before = clock.monotonic()
        await visitor.get(two.url)
        assert clock.monotonic() == before
    gaps = [b.at - a.at for a, b in itertools.pairwise(one.requests)]
    assert gaps == pytest.approx([1 / 0.15] * 4)


async def test_half_of_the_sites_window_is_never_exceeded_even_without_a_rate() -> None:
    clock = FakeClock()
    window = {"start": clock.monotonic(), "used": 0}

    async def counted(request: Request, writer: asyncio.StreamWriter) -> bool:
        if clock.monotonic() - window["start"] >= 300:
            window.update(start=clock.monotonic(), used=0)
        window["used"] += 1
        left = int(300 - (clock.monotonic() - window["start"]))
        answer = page(b"<html></html>", headers=limited(100 - int(window["used"]), left))
        return await answer(request, writer)

    async with Site(counted, clock=clock) as site, fetcher(clock) as visitor:
        for n in range(160):
            await visitor.get(f"{site.url}/{n}")
        (counts,) = visitor.ledger()
    times = [request.at for request in site.requests]
    assert max(sum(t <= x < t + 299 for x in times) for t in times) == 50
    assert clock.slept == pytest.approx([300, 300, 300])
    assert counts.peak_share == pytest.approx(0.5)
    assert (counts.quota, counts.remaining) == (100, 90)


async def test_a_short_429_is_waited_for_within_the_visit() -> None:
    clock = FakeClock()
    busy = page(b"", status=429, headers={"Retry-After": "20"})
    async with Site([busy, busy, page()], clock=clock) as site, fetcher(clock) as visitor:
        got = await visitor.get(site.url)
        (counts,) = visitor.ledger()
    assert isinstance(got, Page)
    times = [request.at for request in site.requests]
    assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx([20, 20], abs=1)
    assert (counts.too_many, counts.retries, counts.requests) == (2, 2, 3)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_long_pause_is_left_to_the_caller_and_holds_for_the_whole_host(
    status: int,
) -> None:
    clock = FakeClock()
    busy = page(b"", status=status, headers={"Retry-After": "600"})
    async with Site([busy, page()], clock=clock) as site, fetcher(clock) as visitor:
        with pytest.raises(FetchError) as caught:
            await visitor.get(f"{site.url}/a")
        assert (caught.value.retryable, caught.value.status) == (True, status)
        assert caught.value.retry_after == 600
        assert clock.slept == []

        clock.advance(100)
        with pytest.raises(FetchError, match="asked for a pause") as caught:
            await visitor.get(f"{site.url}/b")
        assert caught.value.retry_after == 500
        assert [*visitor.pauses().values()] == [clock.now() + timedelta(seconds=500)]
        assert len(site.requests) == 1, "nobody asks while the pause lasts"

        clock.advance(450)
        assert isinstance(await visitor.get(f"{site.url}/b"), Page)
        assert clock.slept == pytest.approx([50]), "the rest of it is short enough to sit out"


async def test_a_429_with_only_a_ratelimit_header_is_obeyed_to_the_second() -> None:
    clock = FakeClock()
    busy = page(b"", status=429, headers=limited(0, 37))
    async with Site([busy, page()], clock=clock) as site, fetcher(clock) as visitor:
        assert isinstance(await visitor.get(site.url), Page)
    first, second = site.requests
    assert second.at - first.at == pytest.approx(37, abs=1)


async def test_a_window_of_hours_is_told_and_not_sat_out_in_silence() -> None:
    clock = FakeClock()
    used_up = page(headers=limited(10, 7200))
    async with Site(used_up) as site, fetcher(clock, robots=True) as visitor:
        await visitor.get(f"{site.url}/a")
        with pytest.raises(FetchError, match="asked for a pause") as caught:
            await visitor.get(f"{site.url}/b")
        assert caught.value.retry_after == 7200
        assert caught.value.status is None
        assert len(site.pages) == 1
        assert clock.slept == []


async def test_a_hosts_turn_is_known_before_it_is_taken() -> None:
    clock = FakeClock()
    answers = [
        page(),
        page(headers=limited(50, 200)),
        page(b"", status=429, headers={"Retry-After": "600"}),
    ]
    async with Site(answers) as site, fetcher(clock, per_host_rate=0.1) as visitor:
        assert visitor.turn(site.url) == (0.0, 10.0)
        await visitor.get(site.url)
        assert visitor.turn(site.url) == (10.0, 10.0)
        await visitor.get(site.url)
        assert visitor.turn(site.url) == (200.0, 10.0), "out of courtesy"
        with pytest.raises(FetchError):
            await visitor.get(site.url)
        assert visitor.turn(site.url) == (0.0, 0.0), "a visit would end at once"
        clock.advance(520)
        assert visitor.turn(site.url) == (80.0, 10.0), "it would sit this out"
        assert visitor.turn("https://[") == (0.0, 0.0)


async def test_a_pause_before_robots_txt_was_read_is_only_a_pause() -> None:
    clock = FakeClock()
    async with Site(page()) as site, fetcher(clock, robots=True) as visitor:
        name = f"127.0.0.1:{site.port}"
        visitor.resume({name: clock.now() + timedelta(seconds=100)})
        with pytest.raises(FetchError, match="asked for a pause") as caught:
            await visitor.get(site.url)
        assert caught.value.retry_after == 100
        clock.advance(101)
        assert isinstance(await visitor.get(site.url), Page)


async def test_a_demanded_pause_survives_a_restart() -> None:
    clock = FakeClock()
    busy = page(b"", status=429, headers={"Retry-After": "7200"})
    async with Site([busy, page()]) as site:
        async with fetcher(clock) as visitor:
            with pytest.raises(FetchError):
                await visitor.get(site.url)
            pauses = visitor.pauses()
            assert visitor.ledger()[0].paused_until == clock.now() + timedelta(hours=2)
        clock.advance(3600)
        async with fetcher(clock) as visitor:
            visitor.resume(pauses)
            with pytest.raises(FetchError, match="asked for a pause") as caught:
                await visitor.get(site.url)
            assert caught.value.retry_after == 3600
            clock.advance(3600)
            visitor.resume(pauses)
            assert isinstance(await visitor.get(site.url), Page)
            assert visitor.pauses() == {}
        assert len(site.requests) == 2


async def test_retries_are_few_spread_out_and_within_the_budget() -> None:
    for answer in (page(b"", status=500), reset(), raw(b"")):
        clock = FakeClock()
        async with Site(answer, clock=clock) as site, fetcher(clock) as visitor:
            started = clock.monotonic()
            with pytest.raises(FetchError) as caught:
                await visitor.get(site.url)
            assert caught.value.retryable
            assert len(site.requests) == 4
            assert clock.monotonic() - started < RETRY_BUDGET
            assert len(clock.slept) == 3
            assert max(clock.slept) <= 20


async def test_a_site_that_is_only_briefly_ill_is_a_page_in_the_end() -> None:
    answers = [page(b"", status=502), reset(), page()]
    async with Site(answers) as site, fetcher() as visitor:
        assert isinstance(await visitor.get(site.url), Page)
        (counts,) = visitor.ledger()
        assert (counts.requests, counts.retries, counts.failures, counts.pages) == (3, 2, 2, 1)


async def test_no_retry_begins_that_could_end_after_the_budget() -> None:
    """A site that never answers costs at most 90 seconds, not four timeouts."""

    clock = FakeClock()

    async def silent(request: Request, writer: asyncio.StreamWriter) -> bool:
        clock.advance(30)
        return False

    async with Site(silent) as site, fetcher(clock, timeout=30.0) as visitor:
        started = clock.monotonic()
        with pytest.raises(FetchError):
            await visitor.get(site.url)
        assert clock.monotonic() - started <= RETRY_BUDGET
        assert len(site.requests) <= 3


async def test_a_bad_day_of_the_site_stays_within_half_of_its_window() -> None:
    """Twenty sources, every half hour, a day of 429, 503, 500 and resets."""
    clock = FakeClock()
    bad = [
        page(b"", status=429),
        page(b"", status=503),
        reset(),
        page(b"", status=429, headers={"Retry-After": "30"}),
        page(b"", status=500),
        page(b"", status=429, headers={"Retry-After": "soon"}),
    ]
    async with (
        Site(bad * 400, clock=clock) as site,
        fetcher(clock, per_host_rate=0.15, robots=True) as visitor,
    ):
        midnight = clock.monotonic() + 86400
        while clock.monotonic() < midnight:
            round_ends = clock.monotonic() + 1800
            for n in range(20):
                with pytest.raises(FetchError):
                    await visitor.get(f"{site.url}/{n}")
            clock.advance(max(round_ends - clock.monotonic(), 0))
        (counts,) = visitor.ledger()
    times = [request.at for request in site.requests]
    assert counts.requests == len(times) > 50
    assert max(sum(t <= x < t + 300 for x in times) for t in times) <= 50


# ---------------------------------------------------------------- robots.txt


def robots(text: str) -> Behaviour:
    return page(text.encode(), headers={"Content-Type": "text/plain"})


async def test_robots_txt_is_asked_once_a_day_for_all_visits_to_a_host() -> None:
    clock = FakeClock()
    routes = {"/robots.txt": robots("User-agent: *\nDisallow: /private")}
    async with Site(page(), routes=routes) as site, fetcher(clock, robots=True) as visitor:
        await asyncio.gather(*(visitor.get(f"{site.url}/{n}") for n in range(6)))
        assert len(site.requests) - len(site.pages) == 1
        with pytest.raises(FetchError, match="does not allow paper-watcher") as caught:
            await visitor.get(f"{site.url}/private/x")
        assert not caught.value.retryable
        assert len(site.pages) == 6
        clock.advance(ROBOTS_MAX_AGE - 1)
        await visitor.get(site.url)
        assert len(site.requests) - len(site.pages) == 1
        clock.advance(2)
        await visitor.get(site.url)
        assert len(site.requests) - len(site.pages) == 2


@pytest.mark.parametrize("status", [204, 400, 401, 403, 404, 410, 451])
async def test_a_robots_txt_that_is_not_there_allows_everything(status: int) -> None:
    routes = {"/robots.txt": page(b"", status=status)}
    async with Site(page(), routes=routes) as site, fetcher(robots=True) as visitor:
        assert isinstance(await visitor.get(site.url), Page)


@pytest.mark.parametrize("status", [429, 500, 501, 502, 503, 504, 599])
async def test_a_robots_txt_that_fails_keeps_us_out_for_a_while(status: int) -> None:
    clock = FakeClock()
    routes = {"/robots.txt": [page(b"", status=status), robots("")]}
    async with Site(page(), routes=routes) as site, fetcher(clock, robots=True) as visitor:
        for n in range(5):
            with pytest.raises(FetchError, match=r"robots\.txt could not be read") as caught:
                await visitor.get(f"{site.url}/{n}")
            assert caught.value.retryable
            assert caught.value.retry_after == pytest.approx(ROBOTS_RETRY)
        assert len(site.requests) == 1
        clock.advance(ROBOTS_RETRY + 1)
        assert isinstance(await visitor.get(site.url), Page)


async def test_of_a_robots_txt_that_is_too_large_the_beginning_is_heeded() -> None:
    text = "User-agent: *\nDisallow: /private\n" + "# nothing\n" * 60_000
    assert len(text) > ROBOTS_LIMIT
    routes = {"/robots.txt": robots(text)}
    async with Site(page(), routes=routes) as site, fetcher(robots=True) as visitor:
        assert isinstance(await visitor.get(site.url), Page)
        with pytest.raises(FetchError, match="does not allow paper-watcher"):
            await visitor.get(f"{site.url}/private/x")


async def test_a_host_that_does_not_answer_for_robots_txt_is_retried_as_any_other() -> None:
    routes: dict[str, Answers] = {"/robots.txt": [reset(), raw(b""), robots("")]}
    async with Site(page(), routes=routes) as site, fetcher(robots=True) as visitor:
        assert isinstance(await visitor.get(site.url), Page)
        assert len(site.pages) == 1
    routes = {"/robots.txt": reset()}
    async with Site(page(), routes=routes) as site, fetcher(robots=True) as visitor:
        with pytest.raises(FetchError, match=r"robots\.txt"):
            await visitor.get(site.url)
        assert site.pages == []


async def test_robots_txt_is_followed_through_five_redirects_and_no_more() -> None:
    hops = {f"/hop{n}": redirect(f"/hop{n + 1}") for n in range(5)}
    routes = {
        "/robots.txt": redirect("/hop1"),
        **hops,
        "/hop5": robots("User-agent: *\nDisallow: /"),
    }
    async with Site(page(), routes=routes) as site, fetcher(robots=True) as visitor:
        with pytest.raises(FetchError, match="does not allow"):
            await visitor.get(f"{site.url}/papers")
    async with Site(page(), routes={"/robots.txt": redirect("/robots.txt")}) as site:
        async with fetcher(robots=True) as visitor:
            assert isinstance(await visitor.get(f"{site.url}/papers"), Page)
        assert len(site.requests) == 7


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
async def test_an_odd_robots_txt_is_still_read(encoding: str) -> None:
    text = "\ufeffUser-agent: *\r\nDisallow: /papers\r\n".encode()
    body = PACK[encoding](text) if encoding else text
    routes = {"/robots.txt": page(body, encoding=encoding)}
    async with Site(page(), routes=routes) as site, fetcher(robots=True) as visitor:
        with pytest.raises(FetchError, match="does not allow"):
            await visitor.get(f"{site.url}/papers")


async def test_a_crawl_delay_is_kept() -> None:
    clock = FakeClock()
    routes = {"/robots.txt": robots("User-agent: *\nCrawl-delay: 25")}
    async with (
        Site(page(), routes=routes, clock=clock) as site,
        fetcher(clock, robots=True, per_host_rate=1.0) as visitor,
    ):
        for n in range(4):
            await visitor.get(f"{site.url}/{n}")
    gaps = [b.at - a.at for a, b in itertools.pairwise(site.pages)]
    assert gaps == pytest.approx([25, 25, 25])


async def test_a_redirect_into_a_forbidden_corner_is_not_followed() -> None:
    routes = {
        "/robots.txt": robots("User-agent: *\nDisallow: /login"),
        "/papers": redirect("/login?next=/papers"),
    }
    async with Site(page(), routes=routes) as site, fetcher(robots=True) as visitor:
        with pytest.raises(FetchError, match="does not allow"):
            await visitor.get(f"{site.url}/papers")
        assert [request.path for request in site.pages] == ["/papers"]
