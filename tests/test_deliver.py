"""Delivering: the schedule, channels that fail, workers that do not wait for each other."""

import asyncio
import shutil
import threading
from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest

from tests.makers import NOW
from tests.postbox import Obedient, Post, outlet, papers_of, plan, tell, with_outlet
from tests.servers import FakeClock
from watcher import owed
from watcher.config.settings import RETRY, DeliverySettings
from watcher.config.values import Hours
from watcher.deliver import Report
from watcher.errors import SendError, StoreError, StoreRefused
from watcher.fetch import SystemClock
from watcher.model import EventType, Letter, Links, MessageState
from watcher.outcome import wait_after
from watcher.owed import CATCH_UP
from watcher.store import Store, open_records
from watcher.store.ledger import Words
from watcher.telemetry import Metrics

DOWN = SendError("connection refused")
GONE = SendError("host answered 410: the address is gone", retryable=False, gone=True)
UNFIT = SendError("host answered 400: it refuses this message", retryable=False)
NO_SUCH = SendError("550 5.1.1 no such user", retryable=False, bad_recipient=True)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    path = tmp_path_factory.mktemp("deliver") / "empty.db"
    open_records(path, create=True, migrate=True).close()
    return path


@pytest.fixture
def post(tmp_path, empty):
    def make(*channels, **fields):
        return Post(shutil.copy(empty, tmp_path / "w.db"), *channels, **fields)

    return make


# --- the schedule --------------------------------------------------------------------------


def test_attempts_follow_the_schedule():
    waits = [wait_after(RETRY, n, retry_after=None, chance=0.0) for n in range(1, 11)]
    assert waits == [*RETRY[1:], None]


def test_jitter_only_lengthens_a_wait_by_up_to_a_tenth():
    for attempt in range(1, 10):
        wait = wait_after(RETRY, attempt, retry_after=None, chance=0.999)
        assert RETRY[attempt] <= wait < RETRY[attempt] * 1.1


@pytest.mark.parametrize(("asked", "waited"), [(3.0, 5.0), (0.0, 5.0), (900.0, 900.0)])
def test_a_wait_is_at_least_what_the_other_side_asked_for(asked, waited):
    assert wait_after(RETRY, 1, retry_after=asked, chance=0.0) == seconds(waited)


async def test_a_message_is_tried_ten_times_over_three_days_and_then_dead(post):
    times = []
    channel = Obedient("me", then=DOWN, on_send=lambda _: times.append(here.clock.now()))
    async with post(channel) as here:
        await here.tell(1)
        report = await here.live(NOW + hours(24 * 20))
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert gaps == list(RETRY[1:])
        assert times[-1] - times[0] >= hours(72)
        assert (report.failed, report.dead, report.sent) == (9, 1, 0)
        (line,) = await here.lines(channel="me", state=MessageState.DEAD)
        assert line.error == "connection refused; given up after 10 attempts"
        assert line.attempts == 10


async def test_every_attempt_has_the_same_key_and_words_and_its_number(post):
    channel = Obedient("me", DOWN, DOWN)
    async with post(channel) as here:
        await here.tell(1)
        await here.live(NOW + hours(1))
        assert [m.attempt for m in channel.tried] == [1, 2, 3]
        assert len({m.key for m in channel.tried}) == 1
        assert channel.tried[0].digest == channel.tried[2].digest


async def test_a_message_that_is_refused_for_good_is_dead_at_once(post):
    async with post(Obedient("me", UNFIT)) as here:
        await here.tell(1)
        report = await here.deliverer.deliver_due()
        assert report == Report(dead=1)
        (line,) = await here.lines()
        assert (line.attempts, line.error) == (1, str(UNFIT))


async def test_retry_after_holds_the_whole_channel(post):
    busy = SendError("answered 429", retry_after=600.0)
    channel = Obedient("me", busy)
    async with post(channel) as here:
        await here.tell(1)
        await here.tell(2, at=NOW + seconds(1))
        here.clock.advance(2)
        await here.deliverer.deliver_due()
        assert len(channel.tried) == 1
        assert await here.next_due() == NOW + seconds(602)
        await here.live(NOW + hours(1))
        assert channel.papers == ["Paper number 1", "Paper number 2"]


async def test_a_refused_address_is_suppressed_and_others_get_theirs(post):
    base = with_outlet(plan("me"), "me", to=("a@example.org", "b@example.org"))

    def judge(message):
        if message.recipient == "a@example.org":
            raise NO_SUCH

    channel = Obedient("me", on_send=judge)
    async with post(channel, base=base) as here:
        await here.tell(1)
        assert await here.deliverer.deliver_due() == Report(sent=1, suppressed=1)
        await here.tell(2)
        assert await here.deliverer.deliver_due() == Report(sent=1)
        assert (await here.state()).failures == 0


