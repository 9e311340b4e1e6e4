"""The detectors to beat, as ``../shared/series/README.md`` describes them.

Each gives a look a score; it alerts at the first look whose score reaches its threshold (and,
where it says so, 20 votes). All learn from the past of the look only.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from bench.series_data import Followed
from watcher import growth
from watcher.growth import HOUR

EDGES = (0, 1, 2, 4, 6, 8, 10, 14, 20, 30, 40, 60, 100, 168)
GRID = tuple(0.1 * math.exp(math.log(1680) * i / 79) for i in range(80))


class Past(NamedTuple):
    """What the anchors have learnt before an instant."""

    bins: tuple[float, ...]
    """The mean count per age bin."""
    medians: tuple[tuple[float, float], ...]
    """Median and spread of log counts per age bin."""
    smooth: tuple[float, ...]
    """The mean count at each age of the grid, with Gaussian weights."""


class Width(NamedTuple):
    """The smoothing of the curve: hours, and part of the age."""

    hours: float
    part: float


def learn(papers: Iterable[Followed], before: int, width: Width) -> Past:
    """Bins, medians and smooth curve from the looks of the eight weeks before an instant."""
    points = sorted(
        ((at - paper.listed_at) / HOUR, votes)
        for paper in papers
        if before - growth.LEARN_SPAN <= paper.listed_at < before
        for at, votes in paper.looks
        if paper.listed_at <= at < min(before, paper.listed_at + growth.WEEK)
    )
    whole = sum(votes for _, votes in points) / max(len(points), 1)
    cells = [[votes for age, votes in points if low <= age < high] for low, high in pairwise(EDGES)]
    return Past(
        bins=tuple(sum(cell) / len(cell) if cell else whole for cell in cells),
        medians=tuple(_robust(cell) for cell in cells),
        smooth=tuple(_smooth(points, age, width, whole) for age in GRID),
    )


def _robust(cell: Sequence[int]) -> tuple[float, float]:
    logs = sorted(math.log1p(votes) for votes in cell)
    if not logs:
        return 0.0, 1.0
    middle = logs[len(logs) // 2]
    spread = sorted(abs(x - middle) for x in logs)[len(logs) // 2] * 1.4826
    return middle, max(spread, 0.1)


def _smooth(points: Sequence[tuple[float, int]], age: float, width: Width, whole: float) -> float:
    wide = width.hours + width.part * age
    low = bisect_right(points, (age - 3 * wide, -1))
    high = bisect_right(points, (age + 3 * wide, -1))
    weights = [math.exp(-0.5 * ((x - age) / wide) ** 2) for x, _ in points[low:high]]
    total = sum(weights)
    if total < 3:
        return whole
    return sum(w * v for w, (_, v) in zip(weights, points[low:high], strict=True)) / total


class Seen(NamedTuple):
    """One look with what was known before it."""

    age_h: float
    votes: int
    gained: int
    """Since the look before, 0 at the first."""
    past: Past
    shape: float


def _bin(seen: Seen) -> int:
    return min(max(bisect_right(EDGES, seen.age_h) - 1, 0), len(EDGES) - 2)


def _at(grid: Sequence[float], age: float) -> float:
    i = bisect_right(GRID, age)
    if i in (0, len(GRID)):
        return grid[min(i, len(GRID) - 1)]
    part = (age - GRID[i - 1]) / (GRID[i] - GRID[i - 1])
    return grid[i - 1] + part * (grid[i] - grid[i - 1])


def count(seen: Seen) -> float:
    return float(seen.votes)


def per_hour(seen: Seen) -> float:
    return seen.votes / max(seen.age_h, 0.5)


def robust_z(seen: Seen) -> float:
    middle, spread = seen.past.medians[_bin(seen)]
    return (math.log1p(seen.votes) - middle) / spread


def binned_bound(seen: Seen) -> float:
    if seen.votes < growth.RISING_FLOOR:
        return 0.0
    return growth.lower_bound(seen.votes, seen.past.bins[_bin(seen)], seen.shape)


def smooth_bound(seen: Seen) -> float:
    if seen.votes < growth.RISING_FLOOR:
        return 0.0
    return growth.lower_bound(seen.votes, _at(seen.past.smooth, seen.age_h), seen.shape)


def interval_gain(seen: Seen) -> float:
    return float(seen.gained)


Score = Callable[[Seen], float]
PAPERS: dict[str, Score] = {
    "upvotes ≥ t": count,
    "upvotes per hour ≥ t": per_hour,
    "robust z of log upvotes ≥ t": robust_z,
    "lower bound, age bins ≥ t": binned_bound,
    "lower bound, smooth mean ≥ t": smooth_bound,
}
STORIES: dict[str, Score] = {
    "score ≥ t": count,
    "gain in one interval ≥ t": interval_gain,
    "lower bound, age bins ≥ t": binned_bound,
    "lower bound, smooth mean ≥ t": smooth_bound,
}
