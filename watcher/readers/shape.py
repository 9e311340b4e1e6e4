"""May a tree be built of this page?

Owns the check that keeps hostile markup away from lexbor, whose time grows with the square of
the nesting and of a tag's attributes, and whose memory grows with formatting tags left open
(each following block gets copies of all of them). Must never take a page for flatter than
lexbor would build it: what is doubtful counts as open.
"""

from __future__ import annotations

import re

from watcher.errors import ParseError

NESTING_LIMIT = 512
ATTRIBUTE_LIMIT = 256
FORMATTING_LIMIT = 32
"""Formatting tags open at one time; the pages have two or three."""

_TOKENS = re.compile(
    rb"""<(?:
        !--(?:-?>|.*?(?:--!?>|\Z)) | [!?][^>]*+>? | /[^a-zA-Z>][^>]*+>?
        | ((?i:script|style|textarea|title|xmp|iframe|noembed|noframes))(?=[\s/>])
          ((?:[^>=]++|=\s*+(?:"[^"]*+"?|'[^']*+'?)?+)*+) >?
          (.*?)(?=</(?i:\1)[\s/>]|\Z)
        | (/?[a-zA-Z][^\s/>]*+)
          ((?:[^>=]++|=\s*+(?:"[^"]*+"?|'[^']*+'?)?+)*+) >?
    )""",
    re.DOTALL | re.VERBOSE,
)
"""Comments and the like (nothing captured) | name, attributes and text of an element whose
text is no markup | name (with a slash at an end tag) and attributes of any other tag."""

_ATTRIBUTE = re.compile(rb"""[^\s/>=][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"?|'[^']*+'?|[^\s>]*+))?+|=""")
_START = re.compile(rb"<([a-zA-Z][^\s/>]*)")
_SHORT = 2 * ATTRIBUTE_LIMIT
"""Attributes shorter than this cannot be too many: each takes two bytes at least."""


def _ends(names: str) -> frozenset[bytes]:
    return frozenset(b"/" + name.encode() for name in names.split())


_VOID = _ends(
    "area base basefont bgsound br col embed frame hr image img input keygen link meta param "
    "source track wbr"
)
_FORMATTING = _ends("a b big code em font i nobr s small strike strong tt u")
_SVG = b"/svg"
_FOREIGN = _ends("svg math")
_BREAKING = _ends("p br")
"""These end tags end a drawing, too."""

_SCOPES = _FOREIGN | _ends(
    "applet caption html table td th marquee object template select foreignobject desc "
    "annotation-xml mi mo mn ms mtext"
)
"""An end tag does not reach through these."""

_USUAL = {
    end[1:]: end for end in _ends("div span p li ul h1 h2 h3 article section main dialog button")
}
"""Start tags that need no closer look, with the end tags that are due for them."""

_DRAWING = _ends(
    "svg g path circle ellipse line polygon polyline rect use stop defs lineargradient "
    "radialgradient clippath mask"
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
        """The end tags that are due (``/div``), the innermost last."""
        self.deepest = 0
        self._formatting = 0
        self._foreign = False
        """A drawing or formula was seen that may have ended otherwise than it seems."""

    def read(self, body: bytes) -> None:
        """Walk all tags of a page; raises ``ParseError`` at the first that is too much."""
        due = self.open
        for raw_name, raw_attributes, content, name, attributes in _TOKENS.findall(body):
            last = due[-1] if due else None
            if last == name:  # the usual end tag, without a detour
                due.pop()
                if name in _FORMATTING:
                    self._formatting -= 1
            elif name in _USUAL and last not in _DRAWING and len(attributes) <= _SHORT:
                due.append(_USUAL[name])
                if len(due) > self.deepest:
                    self._deepen()
            elif name[:1] == b"/":
                self._end(name.lower())
            elif name:
                self._start(b"/" + name.lower(), attributes)
            elif raw_name:
                self._start_raw(b"/" + raw_name.lower(), raw_attributes, content)

    def _start_raw(self, name: bytes, attributes: bytes, content: bytes) -> None:
        self._start(name, attributes)
        if content and (self._foreign or not _FOREIGN.isdisjoint(self.open)):
            # Here the content may be markup: believe its start tags, not its end tags.
            for found in _START.findall(content):
                self._start(b"/" + found.lower(), b"")

    def _start(self, name: bytes, attributes: bytes) -> None:
        if len(attributes) > _SHORT:
            _check_attributes(attributes)
        if name in _VOID:
            return
        due = self.open
        if due and due[-1] in _DRAWING:
            if name not in _DRAWING:
                self._foreign = True
            elif self._closes_itself(attributes):
                return
        due.append(name)
        if name in _FORMATTING:
            self._formatting += 1
            if self._formatting > FORMATTING_LIMIT:
                raise ParseError(f"more than {FORMATTING_LIMIT} formatting tags are left open")
        if len(due) > self.deepest:
            self._deepen()

    def _deepen(self) -> None:
        self.deepest = len(self.open)
        if self.deepest > NESTING_LIMIT:
            raise ParseError(f"the page is nested deeper than {NESTING_LIMIT} tags")

    def _closes_itself(self, attributes: bytes) -> bool:
        return (
            attributes.endswith((b'"/', b"'/", b" /")) and not self._foreign and _SVG in self.open
        )

    def _end(self, name: bytes) -> None:
        """Take away that one tag; whatever was left open inside it stays counted."""
        if name in _BREAKING and _SVG in self.open:
            self._foreign = True
        for depth, other in enumerate(reversed(self.open[-_REACH:]), start=1):
            if other == name:
                del self.open[-depth]
                self._formatting -= name in _FORMATTING
                return
            if other in _SCOPES:
                return


def _check_attributes(attributes: bytes) -> None:
    for number, _ in enumerate(_ATTRIBUTE.finditer(attributes), start=1):
        if number > ATTRIBUTE_LIMIT:
            raise ParseError(f"a tag has more than {ATTRIBUTE_LIMIT} attributes")
