"""Polite HTTP: a URL -> ``Page`` or ``NotModified``.

Owns the HTTP session for sources, the waiting that ``politeness`` asks for, robots.txt, the
retries of one visit, and turning every fault into one ``FetchError`` with one clear line.
Must not know what a page says, store anything, or decide when a source is due.

Limits on every request: one deadline over everything, a cap on the body as sent and as
inflated, aiohttp's limits on headers, five redirects within one site, no cookies, nothing
taken from the environment.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from types import TracebackType
from typing import NamedTuple, Self, cast
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

import aiohttp
import tenacity
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDictProxy
from yarl import URL

from watcher import guard, inflate, politeness
from watcher.errors import FetchError, RefusedAddress
from watcher.fetch.faults import (
    REDIRECTS,
    explained,
    in_words,
    redirected,
    status_error,
    stay_within,
)
from watcher.fetch.options import Clock, FetchOptions, SystemClock
from watcher.page import NotModified, Page, Validators, read_page, unpack

MAX_REDIRECTS = 5
RETRIES = 3
RETRY_BUDGET = 90.0
"""Seconds that one visit may last with its waits; a longer wait is left to the caller."""

ROBOTS_MAX_AGE = 24 * 3600.0
ROBOTS_RETRY = 300.0
"""Seconds until a robots.txt that answered 5xx is asked for again; the site is left alone."""

_PAGES = frozenset({200, 203})  # 203: a page that a proxy on the way changed
_TOKEN_HOST = "huggingface.co"  # noqa: S105 - a host, not a secret
_GIVE_UP = tenacity.stop_after_attempt(RETRIES + 1)
_JITTER = tenacity.wait_random_exponential(multiplier=1, max=20)  # full jitter


class _Answer(NamedTuple):
    """One HTTP answer, read to its end if it was worth it."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    at: datetime
    seconds: float


class _RobotsEntry(NamedTuple):
    """What we know of one robots.txt, and for how long."""

    until: float
    rules: politeness.Robots | None
    """None: stay out."""
    fault: str = ""


class _Site:
    """Everything shared by all visits to one host."""

    def __init__(self, host: str, options: FetchOptions) -> None:
        self.host = host
        self.pace = politeness.Pace(options.per_host_rate)
        self.tally = politeness.Tally()
        self.slots = asyncio.Semaphore(max(1, options.per_host_concurrency))
        self.robots: dict[URL, _RobotsEntry] = {}
        self.robots_lock = asyncio.Lock()


class _Ask(NamedTuple):
    """One visit's wishes."""

    headers: dict[str, str]
    until: float
    """The moment up to which a wait that the site demands is sat out."""
    cap: int
    cut: bool = False
    """Take the first ``cap`` bytes of a longer body instead of refusing it."""


