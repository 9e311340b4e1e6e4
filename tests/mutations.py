"""Pages as a redesign, a bad proxy or a bad day could leave them."""

import html
import json
import random
import re

from tests import pages

ISLAND = re.compile(rb'(data-target="DailyPapers" data-props=")([^"]*)(")')


def props_of(body):
    return json.loads(html.unescape(ISLAND.search(body)[2].decode()))


def with_props(body, change):
    """The page with something else in its island; the cards stay."""
    props = props_of(body)
    props = change(props) or props
    value = pages.escaped(props).encode()
    return ISLAND.sub(lambda m: m[1] + value + m[3], body, count=1)


def on_papers(change):
    """A change of each paper of the island; the paper may be dropped by giving None."""

    def apply(body):
        def each(props):
            kept = [change(n, item) for n, item in enumerate(props["dailyPapers"])]
            props["dailyPapers"] = [item for item in kept if item is not None]

        return with_props(body, each)

    return apply


def renamed(old, new, *, outer=False):
    def change(n, item):
        place = item if outer else item["paper"]
        if old in place:
            place[new] = place.pop(old)
        return item

    return on_papers(change)


def dropped(*names):
    def change(n, item):
        for place in (item, item["paper"]):
            for name in names:
                place.pop(name, None)
        return item

    return on_papers(change)


def numbered(name, count):
    def change(n, item):
        item["paper"][name] = count(n, item["paper"].get(name, 0))
        return item

    return on_papers(change)


def retitled(title):
    def change(n, item):
        item["title"] = item["paper"]["title"] = title(n, item["paper"]["title"])
        return item

    return on_papers(change)


def replaced(pattern, by, flags=re.DOTALL):
    compiled = re.compile(pattern, flags)
    return lambda body: compiled.sub(by, body)


def no_island(body):
    return ISLAND.sub(b'data-target="Papers" data-list="', body, count=1)


def shuffled_ids(body):
    def each(props):
        items = props["dailyPapers"]
        ids = [item["paper"]["id"] for item in items]
        for item, name in zip(items, ids[1:] + ids[:1], strict=True):
            item["paper"]["id"] = name

    return with_props(body, each)


def repeated(body):
    def each(props):
        props["dailyPapers"] = [item for item in props["dailyPapers"][:3] for _ in range(6)]

    return with_props(body, each)


def other_papers(body):
    strangers = pages.fakes(30, seed=99)
    again = (
        pages.trending
        if b'"isTrending&quot;:true' in body or b"Trending Papers -" in body
        else (pages.grid_2026)
    )
    return again([fake.but(id=f"2511.{n:05d}") for n, fake in enumerate(strangers)])


def cards_cut(share):
    """The page ends behind so much of its cards; the island before them is whole."""

    def cut(body):
        begin = body.index(b"<article")
        return body[: begin + int((len(body) - begin) * share)]

    return cut


def two_cards(*, island):
    def cut(body):
        articles = [m.span() for m in re.finditer(rb"<article.*?</article>", body, re.DOTALL)]
        body = body[: articles[1][1]] + body[articles[-1][1] :]
        if not island:
            return no_island(body)
        return with_props(body, lambda p: p.update(dailyPapers=p["dailyPapers"][:2]))

    return cut


def page_of(text):
    return lambda body: text.encode()


LOGIN = """<!doctype html><html><head><title>Log In - Hugging Face</title></head><body><h1>Log In
</h1><form><input type=password></form></body></html>"""
CONSENT = """<!doctype html><html><head><title>Before you continue</title></head><body><p>We value
your privacy</p><button>Accept all</button></body></html>"""
OOPS = """<!doctype html><html><head><title>Hugging Face</title></head><body><main><h1>500</h1>
<p>Internal Error - We're working hard to fix this as soon as possible</p></main></body></html>"""

MUTATIONS = {
    # the cards beside a sound island
    "class names renamed": replaced(rb'class="(?!SVELTE)([^"]*)"', rb'class="x\1"'),
    "headings of cards gone": replaced(rb"<h3.*?</h3>", b""),
    "links of cards gone": replaced(rb'<a href="/papers/[^"]*"[^>]*>', b"<a>"),
    "articles are divs": lambda b: b.replace(b"<article", b"<div").replace(b"</article", b"</div"),
    "github links gone": replaced(rb'<a[^>]*href="https://github.com[^"]*".*?</a>', b""),
    "organizations gone": replaced(rb'<span class="block font-medium">.*?</span>', b""),
    "cards in another language": lambda b: (
        b.replace(b"Submitted by", b"Eingereicht von")
        .replace(b"Published on", "Veröffentlicht am".encode())
        .replace(b"authors", b"Autoren")
    ),
    "cut behind the island": cards_cut(0.0),
    "cut within the cards": cards_cut(0.5),
    "cut shortly before the end": cards_cut(0.97),
    # the island
    "upvotes renamed": renamed("upvotes", "votes"),
    "upvotes gone": dropped("upvotes"),
    "comments gone": dropped("numComments"),
    "stars gone": dropped("githubStars"),
    "repository gone": dropped("githubRepo", "githubStars"),
    "summary gone": dropped("summary", "ai_summary"),
    "authors gone": dropped("authors"),
    "dates gone": dropped("publishedAt", "submittedOnDailyAt"),
    "title renamed": lambda b: renamed("title", "name")(renamed("title", "name", outer=True)(b)),
    "ids renamed": renamed("id", "arxiv"),
    "papers without their object": on_papers(lambda n, item: {"title": item["title"]}),
    "list renamed": lambda b: with_props(b, lambda p: p.update(papers=p.pop("dailyPapers"))),
    "list empty": lambda b: with_props(b, lambda p: p.update(dailyPapers=[])),
    "half of the list": on_papers(lambda n, item: item if n % 2 else None),
    "two of the list": on_papers(lambda n, item: item if n < 2 else None),
    "no island": no_island,
    "island is no JSON": lambda b: ISLAND.sub(rb"\1{&quot;dailyPapers&quot;: [\3", b, count=1),
    "island cut": lambda b: b[: ISLAND.search(b).start(2) + 9_000],
    "votes all zero": numbered("upvotes", lambda n, v: 0),
    "votes a thousandfold": numbered("upvotes", lambda n, v: v * 1000 + 900),
    "votes in words": numbered("upvotes", lambda n, v: "many"),
    "votes negative": numbered("upvotes", lambda n, v: -v - 1),
    "titles translated": retitled(lambda n, title: f"Über {title[::-1]}"),
    "titles empty": retitled(lambda n, title: ""),
    "titles all one": retitled(lambda n, title: "Log in to see this paper"),
    "ids shuffled": shuffled_ids,
    "papers repeated": repeated,
    "order reversed": lambda b: with_props(
        b, lambda p: p.update(dailyPapers=p["dailyPapers"][::-1])
    ),
    # the whole page
    "two cards, island too": two_cards(island=True),
    "two cards, no island": two_cards(island=False),
    "another page's papers": other_papers,
    "login page": page_of(LOGIN),
    "consent page": page_of(CONSENT),
    "error page": page_of(OOPS),
    "empty": page_of(""),
    "binary": lambda b: random.Random(1).randbytes(20_000),
}
