"""The usual look of a source's pages, and what is told when it changes."""

import contextlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import pages
from tests.mutations import dropped
from tests.servers import FakeClock, Site, page
from tests.test_doubt import grown, notices_of, watching
from watcher import drift, readers, reading
from watcher.agenda import Target
from watcher.channels import OPTIONS
from watcher.clock import to_unix
from watcher.config import parse
from watcher.crosscheck import api_of, differences, second_opinion
from watcher.drift import Drift, Finding, Habit, Portrait, follow
from watcher.fetch import Fetcher, FetchOptions
from watcher.model import Card, CheckOutcome, EventType, PageKind, ReaderName, Snapshot
from watcher.page import Page
from watcher.store import Store, open_records
from watcher.visit import App, Memory
from watcher.watch import check

NOW = datetime(2026, 10, 5, 7, 10, tzinfo=UTC)
FAKES = [fake.but(upvotes=20 + n) for n, fake in enumerate(pages.fakes(25))]


def without_stars(share):
    """Cards of a trending page of which so many show no stars and no repository."""

    def mutate(body):
        articles = body.split(b"<article")
        for n in range(1, 1 + round(share * (len(articles) - 1))):
            articles[n] = re.sub(
                rb'<a[^>]*href="https://github.com[^"]*".*?</a>', b"", articles[n], flags=re.DOTALL
            )
        return b"<article".join(articles)

    return mutate


async def test_the_notice_says_what_since_when_and_what_it_means_and_the_page_is_kept(tmp_path):
    mutate = without_stars(0.8)
    async with watching(tmp_path, rules=()) as show:
        for by in (0, 1):
            await show(pages.trending(grown(FAKES, by)))
        for by in (2, 3, 4):
            ended = await show(mutate(pages.trending(grown(FAKES, by))))
            assert ended.outcome is CheckOutcome.OK
        told = await notices_of(show.app)
        assert [event.type for event in told] == [EventType.SOURCE_DRIFTING]
        assert "stars missing on 80 % of cards since 13:30" in told[0].reason
        assert "island used, digests not affected" in told[0].reason
        kept = re.search(r"watcher archive show (\w+)", told[0].reason)[1]
        body, _ = show.app.keeper.odd.read(kept)
        assert body.count(b"github.com") < pages.trending(FAKES).count(b"github.com")
        assert show.app.metrics.drift.get("t") >= 1
        # It heals: told once, and nothing more.
        for by in (5, 6):
            await show(pages.trending(grown(FAKES, by)))
        told = await notices_of(show.app)
        assert told[-1].type is EventType.SOURCE_RECOVERED
        assert "looks as usual again" in told[-1].reason
        assert len(told) == 2
        assert show.app.metrics.drift.get("t") == 0


async def test_a_drift_confirmed_by_a_page_that_did_not_change_names_the_page_kept_before(tmp_path):
    async with watching(tmp_path, rules=()) as show:
        for by in (0, 1):
            await show(pages.trending(grown(FAKES, by)))
        odd = dropped("githubStars")(pages.trending(grown(FAKES, 2)))
        assert (await show(odd)).outcome is CheckOutcome.OK
        assert (await show(odd)).outcome is CheckOutcome.UNCHANGED
        (told,) = await notices_of(show.app)
        kept = re.search(r"watcher archive show (\w+)", told.reason)[1]
        assert show.app.keeper.odd.read(kept)[0] == odd


async def test_a_list_too_short_to_prove_anything_heals_no_drift(tmp_path):
    """Each midnight begins a new list: a redesign that lasts is not over for that."""
    odd = dropped("githubStars")
    async with watching(tmp_path, rules=()) as show:
        for by in (0, 1):
            await show(pages.trending(grown(FAKES, by)))
        for by in (2, 3):
            await show(odd(pages.trending(grown(FAKES, by))))
        show.clock.advance(86_400)
        assert (await show(odd(pages.trending(FAKES[:3])))).outcome is CheckOutcome.OK
        for by in (4, 5):
            await show(odd(pages.trending(grown(FAKES, by))))
        assert [event.type for event in await notices_of(show.app)] == [EventType.SOURCE_DRIFTING]


