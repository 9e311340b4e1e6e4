"""One paper as the site's JSON writes it, in a page's island or in an API answer.

Owns the shape of an item through all its generations, and how it becomes a ``Card``. Must not
know where the JSON came from. One odd item costs itself a warning, never its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from watcher.errors import ParseError
from watcher.model import Card
from watcher.readers import text

ITEMS_LIMIT = 5_000
"""The site shows some hundred papers at most."""

Count = Annotated[int, Meta(ge=0, le=text.COUNT_LIMIT)]
_T = TypeVar("_T")
Maybe: TypeAlias = _T | UnsetType | None


# These trees have no cycles and live for one page: the garbage collector need not watch them.


class Person(msgspec.Struct, gc=False):
    """A user or an organization; which of the names is the login depends on the place."""

    name: Maybe[str] = UNSET
    fullname: Maybe[str] = UNSET
    user: Maybe[str] = UNSET


class Author(msgspec.Struct, gc=False):
    """A printed author; hidden ones count as well."""

    name: str | None = None


class PaperItem(msgspec.Struct, rename="camel", gc=False):
    """The inner ``paper`` object. UNSET tells "this generation had no such key"."""

    id: str | None = None
    title: str | None = None
    summary: str | None = None
    authors: list[Author] | None = None
    published_at: str | None = None
    upvotes: Count | None = None
    discussion_id: Maybe[str] = UNSET
    submitted_on_daily_at: Maybe[str] = UNSET
    submitted_on_daily_by: Maybe[Person] = UNSET
    project_page: Maybe[str] = UNSET
    github_repo: Maybe[str] = UNSET
    github_repo_added_by: Maybe[str] = UNSET
    github_stars: Maybe[Count] = UNSET
    ai_summary: Maybe[str] = field(default=UNSET, name="ai_summary")
    ai_keywords: Maybe[list[str]] = field(default=UNSET, name="ai_keywords")
    ai_summary_model: Maybe[str] = field(default=UNSET, name="ai_summary_model")
    organization: Maybe[Person] = UNSET
    media_urls: Maybe[list[str]] = UNSET


class Item(msgspec.Struct, rename="camel", gc=False):
    """The outer object of a list. Its ``publishedAt`` is a wrong clock and is never read."""

    paper: PaperItem
    title: str | None = None
    summary: str | None = None
    thumbnail: Maybe[str] = UNSET
    media_url: Maybe[str] = UNSET
    num_comments: Maybe[Count] = UNSET
    submitted_by: Maybe[Person] = UNSET
    organization: Maybe[Person] = UNSET
    submitter_organization: Maybe[Person] = UNSET
    """The same for four days of autumn 2025."""


_FIRST_SEEN = {
    "github": date(2025, 3, 4),
    "project": date(2025, 3, 4),
    "keywords": date(2025, 3, 11),
    "ai_summary": date(2025, 5, 22),
    "stars": date(2025, 6, 25),
    "organization": date(2025, 10, 3),
}
"""Since when the site's JSON has the key behind a field (seen in 558 archived answers)."""

_MARKS: tuple[tuple[str, date], ...] = (
    ("ai_summary_model", date(2026, 6, 3)),
    ("github_repo_added_by", date(2025, 12, 11)),
    ("organization", date(2025, 10, 3)),
    ("github_stars", date(2025, 6, 25)),
    ("ai_summary", date(2025, 5, 22)),
    ("submitted_on_daily_at", date(2025, 3, 17)),
    ("submitted_on_daily_by", date(2025, 3, 17)),
    ("ai_keywords", date(2025, 3, 11)),
    ("github_repo", date(2025, 3, 4)),
    ("project_page", date(2025, 3, 4)),
)
"""Keys that date an answer, youngest first: where a younger key is found, older ones exist."""

_ALWAYS = frozenset(
    (
        "rank",
        "paper_id",
        "title",
        "abstract",
        "authors",
        "author_count",
        "published_on",
        "upvotes",
    )
)

_RAW_CONTROL = re.compile(r"[\x00-\x1f]")
_LONE_SURROGATE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)

_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_item_decoder = msgspec.json.Decoder(Item)
_items_decoder = msgspec.json.Decoder(list[Item])
_paper_decoder = msgspec.json.Decoder(PaperItem)


class Broken(Exception):
    """The JSON as a whole cannot be read; the readers turn it into their own errors."""


def mended(document: str) -> str:
    """Lone surrogate escapes and raw control characters make JSON unreadable: replace them."""
    document = _RAW_CONTROL.sub(" ", document)
    return _LONE_SURROGATE.sub(lambda m: "\\ufffd" if m[1] else m[0], document)


