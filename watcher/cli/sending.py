"""``channels``, ``test-channel``, ``deliveries``, ``resend``, ``digest``, ``webhook-listen``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from watcher import owed
from watcher.accounting import footer_of
from watcher.channels import open_channel
from watcher.channels.receiver import Received, listen
from watcher.channels.webhook import SIGNING_KEY
from watcher.cli import FAILED, TEMPORARY
from watcher.cli.common import (
    age,
    as_json,
    config_options,
    console,
    count,
    limit_option,
    print_json,
    read_config,
    records_of,
    table,
    tell_cut,
)
from watcher.cli.reading import Moment
from watcher.config import ChannelOptions, Config
from watcher.config.values import BadValue
from watcher.errors import ConfigError, SendError, UnknownName, WatcherError
from watcher.identity import digest_of
from watcher.model import Letter, Message, MessageState
from watcher.plain import render_text
from watcher.render import render
from watcher.store import Records
from watcher.store.ledger import Line
from watcher.store.standing import ChannelState
from watcher.view import view_of

NARROW = 80
"""Columns that a table of messages needs."""


class Duration(click.ParamType[timedelta]):
    """``2w``, ``3d``, ``12h``, ``30m``."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        """A span of time, of a minute to a year."""
        units = {"w": 10_080, "d": 1_440, "h": 60, "m": 1}
        text = str(value).strip().lower()
        if not (text[:-1].isdecimal() and text[-1:] in units):
            self.fail(f"{value!r} is no duration; write it like 2w, 3d, 12h or 30m", param, ctx)
        minutes = int(text[:-1][:10]) * units[text[-1]]
        if not 1 <= minutes <= 366 * 1_440:
            self.fail(f"{value!r} is no span of a minute to a year", param, ctx)
        return timedelta(minutes=minutes)


@click.group(invoke_without_command=True)
@as_json
@config_options
def channels(json_: bool) -> int:
    """The channels and how each stands; enable, disable or mute one.

    \b
    Examples:
      watcher channels
      watcher channels mute slack --for 3d
      watcher channels enable slack
    """
    if click.get_current_context().invoked_subcommand is not None:
        return 0
    return _list_channels(json_)


def _list_channels(json_: bool) -> int:
    config = read_config()
    now = datetime.now(UTC)
    with records_of(config) as records:
        states = {state.name: state for state in records.standing.all()}
        waiting = {part.channel: part for part in records.outbox.waiting()}
        refused = records.standing.suppressed()
    configured = {channel.name: channel for channel in config.channels}
    shown = [
        _channel_row(name, configured.get(name), states.get(name), now)
        | {
            "waiting": waiting[name].messages if name in waiting else 0,
            "suppressed": [s.address for s in refused if s.channel == name],
        }
        for name in [*configured, *(n for n in states if n not in configured)]
    ]
    if json_:
        print_json(shown)
        return 0
    made = table(None, ["channel", "type", "tells", "state", ("waiting", "right"), "last sent"])
    for row in shown:
        colour = {"ok": "green", "not used yet": "dim"}.get(
            row["state"].split(" since")[0], "yellow"
        )
        made.add_row(
            escape(row["name"]),
            row["type"] or "–",
            row["tells"],
            f"[{colour}]{escape(row['state'])}[/]",
            count(row["waiting"]),
            age(row["last_sent"], now),
        )
    out = console()
    out.print(made)
    for row in shown:
        for address in row["suppressed"]:
            out.print(f"[yellow]{escape(row['name'])}: no mail to {escape(address)}, it bounced[/]")
    return 0


def _channel_row(
    name: str, options: ChannelOptions | None, state: ChannelState | None, now: datetime
) -> dict[str, Any]:
    return {
        "name": name,
        "type": options.type if options else None,
        "tells": "–"
        if options is None
        else f"daily at {options.digest:%H:%M}"
        if options.digest
        else "at once",
        "state": _standing(options, state, now),
        "last_sent": state.last_sent_at if state else None,
        "last_error": state.last_error if state else None,
        "failing_since": state.failing_since if state else None,
        "disabled_at": state.disabled_at if state else None,
        "muted_until": state.muted_until if state else None,
    }


def _standing(options: ChannelOptions | None, state: ChannelState | None, now: datetime) -> str:
    if options is None:
        return "orphaned: it left the config"
    if not options.enabled:
        return "switched off in the config"
    if state is None:
        return "not used yet"
    if state.disabled:
        return f"disabled: {state.disabled_why or 'by hand'}"
    if state.muted_until is not None and state.muted(now):
        return f"muted until {state.muted_until:%Y-%m-%d %H:%M} UTC"
    if state.failing_since is not None:
        return f"failing since {age(state.failing_since, now)}: {state.last_error}"
    return "ok" if state.last_sent_at else "not used yet"


@channels.command("enable")
@click.argument("name")
@config_options
def enable(name: str) -> int:
    """Switch a channel on again, or end its mute; what waited is sent, oldest first.

    \b
    Examples:
      watcher channels enable slack
    """
    if any(c.name == name and not c.enabled for c in read_config().channels):
        raise WatcherError(f"[channel.{name}] has enabled = false in the config; set it to true")

    def switch(records: Records, now: datetime) -> None:
        records.standing.enable(name, now)
        records.standing.mute(name, None)

    _change(name, switch)
    click.echo(f"{name} is enabled; a running daemon sends what waited")
    return 0


@channels.command("disable")
@click.argument("name")
@config_options
def disable(name: str) -> int:
    """Switch a channel off: nothing is sent, what is owed waits.

    \b
    Examples:
      watcher channels disable slack
    """
    _change(name, lambda r, now: r.standing.disable(name, now, why="by hand", by_hand=True))
    click.echo(f"{name} is disabled; what is owed waits for `watcher channels enable {name}`")
    return 0


@channels.command("mute")
@click.argument("name")
@click.option("--for", "span", type=Duration(), default="1d", show_default=True)
@config_options
def mute(name: str, span: timedelta) -> int:
    """Drop what becomes due on a channel for a while; notices still come through.

    \b
    Examples:
      watcher channels mute slack --for 3d
    """
    until = datetime.now(UTC) + span
    _change(name, lambda r, _: r.standing.mute(name, until))
    click.echo(f"{name} is muted until {until:%Y-%m-%d %H:%M} UTC")
    return 0


def _change(name: str, work: Any) -> None:
    config = read_config()
    now = datetime.now(UTC)
    with records_of(config) as records, records.transaction():
        if records.standing.get(name) is None:
            config.channel(name)
            records.standing.meet([name], now)
        work(records, now)


@click.command("test-channel")
@click.argument("name")
@config_options
def test_channel(name: str) -> int:
    """Send a test message through a channel, now, and say what came of it.

    \b
    Examples:
      watcher test-channel me
    """
    config = read_config(secrets=True)
    options = config.channel(name)
    now = datetime.now(UTC)
    letter = Letter(
        subject="A test from your paper watcher",
        lines=(
            f"This came through the channel {name!r}, so it works.",
            "Nothing else is to be done.",
        ),
    )
    failed, refused = 0, _refused(config, name)
    recipients = owed.recipients_of(options)
    if not recipients:
        raise WatcherError(
            f"{name} has nobody in `to`, only readers who subscribe: put an address there to try it"
        )
    for recipient in recipients:
        message = Message(
            key="msg_" + digest_of("test", name, recipient, now.isoformat(), length=24),
            channel=name,
            batch=f"t:{now:%Y-%m-%dT%H:%M:%S}",
            recipient=recipient,
            letter=letter,
            timezone=options.zone.key,
        )
        to = f" to {recipient}" if recipient else ""
        try:
            asyncio.run(_send(name, options, message))
        except SendError as exc:
            failed = FAILED if exc.permanent else TEMPORARY
            click.echo(f"✗ {name}{to}: {exc}", err=True)
        else:
            click.echo(f"✓ {name}{to}: the test message was accepted")
            if (reason := refused.get(recipient.lower())) is not None:
                click.echo(
                    f"! {name}{to}: nothing else is sent to it since it bounced ({reason}); "
                    "`watcher resend KEY` of one of its messages lifts that",
                    err=True,
                )
    return failed


def _refused(config: Config, channel: str) -> dict[str, str]:
    """The addresses of a channel that are not written to, each with the reason."""
    try:
        with records_of(config) as records:
            return {one.address: one.reason for one in records.standing.suppressed(channel)}
    except WatcherError:  # there is no store yet: a channel can be tried before
        return {}


async def _send(name: str, options: ChannelOptions, message: Message) -> None:
    channel = open_channel(name, options)
    try:
        await channel.send(message)
    finally:
        await channel.close()


@click.command()
@click.option("--channel", help="Only this channel's.")
@click.option("--state", type=click.Choice([state.value for state in MessageState]))
@limit_option
@as_json
@config_options
def deliveries(channel: str | None, state: str | None, limit: int | None, json_: bool) -> int:
    """Messages: what waits, what was sent, what was given up and why.

    \b
    Examples:
      watcher deliveries
      watcher deliveries --state dead
      watcher deliveries --channel me --limit 100 --json
    """
    config = read_config()
    most = limit if limit is not None or json_ else 20
    with records_of(config) as records:
        lines = records.outbox.lines(
            channel=channel, state=MessageState(state) if state else None, limit=most
        )
        counts = records.outbox.counts(channel)
    if channel is not None and not lines:
        config.channel(channel)  # nothing of a channel that is not there is a slip
    if json_:
        print_json(
            [
                {
                    "key": line.key,
                    "channel": line.channel,
                    "recipient": line.recipient,
                    "due_at": line.due_at,
                    "promised_at": line.promised_at,
                    "attempts": line.attempts,
                    "state": line.state,
                    "error": line.error,
                    "events": line.events,
                }
                for line in lines
            ]
        )
        return 0
    out = console()
    _print_lines(out, lines)
    tell_cut(out, len(lines), counts[state] if state else sum(counts.values()))
    return 0


def _print_lines(out: Console, lines: Sequence[Line]) -> None:
    """A table of messages; on a narrow terminal a few lines for each."""
    rows = [
        (
            line.key,
            escape(line.channel),
            escape(line.recipient),
            f"{line.promised_at:%Y-%m-%d %H:%M}",
            _state(line),
            str(line.attempts),
            escape(line.error or ""),
        )
        for line in lines
    ]
    if out.width < NARROW:
        for key, channel, to, promised, state, tries, error in rows:
            out.print(f"[bold]{key}[/]")
            for said in (f"{channel} {to}", f"{promised} UTC: {state}, tries: {tries}", error):
                if said.strip():
                    out.print(f"  {said.strip()}")
        return
    made = table(
        None,
        ["key", "channel", "to", "promised (UTC)", "state", ("tries", "right"), "error"],
    )
    for row in rows:
        made.add_row(*row)
    out.print(made)


def _state(line: Line) -> str:
    if line.state is not MessageState.WAITING:
        return line.state.value
    late = line.due_at <= datetime.now(UTC)
    return "waiting, due" if late else f"waiting, next {age(line.due_at)}"


@click.command()
@click.argument("keys", nargs=-1)
@click.option("--dead", is_flag=True, help="Every message that was given up.")
@config_options
def resend(keys: tuple[str, ...], dead: bool) -> int:
    """Send messages once more, whatever became of them: same key, same words.

    \b
    Examples:
      watcher resend --dead
      watcher deliveries --state dead --json | jq -r '.[].key' | xargs watcher resend
    """
    config = read_config()
    now = datetime.now(UTC)
    with records_of(config) as records, records.transaction():
        wanted = list(keys)
        if dead:
            wanted += [line.key for line in records.outbox.lines(state=MessageState.DEAD)]
        for key in wanted:
            if not records.outbox.resend(key, now):
                raise UnknownName(f"no message {key!r}; `watcher deliveries` lists them")
    if not keys and not dead:
        raise click.UsageError("name a message's key, or --dead")
    click.echo(f"{len(wanted)} due again; a running daemon or `watcher once` sends them")
    return 0


@click.group()
def digest() -> None:
    """Show the digest a channel would get now.

    \b
    Examples:
      watcher digest preview me
    """


@digest.command("preview")
@click.argument("name")
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write the mail here.")
@click.option("--at", type=Moment(), help="As if it left then (default: now).")
@as_json
@config_options
def preview(name: str, html_file: Path | None, at: datetime | None, json_: bool) -> int:
    """Show what a channel's next digest would say, as text or as the mail's HTML.

    \b
    Examples:
      watcher digest preview me
      watcher digest preview me --html digest.html --at 2026-10-05T08:00Z
    """
    config = read_config()
    options = config.channel(name)
    with records_of(config) as records:
        found = owed.preview(
            records,
            owed.plan_of(config),
            name,
            at or datetime.now(UTC),
            footer_of(lambda: config),
        )
    if json_:
        print_json(found)
        return 0
    message = Message(
        key="msg_preview", channel=name, batch="preview", digest=found, timezone=options.zone.key
    )
    view = view_of(message)
    if html_file is not None:
        html_file.write_text(render(view, _template_of(config, name)).html, "utf-8")
        click.echo(f"wrote {html_file}: {found.title}")
        return 0
    click.echo(f"{found.title}\n")
    click.echo(render_text(view))
    return 0


def _template_of(config: Config, name: str) -> Path | None:
    """The template of a channel's mails. Raises ConfigError when it is not there."""
    template = config.channel(name).template
    if template is not None and not template.is_file():
        raise ConfigError(f"[channel.{name}] template: there is no file {template}")
    return template


