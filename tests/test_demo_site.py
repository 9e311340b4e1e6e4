"""The stand-in site: its world, its pages, its faults."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zlib
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

import aiohttp
import pytest
from rich.console import Console

from bench import site as bench
from tests.makers import notice
from watcher import readers
from watcher.demo import render
from watcher.demo.invent import PAPERS_BY_WEEKDAY, InventedPaper, invent_day
from watcher.demo.items import Layout, abbreviate
from watcher.demo.render import Printer, Sheet
from watcher.demo.run import Story
from watcher.demo.site import Fault, Incident, Site, serve
from watcher.demo.votes import DAY, HOUR, SHARE_BY_AGE, Course
from watcher.demo.world import Shown, World
from watcher.errors import ParseError
from watcher.model import Card, CheckOutcome, EventType, PageKind, ReaderName, Snapshot
from watcher.watch import Checked

START = date(2026, 10, 1)
NOW = datetime(2026, 10, 14, 15, 20, tzinfo=UTC)
TODAY = NOW.date()
QUERY = "preference optimization"


@pytest.fixture(scope="module")
def world() -> World:
    return World(7, START, 30)


@pytest.fixture(scope="module")
def printer() -> Printer:
    return Printer()


@pytest.fixture(scope="module")
def crowd() -> list[InventedPaper]:
    """About 2,700 listed papers: enough for quantiles."""
    days = (START + timedelta(days=n) for n in range(140))
    return [paper for day in days for paper in invent_day(3, day)]


def sheet_of(world: World, kind: PageKind, now: datetime = NOW) -> Sheet:
    today = now.date()
    if kind is PageKind.TRENDING:
        return Sheet(kind=kind, shown=world.trending(now), today=today)
    if kind is PageKind.SEARCH:
        found, listed = world.search(QUERY, now), world.daily(today, now)
        return Sheet(kind=kind, shown=found, today=today, day=today, query=QUERY, beside=listed)
    lists = {PageKind.WEEK: world.week, PageKind.MONTH: world.month}
    shown = lists[kind](now) if kind in lists else world.daily(today, now)
    return Sheet(kind=kind, shown=shown, today=today, day=today)


URLS = {
    PageKind.DAILY: f"/papers/date/{TODAY}",
    PageKind.WEEK: "/papers/week/2026-W42",
    PageKind.MONTH: "/papers/month/2026-10",
    PageKind.TRENDING: "/papers/trending",
    PageKind.SEARCH: "/papers?q=preference+optimization",
}


def read(body: bytes, url: str, reader: ReaderName | None = None) -> Snapshot:
    return readers.parse(body, url="https://huggingface.co" + url, at=NOW, reader=reader)


def told(cards: tuple[Card, ...], fields: set[str]) -> list[tuple[object, ...]]:
    return [tuple(getattr(card, name) for name in sorted(fields)) for card in cards]


def truth(shown: tuple[Shown, ...]) -> tuple[Card, ...]:
    return tuple(each.card() for each in shown)


# --- the world -----------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_pages_in_another_process() -> None:
    code = (
        "from datetime import *; from watcher.demo.world import World; "
        "from watcher.demo.site import Site; "
        "site = Site(World(5, date(2026, 10, 1), 2)); "
        "answer = site.respond('/papers/trending', {}, datetime(2026, 10, 2, 9, tzinfo=UTC)); "
        "print(answer.headers['ETag'], len(answer.body))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "4"},
        cwd=Path(__file__).parent.parent,
    )
    here = Site(World(5, date(2026, 10, 1), 2)).respond(
        "/papers/trending", {}, datetime(2026, 10, 2, 9, tzinfo=UTC)
    )
    assert done.stdout.split() == [here.headers["ETag"], str(len(here.body))]


def test_a_longer_world_agrees_with_a_shorter_one_and_another_seed_with_neither() -> None:
    short, long, other = World(1, START, 2), World(1, START, 5), World(2, START, 2)
    noon = datetime(2026, 10, 2, 12, tzinfo=UTC)
    assert short.daily(noon.date(), noon) == long.daily(noon.date(), noon)
    assert short.daily(noon.date(), noon) != other.daily(noon.date(), noon)


def test_final_upvotes_follow_the_measured_quantiles(crowd: list[InventedPaper]) -> None:
    finals = sorted(paper.tally.upvotes_at(paper.listed_at + 30 * DAY) for paper in crowd)
    measured = {0.10: 2, 0.25: 5, 0.50: 11, 0.75: 28, 0.90: 59, 0.95: 96, 0.99: 210}
    for part, votes in measured.items():
        found = finals[int(len(finals) * part)]
        assert votes * 0.75 - 1 <= found <= votes * 1.35 + 1, (part, found)


@pytest.mark.parametrize(("hours", "share"), SHARE_BY_AGE[1:8])
def test_the_median_paper_has_the_measured_share_of_its_votes_at_each_age(
    crowd: list[InventedPaper], hours: float, share: float
) -> None:
    shares = []
    for paper in crowd:
        final = paper.tally.upvotes_at(paper.listed_at + 7 * DAY)
        if final >= 10 and paper.course is Course.PLAIN:
            then = paper.tally.upvotes_at(paper.listed_at + int(hours * HOUR))
            shares.append(then / final)
    assert abs(median(shares) - share) < 0.06


def test_votes_fall_rarely_and_then_by_one(crowd: list[InventedPaper]) -> None:
    steps = falls = 0
    for paper in crowd[:800]:
        counts = [paper.tally.upvotes_at(paper.listed_at + n * 2 * HOUR) for n in range(80)]
        for before, after in pairwise(counts):
            steps += after != before
            falls += after < before
            assert after >= before - 1
    assert 0 < falls < steps * 0.02


def test_after_a_week_only_resurging_papers_move_by_five_a_day(
    crowd: list[InventedPaper],
) -> None:
    def most_a_day(paper: InventedPaper) -> int:
        days = range(7, 13)
        counts = [paper.tally.upvotes_at(paper.listed_at + day * DAY) for day in days]
        return max(after - before for before, after in pairwise(counts))

    plain = [most_a_day(p) for p in crowd if p.course is Course.PLAIN]
    back = [p for p in crowd if p.course is Course.RESURGING]
    waves = [
        p.tally.upvotes_at(p.listed_at + 14 * DAY) - p.tally.upvotes_at(p.listed_at + 4 * DAY)
        for p in back
    ]
    assert max(plain) < 5
    assert 10 < len(back) < len(crowd) / 50
    assert min(waves) >= 25


def test_steep_papers_climb_far_above_the_usual_within_a_day(crowd: list[InventedPaper]) -> None:
    steep = [p for p in crowd if p.course is Course.STEEP]
    assert 10 < len(steep) < len(crowd) / 50
    usual = [p.tally.upvotes_at(p.listed_at + DAY) for p in crowd if p.course is Course.PLAIN]
    for paper in steep:
        assert paper.tally.upvotes_at(paper.listed_at + 2 * HOUR) < 25
        assert paper.tally.upvotes_at(paper.listed_at + DAY) > 8 * median(usual)


def test_the_number_of_new_papers_follows_the_weekday(crowd: list[InventedPaper]) -> None:
    days = [START + timedelta(days=n) for n in range(140)]
    listed = [paper.listed_on for paper in crowd]
    for weekday, usual in enumerate(PAPERS_BY_WEEKDAY):
        counts = [listed.count(day) for day in days if day.weekday() == weekday]
        assert abs(mean(counts) - usual) <= 2.5


def test_ids_and_titles_are_unique_and_no_arxiv_number_is_used(world: World) -> None:
    ids = [paper.id for paper in world.papers]
    assert len(set(ids)) == len(ids)
    assert len({paper.title for paper in world.papers}) > len(ids) * 0.99
    assert all(re.fullmatch(r"\d{4}\.9\d{4}", name) for name in ids)


def test_every_address_of_a_paper_leads_nowhere_but_to_invented_places(world: World) -> None:
    for paper in world.papers:
        assert paper.github is None or paper.github.startswith("https://github.com/invented-")
        assert paper.project is None or paper.project.endswith(".papers.invalid/")
        assert paper.thumbnail.startswith("https://cdn.papers.invalid/")


def test_a_daily_list_fills_up_is_ordered_by_votes_and_empty_on_a_sunday(world: World) -> None:
    midnight = datetime(2026, 10, 13, tzinfo=UTC)
    sizes = [len(world.daily(TODAY, midnight + timedelta(hours=n))) for n in range(0, 49, 6)]
    assert sizes == sorted(sizes)
    assert sizes[4] == 0 or sizes[3] == 0
    assert sizes[-1] > 20
    votes = [each.upvotes for each in world.daily(TODAY, NOW)]
    assert votes == sorted(votes, reverse=True)
    assert world.daily(date(2026, 10, 11), NOW) == ()
    assert world.daily(TODAY + timedelta(days=1), NOW) == ()


def test_trending_mixes_old_and_new_and_papers_enter_it_from_below(world: World) -> None:
    shown = world.trending(NOW)
    old = [each for each in shown if each.paper.course is Course.OLD]
    assert len(shown) == 50
    assert 10 <= len(old) <= 40
    assert [each.rank for each in shown] == list(range(1, 51))
    best: dict[str, int] = {}
    entered = climbed = 0
    for hours in range(24 * 14):
        for each in world.trending(NOW + timedelta(hours=hours)):
            name = each.paper.id
            if each.rank <= 10 and name not in best:
                entered += 1
            if each.rank <= 10 and best.get(name, 0) > 10:
                climbed += 1
            best[name] = min(best.get(name, 99), each.rank)
    assert climbed > entered


def test_the_order_of_trending_moves_slowly(world: World) -> None:
    today = [each.paper.id for each in world.trending(NOW)]
    tomorrow = [each.paper.id for each in world.trending(NOW + timedelta(days=1))]
    later = [each.paper.id for each in world.trending(NOW + timedelta(minutes=30))]
    assert today == later
    assert 35 <= len(set(today) & set(tomorrow)) < 50


# --- pages: world -> page -> snapshot ----------------------------------------------------------


@pytest.mark.parametrize("kind", URLS)
def test_the_island_of_each_page_says_what_the_world_says(
    world: World, printer: Printer, kind: PageKind
) -> None:
    sheet = sheet_of(world, kind)
    body = printer.html(sheet, layout=Layout.SITE_2026, request_id="r")
    snapshot = read(body, URLS[kind])
    assert snapshot.cards == truth(sheet.shown)
    assert len(snapshot.cards) >= 20
    assert (snapshot.reader, snapshot.kind) == (ReaderName.ISLAND, kind)
    assert snapshot.warnings == ()
    assert snapshot.listed_on == (TODAY if kind is PageKind.DAILY else None)
    assert readers.cross_check(snapshot, body, url=URLS[kind]) == ()


def test_the_cards_of_a_trending_page_say_the_same_with_rounded_stars(
    world: World, printer: Printer
) -> None:
    sheet = sheet_of(world, PageKind.TRENDING)
    body = printer.html(sheet, layout=Layout.SITE_2026, request_id="r")
    snapshot = read(body, URLS[PageKind.TRENDING], ReaderName.CARDS)
    exact = {"paper_id", "title", "upvotes", "github", "organization", "published_on", "rank"}
    assert told(snapshot.cards, exact) == told(truth(sheet.shown), exact)
    for card, each in zip(snapshot.cards, sheet.shown, strict=True):
        assert card.submitted_by == each.card().submitted_by
        assert (card.stars is None) == (each.stars is None)
        if each.stars is not None:
            assert card.stars == pytest.approx(each.stars, rel=0.006)


def test_the_cards_of_a_search_page_mark_words_and_write_a_dash_for_no_votes(
    world: World, printer: Printer
) -> None:
    sheet = sheet_of(world, PageKind.SEARCH)
    body = printer.html(sheet, layout=Layout.SITE_2026, request_id="r")
    snapshot = read(body, URLS[PageKind.SEARCH], ReaderName.CARDS)
    same = {"paper_id", "title", "abstract", "published_on", "comments", "organization", "rank"}
    assert b'<span class="highlight">' in body
    assert told(snapshot.cards, same) == told(truth(sheet.shown), same)
    votes = [card.upvotes for card in snapshot.cards]
    assert votes == [each.upvotes or None for each in sheet.shown]
    assert None in votes


def test_a_page_of_2024_has_few_fields_and_the_same_counts(world: World, printer: Printer) -> None:
    sheet = sheet_of(world, PageKind.DAILY)
    body = printer.html(sheet, layout=Layout.GRID_2024, request_id="r")
    same = {"paper_id", "title", "upvotes", "comments", "submitted_by", "author_count", "rank"}
    for reader in (ReaderName.ISLAND, ReaderName.CARDS):
        snapshot = read(body, URLS[PageKind.DAILY], reader)
        assert told(snapshot.cards, same) == told(truth(sheet.shown), same)
        assert snapshot.listed_on == TODAY
        assert "stars" not in snapshot.shows
    assert b"<!--" not in body[body.index(b"<article") : body.index(b"</article>")]


@pytest.mark.parametrize("kind", [PageKind.TRENDING, PageKind.DAILY])
def test_the_redesign_has_no_island_and_only_its_cards_help(
    world: World, printer: Printer, kind: PageKind
) -> None:
    sheet = sheet_of(world, kind)
    body = printer.html(sheet, layout=Layout.REDESIGN, request_id="r")
    assert b"data-target" not in body[: body.rindex(b"</article>")]
    snapshot = read(body, URLS[kind])
    same = {"paper_id", "title", "upvotes", "github", "organization", "published_on", "rank"}
    assert snapshot.reader is ReaderName.CARDS
    assert told(snapshot.cards, same) == told(truth(sheet.shown), same)
    articles = body[body.index(b"<article") : body.rindex(b"</article>")].decode()
    classes = {name for found in re.findall(r'class="([^"]*)"', articles) for name in found.split()}
    assert all(name.startswith("fx-") for name in classes - {"size-3"})


def test_a_lost_field_leaves_everything_else_as_it_was(world: World, printer: Printer) -> None:
    sheet = sheet_of(world, PageKind.TRENDING)
    body = printer.html(sheet, layout=Layout.FIELD_LOST, request_id="r")
    snapshot = read(body, URLS[PageKind.TRENDING])
    assert all(card.upvotes is None for card in snapshot.cards)
    assert told(snapshot.cards, {"title", "stars"}) == told(truth(sheet.shown), {"title", "stars"})


def test_the_api_says_what_the_world_says(world: World) -> None:
    site = Site(world)
    for path, shown in (
        (f"/api/daily_papers?date={TODAY}", world.daily(TODAY, NOW)),
        ("/api/daily_papers", world.daily(TODAY, NOW)),
        ("/api/daily_papers?limit=5", world.daily(TODAY, NOW)[:5]),
        ("/api/papers/search?q=speech", world.search("speech", NOW)[:50]),
    ):
        answer = site.respond(path, {}, NOW)
        snapshot = read(answer.body, path)
        assert snapshot.reader is ReaderName.API
        assert snapshot.cards == truth(shown)
    assert b"upvoted" not in answer.body
    assert site.respond("/api/daily_papers?date=2026-10-11", {}, NOW).body == b"[]"


def test_a_text_dump_holds_every_paper_of_a_search(world: World) -> None:
    sheet = sheet_of(world, PageKind.SEARCH)
    snapshot = read(render.dump(sheet).encode(), "")
    same = {"title", "abstract", "author_count", "published_on", "comments"}
    assert snapshot.reader is ReaderName.DUMP
    assert told(snapshot.cards, same) == told(truth(sheet.shown), same)


def test_the_page_of_a_single_paper_says_the_same_in_island_and_text(world: World) -> None:
    shown = world.trending(NOW)[0]
    path = f"/papers/{shown.paper.id}"
    body = Site(world).respond(path, {}, NOW).body
    snapshot = read(body, path)
    card = shown.card()
    assert snapshot.kind is PageKind.PAPER
    assert snapshot.cards[0].title == card.title
    assert snapshot.cards[0].comments == card.comments
    assert readers.cross_check(snapshot, body, url=path) == ()


def test_a_trending_page_has_a_realistic_weight(world: World) -> None:
    sheet = sheet_of(world, PageKind.TRENDING)
    body = Printer().html(sheet, layout=Layout.SITE_2026, request_id="r")
    real = Printer(drawing=55).html(sheet, layout=Layout.SITE_2026, request_id="r")
    assert 800_000 < len(body) < 1_000_000
    assert 110_000 < len(zlib.compress(body, 1)) < 140_000
    assert 1_450_000 < len(real) < 1_750_000


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (0, "0"),
        (843, "843"),
        (1324, "1.32k"),
        (3287, "3.29k"),
        (11_320, "11.3k"),
        (62_246, "62.2k"),
        (50_000, "50k"),
        (104_400, "104k"),
    ],
)
def test_stars_are_written_with_three_digits(count: int, written: str) -> None:
    assert abbreviate(count) == written


# --- the site ------------------------------------------------------------------------------


def test_an_unchanged_page_is_304_though_whole_bodies_never_repeat(world: World) -> None:
    site = Site(world)
    first = site.respond("/papers/trending", {}, NOW)
    second = site.respond("/papers/trending", {}, NOW)
    known = {"if-none-match": f'"other", {first.headers["ETag"]}'}
    third = site.respond("/papers/trending", known, NOW)
    later = site.respond("/papers/trending", known, NOW + timedelta(hours=8))
    assert first.body != second.body
    assert readers.island_bytes(first.body) == readers.island_bytes(second.body)
    assert first.headers["ETag"] == second.headers["ETag"]
    assert (third.status, third.body) == (304, b"")
    assert later.status == 200


def test_addresses_lead_where_those_of_the_real_site_lead(world: World) -> None:
    site = Site(world)
    for path, location in (
        ("/papers", f"/papers/date/{TODAY}"),
        ("/papers/week/current", "/papers/week/2026-W42"),
        ("/papers/month/current", "/papers/month/2026-10"),
    ):
        answer = site.respond(path, {}, NOW)
        assert (answer.status, answer.headers["Location"]) == (302, location)
    for path in (f"/papers?date={TODAY}", f"/papers/date/{TODAY}", *URLS.values()):
        assert site.respond(path, {}, NOW).status == 200
    for path in ("/papers/date/tomorrow", "/papers/date/2027-01-01", "/papers/2610.00001", "/x"):
        assert site.respond(path, {}, NOW).status == 404
    assert b"User-agent" in site.respond("/robots.txt", {}, NOW).body


def incident(fault: Fault, **more: object) -> Incident:
    return Incident(fault=fault, since=NOW, until=NOW + timedelta(minutes=4), **more)  # type: ignore[arg-type]


def test_an_incident_strikes_between_its_times_only(world: World) -> None:
    site = Site(world, script=[incident(Fault.OUTAGE)])
    moments = (NOW - timedelta(seconds=1), NOW, NOW + timedelta(minutes=4))
    assert [site.respond("/papers/trending", {}, at).status for at in moments] == [200, 503, 200]
    assert site.respond("/robots.txt", {}, NOW).status == 503


def test_an_incident_may_strike_a_number_of_times_and_one_address(world: World) -> None:
    site = Site(world, script=[incident(Fault.OUTAGE, times=2, path="/papers/date")])
    path = f"/papers/date/{TODAY}"
    assert site.respond("/papers/trending", {}, NOW).status == 200
    assert [site.respond(path, {}, NOW).status for _ in range(3)] == [503, 503, 200]


def test_a_429_says_in_its_ratelimit_header_how_long_to_wait(world: World) -> None:
    answer = Site(world, script=[incident(Fault.RATE_LIMITED)]).respond("/papers", {}, NOW)
    assert answer.status == 429
    assert answer.headers["RateLimit"] == '"pages";r=0;t=240'
    assert "q=100;w=300" in answer.headers["RateLimit-Policy"]


def test_the_limit_counts_requests_in_windows_of_five_minutes(world: World) -> None:
    site = Site(world, limit=3)
    statuses = [site.respond("/papers", {}, NOW).status for _ in range(5)]
    assert statuses == [302, 302, 302, 429, 429]
    assert site.respond("/robots.txt", {}, NOW).status == 200
    assert site.respond("/papers", {}, NOW + timedelta(minutes=5)).status == 302
    assert site.answered == {302: 4, 429: 2, 200: 1}


@pytest.mark.parametrize(
    ("fault", "says"),
    [(Fault.CHALLENGE, "challenge"), (Fault.LOGIN, "login"), (Fault.HALF, "cut off")],
)
def test_a_page_that_is_none_is_refused_by_name(world: World, fault: Fault, says: str) -> None:
    answer = Site(world, script=[incident(fault)]).respond("/papers/trending", {}, NOW)
    assert answer.status == 200
    with pytest.raises(ParseError, match=says):
        read(answer.body, "/papers/trending")


def test_a_truncated_body_is_not_a_whole_gzip_stream(world: World) -> None:
    site = Site(world, script=[incident(Fault.TRUNCATED, times=1)])
    cut, whole = (
        site.respond("/papers/trending", {"accept-encoding": "gzip, br"}, NOW) for _ in range(2)
    )
    assert whole.headers["Content-Encoding"] == "gzip"
    assert zlib.decompress(whole.body, 31).endswith(b"</html>\n")
    unfinished = zlib.decompressobj(31)
    unfinished.decompress(cut.body)
    assert not unfinished.eof


@pytest.mark.parametrize(
    ("fault", "layout"), [(Fault.REDESIGN, b"fx-card"), (Fault.OLD_LAYOUT, b"\t\t<div class=")]
)
def test_a_new_layout_may_come_and_stay(world: World, fault: Fault, layout: bytes) -> None:
    site = Site(world, script=[Incident(fault=fault, since=NOW)])
    before = site.respond(f"/papers/date/{TODAY}", {}, NOW - timedelta(hours=1))
    after = site.respond(f"/papers/date/{TODAY}", {}, NOW + timedelta(days=9))
    assert layout not in before.body
    assert layout in after.body


@pytest.fixture
def clock() -> list[datetime]:
    return [NOW]


async def test_the_served_site_answers_as_the_site_does(
    world: World, clock: list[datetime]
) -> None:
    site = Site(world)
    async with (
        await serve(site, lambda: clock[0]) as running,
        aiohttp.ClientSession(running.url) as client,
    ):
        async with client.get("/papers") as answer:
            assert answer.url.path == f"/papers/date/{TODAY}"
            body = await answer.read()
            tag = answer.headers["ETag"]
        assert read(body, URLS[PageKind.DAILY]).cards == truth(world.daily(TODAY, NOW))
        async with client.get(answer.url, headers={"If-None-Match": tag}) as again:
            assert again.status == 304
        clock[0] += timedelta(days=1)
        async with client.get("/papers") as tomorrow:
            assert tomorrow.url.path == f"/papers/date/{TODAY + timedelta(days=1)}"


async def test_a_refusing_site_closes_the_connection_without_an_answer(world: World) -> None:
    site = Site(world, script=[Incident(fault=Fault.REFUSED, since=NOW)])
    async with (
        await serve(site, lambda: NOW) as running,
        aiohttp.ClientSession(running.url) as client,
    ):
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get("/papers/trending")
    assert site.answered == {0: 1} or site.answered == {0: 2}  # aiohttp may try once more


# --- the pages of the benches --------------------------------------------------------------


@pytest.fixture(scope="module")
def bench_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    bench.write_pages(folder, 2, visits=3, same=2)
    return folder


def _page(file: Path) -> Snapshot:
    return read(zlib.decompress(file.read_bytes(), 31), "/papers/trending")


def test_every_visit_in_the_bench_finds_every_count_changed(bench_folder: Path) -> None:
    visits = [_page(bench_folder / f"visits/01/{n:03}.html.gz").cards for n in range(3)]
    for before, after in pairwise(visits):
        assert len(after) == bench.CARDS
        for old, new in zip(before, after, strict=True):
            assert old.paper_id == new.paper_id
            assert (old.upvotes or 0) < (new.upvotes or 0) <= (old.upvotes or 0) + 3


def test_the_pages_of_the_bench_share_no_paper(bench_folder: Path) -> None:
    pages = [_page(bench_folder / f"visits/{n:02}/000.html.gz").cards for n in range(2)]
    assert len({card.paper_id for cards in pages for card in cards}) == 2 * bench.CARDS


def test_equal_copies_differ_in_nothing_but_the_request_id(bench_folder: Path) -> None:
    files = sorted((bench_folder / "same/00").iterdir())
    bodies = [zlib.decompress(file.read_bytes(), 31) for file in files]
    assert bodies[0] != bodies[1]
    assert readers.island_bytes(bodies[0]) == readers.island_bytes(bodies[1])


def test_no_two_versions_of_a_page_share_time_and_size(bench_folder: Path) -> None:
    files = [f for kind in ("visits", "same") for f in (bench_folder / kind / "00").iterdir()]
    assert len({(f.stat().st_mtime, f.stat().st_size) for f in files}) == len(files)


def test_a_rotation_shows_one_visit_after_the_other(bench_folder: Path) -> None:
    rotation = bench.Rotation(bench_folder, pages=2, visits=3)
    rotation.rewind()
    link = bench_folder / "current/01.html.gz"
    seen = [link.resolve().name]
    for _ in range(3):
        rotation.advance(1)
        seen.append(link.resolve().name)
    assert seen == ["000.html.gz", "001.html.gz", "002.html.gz", "000.html.gz"]
    assert bench.write_pages(bench_folder, 2, visits=3, same=2) == 0


@pytest.mark.parametrize(
    ("kind", "colour"),
    [
        (EventType.SOURCE_FAILING, "31"),
        (EventType.SOURCE_DRIFTING, "33"),
        (EventType.SOURCE_RECOVERED, "32"),
    ],
)
def test_the_demo_shows_only_good_news_in_green(kind: EventType, colour: str) -> None:
    out = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=100)
    story = Story(out)
    checked = Checked(target="trending", at=NOW, outcome=CheckOutcome.OK)
    story.tell(checked, (notice(type=kind, reason="something happened"),))
    assert f"\x1b[{colour}msomething happened" in out.file.getvalue()  # type: ignore[attr-defined]
