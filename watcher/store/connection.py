"""Opening the one SQLite file: create, lock, check, migrate, refuse.

Owns pragmas, the lock file, migrations and the translation of SQLite's errors. Knows no
table of the product.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sqlite_utils import Database, Migrations

from watcher.errors import StoreError, StoreRefused, WatcherError
from watcher.owner import make_file, make_folder, own_like

APPLICATION_ID = 0x50415057
"""``PAPW`` in the header tells our file from any other SQLite file."""

_PASSING = {
    sqlite3.SQLITE_BUSY: "is locked by another program",
    sqlite3.SQLITE_LOCKED: "is locked by another program",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be written or read (I/O error)",
    sqlite3.SQLITE_READONLY: "is read-only",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_PERM: "may not be opened",
    sqlite3.SQLITE_NOMEM: "cannot be read: out of memory",
}


def translate(exc: sqlite3.Error, path: Path) -> WatcherError:
    """The error of our tree that stands for an SQLite error on the store at ``path``."""
    code = getattr(exc, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreRefused(f"{path} is damaged ({exc}). {newest_backup(path)}")
    if primary in _PASSING:
        return StoreError(f"{path} {_PASSING[primary]} ({exc})")
    return StoreError(f"{path}: {exc}", retryable=False)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn every error of SQLite or of the file system inside into one of our tree."""
    try:
        yield
    except sqlite3.Error as exc:
        raise translate(exc, path) from exc
    except OSError as exc:
        raise StoreError(f"{path} cannot be used: {exc.strerror or exc}") from exc


def newest_backup(path: Path) -> str:
    """What to tell someone whose store is refused: the newest backup near it, and the way back."""
    near = [*path.parent.glob(f"{path.stem}*.backup"), *path.parent.glob("backups/*.db")]
    if not near:
        return "No backup lies beside it; the file was left as it is."
    newest = max(near, key=lambda p: p.stat().st_mtime)
    return f"The newest backup is {newest}: `watcher restore {newest}`. The file was left as it is."


def migrations_folder() -> Path:
    """Where the ``.sql`` files are: inside the wheel, or at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def migrations() -> Migrations:
    """All migrations, in the order of their file names."""
    known = Migrations("paper-watcher")
    for file in sorted(migrations_folder().glob("[0-9][0-9][0-9][0-9]_*.sql")):
        script = file.read_text("utf-8")

        def apply(db: Database, script: str = script) -> None:
            db.executescript(script)

        known(name=file.stem)(apply)
    return known


class Lock:
    """The store's lock: held by whoever may run checks and deliver. Freed by the kernel."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        self._fd: int | None = None

    def acquire(self, patience: float = 2.0) -> None:
        """Take the lock or raise StoreRefused within ``patience`` seconds.

        Raises StoreError when the folder cannot be written.
        """
        with translated(self.path):
            make_folder(self.path.parent)
            # Not through a link: root would write its number into what somebody else chose.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(self.path, flags, 0o600)
            own_like(self.path, self.path.parent)
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= deadline:
                    holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
                    os.close(fd)
                    raise StoreRefused(
                        f"another watcher (process {holder}) is using {self.path.stem}; "
                        "stop it first, or give this one its own database"
                    ) from None
                time.sleep(0.05)
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def is_held(self) -> bool:
        """Whether somebody has it now. Asking disturbs nobody: who takes it is patient."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def connect(path: Path, *, migrate: bool, create: bool = False) -> Database:
    """Open the store, bringing its schema up to date if ``migrate``.

    Raises StoreRefused for a missing (unless ``create``), empty, foreign, damaged or newer
    file, StoreError for one that is locked, full or needs a migration.
    """
    with translated(path):
        if create and not path.exists():
            _create(path)
        _check_file(path)
        db = _open(path)
        try:
            _check_owner(db.execute("pragma application_id").fetchone()[0], path)
            _check_schema(db, path, migrate=migrate)
        except BaseException:
            db.close()
            raise
        return db


def _create(path: Path) -> None:
    """Make the file under another name first: a crash leaves no half-made store behind."""
    make_folder(path.parent)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    os.close(make_file(fresh))
    db = _open(fresh)
    try:
        db.execute(f"pragma application_id = {APPLICATION_ID}")
        migrations().apply(db)
        db.execute("pragma wal_checkpoint(truncate)")
    finally:
        db.close()
    for leftover in ("-wal", "-shm"):
        fresh.with_name(fresh.name + leftover).unlink(missing_ok=True)
    # link, not rename: when two start at once, the second finds the first one's file.
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def _check_file(path: Path) -> None:
    if not path.exists():
        raise StoreRefused(
            f"there is no database at {path}; `watcher run` or `watcher once` makes one"
        )
    if not path.is_file():
        raise StoreRefused(f"{path} is no file, but a folder or a device; name a file for it")
    if path.stat().st_size == 0:
        raise StoreRefused(
            f"{path} is empty, where history should be. {newest_backup(path)} "
            "If you want to start anew, delete it."
        )
    found = _application_id(path)
    if found is None:
        raise StoreRefused(f"{path} is no SQLite file, or damaged. {newest_backup(path)}")
    _check_owner(found, path)


def _check_owner(application_id: int, path: Path) -> None:
    if application_id != APPLICATION_ID:
        raise StoreRefused(
            f"{path} is a database of another program, or damaged; it was left as it is. "
            f"{newest_backup(path)}"
        )


def _application_id(path: Path) -> int | None:
    """Whose file it is, asked without a lock and without writing; None for no SQLite file.

    SQLite must be the one who asks: closing a descriptor of our own would drop every lock that
    this process holds on the file (POSIX), and the next program to close the store would take
    its write-ahead log away from under the daemon (sqlite.org/howtocorrupt.html, 2.2).
    """
    with contextlib.closing(_open_unlocked(path)) as conn:
        try:
            return int(conn.execute("pragma application_id").fetchone()[0])
        except sqlite3.DatabaseError as exc:
            if exc.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                return None
            if exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CORRUPT:
                # A file whose checkpoint was cut short, or is under way, is shorter than its
                # first page says: sound with its log, which was not looked at here.
                return APPLICATION_ID
            raise


def _open_unlocked(path: Path) -> sqlite3.Connection:
    """A connection that only reads the file itself, leaves nothing beside it and never waits."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    return sqlite3.connect(uri, uri=True)


