"""Every way a visit can fail, each as one ``FetchError`` with one clear line.

Owns the words, and which faults are worth another attempt. Of what a site sent, only the
host of a redirect goes into a message. Must not send, wait or count.
"""

from __future__ import annotations

import aiohttp
from yarl import URL

from watcher import guard
from watcher.errors import FetchError, RefusedAddress

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LONG_HEADERS = ("Got more than", "Too many headers")  # aiohttp has only words for it
RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 530})


def redirected(here: URL, location: str | None, status: int) -> URL:
    """Where a redirect leads; the same rules as for a source's own URL but for the site."""
    if not location:
        raise FetchError(f"{here}: a redirect ({status}) that names no address", status=status)
    try:
        there = here.join(URL(location)).with_fragment(None)
        guard.check_url(str(there), allow_private=True)
    except (ValueError, RefusedAddress) as exc:
        raise FetchError(
            f"{here}: a redirect ({status}) to an address that cannot be used ({exc})",
            retryable=False,
            status=status,
        ) from exc
    if here.scheme == "https" and there.scheme != "https":
        raise FetchError(
            f"{here}: a redirect from https to http ({there.host}) is not followed",
            retryable=False,
            status=status,
        )
    return there


def stay_within(source: URL, there: URL) -> None:
    """Refuse a redirect out of the source's site: its host, or one below or above it."""
    a, b = (source.raw_host or "").rstrip("."), (there.raw_host or "").rstrip(".")
    if a == b or a.endswith(f".{b}") or b.endswith(f".{a}"):
        return
    raise FetchError(
        f"{source}: redirected to another site, {b}; "
        "if the page moved there, set the source's url to its new address",
        retryable=False,
    )


def in_words(seconds: float) -> str:
    """``40 s``, ``5 min``, ``3.0 h``."""
    if seconds < 120:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def status_error(url: URL, status: int, retry_after: float | None) -> FetchError:
    """The error for an answer that is no page; ``retry_after`` in seconds."""
    if status == 429:
        what = f"the site asks for fewer requests (429); {in_words(retry_after or 60)} of silence"
    elif status in (401, 403):
        what = f"the site refuses access ({status}); it may want a login, or block this machine"
    elif status in (404, 410):
        what = f"there is no such page ({status}); check the source's url"
    elif status >= 500:
        what = f"the site has a fault of its own ({status})"
    else:
        what = f"an answer that is no page ({status})"
    return FetchError(
        f"{url}: {what}", retryable=status in RETRYABLE, retry_after=retry_after, status=status
    )


def explained(exc: Exception, url: URL, timeout: float) -> FetchError:
    """Any fault of aiohttp, the system or a URL as one clear line."""
    refused = guard.refusal(exc)
    if refused is not None:
        return FetchError(f"{url}: not contacted: {refused}", retryable=False)
    if isinstance(exc, aiohttp.ClientResponseError) and exc.message.startswith(_LONG_HEADERS):
        return FetchError(f"{url}: the answer's headers are larger than any page's should be")
    for kind, retryable, template in _FAULTS:
        if isinstance(exc, kind):
            what = template.format(
                host=url.host, port=url.port, reason=_reason(exc), timeout=f"{timeout:g}"
            )
            return FetchError(f"{url}: {what}", retryable=retryable)
    return FetchError(f"{url}: the request failed ({type(exc).__name__})")


def _reason(exc: Exception) -> str:
    cause = getattr(exc, "os_error", None) or getattr(exc, "certificate_error", None) or exc
    text = getattr(cause, "verify_message", "") or getattr(cause, "strerror", "") or str(cause)
    return " ".join(str(text).split())[:120] or type(exc).__name__


_FAULTS: tuple[tuple[type[Exception], bool, str], ...] = (
    (
        aiohttp.ClientConnectorDNSError,
        True,
        "the name {host} could not be looked up ({reason}); check it and this machine's network",
    ),
    (
        aiohttp.ClientConnectorCertificateError,
        False,
        "the TLS certificate of {host} is not accepted ({reason})",
    ),
    (
        aiohttp.ClientSSLError,
        True,
        "no TLS connection to {host} port {port} ({reason}); is it an https address?",
    ),
    (
        aiohttp.ClientProxyConnectionError,
        True,
        "no connection to the proxy ({reason}); check http_proxy and https_proxy",
    ),
    (aiohttp.ClientConnectorError, True, "no connection to {host} port {port} ({reason})"),
    (
        aiohttp.ClientHttpProxyError,
        True,
        "the proxy did not let this through; check http_proxy and https_proxy",
    ),
    (
        aiohttp.ClientResponseError,
        True,
        "the answer is not proper HTTP; is this a web server's address?",
    ),
    (aiohttp.ClientPayloadError, True, "the connection ended before the page did"),
    (aiohttp.InvalidURL, False, "this is not a usable URL"),
    (
        TimeoutError,
        True,
        "no complete answer within {timeout} s; if the site is just slow, raise timeout in [fetch]",
    ),
    (
        aiohttp.ServerDisconnectedError,
        True,
        "{host} closed the connection before it answered",
    ),
    (OSError, True, "the connection to {host} broke ({reason})"),
    (ValueError, False, "this is not a usable URL ({reason})"),
)
