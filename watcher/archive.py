"""Raw pages on disk, by hash: the archive, and the odd pages kept for a look.

Owns the files' names and form, and what goes when there are too many or they are too old.
Must not know what a page says.

``put`` is called on the critical path, so it only hands the page over to a thread: the body is
appended to a spool as the site sent it (mostly gzip, which costs nothing), and becomes a file of
its own, in zstd, when there is nothing else to do. Such a file is one zstd frame with the page,
and behind it skippable frames with JSON: ``zstd -d`` gives the page alone. Format: RFC 8878,
3.1.1 and 3.1.2.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import struct
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import zstandard

from watcher.errors import FetchError, ParseError, UnknownName
from watcher.model import Value
from watcher.owner import make_file, make_folder, own_like
from watcher.page import Page, unpack
from watcher.telemetry import log

LEVEL = 9
"""Slow and small: it happens when there is nothing else to do."""
IDLE = 0.5
"""Seconds without a new page after which spooled ones are compressed."""
PACE = 0.05
"""Seconds between two of them."""
SPOOL_FILE = 64 << 20
"""Bytes after which a spool file is followed by another."""
IN_MEMORY = 64 << 20
"""Bytes that may wait for the thread; then ``put`` writes by itself."""

_SKIPPABLE = struct.Struct("<II")
_MAGIC = 0x184D2A50
_HEAD = struct.Struct("<4s32sII")
_SPOOL_MAGIC = b"PGS1"


class Label(Value, frozen=True, kw_only=True):
    """What is known of a kept page besides its bytes."""

    url: str
    fetched_at: datetime
    content_type: str = ""
    source: str = ""
    why: str = ""
    """Why it was kept, if it was odd."""
    encoding: str = ""
    charset: str = ""


class Kept(Value, frozen=True, kw_only=True):
    """A kept page."""

    name: str
    """Its hash."""
    label: Label
    size: int
    """Bytes on disk."""


class Keeper(Value, frozen=True, kw_only=True):
    """Where pages go."""

    pages: Archive | None = None
    """Every judged page, if the archive is on."""
    odd: Archive | None = None
    """Pages that could not be read, or were not believed, or had drifted."""

    def close(self) -> None:
        """Write what waits."""
        for archive in (self.pages, self.odd):
            if archive is not None:
                archive.close()


def name_of(body: bytes) -> str:
    """The hash that names a page: of the bytes as the site sent them."""
    return hashlib.sha256(body).hexdigest()[:32]


class Archive:
    """A folder of pages, bounded in time and size. Its methods may be called from any thread."""

    def __init__(self, folder: Path, *, keep: timedelta, max_size: int) -> None:
        self.folder = folder
        self._keep = keep
        self._max_size = max_size
        self._spool = Spool(folder / "spool")
        self._queue: queue.SimpleQueue[tuple[str, bytes, Label] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._spooled: set[str] = set()
        self._size: int | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._told = False

    # --- keeping ---

    def put(self, page: Page, *, source: str = "", why: str = "") -> str:
        """Keep a page (packed or not); its name. Never raises: a full disk is told in the log."""
        name = name_of(page.body)
        label = Label(
            url=page.url,
            fetched_at=page.fetched_at,
            content_type=page.content_type,
            source=source,
            why=why,
            encoding=page.encoding,
            charset=page.charset,
        )
        with self._lock:
            closed = self._closed
            waits = not closed and self._waiting <= IN_MEMORY
            if waits:
                self._waiting += len(page.body)
                self._queue.put((name, page.body, label))
            if self._thread is None and not closed:
                self._thread = threading.Thread(target=self._serve, name="archive", daemon=True)
                self._thread.start()
        if closed:  # of a visit that was under way
            self._compress(name, page.body, label)
        elif not waits:
            self._keep_page(name, page.body, label)
        return name

    def close(self) -> None:
        """Write what waits; what is spooled is compressed by the next one. What comes later is
        kept without leaving anything open."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join(timeout=5)
        self._spool.close()

    def _serve(self) -> None:
        pause: float | None = IDLE
        while True:
            try:
                job = self._queue.get(timeout=pause)
            except queue.Empty:
                pause = PACE if self._compress_one() else None
                continue
            if job is None:
                return
            name, body, label = job
            self._keep_page(name, body, label)
            with self._lock:
                self._waiting -= len(body)
            pause = IDLE

    def _keep_page(self, name: str, body: bytes, label: Label) -> None:
        if name in self._spooled or self._path(name).exists():
            return
        try:
            self._add(self._spool.add(name, body, label))
        except OSError as exc:
            self._tell(exc)
        else:
            self._told = False
            self._spooled.add(name)

    def _compress_one(self) -> bool:
        """Turn one spooled page into zstd; False when there is none, or no room for it."""
        record = self._spool.first()
        if record is None or not self._compress(*record):
            return False
        self._add(-self._spool.drop_first())
        self._spooled.discard(record[0])
        return True

    def _compress(self, name: str, body: bytes, label: Label) -> bool:
        """Write a page as zstd, unless it is there; False when there is no room for it."""
        if self._path(name).exists():
            return True
        # What is not what the site said it was stays as it came: that may be the very fault.
        with contextlib.suppress(FetchError):
            body = unpack(_page(body, label)).body
            label = msgspec.structs.replace(label, encoding="", charset="")
        packed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(body)
        return self._write(self._path(name), packed, label)

    def _write(self, path: Path, body: bytes, label: Label) -> bool:
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            make_folder(path.parent)
            with os.fdopen(make_file(part), "wb") as f:
                f.write(body)
                f.write(_tail(label))
            stamp = label.fetched_at.timestamp()
            os.utime(part, (stamp, stamp))  # a page's age is that of what it shows
            part.replace(path)
        except OSError as exc:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            self._tell(exc)
            return False
        self._told = False
        self._add(path.stat().st_size)
        return True

    def _tell(self, exc: OSError) -> None:
        """Told once, until a page can be kept again."""
        if not self._told:
            self._told = True
            log.error("archive_failed", folder=str(self.folder), error=exc)

    # --- reading ---

    def read(self, name: str) -> tuple[bytes, Label]:
        """A page by the begin of its hash, unpacked, and its label.

        Raises:
            UnknownName: no page, or several.
            ParseError: its file is damaged or cannot be read.
        """
        files = {path.stem: path for path in self._files() if path.name.startswith(name)}
        waiting = {
            record[0]: record for record in self._spool.records() if record[0].startswith(name)
        }
        if not name or len(files.keys() | waiting.keys()) != 1:
            what = "several pages begin" if files or waiting else "no page begins"
            raise UnknownName(f"{what} with {name!r} in {self.folder}")
        if files:
            path = next(iter(files.values()))
            try:
                return _unpacked(path.read_bytes())
            except (OSError, ValueError, struct.error, zstandard.ZstdError) as exc:
                raise ParseError(f"the kept page {path} cannot be read ({exc})") from exc
        _, body, label = next(iter(waiting.values()))
        with contextlib.suppress(FetchError):
            body = unpack(_page(body, label)).body
        return body, label

    def pages(self) -> Iterator[Kept]:
        """Every kept page, in no order; a file that is none of ours is left out."""
        names = set()
        for path in self._files():
            with contextlib.suppress(OSError, ValueError, struct.error):
                yield Kept(name=path.stem, label=_label_of(path), size=path.stat().st_size)
                names.add(path.stem)
        for name, body, label in self._spool.records():
            if name not in names:
                names.add(name)
                yield Kept(name=name, label=label, size=len(body))

    # --- removing ---

    def prune(self, now: datetime) -> tuple[int, int]:
        """Remove what is too old, then the oldest until the rest is small enough.

        Returns how many pages and bytes went.
        """
        files = []
        for path in self._files():
            with contextlib.suppress(OSError):
                stat = path.stat()
                files.append((stat.st_mtime, stat.st_size, path))
        files.sort()
        total = sum(size for _, size, _ in files) + self._spool.size
        limit = (now - self._keep).timestamp()
        gone = freed = 0
        for mtime, size, path in files:
            if mtime >= limit and total <= self._max_size:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            gone, freed, total = gone + 1, freed + size, total - size
        with self._lock:
            self._size = total
        return gone, freed

    @property
    def size(self) -> int:
        """Bytes on disk, as far as is known."""
        with self._lock:
            if self._size is None:
                files = sum(path.stat().st_size for path in self._files())
                self._size = files + self._spool.size
            return self._size

    @property
    def is_full(self) -> bool:
        """Whether something should be removed now."""
        return self.size > self._max_size

    def _add(self, size: int) -> None:
        with self._lock:
            if self._size is not None:
                self._size += size

    def _files(self) -> Iterator[Path]:
        return self.folder.glob("[0-9a-f][0-9a-f]/[0-9a-f]*.zst")

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.zst"


