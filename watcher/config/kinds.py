"""What kind of value each key of a table takes: how it is read, shown and described.

Owns the bridge from the annotations of the settings structs to reading, printing, JSON
Schema and documentation, so that a key is described in one place only. Must not know any
table by name.

A field of a settings struct is one key. Its annotation may carry a ``Kind`` (else the type
decides) and a text that says what the key means::

    every: Annotated[timedelta, DURATION, "how often the page is visited"] = ...
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from datetime import time, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin
from zoneinfo import ZoneInfo

import msgspec

from watcher.config import values
from watcher.config.nearest import nearest
from watcher.config.secrets import Secret
from watcher.config.values import BadValue
from watcher.model import Value


class Kind(Value, frozen=True, kw_only=True):
    """One kind of value."""

    name: str
    """What the documentation calls it."""
    read: Callable[[Any], Any]
    """From what TOML gave; raises ``BadValue``."""
    show: Callable[[Any], Any] = str
    """To what TOML can write: a text, number, truth value or list."""
    schema: Mapping[str, Any] = msgspec.field(default_factory=lambda: {"type": "string"})
    """Its JSON Schema."""
    inline: Callable[[Any], bool] = bool
    """For secrets: whether a value that stands in the config deserves a warning."""


class Key(Value, frozen=True, kw_only=True):
    """One key of a table, as its struct's field describes it."""

    name: str
    """As written in TOML."""
    attribute: str
    """As the struct calls it."""
    kind: Kind
    default: Any
    required: bool
    secret: type[Secret] | None
    """Set when it may also be given as ``name_file`` or ``name_env``."""
    path: bool
    """A path, to be made absolute."""
    meaning: str
    spellings: tuple[str, ...]
    """Every key by which the value may be given."""


TEXT = Kind(name="text", read=values.read_text)
NAME = Kind(name="name", read=values.read_name)
SOURCE_NAME = Kind(name="name", read=values.read_source_name)
BOOL = Kind(
    name="true or false", read=values.read_bool, show=lambda v: v, schema={"type": "boolean"}
)
PATH = Kind(name="path", read=lambda v: Path(values.read_line(v)))
DATABASE = Kind(name="path", read=PATH.read)
"""Like ``PATH``, but relative to ``$STATE_DIRECTORY`` when that is set."""
ZONE = Kind(name="time zone", read=values.read_zone)
CLOCK = Kind(
    name="time of day",
    read=values.read_clock,
    show=lambda v: f"{v:%H:%M}",
    schema={"type": "string", "pattern": r"^\d{1,2}:\d{2}$"},
)
HOURS = Kind(
    name="hours",
    read=values.read_hours,
    schema={"type": "string", "pattern": r"^\s*\d{1,2}:\d{2}\s*[-–]\s*\d{1,2}:\d{2}\s*$"},
)
QUIET_HOURS = Kind(name="hours", read=values.read_quiet_hours, schema=HOURS.schema)
DAYS = Kind(
    name="days of the week",
    read=values.read_days,
    show=values.show_days,
    schema={"type": ["string", "array"], "items": {"type": "string"}},
)
SIZE = Kind(
    name="size",
    read=values.read_size,
    show=values.show_size,
    schema={"type": ["string", "integer"], "examples": ["500MB", "5GB"]},
)
URL = Kind(name="address (http, https)", read=values.read_url)
BASE_URL = Kind(name="address (http, https)", read=values.read_base_url)
CONTACT = Kind(name="mailto: or https: address", read=values.read_contact)
LISTEN = Kind(name="address:port", read=values.read_listen)
NETWORK = Kind(name="IP address or network", read=values.read_network)
DOMAIN = Kind(name="domain", read=values.read_domain)
HOST = Kind(name="host", read=values.read_host)
MAILBOX = Kind(name="mail address", read=values.read_mailbox)
SECRET = Kind(name="secret", read=lambda v: Secret(values.read_line(v)), show=lambda v: v.masked())


def duration(least: str = "0s", most: str | None = None) -> Kind:
    """Durations, both ends included."""
    lower = values.read_duration(least)
    upper = values.read_duration(most) if most else values.CENTURY

    def read(value: object) -> timedelta:
        found = values.read_duration(value)
        if not lower <= found <= upper:
            span = f"at least {least}" + (f" and at most {most}" if most else "")
            raise BadValue(f"must be {span}, not {values.shown(value)}")
        return found

    pattern = r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$"
    schema = {"type": "string", "pattern": pattern, "examples": ["30s", "30m", "7d"]}
    return Kind(name="duration", read=read, show=values.show_duration, schema=schema)


def whole(least: int = 0, most: int = 1_000_000_000) -> Kind:
    """Whole numbers, both ends included."""

    def read(value: object) -> int:
        found = values.read_whole(value)
        if not least <= found <= most:
            raise BadValue(f"must be between {least} and {most}, not {values.shown(value)}")
        return found

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Kind(name="whole number", read=read, show=lambda v: v, schema=schema)


