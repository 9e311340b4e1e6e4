"""The readers on real captures, where they lie beside the project. Nothing of them is copied."""

import asyncio
import gzip
import hashlib
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.conftest import SHARED, needs_shared
from tests.servers import Behaviour, FakeClock, Request, Site, page
from watcher import readers
from watcher.channels import OPTIONS
from watcher.config import parse as parse_config
from watcher.daemon import Daemon
from watcher.errors import ParseError
from watcher.model import CheckOutcome, PageKind, ReaderName, Snapshot
from watcher.store import Records, open_records

pytestmark = needs_shared
PAGES = SHARED / "pages"
OCTOBER_2026 = datetime(2026, 10, 7, 12, tzinfo=UTC)


def read(path: Path, reader: ReaderName | None = None, at: datetime = OCTOBER_2026) -> Snapshot:
    return readers.parse(path.read_bytes(), at=at, reader=reader)


DATE_2024 = PAGES / "date-2024-08-01.html"
PAPER_2025 = PAGES / "paper-2509.24002-2025-10-02.bs4-prettified.html"
TRENDING = PAGES / "trending-2026-10-07.excerpt.html"
FRAGMENT = PAGES / "trending-2026-10-07.chars-1000000-1032000.html"


def test_the_date_page_of_2024_gives_the_same_by_island_and_by_cards() -> None:
    island, cards = read(DATE_2024), read(DATE_2024, ReaderName.CARDS)
    assert len(island.cards) == len(cards.cards) == 13
    assert readers.cross_check(island, DATE_2024.read_bytes()) == ()
    for snapshot in (island, cards):
        assert (snapshot.kind, snapshot.listed_on) == (PageKind.DAILY, date(2024, 8, 1))
        assert [c.upvotes for c in snapshot.cards] == [94, 24, 19, 16, 11, 8, 8, 8, 7, 7, 7, 5, 3]
        assert [c.author_count for c in snapshot.cards][:4] == [533, 5, 8, 7]
        assert snapshot.cards[0].paper_id == "2407.21783"
        assert not snapshot.warnings
    assert sum(card.listed_at is not None for card in island.cards) == 9 + 3
    assert island.cards[8].listed_at is None  # its discussion was opened two days before
    assert not island.shows & {"github", "stars", "ai_summary", "organization", "keywords"}


def test_the_prettified_page_of_one_paper_is_read_by_island_and_by_html() -> None:
    island = read(PAPER_2025)
    cards = read(PAPER_2025, ReaderName.CARDS, datetime(2025, 10, 2, tzinfo=UTC))
    for snapshot in (island, cards):
        (card,) = snapshot.cards
        assert snapshot.kind is PageKind.PAPER
        assert (card.paper_id, card.upvotes, card.stars) == ("2509.24002", 118, 182)
        assert (card.author_count, card.published_on) == (15, date(2025, 9, 28))
        assert card.organization == "National University of Singapore"
        assert "\n" not in card.title
    assert island.cards[0].authors == cards.cards[0].authors
    assert island.cards[0].ai_summary == cards.cards[0].ai_summary
    assert island.cards[0].listed_on == date(2025, 10, 1)
    assert island.cards[0].submitted_by == "Jakumetsu"
    assert readers.cross_check(island, PAPER_2025.read_bytes()) == ()


def test_the_trending_excerpt_holds_two_papers_in_its_island_and_four_articles() -> None:
    island, cards = read(TRENDING), read(TRENDING, ReaderName.CARDS)
    assert [card.paper_id for card in island.cards] == ["2609.20519", "2606.03748"]
    assert [card.stars for card in island.cards] == [3352, 62246]
    assert [card.published_on for card in island.cards] == [date(2026, 9, 17), date(2026, 6, 2)]
    assert [card.paper_id for card in cards.cards] == [
        "2610.05608",
        "2609.33325",
        "2006.15704",
        "2606.03748",
    ]
    assert [card.upvotes for card in cards.cards] == [117, 323, 13, 23]
    assert [card.stars for card in cards.cards] == [131, 843, 104_000, 62_200]
    assert [card.submitted_by for card in cards.cards] == ["vvasilev", "PSRben", None, "nielsr"]
    assert cards.cards[2].author_count == 11
    assert {island.kind, cards.kind} == {PageKind.TRENDING}
    assert "comments" not in cards.shows
    # It was put together from pieces, and the check between the readers sees it.
    assert len(readers.cross_check(island, TRENDING.read_bytes())) == 2


def test_a_piece_of_the_trending_page_gives_its_one_whole_card() -> None:
    snapshot = read(FRAGMENT)
    assert [card.paper_id for card in snapshot.cards] == ["2006.15704"]
    assert snapshot.cards[0].stars == 104_000
    assert snapshot.warnings == ("the last article is cut off and was left out",)


