"""What rules say and when: each sentence of the design about changes has a test here."""

import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher import growth
from watcher.agenda import Target
from watcher.case import Case, Matches, Moment, Subject, ripe_at
from watcher.errors import QueryError
from watcher.hearing import Hearing, hear
from watcher.judgement import Decision, decide, judge, key_of
from watcher.model import CARD_FIELDS, Change, Condition, History, Look, Paper, Place
from watcher.reasons import format_conditions
from watcher.rules import Peak, Rule, Thresholds, budget_thresholds, compile_rule, with_thresholds

DOCS = Path(__file__).resolve().parent.parent / "docs" / "rules.md"
NOW = 1_790_000_000
HOUR, DAY = 3_600, 86_400
DAILY, TRENDING = 1, 2
ALL = frozenset(CARD_FIELDS)
NEW, RISING, RESURGING = Change


def subject(
    votes: int | None = None,
    *,
    age_h: float | None = 7.0,
    seen_h: float | None = None,
    looks: list[tuple[float, int | None]] | None = None,
    ranks: list[tuple[float, int]] = (),
    source: str = "daily",
    shows: frozenset[str] = ALL,
    key: str = "2699.00001",
    **fields,
) -> Subject:
    """A paper of some age (hours since listing), with looks as (hours ago, votes)."""
    if looks is None:
        looks = [(0.0, votes)]
    listed = None if age_h is None else int(NOW - age_h * HOUR)
    seen = seen_h if seen_h is not None else 1.0 if age_h is None else age_h
    history = History(
        listed_at=listed,
        listed_exact=True,
        first_seen_at=int(NOW - seen * HOUR),
        looks=tuple(Look(at=int(NOW - h * HOUR), source=DAILY, upvotes=v) for h, v in looks),
        places=tuple(
            Place(at=int(NOW - h * HOUR), source=TRENDING, rank=r, page_size=50) for h, r in ranks
        ),
    )
    words = {"title": "Alignment of small models", "abstract": "", "ai_summary": ""}
    paper = Paper(
        row=int(key[-5:]),
        first_seen_at=datetime.fromtimestamp(history.first_seen_at, UTC),
        **{**words, **fields},
    )
    return Subject(paper=paper, key=key, source=source, history=history, shows=shows)


def moment(**known) -> Moment:
    return Moment(now=NOW, trending=frozenset({TRENDING}), **known)


def tell(rule: Rule, *subjects: Subject, **known) -> tuple[Decision, ...]:
    return decide((rule,), subjects, moment(**known))


def kinds(rule: Rule, *subjects: Subject, **known) -> list[Change]:
    return [decision.kind for decision in tell(rule, *subjects, **known)]


def needed(age_h: float, multiplier: float = 2.0) -> int:
    votes = growth.votes_needed(growth.PRIOR, age_h, multiplier)
    assert votes is not None
    return max(votes, 20)


def why(rule: Rule, paper: Subject, kind: Change) -> dict[str, Condition]:
    verdict = next(v for v in judge(rule, paper, moment()) if v.kind is kind)
    return {condition.name: condition for condition in verdict.conditions}


ANY = compile_rule("any")
OLD = {"age_h": 100.0, "looks": [(50.0, 30), (25.0, 40), (0.0, 52)]}
"""A paper that gained 12 votes in a day, four days after listing."""
FAST = {"age_h": 7.0, "votes": 60}


# --- new --------------------------------------------------------------------------------


def test_a_rule_without_thresholds_fires_on_every_new_paper():
    assert kinds(ANY, subject(0)) == [NEW]
    assert kinds(ANY, subject(None)) == [NEW]
    assert kinds(ANY, subject(None, age_h=None, abstract=None, shows=frozenset())) == [NEW]


def test_new_is_a_paper_that_first_satisfies_the_rule():
    rule = compile_rule("busy", min_upvotes=20, events=[NEW])
    assert kinds(rule, subject(19)) == []
    assert kinds(rule, subject(20)) == [NEW]


@pytest.mark.parametrize(
    ("age_h", "seen_h", "late"),
    [
        (24.0, 24.0, False),
        (7 * 24.0, 7 * 24.0, False),
        (7 * 24.1, 7 * 24.1, True),
        (900.0, 5.0, False),
        (5.0, 900.0, False),
        (None, 167.0, False),
        (None, 169.0, True),
    ],
)
def test_new_later_than_seven_days_after_listing_and_first_sight_is_a_late_bloomer(
    age_h, seen_h, late
):
    (decision,) = tell(compile_rule("r", events=[NEW]), subject(5, age_h=age_h, seen_h=seen_h))
    assert decision.late is late
    assert decision.reason.startswith("late bloomer: 5 votes") is late


