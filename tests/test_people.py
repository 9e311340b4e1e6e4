"""What subscribers are told: whose hour has come, what matches, what is taken away again."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import makers
from tests.webworld import FixedClock
from watcher.errors import StoreError
from watcher.model import Card, Counts, EventType, PageKind, ReaderName, Snapshot
from watcher.people import Readers, hold_round, links_of, plan_round, window_for
from watcher.store import Store, open_records
from watcher.store.ledger import Words
from watcher.wants import (
    OWN_QUERY,
    BadWish,
    Frequency,
    Purpose,
    SubscriberState,
    Tokens,
    Wanting,
    Window,
    Wishes,
    begins_anew,
    checked,
    choose,
    handle_of,
    mask,
    next_due,
    tailor,
)

NOW = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)  # 08:00 in Berlin
DAILY = Wishes(topics=("alignment",), hour=8, timezone="Europe/Berlin")


def wishes(**more):
    return msgspec.structs.replace(DAILY, **more)


class House:
    """A store with subscribers and events, and a clock."""

    def __init__(self, path):
        self.store = Store(path, lambda: open_records(path, create=True, migrate=True))
        self.clock = FixedClock(NOW - timedelta(days=1, hours=1))
        self._made = 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.store.close()

    async def subscribe(self, address, *, at=None, **wants):
        now = at or self.clock.now()

        def work(r):
            self._made += 1
            handle = handle_of(self._made.to_bytes(9, "big"))
            row = r.people.ask(address, wishes(**wants), handle=handle, nonce="n", now=now)
            due = next_due(wishes(**wants), now)
            r.people.activate(row, wishes(**wants), now, due_at=due, anew=True)
            return r.people.by_address(address)

        return await self.store.write(work)

    async def tell(self, number, *, at=None, votes=30, kind=EventType.NEW, title=None, **more):
        """A paper, and a change of it told by a rule."""
        when = at or self.clock.now()

        def work(r):
            card = Card(paper_id=f"2611.{number:05d}", title=title or f"Paper number {number}",
                        upvotes=votes, listed_at=when, listed_on=when.date())  # fmt: skip
            meet(r, when, card)
            paper = r.papers.get(r.papers.find(f"2611.{number:05d}"))
            fields = {"paper": paper, "at": when, "id": f"evt_{number}_{kind.kind}",
                      "counts": Counts(upvotes=votes), **more}  # fmt: skip
            return r.events.add(makers.event(number, type=kind, **fields))

        return await self.store.write(work)

    async def votes(self, number, votes, title=None):
        name = title or f"Paper number {number}"
        card = Card(paper_id=f"2611.{number:05d}", title=name, upvotes=votes)
        await self.store.write(lambda r: meet(r, self.clock.now(), card))

    async def round(self):
        return await hold_round(self.store, "mail", self.clock.now())

    async def mail(self, address=None):
        """``(recipient, the papers told)`` of every message, by when it was promised."""

        def read(r):
            found = []
            for line in sorted(r.outbox.lines(channel="mail"), key=lambda li: li.promised_at):
                digest = r.outbox.words(line.key).digest
                papers = sorted(int(e.event.paper.arxiv_id[5:]) for e in digest.entries)
                found.append((line.recipient, papers))
            return found

        return [m for m in await self.store.read(read) if address in (None, m[0])]


def meet(records, at, *cards):
    shows = frozenset({"upvotes", "title", "paper_id"})
    snapshot = Snapshot(reader=ReaderName.ISLAND, taken_at=at, cards=cards, kind=PageKind.DAILY,
                        shows=shows)  # fmt: skip
    records.papers.meet(records.sources.id_of("daily"), snapshot)


@pytest.fixture
async def house(tmp_path):
    async with House(tmp_path / "w.db") as made:
        yield made


# --- when -------------------------------------------------------------------------------


def test_the_hour_is_the_subscribers_own():
    assert next_due(DAILY, NOW - timedelta(minutes=1)) == NOW
    assert next_due(DAILY, NOW) == NOW + timedelta(days=1)
    tokyo = wishes(timezone="Asia/Tokyo")
    assert next_due(tokyo, NOW).astimezone(tokyo.zone).hour == 8


def test_weekly_is_on_the_chosen_day():
    weekly = wishes(frequency=Frequency.WEEKLY, weekday=2)
    due = next_due(weekly, NOW)
    assert due.astimezone(weekly.zone).weekday() == 2
    assert timedelta() < due - NOW <= timedelta(days=7)


def test_instant_is_the_next_full_hour():
    instant = wishes(frequency=Frequency.INSTANT)
    assert next_due(instant, NOW) == NOW + timedelta(hours=1)
    assert next_due(instant, NOW + timedelta(minutes=59)) == NOW + timedelta(hours=1)


@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.integers(0, 23),
)
def test_over_a_year_there_is_one_mail_for_each_local_date(zone, hour):
    daily = wishes(timezone=zone, hour=hour)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    days = []
    while at < datetime(2027, 1, 1, tzinfo=UTC):
        at = next_due(daily, at)
        days.append(at.astimezone(daily.zone).date())
    assert len(set(days)) == len(days)
    assert (days[-1] - days[0]).days == len(days) - 1


# --- what -------------------------------------------------------------------------------


async def test_when_the_hour_comes_the_events_since_the_last_mail_are_told(house):
    await house.subscribe("ada@example.org")
    await house.tell(1)
    await house.tell(2, rule="speech")
    assert (await house.round()).due == 0  # it is not yet their hour
    house.clock.move(hours=1)
    done = await house.round()
    assert (done.due, done.mailed) == (1, 1)
    house.clock.move(hours=3)
    await house.tell(3)
    house.clock.move(days=1)
    await house.round()
    assert await house.mail() == [("ada@example.org", [1]), ("ada@example.org", [3])]


async def test_the_mail_of_a_reader_has_the_curves_of_votes(house):
    await house.subscribe("ada@example.org", at=NOW - timedelta(days=1))
    for hours, votes in ((9, 3), (6, 20), (3, 30)):
        house.clock.time = NOW - timedelta(hours=hours)
        await house.votes(1, votes)
    await house.tell(1, at=NOW - timedelta(hours=2), votes=40)
    house.clock.time = NOW
    await house.round()
    (line,) = await house.store.read(lambda r: r.outbox.lines(channel="mail"))
    digest = await house.store.read(lambda r: r.outbox.words(line.key).digest)
    assert (digest.entries[0].votes[0], digest.entries[0].votes[-1]) == (3, 40)


async def test_without_news_there_is_no_mail(house):
    await house.subscribe("ada@example.org")
    house.clock.move(days=3)
    done = await house.round()
    assert (done.due, done.mailed) == (1, 0)
    assert (await house.round()).due == 0


async def test_what_was_told_before_they_came_is_not_theirs(house):
    await house.tell(1)
    await house.subscribe("ada@example.org")
    house.clock.move(days=1)
    await house.round()
    assert await house.mail() == []


async def test_what_was_known_at_a_first_look_is_owed_to_nobody(house):
    await house.subscribe("ada@example.org")
    await house.tell(1, known=True)
    house.clock.move(days=1)
    await house.round()
    assert await house.mail() == []


async def test_equal_wishes_share_one_digest_and_a_second_round_adds_nothing(house):
    for n in range(5):
        await house.subscribe(f"reader{n}@example.org")
    await house.tell(1)
    house.clock.move(days=1)
    done = await house.round()
    assert (done.mailed, done.digests) == (5, 1)
    assert (await house.round()).due == 0
    assert len(await house.mail()) == 5


async def test_two_rounds_at_once_tell_each_reader_once(house):
    for n in range(30):
        await house.subscribe(f"reader{n}@example.org")
    await house.tell(1)
    house.clock.move(days=1)
    await asyncio.gather(house.round(), house.round(), house.round())
    assert len(await house.mail()) == 30


async def test_a_round_that_dies_between_two_readers_loses_and_doubles_nothing(house):
    many = range(90)  # more digests than one transaction takes
    for n in many:
        await house.subscribe(f"reader{n:02}@example.org", topics=(f"topic {n}",))
        await house.tell(n, rule=f"topic {n}")
    house.clock.move(days=1)
    writes, real = [], house.store.write

    async def dying(work):
        writes.append(work)
        if len(writes) == 2:
            raise StoreError("the disk is full")
        return await real(work)

    house.store.write = dying
    with pytest.raises(StoreError):
        await house.round()
    house.store.write = real
    assert 0 < len(await house.mail()) < len(many)
    await house.round()
    assert sorted(await house.mail()) == [(f"reader{n:02}@example.org", [n]) for n in many]


async def test_after_days_without_us_there_is_one_mail_for_all_of_them(house):
    await house.subscribe("ada@example.org")
    await house.tell(1)
    house.clock.move(days=1)
    await house.tell(2)
    house.clock.move(days=4)
    await house.round()
    assert await house.mail() == [("ada@example.org", [1, 2])]


async def test_after_an_outage_each_mail_names_the_hour_its_own_reader_was_promised(house):
    house.clock.time = NOW - timedelta(hours=1)
    await house.subscribe("ada@example.org", hour=8)
    await house.subscribe("bo@example.org", hour=13)
    await house.tell(1)
    house.clock.time = NOW + timedelta(hours=5, minutes=2)
    await house.round()
    told = [(await claim(house))[0] for _ in range(2)]
    assert {c.recipient: (c.words.digest.due_at, c.words.digest.late) for c in told} == {
        "ada@example.org": (NOW, True),
        "bo@example.org": (NOW + timedelta(hours=5), False),
    }


async def test_another_hour_neither_loses_nor_doubles_anything(house):
    person = await house.subscribe("ada@example.org")
    await house.tell(1)
    house.clock.move(minutes=30)
    for hour in (15, 6, 9):
        due = next_due(wishes(hour=hour), house.clock.now())
        await house.store.write(
            lambda r, hour=hour, due=due: r.people.change(
                person.id, wishes(hour=hour), house.clock.now(), due_at=due
            )
        )
    for _ in range(50):
        house.clock.move(hours=1)
        await house.round()
    assert await house.mail() == [("ada@example.org", [1])]


# --- thresholds ---------------------------------------------------------------------------


async def test_a_threshold_is_passed_once_even_days_after_the_change(house):
    await house.subscribe("ada@example.org", min_upvotes=50)
    await house.tell(1, votes=30)
    await house.tell(2, votes=80)
    for day in range(6):
        house.clock.move(days=1)
        if day == 2:
            await house.votes(1, 61)
        await house.round()
    assert await house.mail() == [("ada@example.org", [2]), ("ada@example.org", [1])]


async def test_a_threshold_passed_after_anothers_mail_of_the_same_day_is_told(house):
    house.clock.time = NOW - timedelta(hours=1)
    await house.subscribe("ada@example.org", hour=8)
    await house.subscribe("bo@example.org", hour=14, min_upvotes=50)
    await house.tell(1, votes=30)
    house.clock.time = NOW
    await house.round()
    await house.votes(1, 60)
    house.clock.move(hours=6)
    await house.round()
    told = [await claim(house) for _ in range(2)]
    found = {claimed.recipient: finished for claimed, finished in told}
    digest = found["bo@example.org"].words.digest
    assert digest.composed_at == house.clock.now()
    assert (digest.late, digest.entries[0].votes[-1]) == (False, 60)
    assert found["ada@example.org"].words.digest.composed_at == NOW


@pytest.mark.parametrize("asks", [{}, {"topics": (), "query": "title:number"}])
async def test_a_weekly_reader_hears_what_passed_the_threshold_during_the_week(house, asks):
    weekly = {"frequency": Frequency.WEEKLY, "weekday": 4, "min_upvotes": 50, **asks}
    person = await house.subscribe("ada@example.org", at=NOW - timedelta(days=7), **weekly)
    house.clock.time = NOW - timedelta(hours=3)
    await house.tell(1, votes=30)
    await house.tell(2, votes=80)
    house.clock.time = person.due_at
    await house.round()
    house.clock.move(days=2)
    await house.votes(1, 90)
    for _ in range(20):
        house.clock.move(days=1)
        await house.round()
    assert await house.mail() == [("ada@example.org", [2]), ("ada@example.org", [1])]


async def test_what_passes_a_threshold_long_after_its_change_is_not_told(house):
    await house.subscribe("ada@example.org", min_upvotes=50)
    await house.subscribe("bo@example.org", min_upvotes=50, topics=(), query="title:number")
    await house.tell(1, votes=30)
    for day in range(12):
        house.clock.move(days=1)
        if day == 9:
            await house.votes(1, 90)
        await house.round()
    assert await house.mail() == []


async def test_an_own_query_finds_what_no_rule_speaks_of(house):
    await house.subscribe("ada@example.org", topics=(), query="title:robot", min_upvotes=10)
    house.clock.move(minutes=5)
    title = "A robot that nobody's rule is about"
    card = Card(paper_id="2611.00007", title=title, upvotes=4)
    await house.store.write(lambda r: meet(r, house.clock.now(), card))
    await house.tell(8, title="Robot arms again", votes=40)
    await house.tell(9, title="No such thing", votes=40)
    house.clock.move(days=1)
    await house.round()
    await house.votes(7, 25, title)
    house.clock.move(days=1)
    await house.round()
    house.clock.move(days=1)
    await house.round()
    assert await house.mail() == [("ada@example.org", [8]), ("ada@example.org", [7])]


async def test_a_paper_that_rises_is_told_again_as_rising(house):
    await house.subscribe("ada@example.org")
    await house.tell(1)
    house.clock.move(days=1)
    await house.round()
    await house.tell(1, kind=EventType.RISING, votes=90)
    house.clock.move(days=1)
    await house.round()
    assert await house.mail() == [("ada@example.org", [1]), ("ada@example.org", [1])]


async def test_the_reason_names_the_threshold_of_its_own_reader(house):
    for need in (0, 1, 20):
        asks = {"topics": (), "query": "robot", "min_upvotes": need}
        await house.subscribe(f"from{need}@example.org", **asks)
    house.clock.move(minutes=5)
    await house.votes(1, 1, title="A robot with one vote")
    await house.votes(2, 30, title="A robot with thirty")
    house.clock.time = NOW
    await house.round()
    told = [(await claim(house))[0] for _ in range(3)]
    assert {c.recipient: [r for e in c.words.digest.entries for r in e.reasons] for c in told} == {
        "from0@example.org": ["new: 30 votes · matches robot", "new: 1 vote · matches robot"],
        "from1@example.org": [
            "new: 30 votes, needs 1 · matches robot",
            "new: 1 vote, needs 1 · matches robot",
        ],
        "from20@example.org": ["new: 30 votes, needs 20 · matches robot"],
    }


BOTH = ("alignment", "speech")


@pytest.mark.parametrize(
    ("asks", "times"),
    [
        ({"topics": BOTH}, 1),
        ({"topics": BOTH, "min_upvotes": 25}, 1),
        ({"topics": ("alignment",), "query": "title:number"}, 1),
        ({"topics": ("speech",)}, 1),
        ({"topics": ("other",)}, 0),
    ],
)
async def test_what_one_topic_has_told_no_other_tells_again(house, asks, times):
    house.clock.time = NOW - timedelta(hours=2)
    await house.subscribe("ada@example.org", **asks)
    house.clock.time = NOW - timedelta(minutes=2)
    await house.tell(1, votes=20 if "min_upvotes" in asks else 30)
    house.clock.time = NOW
    await house.votes(1, 30)
    for _ in range(3):
        await house.round()
        house.clock.move(hours=12)
        await house.tell(1, id="evt_again", rule="speech", votes=31)
        house.clock.move(hours=12)
    assert await house.mail() == [("ada@example.org", [1])] * times


async def test_what_was_not_heard_is_not_taken_as_told_by_another_topic(house):
    """Before they came, before they chose the topic, while it was muted."""
    house.clock.time = NOW - timedelta(hours=3)
    early = await house.subscribe("early@example.org", topics=("speech",))
    mute = await house.subscribe("mute@example.org", topics=BOTH)
    until = NOW + timedelta(hours=3)
    await house.store.write(lambda r: r.people.mute(mute.id, "alignment", until))
    undone = await house.subscribe("undone@example.org", topics=BOTH)
    await house.store.write(lambda r: r.people.mute(undone.id, "alignment", until))
    await house.tell(1)
    house.clock.move(hours=1)
    await house.subscribe("late@example.org", topics=BOTH)
    house.clock.time = NOW
    await house.round()
    now = house.clock.move(hours=1)
    both = wishes(topics=BOTH)
    await house.store.write(
        lambda r: r.people.change(early.id, both, now, due_at=next_due(both, now))
    )
    await house.store.write(lambda r: r.people.unmute(undone.id, "alignment", now))
    house.clock.move(hours=5)
    await house.tell(1, id="evt_again", rule="speech")
    house.clock.time = NOW + timedelta(days=1)
    await house.round()
    assert sorted(await house.mail()) == [
        (f"{name}@example.org", [1]) for name in ("early", "late", "mute", "undone")
    ]


async def test_a_muted_topic_is_left_out_until_its_mute_ends(house):
    person = await house.subscribe("ada@example.org", topics=("alignment", "speech"))
    until = house.clock.now() + timedelta(days=14)
    await house.store.write(lambda r: r.people.mute(person.id, "alignment", until))
    await house.tell(1)
    await house.tell(2, rule="speech")
    house.clock.move(days=1)
    await house.round()
    house.clock.move(days=14)
    await house.tell(3)
    house.clock.move(days=1)
    await house.round()
    assert [papers for _, papers in await house.mail()] == [[2], [3]]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["vote", "event", "look"]),
        st.integers(0, 1),
        st.sampled_from([1, 15, 25]),
        st.sampled_from([1, 1, 60]),
    ),
    max_size=40,
)
"""What happens some minutes apart: votes for a paper, a change of it, a look for the reader."""


@settings(max_examples=500)
@given(STEPS, st.sampled_from([0, 20, 40]), st.sampled_from([None, "paper"]))
def test_over_any_history_each_change_is_told_once_and_none_is_lost(steps, need, query):
    told, papers = _live(steps, need, query)
    assert len(told) == len(set(told))
    for row, votes in papers.items():
        enough = [at for at, count in votes if count >= need]
        if query and enough:
            assert (row, EventType.NEW) in told


def _live(steps, need, query):
    """A reader's days: ``(what was told, the votes of each paper)``."""
    now, cursor, since, told_cursor = NOW, 0, NOW - timedelta(hours=1), 0
    votes, events, told = {}, [], []

    def votes_at(at):
        return {row: max([c for t, c in seen if t <= at], default=0) for row, seen in votes.items()}

    def paper(row):
        seen = votes[row]
        return makers.paper(row, upvotes=seen[-1][1], first_seen_at=seen[0][0], title="A paper")

    def look():
        nonlocal since, told_cursor
        horizon = now - timedelta(minutes=3)
        window = Window(
            now=now,
            horizon=horizon,
            events=tuple(msgspec.structs.replace(e, paper=paper(e.paper.row)) for e in events),
            young=tuple(paper(row) for row in votes),
            votes_at=votes_at,
        )
        want = Wanting(topics=("alignment",) if query is None else (), query=query,
                       min_upvotes=need, cursor=told_cursor, since=since)  # fmt: skip
        told.extend((e.paper.row, e.type) for e in choose(want, window))
        since, told_cursor = horizon, cursor

    for kind, row, number, minutes in steps:
        now += timedelta(minutes=minutes)
        seen = votes.setdefault(row, [(now, 0)])
        if kind == "vote":
            seen.append((now, seen[-1][1] + number))
        elif kind == "event" and not any(e.paper.row == row for e in events):
            cursor += 1
            counts = Counts(upvotes=seen[-1][1])
            events.append(makers.event(cursor, paper=paper(row), counts=counts, at=now))
        elif kind == "look":
            look()
    now += timedelta(minutes=30)
    look()
    if query is None:
        for event in events:
            if votes[event.paper.row][-1][1] >= need:
                assert (event.paper.row, event.type) in told
    return told, votes