@pytest.mark.parametrize(
    ("name", "count", "day"),
    [
        ("api-daily-2024-05-27.json", 13, None),
        ("api-daily-2025-01-13.json", 5, None),
        ("api-daily-2025-10-03.json", 39, date(2025, 10, 3)),
        ("api-daily-2026-06-03.json", 23, date(2026, 6, 3)),
    ],
)
def test_an_answer_of_each_generation_is_read(name: str, count: int, day: date | None) -> None:
    snapshot = read(PAGES / name)
    assert (snapshot.reader, snapshot.kind) == (ReaderName.API, PageKind.DAILY)
    assert (len(snapshot.cards), snapshot.listed_on, snapshot.warnings) == (count, day, ())
    assert all(card.abstract and card.authors for card in snapshot.cards)


def test_all_archived_answers_are_read_without_a_warning() -> None:
    """Every number is compared with the JSON itself; list days and listing times with it."""
    papers = exact = 0
    for path in sorted((SHARED / "api").glob("*.json")):
        snapshot = read(path)
        raw = json.loads(path.read_bytes())
        assert not snapshot.warnings
        assert [c.paper_id for c in snapshot.cards] == [i["paper"]["id"] for i in raw]
        assert [c.upvotes for c in snapshot.cards] == [i["paper"]["upvotes"] for i in raw]
        assert [c.comments for c in snapshot.cards] == [i["numComments"] for i in raw]
        assert [c.stars for c in snapshot.cards] == [i["paper"].get("githubStars") for i in raw]
        assert snapshot.listed_on == date.fromisoformat(path.stem.removeprefix("daily-"))
        papers += len(snapshot.cards)
        exact += sum(card.listed_at is not None for card in snapshot.cards)
    assert (papers, exact) == (774, 774)


@pytest.mark.parametrize(
    ("name", "count", "feet", "comments", "first", "last"),
    [
        ("000_bb31387b1846315b.txt", 88, 88, 31, date(2025, 9, 29), date(2025, 1, 26)),
        ("002_b97b4739e75d05be.txt", 49, 0, 0, None, None),
        ("003_0703bb14498aa392.txt", 45, 43, 25, date(2023, 11, 21), date(2025, 3, 11)),
    ],
)
def test_every_card_of_the_dumps_comes_out(
    name: str, count: int, feet: int, comments: int, first: date | None, last: date | None
) -> None:
    path = SHARED / "dumps" / name
    snapshot = read(path)
    cards = snapshot.cards
    assert (len(cards), snapshot.warnings) == (count, ())
    assert len({card.title for card in cards}) == count
    # In these dumps every abstract is far longer than any title.
    assert all(len(card.title) < 200 < 1_300 < len(card.abstract or "") for card in cards)
    assert sum(card.author_count is not None for card in cards) == feet
    assert sum(card.comments or 0 for card in cards) == comments
    assert (cards[0].published_on, cards[-1].published_on) == (first, last)
    written = [int(n) for n in re.findall(r"• (\d+) authors", path.read_text())]
    assert [card.author_count for card in cards if card.author_count] == written
    # Nothing is lost: apart from the head and the feet, every line is in some card.
    text = " ".join(f"{card.title} {card.abstract}" for card in cards)
    long_lines = [line for line in path.read_text().split("\n") if len(line) > 45]
    assert all(" ".join(line.split()) in text for line in long_lines)


def test_the_markdown_captures_are_read_by_their_links() -> None:
    search = read(PAGES / "search-source-citations-2026-10-02.excerpt.md")
    assert (search.kind, search.query) == (PageKind.SEARCH, "source citations")
    assert [card.upvotes for card in search.cards] == [101, 173, None, 1, None, None, 14, None]
    assert [card.dashed for card in search.cards] == [c.upvotes is None for c in search.cards]
    assert [card.comments for card in search.cards] == [6, 9, 0, 1, 0, 0, 4, 0]
    assert search.cards[2].published_on == date(2025, 2, 27)
    assert search.cards[0].published_on == date(2026, 5, 29)
    trending = read(PAGES / "trending-2026-01.text-excerpt.md")
    assert [card.stars for card in trending.cards] == [11_300, 1_320, 476, 50_800]
    assert trending.kind is PageKind.TRENDING


def test_a_text_about_the_pages_is_not_taken_for_one() -> None:
    with pytest.raises(ParseError):
        read(PAGES / "FORMAT.md")


