"""One visit of one source: what it stores, what it skips, and what a bad page does not do."""

import contextlib
import gzip
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from tests import pages
from tests.conftest import SHARED, needs_shared
from tests.servers import FakeClock, Site, conditional, packed, page
from tests.snapshots import card, snapshot
from watcher import readers
from watcher.agenda import Target
from watcher.fetch import Fetcher, FetchOptions
from watcher.model import Change, CheckOutcome, EventType, PageKind
from watcher.record import remembered_subject
from watcher.rules import compile_rule
from watcher.store import Check as StoredCheck
from watcher.store import Store, open_records
from watcher.watch import App, check

NOW = datetime(2026, 10, 5, 12, tzinfo=UTC)
OPTIONS = FetchOptions(per_host_rate=0, allow_private=True)


@contextlib.asynccontextmanager
async def app_on(path, *rules, clock=None):
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    async with Fetcher(OPTIONS, clock=clock or FakeClock(NOW)) as fetcher:
        yield App(store=store, fetcher=fetcher, rules=rules)
    await store.close()


def target(site, path="/papers/trending", name="trending", **fields):
    return Target(name=name, url=f"{site.url}{path}", family=fields.pop("family", name), **fields)


def counts(app):
    return app.store.read(lambda r: (*r.papers.count(), r.sources.count_checks(), r.events.count()))


async def test_a_page_is_remembered_and_the_same_page_again_stores_nothing_new(tmp_path):
    shown = pages.fakes(12)
    async with Site(conditional(pages.trending(shown))) as site, app_on(tmp_path / "w.db") as app:
        first = await check(app, target(site), NOW)
        second = await check(app, target(site), NOW + timedelta(minutes=30))
        assert (first.outcome, first.cards, first.fresh) == (CheckOutcome.OK, 12, 12)
        assert first.baseline
        assert not second.baseline
        assert second.outcome is CheckOutcome.UNCHANGED
        assert await counts(app) == (12, 12, {"ok": 1, "unchanged": 1}, 0)
        assert site.pages[1].headers["if-none-match"] == '"v1"'


async def test_equal_islands_are_unchanged_though_whole_bodies_never_repeat(tmp_path):
    body = pages.trending(pages.fakes(5))
    answers = [packed(body + f"<!-- request {n} -->".encode()) for n in range(3)]
    async with Site(answers) as site, app_on(tmp_path / "w.db") as app:
        outcomes = [(await check(app, target(site), NOW)).outcome for _ in range(3)]
        assert outcomes == [CheckOutcome.OK, CheckOutcome.UNCHANGED, CheckOutcome.UNCHANGED]


async def test_validators_of_an_earlier_run_are_used_and_dropped_when_the_rules_change(tmp_path):
    shown = pages.trending(pages.fakes(5))
    rule = compile_rule("a", min_upvotes=20)
    async with Site(conditional(shown)) as site:
        async with app_on(tmp_path / "w.db", rule) as app:
            await check(app, target(site), NOW)
        async with app_on(tmp_path / "w.db", rule) as app:
            again = await check(app, target(site), NOW + timedelta(hours=1))
            assert again.outcome is CheckOutcome.UNCHANGED
        async with app_on(tmp_path / "w.db", compile_rule("a", min_upvotes=30)) as app:
            anew = await check(app, target(site), NOW + timedelta(hours=2))
            assert anew.outcome is CheckOutcome.OK


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (page(b"<html><body>Please log in</body></html>"), "not a page of papers"),
        (page(b"", status=404), "404"),
        (page(b"", status=503), "503"),
        (page(b"\x00\xff\xfe not a page"), ""),
        (page(pages.trending(pages.fakes(5))[:9000]), ""),
    ],
)
async def test_a_bad_page_is_a_failed_visit_in_one_line_and_the_next_good_one_works(
    tmp_path, answer, said
):
    good = page(pages.trending(pages.fakes(4)))
    async with Site([good, *[answer] * 4, good]) as site, app_on(tmp_path / "w.db") as app:
        await check(app, target(site), NOW)
        bad = await check(app, target(site), NOW + timedelta(hours=1))
        assert bad.outcome is CheckOutcome.FAILED
        assert bad.error
        assert "\n" not in bad.error
        assert said in bad.error.lower()
        state = await app.store.read(lambda r: r.sources.state("trending"))
        assert state.failures == 1
        papers, sightings, _, events = await counts(app)
        assert (papers, sightings, events) == (4, 4, 0)


