"""The island: found wherever it stands, unescaped rightly, decoded item by item."""

import html
import json
import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import pages
from tests.pages import Fake
from watcher import readers
from watcher.errors import ParseError
from watcher.model import Card, PageKind, ReaderName, Snapshot
from watcher.readers import tag as island_tag

AT = datetime(2026, 10, 6, 12, tzinfo=UTC)
ONE = Fake()
TWO = Fake(id="2610.04321", title="Quiet Engines", upvotes=7, github=None, organization=None)


def read(body: bytes, url: str | None = None) -> Snapshot:
    return readers.parse(body, url=url, at=AT, reader=ReaderName.ISLAND)


def page_of(props: Any, **how: Any) -> bytes:
    return pages.document(pages.island(props, **how))


def test_every_field_of_a_young_item_is_read() -> None:
    assert read(pages.trending([ONE])).cards == (
        Card(
            rank=1,
            paper_id="2610.01234",
            title="Tidal Clocks: Keeping Time With Borrowed Moons",
            abstract=ONE.abstract,
            ai_summary=ONE.ai_summary,
            authors=("Ada Quill", "Bo Tern", "Cy Umber"),
            author_count=3,
            published_on=date(2026, 10, 4),
            listed_at=datetime(2026, 10, 5, 7, 30, 11, tzinfo=UTC),
            upvotes=12,
            comments=3,
            stars=3294,
            github="https://github.com/example/tidal-clocks",
            project="https://tidal.example.org/",
            organization="Institute of Slow Things",
            submitted_by="adaq",
            keywords=("clocks", "moons"),
            thumbnail="https://cdn.example.org/social/2610.01234.png",
            listed_on=date(2026, 10, 5),
        ),
    )


def test_the_order_of_the_list_is_the_rank() -> None:
    papers = pages.fakes(50)
    snapshot = read(pages.trending(papers))
    assert [card.rank for card in snapshot.cards] == list(range(1, 51))
    assert [card.paper_id for card in snapshot.cards] == [fake.id for fake in papers]
    assert [card.abstract for card in snapshot.cards] == [fake.abstract for fake in papers]
    assert snapshot.kind is PageKind.TRENDING
    assert snapshot.listed_on is None


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("props_first", [False, True])
def test_the_island_is_found_whatever_the_order_and_quotes_of_its_attributes(
    quote: str, props_first: bool
) -> None:
    fake = ONE.but(
        title='It\'s > 1 & <b>"bold"</b> data-target=x', abstract="A 'quoted' > B. " * 20
    )
    body = page_of(pages.props_trending([fake]), quote=quote, props_first=props_first)
    assert read(body).cards[0].title == fake.title
    assert read(body).cards[0].abstract == fake.abstract.strip()


@pytest.mark.parametrize(
    "tag",
    [
        "<div data-target=DailyPapers data-props='{}'>",
        "<div\n\tdata-target = \"DailyPapers\"\n data-props = '{}'\n>",
        "<DIV CLASS=x DATA-TARGET='DailyPapers' DATA-PROPS='{}'>",
        "<div data-props='{}' class=a/b data-x data-target=\"DailyPapers\"/>",
        "<div title=\"a > b <c data-target='x'\" data-target=\"DailyPapers\" data-props='{}'>",
        "<div data-target=\"DailyPapers\" data-props='{}' data-props='[]'>",
        "<section data-target=\"DailyPapers\" data-empty data-props='{}'>",
    ],
)
def test_the_tag_may_be_written_in_any_way_html_allows(tag: str) -> None:
    props = pages.escaped(pages.props_trending([ONE]), "'")
    body = pages.document(tag.replace("{}", props) + "</div>")
    assert [card.paper_id for card in read(body).cards] == [ONE.id]


@pytest.mark.parametrize(
    "decoy",
    [
        "<!-- {} -->",
        "<script>var x = '{}';</script>",
        "<textarea>{}</textarea>",
        "<p title='{}'>x</p>",
        "<p title='a = {}'>x</p>",
        '<div data-target="DailyPapersBanner" data-props="{&quot;dailyPapers&quot;:[]}"></div>',
        '<div data-target="Other" data-props="{&quot;x&quot;:&quot;DailyPapers&quot;}"></div>',
    ],
)
def test_what_only_looks_like_an_island_is_not_one(decoy: str) -> None:
    false = '<div data-target="DailyPapers" data-props="{&quot;dailyPapers&quot;:[]}"></div>'
    body = pages.document(decoy.replace("{}", false) + pages.island(pages.props_trending([ONE])))
    assert [card.paper_id for card in read(body).cards] == [ONE.id]


