"""The outbox: what is owed is told once, in frozen words, and never lost."""

import shutil
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest

from tests.makers import NOW
from tests.postbox import change, plan, tell, with_outlet
from tests.snapshots import card, snapshot
from watcher import owed
from watcher.channels import OPTIONS
from watcher.config import parse
from watcher.config.values import Hours, Weekday
from watcher.identity import message_key
from watcher.model import Digest, EventType, Letter, Look, MessageState
from watcher.store import open_records
from watcher.store.ledger import Words

LEASE = timedelta(seconds=30)
BERLIN = ZoneInfo("Europe/Berlin")
MORNING = plan("me")
DAILY = with_outlet(plan("me"), "me", digest=time(8), timezone=BERLIN)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A fresh store, made once: copying is quicker than migrating."""
    path = tmp_path_factory.mktemp("outbox") / "empty.db"
    open_records(path, create=True, migrate=True).close()
    return path


@pytest.fixture
def records(tmp_path, empty):
    with open_records(shutil.copy(empty, tmp_path / "w.db")) as opened:
        with opened.transaction():
            opened.standing.meet(("me", "team"), NOW - timedelta(days=30))
        yield opened


def claim(records, base=MORNING, channel="me", at=NOW):
    with records.transaction():
        return records.outbox.claim(
            channel,
            at,
            lease=LEASE,
            compose=lambda batch: owed.words_of(records, base, batch, at),
        )


def told(claimed):
    return [entry.event.paper.title[-1] for entry in claimed.words.digest.entries]


def sent(records, base=MORNING, channel="me", at=NOW):
    """Claim and send whatever is due; the claims."""
    claims = []
    while (claimed := claim(records, base, channel, at)) is not None:
        with records.transaction():
            records.outbox.sent(claimed.key, at)
        claims.append(claimed)
    return claims


# --- owing ---------------------------------------------------------------------------------


def test_an_instant_change_is_one_message_due_now(records):
    assert tell(records, MORNING, 1) == 1
    (line,) = records.outbox.lines()
    assert (line.due_at, line.promised_at, line.attempts) == (NOW, NOW, 0)
    assert (line.state, len(line.events)) == (MessageState.WAITING, 1)
    assert records.outbox.due() == {"me": NOW}


def test_the_changes_of_one_check_share_a_message(records):
    tell(records, MORNING, 1, 2, 3)
    (claimed,) = sent(records)
    assert told(claimed) == ["3", "2", "1"]


def test_each_recipient_gets_a_message_of_its_own_with_the_same_words(records):
    base = with_outlet(MORNING, "me", to=("a@example.org", "b@example.org"))
    tell(records, base, 1)
    claims = sent(records, base)
    assert sorted(c.recipient for c in claims) == ["a@example.org", "b@example.org"]
    assert claims[0].key != claims[1].key
    assert claims[0].words == claims[1].words


def test_the_same_event_is_owed_once(records):
    assert tell(records, MORNING, 1) == 1
    assert tell(records, MORNING, 1) == 0
    assert len(sent(records)) == 1


def test_a_rolled_back_check_owes_nothing_and_the_next_one_owes_it_under_the_same_key(records):
    with pytest.raises(KeyError), records.transaction():
        _tell_and_fail(records, 1)
    assert records.outbox.counts()["waiting"] == 0
    tell(records, MORNING, 1)
    (line,) = records.outbox.lines()
    assert line.key == message_key("me", line.batch, "")


def _tell_and_fail(records, number):
    owed.owe(records, MORNING, [(change(records, number), False)], NOW)
    raise KeyError


def test_a_rule_without_channels_owes_nothing(records):
    assert tell(records, MORNING, 1, rule="silent") == 0


def test_a_channel_without_recipients_is_owed_nothing(records):
    assert tell(records, with_outlet(MORNING, "me", to=()), 1) == 0


def test_events_of_a_baseline_are_owed_to_nobody(records):
    with records.transaction():
        event = msgspec.structs.replace(change(records, 1), known=True)
        assert owed.owe(records, MORNING, [(event, False)], NOW) == 0


# --- a paper and kind once per channel ------------------------------------------------------

TWO_RULES = plan("me", "team", wants={"alignment": ("me",), "agents": ("me", "team")})


def test_two_rules_of_one_check_make_one_entry_with_both_reasons(records):
    base = plan("me", wants={"alignment": ("me",), "agents": ("me",)})
    with records.transaction():
        events = [change(records, 1), change(records, 1, rule="agents")]
        owed.owe(records, base, [(event, False) for event in events], NOW)
    (claimed,) = sent(records, base)
    (entry,) = claimed.words.digest.entries
    assert set(entry.rules) == {"alignment", "agents"}
    assert len(entry.reasons) == 2


def test_a_second_rule_joins_the_batch_that_is_still_open(records):
    base = msgspec.structs.replace(DAILY, wants={"alignment": ("me",), "agents": ("me",)})
    tell(records, base, 1)
    assert tell(records, base, 1, rule="agents", at=NOW + hours(2)) == 1
    (claimed,) = sent(records, base, at=NOW + hours(24))
    assert len(claimed.words.digest.entries) == 1
    assert len(claimed.words.digest.entries[0].reasons) == 2


def test_a_second_rule_after_the_batch_has_left_is_told_already_and_says_so(records):
    base = plan("me", wants={"alignment": ("me",), "agents": ("me",)})
    tell(records, base, 1)
    sent(records, base)
    assert tell(records, base, 1, rule="agents", at=NOW + minutes(5)) == 0
    assert sent(records, base, at=NOW + hours(1)) == []
    last = records.events.after()[-1]
    assert last.reason == "agents says new of 1; already told by alignment"


def test_what_one_channel_knows_is_still_news_to_another(records):
    tell(records, TWO_RULES, 1)
    sent(records, TWO_RULES)
    assert tell(records, TWO_RULES, 1, rule="agents", at=NOW + minutes(5)) == 1
    (claimed,) = sent(records, TWO_RULES, "team", at=NOW + minutes(6))
    assert claimed.words.digest.entries[0].reasons == ("agents says new of 1",)


def test_another_kind_of_change_of_the_same_paper_is_told(records):
    tell(records, MORNING, 1)
    sent(records)
    assert tell(records, MORNING, 1, kind="rising", at=NOW + hours(1)) == 1


def test_beyond_the_budget_goes_to_the_digest_unless_another_rule_tells_it_at_once(records):
    tell(records, MORNING, 1, beyond=True)
    (line,) = records.outbox.lines()
    assert line.batch.startswith("d:")
    base = plan("me", wants={"alignment": ("me",), "agents": ("me",)})
    with records.transaction():
        events = [change(records, 2), change(records, 2, rule="agents")]
        owed.owe(records, base, [(events[0], True), (events[1], False)], NOW)
    assert [told(c) for c in sent(records, base)] == [["2"]]
    assert records.outbox.due() == {"me": NOW + hours(1)}
    assert [told(c) for c in sent(records, base, at=NOW + hours(1))] == [["1"]]


# --- claiming ------------------------------------------------------------------------------


def test_a_claim_pushes_the_due_time_forward_by_the_lease(records):
    tell(records, MORNING, 1)
    claimed = claim(records)
    assert claimed.attempt == 1
    assert claim(records) is None
    assert records.outbox.due() == {"me": NOW + LEASE}


def test_a_lease_that_ends_makes_the_message_due_again_with_the_same_key_and_words(records):
    tell(records, MORNING, 1)
    first = claim(records)
    again = claim(records, at=NOW + LEASE)
    assert (again.key, again.words) == (first.key, first.words)
    assert again.attempt == 2


def test_a_start_ends_all_leases(records):
    tell(records, MORNING, 1)
    claim(records)
    with records.transaction():
        assert records.outbox.end_leases(NOW + minutes(0.1)) == 1
        assert records.outbox.end_leases(NOW + minutes(0.1)) == 0
    assert claim(records, at=NOW + minutes(0.1)) is not None


def test_only_what_failed_is_made_due_when_it_waits_for_longer_than_anything_has_to(records):
    weekly = with_outlet(plan("me"), "me", digest=time(8), days=(Weekday.FRI,))
    tell(records, weekly, 1)
    assert records.outbox.due() == {"me": NOW + timedelta(days=6, hours=1)}
    tell(records, plan("team"), 2)
    claimed = claim(records, plan("team"), "team")
    for ahead, due in ((3, 3), (3.1, 0)):
        with records.transaction():
            again = NOW + timedelta(days=ahead)
            records.outbox.failed(claimed.key, NOW, error="busy", due_at=again)
            records.outbox.end_long_waits(NOW, timedelta(days=3))
        assert records.outbox.due()["team"] == NOW + timedelta(days=due)
    assert records.outbox.due()["me"] == NOW + timedelta(days=6, hours=1)


def test_the_oldest_promise_leaves_first(records):
    for number in (3, 1, 2):
        tell(records, MORNING, number, at=NOW + minutes(number))
    assert [told(c) for c in sent(records, at=NOW + hours(1))] == [["1"], ["2"], ["3"]]


def test_nothing_leaves_before_it_is_due(records):
    tell(records, DAILY, 1)
    assert claim(records, DAILY, at=NOW + hours(23)) is None
    assert claim(records, DAILY, at=NOW + hours(24)) is not None


def test_words_are_frozen_when_the_first_message_of_a_batch_is_claimed(records):
    base = with_outlet(MORNING, "me", to=("a@example.org", "b@example.org"))
    tell(records, base, 1)
    first = claim(records, base)
    source = records.sources.id_of("trending")
    with records.transaction():
        records.papers.meet(
            source,
            snapshot(card(1, paper_id="2611.00001", title="Renamed", upvotes=999), at=NOW),
        )
    second = claim(records, base, at=NOW + minutes(0.1))
    assert second.key != first.key
    assert second.words == first.words


def test_what_comes_after_a_batch_closed_goes_to_the_next(records):
    tell(records, DAILY, 1)
    due = NOW + hours(24)
    first = claim(records, DAILY, at=due)
    # A check that commits while the digest leaves, by a clock that is a little behind.
    tell(records, DAILY, 2, at=due - minutes(1))
    again = claim(records, DAILY, at=due + LEASE)
    assert told(first) == told(again) == ["1"]
    assert [line.batch for line in records.outbox.lines()] == ["d:2026-11-23", "d:2026-11-22"]
    assert [told(c) for c in sent(records, DAILY, at=due + hours(24))] == [["1"], ["2"]]


def test_what_is_owed_while_a_digest_is_overdue_leaves_with_it(records):
    tell(records, DAILY, 1)
    late = NOW + hours(24 * 9)
    tell(records, DAILY, 2, at=late)
    (claimed,) = sent(records, DAILY, at=late)
    assert told(claimed) == ["2", "1"]
    assert claimed.words.digest.late


def test_a_notice_does_not_wait_for_the_overdue_digest_of_its_channel(records):
    base = msgspec.structs.replace(DAILY, operators=("me",))
    tell(records, base, 1)
    late = NOW + hours(24)
    assert notice(records, base, at=late) == "me"
    batches = [line.batch for line in records.outbox.lines()]
    assert sorted(batch.startswith("d:") for batch in batches) == [False, True]


def test_a_channel_is_met_when_it_is_first_owed_something(records):
    base = plan("fresh")
    tell(records, base, 1)
    assert [told(c) for c in sent(records, base, channel="fresh")] == [["1"]]


# --- how a channel stands ------------------------------------------------------------------


def test_a_muted_channel_drops_papers_and_still_hears_notices_and_letters(records):
    base = msgspec.structs.replace(MORNING, operators=("me",))
    with records.transaction():
        records.standing.mute("me", NOW + hours(5))
        owed.give_notice(
            records,
            base,
            EventType.SOURCE_FAILING,
            subject="trending",
            reason="source trending fails",
            since=NOW,
            now=NOW,
        )
        records.outbox.post(
            "me", "l:test", "", words=Words(letter=Letter(subject="s", lines=())), due_at=NOW
        )
    tell(records, base, 1)
    claims = sent(records, base)
    assert sorted(c.words.letter is not None for c in claims) == [False, True]
    assert [c.words.digest.notices[0].reason for c in claims if c.words.digest] == [
        "source trending fails"
    ]
    (dropped,) = records.outbox.lines(state=MessageState.CANCELLED)
    assert dropped.error == "the channel is muted until 2026-11-21 12:00 UTC"


def test_nothing_joins_a_digest_that_a_mute_has_dropped(records):
    tell(records, DAILY, 1)
    due = NOW + hours(24)
    with records.transaction():
        records.standing.mute("me", due + hours(1))
    assert sent(records, DAILY, at=due) == []
    tell(records, DAILY, 2, at=due + hours(2))
    claims = sent(records, DAILY, at=due + hours(24))
    assert [(c.batch, told(c)) for c in claims] == [("d:2026-11-23", ["2"])]


def test_what_a_mute_dropped_can_be_sent_again_by_a_person(records):
    tell(records, MORNING, 1)
    with records.transaction():
        records.standing.mute("me", NOW + hours(5))
    assert sent(records) == []
    (line,) = records.outbox.lines()
    with records.transaction():
        records.standing.mute("me", None)
        assert records.outbox.resend(line.key, NOW + minutes(1))
    (claimed,) = sent(records, at=NOW + minutes(1))
    assert (claimed.key, told(claimed)) == (line.key, ["1"])


def test_a_disabled_channel_keeps_what_it_is_owed_and_sends_it_in_order_once_enabled(records):
    with records.transaction():
        records.standing.disable("me", NOW, why="answered 410")
    for number in (1, 2, 3):
        tell(records, MORNING, number, at=NOW + minutes(number))
    assert records.outbox.due() == {}
    assert sent(records, at=NOW + hours(1)) == []
    with records.transaction():
        assert records.standing.enable("me", NOW + hours(2))
    assert [told(c) for c in sent(records, at=NOW + hours(2))] == [["1"], ["2"], ["3"]]


def test_enabling_makes_failed_messages_due_at_once(records):
    tell(records, MORNING, 1)
    claimed = claim(records)
    with records.transaction():
        records.outbox.failed(claimed.key, NOW, error="no answer", due_at=NOW + hours(24))
        records.standing.enable("me", NOW + minutes(1))
    assert records.outbox.due() == {"me": NOW + minutes(1)}


def test_enabling_does_not_hurry_what_is_being_sent(records):
    tell(records, MORNING, 1)
    claimed = claim(records)
    with records.transaction():
        records.outbox.failed(claimed.key, NOW, error="no answer", due_at=NOW + minutes(1))
    claim(records, at=NOW + minutes(1))
    with records.transaction():
        records.standing.enable("me", NOW + minutes(1))
    assert claim(records, at=NOW + minutes(1)) is None


def test_enabling_leaves_what_is_not_due_yet_alone(records):
    tell(records, DAILY, 1)
    with records.transaction():
        records.standing.enable("me", NOW)
    assert records.outbox.due() == {"me": NOW + hours(24)}


def test_names_that_were_never_met_are_refused(records):
    with records.transaction():
        assert not records.standing.enable("nobody", NOW)
        assert not records.standing.disable("nobody", NOW, why="x")
        assert not records.standing.mute("nobody", NOW)


def test_a_suppressed_address_gets_nothing_more_visibly(records):
    base = with_outlet(MORNING, "me", to=("A@example.org", "b@example.org"))
    tell(records, base, 1)
    with records.transaction():
        records.standing.suppress("me", "a@Example.org", "550 5.1.1 no such user", NOW)
    tell(records, base, 2, at=NOW + minutes(1))
    assert {c.recipient for c in sent(records, base, at=NOW + minutes(2))} == {"b@example.org"}
    lines = records.outbox.lines(state=MessageState.SUPPRESSED)
    assert [line.error for line in lines] == ["550 5.1.1 no such user"] * 2
    (entry,) = records.standing.suppressed("me")
    assert entry.address == "a@example.org"


def test_resending_a_suppressed_message_is_a_person_saying_otherwise(records):
    base = with_outlet(MORNING, "me", to=("a@example.org",))
    tell(records, base, 1)
    with records.transaction():
        records.standing.suppress("me", "a@example.org", "550", NOW)
    (line,) = records.outbox.lines()
    with records.transaction():
        assert records.outbox.resend(line.key, NOW)
    assert records.standing.suppressed() == ()
    assert len(sent(records, base)) == 1


def test_a_resent_message_says_the_same_under_the_same_key(records):
    tell(records, MORNING, 1)
    (first,) = sent(records)
    tell(records, MORNING, 1, kind="rising", at=NOW + minutes(1))
    with records.transaction():
        assert records.outbox.resend(first.key, NOW + hours(1))
        assert not records.outbox.resend("msg_unknown", NOW)
    again = claim(records, at=NOW + hours(1))
    assert (again.key, again.words, again.attempt) == (first.key, first.words, 1)


def test_a_letter_is_a_message_without_an_event(records):
    letter = Words(letter=Letter(subject="Please confirm", lines=("Hello",)))
    with records.transaction():
        key = records.outbox.post("me", "l:confirm-1", "a@example.org", words=letter, due_at=NOW)
        assert key == records.outbox.post(
            "me", "l:confirm-1", "a@example.org", words=letter, due_at=NOW + hours(1)
        )
    claimed = claim(records)
    assert (claimed.words, claimed.key) == (letter, key)
    assert records.outbox.line(key).events == ()


# --- planning anew -------------------------------------------------------------------------


def replan(records, base, at=NOW):
    with records.transaction():
        owed.replan(records, base, at)


def test_a_later_hour_moves_the_open_digest(records):
    tell(records, DAILY, 1)
    later = with_outlet(DAILY, "me", digest=time(18), timezone=BERLIN)
    replan(records, later, NOW + hours(4))
    (line,) = records.outbox.lines()
    assert line.batch == "d:2026-11-22"
    assert line.due_at == line.promised_at == NOW + hours(34)


def test_a_later_hour_of_one_channel_moves_the_digest_of_no_other(records):
    both = msgspec.structs.replace(DAILY, wants={"alignment": ("me", "team")})
    both = with_outlet(both, "team", digest=time(7), timezone=BERLIN)
    tell(records, both, 1)
    later = with_outlet(both, "me", digest=time(18), timezone=BERLIN)
    replan(records, later, NOW + hours(4))
    assert records.outbox.due() == {"me": NOW + hours(34), "team": NOW + hours(23)}
    batches = [*records.outbox.open_batches("me"), *records.outbox.open_batches("team")]
    assert [batch.due_at for batch in batches] == [NOW + hours(34), NOW + hours(23)]


def test_an_hour_that_has_passed_today_lets_todays_digest_leave_at_once(records):
    evening = with_outlet(DAILY, "me", digest=time(18), timezone=BERLIN)
    tell(records, evening, 1)
    noon = NOW + hours(4)
    replan(records, DAILY, noon)
    (claimed,) = sent(records, DAILY, at=noon)
    assert claimed.batch == "d:2026-11-21"
    assert not claimed.words.digest.late
    tell(records, DAILY, 2, at=noon + minutes(1))
    assert records.outbox.due() == {"me": NOW + hours(24)}


def test_a_struck_off_weekday_hands_its_events_to_the_next_digest(records):
    tell(records, DAILY, 1)  # for Sunday, the 22nd
    weekdays = with_outlet(DAILY, "me", digest=time(8), timezone=BERLIN, days=tuple(Weekday)[:5])
    replan(records, weekdays)
    tell(records, weekdays, 2, at=NOW + minutes(1))
    (claimed,) = sent(records, weekdays, at=NOW + hours(48))
    assert (claimed.batch, told(claimed)) == ("d:2026-11-23", ["2", "1"])
    assert records.outbox.counts()["waiting"] == 0


def test_a_channel_that_became_instant_still_sends_its_open_digest(records):
    tell(records, DAILY, 1)
    replan(records, MORNING)
    assert len(sent(records, MORNING, at=NOW + hours(30))) == 1


def test_quiet_hours_that_were_dropped_let_alerts_leave_at_once(records):
    quiet = with_outlet(MORNING, "me", quiet_hours=Hours(start=time(5), end=time(9)))
    tell(records, quiet, 1)
    assert records.outbox.due() == {"me": NOW + hours(2)}
    replan(records, MORNING, NOW + minutes(1))
    assert records.outbox.due() == {"me": NOW + minutes(1)}


def test_a_notice_before_its_first_attempt_ignores_quiet_hours_at_a_reload_too(records):
    night = Hours(start=time(0), end=time(23))
    base = with_outlet(MORNING, "me", quiet_hours=night)
    base = msgspec.structs.replace(base, operators=("me",), first_wait=minutes(1))
    with records.transaction():
        owed.give_notice(
            records, base, EventType.SOURCE_FAILING, subject="s", reason="blind", since=NOW, now=NOW
        )
    replan(records, base)
    (line,) = records.outbox.lines()
    assert line.due_at == NOW + minutes(1)
    tell(records, base, 1)
    replan(records, base)
    assert records.outbox.lines()[0].due_at > NOW + hours(1)


def test_a_new_recipient_hears_what_open_batches_say_and_nothing_that_has_left(records):
    one = with_outlet(DAILY, "me", digest=time(8), timezone=BERLIN, to=("a@example.org",))
    tell(records, one, 1)
    sent(records, one, at=NOW + hours(24))
    tell(records, one, 2, at=NOW + hours(25))
    two = with_outlet(
        DAILY, "me", digest=time(8), timezone=BERLIN, to=("a@example.org", "b@example.org")
    )
    replan(records, two, NOW + hours(26))
    claims = sent(records, two, at=NOW + hours(48))
    assert [(c.recipient, told(c)) for c in sorted(claims, key=lambda c: c.recipient)] == [
        ("a@example.org", ["2"]),
        ("b@example.org", ["2"]),
    ]


def test_a_corrected_address_takes_over_what_the_wrong_one_was_still_owed(records):
    wrong = with_outlet(MORNING, "me", to=("me@exmaple.org",))
    tell(records, wrong, 1)
    claimed = claim(records, wrong)
    with records.transaction():
        records.outbox.failed(claimed.key, NOW, error="no such host", due_at=NOW + hours(1))
    right = with_outlet(MORNING, "me", to=("me@example.org",))
    replan(records, right, NOW + minutes(1))
    (again,) = sent(records, right, at=NOW + minutes(1))
    assert (again.recipient, again.words) == ("me@example.org", claimed.words)
    assert records.outbox.counts() == {
        "waiting": 0,
        "sent": 1,
        "dead": 0,
        "suppressed": 0,
        "cancelled": 1,
    }


@pytest.mark.parametrize("failed", [False, True])
def test_an_address_that_was_taken_out_and_put_back_gets_what_it_was_still_owed(records, failed):
    mine = with_outlet(DAILY, "me", digest=time(8), timezone=BERLIN, to=("me@example.org",))
    other = with_outlet(DAILY, "me", digest=time(8), timezone=BERLIN, to=("you@example.org",))
    tell(records, mine, 1)
    morning = NOW + hours(24)
    if failed:
        claimed = claim(records, mine, at=morning)
        with records.transaction():
            records.outbox.failed(claimed.key, morning, error="refused", due_at=morning + hours(9))
    now = morning if failed else NOW
    for base in (other, mine, other, mine):
        replan(records, base, now)
    if not failed:
        tell(records, mine, 2, at=now)
    (line,) = records.outbox.lines(state=MessageState.WAITING)
    assert (line.recipient, line.error, line.attempts) == ("me@example.org", None, 0)
    (claimed,) = sent(records, mine, at=morning)
    assert claimed.recipient == "me@example.org"
    assert told(claimed) == (["1"] if failed else ["2", "1"])


def test_an_address_that_is_put_back_gets_neither_what_left_meanwhile_nor_what_it_refused(records):
    mine, other = (
        with_outlet(DAILY, "me", digest=time(8), timezone=BERLIN, to=(f"{name}@example.org",))
        for name in ("me", "you")
    )
    tell(records, mine, 1)
    replan(records, other, NOW)
    morning = NOW + hours(24)
    assert len(sent(records, other, at=morning)) == 1
    tell(records, mine, 2, at=morning)
    replan(records, other, morning)
    with records.transaction():
        records.standing.suppress("me", "me@example.org", "550", morning)
    replan(records, mine, morning)
    assert sent(records, mine, at=morning + hours(24)) == []
    (line,) = records.outbox.lines(state=MessageState.SUPPRESSED)
    assert line.recipient == "me@example.org"


def test_letters_do_not_depend_on_the_recipients_of_the_config(records):
    letter = Words(letter=Letter(subject="Please confirm", lines=("Hello",)))
    with records.transaction():
        records.outbox.post("me", "l:confirm-1", "new@example.org", words=letter, due_at=NOW)
    replan(records, with_outlet(MORNING, "me", to=("a@example.org",)))
    assert claim(records).words == letter


def test_what_subscribers_share_does_not_depend_on_the_recipients_of_the_config(records):
    with records.transaction():
        records.outbox.open("me", "s:2026-11-21:x", due_at=NOW, to=("sub@example.org",), now=NOW)
    replan(records, with_outlet(MORNING, "me", to=("a@example.org",)))
    (line,) = records.outbox.lines()
    assert (line.recipient, line.state) == ("sub@example.org", MessageState.WAITING)


def test_messages_of_a_channel_that_left_the_config_are_kept_and_shown(records):
    tell(records, plan("me", "team"), 1)
    replan(records, MORNING)
    assert len(sent(records)) == 1
    (kept,) = records.outbox.waiting()
    assert (kept.channel, kept.messages, kept.oldest) == ("team", 1, NOW)


# --- digests and time ----------------------------------------------------------------------


def test_after_downtime_an_overdue_digest_waits_for_the_first_checks(records):
    tell(records, DAILY, 1)
    start = NOW + hours(24 * 9 + 2)
    with records.transaction():
        owed.begin(records, DAILY, start, hold=True)
    assert records.outbox.due() == {"me": start + owed.CATCH_UP}
    tell(records, DAILY, 2, at=start + timedelta(seconds=5))
    (claimed,) = sent(records, DAILY, at=start + owed.CATCH_UP)
    assert told(claimed) == ["2", "1"]
    assert claimed.words.digest.late
    assert claimed.words.digest.due_at == NOW + hours(24)


def test_starting_again_and_again_does_not_hold_a_digest_back_for_ever(records):
    tell(records, DAILY, 1)
    start = NOW + hours(24 * 9)
    for seconds in range(0, 60, 5):
        now = start + timedelta(seconds=seconds)
        with records.transaction():
            owed.begin(records, DAILY, now, hold=True)
        if sent(records, DAILY, at=now):
            break
    assert seconds == 45


QUIET = with_outlet(MORNING, "me", digest=time(8), timezone=BERLIN, quiet_note=True)


def quiet_notes(records, at, base=QUIET):
    with records.transaction():
        opened = owed.open_quiet_notes(records, base, at)
    return opened, [(c.batch, c.words.digest.title) for c in sent(records, base, at=at)]


def test_a_quiet_note_is_sent_once_per_local_date_when_nothing_happened(records):
    assert quiet_notes(records, NOW) == (
        1,
        [("d:2026-11-21", "Sat 21 Nov: nothing new, all quiet")],
    )
    assert quiet_notes(records, NOW + minutes(1)) == (0, [])
    assert quiet_notes(records, NOW + hours(23.9)) == (0, [])
    assert quiet_notes(records, NOW + hours(24))[0] == 1


def test_no_quiet_note_when_there_was_a_digest(records):
    quiet_notes(records, NOW)
    tell(records, QUIET, 1, at=NOW + hours(1))
    assert quiet_notes(records, NOW + hours(24))[0] == 0
    assert quiet_notes(records, NOW + hours(25)) == (0, [])


def test_after_downtime_one_quiet_note_stands_for_all_of_it(records):
    quiet_notes(records, NOW)
    opened, notes = quiet_notes(records, NOW + hours(24 * 9 + 2))
    assert opened == 1
    assert notes == [("d:2026-11-30", "Mon 30 Nov: nothing new, all quiet (late)")]
    assert quiet_notes(records, NOW + hours(24 * 9 + 3)) == (0, [])


def test_a_digest_accounts_for_the_time_since_the_one_before(records):
    spans = []

    def footer(_, since, until):
        spans.append((since, until))
        return ()

    dues = [NOW + hours(24 * day) for day in (1, 2, 3)]
    for number, due in enumerate(dues, 1):
        tell(records, DAILY, number, at=due - hours(2))
        with records.transaction():
            claimed = records.outbox.claim(
                "me",
                due,
                lease=LEASE,
                compose=lambda batch, at=due: owed.words_of(records, DAILY, batch, at, footer),
            )
            records.outbox.sent(claimed.key, due)
    assert spans == [(NOW - timedelta(days=30), dues[0]), *pairwise(dues)]


def test_a_catch_up_digest_is_the_proof_of_life_too(records):
    tell(records, QUIET, 1)
    late = NOW + hours(24 * 9 + 2)
    assert quiet_notes(records, late)[0] == 0
    assert quiet_notes(records, late + minutes(1)) == (0, [])


def test_a_channel_that_is_new_is_owed_no_digest_for_the_time_before(records):
    base = with_outlet(QUIET, "fresh", digest=time(8), quiet_note=True)
    with records.transaction():
        records.standing.meet(("fresh",), NOW + hours(2))
    assert "fresh" not in owed.quiet_notes_due(records, base, NOW + hours(3))


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(days=1), timedelta(hours=-1)])
def test_a_clock_that_jumps_and_comes_back_doubles_and_loses_no_digest(records, jump):
    told_papers = []
    clock = [NOW + hours(h) for h in range(24)]
    clock += [NOW + hours(23.5) + jump, NOW + hours(23.7) + jump]
    clock += [NOW + hours(h) for h in range(23, 120)]
    for number, now in enumerate(clock, start=1):
        tell(records, DAILY, number, at=now)
        for claimed in sent(records, DAILY, at=now):
            told_papers += [e.event.paper.arxiv_id for e in claimed.words.digest.entries]
            told_papers += ["cut"] * claimed.words.digest.cut
    last = sent(records, DAILY, at=NOW + hours(24 * 9))
    told_papers += [e.event.paper.arxiv_id for c in last for e in c.words.digest.entries]
    assert len(told_papers) == len(clock)
    assert "cut" not in told_papers
    assert len(set(told_papers)) == len(clock)


DST = [
    pytest.param(zone, day, id=f"{zone}-{day}")
    for zone, days in {
        "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
        "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
        "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
        "America/Santiago": (date(2026, 4, 5), date(2026, 9, 6)),
    }.items()
    for day in days
]


@pytest.mark.parametrize(("zone", "day"), DST)
def test_there_is_one_digest_per_local_date_when_clocks_change(tmp_path, empty, zone, day):
    with open_records(shutil.copy(empty, tmp_path / "w.db")) as records:
        zones = ZoneInfo(zone)
        names = {f"at{hour:02d}": hour for hour in (0, 1, 2, 3, 4, 8, 12, 23)}
        base = plan(*names)
        for name, hour in names.items():
            base = with_outlet(base, name, digest=time(hour, 30), timezone=zones, quiet_note=True)
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
        batches = {name: [] for name in names}
        with records.transaction():
            records.standing.meet(names, begin)
        for step in range(3 * 24 * 4):
            now = begin + minutes(15 * step)
            with records.transaction():
                if owed.quiet_notes_due(records, base, now):
                    owed.open_quiet_notes(records, base, now)
            for name in records.outbox.due():
                batches[name] += [c.batch for c in sent(records, base, name, at=now)]
        for name, found in batches.items():
            assert len(found) == len(set(found)), name
            days = [date.fromisoformat(batch[2:]) for batch in found]
            assert {b - a for a, b in pairwise(days)} == {timedelta(1)}
            assert day in days


# --- notices -------------------------------------------------------------------------------


def notice(records, base, subject="trending", kind=EventType.SOURCE_FAILING, since=NOW, at=NOW):
    with records.transaction():
        return owed.give_notice(
            records, base, kind, subject=subject, reason=f"{subject} fails", since=since, now=at
        )


def test_a_notice_ignores_digest_hours_quiet_hours_and_goes_to_the_operator(records):
    base = with_outlet(
        msgspec.structs.replace(plan("team"), operators=("me", "team")),
        "me",
        digest=time(8),
        quiet_hours=Hours(start=time(5), end=time(9)),
    )
    assert notice(records, base) == "me"
    assert records.outbox.due() == {"me": NOW}


def test_the_same_outage_is_told_once_and_the_next_one_again(records):
    base = msgspec.structs.replace(MORNING, operators=("me",))
    assert notice(records, base) == "me"
    assert notice(records, base, at=NOW + hours(1)) is None
    assert notice(records, base, since=NOW + hours(5), at=NOW + hours(6)) == "me"
    assert len(sent(records, base, at=NOW + hours(6))) == 2


def test_a_notice_about_the_operators_channel_takes_another(records):
    base = msgspec.structs.replace(plan("me", "team"), operators=("me", "team"))
    assert notice(records, base, "me", EventType.CHANNEL_DISABLED) == "team"
    with records.transaction():
        records.standing.disable("me", NOW, why="gone")
    assert notice(records, base, "trending") == "team"
    alone = msgspec.structs.replace(MORNING, operators=("me",))
    assert notice(records, alone, "daily") is None
    assert [e.subject for e in records.events.after()] == ["me", "trending", "daily"]


@pytest.mark.parametrize(
    ("me", "hearer"),
    [
        ({}, "me"),
        ({"enabled": False}, "team"),
        ({"to": ()}, "team"),
    ],
)
def test_a_notice_needs_a_channel_that_is_in_use(records, me, hearer):
    base = msgspec.structs.replace(plan("me", "team"), operators=("gone", "me", "team"))
    assert notice(records, with_outlet(base, "me", **me)) == hearer


def test_a_notice_takes_a_channel_that_fails_only_when_every_one_does(records):
    base = msgspec.structs.replace(plan("me", "team"), operators=("me", "team"))
    with records.transaction():
        records.standing.tell("me", "channel.disabled")
    assert notice(records, base, "one") == "team"
    assert notice(records, base, "me", EventType.CHANNEL_RECOVERED) == "me"
    with records.transaction():
        records.standing.tell("team", "channel.disabled")
    assert notice(records, base, "two") == "me"


# --- looking and keeping -------------------------------------------------------------------


def test_pruning_forgets_old_messages_and_keeps_what_prevents_repeats(records):
    tell(records, MORNING, 1)
    sent(records)
    tell(records, MORNING, 2, at=NOW + hours(2))
    with records.transaction():
        assert records.outbox.prune(NOW + hours(1)) == 1
    assert [line.state for line in records.outbox.lines()] == [MessageState.WAITING]
    base = plan("me", wants={"agents": ("me",)})
    assert tell(records, base, 1, rule="agents", at=NOW + hours(3)) == 0


def test_what_a_message_says_can_be_looked_up_once_it_is_settled(records):
    tell(records, MORNING, 1)
    (line,) = records.outbox.lines()
    assert records.outbox.words(line.key) is None
    (claimed,) = sent(records)
    assert records.outbox.words(line.key) == claimed.words
    assert isinstance(claimed.words.digest, Digest)


def test_a_preview_shows_the_open_digest_and_closes_nothing(records):
    tell(records, DAILY, 1, 2)
    digest = owed.preview(records, DAILY, "me", NOW + minutes(1))
    assert [e.event.paper.title for e in digest.entries] == ["Paper number 2", "Paper number 1"]
    assert not records.outbox.is_closed("me", "d:2026-11-22")
    assert owed.preview(records, QUIET, "me", NOW).title.startswith("Sun 22 Nov")


def test_a_curve_of_votes_is_evenly_spaced_and_stands_still_between_sightings():
    looks = (
        Look(at=0, source=1, upvotes=None),
        Look(at=100, source=1, upvotes=1),
        Look(at=150, source=2, upvotes=7),
        Look(at=190, source=1, upvotes=9),
    )
    assert owed.votes_over_time(looks, 200, points=5) == (1, 1, 7, 7, 9)
    assert owed.votes_over_time((), 200) == ()


def test_an_outlet_of_mail_has_the_addresses_of_its_config(tmp_path):

    text = """
    [watcher]
    operator = "team"
    [[rule]]
    name = "alignment"
    channels = ["me"]
    [channel.me]
    type = "email"
    smtp = "smtp://mail.example.org:587"
    from = "papers@example.org"
    to = ["Me <me@example.org>", "me@example.org", "you@example.org"]
    [channel.team]
    type = "console"
    [delivery]
    retry = ["2s", "5s"]
    """
    made = owed.plan_of(parse(text.encode(), OPTIONS, env={}, folder=tmp_path))
    assert made.outlets["me"].recipients == ("me@example.org", "you@example.org")
    assert made.outlets["team"].recipients == ("",)
    assert made.operators == ("team", "me")
    assert made.wants == {"alignment": ("me",)}
    assert made.first_wait == timedelta(seconds=2)


def test_the_first_wait_of_the_schedule_comes_before_the_first_attempt(records):
    base = msgspec.structs.replace(MORNING, first_wait=timedelta(seconds=2))
    tell(records, base, 1)
    assert records.outbox.due() == {"me": NOW + timedelta(seconds=2)}
