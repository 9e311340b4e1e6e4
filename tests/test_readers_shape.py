"""Hostile markup is refused before a tree is built of it; harmless markup passes."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from tests import pages
from watcher import readers
from watcher.errors import ParseError
from watcher.model import ReaderName
from watcher.readers import shape
from watcher.readers.shape import FORMATTING_LIMIT, NESTING_LIMIT, Nesting

AT = datetime(2026, 10, 6, 12, tzinfo=UTC)

HOSTILE = {
    "nested": b"<div>" * 100_000,
    "nested and closed": b"<div>" * 50_000 + b"</div>" * 50_000,
    "closed by a stranger": b"<div></p>" * 50_000,
    "closed in a comment": b"<div><!-- </div> -->" * 20_000,
    "closed in an attribute": b'<div><i title="</div>"></i>' * 20_000,
    "closed in an attribute's name": b"<div><i </div>></i>" * 20_000,
    "closed in a script": b"<div><script></div></script>" * 20_000,
    "closed behind a marquee": b"<div><marquee></div></marquee>" * 20_000,
    "closed in a drawing's style": b"<svg><b></b><div><style></div></style></svg>" * 20_000,
    "paths that do not close": b"<svg></svg>" + b"<path/>" * 50_000,
    "paths after a drawing was broken": b"<svg><b></b>" + b"<path/>" * 50_000,
    "paths after an end tag broke the drawing": b"<svg></p>" + b'<path d=""/>' * 50_000,
    "paths without a drawing": b"<path>" + b'<g y="1"/>' * 50_000,
    "unquoted slashes": b"<svg>" + b"<path d=x/>" * 50_000,
    "formatting left open": b"".join(b"<b x%d>" % i for i in range(400)) + b"<p>x</p>" * 50_000,
    "formatting lost in a block": b"<p>" + b"<font a=%d>" % 3 * 90 + b"</p>" + b"<p>x</p>" * 50_000,
    "attributes": b"<a " + b" ".join(b"a%d" % i for i in range(200_000)) + b">",
    "attributes without names": b"<a " + b"= " * 200_000 + b">",
    "attributes, many times": (b"<a " + b" ".join(b"a%d" % i for i in range(300)) + b">") * 500,
    "an open quote": b'<a href="' + b"<a " * 400_000,
    "open quotes": b"<a href='" * 200_000,
    "a word without end": b"<a" + b"<a" * 1_000_000,
    "open comments": b"<!--" * 500_000,
    "sections of data": b"<![CDATA[<div></div>]]>" * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "around", [b"%s", b"<!doctype html><html><body><main>%s</main></body></html>"]
)
def test_hostile_markup_is_refused_in_no_time(name: str, around: bytes) -> None:
    started = time.perf_counter()
    with pytest.raises(ParseError):
        readers.parse(around.replace(b"%s", HOSTILE[name]), at=AT, reader=ReaderName.CARDS)
    assert time.perf_counter() - started < 3


LINEAR = {"an open quote", "open quotes", "a word without end", "open comments"}
"""Ugly, but one tag or none at all."""


@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - LINEAR))
def test_hostile_markup_never_reaches_the_parser(name: str) -> None:
    with pytest.raises(ParseError, match=r"nested deeper|formatting tags|attributes|CDATA"):
        shape.check(HOSTILE[name])


def test_the_limits_themselves_still_pass() -> None:
    shape.check(b"<div>" * NESTING_LIMIT)
    shape.check(b"<b>" * FORMATTING_LIMIT)
    shape.check(b"<a " + b" ".join(b"attribute%d=x" % i for i in range(256)) + b">")
    for body in (
        b"<div>" * (NESTING_LIMIT + 1),
        b"<b>" * (FORMATTING_LIMIT + 1),
        b"<a " + b" ".join(b"attribute%d=x" % i for i in range(257)) + b">",
    ):
        with pytest.raises(ParseError):
            shape.check(body)


@pytest.mark.parametrize(
    "body",
    [
        pages.trending(pages.fakes(50)),
        pages.grid_2024(pages.fakes(50)),
        pages.search("x", pages.fakes(100)),
        pages.paper_page(pages.Fake()),
    ],
)
def test_the_sites_own_pages_are_flat(body: bytes) -> None:
    nesting = Nesting()
    nesting.read(body)
    assert nesting.deepest < 40
    assert nesting.open == []


def test_drawings_whose_tags_close_themselves_are_flat() -> None:
    nesting = Nesting()
    nesting.read(
        b'<div><svg viewBox="0 0 1 1"><path d="m0 0"/><g><rect x="1" /></g></svg></div>' * 999
    )
    assert nesting.deepest == 3  # div, svg, g


NAMES = ["div", "p", "b", "a", "span", "svg", "path", "g", "style", "script", "title", "table"]
NAMES += [
    "td",
    "li",
    "ul",
    "button",
    "h3",
    "select",
    "marquee",
    "foreignObject",
    "math",
    "template",
]
PIECES = st.sampled_from(
    [f"<{slash}{name}>".encode() for name in NAMES for slash in ("", "/")]
    + [f"<{name}{rest}>".encode() for name in NAMES for rest in (' x="</div>"', "/", ' y="1"/')]
    + [b"text ", b"<!-- </div> -->", b"<!---->", b"<!-->", b"<", b">", b'"', b"'", b"=", b"</"]
    + [b"<!x>", b"<a b='", b"<img>", b"<path d=x/>", b"<i </div>>"]
)


def depth_of(body: bytes) -> int:
    """How deep lexbor's tree really is."""
    deepest = 0
    tree = LexborHTMLParser(body)
    for node in tree.root.traverse() if tree.root else ():
        depth, parent = 0, node.parent
        while parent is not None:
            depth, parent = depth + 1, parent.parent
        deepest = max(deepest, depth)
    return deepest


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=60).map(b"".join))
@example(b"<svg><style></svg><div></style>" * 9)
@example(b"<table><b>" * 9)
def test_the_tree_is_never_deeper_than_the_check_believes(body: bytes) -> None:
    nesting = Nesting()
    try:
        nesting.read(body)
    except ParseError:
        return  # refused: no tree is built
    # html, body and what a table adds by itself (tbody, tr) are not written in the page;
    # formatting tags left open are copied into the blocks that follow.
    tables = body.count(b"<table")
    assert depth_of(body) <= nesting.deepest + 3 + 2 * tables + FORMATTING_LIMIT


@settings(max_examples=60)
@given(st.lists(PIECES, min_size=1, max_size=8).map(b"".join))
def test_no_pattern_repeated_grows_deeper_than_the_check_believes(pattern: bytes) -> None:
    body = pattern * 300
    nesting = Nesting()
    try:
        nesting.read(body)
    except ParseError:
        return
    assert depth_of(body) <= 3 * NESTING_LIMIT
