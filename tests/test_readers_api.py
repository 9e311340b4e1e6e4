"""Answers of the JSON API, of every generation, and what collectors made of them."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests import pages
from tests.pages import Fake
from watcher import readers
from watcher.errors import ParseError
from watcher.model import PageKind, ReaderName, Snapshot

AT = datetime(2026, 10, 6, 12, tzinfo=UTC)
ONE = Fake()
TWO = Fake(id="2610.04321", title="Quiet Engines", upvotes=7, github=None, organization=None)


def read(answer: Any, url: str | None = None) -> Snapshot:
    body = answer if isinstance(answer, bytes) else pages.api(answer)
    snapshot = readers.parse(body, url=url, at=AT)
    assert snapshot.reader is ReaderName.API
    return snapshot


def test_a_young_answer_gives_what_the_island_gives() -> None:
    by_api = read([pages.item_2026(ONE), pages.item_2026(TWO)])
    by_island = readers.parse(pages.trending([ONE, TWO]), at=AT)
    assert by_api.cards == by_island.cards
    assert by_api.shows == by_island.shows
    assert (by_api.kind, by_api.listed_on) == (PageKind.DAILY, date(2026, 10, 5))


def test_an_answer_of_spring_2024_has_a_media_url_and_no_submitter() -> None:
    item = pages.item_2024(ONE.but(submitter=None), discussion=False)
    item["mediaUrl"] = item.pop("thumbnail")
    snapshot = read([item])
    assert snapshot.cards[0].thumbnail == ONE.thumbnail
    assert not snapshot.shows & {"submitted_by", "listed_at", "github", "stars", "organization"}
    assert "thumbnail" in snapshot.shows


def test_the_day_of_an_old_answer_comes_from_the_address_only() -> None:
    item = pages.item_2024(ONE.but(opened=datetime(2024, 8, 1, 4, tzinfo=UTC)))
    assert read([item]).cards[0].listed_on is None
    snapshot = read([item], "https://huggingface.co/api/daily_papers?date=2024-08-01")
    assert snapshot.listed_on == date(2024, 8, 1)
    assert snapshot.cards[0].listed_at == datetime(2024, 8, 1, 4, tzinfo=UTC)


def test_the_organization_had_another_name_for_four_days() -> None:
    item = pages.item_2024(ONE)
    item["submitterOrganization"] = {"name": "slow", "fullname": "Institute of Slow Things"}
    assert read([item]).cards[0].organization == "Institute of Slow Things"


def test_papers_of_several_days_are_no_daily_list() -> None:
    other = TWO.but(submitted=datetime(2026, 10, 1, tzinfo=UTC))
    snapshot = read([pages.item_2026(ONE), pages.item_2026(other)])
    assert (snapshot.kind, snapshot.listed_on) == (None, None)
    search = "https://huggingface.co/api/papers/search?q=moons"
    snapshot = read([pages.item_2026(ONE), pages.item_2026(other)], search)
    assert (snapshot.kind, snapshot.query) == (PageKind.SEARCH, "moons")


def test_flat_papers_without_the_outer_object_are_read_too() -> None:
    flat, full = pages.item_2026(ONE)["paper"], pages.item_2026(TWO)
    snapshot = read([flat, full])
    assert [card.paper_id for card in snapshot.cards] == [ONE.id, TWO.id]
    assert snapshot.cards[0].stars == 3294


def test_a_single_paper_is_one_card_without_a_rank() -> None:
    snapshot = read(pages.item_2026(ONE)["paper"], f"https://huggingface.co/api/papers/{ONE.id}")
    assert (snapshot.kind, snapshot.cards[0].rank) == (PageKind.PAPER, None)
    assert "comments" not in snapshot.shows


@pytest.mark.parametrize("name", ["data", "papers", "results", "dailyPapers", "searchResults"])
def test_a_list_inside_an_object_is_found_with_its_day(name: str) -> None:
    item = pages.item_2024(ONE)
    snapshot = read({"status": "ok", "date": "2024-08-01", "count": 1, name: [item]})
    assert snapshot.cards[0].paper_id == ONE.id
    assert snapshot.cards[0].listed_on == date(2024, 8, 1)


def test_an_empty_answer_is_an_empty_list() -> None:
    assert read([]).cards == ()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"error": "Rate limited"}, "Rate limited"),
        ({"message": "no such date"}, "no such date"),
        ({"status": "ok"}, "without a list of papers"),
        ({"data": "nothing"}, "without a list of papers"),
        ([str(pages.item_2024(ONE)), str(pages.item_2024(TWO))], "list of texts"),
        ({"data": [str(pages.item_2024(ONE))]}, "list of texts"),
        ([1, 2, 3], "no paper of the answer"),
        ([{"paper": {}}], "no paper of the answer"),
        ([[]], "no paper of the answer"),
    ],
)
def test_what_is_no_list_of_papers_is_refused_by_name(answer: Any, said: str) -> None:
    with pytest.raises(ParseError, match=said):
        read(answer)


def test_a_list_of_other_things_is_no_list_of_papers() -> None:
    issues = [{"id": n, "title": f"Issue {n}", "state": "open"} for n in range(3)]
    with pytest.raises(ParseError, match="no list of papers"):
        read(issues)


def test_at_dawn_no_summary_is_written_yet_and_the_field_is_shown_all_the_same() -> None:
    young = {"ai_summary": None, "keywords": (), "github": None, "project": None}
    young |= {"organization": None, "stars": None}
    snapshot = read([pages.item_2026(ONE.but(**young)), pages.item_2026(TWO.but(**young))])
    assert {card.ai_summary for card in snapshot.cards} == {None}
    assert {"ai_summary", "keywords", "organization"} <= snapshot.shows


def test_a_cut_answer_is_never_a_short_list() -> None:
    body = pages.api([pages.item_2026(fake) for fake in pages.fakes(6)])
    for cut in range(2, len(body), 499):
        with pytest.raises(ParseError, match="cut off"):
            readers.parse(body[:cut], at=AT)


@pytest.mark.parametrize("odd", [None, 5, "x", {"paper": 1}, {"paper": {"title": 7}}])
def test_one_odd_item_is_a_warning(odd: object) -> None:
    snapshot = read([pages.item_2026(ONE), odd, pages.item_2026(TWO)])
    assert [card.paper_id for card in snapshot.cards] == [ONE.id, TWO.id]
    assert any(warning.startswith("item 2") for warning in snapshot.warnings)


def test_many_odd_items_give_few_warnings() -> None:
    snapshot = read([pages.item_2026(ONE)] + [{"paper": {"id": i}} for i in range(500)])
    assert len(snapshot.cards) == 1
    assert len(snapshot.warnings) <= readers.WARNINGS_LIMIT + 1
    assert "480 more warnings" in snapshot.warnings[-1]


def test_half_an_emoji_in_an_answer_is_replaced() -> None:
    body = pages.api([pages.item_2026(ONE.but(title="Half XX"))]).replace(b"XX", b"\\ud83d")
    snapshot = read(body)
    assert snapshot.cards[0].title == "Half \ufffd"
    assert "broken characters" in snapshot.warnings[0]


def test_an_answer_may_carry_a_byte_order_mark_and_another_encoding() -> None:
    text = json.dumps([pages.item_2026(ONE.but(title="Schöne Monde"))], ensure_ascii=False)
    for body in (
        b"\xef\xbb\xbf" + text.encode(),
        text.encode("utf-16"),
        text.encode("utf-16-le"),
        text.encode("latin-1"),
    ):
        assert read(body).cards[0].title == "Schöne Monde"
