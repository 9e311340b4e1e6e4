"""Counts that fell or leapt all at once, on a page of the same papers in the same order."""

from datetime import UTC, datetime

import pytest

from tests.snapshots import NOW, card, hours, snapshot
from watcher.doubt import contradictions, reference_of
from watcher.model import PageKind


def page(turn, **counts):
    cards = [card(n, **{"upvotes": 40 + n, "stars": 500 + n, **counts}) for n in range(1, 11)]
    return snapshot(*cards, at=NOW + hours(turn))


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, ()),
        ({"upvotes": 41}, ()),
        ({"stars": 0}, ("stars of 10 of 10 papers fell since 60 min ago",)),
        ({"stars": 500_000}, ("stars of 10 of 10 papers leapt up since 60 min ago",)),
        ({"upvotes": 0}, ("upvotes of 10 of 10 papers fell since 60 min ago",)),
        ({"upvotes": 2**40}, ("upvotes of 10 of 10 papers leapt up since 60 min ago",)),
        ({"stars": None}, ()),
    ],
)
def test_each_kind_of_count_is_held_against_the_last_page(counts, said):
    assert contradictions(page(1, **counts), reference_of(page(0))) == said


def test_counts_that_nobody_could_have_are_kept_as_far_as_they_go():
    odd = reference_of(page(0, upvotes=-(2**40), stars=2**70))
    assert set(odd.upvotes) == {-1}
    assert set(odd.stars) == {2**31 - 1}


@pytest.mark.parametrize(
    ("kind", "day", "hour", "may_change"),
    [
        (PageKind.DAILY, (2026, 11, 17), 23, True),
        (PageKind.DAILY, (2026, 11, 17), 12, False),
        (PageKind.WEEK, (2026, 11, 15), 23, True),  # a Sunday
        (PageKind.WEEK, (2026, 11, 16), 23, False),
        (PageKind.WEEK, (2026, 12, 31), 23, False),  # the week goes on into the next year
        (PageKind.MONTH, (2026, 10, 31), 23, True),
        (PageKind.MONTH, (2026, 11, 15), 23, False),
        (PageKind.TRENDING, (2026, 10, 31), 23, False),
    ],
)
def test_a_list_shows_other_papers_when_its_day_week_or_month_is_another(
    kind, day, hour, may_change
):
    at = datetime(*day, hour, tzinfo=UTC)
    early, late = ([card(n, listed_on=None) for n in range(i, i + 10)] for i in (1, 11))
    before = snapshot(*early, at=at, kind=kind)
    after = snapshot(*late, at=at + hours(2), kind=kind)
    doubts = contradictions(after, reference_of(before))
    assert doubts == (() if may_change else ("it shows 0 of the 10 papers that it showed 2 h ago",))


@pytest.mark.parametrize(
    ("shown", "missing", "said"),
    [
        (10, 0, ()),
        (10, 4, ()),
        (10, 5, ("5 of 10 papers among the cards are not in the island",)),
        (25, 5, ()),  # a fifth may be
        (24, 5, ("5 of 24 papers among the cards are not in the island",)),
    ],
)
def test_an_island_that_lacks_what_people_see_is_not_judged(shown, missing, said):
    cards = [card(n) for n in range(1, shown + 1)]
    assert contradictions(snapshot(*cards[missing:]), None, snapshot(*cards)) == said
    assert contradictions(snapshot(*cards), None, snapshot(*cards[missing:])) == ()