async def test_partial_refusals_end_as_sent_suppressed_and_waiting(post):
    fates = {"a": None, "b": NO_SUCH, "c": SendError("451 4.7.1 greylisted")}
    base = with_outlet(plan("me"), "me", to=tuple(f"{name}@example.org" for name in fates))

    def judge(message):
        error = fates[message.recipient[0]]
        if error is not None:
            raise error

    async with post(Obedient("me", on_send=judge), base=base) as here:
        await here.tell(1)
        await here.deliverer.deliver_due()
        states = {line.recipient[0]: line.state for line in await here.lines()}
        assert states == {
            "a": MessageState.SENT,
            "b": MessageState.SUPPRESSED,
            "c": MessageState.WAITING,
        }


# --- a channel that breaks -----------------------------------------------------------------


def team(*more, **fields):
    return plan("me", "team", wants={"alignment": ("me",)}, operators=("me", "team"), **fields)


async def test_an_endpoint_that_is_gone_is_disabled_at_once_and_the_operator_told_once(post):
    broken, other = Obedient("me", then=GONE), Obedient("team")
    async with post(broken, other, base=team()) as here:
        await here.tell(1)
        await here.tell(2, at=NOW + seconds(1))
        await here.live(NOW + hours(1))
        assert len(broken.tried) == 1
        state = await here.state()
        assert state.disabled
        assert (state.disabled_why, state.told) == (str(GONE), "channel.disabled")
        (note,) = other.got
        assert note.digest.notices[0].reason == (
            "channel me is disabled; 2 messages wait, `watcher channels enable me` sends them: "
            "host answered 410: the address is gone"
        )
        assert {line.state for line in await here.lines(channel="me")} == {MessageState.WAITING}


async def test_once_enabled_what_waited_leaves_oldest_first_and_recovery_is_told(post):
    broken, other = Obedient("me", GONE), Obedient("team")
    async with post(broken, other, base=team()) as here:
        for number in (1, 2, 3):
            await here.tell(number, at=NOW + seconds(number))
        await here.live(NOW + hours(30))
        await here.store.write(lambda r: r.standing.enable("me", here.clock.now()))
        await here.live(NOW + hours(31))
        assert broken.papers == ["Paper number 1", "Paper number 2", "Paper number 3"]
        notices = [n for m in broken.got + other.got for n in m.digest.notices]
        assert [n.type for n in notices] == [
            EventType.CHANNEL_RECOVERED,
            EventType.CHANNEL_DISABLED,
        ]


async def test_a_day_of_mail_server_trouble_loses_nothing_and_is_told_once(post):
    """A simulated day: changes all day, no connection until the evening of the next."""
    back = NOW + hours(24)

    def judge(message):
        if here.clock.now() < back:
            raise DOWN

    base = with_outlet(team(), "me", to=("a@example.org", "b@example.org"))
    mail, other = Obedient("me", on_send=judge), Obedient("team")
    async with post(mail, other, base=base) as here:
        for number in range(1, 25):
            await here.tell(number)
            await here.live(NOW + hours(number))
        await here.live(NOW + hours(48))
        for recipient in ("a@example.org", "b@example.org"):
            got = [m for m in mail.got if m.recipient == recipient and m.digest.entries]
            assert len(got) == len({m.key for m in got}) == 24
        told = [n.type for m in other.got for n in m.digest.notices]
        assert told == [EventType.CHANNEL_FAILING]
        recovered = [n.type for m in mail.got for n in m.digest.notices]
        assert set(recovered) == {EventType.CHANNEL_RECOVERED}
        assert not (await here.state()).told


async def test_when_it_works_again_what_failed_is_due_at_once_oldest_first(post):
    mail = Obedient("me", *[DOWN] * 12)
    async with post(mail) as here:
        await here.tell(1)
        await here.live(NOW + hours(3))  # five attempts; the next one is hours away
        for number in (2, 3):
            await here.tell(number)
            here.clock.advance(1)
        await here.live(here.clock.now() + seconds(400))
        mail.script.clear()
        await here.tell(4)
        await here.deliverer.deliver_due()
        assert mail.papers[-1] in {"Paper number 2", "Paper number 3", "Paper number 4"}
        assert sorted(mail.papers) == [f"Paper number {n}" for n in (1, 2, 3, 4)]


RARELY = (seconds(0), *[hours(20)] * 9)


async def fail_evenly(here, failures, span):
    """So many messages, each of which fails once; so long from the first failure to now."""
    here.start(retry=RARELY)
    for number in range(failures):
        await here.tell(number + 1)
        await here.deliverer.deliver_due()
        last = number == failures - 1
        here.clock.advance(0 if last else span / (failures - 1))


@pytest.mark.parametrize(
    ("failures", "minutes", "told"), [(3, 60, 1), (3, 59, 0), (2, 90, 0), (9, 90, 1)]
)
async def test_a_broken_channel_is_told_once_after_an_hour_and_three_failures(
    post, failures, minutes, told
):
    other = Obedient("team")
    async with post(Obedient("me", then=DOWN), other, base=team()) as here:
        await fail_evenly(here, failures, 60 * minutes)
        await here.deliverer.deliver_due()
        notices = [n.type for m in other.got for n in m.digest.notices]
        assert notices == [EventType.CHANNEL_FAILING] * told