# --- just before sending ------------------------------------------------------------------

TOKENS = Tokens(b"k" * 32)
READERS = Readers(TOKENS, "https://p.example.org")


async def claim(house):
    """What delivering does: claim, ask whether it is still wanted, cancel or send."""
    now = house.clock.now()

    def work(r):
        claimed = r.outbox.claim("mail", now, lease=timedelta(minutes=1), compose=_never)
        return claimed and (claimed, READERS.finish(r, claimed, now))

    return await house.store.write(work)


def _never(_):
    raise AssertionError("a shared digest is composed when the hour comes")


async def test_a_message_leaves_with_links_and_in_its_readers_zone(house):
    person = await house.subscribe("ada@example.org")
    await house.tell(1)
    house.clock.move(days=1)
    await house.round()
    claimed, finished = await claim(house)
    assert claimed.recipient == "ada@example.org"
    assert finished.timezone == "Europe/Berlin"
    assert finished.links == links_of(person, TOKENS, "https://p.example.org")
    assert len(finished.links.unsubscribe) <= 75
    for link in (finished.links.unsubscribe, finished.links.preferences):
        assert "ada" not in link
        assert "%40" not in link


async def test_who_left_since_gets_nothing_more(house):
    person = await house.subscribe("ada@example.org")
    await house.tell(1)
    house.clock.move(days=1)
    await house.round()
    await house.store.write(lambda r: r.people.leave(person.id, house.clock.now()))
    _, why = await claim(house)
    assert why == "they have unsubscribed"


