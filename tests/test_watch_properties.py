"""Whatever comes: ``check`` itself on generated pages, and the back-test on the store it left."""

import shutil
import sqlite3
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import pages, postbox
from tests.histories import (
    START,
    Step,
    forget_learnt,
    history,
    live,
    page_of,
    recorded,
    replayed,
)
from watcher.model import Change, CheckOutcome
from watcher.readers import parse
from watcher.rules import compile_rule
from watcher.store import open_records

RULES = {
    rule.name: rule
    for rule in (
        compile_rule("everything"),
        compile_rule("votes", min_upvotes=20),
        compile_rule("low", min_multiplier=1.2, events=[Change.RISING, Change.RESURGING]),
        compile_rule("topic", query='alignment OR "preference optimization"'),
        compile_rule("summary", query="NOT abstract:speech AND abstract:*"),
        compile_rule("ripe", ripen_s=7200.0, min_upvotes=15),
        compile_rule(
            "ripe daily", ripen_s=108_000.0, sources=["daily"], query="NOT organization:tiny"
        ),
        compile_rule("budget", budget=1),
        compile_rule("topic budget", budget=0.5, query="alignment OR speech OR robots"),
        compile_rule("stars", query="stars:>=62235 OR comments:>=3"),
        compile_rule("age", query="age:<36h AND upvotes:[5 TO 60]"),
        compile_rule("lab", organizations=["Tiny Lab"], exclude=["title:survey"]),
        compile_rule("tell", tell_known=True, sources=["trending"], query="NOT source:daily"),
    )
}
STEADY = [rule for rule in RULES.values() if rule.name not in ("age", "stars")]
"""Rules that no fall of a count can satisfy."""
TEMPLATE = []
SEEDS = st.integers(0, 2**32 - 1)
SOME_RULES = st.lists(st.sampled_from(list(RULES.values())), min_size=1, max_size=5, unique=True)


@pytest.fixture(scope="module", autouse=True)
def template(tmp_path_factory):
    """An empty store, to be copied: making one anew takes longer than a history."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    with open_records(path, create=True) as records:
        records.conn.execute("pragma wal_checkpoint(truncate)")
    TEMPLATE.append(path)


@contextmanager
def store():
    """A path for a store on disk; one for each example."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copy(TEMPLATE[0], Path(folder) / "watcher.db"))


def changes(path):
    """All that was told or known, without its order: ids, when, and why."""
    return sorted(
        (event[1], event[0], event[5], event[7], event[8], event[10]) for event in recorded(path)
    )


# --- live and replayed ------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    seed=SEEDS,
    length=st.integers(2, 30),
    rules=SOME_RULES,
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles"]),
    zigzag=st.booleans(),
)
def test_any_history_gives_the_same_verdicts_live_and_replayed(seed, length, rules, zone, zigzag):
    with store() as path:
        live(path, history(seed, length, zigzag=zigzag), rules, zone=zone)
        told = sorted(recorded(path), key=str)
        again = sorted(replayed(path, rules, zone=zone), key=str)
        assert [without_title(event) for event in again] == [without_title(e) for e in told]
        forget_learnt(path)
        anew = sorted(replayed(path, rules, zone=zone), key=str)
        assert anew == again, "what is learnt depends on more than the records before"


def without_title(event):
    """A stored event speaks of its paper as it is called now."""
    return (*event[:4], *event[5:])


@settings(max_examples=12)
@given(seed=SEEDS, rules=SOME_RULES)
def test_no_verdict_uses_a_sighting_from_the_future(seed, rules):
    steps = history(seed, 24, zigzag=False, words=False)
    assume(steps[11].at < steps[12].at < steps[13].at)  # else two visits speak at one time
    with store() as whole, store() as part:
        live(whole, steps, rules)
        live(part, steps[:12], rules)
        end = steps[11].at
        first_half = [event for event in replayed(whole, rules) if event[0] <= end]
        assert sorted(first_half, key=str) == sorted(replayed(part, rules), key=str)
        import_later(part, steps[12:])
        live(part, [replace(steps[12], restarts=True)], rules)
        with_future = [event for event in recorded(part) if event[0] == steps[12].at]
        without = [event for event in recorded(whole) if event[0] == steps[12].at]
        assert sorted(map(decided, with_future)) == sorted(map(decided, without))


