"""Foreign series: rows in, alerts out, with the past only."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import rising
from bench.series_data import load_papers, load_stories, unix
from tests.conftest import needs_shared
from watcher import growth
from watcher.errors import WatcherError
from watcher.growth import DAY, HOUR, WEEK
from watcher.model import Change
from watcher.rows import Alert, Row, parse_rows, read_rows, write_alerts
from watcher.series import _Paper, replay

MONDAY = 1_789_948_800
"""2026-09-21 00:00 UTC."""


def row(paper: str, hours: float, upvotes: int | None, **more: int) -> Row:
    """A look so many hours after Monday at a paper listed at Monday."""
    at = MONDAY + int(hours * HOUR)
    return Row(paper_id=paper, observed_at=at, upvotes=upvotes, **{"listed_at": MONDAY, **more})


def told(rows: list[Row], learn: list[Row] | None = None) -> list[tuple[str, float]]:
    """Who was told, how many hours after Monday."""
    return [(a.paper_id, (a.alerted_at - MONDAY) / HOUR) for a in replay(rows, learn or [])]


def day_of_papers(day: int, counts: list[int], *, look_h: float = 7.0) -> list[Row]:
    """Papers listed at the start of a day and counted once, some hours later."""
    listed = MONDAY + day * DAY
    return [
        Row(
            paper_id=f"d{day}p{i}",
            observed_at=listed + int(look_h * HOUR),
            upvotes=votes,
            listed_at=listed,
        )
        for i, votes in enumerate(counts)
    ]


USUAL = [40, 22, 15, 12, 9, 8, 7, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0]


def test_a_paper_far_above_the_usual_is_told_once_at_the_first_look_that_shows_it() -> None:
    rows = [row("a", 2, 5), row("a", 6, 90), row("a", 12, 200), row("b", 6, 8)]
    assert told(rows) == [("a", 6.0)]


def test_a_paper_under_the_floor_is_not_told_however_young_it_is() -> None:
    assert told([row("a", 0.1, growth.RISING_FLOOR - 1)]) == []
    assert told([row("a", 0.1, growth.RISING_FLOOR)]) == [("a", 0.1)]


def test_the_threshold_is_that_of_votes_needed() -> None:
    needed = growth.votes_needed(growth.PRIOR, 7, growth.RISING_MULTIPLIER)
    assert needed is not None
    assert told([row("a", 7, needed - 1)]) == []
    assert told([row("a", 7, needed)]) == [("a", 7.0)]


def test_without_a_listing_or_after_seven_days_nothing_is_told() -> None:
    unlisted = Row(paper_id="a", observed_at=MONDAY, upvotes=900)
    assert told([unlisted, row("b", 169, 900), row("c", -1, 900)]) == []


def test_a_listing_told_later_counts_from_then_on() -> None:
    unlisted = Row(paper_id="a", observed_at=MONDAY + HOUR, upvotes=900)
    assert told([unlisted, row("a", 2, 900)]) == [("a", 2.0)]


def test_a_fall_of_more_than_three_is_missing_until_three_looks_have_seen_it() -> None:
    paper = _Paper("a")
    taken = [paper.take(row("a", h, v)) for h, v in enumerate([15, 12, 5, 5, 5, 4])]
    assert taken == [True, True, False, False, True, True]
    assert [votes for _, votes in paper.looks] == [15, 12, 5, 4]


def test_a_single_faulty_look_is_forgotten() -> None:
    paper = _Paper("a")
    for hours, votes in enumerate([15, 0, 16, 0, 17]):
        paper.take(row("a", hours, votes))
    assert [votes for _, votes in paper.looks] == [15, 16, 17]


def test_the_baseline_is_learnt_from_what_was_before_the_first_row() -> None:
    learn = [r for day in range(-20, 0) for r in day_of_papers(day, [5 * v for v in USUAL])]
    prior = growth.votes_needed(growth.PRIOR, 7, growth.RISING_MULTIPLIER)
    assert prior is not None
    assert told([row("a", 7, prior)]) == [("a", 7.0)]
    assert told([row("a", 7, prior)], learn) == []
    # Records of the future teach nothing.
    later = [r for day in range(3, 23) for r in day_of_papers(day, [5 * v for v in USUAL])]
    assert told([row("a", 7, prior)], later) == [("a", 7.0)]


def test_older_records_teach_when_the_last_eight_weeks_have_too_few() -> None:
    learn = [r for day in range(-120, -100) for r in day_of_papers(day, [5 * v for v in USUAL])]
    prior = growth.votes_needed(growth.PRIOR, 7, growth.RISING_MULTIPLIER)
    assert prior is not None
    assert told([row("a", 7, prior)], learn) == []


def test_the_baseline_is_learnt_anew_on_monday_from_the_replayed_rows() -> None:
    first = [r for day in range(5) for r in day_of_papers(day, [5 * v for v in USUAL])]
    at = MONDAY + WEEK + 7 * HOUR
    prior = growth.votes_needed(growth.PRIOR, 7, growth.RISING_MULTIPLIER)
    late = Row(paper_id="z", observed_at=at, upvotes=prior, listed_at=MONDAY + WEEK)
    alone = [alert.paper_id for alert in replay([late])]
    after = [alert.paper_id for alert in replay([*first, late])]
    assert alone == ["z"]
    assert "z" not in after


def order(papers: list[str], hours: float, *, size: int | None = None) -> list[Row]:
    """A look at the order of the page, without counts."""
    return [
        row(paper, hours, None, rank=place, page_size=size or len(papers))
        for place, paper in enumerate(papers, 1)
    ]


def page(hours: float, counts: list[int]) -> list[Row]:
    return [row(f"p{i:02}", hours, votes) for i, votes in enumerate(counts)]


def test_a_paper_that_climbs_on_the_page_is_told_without_a_new_count() -> None:
    counts = [90, 60, 50, 45, 24, *USUAL[3:]]
    first = page(7, counts)
    names = [r.paper_id for r in first]
    still = told([*first, *order(names, 13)])
    climbed = [names[4], *names[:4], *names[5:]]
    moved = told([*first, *order(climbed, 13)])
    assert (names[4], 13.0) not in still
    assert (names[4], 13.0) in moved


def test_a_place_on_a_page_without_any_known_count_tells_nothing() -> None:
    names = [f"p{i:02}" for i in range(20)]
    assert told(order(names, 7)) == []
    # Nor does it tell a paper of which no count was ever known.
    known = page(6, USUAL)
    assert all(name != "new" for name, _ in told([*known, *order(["new", *names], 9)]))


def test_an_order_that_does_not_follow_the_votes_implies_none() -> None:
    counts = [90, 60, 50, 45, 24, *USUAL[3:]]
    first = page(7, counts)
    names = [r.paper_id for r in first]
    upside_down = list(reversed(names))
    assert told([*first, *order(upside_down, 13)]) == told(first)


def test_page_size_or_missing_rows_do_not_break_the_order() -> None:
    first = page(7, USUAL)
    places = [row(r.paper_id, 12, None, rank=5 + i) for i, r in enumerate(first[:3])]
    assert told([*first, *places]) == told(first)
    odd = [row("p00", 12, None, rank=0, page_size=0), row("p00", 12, None)]
    assert told([*first, *odd])[:1] == told(first)[:1]


def test_where_the_order_is_seen_again_soon_a_first_look_must_be_surer() -> None:
    def week(*, with_order: bool) -> list[Row]:
        rows = []
        for day in range(3):
            counted = day_of_papers(day, USUAL)
            rows += counted
            if with_order:
                for place, r in enumerate(counted, 1):
                    then = r.observed_at + 2 * HOUR
                    rows.append(
                        Row(paper_id=r.paper_id, observed_at=then, rank=place, page_size=20)
                    )
        return rows

    listed = MONDAY + 3 * DAY
    needed = growth.votes_needed(growth.PRIOR, 7, growth.RISING_MULTIPLIER)
    likely = Row(paper_id="x", observed_at=listed + 7 * HOUR, upvotes=needed, listed_at=listed)
    assert "x" in {a.paper_id for a in replay([*week(with_order=False), likely])}
    assert "x" not in {a.paper_id for a in replay([*week(with_order=True), likely])}


looks = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 400), st.integers(0, 150), st.booleans()),
    max_size=60,
)


@given(looks, st.integers(0, 400))
def test_no_alert_depends_on_a_row_of_the_future(
    seen: list[tuple[int, int, int, bool]], cut: int
) -> None:
    rows = [
        row(f"p{p}", h, None if blind else v, rank=p + 1, page_size=13) for p, h, v, blind in seen
    ]
    until = MONDAY + cut * HOUR
    whole = [a for a in replay(rows) if a.alerted_at <= until]
    assert whole == list(replay([r for r in rows if r.observed_at <= until]))


@given(looks, st.randoms())
def test_the_order_of_rows_in_the_file_is_irrelevant(
    seen: list[tuple[int, int, int, bool]], chance: object
) -> None:
    rows = list({(p, h): row(f"p{p}", h, v) for p, h, v, _ in seen}.values())
    shuffled = sorted(rows, key=lambda _: chance.random())  # type: ignore[attr-defined]
    assert list(replay(rows)) == list(replay(shuffled))


@given(looks)
def test_a_paper_is_told_at_most_once(seen: list[tuple[int, int, int, bool]]) -> None:
    rows = [row(f"p{p}", h, v) for p, h, v, _ in seen]
    names = [name for name, _ in told(rows)]
    assert len(names) == len(set(names))


@needs_shared
@pytest.mark.slow
def test_on_the_real_stories_winners_are_found_hours_before_they_have_won() -> None:
    stories = load_stories()
    since, until = unix("2026-04-22"), unix("2026-04-26")
    winners, risers = rising.story_cases(stories, since, until)
    alerts = rising.shipped(winners, stories)
    found = rising.score(rising.tell(winners, alerts))
    assert found.f1 >= 0.9
    assert found.lead_h is not None
    assert found.lead_h >= 2.8
    assert rising.score(rising.tell(risers, alerts)).f1 >= 0.65


@needs_shared
@pytest.mark.slow
def test_on_the_real_papers_the_order_of_the_page_finds_more_winners() -> None:
    papers = load_papers()
    cases = rising.between(rising.winner_cases(papers), "2026-02-01", "2026-03-18")
    once = rising.score(rising.tell(cases, rising.shipped(cases, papers)))
    orders = rising.order_rows(papers)
    again = rising.score(rising.tell(cases, rising.shipped(cases, papers, orders=orders)))
    assert once.top20 >= 0.95
    assert once.alerts <= 2.5
    assert again.f1 >= once.f1 + 0.05


# --- CSV -----------------------------------------------------------------------------------

HEAD = "paper_id,observed_at,upvotes,listed_at,rank,page_size,comments\n"


def test_rows_are_read_with_empty_fields_unknown_and_other_columns_ignored() -> None:
    lines = [
        HEAD,
        "2609.00001,2026-09-21T07:00:00Z,12,2026-09-21T00:00:00+00:00,,,5\n",
        "some text,2026-09-21 09:00:00,,,3.0,48,\n",
    ]
    assert list(parse_rows(lines)) == [
        Row(
            paper_id="2609.00001",
            observed_at=MONDAY + 7 * HOUR,
            upvotes=12,
            listed_at=MONDAY,
        ),
        Row(paper_id="some text", observed_at=MONDAY + 9 * HOUR, rank=3, page_size=48),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a,yesterday,1,\n", "series, line 2: observed_at 'yesterday' is not a time"),
        ("a,2026-09-21T07:00:00Z,many,\n", "line 2: upvotes 'many' is not a count"),
        ("a,2026-09-21T07:00:00Z,1.5,\n", "line 2: upvotes '1.5' is not a count"),
        (",2026-09-21T07:00:00Z,1,\n", "line 2: paper_id and observed_at must not be empty"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(line: str, complaint: str) -> None:
    with pytest.raises(WatcherError, match=complaint):
        list(parse_rows([HEAD, line]))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(WatcherError, match="no column upvotes, listed_at; a series needs"):
        list(parse_rows(["paper_id,observed_at\n"]))


def test_a_gzipped_series_is_read_and_the_alerts_are_written(tmp_path: Path) -> None:
    source = tmp_path / "series.csv.gz"
    with gzip.open(source, "wt", encoding="utf-8") as file:
        file.write("paper_id,observed_at,upvotes,listed_at\n")
        file.write("a,2026-09-21T06:00:00Z,90,2026-09-21T00:00:00Z\n")
    out = tmp_path / "alerts.csv"
    assert write_alerts(out, replay(read_rows(source))) == 1
    with out.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["paper_id", "alerted_at", "kind", "upvotes", "multiplier"],
            ["a", "2026-09-21T06:00:00Z", "rising", "90", f"{_multiplier(90, 6):.3f}"],
        ]


def _multiplier(votes: int, age_h: float) -> float:
    usual = growth.PRIOR.expected(age_h)
    assert usual is not None
    return votes / usual


def test_a_file_that_is_not_there_or_not_gzip_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(WatcherError, match=r"absent\.csv: cannot be read"):
        read_rows(tmp_path / "absent.csv")
    fake = tmp_path / "fake.csv.gz"
    fake.write_text("paper_id", encoding="utf-8")
    with pytest.raises(WatcherError, match=r"fake\.csv\.gz: cannot be read"):
        read_rows(fake)
    alert = Alert(paper_id="a", alerted_at=0, kind=Change.RISING, upvotes=1, multiplier=1.0)
    with pytest.raises(WatcherError, match="cannot be written"):
        write_alerts(tmp_path / "no" / "folder.csv", [alert])