async def test_what_was_muted_since_is_taken_out_and_an_empty_message_is_not_sent(house):
    person = await house.subscribe("ada@example.org", topics=("alignment", "speech"))
    await house.tell(1)
    await house.tell(2, rule="speech")
    house.clock.move(days=1)
    await house.round()
    digest = await house.store.read(lambda r: r.outbox.words(r.outbox.lines()[0].key).digest)
    until = house.clock.now() + timedelta(days=14)
    await house.store.write(lambda r: r.people.mute(person.id, "speech", until))
    muted = await house.store.read(lambda r: r.people.by_address("ada@example.org"))
    left = tailor(digest, muted, house.clock.now())
    assert [e.event.paper.arxiv_id for e in left.entries] == ["2611.00001"]
    assert left.title == "Thu 19 Nov: 1 new paper (late)"
    await house.store.write(lambda r: r.people.mute(person.id, "alignment", until))
    _, why = await claim(house)
    assert why == "nothing of it is wanted any more"


@pytest.mark.parametrize(
    "query", ["source:daily", "SOURCE:daily", "NOT source:elsewhere", "age:<24h"]
)
async def test_what_a_query_was_told_leaves_though_sources_are_not_asked_again_and_time_passes(
    house, query
):
    """Only what its reader changed takes something out just before it is sent."""
    await house.subscribe("ada@example.org", topics=(), query=query)
    house.clock.move(hours=3)
    await house.tell(1)
    house.clock.move(hours=21)
    await house.round()
    house.clock.move(hours=14)  # the mail server was away
    _, finished = await claim(house)
    assert [e.event.paper.arxiv_id for e in finished.words.digest.entries] == ["2611.00001"]


