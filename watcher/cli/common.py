"""What the verbs share: finding the config, opening the records, printing.

Owns the options ``-c``, ``-v`` and ``--json`` of single verbs, and the forms of numbers and
times for people.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.console import Console
from rich.table import Table

from watcher import telemetry
from watcher.clock import span
from watcher.config import Config, find, load
from watcher.errors import ConfigError
from watcher.store import Records, open_records

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON, complete, on stdout.")


def config_options(command: F) -> F:
    """``-c`` and ``-v`` after the verb too, where people write them."""

    @click.option(
        "-c", "--config", "config_path", type=click.Path(readable=False), help="The config.toml."
    )
    @click.option("-v", "--verbose", count=True, help="Say more; twice for debugging.")
    @click.pass_context
    @functools.wraps(command)
    def wrapped(
        ctx: click.Context, /, *args: Any, config_path: str | None, verbose: int, **kw: Any
    ) -> Any:
        if config_path is not None:
            ctx.obj["config"] = config_path
        ctx.obj["verbose"] += verbose
        return ctx.invoke(command, *args, **kw)

    return wrapped  # type: ignore[return-value]


def explicit_config() -> Path | None:
    """The config named on the command line."""
    named = click.get_current_context().obj["config"]
    return Path(named) if named else None


def config_path() -> Path:
    """The config in use; ConfigError when there is none."""
    return find(explicit_config(), os.environ, Path.cwd())


WIDE = 400
"""Columns of what goes to a file or to another program: lines are not broken there."""
KEY = 28
"""Characters of a message's key."""
CURSOR = click.IntRange(0, 2**63 - 1)
"""A number of a row, as large as SQLite has them."""
limit_option = click.option(
    "--limit",
    type=click.IntRange(1, 2**31 - 1),
    help="So many at most (default: 20, --json all).",
)


def read_config(path: Path | None = None, *, secrets: bool = False) -> Config:
    """The config in use, checked. Raises ConfigError with every problem.

    ``secrets`` is for what sends: without it a secret that cannot be had is no problem. A service
    has secrets that a person at the command line has not.
    """
    path = path or config_path()
    try:
        return _load(path, secrets=secrets)
    except ConfigError as exc:
        if not secrets or "CREDENTIALS_DIRECTORY" in os.environ or _lacks_more(path, exc):
            raise
        hint = "secrets that systemd hands to the service (CREDENTIALS_DIRECTORY) only it can see"
        raise ConfigError(f"{exc}\n{hint}", problems=exc.problems) from exc


def _lacks_more(path: Path, fault: ConfigError) -> bool:
    """Whether a config has other problems than files of secrets that are not there."""
    try:
        config = _load(path, secrets=False)
    except ConfigError:
        return True
    return not set(fault.problems) <= {line for line in config.warnings if "_file: " in line}


def _load(path: Path, *, secrets: bool) -> Config:
    from watcher.channels import OPTIONS
    from watcher.query import compile_query

    return load(path, OPTIONS, os.environ, check_query=compile_query, secrets=secrets)


def has_config() -> bool:
    """Whether there is a config at all."""
    try:
        config_path()
    except ConfigError:
        return explicit_config() is not None or bool(os.environ.get("WATCHER_CONFIG"))
    return True


def records_of(config: Config) -> Records:
    """The records of a config, beside a running daemon. Raises StoreError, StoreRefused."""
    return open_records(Path(config.watcher.database))


def set_up_log(*, default: str = "info") -> None:
    """The log on stderr, as talkative as ``-v`` asks."""
    verbose = click.get_current_context().obj["verbose"]
    level = "debug" if verbose > 1 else "info" if verbose else default
    telemetry.configure(level=level)


def console(*, stderr: bool = False) -> Console:
    """Where tables and colours go; plain when it is no terminal."""
    from watcher.channels.console import Terminal

    to_file = not (sys.stderr if stderr else sys.stdout).isatty()
    return Terminal(
        stderr=stderr, highlight=False, soft_wrap=to_file, width=WIDE if to_file else None
    )


def print_json(value: Any) -> None:
    """One JSON value, one line."""
    try:
        line = msgspec.json.encode(value, enc_hook=_encode).decode()
    except UnicodeEncodeError:  # the name of a file that is no text: JSON can write it as \udc…
        line = json.dumps(msgspec.to_builtins(value, enc_hook=_encode, str_keys=True))
    sys.stdout.write(line + "\n")


def print_json_lines(values: Iterable[Any]) -> None:
    """One JSON object a line."""
    for value in values:
        print_json(value)


def _encode(value: Any) -> Any:
    if isinstance(value, (Path, ZoneInfo)):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise NotImplementedError(f"cannot print {type(value).__name__}")


def table(title: str | None, columns: Sequence[str | tuple[str, str]]) -> Table:
    """A quiet table; ``(name, "right")`` aligns a column of numbers."""
    made = Table(title=title, box=None, header_style="bold", pad_edge=False, title_justify="left")
    for column in columns:
        name, justify = (column, "left") if isinstance(column, str) else column
        # A key is there to be copied: it stays on one line.
        whole = {"no_wrap": True, "min_width": KEY} if name == "key" else {}
        made.add_column(name, justify=justify, overflow="fold", **whole)  # type: ignore[arg-type]
    return made


def age(at: datetime | None, now: datetime | None = None) -> str:
    """``5 min ago``, ``in 2 h``, ``never``."""
    if at is None:
        return "never"
    passed = (now or datetime.now(UTC)) - at
    if abs(passed) < timedelta(seconds=1):
        return "now"
    return f"{span(passed)} ago" if passed > timedelta(0) else f"in {span(passed)}"


def count(value: int | None) -> str:
    """``1,234``; unknown is a dash, not a zero."""
    return "–" if value is None else f"{value:,}"


def tell_notes(query: str) -> None:
    """Say what a query, which can be read, may not mean as it was meant."""
    from watcher.query import compile_query

    for note in compile_query(query).notes:
        click.echo(f"! {note}", err=True)


def tell_cut(out: Console, shown: int, total: int, *, or_more: bool = False) -> None:
    """Say that a list shows only a part; ``or_more`` where it was not counted to its end."""
    if total > shown:
        more = " or more" if or_more else ""
        out.print(f"… {count(shown)} of {count(total)}{more}; --limit shows more")
