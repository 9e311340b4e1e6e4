"""``backup``, ``restore``, ``prune``, ``migrate``, ``archive``, ``replay``, ``healthcheck``."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.markup import escape

from watcher.cli import FAILED, plain
from watcher.cli.accounts import size
from watcher.cli.common import (
    age,
    as_json,
    config_options,
    config_path,
    console,
    count,
    limit_option,
    print_json,
    read_config,
    records_of,
    set_up_log,
    table,
    tell_cut,
)
from watcher.cli.reading import Moment
from watcher.config import Config
from watcher.errors import ConfigError, StoreError, UnknownName, WatcherError
from watcher.model import ReaderName
from watcher.owner import make_file, own_like


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@as_json
@config_options
def backup(file: Path | None, json_: bool) -> int:
    """Write a complete copy of the database, also beside a running daemon.

    Without FILE it goes to the nightly backups. Alerts do not wait for it; the copy is written
    under another name first, so a half one never bears the name.

    \b
    Examples:
      watcher backup
      watcher backup /mnt/usb/watcher.db
    """
    from watcher.care import back_up

    config = read_config()
    if file is not None and file.exists():
        raise WatcherError(f"{file} is there already; choose another name")
    path, amount = back_up(config, datetime.now(UTC), to=file)
    if json_:
        print_json({"path": path, "bytes": amount})
    else:
        console().print(f"wrote {escape(str(path))} ({size(amount)})")
    return 0


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_options
def restore(file: Path) -> int:
    """Put a backup in the database's place; the daemon must not run.

    The backup is checked first, and the present database is kept beside it. What was told after
    the backup was made may be told once more, under the same ids.

    \b
    Examples:
      watcher restore backups/watcher-20261001T030000Z.db
    """
    from watcher.store import Lock
    from watcher.store.care import (
        bring_up_to_date,
        leave_out_cursors,
        settle,
        verify_backup,
    )

    config = read_config()
    database = Path(config.watcher.database)
    if database.exists() and file.samefile(database):
        raise WatcherError(f"{file} is the database itself; name a backup of it")
    lock = Lock(database)
    lock.acquire()
    try:
        papers = verify_backup(file)
        fresh = _copy_beside(file, database)
        aside = None
        if database.exists():
            own_like(fresh, database)
            settle(database)
            aside = _put_aside(database)
        fresh.rename(database)
        try:
            steps = bring_up_to_date(database)
            leave_out_cursors(database, datetime.now(UTC))
        except WatcherError:
            _put_back(aside, database)
            raise
        # What was refused is gone; the next refusal is told anew.
        database.with_name(database.name + ".refused").unlink(missing_ok=True)
    finally:
        lock.release()
    out = console()
    out.print(f"restored {escape(str(database))} from {escape(str(file))}: {count(papers)} papers")
    if steps:
        out.print(f"and brought it to this version ({', '.join(steps)})")
    if aside is not None:
        out.print(f"the database that was there is now {escape(str(aside))}")
    else:
        out.print(
            f"there was none at {escape(str(database))}; is STATE_DIRECTORY set as the service's?"
        )
    return 0


def _put_aside(database: Path) -> Path:
    """Rename a database, with what belongs to it, to a name that nothing takes for a backup."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = database.with_name(f"{database.name}.replaced-{stamp}")
    for suffix in ("-wal", "-shm", ""):
        part = database.with_name(database.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _put_back(aside: Path | None, database: Path) -> None:
    """What was put in the database's place is of no use: all is as it was before."""
    for suffix in ("-wal", "-shm", ""):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
        if aside is not None:
            part = aside.with_name(aside.name + suffix)
            if part.exists():
                part.rename(database.with_name(database.name + suffix))


def _copy_beside(file: Path, database: Path) -> Path:
    """A synced copy beside a database: to be renamed, so that there is never half of one."""
    import shutil

    part = database.with_name(f".{database.name}.{os.getpid()}.part")
    try:
        with os.fdopen(make_file(part), "wb") as to:
            with file.open("rb") as source:
                shutil.copyfileobj(source, to, 1 << 20)
            to.flush()
            os.fsync(to.fileno())
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise StoreError(f"{database} could not be written: {exc.strerror or exc}") from exc
    return part


@click.command()
@as_json
@config_options
def prune(json_: bool) -> int:
    """Remove records and pages older than [keep] and [archive] say. The daemon does it nightly.

    Papers, events and what was told are always kept: old news would be told again.

    \b
    Examples:
      watcher prune
      watcher prune --json
    """
    from watcher.care import keeper_of, prune_records, spans_of

    config = read_config()
    now = datetime.now(UTC)
    with records_of(config) as records:
        gone = prune_records(records, spans_of(config), now)
    keeper = keeper_of(config)
    pages = freed = 0
    for archive in (keeper.pages, keeper.odd):
        if archive is not None:
            removed, amount = archive.prune(now)
            pages, freed = pages + removed, freed + amount
    if json_:
        print_json({**msgspec.structs.asdict(gone), "pages": pages, "bytes": freed})
        return 0
    for name in gone.__struct_fields__:
        console().print(f"{count(getattr(gone, name)):>10} {name}")
    console().print(f"{count(pages):>10} pages ({size(freed)})")
    return 0


@click.command()
@as_json
@config_options
def migrate(json_: bool) -> int:
    """Bring the database to this version, with a backup first. The daemon does it at its start.

    \b
    Examples:
      watcher migrate
    """
    from watcher.store import Lock
    from watcher.store.care import bring_up_to_date

    config = read_config()
    database = Path(config.watcher.database)
    lock = Lock(database)
    lock.acquire()
    try:
        steps = bring_up_to_date(database)
    finally:
        lock.release()
    if json_:
        print_json({"database": database, "steps": steps})
    elif steps:
        console().print(f"{escape(str(database))} is up to date now: {', '.join(steps)}")
    else:
        console().print(f"{escape(str(database))} is up to date")
    return 0


# --- pages -----------------------------------------------------------------------------------


@click.group()
def archive() -> None:
    """Kept pages: list them, show one, capture one as a test case.

    Judged pages are kept while [archive] is in the config; pages that could not be read or were
    not believed always are, for [keep] quarantine.

    \b
    Examples:
      watcher archive list --odd
      watcher archive show 3fa9c1 > page.html
    """


@archive.command("list")
@click.option("--odd", is_flag=True, help="Only pages that were not judged.")
@click.option("--source", help="Only of this source.")
@limit_option
@as_json
@config_options
def list_pages(odd: bool, source: str | None, limit: int | None, json_: bool) -> int:
    """Kept pages, the newest first.

    \b
    Examples:
      watcher archive list
      watcher archive list --odd --source trending
    """
    config = read_config()
    found = _pages(config, odd=odd, source=source)
    if source is not None and not found:
        config.source(source)  # nothing of a source that is not there is a slip
    if limit is None and not json_:
        limit = 20
    shown = found[:limit]
    if json_:
        print_json(shown)
        return 0
    made = table(None, ["page", "source", "fetched", ("size", "right"), "why it was kept"])
    for page in shown:
        made.add_row(
            page["page"][:12],
            escape(page["source"]),
            age(page["fetched_at"]),
            size(page["bytes"]),
            escape(page["why"] or "judged"),
        )
    out = console()
    out.print(made)
    if not found:
        out.print("no page is kept")
    tell_cut(out, len(shown), len(found))
    return 0


def _pages(config: Config, *, odd: bool, source: str | None) -> list[dict[str, Any]]:
    from watcher.care import keeper_of

    keeper = keeper_of(config)
    found = [
        {
            "page": kept.name,
            "source": kept.label.source,
            "url": kept.label.url,
            "fetched_at": kept.label.fetched_at,
            "bytes": kept.size,
            "why": kept.label.why or None,
        }
        for folder in ((None if odd else keeper.pages), keeper.odd)
        if folder is not None
        for kept in folder.pages()
        if source is None or kept.label.source.partition("@")[0] == source
    ]
    return sorted(found, key=lambda page: page["fetched_at"], reverse=True)


def _read_kept(config: Config, name: str) -> tuple[bytes, Any]:
    """A kept page by the begin of its hash, from wherever it lies."""
    from watcher.care import keeper_of

    keeper = keeper_of(config)
    fault: UnknownName | None = None
    for folder in (keeper.odd, keeper.pages):
        if folder is not None:
            try:
                return folder.read(name)
            except UnknownName as exc:
                fault = exc
    raise fault or UnknownName(f"no page begins with {name!r}")


@archive.command()
@click.argument("page")
@click.option("--info", is_flag=True, help="What is known of it, instead of the page.")
@config_options
def show(page: str, info: bool) -> int:
    """Print a kept page, by the begin of its hash.

    \b
    Examples:
      watcher archive show 3fa9c1 > page.html
      watcher archive show 3fa9c1 --info
    """
    body, label = _read_kept(read_config(), page)
    if info:
        print_json(label)
    else:
        sys.stdout.buffer.write(body)
    return 0


@archive.command()
@click.argument("url")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("captures"),
    show_default=True,
    help="The folder in which the test case is made.",
)
@config_options
def capture(url: str, to: Path) -> int:
    """Make a page a test case: its bytes, where it is from, and what the readers say of it.

    URL is an address, fetched once with the manners of [fetch], or the begin of the hash of a
    kept page. The folder it makes can be put into tests/captures of the project.

    \b
    Examples:
      watcher archive capture https://huggingface.co/papers/trending
      watcher archive capture 3fa9c1
    """
    from watcher.cli.captures import fetch, write_case

    set_up_log(default="error")
    config = read_config(secrets="://" in url)
    if "://" in url:
        body, label = fetch(config, url)
    else:
        body, label = _read_kept(config, url)
    folder, said = write_case(to, body, label)
    out = console()
    out.print(f"wrote {escape(str(folder))}")
    out.print(escape(said))
    return 0


