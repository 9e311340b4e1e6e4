"""Sources and the visits that were made to them.

Owns the tables ``sources``, ``checks`` and ``orders``.
"""

from __future__ import annotations

import array
import sqlite3
import sys
from collections.abc import Mapping
from datetime import datetime

import msgspec

from watcher.clock import from_text, maybe_from_text, to_text
from watcher.model import CheckOutcome, ReaderName, Value

_json = msgspec.json.Encoder()


class SourceState(Value, frozen=True, kw_only=True):
    """What is remembered of a source between two visits."""

    id: int
    name: str
    url: str = ""
    family: str = ""
    etag: str | None = None
    last_modified: str | None = None
    context: str | None = None
    """Fingerprint of the rules and reader under which the validators were stored."""
    island_hash: str | None = None
    kind: str | None = None
    cards: int | None = None
    first_ok_at: datetime | None = None
    last_ok_at: datetime | None = None
    last_check_at: datetime | None = None
    failing_since: datetime | None = None
    failures: int = 0
    told_failing: bool = False
    told_as: str | None = None
    """Whose name the notice bears: the source's own, or its host's when many failed together."""
    last_error: str | None = None
    next_due_at: datetime | None = None


class Kept(Value, frozen=True, kw_only=True):
    """What makes the next visit of a source cheap; only ever of a judged snapshot."""

    etag: str | None
    last_modified: str | None
    context: str
    """See ``SourceState``."""
    island_hash: str | None


class Check(Value, frozen=True, kw_only=True):
    """One visit of one source, for later accounting."""

    source: int
    at: datetime
    outcome: CheckOutcome
    status: int | None = None
    bytes: int = 0
    duration_ms: int = 0
    reader: ReaderName | None = None
    cards: int | None = None
    fresh: int = 0
    moved: int = 0
    events: int = 0
    fills: dict[str, int] | None = None
    error: str | None = None
    page: str | None = None


_COLUMNS = (
    "id, name, url, family, etag, last_modified, context, island_hash, kind, cards, first_ok_at, "
    "last_ok_at, last_check_at, failing_since, failures, told_failing, told_as, last_error, "
    "next_due_at"
)


