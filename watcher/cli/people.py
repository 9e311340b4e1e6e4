"""``subscribers``: who subscribed, and bringing them in, out and away."""

from __future__ import annotations

import csv
import re
import secrets
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.markup import escape

from watcher.channels.mime import ascii_address
from watcher.cli.common import (
    age,
    as_json,
    config_options,
    console,
    count,
    print_json,
    read_config,
    records_of,
    table,
    tell_notes,
)
from watcher.config import Config
from watcher.config.values import BadValue, Weekday, read_address
from watcher.errors import ConfigError, UnknownName, WatcherError
from watcher.store import Records
from watcher.wants import (
    MAX_VOTES,
    BadWish,
    Frequency,
    Subscriber,
    SubscriberState,
    Wishes,
    begins_anew,
    checked,
    handle_of,
    next_due,
)

COLUMNS = (
    "address",
    "state",
    "topics",
    "query",
    "min_upvotes",
    "frequency",
    "hour",
    "weekday",
    "timezone",
)
"""Of the CSV file, in this order; only ``address`` must be there. Topics are parted by ``;``; one
in a rule's name is written ``\\;``."""

_TAKES = {
    "min_upvotes": f"a whole number, 0 to {MAX_VOTES:,}",
    "frequency": "instant, daily or weekly",
    "hour": "a whole number, 0 to 23",
    "weekday": "a whole number, 0 (Monday) to 6",
}
"""Of the columns that do not take every text."""


@click.group(invoke_without_command=True)
@as_json
@config_options
def subscribers(json_: bool) -> int:
    """Readers who subscribed by themselves: list, add, import, export, remove.

    \b
    Examples:
      watcher subscribers
      watcher subscribers add ada@example.org --topic alignment --hour 9
      watcher subscribers import readers.csv
      watcher subscribers export > readers.csv
    """
    if click.get_current_context().invoked_subcommand is not None:
        return 0
    return _list(json_)


@click.command("list")
@as_json
@config_options
def list_(json_: bool) -> int:
    """Everybody, with what they want and when they are due.

    \b
    Examples:
      watcher subscribers list
      watcher subscribers list --json | jq length
    """
    return _list(json_)


def _list(json_: bool) -> int:
    config = read_config()
    with records_of(config) as records:
        people = records.people.all()
        refused = {one.address: one.reason for one in records.standing.suppressed()}
    shown = [_as_json(person, refused.get(person.address.lower())) for person in people]
    if json_:
        print_json(shown)
        return 0
    made = table(
        None, ["address", "state", "topics", ("votes", "right"), "when", "next", "last mail"]
    )
    for person in people:
        wishes = person.wishes
        why = refused.get(person.address.lower())
        topics = ", ".join((*wishes.topics, *([f"query: {wishes.query}"] if wishes.query else [])))
        made.add_row(
            escape(person.address),
            f"[red]bounced[/]: {escape(why)}" if why else person.state.value,
            escape(topics),
            count(wishes.min_upvotes or None),
            _when(wishes),
            age(person.due_at) if person.due_at else "–",
            age(person.mailed_at),
        )
    console().print(made)
    if not people:
        console().print(
            "nobody yet; readers subscribe at /subscribe, or `watcher subscribers add`"
            if config.web.subscribe
            else escape("nobody yet; first name the channel for their mail: [web] subscribe")
        )
    return 0


def _when(wishes: Wishes) -> str:
    """``weekly mon 08:00 Europe/Berlin``; an hour and a day only where they count."""
    if wishes.frequency is Frequency.INSTANT:
        return wishes.frequency.value
    day = f" {Weekday(wishes.weekday).name.lower()}" if wishes.frequency is Frequency.WEEKLY else ""
    return f"{wishes.frequency.value}{day} {wishes.hour:02d}:00 {wishes.timezone}"


def _as_json(person: Subscriber, suppressed: str | None) -> dict[str, Any]:
    return {
        "address": person.address,
        "state": person.state,
        "suppressed": suppressed,
        **msgspec.structs.asdict(person.wishes),
        "muted": dict(person.muted),
        "created_at": person.created_at,
        "confirmed_at": person.confirmed_at,
        "left_at": person.left_at,
        "due_at": person.due_at,
        "mailed_at": person.mailed_at,
    }


