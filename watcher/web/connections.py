"""Connections: how many, and how long one may keep us waiting.

Owns the cap on open connections and the deadline for a request to arrive. aiohttp has
neither: a client that sends its headers a byte a minute would be served for an hour. Must not
know HTTP beyond "a request has come" and "it was answered".
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import cast

from aiohttp import web

from watcher.errors import WatcherError

HEADER_DEADLINE = 10.0
"""Seconds from the connection to a whole request, its body included."""
ANSWER_DEADLINE = 45.0
"""Seconds from a request to its answer's last byte, and from an answer to the next request."""
MOST = 256
"""Open connections; whoever waits longest without a request makes room for a new one."""


class Doors:
    """All connections of one listener; a factory of protocols for ``loop.create_server``."""

    def __init__(
        self,
        make: Callable[[], asyncio.BaseProtocol],
        *,
        most: int = MOST,
        header_deadline: float = HEADER_DEADLINE,
        answer_deadline: float = ANSWER_DEADLINE,
    ) -> None:
        self._make = make
        self._most = most
        self.header_deadline = header_deadline
        self.answer_deadline = answer_deadline
        self._open: dict[asyncio.BaseTransport, Door] = {}
        self._waiting: dict[Door, None] = {}
        self.turned_away = 0

    def __call__(self) -> Door:
        """A protocol for a new connection."""
        return Door(self, self._make())

    def __len__(self) -> int:
        return len(self._open)

    def begun(self, transport: asyncio.BaseTransport | None) -> None:
        """A whole request has come through this connection."""
        door = self._open.get(transport) if transport else None
        if door is not None:
            self._waiting.pop(door, None)
            door.allow(self.answer_deadline)

    def answered(self, transport: asyncio.BaseTransport | None) -> None:
        """Its answer is on its way; the next request may come."""
        door = self._open.get(transport) if transport else None
        if door is not None:
            self._waiting[door] = None
            door.allow(self.answer_deadline)

    def enter(self, door: Door, transport: asyncio.BaseTransport) -> bool:
        """Let a connection in, at the cost of the one that waits longest when all are taken."""
        if len(self._open) >= self._most:
            self.turned_away += 1
            longest = next(iter(self._waiting), None)
            if longest is None:
                return False
            longest.shut()
        self._open[transport] = door
        self._waiting[door] = None
        return True

    def leave(self, door: Door, transport: asyncio.BaseTransport | None) -> None:
        """A connection is gone."""
        self._waiting.pop(door, None)
        if transport is not None:
            self._open.pop(transport, None)


class Door(asyncio.Protocol):
    """One connection: passes everything on, and shuts when its time is over."""

    __slots__ = ("_doors", "_inner", "_timer", "_transport")

    def __init__(self, doors: Doors, inner: asyncio.BaseProtocol) -> None:
        self._doors = doors
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def allow(self, seconds: float) -> None:
        """Give the connection so many seconds from now on."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.shut)

    def shut(self) -> None:
        """End the connection at once."""
        transport = self._transport
        self._doors.leave(self, transport)
        if transport is not None and not transport.is_closing():
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or hang up."""
        # uvloop's transports are no subclass of asyncio's, but have the same methods.
        stream = cast(asyncio.Transport, transport)
        self._transport = stream
        if not self._doors.enter(self, stream):
            stream.abort()
            return
        self.allow(self._doors.header_deadline)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass on; a drip of bytes does not move the deadline."""
        self._inner.data_received(data)  # type: ignore[attr-defined]

    def eof_received(self) -> bool | None:
        """Pass on."""
        return self._inner.eof_received()  # type: ignore[attr-defined, no-any-return]

    def pause_writing(self) -> None:
        """Pass on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self._timer is not None:
            self._timer.cancel()
        self._doors.leave(self, self._transport)
        self._inner.connection_lost(exc)


class DoorSite(web.BaseSite):
    """A listening socket whose connections pass through ``Doors``."""

    def __init__(self, runner: web.BaseRunner, host: str, port: int, doors: Doors) -> None:
        super().__init__(runner)
        self._host, self._port, self._doors = host, port, doors

    @property
    def name(self) -> str:
        """Its address, with the port the system chose."""
        return f"http://{self._host}:{self.port}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        server = self._server
        sockets = getattr(server, "sockets", None)
        return int(sockets[0].getsockname()[1]) if sockets else self._port

    async def start(self) -> None:
        """Listen; WatcherError when the address cannot be had."""
        await super().start()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._doors, self._host, self._port, backlog=512, reuse_address=True
            )
        except (OSError, OverflowError) as exc:
            raise WatcherError(_why(exc, self._host, self._port)) from exc


def _why(exc: Exception, host: str, port: int) -> str:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    number = getattr(exc, "errno", None)
    if number == errno.EADDRINUSE:
        return f"[web] listen: {place} is taken by another program; stop it, or choose another port"
    if number == errno.EACCES:
        return f"[web] listen: {place} may not be used by this user; choose a port above 1023"
    if isinstance(exc, socket.gaierror) or number == errno.EADDRNOTAVAIL:
        return f"[web] listen: {place} is not an address of this machine"
    return f"[web] listen: cannot listen on {place}: {exc}"