@pytest.mark.parametrize("path", [DATE_2024, PAPER_2025, TRENDING], ids=lambda path: path.name)
def test_no_cut_of_a_real_page_makes_its_list_silently_shorter(path: Path) -> None:
    body = path.read_bytes()
    whole = len(readers.parse(body, at=OCTOBER_2026).cards)
    for cut in range(1, len(body), len(body) // 80):
        try:
            snapshot = readers.parse(body[:cut], at=OCTOBER_2026)
        except ParseError:
            continue
        assert len(snapshot.cards) == whole
        assert "cut off" in snapshot.warnings[0]


# --- the daemon on the captures, served over HTTP ---------------------------------------------


SERVED = {
    "/papers/date/2024-08-01": DATE_2024,
    "/papers/2509.24002": PAPER_2025,
    "/papers/trending": TRENDING,
    "/api/daily_papers?date=2026-06-03": PAGES / "api-daily-2026-06-03.json",
    "/api/daily_papers?date=2025-10-03": PAGES / "api-daily-2025-10-03.json",
    "/api/daily_papers?date=2026-01-16": SHARED / "api" / "daily-2026-01-16.json",
    "/api/daily_papers?date=2026-02-03": SHARED / "api" / "daily-2026-02-03.json",
}


class Captures:
    """The captures as a site would send them: with an ETag each, and now and then badly."""

    def __init__(self) -> None:
        self.faults: dict[str, Behaviour] = {
            "/papers/trending": page(b"", status=429, headers={"RateLimit": '"pages";r=0;t=2'}),
            "/papers/date/2024-08-01": page(
                gzip.compress(DATE_2024.read_bytes())[:9_000],
                headers={"Content-Encoding": "gzip"},
            ),
        }
        """Each spoils one answer."""
        self.statuses: list[int] = []
        self.edition = 0
        """Another one has other ETags and the same pages."""

    async def answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        if (fault := self.faults.pop(request.target, None)) is not None:
            return await fault(request, writer)
        body = SERVED[request.target].read_bytes()
        etag = f'"{hashlib.sha256(body).hexdigest()[:12]}-{self.edition}"'
        kind = "text/html" if b"<html" in body[:2_000] else "application/json"
        headers = {"ETag": etag, "Content-Type": f"{kind}; charset=utf-8"}
        known = request.headers.get("if-none-match") == etag
        self.statuses.append(304 if known else 200)
        status = 304 if known else 200
        return await page(b"" if known else body, status=status, headers=headers)(request, writer)


def everything(records: Records) -> dict[str, list[tuple[object, ...]]]:
    """What is remembered of papers: a second round must leave all of it alone."""
    tables = (
        "papers",
        "texts",
        "sightings",
        "places",
        "orders",
        "events",
        "keys",
        "revisions",
        "falls",
    )
    return {name: records.conn.execute(f"select * from {name}").fetchall() for name in tables}


def test_the_daemon_stores_what_the_captures_show_and_a_second_round_stores_nothing_new(
    tmp_path: Path,
) -> None:
    """With ETags, a 429 in between and one truncated answer, as a day at the site may be."""
    captures = Captures()

    async def rounds() -> None:
        async with Site(captures.answer) as site:
            text = "[fetch]\nper_host_rate = 0\nrobots = false\nallow_private = true\n"
            text += '[[rule]]\nname = "votes"\nmin_upvotes = 10\n'
            for n, target in enumerate(SERVED):
                text += f'[[source]]\nname = "s{n}"\nurl = "{site.url}{target}"\nfollow = "0s"\n'
            config = parse_config(text.encode(), OPTIONS, env={}, folder=tmp_path)
            clock = FakeClock(OCTOBER_2026)
            first = await Daemon(config, clock=clock).once()
            assert {checked.outcome for checked in first} == {CheckOutcome.OK}
            assert captures.faults == {}
            with open_records(tmp_path / "watcher.db") as records:
                assert_stored(records)
                before = everything(records)
            for edition, outcome in ((0, 304), (1, 200)):
                captures.edition, captures.statuses = edition, []
                clock.advance(3_600)
                again = await Daemon(config, clock=clock).once()
                assert not [checked for checked in again if checked.moved or checked.error]
                assert captures.statuses == [outcome] * len(SERVED)
                with open_records(tmp_path / "watcher.db") as records:
                    assert everything(records) == before

    asyncio.run(rounds())


def assert_stored(records: Records) -> None:
    """Each card of each capture: its words, and the counts that its source showed."""
    for n, (target, path) in enumerate(SERVED.items()):
        url = f"https://huggingface.co{target}"
        shown = readers.parse(path.read_bytes(), url=url, at=OCTOBER_2026)
        source = records.sources.state(f"s{n}")
        assert source is not None
        assert source.cards == len(shown.cards)
        for card in shown.cards:
            row = records.papers.find(card.paper_id or "")
            assert row is not None
            assert records.papers.get(row).title == card.title
            stored = records.conn.execute(
                "select upvotes, comments, stars from sightings where paper = ? and source = ?",
                (row, source.id),
            ).fetchall()
            assert stored == [(card.upvotes, card.comments, card.stars)]
