"""The island: the JSON that the site puts into ``data-props`` for its own scripts.

Owns finding, cutting out and decoding that one attribute. Must not build a tree of the page:
this is the critical path. The attribute's value is unescaped by selectolax (about as fast as
replacing ``&quot;`` alone, and right for every entity) and decoded by msgspec.
"""

from __future__ import annotations

import re
from datetime import date, datetime

import msgspec
from msgspec import UNSET, Raw, UnsetType
from selectolax.lexbor import LexborHTMLParser

from watcher.errors import ParseError
from watcher.model import Card, PageKind, ReaderName, Snapshot, Value
from watcher.readers import items, page, text

LIST = "DailyPapers"
PAPER = "PaperContent"
ATTRIBUTE_LIMIT = 256

_TARGET = re.compile(rb"data-target\s*=\s*[\"']?(DailyPapers|PaperContent)(?=[\"'\s/>])")
_ODD_TARGET = re.compile(rb"data-target\s*=\s*[\"']?\s*\Z", re.IGNORECASE)
_PLAIN_START = re.compile(rb"<[a-zA-Z][\w-]*\s(?:[^\"'<>]|\"[^\"<>]*\"|'[^'<>]*')*")
"""A tag up to its data-target with balanced quotes and nothing odd in them: the usual case."""

_HIDING = (
    (b"<!--", b"-->"),
    *((b"<" + name, b"</" + name) for name in (b"script", b"style", b"title", b"textarea")),
)
"""Between these nothing is a tag."""

