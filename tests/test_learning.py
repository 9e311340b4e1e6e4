"""What is learnt from the records: the usual votes of each week, the thresholds of budgets."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.snapshots import card, snapshot
from watcher import learning
from watcher.clock import to_unix
from watcher.growth import PRIOR, Baseline
from watcher.model import Card, Change, PageKind
from watcher.rules import Rule, compile_rule
from watcher.store import Records, open_records

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def learnt(path, *looks: tuple[int, int]) -> Baseline:
    """The baseline of the Monday, from papers listed two weeks before it that all had
    ``(hours after the listing, upvotes)``."""
    listed = MONDAY - timedelta(days=14)
    with open_records(path, create=True, migrate=True) as records:
        source = records.sources.id_of("daily")
        for age_h, upvotes in looks:
            cards = (card(n, upvotes=upvotes, listed_at=listed) for n in range(1, 31))
            page = snapshot(*cards, at=listed + timedelta(hours=age_h))
            records.papers.meet(source, page)
        return learning.baseline_at(records, to_unix(MONDAY))


def test_a_vote_after_the_week_does_not_take_a_paper_out_of_the_usual_of_its_last_days(tmp_path):
    """Only changes are stored: the count of the second day held until the seventh."""
    still = learnt(tmp_path / "still.db", (1, 5), (48, 20))
    moved = learnt(tmp_path / "moved.db", (1, 5), (48, 20), (9 * 24, 21))
    assert moved == still


# --- budgets ----------------------------------------------------------------------------------


def thresholds(records: Records, rule: Rule, now: datetime) -> tuple[int, float]:
    """Votes for ``new`` and the multiplier for ``rising``, as a budget has them that day."""
    zone = ZoneInfo("UTC")
    (today,) = learning.rules_at(records, [rule], now=now, zone=zone, baseline=PRIOR, keep=False)
    return today.new_upvotes, today.min_multiplier


def test_a_budget_begins_with_the_papers_of_its_days_not_with_all_that_stood_there(tmp_path):
    """Fifty big papers of the weeks before are known at the first look; after it two a day come."""
    began = MONDAY - timedelta(days=3)
    with open_records(tmp_path / "w.db", create=True, migrate=True) as records:
        source = records.sources.id_of("trending")

        def visit(at: datetime, *cards: Card) -> None:
            page = snapshot(*cards, at=at, kind=PageKind.TRENDING)
            records.papers.meet(source, page)
            records.sources.succeed(source, at)

        visit(began, *(card(n, upvotes=300 + n, listed_at=began) for n in range(1, 51)))
        for n in range(6):
            at = began + timedelta(hours=12 * n + 1)
            visit(at, card(101 + n, upvotes=10 + n, listed_at=at))
        rule = compile_rule("one", budget=1, events=[Change.NEW])
        assert thresholds(records, rule, MONDAY) == (13, 2.0)
        told = compile_rule("told", budget=1, events=[Change.NEW], tell_known=True)
        assert thresholds(records, told, MONDAY)[0] > 300


def test_a_budget_counts_the_papers_that_a_query_for_age_wanted_in_their_time(tmp_path):
    """Two papers a day, each of which gets its votes within ten hours and more after two days."""
    with open_records(tmp_path / "w.db", create=True, migrate=True) as records:
        source = records.sources.id_of("daily")
        for n in range(20):
            listed = MONDAY - timedelta(days=12) + timedelta(hours=12 * n)
            for age_h, votes in ((1, 1), (10, 10 + n), (50, 100)):
                page = snapshot(
                    card(n, upvotes=votes, listed_at=listed), at=listed + timedelta(hours=age_h)
                )
                records.papers.meet(source, page)
        young = compile_rule("young", query="age:<36h", budget=0.5, events=[Change.NEW])
        assert thresholds(records, young, MONDAY) == (25, 2.0)
        old = compile_rule("old", query="age:>4d", budget=0.5, events=[Change.NEW])
        assert thresholds(records, old, MONDAY)[0] == 100