@pytest.mark.parametrize(
    ("failures", "span", "hurried"), [(3, 60, True), (3, 59, False), (2, 600, False)]
)
async def test_a_channel_that_was_broken_for_a_minute_makes_up_for_it_when_it_works(
    post, failures, span, hurried
):
    mail, other = Obedient("me", *[DOWN] * failures), Obedient("team")
    async with post(mail, other, base=team()) as here:
        await fail_evenly(here, failures, span)
        await here.tell(99)
        await here.deliverer.deliver_due()
        assert len(mail.got) == (1 + failures if hurried else 1)
        assert not [m for m in (*mail.got, *other.got) if m.digest.notices], "nobody was told"


async def test_one_message_that_always_fails_leaves_the_others_alone(post):
    def judge(message):
        if papers_of(message) == ["Paper number 1"]:
            raise SendError("answered 500")

    mail = Obedient("me", on_send=judge)
    async with post(mail) as here:
        await here.tell(1)
        for number in range(2, 30):
            await here.tell(number)
            await here.live(here.clock.now() + hours(2))
        await here.live(NOW + hours(24 * 9))
        assert mail.papers == [f"Paper number {n}" for n in range(2, 30)]
        (line,) = await here.lines(state=MessageState.DEAD)
        assert line.attempts == 10
        assert not (await here.state()).disabled


async def test_messages_that_fail_for_reasons_of_their_own_are_hurried_once_at_most(post):
    def judge(message):
        if papers_of(message)[0][-1] in "123":
            raise SendError("answered 500")

    mail = Obedient("me", on_send=judge)
    async with post(mail) as here:
        await here.tell(1)
        await here.tell(2, at=NOW - seconds(1))
        await here.tell(3, at=NOW - seconds(2))
        for _ in range(5):
            await here.live(here.clock.now() + hours(5))
            await here.tell(4 + len(mail.got))
        await here.live(NOW + hours(48))
        assert len(mail.got) == 5
        assert {line.attempts for line in await here.lines(state=MessageState.WAITING)} == {8}


async def test_five_days_of_failures_alone_disable_a_channel(post):
    broken, other = Obedient("me", then=DOWN), Obedient("team")
    async with post(broken, other, base=team()) as here:
        for day in range(8):
            await here.tell(day + 1)
            await here.live(NOW + hours(24 * (day + 1)))
            disabled = (await here.state()).disabled
            assert disabled == (day >= 5), day
        told = [n.type for m in other.got for n in m.digest.notices]
        assert told == [EventType.CHANNEL_FAILING, EventType.CHANNEL_DISABLED]
        tried = len(broken.tried)
        await here.live(NOW + hours(24 * 20))
        assert len(broken.tried) == tried


async def test_a_failure_long_after_the_last_one_begins_a_new_count(post):
    broken = Obedient("me", *[DOWN] * 11)
    async with post(broken) as here:
        await here.tell(1)
        await here.live(NOW + hours(24 * 20))
        await here.tell(2)
        await here.live(NOW + hours(24 * 21))
        assert not (await here.state()).disabled
        assert broken.papers == ["Paper number 2"]


async def test_with_no_other_channel_the_state_tells_it(post):
    base = msgspec.structs.replace(plan("me"), operators=("me",))
    async with post(Obedient("me", then=GONE), base=base) as here:
        await here.tell(1)
        await here.deliverer.deliver_due()
        assert (await here.state()).disabled
        (line,) = await here.lines()
        assert line.state is MessageState.WAITING
        events = await here.read(lambda r: r.events.after())
        assert events[-1].type is EventType.CHANNEL_DISABLED


async def test_a_channel_that_is_switched_off_in_the_config_keeps_what_it_is_owed(post):
    base = with_outlet(plan("me"), "me", enabled=False)
    channel = Obedient("me")
    async with post(channel, base=base) as here:
        await here.tell(1)
        assert await here.deliverer.deliver_due() == Report()
        assert (await here.read(lambda r: r.outbox.counts()))["waiting"] == 1


# --- what channels are given ---------------------------------------------------------------


async def test_a_message_has_the_time_zone_of_its_channel(post):
    base = with_outlet(plan("me"), "me", timezone=ZoneInfo("Asia/Tokyo"))
    channel = Obedient("me")
    async with post(channel, base=base) as here:
        await here.tell(1)
        await here.deliverer.deliver_due()
        assert channel.got[0].timezone == "Asia/Tokyo"


