"""Who may ask for what: hosts, tokens, sessions, origins, rates, and the headers of every answer.

Owns every check that a request passes before a page sees it. Must not know what a page shows.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from aiohttp import web
from multidict import CIMultiDict

from watcher.config.settings import WebSettings
from watcher.wants import Tokens

COOKIE = "watcher_session"
SESSION = timedelta(days=30)
CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = CIMultiDict(
    {
        "Content-Security-Policy": CSP,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "X-Robots-Tag": "noindex, nofollow",
        "Server": "paper-watcher",
    }
)


def host_allowed(host: str | None, settings: WebSettings, sockname: str | None) -> bool:
    """Whether a ``Host`` header names this watcher.

    Its own address, the host of ``public_url`` and the names in ``hosts``; a literal address
    only when the connection really came in there: rebinding needs a name.
    """
    name, port = split_host(host or "")
    if not name:
        return False
    if name in _own_names(settings):
        return True
    if sockname is not None and name == sockname:
        return True
    return any(
        name == listed and wanted in (None, port)
        for listed, wanted in map(split_host, settings.hosts)
    )


def _own_names(settings: WebSettings) -> Collection[str]:
    names = {settings.listen.host.lower()} - {"0.0.0.0", "::"}  # noqa: S104 - never a name
    if settings.listen.loopback:
        names |= {"localhost", "127.0.0.1", "::1"}
    if settings.public_url:
        names.add((urlsplit(settings.public_url).hostname or "").lower())
    return names


def split_host(text: str) -> tuple[str, int | None]:
    """Name and port of a ``Host`` header in lower case; an empty name for what is none."""
    text = text.strip().lower()
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return "", None
        port = rest[1:]
    else:
        name, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdecimal() and int(port) < 65_536):
        return "", None
    return name.rstrip("."), int(port) if port else None


def token_needed(settings: WebSettings) -> bool:
    """Whether private pages ask for the token: anywhere but on a plain loopback address."""
    open_to_others = not settings.listen.loopback or settings.public_url is not None
    return open_to_others or settings.token is not None


def was_forwarded(request: web.BaseRequest) -> bool:
    """Whether a proxy passed it on: then whoever asked may be anywhere."""
    return any(name in request.headers for name in _BY_PROXIES)


_BY_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


def is_token(given: str, settings: WebSettings) -> bool:
    """Whether somebody knows the token, compared in constant time."""
    token = settings.token
    if token is None:
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.reveal().encode())


def bearer(request: web.BaseRequest) -> str | None:
    """The token of an ``Authorization: Bearer`` header."""
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" else None


def may_see(request: web.BaseRequest, settings: WebSettings, tokens: Tokens, now: datetime) -> bool:
    """Whether a request may see the private pages."""
    if not token_needed(settings):
        return not was_forwarded(request)
    given = bearer(request)
    if given is not None:
        return is_token(given, settings)
    return session_holds(request.cookies.get(COOKIE, ""), settings, tokens, now)


def session(settings: WebSettings, tokens: Tokens, now: datetime) -> str:
    """The value of the session cookie: its end and a seal; void when the token changes."""
    ends = str(int((now + SESSION).timestamp()))
    return f"{ends}.{tokens.seal('session', ends, _mark(settings))}"


def session_holds(value: str, settings: WebSettings, tokens: Tokens, now: datetime) -> bool:
    """Whether a session cookie was given here, for the token of now, and has not ended."""
    ends, _, seal = value.partition(".")
    if settings.token is None or not (ends.isascii() and ends.isdecimal() and len(ends) < 13):
        return False
    return tokens.is_seal(seal, "session", ends, _mark(settings)) and now.timestamp() < int(ends)


def _mark(settings: WebSettings) -> str:
    return settings.token.reveal() if settings.token else ""


def origin_allowed(request: web.BaseRequest, settings: WebSettings) -> bool:
    """Whether a request that changes something was sent by a page of ours, or by no browser.

    Browsers say so by ``Sec-Fetch-Site``, older ones by ``Origin``. ``Origin: null`` comes from our
    own pages too (they send no referrer) where ``Sec-Fetch-Site`` is missing, on plain http
    beyond loopback; there the session cookie, which is SameSite=Strict, tells us apart.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    if origin == "null":
        return token_needed(settings)
    scheme, _, place = origin.lower().partition("://")
    if scheme not in ("http", "https"):
        return False
    ours = {request.headers.get("Host", "").lower()}
    if settings.public_url:
        ours.add(urlsplit(settings.public_url).netloc.lower())
    return place in ours