class Spool:
    """Pages as they came, one behind the other in a few files: making a file for each would cost
    more than reading the page.

    A record is a head (magic, name, two lengths), the body and the label; one that a crash has
    cut off ends its file. Only the process that writes removes; others may read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._fd: int | None = None
        self._current: Path | None = None
        self._begin: tuple[Path, int] | None = None
        """The first record that is not dropped yet."""

    def add(self, name: str, body: bytes, label: Label) -> int:
        """Append a page; how many bytes that took. Raises OSError."""
        note = msgspec.json.encode(label)
        record = _HEAD.pack(_SPOOL_MAGIC, name.encode(), len(body), len(note)) + body + note
        with self._lock:
            if self._fd is None or os.lseek(self._fd, 0, os.SEEK_END) > SPOOL_FILE:
                self._open_next()
            assert self._fd is not None  # noqa: S101 - just opened
            begin = os.lseek(self._fd, 0, os.SEEK_END)
            try:
                view = memoryview(record)
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError:
                os.ftruncate(self._fd, begin)
                raise
        return len(record)

    def _open_next(self) -> None:
        self.close()
        make_folder(self._folder)
        path = self._folder / f"{time.time_ns():020d}-{os.getpid()}.spool"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        own_like(path, self._folder)
        self._current = path

    def close(self) -> None:
        """Let go of the file that is written; what is in it stays."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
            self._fd = self._current = None

    def first(self) -> tuple[str, bytes, Label] | None:
        """The record that waits longest; None when none does."""
        with self._lock:
            for path in self._files():
                offset = self._begin[1] if self._begin and self._begin[0] == path else 0
                record = _record_at(path, offset)
                if record is not None:
                    self._begin = (path, offset)
                    return record[0]
                self._remove(path)
        return None

    def drop_first(self) -> int:
        """Forget the record that ``first`` gave; how many bytes it took."""
        with self._lock:
            if self._begin is None:
                return 0
            path, offset = self._begin
            record = _record_at(path, offset)
            end = offset if record is None else record[1]
            self._begin = (path, end)
            if _record_at(path, end) is None:
                self._remove(path)
            return end - offset

    def _remove(self, path: Path) -> None:
        if path == self._current:
            self.close()
        path.unlink(missing_ok=True)
        self._begin = None

    def records(self) -> Iterator[tuple[str, bytes, Label]]:
        """Every record, the oldest first; a file that vanishes meanwhile is left out."""
        for path in self._files():
            offset = 0
            while (record := _record_at(path, offset)) is not None:
                yield record[0]
                offset = record[1]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        total = 0
        for path in self._files():
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.spool"))


