"""The small values a config is made of, and how each is read from what TOML gives.

Owns the texts people write: durations, sizes, times of day, days, addresses. Every reader
takes what TOML gave (any type) and gives the value or raises ``BadValue`` with a message
that says what was expected. Must not look at files, the environment or a clock.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
import unicodedata
from datetime import time, timedelta
from email.utils import formataddr
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from watcher.config.nearest import nearest
from watcher.model import Value

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CENTURY = timedelta(days=36_500)
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
SIZES = {
    "b": 1,
    **{f"{p}b": 1000**n for n, p in enumerate("kmgt", 1)},
    **{f"{p}ib": 1024**n for n, p in enumerate("kmgt", 1)},
}
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,6})?\s*(?:ms|[smhdw])\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])")
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?i?b)", re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_DOMAIN = re.compile(r"(?!-)[\w-]{1,63}(?<!-)(?:\.(?!-)[\w-]{1,63}(?<!-))*")
_MAILBOX = re.compile(r'"?([^<>"]*?)"?\s*<([^<>\s]+)>|([^<>\s]+)')
_LOCAL = re.compile(r"[^\s@,;:<>()\[\]\\\"\x00-\x1f\x7f]{1,64}")


class BadValue(ValueError):
    """What was written is not a value of this kind; the message says what is expected."""


class Weekday(IntEnum):
    """Numbers as ``date.weekday()`` gives them."""

    MON = 0
    TUE = 1
    WED = 2
    THU = 3
    FRI = 4
    SAT = 5
    SUN = 6


EVERY_DAY: tuple[Weekday, ...] = tuple(Weekday)
_DAY_NAMES = {
    name: day
    for day, full in zip(
        Weekday,
        ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        strict=True,
    )
    for name in (full[:3], full)
}


class Hours(Value, frozen=True, kw_only=True):
    """A span of the day, its end not included; it may run over midnight.

    The same start and end mean the whole day.
    """

    start: time
    end: time

    def contain(self, moment: time) -> bool:
        """Whether a local time of day lies in the span."""
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end

    @property
    def length(self) -> timedelta:
        """How long the span lasts by the clock on the wall."""
        begin, end = (timedelta(hours=t.hour, minutes=t.minute) for t in (self.start, self.end))
        return (end - begin) % timedelta(days=1) or timedelta(days=1)

    def __str__(self) -> str:
        end = "24:00" if self.end == time.min else f"{self.end:%H:%M}"
        return f"{self.start:%H:%M}-{end}"


class Listen(Value, frozen=True, kw_only=True):
    """Address and port to listen on; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Mailbox(Value, frozen=True, kw_only=True):
    """A mail address and the name shown with it (may be empty)."""

    address: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address

    def header(self) -> str:
        """As a mail header carries it: the name quoted or encoded where needed."""
        return formataddr((self.name, self.address))


def shown(value: object) -> str:
    """What somebody wrote, fit to stand in a message: short and printable."""
    text = value if isinstance(value, str) else str(value)
    text = text if len(text) <= 60 else text[:57] + "…"
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return f'"{clean}"' if isinstance(value, str) else clean


def read_text(value: object) -> str:
    """A text without control characters, spaces around it cut off; not empty.

    Messages never repeat the value: it may be a secret.
    """
    if not isinstance(value, str):
        raise BadValue('needs a text in quotes: "…"')
    text = value.strip()
    if not text:
        raise BadValue("is empty; give a text or leave the key out")
    odd = (c for c in text if not c.isprintable() and c not in "\n\t")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in odd):
        raise BadValue("holds control characters")
    return text


def read_line(value: object) -> str:
    """Like ``read_text``, on one line; messages never repeat it either."""
    text = read_text(value)
    if not text.isprintable():
        raise BadValue("holds several lines or control characters; it must be one line")
    return text


def read_name(value: object) -> str:
    """A name of a source, rule or channel: one line, at most 80 printable characters."""
    text = read_text(value)
    if len(text) > 80 or not text.isprintable():
        raise BadValue("a name is one line of at most 80 printable characters")
    return text


def read_source_name(value: object) -> str:
    """Like ``read_name``; the watcher calls a followed day ``daily@2026-11-20``."""
    name = read_name(value)
    if "@" in name:
        raise BadValue('must not hold "@": it parts a daily list from its days')
    return name


def read_bool(value: object) -> bool:
    """``true`` or ``false``."""
    if not isinstance(value, bool):
        raise BadValue(f"needs true or false, not {shown(value)}")
    return value


def read_whole(value: object) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadValue(f"needs a whole number, not {shown(value)}")
    return value


def read_number(value: object) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"needs a number, not {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadValue("needs a finite number")
    return number


