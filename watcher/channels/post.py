"""One HTTP POST to somebody else's server: guarded, limited in time and size, classified.

Owns the client that webhook, slack and discord share, and what each answer means. Must not
know what is posted. The address works like a password: messages show its host only, and
nothing of an answer is ever repeated.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

from watcher import guard
from watcher.channels.edge import Edge
from watcher.channels.faults import words_for
from watcher.config.secrets import SecretUrl
from watcher.config.settings import Fault
from watcher.errors import SendError
from watcher.model import Value

if TYPE_CHECKING:
    import httpx

READ_LIMIT = 4096
"""Bytes of an answer that are looked at."""
LONGEST_WAIT = 86_400.0
"""Seconds; a server that asks for more is asked again after a day."""

REFUSED_FOR_GOOD = frozenset({400, 413, 414, 415, 422, 431})
"""The receiver looked at this very message and will not have it: sending it again is useless.
Everything else may be a deployment, a proxy or a wrong setting, and passes."""
GONE = 410


def address_faults(url: SecretUrl, *, allow_private: bool) -> tuple[Fault, ...]:
    """What the guard will refuse about an address, known from its text alone."""
    why = guard.why_refused(url.reveal(), allow_private=allow_private, allow_http=False)
    return (Fault(key="url", message=why, fatal=False),) if why else ()


class Answer(Value, frozen=True, kw_only=True):
    """What a server said. ``body`` is its beginning, for the fields a chat documents."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""


class Post:
    """Posts to one address. Not for use by two tasks at once."""

    def __init__(self, url: SecretUrl, *, allow_private: bool, edge: Edge) -> None:
        self._url = url
        self._allow_private = allow_private
        self._edge = edge
        self._client: httpx.AsyncClient | None = None

    @property
    def where(self) -> str:
        """The address as it may be shown."""
        return self._url.masked()

    async def send(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post the bytes as they are and give the answer, whatever its status.

        Raises ``SendError`` when there was none: not retryable when the guard refused.
        """
        try:
            guard.check_url(self._url.reveal(), allow_private=self._allow_private, allow_http=False)
            async with asyncio.timeout(self._edge.timeout):
                return await self._exchange(body, headers)
        except Exception as exc:
            # Whatever two HTTP libraries may raise ends here; the cause decides.
            raise failure_of(exc, self.where, self._edge.timeout) from exc

    async def _exchange(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        client = self._client or self._open()
        sent = {"user-agent": self._edge.user_agent, "accept-encoding": "identity", **headers}
        async with client.stream(
            "POST", self._url.reveal(), content=body, headers=sent
        ) as response:
            return Answer(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=await _beginning(response),
            )

    def _open(self) -> httpx.AsyncClient:
        # Imported here because every verb of the command line reads the options beside the
        # channels, and the two HTTP libraries take half a second.
        import aiohttp  # noqa: PLC0415
        import httpx  # noqa: PLC0415
        from httpx_aiohttp import AiohttpTransport  # noqa: PLC0415

        # It logs each whole address, which works like a password.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        factory = self._edge.socket_factory or guard.socket_factory(
            allow_private=self._allow_private
        )
        tls = self._edge.tls or ssl.create_default_context()
        # One connection per post: a kept one that died meanwhile would look like a failure.
        connector = aiohttp.TCPConnector(
            socket_factory=factory, ssl=tls, force_close=True, use_dns_cache=False
        )
        session = aiohttp.ClientSession(
            connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        self._client = httpx.AsyncClient(
            transport=AiohttpTransport(client=session, verify=tls, trust_env=False),
            trust_env=False,
            follow_redirects=False,
            timeout=self._edge.timeout,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        return self._client

    async def close(self) -> None:
        """Close the client; the next ``send`` opens another."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


async def _beginning(response: httpx.Response) -> bytes:
    if response.is_stream_consumed:  # some transports hand over a body that is read already
        return response.content[:READ_LIMIT]
    kept = b""
    async for chunk in response.aiter_raw():
        kept += chunk
        if len(kept) >= READ_LIMIT:
            break
    return kept[:READ_LIMIT]


def judge(
    answer: Answer, where: str, now: datetime, *, gone: frozenset[int] = frozenset({GONE})
) -> None:
    """Return when the message was taken; raise the ``SendError`` that the status means.

    2xx is taken; ``gone`` asks never to be called again; ``REFUSED_FOR_GOOD`` ends this message;
    all else is worth another try, after ``Retry-After`` where it is given.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    if status in gone:
        raise SendError(
            f"{where} answered {status}: the address is gone", retryable=False, gone=True
        )
    if status in REFUSED_FOR_GOOD:
        raise SendError(f"{where} answered {status}: it refuses this message", retryable=False)
    hint = "; redirects are not followed, give the final address" if 300 <= status < 400 else ""
    raise SendError(
        f"{where} answered {status}{hint}", retry_after=retry_after(answer.headers, now)
    )


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds a server asked to wait, in ``Retry-After`` (seconds or a date); at most a day."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_until(text, now)
    if not seconds >= 0:  # also when it is no number at all
        return None
    return min(seconds, LONGEST_WAIT)


def _seconds_until(text: str, now: datetime) -> float:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year of twenty digits
        return float("nan")
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((at - now).total_seconds(), 0.0)


def failure_of(exc: BaseException, where: str, timeout: float) -> SendError:
    """The ``SendError`` behind whatever the HTTP libraries raised, told by its cause."""
    refused = guard.refusal(exc)
    if refused is not None:
        return SendError(f"{where} may not be connected to: {refused}", retryable=False)
    words = words_for(exc, timeout) or f"the post failed ({type(exc).__name__})"
    return SendError(f"{where}: {words}")
