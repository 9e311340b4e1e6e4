"""What a config is read in: environment, folder, and who checks queries.

Owns where relative paths and secret files are looked for. Must not read the file itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from watcher.model import Value


class Checked(Protocol):
    """A query that is one."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was understood but may not have been meant."""

    def unknown_sources(self, names: Iterable[str]) -> tuple[str, ...]:
        """Sources it asks for that none of these names is."""


CheckQuery = Callable[[str], Checked | None]
"""Raises ``QueryError`` for a text that is no query; given by whoever knows the language."""


class Surroundings(Value, frozen=True, kw_only=True):
    """What stands around the bytes of a config."""

    env: Mapping[str, str]
    folder: Path
    """Of the config: relative paths start here."""
    file: str = "config.toml"
    """What messages call it."""
    check_query: CheckQuery | None = None
    open_to_others: bool = False
    """Whether group or others may read the file."""
    needs_secrets: bool = True
    """Whether a secret that cannot be had is a fault; else only a warning."""

    def __repr__(self) -> str:
        return f"Surroundings({self.file!r})"  # the environment may hold secrets

    def path(self, path: Path) -> Path:
        """A path as written, made absolute; ``~`` is the home of ``$HOME``."""
        home = self.env.get("HOME")
        if home and path.parts[:1] == ("~",):
            return Path(home, *path.parts[1:])
        return self.folder / path

    def database(self, path: Path) -> Path:
        """The database's path: in ``$STATE_DIRECTORY`` when the service manager gave one."""
        state = self.env.get("STATE_DIRECTORY", "").split(":")[0]
        if state and path.parts[:1] != ("~",):
            return Path(state) / path
        return self.path(path)

    def secret_file(self, path: Path) -> tuple[Path, bool]:
        """Where a secret file is, and whether the service manager handed it over."""
        given = self.env.get("CREDENTIALS_DIRECTORY")
        if given and (Path(given) / path).is_file() and not path.is_absolute():
            return Path(given) / path, True
        return self.path(path), False
