"""Pages written a little otherwise than usual: nothing is lost, nothing is misread."""

import re
from datetime import UTC, date, datetime

import pytest

from tests import pages
from watcher import readers
from watcher.model import PageKind, ReaderName

AT = datetime(2026, 10, 6, 12, tzinfo=UTC)
DAY = date(2026, 10, 5)
ONE = pages.fakes(1)[0].but(ai_summary="Moons, in short.")
DECOY = '<div data-target="DailyPapers" data-props="{&quot;dailyPapers&quot;:[]}"></div>'


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f"])
def test_the_thousands_of_votes_may_be_parted_by_a_space(space: str) -> None:
    body = pages.grid_2026([ONE.but(upvotes=777)], DAY).replace(b">777<", f">1{space}234<".encode())
    found = readers.parse(body, at=AT, reader=ReaderName.CARDS)
    assert found.cards[0].upvotes == 1234


@pytest.mark.parametrize(
    "written", ["2026-10-05", "2026-10-05T00:00:00", "2026-10-05T07:30:11.399", "2026-10-05 08:00"]
)
def test_a_time_of_listing_without_its_zone_tells_the_day(written: str) -> None:
    props = pages.props_trending([ONE])
    props["dailyPapers"][0]["paper"]["submittedOnDailyAt"] = written
    props["dailyPapers"][0]["paper"]["discussionId"] = None
    (card,) = readers.parse(pages.document(pages.island(props)), at=AT).cards
    assert (card.listed_at, card.listed_on) == (None, DAY)


@pytest.mark.parametrize("tag", ["template", "noscript", "xmp", "iframe", "noframes"])
@pytest.mark.parametrize("props_first", [False, True])
def test_an_island_that_no_browser_shows_is_none(tag: str, props_first: bool) -> None:
    real = pages.island(pages.props_trending([ONE]), props_first=props_first)
    body = pages.document(f"<{tag}>{DECOY}</{tag}>{real}")
    assert [card.paper_id for card in readers.parse(body, at=AT).cards] == [ONE.id]


def test_the_summary_of_a_paper_page_is_told_by_its_words_where_classes_are_others() -> None:
    body = re.sub(rb' class="[^"]*"', b"", pages.paper_page(ONE, with_island=False))
    found = readers.parse(body, at=AT)
    assert found.kind is PageKind.PAPER
    assert (found.cards[0].abstract, found.cards[0].ai_summary) == (ONE.abstract, ONE.ai_summary)