def decided(event):
    """Who, what and why; a title may have changed, and a count been learnt, since."""
    return (event[1], event[7], event[8])


def import_later(path, steps):
    """Put the papers' later counts into the store, but nothing else about them."""
    with open_records(path) as records, records.transaction():
        source = records.sources.id_of("imported")
        for step in steps[1:]:
            known = [row for (row,) in records.conn.execute("select id from papers")]
            at = int(step.at.timestamp()) + 1
            records.conn.executemany(
                "insert or ignore into sightings values (?, ?, ?, 5000, 50, 90000)",
                [(row, at, source) for row in known],
            )


# --- again, in another order, and less ----------------------------------------------------------


@settings(max_examples=15)
@given(seed=SEEDS, length=st.integers(1, 12), forgotten=st.booleans())
def test_the_same_page_twice_gives_nothing(seed, length, forgotten):
    with store() as path:
        steps = history(seed, length, zigzag=False)
        live(path, steps, STEADY)
        last = next((s for s in reversed(steps) if s.body and not s.fails and readable(s)), None)
        if last is None:
            return
        now = steps[-1].at + timedelta(seconds=2)
        again = replace(last, at=now, restarts=True)
        (seen,) = live(path, [again], STEADY)
        before = changes(path)
        if forgotten:
            with open_records(path) as records:
                records.sources.drop_validators()
        (checked,) = live(path, [replace(again, at=now + timedelta(microseconds=1))], STEADY)
        if checked.outcome is not CheckOutcome.QUARANTINED:
            island = b'data-target="DailyPapers"' in last.body
            unchanged = island and not forgotten and not seen.unsure
            assert checked.outcome is (CheckOutcome.UNCHANGED if unchanged else CheckOutcome.OK)
        assert (checked.told, checked.known, checked.fresh) == (0, 0, 0)
        assert changes(path) == before


def readable(step):
    return step.body.startswith((b"[", b"<!doctype", b"new")) and b"log in" not in step.body


@settings(max_examples=8)
@given(seed=SEEDS, shuffled=st.randoms(use_true_random=False), rules=SOME_RULES)
def test_the_order_of_cards_is_irrelevant_where_it_is_no_rank(seed, shuffled, rules):
    fakes = [
        fake.but(upvotes=fake.upvotes % 60, opened=START - timedelta(hours=fake.upvotes % 50))
        for fake in pages.fakes(12, seed=seed % 1000)
    ]
    found = []
    for order in (fakes, None):
        with store() as path:
            steps = []
            for n, more in enumerate((0, 5, 30)):
                at = START + timedelta(hours=20 * n)
                shown = order or shuffled.sample(fakes, len(fakes))
                shown = [fake.but(upvotes=fake.upvotes + more) for fake in shown]
                steps.append(Step(at=at, source="daily", body=page_of("daily", shown, at)))
            live(path, steps, rules)
            found.append(changes(path))
    assert found[0] == found[1]


@settings(max_examples=6)
@given(seed=SEEDS, keep=st.integers(1, 5))
def test_a_page_that_shows_less_than_usual_invents_nothing_and_retracts_nothing(seed, keep):
    fakes = [fake.but(upvotes=30, opened=START) for fake in pages.fakes(9, seed=seed % 1000)]
    at = [START + timedelta(minutes=20 * n) for n in range(4)]
    poor = [fake.but(upvotes=0, comments=0, ai_summary=None) for fake in fakes[:keep]]
    less = (
        page_of("daily", fakes[:keep], at[2]),  # fewer papers
        pages.dump(poor, today=at[2].date()),  # fewer papers, and no counts
        pages.grid_2026(poor, at[2].date(), with_island=False),  # votes seem to be gone
    )
    for body in less:
        with store() as path:
            first = Step(at=at[0], source="daily", body=page_of("daily", fakes[:1], at[0]))
            full = Step(at=at[1], source="daily", body=page_of("daily", fakes, at[1]))
            live(path, [first, full], STEADY)
            before = changes(path)
            live(path, [Step(at=at[2], source="daily", body=body)], STEADY)
            assert changes(path) == before
            back = Step(at=at[3], source="daily", body=page_of("daily", fakes, at[3]))
            live(path, [back], STEADY)
            assert changes(path) == before


# --- once, and all at once ----------------------------------------------------------------------