def fetched_from_elsewhere(request: web.BaseRequest) -> bool:
    """Whether a page of another site asks in the background, as by ``<img>`` or a frame.

    Following a link from there is no such thing.
    """
    if request.headers.get("Sec-Fetch-Site") not in ("cross-site", "same-site"):
        return False
    mode, to = request.headers.get("Sec-Fetch-Mode"), request.headers.get("Sec-Fetch-Dest")
    return mode != "navigate" or to not in (None, "document")


def client_address(request: web.BaseRequest, settings: WebSettings) -> str:
    """Where a request comes from; ``X-Forwarded-For`` is believed from trusted proxies only.

    Read from its end: the first address that is no trusted proxy of ours.
    """
    peer = request.transport.get_extra_info("peername") if request.transport else None
    address = str(peer[0]) if peer else "unknown"
    if not settings.trusted_proxies or not _is_trusted(address, settings):
        return address
    hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    for hop in reversed([hop.strip() for hop in hops if hop.strip()]):
        try:
            address = str(ipaddress.ip_address(hop.removeprefix("[").partition("]")[0]))
        except ValueError:
            break
        if not _is_trusted(address, settings):
            break
    return address


def who_counts(address: str) -> str:
    """What a limit counts by: an address, of IPv6 the network that one household or machine has."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


def _is_trusted(address: str, settings: WebSettings) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return any((mapped or ip) in network for network in settings.trusted_proxies)


def local_path(text: str | None) -> str:
    """A path on this site to go to after signing in, else its first page; never another site."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")):
        return "/"
    return text if text.isprintable() and "\\" not in text and len(text) < 2000 else "/"


def is_secure(request: web.BaseRequest, settings: WebSettings) -> bool:
    """Whether this request came to the public address and that speaks TLS."""
    if not settings.public_url:
        return False
    public = urlsplit(settings.public_url)
    return public.scheme == "https" and split_host(request.headers.get("Host", ""))[0] == (
        public.hostname or ""
    )


class Rates:
    """How often something may be done by somebody: a bucket per key that fills steadily.

    Keeps no more than ``most`` keys; when full, those that are full again are dropped, and
    if that is not enough everybody shares one bucket.
    """

    def __init__(self, burst: float, per_hour: float, *, most: int = 10_000) -> None:
        self._burst, self._rate, self._most = burst, per_hour / 3600, most
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, key: str, moment: float) -> bool:
        """Use one up; False when none is left. ``moment`` is a monotonic time in seconds."""
        if key not in self._left and len(self._left) >= self._most:
            self._tidy(moment)
            if len(self._left) >= self._most:
                key = "everybody else"
        left, at = self._left.get(key, (self._burst, moment))
        left = min(self._burst, left + (moment - at) * self._rate)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed else left, moment)
        return allowed

    def wait(self, key: str, moment: float) -> float:
        """Seconds until one is free again."""
        left, at = self._left.get(key, (self._burst, moment))
        left = min(self._burst, left + (moment - at) * self._rate)
        return 0.0 if left >= 1 else (1 - left) / self._rate

    def _tidy(self, moment: float) -> None:
        full = [
            key
            for key, (left, at) in self._left.items()
            if left + (moment - at) * self._rate >= self._burst
        ]
        for key in full:
            del self._left[key]