async def test_what_is_there_at_the_first_look_is_known_and_what_comes_later_is_told(tmp_path):
    old, young = pages.fakes(3), pages.Fake(id="2610.00999", title="Only later", upvotes=44)
    old = [fake.but(upvotes=30) for fake in old]
    rule = compile_rule("votes", min_upvotes=20, events=[Change.NEW])
    answers = [page(pages.trending(old)), page(pages.trending([young, *old]))]
    async with Site(answers) as site, app_on(tmp_path / "w.db", rule) as app:
        first = await check(app, target(site), NOW)
        second = await check(app, target(site), NOW + timedelta(hours=1))
        assert (first.known, first.told) == (3, 0)
        assert (second.known, second.told) == (0, 1)
        told = await app.store.read(lambda r: r.events.after(known=False))
        assert [e.paper.title for e in told] == ["Only later"]
        assert told[0].reason


async def test_a_rule_that_asks_for_it_is_told_what_is_there(tmp_path):
    rule = compile_rule("votes", min_upvotes=20, events=[Change.NEW], tell_known=True)
    shown = [fake.but(upvotes=30) for fake in pages.fakes(3)]
    async with Site(page(pages.trending(shown))) as site, app_on(tmp_path / "w.db", rule) as app:
        assert (await check(app, target(site), NOW)).told == 3


async def test_rules_put_in_force_amid_a_visit_have_their_first_look_at_the_next_one(tmp_path):
    """A reload comes on the event loop's thread; a visit is written down on the store's."""
    old = compile_rule("old", min_upvotes=5000)
    new = compile_rule("new", min_upvotes=20, events=[Change.NEW])
    shown = pages.trending([fake.but(upvotes=30) for fake in pages.fakes(3)])
    async with Site(page(shown)) as site, app_on(tmp_path / "w.db", old) as app:
        known = app.matches.known

        def meanwhile(*asked):
            app.use_rules([new])
            return known(*asked)

        app.matches.known = meanwhile
        first = await check(app, target(site), NOW)
        assert (app.rules, first.known, first.told) == ((new,), 0, 0)
        second = await check(app, target(site), NOW + timedelta(hours=1))
        assert (second.known, second.told) == (3, 0)


async def test_past_days_found_at_the_start_are_known_and_missed_days_are_told(tmp_path):
    rule = compile_rule("votes", min_upvotes=20, events=[Change.NEW])
    fakes = [fake.but(upvotes=30) for fake in pages.fakes(6)]
    now = NOW
    async with Site(page(b"")) as site, app_on(tmp_path / "w.db", rule) as app:

        async def visit(number, day=None, ahead=0):
            site.answers = page(pages.grid_2026(fakes[number : number + 1], day or now.date()))
            name = "daily" if day is None else f"daily@{day}"
            path = "/papers" if day is None else f"/papers/date/{day}"
            at = now + timedelta(days=ahead)
            return await check(
                app, target(site, path, name, family="daily", day=day, kind=PageKind.DAILY), at
            )

        yesterday = (now - timedelta(days=1)).date()
        before = await visit(0, yesterday)  # may come before the source itself
        assert (before.known, before.told) == (1, 0)
        assert ((await visit(1)).known, (await visit(2)).told) == (1, 1)
        earlier = await visit(3, (now - timedelta(days=2)).date())
        assert (earlier.known, earlier.told) == (1, 0)
        missed = await visit(4, (now + timedelta(days=2)).date(), ahead=3)
        assert (missed.known, missed.told) == (0, 1)


async def test_ripening_ends_also_when_the_page_did_not_change(tmp_path):
    rule = compile_rule("slow", ripen_s=6 * 3600, events=[Change.NEW])
    early = [pages.Fake(id="2610.00001", title="First of all", opened=NOW, submitted=NOW)]
    later = pages.Fake(
        id="2610.00002", title="Wait for me", opened=NOW + timedelta(hours=1),
        submitted=NOW + timedelta(hours=1),
    )  # fmt: skip
    answers = [page(pages.trending(early)), conditional(pages.trending([later, *early]))]
    async with Site(answers) as site, app_on(tmp_path / "w.db", rule) as app:
        told = [
            (await check(app, target(site), NOW + timedelta(hours=h))).told
            for h in (1, 2, 5, 7.5, 9)
        ]
        assert told == [0, 0, 0, 2, 0]


