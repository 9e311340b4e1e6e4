"""What a site asks of its visitors, and when it may be asked again.

Owns the reading of ``Retry-After``, ``RateLimit`` and ``robots.txt``, the pace of one host
and its ledger. Pure: moments are seconds of a monotonic clock that the caller passes in;
nothing here waits, sends or reads a clock.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from typing import NamedTuple

from multidict import MultiMapping
from protego import Protego

from watcher.model import Value

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 6 * 3600.0
"""Seconds; what a site asks for is clamped to this."""

SHARE = 0.5
"""How much of a site's published window we may use up before waiting for the next one."""

MAX_COURTESY = 600.0
"""Seconds that a visit sits out for courtesy; a longer wait counts as demanded, or a visit
could hang for hours without a word."""

ROBOTS_AGENT = "paper-watcher"
ROBOTS_LIMIT = 500 * 1024
"""Bytes of a robots.txt that are read (RFC 9309 §2.5)."""

MAX_CRAWL_DELAY = 60.0
"""Seconds; a longer ``Crawl-delay`` is taken as this one."""

_FIRST_BACKOFF, _LAST_BACKOFF = 60.0, 3600.0
_MAX_HEADER = 4096

_ITEM = re.compile(r"[^,\"]*(?:\"[^\"]*\"[^,\"]*)*")
_QUOTED = re.compile(r"\"([^\"]{0,100})\"")
_PARAM = re.compile(r"[;\s]([a-z]{1,10})\s*=\s*([0-9]{1,10})(?![0-9])")


class Limit(NamedTuple):
    """One item of a ``RateLimit`` or ``RateLimit-Policy`` field; None where it says nothing."""

    name: str
    remaining: int | None = None
    """``r``: requests left in the window."""
    reset: int | None = None
    """``t``: seconds until the window ends."""
    quota: int | None = None
    """``q``: requests a window allows."""
    window: int | None = None
    """``w``: seconds a window lasts."""


def parse_limits(field: str) -> tuple[Limit, ...]:
    """Read a ``RateLimit`` or ``RateLimit-Policy`` field (draft-ietf-httpapi-ratelimit-headers).

    ``"pages";r=12;t=180`` and ``"fixed window";"pages";q=100;w=300``: the last quoted word
    is the name. Never raises; an item without a known parameter is left out.
    """
    limits = []
    for item in _ITEM.findall(field[:_MAX_HEADER]):
        names = _QUOTED.findall(item)
        params = {key: int(value) for key, value in _PARAM.findall(";" + _QUOTED.sub("", item))}
        if not params.keys() & {"r", "t", "q", "w"}:
            continue
        limits.append(
            Limit(
                names[-1] if names else "",
                remaining=params.get("r"),
                reset=params.get("t"),
                quota=params.get("q"),
                window=params.get("w"),
            )
        )
    return tuple(limits)


def parse_retry_after(field: str, *, now: datetime, server_date: str = "") -> float | None:
    """Seconds that a ``Retry-After`` asks to wait, clamped to [1 s, 6 h]; None for nonsense.

    Seconds or an HTTP date (RFC 9110 §10.2.3). A date counts from the answer's own ``Date``
    where it has one, so that a wrong clock on either side does no harm; else from ``now``.
    """
    text = field.strip()
    if re.fullmatch(r"[0-9]{1,18}(\.[0-9]{0,9})?", text, re.ASCII):
        return clamp(float(text))
    until = _http_date(text)
    if until is None:
        return None
    return clamp((until - (_http_date(server_date) or now)).total_seconds())


def _http_date(text: str) -> datetime | None:
    if not 8 <= len(text) <= 64 or not any(c.isdigit() for c in text):
        return None
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return when if when.tzinfo is not None else None


def clamp(seconds: float) -> float:
    """A pause within [1 s, 6 h]."""
    return min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE)


