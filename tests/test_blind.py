"""Knowing that it is blind: notices that are rare and true, gaps that are accounted for."""

import asyncio
import contextlib
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import pages
from tests.servers import FakeClock, Site, page
from watcher import accounting, growth
from watcher.agenda import Agenda, Target
from watcher.archive import Archive, Keeper
from watcher.case import Subject
from watcher.channels import OPTIONS
from watcher.config import parse
from watcher.config.secrets import SecretUrl
from watcher.config.settings import AlertSettings
from watcher.daemon import Daemon
from watcher.errors import StoreRefused
from watcher.fetch import Fetcher, FetchOptions
from watcher.gaps import (
    CaughtUp,
    Gap,
    Sums,
    could_have_missed,
    gap_line,
    gaps_of,
    sums_line,
    together,
)
from watcher.health import Health
from watcher.hearing import Hearing, hear
from watcher.heartbeat import Heartbeat
from watcher.model import Change, CheckOutcome, EventType, History, Look, PageKind, Paper
from watcher.rules import compile_rule
from watcher.store import Check as StoredCheck
from watcher.store import Store, open_records
from watcher.visit import Alert, App
from watcher.watch import Checked, check

NOW = datetime(2026, 10, 5, 6, tzinfo=UTC)
OPTIONS_HTTP = FetchOptions(per_host_rate=0, allow_private=True, robots=False)
DOWN = page(b"", status=503)


@contextlib.asynccontextmanager
async def watching(tmp_path, names=("t",), hosts=1, alert=None):
    """Sources on one or several hosts; ``visit`` checks one of them now."""
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    clock = FakeClock(NOW)
    async with contextlib.AsyncExitStack() as stack:
        sites = [
            await stack.enter_async_context(Site(page(pages.trending(pages.fakes(6, seed=n)))))
            for n in range(hosts)
        ]
        fetcher = await stack.enter_async_context(Fetcher(OPTIONS_HTTP, clock=clock))
        app = App(store=store, fetcher=fetcher, alert=alert or Alert(after=3, hours=6))
        targets = {
            name: Target(name=name, url=f"{sites[n % hosts].url}/{n}/papers/trending", family=name)
            for n, name in enumerate(names)
        }

        async def visit(name="t", minutes=0):
            clock.advance(minutes * 60)
            return await check(app, targets[name], clock.now())

        visit.app, visit.clock, visit.sites, visit.names = app, clock, sites, names
        yield visit
    await store.close()


async def told(app):
    events = await app.store.read(lambda r: r.events.after())
    return [event for event in events if not event.type.is_change]


async def rounds(visit, count, minutes=30):
    for _ in range(count):
        visit.clock.advance(minutes * 60)
        for name in visit.names:
            await visit(name)


async def test_the_first_failure_is_quiet_the_third_is_told_once_and_so_is_the_end(tmp_path):
    async with watching(tmp_path) as visit:
        await visit()
        good = visit.sites[0].answers
        visit.sites[0].answers = DOWN
        for n in range(1, 8):
            ended = await visit(minutes=30)
            assert ended.failures == n
            assert len(await told(visit.app)) == (1 if n >= 3 else 0)
        failing = (await told(visit.app))[0]
        assert failing.type is EventType.SOURCE_FAILING
        assert "source t has failed 3 times in a row, last read 1 h ago" in failing.reason
        visit.sites[0].answers = good
        for _ in range(3):
            await visit(minutes=30)
        events = await told(visit.app)
        assert [event.type for event in events] == [
            EventType.SOURCE_FAILING,
            EventType.SOURCE_RECOVERED,
        ]
        assert "works again, after 4 h without a good visit" in events[1].reason


async def test_hours_count_from_the_first_failure_not_from_a_long_sleep(tmp_path):
    async with watching(tmp_path, alert=Alert(after=100, hours=6)) as visit:
        await visit()
        visit.sites[0].answers = DOWN
        await visit(minutes=600)  # the machine slept: the first failure stays quiet
        assert await told(visit.app) == []
        await visit(minutes=359)
        assert await told(visit.app) == []
        await visit(minutes=2)
        assert len(await told(visit.app)) == 1