def test_a_remembered_paper_is_as_unknown_as_its_own_source_left_it(tmp_path):
    shows = {"daily": frozenset({"upvotes", "stars"}), "search": frozenset({"upvotes"})}
    with open_records(tmp_path / "w.db", create=True) as records, records.transaction():
        for hour, (name, shown) in enumerate(shows.items()):
            source, at = records.sources.id_of(name, name, name), NOW + timedelta(hours=hour)
            (met,) = records.papers.meet(source, snapshot(card(), at=at, shows=shown))
            fills = dict.fromkeys(shown, 1)
            records.sources.record_check(
                StoredCheck(source=source, at=at, outcome=CheckOutcome.OK, fills=fills)
            )
        later = NOW + timedelta(hours=9)
        for name in ("daily", "search", "trending"):
            paper = remembered_subject(records, met.row, name, later)
            assert paper.shows == shows.get(name, frozenset()), name


async def test_the_next_visit_is_planned_by_the_failures_in_a_row_and_by_what_the_site_asks(
    tmp_path,
):
    good, gone = page(pages.trending(pages.fakes(12))), page(b"", status=404)
    busy = page(b"", status=503, headers={"Retry-After": "900"})
    others = [f.but(id=f"2512.{n:05d}") for n, f in enumerate(pages.fakes(12, seed=9))]
    asked = []

    def next_due(_, failures, retry_after):
        asked.append((failures, retry_after))
        return NOW + timedelta(hours=len(asked))

    clock = FakeClock(NOW)
    site = Site([good, gone, gone, busy, page(pages.trending(others)), good])
    async with site, app_on(tmp_path / "w.db", clock=clock) as app:
        app.next_due = next_due
        for _ in range(6):
            ended = await check(app, target(site), clock.now())
            state = await app.store.read(lambda r: r.sources.state("trending"))
            assert state.next_due_at == ended.next_due_at == NOW + timedelta(hours=len(asked))
            clock.advance(3600)
    # A page that was put aside is asked for at the usual pace: it answers, after all.
    assert asked == [(0, None), (1, None), (2, None), (3, 900.0), (0, None), (0, None)]


async def test_a_lasting_failure_is_told_once_and_so_is_its_end(tmp_path):
    good, bad = page(pages.trending(pages.fakes(3))), page(b"", status=404)
    async with Site([good, bad, bad, bad, bad, good]) as site, app_on(tmp_path / "w.db") as app:
        for hour in range(6):
            await check(app, target(site), NOW + timedelta(hours=hour))
        told = await app.store.read(lambda r: r.events.after())
        assert [event.type for event in told] == [
            EventType.SOURCE_FAILING, EventType.SOURCE_RECOVERED,
        ]  # fmt: skip
        assert "3 times in a row" in told[0].reason
        assert told[0].subject == "trending"


async def test_the_order_of_cards_does_not_matter(tmp_path):
    fakes = [fake.but(upvotes=3 * n) for n, fake in enumerate(pages.fakes(9), 1)]
    rule = compile_rule("votes", min_upvotes=12, tell_known=True)
    found = []
    for number, shown in enumerate((fakes, fakes[::-1])):
        body = page(pages.grid_2026(shown))
        async with Site(body) as site, app_on(tmp_path / f"{number}.db", rule) as app:
            await check(app, target(site, "/papers", "daily"), NOW)
            events = await app.store.read(lambda r: r.events.after())
            found.append({(e.id, e.reason) for e in events})
    assert found[0] == found[1]


# --- the real captures, served over HTTP -----------------------------------------------------


CAPTURES = {
    "/papers/date/2024-08-01": ("date-2024-08-01.html", 13),
    "/papers/trending": ("trending-2026-10-07.excerpt.html", None),
    "/papers/2509.24002": ("paper-2509.24002-2025-10-02.bs4-prettified.html", 1),
    "/api/daily_papers": ("api-daily-2026-06-03.json", None),
}