def number(least: float = 0.0, most: float = 1e9, *, above: bool = False) -> Kind:
    """Numbers, both ends included; ``above`` leaves the lower end out."""

    def read(value: object) -> float:
        found = values.read_number(value)
        if not least <= found <= most or (above and found == least):
            word = "more than" if above else "at least"
            raise BadValue(f"must be {word} {least:g} and at most {most:g}, not {found:g}")
        return found

    lower = "exclusiveMinimum" if above else "minimum"
    schema = {"type": "number", lower: least, "maximum": most}
    return Kind(name="number", read=read, show=lambda v: v, schema=schema)


def choice(options: type[StrEnum]) -> Kind:
    """One word out of a closed set."""
    known = tuple(option.value for option in options)

    def read(value: object) -> StrEnum:
        text = value.strip().lower() if isinstance(value, str) else None
        if text in known:
            return options(text)
        guess = nearest(str(value), known)
        hint = f'did you mean "{guess}"?' if guess else "it is one of " + ", ".join(known)
        raise BadValue(f"does not know {values.shown(value)}; {hint}")

    name = " ".join(known)
    return Kind(name=name, read=read, schema={"type": "string", "enum": list(known)})


def several(kind: Kind, *, least: int = 0, unique: bool = True) -> Kind:
    """A list, usually without repetitions; a lone value counts as a list of one."""

    def read(value: object) -> tuple[Any, ...]:
        found = [kind.read(item) for item in (value if isinstance(value, list) else [value])]
        if len(found) < least:
            raise BadValue("is empty; name at least one, or leave the key out")
        return tuple(dict.fromkeys(found)) if unique else tuple(found)

    array: dict[str, Any] = {"type": "array", "items": kind.schema}
    if least:
        array["minItems"] = least
    return Kind(
        name=f"list: {kind.name}",
        read=read,
        show=lambda v: [kind.show(item) for item in v],
        schema={"anyOf": [array, kind.schema]},
    )


def secret(
    name: str,
    of: type[Secret],
    check: Callable[[str], object],
    *,
    inline: Callable[[Any], bool] = bool,
) -> Kind:
    """A secret text of a certain form; ``check`` raises ``BadValue`` without repeating it."""

    def read(value: object) -> Secret:
        text = values.read_line(value)
        check(text)
        return of(text)

    return Kind(name=name, read=read, show=lambda v: v.masked(), inline=inline)


_BY_TYPE: dict[object, Kind] = {
    str: TEXT,
    bool: BOOL,
    int: whole(),
    float: number(),
    Path: PATH,
    ZoneInfo: ZONE,
    time: CLOCK,
    timedelta: duration(),
    values.Hours: HOURS,
    values.Listen: LISTEN,
    values.Mailbox: MAILBOX,
    Secret: SECRET,
}

UNSET = "not set from TOML"
"""Annotation of fields that the decoder fills in by itself."""


@cache
def keys_of(struct: type[msgspec.Struct]) -> tuple[Key, ...]:
    """The keys of a table, in the order of the struct's fields."""
    fields = msgspec.structs.fields(struct)
    return tuple(_key(f) for f in fields if UNSET not in _notes(f.type))


@cache
def spellings_of(struct: type[msgspec.Struct]) -> Mapping[str, Key]:
    """How the keys of a table may be written, each with its key."""
    return {name: key for key in keys_of(struct) for name in key.spellings}


def _key(field: msgspec.structs.FieldInfo) -> Key:
    core = _core(field.type)
    required = field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT
    default = None if required else field.default
    name = field.encode_name
    hidden = isinstance(core, type) and issubclass(core, Secret)
    return Key(
        name=name,
        attribute=field.name,
        kind=_kind(field.type),
        default=default,
        required=required,
        secret=core if hidden else None,
        path=core is Path,
        meaning=next((n for n in _notes(field.type) if isinstance(n, str)), ""),
        spellings=(name, f"{name}_file", f"{name}_env") if hidden else (name,),
    )


def _notes(hint: Any) -> tuple[Any, ...]:
    return tuple(hint.__metadata__) if get_origin(hint) is Annotated else ()


def _core(hint: Any) -> Any:
    """The type behind annotations and ``| None``."""
    if get_origin(hint) is Annotated:
        return _core(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return _core(next(a for a in get_args(hint) if a is not type(None)))
    return hint


def _kind(hint: Any) -> Kind:
    noted = next((n for n in _notes(hint) if isinstance(n, Kind)), None)
    if noted:
        return noted
    core = _core(hint)
    if get_origin(core) is tuple:
        return several(_kind(get_args(core)[0]))
    if isinstance(core, type) and issubclass(core, StrEnum):
        return choice(core)
    return _BY_TYPE[core]


def to_toml(value: object) -> str:
    """A shown value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(to_toml(item) for item in value)}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
