"""Digest hours and quiet hours, above all in the nights when clocks are set."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.makers import MOMENTS, options
from watcher.config.values import Hours, Weekday
from watcher.schedule import (
    batch_of,
    digest_day,
    due_digest,
    instant_of,
    next_digest,
    quiet_until,
)

BERLIN = ZoneInfo("Europe/Berlin")

NIGHTS = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Africa/Cairo", date(2026, 4, 24)),  # set at midnight
    ("Africa/Cairo", date(2026, 10, 30)),
]


def walk(table, start: datetime, end: datetime):
    """Every digest from start to end, as a loop that sleeps until the next would find them."""
    now = start
    while True:
        batch, due = next_digest(table, now)
        if due >= end:
            return
        yield batch, due
        now = due


@pytest.mark.parametrize(("zone", "night"), NIGHTS)
@pytest.mark.parametrize("half_hour", range(48))
def test_every_local_date_has_exactly_one_digest_at_every_hour(zone, night, half_hour):
    clock = time(half_hour // 2, half_hour % 2 * 30)
    table = options(digest=clock, timezone=ZoneInfo(zone))
    start = instant_of(night - timedelta(days=3), time.min, table.zone) - timedelta(seconds=1)
    found = list(walk(table, start, start + timedelta(days=6, hours=1)))
    dates = [digest_day(batch) for batch, _ in found]
    days = {night + timedelta(days=n) for n in range(-3, 3)}
    assert len(dates) == len(set(dates))
    assert days <= set(dates)
    for batch, due in found:
        local = due.astimezone(table.zone)
        assert local.date() == digest_day(batch)
        assert local.time() >= clock
        assert local.time() == clock or local.date() == night


def test_a_time_that_does_not_exist_is_the_first_that_does():
    assert instant_of(date(2026, 3, 29), time(2, 30), BERLIN) == datetime(
        2026, 3, 29, 1, 0, tzinfo=UTC
    )
    cairo = ZoneInfo("Africa/Cairo")
    local = instant_of(date(2026, 4, 24), time(0, 0), cairo).astimezone(cairo)
    assert f"{local:%F %T}" == "2026-04-24 01:00:00"


def test_a_time_that_exists_twice_happens_the_first_time_only():
    table = options(digest=time(2, 30), timezone=BERLIN)
    batch, due = next_digest(table, datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert (batch, due) == ("d:2026-10-25", datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    between = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)  # 02:00 for the second time
    assert next_digest(table, between)[0] == "d:2026-10-26"


def test_a_date_that_a_zone_leapt_over_has_no_digest():
    table = options(digest=time(8), timezone=ZoneInfo("Pacific/Apia"))
    start = datetime(2011, 12, 28, 12, tzinfo=UTC)
    batches = [batch for batch, _ in walk(table, start, start + timedelta(days=4))]
    assert "d:2011-12-30" not in batches
    assert {"d:2011-12-29", "d:2011-12-31"} <= set(batches)


def test_days_of_the_week_are_those_of_the_channels_zone():
    table = options(digest=time(8), days=(Weekday.MON,), timezone=ZoneInfo("Pacific/Auckland"))
    batch, due = next_digest(table, datetime(2026, 11, 21, 7, tzinfo=UTC))
    assert batch == "d:2026-11-23"
    assert due == datetime(2026, 11, 22, 19, tzinfo=UTC)


def test_a_closed_batch_is_passed_over():
    table = options(digest=time(18), timezone=BERLIN)
    noon = datetime(2026, 11, 21, 11, tzinfo=UTC)
    batch, due = next_digest(table, noon, closed={"d:2026-11-21"})
    assert batch == "d:2026-11-22"
    assert due == datetime(2026, 11, 22, 17, tzinfo=UTC)


def test_at_the_very_hour_the_next_digest_is_the_next_days():
    table = options(digest=time(8), timezone=BERLIN)
    at_eight = datetime(2026, 11, 21, 7, tzinfo=UTC)
    assert next_digest(table, at_eight)[0] == "d:2026-11-22"
    assert due_digest(table, at_eight) == ("d:2026-11-21", at_eight)


@given(
    zone=st.sampled_from([zone for zone, _ in NIGHTS]),
    now=MOMENTS,
    clock=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    days=st.sets(st.sampled_from(list(Weekday)), min_size=1),
)
def test_next_and_last_digest_agree(zone, now, clock, days):
    table = options(digest=clock, timezone=ZoneInfo(zone), days=tuple(sorted(days)))
    batch, due = next_digest(table, now)
    assert due > now
    assert due_digest(table, due) == (batch, due)
    last_batch, last_due = due_digest(table, now)
    assert last_due <= now
    assert next_digest(table, last_due - timedelta(microseconds=1)) == (last_batch, last_due)
    assert next_digest(table, last_due) == (batch, due)


def test_batches_are_named_and_read_back():
    assert batch_of(date(2026, 1, 2)) == "d:2026-01-02"
    assert digest_day("d:2026-01-02") == date(2026, 1, 2)
    assert digest_day("i:abc") is None


@pytest.mark.parametrize(
    ("local", "end"),
    [
        ("2026-11-20 21:59", None),
        ("2026-11-20 22:00", "2026-11-21 07:00"),
        ("2026-11-21 03:00", "2026-11-21 07:00"),
        ("2026-11-21 06:59", "2026-11-21 07:00"),
        ("2026-11-21 07:00", None),
    ],
)
def test_quiet_hours_reach_over_midnight(local, end):
    table = options(quiet_hours=Hours(start=time(22), end=time(7)), timezone=BERLIN)
    now = datetime.fromisoformat(local).replace(tzinfo=BERLIN)
    until = quiet_until(table, now)
    assert until == (end and datetime.fromisoformat(end).replace(tzinfo=BERLIN))


def test_quiet_hours_within_a_day_and_none_at_all():
    table = options(quiet_hours=Hours(start=time(12), end=time(14)), timezone=BERLIN)
    at_one = datetime(2026, 11, 21, 13, tzinfo=BERLIN)
    assert quiet_until(table, at_one) == datetime(2026, 11, 21, 14, tzinfo=BERLIN)
    assert quiet_until(options(timezone=BERLIN), at_one) is None


@given(
    zone=st.sampled_from([zone for zone, _ in NIGHTS]),
    now=MOMENTS,
    hours=st.tuples(st.times(), st.times()).filter(lambda pair: pair[0] != pair[1]),
)
def test_quiet_hours_end_within_a_day_and_an_hour(zone, now, hours):
    table = options(quiet_hours=Hours(start=hours[0], end=hours[1]), timezone=ZoneInfo(zone))
    until = quiet_until(table, now)
    assert until is None or now < until <= now + timedelta(hours=25)