def test_ripening_waits_before_judging_new_and_binds_nothing_else():
    rule = compile_rule("r", ripen_s=6 * HOUR)
    assert kinds(rule, subject(1, age_h=5.9)) == []
    assert kinds(rule, subject(1, age_h=6.0)) == [NEW]
    assert kinds(rule, subject(needed(3), age_h=3.0)) == [RISING]


def test_ripening_counts_from_the_listing_or_else_from_the_first_sight():
    rule = compile_rule("r", ripen_s=6 * HOUR, events=[NEW])
    assert kinds(rule, subject(1, age_h=7.0, seen_h=2.0)) == [NEW]
    assert kinds(rule, subject(1, age_h=2.0, seen_h=7.0)) == []
    assert kinds(rule, subject(1, age_h=None, seen_h=7.0)) == [NEW]
    assert ripe_at(rule, subject(1, age_h=2.0).history) == NOW + 4 * HOUR


def test_a_ripening_longer_than_a_week_does_not_make_every_paper_late():
    rule = compile_rule("r", ripen_s=10 * DAY, events=[NEW])
    (decision,) = tell(rule, subject(1, age_h=10 * 24.0))
    assert decision.late is False


# --- rising -----------------------------------------------------------------------------


@pytest.mark.parametrize("age_h", [0.5, 3.0, 7.0, 30.0, 100.0])
def test_rising_needs_a_lower_bound_of_two_and_twenty_votes_by_default(age_h):
    rule = compile_rule("r", events=[RISING])
    least = needed(age_h)
    assert kinds(rule, subject(least, age_h=age_h)) == [RISING]
    assert kinds(rule, subject(least - 1, age_h=age_h)) == []


def test_twenty_votes_are_the_floor_whatever_the_multiplier():
    rule = compile_rule("r", events=[RISING], min_multiplier=0.1)
    assert kinds(rule, subject(19, age_h=0.2)) == []
    assert kinds(rule, subject(20, age_h=0.2)) == [RISING]


def test_min_multiplier_binds_rising_alone():
    strict = compile_rule("r", min_multiplier=1_000)
    assert kinds(strict, subject(**FAST)) == [NEW]
    assert kinds(strict, subject(**OLD)) == [RESURGING, NEW]
    lenient = compile_rule("r", min_multiplier=1.2, events=[RISING])
    least = needed(7.0, 1.2)
    assert kinds(lenient, subject(least)) == [RISING]
    assert kinds(lenient, subject(least - 1)) == []


def test_without_a_listing_the_multiplier_is_unknown_and_rising_does_not_fire():
    rule = compile_rule("r", events=[RISING])
    paper = subject(900, age_h=None)
    assert kinds(rule, paper) == []
    assert why(rule, paper, RISING)["multiplier"] == Condition(
        name="multiplier", value="unknown", need="2.0", ok=None
    )


def test_after_seven_days_of_following_nothing_is_rising():
    rule = compile_rule("r", events=[RISING])
    paper = subject(9_000, age_h=170.0)
    assert kinds(rule, paper) == []
    assert why(rule, paper, RISING)["multiplier"].value == "older than 7 days"


# --- resurging --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_h", "gain", "fires"),
    [(36.1, 5, True), (36.0, 5, False), (36.1, 4, False), (900.0, 5, True), (30.0, 50, False)],
)
def test_resurging_is_older_than_36_hours_and_gaining_5_a_day(age_h, gain, fires):
    rule = compile_rule("r", events=[RESURGING])
    paper = subject(age_h=age_h, looks=[(25.0, 40), (0.0, 40 + gain)])
    assert kinds(rule, paper) == [RESURGING] * fires


@pytest.mark.parametrize(
    ("ranks", "fires"),
    [
        ([(20.0, 31), (0.0, 7)], True),
        ([(20.0, 11), (0.0, 10)], False),  # a change of 8 or less is noise
        ([(20.0, 19), (0.0, 10)], True),
        ([(20.0, 31), (0.0, 11)], False),
        ([(0.0, 3)], False),
        ([(20.0, 3), (0.0, 7)], False),
    ],
)
def test_resurging_is_also_entering_the_trending_top_ten_from_below(ranks, fires):
    rule = compile_rule("r", events=[RESURGING])
    assert kinds(rule, subject(9, age_h=10.0, ranks=ranks)) == [RESURGING] * fires
    assert kinds(rule, subject(None, age_h=None, ranks=ranks)) == [RESURGING] * fires


def test_ranks_of_other_lists_than_trending_say_nothing():
    rule = compile_rule("r", events=[RESURGING])
    paper = subject(9, age_h=10.0, ranks=[(20.0, 31), (0.0, 7)])
    assert decide((rule,), [paper], Moment(now=NOW, trending=frozenset({99}))) == ()