async def test_a_message_is_finished_for_its_reader_just_before_it_is_sent(post):
    links = Links(unsubscribe="https://example.org/u/token")

    def finish(records, claimed, now):
        return msgspec.structs.replace(claimed, links=links, timezone="Europe/Paris")

    channel = Obedient("me", DOWN)
    async with post(channel, finish=finish) as here:
        await here.tell(1)
        await here.live(NOW + hours(1))
        assert {(m.links, m.timezone) for m in channel.tried} == {(links, "Europe/Paris")}
        assert len(channel.tried) == 2


async def test_a_digest_carries_the_accounting_lines_it_is_given(post):
    def footer(records, since, until):
        return (f"{records.papers.count()[0]} papers since {since:%d %b}",)

    base = with_outlet(plan("me"), "me", digest=(NOW + hours(1)).time())
    channel = Obedient("me")
    async with post(channel, base=base, footer=footer) as here:
        await here.tell(1, 2)
        await here.live(NOW + hours(2))
        assert channel.got[0].digest.footer == ("2 papers since 20 Nov",)


async def test_sending_happens_outside_of_any_transaction(post):
    seen = []

    def look(message):
        return check()

    async def check():
        seen.append(await here.read(lambda r: r.conn.in_transaction))

    async with post(Obedient("me", on_send=look)) as here:
        await here.tell(1)
        await here.deliverer.deliver_due()
        assert seen == [False]


async def test_a_channel_with_a_fault_of_ours_is_a_failed_attempt(post):
    def fall(message):
        raise ValueError("an odd title")

    async with post(Obedient("me", on_send=fall)) as here:
        await here.tell(1)
        assert await here.deliverer.deliver_due() == Report(failed=1)
        (line,) = await here.lines()
        assert line.error == "channel me failed: ValueError"


async def test_who_left_until_just_before_sending_gets_nothing(post):
    base = with_outlet(plan("me"), "me", to=("a@example.org", "b@example.org"))
    left = set()

    def finish(records, claimed, now):
        return "unsubscribed" if claimed.recipient in left else claimed

    def leave(message):
        left.update({"a@example.org", "b@example.org"} - {message.recipient})

    channel = Obedient("me", on_send=leave)
    async with post(channel, base=base, finish=finish) as here:
        await here.tell(1)
        await here.deliverer.deliver_due()
        assert len(channel.got) == 1
        (line,) = await here.lines(state=MessageState.CANCELLED)
        assert line.error == "unsubscribed"


async def test_letters_go_the_same_way(post):
    letter = Letter(subject="Test", lines=("Hello",))
    channel = Obedient("me")
    async with post(channel) as here:
        await here.store.write(
            lambda r: r.outbox.post("me", "l:t", "", words=Words(letter=letter), due_at=NOW)
        )
        await here.deliverer.deliver_due()
        assert channel.got[0].letter == letter


# --- crashes -------------------------------------------------------------------------------


async def test_a_crash_before_the_outcome_is_recorded_repeats_the_same_message(post):
    async def vanish(message):
        ours.cancel()
        await asyncio.sleep(0)

    channel = Obedient("me")
    async with post(channel) as here:
        await here.tell(1)
        ours = asyncio.create_task(here.deliverer.deliver_due())
        channel._on_send = vanish
        with pytest.raises(asyncio.CancelledError):
            await ours
        channel._on_send = None
        here.start()
        await here.deliverer.begin()
        await here.deliverer.deliver_due()
        assert len(channel.tried) == 2
        assert channel.tried[0].key == channel.tried[1].key
        assert channel.tried[0].digest == channel.tried[1].digest


async def test_being_cancelled_while_writing_the_outcome_down_still_writes_it(post):
    release = threading.Event()

    async def hold_the_store(message):
        # The store's thread is busy when the outcome is to be written.
        here.store._queue.put(_Blocker(release))

    channel = Obedient("me", on_send=hold_the_store)
    async with post(channel) as here:
        await here.tell(1)
        ours = asyncio.create_task(here.deliverer.deliver_due())
        while not channel.got:
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        ours.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ours
        release.set()
        (line,) = await here.lines()
        assert line.state is MessageState.SENT


class _Blocker:
    """A job that keeps the store's thread busy until it is released."""

    writes = is_abandoned = False

    def __init__(self, release):
        self._release = release

    def work(self, records):
        assert self._release.wait(10)

    def succeed(self, result):
        pass

    def fail(self, exc):
        pass


async def test_asked_to_stop_what_is_being_sent_ends_and_nothing_else_begins(post):
    channel = Obedient("me", on_send=lambda message: here.deliverer.stop())
    async with post(channel) as here:
        await here.tell(1)
        await here.tell(2, at=NOW - seconds(5))
        await here.deliverer.run()
        assert len(channel.got) == 1
        states = sorted(line.state for line in await here.lines())
        assert states == [MessageState.SENT, MessageState.WAITING]
        assert channel.closed == 1


# --- a store that fails --------------------------------------------------------------------


class Failing(Store):
    """A store that refuses some writes, as a full disk does."""

    def __init__(self, path):
        super().__init__(path, lambda: open_records(path))
        self.faults = []

    async def write(self, work):
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        return await super().write(work)


