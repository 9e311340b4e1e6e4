"""Fetching against every bad answer we know: one clear line, never a half page, never more."""

from __future__ import annotations

import asyncio
import gzip
import logging
import tracemalloc

import pytest

from tests.servers import (
    BAD,
    HTML,
    ODD,
    PACK,
    FakeClock,
    Site,
    closed_port,
    listener,
    packed,
    page,
    raw,
    reset,
)
from watcher.errors import FetchError
from watcher.fetch import Fetcher, FetchOptions
from watcher.page import Page, unpack

CAP = 1 << 20

EXPECTED: dict[str, tuple[bool, str]] = {
    "empty reply": (True, "closed the connection before it answered"),
    "reset before the answer": (True, "broke"),
    "reset in the body": (True, "ended before the page did|broke"),
    "silence": (True, "no complete answer within"),
    "silence after the headers": (True, "no complete answer within"),
    "one byte at a time": (True, "no complete answer within"),
    "no HTTP": (True, "not proper HTTP"),
    "body without headers": (True, "not proper HTTP"),
    "TLS bytes": (True, "not proper HTTP"),
    "huge header line": (True, "headers are larger"),
    "many headers": (True, "headers are larger"),
    "endless headers": (True, "headers are larger"),
    "endless 1xx": (True, "no complete answer within"),
    "two lengths": (True, "not proper HTTP"),
    "length and chunks": (True, "not proper HTTP"),
    "negative length": (True, "not proper HTTP"),
    "NUL in a header": (True, "not proper HTTP"),
    "switching protocols": (False, "no page \\(101\\)"),
    "short body": (True, "ended before the page did"),
    "cut chunks": (True, "ended before the page did"),
    "garbage chunks": (True, "not proper HTTP|ended before the page did"),
    "closed early": (True, "before the page's </html>"),
    "closed early gzip": (True, "gzip body ends in the middle"),
    "cut gzip": (True, "gzip body ends in the middle"),
    "cut deflate": (True, "deflate body ends in the middle"),
    "cut br": (True, "br body ends in the middle"),
    "cut zstd": (True, "zstd body ends in the middle"),
    "empty gzip": (True, "gzip body ends in the middle"),
    "wrong checksum": (True, "gzip body is damaged"),
    "no gzip under gzip": (True, "gzip body is damaged"),
    "no br under br": (True, "br body is damaged"),
    "no zstd under zstd": (True, "zstd body is damaged"),
    "unknown encoding": (False, "'snappy', which is not understood"),
    "gzip twice": (False, "'gzip, gzip', which is not understood"),
    "gzip bomb": (False, "larger than 1 MiB"),
    "deflate bomb": (False, "larger than 1 MiB"),
    "br bomb": (False, "larger than 1 MiB"),
    "zstd bomb": (False, "larger than 1 MiB"),
    "zstd bomb that says so": (False, "larger than 1 MiB"),
    "many empty gzips": (False, "more parts than any server sends"),
    "large length": (False, "larger than 1 MiB"),
    "endless chunks": (False, "larger than 1 MiB"),
    "endless body": (False, "larger than 1 MiB"),
    "redirect to itself": (False, "more than 5 redirects"),
    "redirect without address": (True, "names no address"),
    "redirect to nonsense": (False, "cannot be used"),
    "redirect to a file": (False, "cannot be used"),
    "redirect with a password": (False, "cannot be used"),
    "redirect to another site": (False, "another site, login.example.com"),
    "redirect to metadata": (False, "another site, 169.254.169.254"),
    "304 to no question": (False, "no page \\(304\\)"),
    "no content": (False, "no page \\(204\\)"),
    "part of a page": (False, "no page \\(206\\)"),
    "bad request": (False, "no page \\(400\\)"),
    "forbidden": (False, "refuses access \\(403\\)"),
    "not found": (False, "no such page \\(404\\)"),
    "gone": (False, "no such page \\(410\\)"),
    "internal error": (True, "fault of its own \\(500\\)"),
    "bad gateway": (True, "fault of its own \\(502\\)"),
    "unavailable": (True, "fault of its own \\(503\\)"),
    "status 999": (False, "999"),
}
STATUSES = {
    "304 to no question": 304,
    "no content": 204,
    "part of a page": 206,
    "bad request": 400,
    "forbidden": 403,
    "not found": 404,
    "gone": 410,
    "internal error": 500,
    "bad gateway": 502,
    "unavailable": 503,
}


