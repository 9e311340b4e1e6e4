"""Text dumps: what is left of a page when someone saves its text, plain or as Markdown.

Owns the choice between the two and the snapshot made of either.
"""

from __future__ import annotations

from datetime import datetime

from watcher.errors import ParseError
from watcher.model import PageKind, ReaderName, Snapshot
from watcher.readers import drafts, markdown, page, plaintext, text


def parse(body: bytes, *, url: str | None, at: datetime) -> Snapshot:
    """Read a text dump of a list of papers. Every card comes out, with or without a foot.

    Raises:
        ParseError: the text has no papers, or nothing in it says that it is such a page.
    """
    dump = text.utf8(body).decode()
    warnings: list[str] = []
    if markdown.is_one(dump):
        found, hint = markdown.read(dump, url, at, warnings)
    else:
        found, hint = plaintext.read(dump, at.date(), warnings), page.hint(url)
    found = drafts.once(found)
    if not found:
        raise ParseError("the text has no papers in it")
    trending = hint.kind is PageKind.TRENDING
    return Snapshot(
        reader=ReaderName.DUMP,
        taken_at=at,
        cards=tuple(
            draft.card(rank, trending=trending) for rank, draft in enumerate(found, start=1)
        ),
        kind=hint.kind,
        listed_on=hint.day if hint.kind is PageKind.DAILY else None,
        shows=drafts.shown(found, trending=trending),
        rounded=frozenset({"stars"} if any(draft.stars_rounded for draft in found) else ()),
        warnings=tuple(warnings),
        query=hint.query,
    )