@click.command("webhook-listen")
@click.option("--port", default=8485, show_default=True, type=click.IntRange(0, 65535))
@click.option("--secret", envvar="HOOK_SECRET", help="whsec_… (default: $HOOK_SECRET).")
@as_json
def webhook_listen(port: int, secret: str | None, json_: bool) -> int:
    """A receiver on this machine that verifies and shows webhooks, for writing consumers.

    Point a channel's url at it, with allow_private = true, and the same secret.

    \b
    Examples:
      HOOK_SECRET=whsec_… watcher webhook-listen
      watcher webhook-listen --port 9000 --json | jq .type
    """
    if not secret:
        raise click.UsageError("name the secret with --secret or $HOOK_SECRET: whsec_ and base64")
    try:
        key = SIGNING_KEY.read(secret)
    except BadValue as exc:
        raise click.UsageError(f"--secret (or $HOOK_SECRET) {exc}") from exc

    def ready(chosen: int) -> None:
        click.echo(f"listening on http://127.0.0.1:{chosen}/ (Ctrl-C ends)", err=True)

    def show(post: Received) -> None:
        if json_:
            print_json(post.body if not post.problem else {"id": post.id, "error": post.problem})
            sys.stdout.flush()  # whoever reads the pipe waits for this one, not for more of them
            return
        if post.problem:
            click.echo(f"✗ {post.id or 'a post'}: {post.problem}")
            return
        again = " (a repeat)" if post.repeat else ""
        click.echo(f"✓ {post.id} {post.body.get('type')}{again}")
        for event in post.body.get("data", {}).get("events", []):
            paper = event.get("paper") or {}
            click.echo(f"    {event.get('type')}: {paper.get('title') or event.get('reason')}")

    try:
        asyncio.run(listen(port, key, show, on_ready=ready))
    except KeyboardInterrupt:
        return 0
    except OSError as exc:
        raise WatcherError(f"cannot listen on port {port}: {exc.strerror or exc}") from exc
    return 0


COMMANDS = {
    "channels": channels,
    "test-channel": test_channel,
    "deliveries": deliveries,
    "resend": resend,
    "digest": digest,
    "webhook-listen": webhook_listen,
}