async def test_twenty_sources_of_one_host_are_one_notice_with_the_list_and_one_recovery(tmp_path):
    names = [f"s{n:02d}" for n in range(20)]
    async with watching(tmp_path, names) as visit:
        await rounds(visit, 1)
        good = visit.sites[0].answers
        visit.sites[0].answers = DOWN
        await rounds(visit, 10)
        events = await told(visit.app)
        assert len(events) == 1
        host = f"127.0.0.1:{visit.sites[0].port}"
        assert events[0].subject == host
        assert f"{host} cannot be read" in events[0].reason
        assert "s01, s02" in events[0].reason
        assert "and 11 more" in events[0].reason
        visit.sites[0].answers = good
        await rounds(visit, 5)
        events = await told(visit.app)
        assert len(events) == 2
        assert events[1].type is EventType.SOURCE_RECOVERED
        assert "works again" in events[1].reason


async def test_a_source_that_fails_alone_is_told_alone_and_a_second_one_joins(tmp_path):
    async with watching(tmp_path, ("a", "b"), hosts=2) as visit:
        await rounds(visit, 1)
        visit.sites[0].answers = DOWN
        await rounds(visit, 4)
        assert [event.subject for event in await told(visit.app)] == ["a"]


async def test_when_nothing_at_all_can_be_read_it_is_one_notice(tmp_path):
    async with watching(tmp_path, [f"s{n}" for n in range(6)], hosts=3) as visit:
        await rounds(visit, 1)
        for site in visit.sites:
            site.answers = DOWN
        await rounds(visit, 8)
        events = await told(visit.app)
        assert [event.subject for event in events] == ["all sources"]
        assert "no source can be read" in events[0].reason


async def test_one_of_them_that_stays_broken_is_told_for_itself(tmp_path):
    async with watching(tmp_path, ("a", "b")) as visit:
        await rounds(visit, 1)
        good, site = visit.sites[0].answers, visit.sites[0]
        site.answers = DOWN
        await rounds(visit, 4)
        site.routes = {"/0/papers/trending": good}
        await rounds(visit, 5)
        events = await told(visit.app)
        assert [(e.type, e.subject) for e in events[1:]] == [
            (EventType.SOURCE_RECOVERED, f"127.0.0.1:{site.port}"),
            (EventType.SOURCE_FAILING, "b"),
        ]


async def test_a_flapping_source_is_no_storm(tmp_path):
    async with watching(tmp_path) as visit:
        await visit()
        good = visit.sites[0].answers
        for _ in range(60):
            visit.sites[0].answers = DOWN
            for _ in range(3):
                await visit(minutes=1)
            visit.sites[0].answers = good
            await visit(minutes=1)
        assert len(await told(visit.app)) <= 4


async def test_past_days_are_never_told(tmp_path):
    async with watching(tmp_path) as visit:
        visit.sites[0].answers = DOWN
        day = Target(
            name="t@2026-10-04",
            url=visit.sites[0].url,
            family="t",
            day=date(2026, 10, 4),
        )
        for _ in range(10):
            visit.clock.advance(3600)
            await check(visit.app, day, visit.clock.now())
        assert await told(visit.app) == []


async def test_a_doubtful_page_counts_as_blind_and_is_kept_for_a_look(tmp_path):
    async with watching(tmp_path) as visit:
        odd = Archive(tmp_path / "odd", keep=timedelta(days=30), max_size=10**8)
        visit.app.keeper = Keeper(odd=odd)
        visit.sites[0].answers = page(pages.trending(pages.fakes(20)))
        await visit()
        visit.sites[0].answers = page(pages.trending(pages.fakes(20)[:2]))
        for _ in range(3):
            ended = await visit(minutes=30)
            assert ended.outcome is CheckOutcome.QUARANTINED
        events = await told(visit.app)
        assert len(events) == 1
        assert "it shows 2 papers, 90 min ago it showed 20" in events[0].reason
        assert f"watcher archive show {ended.page[:12]}" in events[0].reason
        body, label = odd.read(ended.page)
        assert b"DailyPapers" in body
        assert "it shows 2 papers" in label.why
        assert counter(visit.app.metrics, "quarantined") == 3
        state = await visit.app.store.read(lambda r: r.sources.state("t"))
        assert state.etag is None
        # A day later it may be so: nothing is blind for ever.
        ended = await visit(minutes=24 * 60)
        assert ended.outcome is CheckOutcome.OK
        odd.close()


