"""What stands on the pages, for people and for screen readers; hostile words do nothing."""

import random
import re
from datetime import time, timedelta
from html.parser import HTMLParser
from types import SimpleNamespace

import msgspec
import pytest

from tests.hostile import MARK, TITLES
from tests.snapshots import card
from tests.webworld import (
    NOW,
    SOURCES,
    FixedClock,
    _visit,
    changed,
    config,
    copy_of,
    fill,
    seeded,
    visiting,
)
from watcher.config import Hours
from watcher.growth import HOUR, WEEK, learn
from watcher.model import Counts, Event, EventType, MessageState, PageKind
from watcher.rulebook import compile_rules
from watcher.rules import compile_rule
from watcher.store import open_records
from watcher.store.pages import Visit
from watcher.visit import App
from watcher.web import state_pages
from watcher.web.bands import bands
from watcher.web.context import TrialPaper, Tried


@pytest.fixture
def path(tmp_path):
    return copy_of(seeded(), tmp_path)


class Outline(HTMLParser):
    """Headings, ids, labels and controls of a page."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.ids, self.labels, self.fields, self.links = [], [], set(), [], []
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "label" and "for" in given:
            self.labels.add(given["for"])
        if tag in ("input", "select") and given.get("type") not in ("hidden", "checkbox", "radio"):
            self.fields.append(given.get("id"))
        if tag == "a":
            self.links.append(given.get("href"))


EVERY = ["/", "/search", "/search?q=agent*", "/rules", "/rules/fast", "/sources", "/deliveries",
         "/feeds", "/?day=2026-11-18"]  # fmt: skip


async def test_a_paper_s_page_asks_source_of_one_source_at_a_time_as_rules_do(path):
    """The paper is on both lists: a rule that asks for one is met, for both at once never."""
    asked = {
        "one": "source:trending NOT source:daily",
        "both": "source:trending AND source:daily",
    }
    with open_records(path) as records:
        row = next(
            row
            for (row,) in records.conn.execute("select id from papers")
            if set(records.papers.sources_of(row)) == {"daily", "trending"}
        )
        name = records.papers.get(row).name
    async with visiting(path) as (visitor, context):
        context.use(context.config, [compile_rule(name, query=q) for name, q in asked.items()])
        text = (await visitor.get(f"/papers/{name}")).text
    marks = {
        rule: re.findall(r"query</th>.*?(✓|✗|[?] unknown)", words, re.DOTALL)
        for rule, words in zip(asked, re.split(r'<details class="verdict"', text)[1:], strict=True)
    }
    assert marks == {"one": ["✓"] * 3, "both": ["✗"] * 3}


def test_eight_in_ten_papers_are_within_the_band_that_was_learnt_from_them():
    """Where papers are much alike the usual count is half their mean: the band is not."""
    listed = 1_790_000_000
    papers = [
        (listed, tuple((listed + h * HOUR, 80 + n % 41) for h in range(0, 168, 8)))
        for n in range(2_000)
    ]
    learnt = learn(papers, listed + WEEK)
    for band in bands(learnt):
        inside = sum(band.low <= 80 + n % 41 <= band.high for n in range(2_000))
        assert inside >= 1_600, band


# --- every page -------------------------------------------------------------------------


async def test_every_page_has_one_title_an_ordered_outline_and_named_fields(path):
    async with visiting(path) as (visitor, _):
        name = (await visitor.get("/api/v1/papers?limit=1")).json["papers"][0]["paper_id"]
        for route in [*EVERY, f"/papers/{name}"]:
            page = Outline((await visitor.get(route)).text)
            assert page.headings.count(1) == 1, route
            steps = zip(page.headings, page.headings[1:], strict=False)
            assert all(after - before <= 1 for before, after in steps), route
            assert len(page.ids) == len(set(page.ids)), route
            assert set(page.fields) <= page.labels, route


async def test_every_time_carries_its_instant_for_the_readers_zone(path):
    async with visiting(path) as (visitor, _):
        text = (await visitor.get("/sources")).text
        times = re.findall(r"<time ([^>]*)>", text)
        assert times
        assert all(re.search(r'datetime="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"', t) for t in times)


async def test_an_address_that_leads_nowhere_is_a_helpful_page(path):
    async with visiting(path) as (visitor, _):
        for route, status in (("/nothing", 404), ("/papers/0000.00000", 404), ("/rules/none", 404)):
            answer = await visitor.get(route)
            assert answer.status == status
            assert "<h1>" in answer.text


async def test_an_empty_store_has_pages_too(tmp_path):
    async with visiting(tmp_path / "new.db") as (visitor, context):
        for route in EVERY:
            assert (await visitor.get(route)).status == 200, route
        assert "Nothing has been seen yet" in (await visitor.get("/")).text
        context.use(config(tmp_path / "new.db"), ())
        assert "There are no rules yet" in (await visitor.get("/rules")).text


# --- today ------------------------------------------------------------------------------


async def test_today_shows_what_was_told_with_its_reasons(path):
    async with visiting(path) as (visitor, context):
        text = (await visitor.get("/")).text
        since = NOW - timedelta(days=1)
        events = await context.store.read(lambda r: r.pages.told(since, NOW))
        assert events
        for event in events:
            assert f"/papers/{event.paper.name}" in text
        assert "surely" in text
        assert text.index('id="rising"') < text.index('id="new"')


async def test_what_was_known_at_the_first_look_is_not_told(path):
    async with visiting(path) as (visitor, context):
        known = await context.store.read(
            lambda r: [e for e in r.events.after(0) if e.known and e.paper]
        )
        told = await context.store.read(lambda r: {e.paper.row for e in r.events.latest(limit=9999)
                                                    if e.paper})  # fmt: skip
        alone = [e for e in known if e.paper.row not in told]
        assert alone
        text = (await visitor.get(f"/?day={alone[0].at:%Y-%m-%d}")).text
        assert f"/papers/{alone[0].paper.name}" not in text


async def test_a_day_can_be_chosen_and_days_are_those_of_the_watchers_zone(path):
    async with visiting(path) as (visitor, _):
        text = (await visitor.get("/?day=2026-11-18")).text
        assert "Wed 18 Nov" in text
        assert "/?day=2026-11-17" in text
        assert "/?day=2026-11-19" in text
        for bad in ("x", "2026-13-01", "0001-01-01", "9999-12-31"):
            assert (await visitor.get(f"/?day={bad}")).status == 400


async def test_a_blind_source_is_said_on_the_first_page(path):
    async with visiting(path) as (visitor, _):
        assert "<strong>broken</strong> cannot be read since" in (await visitor.get("/")).text


# --- a paper ----------------------------------------------------------------------------


async def test_a_paper_shows_its_curve_band_verdicts_and_where_it_was_seen(path):
    async with visiting(path) as (visitor, context):
        events = await context.store.read(lambda r: r.pages.latest_of("fast", limit=200))
        rising = next(e for e in events if e.type is EventType.RISING and e.paper.listed_at)
        text = (await visitor.get(f"/papers/{rising.paper.name}")).text
        assert text.count('class="plot wide"') == 1
        assert 'class="band"' in text
        assert 'class="mark rising"' in text
        assert "eight in ten papers" in text
        for rule in context.rules:
            assert rule.name.replace("&", "&amp;") in text
        assert "✓ met" in text
        assert "✗ not met" in text
        assert rising.reason in text
        assert "daily" in text


async def test_the_year_a_paper_was_published_is_said_once(path):
    async with visiting(path) as (visitor, context):
        key = await context.store.write(
            lambda r: (
                r.conn.execute(
                    "update texts set published_on = '2025-03-04' returning paper"
                ).fetchall()
                and r.conn.execute("select key from papers limit 1").fetchone()[0]
            )
        )
        assert "published Tue 4 Mar 2025." in (await visitor.get(f"/papers/{key}")).text.replace(
            ", submitted", "."
        )


async def test_a_paper_is_found_by_version_and_by_its_titles_hash(path):
    async with visiting(path) as (visitor, context):
        paper = await context.store.read(lambda r: r.papers.latest(limit=1)[0])
        assert (await visitor.get(f"/papers/{paper.arxiv_id}v3")).status == 200
        assert (await visitor.get(f"/papers/t:{paper.title_hash}")).status == 200


# --- search -----------------------------------------------------------------------------


async def test_search_takes_words_and_the_syntax_of_rules(path):
    async with visiting(path) as (visitor, context):
        all_ = await context.store.read(lambda r: r.papers.latest())
        word = "agent"
        hits = [p for p in all_ if re.search(rf"\b{word}", p.title, re.IGNORECASE)]
        text = (await visitor.get(f"/search?q=title:{word}*&sort=new")).text
        assert hits
        assert all(f"/papers/{p.name}" in text for p in hits[:20])
        many = max(p.upvotes or 0 for p in all_)
        text = (await visitor.get(f"/search?q=upvotes:%3E={many}")).text
        assert len(set(re.findall(r'<h2><a href="(/papers/[^"]+)', text))) >= 1


async def test_a_query_that_cannot_be_read_gets_a_hint_and_keeps_what_was_typed(path):
    async with visiting(path) as (visitor, _):
        answer = await visitor.get("/search?q=titel:%22x%22")
        assert answer.status == 400
        assert "did you mean title" in answer.text
        assert 'value="titel:&#34;x&#34;"' in answer.text
        assert 'aria-invalid="true"' in answer.text


async def test_results_go_on_page_by_page_without_doubles(path):
    async with visiting(path) as (visitor, context):
        total = await context.store.read(lambda r: r.pages.count_papers())
        for sort in ("new", "votes"):
            seen, route = [], f"/api/v1/papers?limit=50&sort={sort}"
            following = ""
            while following is not None:
                page = (
                    await visitor.get(f"{route}&start={following}" if following else route)
                ).json
                seen += [p["paper_id"] for p in page["papers"]]
                following = page["next"]
            assert len(seen) == len(set(seen))
            if sort == "new":
                assert len(seen) == total


# --- rules ------------------------------------------------------------------------------


async def test_rules_say_what_they_told_what_it_costs_and_what_was_learnt(path):
    async with visiting(path) as (visitor, _):
        text = (await visitor.get("/rules")).text
        assert "told a day" in text
        assert "rising needs" in text
        assert "agents &amp; tools" in text
        text = (await visitor.get("/rules/agents%20%26%20tools")).text
        assert "agent* OR tool* OR plan*" in text


async def test_recorded_history_is_judged_by_a_changed_rule(path):
    async with visiting(path) as (visitor, context):
        as_it_is = (await visitor.get("/rules/fast?try=1&min_multiplier=2")).text
        told = await context.store.read(lambda r: len(r.pages.latest_of("fast", limit=999)))
        assert f"told <strong>{told}</strong>, " in as_it_is
        assert f"would have told <strong>{told}</strong> changes" in as_it_is
        calmer = (await visitor.get("/rules/fast?try=1&min_multiplier=6&days=60")).text
        assert "No longer told" in calmer
        assert f"would have told <strong>{told}</strong>" not in calmer
        assert await context.store.read(lambda r: r.events.count())


async def test_a_change_of_a_rule_is_tried_on_the_page(path):
    asked = []

    async def try_rule(trial):
        asked.append(trial)
        paper = TrialPaper(row=1, title="A <b>", name="2611.00001", at=NOW, kind="new", top=True)
        return Tried(days=7.0, told=14, before=7, only_now=(paper,), missed_top=2)

    async with visiting(path, hooks={"try_rule": try_rule}) as (visitor, _):
        query = "try=1&query=robot*&min_upvotes=30&min_multiplier=2,5&days=7"
        text = (await visitor.get(f"/rules/fast?{query}")).text
        assert (asked[0].query, asked[0].min_upvotes, asked[0].min_multiplier) == (
            "robot*",
            30,
            2.5,
        )
        assert "2.0 a day" in text
        assert "A &lt;b&gt;" in text
        for bad in ("query=title:(", "min_upvotes=x", "min_multiplier=nan", "days=0"):
            answer = await visitor.get(f"/rules/fast?try=1&{bad}")
            assert answer.status == 400
            assert 'role="alert"' in answer.text
            field, _, written = bad.partition("=")
            (wrong,) = re.findall(r"<input[^>]*aria-invalid[^>]*>", answer.text)
            assert f'name="{field}"' in wrong
            assert f'value="{written}"' in wrong
            assert "autofocus" in wrong
        assert len(asked) == 1


# --- deliveries -------------------------------------------------------------------------


async def test_a_dead_message_can_be_sent_again_from_the_page(path):
    async with visiting(path) as (visitor, context):
        event = await context.store.read(lambda r: r.pages.latest_of(None, limit=1)[0])

        def owe(records):
            records.outbox.open("mail", "i:1", due_at=NOW, to=["team@example.org"], now=NOW)
            key = records.outbox.lines()[0].key
            records.outbox.dead(key, NOW, error="<b>no such server</b>")
            return key

        key = await context.store.write(owe)
        text = (await visitor.get("/deliveries")).text
        assert "&lt;b&gt;no such server" in text
        answer = await visitor.post(f"/deliveries/{key}/resend")
        assert answer.status == 303
        line = await context.store.read(lambda r: r.outbox.line(key))
        assert line.state is MessageState.WAITING
        assert "It is due now" in (await visitor.get(answer.headers["Location"])).text
        assert event


async def test_a_long_result_of_a_trial_says_how_much_is_left_out(path):
    async def try_rule(trial):
        papers = tuple(
            TrialPaper(row=n, title=f"P{n}", name=f"2611.{n:05}", at=NOW, kind="new")
            for n in range(43)
        )
        return Tried(days=1.0, told=1, before=0, only_now=papers, caught_top=1)

    async with visiting(path, hooks={"try_rule": try_rule}) as (visitor, _):
        text = (await visitor.get("/rules/fast?try=1")).text
        assert "… and 3 more" in text
        assert "In 1 day it would have told <strong>1</strong> change," in text
        assert "Of 1 paper it is about" in text


async def test_a_rule_that_is_gone_is_no_quiet_day(path):
    async with visiting(path) as (visitor, _):
        assert (await visitor.get("/?rule=fast")).status == 200
        assert (await visitor.get("/?rule=gone")).status == 404


async def test_a_page_of_sources_behind_the_last_leads_back(path):
    async with visiting(path) as (visitor, _):
        text = (await visitor.get("/sources?start=900")).text
        assert "the first of them" in text
        assert "No source is configured" not in text


def test_visits_on_their_schedule_leave_no_hole_in_the_strip():
    every, at = timedelta(minutes=30), NOW - timedelta(days=1)
    chance, visits = random.Random(3), []
    while at < NOW:
        visits.append(Visit(at=at, outcome="ok", duration_ms=1, cards=1, error=None))
        at += every * (1 + 0.1 * chance.random())
    source = SimpleNamespace(name="a", every=every)
    strip = state_pages._strip(source, visits, NOW - timedelta(days=1), NOW)
    assert "no visit" not in strip
    assert "no visit" in state_pages._strip(source, visits[::3], NOW - timedelta(days=1), NOW)


async def test_what_waits_for_a_channel_that_is_off_has_no_next_attempt(path):
    async with visiting(path) as (visitor, context):

        def owe(records):
            records.outbox.open("mail", "i:1", due_at=NOW, to=["team@example.org"], now=NOW)

        await context.store.write(owe)
        assert ">held<" not in (await visitor.get("/deliveries")).text
        await context.store.write(
            lambda r: r.standing.disable("mail", NOW, why="by hand", by_hand=True)
        )
        text = (await visitor.get("/deliveries")).text
        assert ">held<" in text
        assert "promised for" in text


# --- hostile words ------------------------------------------------------------------------


def _hostile(records):
    app = App(store=None, fetcher=None, rules=compile_rules(config("w.db")))
    at = NOW - timedelta(hours=2)
    fill(records, days=1, until=at - timedelta(hours=1))
    for begin in range(0, len(TITLES), 50):
        cards = [
            card(
                90_000 + n,
                rank=n % 50 + 1,
                title=title,
                abstract=title,
                ai_summary=title,
                authors=(title, "Ada Example"),
                organization=title,
                keywords=(title,),
                submitted_by=title,
                github="javascript:window.hacked=1",
                project=f"https://evil.example/{title}",
                upvotes=300,
            )
            for n, title in enumerate(TITLES[begin : begin + 50], begin)
        ]
        _visit(app, records, "daily", PageKind.DAILY, cards, at)
    event = Event(
        cursor=0, id="evt_x", type=EventType.NEW, at=at, rule="fast", counts=Counts(upvotes=1),
        paper=records.papers.get(records.papers.find("2611.90000")), reason=TITLES[0],
    )  # fmt: skip
    with records.transaction():
        records.events.add(event)


async def test_hostile_titles_are_shown_and_do_nothing(tmp_path):
    with open_records(tmp_path / "w.db", create=True, migrate=True) as records:
        _hostile(records)
    async with visiting(tmp_path / "w.db") as (visitor, _):
        routes = ["/", "/search?q=hostile", "/rules/everything", "/sources"]
        routes += [f"/papers/2611.{90_000 + n}" for n in range(len(TITLES))]
        shown = 0
        for route in routes:
            answer = await visitor.get(route)
            assert answer.status == 200, route
            shown += answer.text.count(MARK)
            _check_inert(answer.text, route)
        assert shown > 3 * len(TITLES)


def _check_inert(text, route):
    page = Outline(text)
    scripts = [given for tag, given in page.tags if tag == "script"]
    assert len(scripts) == 1, route
    for tag, given in page.tags:
        assert tag not in ("img", "iframe", "math", "base", "style", "object"), (route, tag)
        assert not any(name.startswith("on") for name in given), route
    for link in page.links:
        assert link.startswith(("/", "#", "?", "https://")), (route, link)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", text), route
    assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|>49<", text), route


async def test_another_config_is_in_force_at_the_next_request(path):
    async with visiting(path) as (visitor, context):
        assert (await visitor.get("/subscribe")).status == 404
        changed(context, subscribe="mail", public_url="https://p.example.org")
        assert (await visitor.get("/subscribe")).status == 200


async def test_hours_in_which_a_source_is_not_visited_are_no_gap(path):
    """The records end with a night without a visit, as the active hours ask for."""
    later = FixedClock()
    later.move(hours=14)
    day = Hours(start=time(7), end=time(10))
    for active, gaps, sees in ((None, 2, 0), (day, 0, 2)):
        sources = tuple(msgspec.structs.replace(s, active=active) for s in SOURCES[:2])
        async with visiting(path, clock=later) as (visitor, context):
            context.use(msgspec.structs.replace(context.config, sources=sources), ())
            text = (await visitor.get("/sources")).text
            assert text.count("No data from") == text.count("not read lately") == gaps, active
            assert text.count(">sees<") == sees


async def test_a_source_may_leave_the_config_while_the_page_of_sources_is_made(path, monkeypatch):
    async with visiting(path) as (visitor, context):
        read, fewer = context.store.read, context.config.sources[1:]

        async def meanwhile(work):
            context.use(msgspec.structs.replace(context.config, sources=fewer), context.rules)
            return await read(work)

        monkeypatch.setattr(context.store, "read", meanwhile)
        assert (await visitor.get("/sources")).status == 200