def test_props_before_the_target_may_hold_what_looks_like_tags() -> None:
    fake = ONE.but(abstract="We write <div class='x'> and </div> and <!-- and > in abstracts. " * 9)
    raw = json.dumps(pages.props_trending([fake])).replace("'", "&#39;")
    body = pages.document(f"<div data-props='{raw}' data-target=\"DailyPapers\"></div>")
    assert read(body).cards[0].abstract == fake.abstract.strip()


ENTITIES = st.sampled_from(
    re.findall(
        r"&\S+;",
        "&quot; &amp; &lt; &gt; &#39; &#x27; &#34; &amp;quot; &amp;amp; &eacute; &nbsp; &#8217; "
        "&#x1F600; &hellip; &amp;lt;b&amp;gt; &Aacute; &notin; &#10;",
    )
)


@given(st.lists(ENTITIES | st.text("abc {}[]:,é’😀&;#", max_size=6), max_size=30).map("".join))
@example("&amp;quot;")
@example("&amp;amp;quot; &#38;quot;")
@example("AT&T; R&D &c")
def test_entities_are_resolved_exactly_once(value: str) -> None:
    # html.unescape also takes "&copy" without its semicolon; no such name is in the alphabet.
    assert island_tag.unescape(value.encode()) == html.unescape(value)


def test_every_named_entity_of_html_is_known() -> None:
    names = [name for name in html.entities.html5 if name.endswith(";")]
    value = " ".join(f"&{name}" for name in names)
    assert island_tag.unescape(value.encode()) == " ".join(html.entities.html5[n] for n in names)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=80))
def test_any_title_survives_the_way_into_the_page_and_back(title: str) -> None:
    wanted = readers.text.clean(title, readers.text.TITLE_LIMIT)
    body = page_of(pages.props_trending([ONE.but(title=title), TWO]))
    titles = [card.title for card in read(body).cards]
    assert titles == ([wanted] if wanted else []) + [TWO.title]


def test_double_escaped_quotes_in_a_comment_page_stay_text() -> None:
    fake = ONE.but(abstract="The entity &quot; is written &amp;quot; in HTML. " * 8)
    assert read(pages.trending([fake])).cards[0].abstract == fake.abstract.strip()
    assert read(pages.paper_page(fake)).cards[0].abstract == fake.abstract.strip()


def test_backslashes_of_stripped_formulas_survive() -> None:
    fake = ONE.but(abstract='We save \\8.75-13.50 and reach 30\\% of "all".\nNew line.')
    card = read(pages.trending([fake])).cards[0]
    assert card.abstract == 'We save \\8.75-13.50 and reach 30\\% of "all". New line.'


# --- kinds ---------------------------------------------------------------------------------


def test_on_a_search_page_only_the_results_count() -> None:
    snapshot = read(pages.search("two moons", [TWO], daily=pages.fakes(20)))
    assert [card.paper_id for card in snapshot.cards] == [TWO.id]
    assert (snapshot.kind, snapshot.query) == (PageKind.SEARCH, "two moons")
    assert snapshot.listed_on is None


def test_a_search_without_results_has_no_papers_although_the_day_has() -> None:
    assert read(pages.search("nothing", [], daily=pages.fakes(20))).cards == ()


def test_a_search_page_whose_results_are_missing_is_an_error() -> None:
    props = pages.props_search("moons", [TWO], [ONE])
    del props["searchResults"]
    with pytest.raises(ParseError, match="searchResults"):
        read(page_of(props))


def test_results_without_a_query_are_a_search_too() -> None:
    props = pages.props_search("", [TWO], [ONE])
    snapshot = read(page_of(props))
    assert (snapshot.kind, snapshot.query) == (PageKind.SEARCH, None)
    assert [card.paper_id for card in snapshot.cards] == [TWO.id]


