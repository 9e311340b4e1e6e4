"""Back-tests on small histories whose outcome can be told by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests import pages
from tests.histories import START, Step, live, page_of, recorded, replayed
from tests.snapshots import card, snapshot
from watcher.backtest import Replay
from watcher.errors import UnknownName
from watcher.hindsight import Span, look_back, winners
from watcher.model import Change
from watcher.rules import compile_rule
from watcher.store import open_records

UTC_ZONE = ZoneInfo("UTC")
VOTES = compile_rule("votes", min_upvotes=20, events=[Change.NEW])
PAPER = pages.Fake(id="2610.00001", title="Tidal clocks", upvotes=5, opened=START)
OTHER = pages.Fake(id="2610.00002", title="Borrowed moons", upvotes=2, opened=START)


def hours(number):
    return START + timedelta(hours=number)


def daily(at, *shown, **fields):
    return Step(at=at, source="daily", body=page_of("daily", shown, at), **fields)


def with_votes(votes, fake=PAPER):
    return fake.but(upvotes=votes)


def back(path, *rules, since=None):
    with open_records(path) as records:
        return look_back(records, rules, zone=UTC_ZONE, since=since)


# --- the replay -------------------------------------------------------------------------------


def test_a_rule_speaks_when_it_would_have_spoken(tmp_path):
    path = tmp_path / "w.db"
    live(path, [daily(hours(n), with_votes(votes)) for n, votes in enumerate((5, 19, 23, 40))], [])
    ((at, _, rule, kind, title, known, *_),) = replayed(path, [VOTES])
    assert (at, rule, kind, title, known) == (hours(2), "votes", "new", "Tidal clocks", False)
    assert recorded(path) == [], "a back-test tells nobody"


def test_the_first_look_of_a_rule_is_its_baseline_in_a_back_test_too(tmp_path):
    path = tmp_path / "w.db"
    steps = [
        daily(hours(0), with_votes(30)),
        daily(hours(1), with_votes(30), with_votes(30, OTHER)),
    ]
    live(path, steps, [])
    assert [(event[4], event[5]) for event in replayed(path, [VOTES])] == [
        ("Tidal clocks", True),
        ("Borrowed moons", False),
    ]
    _, (finding,) = back(path, VOTES)
    assert ([told.paper.title for told in finding.told], finding.known) == (["Borrowed moons"], 1)


def test_a_first_look_at_an_empty_list_is_one_in_a_back_test_too(tmp_path):
    """On a Sunday the daily list is empty: what comes on Monday is news."""
    path = tmp_path / "w.db"
    live(path, [daily(hours(0)), daily(hours(1), with_votes(30))], [VOTES])
    assert [(event[4], event[5]) for event in recorded(path)] == [("Tidal clocks", False)]
    assert replayed(path, [VOTES]) == recorded(path)


def test_another_page_under_the_name_of_a_source_begins_anew_in_a_back_test_too(tmp_path):
    path = tmp_path / "w.db"
    live(path, [daily(hours(0), OTHER)], [VOTES])
    with open_records(path) as records, records.transaction():
        records.sources.id_of("daily", "https://elsewhere.example/papers")
    live(path, [daily(hours(1), OTHER, with_votes(30))], [VOTES])
    assert [event[5] for event in replayed(path, [VOTES])] == [True]


def test_what_a_page_could_not_know_plays_no_part(tmp_path):
    """The query matches only words that came later; the votes of the third visit do not count
    at the second."""
    path = tmp_path / "w.db"
    worded = with_votes(30).but(ai_summary="It sings of alignment.")
    plain = with_votes(25).but(ai_summary=None)
    steps = [daily(hours(0), OTHER), daily(hours(1), OTHER, plain), daily(hours(2), OTHER, worded)]
    live(path, steps, [])
    ((at, *_),) = replayed(path, [compile_rule("topic", query="alignment", events=[Change.NEW])])
    assert at == hours(2)
    assert [event[0] for event in replayed(path, [VOTES])] == [hours(1)]


def test_ripening_is_judged_after_a_page_that_did_not_change(tmp_path):
    path = tmp_path / "w.db"
    rule = compile_rule("ripe", ripen_s=4 * 3600.0, min_upvotes=20, events=[Change.NEW])
    steps = [
        daily(hours(1), OTHER),
        daily(hours(2), OTHER, with_votes(30)),
        Step(at=hours(3), source="daily"),
        Step(at=hours(5), source="daily"),
        Step(at=hours(7), source="daily"),
    ]
    done = live(path, steps, [rule])
    assert [checked.told for checked in done] == [0, 0, 0, 1, 0]
    assert replayed(path, [rule]) == recorded(path)


def test_ripening_is_judged_for_papers_that_have_left_the_page_and_what_it_lacked_is_known(
    tmp_path,
):
    """``NOT organization:x`` is met by a paper whose page showed that it has none."""
    path = tmp_path / "w.db"
    rule = compile_rule(
        "ripe", ripen_s=14400.0, query="NOT organization:giant", events=[Change.NEW]
    )
    alone = with_votes(30).but(organization=None)
    steps = [daily(hours(1), OTHER), daily(hours(2), OTHER, alone)]
    steps += [daily(hours(n), with_votes(n, OTHER)) for n in (3, 4, 5)]
    done = live(path, steps, [rule])
    assert [checked.told for checked in done[:4]] == [0, 0, 0, 2]
    assert {event[4] for event in recorded(path)} == {"Tidal clocks", "Borrowed moons"}
    assert sorted(replayed(path, [rule]), key=str) == sorted(recorded(path), key=str)


def test_failed_visits_and_imports_tell_nothing_but_imported_counts_are_known(tmp_path):
    path = tmp_path / "w.db"
    live(path, [daily(hours(0), OTHER), daily(hours(1), fails=True)], [VOTES])
    with open_records(path) as records, records.transaction():
        shown = snapshot(
            card(1, paper_id=PAPER.id, title=PAPER.title, upvotes=90, listed_at=START),
            at=hours(2),
        )
        records.papers.meet(records.sources.id_of("import"), shown, live=False)
    assert replayed(path, [VOTES]) == []
    live(path, [daily(hours(2.5), OTHER, with_votes(4))], [VOTES])
    told = recorded(path)
    assert [(event[4], event[10][0]) for event in told] == [("Tidal clocks", 4)]
    assert told[0][7] == "new: 90 votes, needs 20", "the highest of the last hour counts"
    assert replayed(path, [VOTES]) == told


def test_what_ripens_is_told_though_a_past_day_is_seen_first_after_the_rule_came(tmp_path):
    """A past day's first look knows what stands on its page, not what is ripe on another."""
    path = tmp_path / "w.db"
    rule = compile_rule("ripe", ripen_s=4 * 3600.0, events=[Change.NEW])
    past = f"daily@{(START - timedelta(days=1)).date()}"
    old = OTHER.but(opened=START - timedelta(days=1))

    def yesterday(at):
        return Step(at=at, source=past, body=page_of(past, [old], at))

    live(path, [daily(hours(1), PAPER), yesterday(hours(1.1))], [])
    live(path, [daily(hours(3), PAPER), yesterday(hours(4.1)), daily(hours(5), PAPER)], [rule])
    assert [(event[0], event[4], event[5]) for event in recorded(path)] == [
        (hours(5), "Tidal clocks", False)
    ]


