"""Random histories of checks, sends, crashes and people against a naive oracle.

Whatever happens in whatever order: what was owed arrives at everyone it was owed to, or stands
where a person sees it; nothing arrives under two keys; a repeat is the same words under the same
key, and never without a crash or a person behind it; nothing arrives that was not decided.
"""

import contextlib
import shutil
import tempfile
from collections import Counter
from datetime import time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.makers import NOW
from tests.postbox import change, plan, with_outlet
from watcher import outcome, owed
from watcher.config.settings import DeliverySettings
from watcher.errors import SendError
from watcher.model import EventType, MessageState
from watcher.store import open_records

READERS = ("a@example.org", "b@example.org")
CHANNELS = st.sampled_from(("me", "team"))
SETTINGS = DeliverySettings()
WANTS = {"one": ("me", "team"), "two": ("team", "me")}
GIVEN_UP = {MessageState.DEAD, MessageState.CANCELLED, MessageState.SUPPRESSED}


def planned(hour):
    base = plan("team", wants=WANTS, operators=("team", "me"))
    return with_outlet(
        base, "me", to=READERS, digest=time(hour), timezone=ZoneInfo("Europe/Berlin")
    )


FAULTS = {
    "refused": lambda: SendError("connection refused"),
    "limited": lambda: SendError("answered 429", retry_after=600.0),
    "unfit": lambda: SendError("answered 400", retryable=False),
    "gone": lambda: SendError("answered 410", retryable=False, gone=True),
    "no such address": lambda: SendError("550 5.1.1", retryable=False, bad_recipient=True),
}


class Crash(BaseException):
    """The process ends here."""


def crash_if(now):
    if now:
        raise Crash