@click.command()
@click.option("--from", "since", type=Moment(), required=True, help="The first page.")
@click.option("--to", "until", type=Moment(), help="Behind the last page (default: now).")
@click.option("--source", help="Only of this source.")
@click.option(
    "--reader",
    type=click.Choice([name.value for name in ReaderName]),
    help="Read every page with this reader (default: as its content asks).",
)
@as_json
@config_options
def replay(
    since: datetime, until: datetime | None, source: str | None, reader: str | None, json_: bool
) -> int:
    """Read kept pages once more, with today's readers: after a reader was mended.

    Counts, words and order are corrected in their place. Nothing is judged and nothing told;
    what was told stays told. The daemon must not run.

    \b
    Examples:
      watcher replay --from 2026-10-01
      watcher replay --from 2026-10-01T06:00Z --to 2026-10-02 --source trending --reader cards
    """
    from watcher.cli.captures import replay_pages

    set_up_log(default="error")
    config = read_config()
    if source is not None:
        config.source(source)
    done = replay_pages(
        config,
        since=since,
        until=until or datetime.now(UTC) + timedelta(seconds=1),
        source=source,
        reader=ReaderName(reader) if reader else None,
    )
    if json_:
        print_json(done)
        return FAILED if done.errors else 0
    out = console()
    for error in done.errors[:20]:
        out.print(f"[red]✗[/] {escape(error)}")
    out.print(
        f"{count(done.pages)} pages read once more, {count(done.cards)} cards; "
        f"{count(done.fresh)} papers not known before, {count(done.missing)} pages no longer kept, "
        f"{count(done.doubted)} put aside as doubtful"
    )
    return FAILED if done.errors else 0