async def test_a_short_list_is_no_doubt_when_it_is_another_days(tmp_path):
    async with watching(tmp_path) as visit:
        visit.sites[0].answers = page(pages.grid_2026(pages.fakes(25), date(2026, 10, 5)))
        assert (await visit()).outcome is CheckOutcome.OK
        sunday = pages.fakes(2, seed=3)
        visit.sites[0].answers = page(pages.grid_2026(sunday, date(2026, 10, 6)))
        assert (await visit(minutes=30)).outcome is CheckOutcome.OK


def counter(metrics, outcome, name="t"):
    return metrics.checks.labels(name, outcome)._value.get()


# --- gaps ------------------------------------------------------------------------------------

HALF_HOUR = timedelta(minutes=30)


def at(hour, minute=0, day=5):
    return datetime(2026, 10, day, hour, minute, tzinfo=UTC)


def visits(*spans):
    """Good visits every half hour in some spans of hours."""
    return [
        at(0) + HALF_HOUR * n
        for begin, end in spans
        for n in range(int(begin * 2), int(end * 2) + 1)
    ]


def test_one_failure_is_no_gap_and_an_outage_is():
    good = visits((0, 2), (3, 6))
    found = gaps_of("t", good, every=HALF_HOUR, since=at(0), until=at(6))
    assert found == ()
    good = visits((0, 2), (7.5, 12))
    found = gaps_of("t", good, every=HALF_HOUR, since=at(0), until=at(12))
    assert found == (Gap(sources=("t",), since=at(2), until=at(7, 30)),)


def test_a_gap_that_lasts_has_no_end_and_one_before_the_span_is_not_told_again():
    good = visits((0, 2))
    assert gaps_of("t", good, every=HALF_HOUR, since=at(0), until=at(9))[0].until is None
    good = [at(0), at(7, 30), *visits((8, 12))]
    assert gaps_of("t", good, every=HALF_HOUR, since=at(8), until=at(12)) == ()


def test_hours_in_which_a_source_is_not_visited_are_no_gap():
    good = [at(20, 45), at(7, 10, day=6)]
    by_day = gaps_of(
        "t", good, every=HALF_HOUR, since=at(0), until=at(7, 20, day=6),
        active=lambda moment: 7 <= moment.hour < 21,
    )  # fmt: skip
    assert by_day == ()


@given(
    st.lists(st.integers(0, 48 * 60), min_size=1, max_size=60, unique=True),
    st.integers(5, 120),
)
def test_time_is_either_near_a_good_visit_or_in_a_gap(minutes, every):
    good = [at(0) + timedelta(minutes=n) for n in sorted(minutes)]
    end = at(0) + timedelta(hours=48)
    every = timedelta(minutes=every)
    found = gaps_of("t", good, every=every, since=at(0), until=end)
    limit = max(every * 2.5, timedelta(minutes=15))
    for n in range(0, 48 * 60, 7):
        moment = at(0) + timedelta(minutes=n)
        if moment < good[0]:
            continue
        before = max(v for v in good if v <= moment)
        after = min((v for v in good if v > moment), default=end)
        inside = any(g.since <= moment < (g.until or end) for g in found)
        assert inside == (after - before > limit)


def test_an_outage_of_many_sources_is_one_gap():
    found = together(
        [
            Gap(sources=("a",), since=at(2), until=at(7, 40)),
            Gap(sources=("b",), since=at(2, 10), until=at(7, 35)),
            Gap(sources=("c",), since=at(10), until=None),
        ]
    )
    assert found == (
        Gap(sources=("a", "b"), since=at(2, 10), until=at(7, 35)),
        Gap(sources=("c",), since=at(10), until=None),
    )