@click.command()
@click.argument("address")
@click.option("--topic", "topics", multiple=True, help="A rule's name; may be given often.")
@click.option("--query", help="A query of their own.")
@click.option(
    "--min-upvotes",
    type=click.IntRange(0, MAX_VOTES),
    default=0,
    help="Only from so many votes on.",
)
@click.option("--frequency", type=click.Choice([f.value for f in Frequency]), default="daily")
@click.option("--hour", type=click.IntRange(0, 23), default=8, help="Local hour of the mail.")
@click.option("--weekday", type=click.IntRange(0, 6), default=0, help="0 is Monday; if weekly.")
@click.option("--timezone", help="Default: the watcher's.")
@click.option("--again", is_flag=True, help="Also if they had unsubscribed.")
@config_options
def add(address: str, again: bool, **wants: Any) -> int:
    """Subscribe somebody who asked you to; they are not asked to confirm.

    \b
    Examples:
      watcher subscribers add ada@example.org --topic alignment
      watcher subscribers add ada@example.org --query 'title:speech' --frequency weekly --weekday 0
    """
    config = read_config()
    topics = wants["topics"] or (tuple(r.name for r in config.rules) if not wants["query"] else ())
    wishes = Wishes(
        topics=topics,
        query=wants["query"],
        min_upvotes=wants["min_upvotes"],
        frequency=Frequency(wants["frequency"]),
        hour=wants["hour"],
        weekday=wants["weekday"],
        timezone=wants["timezone"] or str(config.watcher.timezone),
    )
    _warn(config)
    _check_topics(config, topics)
    with records_of(config) as records, records.transaction():
        done = _add(records, config, address, wishes, again=again)
    click.echo(f"{address}: {done}")
    tell_notes(wishes.query or "")
    return 0 if done in ("added", "changed") else 1


def _check_topics(config: Config, topics: Iterable[str]) -> None:
    """Raises UnknownName for the first that is no rule, with the nearest."""
    for topic in topics:
        config.rule(topic)


def _add(records: Records, config: Config, address: str, wishes: Wishes, *, again: bool) -> str:
    """What was done: added, changed, or kept away because they had left."""
    try:
        wire = ascii_address(read_address(address))
    except BadValue as exc:
        raise WatcherError(f"{address!r} {exc}") from exc
    if wire is None:
        raise WatcherError(f"{address!r} has letters that mail cannot carry")
    address = wire
    try:
        wishes = checked(wishes, [rule.name for rule in config.rules])
    except BadWish as exc:
        raise WatcherError(f"{address}: {exc}") from exc
    now = datetime.now(UTC)
    known = records.people.by_address(address)
    if known is not None and known.state is SubscriberState.LEFT and not again:
        return "has unsubscribed; --again subscribes them all the same"
    handle = handle_of(secrets.token_bytes(9))
    row = records.people.ask(address, wishes, handle=handle, nonce="", now=now)
    anew = known is None or begins_anew(known, now)
    records.people.activate(row, wishes, now, due_at=next_due(wishes, now), anew=anew)
    return "added" if known is None else "changed"


@click.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@click.option("--again", is_flag=True, help="Also those who had unsubscribed.")
@config_options
def import_(file: TextIO, again: bool) -> int:
    """Subscribe everybody in a CSV file (as `export` writes it; `-` is stdin).

    Only the column `address` must be there. Nobody who unsubscribed comes back by it, and nobody
    comes in who was only asked to confirm (state `asked`). A faulty line is named (a topic that
    is no rule, too) and changes nothing; the others still come in, exit 1.

    \b
    Examples:
      watcher subscribers import readers.csv
      watcher subscribers export | watcher -c other.toml subscribers import -
    """
    config = read_config()
    _warn(config)
    done: dict[str, int] = {}
    faults = 0
    with records_of(config) as records:
        for number, row in _rows(file):
            try:
                with records.transaction():
                    word = _import(records, config, row, again=again)
            except WatcherError as exc:
                click.echo(f"watcher: {file.name}, line {number}: {exc}", err=True)
                faults += 1
            else:
                done[word] = done.get(word, 0) + 1
    click.echo(", ".join(f"{number} {word}" for word, number in done.items()) or "nobody")
    return 1 if faults else 0