_MARKUP = re.compile(
    rb"""<!--(?:-?>|.*?(?:--!?>|\Z))
    |<(?P<raw>script|style|title|textarea)(?=[\s/>])
    |<[a-zA-Z]""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_NAME = re.compile(rb"<[a-zA-Z][^\s/>]*+")
_ATTRIBUTE = re.compile(rb"[\s/]*+(?:(>)|([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:([\"'])|([^\s>]*+)))?+)")


class Tag(Value, frozen=True, kw_only=True):
    """The opening tag of an island."""

    target: str
    value: bytes | None
    """The raw ``data-props``, entities and all; None when it is missing or not complete."""
    quote: bytes = b'"'
    cut: bool = False
    """The body ends inside the tag."""


class Props(msgspec.Struct, rename="camel"):
    """The top-level keys of a list's props, read strictly: the quick way."""

    daily_papers: list[items.Item] | UnsetType = UNSET
    search_results: list[items.Item] | UnsetType = UNSET
    query: Raw | UnsetType = UNSET
    is_trending: Raw | UnsetType = UNSET
    period_type: Raw | UnsetType = UNSET
    date: Raw | UnsetType = UNSET
    date_string: Raw | UnsetType = UNSET


class LooseProps(msgspec.Struct, rename="camel"):
    """The same with the lists left raw, to be read item by item."""

    daily_papers: Raw | UnsetType = UNSET
    search_results: Raw | UnsetType = UNSET
    query: Raw | UnsetType = UNSET
    is_trending: Raw | UnsetType = UNSET
    period_type: Raw | UnsetType = UNSET
    date: Raw | UnsetType = UNSET
    date_string: Raw | UnsetType = UNSET


class PaperProps(msgspec.Struct, rename="camel"):
    """The top-level keys of a single paper's props."""

    paper: Raw
    comments: Raw | UnsetType = UNSET
    submitter_organization: Raw | UnsetType = UNSET
    organization: Raw | UnsetType = UNSET


_props = msgspec.json.Decoder(Props)
_loose_props = msgspec.json.Decoder(LooseProps)
_paper_props = msgspec.json.Decoder(PaperProps)


def island_bytes(body: bytes) -> bytes | None:
    """The raw value of the island's ``data-props``; None when there is no complete island.

    Whole pages never repeat (request ids, styles), the island does: hash this to see whether a
    page says anything new.
    """
    tag = find(body)
    return tag.value if tag else None


def parse(body: bytes, *, url: str | None, at: datetime) -> Snapshot:
    """Read a page by its island.

    Raises:
        ParseError: there is no island, it is cut off, it is not JSON, or it has no papers
            where it should have some.
    """
    tag = find(body)
    if tag and tag.value and not _is_utf8(tag.value):
        body = text.utf8(body)
        tag = find(body)
    if tag is None:
        raise ParseError("the page has no island (data-target DailyPapers or PaperContent)")
    if tag.cut:
        raise ParseError(f"the page is cut off inside its island ({tag.target})")
    if tag.value is None:
        raise ParseError(f"the island ({tag.target}) has no data-props")
    warnings: list[str] = []
    if b"<html" in body[:2_000] and b"</html" not in body[-4_000:]:
        warnings.append("the page is cut off after its island, which is whole")
    props = unescape(tag.value, tag.quote)
    read = _read_list if tag.target == LIST else _read_paper
    try:
        snapshot = read(props, warnings, page.hint(url), at)
    except items.Broken as broken:
        warnings.append("broken characters in the island were replaced")
        try:
            snapshot = read(items.mended(props), warnings, page.hint(url), at)
        except items.Broken:
            raise ParseError(f"the island ({tag.target}) is not readable: {broken}") from broken
    return snapshot


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


# --- finding the tag -----------------------------------------------------------------------


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
    value: bytes | None = None
    value_quote = b'"'
    for _ in range(ATTRIBUTE_LIMIT):
        attribute = _ATTRIBUTE.match(body, place)
        if attribute is None:  # the body ends inside the tag
            return (
                Tag(target=target, value=value, quote=value_quote, cut=value is None)
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
        elif key == b"data-props" and value is None:
            value, value_quote = body[slice(*raw)], quote or b""
    if not target:
        return None, place
    return Tag(target=target, value=value, quote=value_quote), place


def _cut_inside(target: str | None) -> Tag | None:
    """Cut before the target is known, nobody can say whose props these are."""
    return Tag(target=target, value=None, cut=True) if target else None


def unescape(value: bytes, quote: bytes = b'"') -> str:
    """An attribute's value as HTML reads it: every entity once, broken UTF-8 as U+FFFD."""
    tree = LexborHTMLParser(b"<p a=" + quote + value + quote + b">")
    body = tree.body
    node = body.first_child if body else None
    return (node.attributes.get("a") if node else None) or ""


# --- lists ---------------------------------------------------------------------------------


def _read_list(props: str, warnings: list[str], hint: page.Hint, at: datetime) -> Snapshot:
    told = len(warnings)
    data = _decode_list(props, warnings)
    odd = len(warnings) > told
    query = _query(data.query) or (hint.query if hint.kind is PageKind.SEARCH else None)
    kind = _kind(data, query, hint)
    if kind is PageKind.SEARCH:
        if data.search_results is UNSET:
            raise ParseError("the island of a search page has no searchResults")
        found = data.search_results
    elif data.daily_papers is UNSET:
        raise ParseError("the island has no dailyPapers")
    else:
        found = data.daily_papers
    day = _day(data, hint) if kind is PageKind.DAILY else None
    cards = items.to_cards(found, warnings, day=day)
    if not cards and (found or odd):
        raise ParseError(f"none of the island's papers can be read: {warnings[-1]}")
    if not cards and kind is PageKind.TRENDING:
        raise ParseError("the trending page's island has no papers")
    return Snapshot(
        reader=ReaderName.ISLAND,
        taken_at=at,
        cards=cards,
        kind=kind,
        listed_on=day,
        shows=items.shown(found, since=_since(data)),
        warnings=tuple(warnings),
        query=query,
    )


def _decode_list(props: str, warnings: list[str]) -> Props:
    try:
        return _props.decode(props)
    except msgspec.ValidationError:
        pass  # an item or a key is odd: find out which
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise items.Broken(str(exc)) from exc
    try:
        loose = _loose_props.decode(props)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise items.Broken(str(exc)) from exc
    return Props(
        daily_papers=_loose_list(loose.daily_papers, warnings),
        search_results=_loose_list(loose.search_results, warnings),
        query=loose.query,
        is_trending=loose.is_trending,
        period_type=loose.period_type,
        date=loose.date,
        date_string=loose.date_string,
    )


def _loose_list(raw: Raw | UnsetType, warnings: list[str]) -> list[items.Item] | UnsetType:
    if isinstance(raw, UnsetType) or bytes(raw) == b"null":
        return UNSET
    return items.read_items(raw, warnings)


def _plain(raw: Raw | UnsetType) -> object:
    return None if isinstance(raw, UnsetType) else msgspec.json.decode(raw)


def _query(raw: Raw | UnsetType) -> str | None:
    query = _plain(raw)
    if isinstance(query, dict):
        query = query.get("q")
    return text.clean(query, page.QUERY_LIMIT) if isinstance(query, str) else None


def _kind(data: Props, query: str | None, hint: page.Hint) -> PageKind | None:
    """What the props say goes before what the address says; the day's date comes last."""
    if query or (data.search_results is not UNSET and data.search_results):
        return PageKind.SEARCH
    if _plain(data.is_trending) is True:
        return PageKind.TRENDING
    dated = _plain(data.date) or _plain(data.date_string)
    return (
        page.period_kind(_plain(data.period_type))
        or hint.kind
        or (PageKind.DAILY if dated else None)
    )


def _day(data: Props, hint: page.Hint) -> date | None:
    for raw in (data.date_string, data.date):
        day = _plain(raw)
        if isinstance(day, str) and (found := text.iso_day(day)):
            return found
    return hint.day


def _since(data: Props) -> date | None:
    """Pages with these keys are of 2026, whatever their papers have."""
    young = (data.query, data.is_trending, data.period_type, data.date_string, data.search_results)
    return date(2026, 1, 1) if any(key is not UNSET for key in young) else None


# --- single papers -------------------------------------------------------------------------


def _read_paper(props: str, warnings: list[str], hint: page.Hint, at: datetime) -> Snapshot:
    try:
        data = _paper_props.decode(props)
    except msgspec.ValidationError as exc:
        raise ParseError(f"the island of a single paper has no paper: {exc}") from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise items.Broken(str(exc)) from exc
    item = items.Item(paper=items.read_paper(data.paper), num_comments=_comments(data.comments))
    card = items.to_card(item, rank=None)
    if card is None:
        raise ParseError("the paper of the page has no title")
    if card.organization is None and (organization := _organization(data)):
        card = msgspec.structs.replace(card, organization=organization)
    if hint.paper_id and card.paper_id and hint.paper_id != card.paper_id:
        warnings.append(f"the address names {hint.paper_id}, the page is of {card.paper_id}")
    return Snapshot(
        reader=ReaderName.ISLAND,
        taken_at=at,
        cards=(card,),
        kind=PageKind.PAPER,
        shows=_paper_shows(item, card),
        warnings=tuple(warnings),
    )


def _paper_shows(item: items.Item, card: Card) -> frozenset[str]:
    shows = items.shown([item], since=date(2025, 6, 25)) - {"rank", "thumbnail"}
    return shows | {"organization"} if card.organization else shows


def _organization(data: PaperProps) -> str | None:
    for raw in (data.organization, data.submitter_organization):
        found = _plain(raw)
        if isinstance(found, dict):
            name = found.get("fullname") or found.get("name")
            if isinstance(name, str):
                return text.clean(name, text.NAME_LIMIT)
    return None


def _comments(raw: Raw | UnsetType) -> int | UnsetType:
    """How many of the discussion's entries are comments (others are changes of state)."""
    entries = _plain(raw)
    if not isinstance(entries, list):
        return UNSET
    return len([e for e in entries if isinstance(e, dict) and e.get("type") == "comment"])
