"""The JSON forms that leave the house: one shape for CLI, webhook, feed and API.

Pure. Owns names and order of the keys; ``docs/webhook-schema`` describes them and a test
holds both together. Must not choose which events are told.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from watcher.model import Condition, Digest, Entry, Event, Letter, Message, Paper
from watcher.text import clean

JsonObject = dict[str, Any]


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with whole seconds where possible: ``2026-11-21T08:00:00Z``."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def maybe_instant(at: datetime | None) -> str | None:
    """The same of a time that may be unknown."""
    return None if at is None else instant(at)


def event_json(event: Event) -> JsonObject:
    """``cursor id type at rule paper counts reason conditions``, in this order.

    ``paper`` is null for notices; its ``paper_id`` is the arXiv id or, for a paper without
    one, ``t:`` and a hash of its title, its ``url`` then null. Unknown counts are null.
    """
    paper = event.paper
    return {
        "cursor": event.cursor,
        "id": event.id,
        "type": event.type.value,
        "at": instant(event.at),
        "rule": event.rule,
        "paper": paper and {"paper_id": paper.name, "title": clean(paper.title), "url": paper.url},
        "counts": {
            "upvotes": event.counts.upvotes,
            "comments": event.counts.comments,
            "stars": event.counts.stars,
        },
        "reason": clean(event.reason),
        "conditions": [condition_json(condition) for condition in event.conditions],
    }


def paper_json(paper: Paper) -> JsonObject:
    """A remembered paper; unknown is null."""
    return {
        "paper_id": paper.name,
        "title": clean(paper.title),
        "url": paper.url,
        "abstract": paper.abstract,
        "ai_summary": paper.ai_summary,
        "authors": paper.authors,
        "author_count": paper.author_count,
        "published_on": paper.published_on,
        "listed_at": maybe_instant(paper.listed_at),
        "listed_exact": paper.listed_exact,
        "first_seen_at": maybe_instant(paper.first_seen_at),
        "upvotes": paper.upvotes,
        "comments": paper.comments,
        "stars": paper.stars,
        "github": paper.github,
        "project": paper.project,
        "organization": paper.organization,
        "submitted_by": paper.submitted_by,
        "keywords": paper.keywords,
    }


def condition_json(condition: Condition) -> JsonObject:
    """``name value need ok``; ``ok`` is null when the value is unknown."""
    return {
        "name": condition.name,
        "value": condition.value,
        "need": condition.need,
        "ok": condition.ok,
    }


def entry_json(entry: Entry) -> JsonObject:
    """The entry's event; where several events speak of the paper, all their ids and reasons too."""
    body = event_json(entry.event)
    if len(entry.event_ids) > 1:
        body["event_ids"] = list(entry.event_ids)
        body["reasons"] = list(entry.reasons)
    return body


def message_json(message: Message, at: datetime) -> JsonObject:
    """The body of a webhook: ``{id, type, timestamp, data: {events, cut, cursor}}``.

    ``at`` is used for letters, which have no time of their own; a digest's is the moment it was
    composed, so that every attempt says the same.
    """
    if message.digest is None:
        return _letter_json(message.key, message.letter or Letter(subject="", lines=()), at)
    digest = message.digest
    events = [*map(event_json, digest.notices), *map(entry_json, digest.entries)]
    return {
        "id": message.key,
        "type": _type_of(digest),
        "timestamp": instant(digest.composed_at),
        "data": {"events": events, "cut": digest.cut, "cursor": digest.cursor},
    }


def _type_of(digest: Digest) -> str:
    told = [*digest.notices, *(entry.event for entry in digest.entries)]
    return told[0].type.value if len(told) == 1 and not digest.cut else "digest"


def _letter_json(key: str, letter: Letter, at: datetime) -> JsonObject:
    data = {"events": [], "cut": 0, "cursor": 0, "text": [letter.subject, *letter.lines]}
    return {"id": key, "type": "test", "timestamp": instant(at), "data": data}