def test_older_than_may_use_publication_or_first_sight_when_there_is_no_listing():
    rule = compile_rule("r", events=[RESURGING])
    looks = [(25.0, 40), (0.0, 45)]
    published = datetime.fromtimestamp(NOW, UTC).date() - timedelta(days=3)
    unlisted = {"age_h": None, "looks": looks}
    assert kinds(rule, subject(seen_h=37.0, **unlisted)) == [RESURGING]
    assert kinds(rule, subject(seen_h=25.0, **unlisted)) == []
    assert kinds(rule, subject(seen_h=25.0, published_on=published, **unlisted)) == [RESURGING]
    young = subject(seen_h=900.0, age_h=30.0, published_on=date(2020, 1, 1), looks=looks)
    assert kinds(rule, young) == []  # a listing, when there is one, is what counts


def test_a_query_for_older_papers_may_use_the_first_sight_when_there_is_no_listing():
    older = compile_rule("r", query="age:>30h", events=[NEW])
    younger = compile_rule("r", query="age:<30h", events=[NEW])
    assert kinds(older, subject(5, age_h=None, seen_h=31.0)) == [NEW]
    assert kinds(older, subject(5, age_h=None, seen_h=29.0)) == []
    assert kinds(younger, subject(5, age_h=None, seen_h=29.0)) == []  # unknown, not young


def test_an_unknown_gain_never_fires():
    rule = compile_rule("r", events=[RESURGING])
    assert kinds(rule, subject(900, age_h=100.0, seen_h=1.0)) == []
    assert why(rule, subject(900, age_h=100.0), RESURGING)["gaining"].ok is None


# --- what binds every kind --------------------------------------------------------------

SPEAKING = {NEW: subject(40), RISING: subject(**FAST), RESURGING: subject(**OLD)}


@pytest.mark.parametrize("kind", list(Change))
def test_min_upvotes_query_and_exclude_bind_every_kind(kind):
    paper = SPEAKING[kind]
    assert kinds(compile_rule("r", events=[kind]), paper) == [kind]
    for wishes in (
        {"min_upvotes": 61},
        {"query": "zoo"},
        {"query": "alignment AND upvotes:>60"},
        {"exclude": ["zoo", "small"]},
        {"sources": ["trending"]},
    ):
        assert kinds(compile_rule("r", events=[kind], **wishes), paper) == [], wishes
    for wishes in (
        {"min_upvotes": 40},
        {"query": "alignment upvotes:>=40"},
        {"exclude": ["zoo"]},
        {"sources": ["trending", "daily"]},
    ):
        assert kinds(compile_rule("r", events=[kind], **wishes), paper) == [kind], wishes


def test_a_query_for_a_source_looks_at_all_that_ever_showed_the_paper():
    rule = compile_rule("r", query="source:trending", events=[NEW])
    paper = subject(5)
    assert kinds(rule, paper) == []
    assert kinds(rule, subject(5, source="trending")) == [NEW]
    both = msgspec.structs.replace(paper, sources=("daily", "trending"))
    assert kinds(rule, both) == [NEW]


def test_a_rule_tells_only_the_kinds_it_names():
    paper = subject(**FAST)
    assert kinds(compile_rule("r", events=[RESURGING]), paper) == []
    assert kinds(compile_rule("r", events=[NEW]), paper) == [NEW]
    assert {v.kind for v in judge(compile_rule("r", events=[NEW]), paper, moment())} == {NEW}


def test_a_count_is_the_highest_of_the_last_hour_else_the_latest_known():
    rule = compile_rule("r", min_upvotes=20, events=[NEW])
    assert kinds(rule, subject(looks=[(0.5, 20), (0.0, 19)])) == [NEW]
    assert kinds(rule, subject(looks=[(1.5, 20), (0.0, 19)])) == []
    assert kinds(rule, subject(looks=[(9.0, 20), (0.0, None)])) == [NEW]


# --- authors and organisations to always tell about -------------------------------------


def test_followed_authors_and_organisations_stand_in_for_query_and_votes():
    rule = compile_rule(
        "r", query="zoo", min_upvotes=50, authors=["Ada Ngo"], organizations=["Tiny Lab"],
        events=[NEW],
    )  # fmt: skip
    assert kinds(rule, subject(0, authors=("Bo Li", "Àda NGO"))) == [NEW]
    assert kinds(rule, subject(0, organization="The Tiny Lab")) == [NEW]
    assert kinds(rule, subject(0, authors=("Ada", "Ngo"))) == []
    assert kinds(rule, subject(0, title="zoo")) == []
    assert kinds(rule, subject(50, title="zoo")) == [NEW]
    assert kinds(compile_rule("r", authors=["Lukasz Dang"]), subject(authors=("Łukasz Đặng",)))
    (decision,) = tell(rule, subject(0, authors=("Ada Ngo",)))
    assert decision.reason == "new: 0 votes · follows Ada Ngo"


