"""Text dumps: every card comes out, none merged, none invented."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import pages
from tests.pages import Fake
from watcher import readers
from watcher.errors import ParseError
from watcher.model import PageKind, ReaderName, Snapshot
from watcher.readers import lines, prose
from watcher.readers.prose import Role

AT = datetime(2026, 10, 6, 12, tzinfo=UTC)
HEAD = pages.DUMP_HEAD + "Oct 5\n\n"
ONE = Fake()
SHORT = "We show that small moons suffice. They do."


def read(dump: str | bytes, url: str | None = None, at: datetime = AT) -> Snapshot:
    body = dump if isinstance(dump, bytes) else dump.encode()
    snapshot = readers.parse(body, url=url, at=at)
    assert snapshot.reader is ReaderName.DUMP
    return snapshot


def pairs(snapshot: Snapshot) -> list[tuple[str, str | None]]:
    return [(card.title, card.abstract) for card in snapshot.cards]


PAPERS = pages.fakes(40)
WANTED = [(fake.title, fake.abstract) for fake in PAPERS]


def test_a_dump_with_feet_is_read_whole() -> None:
    snapshot = read(pages.dump(PAPERS))
    assert pairs(snapshot) == WANTED
    assert [card.rank for card in snapshot.cards] == list(range(1, 41))
    assert [card.author_count for card in snapshot.cards] == [len(f.authors) for f in PAPERS]
    assert [card.published_on for card in snapshot.cards] == [f.published for f in PAPERS]
    assert [card.comments for card in snapshot.cards] == [f.comments for f in PAPERS]
    assert {"author_count", "published_on", "comments"} <= snapshot.shows
    assert not snapshot.warnings


def test_a_dump_without_any_foot_is_read_whole() -> None:
    snapshot = read(pages.dump(PAPERS, feet=False))
    assert pairs(snapshot) == WANTED
    assert not snapshot.shows & {"author_count", "published_on", "comments"}


@given(st.sets(st.integers(0, 39)))
def test_cards_without_a_foot_are_neither_merged_nor_lost(without: set[int]) -> None:
    snapshot = read(pages.dump(PAPERS, without_foot=tuple(without)))
    assert pairs(snapshot) == WANTED
    assert [card.published_on is None for card in snapshot.cards] == [
        place in without for place in range(40)
    ]


def test_a_foot_that_some_cards_lack_is_not_shown() -> None:
    """Without its foot nothing is known of a card, which is not the same as none."""
    snapshot = read(pages.dump(PAPERS, without_foot=(3, 4)))
    assert not snapshot.shows & {"author_count", "published_on", "comments"}


def test_dates_without_a_year_belong_to_the_day_in_the_head() -> None:
    fake = ONE.but(published=date(2025, 12, 28))
    dump = pages.dump([fake], today=date(2026, 1, 3)).replace(b"Dec 28, 2025", b"Dec 28")
    for at in (datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)):
        assert read(dump, at=at).cards[0].published_on == date(2025, 12, 28)
    dump = pages.dump([ONE.but(published=date(2026, 1, 16))], today=date(2026, 10, 5))
    later = datetime(2027, 4, 1, tzinfo=UTC)
    assert read(dump, at=later).cards[0].published_on == date(2026, 1, 16)


def test_the_kind_of_a_dump_comes_from_its_address_only() -> None:
    assert read(pages.dump([ONE])).kind is None
    snapshot = read(pages.dump([ONE]), "https://huggingface.co/papers?q=moons")
    assert (snapshot.kind, snapshot.query, snapshot.listed_on) == ("search", "moons", None)


@pytest.mark.parametrize(
    ("foot", "count", "comments"),
    [
        ("  • 1 authors\n·\nSep 9", 1, 0),
        ("  • 12 authors\n·\nSep 9 4", 12, 4),
        ("12 authors · Sep 9 4", 12, 4),
        ("- 12 authors\n\n·\n\nSep 9\n4", 12, 4),
        ("12 authors\nSep 9", 12, 0),
        ("Institute of Slow Things\n·\nSep 9 4", None, 4),
        ("Institute of Slow Things · Sep 9", None, 0),
    ],
)
def test_a_foot_may_be_written_in_several_ways(foot: str, count: int | None, comments: int) -> None:
    dump = f"{HEAD}{ONE.title}\n\n{ONE.abstract}\n\n{foot}\n\nQuiet Engines\n\n{SHORT}\n"
    first, second = read(dump).cards
    assert (first.title, first.abstract) == (ONE.title, ONE.abstract)
    assert (first.author_count, first.comments) == (count, comments)
    assert first.published_on == date(2026, 9, 9)
    assert first.organization == (None if count else "Institute of Slow Things")
    assert (second.title, second.abstract, second.comments) == ("Quiet Engines", SHORT, None)


def test_votes_stand_before_the_title_they_belong_to() -> None:
    dump = (
        f"{HEAD}17\n\n{ONE.title}\n\n{ONE.abstract}\n\n-\n\nQuiet Engines\n\n{SHORT}\n\n· Sep 9\n"
    )
    first, second = read(dump).cards
    assert (first.upvotes, first.dashed) == (17, False)
    assert (second.upvotes, second.dashed) == (None, True)
    assert "upvotes" in read(dump).shows


def test_titles_and_abstracts_may_run_over_several_lines() -> None:
    wrapped = ONE.abstract.replace(". ", ".\n")
    title = ONE.title.replace(": ", ":\n  ")
    dump = f"{HEAD}{title}\n\n{wrapped}\n\n  • 3 authors\n·\nSep 9\n\nQuiet Engines\n\n{SHORT}"
    assert pairs(read(dump)) == [(ONE.title, ONE.abstract), ("Quiet Engines", SHORT)]


def test_a_title_may_stand_right_above_its_abstract() -> None:
    long = ONE.abstract * 3
    dump = HEAD + "\n".join(f"{title}\n{long}" for title in ("Two Moons", "Three Moons"))
    assert pairs(read(dump)) == [("Two Moons", long), ("Three Moons", long)]


@pytest.mark.parametrize(
    "title",
    [
        "Moons?",
        "Moons Are All You Need.",
        "Octopus 4",
        "What Do Moons Want, and How Do We Give It to Them?",
        "Never Trust a Moon, Almost Always!",
        "LLM Moon Search",
        "M2R2: " + "Very " * 28 + "Long Moons",
        "On p < 0.05, *PO and v1.5 -- A Survey",
        "月と時計：三つの研究",
    ],
)
def test_titles_of_every_shape_are_titles(title: str) -> None:
    papers = [PAPERS[0], ONE.but(title=title), PAPERS[1]]
    assert [card.title for card in read(pages.dump(papers, feet=False)).cards] == [
        fake.title for fake in papers
    ]


@pytest.mark.parametrize(
    "abstract",
    [
        SHORT,
        "Moons keep time, and so can you. The code is at https://github.com/example/moons",
        "We count moons. " * 60 + "Keywords: moons, counting, Quiet Engines",
        "Let m be a moon. Then m keeps time.",
    ],
)
def test_abstracts_of_every_shape_are_abstracts(abstract: str) -> None:
    papers = [PAPERS[0], ONE.but(abstract=abstract), PAPERS[1]]
    assert pairs(read(pages.dump(papers, feet=False))) == [(f.title, f.abstract) for f in papers]


@pytest.mark.parametrize("foot", ["", "  • 3 authors\n·\nSep 9\n\n"])
@pytest.mark.parametrize(
    "second",
    [
        PAPERS[1].abstract,
        "We also count the moons of other planets, and all of them keep time.",
        "Code and clocks: https://github.com/example/tidal-clocks",
        "Moons keep time in all of our experiments. Nothing else does it half as well as they",
    ],
)
def test_an_abstract_in_two_paragraphs_is_one_abstract(second: str, foot: str) -> None:
    first = PAPERS[0].abstract
    dump = f"{HEAD}{ONE.title}\n\n{first}\n\n{second}\n\n{foot}Quiet Engines\n\n{SHORT}"
    assert pairs(read(dump)) == [(ONE.title, f"{first} {second}"), ("Quiet Engines", SHORT)]


@pytest.mark.parametrize("foot", ["", "  • 3 authors\n·\nSep 9\n\n"])
def test_a_short_first_paragraph_of_an_abstract_is_no_title(foot: str) -> None:
    dump = f"{HEAD}Quiet Engines\n\nWe listen.\n\n{ONE.abstract}\n\n{foot}{ONE.title}\n\n{SHORT}"
    assert pairs(read(dump)) == [
        ("Quiet Engines", f"We listen. {ONE.abstract}"),
        (ONE.title, SHORT),
    ]


def test_a_title_alone_among_others_comes_out() -> None:
    lonely = "A Card Whose Abstract and Foot Were Both Lost on the Way"
    dump = f"{HEAD}{ONE.title}\n\n{ONE.abstract}\n\n{lonely}\n\nQuiet Engines\n\n{SHORT}"
    snapshot = read(dump)
    assert [card.title for card in snapshot.cards] == [ONE.title, lonely, "Quiet Engines"]
    assert lonely[:50] in snapshot.warnings[0]


def test_a_card_with_a_foot_but_no_abstract_comes_out() -> None:
    dump = f"{HEAD}{ONE.title}\n\n  • 3 authors\n·\nSep 9\n\nQuiet Engines\n\n{SHORT}\n\n· Sep 8\n"
    snapshot = read(dump)
    assert pairs(snapshot) == [(ONE.title, None), ("Quiet Engines", SHORT)]
    assert "no abstract" in snapshot.warnings[0]


def test_the_pages_own_words_are_no_papers() -> None:
    tail = "\n\nPrevious\n\nTrending Papers ranked by GitHub stars activity\n\n"
    tail += "Company\n\nTOS\nPrivacy\nAbout\n"
    menu = "Hugging Face\n\nModels\nDatasets\nSpaces\n\nLog In\nSign Up\n\n"
    for head in (HEAD, menu + HEAD, "\ufeff" + HEAD, HEAD.replace("\n", "\r\n")):
        body = (
            head + pages.dump(PAPERS[:3], feet=False).decode().split("Oct 5\n\n")[1] + tail
        ).encode()
        assert pairs(read(body)) == WANTED[:3]


def test_a_dump_without_the_day_in_its_head_is_read_too() -> None:
    dump = pages.dump(PAPERS[:3]).decode().replace("Oct 5\n\n", "")
    assert pairs(read(dump)) == WANTED[:3]


def test_second_copies_of_a_card_count_once() -> None:
    doubled = [fake for fake in PAPERS[:5] for _ in range(2)]
    assert pairs(read(pages.dump(doubled))) == WANTED[:5]


def test_papers_with_the_same_title_and_other_abstracts_are_two() -> None:
    papers = [ONE, ONE.but(abstract=PAPERS[0].abstract)]
    assert len(read(pages.dump(papers)).cards) == 2


@pytest.mark.parametrize(
    "body",
    [
        "Just a letter.\n\nIt has two paragraphs, and nothing in it is about papers at all.",
        "# A README\n\n### Installing\n\nRun the thing. It works.\n\n### Using\n\nUse the thing.",
        "x",
        "\x00\x01\x02",
        HEAD,
        "Daily Papers\n\nOct 5\n",
    ],
)
def test_a_text_that_is_no_page_of_papers_is_refused(body: str) -> None:
    with pytest.raises(ParseError):
        readers.parse(body.encode(), at=AT)


# --- Markdown ------------------------------------------------------------------------------

MARKDOWN = """---
url: https://huggingface.co/papers?q=two%20moons
title: Daily Papers - Hugging Face
---
[Subscribe](https://huggingface.co/login?next=%2Fpapers)

# Daily Papers

- Daily
- Weekly

Oct 5

[101](https://huggingface.co/login?next=%2Fpapers%2F2606.00683)

### [Tidal Clocks: Keeping Time\\  With Borrowed Moons](https://huggingface.co/papers/2606.00683)

[Clocks drift [1].\\\\
They need not.](https://huggingface.co/papers/2606.00683)

[![slow](https://cdn.example.org/a.png)Institute of Slow Things](https://huggingface.co/slow)

·

May 29[6](https://huggingface.co/papers/2606.00683#community)

[-](https://huggingface.co/login?next=%2Fpapers%2F2502.20581)

### [Quiet Engines](https://huggingface.co/papers/2502.20581)

[We show that small moons suffice. They do.](https://huggingface.co/papers/2502.20581)

[- ![](https://cdn.example.org/b.png)\\\\
- 3 authors](https://huggingface.co/papers/2502.20581)

·

Feb 27, 2025

[Previous](https://huggingface.co/papers/date/2026-10-02)

Trending Papers ranked by GitHub stars activity
"""


def test_a_markdown_dump_tells_ids_votes_and_comments_by_its_links() -> None:
    snapshot = read(MARKDOWN)
    first, second = snapshot.cards
    assert (first.paper_id, first.title) == ("2606.00683", ONE.title)
    assert (first.upvotes, first.comments, first.published_on) == (101, 6, date(2026, 5, 29))
    assert first.abstract == "Clocks drift [1]. They need not."
    assert first.organization == "Institute of Slow Things"
    assert (second.paper_id, second.abstract) == ("2502.20581", SHORT)
    assert (second.upvotes, second.dashed, second.comments) == (None, True, 0)
    assert (second.author_count, second.published_on) == (3, date(2025, 2, 27))
    assert (snapshot.kind, snapshot.query) == (PageKind.SEARCH, "two moons")
    assert {"paper_id", "upvotes", "comments"} <= snapshot.shows


def test_a_markdown_dump_of_the_trending_page_counts_each_paper_once() -> None:
    card = (
        "### Tidal Clocks: Keeping Time\n  With Borrowed Moons\n\n"
        "Three clocks keep time.\n- 3 authors\n"
        "[LINK: GitHub 11.3k](https://github.com/example/tidal-clocks)\n\n"
    )
    bare = (
        "### Quiet Engines\n\nEngines can be quiet.\n[LINK: GitHub 476](https://github.com/e/q)\n\n"
    )
    head = "Get trending papers in your email inbox once a day!\n\n## Trending Papers\n\n"
    snapshot = read(head + card * 2 + bare * 2)
    first, second = snapshot.cards
    assert (first.title, first.ai_summary) == (ONE.title, "Three clocks keep time.")
    assert (first.author_count, first.stars, first.github) == (
        3,
        11300,
        "https://github.com/example/tidal-clocks",
    )
    assert (second.title, second.stars) == ("Quiet Engines", 476)
    assert (snapshot.kind, snapshot.rounded) == (PageKind.TRENDING, {"stars"})


# --- the parts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("• 7 authors", "authors"),
        ("1 authors", "authors"),
        ("·", "dot"),
        ("Sep 29", "dated"),
        ("Sep 29, 2023 3", "dated"),
        ("17", "number"),
        ("-", "number"),
        ("GitHub 11.3k", "github"),
        ("GitHub Copilot and the Moons", "prose"),
        ("Submitted by", "submitted"),
        ("Subscribe", "chrome"),
        ("Subscribe to the Moon: A Survey", "prose"),
        ("Trending Papers ranked by GitHub stars activity", "chrome"),
        ("May 29 Moons Were Counted", "prose"),
        ("Octopus 4", "prose"),
        ("Janus 7", "prose"),
        ("7 authors · October 4", "foot"),
        ("Seven authors agree", "prose"),
    ],
)
def test_lines_are_told_by_their_whole_form(line: str, kind: str) -> None:
    assert lines.kind_of(line) == kind


def test_junk_after_the_last_paper_is_left_out_and_named() -> None:
    snapshot = read(f"{HEAD}{ONE.title}\n\n{ONE.abstract}\n\nSome Odd Words")
    assert pairs(snapshot) == [(ONE.title, ONE.abstract)]
    assert "Some Odd Words" in snapshot.warnings[0]


@given(st.lists(st.text(max_size=400), max_size=30), st.booleans())
def test_every_paragraph_gets_a_role(paragraphs: list[str], complete: bool) -> None:
    roles = prose.roles(paragraphs, complete=complete)
    assert len(roles) == len(paragraphs)
    assert Role.ABSTRACT not in roles[:1] or len(paragraphs[0]) > 100


@given(st.text())
def test_no_text_makes_the_dump_reader_fail_otherwise_than_by_its_error(noise: str) -> None:
    for dump in (noise, HEAD + noise, MARKDOWN + noise):
        try:
            readers.parse(dump.encode("utf-8", "replace"), at=AT, reader=ReaderName.DUMP)
        except ParseError:
            continue
