"""The records: every table, through one connection, on one thread.

Owns the transaction for whoever has no store thread (the command line). The SQL stands in
its parts: papers, events, sources, outbox, people, care.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from sqlite_utils import Database

from watcher.store.care import Care
from watcher.store.connection import connect, translate, translated
from watcher.store.events import Events
from watcher.store.outbox import Outbox
from watcher.store.pages import Pages
from watcher.store.papers import Papers
from watcher.store.people import People
from watcher.store.sources import Sources
from watcher.store.standing import Standing


class Records:
    """All parts of the store over one connection."""

    def __init__(self, db: Database, path: Path) -> None:
        self.db = db
        self.path = path
        self.conn: sqlite3.Connection = db.conn
        self.papers = Papers(self.conn)
        self.sources = Sources(self.conn)
        self.events = Events(self.conn, self.papers)
        self.care = Care(self.conn)
        self.standing = Standing(self.conn)
        self.outbox = Outbox(self.conn, self.standing)
        self.pages = Pages(self.conn, self.papers, self.events)
        self.people = People(self.conn, self.outbox)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Records]:
        """All or nothing, for code that has the thread to itself. Raises StoreError."""
        with translated(self.path):
            self.conn.execute("begin immediate")
            self.forget()
            try:
                yield self
            except BaseException:
                if self.conn.in_transaction:
                    self.conn.execute("rollback")
                self.forget()
                raise
            self.conn.execute("commit")

    def forget(self) -> None:
        """Drop what was remembered of rows that may have been rolled back, or written by others."""
        self.sources.forget()
        self.papers.forget()

    def close(self) -> None:
        """Close the connection."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        self.close()
        if isinstance(exc, sqlite3.Error):
            raise translate(exc, self.path) from exc


def open_records(path: Path, *, migrate: bool = False, create: bool = False) -> Records:
    """Open the store at ``path``; see ``connection.connect`` for what it refuses."""
    return Records(connect(path, migrate=migrate, create=create), path)
