"""Values for tests: events, papers and messages with nothing but what a test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from watcher.config.settings import ChannelOptions
from watcher.digest import Frame, compose
from watcher.model import Condition, Counts, Digest, Event, EventType, Links, Message, Paper

NOW = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)

MOMENTS = st.integers(0, 3 * 365 * 24 * 60 - 1).map(
    lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
"""Any minute of the years 2025 to 2027."""


def paper(row: int = 1, **fields: Any) -> Paper:
    defaults: dict[str, Any] = {
        "row": row,
        "arxiv_id": f"2611.{row:05d}",
        "title": f"Paper number {row}",
        "title_hash": f"{row:016x}",
        "listed_at": NOW - timedelta(hours=6),
        "first_seen_at": NOW - timedelta(hours=6),
    }
    return Paper(**{**defaults, **fields})


def event(number: int = 1, **fields: Any) -> Event:
    """A change of paper ``number`` by the rule ``alignment``, unless told otherwise."""
    kind = fields.pop("type", EventType.NEW)
    defaults: dict[str, Any] = {
        "cursor": number,
        "id": f"evt_{number:020x}",
        "type": kind,
        "at": NOW,
        "rule": "alignment" if kind.is_change else None,
        "paper": paper(number) if kind.is_change else None,
        "counts": Counts(upvotes=10 + number) if kind.is_change else Counts(),
        "reason": f"reason {number}",
        "strength": float(number),
    }
    return Event(**{**defaults, **fields})


def notice(number: int = 900, **fields: Any) -> Event:
    kind = fields.pop("type", EventType.SOURCE_FAILING)
    reason = fields.pop("reason", "source trending fails since 06:00: HTTP 503")
    return event(number, type=kind, reason=reason, **fields)


def rising(number: int, **fields: Any) -> Event:
    conditions = (
        Condition(
            name="multiplier", value="3.4 × papers of its age, lower bound 2.6", need="2.0", ok=True
        ),
    )
    return event(number, **{"type": EventType.RISING, "conditions": conditions, **fields})


def digest_of(*events: Event, **frame: Any) -> Digest:
    return compose(events, Frame(**frame), NOW)


def message(digest: Digest | None = None, **fields: Any) -> Message:
    defaults: dict[str, Any] = {
        "key": "msg_0123456789abcdef01234567",
        "channel": "me",
        "batch": "i:0",
        "recipient": "reader@example.org",
        "digest": digest if digest is not None or "letter" in fields else digest_of(event()),
        "links": Links(),
    }
    return Message(**{**defaults, **fields})


def options(**fields: Any) -> ChannelOptions:
    return ChannelOptions(**{"name": "me", "type": "console", **fields})


def changed(value: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(value, **fields)
