"""The island: the JSON that the site puts into ``data-props`` for its own scripts.

Owns decoding that one attribute, which ``tag.py`` cuts out. Must not build a tree of the page:
this is the critical path. The value is unescaped by selectolax (about as fast as replacing
``&quot;`` alone, and right for every entity) and decoded by msgspec.
"""

from __future__ import annotations

import re
from datetime import date, datetime

import msgspec
from msgspec import UNSET, Raw, UnsetType

from watcher.errors import ParseError
from watcher.model import Card, PageKind, ReaderName, Snapshot
from watcher.readers import items, page, text
from watcher.readers.memo import Memo
from watcher.readers.tag import LIST, Tag, find, unescape

_TRENDING_TITLE = re.compile(rb"<title>\s*Trending Papers")
_HEAD = 20_000


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


def parse(
    body: bytes, *, url: str | None, at: datetime, memo: Memo | None = None, tag: Tag | None = None
) -> Snapshot:
    """Read a page by its island.

    ``memo`` holds what the last page of the same source said, and then what this one says; with
    it the items that moved in nothing but their counts cost next to nothing.

    Raises:
        ParseError: there is no island, it is cut off, it is not JSON, or it has no papers
            where it should have some.
    """
    tag = tag or find(body)
    if tag is None:
        raise ParseError("the page has no island (data-target DailyPapers or PaperContent)")
    if tag.cut:
        raise ParseError(f"the page is cut off inside its island ({tag.target})")
    if tag.span is None:
        raise ParseError(f"the island ({tag.target}) has no data-props")
    warnings: list[str] = []
    if b"<html" in body[:2_000] and b"</html" not in body[-4_000:]:
        warnings.append("the page is cut off after its island, which is whole")
    hint = _hint(body, url)
    if memo is not None and tag.target == LIST:
        snapshot = _read_known(tag, memo, warnings, hint, at)
        if snapshot is not None:
            return snapshot
    if not _is_utf8(tag.value or b""):
        tag = find(text.utf8(body)) or tag
    return _read(tag, warnings, hint, at)


def _read(tag: Tag, warnings: list[str], hint: page.Hint, at: datetime) -> Snapshot:
    props = unescape(tag.value or b"", tag.quote)
    read = _read_list if tag.target == LIST else _read_paper
    try:
        return read(props, warnings, hint, at)
    except items.Broken as broken:
        warnings.append("broken characters in the island were replaced")
        try:
            return read(items.mended(props), warnings, hint, at)
        except items.Broken:
            raise ParseError(f"the island ({tag.target}) is not readable: {broken}") from broken


def _hint(body: bytes, url: str | None) -> page.Hint:
    """What the address says, and without it the page's title."""
    hint = page.hint(url)
    if hint.kind is None and _TRENDING_TITLE.search(body, 0, _HEAD):
        return page.Hint(kind=PageKind.TRENDING)
    return hint


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


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


def _read_known(
    tag: Tag, memo: Memo, warnings: list[str], hint: page.Hint, at: datetime
) -> Snapshot | None:
    """The same with a memo, of which most items are known; None when the page is not as plain
    as most: then it is read in full, and says whatever is odd about it."""
    reduced, slots = memo.sift(tag.body, tag.span or (0, 0))
    try:
        reduced.decode()
        data = _props.decode(unescape(reduced, tag.quote))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    decoded = data.daily_papers
    kind = _kind(data, _query(data.query), hint)
    if kind is PageKind.SEARCH or isinstance(decoded, UnsetType):
        return None
    if not slots or len(decoded) != sum(slot.entry is None for slot in slots):
        return None
    day = _day(data, hint) if kind is PageKind.DAILY else None
    if memo and memo.day != day:
        memo.forget()
        return _read_known(tag, memo, warnings, hint, at)
    fresh = iter(decoded)
    told: list[str] = []
    cards = items.to_cards([slot.card or next(fresh) for slot in slots], told, day=day)
    if not cards:
        return None
    known = {slot.entry.shows for slot in slots if slot.entry}
    memo.learn(slots, decoded, cards, day=day)
    return Snapshot(
        reader=ReaderName.ISLAND,
        taken_at=at,
        cards=cards,
        kind=kind,
        listed_on=day,
        shows=items.shown(decoded, since=_since(data), known=known),
        warnings=(*warnings, *told),
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
    """A key beside the papers; None when it is missing or cannot be read."""
    try:
        return None if isinstance(raw, UnsetType) else msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


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
