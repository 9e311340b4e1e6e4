"""A past for the papers of a store, so that the benches judge what life would judge."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from watcher.clock import to_unix
from watcher.store import open_records

LOOKS = 96
"""Half-hourly looks of two days."""
EVERY = 1_800


def backdate(database: Path, now: datetime) -> int:
    """Give every paper of a store two days of growing counts before ``now``; how many looks.

    The counts grow to what the page showed first. Each source's looks lie a few seconds apart,
    as its visits would.
    """
    at = to_unix(now)
    with open_records(database) as records, records.transaction():
        first = records.conn.execute(
            "select paper, source, upvotes, comments, stars from sightings order by paper"
        ).fetchall()
        rows = [
            (
                paper,
                at - EVERY * ago + 17 * source % 900 - 900,
                source,
                (upvotes or 0) * (LOOKS - ago) // LOOKS,
                comments,
                stars,
            )
            for paper, source, upvotes, comments, stars in first
            for ago in range(LOOKS, 0, -1)
        ]
        records.conn.executemany("insert or ignore into sightings values (?, ?, ?, ?, ?, ?)", rows)
        records.conn.execute("update papers set first_seen_at = ?", (at - EVERY * LOOKS - 900,))
    return len(rows)
