"""Papers and how their counts move: what is remembered, as questions.

Owns the tables ``papers``, ``sightings``, ``falls`` and ``places``; what a visit does with them
is in ``meeting.py``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from watcher.clock import from_unix
from watcher.model import History, Paper, Place, Snapshot
from watcher.store.meeting import Meetings, Met
from watcher.store.trail import look_of
from watcher.store.words import Words

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_AT_A_TIME = 200
"""Papers held at once by whoever goes through all of them."""


class Papers:
    """Every statement about papers and sightings."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._words = Words(conn)
        self._meetings = Meetings(conn, self.history)

    def forget(self) -> None:
        """Drop what was kept of rows: they may have been rolled back, or written by others."""
        self._meetings.forget()

    def meet(self, source: int, snapshot: Snapshot, *, live: bool = True) -> tuple[Met, ...]:
        """Remember a snapshot of ``source``; one ``Met`` per card, in the page's order.

        A card that stands twice on the page is met once. Snapshots older than what is
        remembered are filed in their place and only fill gaps in the words; ``live=False``
        looks for newer sightings of each paper, which a visit made just now need not.
        """
        return self._meetings.meet(source, snapshot, live=live)

    @property
    def unsure(self) -> bool:
        """Whether the page met last shows counts that fell and are not believed yet."""
        return self._meetings.unsure

    # --- asking ---

    def find(self, name: str) -> int | None:
        """The row of a paper by arXiv id (``arXiv:`` and version or not), ``t:`` name or url."""
        wanted = name.strip().rstrip("/").rsplit("/", 1)[-1].split("#")[0]
        if wanted[:6].lower() == "arxiv:":
            wanted = wanted[6:].strip()
        if not wanted.startswith("t:") and "v" in wanted:
            wanted = wanted.split("v", maxsplit=1)[0]
        row = self._conn.execute(
            "select id from papers where arxiv_id = ?1 or key = ?1"
            " or (?1 like 't:%' and title_hash = substr(?1, 3)) limit 1",
            (wanted,),
        ).fetchone()
        return None if row is None else int(row[0])

    def key_of(self, row: int) -> str:
        """The paper's name at birth."""
        found = self._conn.execute("select key from papers where id = ?", (row,)).fetchone()
        return str(found[0])

    def sources_of(self, row: int) -> tuple[str, ...]:
        """The families of sources that ever showed a paper."""
        rows = self._conn.execute(
            "select distinct o.family from sightings s join sources o on o.id = s.source"
            " where s.paper = ?",
            (row,),
        )
        return tuple(name for (name,) in rows)

    def first_seen(self, since: int) -> int | None:
        """When the first paper met at or after an instant was met."""
        row = self._conn.execute(
            "select min(first_seen_at) from papers where first_seen_at >= ?", (since,)
        ).fetchone()
        return row[0]  # type: ignore[no-any-return]

    def listed_between(self, since: int, until: int) -> list[int]:
        """Rows of the papers listed in ``[since, until)``, or met then and not listed.

        As far as was known before ``until``: a listing learnt later plays no part.
        """
        found = self._begun(since, until)
        for row, (listed_at, first) in self._words.listed_by(until).items():
            begun = first if listed_at is None else listed_at
            (found.add if since <= begun < until else found.discard)(row)
        return sorted(found)

    def _begun(self, since: int, until: int) -> set[int]:
        rows = self._conn.execute(
            "select id from papers where listed_at >= ?1 and listed_at < ?2"
            " union select id from papers where listed_at is null"
            " and first_seen_at >= ?1 and first_seen_at < ?2",
            (since, until),
        )
        return {row for (row,) in rows}

    def begun_between(self, since: int, until: int, *, family: str) -> list[int]:
        """Rows of the papers whose listing, or first sight without one, lies in
        ``[since, until]``, and that a family of sources saw."""
        rows = self._conn.execute(
            "select value from json_each(?1) asked where exists (select 1 from sightings s"
            " join sources o on o.id = s.source where s.paper = asked.value and o.family = ?2)",
            (_encode(sorted(self._begun(since, until + 1))).decode(), family),
        )
        return [row for (row,) in rows]

    def get(self, row: int) -> Paper:
        """All that is remembered of one paper."""
        return next(iter(self.many([row])))

    def many(self, rows: Sequence[int]) -> tuple[Paper, ...]:
        """Several papers, in the order asked; unknown rows are left out."""
        found = {
            paper.row: paper
            for paper in self._read(
                "p.id in (select value from json_each(?))", (_encode(rows).decode(),)
            )
        }
        return tuple(found[row] for row in rows if row in found)

    def latest(self, *, limit: int | None = None) -> tuple[Paper, ...]:
        """Papers by when they were listed or first seen, the newest first."""
        return tuple(
            self._read(
                "1 order by coalesce(p.listed_at, p.first_seen_at) desc, p.id desc limit ?",
                (-1 if limit is None else limit,),
            )
        )

    def each_latest(self) -> Iterator[Paper]:
        """All of ``latest``, some at a time: whoever needs a few does not load a million."""
        return self._some_at_a_time(
            "select id from papers order by coalesce(listed_at, first_seen_at) desc, id desc", ()
        )

    def search(self, match: str) -> Iterator[Paper]:
        """Papers whose words match an FTS5 expression, the best first, some at a time."""
        return self._some_at_a_time(
            "select rowid from texts_index where texts_index match ? order by rank", (match,)
        )

    def _some_at_a_time(self, statement: str, values: tuple[str, ...]) -> Iterator[Paper]:
        rows = [row for (row,) in self._conn.execute(statement, values).fetchall()]
        for begin in range(0, len(rows), _AT_A_TIME):
            yield from self.many(rows[begin : begin + _AT_A_TIME])

    def _read(self, where: str, values: tuple[Any, ...]) -> Iterator[Paper]:
        rows = self._conn.execute(
            "select p.id, p.arxiv_id, p.title_hash, p.first_seen_at, p.listed_at, p.listed_exact,"
            " p.upvotes, p.comments, p.stars, t.title, t.abstract, t.ai_summary, t.authors,"
            " t.author_count, t.published_on, t.github, t.project, t.organization,"
            " t.submitted_by, t.keywords, t.thumbnail"
            f" from papers p join texts t on t.paper = p.id where {where}",
            values,
        )
        return (_paper(row) for row in rows)

    def as_of(self, paper: Paper, at: int) -> Paper:
        """The paper with the words and the listing it had at an instant."""
        before = self._words.before(paper.row, at)
        return msgspec.structs.replace(paper, **revived(before)) if before else paper

    def history(self, row: int, until: int | None = None) -> History:
        """Everything remembered of a paper's listing, counts and places up to an instant."""
        listed_at, exact, first = self._conn.execute(
            "select listed_at, listed_exact, first_seen_at from papers where id = ?", (row,)
        ).fetchone()
        if until is not None:
            before = self._words.before(row, until)
            listed_at = before.get("listed_at", listed_at)
            exact = before.get("listed_exact", exact)
        end = until if until is not None else 2**53
        looks = self._conn.execute(
            "select at, source, upvotes, comments, stars from sightings"
            " where paper = ? and at <= ? order by at, source",
            (row, end),
        )
        return History(
            listed_at=listed_at,
            listed_exact=bool(exact),
            first_seen_at=first,
            looks=tuple(look_of(look) for look in looks),
            places=self._all_places(row)
            if until is None
            else self._meetings.places(row, None, end),
        )

    def _all_places(self, row: int) -> tuple[Place, ...]:
        rows = self._conn.execute(
            "select at, source, rank, page_size from places where paper = ? order by at", (row,)
        )
        return tuple(Place(at=a, source=s, rank=r, page_size=n) for a, s, r, n in rows)

    def series(self, since: int, before: int) -> Iterator[tuple[int, tuple[tuple[int, int], ...]]]:
        """``(listed_at, ((at, upvotes), …))`` of the papers listed in a span, for learning.

        Listings and counts as they were known before ``before``.
        """
        listed = dict(
            self._conn.execute(
                "select id, listed_at from papers where listed_at >= ?1 and listed_at < ?2",
                (since, before),
            ).fetchall()
        )
        for row, (listed_at, _) in self._words.listed_by(before).items():
            listed.pop(row, None)
            if listed_at is not None and since <= listed_at < before:
                listed[row] = listed_at
        rows = self._conn.execute(
            "select s.paper, s.at, max(s.upvotes) from json_each(?1) asked join sightings s"
            " on s.paper = asked.value where s.at < ?2 and s.upvotes is not null"
            " group by s.paper, s.at order by s.paper, s.at",
            (_encode(sorted(listed)).decode(), before),
        )
        for row, looks in groupby(rows, key=itemgetter(0)):
            yield listed[row], tuple((at, upvotes) for _, at, upvotes in looks)

    def count(self) -> tuple[int, int]:
        """How many papers and sightings are stored."""
        papers = self._conn.execute("select count(*) from papers").fetchone()[0]
        sightings = self._conn.execute("select count(*) from sightings").fetchone()[0]
        return papers, sightings