def _open(path: Path) -> Database:
    conn = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
    conn.execute("pragma busy_timeout = 10000")
    _retry_wal(conn)
    conn.execute("pragma synchronous = full")
    conn.execute("pragma foreign_keys = on")
    conn.execute("pragma temp_store = memory")
    conn.execute("pragma cache_size = -4000")
    # A visit touches a leaf for each paper or two, the next one of the source the same ones:
    # the longer the log, the rarer each is copied back. 16 MB.
    conn.execute("pragma wal_autocheckpoint = 4000")
    for pragma, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
        got = conn.execute(f"pragma {pragma}").fetchone()[0]
        if got != wanted:
            conn.close()
            raise StoreError(f"{path}: {pragma} is {got}, needs {wanted}", retryable=False)
    return Database(conn, recursive_triggers=False, execute_plugins=False)


def _retry_wal(conn: sqlite3.Connection) -> None:
    """Turning WAL on ignores the busy timeout when two do it at once; a file keeps it after."""
    if conn.execute("pragma journal_mode").fetchone()[0] == "wal":
        return
    deadline = time.monotonic() + 10
    while True:
        try:
            conn.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as exc:
            held = exc.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not held or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _check_version(db: Database, path: Path) -> Migrations:
    known = migrations()
    ours = {m.name for m in known.pending(db)} | {m.name for m in known.applied(db)}
    names = {file.stem for file in migrations_folder().glob("*.sql")}
    newer = sorted(ours - names)
    if newer:
        raise StoreRefused(
            f"{path} was written by a newer watcher (it has {newer[-1]}); "
            "install that version again. The file was left as it is."
        )
    return known


def _check_schema(db: Database, path: Path, *, migrate: bool) -> None:
    known = _check_version(db, path)
    pending = known.pending(db)
    if not pending:
        return
    if not migrate:
        raise StoreError(
            f"{path} is of an older version ({len(pending)} steps behind): "
            "run `watcher migrate`, or start the daemon, which does it",
            retryable=False,
        )
    backup_to(db, _before_migration(path))
    known.apply(db)


def pending(path: Path) -> tuple[str, ...]:
    """The migrations that the store at ``path`` still needs. Raises StoreError, StoreRefused."""
    with translated(path):
        _check_file(path)
        db = _open(path)
        try:
            return tuple(step.name for step in _check_version(db, path).pending(db))
        finally:
            db.close()


def open_copy(path: Path) -> Database:
    """Open a backup for reading only, leaving nothing beside it.

    Raises StoreRefused for a missing, empty, foreign, damaged or newer file.
    """
    with translated(path):
        _check_file(path)
        copy = Database(_open_unlocked(path), recursive_triggers=False, execute_plugins=False)
        try:
            _check_version(copy, path)
        except BaseException:
            copy.close()
            raise
        return copy


def _before_migration(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return path.with_name(f"{path.stem}-before-migration-{stamp}.backup")


def backup_to(db: Database, target: Path) -> None:
    """Write a complete copy: VACUUM INTO a hidden name, sync, then rename. Mode 0600."""
    make_folder(target.parent)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    # VACUUM INTO accepts an existing empty file: made first, so that no one else may read it.
    os.close(make_file(part))
    try:
        db.conn.execute("vacuum into ?", (str(part),))
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        part.unlink(missing_ok=True)
