"""Plots as inline SVG: readable axes, colours by class, nothing inline that a strict policy bars.

Pure. Owns geometry and the words on axes. Text goes in through ``Markup.format``, which
escapes it. Must not read the store or decide what is plotted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from watcher.growth import HOUR
from watcher.model import Look, Value
from watcher.text import clean, count_of
from watcher.web.bands import Band

_STEPS_H = (1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 720, 1440, 4380, 8760, 43800)
_POINTS = 240
_Scale = Callable[[float], float]


class Mark(Value, frozen=True, kw_only=True):
    """Something told, to be marked on a curve."""

    age_h: float
    votes: int
    kind: str
    """``new``, ``rising`` or ``resurging``."""
    label: str


class Frame(Value, frozen=True, kw_only=True):
    """Size and margins of a plot, in its own units."""

    width: int
    height: int
    left: int = 44
    right: int = 14
    top: int = 16
    bottom: int = 40

    def x(self, part: float) -> float:
        """From 0 to 1 across the plot."""
        return self.left + (self.width - self.left - self.right) * part

    def y(self, part: float) -> float:
        """From 0 at the bottom to 1 at the top."""
        return self.height - self.bottom - (self.height - self.top - self.bottom) * part


WIDE = Frame(width=760, height=320)
NARROW = Frame(width=360, height=280, left=36, right=8)


def merged(looks: Sequence[Look]) -> tuple[tuple[int, int], ...]:
    """``(at, upvotes)`` over all sources: at each look the highest of the hour before it."""
    known = [(look.at, look.upvotes) for look in looks if look.upvotes is not None]
    points: list[tuple[int, int]] = []
    begin = 0
    for i, (at, _) in enumerate(known):
        while known[begin][0] < at - HOUR:
            begin += 1
        votes = max(v for _, v in known[begin : i + 1])
        if points and points[-1][0] == at:
            points[-1] = (at, votes)
        else:
            points.append((at, votes))
    return tuple(points)


def vote_curve(
    points: Sequence[tuple[float, int]],
    band: Sequence[Band],
    *,
    frame: Frame,
    marks: Sequence[Mark] = (),
    since: str = "listing",
) -> Markup:
    """Votes by age in hours, on the band in which most papers lie. Needs at least one point."""
    end_h = max(24.0, min(points[-1][0] * 1.04, 10 * 365 * 24.0))
    known = _until(band, end_h)
    top = max([v for _, v in points] + [b.high for b in known] + [4]) * 1.06
    ticks = _ticks(top)
    top = max(top, ticks[-1])

    def x(age_h: float) -> float:
        return frame.x(min(max(age_h / end_h, 0.0), 1.0))

    def y(votes: float) -> float:
        return frame.y(votes / top)

    parts = [*_y_axis(ticks, frame, y), *_x_axis(end_h, frame, x, since=since)]
    if known:
        parts += _band(known, x, y)
    drawn = _thinned(points)
    line = " ".join(f"{x(a):.1f},{y(v):.1f}" for a, v in drawn)
    parts.append(Markup('<polyline class="curve" points="{}"/>').format(line))
    if len(drawn) < 30:
        parts += [
            Markup('<circle class="dot" cx="{}" cy="{}" r="2.6"/>').format(
                f"{x(a):.1f}", f"{y(v):.1f}"
            )
            for a, v in drawn
        ]
    parts += _marks(marks, frame, x, y)
    size = "narrow" if frame.width < 500 else "wide"
    return Markup(
        '<svg class="plot {}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(size, frame.width, frame.height, _described(points, known), Markup("").join(parts))


def _until(band: Sequence[Band], end_h: float) -> list[Band]:
    """The band up to an age, its last knot interpolated."""
    known = [b for b in band if b.age_h <= end_h]
    if not known or len(known) == len(band):
        return known
    before, after = known[-1], band[len(known)]
    part = (end_h - before.age_h) / (after.age_h - before.age_h)

    def between(a: float, b: float) -> float:
        return a + (b - a) * part

    return [
        *known,
        Band(
            age_h=end_h,
            low=round(between(before.low, after.low)),
            middle=round(between(before.middle, after.middle)),
            high=round(between(before.high, after.high)),
            usual=between(before.usual, after.usual),
        ),
    ]


def _described(points: Sequence[tuple[float, int]], band: Sequence[Band]) -> str:
    age, votes = points[-1]
    said = f"Vote curve: {count_of(votes, 'vote')} after {_age_words(age)}."
    near = [b for b in band if b.age_h <= age]
    if near:
        last = near[-1]
        said += (
            f" Eight in ten papers of that age have {last.low} to {last.high},"
            f" {last.usual:.0f} is usual."
        )
    return said


def _band(known: Sequence[Band], x: _Scale, y: _Scale) -> list[Markup]:
    first = known[0]
    start = Band(age_h=0.0, low=0, middle=0, high=0, usual=0.0)
    row = [start, *known] if first.age_h > 0 else list(known)
    upper = " ".join(f"{x(b.age_h):.1f},{y(b.high):.1f}" for b in row)
    lower = " ".join(f"{x(b.age_h):.1f},{y(b.low):.1f}" for b in reversed(row))
    usual = " ".join(f"{x(b.age_h):.1f},{y(b.usual):.1f}" for b in row)
    return [
        Markup('<polygon class="band" points="{} {}"/>').format(upper, lower),
        Markup('<polyline class="usual" points="{}"/>').format(usual),
    ]


_WEIGHT = {"rising": 0, "resurging": 1, "new": 2}


def _marks(marks: Iterable[Mark], frame: Frame, x: _Scale, y: _Scale) -> list[Markup]:
    """A dot for each mark; where two labels would overlap, only the weightier one is written."""
    parts: list[Markup] = []
    labels: list[tuple[float, float]] = []
    for mark in sorted(marks, key=lambda mark: _WEIGHT.get(mark.kind, 3)):
        cx, cy = x(mark.age_h), y(mark.votes)
        crowded = any(abs(cx - at) < 75 and abs(cy - height) < 16 for at, height in labels)
        parts.insert(0, _mark(mark, frame, (cx, cy), labelled=not crowded))
        labels.append((cx, cy))
    return parts


def _mark(mark: Mark, frame: Frame, place: tuple[float, float], *, labelled: bool) -> Markup:
    cx, cy = place
    left = cx > frame.width * 0.75
    # A curve goes up to the right: the label stands below it, or above near the axis.
    below = cy + 18 < frame.y(0)
    text = Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
        f"{cx - 8 if left else cx + 8:.1f}",
        f"{cy + 15 if below else cy - 8:.1f}",
        "end" if left else "start",
        mark.kind,
    )
    return Markup(
        '<g class="mark {}"><title>{}</title><circle cx="{}" cy="{}" r="5"/>{}</g>'
    ).format(mark.kind, clean(mark.label), f"{cx:.1f}", f"{cy:.1f}", text if labelled else "")


def _y_axis(ticks: Sequence[int], frame: Frame, y: _Scale) -> list[Markup]:
    parts = []
    for tick in ticks:
        at = f"{y(tick):.1f}"
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                frame.left, frame.width - frame.right, at, at
            )
        )
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
                frame.left - 7, f"{y(tick) + 4:.1f}", f"{tick:,}"
            )
        )
    return parts


def _x_axis(end_h: float, frame: Frame, x: _Scale, *, since: str) -> list[Markup]:
    most = 8 if frame.width > 500 else 5
    step = next((s for s in _STEPS_H if end_h / s <= most), _STEPS_H[-1])
    base = frame.y(0)
    parts = [
        Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            frame.left, frame.width - frame.right, f"{base:.1f}", f"{base:.1f}"
        )
    ]
    for i in range(int(end_h // step) + 1):
        at = x(i * step)
        anchor = "end" if at > frame.width - frame.right - 14 else "middle"
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(
                f"{at:.1f}", f"{base + 16:.1f}", anchor, _tick_words(i * step, step)
            )
        )
    parts.append(
        Markup('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            f"{frame.x(0.5):.1f}", frame.height - 6, f"time since {since}"
        )
    )
    return parts


def _tick_words(age_h: int, step: int) -> str:
    if step >= 8760:
        return f"{age_h // 8760} y"
    return f"{age_h // 24} d" if step >= 24 else f"{age_h} h"


def _age_words(age_h: float) -> str:
    return f"{age_h:.0f} hours" if age_h < 48 else f"{age_h / 24:.0f} days"


def _ticks(top: float) -> list[int]:
    """Round numbers from 0 to about ``top``, about five of them, whole."""
    step = max(top / 5, 1.0)
    size = 10.0 ** math.floor(math.log10(step))
    step = next((size * m for m in (1, 2, 5, 10) if size * m >= step), size * 10)
    step = max(int(step), 1)
    return list(range(0, int(top) + 1, step))


def _thinned(points: Sequence[tuple[float, int]]) -> Sequence[tuple[float, int]]:
    if len(points) <= _POINTS:
        return points
    last = len(points) - 1
    return [points[round(i * last / (_POINTS - 1))] for i in range(_POINTS)]


def sparkline(votes: Sequence[int], *, width: int = 96, height: int = 26) -> Markup:
    """A small curve of votes without axes; empty when there is nothing to show.

    Decoration: the count stands beside it, so it is hidden from screen readers.
    """
    if len(votes) < 2:
        return Markup("")
    top = max(*votes, 4)
    low = min(votes)
    floor = 0 if low * 2 < top else low * 0.9
    span = max(top - floor, 1)
    last = len(votes) - 1
    points = [
        (2 + (width - 6) * i / last, height - 3 - (height - 7) * (v - floor) / span)
        for i, v in enumerate(votes)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    end_x, end_y = points[-1]
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" aria-hidden="true"'
        ' focusable="false"><polyline points="{}"/><circle cx="{}" cy="{}" r="2.4"/></svg>'
    ).format(width, height, width, height, line, f"{end_x:.1f}", f"{end_y:.1f}")


def bars(values: Sequence[tuple[str, int]], *, label: str, height: int = 56) -> Markup:
    """A bar per day, with the first and last day written below; ``label`` describes it all."""
    if not values:
        return Markup("")
    top = max(*(v for _, v in values), 1)
    wide = 9
    width = wide * len(values)
    parts = []
    for i, (name, value) in enumerate(values):
        tall = (height - 4) * value / top
        parts.append(
            Markup(
                '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
            ).format(
                "bar" if value else "bar none",
                i * wide + 1,
                f"{height - max(tall, 1.5):.1f}",
                wide - 2,
                f"{max(tall, 1.5):.1f}",
                f"{name}: {value}",
            )
        )
    return Markup(
        '<svg class="bars" viewBox="0 0 {} {}" preserveAspectRatio="xMinYMax meet" role="img"'
        ' aria-label="{}">{}</svg>'
    ).format(width, height, label, Markup("").join(parts))


def strip(cells: Sequence[tuple[str, str]], *, label: str) -> Markup:
    """A row of cells, one per stretch of time: ``(outcome, words)``; ``label`` describes it all."""
    wide, tall = 10, 22
    parts = [
        Markup(
            '<rect class="cell {}" x="{}" y="0" width="{}" height="{}"><title>{}</title></rect>'
        ).format(outcome, i * wide, wide - 1, tall, words)
        for i, (outcome, words) in enumerate(cells)
    ]
    return Markup(
        '<svg class="strip" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">{}</svg>'
    ).format(max(len(cells) * wide, 1), tall, label, Markup("").join(parts))