def _rows(file: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a CSV file with the number of the line each ends on. Raises WatcherError."""
    rows = csv.DictReader(file)
    try:
        if "address" not in (rows.fieldnames or ()):
            raise WatcherError(
                f"{file.name}: the first line must name the columns, `address` among them"
            )
        for row in rows:
            yield rows.line_num, row
    except csv.Error as exc:
        raise WatcherError(f"{file.name}, line {rows.line_num + 1}: this is no CSV: {exc}") from exc
    except UnicodeDecodeError as exc:
        raise WatcherError(f"{file.name}: not UTF-8 text; save the file as UTF-8") from exc


def _import(records: Records, config: Config, row: dict[str, Any], *, again: bool) -> str:
    address = (row.get("address") or "").strip()
    wishes = _wishes_of(row, config)
    state = _state_of(row)
    if state is SubscriberState.ASKED:
        return "had not confirmed and were left out"
    if state is SubscriberState.LEFT:
        # That they left counts, also where none of what they once wanted is left.
        names = tuple(rule.name for rule in config.rules)
        if wishes.query is None and not set(names).intersection(wishes.topics):
            wishes = msgspec.structs.replace(wishes, topics=names)
        _add(records, config, address, wishes, again=False)
        person = records.people.by_address(address)
        if person is not None:
            records.people.leave(person.id, datetime.now(UTC))
        return "kept as unsubscribed"
    _check_topics(config, wishes.topics)
    done = _add(records, config, address, wishes, again=again)
    return done if done in ("added", "changed") else "had unsubscribed and were left alone"


def _state_of(row: dict[str, Any]) -> SubscriberState:
    """An absent or empty state is that of somebody who wants mail."""
    said = (row.get("state") or "").strip().lower() or SubscriberState.ACTIVE.value
    try:
        return SubscriberState(said)
    except ValueError:
        raise WatcherError(f"state {said!r}: must be active, asked or left") from None


def _wishes_of(row: dict[str, Any], config: Config) -> Wishes:
    """The wishes of a line; absent and empty cells are the defaults."""
    given = {name: (row.get(name) or "").strip() for name in COLUMNS}
    parts = re.split(r"(?<!\\);", given["topics"])
    topics = tuple(t.strip().replace(r"\;", ";") for t in parts if t.strip())
    if not topics and not given["query"]:
        topics = tuple(rule.name for rule in config.rules)
    try:
        return msgspec.convert(
            {
                "topics": topics,
                "query": given["query"] or None,
                "min_upvotes": given["min_upvotes"] or 0,
                "frequency": given["frequency"] or "daily",
                "hour": given["hour"] or 8,
                "weekday": given["weekday"] or 0,
                "timezone": given["timezone"] or str(config.watcher.timezone),
            },
            Wishes,
            strict=False,
        )
    except msgspec.ValidationError as exc:
        column = str(exc).rpartition("$.")[2].rstrip("`")
        raise WatcherError(f"{column} {given[column]!r}: must be {_TAKES[column]}") from exc


@click.command()
@config_options
def export() -> int:
    """Write everybody as CSV to stdout, those who left too.

    \b
    Examples:
      watcher subscribers export > readers.csv
    """
    config = read_config()
    with records_of(config) as records:
        people = records.people.all()
    write = csv.writer(sys.stdout, lineterminator="\n")
    write.writerow(COLUMNS)
    write.writerows(_lines(people))
    return 0


def _lines(people: Iterable[Subscriber]) -> Iterator[list[Any]]:
    for person in people:
        wishes = person.wishes
        yield [
            _cell(person.address),
            person.state.value,
            _cell(";".join(topic.replace(";", r"\;") for topic in wishes.topics)),
            _cell(wishes.query or ""),
            wishes.min_upvotes,
            wishes.frequency.value,
            wishes.hour,
            wishes.weekday,
            str(ZoneInfo(wishes.timezone)),
        ]


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f" {text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


@click.command()
@click.argument("address")
@click.option(
    "--keep", is_flag=True, help="Only stop: keep them, so that no import brings them back."
)
@config_options
def remove(address: str, keep: bool) -> int:
    """Forget an address altogether, its mail too, or (--keep) unsubscribe it.

    \b
    Examples:
      watcher subscribers remove ada@example.org
      watcher subscribers remove ada@example.org --keep
    """
    config = read_config()
    with records_of(config) as records, records.transaction():
        person = records.people.by_address(address)
        if person is None:
            raise UnknownName(f"nobody is subscribed as {address}")
        if keep:
            records.people.leave(person.id, datetime.now(UTC))
        else:
            records.people.remove(person.address)
    click.echo(f"{person.address}: {'unsubscribed' if keep else 'removed'}")
    return 0


def _warn(config: Config) -> None:
    if config.web.subscribe is None:
        raise ConfigError("[web] subscribe names no channel: subscribers would get nothing")


for _command in (list_, add, import_, export, remove):
    subscribers.add_command(_command)

COMMANDS = {"subscribers": subscribers}
