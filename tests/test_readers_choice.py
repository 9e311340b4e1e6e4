"""Which reader reads a page is decided by its content, never by a name."""

from datetime import UTC, date, datetime

import pytest

from tests import pages
from tests.pages import Fake
from watcher import readers
from watcher.errors import ParseError
from watcher.model import ReaderName

AT = datetime(2026, 10, 6, 12, tzinfo=UTC)
ONE = Fake()


@pytest.mark.parametrize(
    ("body", "reader"),
    [
        (pages.trending([ONE]), "island"),
        (b"\xef\xbb\xbf \n" + pages.trending([ONE]), "island"),
        (pages.paper_page(ONE), "island"),
        (pages.trending([ONE], with_island=False), "cards"),
        (pages.trending([ONE], with_island=False)[3_000:], "cards"),
        (b"<?xml version='1.0'?><html></html>", "cards"),
        (pages.api([pages.item_2026(ONE)]), "api"),
        (b"\n  " + pages.api({"data": []}), "api"),
        (b"[]", "api"),
        (b"[1, 2]", "api"),
        (b"{}", "api"),
        (pages.dump([ONE]), "dump"),
        (b"[Subscribe](https://huggingface.co/login)\n\n# Daily Papers\n", "dump"),
        (b"[101](https://huggingface.co/login?next=%2Fpapers%2F2610.01234)\n\n### [A", "dump"),
        (
            b'We write `<div data-target="DailyPapers">` and `</div>`. ' + b"More words. " * 400,
            "dump",
        ),
    ],
)
def test_the_reader_is_chosen_by_content(body: bytes, reader: str) -> None:
    assert readers.choose(body) == reader


@pytest.mark.parametrize("body", [b"", b" \n\t ", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_page_is_an_error(body: bytes) -> None:
    with pytest.raises(ParseError):
        readers.parse(body, at=AT)


def test_a_forced_reader_does_not_fall_back() -> None:
    body = pages.trending([ONE])
    assert readers.parse(body, at=AT, reader=ReaderName.CARDS).reader is ReaderName.CARDS
    for reader in (ReaderName.API, ReaderName.DUMP):
        with pytest.raises(ParseError):
            readers.parse(body, at=AT, reader=reader)
    with pytest.raises(ParseError, match="no island"):
        readers.parse(pages.dump([ONE]), at=AT, reader=ReaderName.ISLAND)


def test_every_reader_has_its_line() -> None:
    assert set(readers.READERS) == set(ReaderName)


def test_the_time_of_capture_is_kept() -> None:
    assert readers.parse(pages.trending([ONE]), at=AT).taken_at == AT


def test_pages_in_other_encodings_are_read() -> None:
    fake = ONE.but(title="Schöne Monde für Übermorgen")
    text = pages.trending([fake]).decode()
    for body in (
        text.encode("utf-16"),
        text.encode("utf-16-be"),
        text.replace('charset="utf-8"', 'charset="iso-8859-1"').replace("©", "").encode("latin-1"),
        text.replace("©", "").encode("latin-1"),
    ):
        snapshot = readers.parse(body, at=AT)
        assert snapshot.cards[0].title == fake.title


def test_when_island_and_cards_both_fail_both_are_named() -> None:
    body = pages.document('<div data-target="DailyPapers" data-props="{nothing"></div>')
    body = body.replace(b"DailyPapersPage", b"").replace(b"Daily Papers", b"Some Page")
    with pytest.raises(ParseError, match=r"island .* not readable.*cards do not help"):
        readers.parse(body, at=AT)


def test_a_broken_island_on_an_empty_page_stays_broken() -> None:
    """The frame of the page alone must not pass for an empty Sunday."""
    body = pages.grid_2024([], date(2024, 8, 4)).replace(
        b"&quot;dailyPapers&quot;", b"&quot;papers"
    )
    with pytest.raises(ParseError):
        readers.parse(body, at=AT)


def test_only_an_island_is_checked_against_the_cards() -> None:
    body = pages.dump([ONE])
    assert readers.cross_check(readers.parse(body, at=AT), body) == ()
    empty = pages.grid_2024([], date(2024, 8, 4))
    assert readers.cross_check(readers.parse(empty, at=AT), empty) == ()