def test_a_paper_that_swings_around_a_threshold_for_200_looks_speaks_once(tmp_path):
    rule = compile_rule("votes", min_upvotes=20, events=[Change.NEW])
    fake = pages.fakes(1)[0].but(opened=START)
    steps = [
        Step(
            at=START + timedelta(minutes=10 * n),
            source="daily",
            body=page_of("daily", [fake.but(upvotes=19 + n % 2)], START),
        )
        for n in range(200)
    ]
    done = live(tmp_path / "w.db", steps, [rule])
    assert sum(checked.told for checked in done) == 1
    assert done[1].told == 1
    assert sum(checked.moved for checked in done) == 200
    assert len(replayed(tmp_path / "w.db", [rule])) == 1


@pytest.mark.parametrize("digest", [None, "08:00"])
def test_500_new_papers_at_once_are_one_batch_and_not_500(tmp_path, digest):
    rule = compile_rule("everything", events=[Change.NEW])
    path = tmp_path / "w.db"
    fakes = [
        pages.Fake().but(id=f"2610.{n:05d}", title=f"Invented paper number {n}", opened=START)
        for n in range(1, 502)
    ]
    plan = postbox.plan("me", wants={"everything": ("me",)})
    if digest is not None:
        plan = postbox.with_outlet(plan, "me", digest=time.fromisoformat(digest))
    steps = [
        Step(at=START, source="api", body=page_of("api", fakes[:1], START)),
        Step(at=START + timedelta(hours=1), source="api", body=page_of("api", fakes, START)),
    ]
    first, second = live(path, steps, [rule], plan=plan)
    assert (first.known, second.told, second.owed) == (1, 500, 500)
    with open_records(path) as records:
        lines = records.outbox.lines()
        assert [len(line.events) for line in lines] == [500]
        assert {delivered[0] for delivered in deliveries(path)} == {lines[0].batch}


def deliveries(path):
    with sqlite3.connect(path) as conn:
        return conn.execute("select batch from deliveries").fetchall()


def test_the_generated_pages_are_ones_that_the_readers_know():
    steps = [step for seed in range(6) for step in history(seed, 30)]
    shown = [step for step in steps if step.body and b"log in" not in step.body]
    kinds = {(parse(s.body, url=s.target.url, at=s.at).reader, s.target.family) for s in shown}
    assert {reader.value for reader, _ in kinds} == {"island", "cards", "api", "dump"}
    assert {family for _, family in kinds} == {"trending", "daily", "search", "api"}
    assert any(step.fails for step in steps)
    outcomes = []
    for seed in range(4):
        with store() as path:
            outcomes += [checked.outcome for checked in live(path, history(seed, 40), [])]
    # Whether a page is put aside depends on the doubts of the day; the rest must all come up.
    assert set(outcomes) >= set(CheckOutcome) - {CheckOutcome.QUARANTINED}
    assert outcomes.count(CheckOutcome.OK) > len(outcomes) / 2
    assert any(step.body is None and not step.fails for step in steps)


def test_a_copied_store_is_replayed_as_the_original(tmp_path):
    path, copy = tmp_path / "w.db", tmp_path / "copy.db"
    rules = list(RULES.values())
    live(path, history(7, 30), rules)
    with open_records(path) as records:
        records.conn.execute("pragma wal_checkpoint(truncate)")
    shutil.copy(path, copy)
    assert replayed(copy, rules) == replayed(path, rules)
    assert replayed(path, rules), "a history in which nothing happens proves nothing"


def test_a_card_without_id_that_bears_a_papers_first_title_is_that_paper(tmp_path):
    """Known by its title first, then by its id, then renamed: its old title is still its name."""
    first = pages.Fake(id="2610.00001", title="Tidal clocks", opened=START)
    renamed = first.but(title="Borrowed moons")
    hour = timedelta(hours=1)
    steps = [
        Step(at=START, source="search", body=pages.dump([first], today=START.date())),
        Step(at=START + hour, source="api", body=page_of("api", [first], START)),
        Step(at=START + 2 * hour, source="api", body=page_of("api", [renamed], START)),
        Step(at=START + 3 * hour, source="search", body=pages.dump([first], today=START.date())),
    ]
    done = live(tmp_path / "w.db", steps, [RULES["everything"]])
    assert [checked.outcome for checked in done] == [CheckOutcome.OK] * 4
    assert [checked.fresh for checked in done] == [1, 0, 0, 0]
