"""Winners and risers, as ``../shared/series/README.md`` defines them. Standard library only."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from bench.series_data import Followed
from watcher.growth import HOUR

FINAL_AGE_H = 168.0
LEAST_GAIN = 8


def quantile(values: Iterable[float], part: float) -> float:
    """The quantile by linear interpolation between the ordered values."""
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def week(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%G-%V")


def winner_cuts(finals: Mapping[str, tuple[int, int]], part: float = 0.9) -> dict[str, float]:
    """The cut of each ISO week from ``paper -> (listed_at, final count)``."""
    weeks: dict[str, list[int]] = defaultdict(list)
    for listed_at, final in finals.values():
        weeks[week(listed_at)].append(final)
    return {name: quantile(counts, part) for name, counts in weeks.items()}


def risers(gains: Sequence[tuple[float, int]], *, nearest: int = 80) -> list[bool]:
    """Per ``(age in hours, gain by the next look)``: in the top tenth of its age, and 8 or more.

    The same age is the nearest 80 looks.
    """
    order = sorted(range(len(gains)), key=lambda i: gains[i][0])
    ages = [gains[i][0] for i in order]
    found = [False] * len(gains)
    for age, gain in set(gains):
        middle = bisect_left(ages, age)
        near = sorted(
            range(max(0, middle - nearest), min(len(ages), middle + nearest)),
            key=lambda place: abs(ages[place] - age),
        )[:nearest]
        need = max(LEAST_GAIN, quantile([gains[order[place]][1] for place in near], 0.9))
        if gain >= need:
            for place in range(middle, len(ages)):
                if ages[place] != age:
                    break
                if gains[order[place]][1] == gain:
                    found[order[place]] = True
    return found


def story_risers(stories: Mapping[str, Followed]) -> dict[str, list[bool]]:
    """Per story and look: the gain of the next 12 hours is in the top tenth of its age."""
    gains: dict[str, list[int | None]] = {}
    points: list[tuple[float, int]] = []
    for name, story in stories.items():
        gains[name] = [_gain_by(story, i) for i in range(len(story.looks))]
        for (at, _), gain in zip(story.looks, gains[name], strict=True):
            if gain is not None:
                points.append((math.log((at - story.listed_at) / HOUR + 0.2), gain))
    points.sort()
    needs = _needs(points)
    return {
        name: [
            gain is not None and gain >= _need(needs, (at - story.listed_at) / HOUR)
            for (at, _), gain in zip(story.looks, gains[name], strict=True)
        ]
        for name, story in stories.items()
    }


def _gain_by(story: Followed, i: int) -> int | None:
    at, votes = story.looks[i]
    later = bisect_left(story.looks, (at + 11 * HOUR, 0))
    if later == len(story.looks) or story.looks[later][0] > at + 14 * HOUR:
        return None
    return story.looks[later][1] - votes


def _needs(points: Sequence[tuple[float, int]]) -> list[tuple[float, float]]:
    """The 90th percentile of the gains at forty ages, within 15 % of each."""
    needs = []
    for step in range(40):
        middle = math.log(0.3 * math.exp(math.log(200) * step / 39) + 0.2)
        low, high = (
            bisect_left(points, (middle - 0.15, -1)),
            bisect_left(points, (middle + 0.15, -1)),
        )
        near = [gain for _, gain in points[low:high]]
        needs.append(
            (middle, max(LEAST_GAIN, quantile(near, 0.9)) if len(near) > 20 else LEAST_GAIN)
        )
    return needs


def _need(needs: Sequence[tuple[float, float]], age_h: float) -> float:
    at = math.log(age_h + 0.2)
    i = bisect_left(needs, (at, 0.0))
    if i == 0:
        return needs[0][1]
    if i == len(needs):
        return needs[-1][1]
    (x0, y0), (x1, y1) = needs[i - 1], needs[i]
    return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
