"""Conversions between the forms a time has here: aware UTC, store text, Unix seconds.

Pure; reads no clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def to_text(at: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SS.ffffffZ``: one width, so that text order is time order."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def from_text(text: str) -> datetime:
    """The inverse of ``to_text``."""
    return datetime.fromisoformat(text)


def maybe_from_text(text: str | None) -> datetime | None:
    """``from_text`` that lets None through."""
    return None if text is None else from_text(text)


def to_unix(at: datetime) -> int:
    """Whole Unix seconds, rounded down."""
    return int(at.timestamp() // 1)


def from_unix(seconds: int) -> datetime:
    """Aware UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def span(duration: timedelta) -> str:
    """A duration for people, in its largest sensible unit: ``5 min``, ``30 h``, ``3 days``."""
    seconds = abs(duration.total_seconds())
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
