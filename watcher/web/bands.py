"""How widely votes spread around their usual count: the band that a paper's curve is drawn on.

Pure. The count of papers of an age with usual count E is negative binomial with mean E and
shape a: each paper's rate is Gamma(a, a) times the usual (``watcher.growth``), and votes come
one by one. Must not draw.
"""

from __future__ import annotations

import functools

from watcher.growth import Baseline
from watcher.model import Value

LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9


class Band(Value, frozen=True, kw_only=True):
    """The spread of counts at one age."""

    age_h: float
    low: int
    """One paper in ten has no more."""
    middle: int
    """Half of them have no more."""
    high: int
    """Nine in ten have no more."""
    usual: float
    """The mean."""


def quantiles(mean: float, shape: float, shares: tuple[float, ...]) -> tuple[int, ...]:
    """The smallest counts that these shares of papers do not exceed; ``shares`` increasing."""
    found: list[int] = []
    part = shape / (shape + mean)
    chance = part**shape
    below, count = chance, 0
    for share in shares:
        while below < share and count < 100_000:
            chance *= (count + shape) / (count + 1) * (1 - part)
            count += 1
            below += chance
        found.append(count)
    return tuple(found)


@functools.lru_cache(maxsize=8)
def bands(baseline: Baseline) -> tuple[Band, ...]:
    """The band at each knot of the curve."""
    made = []
    for age_h, usual in zip(baseline.ages, baseline.usual, strict=True):
        low, middle, high = quantiles(usual, baseline.shape, (LOW, MIDDLE, HIGH))
        made.append(Band(age_h=age_h, low=low, middle=middle, high=high, usual=usual))
    return tuple(made)