class Wait(NamedTuple):
    """How long to wait before asking again."""

    seconds: float
    demanded: bool
    """By the site, and so worth telling; else our own spacing or courtesy."""


class Pace:
    """When one host may be asked next.

    Three brakes: our own spacing (``rate`` requests a second, 0 = none), our courtesy of
    using half of the window the site publishes, and what the site demands. A moment is
    seconds of the caller's monotonic clock.
    """

    def __init__(self, rate: float) -> None:
        self.spacing = 1.0 / rate if rate > 0 else 0.0
        self.courtesy_until = -math.inf
        self.demanded_until = -math.inf
        self._next = -math.inf
        self._too_many = 0
        self._quota: dict[str, int] = {}

    def wait(self, now: float) -> Wait:
        """Zero seconds: go, and this request is counted. Else wait and ask again."""
        wait = self.left(now)
        if self.spacing and not wait.seconds:
            self._next = now + self.spacing
        return wait

    def left(self, now: float) -> Wait:
        """How long ``wait`` would make one wait; counts nothing."""
        if self.demanded_until > now:
            return Wait(self.demanded_until - now, True)
        if self.courtesy_until > now:
            left = self.courtesy_until - now
            return Wait(left, left > MAX_COURTESY)
        if self._next > now:
            return Wait(self._next - now, False)
        return _GO

    def slow_to(self, seconds: float) -> None:
        """Keep at least this many seconds between two requests (a ``Crawl-delay``)."""
        self.spacing = max(self.spacing, min(seconds, MAX_CRAWL_DELAY))

    def pause(self, seconds: float, now: float) -> None:
        """The site demands silence for so long; never shortens an earlier demand."""
        self.demanded_until = max(self.demanded_until, now + clamp(seconds))

    def heed(
        self, status: int, limits: Sequence[Limit], *, retry_after: float | None, now: float
    ) -> float | None:
        """Take note of an answer; the seconds the site demands to wait, or None.

        429 always pauses the host: for the longest of ``Retry-After`` and the end of the
        window that is used up, else for a minute, doubled each time up to an hour. 503
        pauses it when it says for how long. ``limits`` come from ``merge_limits``.
        """
        self._watch_window(limits, now)
        if status == 429:
            self._too_many += 1
            asked = max(_demands(limits, retry_after), default=None)
            pause = min(_FIRST_BACKOFF * 2.0 ** min(self._too_many - 1, 10), _LAST_BACKOFF)
            retry_after = clamp(pause if asked is None else asked)
        elif status < 400:
            self._too_many = 0
        if retry_after is not None and status in (429, 503):
            self.pause(retry_after, now)
        return retry_after

    def _watch_window(self, limits: Sequence[Limit], now: float) -> None:
        for limit in limits:
            if limit.remaining is None:
                continue
            # Without a policy the most we ever saw left is the best guess of the quota.
            seen = max(self._quota.get(limit.name, 1), limit.remaining + 1)
            quota = self._quota[limit.name] = limit.quota or seen
            if quota - limit.remaining >= quota * SHARE:
                ends = limit.reset if limit.reset is not None else limit.window or _FIRST_BACKOFF
                self.courtesy_until = max(self.courtesy_until, now + clamp(ends))


_GO = Wait(0.0, False)


def _demands(limits: Sequence[Limit], retry_after: float | None) -> list[float]:
    spent = [x for x in limits if x.remaining == 0] or (limits if retry_after is None else [])
    resets = [float(x.reset) for x in spent if x.reset is not None]
    return resets if retry_after is None else [*resets, retry_after]


def merge_limits(headers: MultiMapping[str]) -> tuple[Limit, ...]:
    """The ``RateLimit`` items of an answer, each with its policy's quota and window.

    A list may come as several fields of one name (RFC 9110 §5.3).
    """
    fields = headers.getall("RateLimit", ())
    if not fields:
        return ()
    policy_fields = ", ".join(headers.getall("RateLimit-Policy", ()))
    policies = {p.name: p for p in parse_limits(policy_fields)}
    return tuple(
        x
        if (policy := policies.get(x.name)) is None
        else x._replace(quota=x.quota or policy.quota, window=x.window or policy.window)
        for x in parse_limits(", ".join(fields))
    )