class Histories(RuleBasedStateMachine):
    """The store on one side, a few dictionaries on the other."""

    template: Path

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="histories-")
        self.path = Path(shutil.copy(self.template, Path(self.folder.name) / "w.db"))
        self.now = self.latest = NOW
        self.plan = planned(8)
        self.facts = {}
        """Event id -> (paper, kind)."""
        self.wanted = set()
        """(channel, paper, kind) that somebody was promised."""
        self.arrived = []
        """(channel, recipient, key, digest)."""
        self.repeats_allowed = Counter()
        self.hard_faults = set()
        self.failed_attempts = Counter()
        self.muted = set()

    @initialize()
    def start(self):
        self.records = open_records(self.path)
        # Crashes here are of the program, not of the machine: no need to wait for the disk.
        self.records.conn.execute("pragma synchronous = off")
        with self.records.transaction():
            owed.begin(self.records, self.plan, self.now, hold=True)

    def teardown(self):
        try:
            self.come_to_an_end()
        finally:
            self.records.close()
            self.folder.cleanup()

    # --- what happens ---

    @rule(
        papers=st.lists(st.integers(1, 15), min_size=1, max_size=3, unique=True),
        kind=st.sampled_from(("new", "rising")),
        names=st.lists(st.sampled_from(sorted(WANTS)), min_size=1, max_size=2, unique=True),
        beyond=st.sampled_from(((), ("one",), ("two",), ("one", "two"))),
        crash=st.booleans(),
    )
    def check(self, papers, kind, names, beyond, crash):
        recorded = []
        with contextlib.suppress(Crash), self.records.transaction():
            for name in names:
                for paper in papers:
                    event = change(self.records, paper, kind, rule=name, at=self.now)
                    recorded += [(event, name, paper)] if event.cursor else []
            telling = [(event, name in beyond) for event, name, _ in recorded]
            owed.owe(self.records, self.plan, telling, self.now)
            crash_if(crash)
        if crash:
            return
        for event, name, paper in recorded:
            self.facts[event.id] = (paper, kind)
            self.wanted |= {(channel, paper, kind) for channel in WANTS[name]}

    @rule(minutes=st.sampled_from((1, 6, 45, 300, 1500)))
    def wait(self, minutes):
        self.now += timedelta(minutes=minutes)

    @rule(minutes=st.sampled_from((1, 1500)))
    def set_the_clock_back(self, minutes):
        self.latest = max(self.latest, self.now)
        self.now -= timedelta(minutes=minutes)

    @rule()
    def set_the_clock_back_to_before_the_last_digest(self):
        last = self.records.outbox.last_digest("me")
        if last is not None:
            self.latest = max(self.latest, self.now)
            self.now = min(self.now, last.due_at - timedelta(minutes=1))

    @rule(hours=st.sampled_from((1, 30)))
    def live_on(self, hours):
        """What usually happens: time passes, everything that is due leaves."""
        self.now += timedelta(hours=hours)
        for channel in ("me", "team"):
            self.send(channel, 1000)

    @rule(channel=CHANNELS, number=st.integers(1, 4))
    def send(self, channel, number):
        for _ in range(number):
            claimed = self.claim(channel)
            if claimed is None:
                return
            self.take(claimed)
            self.record(claimed, None)

    @rule(channel=CHANNELS, fault=st.sampled_from(sorted(FAULTS)))
    def fail(self, channel, fault):
        claimed = self.claim(channel)
        if claimed is not None:
            if fault in ("unfit", "no such address"):
                self.hard_faults.add(claimed.recipient or channel)
            self.failed_attempts[claimed.key] += 1
            self.record(claimed, FAULTS[fault]())

    @rule(channel=CHANNELS, taken=st.booleans())
    def crash_while_sending(self, channel, taken):
        claimed = self.claim(channel)
        if claimed is not None:
            self.failed_attempts[claimed.key] += 1
            if taken:
                self.take(claimed)
                self.repeats_allowed[claimed.key] += 1
        self.restart()

    @rule()
    def restart(self):
        self.records.close()
        self.start()

    @rule(hour=st.sampled_from((0, 2, 8, 18, 23)))
    def change_the_hour(self, hour):
        self.plan = planned(hour)
        with self.records.transaction():
            owed.replan(self.records, self.plan, self.now)

    @rule(channel=CHANNELS, hours=st.sampled_from((1, 30)))
    def mute(self, channel, hours):
        self.muted.add(channel)
        with self.records.transaction():
            self.records.standing.mute(channel, self.now + timedelta(hours=hours))

    @rule(channel=CHANNELS, on=st.booleans())
    def switch(self, channel, on):
        with self.records.transaction():
            if on:
                self.records.standing.enable(channel, self.now)
            else:
                self.records.standing.disable(channel, self.now, why="by hand", by_hand=True)

    @precondition(lambda self: self.arrived)
    @rule(which=st.integers(0, 1000))
    def resend(self, which):
        key = self.arrived[which % len(self.arrived)][2]
        with self.records.transaction():
            assert self.records.outbox.resend(key, self.now)
        self.repeats_allowed[key] += 1

    # --- the hands of the deliverer ---

    def claim(self, channel):
        with self.records.transaction():
            return self.records.outbox.claim(
                channel,
                self.now,
                lease=timedelta(seconds=30),
                compose=lambda batch: owed.words_of(self.records, self.plan, batch, self.now),
            )

    def take(self, claimed):
        self.arrived.append((claimed.channel, claimed.recipient, claimed.key, claimed.words.digest))

    def record(self, claimed, error):
        done = outcome.Outcome(claimed=claimed, at=self.now, error=error)
        with self.records.transaction():
            outcome.record(self.records, self.plan, SETTINGS, done, chance=0.5)

    # --- what must be true ---

    @invariant()
    def every_repeat_says_the_same_under_the_same_key(self):
        said = {}
        for _, _, key, digest in self.arrived:
            assert said.setdefault(key, digest) == digest

    @invariant()
    def nothing_arrives_twice_without_a_crash_or_a_person(self):
        for key, times in Counter(key for _, _, key, _ in self.arrived).items():
            assert times <= 1 + self.repeats_allowed[key]

    @invariant()
    def nothing_arrives_under_two_keys_or_unasked(self):
        seen = {}
        for channel, recipient, key, digest in self.arrived:
            for fact in self.facts_of(digest):
                assert (channel, *fact) in self.wanted
                assert seen.setdefault((channel, recipient, *fact), key) == key

    def facts_of(self, digest):
        assert digest.cut == 0
        return [self.facts[i] for entry in digest.entries for i in entry.event_ids]

    def come_to_an_end(self):
        """Everything works again, and time passes: all that was promised must have arrived."""
        with self.records.transaction():
            for channel in ("me", "team"):
                self.records.standing.mute(channel, None)
                self.records.standing.enable(channel, self.now)
        # What was promised by a clock that was set back since is due by that clock.
        end = max(self.latest, self.now) + timedelta(days=14)
        while self.now < end:
            self.now += timedelta(days=1)
            for channel in ("me", "team"):
                self.send(channel, 1000)
        assert self.records.outbox.counts()["waiting"] == 0
        self.every_repeat_says_the_same_under_the_same_key()
        self.nothing_arrives_twice_without_a_crash_or_a_person()
        self.nothing_arrives_under_two_keys_or_unasked()
        heard = {
            (channel, recipient, *fact)
            for channel, recipient, _, digest in self.arrived
            for fact in self.facts_of(digest)
        }
        for channel, paper, kind in self.wanted:
            for recipient in self.plan.outlets[channel].recipients:
                if (channel, recipient, paper, kind) not in heard:
                    self.must_be_excused(channel, recipient, paper, kind)

    def must_be_excused(self, channel, recipient, paper, kind):
        """What did not arrive was given up for a reason that happened, and says so."""
        ids = {event_id for event_id, fact in self.facts.items() if fact == (paper, kind)}
        lines = [
            line
            for line in self.records.outbox.lines(channel=channel)
            if line.recipient == recipient and ids & set(line.events)
        ]
        assert len(lines) == 1
        (line,) = lines
        assert line.state in GIVEN_UP
        assert line.error
        assert (
            channel in self.muted
            or (recipient or channel) in self.hard_faults
            or self.failed_attempts[line.key] >= len(SETTINGS.retry)
        )


def test_no_history_loses_or_doubles_anything(tmp_path):
    template = tmp_path / "empty.db"
    open_records(template, create=True, migrate=True).close()
    machine = type("Case", (Histories,), {"template": template})
    case = machine.TestCase()
    case.settings = settings(max_examples=100, stateful_step_count=80, deadline=None)
    case.runTest()


def test_notices_are_events_of_the_same_outbox(tmp_path):
    path = tmp_path / "w.db"
    base = msgspec.structs.replace(planned(8), operators=("team",))
    with open_records(path, create=True, migrate=True) as records, records.transaction():
        told = owed.give_notice(
            records,
            base,
            EventType.SOURCE_FAILING,
            subject="trending",
            reason="source trending fails",
            since=NOW,
            now=NOW,
        )
        assert told == "team"
        (line,) = records.outbox.lines()
        assert line.events == (records.events.after()[0].id,)
