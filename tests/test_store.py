"""The store: what it remembers of a page, what it refuses, and that it never half-writes."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.snapshots import NOW, card, hours, snapshot
from watcher import growth
from watcher.clock import to_unix
from watcher.errors import StoreError, StoreRefused
from watcher.model import PageKind, ReaderName
from watcher.store import Lock, Store, open_records
from watcher.store.belief import agrees
from watcher.store.care import Ledger, quick_check
from watcher.store.connection import migrations, migrations_folder


@pytest.fixture
def records(tmp_path):
    with open_records(tmp_path / "w.db", create=True, migrate=True) as opened:
        yield opened


@pytest.fixture
def source(records):
    return records.sources.id_of("daily", "https://example.org/papers")


def looks(records, row):
    return [(look.at, look.upvotes) for look in records.papers.history(row).looks]


def meet(records, source, *cards, at=NOW, **fields):
    with records.transaction():
        return records.papers.meet(source, snapshot(*cards, at=at, **fields))


# --- remembering ---------------------------------------------------------------------------


def test_a_paper_seen_twice_with_equal_counts_is_one_sighting(records, source):
    first = meet(records, source, card())
    again = meet(records, source, card(), at=NOW + hours(1))
    assert (first[0].fresh, first[0].moved) == (True, True)
    assert (again[0].fresh, again[0].moved) == (False, False)
    assert records.papers.count() == (1, 1)


def test_a_sighting_is_stored_when_a_count_differs_from_that_sources_last(records, source):
    other = records.sources.id_of("trending")
    meet(records, source, card(upvotes=10))
    met = meet(records, source, card(upvotes=12), at=NOW + hours(1))
    meet(records, other, card(upvotes=12), at=NOW + hours(2))
    meet(records, source, card(upvotes=12), at=NOW + hours(3))
    assert met[0].moved
    assert [v for _, v in looks(records, met[0].row)] == [10, 12, 12]


def test_a_fall_of_three_is_taken_and_a_larger_one_only_after_three_checks(records, source):
    row = meet(records, source, card(upvotes=50))[0].row
    meet(records, source, card(upvotes=47), at=NOW + hours(1))
    assert records.papers.get(row).upvotes == 47
    for number in (2, 3):
        met = meet(records, source, card(upvotes=5), at=NOW + hours(number))
        assert met[0].counts.upvotes == 47
    meet(records, source, card(upvotes=5), at=NOW + hours(4))
    assert records.papers.get(row).upvotes == 5


def test_a_passing_fall_is_forgotten_when_the_count_is_back(records, source):
    meet(records, source, card(upvotes=50))
    believed = [
        meet(records, source, card(upvotes=upvotes), at=NOW + hours(number))[0].counts.upvotes
        for number, upvotes in enumerate((5, 51, 5, 52, 5, 53), 1)
    ]
    assert believed == [50, 51, 51, 52, 52, 53]
    assert records.conn.execute("select max(seen) from falls").fetchone()[0] in (None, 1)


def test_a_rounded_count_that_agrees_with_the_last_exact_one_is_no_change(records, source):
    exact = meet(records, source, card(stars=62_246))
    rounded = {"rounded": frozenset({"stars"}), "reader": ReaderName.CARDS}
    for minute, stars in enumerate((62_200, 62_300)):
        met = meet(records, source, card(stars=stars), at=NOW + hours(1 + minute / 60), **rounded)
        assert not met[0].moved
        assert records.papers.get(exact[0].row).stars == 62_246
    met = meet(records, source, card(stars=62_500), at=NOW + hours(2), **rounded)
    assert met[0].moved
    assert records.papers.get(exact[0].row).stars == 62_500


@pytest.mark.parametrize(
    ("rounded", "exact", "agree"),
    [
        (612, 612, True),
        (612, 613, False),  # three digits are the whole count
        (1_230, 1_239, True),
        (1_230, 1_221, True),
        (1_230, 1_240, False),
        (62_200, 62_299, True),
        (62_200, 62_300, False),
        (62_200, 62_100, False),
    ],
)
def test_a_count_of_three_digits_stands_for_those_that_differ_in_no_more(rounded, exact, agree):
    assert agrees(rounded, exact) is agree


def test_missing_is_not_zero_and_never_overwrites(records, source):
    row = meet(records, source, card(upvotes=10, comments=3, github="https://github.com/a/b"))[
        0
    ].row
    meet(
        records, source, card(upvotes=None, comments=None, abstract=None, authors=None),
        at=NOW + hours(1),
    )  # fmt: skip
    paper = records.papers.get(row)
    assert (paper.upvotes, paper.comments) == (10, 3)
    assert paper.abstract.startswith("We invent thing 1")
    assert paper.authors == ("Ada Example", "Bo Sample 1")
    assert paper.github == "https://github.com/a/b"


def test_a_dash_on_a_search_page_is_zero_for_a_listed_paper_and_else_unknown(records, source):
    search = {"kind": PageKind.SEARCH}
    meet(records, source, card(1))
    listed, unlisted = meet(
        records, source, card(1, upvotes=None, dashed=True, listed_at=None, listed_on=None),
        card(2, upvotes=None, dashed=True, listed_at=None, listed_on=None),
        at=NOW + hours(1), **search,
    )  # fmt: skip
    assert unlisted.counts.upvotes is None
    # 10 to 0 is a fall of more than three: it is missing until three checks have seen it.
    assert listed.counts.upvotes == 10
    meet(records, source, card(3, upvotes=None), card(4, upvotes=None))
    dashed, empty = meet(
        records, source, card(3, upvotes=None, dashed=True), card(4, upvotes=None),
        at=NOW + hours(2), **search,
    )  # fmt: skip
    assert (dashed.counts.upvotes, empty.counts.upvotes) == (0, None)


def test_the_words_of_a_poorer_reader_never_replace_those_of_a_richer_one(records, source):
    row = meet(records, source, card(abstract="The whole abstract."))[0].row
    meet(
        records, source, card(abstract="The whole…", ai_summary="Short."), at=NOW + hours(1),
        reader=ReaderName.CARDS,
    )  # fmt: skip
    paper = records.papers.get(row)
    assert paper.abstract == "The whole abstract."
    assert paper.ai_summary == "Short."  # a gap may be filled by anyone


def test_authors_count_only_when_complete(records, source):
    row = meet(
        records, source, card(authors=("Ada Example",), author_count=12), reader=ReaderName.CARDS
    )[0].row
    paper = records.papers.get(row)
    assert (paper.authors, paper.author_count) == (None, 12)


def test_titles_may_change_and_the_words_of_then_can_still_be_had(records, source):
    row = meet(records, source, card(title="Old title"))[0].row
    meet(records, source, card(title="New title"), at=NOW + hours(2))
    paper = records.papers.get(row)
    assert paper.title == "New title"
    assert records.papers.as_of(paper, to_unix(NOW + hours(1))).title == "Old title"
    assert [p.title for p in records.papers.search("new")] == ["New title"]
    assert list(records.papers.search("old")) == []


def test_a_text_only_card_is_joined_to_an_id_when_exactly_one_row_has_its_title(records, source):
    bare = {"paper_id": None, "listed_at": None, "listed_on": None}
    row = meet(records, source, card(title="A Study of  Things!", **bare))[0].row
    assert records.papers.get(row).name.startswith("t:")
    key = records.papers.key_of(row)
    joined = meet(records, source, card(title="a study of things"), at=NOW + hours(1))[0]
    assert (joined.row, joined.fresh) == (row, False)
    assert records.papers.get(row).arxiv_id == "2611.00001"
    assert records.papers.key_of(row) == key  # its events stay with the row
    later = meet(records, source, card(title="A study of things", **bare), at=NOW + hours(2))[0]
    assert later.row == row


def test_a_renamed_paper_is_found_by_its_new_title_and_keeps_the_richest_words(records, source):
    rich, poor = {"reader": ReaderName.ISLAND}, {"reader": ReaderName.CARDS}
    row = meet(records, source, card(title="A first title"), **poor)[0].row
    meet(records, source, card(title="The final title"), at=NOW + hours(1), **rich)
    meet(records, source, card(title="The final…"), at=NOW + hours(2), **poor)
    assert records.papers.get(row).title == "The final title"
    bare = {"paper_id": None, "listed_at": None, "listed_on": None}
    later = meet(records, source, card(title="The final title", **bare), at=NOW + hours(3))[0]
    assert (later.row, later.fresh) == (row, False)


def test_two_papers_with_one_title_are_never_merged(records, source):
    one = meet(records, source, card(1, title="Survey"))[0]
    two = meet(records, source, card(2, title="Survey"), at=NOW + hours(1))[0]
    assert one.row != two.row
    bare = {"paper_id": None, "listed_at": None, "listed_on": None}
    third = meet(records, source, card(3, title="Survey", **bare), at=NOW + hours(2))[0]
    assert third.row not in (one.row, two.row)


def test_a_card_that_stands_twice_on_a_page_is_met_once(records, source):
    assert len(meet(records, source, card(1), card(2), card(1))) == 2


def test_listing_exact_time_beats_the_first_sight_and_the_earlier_sight_the_later(records, source):
    vague = {"listed_at": None}
    row = meet(records, source, card(**vague), at=NOW)[0].row
    history = records.papers.history(row)
    assert (history.listed_at, history.listed_exact) == (to_unix(NOW), False)
    for sight in (-2, 0.5):
        meet(records, source, card(**vague), at=NOW + hours(sight))
        assert records.papers.history(row).listed_at == to_unix(NOW - hours(2))
    exact = NOW - hours(3)
    meet(records, source, card(listed_at=exact), at=NOW + hours(1))
    history = records.papers.history(row)
    assert (history.listed_at, history.listed_exact) == (to_unix(exact), True)
    meet(records, source, card(**vague), at=NOW - hours(4))
    assert records.papers.history(row).listed_at == to_unix(exact)


def test_a_paper_met_days_later_on_its_day_page_was_listed_on_that_day(records, source):
    day = (NOW - hours(72)).date()
    met = meet(records, source, card(listed_at=None, listed_on=day))[0]
    assert met.history.listed_at == to_unix(NOW.replace(hour=0)) - 2 * 86_400 - 1


def test_a_paper_on_trending_alone_has_no_listing(records, source):
    met = meet(records, source, card(listed_at=None, listed_on=None), kind=PageKind.TRENDING)[0]
    assert met.history.listed_at is None


def test_older_snapshots_are_filed_in_their_place_and_importing_again_changes_nothing(
    records, source
):
    row = meet(records, source, card(upvotes=30))[0].row
    for _ in range(2):
        for back, upvotes in ((3, 11), (2, 20), (1, 25)):
            meet(records, source, card(upvotes=upvotes, title="An old title"), at=NOW - hours(back))
    assert [v for _, v in looks(records, row)] == [11, 20, 25, 30]
    paper = records.papers.get(row)
    assert (paper.upvotes, paper.title) == (30, "Invented paper number 1")
    assert paper.first_seen_at == NOW - hours(3)


def test_the_order_of_a_page_is_kept_when_it_moved(records, source):
    keep = records.sources.keep_order
    assert keep(source, 100, [3, 1, 2], ranked=True)
    assert not keep(source, 200, [3, 1, 2], ranked=True)
    records.forget()
    assert not keep(source, 300, [3, 1, 2], ranked=True)
    assert keep(source, 400, [1, 3, 2], ranked=True)


def test_the_worst_place_of_a_day_is_remembered_for_those_that_reach_the_top(records, source):
    trending = {"kind": PageKind.TRENDING}
    many = [card(n) for n in range(1, 31)]
    meet(records, source, *many, **trending)
    climbed = [many[24], *many[:24], *many[25:]]
    ranked = [card(int(c.paper_id[5:]), rank=i) for i, c in enumerate(climbed, 1)]
    met = meet(records, source, *ranked, at=NOW + hours(30), **trending)
    assert [(place.rank, place.page_size) for place in met[0].further().places] == [
        (25, 30),
        (1, 30),
    ]


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 9, 30, 200]), st.integers(0, 60)), max_size=30)
)
def test_thinned_histories_give_the_same_count_as_whole_ones(tmp_path_factory, steps):
    """The hot path reads few looks; what it reads must not change what a signal sees."""
    path = tmp_path_factory.mktemp("thin") / "w.db"
    with open_records(path, create=True, migrate=True) as records:
        sources = [records.sources.id_of(name) for name in "abc"]
        at = NOW
        for gap, upvotes in steps:
            at += hours(gap) / 2 + hours(0.01)
            met = meet(records, sources[upvotes % 3], card(upvotes=upvotes), at=at)[0]
            whole = records.papers.history(met.row, to_unix(at))
            now = to_unix(at)
            thin = growth.count_at(met.history.looks, now)
            full = growth.count_at((*whole.looks, met.history.looks[-1]), now)
            assert thin == full
            for back in (now - growth.DAY, now - 2 * growth.DAY):
                assert growth.held_at(met.further().looks, back) == growth.held_at(
                    whole.looks, back
                )


# --- refusing ------------------------------------------------------------------------------


def test_the_file_and_its_folder_are_private(tmp_path):
    path = tmp_path / "new" / "w.db"
    open_records(path, create=True, migrate=True).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_missing_file_is_named_and_not_made(tmp_path):
    with pytest.raises(StoreRefused, match="no database at"):
        open_records(tmp_path / "w.db")
    assert not (tmp_path / "w.db").exists()


@pytest.mark.parametrize("content", [b"", b"hello, I am no database", os.urandom(8192)])
def test_an_empty_or_foreign_file_is_refused_and_left_untouched(tmp_path, content):
    path = tmp_path / "w.db"
    path.write_bytes(content)
    with pytest.raises(StoreRefused):
        open_records(path, create=True, migrate=True)
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "w.db"
    with sqlite3.connect(path) as other:
        other.execute("create table mine (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreRefused, match="another program"):
        open_records(path, create=True, migrate=True)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "w.db"
    with open_records(path, create=True, migrate=True) as records, records.transaction():
        records.conn.execute(
            "insert into _sqlite_migrations (migration_set, name, applied_at)"
            " values ('paper-watcher', '9999_future', '2030-01-01')"
        )
    with pytest.raises(StoreRefused, match="newer watcher"):
        open_records(path, migrate=True)


def test_a_damaged_page_is_a_clear_refusal_that_names_the_newest_backup(tmp_path):
    path = tmp_path / "w.db"
    open_records(path, create=True, migrate=True).close()
    backup = tmp_path / "backups" / "w-2026-11-20.db"
    backup.parent.mkdir()
    backup.write_bytes(path.read_bytes())
    data = bytearray(path.read_bytes())
    data[100:4096] = b"\xff" * (4096 - 100)
    path.write_bytes(bytes(data))
    with pytest.raises(StoreRefused, match=r"damaged .*w-2026-11-20\.db"):
        open_records(path, migrate=True)


def test_an_older_schema_needs_a_migration_which_keeps_a_backup(tmp_path):
    path = tmp_path / "w.db"
    known = migrations()
    names = [m.stem for m in sorted(migrations_folder().glob("0*.sql"))]
    if len(names) < 2:
        pytest.skip("there is one migration only")
    with open_records(path, create=True, migrate=True) as records, records.transaction():
        records.conn.execute("delete from _sqlite_migrations where name = ?", (names[-1],))
    with pytest.raises(StoreError, match="watcher migrate"):
        open_records(path)
    assert known is not None


def test_each_migration_is_all_or_nothing_and_plain(tmp_path):
    for file in migrations_folder().glob("*.sql"):
        words = [
            line.split("--")[0].strip().lower().split(maxsplit=1)[0]
            for line in file.read_text("utf-8").splitlines()
            if line.split("--")[0].strip()
        ]
        assert not {"commit;", "commit", "rollback", "pragma"} & set(words), file.name
        assert "STRICT" in file.read_text("utf-8").upper()


def test_a_second_holder_of_the_lock_is_refused_within_seconds(tmp_path):
    first = Lock(tmp_path / "w.db")
    first.acquire()
    code = (
        "import sys; from pathlib import Path; from watcher.store import Lock\n"
        "from watcher.errors import StoreRefused\n"
        "try: Lock(Path(sys.argv[1])).acquire(0.2)\n"
        "except StoreRefused as exc: print(exc); sys.exit(78)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "w.db")],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 78
    assert str(os.getpid()) in done.stdout
    first.release()
    second = Lock(tmp_path / "w.db")
    second.acquire(0)
    second.release()


# --- transactions --------------------------------------------------------------------------


def test_what_raises_inside_a_transaction_leaves_nothing_behind(records, source):
    def fail_halfway():
        with records.transaction():
            records.papers.meet(source, snapshot(card()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert records.papers.count() == (0, 0)


async def test_one_failing_write_of_a_group_does_not_touch_the_others(tmp_path):
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    gate = threading.Event()
    source = await store.write(lambda r: r.sources.id_of("daily"))

    def failing(records):
        records.papers.meet(source, snapshot(card(99)))
        raise ValueError("on purpose")

    async with asyncio.TaskGroup() as group:
        blocked = group.create_task(store.read(lambda _: gate.wait(5)))
        good = [
            group.create_task(store.write(lambda r, n=n: r.papers.meet(source, snapshot(card(n)))))
            for n in range(1, 6)
        ]
        bad = group.create_task(_caught(store.write(failing)))
        await asyncio.sleep(0)
        gate.set()
    assert blocked.result()
    assert all(task.result()[0].fresh for task in good)
    assert isinstance(bad.result(), ValueError)
    assert (await store.read(lambda r: r.papers.count()))[0] == 5
    await store.close()


async def _caught(awaitable):
    try:
        return await awaitable
    except ValueError as exc:
        return exc


async def test_work_that_runs_out_of_items_fails_instead_of_hanging(tmp_path):
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    try:
        for ask in (store.read, store.write):
            with pytest.raises(RuntimeError, match="StopIteration"):
                await asyncio.wait_for(ask(lambda _: next(iter(()))), 10)
    finally:
        await store.close()


async def test_a_locked_store_is_a_retryable_error_and_works_again_afterwards(tmp_path):
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    await store.read(lambda r: r.conn.execute("pragma busy_timeout = 50"))
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("begin immediate")
        with pytest.raises(StoreError) as caught:
            await store.write(lambda r: r.sources.id_of("daily"))
        assert caught.value.retryable
        other.execute("rollback")
    other.close()
    assert await store.write(lambda r: r.sources.id_of("daily")) == 1
    await store.close()


def test_two_programs_may_open_and_migrate_one_store_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from watcher.store import open_records\n"
        "with open_records(Path(sys.argv[1]), create=True, migrate=True) as r:\n"
        "    with r.transaction(): r.sources.id_of(sys.argv[2])"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "w.db"), name])
        for name in ("a", "b", "c")
    ]
    assert [process.wait(30) for process in started] == [0, 0, 0]
    with open_records(tmp_path / "w.db") as records:
        assert [state.name for state in records.sources.states()] == ["a", "b", "c"]


async def test_a_program_that_looks_in_does_not_take_the_log_away_from_under_the_daemon(tmp_path):
    """Checks and backups open the file a second time in one process; a descriptor closed by
    other hands than SQLite's would drop the locks of all of them."""
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    await store.write(lambda r: r.care.done("pulse", NOW))
    log = path.with_name("w.db-wal").stat().st_ino
    assert quick_check(path) is None
    with open_records(path):
        pass
    look = (
        "import sys; from pathlib import Path; from watcher.store import open_records\n"
        "with open_records(Path(sys.argv[1])) as r: print(r.care.note('later'))"
    )
    for words in ("a", "b"):
        await store.write(lambda r, words=words: r.care.done("later", NOW, words))
        seen = await asyncio.to_thread(
            subprocess.check_output, [sys.executable, "-c", look, str(path)], text=True
        )
        assert seen.strip() == words
        assert path.with_name("w.db-wal").stat().st_ino == log
    await store.close()


