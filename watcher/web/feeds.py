"""Feeds: Atom, JSON Feed and the OPML that lists them.

Owns the three formats, by hand (``docs/adr``): RFC 4287, jsonfeed.org version 1.1, OPML 2.0.
A change is an entry whose id is the event's; an entry keeps it though the site words a title
otherwise later. Every text is cleaned before it goes in: XML cannot carry control characters,
and readers choke on them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from aiohttp import web
from markupsafe import Markup

from watcher.digest import Frame, compose
from watcher.identity import digest_of
from watcher.model import Event, Value
from watcher.text import clean
from watcher.view import EntryView, entry_view
from watcher.web.common import TOKENS, Problem, base_url, conditional, context_of, paper_path
from watcher.wire import instant

ENTRIES = 100
ATOM = "http://www.w3.org/2005/Atom"
ATOM_TYPE = "application/atom+xml; charset=utf-8"
JSON_TYPE = "application/feed+json; charset=utf-8"
OPML_TYPE = "text/x-opml; charset=utf-8"
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

ET.register_namespace("", ATOM)


class FeedAddress(Value, frozen=True, kw_only=True):
    """A feed and where it is read, its token in the path."""

    title: str
    rule: str | None
    atom: str
    json: str


class Entry(Value, frozen=True, kw_only=True):
    """One change as all formats tell it; texts are clean."""

    id: str
    at: datetime
    title: str
    url: str
    words: EntryView
    rule: str
    kind: str
    authors: tuple[str, ...]

    @property
    def tags(self) -> tuple[str, ...]:
        """The kind of the change and its rule, once where they are called the same."""
        return tuple(dict.fromkeys(filter(None, (self.kind, self.rule))))


class Feed(Value, frozen=True, kw_only=True):
    """A feed, ready to be written in any format."""

    id: str
    title: str
    home: str
    address: str
    updated: datetime
    entries: tuple[Entry, ...] = ()


# --- addresses --------------------------------------------------------------------------


def seal_of(request: web.Request, rule: str | None) -> str:
    """The token of a feed: opens this feed and nothing else."""
    return request.app[TOKENS].seal("feed", "all" if rule is None else f"rule {rule}")


def addresses(request: web.Request) -> tuple[FeedAddress, ...]:
    """Every feed there is, the one of everything first."""
    names = [None, *(rule.name for rule in context_of(request).rules)]
    return tuple(_address(request, name) for name in names)


def _address(request: web.Request, rule: str | None) -> FeedAddress:
    begin = f"{base_url(request)}/f/{seal_of(request, rule)}"
    path = "all" if rule is None else f"rules/{quote(rule, safe='')}"
    title = "All papers" if rule is None else rule
    return FeedAddress(
        title=clean(title), rule=rule, atom=f"{begin}/{path}.atom", json=f"{begin}/{path}.json"
    )


# --- making -----------------------------------------------------------------------------


def feed_of(
    events: Sequence[Event], address: FeedAddress, *, home: str, form: str, linked: bool
) -> Feed:
    """A feed of changes, newest first. ``linked``: papers without a page of their own on the
    site are linked to ours."""
    host = urlsplit(home).hostname or "localhost"
    name = digest_of("feed", address.rule or "", "" if address.rule else "all")
    return Feed(
        id=f"tag:{host},2026:{name}",
        title=f"paper watcher: {address.title}",
        home=home,
        address=address.atom if form == "atom" else address.json,
        updated=max((event.at for event in events), default=_EPOCH),
        entries=tuple(_entry(event, home, linked=linked) for event in events if event.paper),
    )


def _entry(event: Event, home: str, *, linked: bool) -> Entry:
    paper = event.paper
    assert paper is not None  # noqa: S101 - the caller asked
    words = entry_view(compose([event], Frame(), event.at).entries[0])
    own = home + paper_path(paper.name) if linked else home
    return Entry(
        id=event.id,
        at=event.at,
        title=f"{words.kind}: {words.title}",
        url=words.url or own,
        words=words,
        rule=clean(event.rule or ""),
        kind=event.type.kind,
        authors=tuple(filter(None, map(clean, (paper.authors or ())[:20]))),
    )


def content_html(entry: Entry) -> str:
    """What a feed reader shows: reasons, people, counts, a summary and the links."""
    words = entry.words
    lines = [Markup("<p><strong>{}</strong></p>").format(reason) for reason in words.reasons]
    people = " · ".join(filter(None, (words.authors, words.organization)))
    facts = " · ".join(filter(None, (f"by rule {entry.rule}" if entry.rule else "", words.counts)))
    lines += [Markup("<p>{}</p>").format(line) for line in (people, words.summary, facts) if line]
    links = (("Paper page", words.url), ("arXiv", words.arxiv_url), ("Code", words.github_url))
    shown = [Markup('<a href="{}">{}</a>').format(url, name) for name, url in links if url]
    if shown:
        lines.append(Markup("<p>{}</p>").format(Markup(" · ").join(shown)))
    return str(Markup("\n").join(lines))


def atom(feed: Feed) -> bytes:
    """RFC 4287."""
    root = ET.Element(f"{{{ATOM}}}feed")
    _add(root, "title", feed.title)
    _add(root, "id", feed.id)
    _add(root, "updated", instant(feed.updated))
    _add(root, "link", rel="self", type="application/atom+xml", href=feed.address)
    _add(root, "link", rel="alternate", type="text/html", href=feed.home)
    _add(root, "generator", "paper-watcher")
    _add(_add(root, "author"), "name", "paper watcher")
    for entry in feed.entries:
        node = _add(root, "entry")
        _add(node, "title", entry.title)
        _add(node, "id", entry.id)
        _add(node, "published", instant(entry.at))
        _add(node, "updated", instant(entry.at))
        _add(node, "link", rel="alternate", type="text/html", href=entry.url)
        for name in entry.authors:
            _add(_add(node, "author"), "name", name)
        for tag in entry.tags:
            _add(node, "category", term=tag)
        _add(node, "summary", entry.words.reasons[0])
        _add(node, "content", content_html(entry), type="html")
    return _written(root)


def _add(parent: ET.Element, name: str, text: str | None = None, **attributes: str) -> ET.Element:
    node = ET.SubElement(parent, f"{{{ATOM}}}{name}", attributes)
    node.text = text
    return node


def _written(root: ET.Element) -> bytes:
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}'.encode()


def json_feed(feed: Feed) -> bytes:
    """jsonfeed.org, version 1.1."""
    items: list[dict[str, Any]] = [
        {
            "id": entry.id,
            "url": entry.url,
            "title": entry.title,
            "content_html": content_html(entry),
            "summary": entry.words.reasons[0],
            "date_published": instant(entry.at),
            "authors": [{"name": name} for name in entry.authors],
            "tags": list(entry.tags),
        }
        for entry in feed.entries
    ]
    document = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "home_page_url": feed.home,
        "feed_url": feed.address,
        "items": items,
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def opml(feeds: Sequence[FeedAddress], home: str) -> bytes:
    """OPML 2.0: every feed, for readers that import them all."""
    root = ET.Element("opml", {"version": "2.0"})
    head = ET.SubElement(root, "head")
    ET.SubElement(head, "title").text = "paper watcher"
    body = ET.SubElement(root, "body")
    folder = ET.SubElement(body, "outline", {"text": "paper watcher", "title": "paper watcher"})
    for feed in feeds:
        attributes = {"type": "rss", "text": feed.title, "title": feed.title}
        ET.SubElement(folder, "outline", {**attributes, "xmlUrl": feed.atom, "htmlUrl": home})
    return _written(root)


# --- handlers ---------------------------------------------------------------------------


async def everything(request: web.Request) -> web.Response:
    """The feed of all rules."""
    return await _answer(request, None)


async def of_rule(request: web.Request) -> web.Response:
    """The feed of one rule."""
    return await _answer(request, request.match_info["rule"])


async def _answer(request: web.Request, rule: str | None) -> web.Response:
    context = context_of(request)
    seal = request.match_info.get("seal")
    if seal is not None and not request.app[TOKENS].is_seal(
        seal, "feed", "all" if rule is None else f"rule {rule}"
    ):
        raise Problem(404, "No such feed", "Copy its address once more from the page of feeds.")
    if rule is not None and all(known.name != rule for known in context.rules):
        raise Problem(404, "No such feed", f"There is no rule called {clean(rule)[:80]}.")
    events = await context.store.read(lambda r: r.pages.latest_of(rule, limit=ENTRIES))
    form = request.match_info["form"]
    linked = context.config.web.public_url is not None
    feed = feed_of(
        [event for event in events if event.type.is_change],
        _address(request, rule),
        home=base_url(request),
        form=form,
        linked=linked,
    )
    if form == "atom":
        return conditional(request, atom(feed), ATOM_TYPE, max_age=300)
    return conditional(request, json_feed(feed), JSON_TYPE, max_age=300)


async def listed(request: web.Request) -> web.Response:
    """All feeds as OPML."""
    return conditional(request, opml(addresses(request), base_url(request)), OPML_TYPE)