@click.command()
@as_json
@config_options
def healthcheck(json_: bool) -> int:
    """Exit 0 when the daemon is well, 1 when not: for containers and scripts.

    Looks whether a daemon has the database, and at the sign of life that it writes there. A
    site that does not answer does not make it ill: a restart would not help.

    \b
    Examples:
      watcher healthcheck
      watcher healthcheck --json | jq -r .status
    """
    from watcher.care import PULSE_OLD
    from watcher.health import Report
    from watcher.store import Lock, open_records

    try:
        database = _database_in_use()
        with open_records(database) as records:
            at, note = records.care.done_at("pulse"), records.care.note("pulse")
    except WatcherError as exc:
        return _say_health({"well": False, "status": "failing", "problems": [plain(exc)]}, json_)
    runs = Lock(database).is_held()
    report = msgspec.json.decode(note, type=Report) if note else None
    now = datetime.now(UTC)
    if not runs or at is None or report is None or not timedelta(-1) < now - at < PULSE_OLD:
        what = "cannot write" if runs else "does not run"
        heard = (
            "it has given no sign of life yet"
            if at is None
            else f"its last sign of life was {age(at)}"
        )
        line = f"the daemon {what}: {heard}"
        return _say_health({"well": False, "status": "silent", "problems": [line]}, json_)
    shown = {"well": report.well, "status": report.status.value, "problems": report.problems}
    return _say_health(shown, json_)


def _database_in_use() -> Path:
    """The config's. A daemon that runs goes on with the config it has read: a slip made since does
    not make it ill. Raises ConfigError when it cannot be told."""
    from watcher.config import database_of
    from watcher.store import Lock

    try:
        return Path(read_config().watcher.database)
    except ConfigError:
        found = database_of(config_path(), os.environ)
        if found is None or not Lock(found).is_held():
            raise
        return found


def _say_health(shown: dict[str, Any], json_: bool) -> int:
    if json_:
        print_json(shown)
    else:
        click.echo("; ".join((str(shown["status"]), *shown["problems"])))
    return 0 if shown["well"] else FAILED


COMMANDS: dict[str, click.Command] = {
    "backup": backup,
    "restore": restore,
    "prune": prune,
    "migrate": migrate,
    "archive": archive,
    "replay": replay,
    "healthcheck": healthcheck,
}
