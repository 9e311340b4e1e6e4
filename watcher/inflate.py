"""The bytes of an answer -> the bytes of the page: content encodings and charsets, bounded.

Owns decompression. aiohttp's own has no limit on the decoded size and accepts gzip and
brotli that end in the middle; this one refuses both. Pure and without shared state, so that
it may run in a thread (all decoders release the GIL). Must not do I/O.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable
from typing import cast

import brotli  # type: ignore[import-untyped]
import zstandard
from isal import isal_zlib

from watcher.errors import FetchError

ACCEPT_ENCODING = "gzip, br, zstd"
"""What we ask for; ``deflate`` is understood but not asked for, being ambiguous."""

MAX_MEMBERS = 32
"""gzip members or zstd frames in one body; servers send one."""

_ZSTD_WINDOW = 8 << 20
"""The largest window HTTP allows (RFC 9659)."""

_ZSTD_SLICE = 256
"""Four bytes of zstd can name a block of 128 KiB, so a slice yields 8 MiB at most."""

_TEXT_CHARSET = re.compile(
    r"(iso-?8859-?\d{1,2}|latin-?1|windows-125\d|cp125\d|utf-?16(le|be)?|utf-?32(le|be)?|gbk|gb2312"
    r"|gb18030|big5|shift_jis|sjis|euc-jp|euc-kr|koi8-[ru])",
    re.IGNORECASE,
)
_DAMAGE = (cast("type[Exception]", isal_zlib.error), brotli.error, zstandard.ZstdError)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def inflate(body: bytes, encoding: str, *, cap: int) -> bytes:
    """Undo a ``Content-Encoding``; never give, nor hold, much more than ``cap`` bytes.

    ``encoding`` is the header's value, ``""`` when there is none. Raises ``FetchError``:
    retryable when the body ends early or is damaged, not retryable when it is larger than
    ``cap`` or encoded in a way we do not know (two layers are refused: no server we read
    sends them, bombs do).
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _capped(body, cap)
    decode = _DECODERS.get(name)
    if decode is None:
        raise FetchError(
            f"the body has the content encoding {encoding[:60]!r}, which is not understood",
            retryable=False,
        )
    if not body:
        raise _truncated(name)
    try:
        return _capped(decode(body, cap), cap)
    except _DAMAGE as exc:
        raise FetchError(f"the {name} body is damaged ({exc})") from exc


def _capped(body: bytes, cap: int) -> bytes:
    if len(body) > cap:
        raise too_large(cap)
    return body


def too_large(cap: int) -> FetchError:
    """The error for a body of more than ``cap`` bytes."""
    return FetchError(
        f"the page is larger than {cap / 2**20:.3g} MiB and was not read to its end",
        retryable=False,
    )


def _truncated(name: str) -> FetchError:
    return FetchError(f"the {name} body ends in the middle")


def _gunzip(body: bytes, cap: int) -> bytes:
    # The last four bytes tell the size (modulo 2**32): one buffer of the right length.
    hint = struct.unpack("<I", body[-4:])[0] + 1 if len(body) > 18 else cap + 1
    parts: list[bytes] = []
    left = cap + 1
    for _ in range(MAX_MEMBERS):
        inflater = isal_zlib.decompressobj(wbits=31)
        part = inflater.decompress(body, min(hint, left))
        if not inflater.eof and len(part) < left and inflater.unconsumed_tail:
            part += inflater.decompress(inflater.unconsumed_tail, left - len(part))
        parts.append(part)
        left -= len(part)
        if left <= 0:
            raise too_large(cap)
        if not inflater.eof:
            raise _truncated("gzip")
        body, hint = inflater.unused_data, left
        if not body.startswith(b"\x1f\x8b"):  # the end, or padding behind a verified checksum
            return parts[0] if len(parts) == 1 else b"".join(parts)
    raise FetchError("the gzip body has more parts than any server sends", retryable=False)


def _deflate(body: bytes, cap: int) -> bytes:
    # RFC 9110 means zlib, some servers send the bare stream.
    wrapped = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    inflater = isal_zlib.decompressobj(wbits=15 if wrapped else -15)
    page = inflater.decompress(body, cap + 1)
    if len(page) <= cap and not inflater.eof:
        raise _truncated("deflate")
    return page


def _brotli(body: bytes, cap: int) -> bytes:
    decoder = brotli.Decompressor()
    parts = [decoder.process(body, output_buffer_limit=cap + 1)]
    size = len(parts[0])
    while size <= cap and not decoder.is_finished():
        part = decoder.process(b"", output_buffer_limit=cap + 1 - size)
        if not part:
            raise _truncated("br")
        parts.append(part)
        size += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _zstd(body: bytes, cap: int) -> bytes:
    size = zstandard.frame_content_size(body)
    if size > cap:  # decompress() would allocate what the frame says
        raise too_large(cap)
    if size > 0:  # unknown otherwise, and then decompress() ignores a second frame
        try:
            return zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
        except zstandard.ZstdError:
            pass
    return _zstd_slowly(body, cap)


def _zstd_slowly(body: bytes, cap: int) -> bytes:
    """Read frames of unknown size, or find out what is wrong, in steps that cannot explode."""
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    parts: list[bytes] = []
    size, at, frames = 0, 0, 0
    while at < len(body):
        frames += 1
        if frames > MAX_MEMBERS:
            raise FetchError("the zstd body has more parts than any server sends", retryable=False)
        inflater = decoder.decompressobj()
        while not inflater.eof:
            if at >= len(body):
                raise _truncated("zstd")
            part = inflater.decompress(body[at : at + _ZSTD_SLICE])
            at += _ZSTD_SLICE
            size += len(part)
            parts.append(part)
            if size > cap:
                raise too_large(cap)
        at = min(at, len(body)) - len(inflater.unused_data)
    return b"".join(parts)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}


def to_utf8(body: bytes, charset: str) -> bytes:
    """The same text as UTF-8 without a byte order mark, which is what the readers read.

    ``charset`` is the parameter of the ``Content-Type``, ``""`` when there is none. A byte
    order mark beats it; a declared charset that is not UTF-8 is believed only when the
    bytes are not valid UTF-8 (it is mostly a server's default); an unknown one is ignored.
    Bytes that do not fit become U+FFFD, never an exception.
    """
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return body.decode(codec, "replace").encode("utf-8", "replace")
    name = charset.strip().strip("\"'").lower()
    if name in ("", "utf-8", "utf8", "us-ascii") or not _TEXT_CHARSET.fullmatch(name):
        return body
    if not name.startswith("utf") and _is_utf8(body):
        return body
    try:
        return body.decode(name, "replace").encode("utf-8", "replace")
    except LookupError:  # a name of the right shape that Python has no codec for
        return body


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
