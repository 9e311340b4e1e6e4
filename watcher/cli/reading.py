"""``parse`` and ``import``: pages that lie on disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from watcher import readers
from watcher.cli import FAILED, plain
from watcher.cli.common import (
    as_json,
    config_options,
    console,
    count,
    has_config,
    print_json,
    read_config,
    set_up_log,
)
from watcher.config.values import BadValue, read_source_name
from watcher.errors import ConfigError, ParseError
from watcher.model import CARD_FIELDS, Card, Snapshot

_MAX_FILE = 64 << 20
_FIRST_YEAR = 1991
"""That of arXiv: nothing was saved before."""
_SKIPPED = {".gz", ".zip", ".db", ".py", ".toml", ".png", ".jpg", ".csv", ".sql", ".lock"}


class Moment(click.ParamType[datetime]):
    """An ISO 8601 time; without an offset it is UTC."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Aware UTC, of the years that papers are of."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write it like 2026-11-21T08:00:00Z", param, ctx)
        if not _FIRST_YEAR <= at.year < 2200:
            self.fail(f"{value!r} is no time of a paper: years are 1991 to 2199", param, ctx)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option("--url", help="Where the page is from: it may tell what the page lists.")
@click.option("--at", type=Moment(), help="When it was saved (default: the file's time).")
@as_json
def parse(files: tuple[Path, ...], url: str | None, at: datetime | None, json_: bool) -> int:
    """Print what the readers see in saved pages, JSON answers and text dumps.

    One JSON object per file, with every card; an unreadable file gives its error, and the
    others still come out (exit 1).

    \b
    Examples:
      watcher parse trending.html
      curl … | watcher parse -
      watcher parse search.txt --at 2026-03-25T12:00:00Z | jq '.cards[0]'
    """
    failed = False
    shown = [describe_file(path, url=url, at=at) for path in files]
    for report in shown:
        failed |= "error" in report
    if json_:
        print_json(shown[0] if len(shown) == 1 else shown)
    else:
        for report in shown:
            print_json(report)
    return FAILED if failed else 0


def describe_file(path: Path, *, url: str | None, at: datetime | None) -> dict[str, Any]:
    """The ``parse`` contract for one file."""
    try:
        snapshot = read_file(path, url=url, at=at)
    except (ParseError, OSError) as exc:
        return {"file": str(path), "error": plain(exc)}
    return {
        "file": str(path),
        "kind": snapshot.kind,
        "reader": snapshot.reader,
        "listed_on": snapshot.listed_on,
        "shows": [name for name in CARD_FIELDS if name in snapshot.shows],
        "warnings": snapshot.warnings,
        "cards": [card_json(card) for card in snapshot.cards],
    }


def card_json(card: Card) -> dict[str, Any]:
    """A card as the contract prints it: every field, null where not shown."""
    return {name: getattr(card, name) for name in CARD_FIELDS}


def read_file(
    path: Path, *, url: str | None, at: datetime | None, latest: datetime | None = None
) -> Snapshot:
    """A saved page as a snapshot. Raises ParseError, with ``latest`` also for a time that cannot
    be that of a page (of after it, or of before there were papers); OSError."""
    with sys.stdin.buffer if str(path) == "-" else path.open("rb") as file:
        saved = at or datetime.fromtimestamp(int(os.fstat(file.fileno()).st_mtime), UTC)
        body = file.read(_MAX_FILE + 1)  # a device or a pipe does not tell its size
    if latest is not None and saved > latest:
        raise ParseError("its time lies in the future; say with --at when it was saved")
    if latest is not None and saved.year < _FIRST_YEAR:  # unpacked from an archive without times
        raise ParseError(f"its time is of {saved.year}; say with --at when it was saved")
    if len(body) > _MAX_FILE:
        raise ParseError(f"larger than {_MAX_FILE >> 20} MiB; no page is")
    return readers.parse(body, url=url, at=saved)


@click.command("import")
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, readable=False)
)
@click.option("--at", type=Moment(), help="When they were saved (default: each file's time).")
@click.option("--source", default="import", show_default=True, help="Under which source's name.")
@as_json
@config_options
def import_(paths: tuple[Path, ...], at: datetime | None, source: str, json_: bool) -> int:
    """Remember saved pages and dumps (files and folders), without telling anyone.

    Older sightings are filed in their place. Doing it again changes nothing, so an
    interrupted import is simply started again.

    \b
    Examples:
      watcher import saved-pages/
      watcher import trending.html --at 2026-10-02T08:00Z --source trending
    """
    from watcher.store import open_records

    latest = datetime.now(UTC) + timedelta(days=1)
    if at is not None and at > latest:
        raise click.UsageError("--at lies in the future: no page was saved then")
    source = _name(source)
    set_up_log(default="error")
    config = read_config() if has_config() else None
    if config is None:
        raise ConfigError("import needs a config to know the database: `watcher init` writes one")
    # The oldest first: what a page does not show is taken from those before it.
    files = sorted(set(_files(paths)), key=lambda path: (_saved_at(path), path))
    total = {"files": 0, "cards": 0, "fresh": 0, "moved": 0}
    errors: list[dict[str, str]] = []
    out = console(stderr=True)
    with (
        open_records(Path(config.watcher.database), migrate=True, create=True) as records,
        _progress(out, quiet=json_) as progress,
    ):
        task = progress.add_task("importing", total=len(files))
        for path in files:
            try:
                snapshot = read_file(path, url=None, at=at, latest=latest)
            except (ParseError, OSError) as exc:
                errors.append({"file": str(path), "error": plain(exc).removeprefix(f"{path}: ")})
                progress.advance(task)
                continue
            # One file is one transaction: Ctrl-C leaves whole files only.
            with records.transaction():
                number = records.sources.id_of(source)
                met = records.papers.meet(number, snapshot, live=False)
            total["files"] += 1
            total["cards"] += len(met)
            total["fresh"] += sum(m.fresh for m in met)
            total["moved"] += sum(m.moved for m in met)
            progress.advance(task)
    if json_:
        print_json({**total, "errors": errors})
    else:
        for error in errors[:20]:
            out.print(f"[red]✗[/] {escape(error['file'])}: {escape(error['error'])}")
        if len(errors) > 20:
            out.print(f"… and {len(errors) - 20} more that could not be read")
        out.print(
            f"{count(total['files'])} files, {count(total['cards'])} cards: "
            f"{count(total['fresh'])} papers never seen before, "
            f"{count(total['moved'])} new sightings"
        )
    return FAILED if errors else 0


def _name(source: str) -> str:
    """A source's name as the config takes one."""
    try:
        return read_source_name(source)
    except BadValue as exc:
        raise click.UsageError(f"--source: {exc}") from exc


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    """The files themselves, and all within folders but hidden ones and what is no page."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for found in path.rglob("*"):
            inner = found.relative_to(path)
            hidden = any(part.startswith(".") for part in inner.parts)
            if found.is_file() and not hidden and found.suffix.lower() not in _SKIPPED:
                yield found


def _saved_at(path: Path) -> float:
    """A file's time in Unix seconds; 0 when it cannot be told, which reading it then says."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _progress(out: Any, *, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=out,
        disable=quiet or not out.is_terminal,
        transient=True,
    )


COMMANDS = {"parse": parse, "import": import_}
