"""How votes grow with age: the baseline, the rise statistic, the signals."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher import growth
from watcher.growth import DAY, HOUR, PRIOR, WEEK, Baseline
from watcher.model import History, Look, Place

NOW = 1_790_000_000


def history(*looks: tuple[float, int | None], listed_h: float | None = 10.0) -> History:
    """A history from ``(hours ago, upvotes)``, listed so many hours ago."""
    return History(
        listed_at=None if listed_h is None else NOW - int(listed_h * HOUR),
        listed_exact=True,
        first_seen_at=NOW - WEEK,
        looks=tuple(Look(at=NOW - int(ago * HOUR), source=1, upvotes=v) for ago, v in looks),
    )


@given(st.integers(0, 5_000), st.floats(0.1, 500), st.floats(0.05, 2))
def test_the_lower_bound_grows_with_votes_and_stays_below_the_multiplier_of_a_big_paper(
    votes: int, usual: float, shape: float
) -> None:
    low = growth.lower_bound(votes, usual, shape)
    assert 0 <= low <= growth.lower_bound(votes + 1, usual, shape)
    if votes > usual:
        assert low < votes / usual


@given(st.floats(0, 167.9), st.floats(0.5, 10))
def test_votes_needed_is_the_smallest_count_whose_lower_bound_reaches_the_multiplier(
    age_h: float, wanted: float
) -> None:
    needed = growth.votes_needed(PRIOR, age_h, wanted)
    usual = PRIOR.expected(age_h)
    assert needed is not None
    assert usual is not None
    assert growth.lower_bound(needed, usual, PRIOR.shape) >= wanted
    assert growth.lower_bound(needed - 1, usual, PRIOR.shape) < wanted


def test_the_bound_that_is_shown_and_the_votes_that_are_needed_are_those_of_one_age() -> None:
    """Also where seconds become a little less on their way through hours, as 3,900 do."""
    for age_s in range(0, WEEK, 300):
        needed = growth.bar(PRIOR, 2.0).needed(age_s)
        usual = PRIOR.expected(age_s / HOUR)
        assert needed is not None
        assert usual is not None
        assert growth.lower_bound(needed, usual, PRIOR.shape) >= 2.0, age_s
        assert growth.lower_bound(needed - 1, usual, PRIOR.shape) < 2.0, age_s


@pytest.mark.parametrize("age_h", [-0.1, 168.0, 5_000.0])
def test_outside_the_seven_days_nothing_is_usual(age_h: float) -> None:
    assert PRIOR.expected(age_h) is None
    assert growth.votes_needed(PRIOR, age_h, 2.0) is None


def test_monday_is_the_last_one_at_midnight_utc() -> None:
    monday = 1_789_948_800  # 2026-09-21 00:00 UTC
    assert growth.monday(monday) == monday
    assert growth.monday(monday - 1) == monday - WEEK
    assert growth.monday(monday + 5 * DAY) == monday


def test_nothing_learnt_is_the_shipped_prior() -> None:
    assert growth.learn([], NOW) is PRIOR


def test_a_look_from_the_future_changes_no_baseline() -> None:
    past = [(NOW - 3 * DAY, ((NOW - 2 * DAY, 30),))]
    later = [(NOW - 3 * DAY, ((NOW - 2 * DAY, 30), (NOW, 9_000)))]
    assert growth.learn(past, NOW) == growth.learn(later, NOW)


def test_a_baseline_survives_json() -> None:
    learnt = growth.learn([(NOW - 3 * DAY, ((NOW - 2 * DAY, 30),))], NOW)
    assert msgspec.json.decode(msgspec.json.encode(learnt), type=Baseline) == learnt


def test_many_papers_outweigh_the_prior() -> None:
    looks = tuple((NOW - 3 * DAY + h * HOUR, 10 * h) for h in range(60))
    learnt = growth.learn([(NOW - 3 * DAY, looks)] * 2_000, NOW)
    mean = 200 * growth.usual_part(learnt.shape)
    assert learnt.expected(20) == pytest.approx(mean, rel=0.1)


def test_where_few_papers_take_nearly_all_votes_more_is_usual_than_the_mean() -> None:
    def population(counts: list[int]) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
        looks = [tuple((NOW - 3 * DAY + h * HOUR, v) for h in (4, 60)) for v in counts]
        return [(NOW - 3 * DAY, one) for one in looks * 40]

    even = growth.learn(population([8, 9, 10, 11, 12]), NOW)
    uneven = growth.learn(population([0, 0, 0, 0, 50]), NOW)
    assert uneven.shape < even.shape
    assert uneven.expected(24) == pytest.approx(10 * growth.usual_part(uneven.shape), rel=0.15)
    assert uneven.expected(24) > even.expected(24) * 1.5  # type: ignore[operator]


def test_with_few_papers_the_prior_fills_in_at_their_level() -> None:
    few = [(NOW - 3 * DAY, ((NOW - 3 * DAY + 6 * HOUR, 100),))] * 60
    learnt = growth.learn(few, NOW)
    late, early = learnt.expected(150), learnt.expected(6)
    prior_late, prior_early = PRIOR.expected(150), PRIOR.expected(6)
    assert late is not None
    assert prior_late is not None
    assert late > 2 * prior_late
    assert learnt.papers == 60
    assert early is not None
    assert prior_early is not None
    assert early > prior_early


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 200), st.integers(0, 5_000)), min_size=1, max_size=5),
        max_size=8,
    )
)
def test_a_learnt_baseline_never_falls_and_is_never_zero(
    papers: list[list[tuple[int, int]]],
) -> None:
    listed = NOW - 10 * DAY
    series = [(listed, sorted((listed + h * HOUR, v) for h, v in looks)) for looks in papers]
    learnt = growth.learn(series, NOW)
    assert all(0 < a <= b for a, b in zip(learnt.usual, learnt.usual[1:], strict=False))
    assert learnt == growth.learn(list(series), NOW)


def test_only_papers_listed_in_the_last_eight_weeks_teach() -> None:
    listed = NOW - 9 * WEEK
    assert growth.learn([(listed, ((listed + HOUR, 900),))], NOW) is PRIOR


def test_looks_before_the_listing_or_after_the_seven_days_teach_nothing() -> None:
    listed = NOW - 20 * DAY
    looks = ((listed - HOUR, 900), (listed + 8 * DAY, 900))
    assert growth.learn([(listed, looks)], NOW) is PRIOR


def test_a_count_that_stood_still_is_known_all_the_time_one_that_moved_near_its_looks() -> None:
    listed = NOW - 8 * DAY

    def weight(*looks: tuple[int, int]) -> float:
        series = [(listed, tuple((listed + h * HOUR, v) for h, v in looks))]
        return growth.sums_by_age(series, [75.0], NOW)[0].papers

    assert weight((0, 0), (1, 50), (150, 50)) == 1.0
    assert weight((0, 50), (1, 0), (150, 50)) == 0.0
    assert weight((0, 50), (1, 0), (76, 50)) > 0.9


def test_the_wilson_hilferty_bound_is_within_one_percent_of_the_gamma_quantile() -> None:
    # 5 % quantiles of Gamma(k, 1) from tables of chi square with 2k degrees of freedom.
    for k, exact in ((5, 1.9701), (10, 5.4254), (25, 17.3821), (50, 38.9647)):
        bound = growth.lower_bound(k - 0.5, 0.5, 0.5)
        assert bound == pytest.approx(exact, rel=0.01)


def test_signals_read_the_highest_of_the_last_hour_else_the_latest() -> None:
    got = growth.signals(history((5, 90), (0.5, 40), (0.1, 38)), NOW, baseline=PRIOR)
    assert got.upvotes == 40
    got = growth.signals(history((9, 90), (5, 38)), NOW, baseline=PRIOR)
    assert got.upvotes == 38


def test_a_look_from_the_future_changes_no_signal() -> None:
    seen = growth.signals(history((5, 20)), NOW, baseline=PRIOR)
    assert growth.signals(history((5, 20), (-1, 500)), NOW, baseline=PRIOR) == seen


def test_without_a_listing_the_multiplier_is_unknown() -> None:
    got = growth.signals(history((5, 20), listed_h=None), NOW, baseline=PRIOR)
    assert (got.age_h, got.multiplier, got.lower_bound) == (None, None, None)
    assert got.upvotes == 20


def test_the_gain_of_a_day_is_unknown_when_nothing_was_known_a_day_ago() -> None:
    old = history((5, 20), listed_h=100)
    assert growth.signals(old, NOW, baseline=PRIOR).gain_day is None
    known = history((30, 12), (5, 20), listed_h=100)
    assert growth.signals(known, NOW, baseline=PRIOR).gain_day == 8


@pytest.mark.parametrize(
    ("ranks", "entered"),
    [
        ([30, 4], 4),
        ([12, 9], None),
        ([18, 10], None),
        ([19, 10], 10),
        ([4], None),
        ([30, 11], None),
    ],
)
def test_entering_the_top_ten_from_below_needs_more_than_the_noise_of_ranks(
    ranks: list[int], entered: int | None
) -> None:
    places = tuple(
        Place(at=NOW - HOUR * (len(ranks) - i), source=7, rank=r, page_size=50)
        for i, r in enumerate(ranks)
    )
    seen = History(listed_at=None, listed_exact=False, first_seen_at=NOW, places=places)
    got = growth.signals(seen, NOW, baseline=PRIOR, trending=frozenset({7}))
    assert got.entered_top == entered
    assert growth.signals(seen, NOW, baseline=PRIOR).entered_top is None


def test_an_inexact_listing_is_judged_by_the_oldest_age_it_may_have():
    day = 20_000 * growth.DAY
    seen = day + 19 * growth.HOUR
    looks = (Look(at=seen, source=1, upvotes=40),)

    def at_first_sight(exact):
        history = History(listed_at=seen, listed_exact=exact, first_seen_at=seen, looks=looks)
        return growth.signals(history, seen, baseline=growth.PRIOR)

    vague, exact = at_first_sight(False), at_first_sight(True)
    assert vague.age_h == exact.age_h == 0
    assert vague.multiplier < 3 < exact.multiplier
    assert vague.multiplier == 40 / growth.PRIOR.expected(19.0)


def look(ago: float, upvotes: int, source: int) -> Look:
    return Look(at=NOW - int(ago * HOUR), source=source, upvotes=upvotes)


def test_a_source_that_lags_behind_another_gains_nothing_by_catching_up() -> None:
    """Trending has shown 50 all the time (stored once), an API goes from 40 to 44 and 46."""
    looks = (look(90, 50, 1), look(50, 40, 2), look(26, 44, 2))
    assert growth.count_at(looks, NOW - DAY) == 44
    assert growth.held_at(looks, NOW - DAY) == 50
    whole = msgspec.structs.replace(history(listed_h=100), looks=(*looks, look(0, 49, 2)))
    assert growth.signals(whole, NOW, baseline=PRIOR).gain_day == -1


def test_a_count_of_long_ago_holds_only_where_there_is_no_other() -> None:
    looks = (look(400, 90, 1), look(30, 40, 2))
    assert growth.held_at(looks, NOW - DAY) == 40
    assert growth.held_at(looks[:1], NOW - DAY) == 90
    assert growth.held_at((), NOW) is None
