"""Any bytes give a snapshot or a ParseError, in bounded time."""

import random
import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import pages
from watcher import readers
from watcher.errors import ParseError
from watcher.model import ReaderName

AT = datetime(2026, 10, 6, 12, tzinfo=UTC)
PAPERS = pages.fakes(6)
SEEDS = {
    "trending": pages.trending(PAPERS, size=40),
    "trending, cards": pages.trending(PAPERS, with_island=False, size=40),
    "grid 2024": pages.grid_2024(PAPERS),
    "grid 2026, cards": pages.grid_2026(PAPERS, with_island=False),
    "search": pages.search("moons", PAPERS[:3], PAPERS[3:], marked="mor"),
    "search, cards": pages.search("moons", PAPERS, with_island=False, marked="mor"),
    "paper": pages.paper_page(PAPERS[0]),
    "paper, cards": pages.paper_page(PAPERS[0], with_island=False),
    "api": pages.api([pages.item_2026(fake) for fake in PAPERS]),
    "api 2024": pages.api([pages.item_2024(fake) for fake in PAPERS]),
    "dump": pages.dump(PAPERS, without_foot=(2,)),
}
HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")
SPLINTERS = [
    *(b"<", b">", b'"', b"'", b"&", b"&quot;", b"&amp;", b"\\", b"\x00", b"\xff", b"\xed\xa0\xbd"),
    *(b"<!--", b"-->", b"</article>", b"<article>", b"</div>", b"<script>", b"<svg>", b"{", b"}"),
    *(b"[", b"]", b"null", b"-1", b"1e999", b"9" * 400, b"\\ud83d", b"\xe2\x80\xae", b"\n\n", b" "),
    *(b"Feb 30", b"Dec 31, 99999", b"/papers/0000.00000", b'data-target="DailyPapers"', b"3.2k"),
]


def check(body: bytes, reader: ReaderName | None = None) -> bool:
    """Whether the bytes were read; anything but a snapshot or a ParseError fails the test."""
    try:
        snapshot = readers.parse(body, url=None, at=AT, reader=reader)
    except ParseError:
        return False
    assert all(card.title and not HARMFUL.search(card.title) for card in snapshot.cards)
    assert all(card.upvotes is None or card.upvotes >= 0 for card in snapshot.cards)
    ids = [card.paper_id for card in snapshot.cards if card.paper_id]
    assert len(ids) == len(set(ids))
    readers.cross_check(snapshot, body)
    readers.fill(snapshot)
    readers.island_bytes(body)
    return True


@given(st.binary(max_size=2_000), st.sampled_from([None, *ReaderName]))
def test_any_bytes_are_read_or_refused(body: bytes, reader: ReaderName | None) -> None:
    check(body, reader)


@given(st.text(max_size=2_000), st.sampled_from([None, *ReaderName]))
def test_any_text_is_read_or_refused(text: str, reader: ReaderName | None) -> None:
    check(text.encode("utf-8", "surrogatepass"), reader)


KEYS = ["paper", "id", "title", "authors", "name", "upvotes", "dailyPapers", "data", "query", "q"]
KEYS += ["discussionId", "submittedOnDailyAt", "organization", "searchResults"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=25,
)


@settings(max_examples=200)
@given(JSON)
def test_any_json_is_read_or_refused_in_an_answer_and_in_an_island(value: object) -> None:
    check(pages.api(value))
    check(pages.document(pages.island(value)))
    check(pages.document(pages.island({"dailyPapers": value, "query": value, "date": value})))
    check(pages.document(pages.island({"paper": value, "comments": value}, target="PaperContent")))


def mutants(seed: bytes, count: int, dice: random.Random) -> Iterator[bytes]:
    """A page broken in the ways pages break: cut, doubled, torn, and with splinters in it."""
    for _ in range(count):
        body = bytearray(seed)
        for _ in range(dice.choice((1, 1, 2, 5, 30))):
            place = dice.randrange(len(body) + 1)
            span = dice.choice((1, 3, 20, 300, 5_000))
            match dice.randrange(6):
                case 0:
                    del body[place:]
                case 1:
                    del body[place : place + span]
                case 2:
                    body[place:place] = body[place : place + span]
                case 3:
                    body[place:place] = dice.choice(SPLINTERS)
                case 4:
                    body[place : place + 1] = bytes([dice.randrange(256)])
                case _:
                    other = dice.randrange(len(body) + 1)
                    body[place:place] = body[other : other + span]
        yield bytes(body)


@pytest.mark.parametrize("name", SEEDS)
def test_broken_pages_are_read_or_refused(name: str) -> None:
    dice = random.Random(name)
    slowest, read = 0.0, 0
    for body in mutants(SEEDS[name], 120, dice):
        started = time.perf_counter()
        read += check(body)
        slowest = max(slowest, time.perf_counter() - started)
    assert slowest < 3  # the machine's hiccups included
    assert read  # the mutants are close enough to real pages to be read now and then


@pytest.mark.parametrize("name", SEEDS)
def test_no_cut_makes_a_list_silently_shorter(name: str) -> None:
    """All papers, or an error, or a warning; a dump cannot know where it should have ended."""
    body = SEEDS[name]
    whole = {card.paper_id for card in readers.parse(body, at=AT).cards}
    for cut in range(1, len(body), max(len(body) // 60, 1)):
        if name == "dump":
            check(body[:cut])
            continue
        try:
            snapshot = readers.parse(body[:cut], at=AT)
        except ParseError:
            continue
        assert {card.paper_id for card in snapshot.cards} == whole


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 8_000_000,
        b"<" * 8_000_000,
        b"&quot;" * 1_300_000,
        b'<div data-target="DailyPapers" data-props="' + b"&quot;" * 1_300_000,
        b'<div data-target="DailyPapers" data-props="' + b"[" * 8_000_000 + b'"></div>',
        b'<div data-target="DailyPapers" data-props="' + b"\\ud83d" * 1_000_000 + b'"></div>',
        b"DailyPapers" * 700_000,
        b"data-target=DailyPapers " * 300_000,
        b"<article>" * 800_000,
        b"<article><h3>x</h3></article>" * 100_000,
        b"{" * 8_000_000,
        b"[" * 8_000_000,
        b'[{"paper":' * 800_000,
        b"[" + b"1," * 3_000_000 + b"1]",
        b"Daily Papers\n\n" + b"Word\n\n" * 300_000,
        b"Daily Papers\n\n" + b"\xc2\xb7\n" * 800_000,
        b"Daily Papers\n" + b"a " * 4_000_000,
        b"# Daily Papers\n\n" + b"### [x](/papers/2601.00001)\n\n" * 100_000,
        b"# Daily Papers\n\n### x\n\n" + b"[" * 4_000_000,
        random.Random(1).randbytes(8_000_000),
    ],
    ids=lambda garbage: repr(garbage[:30]),
)
def test_eight_megabytes_of_garbage_are_refused_in_seconds(garbage: bytes) -> None:
    started = time.perf_counter()
    with pytest.raises(ParseError) as refused:
        readers.parse(garbage, at=AT)
    assert len(str(refused.value)) < 2_000
    assert time.perf_counter() - started < 10  # most take a tenth of a second


def test_the_day_a_page_names_may_be_nonsense() -> None:
    body = pages.grid_2024(PAPERS, date(2024, 8, 1)).replace(b"2024-08-01T", b"2024-13-99T")
    assert readers.parse(body, at=AT).listed_on is None