async def test_a_list_that_stays_empty_is_told_and_a_long_holiday_is_not(tmp_path):
    """A site that fills its lists by a script sends pages that are sound, and empty for ever."""
    day, first = 24 * 60, NOW.date()
    async with watching(tmp_path, "daily", rules=()) as show:
        await show(pages.grid_2026(FAKES, first))
        for n in range(1, 8):
            ended = await show(pages.grid_2026([], first + timedelta(n)), minutes=day)
            assert (ended.outcome, ended.cards) == (CheckOutcome.OK, 0)
        await show(pages.grid_2026(grown(FAKES, 1), first + timedelta(8)), minutes=day)
        for n in range(9, 17):
            await show(pages.grid_2026([], first + timedelta(n)), minutes=day)
        assert await notices_of(show.app) == []
        for n in (17, 18, 19):
            await show(pages.grid_2026([], first + timedelta(n)), minutes=day)
        (told,) = await notices_of(show.app)
        assert told.type is EventType.SOURCE_DRIFTING
        assert re.search(r"papers missing since .* \(none for \d+ days\); nothing new", told.reason)
        await show(pages.grid_2026(grown(FAKES, 2), first + timedelta(20)), minutes=day)
        assert (await notices_of(show.app))[-1].type is EventType.SOURCE_RECOVERED


async def test_a_list_is_not_called_empty_for_days_on_which_nobody_read_it(tmp_path):
    """The watcher comes back from a fortnight off at a weekend."""
    day, first = 24 * 60, NOW.date()
    async with watching(tmp_path, "daily", rules=()) as show:
        await show(pages.grid_2026(FAKES, first))
        await show(pages.grid_2026([], first + timedelta(1)), minutes=day)
        await show(pages.grid_2026([], first + timedelta(15)), minutes=14 * day)
        show.app.memory.clear()  # a restart
        await show(pages.grid_2026([], first + timedelta(16)), minutes=day)
        await show(pages.grid_2026([], first + timedelta(17)), minutes=day)
        assert await notices_of(show.app) == []
        for n in range(18, 26):
            await show(pages.grid_2026([], first + timedelta(n)), minutes=day)
        assert [event.type for event in await notices_of(show.app)] == [EventType.SOURCE_DRIFTING]


async def test_a_list_that_did_not_change_for_long_had_papers_until_it_is_empty(tmp_path):
    later, first = 25 * 60, NOW.date()
    async with watching(tmp_path, "daily", rules=()) as show:
        for _ in range(12):
            ended = await show(pages.grid_2026(FAKES, first), minutes=later)
        assert ended.outcome is CheckOutcome.UNCHANGED
        for n in (13, 14):
            ended = await show(pages.grid_2026([], first + timedelta(n)), minutes=later)
            assert (ended.outcome, ended.cards) == (CheckOutcome.OK, 0)
        assert await notices_of(show.app) == []


async def test_a_list_that_stays_empty_for_months_is_told_once(tmp_path):
    day, first = 24 * 60, NOW.date()
    async with watching(tmp_path, "daily", rules=()) as show:
        await show(pages.grid_2026(FAKES, first))
        for n in range(1, 60):
            await show(pages.grid_2026([], first + timedelta(n)), minutes=day)
        assert [event.type for event in await notices_of(show.app)] == [EventType.SOURCE_DRIFTING]
        assert show.app.metrics.drift.get("t") == 0


async def test_a_short_list_that_is_filled_again_is_empty_no_more(tmp_path):
    day, first = 24 * 60, NOW.date()
    async with watching(tmp_path, "daily", rules=()) as show:
        await show(pages.grid_2026(FAKES[:3], first))
        for n in range(1, 12):
            await show(pages.grid_2026([], first + timedelta(n)), minutes=day)
        for n in (12, 13):
            await show(pages.grid_2026(FAKES[:3], first + timedelta(n)), minutes=day)
        told = [event.type for event in await notices_of(show.app)]
        assert told == [EventType.SOURCE_DRIFTING, EventType.SOURCE_RECOVERED]
        assert show.app.metrics.drift.get("t") == 0


async def test_one_odd_page_is_no_drift(tmp_path):
    async with watching(tmp_path, rules=()) as show:
        for by in range(8):
            body = pages.trending(grown(FAKES, by))
            await show(dropped("githubStars")(body) if by == 4 else body)
        assert await notices_of(show.app) == []


