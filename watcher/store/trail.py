"""A paper in hand between visits: its row, and the trail of its latest looks.

Owns which looks a visit has to know: those of the last hour, and of the time before the last
known one and each source's last. Must not know SQL; ``meeting.py`` reads and writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from watcher.model import Look

HOUR = 3_600
FOREVER = 2**53

LookRow = tuple[int, int, int | None, int | None, int | None]
"""(at, source, upvotes, comments, stars)"""
BY_TIME = itemgetter(0, 1)
_LONG = 16
"""Looks of a trail that are no reason to tidy it."""
KNOWN = (
    "id, key, first_seen_at, listed_on, listed_at, listed_exact, upvotes, comments, stars,"
    " richness, fingerprint, told"
)
"""The columns of ``papers`` that ``Known`` takes."""


class Known:
    """A row of ``papers``, as it is and as a visit changes it, and its trail: what is known of
    its latest looks."""

    __slots__ = (
        "begin",
        "comments",
        "counted",
        "fingerprint",
        "first_seen_at",
        "key",
        "lasts",
        "latest",
        "listed_at",
        "listed_exact",
        "listed_on",
        "most",
        "richness",
        "row",
        "stars",
        "told",
        "trail",
        "upvotes",
        "worst",
    )

    def __init__(self, values: Sequence[Any]) -> None:
        (
            self.row,
            self.key,
            self.first_seen_at,
            self.listed_on,
            self.listed_at,
            self.listed_exact,
            self.upvotes,
            self.comments,
            self.stars,
            self.richness,
            self.fingerprint,
            self.told,
        ) = values
        self.begin = FOREVER
        """From here on (Unix seconds) the trail has every look."""
        self.trail: list[LookRow] = []
        """In time order; of the time before, the last known look and each source's last."""
        self.lasts: dict[int, LookRow] = {}
        """Each source's last look of the trail."""
        self.counted = False
        """Whether the trail has a look that shows votes."""
        self.most = -1
        """No look of the trail shows more votes; -1 when none shows any."""
        self.latest = True
        """Whether no look is stored that is newer than the trail."""
        self.worst = (0, 0, 0)
        """(source, day, rank) of the last place that was the worst of its day."""

    def covers(self, at: int) -> bool:
        """Whether the trail is what a visit at this time has to know."""
        trail = self.trail
        return self.latest and self.begin <= at - HOUR and not (trail and trail[-1][0] > at)

    def follow(self, begin: int, trail: list[LookRow], *, latest: bool) -> None:
        """Take up a trail that was read."""
        self.begin, self.trail, self.latest = begin, trail, latest
        self.lasts = {look[1]: look for look in trail}
        votes = [look[2] for look in trail if look[2] is not None]
        self.counted, self.most = bool(votes), max(votes, default=-1)

    def add(self, look: LookRow) -> None:
        """Lengthen the trail; what no visit can ask for is left out now and then."""
        trail = self.trail
        trail.append(look)
        self.lasts[look[1]] = look
        votes = look[2]
        if votes is not None:
            self.counted = True
            self.most = max(self.most, votes)
        if len(trail) > _LONG:
            begin = look[0] - HOUR
            old = [one for one in trail if one[0] < begin]
            kept = {one[1]: one for one in old}
            known = [one for one in old if one[2] is not None][-1:]
            self.trail = [*sorted({*kept.values(), *known}, key=BY_TIME), *trail[len(old) :]]
            self.begin = begin


def look_of(row: Sequence[Any]) -> Look:
    """A row of ``sightings`` (``LookRow``) as a value."""
    return Look(at=row[0], source=row[1], upvotes=row[2], comments=row[3], stars=row[4])
