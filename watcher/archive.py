"""Raw pages on disk, by hash: the archive, and the odd pages kept for a look.

Owns the files' names and form, and what goes when there are too many or they are too old.
Must not know what a page says.

``put`` is called on the critical path, so it only hands the page over to a thread: the body is
spooled as the site sent it (mostly gzip, which costs nothing), and becomes zstd when there is
nothing else to do. A file is one zstd frame with the page, and behind it a skippable frame with
JSON: ``zstd -d`` gives the page alone. Format: RFC 8878, 3.1.1 and 3.1.2.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import struct
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import zstandard

from watcher.errors import FetchError, UnknownName
from watcher.model import Value
from watcher.page import Page, unpack
from watcher.telemetry import log

LEVEL = 9
"""Slow and small: it happens when there is nothing else to do."""
IDLE = 0.5
"""Seconds without a new page after which spooled ones are compressed."""
IN_MEMORY = 64 << 20
"""Bytes that may wait for the thread; then ``put`` writes by itself."""

_SKIPPABLE = struct.Struct("<II")
_MAGIC = 0x184D2A50
_SPOOLED = ".part"


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
        self._queue: queue.SimpleQueue[tuple[str, bytes, Label] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._size: int | None = None
        self._thread: threading.Thread | None = None
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
        if self._waiting > IN_MEMORY:
            self._spool(name, page.body, label)
            return name
        with self._lock:
            self._waiting += len(page.body)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="archive", daemon=True)
                self._thread.start()
        self._queue.put((name, page.body, label))
        return name

    def close(self) -> None:
        """Write what waits; what is spooled is compressed at the next start."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=5)
            self._thread = None

    def _serve(self) -> None:
        idle = True
        while True:
            try:
                job = self._queue.get(timeout=IDLE) if idle else self._queue.get()
            except queue.Empty:
                idle = self._compress_one()
                continue
            if job is None:
                return
            name, body, label = job
            self._spool(name, body, label)
            with self._lock:
                self._waiting -= len(body)
            idle = True

    def _spool(self, name: str, body: bytes, label: Label) -> None:
        if not self._path(name).exists():
            self._write(self._path(name, _SPOOLED), body, label)

    def _compress_one(self) -> bool:
        """Turn one spooled page into zstd; False when there is none."""
        spooled = next(self.folder.glob(f"*/*{_SPOOLED}"), None)
        if spooled is None:
            return False
        name = spooled.name.removesuffix(_SPOOLED)
        try:
            whole = spooled.read_bytes()
            body, label = _split(whole)
        except (OSError, ValueError, struct.error):
            spooled.unlink(missing_ok=True)  # cut off by a crash: there is nothing to save
            return True
        # What is not what the site said it was stays as it came: that may be the very fault.
        with contextlib.suppress(FetchError):
            body = unpack(_page(body, label)).body
            label = msgspec.structs.replace(label, encoding="", charset="")
        packed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(body)
        if not self._write(self._path(name), packed, label):
            return False
        with contextlib.suppress(OSError):
            spooled.unlink()
        self._add(-len(whole))
        return True

    def _write(self, path: Path, body: bytes, label: Label) -> bool:
        note = msgspec.json.encode(label)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as f:
                f.write(body)
                f.write(_SKIPPABLE.pack(_MAGIC, len(note)) + note)
                f.write(_SKIPPABLE.pack(_MAGIC, 4) + struct.pack("<I", len(note) + 8))
            stamp = label.fetched_at.timestamp()
            os.utime(part, (stamp, stamp))  # a page's age is that of what it shows
            part.replace(path)
        except OSError as exc:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            if not self._told:
                self._told = True
                log.error("archive_failed", folder=str(self.folder), error=exc)
            return False
        self._told = False
        self._add(path.stat().st_size)
        return True

    # --- reading ---

    def read(self, name: str) -> tuple[bytes, Label]:
        """A page by the begin of its hash, unpacked, and its label. Raises UnknownName."""
        found = [path for path in self._files() if path.name.startswith(name)] if name else []
        if len({path.stem for path in found}) != 1:
            what = "several pages begin" if found else "no page begins"
            raise UnknownName(f"{what} with {name!r} in {self.folder}")
        # Both are there for a moment while a spooled page is compressed.
        path = max(found, key=lambda path: path.suffix == ".zst")
        body, label = _split(path.read_bytes())
        if path.suffix == _SPOOLED:
            with contextlib.suppress(FetchError):
                body = unpack(_page(body, label)).body
            return body, label
        return zstandard.ZstdDecompressor().decompressobj().decompress(body), label

    def pages(self) -> Iterator[Kept]:
        """Every kept page, in no order; a file that is none of ours is left out."""
        for path in self._files():
            with contextlib.suppress(OSError, ValueError, struct.error):
                yield Kept(name=path.stem, label=_label_of(path), size=path.stat().st_size)

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
        total = sum(size for _, size, _ in files)
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
                self._size = sum(path.stat().st_size for path in self._files())
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
        for path in self.folder.glob("[0-9a-f][0-9a-f]/*"):
            if path.suffix in _SUFFIXES and not path.name.startswith("."):
                yield path

    def _path(self, name: str, suffix: str = ".zst") -> Path:
        return self.folder / name[:2] / f"{name}{suffix}"


_SUFFIXES = (".zst", _SPOOLED)


def _split(whole: bytes) -> tuple[bytes, Label]:
    """The page's own part of a file, and its label. Raises ValueError for another file."""
    length = _label_length(whole[-12:])
    return whole[: -12 - length], _decode(whole[-12 - length : -12])


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
