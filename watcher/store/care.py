"""What the watcher remembers about itself: portraits, housekeeping, politeness, accounts.

Owns the tables ``portraits``, ``chores``, ``ledger`` and ``pauses``, and the removal of old
records from all others. Decides nothing: what is odd, due or worth telling is said elsewhere.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from sqlite_utils import Database

from watcher.clock import from_text, to_text, to_unix
from watcher.errors import StoreError, StoreRefused, WatcherError
from watcher.model import CheckOutcome, PageKind, Snapshot, Value
from watcher.store import connection
from watcher.store.outbox import Outbox
from watcher.store.sources import pack, unpack
from watcher.store.standing import Standing
from watcher.wants import CONFIRM_WITHIN

_HOUR = 3_600
_PROOF = 262_144
"""Bytes that must fit before work goes on after a full disk."""
_BATCH = 2_000
"""Rows removed in one transaction: alerts must not wait for housekeeping."""


class Ledger(Value, frozen=True, kw_only=True):
    """What was asked of one host in a span of time."""

    host: str
    requests: int = 0
    pages: int = 0
    not_modified: int = 0
    failures: int = 0
    too_many: int = 0
    retries: int = 0
    bytes_read: int = 0
    bytes_saved: int = 0
    """What the 304 answers would have cost."""
    share: float = 0.0
    """The largest part of the site's rate window that was used up."""
    hours: int = 0
    """Hours in which there was a request."""


class Accounts(Value, frozen=True, kw_only=True):
    """What happened in a span of time."""

    outcomes: Mapping[str, int]
    """Checks by how they ended."""
    papers: int
    """Different papers on the pages."""
    told: int
    """Changes recorded that somebody was to hear of."""
    waiting: int
    """Messages whose time had come and that could not be sent yet."""