def test_followed_papers_are_still_bound_by_exclude_sources_events_and_ripening():
    paper = subject(0, authors=("Ada Ngo",), age_h=2.0)
    follow = {"authors": ["Ada Ngo"], "query": "zoo"}
    assert kinds(compile_rule("r", **follow), paper) == [NEW]
    assert kinds(compile_rule("r", exclude=["alignment"], **follow), paper) == []
    assert kinds(compile_rule("r", sources=["x"], **follow), paper) == []
    assert kinds(compile_rule("r", events=[RISING], **follow), paper) == []
    assert kinds(compile_rule("r", ripen_s=3 * HOUR, **follow), paper) == []


def test_a_followed_paper_rises_only_when_it_is_fast():
    rule = compile_rule("r", query="zoo", authors=["Ada Ngo"], events=[RISING], min_upvotes=900)
    assert kinds(rule, subject(5, authors=("Ada Ngo",))) == []
    assert kinds(rule, subject(**FAST, authors=("Ada Ngo",))) == [RISING]


def test_a_rule_with_nothing_but_authors_tells_of_nobody_else():
    rule = compile_rule("r", authors=["Ada Ngo"])
    assert kinds(rule, subject(0, authors=("Ada Ngo",))) == [NEW]
    assert kinds(rule, subject(0, authors=("Bo Li",))) == []
    assert why(rule, subject(0, authors=("Bo Li",)), NEW)["follows"].ok is False
    with_votes = compile_rule("r", authors=["Ada Ngo"], min_upvotes=20, events=[NEW])
    assert kinds(with_votes, subject(25, authors=("Bo Li",))) == [NEW]


def test_authors_that_are_unknown_are_judged_again_when_they_are_known():
    rule = compile_rule("r", authors=["Ada Ngo"], query="zoo")
    hidden = subject(0, shows=frozenset())
    assert kinds(rule, hidden) == []
    assert why(rule, hidden, NEW)["follows"].ok is None
    assert kinds(rule, subject(0, authors=("Ada Ngo",))) == [NEW]


# --- missing is not zero ----------------------------------------------------------------


def test_unknown_never_fires_also_under_not():
    poor = {"abstract": None, "ai_summary": None, "shows": frozenset({"title"})}
    assert kinds(compile_rule("r", query="abstract:zoo"), subject(5, **poor)) == []
    assert kinds(compile_rule("r", query="NOT zoo"), subject(5, **poor)) == []
    assert kinds(compile_rule("r", exclude=["zoo"]), subject(5, **poor)) == []
    assert kinds(compile_rule("r", min_upvotes=1), subject(None)) == []
    assert kinds(compile_rule("r", query="NOT stars:>5"), subject(5, **poor)) == []


def test_unknown_is_judged_again_when_known():
    rule = compile_rule("r", exclude=["zoo"], min_upvotes=1)
    matches = Matches()
    poor = subject(None, abstract=None, shows=frozenset())
    assert decide((rule,), [poor], moment(), matches=matches) == ()
    half = subject(5, abstract=None, shows=frozenset())
    assert decide((rule,), [half], moment(), matches=matches) == ()
    (decision,) = decide((rule,), [subject(5)], moment(), matches=matches)
    assert decision.kind is NEW


def test_has_none_is_known():
    stars = compile_rule("r", query="NOT stars:>5")
    assert kinds(stars, subject(5, stars=None)) == [NEW]
    lab = compile_rule("r", query="NOT organization:lab")
    assert kinds(lab, subject(5, organization=None)) == [NEW]
    assert kinds(lab, subject(5, organization=None, shows=frozenset())) == []


def test_why_prints_unknown():
    rule = compile_rule("r", min_upvotes=20, query="abstract:zoo", events=[NEW])
    (verdict,) = judge(rule, subject(None, abstract=None, shows=frozenset()), moment())
    assert verdict.fires is False
    assert format_conditions(verdict.conditions) == (
        "upvotes unknown, needs 20 ? · query ? unknown whether abstract:zoo"
    )


# --- once -------------------------------------------------------------------------------


def test_a_rule_speaks_about_a_paper_at_most_once_per_kind():
    paper = subject(**OLD)
    first = tell(ANY, paper)
    assert [decision.kind for decision in first] == [RESURGING, NEW]
    said = frozenset(key for decision in first for key in decision.keys)
    assert tell(ANY, paper, said=said) == ()
    assert kinds(ANY, paper, said={key_of("any", paper.key, NEW)}) == [RESURGING]
    assert kinds(compile_rule("other"), paper, said=said) == [RESURGING, NEW]


def test_the_key_is_a_hash_of_rule_paper_and_kind():
    key = key_of("r", "2699.00001", NEW)
    assert key == key_of("r", "2699.00001", NEW)
    assert re.fullmatch(r"evt_[0-9a-f]{20}", key)
    others = {key_of("s", "2699.00001", NEW), key_of("r", "2699.00002", NEW),
              key_of("r", "2699.00001", RISING)}  # fmt: skip
    assert len(others | {key}) == 4
    (decision,) = tell(compile_rule("r"), subject(1))
    assert decision.keys == (key,)


