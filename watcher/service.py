"""Talking to the service manager (systemd's ``sd_notify`` protocol).

Owns the datagrams to ``$NOTIFY_SOCKET`` and the reading of ``$WATCHDOG_USEC``. Does nothing
where there is no service manager.
"""

from __future__ import annotations

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send a state, e.g. ``READY=1``; silently nothing without a service manager.

    Source of the format: sd_notify(3).
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or address[0] not in "/@":
        return
    if address[0] == "@":
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        sock.connect(address)
        sock.sendall(state.encode())


def watchdog_interval() -> float | None:
    """Seconds within which the service manager wants a sign of life; None when it wants none."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", "")
    if not usec.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1e6
