"""On which line of a TOML text each table and key stands.

Owns a light scan of a text that ``tomllib`` has already accepted: tomllib gives values
without places. Must not judge or raise: where the scan loses its way, what it has found so
far stays, and callers fall back to the line of the table.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_BARE_VALUE = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:\\.|[^\\])*?"{3,5}(?!")', re.DOTALL),
    re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    re.compile(r'"((?:\\.|[^"\\\n])*)"'),
    re.compile(r"'([^'\n]*)'"),
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_SIMPLE = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


class _Lost(Exception):
    """The scan met something it does not understand."""


def find_lines(text: str) -> dict[Path, int]:
    """Line numbers, from 1, of every table, key and array item that could be placed.

    Paths are as ``tomllib`` nests its values: ``("source", 0, "url")``.
    """
    scan = _Scan(text)
    with suppress(_Lost, RecursionError, ValueError):  # what was found so far is still right
        scan.document()
    return scan.found


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """The line of a path, or of the nearest thing around it; None when nothing is known."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {}
        self.items: dict[Path, int] = {}
        """Last index of each array of tables."""
        self.breaks = [m.start() for m in re.finditer("\n", text)]

    def document(self) -> None:
        table: Path = ()
        while self.blank() < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)

    def header(self) -> Path:
        start = self.at
        array = self.text.startswith("[[", start)
        self.at += 2 if array else 1
        self.blank()
        keys = self.key()
        self.blank()
        self.take("]]" if array else "]")
        path = self.place(keys[:-1]) + keys[-1:]
        if array:
            self.items[path] = self.items.get(path, -1) + 1
        path = self.inside(path)
        for end in range(1, len(path) + 1):
            self.note(path[:end], start)
        return path

    def place(self, keys: Path) -> Path:
        path: Path = ()
        for key in keys:
            path = self.inside((*path, key))
        return path

    def inside(self, path: Path) -> Path:
        return (*path, self.items[path]) if path in self.items else path

    def pair(self, table: Path) -> None:
        start = self.at
        path = table + self.key()
        for end in range(len(table) + 1, len(path) + 1):
            self.note(path[:end], start)
        self.blank()
        self.take("=")
        self.blank()
        self.value(path)

    def value(self, path: Path) -> None:
        first = self.text[self.at : self.at + 1]
        if first == "[":
            self.sequence("]", lambda n: self.item((*path, n)))
        elif first == "{":
            self.sequence("}", lambda _: self.pair(path))
        elif first in ('"', "'"):
            self.string()
        else:
            found = _BARE_VALUE.match(self.text, self.at)
            self.at = found.end() if found else len(self.text)

    def item(self, path: Path) -> None:
        self.note(path, self.at)
        self.value(path)

    def sequence(self, end: str, one: Callable[[int], None]) -> None:
        self.at += 1
        count = 0
        while self.text[self.blank() : self.at + 1] != end:
            one(count)
            count += 1
            if self.text[self.blank() : self.at + 1] == ",":
                self.at += 1
            elif self.text[self.at : self.at + 1] != end:
                raise _Lost
        self.at += 1

    def key(self) -> Path:
        keys: list[str] = []
        while True:
            bare = _BARE_KEY.match(self.text, self.at)
            if bare:
                self.at = bare.end()
                keys.append(bare[0])
            else:
                keys.append(self.string())
            dot = _DOT.match(self.text, self.at)
            if not dot:
                return tuple(keys)
            self.at = dot.end()

    def string(self) -> str:
        for pattern in _STRINGS:
            found = pattern.match(self.text, self.at)
            if found:
                self.at = found.end()
                inner = found[1] if pattern.groups else ""
                return _ESCAPE.sub(_unescape, inner) if found[0][0] == '"' else inner
        raise _Lost

    def blank(self) -> int:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def take(self, mark: str) -> None:
        if not self.text.startswith(mark, self.at):
            raise _Lost
        self.at += len(mark)

    def note(self, path: Path, offset: int) -> None:
        self.found.setdefault(path, bisect_right(self.breaks, offset - 1) + 1)


def _unescape(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else _SIMPLE.get(found[3], found[3])