def test_the_words_are_those_of_the_promise():
    sums = Sums(ok=48, checks=48, papers=61, told=4, waiting=0)
    assert sums_line(sums) == "48 of 48 checks ok, 61 papers seen, 4 told, 0 waiting"
    gap = Gap(sources=("a", "b"), since=at(0), until=at(5, 40))
    berlin = ZoneInfo("Europe/Berlin")
    line = gap_line(
        gap, CaughtUp(days=(date(2026, 10, 5),), missed=2), zone=berlin, all_sources=2, now=at(8)
    )
    assert line == (
        "no data 02:00–07:40, caught up from the day's page; 2 papers could have been missed"
    )
    alone = gap_line(
        Gap(sources=("a",), since=at(0)), CaughtUp(), zone=berlin, all_sources=2, now=at(8)
    )
    assert alone == "no data from a since 02:00"


def test_what_could_have_been_missed_is_what_usually_comes_less_what_was_found():
    gap = Gap(sources=("t",), since=at(0), until=at(6))
    assert could_have_missed(gap, [5, 7, 6], 4) == 2
    assert could_have_missed(gap, [5, 7, 6], 9) == 0
    assert could_have_missed(gap, [], 0) == 0


async def test_the_account_of_an_outage_is_that_of_the_records(tmp_path):
    async with watching(tmp_path) as visit:
        config = parse(
            f'[watcher]\n[fetch]\nallow_private = true\n[[source]]\nname = "t"\n'
            f'url = "{visit.sites[0].url}/papers/trending"\nevery = "30m"\n'.encode(),
            OPTIONS,
            env={},
            folder=tmp_path,
        )
        begin = visit.clock.now()
        await rounds(visit, 4)
        good = visit.sites[0].answers
        visit.sites[0].answers = DOWN
        await rounds(visit, 11)
        visit.sites[0].answers = good
        await rounds(visit, 3)
        now = visit.clock.now() + timedelta(seconds=1)
        lines = await visit.app.store.read(lambda r: accounting.lines(r, config, begin, now))
        assert lines == (
            "7 of 18 checks ok, 6 papers seen, 0 told, 0 waiting",
            "no data 08:00–14:00; no paper is known to be missed",
        )


async def test_a_source_that_was_never_read_costs_nobody_the_account(tmp_path):
    async with watching(tmp_path, ("t", "new")) as visit:
        config = parse(
            "".join(
                f'[[source]]\nname = "{name}"\nurl = "https://site.example/{name}"\n'
                for name in ("t", "new")
            ).encode(),
            OPTIONS,
            env={},
            folder=tmp_path,
        )
        begin = visit.clock.now()
        await visit("t", minutes=1)
        visit.sites[0].answers = DOWN
        await visit("new", minutes=1)
        now = visit.clock.now() + timedelta(seconds=1)
        lines = await visit.app.store.read(lambda r: accounting.lines(r, config, begin, now))
        assert lines == ("1 of 2 checks ok, 6 papers seen, 0 told, 0 waiting",)


def test_an_account_that_fails_costs_nobody_the_digest(tmp_path, capsys):
    with open_records(tmp_path / "w.db", create=True, migrate=True) as records:
        footer = accounting.footer_of(lambda: 1 / 0)
        said = footer(records, NOW, NOW)
    assert said == ("the account of checks and gaps failed, please report it",)
    assert "task_failed" in capsys.readouterr().out


# --- days that were missed -------------------------------------------------------------------


def daily(tmp_path, url="https://huggingface.co/papers"):
    return parse(
        f'[[source]]\nname = "daily"\nurl = "{url}"\nevery = "30m"\n'.encode(),
        OPTIONS,
        env={},
        folder=tmp_path,
    )


def records_with(tmp_path, *visits_of):
    """Records in which targets were seen well at some times."""
    records = open_records(tmp_path / "w.db", create=True, migrate=True)
    with records.transaction():
        for name, moment in visits_of:
            source = records.sources.id_of(name, "https://huggingface.co/papers", "daily")
            records.sources.succeed(source, moment, cards=3)
            records.sources.record_check(
                StoredCheck(source=source, at=moment, outcome=CheckOutcome.OK, cards=3)
            )
    return records