class Pruned(Value, frozen=True, kw_only=True):
    """How many rows went, by kind of record."""

    sightings: int = 0
    places: int = 0
    checks: int = 0
    messages: int = 0
    ledger: int = 0
    learnt: int = 0
    asked: int = 0
    """Addresses that never confirmed."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, name) for name in self.__struct_fields__)

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(**{n: getattr(self, n) + getattr(other, n) for n in self.__struct_fields__})


class Spans(Value, frozen=True, kw_only=True):
    """How long each kind of record is kept; zero is for ever."""

    sightings: timedelta = timedelta(0)
    places: timedelta = timedelta(0)
    checks: timedelta = timedelta(0)
    messages: timedelta = timedelta(0)


_COUNTS = (
    "requests", "pages", "not_modified", "failures", "too_many", "retries", "bytes_read",
    "bytes_saved",
)  # fmt: skip


class Care:
    """Every statement of the watcher about itself."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    # --- portraits ---

    def portrait(self, source: int) -> bytes:
        """What a source's pages usually look like, as it was stored; empty when unknown."""
        row = self._conn.execute(
            "select body from portraits where source = ?", (source,)
        ).fetchone()
        return row[0].encode() if row else b""

    def keep_portrait(self, source: int, body: bytes) -> None:
        """Store a portrait."""
        self._conn.execute(
            "insert into portraits (source, body) values (?, ?)"
            " on conflict do update set body = excluded.body",
            (source, body.decode()),
        )

    def last_page(self, source: int) -> tuple[tuple[str | None, int | None, int | None], ...]:
        """``(arxiv_id, upvotes, stars)`` of the papers on the last judged page of a source."""
        row = self._conn.execute(
            "select papers from orders where source = ? order by at desc limit 1", (source,)
        ).fetchone()
        if row is None:
            return ()
        known = {
            paper[0]: paper[1:]
            for paper in self._conn.execute(
                "select id, arxiv_id, upvotes, stars from papers"
                " where id in (select value from json_each(?))",
                (f"[{','.join(map(str, unpack(row[0])))}]",),
            )
        }
        return tuple(known[paper] for paper in unpack(row[0]) if paper in known)

    # --- housekeeping ---

    def done_at(self, chore: str) -> datetime | None:
        """When a piece of housekeeping was last done well."""
        row = self._conn.execute("select at from chores where name = ?", (chore,)).fetchone()
        return from_text(row[0]) if row else None

    def note(self, chore: str) -> str | None:
        """What was noted when it was last done."""
        row = self._conn.execute("select note from chores where name = ?", (chore,)).fetchone()
        return row[0] if row else None

    def done(self, chore: str, at: datetime, note: str | None = None) -> None:
        """A piece of housekeeping was done."""
        self._conn.execute(
            "insert into chores (name, at, note) values (?, ?, ?)"
            " on conflict do update set at = excluded.at, note = excluded.note",
            (chore, to_text(at), note),
        )

    def prove_space(self, now: datetime) -> None:
        """Write as much as a large visit does: raises when the disk has no room for it."""
        self.done("space", now, "x" * _PROOF)

    # --- politeness ---

    def add_to_ledger(self, hour: int, entry: Ledger) -> None:
        """Add what was asked of a host since the last time."""
        self._conn.execute(
            f"insert into ledger (host, hour, {', '.join(_COUNTS)}, share)"
            f" values (?, ?, {', '.join('?' * len(_COUNTS))}, ?) on conflict do update set "
            + ", ".join(f"{name} = {name} + excluded.{name}" for name in _COUNTS)
            + ", share = max(share, excluded.share)",
            (entry.host, hour, *(getattr(entry, name) for name in _COUNTS), entry.share),
        )

    def ledger(self, since: datetime) -> tuple[Ledger, ...]:
        """What was asked of each host since an instant (whole hours), by host."""
        rows = self._conn.execute(
            f"select host, {', '.join(f'sum({name})' for name in _COUNTS)}, max(share),"
            " sum(requests > 0) from ledger where hour >= ? group by host order by host",
            (to_unix(since) // _HOUR,),
        )
        names = ("host", *_COUNTS, "share", "hours")
        found = [Ledger(**dict(zip(names, row, strict=True))) for row in rows]
        means = self._conn.execute(
            "select host, sum(bytes_read) / sum(pages) from ledger group by host having sum(pages)"
        )
        usual = dict(means.fetchall())
        # A process that saw nothing but 304s, as a `once` may, could not tell what they saved.
        return tuple(
            msgspec.structs.replace(
                one, bytes_saved=max(one.bytes_saved, one.not_modified * usual.get(one.host, 0))
            )
            for one in found
        )

    def keep_pauses(self, pauses: Mapping[str, datetime]) -> None:
        """Remember which hosts asked to be left alone, and until when."""
        self._conn.execute("delete from pauses")
        self._conn.executemany(
            "insert into pauses (host, until) values (?, ?)",
            [(host, to_text(until)) for host, until in pauses.items()],
        )

    def pauses(self) -> dict[str, datetime]:
        """The hosts that had asked to be left alone."""
        rows = self._conn.execute("select host, until from pauses")
        return {host: from_text(until) for host, until in rows}

    # --- accounts ---

    def accounts(self, since: datetime, until: datetime) -> Accounts:
        """What happened in ``[since, until)``."""
        span = (to_text(since), to_text(until))
        outcomes = self._conn.execute(
            "select outcome, count(*) from checks where at >= ? and at < ? group by outcome", span
        )
        told = self._conn.execute(
            "select count(*) from events where at >= ? and at < ? and not known"
            " and type like 'paper.%'",
            span,
        ).fetchone()[0]
        waiting = self._conn.execute(
            "select count(*) from messages m left join batches b"
            " on b.channel = m.channel and b.batch = m.batch"
            " where m.state = 'waiting' and m.promised_at < ?"
            " and (m.words is not null or b.closed_at is not null"
            "  or m.first_failed_at is not null)",
            (span[1],),
        ).fetchone()[0]
        return Accounts(
            outcomes=dict(outcomes.fetchall()),
            papers=len(self._seen(since, until)),
            told=told,
            waiting=waiting,
        )

    def _seen(self, since: datetime, until: datetime) -> set[int]:
        """The papers on the pages of a span: those of each source's page as it began, and of
        every other page it showed."""
        begin, end = to_unix(since), to_unix(until)
        rows = self._conn.execute(
            "select papers from orders o where at >= ?1 and at < ?2 union all"
            " select papers from orders o where (source, at) in"
            "  (select source, max(at) from orders where at < ?1 and source in"
            "   (select distinct source from checks where at >= ?3 and at < ?4"
            "    and outcome in ('ok', 'unchanged')) group by source)",
            (begin, end, to_text(since), to_text(until)),
        )
        seen: set[int] = set()
        for (papers,) in rows:
            seen.update(unpack(papers))
        return seen

    def good_checks(self, source: int, since: datetime, until: datetime) -> tuple[datetime, ...]:
        """When a source was seen well in ``[since, until)``, in time order."""
        rows = self._conn.execute(
            "select at from checks where source = ? and at >= ? and at < ?"
            " and outcome in ('ok', 'unchanged') order by at",
            (source, to_text(since), to_text(until)),
        )
        return tuple(from_text(at) for (at,) in rows)

    def last_good_before(self, source: int, at: datetime) -> datetime | None:
        """The last time before an instant that a source was seen well."""
        row = self._conn.execute(
            "select at from checks where source = ? and outcome in ('ok', 'unchanged')"
            " and at < ? order by at desc limit 1",
            (source, to_text(at)),
        ).fetchone()
        return from_text(row[0]) if row else None

    def fresh_between(self, source: int, since: datetime, until: datetime) -> int:
        """How many papers a source showed for the first time in ``[since, until)``."""
        row = self._conn.execute(
            "select coalesce(sum(fresh), 0) from checks where source = ? and at >= ? and at < ?",
            (source, to_text(since), to_text(until)),
        ).fetchone()
        return int(row[0])

    # --- removing ---

    def prune(self, spans: Spans, now: datetime) -> Pruned:
        """Remove one helping of what is older than its kind is kept; a total of 0: all is done.

        Papers, events, their keys and deliveries are never removed: old news would be told
        again. Sightings are for ``thin_sightings``.
        """
        return Pruned(
            places=self._prune_places(_limit(spans.places, now)),
            checks=self._prune_checks(_limit(spans.checks, now)),
            messages=self._prune_messages(_limit(spans.messages, now)),
            ledger=self._prune_ledger(_limit(spans.checks, now)),
            learnt=self._prune_learnt(_limit(spans.checks, now)),
            asked=self._prune_asked(now - 2 * CONFIRM_WITHIN),
        )

    def thin_sightings(self, before: datetime, after: int = 0) -> tuple[int, int | None]:
        """Remove old sightings of the next papers behind row ``after``; how many, and where to
        go on (None: that was all).

        Per paper and source the last one before the limit stays: what a count was then, and
        every signal of a paper that is still followed, stay known.
        """
        last = self._conn.execute(
            "select max(id) from (select id from papers where id > ? order by id limit 200)",
            (after,),
        ).fetchone()[0]
        if last is None:
            return 0, None
        removed = self._conn.execute(
            "delete from sightings where paper > ?1 and paper <= ?2 and at < ?3 and exists"
            " (select 1 from sightings s where s.paper = sightings.paper and s.at > sightings.at"
            "  and s.at < ?3 and s.source = sightings.source)",
            (after, last, to_unix(before)),
        ).rowcount
        return removed, int(last)

    def _prune_checks(self, before: datetime | None) -> int:
        if before is None:
            return 0
        return self._conn.execute(
            "delete from checks where id in (select id from checks where at < ? limit ?)",
            (to_text(before), _BATCH),
        ).rowcount

    def _prune_places(self, before: datetime | None) -> int:
        if before is None:
            return 0
        day, at = to_unix(before) // 86_400, to_unix(before)
        removed = self._conn.execute(
            "delete from places where (paper, source, day) in"
            " (select paper, source, day from places where day < ? limit ?)",
            (day, _BATCH),
        ).rowcount
        # The newest order of each source stays: the next page is compared with it.
        removed += self._conn.execute(
            "delete from orders where (source, at) in (select o.source, o.at from orders o"
            " where o.at < ?1 and o.at < (select max(at) from orders where source = o.source)"
            " limit ?2)",
            (at, _BATCH),
        ).rowcount
        return removed

    def _prune_messages(self, before: datetime | None) -> int:
        if before is None:
            return 0
        return Outbox(self._conn, Standing(self._conn)).prune(before)

    def _prune_ledger(self, before: datetime | None) -> int:
        if before is None:
            return 0
        hour = to_unix(before) // _HOUR
        return self._conn.execute("delete from ledger where hour < ?", (hour,)).rowcount

    def _prune_learnt(self, before: datetime | None) -> int:
        if before is None:
            return 0
        at = to_unix(before)
        return self._conn.execute("delete from learnt where before < ?", (at,)).rowcount

    def _prune_asked(self, before: datetime) -> int:
        """Addresses that somebody wrote into the form and nobody confirmed in time, and the
        letters to them."""
        gone = self._conn.execute(
            "delete from subscribers where state = 'asked' and asked_at < ? returning address",
            (to_text(before),),
        ).fetchall()
        if gone:
            Outbox(self._conn, Standing(self._conn)).forget([address for (address,) in gone])
        return len(gone)


def _limit(span: timedelta, now: datetime) -> datetime | None:
    return now - span if span else None


# --- the file as a whole, each on a connection of its own ---------------------------------------


def write_backup(path: Path, target: Path) -> int:
    """Copy the store at ``path`` to ``target`` while others write to it; the copy's size in bytes.

    On a connection of its own: nobody waits for it. Raises StoreError, StoreRefused.
    """
    with _alone(path) as db:
        try:
            connection.backup_to(db, target)
        except sqlite3.Error as exc:
            error = connection.translate(exc, path)
            if isinstance(error, StoreRefused):
                raise error from exc
            raise StoreError(f"no backup could be written to {target}: {exc}") from exc
        except OSError as exc:
            why = exc.strerror or str(exc)
            raise StoreError(f"no backup could be written to {target}: {why}") from exc
    return target.stat().st_size


def quick_check(path: Path) -> str | None:
    """What SQLite's quick check finds wrong with a store; None when it is sound."""
    try:
        with _alone(path) as db, connection.translated(path):
            found = [row[0] for row in db.execute("pragma quick_check(3)").fetchall()]
    except StoreRefused as exc:
        return str(exc)
    return None if found == ["ok"] else "; ".join(found)


def verify_backup(path: Path) -> int:
    """Raise StoreRefused unless a file is a sound store of this or an older version.

    Returns how many papers it holds. The file is only read.
    """
    copy = connection.open_copy(path)
    try:
        with connection.translated(path):
            found = [row[0] for row in copy.execute("pragma quick_check(3)").fetchall()]
            if found != ["ok"]:
                raise StoreRefused(f"{path} is damaged ({found[0]}); choose another backup")
            return int(copy.execute("select count(*) from papers").fetchone()[0])
    finally:
        copy.close()


def settle(path: Path) -> None:
    """Bring what lies in a store's write-ahead log into its file, if it can still be opened."""
    with contextlib.suppress(WatcherError), _alone(path) as db:
        db.execute("pragma wal_checkpoint(truncate)")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[Database]:
    """A connection of one's own to a store, closed at the end."""
    db = connection.connect(path, migrate=False)
    try:
        db.execute("pragma cache_size = -1000")  # it is used once
        yield db
    finally:
        db.close()


def bring_up_to_date(path: Path) -> tuple[str, ...]:
    """Migrate the store at ``path``, with a backup first; the names of the steps taken.

    Raises StoreError, StoreRefused.
    """
    pending = connection.pending(path)
    connection.connect(path, migrate=True).close()
    return pending


def leave_out_cursors(path: Path, now: datetime) -> None:
    """Let the next event of a restored store have a cursor that none had before.

    What came after the backup had cursors too. If they were given again, a consumer that asks for
    the events after the last one it has would miss as many new ones. Where the database is lost
    nobody knows how many there were, also since an earlier restore of the same backup: the
    milliseconds of the clock are surely more. Raises StoreError, StoreRefused.
    """
    with _alone(path) as db, connection.translated(path):
        # SQLite keeps the last number given in a table of its own, from the first event on.
        db.execute(
            "insert into sqlite_sequence (name, seq) select 'events', 0 where not exists"
            " (select 1 from sqlite_sequence where name = 'events')"
        )
        db.execute(
            "update sqlite_sequence set seq = max(seq, ?) where name = 'events'",
            (int(now.timestamp() * 1000),),
        )


class Archived(Value, frozen=True, kw_only=True):
    """A visit whose page was kept."""

    check: int
    source: int
    name: str
    url: str
    family: str
    at: datetime
    outcome: str
    page: str
    """Its hash."""


def archived(
    conn: sqlite3.Connection, since: datetime, until: datetime, *, source: str | None = None
) -> tuple[Archived, ...]:
    """The visits in ``[since, until)`` whose page was kept, in time order."""
    rows = conn.execute(
        "select c.id, s.id, s.name, s.url, s.family, c.at, c.outcome, c.page from checks c"
        " join sources s on s.id = c.source where c.page is not null and c.at >= ?1 and c.at < ?2"
        " and (?3 is null or s.family = ?3 or s.name = ?3) order by c.at, c.id",
        (to_text(since), to_text(until), source),
    )
    return tuple(
        Archived(
            check=row[0],
            source=row[1],
            name=row[2],
            url=row[3],
            family=row[4],
            at=from_text(row[5]),
            outcome=row[6],
            page=row[7],
        )
        for row in rows
    )


def make_room(conn: sqlite3.Connection, visit: Archived) -> None:
    """Before a page is read once more: what its visit had left of counts goes."""
    conn.execute(
        "delete from sightings where source = ? and at = ?", (visit.source, to_unix(visit.at))
    )
    conn.execute("delete from falls where source = ?", (visit.source,))


def amend(
    conn: sqlite3.Connection,
    visit: Archived,
    snapshot: Snapshot,
    *,
    fills: Mapping[str, int],
    rows: Sequence[int],
) -> None:
    """Correct what a visit's record says of its page, and the order of its papers."""
    conn.execute(
        "update checks set outcome = 'ok', error = null, reader = ?, cards = ?, fills = ?"
        " where id = ?",
        (
            snapshot.reader.value,
            len(rows),
            msgspec.json.encode(fills).decode() if fills else None,
            visit.check,
        ),
    )
    place = (visit.source, to_unix(visit.at))
    order = pack(list(rows))
    found = conn.execute(
        "update orders set papers = ? where source = ? and at = ?", (order, *place)
    ).rowcount
    if not found and visit.outcome != CheckOutcome.OK:
        conn.execute(
            "insert into orders (source, at, ranked, papers) values (?, ?, ?, ?)",
            (*place, int(snapshot.kind is PageKind.TRENDING), order),
        )