def test_an_error_of_sqlite_never_leaves_the_store_as_it_is(tmp_path):
    path = tmp_path / "w.db"
    records = open_records(path, create=True, migrate=True)
    with pytest.raises(StoreError, match="no such table"), records:
        records.conn.execute("select * from missing_table")


def test_asking_whether_the_lock_is_held_neither_takes_nor_makes_it(tmp_path):
    lock = Lock(tmp_path / "w.db")
    assert not lock.is_held()
    assert not lock.path.exists()
    lock.acquire()
    assert Lock(tmp_path / "w.db").is_held()
    lock.release()
    assert not Lock(tmp_path / "w.db").is_held()
    second = Lock(tmp_path / "w.db")
    second.acquire(0.0)
    second.release()


def test_a_folder_where_the_database_should_be_is_refused(tmp_path):
    with pytest.raises(StoreRefused, match="is no file"):
        open_records(tmp_path, create=True, migrate=True)


def test_what_304s_saved_is_known_though_the_process_saw_no_page(tmp_path):
    with open_records(tmp_path / "w.db", create=True, migrate=True) as records:
        for hour, counts in (
            (10, {"requests": 2, "pages": 2, "bytes_read": 3000}),
            (11, {"requests": 3, "not_modified": 3}),
        ):
            records.care.add_to_ledger(hour, Ledger(host="a.example", **counts))
        (line,) = records.care.ledger(datetime.fromtimestamp(0, UTC))
        assert (line.bytes_read, line.bytes_saved) == (3000, 4500)


