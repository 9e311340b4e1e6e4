"""``init``, ``check-config``, ``completion``: before the first visit."""

from __future__ import annotations

import os
import tomllib
from importlib import resources
from pathlib import Path

import click
from rich.markup import escape

from watcher.cli.common import (
    as_json,
    config_options,
    config_path,
    console,
    print_json,
    read_config,
    table,
)
from watcher.clock import span
from watcher.config import effective_intervals, render
from watcher.errors import ConfigError


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("config.toml"))
@click.option("--force", is_flag=True, help="Write over an existing file.")
def init(path: Path, force: bool) -> int:
    """Write a commented config.toml to begin with (default: in this folder).

    \b
    Examples:
      watcher init
      watcher init /etc/watcher/config.toml
    """
    if path.is_dir():
        path = path / "config.toml"
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already; --force writes over it")
    sample = resources.files("watcher").joinpath("sample.toml").read_bytes()
    schema = resources.files("watcher").joinpath("config.schema.json").read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(sample)
    (path.parent / "config.schema.json").write_bytes(schema)
    click.echo(
        f"wrote {path} (and config.schema.json, which editors use to complete it)\n"
        "next: edit it, then `watcher check-config`, `watcher once`, `watcher run`"
    )
    return 0


@click.command("check-config")
@as_json
@config_options
def check_config(json_: bool) -> int:
    """Name every mistake in the config at once; else show what is in force, secrets masked.

    \b
    Examples:
      watcher check-config
      watcher check-config --json | jq .in_force.rule
      watcher -c next.toml check-config && cp next.toml config.toml
    """
    path = config_path()
    config = read_config(path, secrets=True)
    visits = effective_intervals(config)
    if json_:
        print_json(
            {
                "config": str(path),
                "in_force": tomllib.loads(render(config)),
                "visits": visits,
                "warnings": config.warnings,
            }
        )
        return 0
    out = console()
    out.print(render(config), markup=False)
    if visits:
        shown = table("How often each source is visited", ["source", "host", "asks for", "gets"])
        for visit in visits:
            really = span(visit.really)
            shown.add_row(
                visit.source,
                visit.host,
                span(visit.wanted),
                f"{really} (the host's rate allows no more)" if visit.stretched else really,
            )
        out.print(shown)
    for warning in config.warnings:
        out.print(f"[yellow]warning:[/] {escape(warning)}")
    out.print(f"[green]✓[/] {escape(str(path))} is fine")
    return 0


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print a script that completes commands: `source <(watcher completion bash)`.

    \b
    Examples:
      watcher completion bash > ~/.local/share/bash-completion/completions/watcher
      watcher completion fish > ~/.config/fish/completions/watcher.fish
    """
    from click.shell_completion import get_completion_class

    from watcher.cli import cli

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click knows these three
    click.echo(found(cli, {}, "watcher", "_WATCHER_COMPLETE").source())
    return 0


COMMANDS = {"init": init, "check-config": check_config, "completion": completion}
