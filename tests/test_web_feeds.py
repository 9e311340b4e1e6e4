"""Feeds, read by a parser that is not ours."""

import json
import re
from xml.etree import ElementTree as ET

import feedparser
import pytest

from tests import makers
from tests.hostile import MARK, TITLES
from tests.webworld import TOKEN, copy_of, open_to_readers, seeded, visiting
from watcher.model import Event, EventType
from watcher.web.feeds import FeedAddress, atom, feed_of, json_feed, opml

BEARER = {"Authorization": f"Bearer {TOKEN}"}
ADDRESS = FeedAddress(
    title="all", rule=None, atom="https://p.example/a", json="https://p.example/j"
)


@pytest.fixture
def path(tmp_path):
    return copy_of(seeded(), tmp_path)


def made(*events: Event, form="atom"):
    return feed_of(events, ADDRESS, home="https://p.example", form=form, linked=True)


async def test_each_change_is_an_entry_whose_id_is_the_events(path):
    async with visiting(path) as (visitor, _):
        events = (await visitor.get("/api/v1/events?limit=1000")).json["events"]
        changes = [e for e in events if e["type"].startswith("paper.")]
        first = {(e["paper"]["paper_id"], e["type"]): e["id"] for e in reversed(changes)}
        wanted = [e["id"] for e in reversed(changes) if e["id"] in first.values()][:100]
        assert len(first) < len(changes)  # several rules said the same of a paper
        feed = feedparser.parse((await visitor.get("/feeds/all.atom")).body)
        assert not feed.bozo, feed.get("bozo_exception")
        assert feed.version == "atom10"
        assert [entry.id for entry in feed.entries] == wanted
        document = (await visitor.get("/feeds/all.json")).json
        assert [item["id"] for item in document["items"]] == wanted
        assert document["version"] == "https://jsonfeed.org/version/1.1"
        assert all(e.title and e.link.startswith("https://") and e.updated for e in feed.entries)


async def test_a_rule_has_a_feed_of_its_own_also_with_an_odd_name(path):
    async with visiting(path) as (visitor, _):
        feed = feedparser.parse((await visitor.get("/feeds/rules/agents%20%26%20tools.atom")).body)
        assert not feed.bozo
        assert feed.entries
        assert all("agents & tools" in [t.term for t in e.tags] for e in feed.entries)
        assert (await visitor.get("/feeds/rules/none.atom")).status == 404


async def test_no_entry_comes_again_under_another_rules_id_when_the_first_is_long_ago(path):
    async with visiting(path) as (visitor, context):
        await context.store.write(lambda r: r.conn.execute("delete from events"))
        first = []
        for n in range(1, 81):
            paper = await context.store.read(lambda r, n=n: r.papers.get(n))
            told = [
                makers.rising(7, id=f"evt_{n}_{rule}", paper=paper, rule=rule)
                for rule in ("a", "b", "c")
            ]
            await context.store.write(lambda r, told=told: [r.events.add(e) for e in told])
            first.append(told[0].id)
        items = (await visitor.get("/feeds/all.json")).json["items"]
        assert [item["id"] for item in items] == first[::-1]


async def test_an_unchanged_feed_is_not_sent_again(path):
    async with visiting(path) as (visitor, context):
        for route in ("/feeds/all.atom", "/feeds/all.json", "/feeds.opml"):
            first = await visitor.get(route)
            etag = first.headers["ETag"]
            again = await visitor.get(route, headers={"If-None-Match": f'"other", W/{etag}'})
            assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
        first = await visitor.get("/feeds/all.atom")
        event = makers.rising(
            7, id="evt_of_a_test", paper=await context.store.read(lambda r: r.papers.get(1)),
            rule="fast",
        )  # fmt: skip
        await context.store.write(lambda r: r.events.add(event))
        again = await visitor.get(
            "/feeds/all.atom", headers={"If-None-Match": first.headers["ETag"]}
        )
        assert again.status == 200
        assert feedparser.parse(again.body).entries[0].id == "evt_of_a_test"


async def test_feeds_are_private_by_a_token_in_their_path(path):
    async with visiting(path, **open_to_readers()) as (visitor, _):
        assert (await visitor.get("/feeds/all.atom")).status == 401
        listed = (await visitor.get("/feeds.opml", headers=BEARER)).text
        urls = re.findall(r'xmlUrl="https://papers\.example\.org([^"]+)"', listed)
        assert len(urls) == 4
        for url in urls:
            answer = await visitor.get(url)
            assert answer.status == 200
            assert not feedparser.parse(answer.body).bozo
        seals = [url.split("/")[2] for url in urls]
        assert len(set(seals)) == 4  # one feed's token opens no other
        assert (await visitor.get(urls[0].replace(seals[0], seals[1]))).status == 404
        assert (await visitor.get(urls[0].replace(seals[0], "x" * 22))).status == 404
        assert TOKEN not in listed


def test_hostile_words_keep_every_feed_well_formed_and_inert():
    events = [
        makers.rising(
            n + 1,
            rule=title[:80],
            reason=title,
            paper=makers.paper(
                n + 1,
                title=title,
                abstract=title,
                authors=(title, "Ada Example"),
                organization=title,
                github="https://github.com/x/y" if n % 2 else "javascript:alert(1)",
            ),
        )
        for n, title in enumerate(TITLES)
    ]
    events.append(makers.rising(500, reason="lone \ud800", paper=makers.paper(500, title="\ud800")))
    body = atom(made(*events))
    ET.fromstring(body)
    feed = feedparser.parse(body, sanitize_html=False)
    assert not feed.bozo, feed.get("bozo_exception")
    assert len(feed.entries) == len(events)
    assert sum(MARK in e.title for e in feed.entries) == len(TITLES)
    for entry in feed.entries:
        words = entry.content[0].value
        assert not re.search(r"<(?!/?(p|strong|a)\b)", words), words[:200]
        assert all(link.startswith("https://") for link in re.findall(r'href="([^"]*)', words))
    items = json.loads(json_feed(made(*events, form="json")))["items"]
    assert len(items) == len(events)
    assert "<script" not in "".join(item["content_html"] for item in items)


def test_a_feed_without_entries_is_a_feed():
    feed = feedparser.parse(atom(made()))
    assert not feed.bozo
    assert feed.feed.id
    assert feed.feed.updated
    assert json.loads(json_feed(made(form="json")))["items"] == []


def test_opml_carries_any_rule_name():
    feeds = [ADDRESS, FeedAddress(title='<"&>', rule="x", atom="https://a/?x=1&y=2", json="x")]
    root = ET.fromstring(opml(feeds, "https://p.example"))
    outlines = root.findall(".//outline[@type='rss']")
    assert [o.get("text") for o in outlines] == ["all", '<"&>']
    assert outlines[1].get("xmlUrl") == "https://a/?x=1&y=2"


def test_notices_are_no_entries():
    assert made(makers.notice()).entries == ()
    assert made(makers.event(type=EventType.NEW)).entries[0].kind == "new"