async def test_a_higher_threshold_counts_from_the_very_next_mail(house):
    person = await house.subscribe("ada@example.org")
    await house.tell(1, votes=30)
    await house.tell(2, votes=90)
    house.clock.move(days=1)
    await house.round()
    due = next_due(DAILY, house.clock.now())
    await house.store.write(
        lambda r: r.people.change(person.id, wishes(min_upvotes=50), house.clock.now(), due_at=due)
    )
    _, finished = await claim(house)
    assert [e.event.paper.arxiv_id for e in finished.words.digest.entries] == ["2611.00002"]


async def test_a_paper_that_passed_the_threshold_and_fell_back_is_told(house):
    await house.subscribe("ada@example.org", min_upvotes=50)
    house.clock.time = NOW - timedelta(hours=2)
    await house.tell(1, votes=30)
    for minutes, votes in ((30, 50), (60, 49)):
        house.clock.time = NOW - timedelta(hours=1, minutes=-minutes)
        await house.votes(1, votes)
    house.clock.time = NOW + timedelta(days=1)
    await house.round()
    _, finished = await claim(house)
    assert [e.event.paper.arxiv_id for e in finished.words.digest.entries] == ["2611.00001"]
    await house.votes(1, 300)
    house.clock.move(days=1)
    await house.round()
    assert len(await house.mail()) == 1


