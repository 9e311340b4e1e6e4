"""What is learnt from the records: the usual votes of each week."""

from datetime import UTC, datetime, timedelta

from tests.snapshots import card, snapshot
from watcher import learning
from watcher.clock import to_unix
from watcher.growth import Baseline
from watcher.store import open_records

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
