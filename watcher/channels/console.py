"""Console: messages printed for somebody at a terminal, or into the journal.

Owns the keys of ``[channel.NAME]`` with ``type = "console"`` and how a message is printed. Must
not import other channels.
"""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text

from watcher.channels.edge import Edge
from watcher.config.settings import ChannelOptions
from watcher.errors import SendError
from watcher.model import Message
from watcher.view import EntryView, View, view_of

_STYLES = {"Rising": "bold yellow", "New": "bold blue", "Resurging": "bold magenta"}


class ConsoleOptions(ChannelOptions, frozen=True, kw_only=True):
    """Messages on standard output; needs no account."""


class ConsoleChannel:
    """Prints each message; colours only where a terminal shows them."""

    def __init__(self, name: str, options: ConsoleOptions, *, edge: Edge | None = None) -> None:
        self.name = name
        self._options = options
        self._edge = edge or Edge()

    @property
    def deadline(self) -> float:
        """Seconds after which a send has surely ended."""
        return self._edge.timeout

    async def send(self, message: Message) -> None:
        """Print the message; ``SendError`` when nobody reads any more."""
        stream = self._edge.stream or sys.stdout
        try:
            print_view(view_of(message), stream)
        except (OSError, ValueError) as exc:  # ValueError: the stream is closed
            raise SendError(f"console {self.name}: cannot be written: {exc}") from exc

    async def close(self) -> None:
        """The stream is not ours."""


class Terminal(Console):
    """A console whose reader may leave."""

    def on_broken_pipe(self) -> None:
        """Rich would end the process, as a failure."""
        raise BrokenPipeError("nobody reads it any more")


def print_view(view: View, stream: TextIO) -> None:
    """Print a message; words of papers are never taken as markup."""
    console = Terminal(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print(Text(view.subject, style="bold"))
    for line in view.lines:
        console.print(Text(line))
    if view.link:
        console.print(Text(f"{view.link_text} {view.link}".strip()))
    for notice in view.notices:
        mark, style = ("✓", "green") if notice.good else ("!", "bold red")
        console.print(Text(f"{mark} {notice}", style=style))
    for section in view.sections:
        console.print(Text(f"\n{section.title}", style="bold underline"))
        if section.note:
            console.print(Text(section.note, style="dim"))
        for entry in section.entries:
            _print_entry(entry, console)
    more = (view.more, view.more_url) if view.more else ()
    for line in filter(None, (*more, *view.footer)):
        console.print(Text(line, style="dim"))
    console.file.flush()


def _print_entry(entry: EntryView, console: Console) -> None:
    head = Text("  ")
    head.append(f"{entry.kind:<14}", style=_STYLES.get(entry.kind, "green"))
    head.append(entry.title, style="bold")
    console.print(head)
    facts = (entry.counts, entry.authors, entry.organization)
    lines = [" · ".join(filter(None, facts)), *entry.reasons, entry.url or ""]
    for line in filter(None, lines):
        console.print(Text(f"                {line}"))
