"""The memo: reading with what the last page said gives just what reading in full gives."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests import pages
from watcher import readers
from watcher.errors import ParseError
from watcher.model import Snapshot
from watcher.readers import Memo, Memos, tag

AT = datetime(2026, 10, 6, 12, tzinfo=UTC)
FAKES = pages.fakes(6)
COUNTS = st.one_of(st.integers(0, 12), st.sampled_from([10**15, 2**53]))
CHANGES = st.fixed_dictionaries(
    {"upvotes": COUNTS, "comments": COUNTS, "stars": st.one_of(st.none(), COUNTS)},
    optional={
        "title": st.sampled_from(
            [
                "Another title",
                'With "upvotes":5, quoted',
                "&quot;upvotes&quot;:7",
                'A } brace, "{ and a \\',
            ]
        ),
        "ai_summary": st.sampled_from([None, "Said anew."]),
        "organization": st.none(),
    },
)
VISITS = st.lists(
    st.tuples(
        st.sampled_from(["trending", "daily", "daily later", "search", "old"]),
        st.lists(st.tuples(st.integers(0, 5), CHANGES), max_size=8),
    ),
    max_size=6,
)


def read(body: bytes, memo: Memo | None = None) -> Snapshot | str:
    try:
        return readers.parse(body, at=AT, memo=memo)
    except ParseError as exc:
        return str(exc)


def decoded(memo: Memo, body: bytes) -> int:
    """How many items of a page have to be decoded."""
    found = readers.find(body)
    assert found is not None
    assert found.span is not None
    return sum(slot.entry is None for slot in memo.sift(body, found.span)[1])


def page_of(kind: str, shown: list[pages.Fake]) -> bytes:
    if kind == "trending":
        return pages.trending(shown)
    if kind == "search":
        return pages.search("moons", shown, FAKES)
    if kind == "old":
        return pages.grid_2024(shown, date(2024, 8, 1))
    return pages.grid_2026(shown, date(2026, 10, 6 if kind == "daily" else 7))


@given(VISITS)
def test_a_source_read_with_its_memo_says_what_it_says_without(
    visits: list[tuple[str, list[tuple[int, dict[str, Any]]]]],
) -> None:
    memo = Memo()
    for kind, cards in visits:
        body = page_of(kind, [FAKES[number].but(**changes) for number, changes in cards])
        assert read(body, memo) == read(body)
        assert read(body, memo) == read(body)


def test_of_a_page_whose_counts_moved_no_item_is_decoded() -> None:
    memo = Memo()
    before = pages.trending(FAKES)
    moved = [fake.but(upvotes=fake.upvotes + 3, comments=9) for fake in FAKES]
    assert decoded(memo, before) == len(FAKES)
    read(before, memo)
    after = pages.trending([*moved[3:], *moved[:3]])
    assert decoded(memo, after) == 0
    assert read(after, memo) == read(after)


def test_an_item_is_decoded_when_anything_else_of_it_changes() -> None:
    memo = Memo()
    read(pages.trending(FAKES), memo)
    other = [FAKES[0].but(abstract="Now it says this."), *FAKES[1:]]
    assert decoded(memo, pages.trending(other)) == 1
    assert read(pages.trending(other), memo) == read(pages.trending(other))


def test_counts_in_other_places_of_an_item_are_not_taken_for_its_own() -> None:
    props = pages.props_trending(FAKES)
    memo = Memo()
    for step in range(3):
        for item in props["dailyPapers"]:
            item["paper"]["related"] = {"upvotes": item["paper"]["upvotes"] + step}
        body = pages.document(pages.island(props))
        assert decoded(memo, body) == len(FAKES)
        assert read(body, memo) == read(body)


def test_a_paper_that_comes_twice_in_other_words_is_remembered_in_its_own() -> None:
    first, double, last = FAKES[0], FAKES[0].but(abstract="Now it says this."), FAKES[1]
    memo = Memo()
    for listed in ([first, double, last], [double, last], [double, first, last], [first, last]):
        body = pages.trending(listed)
        assert read(body, memo) == read(body)


def test_a_field_that_only_a_known_item_has_is_shown() -> None:
    props = pages.props_2024(FAKES, date(2024, 8, 1))
    for item in props["dailyPapers"]:
        item.pop("numComments", None)
    props["dailyPapers"][0]["numComments"] = 4
    memo = Memo()
    for _ in range(2):
        body = pages.document(pages.island(props))
        snapshot = read(body, memo)
        assert snapshot == read(body)
        assert isinstance(snapshot, Snapshot)
        assert "comments" in snapshot.shows


def test_a_memo_of_one_day_is_not_used_on_another() -> None:
    fakes = [fake.but(submitted=None) for fake in FAKES]
    memo = Memo()
    for day in (date(2024, 8, 1), date(2024, 8, 2)):
        body = pages.grid_2024(fakes, day)
        assert read(body, memo) == read(body)


def test_followers_of_a_submitter_may_move_without_costing_anything() -> None:
    props = pages.props_trending(FAKES)
    memo = Memo()
    for step in range(2):
        for item in props["dailyPapers"]:
            item["submittedBy"] = {"name": "adaq", "followerCount": 70 + step}
        body = pages.document(pages.island(props))
        assert decoded(memo, body) == (0 if step else len(FAKES))
        assert read(body, memo) == read(body)


def test_odd_numbers_and_broken_bytes_are_read_as_without_a_memo() -> None:
    plain = pages.trending(FAKES)
    value = readers.island_bytes(plain) or b""
    assert tag.find(plain)
    for old, new in (
        (b"&quot;upvotes&quot;:", b"&quot;upvotes&quot;:0"),
        (b"&quot;upvotes&quot;:", b"&quot;upvotes&quot;:-"),
        (b"&quot;upvotes&quot;:", b"&quot;upvotes&quot;: "),
        (b"&quot;title&quot;:&quot;", b"&quot;title&quot;:&quot;\xff"),
        (b"&quot;hidden&quot;", b"&quot;upvotes&quot;:3,&quot;hidden&quot;"),
    ):
        memo = Memo()
        read(plain, memo)
        odd = plain.replace(value, value.replace(old, new, 1))
        assert odd != plain
        assert read(odd, memo) == read(odd)
        assert read(plain, memo) == read(plain)


def test_a_memo_that_was_not_asked_for_all_day_makes_room() -> None:
    memos = Memos(2)
    first, second = memos.of("a", AT), memos.of("b", AT)
    assert first is not None
    assert memos.of("a", AT + timedelta(hours=20)) is first
    assert memos.of("c", AT + timedelta(hours=25)) is not None
    assert memos.of("a", AT + timedelta(hours=26)) is first
    assert memos.of("b", AT + timedelta(hours=45)) is not second


def test_where_targets_are_too_many_nobody_has_a_memo_for_a_day() -> None:
    memos = Memos(2)
    for name in "abc":
        last = memos.of(name, AT)
    assert last is None
    assert memos.of("a", AT + timedelta(hours=23)) is None
    assert memos.of("a", AT + timedelta(hours=25)) is not None


def test_where_too_many_targets_are_expected_nobody_begins_a_memo() -> None:
    memos = Memos(2)
    memos.expect(2)
    assert memos.of("a", AT) is not None
    memos.expect(3)
    assert memos.of("a", AT) is None
    assert memos.of("a", AT + timedelta(hours=25)) is None
    memos.expect(1)
    assert memos.of("a", AT + timedelta(hours=26)) is not None
