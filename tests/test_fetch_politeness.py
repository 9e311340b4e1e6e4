"""What a site asks for, read right and kept: the pure parts of politeness."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from watcher import politeness
from watcher.politeness import Limit, Pace, Robots, merge_limits, parse_limits, parse_retry_after

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)


def date(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


# ---------------------------------------------------------------- Retry-After


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("120", 120.0),
        (" 120 ", 120.0),
        ("0", 1.0),
        ("1.5", 1.5),
        ("00007", 7.0),
        ("999999999999999999", 21600.0),
        (date(90), 90.0),
        (date(0), 1.0),
        (date(-3600), 1.0),
        (date(7 * 86400), 21600.0),
        ("Saturday, 21-Nov-26 08:01:30 GMT", 90.0),
        ("Sat Nov 21 08:01:30 2026", None),
        ("", None),
        ("-5", None),
        ("+5", None),
        ("1e3", None),
        ("5s", None),
        ("five", None),
        ("٥", None),
        ("0x10", None),
        ("nan", None),
        ("inf", None),
        ("120, 60", None),
        ("Sat, 99 Nov 2026 08:00:00 GMT", None),
        ("Sat, 21 Nov 99999999 08:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_or_not_at_all(
    field: str, seconds: float | None
) -> None:
    assert parse_retry_after(field, now=NOW) == seconds


def test_a_date_counts_from_the_servers_own_clock() -> None:
    """Our clock is an hour slow; the site asks for two minutes."""
    asked = parse_retry_after(date(3720), now=NOW, server_date=date(3600))
    assert asked == 120.0
    assert parse_retry_after(date(120), now=NOW, server_date="nonsense") == 120.0


_PIECES = st.sampled_from(
    ["120", "-1", "GMT", ",", ";", " ", "Sat", "Nov", "2026", "08:00:00", "99:99:99", "+0000", "é"]
)


@settings(max_examples=1000)
@given(st.one_of(st.text(max_size=80), st.lists(_PIECES, max_size=9).map(" ".join)), st.text())
def test_no_retry_after_is_an_error_or_out_of_bounds(field: str, server_date: str) -> None:
    seconds = parse_retry_after(field, now=NOW, server_date=server_date)
    assert seconds is None or 1.0 <= seconds <= 21600.0


# ---------------------------------------------------------------- RateLimit


@pytest.mark.parametrize(
    ("field", "limits"),
    [
        ('"pages";r=12;t=180', [Limit("pages", 12, 180)]),
        ('"pages"; r=12; t=180', [Limit("pages", 12, 180)]),
        ('"api";r=472;t=235, "pages";r=0;t=9', [Limit("api", 472, 235), Limit("pages", 0, 9)]),
        ('"fixed window";"pages";q=100;w=300', [Limit("pages", quota=100, window=300)]),
        ('"odd, ;r=1 name";r=5;t=6', [Limit("odd, ;r=1 name", 5, 6)]),
        ("r=3;t=4", [Limit("", 3, 4)]),
        ("limit=100, remaining=50, reset=50", []),
        ('"pages"', []),
        ('"pages";r=x;t=y', []),
        ('"pages";r=-1', []),
        ("", []),
        ('"' * 5000, []),
        (";" * 5000, []),
    ],
)
def test_ratelimit_fields_are_read(field: str, limits: list[Limit]) -> None:
    assert list(parse_limits(field)) == limits


@settings(max_examples=500)
@given(st.text(alphabet='"pages;rtqw=,0123456789 \t', max_size=200))
def test_no_ratelimit_field_is_an_error(field: str) -> None:
    for limit in parse_limits(field):
        assert all(x is None or x >= 0 for x in limit[1:])


def test_a_limit_learns_its_quota_from_the_policy() -> None:
    headers = CIMultiDict(
        {
            "ratelimit": '"pages";r=60;t=100',
            "ratelimit-policy": '"fixed window";"pages";q=100;w=300',
        }
    )
    assert merge_limits(headers) == (Limit("pages", 60, 100, 100, 300),)
    assert merge_limits(CIMultiDict()) == ()


def test_limits_may_come_as_several_fields_of_one_name() -> None:
    headers = CIMultiDict(
        [
            ("RateLimit", '"api";r=400;t=100'),
            ("RateLimit-Policy", '"api";q=500;w=300'),
            ("RateLimit", '"pages";r=1;t=90'),
            ("RateLimit-Policy", '"pages";q=100;w=300'),
        ]
    )
    assert merge_limits(headers) == (
        Limit("api", 400, 100, 500, 300),
        Limit("pages", 1, 90, 100, 300),
    )


# ---------------------------------------------------------------- the pace


def starts(pace: Pace, seconds: float, now: float = 0.0) -> list[float]:
    """When requests start, if one always wants to."""
    times, end = [], now + seconds
    while now < end:
        wait = pace.wait(now)
        if wait.seconds == 0:
            times.append(now)
            if not pace.spacing:
                break
        now += wait.seconds
    return times


def test_requests_are_spaced_evenly_and_never_in_a_burst() -> None:
    times = starts(Pace(0.15), 300)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert len(times) == 45
    assert all(gap == pytest.approx(1 / 0.15) for gap in gaps)
    late = Pace(0.15)
    late.wait(0.0)
    assert len(starts(late, 1.0, now=1000.0)) == 1, "idle time is not saved up"


def test_no_rate_means_no_spacing_of_our_own() -> None:
    pace = Pace(0)
    assert [pace.wait(5.0).seconds for _ in range(100)] == [0.0] * 100


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "99999999"}, 21600),
        ({"Retry-After": "garbage"}, 60),
        ({}, 60),
        ({"RateLimit": '"pages";r=0;t=180'}, 180),
        ({"RateLimit": '"pages";r=0;t=0'}, 1),
        ({"RateLimit": '"pages";r=3;t=180'}, 180),
        ({"RateLimit": '"api";r=400;t=200, "pages";r=0;t=90'}, 90),
        ({"RateLimit": '"pages";r=0;t=180', "Retry-After": "5"}, 180),
        ({"RateLimit": '"pages";r=0;t=5', "Retry-After": "200"}, 200),
        ({"RateLimit": '"pages";r=7;t=250', "Retry-After": "5"}, 5),
        ({"RateLimit": "nonsense"}, 60),
    ],
)
def test_a_429_pauses_the_host_for_as_long_as_it_says(
    headers: dict[str, str], pause: float
) -> None:
    pace = Pace(0)
    asked = None
    if "Retry-After" in headers:
        asked = parse_retry_after(headers["Retry-After"], now=NOW)
    limits = merge_limits(CIMultiDict(headers))
    given_back = pace.heed(429, limits, retry_after=asked, now=10.0)
    assert given_back == pause
    assert pace.wait(10.0) == (pause, True)
    assert pace.wait(10.0 + pause - 0.5).seconds == pytest.approx(0.5)


def test_wordless_429s_double_the_pause_up_to_an_hour_and_a_page_ends_it() -> None:
    pace, now, pauses = Pace(0), 0.0, []
    for _ in range(9):
        pause = pace.heed(429, (), retry_after=None, now=now)
        assert pause is not None
        pauses.append(pause)
        now += pause
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    pace.heed(200, (), retry_after=None, now=now)
    assert pace.heed(429, (), retry_after=None, now=now) == 60


def test_a_503_pauses_the_host_only_when_it_says_for_how_long() -> None:
    pace = Pace(0)
    pace.heed(503, (), retry_after=None, now=0.0)
    assert pace.wait(0.0).seconds == 0
    pace.heed(503, (), retry_after=300.0, now=0.0)
    assert pace.wait(0.0) == (300.0, True)
    pace.heed(429, (), retry_after=5.0, now=0.0)
    assert pace.wait(0.0).seconds == 300.0, "a shorter wish does not shorten a longer one"


def test_half_of_the_window_is_left_to_others() -> None:
    pace = Pace(0)
    policy = {"RateLimit-Policy": '"fixed window";"pages";q=100;w=300'}
    sent = 0
    for remaining in range(99, -1, -1):
        if pace.wait(0.0).seconds:
            break
        sent += 1
        headers = CIMultiDict({**policy, "RateLimit": f'"pages";r={remaining};t=200'})
        pace.heed(200, merge_limits(headers), retry_after=None, now=0.0)
    assert sent == 50
    assert pace.wait(0.0) == (200.0, False)
    assert pace.wait(200.0).seconds == 0.0


def test_without_a_policy_the_most_seen_is_taken_for_the_quota() -> None:
    pace = Pace(0)
    for remaining in (79, 60, 41):
        pace.heed(200, (Limit("pages", remaining, 50),), retry_after=None, now=0.0)
        assert pace.wait(0.0).seconds == 0.0
    pace.heed(200, (Limit("pages", 40, 50),), retry_after=None, now=0.0)
    assert pace.wait(0.0).seconds == 50.0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([200, 304, 404, 429, 500, 503]),
            st.one_of(st.none(), st.floats(1, 21600)),
            st.integers(0, 200),
            st.integers(0, 10**9),
            st.floats(0, 1000),
        ),
        max_size=40,
    ),
    st.sampled_from([0.0, 0.15, 5.0]),
)
def test_no_answer_silences_a_host_for_more_than_six_hours(
    answers: list[tuple[int, float | None, int, int, float]], rate: float
) -> None:
    pace, now = Pace(rate), 0.0
    for status, retry_after, remaining, reset, later in answers:
        now += later
        limits = (Limit("pages", remaining, reset, 100, 300),)
        pace.heed(status, limits, retry_after=retry_after, now=now)
        assert 0 <= pace.wait(now).seconds <= politeness.LONGEST_PAUSE


# ---------------------------------------------------------------- robots.txt

OURS = "paper-watcher"
ROBOTS = [
    # rules, path, allowed (RFC 9309 2.2)
    ("", "/papers", True),
    ("User-agent: *\nDisallow:", "/papers", True),
    ("User-agent: *\nDisallow: /", "/papers", False),
    ("User-agent: *\nDisallow: /", "/robots.txt", True),
    ("User-agent: *\nDisallow: /papers", "/papers", False),
    ("User-agent: *\nDisallow: /papers", "/papers/trending", False),
    ("User-agent: *\nDisallow: /papers", "/papersx", False),
    ("User-agent: *\nDisallow: /papers/", "/papers", True),
    ("User-agent: *\nDisallow: /papers/", "/papers/x", False),
    ("User-agent: *\nDisallow: /Papers", "/papers", True),
    # the longest match wins, whatever the order; a tie allows
    ("User-agent: *\nDisallow: /papers\nAllow: /papers/trending", "/papers/trending", True),
    ("User-agent: *\nAllow: /papers/trending\nDisallow: /papers", "/papers/trending", True),
    ("User-agent: *\nAllow: /papers\nDisallow: /papers/trending", "/papers/trending", False),
    ("User-agent: *\nAllow: /papers\nDisallow: /papers", "/papers", True),
    ("User-agent: *\nDisallow: /\nAllow: /papers", "/papers/1", True),
    ("User-agent: *\nDisallow: /\nAllow: /papers", "/models", False),
    # wildcards
    ("User-agent: *\nDisallow: /*.json", "/api/x.json", False),
    ("User-agent: *\nDisallow: /*.json$", "/api/x.json", False),
    ("User-agent: *\nDisallow: /*.json$", "/api/x.jsonl", True),
    ("User-agent: *\nDisallow: /papers$", "/papers", False),
    ("User-agent: *\nDisallow: /papers$", "/papers/x", True),
    ("User-agent: *\nDisallow: /*/private", "/a/private", False),
    ("User-agent: *\nDisallow: *", "/papers", False),
    ("User-agent: *\nDisallow: /p*s/t", "/papers/trending", False),
    ("User-agent: *\nDisallow: /papers?q=", "/papers?q=x", False),
    ("User-agent: *\nDisallow: /papers?q=", "/papers", True),
    ("User-agent: *\nDisallow: /*?", "/papers?date=2026-11-21", False),
    # groups
    (f"User-agent: {OURS}\nDisallow: /\n\nUser-agent: *\nDisallow:", "/papers", False),
    (f"User-agent: *\nDisallow: /\n\nUser-agent: {OURS}\nDisallow:", "/papers", True),
    (f"User-agent: *\nDisallow: /\n\nUser-agent: {OURS}\nAllow: /", "/papers", True),
    ("User-agent: Paper-Watcher\nDisallow: /papers", "/papers", False),
    ("User-agent: otherbot\nDisallow: /", "/papers", True),
    (f"User-agent: otherbot\nUser-agent: {OURS}\nDisallow: /papers", "/papers", False),
    (f"User-agent: {OURS}\nDisallow: /a\n\nUser-agent: {OURS}\nDisallow: /c", "/c", False),
    (f"User-agent: *\nDisallow: /b\n\nUser-agent: {OURS}\nDisallow: /a", "/b", True),
    # the file itself
    ("\ufeffUser-agent: *\nDisallow: /", "/papers", False),
    ("User-agent: *\r\nDisallow: /papers\r\n", "/papers", False),
    ("User-agent: *\rDisallow: /papers\r", "/papers", False),
    ("user-agent:*\ndisallow:/papers", "/papers", False),
    ("User-agent: * # all\nDisallow: /papers # not here", "/papers", False),
    ("Disallow: /papers", "/papers", True),
    ("User-agent: *\nCrawl-delay: 5\nDisallow: /papers", "/papers", False),
    ("User-agent: *\nSitemap: https://x.test/s.xml\nDisallow: /papers", "/papers", False),
    ("User-agent: *\nDisallow: /caf\u00e9", "/caf%C3%A9", False),
    ("User-agent: *\nDisallow: /caf%C3%A9", "/caf\u00e9", False),
    ("User-agent: *\nDisallow: /a%2Fb", "/a/b", True),
    ("<!doctype html><html><body>Not found</body></html>", "/papers", True),
    ("\0\0\0\1\2\3", "/papers", True),
]


def test_the_robots_table_is_long_enough() -> None:
    assert len(ROBOTS) >= 40


@pytest.mark.parametrize(("text", "path", "allowed"), ROBOTS)
def test_robots_txt_is_obeyed_as_rfc_9309_says(text: str, path: str, allowed: bool) -> None:
    assert Robots(text.encode()).allows(f"https://papers.test{path}") == allowed


def test_of_a_huge_robots_txt_the_first_500_kib_count() -> None:
    line = b"Disallow: /filler-that-is-never-asked-for\n"
    head = b"User-agent: *\nDisallow: /early\n"
    body = head + line * (politeness.ROBOTS_LIMIT // len(line)) + b"Disallow: /late\n" * 9
    robots = Robots(body)
    assert not robots.allows("https://papers.test/early")
    assert robots.allows("https://papers.test/late")


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("User-agent: *\nCrawl-delay: 10", 10.0),
        ("User-agent: *\nCrawl-delay: 0.5", 0.5),
        ("User-agent: *\nCrawl-delay: nan", 0.0),
        ("User-agent: *\nCrawl-delay: -3", 0.0),
        ("User-agent: *\nCrawl-delay: soon", 0.0),
        ("User-agent: *\nCrawl-delay: inf", 0.0),
        ("User-agent: *\nDisallow: /x", 0.0),
        ("", 0.0),
    ],
)
def test_a_crawl_delay_slows_the_pace_within_reason(text: str, delay: float) -> None:
    assert Robots(text.encode()).crawl_delay == delay


def test_a_crawl_delay_never_speeds_us_up_nor_stops_us() -> None:
    pace = Pace(0.1)
    pace.slow_to(2.0)
    assert pace.spacing == 10.0
    pace.slow_to(30.0)
    assert pace.spacing == 30.0
    pace.slow_to(86400.0)
    assert pace.spacing == politeness.MAX_CRAWL_DELAY


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_robots_txt(body: bytes) -> None:
    robots = Robots(b"User-agent: *\nDisallow: /x\n" + body)
    assert robots.allows("https://papers.test/robots.txt")
    assert robots.crawl_delay >= 0


def test_a_window_whose_size_is_unknown_takes_no_part_in_the_ledger():
    tally = politeness.Tally()
    tally.watch([Limit("pages", remaining=5), Limit("api", remaining=0, quota=0)])
    assert tally.ledger("x.example", None).quota is None
    tally.watch([Limit("pages", remaining=5), Limit("api", remaining=25, quota=100)])
    said = tally.ledger("x.example", None)
    assert (said.quota, said.remaining, said.peak_share) == (100, 25, 0.75)
