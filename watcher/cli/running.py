"""``run``, ``once``, ``demo``: the main job."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import click
from rich.markup import escape

from watcher import process
from watcher.cli import TEMPORARY
from watcher.cli.common import (
    as_json,
    config_options,
    config_path,
    console,
    count,
    print_json,
    read_config,
    set_up_log,
)
from watcher.deliver import Report
from watcher.model import CheckOutcome
from watcher.watch import Checked


def event_loop() -> asyncio.Runner:
    """A runner on uvloop where it runs, else on asyncio's own loop."""
    try:
        # Names are looked up on these threads: four that hang must not keep all others waiting.
        os.environ.setdefault("UV_THREADPOOL_SIZE", "16")
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


@click.command()
@config_options
def run() -> int:
    """Run the daemon: visit the sources on their schedule until told to stop.

    SIGTERM or Ctrl-C ends it within seconds, a second one at once; SIGHUP reads the config
    anew. Logs go to stderr, as JSON when that is no terminal.

    \b
    Examples:
      watcher run
      watcher -c /etc/watcher/config.toml run 2>> watcher.log
    """
    with process.long_life():
        return _run()


def _run() -> int:
    from watcher.daemon import Daemon
    from watcher.telemetry import log

    set_up_log()
    path = config_path()
    config = read_config(path, secrets=True)
    log.info("daemon_started", config=str(path))
    for warning in config.warnings:
        log.warning("config_warned", warning=warning)

    async def live() -> int:
        return await Daemon(config, reload=lambda: read_config(path, secrets=True)).run()

    with event_loop() as runner:
        return runner.run(live())


@click.command()
@click.option("--source", "sources", multiple=True, metavar="NAME", help="Only this source.")
@click.option("--due", is_flag=True, help="Only what is due.")
@as_json
@config_options
def once(sources: tuple[str, ...], due: bool, json_: bool) -> int:
    """Visit every source now, deliver what is due, and exit.

    Exits 75 when a source or a message failed; the rest was done all the same.

    \b
    Examples:
      watcher once
      watcher once --source trending
      watcher once --due            # from a timer, instead of the daemon
    """
    from watcher.daemon import Daemon

    set_up_log(default="error")
    config = read_config(secrets=True)
    for name in sources:
        config.source(name)
    out = console(stderr=json_)
    show = _Lines(out).show if not json_ else None

    async def live() -> tuple[Checked, ...]:
        return await daemon.once(sources or None, due_only=due)

    with contextlib.ExitStack() as inside:
        if json_:  # what a console channel prints is no part of the JSON
            inside.enter_context(contextlib.redirect_stdout(sys.stderr))
        runner = inside.enter_context(event_loop())
        daemon = Daemon(config, on_checked=show)
        done = runner.run(live())
    sent = daemon.delivered
    if json_:
        print_json(done)
    elif daemon.is_stopped:
        pass  # what ended in time has been said
    elif not done:
        out.print("nothing is due" if due else "no source is configured")
    elif any(checked.baseline and checked.known for checked in done):
        out.print(
            "\nThe first visit of a source is its baseline: what is known from the start is "
            "remembered and told to nobody.\nSee it with `watcher events --all`; a rule with "
            '[bold]known = "tell"[/] tells what is there already.'
        )
    if sent != Report() and not json_:
        bad = f", [red]{sent.failed + sent.dead} failed[/]" if not sent.ok else ""
        out.print(f"{sent.sent} messages sent{bad}")
    if daemon.is_stopped:
        raise click.Abort
    failed = any(c.outcome is CheckOutcome.FAILED for c in done)
    return TEMPORARY if failed or not sent.ok else 0


class _Lines:
    """One line per visit, as it ends."""

    def __init__(self, out) -> None:  # type: ignore[no-untyped-def]
        self._out = out
        self._done = 0

    def show(self, checked: Checked) -> None:
        """Print it; a reader that is gone does not keep the other sources from being visited."""
        with contextlib.suppress(BrokenPipeError):
            self._print(checked)

    def _print(self, checked: Checked) -> None:
        self._done += 1
        name = f"[bold]{escape(checked.target)}[/]"
        if checked.outcome is CheckOutcome.FAILED:
            self._out.print(f"[red]✗[/] {name}: {escape(checked.error or '')}")
            return
        if checked.outcome is CheckOutcome.QUARANTINED:
            self._out.print(f"[yellow]?[/] {name}: {escape(checked.error or '')}")
            return
        said = [f"{count(checked.cards)} papers"]
        if checked.outcome is CheckOutcome.UNCHANGED:
            said.append("unchanged")
        if checked.fresh:
            said.append(f"{checked.fresh} never seen before")
        if checked.moved > checked.fresh:
            said.append(f"{checked.moved - checked.fresh} with other counts")
        if checked.told:
            said.append(f"[green]{checked.told} changes to tell[/]")
        if checked.known:
            said.append(f"{checked.known} known from the start")
        first = " (baseline)" if checked.baseline else ""
        self._out.print(f"[green]✓[/] {name}{first}: {', '.join(said)}")


@click.command()
@click.option("--seed", default=20261121, show_default=True, help="Another seed, another month.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 90))
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-data"),
    show_default=True,
    help="Where the demo's database and mail go.",
)
def demo(seed: int, days: int, folder: Path) -> int:
    """A month at a stand-in site in about a minute: no network, no configuration.

    \b
    Examples:
      watcher demo
      watcher demo --days 10 --seed 7 --folder /tmp/demo
    """
    from watcher.demo.run import run_demo

    set_up_log(default="error")
    with event_loop() as runner:
        return runner.run(run_demo(folder, seed=seed, days=days, out=console()))


COMMANDS = {"run": run, "once": once, "demo": demo}
