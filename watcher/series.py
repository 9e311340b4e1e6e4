"""Foreign series: rows of anyone's counts replayed through the judgement of ``rising``.

Owns the replay of ``watcher backtest --series``: in time order, with the past only, judged by
the functions of ``growth.py`` and the shipped defaults, as the live loop judges. Must not
know files (``rows.py``), the store, rules or the command line.

A row without a count but with a rank is a second look at a page whose order is that of the
votes: the place tells roughly how many votes a paper has by now (``_implied``).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from statistics import NormalDist

from watcher import growth
from watcher.growth import HOUR, WEEK, Baseline
from watcher.model import Change
from watcher.rows import Alert, Row

FEW_PAPERS = 50
"""With fewer papers in the last eight weeks, older records teach the baseline."""
PATIENCE = 1.2
"""While another look at the order is due soon, one must be so much surer: waiting pays."""
SOON = 8 * HOUR
_FALL = 3
_FALL_LOOKS = 3
_PAGE_WEIGHT = 0.5
"""How much a place says by itself, against what the papers' own looks say of it."""
_ABSENT_AGE = 0.35
"""Papers of a page that have no row are younger: this part of the others' median age."""
_ORDERED = 0.5
"""From this rank correlation with the known counts on, a page's order is that of votes."""


def replay(
    rows: Iterable[Row],
    learn: Iterable[Row] = (),
    *,
    min_multiplier: float = growth.RISING_MULTIPLIER,
) -> Iterator[Alert]:
    """Replay rows in time order; yield each paper's first alert when it is given.

    The baseline is learnt at the first row and anew each Monday 00:00 UTC, from ``learn`` and
    the rows before that instant; without either it is the shipped prior. Rows of one
    ``observed_at`` are one page, judged once the whole page is known.
    """
    ordered = sorted(rows, key=attrgetter("observed_at", "paper_id"))
    memory = _Memory(learn)
    schedule = _Schedule()
    baseline, until = growth.PRIOR, -math.inf
    for at, page in groupby(ordered, key=attrgetter("observed_at")):
        if at >= until:
            baseline = memory.learnt(at if until == -math.inf else growth.monday(at))
            until = growth.monday(at) + WEEK
        schedule.advance(at)
        rows_now = tuple(page)
        counts = _counts(memory, rows_now, baseline)
        for row in rows_now:
            schedule.note(memory.paper(row.paper_id), at, ordered_only=row.upvotes is None)
        for paper, count in counts.items():
            surer = PATIENCE if schedule.due(paper) else 1.0
            if _is_rising(paper, at, count, growth.bar(baseline, min_multiplier * surer)):
                paper.alerted = True
                yield _alert(paper, at, count, baseline)


def _counts(memory: _Memory, page: tuple[Row, ...], baseline: Baseline) -> dict[_Paper, float]:
    """The counts of a page's papers, told or implied by their places."""
    seen = [paper for row in page if (paper := memory.take(row)) is not None]
    counts = {paper: float(paper.looks[-1][1]) for paper in seen if paper.looks}
    return counts | _implied(memory, page, baseline)


def _is_rising(paper: _Paper, at: int, count: float, needed: growth.Bar) -> bool:
    if paper.alerted or paper.listed_at is None:
        return False
    votes = needed.needed(at - paper.listed_at)
    return votes is not None and count >= max(votes, growth.RISING_FLOOR)


def _alert(paper: _Paper, at: int, count: float, baseline: Baseline) -> Alert:
    usual = baseline.expected((at - (paper.listed_at or at)) / HOUR)
    return Alert(
        paper_id=paper.name,
        alerted_at=at,
        kind=Change.RISING,
        upvotes=paper.looks[-1][1],
        multiplier=growth.multiplier(count, usual) if usual else 0.0,
    )


# --- what is remembered of the rows so far -------------------------------------------------


