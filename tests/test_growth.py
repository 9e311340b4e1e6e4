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