def _record_at(path: Path, offset: int) -> tuple[tuple[str, bytes, Label], int] | None:
    """A record and where the next one begins; None at the end, or where a crash cut it off."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return None
            magic, name, body_length, note_length = _HEAD.unpack(head)
            whole = file.read(body_length + note_length)
        if magic != _SPOOL_MAGIC or len(whole) < body_length + note_length:
            return None
        label = msgspec.json.decode(whole[body_length:], type=Label)
    except (OSError, ValueError, struct.error):
        return None
    end = offset + _HEAD.size + body_length + note_length
    return (name.decode("ascii", "replace"), whole[:body_length], label), end


def _tail(label: Label) -> bytes:
    """What stands behind a page: its label, and how long that is, in skippable frames."""
    note = msgspec.json.encode(label)
    return (
        _SKIPPABLE.pack(_MAGIC, len(note))
        + note
        + _SKIPPABLE.pack(_MAGIC, 4)
        + struct.pack("<I", len(note) + 8)
    )


def _unpacked(whole: bytes) -> tuple[bytes, Label]:
    """The page in a file, and its label. Raises ValueError, struct.error or ZstdError for a file
    that is damaged (a power cut leaves empty ones) or none of ours."""
    length = _label_length(whole[-12:])
    label = _decode(whole[-12 - length : -12])
    packed = whole[: -12 - length]
    return zstandard.ZstdDecompressor().decompressobj().decompress(packed), label


def _label_of(path: Path) -> Label:
    with path.open("rb") as file:
        file.seek(-12, os.SEEK_END)
        length = _label_length(file.read(12))
        file.seek(-12 - length, os.SEEK_END)
        return _decode(file.read(length))


def _label_length(end: bytes) -> int:
    magic, _ = _SKIPPABLE.unpack(end[:8])
    if magic != _MAGIC:
        raise ValueError("not a kept page")
    return int(struct.unpack("<I", end[8:])[0])


def _decode(frame: bytes) -> Label:
    return msgspec.json.decode(frame[_SKIPPABLE.size :], type=Label)


def _page(body: bytes, label: Label) -> Page:
    return Page(
        url=label.url,
        body=body,
        fetched_at=label.fetched_at,
        content_type=label.content_type,
        encoding=label.encoding,
        charset=label.charset,
    )