def test_days_missed_for_longer_than_is_followed_are_fetched_once_within_the_rate(tmp_path):
    config = daily(tmp_path)
    start = datetime(2026, 9, 1, 13, tzinfo=UTC)
    with records_with(tmp_path, ("daily", start), ("daily@2026-09-05", start)) as records:
        now = datetime(2026, 9, 21, 8, tzinfo=UTC)
        missed = accounting.missed_days(records, config, now)
        # 1 September was seen after noon, the 5th by its page, the last week is followed anyway.
        wanted = [date(2026, 9, day) for day in (2, 3, 4, *range(6, 14))]
        assert missed == {"daily": tuple(wanted)}
        agenda = Agenda(config, now=now, due={}, missed=missed)
        taken = []
        while (target := agenda.take(now)) is not None:
            taken.append(target)
            agenda.done(target, now, failures=0)
        days = [target.day for target in taken if target.day]
        assert set(wanted) < set(days)
        assert len(days) == len(set(days)) == len(wanted) + 7
        assert "/papers/date/2026-09-02" in {target.url.rpartition("co")[2] for target in taken}
        # Seen once, they are not visited again.
        later = now + timedelta(hours=30)
        agenda.follow(later)
        assert not set(wanted[:-1]) & {agenda.target(name).day for name in agenda.names()}


def test_a_missed_day_that_fails_is_tried_again_and_given_up_in_the_end(tmp_path):
    config = daily(tmp_path)
    now = datetime(2026, 9, 21, 8, tzinfo=UTC)
    start = datetime(2026, 9, 10, 13, tzinfo=UTC)
    with records_with(tmp_path, ("daily", start)) as records:
        missed = accounting.missed_days(records, config, now)
        assert missed == {"daily": (date(2026, 9, 11), date(2026, 9, 12), date(2026, 9, 13))}
        agenda = Agenda(config, now=now, due={}, missed=missed)
        target = agenda.target("daily@2026-09-11")
        agenda.done(target, now, failures=1)
        assert agenda.due_at(target.name) > now
        with records.transaction():
            source = records.sources.id_of("daily@2026-09-11", "", "daily")
            for _ in range(3):
                records.sources.fail(source, now, "404")
        again = accounting.missed_days(records, config, now)
        assert again == {"daily": (date(2026, 9, 12), date(2026, 9, 13))}


async def test_what_a_missed_day_shows_is_told_late_and_what_was_seen_is_not(tmp_path):
    rule = compile_rule("any", events=[Change.NEW])
    async with watching(tmp_path, ("daily",)) as visit:
        visit.app.use_rules([rule])
        site = visit.sites[0]

        async def see(day, fakes, *, past=False):
            site.answers = page(pages.grid_2026(fakes, day))
            name = f"daily@{day}" if past else "daily"
            target = Target(
                name=name,
                url=f"{site.url}/papers/{name}",
                family="daily",
                day=day if past else None,
                kind=PageKind.DAILY,
            )
            await check(visit.app, target, visit.clock.now())

        first, missed, last = (
            [fake.but(submitted=None, opened=None) for fake in pages.fakes(3, seed=n)]
            for n in (21, 22, 23)
        )
        missed = [fake.but(id=f"2610.2000{n}") for n, fake in enumerate(missed)]
        last = [fake.but(id=f"2610.3000{n}") for n, fake in enumerate(last)]
        await see(date(2026, 10, 5), first)
        visit.clock.advance(3 * 86_400)
        await see(date(2026, 10, 8), last)
        await see(date(2026, 10, 6), missed, past=True)
        events = list(await visit.app.store.read(lambda r: r.events.after(known=False)))
        late = {event.paper.title: event.late for event in events}
        assert late == {
            **{fake.title: False for fake in last},
            **{fake.title: True for fake in missed},
        }


RULE = compile_rule("any", events=[Change.NEW])
DAY_SEEN = date(2026, 10, 6)


class Looked:
    """A ledger that knows nothing but that the rule has looked at the source and its day."""

    def said(self, papers):
        return ()

    def pairs(self, source):
        return {"any": (RULE.fingerprint, NOW)}

    def keep_pair(self, *pair):
        raise AssertionError("this is not a first look")


