"""Answers of the JSON API: ``/api/daily_papers``, ``/api/papers/search``, ``/api/papers/ID``.

Owns which JSON documents are lists of papers. Must not know HTML.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec
from msgspec import Raw

from watcher.errors import ParseError
from watcher.model import Card, PageKind, ReaderName, Snapshot
from watcher.readers import items, page, text

_WRAPPED = ("data", "papers", "results", "dailyPapers", "searchResults")
_object = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])


def parse(body: bytes, *, url: str | None, at: datetime) -> Snapshot:
    """Read an answer of the API, of any generation.

    Raises:
        ParseError: it is not JSON, an error message, or not a list of papers.
    """
    body = text.utf8(body)
    try:
        return _read(body, url=url, at=at)
    except items.Broken as broken:
        try:
            found = _read(items.mended(body.decode()).encode(), url=url, at=at)
        except items.Broken:
            message = f"the answer is not whole JSON ({broken}); it may be cut off"
            raise ParseError(message) from broken
    warning = "broken characters in the answer were replaced"
    return msgspec.structs.replace(found, warnings=(warning, *found.warnings))


def _read(body: bytes, *, url: str | None, at: datetime) -> Snapshot:
    hint = page.hint(url)
    warnings: list[str] = []
    day = hint.day
    if body.lstrip().startswith(b"{"):
        answer = _decoded_object(body)
        if "title" in answer and "id" in answer:
            return _one_paper(body, at)
        body, day = _unwrapped(answer, day)
    return _listed(body, warnings, hint=hint, day=day, at=at)


def _decoded_object(body: bytes) -> dict[str, Raw]:
    try:
        return _object.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise items.Broken(str(exc)) from exc


def _unwrapped(answer: dict[str, Raw], day: date | None) -> tuple[bytes, date | None]:
    """The list inside an object that someone put around it, and the day it names."""
    for name in ("date", "dateString"):
        if name in answer and day is None:
            named = _plain(answer[name])
            day = text.iso_day(named) if isinstance(named, str) else None
    for name in _WRAPPED:
        if name in answer and bytes(answer[name]).lstrip().startswith(b"["):
            return bytes(answer[name]), day
    for name in ("error", "message"):
        if name in answer:
            raise ParseError(f"the API answered with an error: {str(_plain(answer[name]))[:200]}")
    keys = ", ".join(list(answer)[:8])
    raise ParseError(f"the answer is an object without a list of papers (keys: {keys})")


def _plain(raw: Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _listed(
    body: bytes, warnings: list[str], *, hint: page.Hint, day: date | None, at: datetime
) -> Snapshot:
    found = _items(body, warnings)
    cards = items.to_cards(found, warnings, day=day)
    if not cards and (found or warnings):
        raise ParseError(f"no paper of the answer can be read: {warnings[0]}")
    if cards and all(card.paper_id is None for card in cards):
        raise ParseError("no item of the answer has an arXiv id: it is no list of papers")
    kind = _kind(hint, cards)
    listed_on = (day or _common_day(cards)) if kind is PageKind.DAILY else None
    return Snapshot(
        reader=ReaderName.API,
        taken_at=at,
        cards=cards,
        kind=kind,
        listed_on=listed_on,
        # A field that no item has yet is empty, not absent: the newest item dates the answer.
        shows=items.shown(found, since=_newest_day(cards)),
        warnings=tuple(warnings),
        query=hint.query,
    )


def _items(body: bytes, warnings: list[str]) -> list[items.Item]:
    try:
        raws = _list.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise items.Broken(str(exc)) from exc
    items.check_length(raws)
    starts = [bytes(raw[:1]) for raw in map(bytes, raws)]
    if starts and starts.count(b'"') == len(starts):
        raise ParseError(
            "the answer is a list of texts, not of papers: a collector wrote it down as Python"
        )
    flat = [b"{" in start and _is_flat(raw) for start, raw in zip(starts, raws, strict=True)]
    if any(flat):
        raws = [
            Raw(b'{"paper":' + bytes(raw) + b"}") if is_flat else raw
            for raw, is_flat in zip(raws, flat, strict=True)
        ]
        body = b"[" + b",".join(map(bytes, raws)) + b"]"
    return items.read_items(body, warnings)


def _is_flat(raw: Raw) -> bool:
    """A paper without the outer object around it."""
    keys = _plain_keys(raw)
    return "paper" not in keys and "title" in keys


def _plain_keys(raw: Raw) -> frozenset[str]:
    try:
        return frozenset(_object.decode(raw))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return frozenset()


def _common_day(cards: tuple[Card, ...]) -> date | None:
    days = {card.listed_on for card in cards}
    return days.pop() if len(days) == 1 else None


def _newest_day(cards: tuple[Card, ...]) -> date | None:
    return max((card.listed_on for card in cards if card.listed_on), default=None)


def _kind(hint: page.Hint, cards: tuple[Card, ...]) -> PageKind | None:
    """Without an address, papers of one list day are a daily list."""
    if hint.kind:
        return hint.kind
    return PageKind.DAILY if len({card.listed_on for card in cards}) == 1 else None


def _one_paper(body: bytes, at: datetime) -> Snapshot:
    try:
        item = items.Item(paper=items.read_paper(body))
    except items.Broken as exc:
        raise ParseError(f"the answer is not a paper: {exc}") from exc
    card = items.to_card(item, rank=None)
    if card is None:
        raise ParseError("the answer is a paper without a title")
    shows = items.shown([item]) - {"rank", "comments", "thumbnail"}
    return Snapshot(
        reader=ReaderName.API, taken_at=at, cards=(card,), kind=PageKind.PAPER, shows=shows
    )