def test_a_budget_learns_on_the_way_as_it_did_in_life(tmp_path):
    path = tmp_path / "w.db"
    rule = compile_rule("few", budget=1, events=[Change.NEW])
    fakes = [
        pages.Fake(id=f"2610.{n:05d}", title=f"Paper {n}", upvotes=n, opened=hours(n))
        for n in range(1, 60)
    ]
    steps = [
        daily(hours(n + 1), *(fake.but(upvotes=fake.upvotes + n) for fake in fakes[:n]))
        for n in range(1, 59, 3)
    ]
    live(path, steps, [rule])
    told = recorded(path)
    assert any("needs" in event[7] for event in told), "a threshold was learnt"
    assert sorted(replayed(path, [rule]), key=str) == sorted(told, key=str)


def test_an_empty_store_says_that_there_is_nothing_to_test_against(tmp_path):
    with (
        open_records(tmp_path / "w.db", create=True) as records,
        pytest.raises(UnknownName, match="no visit"),
    ):
        look_back(records, [VOTES], zone=UTC_ZONE)


def test_progress_is_told_up_to_the_last_visit(tmp_path):
    path = tmp_path / "w.db"
    live(path, [daily(hours(n), with_votes(n)) for n in range(7)], [])
    heard = []
    with open_records(path) as records:
        assert Replay(records, [VOTES], zone=UTC_ZONE).visits == 7
        look_back(records, [VOTES], zone=UTC_ZONE, advance=lambda *word: heard.append(word))
    assert heard[-1] == (7, 7)


