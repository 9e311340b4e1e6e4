"""The guard: no address, spelling, resolver or redirect leads inside."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import pytest
import uvloop
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport
from hypothesis import given
from hypothesis import strategies as st

from tests.servers import FakeClock, Site, listener, page, redirect
from watcher import guard
from watcher.errors import FetchError, RefusedAddress
from watcher.fetch import Fetcher, FetchOptions

REFUSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1
127.1.2.3 127.255.255.254 168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1
172.31.255.255 192.0.0.1 192.0.0.9 192.0.0.170 192.0.0.192 192.0.2.1 192.31.196.1 192.88.99.1
192.168.0.1 192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9
224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
:: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:10.0.0.1
::ffff:0:127.0.0.1 ::ffff:7f00:1 64:ff9b::7f00:1 64:ff9b::127.0.0.1 64:ff9b::8.8.8.8
64:ff9b:1::1 64:ff9b:1:ffff::a00:1 100::1 100:0:0:1::1 200::1 400::1 1000::1 2001::1
2001:0:53aa:64c:0:fffe:807f:fffe 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2001:1ff::1
2002:7f00:1:: 2002:a00:1::1 2002:808:808::1 2620:4f:8000::1 3fff::1 4000::1 5f00::1 8000::1
e000::1 fc00::1 fd00:ec2::254 fdff::1 fe80::1 fe80::1%lo fe80::1%1 feb0::1 fec0::1 fec0::1%2
feff::1 ff02::1 ff0e::1 2606:4700::5efe:127.0.0.1 2606:4700::200:5efe:10.0.0.1
2606:4700::1%eth0
""".split()  # noqa: SIM905

ALLOWED = """
1.1.1.1 8.8.8.8 9.9.9.9 11.0.0.1 93.184.216.34 100.63.255.255 100.128.0.1 126.255.255.255
128.0.0.1 169.253.255.255 169.255.0.1 172.15.255.255 172.32.0.1 191.255.255.255 192.0.1.1
192.167.255.255 192.169.0.1 198.17.255.255 198.20.0.1 223.255.255.255 2001:200::1
2001:4860:4860::8888 2003::1 2606:4700::1111 2a00:1450:4001::200e 3ffe::1
""".split()  # noqa: SIM905

NO_ADDRESS = [
    "",
    " ",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "0x7f000001",
    "2130706433",
    "127.1",
    "::g",
]

SPELLINGS = """
127.0.0.1 127.0.0.1. localhost LOCALHOST localhost. 127.1 127.0.1 0x7f000001 0x7f.0.0.1 0x7f.1
017700000001 0177.0.0.1 2130706433 127.000.000.001 0.0.0.0 0 [::1] [0:0:0:0:0:0:0:1] [::]
[::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [::ffff:0:127.0.0.1] ①②⑦.⓪.⓪.① １２７.０.０.１
127。0。0。1 ｌｏｃａｌｈｏｓｔ ip6-localhost inside.test %6c%6f%63%61%6c%68%6f%73%74
""".split()  # noqa: SIM905