def fetcher(**options: object) -> Fetcher:
    given = {
        "timeout": 0.15,
        "per_host_rate": 0.0,
        "robots": False,
        "allow_private": True,
        "max_body": CAP,
        **options,
    }
    return Fetcher(FetchOptions(**given), clock=FakeClock())  # type: ignore[arg-type]


async def get(site: Site, path: str = "/papers", **options: object) -> Page:
    async with fetcher(**options) as visitor:
        answer = await visitor.get(site.url + path)
    assert isinstance(answer, Page)
    return answer


def test_every_bad_answer_has_its_expectation() -> None:
    assert BAD.keys() == EXPECTED.keys()
    assert len(BAD) >= 40


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_answer_is_one_clear_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    retryable, words = EXPECTED[name]
    async with Site(BAD[name]) as site:
        with (
            caplog.at_level(logging.WARNING, "asyncio"),
            pytest.raises(FetchError, match=words) as caught,
        ):
            await get(site)
    fault, text = caught.value, str(caught.value)
    assert fault.retryable == retryable
    assert fault.status == STATUSES.get(name, fault.status if "redirect" in name else None) or (
        name in ("switching protocols", "status 999")
    )
    assert "\n" not in text
    assert text.isprintable()
    assert len(text) < 300
    assert site.url in text
    assert "secret" not in text
    assert "paragraph" not in text, "no part of the answer is echoed"
    if "redirect to itself" not in name:
        assert len(site.requests) == (4 if retryable else 1)
    assert not caplog.records


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_answer_is_still_a_page(name: str) -> None:
    async with Site(ODD[name]) as site:
        answer = await get(site)
    assert answer.body == HTML
    assert answer.encoding == ""
    assert answer.url == f"{site.url}/papers"


@pytest.mark.parametrize("name", BAD)
async def test_after_a_bad_answer_the_next_visit_works(name: str) -> None:
    async with Site([BAD[name], page()], routes={"/papers": BAD[name]}) as site:
        site.answers = page()
        async with fetcher(timeout=0.15) as visitor:
            with pytest.raises(FetchError):
                await visitor.get(f"{site.url}/papers")
            answer = await visitor.get(f"{site.url}/other")
    assert isinstance(answer, Page)
    assert answer.body == HTML


@pytest.mark.parametrize("encoding", PACK)
async def test_each_encoding_is_undone_or_left_to_the_caller(encoding: str) -> None:
    async with Site(packed(HTML, encoding)) as site, fetcher() as visitor:
        ready = await visitor.get(site.url)
        as_sent = await visitor.get(site.url, packed=True)
    assert isinstance(ready, Page)
    assert isinstance(as_sent, Page)
    assert ready.body == HTML
    assert as_sent.body == PACK[encoding](HTML)
    assert as_sent.encoding == encoding
    assert as_sent.bytes_read == len(as_sent.body) == ready.bytes_read
    assert unpack(as_sent).body == HTML
    assert unpack(ready) is ready


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("Émile Łukasz".encode(), "text/html", "Émile Łukasz"),
        ("Émile Łukasz".encode(), "text/html; charset=iso-8859-1", "Émile Łukasz"),
        ("Émile".encode("latin-1"), "text/html; charset=ISO-8859-1", "Émile"),
        ("Émile “x”".encode("cp1252"), 'text/html; charset="windows-1252"', "Émile “x”"),
        ("Émile".encode("latin-1"), "text/html; charset=utf-8", "\ufffdmile"),
        ("Émile".encode("latin-1"), "text/html; charset=no-such", "\ufffdmile"),
        ("Émile".encode("latin-1"), "text/html; charset=rot13", "\ufffdmile"),
        ("Émile".encode("utf-16"), "text/html", "Émile"),
        ("Émile".encode("utf-16-le"), "text/html; charset=utf-16le", "Émile"),
        ("論文".encode("gb18030"), "text/html;charset=gbk", "論文"),
        ("論文".encode("shift_jis"), "text/html; charset=Shift_JIS", "論文"),
        ("\ufeffÉmile".encode(), "text/html; charset=utf-8", "Émile"),
        (b"plain", "text/html; charset=utf-16", "\u6c70\u6961\ufffd"),
        (b"", "text/html; charset=utf-16", ""),
    ],
)
async def test_a_page_comes_as_utf8_whatever_its_charset(
    body: bytes, content_type: str, expected: str
) -> None:
    async with Site(page(body, headers={"Content-Type": content_type})) as site:
        answer = await get(site)
    assert answer.body.decode("utf-8", "replace") == expected