def read_items(data: msgspec.Raw | bytes | str, warnings: list[str]) -> list[Item]:
    """A JSON list of items; what is odd is left out with a warning that names it.

    Raises:
        Broken: it is not a JSON list.
    """
    try:
        return _items_decoder.decode(data)
    except msgspec.ValidationError:
        pass  # one of them is odd: find out which
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Broken(str(exc)) from exc
    try:
        raws = _list_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Broken(str(exc)) from exc
    check_length(raws)
    found = [_read_item(raw, position, warnings) for position, raw in enumerate(raws, start=1)]
    return [item for item in found if item is not None]


def check_length(raws: Sequence[object]) -> None:
    """No page lists thousands of papers; raises ``ParseError`` for one that claims to."""
    if len(raws) > ITEMS_LIMIT:
        raise ParseError(f"a list of {len(raws)} items is no page of papers")


def _read_item(raw: msgspec.Raw, position: int, warnings: list[str]) -> Item | None:
    try:
        return _item_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        reason = str(exc)
    try:
        loose = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        warnings.append(f"item {position} was left out: {reason}")
        return None
    item, dropped = _salvage(loose)
    name = _name_of(loose)
    if item is None:
        warnings.append(f"item {position}{name} was left out: {reason}")
    else:
        warnings.append(f"item {position}{name}: could not read {', '.join(dropped)} ({reason})")
    return item


def _name_of(loose: object) -> str:
    paper = loose.get("paper") if isinstance(loose, dict) else None
    paper_id = paper.get("id") if isinstance(paper, dict) else None
    return f" ({paper_id})" if text.paper_id(paper_id) else ""


def _salvage(loose: object) -> tuple[Item | None, list[str]]:
    """Keep the fields that can be read; without a title or a paper there is nothing to keep."""
    if not isinstance(loose, dict) or not isinstance(loose.get("paper"), dict):
        return None, []
    dropped: list[str] = []
    inner = _fields(loose["paper"], PaperItem, dropped)
    outer = _fields({k: v for k, v in loose.items() if k != "paper"}, Item, dropped)
    if not (inner.get("title") or outer.get("title")):
        return None, []
    return Item(paper=PaperItem(**inner), **outer), dropped


