"""Searching everything that was seen, at a known cost.

Owns no table. Words are found by the full-text index, counts and ages by the narrow table of
papers; what neither knows is looked for in some hundred papers per page. Must not know the
query language beyond the parts a query is made of.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from watcher.clock import to_unix
from watcher.matching import Node, Not, Number, Several, doc_of
from watcher.model import Paper, Value
from watcher.query import Query
from watcher.store.papers import Papers

BEGUN = "coalesce(p.listed_at, p.first_seen_at)"
"""When a paper began: the expression of the index ``papers_begun``."""
_BY_BEST, _BY_NEW, _BY_VOTES = "best", "new", "votes"
SORTS = (_BY_BEST, _BY_NEW, _BY_VOTES)
_RANKED = 2_000
"""Ranking more matches than this by relevance would make a page slow: then the newest first."""
_LOOKED = 400
"""Papers whose words are looked through for one page of results, where no index helps."""


class Found(Value, frozen=True, kw_only=True):
    """A page of search results."""

    papers: tuple[Paper, ...] = ()
    next: str | None = None
    """Where to go on; None at the end."""
    looked: int = 0
    """Papers whose words were looked at."""
    sort: str = _BY_NEW
    """The order really used."""


class Finding:
    """Every statement about searching."""

    def __init__(self, conn: sqlite3.Connection, papers: Papers) -> None:
        self._conn = conn
        self._papers = papers

    def search(
        self, query: Query | None, *, now: datetime, sort: str, limit: int, start: str = ""
    ) -> Found:
        """A page of the papers that match a query (all, without one).

        ``start`` is the ``next`` of the page before. Words are found by the full-text index,
        counts and ages by the narrow table of papers; what neither knows (organisations,
        keywords, sources) is looked for in a few hundred papers per page, the newest first.
        """
        match = query.fts() if query else None
        numbers, values = narrowed(query.root, now) if query else ("1", [])
        first = _offset(start)
        if match and sort == _BY_BEST and first is not None:
            ranked = self._ranked(match, numbers, values)
            if ranked is not None:
                return self._page(query, ranked[first:], now, limit, first)
        if sort == _BY_VOTES:
            rows = self._by_votes(match, numbers, values)
            page = self._page(query, rows[first or 0 :], now, limit, first or 0)
            return msgspec.structs.replace(page, sort=_BY_VOTES)
        return self._newest(query, match, (numbers, values), now=now, limit=limit, start=start)

    def _ranked(self, match: str, numbers: str, values: list[float]) -> list[int] | None:
        """Matching rows, the best first; None when there are too many to rank quickly."""
        some = self._conn.execute(
            "select count(*) from (select 1 from texts_index where texts_index match ? limit ?)",
            (match, _RANKED + 1),
        ).fetchone()[0]
        if some > _RANKED:
            return None
        found = self._conn.execute(
            "select f.rowid from texts_index f join papers p on p.id = f.rowid"
            f" where texts_index match ? and {numbers}"
            " order by bm25(texts_index, 8.0, 2.0, 3.0, 4.0), f.rowid desc",
            (match, *values),
        )
        return [row for (row,) in found]

    def _by_votes(self, match: str | None, numbers: str, values: list[float]) -> list[int]:
        if match:
            found = self._conn.execute(
                "select f.rowid from texts_index f join papers p on p.id = f.rowid"
                f" where texts_index match ? and {numbers} and p.upvotes is not null"
                " order by p.upvotes desc, p.id desc limit 2000",
                (match, *values),
            )
        else:
            found = self._conn.execute(
                f"select p.id from papers p where {numbers} and p.upvotes is not null"
                " order by p.upvotes desc, p.id desc limit 2000",
                values,
            )
        return [row for (row,) in found]

    def _page(
        self, query: Query | None, rows: Sequence[int], now: datetime, limit: int, first: int
    ) -> Found:
        kept: list[Paper] = []
        looked = 0
        most = min(len(rows), _LOOKED)
        while looked < most and len(kept) < limit:
            # Words are long: no more papers are read than a page of results is likely to need.
            for paper in self._papers.many(rows[looked : min(looked + limit + 10, most)]):
                if len(kept) == limit:
                    break
                looked += 1
                if self._matches(query, paper, now):
                    kept.append(paper)
        more = looked < len(rows)
        following = str(first + looked) if more else None
        return Found(papers=tuple(kept), next=following, looked=looked, sort=_BY_BEST)

    def _newest(
        self,
        query: Query | None,
        match: str | None,
        narrow: tuple[str, list[float]],
        *,
        now: datetime,
        limit: int,
        start: str,
    ) -> Found:
        begun, last = _place(start)
        numbers, values = narrow
        words = (
            " and p.id in (select rowid from texts_index where texts_index match ?)"
            if match
            else ""
        )
        # Without an index on what is looked for, a page looks through some hundred papers.
        rows = self._conn.execute(
            f"select p.id, {BEGUN} from papers p indexed by papers_begun"
            f" where {BEGUN} <= ? and ({BEGUN} < ? or p.id < ?) and {numbers}{words}"
            f" order by {BEGUN} desc, p.id desc limit ?",
            (begun, begun, last, *values, *([match] if match else []), _LOOKED + 1),
        ).fetchall()
        begun_of = dict(rows)
        page = self._page(query, [row for row, _ in rows], now, limit, 0)
        if page.next is None:
            return msgspec.structs.replace(page, sort=_BY_NEW)
        end = rows[page.looked - 1][0]
        following = f"{begun_of[end]}-{end}"
        return msgspec.structs.replace(page, next=following, sort=_BY_NEW)

    def _matches(self, query: Query | None, paper: Paper, now: datetime) -> bool:
        if query is None:
            return True
        sources = self._papers.sources_of(paper.row) if query.asks_source else ()
        return query.match(doc_of(paper, now=now, sources=sources)) is True


def narrowed(node: Node, now: datetime) -> tuple[str, list[float]]:
    """A condition on ``papers p`` that holds for every paper a query matches, and its values.

    Counts and ages become comparisons; everything else is left to matching. SQL's unknown is
    the query's unknown.
    """
    exact = _exact(node)
    if exact is not None:
        return exact
    if isinstance(node, Number) and node.field == "age":
        return _aged(node, now)
    if isinstance(node, Several):
        parts = [narrowed(part, now) for part in node.parts]
        if not parts:
            return "1", []
        joined = (" or " if node.decisive else " and ").join(sql for sql, _ in parts)
        return f"({joined})", [value for _, values in parts for value in values]
    return "1", []


def _exact(node: Node) -> tuple[str, list[float]] | None:
    """SQL that is true, false and unknown exactly when a part is; None when there is none."""
    if isinstance(node, Number) and node.field != "age":
        column = f"p.{node.field}"
        return _between(column, node)
    if isinstance(node, Not):
        part = _exact(node.part)
        return None if part is None else (f"not ({part[0]})", part[1])
    return None


def _between(column: str, node: Number) -> tuple[str, list[float]]:
    terms = [f"{column} is not null"]
    values: list[float] = []
    if node.low > -math.inf:
        terms.append(f"{column} {'>=' if node.with_low else '>'} ?")
        values.append(node.low)
    if node.high < math.inf:
        terms.append(f"{column} {'<=' if node.with_high else '<'} ?")
        values.append(node.high)
    if len(terms) > 1:
        terms = terms[1:]  # a comparison with null is null by itself
    return f"({' and '.join(terms)})", values


def _aged(node: Number, now: datetime) -> tuple[str, list[float]]:
    """Listed within bounds, or not known to be listed: matching decides those."""
    terms: list[str] = []
    values: list[float] = []
    if node.high < math.inf:
        terms.append("p.listed_at >= ?")
        values.append(to_unix(now - timedelta(hours=min(node.high, 1e6))) - 1)
    if node.low > -math.inf:
        terms.append("p.listed_at <= ?")
        values.append(to_unix(now - timedelta(hours=min(node.low, 1e6))) + 1)
    if not terms:
        return "1", []
    return f"(p.listed_at is null or ({' and '.join(terms)}))", values


def _offset(start: str) -> int | None:
    if start and not (start.isascii() and start.isdecimal() and len(start) < 10):
        return None
    return int(start or 0)


def _place(start: str) -> tuple[int, int]:
    begun, _, row = start.partition("-")
    if start.isascii() and begun.isdecimal() and row.isdecimal() and len(start) < 30:
        return int(begun), int(row)
    return 2**53, 2**53