@needs_shared
async def test_the_captures_are_stored_as_they_show_and_a_second_round_stores_nothing(tmp_path):
    """With ETags, a 429 in between and one truncated answer, as issue A asks."""
    routes = {}
    for path, (name, _) in CAPTURES.items():
        body = (SHARED / "pages" / name).read_bytes()
        etag = f'"{hashlib.sha256(body).hexdigest()[:12]}"'
        kind = "application/json" if name.endswith("json") else "text/html; charset=utf-8"
        routes[path] = [_conditional(body, etag, kind)]
    whole = routes["/papers/date/2024-08-01"][0]
    limited = page(b"", status=429, headers={"RateLimit": '"pages";r=0;t=2'})
    routes["/papers/trending"].insert(0, limited)
    cut = gzip.compress((SHARED / "pages" / "date-2024-08-01.html").read_bytes())[:9000]
    truncated = page(cut, headers={"Content-Encoding": "gzip"})
    routes["/papers/date/2024-08-01"] = [truncated, whole]
    clock = FakeClock(NOW)
    missing = page(b"", status=404)
    database = tmp_path / "w.db"
    async with Site(missing, routes=routes) as site, app_on(database, clock=clock) as app:
        first = {}
        for path in CAPTURES:
            checked = await check(app, target(site, path, name=path), clock.now())
            assert checked.outcome is CheckOutcome.OK, checked.error
            first[path] = checked.cards
        for path, (_, cards) in CAPTURES.items():
            assert first[path] == cards or (cards is None and first[path] > 0)
        stored = (await counts(app))[:2]
        clock.advance(3600)
        for path in CAPTURES:
            again = await check(app, target(site, path, name=path), clock.now())
            assert again.outcome is CheckOutcome.UNCHANGED
        assert (await counts(app))[:2] == stored
        known = await app.store.read(lambda r: r.papers.find("2509.24002"))
        paper = await app.store.read(lambda r: r.papers.get(known))
        assert paper.upvotes == 118
        assert {request.path for request in site.pages} == set(CAPTURES)


def _conditional(body, etag, kind):
    async def behave(request, writer):
        headers = {"ETag": etag, "Content-Type": kind}
        if request.headers.get("if-none-match") == etag:
            return await page(status=304, headers=headers)(request, writer)
        return await page(body, headers=headers)(request, writer)

    return behave


# --- what must not pass for a quiet page --------------------------------------------------------


def without_papers(body):
    """The page with an island that says nothing."""
    tag = readers.find(body)
    return body.replace(tag.value, b"{}")


async def test_cards_beside_an_island_that_says_nothing_are_read_at_every_visit(tmp_path):
    shown = pages.fakes(8)
    answers = [page(without_papers(pages.trending(shown[:n]))) for n in (6, 7, 8)]
    async with Site(answers) as site, app_on(tmp_path / "w.db") as app:
        for hours in range(3):
            checked = await check(app, target(site), NOW + timedelta(hours=hours))
            assert (checked.outcome, checked.cards) == (CheckOutcome.OK, 6 + hours)


async def test_a_trending_page_without_its_first_papers_makes_nobody_enter_the_top(tmp_path):
    old = {"submitted": NOW - timedelta(days=9), "opened": NOW - timedelta(days=9)}
    shown = [fake.but(upvotes=300 - n, **old) for n, fake in enumerate(pages.fakes(40))]
    rule = compile_rule("all", events=(Change.RESURGING,))
    climbed = [shown[30], *shown[:30], *shown[31:]]
    bodies = [shown, shown[9:], shown, climbed]
    answers = [page(pages.trending(body)) for body in bodies]
    async with Site(answers) as site, app_on(tmp_path / "w.db", rule) as app:
        told = [
            (await check(app, target(site), NOW + timedelta(hours=hours))).told
            for hours in range(len(bodies))
        ]
        assert told == [0, 0, 0, 1]


