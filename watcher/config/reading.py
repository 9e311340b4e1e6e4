"""One table of TOML into the values of its struct, every fault noted.

Owns unknown keys, wrong types, missing keys and secrets given in one of their three ways.
Must not know any table by name. What could not be read is left at its default, so that
later checks go on and every fault is told at once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from watcher.config.kinds import DATABASE, Key, keys_of, spellings_of
from watcher.config.nearest import nearest
from watcher.config.report import Place, Report
from watcher.config.surroundings import Surroundings
from watcher.config.values import BadValue, read_line, shown

MAX_SECRET_BYTES = 65_536
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


class Draft:
    """The values of one table before all is known to be well."""

    __slots__ = ("active", "broken", "given", "place", "struct", "values")

    def __init__(self, struct: type[msgspec.Struct], place: Place) -> None:
        self.struct = struct
        self.place = place
        self.values: dict[str, Any] = {key.attribute: key.default for key in keys_of(struct)}
        self.given: set[str] = set()
        """Attributes that the file gives, well or not."""
        self.broken: set[str] = set()
        """Attributes that the file gives, but not well, or should give and does not."""
        self.active = True
        """False when its missing secrets are no problem, because nothing uses them."""

    def __getitem__(self, attribute: str) -> Any:
        return self.values.get(attribute)

    def __setitem__(self, attribute: str, value: Any) -> None:
        self.values[attribute] = value

    def build(self, **more: Any) -> Any:
        """The struct. Call it only when no problem was found."""
        return self.struct(**self.values, **more)


class Reader:
    """Reads tables; keeps the report and the surroundings at hand."""

    def __init__(
        self, report: Report, around: Surroundings, homes: dict[str, tuple[str, ...]]
    ) -> None:
        self.report = report
        self.around = around
        self.homes = homes
        """For each known key, the tables it belongs to: for hints."""
        self.inline = False
        """Whether a secret stood in the config itself."""

    def read(self, table: object, draft: Draft) -> Draft:
        """Fill a draft from a table; unknown keys, bad values and missing keys are noted."""
        if not isinstance(table, dict):
            self.report.problem(draft.place, "", f"is not a table but {shown(table)}")
            draft.broken.update(draft.values)
            return draft
        given, known = table.keys(), spellings_of(draft.struct)
        for name in given:
            if name not in known:
                self.report.problem(draft.place, name, self._unknown(name, tuple(known)))
        for key in keys_of(draft.struct):
            if key.required or not given.isdisjoint(key.spellings):
                self._key(table, key, draft)
        return draft

    def _unknown(self, name: str, known: tuple[str, ...]) -> str:
        guess, homes = nearest(name, known), self.homes.get(name, ())
        if guess:
            home = f'; "{name}" belongs to {" or ".join(homes)}' if homes else ""
            return f'unknown key; did you mean "{guess}"?{home}'
        if homes:
            return f"unknown key; it belongs to {' or '.join(homes)}"
        return f"unknown key; known are {', '.join(known)}"

    def _key(self, table: dict[str, Any], key: Key, draft: Draft) -> None:
        given = [name for name in key.spellings if name in table]
        if given:
            draft.given.add(key.attribute)
        if not given:
            if key.required:
                draft.broken.add(key.attribute)
                names = " or ".join(key.spellings)
                self.report.problem(draft.place, "", f"{names} is missing")
            return
        if len(given) > 1:
            draft.broken.add(key.attribute)
            names = " and ".join(given)
            self.report.problem(draft.place, given[-1], f"given twice, as {names}; keep one")
            return
        try:
            raw = self._raw(table, given[0], key, draft)
            if raw is not None:
                value = key.kind.read(raw)
                draft[key.attribute] = self._placed(key, value)
                if key.secret and given[0] == key.name and key.kind.inline(value):
                    self._warn_inline(key.name, draft)
        except BadValue as exc:
            draft.broken.add(key.attribute)
            self.report.problem(draft.place, given[0], str(exc))

    def _placed(self, key: Key, value: Any) -> Any:
        if not key.path:
            return value
        return self.around.database(value) if key.kind is DATABASE else self.around.path(value)

    def _raw(self, table: dict[str, Any], name: str, key: Key, draft: Draft) -> Any:
        """The value as given, a secret fetched from where it is; None: missed, but unused."""
        if name == key.name:
            return table[name]
        try:
            if name.endswith("_env"):
                return self._from_env(read_line(table[name]))
            return self._from_file(read_line(table[name]), name, draft)
        except BadValue as exc:
            if draft.active or not isinstance(table[name], str):
                raise
            self.report.warning(draft.place, name, str(exc))
            if key.required and key.secret:
                draft[key.attribute] = key.secret("")
            draft.broken.add(key.attribute)
            return None

    def _warn_inline(self, name: str, draft: Draft) -> None:
        self.inline = True
        self.report.warning(
            draft.place, name, f"a secret stands in the config; better {name}_file or {name}_env"
        )

    def _from_env(self, variable: str) -> str:
        text = self.around.env.get(variable, "").strip()
        if not text:
            # a text that is no usual name may be the secret itself, put into the wrong key
            named = f" {shown(variable)}" if _VARIABLE.fullmatch(variable) else ""
            raise BadValue(f"the environment variable{named} is not set or empty")
        return text

    def _from_file(self, written: str, name: str, draft: Draft) -> str:
        path, handed = self.around.secret_file(Path(written))
        text, mode = read_secret_file(path)
        if mode & 0o077 and not handed:
            self.report.warning(draft.place, name, f"{path} can be read by others; chmod 600 it")
        return text


def read_secret_file(path: Path) -> tuple[str, int]:
    """The text of a secret file, stripped, and the file's mode; ``BadValue`` says why not."""
    try:
        if not path.is_file():
            raise BadValue(f"there is no file {path}")
        with path.open("rb") as stream:
            data = stream.read(MAX_SECRET_BYTES + 1)
        mode = path.stat().st_mode
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise BadValue(f"{path} is not UTF-8 text") from None
    except OSError as exc:
        raise BadValue(f"{path} cannot be read: {exc.strerror or exc}") from None
    if not text:
        raise BadValue(f"{path} is empty")
    if len(data) > MAX_SECRET_BYTES:
        raise BadValue(f"{path} is too large for a secret")
    return text, mode
