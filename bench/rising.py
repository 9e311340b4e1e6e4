"""How well ``rising`` finds the papers that matter, beside every anchor, on real series.

Run by ``python -m bench.rising``; prints the tables of ``docs/rising.md``. Learns and chooses
the anchors' thresholds on the earlier part of the series in ``../shared/series`` and judges on
the later one. The detector is the shipped one with its shipped defaults, through the very
function behind ``watcher backtest --series``; nothing is chosen for it here.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from bench import anchors, labels
from bench.anchors import Seen, Width
from bench.series_data import (
    SERIES,
    Followed,
    load_orders,
    load_papers,
    load_stories,
    require_series,
    unix,
)
from watcher import growth, series
from watcher.growth import DAY, HOUR
from watcher.rows import Row

RESAMPLES = 1_000
OURS = "**shipped: surely 2 × usual, 20 votes**"
MULTIPLIERS = (1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 3.0, 4.0)
PAPER_SHAPE, STORY_SHAPE = 0.46, 0.14
PAPER_WIDTH, STORY_WIDTH = Width(1.5, 0.0), Width(0.05, 0.18)


class Case(NamedTuple):
    """One paper to be judged, and what became of it."""

    name: str
    listed_at: int
    looks: tuple[tuple[int, int], ...]
    """The looks a detector may alert at."""
    hits: tuple[bool, ...]
    """Whether an alert at each of these looks is right."""
    positive: bool
    """Whether it should be found."""
    top20: bool = False
    crosses_at: int | None = None
    """When it crosses the winners' cut."""


class Told(NamedTuple):
    """What a detector did with one case."""

    day: int
    alerted: bool
    hit: bool
    positive: bool
    top20: bool
    lead_h: float | None


class Score(NamedTuple):
    precision: float
    recall: float
    f1: float
    alerts: float
    """A day."""
    top20: float
    lead_h: float | None


class Period(NamedTuple):
    """A later part to judge, with the earlier part to choose anchors' thresholds on."""

    earlier: Sequence[Case]
    later: Sequence[Case]
    since: int
    """Nothing at or after this instant is learnt from when thresholds are chosen."""


# --- measures ------------------------------------------------------------------------------


