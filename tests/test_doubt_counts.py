"""Counts that fell or leapt all at once, on a page of the same papers in the same order."""

import pytest

from tests.snapshots import NOW, card, hours, snapshot
from watcher.doubt import contradictions, reference_of


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
