"""Cards: the same papers out of the HTML that people see."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from tests import pages
from tests.pages import Fake
from watcher import readers
from watcher.errors import ParseError
from watcher.model import CARD_FIELDS, Card, PageKind, ReaderName, Snapshot

AT = datetime(2026, 10, 6, 12, tzinfo=UTC)
ONE = Fake()
LONG = "A long abstract, as they are when nobody has made a summary of it yet. " * 9
TWO = Fake(
    id="2603.04321",
    title="Quiet Engines",
    abstract=LONG.strip(),
    ai_summary=None,
    upvotes=7,
    github=None,
    organization=None,
    authors=("A One", "B Two", "C Three", "D Four", "E Five", "F Six"),
    logins=("aone", None, None, None, None, None),
    published=date(2025, 2, 27),
    comments=0,
    media=("https://cdn.example.org/film.mp4",),
)


def read(body: bytes, url: str | None = None, at: datetime = AT) -> Snapshot:
    return readers.parse(body, url=url, at=at, reader=ReaderName.CARDS)


def test_a_grid_of_2024_is_read_from_its_html() -> None:
    snapshot = read(pages.grid_2024([ONE, TWO], with_island=False))
    assert snapshot.cards == (
        Card(
            rank=1,
            paper_id=ONE.id,
            title=ONE.title,
            authors=("adaq", "Bo Tern", "cyu"),
            author_count=3,
            upvotes=12,
            comments=3,
            submitted_by="adaq",
            thumbnail=ONE.thumbnail,
            listed_on=date(2024, 8, 1),
        ),
        Card(
            rank=2,
            paper_id=TWO.id,
            title=TWO.title,
            authors=("aone", "B Two", "C Three", "D Four", "E Five"),
            author_count=6,
            upvotes=7,
            comments=0,
            submitted_by="adaq",
            thumbnail="https://cdn.example.org/film.mp4",
            listed_on=date(2024, 8, 1),
        ),
    )
    assert (snapshot.kind, snapshot.listed_on) == (PageKind.DAILY, date(2024, 8, 1))
    assert not snapshot.shows & {"abstract", "stars", "published_on", "github"}


def test_a_young_grid_has_an_organization_in_the_authors_place() -> None:
    zero = ONE.but(id="2610.00003", upvotes=0, comments=0)
    first, second, third = read(pages.grid_2026([ONE, TWO, zero], with_island=False)).cards
    assert (first.organization, first.authors, first.upvotes) == (
        "Institute of Slow Things",
        None,
        12,
    )
    assert (second.organization, second.author_count) == (None, 6)
    assert (third.upvotes, third.comments, third.dashed) == (0, 0, False)


def test_each_article_of_the_trending_list_holds_two_copies_and_counts_once() -> None:
    snapshot = read(pages.trending([ONE, TWO], with_island=False))
    assert snapshot.cards == (
        Card(
            rank=1,
            paper_id=ONE.id,
            title=ONE.title,
            ai_summary=ONE.ai_summary,
            published_on=date(2026, 10, 4),
            upvotes=12,
            stars=3290,
            github=ONE.github,
            organization="Institute of Slow Things",
            submitted_by="adaq",
            thumbnail=ONE.thumbnail,
        ),
        Card(
            rank=2,
            paper_id=TWO.id,
            title=TWO.title,
            abstract=TWO.abstract,
            authors=("aone", "B Two", "C Three", "D Four", "E Five"),
            author_count=6,
            published_on=date(2025, 2, 27),
            upvotes=7,
            submitted_by="adaq",
            thumbnail="https://cdn.example.org/film.mp4",
        ),
    )
    assert (snapshot.kind, snapshot.rounded) == (PageKind.TRENDING, {"stars"})
    assert not snapshot.shows & {"comments", "abstract", "ai_summary", "authors"}


def test_a_paper_that_never_was_on_daily_has_no_submitter() -> None:
    (card,) = read(pages.trending([ONE.but(submitter=None)], with_island=False)).cards
    assert card.submitted_by is None


def test_plain_stars_are_not_rounded() -> None:
    snapshot = read(pages.trending([ONE.but(stars=843)], with_island=False))
    assert (snapshot.cards[0].stars, snapshot.rounded) == (843, frozenset())


def test_search_results_are_read_with_their_abstracts_and_dates() -> None:
    dashed = TWO.but(upvotes=0)
    snapshot = read(pages.search("two moons", [ONE, dashed], with_island=False))
    assert snapshot.cards == (
        Card(
            rank=1,
            paper_id=ONE.id,
            title=ONE.title,
            abstract=ONE.abstract,
            published_on=date(2026, 10, 4),
            upvotes=12,
            comments=3,
            organization="Institute of Slow Things",
        ),
        Card(
            rank=2,
            paper_id=TWO.id,
            title=TWO.title,
            abstract=TWO.abstract,
            authors=("aone", "B Two", "C Three", "D Four", "E Five"),
            author_count=6,
            published_on=date(2025, 2, 27),
            upvotes=None,
            comments=0,
            dashed=True,
        ),
    )
    assert (snapshot.kind, snapshot.query, snapshot.listed_on) == (
        PageKind.SEARCH,
        "two moons",
        None,
    )
    assert {"upvotes", "comments", "abstract"} <= snapshot.shows
    assert not snapshot.shows & {"stars", "github", "submitted_by", "thumbnail"}


@pytest.mark.parametrize("word", ["moons", "dri", " ", "century, and"])
def test_highlighted_words_are_neither_glued_nor_split(word: str) -> None:
    body = pages.search("x", [ONE], marked=word, with_island=False)
    assert b'class="highlight"' in body
    (card,) = read(body).cards
    assert (card.title, card.abstract) == (ONE.title, ONE.abstract)


def test_highlights_between_sveltes_markers_are_joined_too() -> None:
    body = pages.search("x", [ONE], marked="moons", with_island=False)
    body = body.replace(b'<span class="highlight">moons</span>', b"<!--[0-->mo<!---->ons<!--]-->")
    assert read(body).cards[0].abstract == ONE.abstract


def test_an_abstract_may_stand_in_a_link_of_its_own() -> None:
    body = pages.search("x", [ONE], with_island=False)
    body = re.sub(rb"<p class=\"line-clamp-3\">(.*?)</p>", rb"\1", body)
    assert read(body).cards[0].abstract == ONE.abstract


def test_titles_over_two_lines_are_put_on_one() -> None:
    fake = ONE.but(title="Tidal Clocks: Keeping Time\n  With Borrowed Moons")
    for body in (
        pages.grid_2024([fake], with_island=False),
        pages.search("x", [fake], with_island=False),
        pages.trending([fake], with_island=False),
        pages.paper_page(fake, with_island=False),
        pages.trending([fake]),
    ):
        assert readers.parse(body, at=AT).cards[0].title == ONE.title


def test_dates_without_a_year_belong_to_the_day_the_search_was_made() -> None:
    """A page saved in January and read in October: its box with the day says when it was made."""
    december = ONE.but(published=date(2025, 12, 28))
    body = pages.search("x", [december], today=date(2026, 1, 3), with_island=False)
    body = body.replace(b"Dec 28, 2025", b"Dec 28")
    january = datetime(2026, 1, 3, tzinfo=UTC)
    assert read(body, at=january).cards[0].published_on == date(2025, 12, 28)
    assert read(body, at=AT).cards[0].published_on == date(2025, 12, 28)
    winter = ONE.but(published=date(2026, 1, 16))
    body = pages.search("x", [winter], today=date(2026, 10, 5), with_island=False)
    later = datetime(2027, 3, 1, tzinfo=UTC)
    assert read(body, at=later).cards[0].published_on == date(2026, 1, 16)


def test_one_author_is_not_singularised() -> None:
    fake = TWO.but(authors=("A One",), logins=(None,))
    for body in (
        pages.search("x", [fake], with_island=False),
        pages.grid_2024([fake], with_island=False),
    ):
        (card,) = read(body).cards
        assert (card.author_count, card.authors) == (1, ("A One",))


def test_saved_pages_with_absolute_links_are_read_too() -> None:
    body = pages.trending([ONE, TWO], with_island=False)
    body = body.replace(b'href="/', b'href="https://huggingface.co/')
    assert [card.paper_id for card in read(body).cards] == [ONE.id, TWO.id]
    assert read(body).cards[0].organization == ONE.organization


def test_the_page_of_one_paper_is_read_from_its_html() -> None:
    fake = ONE.but(keywords=("moons", "sneeze"))
    snapshot = read(pages.paper_page(fake, with_island=False))
    assert snapshot.cards == (
        Card(
            paper_id=ONE.id,
            title=ONE.title,
            abstract=ONE.abstract,
            ai_summary=ONE.ai_summary,
            authors=ONE.authors,
            author_count=3,
            published_on=date(2026, 10, 4),
            upvotes=12,
            stars=3290,
            github=ONE.github,
            project=ONE.project,
            organization=ONE.organization,
        ),
    )
    assert (snapshot.kind, snapshot.rounded) == (PageKind.PAPER, {"stars"})


def test_authors_of_a_paper_page_may_be_plain_text() -> None:
    body = pages.paper_page(ONE, with_island=False)
    body = re.sub(rb"</?button>", b"", body)
    assert read(body).cards[0].authors == ONE.authors


@pytest.mark.parametrize("build", [pages.grid_2024, pages.grid_2026, pages.trending])
def test_island_and_cards_of_a_page_agree(build: Callable[[list[Fake]], bytes]) -> None:
    body = build(pages.fakes(20))
    assert readers.cross_check(readers.parse(body, at=AT), body) == ()


def test_island_and_cards_of_a_search_and_of_a_paper_agree() -> None:
    papers = pages.fakes(8)
    for body in (pages.search("moons", papers[:5], papers[5:]), pages.paper_page(papers[0])):
        assert readers.cross_check(readers.parse(body, at=AT), body) == ()


def swapped(body: bytes) -> bytes:
    """The same page with its two articles in the other order."""
    start, middle, end = (m.start() for m in re.finditer(b"<article|<!--]--><!--]--></div>", body))
    return body[:start] + body[middle:end] + body[start:middle] + body[end:]


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda body: re.sub(rb">\d+</div><!---->", b">4</div><!---->", body), "upvotes"),
        (lambda body: body.replace(b">Quiet Engines<", b">Loud Engines<"), "title: 2603.04321"),
        (lambda body: body.replace(b"Submitted by", b"Found by"), "submitted_by"),
        (lambda body: body.replace(b"3.29k", b"5.29k"), "stars: 2610.01234"),
        (lambda body: body.replace(b"article", b"section"), "cannot"),
        (swapped, "another order"),
        (
            lambda body: re.sub(rb"(?s)<article.*?</article>", b"", body, count=1),
            "not among the cards",
        ),
    ],
)
def test_a_disagreement_between_island_and_cards_is_named(
    break_it: Callable[[bytes], bytes], said: str
) -> None:
    body = break_it(pages.trending([ONE, TWO]))
    found = readers.cross_check(readers.parse(body, at=AT), body)
    assert said in " | ".join(found)


def test_a_dash_agrees_with_no_votes_only() -> None:
    body = pages.search("moons", [ONE.but(upvotes=0), TWO])
    assert readers.cross_check(readers.parse(body, at=AT), body) == ()
    body = body.replace(b"&quot;upvotes&quot;:0", b"&quot;upvotes&quot;:9")
    assert "upvotes" in readers.cross_check(readers.parse(body, at=AT), body)[0]


def test_what_is_shown_is_printed_fields_only() -> None:
    for body in (pages.grid_2024([ONE]), pages.trending([ONE]), pages.paper_page(ONE)):
        for reader in (ReaderName.ISLAND, ReaderName.CARDS):
            assert readers.parse(body, at=AT, reader=reader).shows <= set(CARD_FIELDS)


# --- pages without papers ------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pages.grid_2024([], date(2024, 8, 4), with_island=False),
        pages.grid_2026([], date(2026, 10, 2), with_island=False),
        pages.trending([], with_island=False),
        pages.grid_2026([ONE], date(2026, 10, 2), with_island=False)
        .replace(b"<article", b"<div")
        .replace(b"</article", b"</div"),
        pages.search("moons", [], with_island=False),
        pages.search("moons", [ONE, TWO], with_island=False)
        .replace(b"<article", b"<li")
        .replace(b"</article", b"</li"),
    ],
)
def test_a_page_with_neither_island_nor_cards_is_an_error(body: bytes) -> None:
    """What is empty comes with its island; else nobody could tell it from a redesign."""
    with pytest.raises(ParseError, match="neither an island nor cards"):
        read(body)


def test_an_island_without_papers_above_cards_is_read_by_its_cards() -> None:
    full = pages.grid_2026([ONE, TWO], date(2026, 10, 2))
    empty = pages.grid_2026([], date(2026, 10, 2))
    values = [tag.value for page in (full, empty) if (tag := readers.find(page)) and tag.value]
    snapshot = readers.parse(full.replace(*values), at=AT)
    assert (snapshot.reader, len(snapshot.cards)) == (ReaderName.CARDS, 2)
    assert "the island lists no papers" in snapshot.warnings[0]
    assert readers.parse(empty, at=AT).cards == ()


def test_a_page_that_is_cut_early_is_called_cut_though_it_loads_the_script_of_a_challenge() -> None:
    body = (
        b"<!doctype html><html><head><title>Daily Papers - Hugging Face</title>"
        b"<script src=https://x.edge.sdk.awswaf.com/y/challenge.js></script></head><body>"
    )
    with pytest.raises(ParseError, match="cut off before its first paper"):
        read(body)


def test_articles_that_lead_to_no_paper_are_a_foreign_layout() -> None:
    models = b"<article><h4><a href=/org/model>org/model</a></h4></article>" * 3
    with pytest.raises(ParseError, match="none of the page's 3 articles leads to a paper"):
        read(b"<html><body><main>" + models + b"</main></body></html>")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<title>Log in</title><form><input type=password></form>", "login page"),
        ("<h1>Sign in to go on</h1>", "login page"),
        ("<title>Just a moment...</title>", "challenge"),
        ("<script src='https://x.edge.sdk.awswaf.com/y/challenge.js'></script>", "challenge"),
        ("<title>429 Too Many Requests</title>", "error page"),
        ("<h1>404</h1><p>Sorry, not found</p>", "error page"),
        ("<a class=paper href=/papers/2610.01234>Ein Titel</a>", "foreign layout"),
        ("<article><h3></h3></article>", "foreign layout"),
        ("<p>Hello</p>", "not a page of papers"),
    ],
)
def test_a_page_that_is_something_else_is_refused_by_name(body: str, said: str) -> None:
    with pytest.raises(ParseError, match=said):
        readers.parse(f"<html><body>{body}</body></html>".encode(), at=AT)


def test_a_cut_page_without_an_island_is_never_a_short_list() -> None:
    papers = pages.fakes(6)
    body = pages.trending(papers, with_island=False)
    end = body.index(b"</main")
    for cut in (*range(200, end, 1499), end):
        with pytest.raises(ParseError, match="cut off"):
            readers.parse(body[:cut], at=AT)


def test_a_piece_out_of_the_middle_of_a_page_gives_its_whole_cards() -> None:
    papers = pages.fakes(4)
    body = pages.trending(papers, with_island=False)
    start = body.index(b"</p>", body.index(b"<article"))
    piece = body[start : body.rindex(b"<article") + 2_500]
    snapshot = readers.parse(piece, at=AT)
    assert snapshot.reader is ReaderName.CARDS
    assert [card.paper_id for card in snapshot.cards] == [fake.id for fake in papers[1:3]]
    assert "cut off" in snapshot.warnings[0]


def test_an_article_without_a_title_is_a_warning() -> None:
    body = pages.trending([ONE, TWO], with_island=False)
    first = body.index(b"<article")
    body = body[:first] + body[first:].replace(ONE.title.encode(), b"")
    snapshot = read(body)
    assert [card.paper_id for card in snapshot.cards] == [TWO.id]
    assert "article 1" in snapshot.warnings[0]


@pytest.mark.parametrize(
    "inner",
    [
        "<h3><a href=/pricing>Try it for teams</a></h3>",
        "<h3><a href=https://ads.example.org/x>Clocks, half price</a></h3>",
        "<h3><a href=/blog/moons>A post</a></h3> on <a href=/papers/2603.04321>this paper</a>",
        "<a href=/datasets/moons><h4>moons</h4></a> of <a href=/papers/2610.01234>1 paper</a>",
    ],
    ids=["page", "advertisement", "post", "dataset"],
)
@pytest.mark.parametrize("page", [pages.trending, pages.grid_2026])
def test_what_stands_among_the_papers_and_is_none_is_left_out(
    page: Callable[..., bytes], inner: str
) -> None:
    body = page([ONE, TWO], with_island=False)
    place = body.index(b"<article")
    body = body[:place] + f"<article>{inner}</article>".encode() + body[place:]
    snapshot = read(body)
    cards = [(card.paper_id, card.title) for card in snapshot.cards]
    assert cards == [(ONE.id, ONE.title), (TWO.id, TWO.title)]
    assert "article 1" in snapshot.warnings[0]


def test_when_no_card_links_to_a_discussion_nothing_is_known_of_comments() -> None:
    body = pages.grid_2024([ONE, TWO], with_island=False).replace(b"#community", b"#talk")
    assert [card.comments for card in read(body).cards] == [None, None]


def test_a_grid_with_links_to_weeks_and_days_does_not_say_what_it_is() -> None:
    link = b'<a href="/papers/week/2026-W40">Weekly</a>'
    body = pages.grid_2026([ONE], with_island=False).replace(b"<h3>", link + b"<h3>")
    assert (read(body).kind, read(body).listed_on) == (None, None)
    url = "https://huggingface.co/papers/week/2026-W40"
    assert read(body, url).kind is PageKind.WEEK


def test_links_to_searches_and_days_are_no_papers() -> None:
    body = pages.trending([ONE, TWO], with_island=False)
    body = body.replace(f"/papers/{ONE.id}".encode(), b"/papers?q=moons")
    snapshot = read(body)
    assert [card.paper_id for card in snapshot.cards] == [None, TWO.id]
    assert "1 cards have no link" in snapshot.warnings[0]