async def test_a_drift_outlives_a_restart(tmp_path):
    async with watching(tmp_path, rules=()) as show:
        for by in (0, 1):
            await show(pages.trending(grown(FAKES, by)))
        await show(dropped("githubStars")(pages.trending(grown(FAKES, 2))))
        show.app.memory.clear()
        await show(dropped("githubStars")(pages.trending(grown(FAKES, 3))))
        assert len(await notices_of(show.app)) == 1


async def test_a_redesign_that_strikes_all_sources_of_a_host_is_one_notice(tmp_path):
    store = Store(
        tmp_path / "w.db", lambda: open_records(tmp_path / "w.db", create=True, migrate=True)
    )
    clock = FakeClock(NOW)
    options = FetchOptions(per_host_rate=0, allow_private=True, robots=False)
    async with Site(page(b"")) as site, Fetcher(options, clock=clock) as fetcher:
        app = App(store=store, fetcher=fetcher)
        targets = [
            Target(name=f"s{n}", url=f"{site.url}/{n}/papers/trending", family=f"s{n}")
            for n in range(6)
        ]
        for by in range(6):
            body = pages.trending(grown(FAKES, by))
            site.answers = page(dropped("githubStars")(body) if by >= 2 else body)
            clock.advance(1800)
            for target in targets:
                await check(app, target, clock.now())
        assert [event.type for event in await notices_of(app)] == [EventType.SOURCE_DRIFTING]
    await store.close()


# --- what is usual -----------------------------------------------------------------------------


def snapshot(cards, at=NOW, **fields):
    defaults = {"reader": ReaderName.ISLAND, "kind": PageKind.TRENDING}
    return Snapshot(
        taken_at=at,
        cards=tuple(cards),
        shows=frozenset(("title", "upvotes", "stars", "ai_summary", "paper_id")),
        **{**defaults, **fields},
    )


def cards(count, *, starred=1.0, votes=10, summarised=1.0, title="A title of usual length"):
    return [
        Card(
            paper_id=f"2610.{n:05d}",
            title=f"{title} {n}",
            upvotes=votes,
            stars=100 if n < starred * count else None,
            ai_summary="…" if n < summarised * count else None,
        )
        for n in range(count)
    ]


def lived(*snapshots):
    portrait = Portrait()
    for shot in snapshots:
        fills = readers.fill(shot)
        odd = drift.oddities(portrait, shot, fills)
        portrait = drift.learn(portrait, shot, fills, [finding.name for finding in odd])
    return portrait


def found(portrait, shot):
    return {f.name: f.what for f in drift.oddities(portrait, shot, readers.fill(shot))}


def days(n):
    return NOW + timedelta(days=n)


def test_a_field_that_was_always_there_and_is_gone_is_odd_at_once():
    assert found(lived(snapshot(cards(20))), snapshot(cards(20, starred=0.2))) == {
        "stars": "missing on 80% of cards| (usually 0%)"
    }


def test_a_field_that_is_often_missing_must_be_known_for_a_day():
    known = lived(snapshot(cards(20, starred=0.6)))
    assert found(known, snapshot(cards(20, starred=0))) == {}
    known = lived(*(snapshot(cards(20, starred=0.6), at=days(n / 4)) for n in range(6)))
    assert "stars" in found(known, snapshot(cards(20, starred=0), at=days(2)))


def test_summaries_that_come_later_in_the_day_are_no_fault():
    noon = [snapshot(cards(20, summarised=0.95), at=days(n / 48)) for n in range(10)]
    dawn = snapshot(cards(12, summarised=0), at=days(0.6))
    assert found(lived(*noon), dawn) == {}


@pytest.mark.parametrize("kind", [PageKind.WEEK, PageKind.MONTH])
def test_a_week_or_month_of_which_most_papers_came_today_is_young_and_no_fault(kind):
    def of(at, listed, **more):
        made = cards(20, **more)
        made = [msgspec.structs.replace(card, listed_at=listed) for card in made]
        return snapshot(made, at=at, kind=kind)

    known = lived(*(of(days(n), days(n - 3), votes=80 + n) for n in range(4)))
    turn = days(5)
    young = of(turn, turn - timedelta(hours=9), votes=1, summarised=0)
    assert found(known, young) == {}
    learnt = drift.learn(known, young, readers.fill(young)).habits
    assert all(learnt[name] == known.habits[name] for name in ("ai_summary", "upvotes", "stars"))
    # The same a day later is odd, and so is what papers have from the first hour on.
    assert set(found(known, of(turn, days(3), votes=1, summarised=0))) == {"ai_summary", "upvotes"}
    assert "stars" in found(known, of(turn, turn - timedelta(hours=9), starred=0))
    # What was odd before goes on being so.
    begun = Drift(to_unix(turn), 2, True, "")
    already = msgspec.structs.replace(known, drifts={"ai_summary": begun})
    assert "ai_summary" in found(already, young)


