"""What ``stats`` says of the last day: the accounting lines and the politeness ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape

from watcher import accounting
from watcher.cli.common import count, table
from watcher.config import Config
from watcher.model import Value
from watcher.store import Records
from watcher.store.care import Ledger

SPAN = timedelta(hours=24)


class Account(Value, frozen=True, kw_only=True):
    """The last day."""

    since: datetime
    lines: tuple[str, ...]
    politeness: tuple[Ledger, ...]


def account_of(records: Records, config: Config) -> Account:
    """The account of the last 24 hours."""
    now = datetime.now(UTC)
    since = now - SPAN
    return Account(
        since=since,
        lines=accounting.lines(records, config, since, now),
        politeness=records.care.ledger(since),
    )


def account_json(account: Account) -> dict[str, Any]:
    """For scripts."""
    return {
        "since": account.since,
        "lines": account.lines,
        "politeness": [
            {**msgspec.structs.asdict(host), "requests_an_hour": _an_hour(host)}
            for host in account.politeness
        ],
    }


def print_account(account: Account, out: Console) -> None:
    """For people."""
    out.print("\n[bold]the last 24 hours[/]")
    for line in account.lines:
        out.print(escape(line))
    if not account.politeness:
        return
    made = table(
        None,
        [
            "host",
            ("requests/h", "right"),
            ("pages", "right"),
            ("unchanged", "right"),
            ("refused", "right"),
            ("read", "right"),
            ("saved by 304", "right"),
            ("of the site's window", "right"),
        ],
    )
    for host in account.politeness:
        made.add_row(
            escape(host.host),
            f"{_an_hour(host):.1f}",
            count(host.pages),
            count(host.not_modified),
            count(host.too_many),
            size(host.bytes_read),
            size(host.bytes_saved),
            f"{host.share:.0%}",
        )
    out.print("")
    out.print(made)


def _an_hour(host: Ledger) -> float:
    return round(host.requests / max(host.hours, 1), 1)


def size(amount: int) -> str:
    """``1.2 MB``: bytes for people, decimal units."""
    value = float(amount)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