def test_titles_ids_and_rows_may_change_and_the_key_stays():
    (before,) = tell(ANY, subject(1, title="One"))
    moved = subject(1, title="Two", arxiv_id="2699.12345")
    assert tell(ANY, moved)[0].keys == before.keys


def test_new_and_rising_together_are_one_rising_that_uses_up_both_keys():
    paper = subject(**FAST)
    (decision,) = tell(ANY, paper)
    assert decision.kind is RISING
    assert set(decision.keys) == {key_of("any", paper.key, k) for k in (RISING, NEW)}
    assert decision.keys[0] == key_of("any", paper.key, RISING)
    assert tell(ANY, paper, said=frozenset(decision.keys)) == ()


def test_a_paper_told_as_new_can_rise_later():
    paper = subject(**FAST)
    (decision,) = tell(ANY, paper, said={key_of("any", paper.key, NEW)})
    assert (decision.kind, len(decision.keys)) == (RISING, 1)


def test_a_paper_that_swings_around_a_threshold_for_200_looks_speaks_once():
    rule = compile_rule("r", min_upvotes=40, events=[NEW, RISING])
    said: set[str] = set()
    spoken = []
    looks: list[Look] = []
    for i in range(200):
        at = NOW + i * 1_800
        looks.append(Look(at=at, source=DAILY, upvotes=39 + i % 2))
        history = History(
            listed_at=NOW - HOUR, listed_exact=True, first_seen_at=NOW - HOUR, looks=tuple(looks)
        )
        paper = msgspec.structs.replace(subject(0), history=history)
        for decision in decide((rule,), [paper], Moment(now=at, said=said)):
            said.update(decision.keys)
            spoken.append(decision.kind)
    assert spoken == [RISING]


# --- the first look ---------------------------------------------------------------------


def test_the_first_snapshot_of_a_rule_and_a_source_is_judged_and_recorded_as_known():
    pairs = frozenset({("any", "daily")})
    (decision,) = tell(ANY, subject(5), first_looks=pairs)
    assert decision.known is True
    assert decision.keys == tell(ANY, subject(5))[0].keys
    assert tell(ANY, subject(5, source="trending"), first_looks=pairs)[0].known is False
    assert tell(compile_rule("b"), subject(5), first_looks=pairs)[0].known is False


def test_a_rule_that_tells_what_is_known_tells_at_its_first_look():
    rule = compile_rule("any", tell_known=True)
    (decision,) = tell(rule, subject(5), first_looks=frozenset({("any", "daily")}))
    assert decision.known is False


def test_a_changed_rule_has_another_fingerprint():
    base = {"query": "zoo", "min_upvotes": 5, "sources": ["a", "b"], "events": [NEW, RISING]}
    rule = compile_rule("r", **base)
    for change in (
        {"query": "zebra"},
        {"min_upvotes": 6},
        {"min_multiplier": 3.0},
        {"ripen_s": 60.0},
        {"exclude": ["x"]},
        {"authors": ["x"]},
        {"organizations": ["x"]},
        {"sources": ["a"]},
        {"events": [NEW]},
        {"budget": 3},
    ):
        assert compile_rule("r", **{**base, **change}).fingerprint != rule.fingerprint, change


def test_a_rule_that_means_the_same_keeps_its_fingerprint():
    rule = compile_rule("r", query="zoo", sources=["a", "b"])
    for same in (
        {"query": "zoo", "sources": ["b", "a"]},
        {"query": "zoo", "sources": ["a", "b"], "tell_known": True},
        {"query": "zoo", "sources": ["a", "b"], "min_upvotes": 0, "exclude": (), "budget": None,
         "min_multiplier": 2.0, "ripen_s": 0.0, "events": tuple(Change), "authors": ()},
    ):  # fmt: skip
        assert compile_rule("r", **same).fingerprint == rule.fingerprint, same


# --- budgets ----------------------------------------------------------------------------


def test_what_is_beyond_the_budget_of_the_day_overflows_the_strongest_first():
    rule = compile_rule("r", budget=2, events=[NEW])
    papers = [subject(v, key=f"2699.{v:05}") for v in (3, 9, 1, 7)]
    told = tell(rule, *papers)
    assert [(d.paper, d.overflow) for d in told] == [(9, False), (7, False), (3, True), (1, True)]
    assert [d.overflow for d in tell(rule, *papers, told_today={"r": 1})] == [False, *[True] * 3]
    known = tell(rule, *papers, first_looks=frozenset({("r", "daily")}))
    assert not any(d.overflow for d in known)


class Told:
    """A ledger of a rule that has told one paper since midnight."""

    def __init__(self, rule, midnight):
        self.rule, self.midnight = rule, midnight

    def said(self, papers):
        return ()

    def told_since(self, since):
        assert since == self.midnight
        return {self.rule.name: 1}

    def pairs(self, source):
        seen = (self.rule.fingerprint, self.midnight)
        return {self.rule.name: seen}

    def keep_pair(self, *pair):
        raise AssertionError("this is not a first look")


