"""A fetched page and what makes its next visit conditional: values, pure.

Owns ``Page``, ``NotModified`` and ``Validators``, the reading of an answer's headers into
them, and ``unpack``. Must not do I/O or know an HTTP library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from watcher.errors import FetchError
from watcher.inflate import inflate, to_utf8
from watcher.model import Value

MAX_BODY = 8 << 20
"""Bytes a page may have, compressed or not."""

_HTML_ENDS_WITHIN = 1024
_MAX_VALIDATOR = 1024
_BOM_STARTS = b"\xef\xfe\xff\x00"


class Validators(Value, frozen=True, kw_only=True):
    """What makes a request conditional, as an earlier ``Page`` gave it."""

    etag: str | None = None
    last_modified: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """If-None-Match alone where there is an ETag: it wins anyway (RFC 9110 §13.1.3)."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified else {}


class Page(Value, frozen=True, kw_only=True):
    """A page as it was at ``fetched_at``."""

    url: str
    """Where it was found in the end, after redirects."""
    status: int = 200
    body: bytes
    """UTF-8 (with invalid bytes where the site sent some), or as sent while ``encoding`` is set."""
    fetched_at: datetime
    etag: str | None = None
    last_modified: str | None = None
    content_type: str = ""
    """The media type alone, lower case, ``text/html``."""
    charset: str = ""
    encoding: str = ""
    """The content encoding that ``unpack`` has still to undo; empty when it is done."""
    bytes_read: int = 0
    """Of the body, as it came over the wire."""
    seconds: float = 0.0
    """From sending the request to the last byte, without politeness's waits."""
    end_told: bool = True
    """False when nothing but the closing of the connection told where the body ends."""

    @property
    def validators(self) -> Validators:
        """For the next visit."""
        return Validators(etag=self.etag, last_modified=self.last_modified)

    def __repr__(self) -> str:
        return f"Page(url={self.url!r}, body=<{len(self.body)} bytes>)"


class NotModified(Value, frozen=True, kw_only=True):
    """The page is what it was when the validators were given out."""

    url: str
    fetched_at: datetime
    status: int = 304
    seconds: float = 0.0


def unpack(page: Page, *, cap: int = MAX_BODY) -> Page:
    """Undo a page's content encoding and charset; a page that is unpacked is given back as it is.

    Pure, and may run in a thread. Raises ``FetchError`` when the body is cut, damaged or
    larger than ``cap`` bytes.
    """
    try:
        body = inflate(page.body, page.encoding, cap=cap)
    except FetchError as exc:
        raise FetchError(f"{page.url}: {exc}", retryable=exc.retryable) from exc
    # A compressed body has its own end; of a bare one only </html> can tell.
    if not (page.end_told or page.encoding) and page.content_type == "text/html":
        _check_html_end(page.url, body)
    if page.charset not in ("", "utf-8") or body[:1] in _BOM_STARTS:
        body = to_utf8(body, page.charset)
    if body is page.body:
        return page
    return msgspec.structs.replace(page, body=body, encoding="", charset="", end_told=True)


def _check_html_end(url: str, body: bytes) -> None:
    if b"</html" not in body[-_HTML_ENDS_WITHIN:].lower():
        raise FetchError(f"{url}: the connection was closed before the page's </html>")


def read_page(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    codings: Iterable[str],
    at: datetime,
    status: int = 200,
    seconds: float = 0.0,
) -> Page:
    """The page of a good answer; ``codings`` are all its Content-Encoding fields.

    ``headers`` are looked up by their usual spelling, in a case-insensitive mapping.
    """
    media, _, parameters = headers.get("Content-Type", "").partition(";")
    return Page(
        url=url,
        status=status,
        body=body,
        fetched_at=at,
        etag=_validator(headers.get("ETag")),
        last_modified=_validator(headers.get("Last-Modified")),
        content_type=media.strip().lower(),
        charset=_charset(parameters) if parameters else "",
        encoding=_encoding(codings) if codings else "",
        bytes_read=len(body),
        seconds=seconds,
        end_told="Content-Length" in headers or "Transfer-Encoding" in headers,
    )


def _encoding(codings: Iterable[str]) -> str:
    names = [n for coding in codings for n in (p.strip().lower() for p in coding.split(",")) if n]
    return ", ".join(n for n in names if n != "identity")


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").lower()[:40]
    return ""


def _validator(value: str | None) -> str | None:
    """A validator worth storing: short and printable ASCII, as all real ones are."""
    if not value or len(value) > _MAX_VALIDATOR or not (value.isascii() and value.isprintable()):
        return None
    return value
