"""config.toml: found, read, checked as a whole, and built.

Owns the walk from bytes to ``Config``. Must not print or log; the only files it touches
are the config and secret files; of other paths it looks whether file or folder is there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from watcher.config import checks, slips
from watcher.config.checks import Drafts
from watcher.config.kinds import keys_of
from watcher.config.nearest import nearest
from watcher.config.reading import Draft, Reader
from watcher.config.report import Place, Report
from watcher.config.secrets import Secret
from watcher.config.settings import (
    AlertSettings,
    ArchiveSettings,
    BackupSettings,
    ChannelOptions,
    Config,
    DeliverySettings,
    FetchSettings,
    KeepSettings,
    Rule,
    Source,
    WatcherSettings,
    WebSettings,
)
from watcher.config.surroundings import CheckQuery, Surroundings
from watcher.config.values import BadValue, read_line, read_name, shown
from watcher.config.visits import FOLLOW
from watcher.errors import ConfigError

Options = Mapping[str, type[ChannelOptions]]

TABLES: dict[str, type[msgspec.Struct]] = {
    "watcher": WatcherSettings,
    "fetch": FetchSettings,
    "web": WebSettings,
    "delivery": DeliverySettings,
    "alert": AlertSettings,
    "keep": KeepSettings,
    "backup": BackupSettings,
    "archive": ArchiveSettings,
}
ARRAYS: dict[str, type[msgspec.Struct]] = {"source": Source, "rule": Rule}
SWITCHED = ("web", "backup", "archive")
"""Tables whose presence turns something on."""
MAX_BYTES = 16_000_000
"""More than a hundred thousand sources; a larger file is something else."""
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def parse(
    data: bytes,
    options: Options,
    *,
    env: Mapping[str, str],
    folder: Path,
    check_query: CheckQuery | None = None,
) -> Config:
    """The config that these bytes say, secrets fetched, paths absolute.

    Args:
        data: config.toml.
        options: for each channel type its options struct.
        env: the environment: secrets, ``STATE_DIRECTORY``, ``CREDENTIALS_DIRECTORY``.
        folder: the config's folder; relative paths start here.
        check_query: raises ``QueryError`` for a text that is no query.

    Raises:
        ConfigError: ``problems`` holds every fault, one line each, in the order of the file.
    """
    around = Surroundings(env=env, folder=folder, check_query=check_query)
    return parse_in(data, options, around)


def load(
    path: Path,
    options: Options,
    env: Mapping[str, str],
    *,
    check_query: CheckQuery | None = None,
    secrets: bool = True,
) -> Config:
    """Read and ``parse`` a file; messages name it by the path given.

    ``secrets=False`` is for whoever sends nothing: secrets that cannot be had are warnings.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        open_to_others = bool(path.stat().st_mode & 0o077)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    around = Surroundings(
        env=env,
        folder=path.absolute().parent,
        file=str(path),
        check_query=check_query,
        open_to_others=open_to_others,
        needs_secrets=secrets,
    )
    return parse_in(data, options, around)


def database_of(path: Path, env: Mapping[str, str]) -> Path | None:
    """The database that a config names, however wrong the rest of it is; None when not even that
    can be said. For whoever only looks at a daemon that still runs with an older config."""
    try:
        table = tomllib.loads(path.read_text("utf-8-sig")).get("watcher", {})
        named = Path(table.get("database", WatcherSettings().database))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return None
    return Surroundings(env=env, folder=path.absolute().parent).database(named)


def find(explicit: Path | None, env: Mapping[str, str], cwd: Path) -> Path:
    """The config to use: ``--config``, ``$WATCHER_CONFIG``, then the usual places.

    Raises:
        ConfigError: there is none; the message lists where it was looked for.
    """
    for how, named in (("--config", explicit), ("$WATCHER_CONFIG", env.get("WATCHER_CONFIG"))):
        if named:
            path = cwd / named
            if path.is_file():
                return path
            raise ConfigError(f"{how} names {path}, which is not a file")
    places = _places(env, cwd)
    for path in places:
        if path.is_file():
            return path
    looked = "\n  ".join(str(path) for path in places)
    raise ConfigError(
        f"no config.toml found; looked for\n  {looked}\n"
        "write one with `watcher init`, or name it with --config"
    )