async def test_another_page_under_the_name_of_a_source_begins_anew(tmp_path):
    mine, others = pages.fakes(10, seed=1), pages.fakes(20, seed=2)[10:]
    rule = compile_rule("all", events=(Change.NEW,))
    first = Site(conditional(pages.trending(mine)))
    second = Site(conditional(pages.trending(others)))
    async with first, second:
        async with app_on(tmp_path / "w.db", rule) as app:
            assert (await check(app, target(first), NOW)).outcome is CheckOutcome.OK
        async with app_on(tmp_path / "w.db", rule) as app:
            moved = await check(app, target(second), NOW + timedelta(hours=1))
            assert (moved.outcome, moved.told, moved.known) == (CheckOutcome.OK, 0, 10)
            assert moved.baseline
            assert "if-none-match" not in second.pages[0].headers
        async with app_on(tmp_path / "w.db", rule) as app:
            same = await check(app, target(second), NOW + timedelta(hours=2))
            assert same.outcome is CheckOutcome.UNCHANGED


async def test_a_source_whose_url_is_edited_begins_anew_at_a_reload_and_only_then(tmp_path):
    mine, others = pages.fakes(10, seed=1), pages.fakes(30, seed=2)[10:]
    rule = compile_rule("all", events=(Change.NEW,))
    answers = [page(pages.trending(others[:n])) for n in (10, 20)]
    path = tmp_path / "w.db"
    first, second = Site(page(pages.trending(mine))), Site(answers)
    async with first, second, app_on(path, rule) as app:
        await check(app, target(first), NOW)
        app.use_rules([rule])
        moved = await check(app, target(second), NOW + timedelta(hours=1))
        assert (moved.told, moved.known, moved.baseline) == (0, 10, True)
        with open_records(path) as another, another.transaction():
            another.conn.execute("update sources set failures = 0")
        later = await check(app, target(second), NOW + timedelta(hours=2))
        assert (later.told, later.known, later.baseline) == (10, 0, False)


async def test_past_days_of_another_page_under_an_old_name_are_known_whatever_comes_first(tmp_path):
    mine, others = pages.fakes(10, seed=1), pages.fakes(20, seed=2)[10:]
    day, later = (NOW + timedelta(days=1)).date(), NOW + timedelta(days=2)
    rule = compile_rule("all", events=(Change.NEW,))
    first, second = Site(page(pages.trending(mine))), Site(page(pages.trending(others)))
    async with first, second, app_on(tmp_path / "w.db", rule) as app:
        await check(app, target(first, "/papers", "daily"), NOW)
        main = target(second, "/papers", "daily")
        await app.store.write(lambda r: r.sources.move({"daily": main.url, "other": "https://x"}))
        past = target(second, f"/papers/date/{day}", f"daily@{day}", family="daily", day=day)
        checked = [await check(app, one, later) for one in (past, main)]
        assert [(c.outcome, c.told) for c in checked] == [(CheckOutcome.OK, 0)] * 2
        assert checked[0].known == 10
        assert await app.store.read(lambda r: r.sources.state("other")) is None


@contextlib.contextmanager
def reloaded_meanwhile(app, rules):
    """The config is read anew while a page is on its way."""
    get = app.fetcher.get

    async def reloading(*args, **kwargs):
        answer = await get(*args, **kwargs)
        app.use_rules(rules)
        return answer

    app.fetcher.get = reloading
    yield
    app.fetcher.get = get


async def test_a_visit_under_way_at_a_reload_leaves_nothing_that_the_next_would_trust(tmp_path):
    first = Site(conditional(pages.trending(pages.fakes(10, seed=1))))
    second = Site(conditional(pages.trending(pages.fakes(20, seed=2)[10:])))
    rules = [compile_rule("all", events=(Change.NEW,))]
    async with first, second, app_on(tmp_path / "w.db", *rules) as app:
        with reloaded_meanwhile(app, rules):
            await check(app, target(first), NOW)
        moved = await check(app, target(second), NOW + timedelta(hours=1))
        assert (moved.outcome, moved.known) == (CheckOutcome.OK, 10)
        assert "if-none-match" not in second.pages[0].headers