async def test_recipients_of_the_config_are_not_asked_whether_they_subscribed(house):
    await house.tell(1)
    now = house.clock.now()

    def owe(r):
        r.outbox.post("mail", "i:1", "team@example.org", due_at=now,
                      words=Words(digest=makers.digest_of(makers.event())))  # fmt: skip

    await house.store.write(owe)
    _, finished = await claim(house)
    assert finished.links.unsubscribe is None
    assert finished.timezone is None


# --- coming and going -----------------------------------------------------------------------


async def test_who_leaves_and_undoes_it_loses_nothing(house):
    person = await house.subscribe("ada@example.org")
    await house.tell(1)
    await house.store.write(lambda r: r.people.leave(person.id, house.clock.now()))
    gone = await house.store.read(lambda r: r.people.by_handle(person.handle))
    assert gone.state is SubscriberState.LEFT
    assert not begins_anew(gone, house.clock.now())
    assert begins_anew(gone, house.clock.now() + timedelta(days=30))
    due = next_due(DAILY, house.clock.now())
    await house.store.write(
        lambda r: r.people.activate(person.id, DAILY, house.clock.now(), due_at=due, anew=False)
    )
    house.clock.move(days=1)
    await house.round()
    assert await house.mail() == [("ada@example.org", [1])]