def test_a_checkpoint_that_was_cut_short_is_no_damage(tmp_path):
    """A kill, or a disk that is full at the end: the first page is written back, the file has not
    grown yet. With its log it is sound."""
    path, copy = tmp_path / "w.db", tmp_path / "copy.db"
    with open_records(path, create=True, migrate=True) as records:
        source = records.sources.id_of("a")
        meet(records, source, *(card(number) for number in range(400)))
        log = path.with_name("w.db-wal").read_bytes()
        copy.write_bytes(path.read_bytes())
        records.conn.execute("pragma wal_checkpoint(truncate)")
        first = path.read_bytes()[:4096]
    copy.with_name("copy.db-wal").write_bytes(log)
    with copy.open("r+b") as file:
        file.write(first)
    assert copy.stat().st_size < int.from_bytes(first[28:32], "big") * 4096
    with open_records(copy, migrate=True) as records:
        assert records.papers.count()[0] == 400


@pytest.mark.parametrize("which", ["w.db", "w.db-wal"])
async def test_a_file_that_is_taken_away_from_under_the_store_is_noticed(tmp_path, which):
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    await store.write(lambda r: r.sources.id_of("a"))
    await store.write(lambda r: r.sources.id_of("b"))
    shutil.copy(tmp_path / which, tmp_path / "other")
    (tmp_path / "other").replace(tmp_path / which)
    with pytest.raises(StoreRefused, match="removed or replaced"):
        await store.write(lambda r: r.sources.id_of("c"))
    await store.close()


async def test_nothing_is_read_for_somebody_who_is_gone(tmp_path):
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    held, read = threading.Event(), []
    first = asyncio.ensure_future(store.read(lambda _: held.wait(5)))
    second = asyncio.ensure_future(store.read(read.append))
    await asyncio.sleep(0.05)
    second.cancel()
    held.set()
    assert await first
    await store.read(lambda _: None)
    assert read == []
    await store.close()