def test_an_empty_query_beside_empty_results_is_the_daily_page() -> None:
    props = pages.props_search("", [], [ONE])
    snapshot = read(page_of(props))
    assert (snapshot.kind, len(snapshot.cards)) == (PageKind.DAILY, 1)


@pytest.mark.parametrize(
    ("change", "url", "kind", "day"),
    [
        ({}, None, "daily", date(2026, 10, 5)),
        ({"periodType": "weekly"}, None, "week", None),
        ({"periodType": "month"}, None, "month", None),
        ({"periodType": None}, "https://huggingface.co/papers/week/2026-W40", "week", None),
        ({"periodType": 5}, None, "daily", date(2026, 10, 5)),
        ({"periodType": None, "dateString": None}, None, None, None),
        (
            {"periodType": None, "dateString": None},
            "https://huggingface.co/papers/date/2026-10-01",
            "daily",
            date(2026, 10, 1),
        ),
        ({"query": ""}, None, "daily", date(2026, 10, 5)),
        ({"query": {"q": "  "}}, None, "daily", date(2026, 10, 5)),
        ({"isTrending": True}, "https://huggingface.co/papers", "trending", None),
    ],
)
def test_the_kind_comes_from_the_props_and_then_from_the_address(
    change: dict[str, Any], url: str | None, kind: str | None, day: date | None
) -> None:
    props = pages.props_daily([ONE], date(2026, 10, 5)) | change
    snapshot = read(page_of({k: v for k, v in props.items() if v is not None}), url)
    assert (snapshot.kind, snapshot.listed_on) == (kind, day)


def test_an_old_trending_page_is_told_by_its_title() -> None:
    body = pages.trending([ONE]).replace(b"&quot;isTrending&quot;:true", b"&quot;x&quot;:1")
    assert read(body).kind is PageKind.TRENDING
    assert read(body, "https://huggingface.co/papers/week/2026-W40").kind is PageKind.WEEK


def test_an_empty_sunday_is_a_page_without_papers() -> None:
    snapshot = read(pages.grid_2024([], date(2024, 8, 4)))
    assert (snapshot.cards, snapshot.listed_on) == ((), date(2024, 8, 4))
    assert "upvotes" in snapshot.shows


def test_an_empty_trending_page_is_an_error() -> None:
    with pytest.raises(ParseError, match="no papers"):
        read(page_of(pages.props_trending([])))


# --- dates ---------------------------------------------------------------------------------

MIDNIGHT = datetime(2026, 10, 5, tzinfo=UTC)
MORNING = datetime(2026, 10, 5, 7, 30, 11, tzinfo=UTC)
EXACT = datetime(2026, 10, 5, 10, 1, 31, 399000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("submitted", "opened", "listed_at", "listed_on"),
    [
        (EXACT, MORNING, EXACT, date(2026, 10, 5)),
        (MIDNIGHT, MORNING, MORNING, date(2026, 10, 5)),
        (MIDNIGHT, datetime(2026, 10, 4, 23, 59, 59, tzinfo=UTC), None, date(2026, 10, 5)),
        (MIDNIGHT, datetime(2026, 10, 6, tzinfo=UTC), None, date(2026, 10, 5)),
        (MIDNIGHT, None, None, date(2026, 10, 5)),
        (None, MORNING, None, None),
    ],
)
def test_the_time_of_listing_is_told_only_when_a_clock_tells_it(
    submitted: datetime | None,
    opened: datetime | None,
    listed_at: datetime | None,
    listed_on: date | None,
) -> None:
    card = read(pages.trending([ONE.but(submitted=submitted, opened=opened)])).cards[0]
    assert (card.listed_at, card.listed_on) == (listed_at, listed_on)


def test_items_of_2024_are_listed_on_the_day_of_their_page() -> None:
    same = ONE.but(opened=datetime(2024, 8, 1, 4, 5, 6, tzinfo=UTC))
    other = TWO.but(opened=datetime(2024, 7, 30, 4, 5, 6, tzinfo=UTC))
    cards = read(pages.grid_2024([same, other], date(2024, 8, 1))).cards
    assert [card.listed_on for card in cards] == [date(2024, 8, 1)] * 2
    assert [card.listed_at for card in cards] == [datetime(2024, 8, 1, 4, 5, 6, tzinfo=UTC), None]