async def let_fail(here, *faults):
    """Put a store under it whose next writes fail; None: that one does not."""
    await here.store.close()
    here.store = Failing(here.path)
    here.store.faults = [*faults]
    here.start()


async def test_an_outcome_that_cannot_be_written_is_kept_until_it_can(post):
    waited = []

    async def pause(exc):
        waited.append(str(exc))

    channel = Obedient("me", on_send=lambda m: here.store.faults.extend([full] * 3))
    full = StoreError("the disk is full")
    async with post(channel, on_store_error=pause) as here:
        await let_fail(here)
        await here.tell(1)
        assert await here.deliverer.deliver_due() == Report(sent=1)
        assert waited == ["the disk is full"] * 3
        assert len(channel.tried) == 1
        (line,) = await here.lines()
        assert line.state is MessageState.SENT


async def test_asked_to_stop_an_outcome_that_cannot_be_written_is_left_to_the_end_of_the_lease(
    post,
):
    def last(_):
        here.deliverer.stop()
        here.store.faults.append(StoreError("the disk is full"))

    channel = Obedient("me", on_send=last)
    async with post(channel) as here:
        await let_fail(here)
        await here.tell(1)
        await asyncio.wait_for(here.deliverer.run(), 5)
        (line,) = await here.lines()
        assert (line.state, line.attempts) == (MessageState.WAITING, 1)
        assert NOW < line.due_at <= NOW + seconds(60)


async def test_a_store_that_fails_is_left_alone_for_a_minute_and_the_outbox_taken_over_once(post):
    clock, begins = FakeClock(NOW), []
    channel = Obedient("me")
    async with post(channel, clock=clock) as here:
        await here.tell(1)
        await let_fail(here, StoreError("locked"))
        begin = here.deliverer.begin

        async def counted():
            begins.append(clock.now() - NOW)
            await begin()

        here.deliverer.begin = counted
        async with Running(here):
            await eventually(lambda: len(channel.got) == 1, within=5)
            await here.tell(2)
            await eventually(lambda: len(channel.got) == 2, within=5)
        assert begins == [seconds(0), seconds(60)]


async def test_a_store_that_fails_for_a_while_stops_nothing_for_good(post):
    async def pause(exc):
        paused.append(exc)

    paused = []
    channel = Obedient("me", on_send=lambda m: here.deliverer.stop())
    async with post(channel, on_store_error=pause) as here:
        await here.tell(1)
        await let_fail(here, None, StoreError("locked"), StoreError("locked"))
        await here.deliverer.run()
        assert len(channel.got) == 1
        assert len(paused) == 2


@pytest.mark.parametrize("writes", [1, 2])
async def test_a_store_that_is_refused_ends_the_loop_also_in_a_channels_worker(post, writes):
    async with post(Obedient("me")) as here:
        await here.tell(1)
        await let_fail(here, *[None] * writes, StoreRefused("damaged"))
        with pytest.raises(StoreRefused, match="damaged"):
            await asyncio.wait_for(here.deliverer.run(), 5)
        await here.store.write(lambda r: None)


# --- the loop, in real time ----------------------------------------------------------------


class Running:
    """The deliverer's loop as a task."""

    def __init__(self, here):
        self.here = here

    async def __aenter__(self):
        self.task = asyncio.create_task(self.here.deliverer.run())
        return self.here.deliverer

    async def __aexit__(self, *exc):
        self.here.deliverer.stop()
        await self.task


async def eventually(what, within):
    loop = asyncio.get_running_loop()
    begin = loop.time()
    while not what():
        assert loop.time() - begin < within, f"not within {within} s"
        await asyncio.sleep(0.005)
    return loop.time() - begin


async def test_a_dead_endpoint_delays_nobody(post):
    """100 messages for an endpoint that never answers, 100 for one that does."""

    async def hang():
        await asyncio.Event().wait()

    dead = Obedient("dead", on_send=lambda message: hang(), deadline=60.0)
    live = Obedient("live")
    base = plan("dead", "live", wants={"alignment": ("dead", "live")})
    async with post(dead, live, base=base, clock=SystemClock()) as here:
        for number in range(100):
            await here.tell(number + 1)
        ours = asyncio.create_task(here.deliverer.run())
        await eventually(lambda: len(live.got) == 100, within=2.0)
        assert len(dead.tried) == 1
        ours.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ours


async def test_a_due_alert_leaves_within_a_second(post):
    channel = Obedient("me")
    async with post(channel, clock=SystemClock()) as here, Running(here) as deliverer:
        await eventually(lambda: not deliverer._busy, within=1)
        await here.tell(1)
        deliverer.wake()
        assert await eventually(lambda: len(channel.got) == 1, within=1.0) < 0.5