@pytest.mark.parametrize(
    ("listed", "exact", "ago", "now", "late"),
    [
        ("06 23:31", True, 0, "07 01:30", False),
        ("06 23:30", True, 0, "07 01:30", False),
        ("06 23:29", True, 0, "07 01:30", True),
        ("06 23:29", True, 1, "07 01:30", False),  # it was seen before, and now satisfies the rule
        ("07 02:00", False, 0, "07 02:00", False),  # it may have come at the end of its day
        ("07 02:01", False, 0, "07 02:01", True),
        (None, False, 0, "07 02:01", True),
    ],
)
def test_a_paper_of_a_past_day_is_late_if_first_seen_two_hours_after_its_listing(
    listed, exact, ago, now, late
):
    def unix(text):
        return int(datetime.strptime(f"2026-10-{text} +0000", "%Y-%m-%d %H:%M %z").timestamp())

    at, first = unix(now), unix(now) - ago
    history = History(
        listed_at=listed and unix(listed),
        listed_exact=exact,
        first_seen_at=first,
        looks=(Look(at=at, source=1, upvotes=3),),
    )
    paper = Paper(row=1, title="Of that day", first_seen_at=datetime.fromtimestamp(first, UTC))
    name = f"daily@{DAY_SEEN}"
    hearing = Hearing(
        target=Target(name=name, url="https://x.example/papers", family="daily", day=DAY_SEEN),
        now=datetime.fromtimestamp(at, UTC),
        midnight=NOW,
        baseline=growth.PRIOR,
        rules=(RULE,),
    )
    subject = Subject(paper=paper, key="k", source="daily", history=history)
    (decision,) = hear(Looked(), hearing, [subject])
    assert decision.late is late


# --- the heartbeat ---------------------------------------------------------------------------


async def test_the_heartbeat_starts_beats_fails_and_beats_again(tmp_path, capsys):
    async with Site(page(b"OK")) as site, beating(tmp_path, f"{site.url}/s3cret?x=1") as beat:
        await beat.clock.waits()
        beat.health.store_failed("the disk is full")
        await beat.clock.tick()
        beat.health.store_failed(None)
        failed = Checked(target="t", at=NOW, outcome=CheckOutcome.FAILED, failures=1)
        beat.health.checked(failed)
        await beat.clock.tick()
        beat.health.checked(Checked(target="t", at=NOW, outcome=CheckOutcome.FAILED, failures=3))
        await beat.clock.tick()
        assert [request.target for request in site.requests] == [
            "/s3cret/start?x=1",
            "/s3cret?x=1",
            "/s3cret/fail?x=1",
            "/s3cret?x=1",
            "/s3cret/fail?x=1",
        ]
        assert b"disk is full" in site.requests[2].body
        assert b"failed 3 times" in site.requests[4].body
    assert "s3cret" not in capsys.readouterr().out


async def test_a_beat_while_the_daemon_stops_is_no_failure(tmp_path):
    async with Site(page(b"OK")) as site, beating(tmp_path, f"{site.url}/s3cret") as beat:
        await beat.clock.waits()
        beat.health.end()
        await beat.clock.tick()
        assert [request.target for request in site.requests][1:] == ["/s3cret", "/s3cret"]


async def test_a_round_without_a_daemon_calls_the_heartbeat_before_it_and_after(tmp_path):
    papers = page(pages.trending(pages.fakes(6)))
    async with Site(page(b"OK"), routes={"/papers/trending": papers}) as site:
        config = parse(
            f"[fetch]\nallow_private = true\nrobots = false\nper_host_rate = 0\n[[source]]\n"
            f'name = "t"\nurl = "{site.url}/papers/trending"\n[alert]\nafter = 2\n'
            f'heartbeat = "{site.url}/s3cret"\nallow_private = true\n'.encode(),
            OPTIONS,
            env={},
            folder=tmp_path,
        )
        for answers in (papers, DOWN, DOWN, papers):
            site.routes = {"/papers/trending": answers}
            await Daemon(config, clock=FakeClock(NOW)).once()
        (tmp_path / "watcher.db").write_bytes(b"")
        with pytest.raises(StoreRefused):
            await Daemon(config).once(due_only=True)
        beats = [request for request in site.requests if "s3cret" in request.path]
        how = ["", "", "/fail", "", "/fail"]  # one failed visit is no matter
        assert [beat.path for beat in beats] == [
            f"/s3cret{end}" for after in how for end in ("/start", after)
        ]
        assert b"failed 2 times in a row" in beats[5].body
        assert b"is empty, where history should be" in beats[9].body