def _fields(loose: dict[str, Any], kind: type, dropped: list[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for info in msgspec.structs.fields(kind):
        if info.encode_name not in loose:
            continue
        try:
            kept[info.name] = msgspec.convert(loose[info.encode_name], info.type)
        except msgspec.ValidationError:
            dropped.append(info.encode_name)
    return kept


def read_paper(data: msgspec.Raw | bytes | str) -> PaperItem:
    """One inner ``paper`` object, e.g. of a paper's own page.

    Raises:
        Broken: it is not such an object or lacks a title.
    """
    try:
        paper = _paper_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        paper = _salvaged_paper(data, str(exc))
    if not text.clean(paper.title):
        raise Broken("the paper has no title")
    return paper


def _salvaged_paper(data: msgspec.Raw | bytes | str, reason: str) -> PaperItem:
    try:
        loose = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Broken(str(exc)) from exc
    if not isinstance(loose, dict):
        raise Broken(reason)
    return PaperItem(**_fields(loose, PaperItem, []))


def to_cards(
    items: Sequence[Item | Card], warnings: list[str], *, day: date | None = None
) -> tuple[Card, ...]:
    """Items in page order as cards ranked from 1; a paper that comes twice counts once.

    ``day`` is the list day of the page, for generations whose items do not name theirs. What is
    a card already only gets its rank.
    """
    cards: list[Card] = []
    seen: set[str] = set()
    for position, item in enumerate(items, start=1):
        rank = len(cards) + 1
        if not isinstance(item, Card):
            card = to_card(item, rank=rank, day=day)
        else:
            card = item if item.rank == rank else msgspec.structs.replace(item, rank=rank)
        if card is None:
            warnings.append(f"item {position} was left out: it has no title")
        elif card.paper_id in seen:
            warnings.append(f"item {position} was left out: {card.paper_id} is on the page already")
        else:
            if card.paper_id is None:
                warnings.append(f"item {position} has no arXiv id: {card.title[:60]!r}")
            else:
                seen.add(card.paper_id)
            cards.append(card)
    return tuple(cards)


def to_card(item: Item, *, rank: int | None, day: date | None = None) -> Card | None:
    """One item as a card; None when it has no title."""
    paper = item.paper
    title = text.clean(paper.title, text.TITLE_LIMIT) or text.clean(item.title, text.TITLE_LIMIT)
    if title is None:
        return None
    authors = _authors(paper.authors)
    listed_at, listed_on = listing(paper, day)
    organization = (
        _set(item.organization) or _set(paper.organization) or _set(item.submitter_organization)
    )
    return Card(
        rank=rank,
        paper_id=text.paper_id(paper.id),
        title=title,
        abstract=text.clean(paper.summary) or text.clean(item.summary),
        ai_summary=text.clean(_set(paper.ai_summary)),
        authors=authors,
        author_count=None if authors is None else len(authors),
        published_on=text.iso_day(paper.published_at),
        listed_at=listed_at,
        upvotes=paper.upvotes,
        comments=_set(item.num_comments),
        stars=_set(paper.github_stars),
        github=text.link(_set(paper.github_repo)),
        project=text.link(_set(paper.project_page)),
        organization=text.clean(_name(organization), text.NAME_LIMIT),
        submitted_by=_login(_set(item.submitted_by) or _set(paper.submitted_on_daily_by)),
        keywords=_keywords(_set(paper.ai_keywords)),
        thumbnail=text.link(_set(item.thumbnail) or _set(item.media_url)),
        listed_on=listed_on,
    )


def _set(value: Maybe[_T]) -> _T | None:
    return None if value is UNSET else value


def _authors(authors: list[Author] | None) -> tuple[str, ...] | None:
    """Every author, in order. One without a printable name still counts."""
    if not authors:
        return None
    names = [author.name or "?" for author in authors]
    return text.clean_all(names) or tuple(
        text.clean(name, text.NAME_LIMIT) or "?" for name in names
    )


def _keywords(words: list[str] | None) -> tuple[str, ...] | None:
    if not words:
        return None
    return (
        text.clean_all(words[:100])
        or tuple(word for raw in words[:100] if (word := text.clean(raw, text.NAME_LIMIT)))
        or None
    )


def _name(person: Person | None) -> str | None:
    return (_set(person.fullname) or _set(person.name)) if person else None


def _login(person: Person | None) -> str | None:
    """``user`` is the login where it exists, else ``name`` is; never the full name."""
    if person is None:
        return None
    return text.clean(_set(person.user) or _set(person.name), text.NAME_LIMIT)


def listing(paper: PaperItem, day: date | None) -> tuple[datetime | None, date | None]:
    """When and on which day it was listed on the daily page; None for what is not known.

    ``submittedOnDailyAt`` when it is not midnight (from May 2026 on it is midnight only); else
    the time in ``discussionId`` if it falls on the list day. A time without a zone only tells the
    day. ``day`` is used where the item names none. Source: FORMAT.md, "three clocks".
    """
    named = _set(paper.submitted_on_daily_at)
    submitted = text.iso_time(named)
    if submitted and submitted.timetz() != time(tzinfo=UTC):
        return submitted, submitted.date()
    listed_on = submitted.date() if submitted else text.iso_day(named) or day
    opened = _object_time(_set(paper.discussion_id))
    return (opened if opened and opened.date() == listed_on else None), listed_on


def _object_time(object_id: str | None) -> datetime | None:
    """The Unix time in the first 8 hex digits of a MongoDB object id."""
    if not object_id or len(object_id) != 24:
        return None
    try:
        return datetime.fromtimestamp(int(object_id[:8], 16), UTC)
    except (ValueError, OverflowError):
        return None


_GENERATIONS: dict[frozenset[str], frozenset[str]] = {}
"""The few sets of fields there are, each once: thousands of memos hold them."""


def shown(
    items: Iterable[Item],
    *,
    since: date | None = None,
    known: Collection[frozenset[str]] = (),
) -> frozenset[str]:
    """The fields that this generation of the JSON shows, whether or not a paper has them.

    A key that any item has is shown, and so is every key older than the youngest one found.
    ``since`` is what the surrounding page tells about its age, ``known`` what was found of the
    page's other items.
    """
    items = list(items)
    generation = since or date.min
    for key, first in _MARKS:
        if first > generation and any(_has(item, key) for item in items):
            generation = first
            break
    fields = set(_ALWAYS)
    fields.update(name for name, first in _FIRST_SEEN.items() if first <= generation)
    outer: tuple[tuple[str, Callable[[Item], bool]], ...] = (
        ("comments", lambda i: i.num_comments is not UNSET),
        ("thumbnail", lambda i: i.thumbnail is not UNSET or i.media_url is not UNSET),
        ("submitted_by", lambda i: i.submitted_by is not UNSET or _has(i, "submitted_on_daily_by")),
        ("listed_at", lambda i: _has(i, "submitted_on_daily_at") or _has(i, "discussion_id")),
    )
    none = not (items or known)
    fields.update(name for name, has in outer if none or any(map(has, items)))
    found = frozenset(fields.union(*known))
    return _GENERATIONS.setdefault(found, found)


def _has(item: Item, key: str) -> bool:
    inner = getattr(item.paper, key, UNSET)
    return inner is not UNSET or getattr(item, key, UNSET) is not UNSET
