"""How widely votes spread around their usual count: the band that a paper's curve is drawn on.

Pure. The count of papers of an age with the mean count M is negative binomial with mean M and
shape a: each paper's rate is Gamma(a, a) times the mean, and votes come one by one. What is
called usual is a multiple of the mean (``growth.usual_part``). Must not draw.
"""

from __future__ import annotations

import functools

from watcher.growth import Baseline, usual_part
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
    """What multipliers are measured against."""


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
    part = usual_part(baseline.shape)
    for age_h, usual in zip(baseline.ages, baseline.usual, strict=True):
        low, middle, high = quantiles(usual / part, baseline.shape, (LOW, MIDDLE, HIGH))
        made.append(Band(age_h=age_h, low=low, middle=middle, high=high, usual=usual))
    return tuple(made)
