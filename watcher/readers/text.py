"""Small pure pieces that every reader needs: bytes to text, counts, dates, names, links.

Owns how a count, a date, an arXiv id or a link is written on the site, and how text is made
harmless (whitespace, control characters, length). Must not know any page format.
"""

from __future__ import annotations

import codecs
import re
from datetime import UTC, date, datetime, timedelta

TITLE_LIMIT = 1_000
TEXT_LIMIT = 50_000
NAME_LIMIT = 300
URL_LIMIT = 2_000
COUNT_LIMIT = 2**53
"""Above this a count is nonsense; also what JSON can say exactly."""

SITE = "https://huggingface.co"

PAPER_ID = re.compile(r"(\d{4}\.\d{4,5})(?:v\d+)?", re.ASCII)
_PAPER_PATH = re.compile(
    r"(?:https?://[^/\s]+)?/papers/(\d{4}\.\d{4,5})(?:v\d+)?/?(?:#.*)?", re.ASCII
)
_LINK = re.compile(
    r"(?i:https?)://[^\s\x00-\x20\x7f-\x9f\"'<>\\`\u200b-\u202e\u2060-\u2069\ufeff]+"
)
_COUNT = re.compile(r"(\d{1,3}(?:[, \u00a0\u202f]\d{3})+|\d+(?:\.\d+)?)\s*([kKmM]?)", re.ASCII)
_GROUPS = dict.fromkeys(map(ord, ", \u00a0\u202f"))
_SCALE = {"": 1, "k": 1_000, "m": 1_000_000}
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
"""Control and layout characters; joiners stay, some scripts and all composed emoji need them."""

_CONTROLS = bytes((*range(32), 127))
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s+")
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_BEYOND_ASCII = re.compile("[^\\x00-\\x7f\ufffd]")
_DECLARED_WITHIN = 1_024
"""The HTML standard looks for a declared charset in the first 1,024 bytes only."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
"""Spelled out, so that no paper called Octopus 4 is a date."""
_DATE = re.compile(
    rf"(?:Published on\s+|Published:?\s+|on\s+)?({MONTH})\s+(\d{{1,2}})(?:,\s*(\d{{4}}))?", re.ASCII
)


def utf8(body: bytes) -> bytes:
    """The same text as valid UTF-8 without a byte-order mark.

    A byte-order mark wins, then UTF-8 if the bytes are valid, then the charset that the page
    declares, then UTF-8 with U+FFFD for what is broken; text without a single valid sequence
    beyond ASCII is read as Windows-1252, as browsers do.
    """
    body = from_utf16(body)
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        body.decode()
    except UnicodeDecodeError:
        return _decoded(body).encode("utf-8", "replace")
    return body


def from_utf16(body: bytes) -> bytes:
    """UTF-16 as UTF-8; anything else as it is. Cheap: looks at the first bytes only."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace").encode("utf-8", "replace")
    head = body[:64]
    if len(head) >= 8 and not head[1::2].strip(b"\0") and head[::2].count(0) == 0:
        return body.decode("utf-16-le", "replace").encode("utf-8", "replace")
    if len(head) >= 8 and not head[::2].strip(b"\0") and head[1::2].count(0) == 0:
        return body.decode("utf-16-be", "replace").encode("utf-8", "replace")
    return body


def _decoded(body: bytes) -> str:
    declared = _CHARSET.search(body, 0, _DECLARED_WITHIN)
    if declared and (name := _codec(declared[1].decode("ascii", "replace"))):
        return body.decode(name, "replace")
    text = body.decode("utf-8", "replace")
    return text if _BEYOND_ASCII.search(text) else body.decode("windows-1252", "replace")


def _codec(label: str) -> str | None:
    try:
        codec = codecs.lookup(label)
    except (LookupError, ValueError):
        return None
    # ``_is_text_encoding`` is how bytes.decode itself keeps out rot13 and friends.
    if not getattr(codec, "_is_text_encoding", True) or codec.name.startswith("utf-8"):
        return None
    # HTML reads Latin-1 and ASCII as Windows-1252.
    return "windows-1252" if codec.name in ("iso8859-1", "ascii") else codec.name