def test_what_other_visits_told_since_midnight_counts_for_the_budget_of_the_day():
    now = datetime.fromtimestamp(NOW, UTC)
    rule = compile_rule("r", budget=2, events=[NEW])
    hearing = Hearing(
        target=Target(name="daily", url="https://x.example/papers", family="daily"),
        now=now,
        midnight=now - timedelta(hours=9),
        baseline=growth.PRIOR,
        rules=(rule,),
    )
    papers = [subject(v, key=f"2699.{v:05}") for v in (3, 9)]
    decisions = hear(Told(rule, hearing.midnight), hearing, papers)
    assert [(d.paper, d.overflow) for d in decisions] == [(9, False), (3, True)]


def test_without_a_listing_the_one_with_more_votes_is_the_stronger():
    rule = compile_rule("r", budget=1, events=[NEW])
    papers = [subject(v, age_h=None, key=f"2699.{v:05}") for v in (3, 40, 9)]
    told = [(d.paper, d.strength, d.overflow) for d in tell(rule, *papers)]
    assert told == [(40, 2.0, False), (9, 0.45, True), (3, 0.15, True)]


def test_a_budget_sets_the_thresholds_that_had_told_about_so_many_a_day():
    rule = compile_rule("r", budget=2, events=[NEW])
    peaks = [Peak(upvotes=v) for v in range(1, 101)]
    learnt = budget_thresholds(rule, peaks, days=10)
    assert learnt == Thresholds(multiplier=2.0, upvotes=81)
    today = with_thresholds(rule, learnt)
    assert kinds(today, subject(81)) == [NEW]
    assert kinds(today, subject(80)) == []


def test_a_budget_counts_papers_told_as_new_or_rising():
    rule = compile_rule("r", budget=1)
    fast = [Peak(upvotes=30, lower_bound=5.0 + i / 10) for i in range(10)]
    many = [Peak(upvotes=100 + i, lower_bound=1.0) for i in range(10)]
    learnt = budget_thresholds(rule, fast + many, days=10)
    told = [
        p for p in fast + many if p.upvotes >= learnt.upvotes or p.lower_bound >= learnt.multiplier
    ]
    assert len(told) == 10


def test_a_budget_never_asks_less_than_the_rule_itself():
    rule = compile_rule("r", budget=50, min_upvotes=30, min_multiplier=2.5)
    peaks = [Peak(upvotes=v, lower_bound=v / 20) for v in range(100)]
    own = Thresholds(multiplier=2.5, upvotes=30)
    assert budget_thresholds(rule, peaks, days=10) == own
    assert budget_thresholds(rule, [], days=10) == own
    lower = Thresholds(multiplier=1.0, upvotes=3)
    assert with_thresholds(rule, lower).min_multiplier == 2.5
    assert with_thresholds(rule, lower).new_upvotes == 30


@given(
    st.lists(
        st.builds(Peak, upvotes=st.integers(0, 300), lower_bound=st.floats(0, 9)), max_size=60
    ),
    st.floats(0.2, 5),
)
def test_learnt_thresholds_keep_the_budget_unless_one_paper_is_already_too_many(peaks, budget):
    rule = compile_rule("r", budget=budget)
    learnt = budget_thresholds(rule, peaks, days=5)
    told = [p for p in peaks if p.upvotes >= learnt.upvotes or p.lower_bound >= learnt.multiplier]
    best = max((p.upvotes for p in peaks), default=0)
    assert len(told) <= budget * 5 or learnt.upvotes == best


# --- words ------------------------------------------------------------------------------


def test_the_reason_of_a_rising_paper_is_one_line():
    rule = compile_rule("r", query="alignment")
    (decision,) = tell(rule, subject(**FAST))
    assert re.fullmatch(
        r"60 votes in 7 h, surely \d+\.\d × the usual for papers of this age \(\d+\.\d ×\)"
        r" · matches alignment",
        decision.reason,
    )
    assert decision.strength > 2.0


@pytest.mark.parametrize(
    ("paper", "wishes", "reason"),
    [
        (subject(38), {"min_upvotes": 20, "query": "alignment", "events": [NEW]},
         "new: 38 votes, needs 20 · matches alignment"),
        (subject(1), {}, "new: 1 vote"),
        (subject(None), {}, "new"),
        (subject(45, age_h=290.0), {"min_upvotes": 20, "events": [NEW]},
         "late bloomer: 45 votes, 12 days after listing, needs 20"),
        (subject(**OLD), {"events": [RESURGING]}, "+12 votes in a day, 4 days after listing"),
        (subject(9, age_h=10.0, ranks=[(30.0, 40), (20.0, 31), (0.0, 7)]), {"events": [RESURGING]},
         "entered the trending top 10 at 7 from 31"),
        (subject(age_h=None, seen_h=99.0, looks=[(25.0, 1), (0.0, 8)]), {"events": [RESURGING]},
         "+7 votes in a day, known for 4 days"),
    ],
)  # fmt: skip
def test_reasons_say_what_happened(paper, wishes, reason):
    (decision,) = tell(compile_rule("r", **wishes), paper)
    assert decision.reason == reason


