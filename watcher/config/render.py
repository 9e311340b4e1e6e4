"""The effective config as text, with every secret masked.

Owns its printing. Must not reveal a secret: kinds show secrets by their masks.
"""

from __future__ import annotations

import re

import msgspec

from watcher.config.kinds import keys_of, to_toml
from watcher.config.parsing import TABLES
from watcher.config.settings import Config

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def render(config: Config) -> str:
    """TOML text of everything in force, defaults included; secrets are ``***``.

    It is valid TOML and reads like the sample, but cannot be used as a config, because
    the secrets are gone.
    """
    blocks = [_block(f"[{name}]", getattr(config, name)) for name in TABLES]
    blocks[2:2] = [
        *(_block("[[source]]", source) for source in config.sources),
        *(_block("[[rule]]", rule) for rule in config.rules),
        *(_block(f"[channel.{_bare(c.name)}]", c) for c in config.channels),
    ]
    return "\n".join(blocks)


def _bare(name: str) -> str:
    return name if _BARE.fullmatch(name) else to_toml(name)


def _block(header: str, table: msgspec.Struct) -> str:
    lines = [header]
    for key in keys_of(type(table)):
        value = getattr(table, key.attribute)
        if value is not None:
            lines.append(f"{key.name} = {to_toml(key.kind.show(value))}")
    return "\n".join(lines) + "\n"
