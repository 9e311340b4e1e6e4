"""Pages as test cases, and kept pages read once more: what ``archive`` and ``replay`` do."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from watcher import readers
from watcher.archive import Archive, Label, name_of
from watcher.care import keeper_of
from watcher.config import Config
from watcher.doubt import Reference, contradictions, reference_of
from watcher.errors import ParseError, UnknownName, WatcherError
from watcher.model import CARD_FIELDS, ReaderName, Snapshot, Value
from watcher.store import Lock, Records, open_records
from watcher.store.care import Archived, amend, archived, make_room

_PAGE = "page"


# --- test cases ------------------------------------------------------------------------------


def fetch(config: Config, url: str) -> tuple[bytes, Label]:
    """Fetch a page once, with the manners of the config. Raises FetchError."""
    from watcher.daemon import fetch_options
    from watcher.fetch import Fetcher
    from watcher.page import Page

    token = config.fetch.hf_token

    async def get() -> tuple[bytes, Label]:
        options = fetch_options(config)
        async with Fetcher(options, token=token.reveal() if token else None) as fetcher:
            page = await fetcher.get(url)
        assert isinstance(page, Page)  # noqa: S101 - without validators there is no 304
        label = Label(
            url=page.url, fetched_at=page.fetched_at, content_type=page.content_type, why="captured"
        )
        return page.body, label

    return asyncio.run(get())


def write_case(folder: Path, body: bytes, label: Label) -> tuple[Path, str]:
    """Make a test case of a page; its folder and one line about what the readers see.

    ``page.*`` are the bytes; ``case.json`` says where they are from and what is expected: the
    output of ``parse``, or its error. A case whose expectation is wrong is a fault to be mended.
    """
    place = folder / _slug(label)
    place.mkdir(parents=True, exist_ok=True)
    kind = ".json" if label.content_type.endswith("json") else ".html"
    (place / f"{_PAGE}{kind}").write_bytes(body)
    expected, said = _expectation(body, label)
    case = {
        "url": label.url,
        "at": label.fetched_at,
        "content_type": label.content_type,
        "hash": name_of(body),
        "kept_because": label.why,
        **expected,
    }
    (place / "case.json").write_bytes(msgspec.json.format(msgspec.json.encode(case), indent=2))
    return place, said


def _slug(label: Label) -> str:
    parts = urlsplit(label.url)
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{parts.path}-{parts.query}").strip("-").lower()
    return f"{words[:60] or 'page'}-{label.fetched_at.astimezone(UTC):%Y%m%dT%H%M%S}"


def _expectation(body: bytes, label: Label) -> tuple[dict[str, Any], str]:
    try:
        snapshot = readers.parse(body, url=label.url, at=label.fetched_at)
    except ParseError as exc:
        return {"error": str(exc)}, f"it cannot be read: {exc}"
    found = readers.cross_check(snapshot, body, url=label.url)
    said = f"read by its {snapshot.reader}: {len(snapshot.cards)} papers"
    return expected_of(snapshot), "; ".join((said, *snapshot.warnings, *found))


def expected_of(snapshot: Snapshot) -> dict[str, Any]:
    """What a case expects of a page, as plain values."""
    plain: dict[str, Any] = msgspec.to_builtins(
        {
            "kind": snapshot.kind,
            "reader": snapshot.reader,
            "listed_on": snapshot.listed_on,
            "cards": [{n: getattr(card, n) for n in CARD_FIELDS} for card in snapshot.cards],
        }
    )
    return plain


# --- replay ----------------------------------------------------------------------------------


class Replayed(Value, frozen=True, kw_only=True):
    """What a replay did."""

    pages: int = 0
    cards: int = 0
    fresh: int = 0
    """Papers nobody had seen on these pages."""
    missing: int = 0
    """Pages that are no longer kept."""
    doubted: int = 0
    """Pages that contradict themselves or the one before, left as they were."""
    errors: tuple[str, ...] = ()


def replay_pages(
    config: Config,
    *,
    since: datetime,
    until: datetime,
    source: str | None = None,
    reader: ReaderName | None = None,
) -> Replayed:
    """Read kept pages once more and correct what they left in the store; tells nothing.

    Takes the store's lock. Raises StoreError, StoreRefused.
    """
    database = Path(config.watcher.database)
    keeper = keeper_of(config)
    folders = [folder for folder in (keeper.pages, keeper.odd) if folder is not None]
    lock = Lock(database)
    lock.acquire()
    try:
        with open_records(database, migrate=True) as records:
            again = Again(records, config, folders, reader)
            for visit in archived(records.conn, since, until, source=source):
                again.visit(visit)
            if again.done.pages:
                with records.transaction():
                    # The next visit reads the whole page, whatever the site remembers.
                    records.sources.drop_validators()
    finally:
        lock.release()
    return again.done


class Again:
    """Visits read once more, in time order."""

    def __init__(
        self,
        records: Records,
        config: Config,
        folders: list[Archive],
        reader: ReaderName | None,
    ) -> None:
        self._records = records
        self._kinds = {source.name: source.kind for source in config.sources}
        self._folders = folders
        self._reader = reader
        self._shown: dict[int, Reference] = {}
        self.done = Replayed()

    def visit(self, visit: Archived) -> None:
        """Correct what one visit left; a page that cannot be read is named in ``done``."""
        done = self.done
        try:
            snapshot = self._read(visit)
        except UnknownName:
            self.done = msgspec.structs.replace(done, missing=done.missing + 1)
            return
        except WatcherError as exc:
            line = f"{visit.name} {visit.at:%Y-%m-%d %H:%M}: {exc}"
            self.done = msgspec.structs.replace(done, errors=(*done.errors, line))
            return
        if contradictions(snapshot, self._shown.get(visit.source)):
            self.done = msgspec.structs.replace(done, doubted=done.doubted + 1)
            return
        self._shown[visit.source] = reference_of(snapshot)
        with self._records.transaction() as records:
            make_room(records.conn, visit)
            met = records.papers.meet(visit.source, snapshot)
            rows = [paper.row for paper in met]
            amend(records.conn, visit, snapshot, fills=readers.fill(snapshot), rows=rows)
        self.done = msgspec.structs.replace(
            done,
            pages=done.pages + 1,
            cards=done.cards + len(met),
            fresh=done.fresh + sum(paper.fresh for paper in met),
        )

    def _read(self, visit: Archived) -> Snapshot:
        for folder in self._folders:
            try:
                body, label = folder.read(visit.page)
            except UnknownName:
                continue
            snapshot = readers.parse(body, url=label.url, at=visit.at, reader=self._reader)
            kind = self._kinds.get(visit.family)
            return snapshot if kind is None else msgspec.structs.replace(snapshot, kind=kind)
        raise UnknownName(f"page {visit.page} is no longer kept")