def test_why_not_names_every_condition_with_value_and_need():
    rule = compile_rule(
        "r", min_upvotes=20, query="zoo", exclude=["small"], sources=["trending"],
        events=[RISING], min_multiplier=1.5,
    )  # fmt: skip
    (verdict,) = judge(rule, subject(38), moment())
    line = format_conditions(verdict.conditions)
    assert verdict.fires is False
    assert re.fullmatch(
        r"source ✗ daily is not among them · upvotes 38, needs 20 ✓ · "
        r"\d\.\d × papers of its age, lower bound \d\.\d, needs 1\.5 [✓✗] · "
        r"query ✗ no match for zoo · exclude ✗ matches small",
        line,
    )


def test_a_bound_is_shown_rounded_down_so_that_it_never_contradicts_the_mark():
    for votes in range(20, 90):
        rule = compile_rule("r", events=[RISING], min_multiplier=2.25)
        found = why(rule, subject(votes), RISING)["multiplier"]
        shown = float(found.value.rsplit(" ", 1)[1])
        assert (shown >= 2.25) is found.ok


def test_ripening_is_explained():
    rule = compile_rule("r", ripen_s=6 * HOUR, events=[NEW])
    (verdict,) = judge(rule, subject(1, age_h=2.5), moment())
    line = format_conditions(verdict.conditions)
    assert line == "ripening 2 h after listing, needs 6 h ✗"


def test_a_faulty_query_names_the_rule_and_the_key():
    with pytest.raises(QueryError, match=r"rule r: query: \( at character 1"):
        compile_rule("r", query="(a")
    with pytest.raises(QueryError, match="rule r: exclude: "):
        compile_rule("r", exclude=["fine", "/a/"])
    with pytest.raises(QueryError, match="rule r: authors"):
        compile_rule("r", authors=["!"])


# --- properties -------------------------------------------------------------------------

RULES = (
    ANY,
    compile_rule("words", query="alignment NOT zoo", min_upvotes=10, exclude=["abstract:bad"]),
    compile_rule("mixed", query="upvotes:>=15 OR author:ngo", ripen_s=5 * HOUR),
    compile_rule("follow", query="zoo", authors=["Ada Ngo"], min_upvotes=30),
    compile_rule("age", query="age:>20h", sources=["daily"], min_multiplier=1.1),
    with_thresholds(compile_rule("thrifty", budget=1.5), Thresholds(multiplier=3, upvotes=25)),
)
VOTES = st.none() | st.integers(0, 120)


@st.composite
def subjects(draw):
    """Papers of every sort, with looks and places also after the moment."""
    hours = st.floats(-30.0, 200.0)
    looks = draw(st.lists(st.tuples(hours, VOTES), max_size=6))
    ranks = draw(st.lists(st.tuples(hours, st.integers(1, 50)), max_size=4))
    words = st.sampled_from([None, "", "alignment", "zoo", "bad"])
    return subject(
        age_h=draw(st.none() | st.floats(0.0, 200.0)),
        seen_h=draw(st.floats(0.0, 400.0)),
        looks=sorted(looks, key=lambda look: -look[0]),
        ranks=sorted(ranks, reverse=True),
        key=f"2699.{draw(st.integers(1, 99_999)):05}",
        source=draw(st.sampled_from(["daily", "trending"])),
        shows=draw(st.sampled_from([ALL, frozenset(), frozenset({"title", "abstract"})])),
        title=draw(st.sampled_from(["Alignment", "Zoo", "Alignment zoo"])),
        abstract=draw(words),
        ai_summary=draw(words),
        authors=draw(st.sampled_from([None, (), ("Ada Ngo",), ("Bo Li",)])),
        published_on=draw(st.none() | st.just(date(2026, 9, 18))),
    )


@given(st.lists(subjects(), max_size=6, unique_by=lambda s: s.key), st.randoms())
def test_the_order_of_cards_and_rules_is_irrelevant(papers, shuffler):
    told = decide(RULES, papers, moment())
    mixed, rules = list(papers), list(RULES)
    shuffler.shuffle(mixed)
    shuffler.shuffle(rules)
    assert decide(rules, mixed, moment()) == told