def tell(cases: Sequence[Case], alerts: Mapping[str, int]) -> list[Told]:
    """Compare alerts (paper -> when) with what became of the papers."""
    told = []
    for case in cases:
        at = alerts.get(case.name)
        hit = at is not None and _right_at(case, at)
        crosses = case.crosses_at
        lead = (crosses - at) / HOUR if at is not None and crosses is not None and hit else None
        told.append(
            Told(case.looks[0][0] // DAY, at is not None, hit, case.positive, case.top20, lead)
        )
    return told


def _right_at(case: Case, at: int) -> bool:
    past = [hit for (look, _), hit in zip(case.looks, case.hits, strict=True) if look <= at]
    return bool(past) and past[-1]


def f1(told: Iterable[Told]) -> float:
    hits = alerts = positives = 0
    for one in told:
        hits += one.hit
        alerts += one.alerted
        positives += one.positive
    return 2 * hits / max(alerts + positives, 1)


def score(told: Sequence[Told]) -> Score:
    alerts = sum(one.alerted for one in told)
    hits = sum(one.hit for one in told)
    leads = [one.lead_h for one in told if one.lead_h is not None]
    return Score(
        precision=hits / max(alerts, 1),
        recall=hits / max(sum(one.positive for one in told), 1),
        f1=f1(told),
        alerts=alerts / max(len({one.day for one in told}), 1),
        top20=sum(one.alerted and one.top20 for one in told) / max(alerts, 1),
        lead_h=statistics.median(leads) if leads else None,
    )


def difference(ours: Sequence[Told], theirs: Sequence[Told]) -> tuple[float, float]:
    """The middle 90 % of our F1 less theirs, over days drawn again and again, in pairs."""
    days: dict[int, list[list[int]]] = defaultdict(lambda: [[0, 0], [0, 0]])
    for side, told in enumerate((ours, theirs)):
        for one in told:
            days[one.day][side][0] += 2 * one.hit
            days[one.day][side][1] += one.alerted + one.positive
    chance = random.Random(7)
    pool = list(days.values())
    found = []
    for _ in range(RESAMPLES):
        drawn = chance.choices(pool, k=len(pool))
        a, b = (
            sum(d[side][0] for d in drawn) / max(sum(d[side][1] for d in drawn), 1)
            for side in (0, 1)
        )
        found.append(a - b)
    return labels.quantile(found, 0.05), labels.quantile(found, 0.95)


# --- detectors -----------------------------------------------------------------------------


class Scored(NamedTuple):
    """What an anchor needs to judge a case: its looks with what was known then."""

    case: Case
    seen: tuple[Seen, ...]


def first_alerts(scored: Iterable[Scored], rate: anchors.Score, need: float) -> dict[str, int]:
    alerts = {}
    for case, seen in scored:
        for (at, _), look in zip(case.looks, seen, strict=True):
            if rate(look) >= need:
                alerts[case.name] = at
                break
    return alerts


def choose(scored: Sequence[Scored], rate: anchors.Score) -> float:
    """The threshold with the best F1 on the earlier part."""
    values = sorted({rate(look) for _, seen in scored for look in seen})
    steps = sorted({values[int(i / 120 * (len(values) - 1))] for i in range(121)})
    cases = [one.case for one in scored]
    return max(steps, key=lambda need: f1(tell(cases, first_alerts(scored, rate, need))))


def scored_with(
    cases: Sequence[Case], past_at: Callable[[int], anchors.Past], shape: float
) -> list[Scored]:
    scored = []
    for case in cases:
        seen, before = [], 0
        for i, (at, votes) in enumerate(case.looks):
            gained = votes - before if i else 0
            seen.append(Seen((at - case.listed_at) / HOUR, votes, gained, past_at(at), shape))
            before = votes
        scored.append(Scored(case, tuple(seen)))
    return scored


def rows_of(papers: Mapping[str, Followed], before: int) -> list[Row]:
    return [
        Row(paper_id=name, observed_at=at, upvotes=votes, listed_at=paper.listed_at)
        for name, paper in papers.items()
        for at, votes in paper.looks
        if at < before
    ]


def shipped(
    cases: Sequence[Case],
    papers: Mapping[str, Followed],
    *,
    orders: Sequence[Row] = (),
    min_multiplier: float = growth.RISING_MULTIPLIER,
) -> dict[str, int]:
    """The alerts of ``watcher backtest --series`` for these cases, learnt from what was before."""
    key = (tuple(case.name for case in cases), len(orders), min_multiplier)
    if key not in _shipped:
        _shipped[key] = _replayed(cases, papers, orders, min_multiplier)
    return _shipped[key]


_shipped: dict[tuple[tuple[str, ...], int, float], dict[str, int]] = {}


def _replayed(
    cases: Sequence[Case],
    papers: Mapping[str, Followed],
    orders: Sequence[Row],
    min_multiplier: float,
) -> dict[str, int]:
    rows = [
        Row(paper_id=case.name, observed_at=at, upvotes=votes, listed_at=case.listed_at)
        for case in cases
        for at, votes in case.looks
    ]
    first = min(row.observed_at for row in rows)
    learnt = rows_of(papers, first)
    wanted = {case.name: case.looks[0][0] for case in cases}
    later = [row for row in orders if row.paper_id in wanted]
    later = [row for row in later if 0 < row.observed_at - wanted[row.paper_id] <= 8 * HOUR]
    found = series.replay([*rows, *later], learnt, min_multiplier=min_multiplier)
    return {alert.paper_id: alert.alerted_at for alert in found}


# --- the four data sets --------------------------------------------------------------------


def winner_cases(papers: Mapping[str, Followed]) -> list[Case]:
    """Papers listed 2025-11-24 to 2026-03-17 with a look in their first 14 hours and a final."""
    first, last = unix("2025-11-24"), unix("2026-03-18")
    finals: dict[str, tuple[int, int]] = {}
    early: dict[str, tuple[int, int]] = {}
    for name, paper in papers.items():
        looks = [x for x in paper.looks if 0 <= x[0] - paper.listed_at <= 14 * HOUR]
        old = paper.looks[-1][0] - paper.listed_at >= labels.FINAL_AGE_H * HOUR
        if first <= paper.listed_at < last and looks and old:
            early[name] = looks[0]
            finals[name] = (paper.listed_at, max(votes for _, votes in paper.looks))
    top10, top20 = labels.winner_cuts(finals), labels.winner_cuts(finals, 0.8)
    cases = []
    for name, (listed_at, final) in finals.items():
        wins = final >= top10[labels.week(listed_at)]
        in20 = final >= top20[labels.week(listed_at)]
        cases.append(Case(name, listed_at, (early[name],), (wins,), wins, in20))
    return cases


def late_riser_cases(cases: Sequence[Case], papers: Mapping[str, Followed]) -> list[Case]:
    """The same papers; right are those that gain most from the look until the end."""
    gains = [
        (
            (case.looks[0][0] - case.listed_at) / HOUR,
            max(votes for _, votes in papers[case.name].looks) - case.looks[0][1],
        )
        for case in cases
    ]
    return _marked(cases, labels.risers(gains, nearest=150))


def riser_cases(papers: Mapping[str, Followed]) -> list[Case]:
    """Papers listed from 2026-05-11 with a look in their first 14 hours and one the next day."""
    cases, gains = [], []
    for name, paper in papers.items():
        i = next((i for i, x in enumerate(paper.looks) if x[0] >= paper.listed_at), None)
        if paper.listed_at < unix("2026-05-11") or i is None or i + 1 >= len(paper.looks):
            continue
        (at, votes), (then, more) = paper.looks[i], paper.looks[i + 1]
        if at - paper.listed_at <= 14 * HOUR and 12 * HOUR <= then - at <= 36 * HOUR:
            cases.append(Case(name, paper.listed_at, ((at, votes),), (False,), False))
            gains.append(((at - paper.listed_at) / HOUR, more - votes))
    return _marked(cases, labels.risers(gains))


def _marked(cases: Sequence[Case], right: Sequence[bool]) -> list[Case]:
    return [
        case._replace(hits=(yes,), positive=yes) for case, yes in zip(cases, right, strict=True)
    ]


def story_cases(stories: Mapping[str, Followed], since: int, until: int) -> tuple[list[Case], ...]:
    """Stories listed in a span and followed for a day: as winners, and as risers."""
    followed = {
        name: story
        for name, story in stories.items()
        if since <= story.listed_at < until
        and story.looks[0][0] - story.listed_at < 4 * HOUR
        and story.looks[-1][0] - story.listed_at > 24 * HOUR
    }
    cut = labels.quantile([story.looks[-1][1] for story in followed.values()], 0.9)
    rising = labels.story_risers(followed)
    winners, risers = [], []
    for name, story in followed.items():
        wins = story.looks[-1][1] >= cut
        crosses = next((at for at, votes in story.looks if votes >= cut), None) if wins else None
        case = Case(name, story.listed_at, story.looks, (wins,) * len(story.looks), wins)
        winners.append(case._replace(crosses_at=crosses))
        risers.append(case._replace(hits=tuple(rising[name]), positive=any(rising[name])))
    return winners, risers


def order_rows(papers: Mapping[str, Followed]) -> list[Row]:
    """The order of the daily page as rows without counts."""
    return [
        Row(
            paper_id=name,
            observed_at=order.at,
            listed_at=papers[name].listed_at,
            rank=place,
            page_size=len(order.papers),
        )
        for order in load_orders()
        for place, name in enumerate(order.papers, 1)
        if name in papers
    ]


def between(cases: Sequence[Case], since: str, until: str) -> list[Case]:
    return [case for case in cases if unix(since) <= case.listed_at < unix(until)]


# --- tables --------------------------------------------------------------------------------


class Task(NamedTuple):
    """One table: the periods to judge, what to learn from, the anchors."""

    title: str
    periods: Sequence[Period]
    papers: Mapping[str, Followed]
    rates: Mapping[str, anchors.Score]
    shape: float
    width: Width
    orders: Sequence[Row] = ()


def past_of(task: Task, latest: int) -> Callable[[int], anchors.Past]:
    """What was learnt before the Monday of a look, but at least all before the split."""
    kept: dict[int, anchors.Past] = {}

    def past_at(at: int) -> anchors.Past:
        before = max(growth.monday(at), latest)
        if before not in kept:
            kept[before] = anchors.learn(task.papers.values(), before, task.width)
        return kept[before]

    return past_at


def anchor_results(task: Task, rate: anchors.Score) -> tuple[list[float], list[list[Told]]]:
    needs, results = [], []
    for period in task.periods:
        stories = task.shape == STORY_SHAPE
        past_at = past_of(task, period.since if stories else 0)
        need = choose(scored_with(period.earlier, past_at, task.shape), rate)
        later = scored_with(period.later, past_at, task.shape)
        needs.append(need)
        results.append(tell(period.later, first_alerts(later, rate, need)))
    return needs, results


def percentile_results(task: Task) -> tuple[list[float], list[list[Told]]]:
    """The place on the daily page in the eight hours after the count."""
    places: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in task.orders:
        part = 1 - (row.rank or 0) / (row.page_size or 1)
        places[row.paper_id].append((row.observed_at, part))

    def alerts(cases: Sequence[Case], need: float) -> dict[str, int]:
        found: dict[str, int] = {}
        for case in cases:
            seen = case.looks[0][0]
            for at, part in sorted(places[case.name]):
                if seen < at <= seen + 8 * HOUR and part >= need:
                    found.setdefault(case.name, at)
        return found

    def best(cases: Sequence[Case]) -> float:
        steps = [0.7 + 0.01 * step for step in range(30)]
        return max(steps, key=lambda need: f1(tell(cases, alerts(cases, need))))

    needs = [best(period.earlier) for period in task.periods]
    told = [
        tell(period.later, alerts(period.later, need))
        for period, need in zip(task.periods, needs, strict=True)
    ]
    return needs, told


def our_results(task: Task, min_multiplier: float) -> list[list[Told]]:
    return [
        tell(
            period.later,
            shipped(period.later, task.papers, orders=task.orders, min_multiplier=min_multiplier),
        )
        for period in task.periods
    ]


def show(task: Task) -> None:
    later = [case for period in task.periods for case in period.later]
    print(f"\n### {task.title}\n")
    print(f"{len(later)} judged, {sum(case.positive for case in later)} to find.\n")
    print("| detector | P | R | F1 | each period | top 20 % | lead | alerts/day | ours − theirs |")
    print("|---|---|---|---|---|---|---|---|---|")
    ours = our_results(task, growth.RISING_MULTIPLIER)
    line(OURS, ours, None)
    for name, rate in task.rates.items():
        needs, results = anchor_results(task, rate)
        line(f"{name} ({', '.join(f'{need:.3g}' for need in needs)})", results, ours)
    if task.orders:
        needs, results = percentile_results(task)
        named = ", ".join(f"{need:.2f}" for need in needs)
        line(f"place on the page ≥ t ({named})", results, ours)
    print("\n| min_multiplier | P | R | F1 | top 20 % | lead | alerts/day |")
    print("|---|---|---|---|---|---|---|")
    for step in MULTIPLIERS:
        found = score([one for told in our_results(task, step) for one in told])
        print(f"| {step:g} | {cells(found)} |")


def cells(found: Score) -> str:
    lead = "–" if found.lead_h is None else f"{found.lead_h:.1f} h"
    top20 = f"{found.top20:.2f}" if found.top20 else "–"
    return (
        f"{found.precision:.2f} | {found.recall:.2f} | {found.f1:.3f} | {top20} | {lead}"
        f" | {found.alerts:.1f}"
    )


def line(name: str, results: list[list[Told]], ours: list[list[Told]] | None) -> None:
    pooled = [one for told in results for one in told]
    each = " ".join(f"{f1(told):.2f}" for told in results)
    front, back = cells(score(pooled)).split(" | ", 3)[:3], cells(score(pooled)).split(" | ", 3)[3]
    gap = "–"
    if ours is not None:
        mine = [one for told in ours for one in told]
        low, high = difference(mine, pooled)
        gap = f"{f1(mine) - f1(pooled):+.3f} ({low:+.3f} … {high:+.3f})"
    print(f"| {name} | {' | '.join(front)} | {each} | {back} | {gap} |")


def paper_tasks() -> list[Task]:
    papers = load_papers()
    winners = winner_cases(papers)
    orders = order_rows(papers)
    splits = (
        ("2025-11-24", "2026-01-01", "2026-02-01"),
        ("2025-11-24", "2026-02-01", "2026-02-23"),
        ("2025-11-24", "2026-02-23", "2026-03-18"),
    )

    def periods(cases: Sequence[Case]) -> list[Period]:
        return [
            Period(between(cases, first, split), between(cases, split, last), unix(split))
            for first, split, last in splits
        ]

    risers = riser_cases(papers)
    next_day = [
        Period(between(risers, "2026-05-11", split), between(risers, split, last), unix(split))
        for split, last in (("2026-06-01", "2026-06-15"), ("2026-06-15", "2026-07-01"))
    ]
    late = late_riser_cases(winners, papers)
    some = {name: anchors.PAPERS[name] for name in list(anchors.PAPERS)[:1]}
    some |= {name: anchors.PAPERS[name] for name in list(anchors.PAPERS)[3:]}
    common = (PAPER_SHAPE, PAPER_WIDTH)
    return [
        Task("Papers, winners, one look", periods(winners), papers, anchors.PAPERS, *common),
        Task(
            "Papers, winners, one look and the page's order in the 8 hours after it",
            *(periods(winners), papers, some, *common, orders),
        ),
        Task("Papers, risers by the next day, one look", next_day, papers, anchors.PAPERS, *common),
        Task(
            "Papers, risers until the end, one look (a stand-in on more data)",
            *(periods(late), papers, some, *common),
        ),
        Task(
            "Papers, risers until the end, with the page's order",
            *(periods(late), papers, some, *common, orders),
        ),
    ]


def story_tasks() -> list[Task]:
    stories = load_stories()
    spans = (("2026-04-22", "2026-04-24"), ("2026-04-24", "2026-04-26"))
    winners, risers = [], []
    for split, last in spans:
        earlier = story_cases(stories, unix("2026-04-20"), unix(split))
        later = story_cases(stories, unix(split), unix(last))
        winners.append(Period(earlier[0], later[0], unix(split)))
        risers.append(Period(earlier[1], later[1], unix(split)))
    rest = (stories, anchors.STORIES, STORY_SHAPE, STORY_WIDTH)
    return [
        Task("Stories, winners, looks every 1.2 h", winners, *rest),
        Task("Stories, risers, judged at the first alert", risers, *rest),
    ]


def main() -> None:
    require_series(SERIES)
    begun = time.perf_counter()
    for task in [*paper_tasks(), *story_tasks()]:
        show(task)
    print(f"\n{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
