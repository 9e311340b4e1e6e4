"""Snapshots for tests of what lies behind the readers: invented papers, seen at a time."""

from datetime import UTC, datetime, timedelta

from watcher.model import CARD_FIELDS, Card, PageKind, ReaderName, Snapshot

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
SHOWS = frozenset(CARD_FIELDS)


def card(number=1, **fields):
    given = {
        "rank": number,
        "paper_id": f"2611.{number:05d}",
        "title": f"Invented paper number {number}",
        "abstract": f"We invent thing {number} and measure it with care.",
        "authors": ("Ada Example", f"Bo Sample {number}"),
        "author_count": 2,
        "upvotes": 10,
        "comments": 1,
        "listed_at": NOW - timedelta(hours=5),
        "listed_on": NOW.date(),
    }
    return Card(**{**given, **fields})


def snapshot(*cards, at=NOW, kind=PageKind.DAILY, **fields):
    given = {"reader": ReaderName.ISLAND, "shows": SHOWS, "listed_on": None}
    return Snapshot(taken_at=at, cards=tuple(cards), kind=kind, **{**given, **fields})


def hours(number):
    return timedelta(hours=number)
