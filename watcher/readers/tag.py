"""The opening tag of an island, found and cut out of the bytes of a page.

Owns how HTML writes a tag: any order of attributes, any quotes, other islands before it, and
comments, scripts and values that only look like tags. Must not know what is in the island.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

from watcher.model import Value

LIST = "DailyPapers"
PAPER = "PaperContent"
ATTRIBUTE_LIMIT = 256

_TARGET = re.compile(rb"data-target\s*=\s*[\"']?(DailyPapers|PaperContent)(?=[\"'\s/>])")
_ODD_TARGET = re.compile(rb"data-target\s*=\s*[\"']?\s*\Z", re.IGNORECASE)
_PLAIN_START = re.compile(rb"<[a-zA-Z][\w-]*\s(?:[^\"'<>]|\"[^\"<>]*\"|'[^'<>]*')*")
"""A tag up to its data-target with balanced quotes and nothing odd in them: the usual case."""

_RAW = (
    *(b"script", b"style", b"title", b"textarea"),
    *(b"template", b"noscript", b"xmp", b"iframe", b"noframes"),
)
_HIDING = ((b"<!--", b"-->"), *((b"<" + name, b"</" + name) for name in _RAW))
"""Between these nothing is a tag, or nothing that a browser shows."""

_MARKUP = re.compile(
    rb"""<!--(?:-?>|.*?(?:--!?>|\Z))
    |<(?P<raw>%s)(?=[\s/>])
    |<[a-zA-Z]"""
    % b"|".join(_RAW),
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_SHORT = 2_000
_PLAIN = re.compile(rb"(?:[ !#-%(-;=?-~]|&quot;)*+")
"""Printable ASCII without quotes, angle brackets and any other entity."""
_NAME = re.compile(rb"<[a-zA-Z][^\s/>]*+")
_ATTRIBUTE = re.compile(rb"[\s/]*+(?:(>)|([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:([\"'])|([^\s>]*+)))?+)")


class Tag(Value, frozen=True, kw_only=True):
    """The opening tag of an island."""

    target: str
    body: bytes = b""
    """The page it stands in: an island is half of it, and mostly need not be copied."""
    span: tuple[int, int] | None = None
    """Where the raw ``data-props`` stand, entities and all; None when they are missing or not
    complete."""
    quote: bytes = b'"'
    cut: bool = False
    """The body ends inside the tag."""

    @property
    def value(self) -> bytes | None:
        """The raw ``data-props``, copied."""
        return None if self.span is None else self.body[slice(*self.span)]


def find(body: bytes) -> Tag | None:
    """The opening tag of the first island with papers, wherever its attributes stand."""
    found = _TARGET.search(body)
    if found is None:
        return _find_slowly(body) if _is_odd_target(body) else None
    start = body.rfind(b"<", 0, found.start())
    usual = _PLAIN_START.fullmatch(body, start, found.start()) if start >= 0 else None
    if usual and b"data-props" not in usual[0] and not _is_hidden(body, start):
        tag = _read_tag(body, start)[0]
        if tag:
            return tag
    return _find_slowly(body)


def _is_odd_target(body: bytes) -> bool:
    """Whether an island may be there whose attribute is not written in the usual way."""
    for name in (LIST.encode(), PAPER.encode()):
        place = body.find(name)
        while place >= 0:
            if _ODD_TARGET.search(body, max(place - 40, 0), place):
                return True
            place = body.find(name, place + 1)
    return False


def _is_hidden(body: bytes, start: int) -> bool:
    """Whether a place lies in a comment, a script or the like, or in a quoted value."""
    for opening, closing in _HIDING:
        opened = body.rfind(opening, 0, start)
        if opened >= 0 and body.find(closing, opened, start) < 0:
            return True
    for quote in (b'"', b"'"):
        last = body.rfind(quote, 0, start)
        if last > 0 and body[max(last - 20, 0) : last].rstrip().endswith(b"="):
            return True  # a quote after an equals sign opens a value
    return False


def _find_slowly(body: bytes) -> Tag | None:
    """Walk the markup from the beginning, as a browser would. Linear in the body's length."""
    place = 0
    while markup := _MARKUP.search(body, place):
        if markup[0].startswith(b"<!"):
            place = markup.end()
            continue
        tag, place = _read_tag(body, markup.start())
        if tag:
            return tag
        if markup["raw"]:
            place = _after_raw_text(body, place, markup["raw"])
    return None


def _after_raw_text(body: bytes, place: int, name: bytes) -> int:
    closing = re.compile(rb"</" + name, re.IGNORECASE).search(body, place)
    return closing.end() if closing else len(body)


def _read_tag(body: bytes, start: int) -> tuple[Tag | None, int]:
    """The tag at ``start`` if it is an island's, and where the markup goes on."""
    name = _NAME.match(body, start)
    place = name.end() if name else start + 1
    target: str | None = None
    span: tuple[int, int] | None = None
    value_quote = b'"'
    for _ in range(ATTRIBUTE_LIMIT):
        attribute = _ATTRIBUTE.match(body, place)
        if attribute is None:  # the body ends inside the tag
            return (
                Tag(target=target, body=body, span=span, quote=value_quote, cut=span is None)
                if target
                else None
            ), len(body)
        place = attribute.end()
        if attribute[1]:
            break
        quote = attribute[3]
        if quote:
            end = body.find(quote, place)
            if end < 0:
                return _cut_inside(target), len(body)
            raw, place = (place, end), end + 1
        else:
            raw = attribute.span(4)
        key = attribute[2].lower()
        if key == b"data-target" and target is None:
            target = body[slice(*raw)].strip().decode("ascii", "replace")
            if target not in (LIST, PAPER):
                target = ""
        elif key == b"data-props" and span is None:
            span, value_quote = raw, quote or b""
    if not target:
        return None, place
    return Tag(target=target, body=body, span=span, quote=value_quote), place


def _cut_inside(target: str | None) -> Tag | None:
    """Cut before the target is known, nobody can say whose props these are."""
    return Tag(target=target, cut=True) if target else None


def unescape(value: bytes, quote: bytes = b'"') -> str:
    """An attribute's value as HTML reads it: every entity once, broken UTF-8 as U+FFFD."""
    if len(value) < _SHORT and _PLAIN.fullmatch(value):  # for so little a parser is dear
        return value.replace(b"&quot;", b'"').decode()
    tree = LexborHTMLParser(b"<p a=" + quote + value + quote + b">")
    body = tree.body
    node = body.first_child if body else None
    return (node.attributes.get("a") if node else None) or ""
