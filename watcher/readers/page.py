"""What an address says about a page: its kind, its day, its query.

Owns the site's addresses of lists and papers. Must not look at a page's content.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from urllib.parse import parse_qs, unquote, urlsplit

from watcher.model import PageKind, Value
from watcher.readers import text

QUERY_LIMIT = 250
"""The site's own limit (``maxlength`` of its search field)."""

_PERIOD_PATH = re.compile(r"/papers/(date|week|month)/([\w-]{4,10})/?", re.ASCII)
_KIND_OF_PERIOD = {
    "date": PageKind.DAILY,
    "daily": PageKind.DAILY,
    "day": PageKind.DAILY,
    "week": PageKind.WEEK,
    "weekly": PageKind.WEEK,
    "month": PageKind.MONTH,
    "monthly": PageKind.MONTH,
}
_LISTS = ("/papers", "/api/daily_papers", "/api/papers", "/api/papers/search")


class Hint(Value, frozen=True, kw_only=True):
    """What is known of a page before it is read."""

    kind: PageKind | None = None
    day: date | None = None
    query: str | None = None
    paper_id: str | None = None


@lru_cache(maxsize=1_024)
def hint(url: str | None) -> Hint:
    """Read an address; an address of no known form says nothing. Never raises."""
    if not url:
        return Hint()
    try:
        parts = urlsplit(url.strip())
        args = parse_qs(parts.query, max_num_fields=50)
    except ValueError:
        return Hint()
    path = "/" + unquote(parts.path).strip("/")
    if period := _PERIOD_PATH.fullmatch(path):
        kind = _KIND_OF_PERIOD[period[1]]
        return Hint(kind=kind, day=text.iso_day(period[2]) if kind is PageKind.DAILY else None)
    if path == "/papers/trending":
        return Hint(kind=PageKind.TRENDING)
    if paper := text.paper_path(path.removeprefix("/api")):
        return Hint(kind=PageKind.PAPER, paper_id=paper)
    return _list_hint(args) if path in _LISTS else Hint()


def _list_hint(args: dict[str, list[str]]) -> Hint:
    query = text.clean(args.get("q", [""])[0], QUERY_LIMIT)
    if query:
        return Hint(kind=PageKind.SEARCH, query=query)
    for name in ("week", "month"):
        if name in args:
            return Hint(kind=_KIND_OF_PERIOD[name])
    return Hint(kind=PageKind.DAILY, day=text.iso_day(args.get("date", [""])[0]))


def period_kind(name: object) -> PageKind | None:
    """The kind that a page's ``periodType`` or a pager's path names, or None."""
    return _KIND_OF_PERIOD.get(name.lower()) if isinstance(name, str) else None
