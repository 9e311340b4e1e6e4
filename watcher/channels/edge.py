"""What every way out has in common: its shape, and what it is given from outside.

Owns the ``Channel`` protocol and the ``Edge``. Must not know any single channel.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol, TextIO

from watcher import __version__
from watcher.guard import SocketFactory
from watcher.model import Message, Value


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Edge(Value, frozen=True, kw_only=True):
    """The world as a channel meets it; everything has a default, tests give their own."""

    now: Callable[[], datetime] = _utc_now
    user_agent: str = f"paper-watcher/{__version__}"
    socket_factory: SocketFactory | None = None
    """None: the guard's, as strict as the channel's ``allow_private`` says."""
    tls: ssl.SSLContext | None = None
    """None: the system's certificates."""
    timeout: float = 15.0
    """Seconds for one whole post; mail has its own."""
    mail_timeout: float = 25.0
    """Seconds for one whole mail, connecting and TLS included."""
    stream: TextIO | None = None
    """Where the console channel writes; None is standard output."""


class Channel(Protocol):
    """A way out. One send at a time; what is raised is ``SendError`` and nothing else."""

    name: str

    @property
    def deadline(self) -> float:
        """Seconds after which a send has surely ended: a lease must be longer."""

    async def send(self, message: Message) -> None:
        """Hand the message over for good, or raise ``SendError``."""

    async def close(self) -> None:
        """Let go of connections; a later ``send`` opens them again."""
