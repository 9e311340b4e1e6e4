"""What is visited when: intervals, past days, waits, fairness, jumps of the clock."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from watcher.agenda import MOST_TROUBLED, Agenda, past_days
from watcher.channels import OPTIONS
from watcher.config import Source, day_pages, host_of, parse

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def config(*sources, fetch=""):
    text = "[watcher]\ncontact = 'mailto:a@example.org'\n[fetch]\nallow_private = true\n" + fetch
    for name, url, more in sources:
        text += f"\n[[source]]\nname = {name!r}\nurl = {url!r}\n{more}\n"
    return parse(text.encode(), OPTIONS, env={}, folder=Path("/nowhere"))


TRENDING = ("trending", "https://example.org/papers/trending", "every = '30m'")
DAILY = ("daily", "https://example.org/papers", "every = '1h'\nfollow = '3d'")


def take_all(agenda, now):
    found = []
    while (target := agenda.take(now)) is not None:
        found.append(target.name)
        agenda.done(target, now)
    return found


def test_what_was_never_visited_is_due_at_once_and_then_after_its_interval():
    agenda = Agenda(config(TRENDING), now=NOW, due={})
    target = agenda.take(NOW)
    assert target.name == "trending"
    assert agenda.take(NOW) is None
    due = agenda.done(target, NOW)
    assert HOUR / 2 <= due - NOW <= HOUR * 0.56
    assert agenda.take(due - timedelta(seconds=1)) is None
    assert agenda.take(due).name == "trending"


def test_a_stored_due_time_outlives_a_restart_but_never_by_more_than_an_interval():
    for stored, expected in ((NOW + HOUR / 4, NOW + HOUR / 4), (NOW + 9 * HOUR, NOW + HOUR / 2)):
        agenda = Agenda(config(TRENDING), now=NOW, due={"trending": stored})
        assert agenda.due_at("trending") == expected
    agenda = Agenda(config(TRENDING), now=NOW, due={"trending": NOW - 9 * HOUR})
    assert agenda.take(NOW).name == "trending"


def test_a_daily_source_visits_its_past_days_at_a_falling_pace():
    agenda = Agenda(config(DAILY), now=NOW, due={})
    assert take_all(agenda, NOW) == [
        "daily", "daily@2026-11-15", "daily@2026-11-16", "daily@2026-11-17",
    ]  # fmt: skip
    waits = [agenda.due_at(f"daily@2026-11-{day}") - NOW for day in (17, 16, 15)]
    assert waits == sorted(waits)
    assert waits[0] >= 2 * HOUR
    assert agenda.target("daily@2026-11-17").url == "https://example.org/papers/date/2026-11-17"
    assert agenda.target("daily@2026-11-17").family == "daily"
    agenda.follow(NOW + timedelta(days=1))
    assert "daily@2026-11-15" not in agenda.names()
    assert "daily@2026-11-18" in agenda.names()


@pytest.mark.parametrize(
    ("url", "day_url"),
    [
        ("https://x.org/papers", "https://x.org/papers/date/2026-11-01"),
        ("https://x.org/papers/", "https://x.org/papers/date/2026-11-01"),
        ("https://x.org/api/daily_papers?limit=100",
         "https://x.org/api/daily_papers?limit=100&date=2026-11-01"),
        ("https://x.org/api/daily_papers?date=2026-10-01", None),
        ("https://x.org/api/daily_papers?sort=trending", None),
        ("https://x.org/papers/trending", None),
        ("https://x.org/papers?q=speech", None),
        ("https://x.org/papers/date/2026-10-01", None),
        ("https://x.org/papers/week/2026-W40", None),
    ],
)  # fmt: skip
def test_only_todays_list_has_past_days(url, day_url):
    found = day_pages(url)
    assert (found and found(date(2026, 11, 1))) == day_url


@pytest.mark.parametrize(
    ("every", "paces"),
    [
        (1 / 6, [1, 1, 8 / 6, 16 / 6, 32 / 6, 64 / 6, 12]),
        (1, [2, 4, 8, 12, 12, 12, 12]),
        (24, [24] * 7),
    ],
)
def test_the_older_the_day_the_rarer_between_an_hour_and_twelve(every, paces):
    source = Source(name="a", url="https://x.org/papers")
    found = list(past_days(source, NOW.date(), every * HOUR))
    assert [pace for _, pace in found] == [pace * HOUR for pace in paces]
    assert [target.day.day for target, _ in found] == [17, 16, 15, 14, 13, 12, 11]


def test_following_can_be_turned_off():
    source = Source(name="a", url="https://x.org/papers", follow=timedelta(0))
    assert list(past_days(source, NOW.date(), HOUR)) == []


def test_after_failures_the_waits_grow_and_what_the_site_asks_for_is_kept():
    agenda = Agenda(config(TRENDING), now=NOW, due={})
    target = agenda.take(NOW)
    waits = []
    for failures in (1, 3, 6, 8, 20):
        waits.append(agenda.done(target, NOW, failures=failures) - NOW)
        agenda._busy[target.host] = 1
    assert waits[0] < HOUR
    assert waits[2] >= HOUR
    assert 6 * HOUR <= waits[-1] <= 6.6 * HOUR
    asked = agenda.done(target, NOW, failures=1, retry_after=7200.0) - NOW
    assert asked >= 2 * HOUR


def test_a_turn_that_falls_into_a_pause_of_the_host_is_taken_when_the_pause_ends():
    daily = ("daily", "https://example.org/papers/trending", "every = '1d'")
    agenda = Agenda(config(daily), now=NOW, due={})
    target = agenda.take(NOW)
    due = agenda.done(target, NOW, failures=0, retry_after=600.0)  # nobody was asked
    assert timedelta(minutes=10) <= due - NOW <= timedelta(minutes=11)


def test_a_host_with_many_due_sources_does_not_keep_others_waiting():
    many = [(f"s{n}", f"https://big.example/papers?q={n}", "every = '1h'") for n in range(20)]
    agenda = Agenda(
        config(*many, ("other", "https://small.example/papers?q=a", "")), now=NOW, due={}
    )
    taken = [agenda.take(NOW).name for _ in range(3)]
    assert "other" in taken
    assert agenda.take(NOW) is None  # two at a time per host


def test_the_longest_overdue_goes_first():
    due = {"a": NOW - HOUR, "b": NOW - 3 * HOUR, "c": NOW - 2 * HOUR}
    sources = [(n, f"https://{n}.example/papers?q=1", "every = '9h'") for n in "abc"]
    agenda = Agenda(config(*sources), now=NOW, due=due)
    assert take_all(agenda, NOW) == ["b", "c", "a"]


def test_hosts_that_hang_leave_room_for_the_others():
    dead = [
        (f"d{n}{i}", f"https://dead{n}.example/papers?q={i}", "every = '5m'")
        for n in range(12)
        for i in range(3)
    ]
    well = ("well", "https://well.example/papers/trending", "every = '5m'")
    agenda = Agenda(config(*dead, well), now=NOW, due={"well": NOW})
    hung = [agenda.take(NOW) for _ in range(16)]
    assert "well" not in {target.name for target in hung}  # nobody knows yet
    later = NOW + timedelta(seconds=30)
    for target in hung:
        agenda.done(target, later, failures=1, due_at=later)
    names = []
    while (target := agenda.take(later)) is not None:
        names.append(target.name)
    assert "well" in names
    troubled = {target.host for target in hung}
    assert sum(agenda.target(name).host in troubled for name in names) == MOST_TROUBLED
    agenda.done(hung[0], later)
    assert agenda.take(later).host == hung[0].host  # it answers again


def test_hosts_that_may_be_asked_rarely_leave_everybody_free_for_the_others():
    slow = [
        (f"s{n}{i}", f"https://slow{n}.example/papers?q={i}", "every = '5m'")
        for n in range(9)
        for i in range(3)
    ]
    well = ("well", "https://well.example/papers/trending", "every = '5m'")
    agenda = Agenda(config(*slow, well), now=NOW, due={"well": NOW})
    left = dict.fromkeys(map(host_of, (url for _, url, _ in slow)), 0.0)

    def turns(url):
        return left.get(host_of(url), 0.0), 60.0

    def names(now):
        taken = iter(lambda: agenda.take(now, turns), None)
        return [target.name for target in taken]

    assert names(NOW) == [*(f"s{n}0" for n in range(9)), "well"]
    later = NOW + timedelta(seconds=60)
    left["slow3.example"] = 20.0  # something else was asked of it meanwhile
    assert names(later) == [f"s{n}1" for n in range(9) if n != 3]
    left["slow3.example"] = 0.0
    assert names(later + timedelta(seconds=18)) == []
    assert names(later + timedelta(seconds=20)) == ["s31"]


def test_a_clock_set_back_holds_no_host():
    agenda = Agenda(config(TRENDING, DAILY), now=NOW, due={})

    def turns(_):
        return 0.0, 60.0

    assert agenda.take(NOW, turns) is not None
    assert agenda.take(NOW, turns) is None
    earlier = NOW - 5 * HOUR
    agenda.turn_clock(earlier)
    assert agenda.take(earlier, turns) is not None


@pytest.mark.parametrize("ends", [Agenda.done, lambda agenda, target, _: agenda.give_back(target)])
def test_a_visit_may_end_when_nobody_follows_its_day_any_more(ends):
    agenda = Agenda(config(DAILY), now=NOW, due={"daily": NOW + HOUR})
    oldest, _ = agenda.take(NOW), agenda.take(NOW)
    assert (oldest.name, agenda.take(NOW)) == ("daily@2026-11-15", None)  # two at a time per host
    tomorrow = NOW + timedelta(days=1)
    agenda.follow(tomorrow)
    assert oldest.name not in agenda.names()
    assert agenda.after(oldest, tomorrow) == tomorrow
    ends(agenda, oldest, tomorrow)
    assert agenda.take(tomorrow) is not None
    assert agenda.take(tomorrow) is None
    assert oldest.name not in agenda.names()


def test_another_config_goes_on_where_the_last_one_was():
    a, b, c, d = (
        (name, f"https://{name}.example/papers?q=1", "every = '1h'")
        for name in ("a", "b", "c", "d")
    )
    due = {"a": NOW - 2 * HOUR, "b": NOW - HOUR, "c": NOW + HOUR / 2}
    before = Agenda(config(a, b, c), now=NOW, due=due)
    running = before.take(NOW)
    after = Agenda(config(d, c, b, a), now=NOW, due={})
    after.take_over(before, NOW)
    assert take_all(after, NOW) == ["b", "d"]  # b had become due, d is new
    assert after.due_at("c") == NOW + HOUR / 2
    assert after.take(NOW) is None, "a is under way"
    again = after.done(running, NOW)
    assert after.take(again - timedelta(seconds=1)).name == "c"
    assert "a" in take_all(after, again)


def test_visits_under_way_keep_their_slots_under_another_config():
    many = [(f"s{n}", f"https://big.example/papers?q={n}", "every = '1h'") for n in range(4)]
    before = Agenda(config(*many), now=NOW, due={})
    dropped, other = before.take(NOW), before.take(NOW)
    after = Agenda(config(*many[1:]), now=NOW, due={})
    after.take_over(before, NOW)
    assert after.take(NOW) is None
    after.done(dropped, NOW)
    assert after.take(NOW).name == "s2"
    assert after.take(NOW) is None
    after.done(other, NOW)
    assert after.take(NOW).name == "s3"


def test_hosts_that_hang_still_leave_room_under_another_config():
    dead = [(f"d{n}", f"https://dead{n}.example/papers?q=1", "every = '5m'") for n in range(12)]
    before = Agenda(config(*dead), now=NOW, due={})
    for target in [before.take(NOW) for _ in dead]:
        before.done(target, NOW, failures=1)
    after, later = Agenda(config(*dead), now=NOW, due={}), NOW + HOUR
    after.take_over(before, NOW)
    taken = [after.take(later) for _ in dead]
    assert len([target for target in taken if target]) == MOST_TROUBLED


def test_a_clock_set_back_does_not_silence_a_source():
    agenda = Agenda(config(TRENDING), now=NOW, due={})
    target = agenda.take(NOW)
    agenda.done(target, NOW)
    earlier = NOW - 5 * HOUR
    agenda.turn_clock(earlier)
    assert agenda.due_at("trending") <= earlier + HOUR
    assert agenda.take(earlier + HOUR).name == "trending"


def test_sources_are_visited_in_their_active_hours_only():
    hours = ("trending", TRENDING[1], "every = '2h'\nactive = '06:00-13:00'")
    agenda = Agenda(config(hours), now=NOW, due={})
    target = agenda.take(NOW)
    morning = datetime(2026, 11, 19, 6, tzinfo=UTC)
    assert morning <= agenda.done(target, NOW) <= morning + timedelta(minutes=12)


def test_many_watchers_do_not_come_at_the_same_instant():
    """An opening and the midnight that makes a day a past one are the same for all of them."""
    hours = ("trending", TRENDING[1], "every = '1h'\nactive = '06:00-13:00'")
    night = NOW.replace(hour=23)
    opened, past = [], []
    for seed in range(200):
        agenda = Agenda(config(hours, DAILY), now=night, due={"trending": night}, seed=seed)
        opened.append(agenda.due_at("trending"))
        agenda.follow(NOW + 12 * HOUR)
        past.append(agenda.due_at("daily@2026-11-18"))
    for dues, shared in ((opened, NOW + 18 * HOUR), (past, NOW + 12 * HOUR)):
        assert shared <= min(dues) <= max(dues) <= shared + timedelta(minutes=15)
        assert max(dues) - min(dues) >= timedelta(minutes=5)
        assert max(sum(a <= b < a + HOUR / 60 for b in dues) for a in dues) < 60


def test_an_opening_of_minutes_is_not_missed():
    hours = ("trending", TRENDING[1], "every = '6h'\nactive = '06:00-06:05'")
    morning = datetime(2026, 11, 19, 6, tzinfo=UTC)
    for seed in range(50):
        agenda = Agenda(config(hours), now=NOW, due={"trending": NOW}, seed=seed)
        assert morning <= agenda.due_at("trending") < morning + timedelta(minutes=5)


@pytest.mark.parametrize("hours", ["08:00-09:00", "23:30-00:30"])
def test_a_source_that_is_visited_daily_in_one_hour_is_visited_every_day(hours):
    daily = ("daily", TRENDING[1], f"every = '1d'\nactive = '{hours}'")
    agenda, now = Agenda(config(daily), now=NOW, due={"daily": NOW}), NOW
    for _ in range(100):
        now = agenda.due_at("daily")
        agenda.done(agenda.take(now), now + timedelta(seconds=2))
    assert now - NOW < timedelta(days=100)
    asked = agenda.done(agenda.target("daily"), now, failures=1, retry_after=86_400.0)
    assert asked >= now + timedelta(days=1), "a site that demands a day gets it"


@pytest.mark.parametrize("hours", ["08:00-12:00", "22:00-02:00"])
def test_a_source_that_is_visited_daily_in_a_few_hours_misses_none_of_them(hours):
    daily = ("daily", TRENDING[1], f"every = '1d'\nactive = '{hours}'")
    agenda, now = Agenda(config(daily), now=NOW, due={"daily": NOW}), NOW
    for _ in range(200):
        before, now = now, agenda.due_at("daily")
        assert now - before < timedelta(hours=24 + 4)
        agenda.done(agenda.take(now), now + timedelta(seconds=2))


def test_neither_a_restart_nor_a_reload_nor_a_new_day_leads_out_of_the_active_hours():
    hours = ("daily", DAILY[1], "every = '1h'\nfollow = '2d'\nactive = '06:00-23:00'")
    night, morning = NOW.replace(hour=23, minute=30), datetime(2026, 11, 19, 6, tzinfo=UTC)
    names = ("daily", "daily@2026-11-16", "daily@2026-11-17")
    for stored in (NOW, night - HOUR, morning):
        started = Agenda(config(hours), now=night, due=dict.fromkeys(names, stored))
        dues = [started.due_at(name) for name in names]
        assert morning <= min(dues) <= max(dues) <= morning + HOUR / 4
    reloaded = Agenda(config(hours), now=night, due={})
    reloaded.take_over(Agenda(config(DAILY), now=night, due={}), night)
    assert take_all(reloaded, night) == []
    midnight = NOW + 12 * HOUR
    started.follow(midnight)
    assert take_all(started, midnight) == []
    assert "daily" in take_all(started, morning + HOUR / 4)


def test_a_day_that_is_past_following_while_it_waits_for_its_turn_ends_nothing():
    agenda = Agenda(config(DAILY, fetch="per_host_concurrency = 1\n"), now=NOW, due={})
    source = agenda.take(NOW)
    assert agenda.waiting == 3  # the past days, behind the source that is being visited
    tomorrow = NOW + 12 * HOUR
    agenda.follow(tomorrow)
    assert agenda.waiting == 2
    agenda.done(source, NOW)
    assert take_all(agenda, tomorrow + HOUR / 4) == [
        "daily@2026-11-16", "daily@2026-11-17", "daily", "daily@2026-11-18",
    ]  # fmt: skip


def test_intervals_stretch_to_what_the_rate_of_a_host_allows():
    many = [(f"s{n}", f"https://big.example/papers?q={n}", "every = '1m'") for n in range(30)]
    agenda = Agenda(config(*many, fetch="per_host_rate = 0.1\n"), now=NOW, due={})
    target = agenda.take(NOW)
    assert agenda.done(target, NOW) - NOW >= timedelta(minutes=5)
