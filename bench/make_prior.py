"""Make the shipped prior: how votes usually grow, from the series in ``../shared/series``.

Run by ``python -m bench.make_prior``; it writes ``watcher/prior.py``. Numbers only. Uses the
papers listed from 2026-05-11 on: only they were looked at often enough within their first
week. Papers whose listing is cut to midnight are left out, for their age is not known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from bench.series_data import SERIES, Followed, load_papers, require_series, unix
from watcher import growth

ROOT = Path(__file__).resolve().parent.parent
SINCE, BEFORE = "2026-05-11", "2026-07-01"
AGES = (
    *(0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0),
    *(17.0, 20.0, 24.0, 30.0, 36.0, 42.0, 48.0, 60.0, 72.0, 96.0, 120.0, 144.0, 168.0),
)
TEXT = '''"""The shipped prior: how votes usually grow, before any record of one's own.

Written by ``python -m bench.make_prior`` from {papers} papers; do not edit by hand. Numbers only.
"""

from __future__ import annotations

SHAPE = {shape}
"""``a`` of the Gamma(a, a) prior of a paper's multiplier."""
AGES = (
{ages})
"""Hours since listing."""
USUAL = (
{usual})
"""The usual count at each age."""
'''


def known_ages() -> Iterator[Followed]:
    since = unix(SINCE)
    for paper in load_papers().values():
        if paper.listed_at >= since and paper.listed_at % growth.DAY:
            yield paper


def form(papers: Sequence[Followed]) -> list[float]:
    """The share of the seventh day's count at each age, from growth between looks.

    The papers seen at one age are others than those seen at another, so their means cannot be
    compared; what the same papers gained between two looks can.
    """
    gained, exposed = [0.0] * len(AGES), [0.0] * len(AGES)
    for paper in papers:
        aged = [((at - paper.listed_at) / growth.HOUR, v) for at, v in paper.looks]
        for (young, v), (old, w) in pairwise((age, v) for age, v in aged if 0 <= age <= 200):
            if 0.5 <= old - young <= 40:
                _spread(young, old, (v, w), gained, exposed)
    shares = [1.0] * len(AGES)
    for i in range(len(AGES) - 2, -1, -1):
        rate = gained[i] / exposed[i]
        shares[i] = shares[i + 1] * math.exp(-rate * (AGES[i + 1] - AGES[i]))
    return shares


def _spread(
    young: float, old: float, votes: tuple[int, int], gained: list[float], exposed: list[float]
) -> None:
    """Lay one interval's votes over the ages it spans, evenly in log(age + 1)."""
    whole = math.log((old + 1) / (young + 1))
    for i, (begin, end) in enumerate(pairwise(AGES)):
        low, high = max(begin, young), min(end, old)
        if low < high:
            gain = votes[1] - votes[0]
            middle = math.log(((low + high) / 2 + 1) / (young + 1)) / whole
            gained[i] += gain * math.log((high + 1) / (low + 1)) / whole
            exposed[i] += (votes[0] + gain * middle) * (high - low)


def column(numbers: Sequence[float]) -> str:
    return "".join(f"    {number},\n" for number in numbers)


def main() -> None:
    require_series(SERIES)
    papers = list(known_ages())
    sums = growth.sums_by_age(papers, AGES, unix(BEFORE))
    shares = form(papers)
    shape = growth.shape_of(sums, AGES)
    due = sum(s.papers * share for s, share in zip(sums, shares, strict=True))
    usual = sum(s.counts for s in sums) / due * growth.usual_part(shape)
    text = TEXT.format(
        papers=len(papers),
        shape=round(shape, 3),
        ages=column(AGES),
        usual=column([round(usual * share, 2) for share in shares]),
    )
    (ROOT / "watcher" / "prior.py").write_text(text, encoding="utf-8")
    print(f"watcher/prior.py written from {len(papers)} papers, shape {shape:.3f}")


if __name__ == "__main__":
    main()