# --- hindsight --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    """Two weeks of twenty papers each, seen every four hours; two of each week are winners.

    Of the first week, papers 19 and 20 end with 190 and 200 votes, the others with ten times
    their number at most. The rule in force wants 100 votes.
    """
    path = tmp_path_factory.mktemp("month") / "w.db"
    fakes = [
        pages.Fake(
            id=f"2610.{week}{n:04d}",
            title=f"{'Sea' if n % 2 else 'Land'} paper {n} of week {week}",
            abstract="Nothing in common.",
            opened=hours(168 * week + n),
            submitted=hours(168 * week + n).replace(hour=0),
        )
        for week in (0, 1)
        for n in range(1, 21)
    ]

    def votes(fake, at):
        number, age = int(fake.id[-4:]), (at - fake.opened) / timedelta(hours=1)
        return int(min(age, 100) / 100 * 10 * number)

    before = pages.Fake(
        id="2609.00001", title="Before all others", opened=hours(-200), submitted=hours(-200)
    )
    steps = []
    for n in range(0, 24 * 24, 4):
        at = hours(n)
        known = [fake.but(upvotes=votes(fake, at)) for fake in fakes if fake.opened <= at]
        shown = known or [before]
        steps.append(daily(at, *shown))
    live(path, steps, [compile_rule("votes", min_upvotes=100, events=[Change.NEW])])
    return path


def test_winners_are_the_top_tenth_of_their_week(month):
    with open_records(month) as records:
        found = winners(records, Span(hours(0), hours(24 * 24)))
    assert [winner.paper.title for winner in found] == [
        "Land paper 20 of week 0",
        "Sea paper 19 of week 0",
        "Land paper 20 of week 1",
        "Sea paper 19 of week 1",
    ]
    assert {winner.cut for winner in found} == {190}
    assert found[0].crossed_at == hours(116)
    assert found[1].crossed_at == hours(120)


def test_only_papers_whose_seven_days_are_over_can_have_won(month):
    with open_records(month) as records:
        found = winners(records, Span(hours(0), hours(14 * 24)))
    assert {winner.paper.title[-6:] for winner in found} == {"week 0"}


def test_a_finding_tells_what_was_caught_how_early_and_what_was_missed(month):
    span, (all_, sea) = back(
        month,
        compile_rule("votes", min_upvotes=100, events=[Change.NEW]),
        compile_rule("sea", query="sea", min_upvotes=185, events=[Change.NEW]),
    )
    assert span.days == pytest.approx(23.83, abs=0.01)
    assert len(all_.told) == 22
    assert [caught.winner.paper.title[-11:] for caught in all_.caught] == [
        "0 of week 0", "9 of week 0", "0 of week 1", "9 of week 1",
    ]  # fmt: skip
    assert all_.lead_h == pytest.approx(46, abs=4)
    assert all_.missed == ()
    assert [told.paper.title for told in sea.told] == [
        "Sea paper 19 of week 0",
        "Sea paper 19 of week 1",
    ]
    assert sea.missed == (), "it is not about the papers of the land"


def test_a_rule_that_asks_too_much_misses_the_winners_it_is_about(month):
    _, (finding,) = back(month, compile_rule("proud", min_upvotes=199, events=[Change.NEW]))
    assert [winner.paper.title for winner in finding.missed] == [
        "Sea paper 19 of week 0",
        "Sea paper 19 of week 1",
    ]
    assert [caught.lead_h <= 0 for caught in finding.caught] == [True, True]


def test_changes_are_compared_with_what_the_rule_in_force_had_sent(month):
    same = compile_rule("votes", min_upvotes=100, events=[Change.NEW])
    _, (finding,) = back(month, same)
    assert (finding.both, finding.only_here, finding.only_sent) == (22, (), ())
    stricter = compile_rule("votes", min_upvotes=150, events=[Change.NEW, Change.RESURGING])
    _, (finding,) = back(month, stricter)
    kinds = {told.decision.kind for told in finding.only_here}
    assert kinds == {Change.RESURGING}
    assert len(finding.only_sent) == 22 - finding.both > 0
    _, (finding,) = back(month, compile_rule("never in force"))
    assert finding.sent is None


def test_since_leaves_out_what_was_told_before_and_does_not_tell_it_again(month):
    rule = compile_rule("votes", min_upvotes=100, events=[Change.NEW])
    whole, (all_,) = back(month, rule)
    later, (half,) = back(month, rule, since=hours(168))
    assert (later.since, later.until) == (hours(168), whole.until)
    assert half.told == tuple(told for told in all_.told if told.at >= hours(168))
    assert {caught.winner.paper.title[-6:] for caught in half.caught} == {"week 1"}
    assert half.only_sent == ()


def test_days_are_those_of_the_watchers_zone_and_silent_ones_count(month):
    with open_records(month) as records:
        _, (finding,) = look_back(
            records,
            [compile_rule("votes", min_upvotes=100, events=[Change.NEW])],
            zone=ZoneInfo("Pacific/Auckland"),
        )
    days = dict(finding.daily)
    assert min(days) == date(2026, 10, 5)
    assert len(days) == 25
    assert sum(days.values()) == len(finding.told)
    assert 0 in days.values()


def test_a_month_is_replayed_from_its_beginning_to_its_end_in_turn(month):
    with open_records(month) as records:
        times = [at for at, _ in Replay(records, [VOTES], zone=UTC_ZONE).run()]
    assert times == sorted(times)
    assert len(times) == 144
    assert times[0] == datetime(2026, 10, 5, 6, tzinfo=UTC)


def test_overlapping_visits_know_what_was_recorded_before_them(tmp_path):
    """The slow visit of the page began first and ends last: the other's sighting is later."""
    path = tmp_path / "w.db"
    fast = Step(at=hours(2), source="api", body=page_of("api", [with_votes(30)], hours(2)))
    slow = daily(hours(2) - timedelta(seconds=20), with_votes(25))
    first = [
        daily(hours(0), OTHER),
        replace(fast, at=hours(1), body=page_of("api", [OTHER], START)),
    ]
    live(path, [*first, fast, slow], [VOTES, compile_rule("daily", sources=["daily"])])
    told = recorded(path)
    assert [(event[2], event[10][0]) for event in told if not event[5]] == [
        ("votes", 30),
        ("daily", 25),
    ]
    assert replayed(path, [VOTES, compile_rule("daily", sources=["daily"])]) == told
