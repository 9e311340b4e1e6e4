"""What is kept in hand between visits changes nothing of what a visit finds or leaves."""

import asyncio
import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.snapshots import NOW, card, hours, snapshot
from watcher.clock import to_unix
from watcher.growth import count_at, held_at
from watcher.model import PageKind
from watcher.store import Store, open_records

VISITS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from([-0.01, 0.0, 0.3, 0.9, 1.1, 30.0]),
        st.lists(
            st.tuples(st.integers(1, 4), st.one_of(st.none(), st.integers(0, 30)), st.booleans()),
            min_size=1,
            max_size=5,
        ),
    ),
    max_size=14,
)


def visit(records, at, source, shown, *, forget):
    """One visit; what it found of each paper."""
    if forget:
        records.forget()
    cards = [
        card(number, upvotes=upvotes, **({"paper_id": None} if nameless else {}))
        for number, upvotes, nameless in shown
    ]
    met = records.papers.meet(
        records.sources.id_of(source), snapshot(*cards, at=at, kind=PageKind.TRENDING)
    )
    now = to_unix(at)
    for m in met:  # what is certain of a paper is certain: see ``may_speak``
        known = count_at(m.history.looks, now)
        assert m.most() >= (-1 if known is None else known)
    return [
        (
            m.row,
            m.fresh,
            m.moved,
            m.counts,
            count_at(m.history.looks, now),
            held_at(m.further().looks, now - 86_400),
            bool(m.words),
        )
        for m in met
    ]


def left(records):
    """All that visits leave behind."""
    tables = ("papers", "sightings", "falls", "places")
    return [
        records.conn.execute(f"select * from {name} order by 1, 2, 3").fetchall() for name in tables
    ]


@given(VISITS)
def test_visits_with_papers_in_hand_are_as_visits_that_read_them_anew(tmp_path_factory, visits):
    folder = tmp_path_factory.mktemp("meeting")
    with (
        open_records(folder / "kept.db", create=True, migrate=True) as kept,
        open_records(folder / "anew.db", create=True, migrate=True) as anew,
    ):
        at = NOW
        for source, gap, shown in visits:
            at += hours(gap)
            found = visit(kept, at, source, shown, forget=False)
            assert found == visit(anew, at, source, shown, forget=True)
        assert left(kept) == left(anew)


def test_a_paper_that_is_seen_very_often_is_as_one_that_is_read_anew(tmp_path):
    """So often that its trail is tidied, by sources of which some show old counts."""
    rng = random.Random(11)
    with (
        open_records(tmp_path / "kept.db", create=True, migrate=True) as kept,
        open_records(tmp_path / "anew.db", create=True, migrate=True) as anew,
    ):
        at, votes = NOW, 10
        for _ in range(120):
            at += timedelta(minutes=rng.choice((1, 2, 5, 50)))
            votes += rng.randrange(4)
            shown = [(1, rng.choice((votes, votes - rng.randrange(4), None)), False)]
            source = rng.choice("aaabbc")
            found = visit(kept, at, source, shown, forget=False)
            assert found == visit(anew, at, source, shown, forget=True)
        assert left(kept) == left(anew)


def test_a_visit_that_is_written_down_late_knows_what_was_known_at_its_time(tmp_path):
    with open_records(tmp_path / "w.db", create=True, migrate=True) as records:
        for source, hour, votes, known in (("a", 0, 10, 10), ("a", 2, 30, 30), ("b", 1, None, 10)):
            shown = snapshot(card(1, upvotes=votes), at=NOW + hours(hour))
            (met,) = records.papers.meet(records.sources.id_of(source), shown)
            assert met.counts.upvotes == known
        assert records.papers.get(met.row).upvotes == 30


async def test_what_another_process_wrote_is_seen_by_the_next_visit(tmp_path):
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))

    def meet(records, at=NOW):
        shown = snapshot(card(1, upvotes=10), at=at)
        return records.papers.meet(records.sources.id_of("a"), shown)[0]

    await store.write(meet)
    with open_records(path) as other:
        other.conn.execute("update sightings set upvotes = 7")
        other.conn.execute("update papers set upvotes = 7")
    assert (await store.write(lambda r: meet(r, NOW + hours(1)))).moved
    await store.close()


def test_of_two_looks_in_one_second_the_first_is_kept_and_the_second_counts_for_nothing(tmp_path):
    with open_records(tmp_path / "w.db", create=True, migrate=True) as records:
        source = records.sources.id_of("a")
        first, second = (
            records.papers.meet(source, snapshot(card(1, upvotes=votes)), live=False)[0]
            for votes in (3, 5)
        )
        assert (first.moved, second.moved) == (True, False)
        assert [look.upvotes for look in records.papers.history(first.row, 2**40).looks] == [3]


async def test_a_visit_that_was_rolled_back_leaves_nothing_in_hand(tmp_path):
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))

    def meet(records, *, fails=False):
        met = records.papers.meet(records.sources.id_of("a"), snapshot(card(1)))[0]
        if fails:
            raise RuntimeError("no")
        return met

    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            await store.write(lambda r: meet(r, fails=True))
    assert (await store.write(meet)).fresh
    assert not (await store.write(meet)).moved
    await store.close()


async def test_writers_under_way_share_a_commit_and_one_alone_does_not_wait_for_ever(tmp_path):
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    said = []
    await store.read(lambda r: r.conn.set_trace_callback(said.append))

    async def visit(name, *, company):
        await store.write(lambda r: r.sources.id_of(name), company=company)

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(visit(name, company=3))
    assert [line for line in said if line == "commit"] == ["commit"]
    said.clear()
    await visit("d", company=9)
    assert "commit" in said
    assert await store.read(lambda r: sorted(r.sources.families().values())) == list("abcd")
    await store.close()


@pytest.mark.parametrize("size", [1, 24, 25, 26, 50, 51])
def test_a_page_of_any_size_leaves_each_paper_its_own_counts(tmp_path, size):
    def shown(turn):
        return [
            card(n, upvotes=1000 * turn + n, comments=2000 * turn + n, stars=3000 * turn + n)
            for n in range(1, size + 1)
        ]

    with open_records(tmp_path / "w.db", create=True, migrate=True) as records:
        source = records.sources.id_of("a")
        for turn in (1, 2):
            met = records.papers.meet(source, snapshot(*shown(turn), at=NOW + hours(turn)))
            assert all(m.moved for m in met)
        said = {paper.arxiv_id: paper for paper in records.papers.latest(limit=100)}
        assert len(said) == size
        for one in shown(2):
            paper = said[one.paper_id]
            assert (paper.upvotes, paper.comments, paper.stars) == (
                one.upvotes,
                one.comments,
                one.stars,
            )
            looks = records.papers.history(paper.row, to_unix(NOW + hours(3))).looks
            assert [(look.upvotes, look.comments, look.stars) for look in looks] == [
                (old.upvotes, old.comments, old.stars)
                for turn in (1, 2)
                for old in shown(turn)
                if old.paper_id == one.paper_id
            ]