async def test_an_address_is_one_subscriber_however_it_is_written(house):
    await house.subscribe("Ada@example.org")
    found = await house.store.read(lambda r: r.people.by_address("aDA@EXAMPLE.org"))
    assert found.address == "Ada@example.org"
    assert (await house.store.read(lambda r: r.people.count()))["active"] == 1


async def test_letters_to_one_address_are_counted_for_a_day(house):
    def ask(r, at):
        r.people.ask("a@example.org", DAILY, handle="h" * 12, nonce="n", now=at)
        return r.people.letters_today("a@example.org", at)

    at = house.clock.now()
    counts = [await house.store.write(lambda r, h=h: ask(r, at + timedelta(hours=h)))
              for h in (0, 5, 10, 23, 30)]  # fmt: skip
    assert counts == [1, 2, 3, 4, 1]


async def test_removing_forgets_an_address_and_its_mutes(house):
    person = await house.subscribe("ada@example.org")
    await house.store.write(lambda r: r.people.mute(person.id, "alignment", NOW))
    assert await house.store.write(lambda r: r.people.remove("ADA@example.org"))
    assert not await house.store.write(lambda r: r.people.remove("ada@example.org"))
    rows = await house.store.read(lambda r: r.conn.execute("select count(*) from mutes").fetchone())
    assert rows == (0,)


