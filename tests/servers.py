"""Loopback sites for tests: good pages, and some fifty ways to answer badly.

``Site`` is one real server on 127.0.0.1. What it answers are behaviours: coroutines that
get the request and the writer, and return True when the connection may be used again.
``BAD`` names the bad ones. Used by the tests of fetching, of the loop and of webhooks.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import struct
import tempfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import brotli  # type: ignore[import-untyped]
import zstandard

# ---------------------------------------------------------------- the clock


class FakeClock:
    """A clock that jumps: sleeping takes no time and moves all its hands."""

    def __init__(self, start: datetime = datetime(2026, 11, 21, 8, tzinfo=UTC)) -> None:
        self._now = start
        self._moment = 1000.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._moment

    def advance(self, seconds: float) -> None:
        self._moment += seconds
        self._now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)


# ---------------------------------------------------------------- the site


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    at: float
    """The site's clock, when it has one."""
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


Behaviour = Callable[[Request, asyncio.StreamWriter], Awaitable[bool]]
Answers = Behaviour | list[Behaviour]
"""One behaviour for ever, or a list: each is used once, the last one for ever."""


@dataclass
class Site:
    """A real HTTP server on loopback that does what it is told.

    ``routes`` by path win over ``answers``; ``/robots.txt`` is a 404 unless routed.
    ``requests`` and ``connections`` are what reached it.
    """

    answers: Answers
    routes: Mapping[str, Answers] = field(default_factory=dict)
    tls: bool = False
    clock: FakeClock | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    """The most requests that were being answered at the same time."""

    async def __aenter__(self) -> Self:
        self._busy = 0
        self._used: dict[str, int] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        context = server_tls() if self.tls else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def pages(self) -> list[Request]:
        """The requests without those for robots.txt."""
        return [r for r in self.requests if r.path != "/robots.txt"]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while (request := await self._read(reader)) is not None:
                self.requests.append(request)
                self._busy += 1
                self.at_once = max(self.at_once, self._busy)
                try:
                    if not await self._behaviour(request.path)(request, writer):
                        break
                    await writer.drain()
                finally:
                    self._busy -= 1
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Request | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, OSError):
            return None
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.split(":", 1) for line in lines if ":" in line)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        at = self.clock.monotonic() if self.clock else 0.0
        return Request(method, target, headers, at, body)

    def _behaviour(self, path: str) -> Behaviour:
        answers = self.routes.get(path, self.answers)
        if path == "/robots.txt" and path not in self.routes:
            return page(b"", status=404)
        if not isinstance(answers, list):
            return answers
        key = path if path in self.routes else ""
        used = self._used.get(key, 0)
        self._used[key] = used + 1
        return answers[min(used, len(answers) - 1)]


@asynccontextmanager
async def listener(greeting: bytes = b"") -> AsyncIterator[tuple[int, list[tuple[str, int]]]]:
    """A port that greets whoever comes and hangs up, and the list of those who came."""
    reached: list[tuple[str, int]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer.get_extra_info("peername"))
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], reached
    finally:
        server.close()
        await server.wait_closed()


def closed_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


# ---------------------------------------------------------------- good behaviour

HTML = (
    b"<!doctype html><html><head><title>A page</title></head><body>"
    + b"".join(b"<p>paragraph %d of an invented page</p>" % n for n in range(400))
    + b"</body></html>"
)
REASONS = {200: "OK", 304: "Not Modified", 404: "Not Found", 429: "Too Many Requests"}


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def page(
    body: bytes = HTML,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    encoding: str = "",
    keep: bool = True,
) -> Behaviour:
    """A proper answer; ``headers`` are added to Content-Type and Content-Length."""
    fields = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body))}
    if encoding:
        fields["Content-Encoding"] = encoding
    fields.update(headers or {})
    if status in (204, 304):
        body, _ = b"", fields.pop("Content-Length")
    return raw(head(status, fields) + body, keep=keep)


def packed(body: bytes = HTML, encoding: str = "gzip", **more: str) -> Behaviour:
    """A proper compressed answer."""
    return page(PACK[encoding](body), encoding=encoding, headers=more)


def raw(data: bytes, *, keep: bool = False) -> Behaviour:
    """Exactly these bytes, then close (or wait for the next request)."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        await writer.drain()
        return keep

    return behave


def conditional(body: bytes = HTML, *, etag: str = '"v1"', modified: str = "") -> Behaviour:
    """200 with validators, 304 to those who send them back; the ETag wins, as in RFC 9110."""
    validators = {"ETag": etag, "Last-Modified": modified}
    headers = {name: value for name, value in validators.items() if value}

    async def behave(request: Request, writer: asyncio.StreamWriter) -> bool:
        known = request.headers.get("if-none-match")
        same = known == etag if known else request.headers.get("if-modified-since") == modified
        if same and (known or modified):
            return await page(status=304, headers=headers)(request, writer)
        return await page(body, headers=headers)(request, writer)

    return behave


def redirect(location: str, status: int = 302) -> Behaviour:
    return page(b"moved", status=status, headers={"Location": location})


def zstd_stream(body: bytes) -> bytes:
    """zstd as servers send it: the frame does not say how large it gets."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(body) + packer.flush()


def bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda body: bytes(brotli.compress(body, quality=4)),
    "zstd": zstd_stream,
}

# ---------------------------------------------------------------- bad behaviour


def reset(data: bytes = b"") -> Behaviour:
    """Send, then break the connection with a RST."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0.01)  # let the bytes go before the RST overtakes them
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False

    return behave


def silence(data: bytes = b"") -> Behaviour:
    """Send, then say nothing more until the other side hangs up."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        await writer.drain()
        while not writer.transport.is_closing():
            await asyncio.sleep(0.02)
        return False

    return behave


def endless(start: bytes, piece: bytes, pause: float = 0.0) -> Behaviour:
    """Send a start, then the same piece again and again until the other side hangs up."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(start)
        while not writer.transport.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        return False

    return behave


def _html(**headers: str) -> bytes:
    fields = {"Content-Type": "text/html; charset=utf-8"}
    fields.update({name.replace("_", "-"): value for name, value in headers.items()})
    return head(200, fields)


def _cut(encoding: str) -> Behaviour:
    body = PACK[encoding](HTML)
    return page(body[: len(body) * 2 // 3], encoding=encoding)


def _bomb(encoding: str) -> Behaviour:
    return page(_BOMBS[encoding], encoding=encoding)


_ZEROS = bytes(64 << 20)
_BOMBS = {name: pack(_ZEROS) for name, pack in PACK.items() if name != "x-gzip"}
_BOMBS["zstd-sized"] = zstandard.compress(_ZEROS)
del _ZEROS

BAD: dict[str, Behaviour] = {
    # connections
    "empty reply": raw(b""),
    "reset before the answer": reset(),
    "reset in the body": reset(_html(Content_Length="99999") + HTML[:500]),
    "silence": silence(),
    "silence after the headers": silence(_html(Content_Length="99999")),
    "one byte at a time": endless(_html(Content_Length="99999"), b"x", 0.02),
    # HTTP
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    "body without headers": raw(HTML),
    "TLS bytes": raw(b"\x15\x03\x01\x00\x02\x02\x46"),
    "huge header line": raw(head(200, {"X-Big": "x" * 20_000}) + HTML),
    "many headers": raw(head(200, {f"X-{n}": "y" for n in range(500)}) + HTML),
    "endless headers": endless(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"z" * 500 + b"\r\n"),
    "endless 1xx": endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.001),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    "length and chunks": raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "negative length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
    "NUL in a header": raw(b"HTTP/1.1 200 OK\r\nX-Odd: a\0b\r\nContent-Length: 2\r\n\r\nok"),
    "switching protocols": raw(
        b"HTTP/1.1 101 Switching\r\nUpgrade: tea\r\nConnection: upgrade\r\n\r\n"
    ),
    # bodies that end early
    "short body": raw(_html(Content_Length=str(len(HTML))) + HTML[:900]),
    "cut chunks": raw(_html(Transfer_Encoding="chunked") + b"400\r\n" + HTML[:1024] + b"\r\n"),
    "garbage chunks": raw(_html(Transfer_Encoding="chunked") + b"zz\r\n" + HTML[:99]),
    "closed early": raw(_html() + HTML[:3000]),
    "closed early gzip": raw(_html(Content_Encoding="gzip") + gzip.compress(HTML)[:-30]),
    "cut gzip": _cut("gzip"),
    "cut deflate": _cut("deflate"),
    "cut br": _cut("br"),
    "cut zstd": _cut("zstd"),
    "empty gzip": page(b"", encoding="gzip"),
    # bodies that are wrong
    "wrong checksum": page(gzip.compress(HTML)[:-8] + b"\1\2\3\4\5\6\7\0", encoding="gzip"),
    "no gzip under gzip": page(HTML, encoding="gzip"),
    "no br under br": page(HTML, encoding="br"),
    "no zstd under zstd": page(HTML, encoding="zstd"),
    "unknown encoding": page(HTML, encoding="snappy"),
    "gzip twice": page(gzip.compress(gzip.compress(HTML)), encoding="gzip, gzip"),
    # bodies that are too large
    "gzip bomb": _bomb("gzip"),
    "deflate bomb": _bomb("deflate"),
    "br bomb": _bomb("br"),
    "zstd bomb": _bomb("zstd"),
    "zstd bomb that says so": page(_BOMBS["zstd-sized"], encoding="zstd"),
    "many empty gzips": page(gzip.compress(b"") * 50_000, encoding="gzip"),
    "large length": silence(_html(Content_Length="999999999")),
    "endless chunks": endless(
        _html(Transfer_Encoding="chunked"), b"10000\r\n" + b"e" * 65536 + b"\r\n"
    ),
    "endless body": endless(_html(), b"e" * 65536),
    # redirects
    "redirect to itself": redirect("/papers"),
    "redirect without address": page(b"", status=302),
    "redirect to nonsense": redirect("http://[::bad"),
    "redirect to a file": redirect("file:///etc/passwd"),
    "redirect with a password": redirect("http://user:secret@127.0.0.1/"),
    "redirect to another site": redirect("https://login.example.com/"),
    "redirect to metadata": redirect("http://169.254.169.254/latest/meta-data/"),
    # statuses
    "304 to no question": page(status=304),
    "no content": page(status=204),
    "part of a page": page(HTML[:99], status=206),
    "bad request": page(b"?", status=400),
    "forbidden": page(b"?", status=403),
    "not found": page(b"?", status=404),
    "gone": page(b"?", status=410),
    "internal error": page(b"?", status=500),
    "bad gateway": page(b"?", status=502),
    "unavailable": page(b"?", status=503),
    "status 999": page(b"?", status=999),
}

ODD: dict[str, Behaviour] = {
    # unusual, and yet a page
    "gzip in two parts": page(
        gzip.compress(HTML[:500]) + gzip.compress(HTML[500:]), encoding="gzip"
    ),
    "padded gzip": page(gzip.compress(HTML) + bytes(512), encoding="gzip"),
    "bare deflate": page(bare_deflate(HTML), encoding="deflate"),
    "zstd in two frames": page(zstd_stream(HTML[:500]) + zstd_stream(HTML[500:]), encoding="zstd"),
    "zstd of known size": page(zstandard.compress(HTML), encoding="zstd"),
    "identity": page(HTML, encoding="identity"),
    "upper case": page(gzip.compress(HTML), encoding="GZIP"),
    "closed after </html>": raw(_html() + HTML),
    "closed after gzip": raw(_html(Content_Encoding="gzip") + gzip.compress(HTML)),
    "chunks": raw(
        _html(Transfer_Encoding="chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(HTML), HTML)
    ),
    "HTTP/1.0": raw(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + HTML),
    "early hints": raw(
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + _html(Content_Length=str(len(HTML))) + HTML
    ),
}

# ---------------------------------------------------------------- TLS

# Made for these tests, valid for a hundred years, trusted by nobody, a secret to nobody.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBrTCCAVOgAwIBAgIUDK6HqDw9bdYBAHiAJqhJLG0GeWUwCgYIKoZIzj0EAwIw
HTEbMBkGA1UEAwwScGFwZXItd2F0Y2hlciB0ZXN0MCAXDTI2MTEyMTAyNDcwMloY
DzIxMjYxMDI4MDI0NzAyWjAdMRswGQYDVQQDDBJwYXBlci13YXRjaGVyIHRlc3Qw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASyfBSQALLSNc8ynt8w6XzRFUWfOYve
9Jbz1StZn65TfOe7zyUFUe1PoYV4LcnwsBL8FGynA6RkxWQM+yHjCwbIo28wbTAd
BgNVHQ4EFgQUzjsaSyivjQIosetM5q/ogF+cXKQwHwYDVR0jBBgwFoAUzjsaSyiv
jQIosetM5q/ogF+cXKQwDwYDVR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2Nh
bGhvc3SHBH8AAAEwCgYIKoZIzj0EAwIDSAAwRQIgOlEdHQgVfZSkf/fObQNHPQjy
8ymuRmf1e/HLanNcoh8CIQDxGLdNgORi0gzPk2cuCpeoAtZnX9n2Il98PXglLqCy
+A==
-----END CERTIFICATE-----
"""
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg07m3y1r4tOIqWnob
J8AYMEvvFc7+O7Bb51rUNbvTZH6hRANCAASyfBSQALLSNc8ynt8w6XzRFUWfOYve
9Jbz1StZn65TfOe7zyUFUe1PoYV4LcnwsBL8FGynA6RkxWQM+yHjCwbI
-----END PRIVATE KEY-----
"""


def server_tls() -> ssl.SSLContext:
    """A server's TLS for localhost with a certificate that only tests trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pair.pem"
        path.write_text(CERTIFICATE + KEY)
        context.load_cert_chain(path)
    return context


def client_tls() -> ssl.SSLContext:
    """A client's TLS that trusts the tests' certificate."""
    return ssl.create_default_context(cadata=CERTIFICATE)