class Sources:
    """Every statement about sources and checks."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._ids: dict[str, tuple[int, str]] = {}
        """Each source's row and address."""
        self._last_order: dict[int, tuple[bytes, int]] = {}

    def forget(self) -> None:
        """Drop what was cached; rows may have been rolled back."""
        self._ids.clear()
        self._last_order.clear()

    def id_of(self, name: str, url: str = "", family: str | None = None) -> int:
        """The row of a source, made when it is met first; its url is kept current."""
        known = self._ids.get(name)
        if known is not None and url in ("", known[1]):
            return known[0]
        state = self.state(name)
        if state is None:
            row = self._conn.execute(
                "insert into sources (name, url, family) values (?, ?, ?) returning id",
                (name, url, family or name),
            ).fetchone()
            self._ids[name] = (int(row[0]), url)
        else:
            if url not in ("", state.url):
                self._move(state, url)
            self._ids[name] = (state.id, url or state.url)
        return self._ids[name][0]

    def move(self, urls: Mapping[str, str]) -> None:
        """Let sources that have another address by now begin anew before any of their past days
        is visited: what that shows at first is known, too."""
        for name, url in self.moved(urls).items():
            self.id_of(name, url)

    def _move(self, state: SourceState, url: str) -> None:
        """Another page under an old name: it begins anew, what it shows at first is known."""
        self._conn.execute("update sources set url = ? where id = ?", (url, state.id))
        if not state.url:
            return  # only imported so far
        self._conn.execute(
            "update sources set etag = null, last_modified = null, island_hash = null,"
            " kind = null, first_ok_at = null, last_ok_at = null where id = ?",
            (state.id,),
        )
        self._conn.execute("delete from pairs where source = ?", (state.name,))
        self._conn.execute("delete from portraits where source = ?", (state.id,))

    def families(self) -> dict[int, str]:
        """The row of each source to the name that rules know it by."""
        return dict(self._conn.execute("select id, family from sources").fetchall())

    def state(self, name: str) -> SourceState | None:
        """What is remembered of a source; None when it was never visited."""
        row = self._conn.execute(
            f"select {_COLUMNS} from sources where name = ?", (name,)
        ).fetchone()
        return None if row is None else _state(row)

    def moved(self, urls: Mapping[str, str]) -> dict[str, str]:
        """Those of some sources' addresses, by name, that are not the stored ones any more."""
        stored = dict(self._conn.execute("select name, url from sources").fetchall())
        return {name: url for name, url in urls.items() if stored.get(name, url) != url}

    def states(self) -> tuple[SourceState, ...]:
        """All sources ever met, by name."""
        rows = self._conn.execute(f"select {_COLUMNS} from sources order by name")
        return tuple(_state(row) for row in rows)

    def plan(self, source: int, next_due_at: datetime) -> None:
        """Write down when a source is to be visited next."""
        self._conn.execute(
            "update sources set next_due_at = ? where id = ?", (to_text(next_due_at), source)
        )

    def record_check(self, check: Check) -> int:
        """Store a visit; returns its row."""
        cursor = self._conn.execute(
            "insert into checks (source, at, outcome, status, bytes, duration_ms, reader, cards,"
            " fresh, moved, events, fills, error, page)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                check.source,
                to_text(check.at),
                check.outcome.value,
                check.status,
                check.bytes,
                check.duration_ms,
                check.reader.value if check.reader else None,
                check.cards,
                check.fresh,
                check.moved,
                check.events,
                _json.encode(check.fills).decode() if check.fills else None,
                check.error,
                check.page,
            ),
        )
        return int(cursor.lastrowid or 0)

    def succeed(
        self,
        source: int,
        at: datetime,
        *,
        kept: Kept | None = None,
        cards: int | None = None,
        kind: str | None = None,
        next_due_at: datetime | None = None,
    ) -> None:
        """A visit went well: the source sees again. What is None stays as it is, but for
        what is ``kept``."""
        text, due = to_text(at), to_text(next_due_at) if next_due_at else None
        values: tuple[object, ...] = (text, cards, kind, due, source)
        keep = ""
        if kept is not None:
            keep = "etag = ?6, last_modified = ?7, context = ?8, island_hash = ?9, "
            values += (kept.etag, kept.last_modified, kept.context, kept.island_hash)
        self._conn.execute(
            f"update sources set {keep}last_ok_at = ?1, last_check_at = ?1,"
            " first_ok_at = coalesce(first_ok_at, ?1), failing_since = null, failures = 0,"
            " told_failing = 0, told_as = null, last_error = null, cards = coalesce(?2, cards),"
            " kind = coalesce(?3, kind), next_due_at = coalesce(?4, next_due_at) where id = ?5",
            values,
        )

    def fail(self, source: int, at: datetime, error: str, *, asked: bool = True) -> int:
        """A visit failed; returns how many in a row have. One that was not ``asked`` for, since
        its host wants a pause, does not count, but lasts."""
        row = self._conn.execute(
            "update sources set last_check_at = ?1, failures = failures + ?4,"
            " failing_since = coalesce(failing_since, ?1), last_error = ?2"
            " where id = ?3 returning failures",
            (to_text(at), error, source, int(asked)),
        ).fetchone()
        return int(row[0])

    def mark_told(self, source: int, told_as: str | None = None) -> None:
        """A notice about this failing source, or about all of its host, has been recorded."""
        self._conn.execute(
            "update sources set told_failing = 1, told_as = coalesce(?, name) where id = ?",
            (told_as, source),
        )

    def give_another_chance(self, source: int) -> None:
        """Its host works again: count its failures anew, and tell them anew if they last."""
        self._conn.execute(
            "update sources set told_failing = 0, told_as = null, failures = 0,"
            " failing_since = null where id = ?",
            (source,),
        )

    def drop_validators(self) -> None:
        """Forget the validators of all sources: the next visit reads the whole page."""
        self._conn.execute(
            "update sources set etag = null, last_modified = null, island_hash = null"
        )

    def order(self, source: int) -> list[int]:
        """The papers of a trending page at the last visit, in its order; empty for any other."""
        papers, ranked = self._order(source) or (b"", 0)
        return unpack(papers) if ranked else []

    def _order(self, source: int) -> tuple[bytes, int] | None:
        last = self._last_order.get(source)
        if last is None:
            last = self._conn.execute(
                "select papers, ranked from orders where source = ? order by at desc limit 1",
                (source,),
            ).fetchone()
        return last

    def keep_order(self, source: int, at: int, papers: list[int], *, ranked: bool) -> bool:
        """Store a page's papers in their order, if it differs from the last; True if it did."""
        shown = (pack(papers), int(ranked))
        last = self._order(source)
        self._last_order[source] = shown
        if shown == last:
            return False
        self._conn.execute(
            "insert into orders (source, at, papers, ranked) values (?, ?, ?, ?)"
            " on conflict do update set papers = excluded.papers, ranked = excluded.ranked",
            (source, at, *shown),
        )
        return True

    def shows(self, source: int) -> frozenset[str]:
        """The fields that the last judged page of a source showed; empty when there is none."""
        row = self._conn.execute(
            "select fills from checks where source = ? and outcome = 'ok'"
            " order by at desc, id desc limit 1",
            (source,),
        ).fetchone()
        return frozenset(msgspec.json.decode(row[0])) if row and row[0] else frozenset()

    def last_read(self, source: int) -> datetime | None:
        """When the page itself of a source was last fetched, and not only said to be unchanged."""
        row = self._conn.execute(
            "select at from checks where source = ? and bytes > 0"
            " and outcome in ('ok', 'unchanged') order by at desc limit 1",
            (source,),
        ).fetchone()
        return from_text(row[0]) if row else None

    def last_kept_page(self, source: int, since: datetime) -> str | None:
        """The hash of the newest page of a source that was kept at or after an instant."""
        row = self._conn.execute(
            "select page from checks where source = ? and at >= ? and page is not null"
            " order by at desc, id desc limit 1",
            (source, to_text(since)),
        ).fetchone()
        return row[0] if row else None

    def count_checks(self) -> dict[str, int]:
        """How many visits ended how."""
        rows = self._conn.execute("select outcome, count(*) from checks group by outcome")
        return dict(rows.fetchall())


def pack(papers: list[int]) -> bytes:
    """Paper rows as little-endian 32-bit integers."""
    packed = array.array("I", papers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack(blob: bytes) -> list[int]:
    """The inverse of ``pack``."""
    packed = array.array("I")
    packed.frombytes(blob)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tolist()


def _state(row: tuple[object, ...]) -> SourceState:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    for name in ("first_ok_at", "last_ok_at", "last_check_at", "failing_since", "next_due_at"):
        values[name] = maybe_from_text(values[name])  # type: ignore[arg-type]
    values["told_failing"] = bool(values["told_failing"])
    return SourceState(**values)  # type: ignore[arg-type]
