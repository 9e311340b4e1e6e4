"""How votes grow with age: the baseline, the signals and the rise statistic.

Owns the curve "how many votes papers of this age usually have", its learning, the lower
bound of a paper's multiplier against it, and every number computed from sightings. Pure:
no I/O, no clock, nothing beyond the standard library and msgspec; each function looks only
at records before the instant it is given.

The rise statistic in one line: *surely at least x times the usual count for papers of this
age*. A paper collects votes ``m`` times as fast as is usual, and ``m`` has the prior
Gamma(a, a); after ``v`` votes where ``E`` are usual it is Gamma(a + v, a + E). The
*multiplier* is ``v / E``; its *lower bound* is the 5 % quantile of that posterior.

The *usual* count is a bit over half the root mean square of the counts at that age: about
the mean where popularity is spread as on the daily page, more where a few papers take nearly
all the votes. So the same multiplier marks the same part of a population, however heavy its
tail (``docs/rising.md``).
"""

from __future__ import annotations

import functools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from watcher import prior
from watcher.model import History, Look, Value

HOUR = 3_600
DAY = 24 * HOUR
WEEK = 7 * DAY
FOLLOW_HOURS = 168.0
"""Papers are followed for seven days after listing; later ages have no usual count."""
LEARN_SPAN = 8 * WEEK
"""A baseline is learnt from papers listed in the eight weeks before it."""
RISING_FLOOR = 20
"""``rising`` needs at least so many votes, whatever the multiplier."""
RISING_MULTIPLIER = 2.0
"""The default of ``min_multiplier``."""
RESURGING_AGE = 36.0
RESURGING_GAIN = 5
TOP = 10
RANK_NOISE = 8
"""A change of so many ranks on the trending list, or fewer, says nothing."""
HELD_BY = 12
"""Looks that tell which count held: so many are read, however often a paper is seen."""
_MAY_LEAVE = 3
"""Of the ten that led a trending list, so many may be gone from it at the next visit."""

_Z05 = -1.6448536269514722
_MONDAY = 4 * DAY
"""1970-01-05 00:00 UTC was the first Monday of Unix time."""
_BIN = 300
"""Ages are judged in bins of five minutes, so that a threshold is one integer per bin."""
_BINS = int(FOLLOW_HOURS * HOUR) // _BIN