async def test_a_page_that_stood_still_while_the_rules_changed_is_judged_by_the_new_ones(tmp_path):
    shown = conditional(pages.trending(pages.fakes(10)))
    rules = [compile_rule("old"), compile_rule("new")]
    async with Site(shown) as site, app_on(tmp_path / "w.db", rules[0]) as app:
        await check(app, target(site), NOW)
        with reloaded_meanwhile(app, rules):
            still = await check(app, target(site), NOW + timedelta(hours=1))
        assert still.outcome is CheckOutcome.UNCHANGED
        anew = await check(app, target(site), NOW + timedelta(hours=2))
        assert (anew.outcome, anew.known) == (CheckOutcome.OK, 10)


def test_pages_that_an_older_reader_took_for_unchanged_are_read_anew():
    """Version 1 kept the island that says nothing of a page that was read by its cards."""
    assert readers.VERSION != "1"


async def test_a_week_by_its_cards_says_nothing_of_the_age_of_its_papers(tmp_path):
    body = pages.grid_2026(pages.fakes(9), with_island=False)
    async with Site(page(body)) as site, app_on(tmp_path / "w.db") as app:
        await check(app, target(site, "/papers/week/2026-W41", "week"), NOW)
        papers = await app.store.read(lambda r: r.papers.latest())
        assert len(papers) == 9
        assert {paper.listed_at for paper in papers} == {None}


async def test_a_fall_on_a_page_that_stands_still_is_believed_at_the_third_look(tmp_path):
    shown = [fake.but(upvotes=100) for fake in pages.fakes(10)]
    fallen = [shown[0].but(upvotes=40), *shown[1:]]
    before, after = (
        conditional(pages.trending(shown)),
        conditional(pages.trending(fallen), etag='"v2"'),
    )
    async with Site([before, *[after] * 4]) as site, app_on(tmp_path / "w.db") as app:
        outcomes, votes = [], []
        for hours in range(5):
            checked = await check(app, target(site), NOW + timedelta(hours=hours))
            outcomes.append(checked.outcome.value)
            row = await app.store.read(lambda r: r.papers.find(shown[0].id))
            paper = await app.store.read(lambda r, row=row: r.papers.get(row))
            votes.append(paper.upvotes)
        assert votes == [100, 100, 100, 40, 40]
        assert outcomes == ["ok", "ok", "ok", "ok", "unchanged"]


async def test_a_fall_that_nobody_shows_any_more_makes_no_page_be_read_again(tmp_path):
    shown = pages.fakes(10)
    stars = [shown[0].but(stars=n, github=n and "https://github.com/a/b") for n in (500, 400, None)]
    answers = [
        conditional(pages.trending([one, *shown[1:]]), etag=f'"v{n}"')
        for n, one in enumerate(stars)
    ]
    async with Site([*answers, answers[2]]) as site, app_on(tmp_path / "w.db") as app:
        outcomes = [
            (await check(app, target(site), NOW + timedelta(hours=hours))).outcome.value
            for hours in range(4)
        ]
        assert outcomes == ["ok", "ok", "ok", "unchanged"]


async def test_once_a_day_holds_for_processes_that_live_for_one_visit_too(tmp_path):
    shown = pages.fakes(9)
    always = conditional(pages.trending(shown[:5])), conditional(pages.trending(shown))
    async with Site([always[0], *[always[1]] * 4]) as site:
        cards = []
        for hours in (0, 8, 16, 25, 33):
            async with app_on(tmp_path / "w.db") as app:
                checked = await check(app, target(site), NOW + timedelta(hours=hours))
            cards.append((checked.outcome.value, checked.cards))
        assert cards == [
            ("ok", 5), ("unchanged", 5), ("unchanged", 5), ("ok", 9), ("unchanged", 9)
        ]  # fmt: skip


async def test_a_site_that_never_says_that_its_page_changed_is_asked_for_it_once_a_day(tmp_path):
    shown = pages.fakes(9)
    always = conditional(pages.trending(shown[:5])), conditional(pages.trending(shown))
    async with Site([always[0], *[always[1]] * 4]) as site, app_on(tmp_path / "w.db") as app:
        cards = []
        for hours in (0, 8, 16, 25, 33):
            checked = await check(app, target(site), NOW + timedelta(hours=hours))
            cards.append((checked.outcome.value, checked.cards))
        assert cards == [
            ("ok", 5), ("unchanged", 5), ("unchanged", 5), ("ok", 9), ("unchanged", 9)
        ]  # fmt: skip