class HostLedger(Value, frozen=True, kw_only=True):
    """What we asked of one host since the start, for the politeness ledger."""

    host: str
    requests: int = 0
    """Everything sent, robots.txt, redirects and retries included."""
    pages: int = 0
    not_modified: int = 0
    failures: int = 0
    """Answers that were no page, and requests without an answer."""
    too_many: int = 0
    """429 and 503 answers."""
    retries: int = 0
    bytes_read: int = 0
    """Body bytes as they came over the wire."""
    bytes_saved: int = 0
    """What the 304 answers would have cost, by the mean size of this host's pages."""
    quota: int | None = None
    """Requests the site's tightest window allows, as it last said."""
    remaining: int | None = None
    """What it last said is left of it."""
    peak_share: float = 0.0
    """The largest part of a window that was used up, as the site counts it."""
    paused_until: datetime | None = None
    """When the site may be asked again, if it demanded a pause."""


class Tally:
    """The running counts behind a ``HostLedger``."""

    __slots__ = (
        "bytes_read",
        "failures",
        "not_modified",
        "page_bytes",
        "pages",
        "peak_share",
        "quota",
        "remaining",
        "requests",
        "retries",
        "too_many",
    )

    def __init__(self) -> None:
        self.requests = self.pages = self.not_modified = self.failures = 0
        self.too_many = self.retries = self.bytes_read = self.page_bytes = 0
        self.quota: int | None = None
        self.remaining: int | None = None
        self.peak_share = 0.0

    def watch(self, limits: Sequence[Limit]) -> None:
        """Remember the window that is used up most."""
        shares = [
            (1 - x.remaining / x.quota, x.quota, x.remaining)
            for x in limits
            if x.quota and x.remaining is not None
        ]
        if shares:
            share, self.quota, self.remaining = max(shares)
            self.peak_share = max(self.peak_share, share)

    def ledger(self, host: str, paused_until: datetime | None) -> HostLedger:
        """The counts as a value."""
        mean = self.page_bytes // self.pages if self.pages else 0
        return HostLedger(
            host=host,
            requests=self.requests,
            pages=self.pages,
            not_modified=self.not_modified,
            failures=self.failures,
            too_many=self.too_many,
            retries=self.retries,
            bytes_read=self.bytes_read,
            bytes_saved=self.not_modified * mean,
            quota=self.quota,
            remaining=self.remaining,
            peak_share=self.peak_share,
            paused_until=paused_until,
        )


_ANSWERS = 256
"""Addresses whose answer is remembered: it costs as much as the rest of a small request."""


class Robots:
    """What one host's robots.txt says to us."""

    def __init__(self, body: bytes) -> None:
        """``body`` is the file's bytes; read are the first 500 KiB, up to the last whole line."""
        if len(body) > ROBOTS_LIMIT:
            body = body[: body.rfind(b"\n", 0, ROBOTS_LIMIT) + 1]
        self._rules = Protego.parse(body.decode("utf-8-sig", "replace").replace("\0", ""))
        can_fetch = partial(self._rules.can_fetch, user_agent=ROBOTS_AGENT)
        self._can_fetch = lru_cache(maxsize=_ANSWERS)(can_fetch)

    def allows(self, url: str) -> bool:
        """Whether ``paper-watcher`` may fetch this URL (RFC 9309 §2.2)."""
        return bool(self._can_fetch(url))

    @property
    def crawl_delay(self) -> float:
        """Seconds between two requests that it asks for; 0 when it does not."""
        delay = self._rules.crawl_delay(ROBOTS_AGENT)
        return float(delay) if delay and math.isfinite(delay) and delay > 0 else 0.0
