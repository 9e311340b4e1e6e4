"""A second opinion: the daily list as the site's API has it, beside the page we read.

Owns the one request a day and daily source, and what of the two must agree. Decides nothing:
a difference is a drift like any other. An API that does not answer says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import msgspec

from watcher import notices, readers, reading
from watcher.clock import to_unix
from watcher.config import Source
from watcher.drift import LEAST, Finding, follow
from watcher.errors import FetchError, ParseError
from watcher.model import ReaderName, Snapshot
from watcher.page import Page
from watcher.store import Records
from watcher.telemetry import log
from watcher.visit import App, Scrutiny

Remembered = Sequence[tuple[str | None, int | None, int | None]]
"""``(arxiv_id, upvotes, stars)`` of the papers on a page."""


async def second_opinion(app: App, source: Source, now: datetime) -> None:
    """Ask the API for yesterday's list of a daily page, and note where the two differ.

    Raises StoreError; a site without an API, or one that refuses, is left alone.
    """
    day = now.astimezone(UTC).date() - timedelta(days=1)
    url = api_of(source, day)
    if url is None:
        return
    shown = await app.store.read(lambda r: _remembered(r, f"{source.name}@{day}"))
    if len(shown) < LEAST:
        return
    try:
        page = await app.fetcher.get(url)
        if not isinstance(page, Page):
            return
        listed = readers.parse(page.body, url=url, at=now, reader=ReaderName.API)
    except (FetchError, ParseError) as exc:
        log.debug("check_failed", source=source.name, error=exc)
        return
    found = differences(listed, shown)
    await app.store.write(lambda r: _note(app, r, source.name, found, now))


def api_of(source: Source, day: date) -> str | None:
    """Where the API has the list of a day; None for a source that is no daily page."""
    parts = urlsplit(source.url)
    if parts.query or not parts.path.rstrip("/").endswith("/papers"):
        return None
    root = parts.path.rstrip("/").removesuffix("/papers")
    return urlunsplit(
        parts._replace(path=f"{root}/api/daily_papers", query=f"date={day.isoformat()}")
    )


def differences(listed: Snapshot, shown: Remembered) -> tuple[Finding, ...]:
    """Where the API's list and the page's papers cannot both be right.

    The page is some hours older: papers may have come and votes may have grown.
    """
    page = {name: upvotes for name, upvotes, _ in shown if name}
    api = {card.paper_id: card.upvotes for card in listed.cards if card.paper_id}
    both = [name for name in api if name in page]
    found = []
    gone = len(api) - len(both)
    if gone >= LEAST and gone > 0.3 * len(api):
        found.append(Finding(name="api:papers", what=f"missing for {gone / len(api):.0%} of them"))
    pairs = [(page[name], api[name]) for name in both]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    odd = sum(b < 0.7 * a - 3 or b > 3 * a + 20 for a, b in known)
    if odd >= LEAST and odd > 0.5 * len(known):
        what = f"different on {odd / len(known):.0%} of papers"
        found.append(Finding(name="api:upvotes", what=what))
    return tuple(found)


def _remembered(records: Records, name: str) -> Remembered:
    state = records.sources.state(name)
    return () if state is None else records.care.last_page(state.id)


def _note(app: App, records: Records, name: str, found: tuple[Finding, ...], now: datetime) -> None:
    state = records.sources.state(name)
    if state is None:
        return
    memory = app.memory.get(name)  # newer than what is stored: not every page's portrait is
    portrait = reading.portrait_of(memory or reading.recall(records, name, state.url, app.context))
    looked = frozenset(("api",))
    after, tell, healed = follow(portrait, found, at=to_unix(now), looked=looked)
    if after == portrait:
        return
    body = msgspec.json.encode(after)
    records.care.keep_portrait(state.id, body)
    if memory is not None:
        app.memory[name] = msgspec.structs.replace(memory, portrait=body)
    scrutiny = Scrutiny(portrait=after, changed=True, findings=found, tell=tell, healed=healed)
    notices.note_drift(app, records, state, scrutiny, now=now)
