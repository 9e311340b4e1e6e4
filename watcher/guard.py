"""Which addresses may be connected to, and the socket factory that fetching and webhooks share.

Owns the rule for addresses, ports and URLs that came from a person or from a site. The rule
is applied to the address a socket is really about to connect to, because a check of names
is beaten by literals (the resolver is never asked) and by rebinding (the second answer
differs from the first). Must not resolve names, open connections or read a clock.

What it cannot know: the machine's own public address, and services inside a public network
that trust their neighbours. Those need a firewall.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from watcher.errors import RefusedAddress

AddrInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""What ``getaddrinfo`` gives and aiohttp's ``TCPConnector(socket_factory=…)`` hands over."""

SocketFactory = Callable[[AddrInfo], socket.socket]

WEB_PORTS = frozenset({80, 443, 8443})
"""The ports a public address may be asked on."""

_LOCALHOST = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})

# Python's is_global differs between patch releases and trusts addresses that lead inside, so
# the registries (RFC 6890 and its successors, as of 2026) are spelled out here as well.
_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(net)
    for net in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; some clouds keep metadata here
        "127.0.0.0/8",
        "168.63.129.16/32",  # a public address that is one cloud's inside
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, metadata of another cloud
        "192.0.2.0/24",
        "192.31.196.0/24",  # AS112 sinks
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)

# Only 2000::/3 is handed out as global unicast. Everything that embeds an IPv4 address and
# lies outside of it (mapped, compatible, NAT64, SIIT), fec0::/10, 100::/64, link-local and
# unique-local addresses fail by that alone.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(net)
    for net in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4 embeds IPv4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


class RefusedConnection(RefusedAddress, OSError):
    """``RefusedAddress`` in the shape that aiohttp expects from a failing socket.

    As an ``OSError`` it makes aiohttp try the host's next address, and in the end it is the
    ``__cause__`` of the ``ClientConnectorError``; ``refusal()`` finds it there.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)
        self.strerror = message


def allowed(address: str) -> bool:
    """Whether a numeric IP address is public unicast and leads nowhere else.

    ``address`` is what a socket connects to (``93.184.216.34``, ``2606:2800::1``), not a
    name: anything that is no plain IP address is refused. The rule is that of
    ``reliability.md`` §7, made stricter: IPv6 must lie in 2000::/3.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not any(ip in net for net in _REFUSED_V4)
    if ip.scope_id is not None or ip not in _GLOBAL_V6 or not ip.is_global:
        return False
    if (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP:
        return False
    return not any(ip in net for net in _REFUSED_V6)


def check_address(
    address: str, port: int, *, allow_private: bool, ports: frozenset[int] | None = WEB_PORTS
) -> None:
    """Raise ``RefusedConnection`` unless this address and port may be connected to.

    ``allow_private`` lets every address and port through; ``ports=None`` lets every port of
    a public address through.
    """
    if allow_private:
        return
    if not allowed(address):
        raise RefusedConnection(
            f"{address} is not a public address; set allow_private = true if it is meant"
        )
    _check_port(port, ports)


def _check_port(port: int, ports: frozenset[int] | None) -> None:
    if ports is not None and port not in ports:
        listed = ", ".join(str(p) for p in sorted(ports))
        raise RefusedConnection(
            f"port {port} is not one of {listed}; set allow_private = true if it is meant"
        )


def socket_factory(
    *, allow_private: bool = False, ports: frozenset[int] | None = WEB_PORTS
) -> SocketFactory:
    """A factory for ``aiohttp.TCPConnector(socket_factory=…)`` that guards each connection.

    It sees the address really connected to, whatever name, spelling, redirect or resolver
    led there, and raises ``RefusedConnection`` before a socket exists.
    """

    def make(addr_info: AddrInfo) -> socket.socket:
        family, kind, proto, _, where = addr_info
        check_address(str(where[0]), int(where[1]), allow_private=allow_private, ports=ports)
        return socket.socket(family=family, type=kind, proto=proto)

    return make


def refusal(exc: BaseException | None) -> RefusedAddress | None:
    """The guard's refusal behind an exception of aiohttp or httpx, if there is one.

    Follows ``__cause__``, ``__context__`` and aiohttp's ``os_error``.
    """
    seen: set[int] = set()
    waiting = [exc]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        if isinstance(current, RefusedAddress):
            return current
        seen.add(id(current))
        waiting += [current.__cause__, current.__context__, getattr(current, "os_error", None)]
    return None


def check_url(
    url: str,
    *,
    allow_private: bool,
    allow_http: bool = True,
    ports: frozenset[int] | None = WEB_PORTS,
) -> None:
    """Raise ``RefusedAddress`` for a URL that no connection should be tried for.

    A help for early and clear errors; what keeps us safe is the socket factory. Refuses
    other schemes than http and https (http only with ``allow_http`` or ``allow_private``),
    URLs without a host, with a name or password in them, and (without ``allow_private``)
    literal addresses and ports the guard would refuse.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise RefusedAddress(f"this is not a URL: {exc}") from exc
    if parts.scheme not in ("http", "https"):
        raise RefusedAddress("the URL must begin with https:// or http://")
    if not host:
        raise RefusedAddress("the URL has no host")
    if not host.isprintable() or " " in host:
        raise RefusedAddress("the URL's host holds a space or an unprintable character")
    if parts.username is not None or parts.password is not None:
        raise RefusedAddress("the URL holds a name or password; take it out")
    if parts.scheme == "http" and not (allow_http or allow_private):
        raise RefusedAddress("the URL must be https; http needs allow_private = true")
    _check_literal(host, port or (443 if parts.scheme == "https" else 80), allow_private, ports)


def why_refused(url: str, *, allow_private: bool, allow_http: bool = True) -> str | None:
    """What ``check_url`` has against a URL, for whoever reads a config; None for nothing."""
    try:
        check_url(url, allow_private=allow_private, allow_http=allow_http)
    except RefusedAddress as exc:
        return f"will be refused: {exc}"
    return None


def _check_literal(host: str, port: int, allow_private: bool, ports: frozenset[int] | None) -> None:
    if allow_private:
        return
    if host.rstrip(".").lower() in _LOCALHOST or host.rstrip(".").lower().endswith(".localhost"):
        raise RefusedAddress(f"{host} is this machine; set allow_private = true if it is meant")
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        _check_port(port, ports)
    else:
        check_address(host, port, allow_private=False, ports=ports)