async def test_what_another_process_wrote_is_noticed_within_a_second(post):
    channel = Obedient("me")
    async with post(channel, clock=SystemClock()) as here:
        await here.tell(1)
        await here.deliverer.deliver_due()
        key = channel.got[0].key
        async with Running(here):
            with open_records(here.path) as other, other.transaction():
                other.outbox.resend(key, here.clock.now())
            await eventually(lambda: len(channel.got) == 2, within=2.0)


async def test_two_writers_and_the_loop_get_along(post):
    """The loop sends while another connection records checks as quickly as it can."""
    channel = Obedient("me")
    async with post(channel, clock=SystemClock()) as here:

        def write():
            with open_records(here.path) as other:
                for number in range(150):
                    tell(other, here.plan, number + 1, at=here.clock.now())

        async with Running(here):
            writing = asyncio.create_task(asyncio.to_thread(write))
            for number in range(150, 250):
                await here.tell(number + 1)
            await writing
            await eventually(lambda: len(channel.papers) == 250, within=10.0)
        assert len(set(channel.papers)) == 250


async def test_the_loop_sends_a_digest_when_its_hour_has_come_and_hangs_up_afterwards(post):
    clock = FakeClock(NOW)
    base = with_outlet(plan("me"), "me", digest=(NOW + hours(1)).time())
    channel = Obedient("me")
    async with post(channel, base=base, clock=clock) as here, Running(here):
        await here.tell(1)
        await eventually(lambda: channel.got, within=20.0)
        assert hours(1) <= channel.got[0].digest.composed_at - NOW < hours(1) + seconds(3)
        assert not channel.got[0].digest.late
        await eventually(lambda: channel.closed, within=5.0)


async def test_after_sleep_an_overdue_digest_waits_for_the_checks_before_it_leaves(post):
    clock = FakeClock(NOW)
    base = with_outlet(plan("me"), "me", digest=(NOW + hours(1)).time())
    channel = Obedient("me")
    async with post(channel, base=base, clock=clock) as here:
        await here.tell(1)
        woken, woke = asyncio.Event(), []
        sleep = clock.sleep

        async def lid_closed(seconds_):
            if not woken.is_set():
                clock.advance(9 * 3600)
                woke.append(clock.now())
                woken.set()
            await sleep(seconds_)

        clock.sleep = lid_closed
        async with Running(here):
            await woken.wait()
            await here.tell(2)
            await eventually(lambda: channel.got, within=5.0)
        assert channel.papers == ["Paper number 2", "Paper number 1"]
        assert channel.got[0].digest.late
        assert channel.got[0].digest.composed_at >= woke[0] + CATCH_UP


async def test_one_round_sends_the_proof_of_life_that_is_owed(post):
    base = with_outlet(plan("me"), "me", digest=(NOW - hours(1)).time(), quiet_note=True)
    channel = Obedient("me")
    async with post(channel, base=base) as here:
        assert await here.deliverer.deliver_due() == Report(sent=1)
        assert await here.deliverer.deliver_due() == Report()
        assert channel.got[0].digest.entries == ()


async def test_a_channel_that_leaves_the_config_while_it_sends_is_closed_afterwards(post):
    release = asyncio.Event()
    channel = Obedient("me", on_send=lambda message: release.wait())
    async with post(channel) as here, Running(here) as deliverer:
        await here.tell(1)
        await here.tell(2, at=NOW - seconds(1))
        await eventually(lambda: channel.tried, within=2)
        await deliverer.use(plan("other"), {"other": Obedient("other")}, DeliverySettings())
        release.set()
        await eventually(lambda: channel.closed, within=2)
        assert len(channel.got) == 1
        states = sorted(line.state for line in await here.lines())
        assert states == [MessageState.SENT, MessageState.WAITING]


async def test_the_metrics_show_what_waits_and_what_was_given_up(post):
    metrics = Metrics()
    async with post(Obedient("me", UNFIT, then=DOWN), metrics=metrics) as here:
        await here.tell(1)
        await here.tell(2, at=NOW + seconds(1))
        here.clock.advance(10)
        await here.deliverer.deliver_due()
        await here.deliverer._measure(here.clock.now() + seconds(60))
        value = metrics.registry.get_sample_value
        assert value("watcher_messages_waiting", {"channel": "me"}) == 1
        assert value("watcher_messages_dead", {"channel": "me"}) == 1
        assert value("watcher_outbox_oldest_age_seconds") == 69
        assert value("watcher_messages_total", {"channel": "me", "state": "dead"}) == 1


async def test_a_channel_may_leave_the_config_while_a_message_of_it_is_claimed(post):
    release = threading.Event()
    async with post(Obedient("me"), Obedient("gone")) as here:
        await here.tell(1)
        busy = asyncio.ensure_future(here.store.write(lambda _: release.wait(5)))
        claiming = asyncio.ensure_future(here.deliverer._claim("gone"))
        await asyncio.sleep(0)  # it is asked for, and the store has no time for it yet
        here.deliverer._plan, here.deliverer._channels = plan("me"), {"me": here.channels["me"]}
        release.set()
        await busy
        assert (await claiming).channel == "gone"