def test_few_cards_prove_nothing():
    assert found(lived(snapshot(cards(20))), snapshot(cards(4, starred=0))) == {}


def test_votes_of_another_size_are_odd_once_a_day_is_known():
    known = lived(*(snapshot(cards(20, votes=8 + n), at=days(n / 4)) for n in range(8)))
    assert "upvotes" in found(known, snapshot(cards(20, votes=9000), at=days(3)))
    assert found(known, snapshot(cards(20, votes=40), at=days(3))) == {}


def test_titles_of_another_length_are_odd():
    known = lived(*(snapshot(cards(20), at=days(n)) for n in range(3)))
    odd = found(known, snapshot(cards(20, title="word " * 80), at=days(4)))
    assert "characters on average" in odd["title"]


def test_another_reader_is_one_finding_and_not_one_per_field():
    known = lived(snapshot(cards(20)))
    poor = snapshot(cards(20, starred=0, summarised=0), reader=ReaderName.CARDS)
    assert list(found(known, poor)) == ["reader"]


@given(st.lists(st.floats(0.5, 1.0), min_size=1, max_size=30))
def test_what_swings_within_its_usual_range_is_never_odd(shares_seen):
    shots = [snapshot(cards(40, starred=s), at=days(n / 2)) for n, s in enumerate(shares_seen)]
    known = lived(*shots)
    low = min(shares_seen)
    assert "stars" not in found(known, snapshot(cards(40, starred=low), at=days(40)))


def test_a_page_that_shows_too_few_counts_for_an_average_keeps_the_usual_one():
    portrait = lived(snapshot(cards(20, starred=0.5)), snapshot(cards(20, starred=0.15)))
    habit = portrait.habits["stars"]
    assert (habit.low, habit.least, habit.most) == (0.15, 100.0, 100.0)


def test_cards_that_lack_papers_or_show_other_counts_are_told_as_far_as_they_are_rounded():
    def starred(stars, **fields):
        many = [msgspec.structs.replace(card, stars=stars) for card in cards(10)]
        return snapshot(many, **fields)

    def said(by_cards):
        return {f.name: f.what for f in drift.cards_oddities(starred(62_246), by_cards)}

    rounded = {"rounded": frozenset({"stars"})}
    assert said(starred(62_246)) == {}
    assert said(snapshot(starred(62_246).cards[:6])) == {
        "cards:cards": "missing for 40% of the papers"
    }
    assert said(starred(62_200, **rounded)) == {}
    assert said(starred(62_400, **rounded)) == {"cards:stars": "different on 100% of cards"}
    assert said(starred(62_200)) == {"cards:stars": "different on 100% of cards"}


def test_one_drift_of_several_asks_for_the_next_visit_to_look():
    told, fresh = Drift(0, 2, True, "missing"), Drift(0, 1, False, "missing")
    settled = Portrait(drifts={"stars": told, "upvotes": told})
    assert not settled.is_pending
    assert not settled.must_compare
    mixed = Portrait(drifts={"stars": told, "cards:title": fresh})
    assert mixed.is_pending
    assert mixed.must_compare


def test_a_portrait_is_small_and_survives_being_stored():
    portrait = lived(*(snapshot(cards(20, votes=n), at=days(n)) for n in range(30)))
    portrait, *_ = follow(
        portrait, [Finding(name="stars", what="missing")], at=5, looked=frozenset(("page",))
    )
    body = msgspec.json.encode(portrait)
    assert len(body) < 2000
    assert msgspec.json.decode(body, type=Portrait) == portrait


