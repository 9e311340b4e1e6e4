"""The OpenAPI document of the API, kept beside the handlers it describes.

Pure. ``docs/openapi.json`` is what ``written`` gives; a test holds document, file and running
server together.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from watcher import __version__
from watcher.model import Change, EventType
from watcher.store.finding import SORTS

Schema = dict[str, Any]
START = "^([0-9]{1,9}|[0-9]{1,15}-[0-9]{1,12})$"
"""What ``next`` of a page of papers looks like."""


def _maybe(kind: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], **more}


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_TIME: Schema = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
_COUNT: Schema = _maybe("integer")
_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = _maybe("string")
_NUMBER: Schema = {"type": "number"}
_WHOLE: Schema = {"type": "integer"}

_PAPER_FIELDS: dict[str, Schema] = {
    "paper_id": {"type": "string", "description": "arXiv id, or `t:` and a hash of the title"},
    "title": _TEXT,
    "url": _MAYBE_TEXT,
    "abstract": _MAYBE_TEXT,
    "ai_summary": _MAYBE_TEXT,
    "authors": {"type": ["array", "null"], "items": _TEXT},
    "author_count": _COUNT,
    "published_on": {"type": ["string", "null"], "format": "date"},
    "listed_at": _MAYBE_TIME,
    "listed_exact": {"type": "boolean"},
    "first_seen_at": _TIME,
    "upvotes": _COUNT,
    "comments": _COUNT,
    "stars": _COUNT,
    "github": _MAYBE_TEXT,
    "project": _MAYBE_TEXT,
    "organization": _MAYBE_TEXT,
    "submitted_by": _MAYBE_TEXT,
    "keywords": {"type": ["array", "null"], "items": _TEXT},
}
_NAMED = _object(paper_id=_TEXT, title=_TEXT, url=_MAYBE_TEXT)

_SCHEMAS: dict[str, Schema] = {
    "Error": _object(
        error=_object(
            status=_WHOLE,
            title=_TEXT,
            detail={"type": "string", "description": "what is wrong, and what to do"},
        )
    ),
    "Condition": _object(name=_TEXT, value=_TEXT, need=_TEXT, ok={"type": ["boolean", "null"]}),
    "Event": _object(
        cursor={"type": "integer", "description": "position in the one order of events"},
        id={"type": "string", "description": "the same in CLI, webhook, feed and API"},
        type={"type": "string", "enum": [kind.value for kind in EventType]},
        at=_TIME,
        rule=_MAYBE_TEXT,
        paper={"anyOf": [_NAMED, {"type": "null"}]},
        counts=_object(upvotes=_COUNT, comments=_COUNT, stars=_COUNT),
        reason=_TEXT,
        conditions=_list(_ref("Condition")),
    ),
    "Events": _object(
        events=_list(_ref("Event")),
        cursor={"type": "integer", "description": "give this as `after` to go on"},
        more={"type": "boolean", "description": "there are more events now"},
    ),
    "Paper": _object(**_PAPER_FIELDS),
    "PaperWithEvents": _object(**_PAPER_FIELDS, events=_list(_ref("Event"))),
    "Papers": _object(
        papers=_list(_ref("Paper")),
        next={"type": ["string", "null"], "description": "give this as `start` to go on"},
        sort={"type": "string", "enum": list(SORTS)},
    ),
    "History": _object(
        paper_id=_TEXT,
        sightings=_list(
            _object(at=_TIME, source=_MAYBE_TEXT, upvotes=_COUNT, comments=_COUNT, stars=_COUNT)
        ),
        places=_list(_object(at=_TIME, source=_MAYBE_TEXT, rank=_WHOLE, page_size=_WHOLE)),
    ),
    "Rule": _object(
        name=_TEXT,
        query=_MAYBE_TEXT,
        exclude=_MAYBE_TEXT,
        follows=_MAYBE_TEXT,
        sources={**_list(_TEXT), "description": "empty = all"},
        events=_list({"type": "string", "enum": [change.value for change in Change]}),
        min_upvotes=_WHOLE,
        min_multiplier=_NUMBER,
        ripen_s=_NUMBER,
        budget=_maybe("number"),
        channels=_list(_TEXT),
        today=_object(new_upvotes=_WHOLE, min_multiplier=_NUMBER),
    ),
    "Rules": _object(rules=_list(_ref("Rule"))),
    "Source": _object(
        name=_TEXT,
        url=_TEXT,
        last_ok=_MAYBE_TIME,
        failing_since=_MAYBE_TIME,
        next_due=_MAYBE_TIME,
        cards=_COUNT,
        error=_MAYBE_TEXT,
    ),
    "Sources": _object(sources=_list(_ref("Source"))),
}


def _query(name: str, schema: Schema, description: str, **more: Any) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description, **more}


_PAPER_ID: Schema = {
    "name": "paper_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
    "description": "arXiv id, with or without version, or the `t:` name",
}


def _get(summary: str, schema: str, *parameters: Schema, missing: bool = False) -> Schema:
    responses: dict[str, Schema] = {
        "200": {
            "description": "fine",
            "content": {"application/json": {"schema": _ref(schema)}},
        }
    }
    wrong = {
        "400": "a parameter is wrong; `detail` says which and why",
        "401": "the token is needed: `Authorization: Bearer …`",
        "403": "the API is closed: no token is configured",
        "404": "there is no such paper",
        "503": "the store cannot be read for now",
    }
    for status, words in wrong.items():
        if status != "404" or missing:
            responses[status] = {
                "description": words,
                "content": {"application/json": {"schema": _ref("Error")}},
            }
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": responses}}


@cache
def document() -> Schema:
    """The whole document, OpenAPI 3.1."""
    start = _query("start", {"type": "string", "pattern": START}, "`next` of the page before")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "paper watcher",
            "version": __version__,
            "description": (
                "What the watcher saw and said. Events come in one order with a cursor: a "
                "consumer that was away asks for the events after the last one it has, and "
                "gets what the webhooks gave, with the same ids. Unknown is null, not zero."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "paths": {
            "/api/v1/events": _get(
                "Events behind a cursor, oldest first",
                "Events",
                _query(
                    "after",
                    {"type": "integer", "minimum": 0, "maximum": 2**63 - 1, "default": 0},
                    "the last cursor you have",
                ),
                _query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
                    "at most so many",
                ),
                _query("rule", _TEXT, "only what this rule told"),
                _query(
                    "type",
                    _list({"type": "string", "enum": [kind.value for kind in EventType]}),
                    "only these types; may be given several times",
                    style="form",
                    explode=True,
                ),
                _query(
                    "known",
                    {"type": "boolean", "default": False},
                    "also what was there at a rule's first look, which was told to nobody",
                ),
            ),
            "/api/v1/papers": _get(
                "Papers that match a query",
                "Papers",
                _query("q", {"type": "string", "maxLength": 500}, "in the language of the rules"),
                _query(
                    "sort",
                    {"type": "string", "enum": list(SORTS)},
                    "best matches, newest or most votes first",
                ),
                _query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                    "at most so many",
                ),
                start,
            ),
            "/api/v1/papers/{paper_id}": _get(
                "One paper and what was said of it", "PaperWithEvents", _PAPER_ID, missing=True
            ),
            "/api/v1/papers/{paper_id}/history": _get(
                "How its counts moved", "History", _PAPER_ID, missing=True
            ),
            "/api/v1/rules": _get("The rules in force", "Rules"),
            "/api/v1/sources": _get("The sources, and how their visits went", "Sources"),
        },
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def written() -> str:
    """The document as it stands in ``docs/openapi.json``."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