async def test_removing_forgets_mail_and_bounces_but_not_those_of_the_config(house):
    await house.subscribe("Ada@example.org")
    await house.subscribe("bo@example.org")
    await house.tell(1)
    now = house.clock.move(days=1)
    await house.round()

    def work(r):
        for channel in ("mail", "team"):
            r.standing.suppress(channel, "Ada@example.org", "550 5.1.1 unknown", now)
        r.outbox.open("team", "d:2026-11-20", due_at=now, to=["ada@example.org"], now=now)
        assert r.people.remove("ada@example.org")
        kept = [(line.channel, line.recipient) for line in r.outbox.lines()]
        return kept, [(s.channel, s.address) for s in r.standing.suppressed()]

    assert await house.store.write(work) == (
        [("team", "ada@example.org"), ("mail", "bo@example.org")],
        [("team", "ada@example.org")],
    )


# --- wishes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (wishes(topics=()), "topics"),
        (wishes(topics=("gone",)), "topics"),
        (wishes(topics=(), query="   "), "topics"),
        (wishes(query="title:(robot"), "query"),
        (wishes(timezone="Mars/Olympus"), "timezone"),
        (wishes(timezone="../../etc/passwd"), "timezone"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_its_field(wanted, field):
    with pytest.raises(BadWish) as caught:
        checked(wanted, ["alignment", "speech"])
    assert caught.value.field == field


def test_topics_that_are_gone_are_dropped_and_the_rest_stays():
    kept = checked(wishes(topics=("gone", "speech")), ["alignment", "speech"])
    assert kept.topics == ("speech",)


# --- tokens -----------------------------------------------------------------------------


@given(st.binary(min_size=9, max_size=9), st.sampled_from(list(Purpose)), st.text(max_size=20))
def test_a_token_opens_its_purpose_and_nothing_else(random, purpose, nonce):
    handle = handle_of(random)
    token = TOKENS.make(purpose, handle, nonce)
    assert len(token) == 34
    assert TOKENS.handle(token) == handle
    assert TOKENS.opens(token, purpose, nonce)
    assert not TOKENS.opens(token, purpose, nonce + "x")
    assert not Tokens(b"other").opens(token, purpose, nonce)
    for other in Purpose:
        assert TOKENS.opens(token, other, nonce) is (other is purpose)


@given(st.text(max_size=60))
def test_nothing_but_a_token_is_a_token(text):
    assert not TOKENS.opens(text, Purpose.UNSUBSCRIBE)
    assert not TOKENS.is_seal(text, "feed")


def test_an_address_is_shown_only_as_far_as_its_owner_needs():
    assert mask("ada.lovelace@example.org") == "a…@example.org"


# --- many -------------------------------------------------------------------------------


async def test_ten_thousand_subscribers_are_one_pass(house):
    """A tenth of them has a query of its own. Bounded loosely: bench/web.py measures."""
    zones = ("Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Africa/Lagos")

    def work(r):
        now = house.clock.now()
        for n in range(10_000):
            wanted = wishes(
                topics=(f"topic {n % 7}",) if n % 10 else (),
                query=None if n % 10 else f"paper OR word{n}",
                timezone=zones[n % 4],
                min_upvotes=(0, 0, 20)[n % 3],
            )
            row = r.people.ask(
                f"r{n}@example.org", wanted, handle=handle_of(n.to_bytes(9, "big")), nonce="",
                now=now,
            )  # fmt: skip
            r.people.activate(row, wanted, now, due_at=NOW, anew=True)

    await house.store.write(work)
    house.clock.move(minutes=1)
    for n in range(40):
        await house.tell(n, rule=f"topic {n % 7}", votes=10 + n)
    house.clock.move(hours=25)
    began = time.perf_counter()
    done = await house.round()
    spent = time.perf_counter() - began
    assert (done.due, done.mailed) == (10_000, 10_000)
    assert done.digests < 1100  # own queries are told in words of their own
    assert spent < 20


async def test_a_plan_is_a_pure_function_of_people_and_window(house):
    for n in range(4):
        await house.subscribe(f"reader{n}@example.org", topics=(f"topic {n % 2}",))
        await house.tell(n, rule=f"topic {n % 2}")
    house.clock.move(days=1)
    people = await house.store.read(lambda r: r.people.due(house.clock.now()))
    window, cursor = await house.store.read(lambda r: window_for(r, people, house.clock.now()))
    first = plan_round(people, window, cursor=cursor)
    assert first == plan_round(people, window, cursor=cursor)
    assert {p.batch for p in first.parcels} == {
        p.batch for p in plan_round(people[::-1], window, cursor=cursor).parcels
    }
    assert OWN_QUERY == ""