def clean(text: str | None, limit: int = TEXT_LIMIT) -> str | None:
    """Text on one line: whitespace collapsed, nothing invisible; None when nothing is left."""
    if not text:
        return None
    if len(text) > limit:
        text = text[:limit]
    if not _is_printable(text):
        text = _UNPRINTABLE.sub(_harmless, text)
        text = _SURROGATE.sub("\ufffd", text)
        text = _SPACE.sub(" ", text)
    elif "  " in text:
        text = _SPACE.sub(" ", text)
    return text.strip() or None


def _is_printable(text: str) -> bool:
    """``str.isprintable``, which most texts are; several times as fast for ASCII."""
    if text.isascii():
        return len(text.encode().translate(None, _CONTROLS)) == len(text)
    return text.isprintable()


def clean_all(texts: list[str]) -> tuple[str, ...] | None:
    """Many short texts at once when none of them needs cleaning, else None. Names rarely do."""
    joined = "|".join(["", *texts, ""])
    clean = (
        _is_printable(joined)
        and "||" not in joined
        and "| " not in joined
        and " |" not in joined
        and "  " not in joined
        and max(map(len, texts), default=0) <= NAME_LIMIT
    )
    return tuple(texts) if clean else None


def _harmless(found: re.Match[str]) -> str:
    return " " if found[0].isspace() else ""


def count(text: str | None) -> tuple[int | None, bool]:
    """``"3.29k"`` as ``(3290, True)``, ``"843"`` as ``(843, False)``; None for anything else.

    The second value says that the page abbreviated (three significant digits).
    """
    found = _COUNT.fullmatch(text.strip()) if text else None
    if not found or len(found[1]) > 15:
        return None, False
    number, unit = found[1].translate(_GROUPS), found[2].lower()
    if not unit:
        return (None, False) if "." in number else (int(number), False)
    return round(float(number) * _SCALE[unit]), True


def paper_id(text: object) -> str | None:
    """An arXiv id without its version, or None. ``"2401.00001v2"`` -> ``"2401.00001"``."""
    found = PAPER_ID.fullmatch(text.strip()) if isinstance(text, str) else None
    return found[1] if found else None


def paper_path(href: str | None) -> str | None:
    """The arXiv id of a link to a paper's page; None for every other link."""
    found = _PAPER_PATH.fullmatch(href.strip()) if href else None
    return found[1] if found else None


def link(text: str | None) -> str | None:
    """An http(s) address that is safe to show, or None. Site-relative ones become absolute."""
    if not text:
        return None
    text = text.strip()
    if text.startswith("/") and not text.startswith("//"):
        text = SITE + text
    return text if len(text) <= URL_LIMIT and _LINK.fullmatch(text) else None


def day(text: str | None, at: date) -> date | None:
    """A date as the site writes it: ``Sep 9``, ``Feb 27, 2025``, ``Published on Jun 2, 2026``.

    Without a year it is the latest such day not more than one day after ``at`` (the clocks of
    the site and the reader may differ): a December date seen in January is last year's.
    """
    found = _DATE.fullmatch(text.strip()) if text else None
    if not found:
        return None
    month = _MONTHS.index(found[1][:3]) + 1
    if found[3]:
        return _date(int(found[3]), month, int(found[2]))
    return _latest(month, int(found[2]), at)


def _latest(month: int, day_of_month: int, at: date) -> date | None:
    limit = at + timedelta(days=1) if at < date.max else at
    for year in range(limit.year, limit.year - 9, -1):  # 29 February: at most 8 years back
        found = _date(year, month, day_of_month)
        if found and found <= limit:
            return found
    return None


def _date(year: int, month: int, day_of_month: int) -> date | None:
    try:
        return date(year, month, day_of_month)
    except ValueError:
        return None


def iso_day(text: str | None) -> date | None:
    """The day of an ISO date or time, in the zone it is written in; None when it is not one."""
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError:
        return None


def iso_time(text: str | None) -> datetime | None:
    """An ISO time that names its zone, in UTC; None for anything else."""
    try:
        found = datetime.fromisoformat(text) if text else None
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None