@given(subjects())
def test_no_verdict_depends_on_anything_after_now(paper):
    history = paper.history
    past = msgspec.structs.replace(
        history,
        looks=tuple(look for look in history.looks if look.at <= NOW),
        places=tuple(place for place in history.places if place.at <= NOW),
    )
    known = msgspec.structs.replace(paper, history=past)
    assert decide(RULES, [paper], moment()) == decide(RULES, [known], moment())
    for rule in RULES:
        assert judge(rule, paper, moment()) == judge(rule, known, moment())


@given(subjects())
def test_the_fast_decision_agrees_with_the_written_verdicts(paper):
    for rule in RULES:
        written = {v.kind for v in judge(rule, paper, moment()) if v.fires}
        if RISING in written:
            written.discard(NEW)
        told = tell(rule, paper)
        assert {decision.kind for decision in told} == written
        for decision in told:
            assert all(condition.ok is True for condition in decision.conditions)


@given(subjects(), st.sampled_from(RULES))
def test_what_becomes_unknown_never_makes_a_rule_speak(paper, rule):
    """Forgetting an abstract, authors, votes or the listing can only silence."""
    spoken = {key for decision in tell(rule, paper) for key in decision.keys}
    blind = paper.shows - {"abstract", "ai_summary", "authors"}
    forgotten = msgspec.structs.replace(
        paper,
        shows=blind,
        paper=msgspec.structs.replace(paper.paper, abstract=None, ai_summary=None, authors=None),
    )
    assert {k for d in tell(rule, forgotten) for k in d.keys} <= spoken
    looks = tuple(msgspec.structs.replace(look, upvotes=None) for look in paper.history.looks)
    uncounted = msgspec.structs.replace(
        paper, history=msgspec.structs.replace(paper.history, looks=looks)
    )
    assert {k for d in tell(rule, uncounted) for k in d.keys} <= spoken


@given(subjects())
def test_remembered_words_give_the_same_decisions(paper):
    matches = Matches(limit=1)
    first = decide(RULES, [paper], moment(), matches=matches)
    assert decide(RULES, [paper], moment(), matches=matches) == first
    assert decide(RULES, [paper], moment()) == first


def test_a_changed_text_is_matched_anew():
    rule = compile_rule("r", query="abstract:zoo")
    matches = Matches()
    assert decide((rule,), [subject(1, abstract="a")], moment(), matches=matches) == ()
    (decision,) = decide((rule,), [subject(1, abstract="zoo")], moment(), matches=matches)
    assert decision.kind is NEW


def test_five_hundred_new_papers_at_once_are_five_hundred_decisions_of_one_call():
    papers = [subject(1, key=f"2699.{i:05}") for i in range(500)]
    assert len(tell(ANY, *papers)) == 500


def test_a_case_is_the_facts_of_its_query():
    case = Case(subject(7, comments=3, stars=None), moment(), {})
    assert (case.upvotes, case.comments, case.age_h) == (7, 3, 7.0)
    assert case.stars != case.stars  # NaN: the page shows that there is none


# --- the documentation ------------------------------------------------------------------


def documented_rules() -> list[dict]:
    blocks = re.findall(r"```toml\n(.+?)```", DOCS.read_text("utf-8"), re.DOTALL)
    return [rule for block in blocks for rule in tomllib.loads(block).get("rule", ())]


def test_every_rule_in_the_documentation_compiles():
    rules = documented_rules()
    assert len(rules) >= 4
    for rule in rules:
        ours = {k: v for k, v in rule.items() if k not in {"channels", "known", "ripen"}}
        assert compile_rule(ours.pop("name"), **ours).fingerprint


def test_every_condition_and_kind_is_documented():
    text = DOCS.read_text("utf-8")
    for name in ("query", "sources", "events", "min_upvotes", "min_multiplier", "ripen", "exclude",
                 "authors", "organizations", "budget", "known", *Change):  # fmt: skip
        assert f"`{name}`" in text, name


# --- resurging leaves out the tail of a rise (docs/adr/0004-resurging.md) -------------------


@pytest.mark.parametrize(
    ("age_h", "looks", "fires"),
    [
        (60.0, [(59.0, 5), (48.0, 60), (24.0, 90), (0.0, 102)], False),  # slows down
        (60.0, [(59.0, 5), (48.0, 60), (24.0, 62), (0.0, 70)], True),  # stood still, comes back
        (40.0, [(39.0, 2), (24.0, 32), (0.0, 45)], False),  # 30 in fifteen hours, 13 in a day
        (40.0, [(24.0, 40), (0.0, 45)], True),  # nothing known of before
        (60.0, [(59.0, 2), (48.0, 6), (24.0, 7), (0.0, 14)], False),  # few votes in its first week
        (900.0, [(899.0, 7), (24.0, 7), (0.0, 14)], True),  # after it they are news
    ],
)
def test_a_paper_that_only_slows_down_is_not_resurging(age_h, looks, fires):
    rule = compile_rule("r", events=[RESURGING])
    assert kinds(rule, subject(age_h=age_h, looks=looks)) == [RESURGING] * fires