def read_duration(value: object) -> timedelta:
    """``"30m"``, ``"1h30m"``, ``"0s"``; units ms s m h d w."""
    hint = 'a duration such as "30s", "5m", "1h30m" or "7d"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise BadValue(f"needs a unit: {hint}, not {shown(value)}")
    if not isinstance(value, str) or not _DURATION.fullmatch(value.strip()):
        raise BadValue(f"needs {hint}, not {shown(value)}")
    seconds = sum(float(n) * UNITS[unit] for n, unit in _PART.findall(value))
    if seconds > CENTURY.total_seconds():
        raise BadValue(f"is longer than a century: {shown(value)}")
    return timedelta(seconds=seconds)


def show_duration(value: timedelta) -> str:
    """The shortest text that ``read_duration`` reads back as the same value."""
    rest = round(value.total_seconds() * 1000)
    if rest == 0:
        return "0s"
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def read_size(value: object) -> int:
    """Bytes of ``"5GB"``, ``"500 MB"``, ``"2GiB"``, or a plain number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found:
        raise BadValue(f'needs a size such as "500MB" or "5GB", not {shown(value)}')
    return int(float(found[1]) * SIZES[found[2].lower()])


def show_size(value: int) -> str:
    """The largest decimal unit that shows the size exactly."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 1000)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return f"{value}B"


def read_clock(value: object) -> time:
    """A local time of day, ``"08:00"``."""
    if isinstance(value, time) and value == value.replace(second=0, microsecond=0):
        return value
    found = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        raise BadValue(f'needs a time of day such as "08:00", not {shown(value)}')
    return time(int(found[1]), int(found[2]))


def read_hours(value: object) -> Hours:
    """A span of the day, ``"22:00-07:00"``; ``24:00`` may end it."""
    expected = f'needs hours such as "22:00-07:00", not {shown(value)}'
    parts = re.split(r"\s*[-–]\s*", value.strip()) if isinstance(value, str) else []
    if len(parts) != 2:
        raise BadValue(expected)
    try:
        start = read_clock(parts[0])
        end = time.min if parts[1] == "24:00" else read_clock(parts[1])
    except BadValue:
        raise BadValue(expected) from None
    if start == end and parts[1] != "24:00":
        raise BadValue(
            f'starts and ends at the same time: {shown(value)}; all day is "00:00-24:00"'
        )
    return Hours(start=start, end=end)


def read_quiet_hours(value: object) -> Hours:
    """Like ``read_hours``, but not the whole day: nothing would ever be sent."""
    hours = read_hours(value)
    if hours.start == hours.end:
        raise BadValue("covers the whole day; to send nothing at all say enabled = false")
    return hours


def read_days(value: object) -> tuple[Weekday, ...]:
    """Days of the week: ``["mon", "thu"]``, ``"mon-fri"``, ``"weekdays"``, ``"weekend"``."""
    words = value if isinstance(value, list) else [value]
    days = {day for word in words for day in _days(word)}
    if not days:
        raise BadValue("is empty; leave the key out for every day")
    return tuple(sorted(days))


def _days(word: object) -> tuple[Weekday, ...]:
    groups = {"weekdays": EVERY_DAY[:5], "weekend": EVERY_DAY[5:], "daily": EVERY_DAY}
    text = word.strip().lower() if isinstance(word, str) else ""
    if text in groups:
        return groups[text]
    ends = [_DAY_NAMES.get(part.strip()) for part in text.split("-")]
    if len(ends) > 2 or None in ends:
        raise BadValue(f'needs days such as ["mon", "thu"] or "mon-fri", not {shown(word)}')
    first, last = ends[0] or Weekday.MON, ends[-1] or Weekday.MON
    return tuple(Weekday((first + n) % 7) for n in range((last - first) % 7 + 1))


def show_days(days: tuple[Weekday, ...]) -> list[str]:
    """Their short names."""
    return [day.name.lower() for day in days]


def read_zone(value: object) -> ZoneInfo:
    """A time zone by its name, ``"Europe/Berlin"``."""
    name = read_text(value)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        guess = _zone_like(name)
        raise BadValue(
            f"no time zone is called {shown(name)}"
            + (f"; did you mean {shown(guess)}?" if guess else '; say for example "Europe/Berlin"')
        ) from None


def _zone_like(name: str) -> str | None:
    """The zone that was probably meant: by its city, else by its spelling. What looks like an
    offset or an abbreviation is mostly another one (Etc/GMT+2 lies west)."""
    if re.search(r"\d", name):
        return None
    zones = available_timezones()
    city = name.replace(" ", "_").casefold()
    found = [zone for zone in zones if zone.rpartition("/")[2].casefold() == city]
    if found or len(name) < 5:
        return min(found, key=lambda zone: (len(zone), zone), default=None)
    return nearest(name, zones)


