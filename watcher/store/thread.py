"""The one thread that owns the store's connection while the daemon runs.

Owns the queue of work, transactions and group commits: writes that wait while one commits
share the next commit, each inside its own savepoint, and writes of one kind wait a little for
each other. Knows no SQL but transaction control.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from watcher.errors import StoreRefused
from watcher.store.connection import translate
from watcher.store.records import Records

T = TypeVar("T")
Work = Callable[[Records], Any]
_GROUP = 32
"""Writes that may share a commit: more would make the first of them wait too long."""
_PATIENCE = 0.02
"""Seconds that a write waits for its company to share the commit."""


class Store:
    """Asynchronous access to the records: ``await store.write(work)``.

    ``work`` is a plain function of the records. It runs on the store's thread, alone; all it
    wrote is committed when the call returns, or nothing of it was when the call raises
    (StoreError, StoreRefused, or whatever ``work`` raised).
    """

    def __init__(self, path: Path, open_records: Callable[[], Records]) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._records = open_records()
        self._version: int | None = None
        self._files: dict[Path, tuple[int, int] | None] = {
            path: None,
            path.with_name(f"{path.name}-wal"): None,
        }
        self._thread = threading.Thread(target=self._serve, name="store", daemon=True)
        self._thread.start()

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self._path

    async def write(self, work: Callable[[Records], T], *, company: int = 1) -> T:
        """Run ``work`` inside a transaction.

        ``company``: so many writers, this one among them, are under way and mind no
        milliseconds. They wait for each other and share one commit: syncing the disk costs as
        much as the writing, and one kind of work at a time keeps the processor's caches warm.
        """
        return await self._ask(work, company)

    async def read(self, work: Callable[[Records], T]) -> T:
        """Run ``work`` on what is committed; it must not write."""
        return await self._ask(work, 0)

    async def _ask(self, work: Callable[[Records], T], company: int) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Job(work, company, loop, future))
        return await future

    async def close(self) -> None:
        """Finish what is queued, then close the file."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    # --- on the thread ---

    def _serve(self) -> None:
        while True:
            job = self._queue.get()
            behind = [job]
            if job is not None and job.writes:
                left, behind = self._gather(job)
                while left:
                    left = self._write_together(left)
            for other in behind:
                if other is None:
                    self._records.close()
                    return
                self._read(other)

    def _gather(self, first: _Job) -> tuple[Sequence[_Job], list[_Job | None]]:
        """The writes that share a commit: those that wait already, and the company of the last of
        them; and what came behind them: a read, the wish to stop (None), or nothing."""
        jobs, until = [first], time.monotonic() + _PATIENCE
        while len(jobs) < _GROUP:
            wait = until - time.monotonic() if len(jobs) < jobs[-1].company else 0.0
            try:
                job = self._queue.get(timeout=max(wait, 0.0))
            except queue.Empty:
                break
            if job is None or not job.writes:
                return jobs, [job]
            jobs.append(job)
        return jobs, []

    def _read(self, job: _Job) -> None:
        if job.is_abandoned:
            return
        try:
            result = job.work(self._records)
        except BaseException as exc:  # noqa: BLE001 - handed to the one who asked
            job.fail(self._translated(exc))
        else:
            job.succeed(result)

    def _write_together(self, jobs: Sequence[_Job]) -> Sequence[_Job]:
        """Commit some writes; those that are left when SQLite ended the transaction by itself."""
        conn = self._records.conn
        try:
            self._check_files()
            conn.execute("begin immediate")
            self._notice_others(conn)
        except (sqlite3.Error, StoreRefused) as exc:
            for job in jobs:
                job.fail(self._translated(exc))
            return ()
        done: list[tuple[_Job, Any]] = []
        left: Sequence[_Job] = ()
        for number, job in enumerate(jobs, 1):
            self._run_in_savepoint(job, done)
            if not conn.in_transaction:
                left = jobs[number:]
                break
        self._commit(done)
        return left

    def _check_files(self) -> None:
        """Raises StoreRefused when the file or its log is not the one that was opened: SQLite
        would go on with those that are gone, and all it writes would be gone with them."""
        for path, known in self._files.items():
            found = None
            with contextlib.suppress(OSError):
                status = path.stat()
                found = (status.st_dev, status.st_ino)
            if known not in (None, found):
                raise StoreRefused(
                    f"{path} was removed or replaced while the watcher was using it; what it "
                    "wrote since is lost. Start it again once nobody touches the database."
                )
            self._files[path] = found  # the log is made by the first write

    def _notice_others(self, conn: sqlite3.Connection) -> None:
        """Forget what was kept of rows when another process has written since."""
        version = conn.execute("pragma data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._records.forget()

    def _run_in_savepoint(self, job: _Job, done: list[tuple[_Job, Any]]) -> None:
        conn = self._records.conn
        try:
            conn.execute("savepoint work")
            result = job.work(self._records)
            conn.execute("release work")
        except BaseException as exc:  # noqa: BLE001 - handed to the one who asked
            with contextlib.suppress(sqlite3.Error):
                # SQLite itself may have ended the transaction (a full disk does).
                conn.execute("rollback to work")
                conn.execute("release work")
            self._records.forget()
            job.fail(self._translated(exc))
        else:
            done.append((job, result))

    def _commit(self, done: list[tuple[_Job, Any]]) -> None:
        conn = self._records.conn
        try:
            if not conn.in_transaction:
                raise sqlite3.OperationalError("the transaction was rolled back by SQLite")
            conn.execute("commit")
        except sqlite3.Error as exc:
            with contextlib.suppress(sqlite3.Error):
                conn.execute("rollback")
            self._records.forget()
            error = self._translated(exc)
            for job, _ in done:
                job.fail(error)
            return
        for job, result in done:
            job.succeed(result)

    def _translated(self, exc: BaseException) -> BaseException:
        if not isinstance(exc, sqlite3.Error):
            return exc
        error = translate(exc, self._path)
        error.__cause__ = exc
        return error


class _Job:
    """A piece of work and who waits for it."""

    __slots__ = ("_future", "_loop", "company", "work")

    def __init__(
        self,
        work: Work,
        company: int,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
    ) -> None:
        self.work = work
        self.company = company
        """Writers under way, this one among them; 0 for a read."""
        self._loop = loop
        self._future = future

    @property
    def writes(self) -> bool:
        return self.company > 0

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._future.cancelled()

    def succeed(self, result: Any) -> None:
        self._tell(self._future.set_result, result)

    def fail(self, exc: BaseException) -> None:
        if isinstance(exc, StopIteration):
            # A future takes none: its waiter would wait for ever. A generator makes it this, too.
            cause, exc = exc, RuntimeError("the work raised StopIteration")
            exc.__cause__ = cause
        self._tell(self._future.set_exception, exc)

    def _tell(self, setter: Callable[[Any], None], value: Any) -> None:
        def settle() -> None:
            if not self._future.done():
                setter(value)

        # The one who asked may be gone with its loop; what was written stays written.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(settle)
