"""May a tree be built of this page?

Owns the check that keeps hostile markup away from lexbor, whose time grows with the square of
the nesting and of a tag's attributes, and whose memory grows with formatting tags left open
(each following block gets copies of all of them). Must never say that a page is flatter than
lexbor would build it: what is doubtful counts as open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from watcher.errors import ParseError

NESTING_LIMIT = 512
ATTRIBUTE_LIMIT = 256
FORMATTING_LIMIT = 32
"""Formatting tags open at one time; the pages have two or three."""

_TOKEN = re.compile(
    rb"""<(?:
        (?P<skip>!--(?:-?>|.*?(?:--!?>|\Z)) | [!?][^>]*+>? | /[^a-zA-Z>][^>]*+>?)
        |(?P<name>/?[a-zA-Z][^\s/>]*+)
         (?P<rest>(?:[^>=]++|=[\s]*+(?:"[^"]*+"?|'[^']*+'?)?+)*+)
         >?
    )""",
    re.DOTALL | re.VERBOSE,
)
_ATTRIBUTE = re.compile(rb"""[^\s/>=][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"?|'[^']*+'?|[^\s>]*+))?+|=""")
_SHORT = 2 * ATTRIBUTE_LIMIT
"""A tag shorter than this cannot hold too many attributes: each takes two bytes at least."""

_VOID = frozenset(
    b"area base basefont bgsound br col embed frame hr image img input keygen link meta param "
    b"source track wbr".split()
)
_RAW_TEXT = frozenset(b"script style textarea title xmp iframe noembed noframes".split())
_FORMATTING = frozenset(b"a b big code em font i nobr s small strike strong tt u".split())
_SCOPES = frozenset(
    b"applet caption html table td th marquee object template select svg math foreignobject "
    b"desc annotation-xml mi mo mn ms mtext".split()
)
"""An end tag does not reach through these."""

_DRAWING = frozenset(
    b"svg g path circle ellipse line polygon polyline rect use stop defs lineargradient "
    b"radialgradient clippath mask".split()
)
"""In a drawing ``<path/>`` closes itself; anywhere else it does not."""

_REACH = 8
"""How far up an end tag may look for its start tag; farther up it closes nothing."""


def check(body: bytes) -> None:
    """Let a page pass that lexbor can handle in time and memory linear in its size.

    Raises:
        ParseError: nested deeper than 512 tags, more than 256 attributes on one tag, or
            formatting tags left open.
    """
    if b"<![CDATA[" in body:
        raise ParseError("the page has a CDATA section, which no page of papers has")
    Nesting().read(body)


class Nesting:
    """The open tags at a place of the page, never fewer than lexbor would have there."""

    def __init__(self) -> None:
        self.open: list[bytes] = []
        self.deepest = 0
        self._formatting = 0
        self._foreign = False
        """A drawing or formula was seen that may have ended otherwise than it seems."""

    def read(self, body: bytes) -> None:
        """Walk all tags of a page; raises ``ParseError`` at the first that is too much."""
        place = 0
        while True:
            place = self._read_from(body, place)
            if place >= len(body):
                return

    def _read_from(self, body: bytes, start: int) -> int:
        for token in _TOKEN.finditer(body, start):
            name = token["name"]
            if name is None:
                continue
            name = name.lower()
            if name.startswith(b"/"):
                self._close(name[1:])
                continue
            if token.end() - token.start() > _SHORT:
                _check_attributes(token["rest"])
            self._start(name, closes_itself=token[0].endswith((b'"/>', b"'/>", b" />")))
            if name in _RAW_TEXT:
                return self._skip_raw_text(body, token.end(), name)
        return len(body)

    def _start(self, name: bytes, *, closes_itself: bool) -> None:
        if name in _VOID:
            return
        drawing = bool(self.open) and self.open[-1] in _DRAWING
        if drawing and name not in _DRAWING:
            self._foreign = True
        if drawing and closes_itself and name in _DRAWING and not self._foreign:
            return
        self.open.append(name)
        if name in _FORMATTING:
            self._formatting += 1
            if self._formatting > FORMATTING_LIMIT:
                raise ParseError(f"more than {FORMATTING_LIMIT} formatting tags are left open")
        if len(self.open) > self.deepest:
            self.deepest = len(self.open)
            if self.deepest > NESTING_LIMIT:
                raise ParseError(f"the page is nested deeper than {NESTING_LIMIT} tags")

    def _close(self, name: bytes) -> None:
        """Take away that one tag; whatever was left open inside it stays counted."""
        for depth, other in enumerate(reversed(self.open[-_REACH:]), start=1):
            if other == name:
                del self.open[-depth]
                self._formatting -= name in _FORMATTING
                return
            if other in _SCOPES:
                return

    def _skip_raw_text(self, body: bytes, start: int, name: bytes) -> int:
        end = re.compile(rb"</" + name + rb"(?=[\s/>])", re.IGNORECASE).search(body, start)
        stop = end.start() if end else len(body)
        if self._foreign or any(tag in (b"svg", b"math") for tag in self.open):
            # Here the content may be markup: believe its start tags, not its end tags.
            for found in re.finditer(rb"<([a-zA-Z][^\s/>]*)", body[start:stop]):
                self._start(found[1].lower(), closes_itself=False)
        return stop


def _check_attributes(rest: bytes) -> None:
    for number, _ in enumerate(_attributes(rest), start=1):
        if number > ATTRIBUTE_LIMIT:
            raise ParseError(f"a tag has more than {ATTRIBUTE_LIMIT} attributes")


def _attributes(rest: bytes) -> Iterator[re.Match[bytes]]:
    return _ATTRIBUTE.finditer(rest)