def test_there_are_enough_addresses_and_spellings() -> None:
    assert len(REFUSED) >= 60
    assert len(SPELLINGS) >= 20


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_leads_inside_is_refused(address: str) -> None:
    assert not guard.allowed(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_a_public_address_is_allowed(address: str) -> None:
    assert guard.allowed(address)


@pytest.mark.parametrize("text", NO_ADDRESS)
def test_what_is_no_numeric_address_is_refused(text: str) -> None:
    assert not guard.allowed(text)


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_allowed(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if guard.allowed(str(ip)):
        assert ip.is_global
        assert not any((ip.is_private, ip.is_multicast, ip.is_reserved, ip.is_link_local))


@given(st.ip_addresses(v=4), st.sampled_from(["::{}", "::ffff:{}", "::ffff:0:{}", "64:ff9b::{}"]))
def test_no_ipv4_address_hides_in_an_ipv6_address(ip: ipaddress.IPv4Address, shape: str) -> None:
    assert not guard.allowed(shape.format(ip))
    assert not guard.allowed(str(ipaddress.IPv6Address((0x2002 << 112) | (int(ip) << 80))))


def test_only_web_ports_are_open_on_public_addresses() -> None:
    for port in (80, 443, 8443):
        guard.check_address("1.1.1.1", port, allow_private=False)
    for port in (0, 22, 25, 6379, 8080, 11211):
        with pytest.raises(guard.RefusedConnection, match="port"):
            guard.check_address("1.1.1.1", port, allow_private=False)
    guard.check_address("1.1.1.1", 22, allow_private=False, ports=None)
    guard.check_address("127.0.0.1", 22, allow_private=True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.org/", "begin with"),
        ("file:///etc/passwd", "begin with"),
        ("//example.org", "begin with"),
        ("https://", "no host"),
        ("https://user@example.org/", "name or password"),
        ("https://user:hunter2@example.org/", "name or password"),
        ("https://:@example.org/", "name or password"),
        ("https://example.org:22/", "port 22"),
        ("https://example.org:99999/", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://127.0.0.1/", "not a public address"),
        ("https://[::1]/", "not a public address"),
        ("https://[fe80::1%25eth0]/", "not a public address"),
        ("https://localhost/", "this machine"),
        ("https://a.LOCALHOST./", "this machine"),
        ("http://example.org/", "must be https"),
        ("https://exa mple.org/", "host"),
        ("https://example\u202e.org/", "host"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_early(url: str, words: str) -> None:
    with pytest.raises(RefusedAddress, match=words) as caught:
        guard.check_url(url, allow_private=False, allow_http=False)
    assert "hunter2" not in str(caught.value)


def test_private_targets_may_be_asked_for() -> None:
    for url in ("http://127.0.0.1:8080/x", "http://localhost:1/", "https://[::1]:9/"):
        guard.check_url(url, allow_private=True, allow_http=False)
    guard.check_url("http://example.org/", allow_private=False)


# ---------------------------------------------------------------- real connections


class Names(AbstractResolver):
    """A resolver that answers from a list, one answer after the other."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self.answers[self.asked % len(self.answers)]
        self.asked += 1
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


def guarded_but_at_home(info: guard.AddrInfo) -> socket.socket:
    """The guard, and then nobody listens: a test must not reach beyond loopback."""
    guard.socket_factory(ports=None)(info).close()
    raise ConnectionRefusedError(111, "nobody there")


@pytest.fixture
async def inside() -> AsyncIterator[tuple[int, list[Any]]]:
    async with listener() as door:
        yield door


def session(resolver: AbstractResolver | None = None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            socket_factory=guarded_but_at_home,
            resolver=resolver,
            use_dns_cache=False,
            force_close=True,
        )
    )


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_this_machine_is_reached(
    host: str, inside: tuple[int, list[Any]]
) -> None:
    port, reached = inside
    resolver = Names("127.0.0.1") if host == "inside.test" else None
    async with session(resolver) as client:
        with pytest.raises((aiohttp.ClientError, ValueError)) as caught:
            await client.get(f"http://{host}:{port}/")
        await asyncio.sleep(0)
    assert reached == []
    if not isinstance(caught.value, aiohttp.InvalidURL | aiohttp.ClientConnectorDNSError):
        assert guard.refusal(caught.value) is not None


async def test_the_listener_would_have_noticed(inside: tuple[int, list[Any]]) -> None:
    port, reached = inside
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.get(f"http://127.0.0.1:{port}/")
    assert reached


async def test_rebinding_names_are_refused_each_time_they_turn(
    inside: tuple[int, list[Any]],
) -> None:
    port, reached = inside
    names = Names("93.184.216.34", "127.0.0.1", "2606:4700::1111", "::ffff:127.0.0.1")
    refused = 0
    async with session(names) as client:
        for _ in range(50):
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await client.get(f"http://rebind.test:{port}/")
            refused += guard.refusal(caught.value) is not None
    assert names.asked == 50
    assert refused == 25
    assert reached == []


async def test_a_name_with_a_good_and_a_bad_address_uses_the_good_one() -> None:
    async with Site(page()) as site:
        seen: list[str] = []

        def factory(info: guard.AddrInfo) -> socket.socket:
            seen.append(info[4][0])
            if info[4][0] == "127.0.0.2":  # stands for a refused one
                raise guard.RefusedConnection("127.0.0.2 is not a public address")
            return socket.socket(info[0], info[1], info[2])

        class Two(Names):
            async def resolve(
                self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
            ) -> list[ResolveResult]:
                return [
                    ResolveResult(hostname=host, host=h, port=port, family=family, proto=0, flags=0)
                    for h in self.answers
                ]

        connector = aiohttp.TCPConnector(
            socket_factory=factory, resolver=Two("127.0.0.2", "127.0.0.1")
        )
        async with (
            aiohttp.ClientSession(connector=connector) as client,
            client.get(f"http://two.test:{site.port}/") as answer,
        ):
            assert answer.status == 200
    assert seen == ["127.0.0.2", "127.0.0.1"]


async def test_a_refusal_shows_through_httpx_as_well(inside: tuple[int, list[Any]]) -> None:
    port, reached = inside
    async with session() as client:
        transport = AiohttpTransport(client=client)
        async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
            with pytest.raises(httpx.HTTPError) as caught:
                await http.post(f"http://127.0.0.1:{port}/", content=b"x")
    refused = guard.refusal(caught.value)
    assert refused is not None
    assert "127.0.0.1 is not a public address" in str(refused)
    assert reached == []


def test_the_guard_holds_under_uvloop() -> None:
    async def run() -> None:
        async with listener() as (port, reached):
            async with session() as client:
                with pytest.raises(aiohttp.ClientConnectorError) as caught:
                    await client.get(f"http://[::ffff:127.0.0.1]:{port}/")
            assert guard.refusal(caught.value) is not None
            assert reached == []

    uvloop.run(run())


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://0x7f000001:{port}/",
        "http://inside.papers.test:{port}/",
        "//inside.papers.test:{port}/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:{port}/",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_leads_inside(
    location: str, status: int, inside: tuple[int, list[Any]]
) -> None:
    port, reached = inside
    async with Site(redirect(location.format(port=port), status)) as site:

        def factory(info: guard.AddrInfo) -> socket.socket:
            if info[4][1] == site.port:  # stands for the public site
                return socket.socket(info[0], info[1], info[2])
            return guard.socket_factory(ports=None)(info)

        options = FetchOptions(per_host_rate=0, robots=False)
        fetcher = Fetcher(options, clock=FakeClock(), resolver=Names("127.0.0.1"), factory=factory)
        async with fetcher:
            with pytest.raises(FetchError) as caught:
                await fetcher.get(f"http://papers.test:{site.port}/")
    assert not caught.value.retryable
    assert reached == []
    assert len(site.requests) == 1