def file_in_the_way(folder: Path) -> Path | None:
    """The part of a folder's path that is a file; None when there is none. Never raises."""
    parts = (folder, *folder.parents)
    return next((part for part in parts if os.path.isfile(part)), None)  # noqa: PTH113


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether a host name or literal address can only be this machine."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    if not (":" in host or host[-1:].isdigit()):
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split_url(value: object, schemes: tuple[str, ...], example: str) -> SplitResult:
    """The parts of an absolute address with host. Messages never repeat the address."""
    expected = f"needs an address such as {example}"
    if not isinstance(value, str):
        raise BadValue(expected)
    text = value.strip()
    if not text.isprintable() or not text or " " in text or "\\" in text:
        raise BadValue(f"{expected}, without spaces or control characters")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise BadValue(f"is not an address: {exc}") from None
    if parts.scheme not in schemes:
        raise BadValue(f"{expected}; it must start with {' or '.join(schemes)}")
    if not host or port == 0 or not (_DOMAIN.fullmatch(host.rstrip(".")) or _is_address(host)):
        raise BadValue(f"{expected}; its host or port is not valid")
    return parts


def read_url(value: object) -> str:
    """An http or https address, without user, password and fragment."""
    parts = split_url(value, ("https", "http"), "https://example.org/path")
    if "@" in parts.netloc:
        raise BadValue("must not carry a user or password")
    return parts._replace(fragment="").geturl()


def read_base_url(value: object) -> str:
    """An http or https address that paths are appended to: no query, no slash at its end."""
    url = read_url(value)
    if "?" in url:
        raise BadValue("must not carry a query")
    return url.rstrip("/")


@lru_cache(maxsize=1024)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def read_address(value: object) -> str:
    """A bare mail address."""
    if isinstance(value, str) and len(value) <= 254:
        local, at, domain = value.strip().rpartition("@")
        plain = not (local.startswith(".") or local.endswith(".") or ".." in local)
        if at and plain and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain):
            return f"{local}@{domain}"
    raise BadValue(f'needs a mail address such as "me@example.org", not {shown(value)}')


def read_mailbox(value: object) -> Mailbox:
    """``"me@example.org"`` or ``"Name <me@example.org>"``."""
    found = _MAILBOX.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found or not str(value).isprintable():
        raise BadValue(f'needs "me@example.org" or "Name <me@example.org>", not {shown(value)}')
    name = (found[1] or "").strip()
    return Mailbox(address=read_address(found[2] or found[3]), name=name)


def read_contact(value: object) -> str:
    """``mailto:me@example.org``, a bare mail address, or the address of a page."""
    text = read_text(value)
    if text.lower().startswith(("http://", "https://")):
        return read_url(text)
    return "mailto:" + read_address(re.sub(r"^mailto:", "", text, flags=re.IGNORECASE))


def read_listen(value: object) -> Listen:
    """``"127.0.0.1:8484"``, ``"[::1]:8484"`` or ``"localhost:8484"``."""
    expected = f'needs an address and a port such as "127.0.0.1:8484", not {shown(value)}'
    host, _, port = value.strip().rpartition(":") if isinstance(value, str) else ("", "", "")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if (":" in bare) != (bare != host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise BadValue(expected)
    if int(port) > 65_535 or not (_is_address(bare) or _DOMAIN.fullmatch(bare)):
        raise BadValue(expected)
    return Listen(host=bare, port=int(port))


def read_network(value: object) -> Network:
    """An address or a network, ``"10.0.0.0/8"``."""
    try:
        return ipaddress.ip_network(read_text(value), strict=False)
    except ValueError:
        raise BadValue(
            f'needs an IP address or network such as "10.0.0.0/8", not {shown(value)}'
        ) from None


def read_domain(value: object) -> str:
    """A domain in lower case, ``"example.org"``; a leading ``@`` is cut off."""
    text = read_text(value).lower().removeprefix("@").rstrip(".")
    if not _DOMAIN.fullmatch(text):
        raise BadValue(f'needs a domain such as "example.org", not {shown(value)}')
    return text


def read_host(value: object) -> str:
    """A host name or address in lower case, perhaps with a port, as a browser sends it."""
    text = read_text(value).lower()
    host, _, port = text.rpartition(":") if re.search(r":\d{1,5}$", text) else (text, "", "")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    known = _is_address(bare) or _DOMAIN.fullmatch(bare)
    if not known or (port and int(port) > 65_535):
        raise BadValue(f'needs a host such as "papers.example.org", not {shown(value)}')
    return text