def test_the_outer_clock_is_never_read() -> None:
    card = read(pages.trending([ONE])).cards[0]
    assert card.published_on == ONE.published  # the builder's outer clock says 2020


@pytest.mark.parametrize("odd", ["", "zz", "x" * 24, "f" * 24, "6aac97d3", None])
def test_a_discussion_id_without_a_time_tells_nothing(odd: str | None) -> None:
    props = pages.props_trending([ONE])
    props["dailyPapers"][0]["paper"]["discussionId"] = odd
    card = read(page_of(props)).cards[0]
    assert (card.listed_at, card.listed_on) == (None, date(2026, 10, 5))


# --- what is shown -------------------------------------------------------------------------

YOUNG = {"github", "project", "stars", "ai_summary", "keywords", "organization"}


def test_a_page_of_2024_does_not_show_what_was_invented_later() -> None:
    snapshot = read(pages.grid_2024([ONE, TWO]))
    assert not snapshot.shows & YOUNG
    assert {"title", "abstract", "authors", "upvotes", "comments", "thumbnail"} <= snapshot.shows


def test_a_young_page_shows_every_field_even_if_no_paper_has_it() -> None:
    bare = TWO.but(project=None, ai_summary=None, keywords=())
    snapshot = read(pages.trending([bare]))
    assert snapshot.shows >= YOUNG
    assert snapshot.cards[0].github is None


def test_the_youngest_key_of_an_answer_dates_it() -> None:
    item = pages.item_2024(ONE)
    item["paper"]["ai_keywords"] = ["clocks"]  # spring of 2025: links, but no stars yet
    snapshot = read(page_of({"dailyPapers": [item]}))
    assert {"github", "project", "keywords"} <= snapshot.shows
    assert not snapshot.shows & {"stars", "ai_summary", "organization"}


def test_fill_counts_how_many_cards_have_each_shown_field() -> None:
    fill = readers.fill(read(pages.trending([ONE, TWO])))
    assert (fill["title"], fill["github"], fill["organization"]) == (2, 1, 1)


# --- oddities ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        17,
        None,
        "a text",
        [],
        {},
        {"paper": None},
        {"paper": {"id": "2610.00009"}},
        {"paper": {"id": "2610.00009", "title": ["no"]}},
        {"paper": {"id": "2610.00009", "title": "\u200b \n"}},
    ],
)
def test_one_odd_item_is_a_warning_and_not_the_end_of_the_page(odd: object) -> None:
    props = pages.props_trending([ONE, TWO])
    props["dailyPapers"].insert(1, odd)
    snapshot = read(page_of(props))
    assert [card.paper_id for card in snapshot.cards] == [ONE.id, TWO.id]
    assert [card.rank for card in snapshot.cards] == [1, 2]
    assert any(warning.startswith("item 2") for warning in snapshot.warnings)


@pytest.mark.parametrize(
    ("key", "odd", "field"),
    [
        ("upvotes", "many", "upvotes"),
        ("upvotes", -3, "upvotes"),
        ("upvotes", 10**30, "upvotes"),
        ("githubStars", 1e99, "stars"),
        ("authors", {"name": "x"}, "authors"),
        ("ai_keywords", [1, 2], "keywords"),
        ("organization", "a text", "organization"),
        ("submittedOnDailyAt", 5, "listed_at"),
    ],
)
def test_an_odd_field_is_left_out_and_named(key: str, odd: object, field: str) -> None:
    props = pages.props_trending([ONE, TWO])
    props["dailyPapers"][0]["paper"][key] = odd
    props["dailyPapers"][0].pop("organization", None)
    first, second = read(page_of(props)).cards
    assert getattr(first, field) is None
    assert (first.title, second.paper_id) == (ONE.title, TWO.id)
    assert key in " ".join(read(page_of(props)).warnings)


def test_no_authors_are_none_and_a_nameless_one_counts() -> None:
    first, second = read(
        pages.trending(
            [ONE.but(authors=(), logins=()), TWO.but(authors=("", "B"), logins=(None,) * 2)]
        )
    ).cards
    assert (first.authors, first.author_count) == (None, None)
    assert (second.authors, second.author_count) == (("?", "B"), 2)