async def test_a_channel_may_leave_the_config_while_its_connection_is_closed(post):
    idle = Obedient("gone")
    async with post(Obedient("me"), idle) as here, asyncio.TaskGroup() as group:
        here.deliverer._used["gone"] = -60.0
        await here.deliverer._start_due(group)
        # Nothing else ran in between: its end is begun after the reload.
        here.deliverer._plan, here.deliverer._channels = plan("me"), {"me": here.channels["me"]}
    assert idle.closed == 1


async def test_a_channel_that_left_the_config_raises_no_alarm(post):
    metrics = Metrics()
    async with post(Obedient("me"), Obedient("gone", GONE), metrics=metrics) as here:
        await here.tell(1)
        here.clock.advance(10)
        await here.deliverer.deliver_due()
        value = metrics.registry.get_sample_value
        for names, disabled, oldest in ((("me", "gone"), 1, 70), (("me",), 0, 0)):
            base = plan(*names)
            await here.deliverer.use(base, {n: here.channels[n] for n in names}, DeliverySettings())
            here.deliverer._measured = -60.0
            await here.deliverer._measure(here.clock.now() + seconds(60))
            assert value("watcher_channel_disabled", {"channel": "gone"}) == disabled
            assert value("watcher_outbox_oldest_age_seconds") == oldest
            assert value("watcher_messages_waiting", {"channel": "gone"}) == 1


async def test_a_fault_of_ours_pauses_one_channel_and_no_other_and_delays_no_stop(post):
    asked = []

    def footer(records, since, until):
        asked.append(until)
        raise ZeroDivisionError

    clock = SystemClock()
    base = with_outlet(plan("me", "other"), "me", digest=(clock.now() - seconds(30)).time())
    one, other = Obedient("me"), Obedient("other")
    async with post(one, other, base=base, clock=clock, footer=footer) as here:
        await here.tell(1, at=clock.now() - hours(23))
        async with Running(here):
            await eventually(lambda: other.got and asked, within=2)
            await here.tell(2)
            await eventually(lambda: len(other.got) == 2, within=2)
        line = min(await here.lines(channel="me"), key=lambda line: line.promised_at)
        assert (line.state, one.tried, len(asked)) == (MessageState.WAITING, [], 1)


async def test_another_config_is_followed_at_once(post):
    base = with_outlet(plan("me"), "me", digest=(NOW - hours(1)).time())
    old, new = Obedient("me"), Obedient("me")
    async with post(old, base=base) as here:
        await here.tell(1)
        await here.deliverer.deliver_due()
        here.plan = plan("me")
        changed = msgspec.structs.replace(
            here.plan, outlets={"me": outlet("me", digest=(NOW + hours(2)).time())}
        )
        await here.deliverer.use(changed, {"me": new}, DeliverySettings())
        assert await here.next_due() == NOW + hours(26)
        await here.live(NOW + hours(27))
        assert (len(old.got), len(new.got), old.closed) == (0, 1, 1)


# --- clocks and locks on a bad day ----------------------------------------------------------


async def test_a_store_that_is_locked_at_the_start_is_waited_for(post):
    async def pause(exc):
        paused.append(str(exc))

    paused = []
    channel = Obedient("me", on_send=lambda m: here.deliverer.stop())
    async with post(channel, on_store_error=pause) as here:
        await here.tell(1)
        await let_fail(here, StoreError("locked"), StoreError("locked"))
        await here.deliverer.run()
        assert paused == ["locked", "locked"]
        assert len(channel.got) == 1


async def test_what_a_clock_that_was_ahead_put_off_is_sent_once_it_is_right(post):
    busy = SendError("answered 429", retry_after=3600.0)
    channel = Obedient("me", busy)
    async with post(channel) as here:
        right = here.clock.now()
        here.clock.advance(20 * 86_400)
        await here.tell(1)
        await here.deliverer.deliver_due()
        here.clock._now = right
        assert await here.next_due() > right + timedelta(days=19)
        seen = await here.deliverer._notice_jump(right + timedelta(days=20))
        assert seen == right
        assert await here.deliverer.deliver_due() == Report(sent=1)


async def test_a_wait_that_is_meant_is_kept_over_a_start(post):
    channel = Obedient("me", SendError("answered 429", retry_after=80_000.0))
    async with post(channel) as here:
        await here.tell(1)
        await here.deliverer.deliver_due()
        due = await here.next_due()
        await here.deliverer.begin()
        assert await here.next_due() == due > here.clock.now() + hours(22)


async def test_a_message_that_is_sent_again_by_hand_does_not_wait_for_the_channels_rest(post):
    channel = Obedient("me", SendError("answered 429", retry_after=3600.0))
    async with post(channel) as here:
        await here.tell(1)
        await here.deliverer.deliver_due()
        (line,) = await here.lines()
        now = here.clock.now()
        await here.store.write(lambda r: r.outbox.resend(line.key, now))
        assert await here.deliverer.deliver_due() == Report(sent=1)


