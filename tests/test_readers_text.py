"""How the site writes counts, dates, ids and links."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pages import abbreviated, day_text
from watcher.readers import page, text

OCTOBER = date(2026, 10, 6)


@pytest.mark.parametrize(
    ("written", "number", "rounded"),
    [
        ("0", 0, False),
        ("843", 843, False),
        ("1,234", 1234, False),
        ("1 234", 1234, False),
        ("12\u202f345\u00a0678", 12345678, False),
        ("12 34", None, False),
        ("3.29k", 3290, True),
        ("62.2k", 62200, True),
        ("110k", 110000, True),
        ("1.2M", 1200000, True),
        (" 17\n", 17, False),
        ("-", None, False),
        ("", None, False),
        ("12 authors", None, False),
        ("1.5", None, False),
        ("9" * 40, None, False),
        ("٣", None, False),
    ],
)
def test_a_count_is_read_as_written(written: str, number: int | None, rounded: bool) -> None:
    assert text.count(written) == (number, rounded)


@given(st.integers(0, 999_999))
def test_an_abbreviated_count_is_right_to_three_digits(stars: int) -> None:
    number, rounded = text.count(abbreviated(stars))
    assert number is not None
    assert rounded == (stars >= 1000)
    assert abs(number - stars) <= (stars / 100 if rounded else 0)


@pytest.mark.parametrize(
    ("written", "at", "day"),
    [
        ("Sep 9", OCTOBER, date(2026, 9, 9)),
        ("Feb 27, 2025", OCTOBER, date(2025, 2, 27)),
        ("Published on Jun 2, 2026", OCTOBER, date(2026, 6, 2)),
        ("Published on Sep 28", OCTOBER, date(2026, 9, 28)),
        ("Oct 7", OCTOBER, date(2026, 10, 7)),  # the site's clock may be a day ahead
        ("Oct 8", OCTOBER, date(2025, 10, 8)),
        ("Dec 31", date(2027, 1, 2), date(2026, 12, 31)),
        ("Jan 1", date(2026, 12, 31), date(2027, 1, 1)),
        ("Feb 29", OCTOBER, date(2024, 2, 29)),
        ("Feb 30", OCTOBER, None),
        ("Feb 30, 2025", OCTOBER, None),
        ("Smarch 3", OCTOBER, None),
        ("Octopus 4", OCTOBER, None),
        ("Marvin 7", OCTOBER, None),
        ("Sept. 9", OCTOBER, date(2026, 9, 9)),
        ("September 9", OCTOBER, date(2026, 9, 9)),
        ("May 29", OCTOBER, date(2026, 5, 29)),
        ("May 29 and more", OCTOBER, None),
        ("", OCTOBER, None),
        (None, OCTOBER, None),
    ],
)
def test_a_date_without_a_year_is_the_latest_one_at_the_time_of_capture(
    written: str | None, at: date, day: date | None
) -> None:
    assert text.day(written, at) == day


@given(st.dates(date(1995, 1, 1), date(2100, 1, 1)), st.integers(0, 360))
def test_every_date_of_the_last_year_survives_losing_its_year(at: date, ago: int) -> None:
    day = date.fromordinal(at.toordinal() - ago)
    assert text.day(day_text(day), at) == day
    assert text.day(day_text(day).partition(",")[0], at) == day


@given(st.dates(), st.text(max_size=30))
def test_no_text_makes_the_date_reader_fail(at: date, written: str) -> None:
    text.day(written, at)
    text.iso_day(written)
    text.iso_time(written)
    text.count(written)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("2609.20519", "2609.20519"),
        ("1412.6980", "1412.6980"),
        ("2401.00001v2", "2401.00001"),
        ("2609.205191", None),
        ("cs/0112017", None),
        ("", None),
        (None, None),
        (2609.20519, None),
    ],
)
def test_an_arxiv_id_loses_its_version(written: object, found: str | None) -> None:
    assert text.paper_id(written) == found


@pytest.mark.parametrize(
    ("href", "found"),
    [
        ("/papers/2609.20519", "2609.20519"),
        ("/papers/2609.20519#community", "2609.20519"),
        ("https://huggingface.co/papers/2609.20519", "2609.20519"),
        ("/papers?q=moons", None),
        ("/papers/date/2026-10-05", None),
        ("/papers/trending", None),
        ("/login?next=%2Fpapers%2F2609.20519", None),
        ("/models/papers/2609.20519", None),
        (None, None),
    ],
)
def test_only_links_to_papers_are_papers(href: str | None, found: str | None) -> None:
    assert text.paper_path(href) == found


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("https://example.org/a?b=c#d", "https://example.org/a?b=c#d"),
        (" HTTP://example.org ", "HTTP://example.org"),
        ("/avatars/x.svg", "https://huggingface.co/avatars/x.svg"),
        ("//evil.example/x", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("https://example.org/\u202egnp.exe", None),
        ('https://example.org/"onclick=', None),
        ("https://exa mple.org", None),
        ("https://" + "x" * 3000, None),
        ("", None),
        (None, None),
    ],
)
def test_only_plain_web_addresses_are_links(address: str | None, found: str | None) -> None:
    assert text.link(address) == found


def test_text_is_put_on_one_line_without_anything_invisible() -> None:
    assert text.clean(" A title\n  over two\tlines\x00 ") == "A title over two lines"
    assert text.clean("zero\u200bwidth \u202eturned\u202c") == "zerowidth turned"
    assert text.clean("a\u00a0b \u2028 c") == "a b c"
    assert text.clean("family 👩‍👩‍👧") == "family 👩‍👩‍👧"
    assert text.clean("half \ud83d an emoji") == "half \ufffd an emoji"
    assert text.clean(" \n\x00 ") is None
    assert text.clean(None) is None
    assert text.clean("x" * 99, 10) == "x" * 10


@given(st.text())
def test_cleaning_twice_changes_nothing_more(raw: str) -> None:
    once = text.clean(raw)
    assert text.clean(once) == once
    assert once is None or not any(ord(char) < 32 for char in once)


@given(st.lists(st.text(min_size=1, max_size=12), max_size=8))
def test_cleaning_names_together_is_cleaning_each(names: list[str]) -> None:
    together = text.clean_all(names)
    assert together is None or list(together) == [text.clean(name) for name in names]


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ("schön".encode(), "schön"),
        (b"\xef\xbb\xbf" + "schön".encode(), "schön"),
        ("\ufeffschön".encode("utf-16-le"), "schön"),
        ("\ufeffschön".encode("utf-16-be"), "schön"),
        ("<html>schön</html>".encode("utf-16-le"), "<html>schön</html>"),
        ("schön".encode("latin-1"), "schön"),
        ("mit €".encode("windows-1252"), "mit €"),
        (b'<meta charset="iso-8859-2"> \xb3', '<meta charset="iso-8859-2"> ł'),
        (b'<meta charset="rot13"> \xe9', '<meta charset="rot13"> é'),
        ("schön ".encode() + b"\xff kaputt", "schön \ufffd kaputt"),
    ],
)
def test_bytes_become_utf8_text(body: bytes, read: str) -> None:
    assert text.utf8(body).decode() == read


@given(st.binary(max_size=300))
def test_any_bytes_become_valid_utf8(body: bytes) -> None:
    text.utf8(body).decode()


def test_times_are_utc_and_must_name_their_zone() -> None:
    assert text.iso_time("2026-05-08T12:01:31.399+02:00") == datetime(
        2026, 5, 8, 10, 1, 31, 399000, tzinfo=UTC
    )
    assert text.iso_time("2026-05-08T10:01:31.399Z") == datetime(
        2026, 5, 8, 10, 1, 31, 399000, tzinfo=UTC
    )
    assert text.iso_time("2026-05-08T10:01:31") is None
    assert text.iso_time("0001-01-01T00:00:00+14:00") is None


@pytest.mark.parametrize(
    ("url", "kind", "day", "query"),
    [
        ("https://huggingface.co/papers", "daily", None, None),
        ("https://huggingface.co/papers/", "daily", None, None),
        ("https://huggingface.co/papers?date=2024-08-01", "daily", date(2024, 8, 1), None),
        ("http://127.0.0.1:8080/papers/date/2026-10-05", "daily", date(2026, 10, 5), None),
        ("https://huggingface.co/papers/week/2026-W40", "week", None, None),
        ("https://huggingface.co/papers/month/2026-10", "month", None, None),
        ("https://huggingface.co/papers/trending", "trending", None, None),
        ("https://huggingface.co/papers?q=two%20moons", "search", None, "two moons"),
        ("https://huggingface.co/papers?q=", "daily", None, None),
        ("https://huggingface.co/papers/2609.20519", "paper", None, None),
        (
            "https://huggingface.co/api/daily_papers?date=2026-06-03",
            "daily",
            date(2026, 6, 3),
            None,
        ),
        ("https://huggingface.co/api/daily_papers?week=2026-W23", "week", None, None),
        ("https://huggingface.co/api/papers/search?q=moons", "search", None, "moons"),
        ("https://huggingface.co/api/papers/2609.20519", "paper", None, None),
        ("https://huggingface.co/models", None, None, None),
        ("file:///tmp/saved.html", None, None, None),
        ("http://[broken", None, None, None),
        (None, None, None, None),
    ],
)
def test_an_address_tells_the_kind_of_page(
    url: str | None, kind: str | None, day: date | None, query: str | None
) -> None:
    hint = page.hint(url)
    assert (hint.kind, hint.day, hint.query) == (kind, day, query)


@given(st.text())
def test_no_address_makes_the_hint_fail(url: str) -> None:
    page.hint(url)
    page.hint("https://huggingface.co/papers/" + url)
    page.hint("https://huggingface.co/papers?" + url)