def test_an_old_portrait_is_stored_now_and_then_and_at_once_when_something_is_odd():
    portrait = lived(snapshot(cards(10)))
    old = msgspec.structs.replace(portrait, pages=100)
    more = drift.learn(old, snapshot(cards(10, votes=11)), {"title": 10, "upvotes": 10})
    odd = msgspec.structs.replace(more, drifts={"stars": Drift(0, 1, False, "missing")})
    assert not drift.is_to_be_stored(old, old)
    assert not drift.is_to_be_stored(old, more)
    assert drift.is_to_be_stored(old, odd)
    assert drift.is_to_be_stored(odd, more)
    assert drift.is_to_be_stored(old, msgspec.structs.replace(more, pages=112))
    assert drift.is_to_be_stored(portrait, msgspec.structs.replace(more, pages=2))


def test_a_page_that_shows_but_one_of_its_papers_to_people_is_compared_in_full():
    fakes = pages.fakes(8)
    target = Target(name="t", url="https://none.invalid/papers/trending", family="t")

    def look(body, memory, at):
        sent = Page(url=target.url, body=body, fetched_at=at, content_type="text/html")
        return reading.read_page(sent, target, memory, at)

    first = look(pages.trending(fakes), Memory(), NOW)
    moved = [fake.but(upvotes=fake.upvotes + 1) for fake in fakes]
    whole = pages.trending(moved)
    start = whole.index(b"</article>") + len(b"</article>")
    end = whole.rindex(b"</article>") + len(b"</article>")
    seen = look(whole[:start] + whole[end:], first.memory, NOW + timedelta(minutes=30))
    assert [finding.name for finding in seen.scrutiny.findings]


# --- the life of a drift -------------------------------------------------------------------------

STARS = Finding(name="stars", what="missing on 80% of cards")
PAGE = frozenset(("page",))


def live(*rounds):
    """Follow rounds of ``(findings, looked)`` a half-hour apart: what each told and healed."""
    portrait, told = Portrait(), []
    for n, (findings, looked) in enumerate(rounds):
        portrait, tell, healed = follow(portrait, findings, at=n * 1800, looked=looked)
        told.append((tell, healed))
    return portrait, told


def test_a_drift_is_told_at_its_second_sight_once_and_healed_once():
    seen, gone = ([STARS], PAGE), ([], PAGE)
    portrait, told = live(seen, seen, seen, gone, gone)
    assert told == [((), ()), (("stars",), ()), ((), ()), ((), ("stars",)), ((), ())]
    assert portrait.drifts == {}


def test_a_visit_that_did_not_look_neither_heals_nor_counts():
    cards_odd = Finding(name="cards:stars", what="missing on 80% of cards")
    both = frozenset(("page", "cards"))
    portrait, told = live(([cards_odd], both), ([], PAGE), ([cards_odd], both), ([], PAGE))
    assert [tell for tell, _ in told] == [(), (), ("cards:stars",), ()]
    assert "cards:stars" in portrait.drifts
    assert all(healed == () for _, healed in told)


def test_after_two_weeks_it_is_how_the_page_looks():
    portrait = Portrait(
        reader=ReaderName.ISLAND,
        habits={"stars": Habit(1.0, 0, None, None)},
        drifts={"stars": Drift(0, 2, True, "missing on 80% of cards")},
    )
    after, tell, healed = follow(portrait, [STARS], at=15 * 86_400, looked=PAGE)
    assert (after.drifts, after.habits, tell, healed) == ({}, {}, (), ())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stars", "stars missing on 80 % of cards since 09:10 (usually 4 %); the last known"),
        ("cards:stars", "stars missing on 80 % of cards since 09:10 (usually 4 %); island used, "),
        ("api:stars", "stars missing on 80 % of cards by the API since 09:10 (usually 4 %); the "),
    ],
)
def test_the_words_of_a_drift(name, said):
    drifts = {name: Drift(int(NOW.timestamp()), 2, True, "missing on 80% of cards| (usually 4%)")}
    berlin = (NOW + timedelta(hours=1)).astimezone(ZoneInfo("Europe/Berlin"))
    assert drift.describe(Portrait(drifts=drifts), [name], local=berlin).startswith(said)


# --- against the API -----------------------------------------------------------------------------


def listed(upvotes):
    return snapshot(
        [Card(paper_id=name, title=name, upvotes=votes) for name, votes in upvotes.items()],
        reader=ReaderName.API,
    )


