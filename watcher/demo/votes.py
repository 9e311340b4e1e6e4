"""How votes of invented papers grow.

Owns the shape: final counts, the times at which votes, comments and stars come. The numbers
are those of the measured series (``README.md`` beside them): final upvotes by quantile, the
median share of the final count by age. Pure: everything comes from the random generator.
Times are Unix seconds.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import StrEnum
from itertools import pairwise
from math import exp, expm1, log1p
from random import Random

from watcher.model import Value

HOUR = 3600
DAY = 24 * HOUR

FINAL_UPVOTES = (
    (0.0, 0),
    (0.02, 1),
    (0.10, 2),
    (0.25, 5),
    (0.50, 11),
    (0.75, 28),
    (0.90, 59),
    (0.95, 96),
    (0.99, 210),
    (0.999, 380),
    (1.0, 500),
)
"""Quantile -> upvotes after a week (measured up to 0.99)."""

SHARE_BY_AGE = (
    (0.0, 0.03),
    (1.25, 0.20),
    (3.0, 0.29),
    (7.0, 0.42),
    (10.0, 0.50),
    (16.0, 0.58),
    (27.0, 0.67),
    (47.0, 0.79),
    (78.0, 0.92),
    (108.0, 0.97),
    (130.0, 1.0),
)
"""Age in hours -> median share of the final upvotes."""

_LAST = SHARE_BY_AGE[-1][0]
_PACE_SPREAD = 0.5
"""Spread of a paper's own pace (log of the exponent that warps its age): fits the measured
10 % and 90 % shares of 0.14 and 0.71 at seven hours."""


class Course(StrEnum):
    """The story of one paper's votes."""

    PLAIN = "plain"
    STEEP = "steep"
    """Slow for some hours, then far above what is usual for its age."""
    RESURGING = "resurging"
    """Plain, and some days later a second wave."""
    OLD = "old"
    """Listed long ago, or never: a vote now and then."""


class Tally(Value, frozen=True, kw_only=True):
    """Every moment at which a count of one paper moved."""

    given: tuple[int, ...]
    """Times of upvotes, ascending."""
    withdrawn: tuple[int, ...] = ()
    comments: tuple[int, ...] = ()
    stars: int | None = None
    """GitHub stars at ``listed_at``; None without a repository."""
    stars_gained: int = 0
    """Stars won in the long run since then."""
    stars_pace: int = 3 * DAY
    """Time constant of winning them, in seconds."""
    since: int = 0

    def upvotes_at(self, now: int) -> int:
        """Votes given and not withdrawn by ``now``."""
        return bisect_right(self.given, now) - bisect_right(self.withdrawn, now)

    def comments_at(self, now: int) -> int:
        """Comments written by ``now``."""
        return bisect_right(self.comments, now)

    def stars_at(self, now: int) -> int | None:
        """GitHub stars at ``now``; None without a repository."""
        if self.stars is None:
            return None
        age = max(0, now - self.since)
        return self.stars + int(self.stars_gained * -expm1(-age / self.stars_pace))


def final_upvotes(random: Random) -> int:
    """Upvotes a paper ends with, drawn from the measured distribution."""
    place = random.random()
    for (low, few), (high, many) in pairwise(FINAL_UPVOTES):
        if place <= high:
            part = (place - low) / (high - low)
            return round(expm1(log1p(few) + part * (log1p(many) - log1p(few))))
    return FINAL_UPVOTES[-1][1]


def age_at_share(share: float) -> float:
    """The age in hours by which a typical paper has this share of its votes."""
    for (early, less), (late, more) in pairwise(SHARE_BY_AGE):
        if share <= more:
            return early + (late - early) * max(0.0, (share - less) / (more - less))
    return _LAST


def grow(random: Random, listed_at: int, *, course: Course, repository: bool) -> Tally:
    """The whole story of a paper listed at ``listed_at``."""
    ages = _steep(random) if course is Course.STEEP else _plain(random, course)
    if course is Course.RESURGING:
        ages += _second_wave(random)
    given = sorted(listed_at + int(age * HOUR) for age in ages)
    stars = int(random.lognormvariate(3.0, 1.6)) if repository else None
    return Tally(
        given=tuple(given),
        withdrawn=_withdrawn(random, given),
        comments=_comments(random, listed_at),
        stars=stars,
        stars_gained=int(len(given) * random.uniform(0.3, 4.0)) if repository else 0,
        stars_pace=int(random.uniform(1.5, 6.0) * DAY),
        since=listed_at,
    )


def settled(random: Random, start: int, end: int) -> Tally:
    """The counts of an old paper: nearly still between ``start`` and ``end``."""
    base = final_upvotes(random) + random.randint(0, 40)
    slow = random.uniform(0.02, 0.5)
    fresh = int((end - start) / DAY * slow)
    given = [start - DAY] * base + sorted(random.randint(start, end) for _ in range(fresh))
    return Tally(
        given=tuple(given),
        comments=(start - DAY,) * random.randint(0, 6),
        stars=int(random.lognormvariate(9.0, 1.3)),
        stars_gained=int(random.lognormvariate(5.5, 1.0)),
        stars_pace=20 * DAY,
        since=start,
    )


def _plain(random: Random, course: Course) -> list[float]:
    final = final_upvotes(random)
    if course is Course.RESURGING:
        final = min(final, 25)
    pace = exp(random.gauss(0.0, _PACE_SPREAD))
    shares = (random.random() for _ in range(final))
    return [_LAST * (age_at_share(share) / _LAST) ** (1.0 / pace) for share in shares]


def _steep(random: Random) -> list[float]:
    """A tenth of the votes before the climb, most within ten hours of it, a long tail."""
    final = random.randint(140, 360)
    start = random.uniform(3.0, 9.0)
    ages = [random.uniform(0.1, start) for _ in range(final // 10)]
    ages += [start + random.triangular(0.0, 12.0, 2.0) for _ in range(final * 6 // 10)]
    ages += [start + 2 + random.expovariate(1 / 22.0) for _ in range(final * 3 // 10)]
    return ages


def _second_wave(random: Random) -> list[float]:
    start = random.uniform(4.0, 9.0) * 24
    return [start + random.expovariate(1 / 20.0) for _ in range(random.randint(35, 90))]


def _withdrawn(random: Random, given: list[int]) -> tuple[int, ...]:
    """One paper in twenty-five loses a vote again: a fall of 1."""
    if len(given) < 5 or random.random() > 0.04:
        return ()
    return (random.randint(given[len(given) // 2], given[-1] + 12 * HOUR),)


def _comments(random: Random, listed_at: int) -> tuple[int, ...]:
    number = random.choices((0, 1, 2, 3, 4, 8), weights=(7, 33, 36, 14, 8, 2))[0]
    return tuple(
        sorted(listed_at + int(random.expovariate(1 / 18.0) * HOUR) for _ in range(number))
    )
