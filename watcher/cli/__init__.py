"""The command line: ``watcher VERB``.

Owns the list of verbs, exit codes and how errors are printed. The verbs stand in the modules
beside this one and are loaded when they are called, so that ``--help`` and completion are
quick. Exit codes: 0 fine · 1 failed, unknown name · 2 usage · 75 temporary failure · 78 bad
configuration, refused store.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from watcher import __version__
from watcher.errors import ConfigError, StoreError, StoreRefused, WatcherError

FAILED, TEMPORARY, BAD_CONFIG = 1, 75, 78

VERBS: dict[str, tuple[str, str]] = {
    "init": ("starting", "write a commented config.toml to begin with"),
    "check-config": ("starting", "name every mistake in the config, and show what is in force"),
    "run": ("running", "run the daemon"),
    "once": ("running", "visit every source now, deliver what is due, exit"),
    "demo": ("running", "a month at a stand-in site in a minute: no network, no configuration"),
    "parse": ("reading", "print what the readers see in saved pages"),
    "import": ("reading", "remember saved pages and dumps, without telling anyone"),
    "sources": ("looking", "the sources, and how their visits went"),
    "papers": ("looking", "list or search what was seen"),
    "paper": ("looking", "one paper: its words, its history, what was said of it"),
    "why": ("judging", "why a paper was told, or was not"),
    "events": ("judging", "changes and notices, with a cursor"),
    "rules": ("judging", "the rules, what they matched, their learnt thresholds"),
    "backtest": ("judging", "judge recorded history, or foreign series, once more"),
    "channels": ("sending", "the channels; enable, disable or mute one"),
    "test-channel": ("sending", "send a test message through a channel"),
    "deliveries": ("sending", "messages: waiting, sent, dead"),
    "resend": ("sending", "send a message once more"),
    "digest": ("sending", "show the digest a channel would get now"),
    "webhook-listen": ("sending", "a local receiver that verifies and shows webhooks"),
    "subscribers": ("people", "readers who subscribed: list, add, import, export, remove"),
    "stats": ("looking", "what is stored, and how checks and messages went"),
    "backup": ("keeping", "write a complete copy of the database"),
    "restore": ("keeping", "put a backup in the database's place"),
    "prune": ("keeping", "remove records older than [keep] says"),
    "migrate": ("keeping", "bring the database to this version"),
    "archive": ("keeping", "raw pages: list, show, capture one as a test case"),
    "replay": ("keeping", "read archived pages once more, with today's readers"),
    "healthcheck": ("keeping", "exit 0 when the daemon is well (for containers)"),
    "completion": ("starting", "print a script that completes commands in your shell"),
}
"""Verb to the module that holds it and its one-line help."""


class _ReaderGone(Exception):
    """Whoever read our output has had enough (``watcher papers | head``)."""


class Verbs(click.Group):
    """A group whose commands are imported when they are asked for."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb. click would take a reader that is gone for a failure."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as exc:
            raise _ReaderGone from exc
        return code

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of a user's life."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one verb; None for an unknown one."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"watcher.cli.{VERBS[cmd_name][0]}")
        command: click.Command = module.COMMANDS[cmd_name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb][1]) for verb in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest verb when there is none of that name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            from watcher.config.nearest import nearest

            guess = nearest(args[0], list(VERBS)) if args else None
            if not guess:
                raise
            raise click.UsageError(f"{exc.message} Did you mean {guess!r}?", ctx) from exc


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `watcher demo`, then `watcher init`, `watcher once`, `watcher run`.",
)
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(readable=False),
    help="The config.toml to use (default: $WATCHER_CONFIG, ./config.toml, "
    "$XDG_CONFIG_HOME/watcher/, /etc/watcher/).",
)
@click.option("-v", "--verbose", count=True, help="Say more; twice for debugging.")
@click.version_option(__version__, prog_name="paper-watcher")
@click.pass_context
def cli(ctx: click.Context, config_path: str | None, verbose: int) -> None:
    """Watches pages of trending papers and tells you which are new or rising."""
    ctx.obj = {"config": config_path, "verbose": verbose}


def main(args: list[str] | None = None) -> None:
    """Run a verb; every error becomes one line on stderr and an exit code."""
    _open_closed_streams()
    try:
        code = cli.main(args=args, prog_name="watcher", standalone_mode=False)
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except WatcherError as exc:
        if os.environ.get("WATCHER_DEBUG"):
            raise
        click.echo(f"watcher: {exc}", err=True)
        sys.exit(exit_code_of(exc))
    except _ReaderGone:
        _say_no_more()
        sys.exit(0)
    except (OSError, UnicodeError) as exc:
        if os.environ.get("WATCHER_DEBUG"):
            raise
        click.echo(f"watcher: {plain(exc)}", err=True)
        _say_no_more()
        sys.exit(FAILED)
    sys.exit(code if isinstance(code, int) else 0)


def _say_no_more() -> None:
    """Else what cannot be written is tried once more, and told once more, at the very end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_closed_streams() -> None:
    """Where a caller has closed a standard stream, nothing is read and written to nobody: else a
    file of ours would get its number."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(fd, mode, closefd=False))


def plain(exc: Exception) -> str:
    """An error as one line, that of a file without its number: ``x.html: No such file …``."""
    if isinstance(exc, OSError) and exc.strerror:
        return f"{exc.filename}: {exc.strerror}" if exc.filename else exc.strerror
    return " ".join(str(exc).split())


def exit_code_of(exc: WatcherError) -> int:
    """The exit code that tells a script what kind of failure it was."""
    if isinstance(exc, (ConfigError, StoreRefused)):
        return BAD_CONFIG
    if isinstance(exc, StoreError) and exc.retryable:
        return TEMPORARY
    return FAILED