def _paper(row: Sequence[Any]) -> Paper:
    return Paper(
        row=row[0],
        arxiv_id=row[1],
        title_hash=row[2],
        first_seen_at=from_unix(row[3]),
        listed_at=None if row[4] is None else from_unix(row[4]),
        listed_exact=bool(row[5]),
        upvotes=row[6],
        comments=row[7],
        stars=row[8],
        title=row[9],
        abstract=row[10],
        ai_summary=row[11],
        authors=None if row[12] is None else tuple(_decode(row[12])),
        author_count=row[13],
        published_on=None if row[14] is None else date.fromisoformat(row[14]),
        github=row[15],
        project=row[16],
        organization=row[17],
        submitted_by=row[18],
        keywords=None if row[19] is None else tuple(_decode(row[19])),
        thumbnail=row[20],
    )


def revived(before: dict[str, Any]) -> dict[str, Any]:
    """Fields of a paper as they were before a change, from their stored form."""
    values = dict(before)
    if values.get("listed_at") is not None:
        values["listed_at"] = from_unix(values["listed_at"])
    if values.get("published_on") is not None:
        values["published_on"] = date.fromisoformat(values["published_on"])
    for name in ("authors", "keywords"):
        if values.get(name) is not None:
            values[name] = tuple(_decode(values[name]))
    return values