async def test_a_bomb_does_not_fill_memory_nor_hold_the_loop() -> None:
    late = 0.0

    async def tick() -> None:
        nonlocal late
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.005)
            late = max(late, loop.time() - before - 0.005)

    ticker = asyncio.create_task(tick())
    tracemalloc.start()
    for name in (name for name in BAD if "bomb" in name or "endless chunks" in name):
        async with Site(BAD[name]) as site, fetcher(max_body=8 << 20, timeout=5) as visitor:
            with pytest.raises(FetchError, match="larger than 8 MiB"):
                await visitor.get(site.url)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    ticker.cancel()
    assert peak < 40 << 20
    assert late < 0.5


async def test_a_page_of_exactly_the_cap_is_taken_and_one_byte_more_is_not() -> None:
    body = b"x" * CAP
    for encoding in ("", *PACK):
        pack = PACK.get(encoding, bytes)
        site = Site(
            [page(pack(body), encoding=encoding), page(pack(body + b"x"), encoding=encoding)]
        )
        async with site:
            assert len((await get(site)).body) == CAP
            with pytest.raises(FetchError, match="larger than 1 MiB"):
                await get(site)


async def test_faults_of_the_way_there_name_the_host() -> None:
    port = closed_port()
    cases = {
        f"http://127.0.0.1:{port}/": (True, "no connection to 127.0.0.1 port"),
        f"http://nobody.invalid:{port}/": (True, "nobody.invalid could not be looked up"),
        "http://" + "a" * 80 + ".test/": (False, "not a usable URL"),
        "http://a..b/": (False, "not a usable URL"),
        "http://exa mple/": (False, "space"),
        "http://[::1/": (False, "not a URL"),
        "http://127.0.0.1:99999/": (False, "not a URL"),
        "gopher://127.0.0.1/": (False, "must begin with"),
        "papers": (False, "must begin with"),
        "": (False, "must begin with"),
        "http://user:hunter2@127.0.0.1/": (False, "name or password"),
        "http://\ud800/": (False, "host"),
    }
    async with fetcher() as visitor:
        for url, (retryable, words) in cases.items():
            with pytest.raises(FetchError, match=words) as caught:
                await visitor.get(url)
            assert caught.value.retryable == retryable, url
            assert str(caught.value).isprintable()
            assert "hunter2" not in str(caught.value)


async def test_a_certificate_that_nobody_trusts_is_refused_at_once() -> None:
    async with Site(page(), tls=True) as site:
        with pytest.raises(FetchError, match="TLS certificate of 127") as caught:
            await get(site)
        assert not caught.value.retryable
        assert site.requests == []


async def test_https_to_a_port_that_speaks_http_is_named() -> None:
    async with listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (port, _), fetcher() as visitor:
        with pytest.raises(FetchError, match="no TLS connection to 127"):
            await visitor.get(f"https://127.0.0.1:{port}/")


async def test_a_private_address_needs_to_be_allowed() -> None:
    async with Site(page()) as site:
        with pytest.raises(FetchError, match="allow_private = true") as caught:
            await get(site, allow_private=False)
        assert not caught.value.retryable
        assert site.connections == 0


async def test_any_bytes_give_a_page_or_a_fetch_error() -> None:
    """Damage a good answer at every place, and see nothing but the two outcomes."""
    good = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n"
        b'ETag: "e"\r\nRateLimit: "pages";r=9;t=1\r\nContent-Length: %d\r\n\r\n%b'
    )
    small = gzip.compress(b"<html><p>a small page</p></html>")
    whole = good % (len(small), small)
    answers = []
    for at in range(len(whole)):
        answers.append(raw(whole[:at]))
        answers.append(raw(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :]))
    pages = faults = 0
    async with Site(answers) as site, fetcher(timeout=0.1, per_host_concurrency=8) as visitor:
        for _ in range(3):
            results = await asyncio.gather(
                *(visitor.get(f"{site.url}/{n}") for n in range(60)), return_exceptions=True
            )
            for result in results:
                if isinstance(result, Page):
                    pages += 1
                else:
                    assert isinstance(result, FetchError), repr(result)
                    faults += 1
    assert pages + faults == 180
    assert len(site.requests) > 300


async def test_a_reset_connection_is_not_asked_again_behind_our_back() -> None:
    """aiohttp would send a GET again when a kept connection breaks; that is ours to count."""
    async with Site([page(), reset(), page()]) as site, fetcher() as visitor:
        await visitor.get(f"{site.url}/1")
        await visitor.get(f"{site.url}/2")
        (counts,) = visitor.ledger()
    assert [r.path for r in site.requests] == ["/1", "/2", "/2"]
    assert counts.requests == 3
    assert counts.retries == 1
    assert counts.failures == 1