def _places(env: Mapping[str, str], cwd: Path) -> tuple[Path, ...]:
    places = [cwd / "config.toml"]
    home = env.get("XDG_CONFIG_HOME") or (env["HOME"] + "/.config" if env.get("HOME") else "")
    if home:
        places.append(Path(home) / "watcher" / "config.toml")
    return (*places, Path("/etc/watcher/config.toml"))


def parse_in(data: bytes, options: Options, around: Surroundings) -> Config:
    """``parse`` with everything that stands around the bytes in one value."""
    text = _decode(data, around.file)
    document = _toml(text, around.file)
    report = Report(around.file, text)
    reader = Reader(report, around, _homes(options))
    drafts = Drafts()
    _read_root(document, reader)
    _read_tables(document, drafts, reader)
    _read_arrays(document, drafts, reader)
    _read_channels(document, drafts, reader, options)
    checks.check_all(drafts, report, around)
    checks.duplicate_urls(drafts.sources, report)
    _warn_whole(drafts, reader)
    report.close()
    return _build(drafts, report, around)


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{file}: larger than {MAX_BYTES} bytes; this is no config")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{file}:{line} is not UTF-8 text; save the file as UTF-8") from None


def _toml(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{file}: nested too deeply") from None
    except ValueError as exc:
        message = str(exc)
        found = _PLACE.search(message)
        what = message[: found.start()] if found else message
        lines = text.split("\n")
        number = int(found[1]) if found and found[1] else len(lines)
        where = f"{file}:{number}" if found else file
        if found and found[2]:
            where += f":{found[2]}"
        instead = slips.hint(what, lines[number - 1]) if found else ""
        raise ConfigError(f"{where} this is not TOML: {instead or what}") from None


def _homes(options: Options) -> dict[str, tuple[str, ...]]:
    """For each key, the headers of the tables that know it."""
    structs = [(f"[{name}]", struct) for name, struct in TABLES.items()]
    structs += [(f"[[{name}]]", struct) for name, struct in ARRAYS.items()]
    structs += [("[channel.NAME]", ChannelOptions)]
    structs += [(f"[channel.NAME] of type {name}", struct) for name, struct in options.items()]
    common = {key.name for key in keys_of(ChannelOptions)}
    homes: dict[str, list[str]] = {}
    for header, struct in structs:
        for key in keys_of(struct):
            if key.name in common and header.startswith("[channel.NAME] "):
                continue
            for spelling in key.spellings:
                homes.setdefault(spelling, []).append(header)
    return {name: tuple(headers[:3]) for name, headers in homes.items()}


def _read_root(document: dict[str, Any], reader: Reader) -> None:
    """Names at the top that are no table of ours."""
    known = (*TABLES, *ARRAYS, "channel")
    for name, value in document.items():
        if name in known:
            continue
        guess = nearest(name, known)
        if isinstance(value, dict | list):
            header = {"channel": "[channel.NAME]"}.get(guess or "") or (
                f"[[{guess}]]" if guess in ARRAYS else f"[{guess}]"
            )
            hint = f"did you mean {header}?" if guess else f"known are {', '.join(known)}"
            reader.report.problem(Place((), ""), name, f"unknown table; {hint}")
        else:
            homes = reader.homes.get(name)
            where = f"it belongs to {' or '.join(homes)}" if homes else "a key needs a table"
            reader.report.problem(Place((), ""), name, f"stands above every table; {where}")


def _draft(struct: type[msgspec.Struct], place: Place, reader: Reader) -> Draft:
    draft = Draft(struct, place)
    draft.active = reader.around.needs_secrets
    return draft


def _read_tables(document: dict[str, Any], drafts: Drafts, reader: Reader) -> None:
    for name, struct in TABLES.items():
        draft = _draft(struct, Place((name,), f"[{name}]"), reader)
        if name in SWITCHED:
            draft["enabled"] = name in document
        table = document.get(name, {})
        if isinstance(table, list):
            reader.report.problem(draft.place, "", f"is one table: write [{name}]")
        else:
            if name in SWITCHED and isinstance(table, dict) and table.get("enabled") is False:
                draft.active = False
            reader.read(table, draft)
        drafts.tables[name] = draft


def _read_arrays(document: dict[str, Any], drafts: Drafts, reader: Reader) -> None:
    for noun, into in (("source", drafts.sources), ("rule", drafts.rules)):
        tables = document.get(noun, [])
        if not isinstance(tables, list):
            place = Place((noun,), f"[{noun}]")
            reader.report.problem(place, "", f"is a list of tables: write [[{noun}]]")
            tables = [tables] if isinstance(tables, dict) else []
        for index, table in enumerate(tables):
            name = table.get("name") if isinstance(table, dict) else None
            label = f'[{noun} "{name}"]' if isinstance(name, str) else f"[{noun} #{index + 1}]"
            draft = _draft(ARRAYS[noun], Place((noun, index), label), reader)
            into.append(reader.read(table, draft))
    drafts.source_names = tuple(d["name"] for d in drafts.sources if d["name"] is not None)


def _read_channels(
    document: dict[str, Any], drafts: Drafts, reader: Reader, options: Options
) -> None:
    tables = document.get("channel", {})
    if not isinstance(tables, dict):
        reader.report.problem(Place(("channel",), "[channel]"), "", "write [channel.NAME]")
        return
    drafts.channel_names = tuple(tables)
    for name, table in tables.items():
        place = Place(("channel", name), f"[channel.{name}]")
        try:
            read_name(name)
        except BadValue as exc:
            reader.report.problem(place, "", str(exc))
        if not isinstance(table, dict):
            reader.report.problem(place, "", "is not a table: write [channel.NAME] and its keys")
            continue
        drafts.channel_types[name] = str(table.get("type"))
        struct = _channel_struct(table, place, reader, options)
        if struct is None:
            continue
        draft = _draft(struct, place, reader)
        if table.get("enabled") is False:
            draft.active = False
        drafts.channels[name] = reader.read(table, draft)


def _channel_struct(
    table: dict[str, Any], place: Place, reader: Reader, options: Options
) -> type[ChannelOptions] | None:
    kind = table.get("type")
    if isinstance(kind, str) and kind in options:
        return options[kind]
    known = ", ".join(options)
    if kind is None:
        reader.report.problem(place, "", f"type is missing; one of {known}")
        return None
    guess = nearest(str(kind), options)
    hint = f'did you mean "{guess}"?' if guess else f"known are {known}"
    reader.report.problem(place, "type", f"unknown channel type {shown(kind)}; {hint}")
    return None


def _warn_whole(drafts: Drafts, reader: Reader) -> None:
    report = reader.report
    everywhere = Place((), "")
    if not drafts.sources:
        report.warning(everywhere, "", "there is no [[source]]: nothing is watched")
    if reader.inline and reader.around.open_to_others:
        report.warning(everywhere, "", "it holds secrets and others can read it; chmod 600 it")
    if drafts.sources and not drafts.tables["watcher"]["contact"]:
        report.warning(
            drafts.tables["watcher"].place, "", "contact is missing: the site cannot write to you"
        )


def _build(drafts: Drafts, report: Report, around: Surroundings) -> Config:
    _fill_in(drafts, around)
    return Config(
        **{name: draft.build() for name, draft in drafts.tables.items()},
        sources=tuple(draft.build() for draft in drafts.sources),
        rules=tuple(draft.build() for draft in drafts.rules),
        channels=tuple(draft.build(name=name) for name, draft in drafts.channels.items()),
        warnings=report.warnings,
    )


def _fill_in(drafts: Drafts, around: Surroundings) -> None:
    """Defaults that depend on something else."""
    watcher, fetch = drafts.tables["watcher"], drafts.tables["fetch"]
    if "database" not in watcher.given:
        watcher["database"] = around.database(watcher["database"])
    if fetch["hf_token"] is None:
        fetch["hf_token"] = _hub_token(around)
    for name, folder in (("backup", "backups"), ("archive", "archive")):
        if drafts.tables[name]["folder"] is None:
            drafts.tables[name]["folder"] = watcher["database"].parent / folder
    for source in drafts.sources:
        if source["follow"] is None:
            daily = checks.is_daily(source["url"], source["kind"])
            source["follow"] = FOLLOW if daily else timedelta(0)
    for channel in drafts.channels.values():
        channel["timezone"] = channel["timezone"] or watcher["timezone"]


def _hub_token(around: Surroundings) -> Secret | None:
    """``$HF_TOKEN``, unless it is empty or could not stand in a header."""
    try:
        return Secret(read_line(around.env.get("HF_TOKEN")))
    except BadValue:
        return None