async def test_a_reload_moves_the_heartbeat_stops_it_and_begins_it(tmp_path):
    async with Site(page(b"OK")) as site, beating(tmp_path, f"{site.url}/a") as beat:
        await beat.clock.waits()
        beat.use(alerting(tmp_path, f"{site.url}/b"))
        await beat.clock.tick()
        beat.use(alerting(tmp_path, None))
        await beat.clock.tick(again=False)
        await asyncio.sleep(0.05)  # it falls silent, whatever the clock says
        assert len(site.requests) == 4
        beat.use(alerting(tmp_path, f"{site.url}/c"))
        await beat.clock.waits()
        assert [request.path for request in site.requests] == [
            "/a/start", "/a", "/b/start", "/b", "/c/start", "/c",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "private"),
    [("http://127.0.0.1:9/s3cret", True), ("http://127.0.0.1:80/s3cret", False)],
)
async def test_a_dead_or_private_heartbeat_address_is_told_once_and_never_shown(
    tmp_path, capsys, address, private
):
    async with beating(tmp_path, address, private=private) as beat:
        for _ in range(3):
            await beat.clock.tick()
    said = capsys.readouterr().out
    assert said.count("heartbeat_failed") == 1
    assert "s3cret" not in said
    assert ("not a public address" in said) is not private


def alerting(tmp_path, address, *, private=True):
    alert = AlertSettings(
        heartbeat=None if address is None else SecretUrl(address),
        allow_private=private,
        heartbeat_every=timedelta(seconds=1),
    )
    return msgspec.structs.replace(parse(b"", OPTIONS, env={}, folder=tmp_path), alert=alert)


@contextlib.asynccontextmanager
async def beating(tmp_path, address, *, private=True):
    config = alerting(tmp_path, address, private=private)
    clock = Ticks()
    health = Health(clock)
    health.begin()
    beat = Heartbeat(config, clock=clock, health=health)
    beat.clock, beat.health = clock, health
    life = asyncio.ensure_future(beat.run())
    try:
        yield beat
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


class Ticks(FakeClock):
    """A clock on which waiting ends when the test says so."""

    def __init__(self):
        super().__init__(NOW)
        self._asleep = asyncio.Event()
        self._wake = asyncio.Event()

    async def sleep(self, seconds):
        self._asleep.set()
        await self._wake.wait()
        self._wake.clear()

    async def waits(self):
        async with asyncio.timeout(20):
            await self._asleep.wait()

    async def tick(self, *, again=True):
        await self.waits()
        self._asleep.clear()
        self._wake.set()
        if again:
            await self.waits()


# --- a host that wants a pause ---


async def test_a_source_that_nobody_asked_for_has_not_failed_but_is_missed_in_the_end(tmp_path):
    async with watching(tmp_path, names=("a", "b")) as visit:
        for name in "ab":
            await visit(name)
        busy = page(b"", status=429, headers={"Retry-After": str(9 * 3600)})
        visit.sites[0].answers = busy
        assert (await visit("a", minutes=30)).failures == 1
        asked = len(visit.sites[0].requests)
        for _ in range(5):
            for name in "ab":
                ended = await visit(name, minutes=10)
                assert ended.outcome is CheckOutcome.FAILED
                assert ended.failures == (1 if name == "a" else 0)
                assert "asked for a pause" in ended.error
                assert ended.retry_after > 0
        assert len(visit.sites[0].requests) == asked
        assert await told(visit.app) == []
        # Silence is told in the end, whoever wants it.
        for _ in range(13):
            await visit("b", minutes=30)
        assert [event.type for event in await told(visit.app)] == [EventType.SOURCE_FAILING]
