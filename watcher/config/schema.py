"""The JSON Schema of config.toml, and the tables of its documentation.

Owns what editors and ``docs/config.md`` are given; both come from the settings structs.
Must not write files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from watcher.config.kinds import Key, keys_of, to_toml
from watcher.config.parsing import ARRAYS, SWITCHED, TABLES
from watcher.config.settings import ChannelOptions

_MARKED = re.compile(r"(<!-- keys: (\S+) -->)\n.*?(<!-- end -->)", re.DOTALL)
DRAFT = "http://json-schema.org/draft-07/schema#"
"""The draft that TOML editors understand."""


def json_schema(options: Mapping[str, type[ChannelOptions]]) -> dict[str, Any]:
    """The JSON Schema (draft 7) of a whole config.toml."""
    properties: dict[str, Any] = {name: _table(struct) for name, struct in TABLES.items()}
    for name, struct in ARRAYS.items():
        properties[name] = {"type": "array", "items": _table(struct)}
    properties["channel"] = {
        "type": "object",
        "description": "Ways out, each under a name of its own.",
        "additionalProperties": _channel(options),
    }
    return {
        "$schema": DRAFT,
        "title": "paper-watcher config.toml",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _channel(options: Mapping[str, type[ChannelOptions]]) -> dict[str, Any]:
    cases = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": _table(struct),
        }
        for name, struct in options.items()
    ]
    kinds = {"type": {"type": "string", "enum": list(options)}}
    return {"type": "object", "required": ["type"], "properties": kinds, "allOf": cases}


def _table(struct: type[msgspec.Struct]) -> dict[str, Any]:
    keys = keys_of(struct)
    schema: dict[str, Any] = {
        "type": "object",
        "description": (struct.__doc__ or "").strip().splitlines()[0],
        "properties": {name: part for key in keys for name, part in _properties(key).items()},
        "additionalProperties": False,
    }
    required = [key.name for key in keys if key.required and not key.secret]
    if required:
        schema["required"] = required
    secrets = [key for key in keys if key.secret]
    if secrets:
        schema["allOf"] = [_one_way(key) for key in secrets]
    return schema


def _properties(key: Key) -> dict[str, Any]:
    own = {**key.kind.schema, "description": key.meaning}
    if key.default is not None:
        own["default"] = key.kind.show(key.default)
    if not key.secret:
        return {key.name: own}
    return {
        key.name: own,
        f"{key.name}_file": {"type": "string", "description": f"a file that holds {key.name}"},
        f"{key.name}_env": {
            "type": "string",
            "description": f"the environment variable that holds {key.name}",
        },
    }


def _one_way(key: Key) -> dict[str, Any]:
    """A secret is given in at most (required: exactly) one of its ways."""
    ways: list[dict[str, Any]] = [{"required": [name]} for name in key.spellings]
    if not key.required:
        ways.append({"not": {"anyOf": [{"required": [name]} for name in key.spellings]}})
    return {"oneOf": ways}


def reference(options: Mapping[str, type[ChannelOptions]]) -> dict[str, str]:
    """Markdown tables of all keys, by table: ``watcher``, …, ``channel``, ``channel.email``."""
    common = {key.name for key in keys_of(ChannelOptions)}
    tables = {name: keys_of(struct) for name, struct in {**TABLES, **ARRAYS}.items()}
    tables["channel"] = keys_of(ChannelOptions)
    for name, struct in options.items():
        tables[f"channel.{name}"] = tuple(k for k in keys_of(struct) if k.name not in common)
    return {name: _markdown(name, keys) for name, keys in tables.items()}


def fill_reference(text: str, options: Mapping[str, type[ChannelOptions]]) -> str:
    """A document with the tables between its ``<!-- keys: NAME -->`` marks brought up to date.

    Raises ``KeyError`` for a mark of a table that is not there.
    """
    tables = reference(options)
    return _MARKED.sub(lambda m: f"{m[1]}\n\n{tables[m[2]]}\n\n{m[3]}", text)


def _markdown(table: str, keys: tuple[Key, ...]) -> str:
    if not keys:
        return "No keys of its own."
    rows = [
        f"| `{key.name}`{' 🔑' if key.secret else ''} | {key.kind.name} | {_default(table, key)} "
        f"| {key.meaning} |"
        for key in keys
    ]
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows])


def _default(table: str, key: Key) -> str:
    if key.name == "enabled" and table in SWITCHED:
        return "`true` if the table is there"
    if key.required:
        return "**required**"
    return "–" if key.default in (None, ()) else f"`{to_toml(key.kind.show(key.default))}`"