def test_the_api_may_know_more_papers_and_more_votes_but_not_another_list():
    shown = [(f"2610.{n:05d}", 10 + n, None) for n in range(20)]
    same = {name: votes + 6 for name, votes, _ in shown}
    assert differences(listed(same | {"2610.99999": 1}), shown) == ()
    other = {f"2611.{n:05d}": 5 for n in range(12)} | dict(list(same.items())[:8])
    assert [f.name for f in differences(listed(other), shown)] == ["api:papers"]
    wrong = {name: votes * 50 for name, votes in same.items()}
    assert [f.name for f in differences(listed(wrong), shown)] == ["api:upvotes"]


def test_the_api_is_asked_for_daily_pages_only():
    config = parse(
        b'[[source]]\nname = "a"\nurl = "https://huggingface.co/papers"\n'
        b'[[source]]\nname = "b"\nurl = "https://huggingface.co/papers/trending"\n'
        b'[[source]]\nname = "c"\nurl = "https://huggingface.co/papers?q=x"\n',
        OPTIONS,
        env={},
        folder=Path(),
    )
    day = NOW.date()
    urls = [api_of(source, day) for source in config.sources]
    assert urls == ["https://huggingface.co/api/daily_papers?date=2026-10-05", None, None]


@contextlib.asynccontextmanager
async def daily(tmp_path, api):
    """A daily page seen yesterday, and an API that says something of it."""
    store = Store(
        tmp_path / "w.db", lambda: open_records(tmp_path / "w.db", create=True, migrate=True)
    )
    clock = FakeClock(NOW)
    options = FetchOptions(per_host_rate=0, allow_private=True, robots=False)
    yesterday = NOW.date() - timedelta(days=1)
    routes = {
        "/papers": page(pages.grid_2026(FAKES, NOW.date())),
        f"/papers/date/{yesterday}": page(pages.grid_2026(FAKES, yesterday)),
        "/api/daily_papers": api,
    }
    async with (
        Site(page(b"", status=404), routes=routes) as site,
        Fetcher(options, clock=clock) as fetcher,
    ):
        app = App(store=store, fetcher=fetcher)
        config = parse(
            f'[[source]]\nname = "daily"\nurl = "{site.url}/papers"\n'.encode(),
            OPTIONS,
            env={},
            folder=tmp_path,
        )
        kind = {"family": "daily", "kind": PageKind.DAILY}
        url = f"{site.url}/papers"
        await check(app, Target(name="daily", url=url, **kind), NOW)
        past = Target(
            name=f"daily@{yesterday}", url=f"{url}/date/{yesterday}", day=yesterday, **kind
        )
        await check(app, past, NOW)
        yield app, config.sources[0], site
    await store.close()


async def test_an_api_that_says_otherwise_two_days_in_a_row_is_told(tmp_path):
    strange = [pages.item_2026(fake.but(upvotes=fake.upvotes * 40 + 99)) for fake in FAKES]
    answer = page(pages.api(strange), headers={"Content-Type": "application/json"})
    async with daily(tmp_path, answer) as (app, source, site):
        for n in range(2):
            assert len(await notices_of(app)) == 0
            await second_opinion(app, source, NOW + timedelta(minutes=n))
        told = await notices_of(app)
        assert [event.type for event in told] == [EventType.SOURCE_DRIFTING]
        assert "upvotes different on 100 % of papers by the API" in told[0].reason
        asked = [request for request in site.requests if "api" in request.target]
        assert [request.target for request in asked] == ["/api/daily_papers?date=2026-10-04"] * 2
        portrait = msgspec.json.decode(app.memory["daily"].portrait, type=Portrait)
        assert "api:upvotes" in portrait.drifts


@pytest.mark.parametrize(
    "answer", [page(b"", status=404), page(b"", status=429), page(b"<html>"), "same"]
)
async def test_an_api_that_agrees_or_does_not_answer_says_nothing(tmp_path, answer):
    if answer == "same":
        body = pages.api([pages.item_2026(fake) for fake in FAKES])
        answer = page(body, headers={"Content-Type": "application/json"})
    async with daily(tmp_path, answer) as (app, source, _):
        for n in range(3):
            await second_opinion(app, source, NOW + timedelta(minutes=n))
        assert await notices_of(app) == []
