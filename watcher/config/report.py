"""Collects what is wrong with a config, so that all of it is told at once.

Owns places and wording of problems and warnings. Must not judge.
One line each: ``config.toml:12 [source "trending"] evry: unknown key; did you mean "every"?``
"""

from __future__ import annotations

from functools import cached_property

from watcher.config.lines import Path, find_lines, line_of
from watcher.errors import ConfigError


def printable(text: object) -> str:
    """A name out of the file, safe to print on one line."""
    short = str(text)[:80]
    return "".join(c if c.isprintable() else "\ufffd" for c in short)


class Place:
    """A table: where it stands in the file and what to call it."""

    __slots__ = ("label", "path")

    def __init__(self, path: Path, label: str) -> None:
        self.path = path
        self.label = label


class Report:
    """Problems and warnings of one file, in the order of its lines."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._problems: list[tuple[int, str]] = []
        self._warnings: list[tuple[int, str]] = []

    def problem(self, place: Place, key: str, message: str) -> None:
        """Something that makes the config unusable. ``key`` may be empty: the whole table."""
        self._problems.append(self._line(place, key, message))

    def warning(self, place: Place, key: str, message: str) -> None:
        """Something that works but deserves a look."""
        self._warnings.append(self._line(place, key, message))

    @cached_property
    def _lines(self) -> dict[Path, int]:
        return find_lines(self.text)  # only a config with something to say about is scanned

    def _line(self, place: Place, key: str, message: str) -> tuple[int, str]:
        path = (*place.path, key) if key else place.path
        line = line_of(self._lines, path) or line_of(self._lines, (*path, 0))
        where = f"{self.file}:{line}" if line else self.file
        if not (place.label or key):
            return line or 0, f"{where}: {message}"
        words = [where, printable(place.label), f"{printable(key)}: {message}" if key else message]
        return line or 0, " ".join(word for word in words if word)

    @property
    def warnings(self) -> tuple[str, ...]:
        """In the order of the file's lines, each once."""
        return _sorted(self._warnings)

    def close(self) -> None:
        """Raise ``ConfigError`` with every problem, if there is one."""
        problems = _sorted(self._problems)
        if problems:
            raise ConfigError("\n".join(problems), problems=problems)


def _sorted(found: list[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for _, text in sorted(found, key=lambda item: item[0])))