class Fetcher:
    """Visits pages, as politely as their sites ask.

    An async context manager: the session lives between enter and exit. One fetcher serves
    all sources, because pace, robots.txt and counts belong to hosts.
    """

    def __init__(
        self,
        options: FetchOptions,
        *,
        clock: Clock | None = None,
        token: str | None = None,
        resolver: AbstractResolver | None = None,
        factory: guard.SocketFactory | None = None,
    ) -> None:
        """``token`` goes to https://huggingface.co and nowhere else.

        ``resolver`` and ``factory`` (which replaces the guard's) are for stand-in sites that
        live on this machine under another name.
        """
        self.options = options
        self._clock: Clock = clock or SystemClock()
        self._token = token
        self._resolver = resolver
        self._factory = factory or guard.socket_factory(allow_private=options.allow_private)
        self._ports = None if factory else guard.WEB_PORTS
        self._session: aiohttp.ClientSession | None = None
        self._proxied: aiohttp.ClientSession | None = None
        self._proxies = dict(options.proxies)
        self._sites: dict[str, _Site] = {}
        self._target = lru_cache(maxsize=256)(self._checked)

    async def __aenter__(self) -> Self:
        self._session = self._open(self._factory)
        if self._proxies:
            # The proxy is the operator's choice and mostly a private address; what it
            # connects to is out of our sight, so literals are all that is checked then.
            self._proxied = self._open(guard.socket_factory(allow_private=True))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for session in (self._session, self._proxied):
            if session is not None:
                await session.close()
        self._session = self._proxied = None

    def _open(self, factory: guard.SocketFactory) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # the slots per host are the limit
                socket_factory=factory,
                resolver=self._resolver,
            ),
            headers={
                "User-Agent": self.options.user_agent,
                "Accept": "text/html,application/json;q=0.9,*/*;q=0.5",
                "Accept-Encoding": inflate.ACCEPT_ENCODING,
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # ours is over all of it
            auto_decompress=False,
            trust_env=False,
            read_bufsize=2**18,
            middlewares=(_send_once,),
        )

    # ---------------------------------------------------------------- the visit

    async def get(
        self, url: str, *, validators: Validators | None = None, packed: bool = False
    ) -> Page | NotModified:
        """Visit a page: robots, pace, one GET, its redirects, a few retries.

        With ``packed`` the body comes as it was sent and the caller calls ``unpack`` (in a
        thread, with the parsing). Raises ``FetchError``: ``retryable`` says whether another
        visit can help, ``retry_after`` from when on, in seconds.
        """
        if self._session is None:
            raise RuntimeError("the fetcher is used outside of its 'async with'")
        target = self._target(url)
        until = self._clock.monotonic() + RETRY_BUDGET
        ask = _Ask(validators.headers if validators else {}, until, self.options.max_body)
        try:
            return await self._visit(target, ask, packed)
        except FetchError as exc:
            if not exc.retryable:
                raise
            return await self._try_again(target, ask, packed, exc)

    def _checked(self, url: str) -> URL:
        """A source's address, as it is asked for; few sources ask for the same ones again and
        again, the addresses of many are not kept."""
        try:
            guard.check_url(url, allow_private=self.options.allow_private, ports=self._ports)
            return URL(url).with_fragment(None)
        except RefusedAddress as exc:
            raise FetchError(f"{_shown(url)}: {exc}", retryable=False) from exc
        except ValueError as exc:
            raise FetchError(f"{_shown(url)}: this is not a usable URL", retryable=False) from exc

    async def _try_again(
        self, target: URL, ask: _Ask, packed: bool, failed: FetchError
    ) -> Page | NotModified:
        """Up to three more attempts. tenacity is asked only now: it costs 60 µs a visit."""
        first: list[FetchError] = [failed]

        async def attempt() -> Page | NotModified:
            if first:
                raise first.pop()
            self._site(target).tally.retries += 1
            return await self._visit(target, ask, packed)

        def wait(state: tenacity.RetryCallState) -> float:
            exc = state.outcome.exception() if state.outcome else None
            asked = exc.retry_after if isinstance(exc, FetchError) else None
            return max(_JITTER(state), asked or 0.0)

        def too_late(state: tenacity.RetryCallState) -> bool:
            ends = self._clock.monotonic() + state.upcoming_sleep + self.options.timeout
            return ends > ask.until

        retrying = tenacity.AsyncRetrying(
            sleep=self._clock.sleep,
            stop=lambda state: _GIVE_UP(state) or too_late(state),
            wait=wait,
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, FetchError) and e.retryable),
            reraise=True,
        )
        return await retrying(attempt)

    async def _visit(self, target: URL, ask: _Ask, packed: bool) -> Page | NotModified:
        here = target
        for _ in range(MAX_REDIRECTS + 1):
            site = self._site(here)
            if self.options.robots:
                await self._heed_robots(site, here, ask.until)
            answer = await self._exchange(site, here, ask)
            if answer.status not in REDIRECTS:
                return self._settle(site, here, answer, ask, packed)
            here = self._redirected(here, answer)
            stay_within(target, here)
        raise FetchError(
            f"{target}: more than {MAX_REDIRECTS} redirects, most likely a loop; "
            "set the source's url to where the page really is",
            retryable=False,
        )

    def _redirected(self, here: URL, answer: _Answer) -> URL:
        """Where a redirect leads; behind a proxy no socket tells us where that really is."""
        there = redirected(here, answer.headers.get("Location"), answer.status)
        return self._checked(str(there)) if self._proxied else there

    def _settle(
        self, site: _Site, url: URL, answer: _Answer, ask: _Ask, packed: bool
    ) -> Page | NotModified:
        if answer.status == 304 and ask.headers:
            site.tally.not_modified += 1
            return NotModified(url=str(url), fetched_at=answer.at, seconds=answer.seconds)
        page = _page(url, answer)
        site.tally.pages += 1
        site.tally.page_bytes += page.bytes_read
        return page if packed else unpack(page, cap=self.options.max_body)

    # ---------------------------------------------------------------- one request

    async def _exchange(self, site: _Site, url: URL, ask: _Ask) -> _Answer:
        """Wait for the host's turn, then one GET, to the last byte of its answer."""
        async with site.slots:
            await self._wait_turn(site, ask.until)
            site.tally.requests += 1
            started = self._clock.monotonic()
            try:
                async with asyncio.timeout(self.options.timeout):
                    answer = await self._send(url, ask, started)
            except FetchError:
                site.tally.failures += 1
                raise
            except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as exc:
                # RuntimeError: what uvloop says when a connection breaks under its hands
                site.tally.failures += 1
                raise explained(exc, url, self.options.timeout) from exc
            return self._noted(site, url, answer)

    async def _wait_turn(self, site: _Site, until: float) -> None:
        while True:
            now = self._clock.monotonic()
            wait = site.pace.wait(now)
            if not wait.seconds:
                return
            if wait.demanded and now + wait.seconds > until:
                raise FetchError(
                    f"{site.host} asked for a pause; it is visited again in "
                    f"{in_words(wait.seconds)}",
                    retry_after=wait.seconds,
                    asked=False,
                )
            await self._clock.sleep(wait.seconds)

    async def _send(self, url: URL, ask: _Ask, started: float) -> _Answer:
        session, proxy = self._way_to(url)
        headers = ask.headers
        if self._token and may_have_token(url):
            headers = {**headers, "Authorization": f"Bearer {self._token}"}
        response = await session.get(url, headers=headers, allow_redirects=False, proxy=proxy)
        try:
            at = self._clock.now()
            body = await _read(response, ask) if response.status in _PAGES else b""
            seconds = self._clock.monotonic() - started
            return _Answer(response.status, response.headers, body, at, seconds)
        finally:
            response.release()  # back to the pool when read to its end, else closed

    def _way_to(self, url: URL) -> tuple[aiohttp.ClientSession, str | None]:
        direct = cast("aiohttp.ClientSession", self._session)  # get() has looked
        if self._proxied is None:
            return direct, None
        proxy = self._proxies.get(url.scheme)
        if not proxy or proxy_bypass_environment(url.raw_host, self._proxies):
            return direct, None
        return self._proxied, proxy

    def _noted(self, site: _Site, url: URL, answer: _Answer) -> _Answer:
        """Heed what the answer says about our pace; give it back unless it is an error."""
        headers, status = answer.headers, answer.status
        limits = politeness.merge_limits(headers)
        retry_after = None
        if status >= 400 and "Retry-After" in headers:
            retry_after = politeness.parse_retry_after(
                headers["Retry-After"], now=answer.at, server_date=headers.get("Date", "")
            )
        now = self._clock.monotonic()
        retry_after = site.pace.heed(status, limits, retry_after=retry_after, now=now)
        site.tally.watch(limits)
        site.tally.bytes_read += len(answer.body)
        if status in _PAGES or status == 304 or status in REDIRECTS:
            return answer
        site.tally.failures += 1
        site.tally.too_many += status in (429, 503)
        raise status_error(url, status, retry_after)

    # ---------------------------------------------------------------- robots.txt

    async def _heed_robots(self, site: _Site, url: URL, until: float) -> None:
        origin = url.origin()
        entry = site.robots.get(origin)
        if entry is None or entry.until <= self._clock.monotonic():
            async with site.robots_lock:  # one asks, the others wait for what it heard
                entry = site.robots.get(origin)
                if entry is None or entry.until <= self._clock.monotonic():
                    entry = site.robots[origin] = await self._ask_robots(origin, until)
        if entry.rules is None:
            wait = max(entry.until - self._clock.monotonic(), 1.0)
            raise FetchError(
                f"{url}: not visited, because the site's robots.txt could not be read "
                f"({entry.fault}); it is tried again in {in_words(wait)}",
                retry_after=wait,
            )
        if not entry.rules.allows(str(url)):
            raise FetchError(
                f"{url}: the site's robots.txt does not allow {politeness.ROBOTS_AGENT} here; "
                "remove the source, or set robots = false in [fetch] if the site agreed",
                retryable=False,
            )

    async def _ask_robots(self, origin: URL, until: float) -> _RobotsEntry:
        """Fetch one robots.txt (RFC 9309 §2.3): empty or 4xx = all allowed; 5xx, 429, silence =
        stay out."""
        try:
            rules = politeness.Robots(await self._robots_body(origin / "robots.txt", until))
        except FetchError as exc:
            status = exc.status or 0
            if status == 204 or (400 <= status < 500 and status != 429):
                rules = politeness.Robots(b"")
            elif not status or (status < 500 and not exc.retryable):
                raise  # no answer at all is the visit's own fault, and retried as such
            else:
                again = max(ROBOTS_RETRY, exc.retry_after or 0.0)
                return _RobotsEntry(self._clock.monotonic() + again, None, str(exc))
        self._site(origin).pace.slow_to(rules.crawl_delay)
        return _RobotsEntry(self._clock.monotonic() + ROBOTS_MAX_AGE, rules)

    async def _robots_body(self, url: URL, until: float) -> bytes:
        ask = _Ask({"Accept-Encoding": "identity"}, until, politeness.ROBOTS_LIMIT + 1, cut=True)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._exchange(self._site(url), url, ask)
            if answer.status not in REDIRECTS:
                page = _page(url, answer)
                return inflate.inflate(page.body, page.encoding, cap=self.options.max_body)
            url = self._redirected(url, answer)
        return b""  # RFC 9309 §2.3.1.2: unavailable after five redirects, so all is allowed

    # ---------------------------------------------------------------- what others may ask

    def _site(self, url: URL) -> _Site:
        name = url.host_port_subcomponent or ""
        site = self._sites.get(name)
        if site is None:
            site = self._sites[name] = _Site(name, self.options)
        return site

    def turn(self, url: str) -> tuple[float, float]:
        """Seconds until this URL's host may be asked, and between two requests to it; zeros when
        a visit would not wait but end at once."""
        try:
            pace = self._site(self._target(url)).pace
        except FetchError:
            return 0.0, 0.0
        wait = pace.left(self._clock.monotonic())
        if wait.demanded and wait.seconds > RETRY_BUDGET:
            return 0.0, 0.0
        return wait.seconds, pace.spacing

    def pauses(self) -> dict[str, datetime]:
        """The hosts that asked for a pause, and its end; for ``resume`` after a restart."""
        now, moment = self._clock.now(), self._clock.monotonic()
        return {
            site.host: now + timedelta(seconds=site.pace.demanded_until - moment)
            for site in self._sites.values()
            if site.pace.demanded_until > moment
        }

    def resume(self, pauses: Mapping[str, datetime]) -> None:
        """Keep the pauses that were demanded before a restart."""
        now, moment = self._clock.now(), self._clock.monotonic()
        for host, until in pauses.items():
            if until > now:
                site = self._sites.setdefault(host, _Site(host, self.options))
                site.pace.pause((until - now).total_seconds(), moment)

    def ledger(self) -> tuple[politeness.HostLedger, ...]:
        """What was asked of each host since the start, by host name."""
        paused = self.pauses()
        return tuple(
            site.tally.ledger(host, paused.get(host)) for host, site in sorted(self._sites.items())
        )


