"""Who hears what, when, and in which order it stands."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from tests.makers import MOMENTS, NOW, changed, digest_of, event, notice, options, paper, rising
from watcher.config.values import Hours
from watcher.digest import LATE_BLOOMERS, Frame, assign, compose, route
from watcher.identity import instant_batch
from watcher.model import Counts, EventType

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)


def test_an_event_goes_to_the_channels_of_its_rule():
    a, b = event(1, rule="a"), event(2, rule="b")
    assert assign([a, b], {"a": ("me", "team"), "b": ("team",)}) == {
        "me": (a,),
        "team": (a, b),
    }


def test_known_events_and_rules_without_channels_are_owed_to_nobody():
    assert assign([event(1, known=True), event(2, rule="other")], {"alignment": ("me",)}) == {}


def test_an_instant_channel_gets_one_batch_due_now():
    events = [event(1), rising(2)]
    deliveries = route({"me": events}, {"me": options()}, NOW)
    assert {d.batch for d in deliveries} == {instant_batch(e.id for e in events)}
    assert [d.event_id for d in deliveries] == [e.id for e in events]
    assert {d.due_at for d in deliveries} == {NOW}


def test_a_digest_channel_gets_the_batch_of_its_next_local_date():
    table = options(digest=time(8), timezone=BERLIN)
    (one,) = route({"me": [event()]}, {"me": table}, NOW - timedelta(minutes=1))
    assert (one.batch, one.due_at) == ("d:2026-11-21", NOW)
    (two,) = route({"me": [event()]}, {"me": table}, NOW)
    assert two.batch == "d:2026-11-22"


def test_changing_the_hour_at_noon_sends_no_second_digest_that_day():
    table = options(digest=time(18), timezone=BERLIN)
    noon = datetime(2026, 11, 21, 11, tzinfo=UTC)
    (one,) = route({"me": [event()]}, {"me": table}, noon, closed={("me", "d:2026-11-21")})
    assert one.batch == "d:2026-11-22"


def test_another_channels_closed_batch_does_not_matter():
    table = options(digest=time(18), timezone=BERLIN)
    noon = datetime(2026, 11, 21, 11, tzinfo=UTC)
    (one,) = route({"me": [event()]}, {"me": table}, noon, closed={("team", "d:2026-11-21")})
    assert one.batch == "d:2026-11-21"


def test_alerts_of_one_night_wait_together_for_its_end():
    table = options(quiet_hours=Hours(start=time(22), end=time(7)), timezone=BERLIN)
    (first,) = route({"me": [event(1)]}, {"me": table}, NIGHT)
    (second,) = route({"me": [event(2)]}, {"me": table}, NIGHT + timedelta(hours=2))
    dawn = datetime(2026, 11, 21, 6, tzinfo=UTC)
    assert first.due_at == second.due_at == dawn
    assert first.batch == second.batch
    assert first.batch.startswith("i:")
    (next_night,) = route({"me": [event(3)]}, {"me": table}, NIGHT + timedelta(days=1))
    assert next_night.batch != first.batch
    (third,) = route({"me": [event(4)]}, {"me": table}, NIGHT, closed={("me", first.batch)})
    assert third.batch == instant_batch([event(4).id])


def test_notices_ignore_digest_and_quiet_hours():
    table = options(digest=time(8), quiet_hours=Hours(start=time(22), end=time(7)), timezone=BERLIN)
    deliveries = route({"me": [notice(1), notice(2), event(3)]}, {"me": table}, NIGHT)
    by_event = {d.event_id: d for d in deliveries}
    assert by_event[notice(1).id].due_at == NIGHT
    assert by_event[notice(1).id].batch != by_event[notice(2).id].batch
    assert by_event[event(3).id].batch == "d:2026-11-21"


def test_overflow_of_a_budget_waits_for_a_digest_even_on_an_instant_channel():
    table = options(timezone=BERLIN)
    deliveries = route({"me": [event(1), event(2)]}, {"me": table}, NIGHT, overflow={event(2).id})
    assert [d.batch[:2] for d in deliveries] == ["i:", "d:"]
    assert deliveries[1].due_at == NOW


def test_a_channel_that_left_the_config_is_not_routed_to():
    assert route({"gone": [event()]}, {}, NOW) == ()


@given(
    numbers=st.lists(st.integers(1, 40), unique=True, max_size=20),
    digest=st.sampled_from([None, time(8), time(2, 30)]),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    now=MOMENTS,
    quiet=st.booleans(),
)
def test_routing_loses_and_doubles_nothing(numbers, digest, zone, now, quiet):
    hours = Hours(start=time(22), end=time(7)) if quiet else None
    table = options(digest=digest, timezone=ZoneInfo(zone), quiet_hours=hours)
    events = [notice(n) if n % 7 == 0 else event(n) for n in numbers]
    deliveries = route({"me": events}, {"me": table}, now)
    assert sorted(d.event_id for d in deliveries) == sorted(e.id for e in events)
    assert all(d.due_at >= now for d in deliveries)
    assert deliveries == route({"me": events}, {"me": table}, now)


def test_one_entry_per_paper_with_the_reasons_of_all_its_rules():
    same = paper(5)
    digest = digest_of(
        event(1, paper=same, rule="a", reason="matches a", strength=1),
        rising(2, paper=same, rule="b", reason="3.4 times its age", strength=9),
    )
    (entry,) = digest.entries
    assert entry.event.id == event(2).id
    assert entry.rules == ("b", "a")
    assert entry.reasons == ("b: 3.4 times its age", "a: matches a")
    assert set(entry.event_ids) == {event(1).id, event(2).id}
    assert [section.title for section in digest.sections] == ["b"]


def test_rules_that_say_the_same_share_a_line():
    said = "44 votes in 20 h, surely 2.0 × the usual for papers of this age (2.7 ×)"
    same = {"paper": paper(5), "counts": Counts(upvotes=44), "strength": 4.0}
    digest = digest_of(
        rising(1, rule="a", reason=f"{said} · matches agent* · tool", **same),
        rising(2, rule="b", reason=said, **same),
        event(3, rule="c", reason="new: 44 votes, needs 20 · follows Ada Ngo", **same),
    )
    (entry,) = digest.entries
    assert entry.reasons == (
        f"a, b: {said} · matches agent* · tool",
        "c: new: 44 votes, needs 20 · follows Ada Ngo",
    )
    assert len(entry.event_ids) == 3


def test_an_empty_digest_gives_the_last_cursor_there_is():
    assert compose((), Frame(cursor=77), NOW).cursor == 77
    assert compose([event(5)], Frame(cursor=77), NOW).cursor == 5


def test_papers_of_the_same_rules_stand_under_the_same_one():
    told = []
    for number in (1, 2, 3):
        same = {"paper": paper(number), "counts": Counts(upvotes=9), "strength": 4.0}
        rules = ["a", "b"] if number % 2 else ["b", "a"]
        told += [event(10 * number + n, rule=rule, **same) for n, rule in enumerate(rules)]
    digest = digest_of(*told)
    assert [(s.title, len(s.entries)) for s in digest.sections] == [("a", 3)]
    assert {entry.rules for entry in digest.entries} == {("a", "b")}


def test_of_two_rules_the_one_that_says_more_of_a_paper_comes_first():
    same = {"paper": paper(1), "counts": Counts(upvotes=9), "strength": 4.0}
    (entry,) = digest_of(event(1, rule="a", **same), rising(2, rule="b", **same)).entries
    assert (entry.event.type, entry.rules) == (EventType.RISING, ("b", "a"))


def test_a_single_rule_is_not_repeated_before_its_reason():
    (entry,) = digest_of(event(1, reason="matches")).entries
    assert entry.reasons == ("matches",)


def test_sections_and_entries_stand_by_strength():
    digest = digest_of(
        event(1, rule="weak", strength=1),
        event(2, rule="strong", strength=8),
        event(3, rule="weak", strength=3),
        event(4, rule="strong", strength=9),
    )
    assert [(s.title, [e.event.cursor for e in s.entries]) for s in digest.sections] == [
        ("strong", [4, 2]),
        ("weak", [3, 1]),
    ]


def test_of_papers_as_strong_as_each_other_the_one_with_more_votes_comes_first():
    digest = digest_of(
        *(event(n, strength=4.0, counts=Counts(upvotes=n)) for n in (8, 44, 9)),
        max_papers=2,
    )
    assert [e.event.counts.upvotes for e in digest.entries] == [44, 9]


def test_late_bloomers_have_a_box_of_their_own_at_the_end():
    old = paper(1, listed_at=NOW - timedelta(days=9))
    digest = digest_of(event(1, paper=old, late=True, strength=99), event(2))
    assert [section.title for section in digest.sections] == ["alignment", LATE_BLOOMERS]
    assert digest.sections[1].note
    assert "1 late bloomer" in digest.title


def test_only_new_papers_can_be_late_bloomers():
    assert digest_of(rising(1, late=True)).sections[0].title == "alignment"


def test_the_weakest_are_cut_and_counted_and_can_be_fetched():
    events = [event(n, strength=(n * 7) % 10) for n in range(1, 10)]
    digest = digest_of(*events, max_papers=4, more_url="https://papers.example.org/")
    told = {entry.event.cursor for entry in digest.entries}
    missed = {e.cursor for e in events} - told
    assert len(told) == 4
    assert digest.cut == 5
    assert digest.cursor == min(missed) - 1
    assert "9 new papers" in digest.title
    assert {e.event.strength for e in digest.entries} == {9, 8, 7, 6}


def test_without_a_cut_the_cursor_is_the_highest_told():
    assert digest_of(event(3), event(7)).cursor == 7
    assert digest_of().cursor == 0


def test_titles_count_what_is_inside():
    digest = digest_of(event(1), event(2), rising(3), notice(4), due_at=NOW, zone=BERLIN)
    assert digest.title == "Sat 21 Nov: 1 rising, 2 new papers, 1 notice"


def test_the_title_of_an_alert_names_its_paper():
    assert digest_of(rising(3), instant=True).title == "Rising: Paper number 3"
    assert digest_of(rising(3), event(4), instant=True).title == "1 rising, 1 new paper"
    assert digest_of(notice(1), instant=True).title.startswith("Watcher: source trending fails")


def test_an_empty_digest_is_a_proof_of_life():
    digest = digest_of(due_at=NOW, footer=("48 of 48 checks ok",))
    assert digest.title == "Sat 21 Nov: nothing new, all quiet"
    assert digest.sections == ()
    assert digest.footer == ("48 of 48 checks ok",)


def test_a_digest_that_leaves_late_says_so():
    due = NOW - timedelta(hours=26)
    digest = digest_of(event(1), due_at=due)
    assert digest.late
    assert digest.title == "Fri 20 Nov: 1 new paper (late)"
    assert not digest_of(event(1), due_at=NOW - timedelta(minutes=5)).late


def test_hostile_titles_make_short_one_line_subjects():
    hostile = paper(1, title="A\r\nBcc: x@example.org\u2028\u202egnp" + "x" * 10_000)
    title = digest_of(event(1, paper=hostile), instant=True).title
    assert len(title) <= 150
    assert title.isprintable()


@given(
    numbers=st.lists(st.tuples(st.integers(1, 15), st.floats(0, 9), st.sampled_from("abc"))),
    cap=st.integers(1, 10),
)
def test_composing_tells_or_counts_every_paper_once(numbers, cap):
    events = [
        event(cursor, paper=paper(row), rule=rule, strength=strength)
        for cursor, (row, strength, rule) in enumerate(numbers, 1)
    ]
    digest = compose(events, Frame(max_papers=cap), NOW)
    rows = [entry.event.paper.row for entry in digest.entries]
    assert len(rows) == len(set(rows)) <= cap
    assert len(rows) + digest.cut == len({row for row, _, _ in numbers})
    strengths = [entry.event.strength for entry in digest.entries]
    assert all(
        a >= b
        for section in digest.sections
        for a, b in zip(
            [e.event.strength for e in section.entries],
            [e.event.strength for e in section.entries][1:],
            strict=False,
        )
    )
    untold = [max(s for r, s, _ in numbers if r == row) for row, _, _ in numbers if row not in rows]
    assert not untold or min(strengths) >= max(untold)
    assert digest == compose(events[::-1], Frame(max_papers=cap), NOW)


def test_the_kind_of_an_event_is_that_of_the_strongest():
    same = paper(1)
    digest = digest_of(
        event(1, paper=same, strength=1),
        changed(rising(2, paper=same, strength=2), type=EventType.RESURGING),
        instant=True,
    )
    assert digest.title.startswith("Resurging:")