def test_a_paper_that_comes_twice_counts_once() -> None:
    snapshot = read(pages.trending([ONE, TWO, ONE.but(upvotes=99)]))
    assert [(card.rank, card.upvotes) for card in snapshot.cards] == [(1, 12), (2, 7)]
    assert "2610.01234" in snapshot.warnings[0]


def test_a_paper_without_an_arxiv_id_is_known_by_its_title() -> None:
    snapshot = read(pages.trending([ONE.but(id="cs/0112017")]))
    assert (snapshot.cards[0].paper_id, snapshot.cards[0].title) == (None, ONE.title)
    assert "no arXiv id" in snapshot.warnings[0]


@pytest.mark.parametrize("memo", [None, readers.Memo()])
def test_an_island_that_names_no_paper_is_read_by_its_cards(memo: readers.Memo | None) -> None:
    papers = pages.fakes(6)
    body = pages.trending(papers).replace(
        b"{&quot;id&quot;:&quot;26", b"{&quot;arxivId&quot;:&quot;26"
    )
    snapshot = readers.parse(body, at=AT, memo=memo)
    assert snapshot.reader is ReaderName.CARDS
    assert [card.paper_id for card in snapshot.cards] == [fake.id for fake in papers]
    assert "none of the island's papers has an arXiv id" in snapshot.warnings[0]
    with pytest.raises(ParseError, match="none of the island's papers has an arXiv id"):
        readers.parse(body.replace(b"article", b"section"), at=AT, memo=memo)


def test_addresses_that_are_no_web_addresses_are_dropped() -> None:
    fake = ONE.but(github="javascript:alert(1)", project="ftp://example.org", thumbnail="//x")
    card = read(pages.trending([fake])).cards[0]
    assert (card.github, card.project, card.thumbnail) == (None, None, None)


@pytest.mark.parametrize("number", ["9" * 400, "1e999", "-" + "9" * 400])
def test_numbers_beyond_all_bounds_cost_no_more_than_their_item(number: str) -> None:
    papers = pages.props_trending([ONE, TWO])
    papers["dailyPapers"][0]["paper"]["upvotes"] = "NUMBER"
    papers["dailyPapers"][1]["odd"] = "NUMBER"
    papers |= {"query": "NUMBER", "date": "NUMBER", "periodType": "NUMBER"}
    body = page_of(papers).replace(b"&quot;NUMBER&quot;", number.encode())
    snapshot = readers.parse(body, at=AT)
    assert snapshot.cards[-1].paper_id == TWO.id
    assert snapshot.warnings[0].startswith("item 1")
    body = page_of(pages.props_paper(ONE) | {"comments": "NUMBER"}, target="PaperContent")
    body = body.replace(b"&quot;NUMBER&quot;", number.encode())
    assert readers.parse(body, at=AT).cards[0].paper_id == ONE.id


def test_half_an_emoji_does_not_cost_the_page() -> None:
    body = pages.trending([ONE.but(title="Half XX an emoji"), TWO]).replace(b"XX", b"\\ud83d")
    snapshot = read(body)
    assert [card.title for card in snapshot.cards] == ["Half \ufffd an emoji", TWO.title]
    assert "broken characters" in snapshot.warnings[0]


def test_an_escaped_backslash_before_u_is_no_surrogate() -> None:
    fake = ONE.but(title="A path \\ud83d and half XX emoji")
    body = pages.trending([fake]).replace(b"XX", b"\\udc00")
    assert read(body).cards[0].title == "A path \\ud83d and half \ufffd emoji"


@pytest.mark.parametrize("raw", [b"\xff\xfe\xfd", b"\x00", b"\x01", b"\n"])
def test_broken_bytes_inside_the_island_do_not_cost_the_page(raw: bytes) -> None:
    snapshot = read(pages.trending([ONE.but(title="Odd XX bytes"), TWO]).replace(b"XX", raw))
    assert len(snapshot.cards) == 2
    assert snapshot.cards[0].title.startswith("Odd")