def _page(url: URL, answer: _Answer) -> Page:
    if answer.status not in _PAGES:
        raise status_error(url, answer.status, None)
    return read_page(
        str(url),
        answer.headers,
        answer.body,
        codings=answer.headers.getall("Content-Encoding", ()),
        at=answer.at,
        status=answer.status,
        seconds=answer.seconds,
    )


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """aiohttp sends a GET again, uncounted, when a kept connection was dropped; not with us.

    It does so on two exceptions only, so they leave here as our own; the retry is then
    ours, spaced and counted.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # never sent again by aiohttp
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
        raise explained(exc, request.url, 0.0) from exc


async def _read(response: aiohttp.ClientResponse, ask: _Ask) -> bytes:
    """The body as sent, at most ``ask.cap`` bytes of it."""
    length = response.content_length
    if length is not None and length > ask.cap and not ask.cut:
        raise _too_large(response.url, ask.cap)
    parts: list[bytes] = []
    size = 0
    while part := await response.content.readany():
        parts.append(part)
        size += len(part)
        if size > ask.cap:
            if ask.cut:
                break
            raise _too_large(response.url, ask.cap)
    return b"".join(parts)


def _too_large(url: URL, cap: int) -> FetchError:
    return FetchError(f"{url}: {inflate.too_large(cap)}", retryable=False)


def _shown(url: str) -> str:
    """A URL that may be anything, fit for one line of a log and without its password."""
    return repr(re.sub(r"//[^/?#]*@", "//", url[:200]))[1:-1]


def may_have_token(url: URL) -> bool:
    """Whether this request may carry the token: the token's own host over https, no other."""
    return url.scheme == "https" and url.raw_host == _TOKEN_HOST and url.port == 443