async def test_an_idle_channel_hangs_up_once_and_one_that_left_the_config_not_at_all(post):
    channel, left = Obedient("me"), Obedient("left")
    async with post(channel, left) as here:
        for name in ("me", "left"):
            await here.deliverer._work(name)
        await here.deliverer.use(plan("me"), {"me": channel}, DeliverySettings())
        here.clock.advance(29)
        assert here.deliverer._idle() == []
        here.clock.advance(2)
        assert here.deliverer._idle() == ["me"]
        assert here.deliverer._idle() == []


async def test_every_channel_of_an_older_config_is_closed(post):
    first, second, third = (Obedient("me") for _ in range(3))
    async with post(first) as here:
        here.deliverer._busy.add("me")
        await here.deliverer.use(here.plan, {"me": second}, DeliverySettings())
        await here.deliverer.use(here.plan, {"me": third}, DeliverySettings())
        assert (first.closed, second.closed) == (0, 0)
        await here.deliverer._work("me")
        assert (first.closed, second.closed, third.closed) == (1, 1, 0)


# --- quiet hours ---------------------------------------------------------------------------


def at_night(*channels, **fields):
    """Quiet hours that begin a minute from now and last four hours."""
    begin = NOW + seconds(60)
    night = Hours(start=begin.time(), end=(begin + hours(4)).time())
    return with_outlet(plan(*channels), "me", quiet_hours=night, timezone=ZoneInfo("UTC"), **fields)


async def test_an_alert_that_failed_waits_for_the_end_of_the_quiet_hours(post):
    channel = Obedient("me", *([DOWN] * 3))
    async with post(channel, base=at_night("me")) as here:
        await here.tell(1)
        assert await here.deliverer.deliver_due() == Report(failed=1)
        here.clock.advance(120)
        assert await here.deliverer.deliver_due() == Report()
        assert await here.next_due() == NOW + seconds(60) + hours(4)
        await here.live(NOW + hours(24))
        assert channel.papers == ["Paper number 1"]
        assert len(channel.tried) == 4


async def test_an_alert_that_waits_for_the_end_of_the_quiet_hours_is_not_called_stuck(post):
    metrics = Metrics()
    async with post(Obedient("me", DOWN), base=at_night("me"), metrics=metrics) as here:
        await here.tell(1)
        assert await here.deliverer.deliver_due() == Report(failed=1)
        here.clock.advance(120)
        assert await here.deliverer.deliver_due() == Report()
        await here.deliverer._measure(NOW + hours(3))
        assert metrics.registry.get_sample_value("watcher_outbox_oldest_age_seconds") == 0


async def test_a_full_mailbox_says_nothing_against_the_channel_after_the_quiet_hours_either(post):
    def answer(message):
        if message.recipient == "b@example.org":
            raise SendError("552 5.2.2 mailbox full", refused_recipient=True)

    base = at_night("me", to=("a@example.org", "b@example.org"))
    async with post(Obedient("me", on_send=answer), base=base) as here:
        await here.tell(1)
        await here.live(NOW + hours(20))
        assert len(await here.lines(state=MessageState.WAITING)) == 1
        state = await here.state()
        assert (state.failures, state.told) == (0, None)


async def test_an_alert_that_waited_one_night_and_found_nobody_waits_the_next_one_too(post):
    channel = Obedient("me")
    async with post(channel, base=at_night("me")) as here:
        await here.tell(1)
        here.clock.advance(120)
        assert await here.deliverer.deliver_due() == Report()
        here.clock.advance(24 * 3600)  # the machine was off by day
        assert await here.deliverer.deliver_due() == Report()
        assert channel.tried == []


async def test_what_was_overdue_waits_and_what_is_asked_for_by_hand_does_not(post):
    channel = Obedient("me", UNFIT)
    async with post(channel, base=at_night("me")) as here:
        await here.tell(1)
        await here.deliverer.deliver_due()
        await here.tell(2)
        here.clock.advance(600)
        assert await here.deliverer.deliver_due() == Report()
        (dead,) = await here.lines(state=MessageState.DEAD)
        now = here.clock.now()
        await here.store.write(lambda r: r.outbox.resend(dead.key, now))
        assert await here.deliverer.deliver_due() == Report(sent=1)


async def test_a_notice_that_failed_comes_in_quiet_hours(post):
    base = msgspec.structs.replace(at_night("me"), operators=("me",))
    channel = Obedient("me", DOWN)
    async with post(channel, base=base) as here:
        await here.store.write(
            lambda r: owed.give_notice(
                r,
                base,
                EventType.SOURCE_FAILING,
                subject="trending",
                reason="trending fails",
                since=NOW,
                now=NOW,
            )
        )
        assert await here.deliverer.deliver_due() == Report(failed=1)
        here.clock.advance(120)
        assert await here.deliverer.deliver_due() == Report(sent=1)
