"""The records as a back-test reads them: everything once, in the order it was written.

Owns no table and writes nothing. Must not judge: that is ``watcher.backtest``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from watcher.clock import from_text, maybe_from_text
from watcher.model import CheckOutcome, Look, Paper, Value
from watcher.store.papers import Papers, revived
from watcher.store.sources import unpack
from watcher.store.words import read_revision

_fills = msgspec.json.Decoder(dict[str, int])
_AT_ONCE = 500


class PastSource(Value, frozen=True, kw_only=True):
    """A source as the records know it."""

    id: int
    name: str
    url: str
    family: str
    day: date | None = None
    """Of a past day of a daily source."""
    began: datetime | None = None
    """Its first good visit, or the first under another address."""


class PastCheck(Value, frozen=True, kw_only=True):
    """A good visit."""

    source: int
    at: datetime
    outcome: CheckOutcome
    shows: frozenset[str] = frozenset()
    """Fields its page showed; empty for an unchanged one."""


class PastChange(Value, frozen=True, kw_only=True):
    """A visit changed what was known of a paper's words or listing."""

    at: int
    """Unix seconds of the visit."""
    source: int
    """Whose; 0 when unknown."""
    before: dict[str, Any]
    """Fields of ``Paper``, as they were before it."""


class PastPaper(Value, frozen=True, kw_only=True):
    """A paper as it is known now, and what changed on the way."""

    row: int
    key: str
    first_seen_at: int
    paper: Paper
    changes: tuple[PastChange, ...]


class Past:
    """Every statement of a back-test."""

    def __init__(self, conn: sqlite3.Connection, papers: Papers) -> None:
        self._conn = conn
        self._papers = papers

    def sources(self) -> tuple[PastSource, ...]:
        """All sources ever visited or imported."""
        rows = self._conn.execute(
            "select id, name, url, family, first_ok_at from sources order by id"
        )
        return tuple(
            PastSource(
                id=i,
                name=name,
                url=url,
                family=family,
                day=_day_of(name, family),
                began=maybe_from_text(began),
            )
            for i, name, url, family, began in rows
        )

    def count_checks(self) -> int:
        """How many good visits there are."""
        row = self._conn.execute(
            "select count(*) from checks where outcome in ('ok', 'unchanged')"
        ).fetchone()
        return int(row[0])

    def checks(self) -> Iterator[PastCheck]:
        """The good visits in the order in which they were recorded."""
        rows = self._conn.execute(
            "select source, at, outcome, fills from checks"
            " where outcome in ('ok', 'unchanged') order by id"
        )
        for source, at, outcome, fills in rows:
            yield PastCheck(
                source=source,
                at=from_text(at),
                outcome=CheckOutcome(outcome),
                shows=frozenset(_fills.decode(fills)) if fills else frozenset(),
            )

    def orders(self) -> dict[int, list[tuple[int, bool, list[int]]]]:
        """Per source the pages that differed from the one before: time, ranked, papers."""
        found: dict[int, list[tuple[int, bool, list[int]]]] = {}
        for source, at, ranked, papers in self._conn.execute(
            "select source, at, ranked, papers from orders order by source, at"
        ):
            found.setdefault(source, []).append((at, bool(ranked), unpack(papers)))
        return found

    def sightings(self) -> dict[tuple[int, int], list[tuple[int, Look]]]:
        """Per visit (time, source) the papers whose counts it stored."""
        found: dict[tuple[int, int], list[tuple[int, Look]]] = {}
        for paper, at, source, upvotes, comments, stars in self._conn.execute(
            "select paper, at, source, upvotes, comments, stars from sightings"
        ):
            look = Look(at=at, source=source, upvotes=upvotes, comments=comments, stars=stars)
            found.setdefault((at, source), []).append((paper, look))
        return found

    def papers(self) -> Iterator[PastPaper]:
        """Every paper, with what was known of it before."""
        revisions = self._conn.execute(
            "select paper, until, before from revisions order by paper, until"
        )
        changes = {
            row: tuple(_change(at, before) for _, at, before in found)
            for row, found in groupby(revisions, key=itemgetter(0))
        }
        born = self._conn.execute("select id, key, first_seen_at from papers order by id")
        while page := born.fetchmany(_AT_ONCE):
            papers = self._papers.many([row for row, _, _ in page])
            for (row, key, first), paper in zip(page, papers, strict=True):
                yield PastPaper(
                    row=row,
                    key=key,
                    first_seen_at=first,
                    paper=paper,
                    changes=changes.get(row, ()),
                )


def _change(at: int, before: str) -> PastChange:
    values, source = read_revision(before)
    return PastChange(at=at, source=source, before=revived(values))


def _day_of(name: str, family: str) -> date | None:
    _, at, day = name.rpartition("@")
    return date.fromisoformat(day) if at and name != family else None