class Baseline(Value, frozen=True, kw_only=True, cache_hash=True):
    """How many votes papers of an age usually have, as learnt before an instant."""

    learnt_at: int
    """Unix seconds: only records before this instant were used."""
    papers: int
    """How many papers it was learnt from; 0 for the shipped prior."""
    shape: float
    """``a`` of the Gamma(a, a) prior: the smaller, the more uneven the papers are."""
    ages: tuple[float, ...]
    """Knots of the curve, hours since listing, increasing."""
    usual: tuple[float, ...]
    """The usual count at each knot, positive and never falling."""

    def expected(self, age_h: float) -> float | None:
        """The usual count at an age in hours; None outside the seven days of following."""
        if not 0 <= age_h < FOLLOW_HOURS:
            return None
        # An age is whole seconds: some come back from hours as a little less.
        return curve(self)[int(age_h * HOUR + 1e-6) // _BIN]


PRIOR = Baseline(learnt_at=0, papers=0, shape=prior.SHAPE, ages=prior.AGES, usual=prior.USUAL)
"""The shipped baseline, used until enough of one's own records are there."""


@functools.lru_cache(maxsize=64)
def curve(baseline: Baseline) -> tuple[float, ...]:
    """The usual count at the middle of every age bin, by linear interpolation."""
    return tuple(
        _interpolate(baseline.ages, baseline.usual, (i + 0.5) * _BIN / HOUR) for i in range(_BINS)
    )


def _interpolate(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    i = bisect_right(xs, x)
    if i == 0:
        return ys[0]
    if i == len(xs):
        return ys[-1]
    part = (x - xs[i - 1]) / (xs[i] - xs[i - 1])
    return ys[i - 1] + part * (ys[i] - ys[i - 1])


def multiplier(upvotes: float, expected: float) -> float:
    """How many times the usual count of its age a paper has."""
    return upvotes / expected


def lower_bound(upvotes: float, expected: float, shape: float) -> float:
    """The 5 % lower bound of the multiplier: the paper is surely at least so far above usual.

    The quantile of Gamma(shape + upvotes, shape + expected) by Wilson and Hilferty (1931),
    good to 1 % from one vote on.
    """
    k = shape + upvotes
    root = 1 - 1 / (9 * k) + _Z05 / (3 * math.sqrt(k))
    return k * root**3 / (shape + expected) if root > 0 else 0.0


class Bar:
    """The votes needed at each age for one multiplier: a table filled as it is asked.

    ``bar[age_bin(age_seconds)]`` is one list access in the hot loop.
    """

    def __init__(self, baseline: Baseline, min_multiplier: float) -> None:
        self._curve = curve(baseline)
        self._shape = baseline.shape
        self._multiplier = min_multiplier
        self._needed = [0] * _BINS

    def needed(self, age_s: float) -> int | None:
        """The votes needed at an age in seconds; None outside the seven days."""
        i = int(age_s) // _BIN
        if not 0 <= i < _BINS:
            return None
        return self._needed[i] or self._fill(i)

    def _fill(self, i: int) -> int:
        expected = self._curve[i]
        low, high = 0, 1
        while lower_bound(high, expected, self._shape) < self._multiplier:
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            if lower_bound(middle, expected, self._shape) < self._multiplier:
                low = middle
            else:
                high = middle
        self._needed[i] = high
        return high


@functools.lru_cache(maxsize=256)
def bar(baseline: Baseline, min_multiplier: float) -> Bar:
    """The compiled thresholds of a baseline and a multiplier, shared by all rules."""
    return Bar(baseline, min_multiplier)


def votes_needed(baseline: Baseline, age_h: float, min_multiplier: float) -> int | None:
    """The smallest count whose lower bound reaches ``min_multiplier`` at an age in hours.

    None outside the seven days of following. At least 1.
    """
    return bar(baseline, min_multiplier).needed(age_h * HOUR)


# --- learning ---------------------------------------------------------------------------


def monday(now: int) -> int:
    """The last Monday 00:00 UTC at or before ``now`` (Unix seconds)."""
    return now - (now - _MONDAY) % WEEK


Series = tuple[int, Sequence[tuple[int, int]]]
"""One paper: ``(listed_at, ((at, upvotes), …))``, Unix seconds, in time order."""

_PRIOR_WEIGHT = 30.0
"""The shipped prior counts as so many papers."""
_WIDTH, _WIDTH_FLOOR = 0.18, 0.5
"""Smoothing over age: so much of the age, and so many hours."""
_SPREAD_FROM = 2.0
"""Younger papers say little about how uneven papers are."""
_USUAL_PART = 0.535
"""The part of the root mean square that is called usual: then twice the usual count, surely,
is where the papers that end in the top tenth part from the others, on papers and stories."""


class Sums(NamedTuple):
    """Weighted sums over the papers at one age."""

    papers: float
    counts: float
    squares: float


def learn(series: Iterable[Series], before: int) -> Baseline:
    """Learn a baseline from papers listed in the eight weeks before the instant ``before``.

    Each paper counts once at every age, with its count interpolated between its looks; looks
    farther from that age weigh less (Gaussian). Looks at or after ``before``, before the
    listing or after the seven days are not used. A series should end with the last look
    even when it changed nothing. With few papers the shipped prior fills in: first its
    level, then its form. The same records give the same baseline.
    """
    papers = _usable(series, before)
    if not papers:
        return PRIOR
    sums = [_at_age(papers, age) for age in PRIOR.ages]
    shape = shape_of(sums, PRIOR.ages, prior_weight=_PRIOR_WEIGHT)
    return Baseline(
        learnt_at=before,
        papers=len(papers),
        shape=shape,
        ages=PRIOR.ages,
        usual=tuple(mean * usual_part(shape) for mean in _filled_in(sums)),
    )


def sums_by_age(series: Iterable[Series], ages: Sequence[float], before: int) -> list[Sums]:
    """What ``learn`` sees of the papers at each age in hours, without a prior.

    ``bench/make_prior.py`` makes the shipped prior of it.
    """
    papers = _usable(series, before)
    return [_at_age(papers, age) for age in ages]


def shape_of(sums: Sequence[Sums], ages: Sequence[float], *, prior_weight: float = 0.0) -> float:
    """``a`` by moments: the mean square of the multipliers is 1 + 1/a, pooled over the ages."""
    weights = prior_weight
    squares = prior_weight * (1 + 1 / PRIOR.shape)
    for age, s in zip(ages, sums, strict=True):
        if age >= _SPREAD_FROM and s.counts > 0:
            weights += s.papers
            squares += s.papers * (s.squares * s.papers / s.counts**2)
    spread = squares / weights if weights else 1 + 1 / PRIOR.shape
    return 1 / max(spread - 1, 0.05)


def usual_part(shape: float) -> float:
    """The usual count as a multiple of the mean: 0.535 of the root mean square.

    The root mean square of multipliers spread as Gamma(a, a) is sqrt(1 + 1/a).
    """
    return _USUAL_PART * math.sqrt(1 + 1 / shape)


def _usable(series: Iterable[Series], before: int) -> list[tuple[list[float], list[int]]]:
    """Ages in hours and counts of each paper that may teach something."""
    papers = []
    for listed_at, looks in series:
        if before - LEARN_SPAN <= listed_at < before:
            end = min(before, listed_at + int(FOLLOW_HOURS * HOUR))
            kept = [(at, v) for at, v in looks if listed_at <= at < end]
            if kept:
                papers.append(([(at - listed_at) / HOUR for at, _ in kept], [v for _, v in kept]))
    return papers


def _at_age(papers: list[tuple[list[float], list[int]]], age: float) -> Sums:
    width = _WIDTH_FLOOR + _WIDTH * age
    n = total = squares = 0.0
    for ages, counts in papers:
        count, distance = _count_at_age(ages, counts, age)
        far = distance / width
        if far > 3:
            continue
        weight = math.exp(-0.5 * far * far)
        n += weight
        total += weight * count
        squares += weight * count * count
    return Sums(n, total, squares)


def _count_at_age(ages: list[float], counts: list[int], age: float) -> tuple[float, float]:
    """A paper's count at an age, and how far from there it was really looked at (hours)."""
    i = bisect_left(ages, age)
    if i == 0:
        return counts[0], ages[0] - age
    if i == len(ages):
        return counts[-1], age - ages[-1]
    low, high = ages[i - 1], ages[i]
    if counts[i] == counts[i - 1]:
        return counts[i], 0.0
    part = (age - low) / (high - low)
    return counts[i - 1] + part * (counts[i] - counts[i - 1]), min(age - low, high - age)


def _filled_in(sums: Sequence[Sums]) -> tuple[float, ...]:
    """The learnt means, filled in by the prior at the learnt level, never falling."""
    prior_means = [usual / usual_part(PRIOR.shape) for usual in PRIOR.usual]
    pull = _PRIOR_WEIGHT * prior_means[-1]
    due = sum(s.papers * mean for s, mean in zip(sums, prior_means, strict=True))
    level = (sum(s.counts for s in sums) + pull) / (due + pull)
    weights = [s.papers + _PRIOR_WEIGHT for s in sums]
    means = [
        (s.counts + _PRIOR_WEIGHT * level * mean) / weight
        for s, mean, weight in zip(sums, prior_means, weights, strict=True)
    ]
    return _never_falling(means, weights)


def _never_falling(values: Sequence[float], weights: Sequence[float]) -> tuple[float, ...]:
    """Pool adjacent violators: the closest sequence that never falls."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            v, w, size = blocks.pop()
            both = w + block[1]
            block = ((v * w + block[0] * block[1]) / both, both, size + block[2])
        blocks.append(block)
    return tuple(v for v, _, size in blocks for _ in range(size))


# --- signals ----------------------------------------------------------------------------


class Signals(Value, frozen=True, kw_only=True):
    """The numbers of one paper at a moment, from its sightings up to then; None is unknown."""

    age_h: float | None = None
    """Hours since listing; None without a listing."""
    upvotes: int | None = None
    """The highest of the last hour over all sources, else the latest known."""
    gain_day: int | None = None
    """Votes gained in the last 24 hours; since the listing for a younger paper."""
    multiplier: float | None = None
    """Times the usual count for papers of its age."""
    lower_bound: float | None = None
    """Surely at least so many times the usual count (5 % lower bound of the multiplier)."""
    entered_top: int | None = None
    """Its rank in the trending top ten, when it came there from below the top ten."""


def signals(
    history: History, now: int, *, baseline: Baseline, trending: frozenset[int] = frozenset()
) -> Signals:
    """Compute the signals of a paper at ``now`` (Unix seconds); looks after it are ignored.

    ``trending`` names the sources whose page is a trending list; only there can a paper
    enter the top. Without a listing, age, multiplier and lower bound are unknown; of an
    inexact one, these two are those of the oldest age it may have (``oldest_age``).
    """
    upvotes = count_at(history.looks, now)
    listed_at = history.listed_at
    age_s = None if listed_at is None else now - listed_at
    expected = None
    oldest_s = oldest_age(history, now)
    if upvotes is not None and oldest_s is not None:
        expected = baseline.expected(oldest_s / HOUR)
    return Signals(
        age_h=None if age_s is None else age_s / HOUR,
        upvotes=upvotes,
        gain_day=_gain(history, now, upvotes),
        multiplier=None if expected is None or upvotes is None else upvotes / expected,
        lower_bound=None
        if expected is None or upvotes is None
        else lower_bound(upvotes, expected, baseline.shape),
        entered_top=_entered_top(history, now, trending) if trending else None,
    )


def held_at(looks: Sequence[Look], at: int) -> int | None:
    """The count that held at an instant: the highest of each source's last among the latest
    ``HELD_BY`` looks of the week before.

    What did not change is not stored: the last of one source alone may lag behind what another
    has shown all the time, and its catching up would look like votes gained.
    """
    known = [look for look in looks if look.upvotes is not None and at - WEEK <= look.at <= at]
    last = {look.source: look.upvotes or 0 for look in known[-HELD_BY:]}
    return max(last.values()) if last else count_at(looks, at)


def oldest_age(history: History, now: int) -> int | None:
    """Seconds since the listing at most; None without one.

    Where only the first sight of a listing is known, it may have been there since its day
    began: "surely" must hold for that age too.
    """
    listed_at = history.listed_at
    if listed_at is None:
        return None
    return now - (listed_at if history.listed_exact else listed_at // DAY * DAY)


def count_at(looks: Sequence[Look], at: int) -> int | None:
    """The count known at an instant: the highest of the hour before it, else the latest.

    A count holds until its source's next one is stored. None when no look had one.
    """
    best: int | None = None
    for look in reversed(looks):
        upvotes = look.upvotes
        if upvotes is None or look.at > at:
            continue
        if look.at < at - HOUR:
            return upvotes if best is None else best
        if best is None or upvotes > best:
            best = upvotes
    return best


def _gain(history: History, now: int, upvotes: int | None) -> int | None:
    if upvotes is None:
        return None
    then = held_at(history.looks, now - DAY)
    if then is None:
        young = history.listed_at is not None and 0 <= now - history.listed_at <= DAY
        then = 0 if young else None
    return None if then is None else upvotes - then


def keeps_its_top(before: Sequence[int], now: Collection[int]) -> bool:
    """Whether a trending page still shows those that led it at its last visit, but for three.

    In a day at most two of the ten leave the list altogether (``../shared/series``). Where more
    are gone, the page shows less than it has, and whoever stands in the top ten did not enter it.
    """
    return len(set(before[:TOP]).difference(now)) <= _MAY_LEAVE


def _entered_top(history: History, now: int, trending: frozenset[int]) -> int | None:
    """The rank on the trending list, if in the top ten and clearly below it within the week."""
    rank = source = None
    for place in reversed(history.places):
        if place.at > now or place.source not in trending:
            continue
        if place.at < now - WEEK:
            break
        if rank is None:
            if place.rank > TOP:
                return None
            rank, source = place.rank, place.source
        elif place.source == source and place.rank > max(TOP, rank + RANK_NOISE):
            return rank
    return None