class _Paper:
    """One paper as the rows so far have shown it."""

    __slots__ = (
        "_falls",
        "_listed_surely",
        "alerted",
        "listed_at",
        "looks",
        "name",
        "seen",
        "seen_at",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.listed_at: int | None = None
        self.looks: list[tuple[int, int]] = []
        self.alerted = False
        self.seen = 0
        self.seen_at = 0
        self._falls = 0
        self._listed_surely = False

    def take(self, row: Row) -> bool:
        """Remember a row; False when its count is a scraper's fault and tells nothing."""
        self._take_listing(row)
        if row.upvotes is None:
            return True
        last = self.looks[-1] if self.looks else (0, 0)
        if row.upvotes < last[1] - _FALL and self._falls < _FALL_LOOKS - 1:
            self._falls += 1
            return False
        self._falls = 0
        if last[0] == row.observed_at:
            self.looks[-1] = (last[0], max(last[1], row.upvotes))
        else:
            self.looks.append((row.observed_at, row.upvotes))
        return True

    def _take_listing(self, row: Row) -> None:
        """The first listing known holds; one told with a count is better than one without."""
        surely = row.upvotes is not None
        if row.listed_at is None or (
            self.listed_at is not None and (self._listed_surely or not surely)
        ):
            return
        self.listed_at, self._listed_surely = row.listed_at, surely


class _Memory:
    """The papers of the replay so far, and the records given to learn from."""

    def __init__(self, learn: Iterable[Row]) -> None:
        self._papers: dict[str, _Paper] = {}
        self._before: dict[str, _Paper] = {}
        for row in sorted(learn, key=attrgetter("observed_at")):
            self._before.setdefault(row.paper_id, _Paper(row.paper_id)).take(row)

    def take(self, row: Row) -> _Paper | None:
        """Remember a row; the paper, or None when the row tells nothing to judge."""
        paper = self._papers.setdefault(row.paper_id, _Paper(row.paper_id))
        return paper if paper.take(row) else None

    def paper(self, name: str) -> _Paper:
        """A paper already seen."""
        return self._papers[name]

    def learnt(self, before: int) -> Baseline:
        """The baseline from all records before an instant, at most eight weeks old.

        Where those are too few, from the last eight weeks that have records.
        """
        series = self._series()
        baseline = growth.learn(series, before)
        if baseline.papers >= FEW_PAPERS:
            return baseline
        times = [at for _, looks in series for at, _ in looks if at < before]
        return growth.learn(series, max(times) + 1) if times else baseline

    def _series(self) -> list[growth.Series]:
        """Each paper once, with the looks of both files."""
        series: list[growth.Series] = []
        for name in sorted(self._before.keys() | self._papers.keys()):
            here, there = self._papers.get(name), self._before.get(name)
            known = [paper for paper in (here, there) if paper is not None]
            listed_at = next((p.listed_at for p in known if p.listed_at is not None), None)
            if listed_at is not None:
                looks = {at: upvotes for paper in known for at, upvotes in paper.looks}
                series.append((listed_at, sorted(looks.items())))
        return series


class _Schedule:
    """Whether, as a rule, the order of the page is seen again some hours after a look.

    Learnt from the looks of the last week: of the papers with as many looks as this one has
    now, at least half were seen once more, without a count, within eight hours.
    """

    def __init__(self) -> None:
        self._open: deque[tuple[int, _Paper, int]] = deque()
        self._known: deque[tuple[int, int, bool]] = deque()
        self._again: set[tuple[_Paper, int]] = set()
        self._tally: dict[int, list[int]] = {}

    def advance(self, at: int) -> None:
        """Settle the looks that are eight hours old, forget those older than a week."""
        while self._open and self._open[0][0] < at - SOON:
            then, paper, number = self._open.popleft()
            again = (paper, number) in self._again
            self._again.discard((paper, number))
            self._known.append((then, number, again))
            self._count(number, again, 1)
        while self._known and self._known[0][0] < at - WEEK:
            _, number, again = self._known.popleft()
            self._count(number, again, -1)

    def _count(self, number: int, again: bool, by: int) -> None:
        tally = self._tally.setdefault(number, [0, 0])
        tally[0] += by
        tally[1] += by * again

    def note(self, paper: _Paper, at: int, *, ordered_only: bool) -> None:
        """Remember that a paper was seen."""
        if ordered_only and paper.seen and at - paper.seen_at <= SOON:
            self._again.add((paper, paper.seen))
        paper.seen += 1
        paper.seen_at = at
        self._open.append((at, paper, paper.seen))

    def due(self, paper: _Paper) -> bool:
        """Whether another look at the order is to be expected soon."""
        papers, again = self._tally.get(paper.seen, (0, 0))
        return papers >= 10 and 2 * again >= papers


# --- a look at the order of a page ---------------------------------------------------------


def _implied(memory: _Memory, page: Sequence[Row], baseline: Baseline) -> dict[_Paper, float]:
    """The counts told by the places of rows without a count, never below the last known one.

    The paper at rank r of n has about as many votes as the r-th largest count that the page's
    papers should have by now (from their own looks), and about as many as a paper at such a
    place usually has; the geometric mean of both is taken.
    """
    blind = [row for row in page if row.upvotes is None and row.rank is not None]
    if not blind or not _ordered_by_votes(memory, page):
        return {}
    at = page[0].observed_at
    size = max(len(page), *(max(row.page_size or 0, row.rank or 0) for row in page))
    means = _mean_counts(memory, page, size, baseline)
    due = _due_counts(memory, page, means, baseline)
    spread = [_quantile(1 - (place + 0.5) / size, baseline.shape) for place in range(size)]
    average = sum(means) / size
    implied: dict[_Paper, float] = {}
    for row in blind:
        paper = memory.paper(row.paper_id)
        if paper.listed_at is None or at < paper.listed_at or not paper.looks:
            continue
        place = max(row.rank or 1, 1) - 1
        count = due[place] ** (1 - _PAGE_WEIGHT) * (average * spread[place]) ** _PAGE_WEIGHT
        implied[paper] = max(count, paper.looks[-1][1])
    return implied


def _mean_counts(
    memory: _Memory, page: Sequence[Row], size: int, baseline: Baseline
) -> list[float]:
    """The mean count at the age of each paper of a page: its rows, then the papers without."""
    at = page[0].observed_at
    ages = [
        None if (listed := memory.paper(row.paper_id).listed_at) is None else (at - listed) / HOUR
        for row in page
    ]
    known = sorted(age for age in ages if age is not None)
    median = known[len(known) // 2] if known else 8.0
    absent = [median * _ABSENT_AGE] * (size - len(page))
    return [_mean(baseline, median if age is None else age) for age in (*ages, *absent)]


def _due_counts(
    memory: _Memory, page: Sequence[Row], means: Sequence[float], baseline: Baseline
) -> list[float]:
    """The counts a page's papers should have by now, the largest first.

    A paper with a count grows on at its own rate; those without are spread as papers are.
    """
    at, due, unknown = page[0].observed_at, [], list(means[len(page) :])
    for row, mean in zip(page, means, strict=False):
        paper = memory.paper(row.paper_id)
        if not paper.looks or paper.listed_at is None:
            unknown.append(mean)
            continue
        looked_at, count = paper.looks[-1]
        then = _mean(baseline, (looked_at - paper.listed_at) / HOUR)
        rate = (baseline.shape + count) / (baseline.shape + then)
        due.append(count + (rate * max(mean - then, 0.0) if looked_at < at else 0.0))
    average = sum(unknown) / len(unknown) if unknown else 0.0
    parts = ((place + 0.5) / len(unknown) for place in range(len(unknown)))
    due.extend(average * _quantile(1 - part, baseline.shape) for part in parts)
    return sorted(due, reverse=True)


def _mean(baseline: Baseline, age_h: float) -> float:
    usual = baseline.expected(min(max(age_h, 0.1), growth.FOLLOW_HOURS - 1))
    return (usual or 0.0) / growth.usual_part(baseline.shape)


def _quantile(part: float, shape: float) -> float:
    """A quantile of Gamma(a, a) by Wilson and Hilferty: how multipliers are spread."""
    root = 1 - 1 / (9 * shape) + NormalDist().inv_cdf(part) / (3 * math.sqrt(shape))
    return max(root, 0.0) ** 3


def _ordered_by_votes(memory: _Memory, page: Sequence[Row]) -> bool:
    """Whether the places follow the counts known: a trending list's order would mislead."""
    known = [
        (row.rank, -paper.looks[-1][1])
        for row in page
        if row.rank is not None and (paper := memory.paper(row.paper_id)).looks
    ]
    if len(known) < 5:
        return bool(known)
    return _spearman([rank for rank, _ in known], [votes for _, votes in known]) >= _ORDERED


def _spearman(xs: Sequence[int], ys: Sequence[int]) -> float:
    """The rank correlation of two lists; ties share their middle place. 0 without spread."""
    a, b = _places(xs), _places(ys)
    middle = (len(xs) - 1) / 2
    both = sum((x - middle) * (y - middle) for x, y in zip(a, b, strict=True))
    spread = math.sqrt(sum((x - middle) ** 2 for x in a) * sum((y - middle) ** 2 for y in b))
    return both / spread if spread else 0.0


def _places(values: Sequence[int]) -> list[float]:
    ordered = sorted(values)
    first = {value: bisect_left(ordered, value) for value in set(values)}
    tied = {value: ordered.count(value) for value in first}
    return [first[value] + (tied[value] - 1) / 2 for value in values]