def test_when_no_item_can_be_read_the_page_is_an_error() -> None:
    props = pages.props_trending([ONE])
    props["dailyPapers"] = [{"thing": 1}, {"thing": 2}]
    with pytest.raises(ParseError, match="none of the island's papers"):
        read(page_of(props))


def test_an_island_cut_in_the_middle_is_never_a_short_list() -> None:
    body = pages.trending(pages.fakes(12))
    start = body.index(b"dailyPapers&quot;:[{")
    end = body.index(b"&quot;isTrending")
    for cut in range(start, end, 997):
        with pytest.raises(ParseError, match="cut off"):
            readers.parse(body[:cut], at=AT)


def test_an_island_cut_inside_its_tag_is_cut_off() -> None:
    body = pages.trending(pages.fakes(1))
    start = body.index(b'"DailyPapers" ')
    for cut in (start + 13, start + 14, start + 20, start + 26):
        with pytest.raises(ParseError, match="cut off inside its island"):
            readers.parse(body[:cut], at=AT, reader=ReaderName.ISLAND)


def test_a_page_cut_after_its_whole_island_says_so() -> None:
    body = pages.trending(pages.fakes(12))
    snapshot = readers.parse(body[: body.rindex(b"<article") + 500], at=AT)
    assert len(snapshot.cards) == 12
    assert "cut off after its island" in snapshot.warnings[0]


def test_json_cut_inside_a_whole_tag_falls_back_to_the_cards() -> None:
    papers = pages.fakes(5)
    body = re.sub(rb"(isTrend)ing[^\"]*\"", rb'\1"', pages.trending(papers))
    snapshot = readers.parse(body, at=AT)
    assert snapshot.reader is ReaderName.CARDS
    assert [card.paper_id for card in snapshot.cards] == [fake.id for fake in papers]
    assert snapshot.warnings[0].startswith("read by its cards: ")


def test_a_nest_of_brackets_is_an_error_and_no_crash() -> None:
    for depth in (500, 1_000, 5_000, 100_000):
        props = '{"dailyPapers":' + "[" * depth + "]" * depth + "}"
        body = f"<div data-target=\"DailyPapers\" data-props='{props}'></div>".encode()
        with pytest.raises(ParseError):
            readers.parse(body, at=AT)


# --- the island's bytes --------------------------------------------------------------------


def test_the_islands_bytes_repeat_where_pages_do_not() -> None:
    papers = pages.fakes(3)
    first, second = pages.trending(papers), pages.trending(papers).replace(b"Root=1-", b"Root=2-")
    assert first != second
    assert readers.island_bytes(first) == readers.island_bytes(second)
    assert readers.island_bytes(pages.trending([*papers[:2], papers[2].but(upvotes=999)])) != (
        readers.island_bytes(first)
    )


def test_a_page_without_a_whole_island_has_no_island_bytes() -> None:
    body = pages.trending(pages.fakes(3))
    assert readers.island_bytes(b"") is None
    assert readers.island_bytes(b"<html>DailyPapers</html>") is None
    assert readers.island_bytes(body[: body.index(b"dailyPapers&quot;:[{") + 99]) is None


# --- single papers -------------------------------------------------------------------------


def test_the_page_of_one_paper_is_one_card_without_a_rank() -> None:
    snapshot = read(pages.paper_page(ONE))
    (card,) = snapshot.cards
    assert snapshot.kind is PageKind.PAPER
    assert (card.rank, card.paper_id, card.comments, card.stars) == (None, ONE.id, 3, 3294)
    assert (card.submitted_by, card.organization) == ("adaq", "Institute of Slow Things")
    assert card.listed_at == MORNING
    assert not snapshot.shows & {"rank", "thumbnail"}


def test_a_paper_page_at_the_address_of_another_paper_is_warned_of() -> None:
    snapshot = read(pages.paper_page(ONE), "https://huggingface.co/papers/2610.99999")
    assert "2610.99999" in snapshot.warnings[0]


def test_a_paper_page_without_a_title_is_an_error() -> None:
    props = pages.props_paper(ONE)
    props["paper"]["title"] = ""
    with pytest.raises(ParseError, match="title"):
        read(page_of(props, target="PaperContent"))
    with pytest.raises(ParseError):
        read(page_of({"comments": []}, target="PaperContent"))
