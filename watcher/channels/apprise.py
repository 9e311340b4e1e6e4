"""Apprise: messages for everything that has no channel of its own.

Owns the keys of ``[channel.NAME]`` with ``type = "apprise"``. Must not import other channels.
The library is an extra: it is imported only when a message is sent.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
from typing import Annotated, Any

from watcher.channels.edge import Edge
from watcher.config.kinds import Kind
from watcher.config.secrets import SecretUrls
from watcher.config.settings import ChannelOptions, Fault
from watcher.config.values import BadValue, read_text
from watcher.errors import SendError
from watcher.model import Message
from watcher.plain import render_text
from watcher.view import view_of

_MISSING = "the library apprise is not installed; run: pip install 'paper-watcher[apprise]'"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def _read(value: Any) -> SecretUrls:
    lines = [read_text(item) for item in (value if isinstance(value, list) else [value])]
    urls = "\n".join(lines).split()
    if not urls or not all(_URL.fullmatch(url) for url in urls):
        raise BadValue("needs addresses as Apprise writes them, such as scheme://…")
    return SecretUrls("\n".join(urls))


URLS = Kind(
    name="Apprise addresses",
    read=_read,
    show=lambda v: v.masked(),
    schema={"type": ["string", "array"], "items": {"type": "string"}},
)


class AppriseOptions(ChannelOptions, frozen=True, kw_only=True):
    """Messages by any of Apprise's services."""

    url: Annotated[SecretUrls, URLS, "one or several addresses; in a file one per line"]

    def faults(self) -> tuple[Fault, ...]:
        """The library is missing."""
        if importlib.util.find_spec("apprise"):
            return ()
        return (Fault(key="type", message=_MISSING, fatal=False),)


class AppriseChannel:
    """Hands each message to Apprise as plain text; it only tells whether it worked."""

    def __init__(self, name: str, options: AppriseOptions, *, edge: Edge | None = None) -> None:
        self.name = name
        self._urls = options.url
        self._edge = edge or Edge()

    @property
    def deadline(self) -> float:
        """Seconds after which a send has surely ended; the library's own limits come before."""
        return self._edge.timeout * 2

    async def send(self, message: Message) -> None:
        """Notify every address; ``SendError`` when one of them failed.

        The address of a service can be anywhere: the guard cannot look inside the library.
        """
        view = view_of(message)
        body = render_text(view)
        try:
            async with asyncio.timeout(self.deadline):
                worked = await asyncio.to_thread(_notify, self._urls, view.subject, body)
        except TimeoutError as exc:
            raise SendError(f"apprise {self.name}: no end within {self.deadline:g} s") from exc
        except SendError:
            raise
        except Exception as exc:
            # A hundred services, each with a library of its own: anything may come out.
            raise SendError(f"apprise {self.name}: failed ({type(exc).__name__})") from exc
        if not worked:
            raise SendError(f"apprise {self.name}: {self._urls.masked()} did not take the message")

    async def close(self) -> None:
        """Nothing is kept open."""


def _notify(urls: SecretUrls, title: str, body: str) -> bool:
    apprise = _library()
    sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Paper watcher"))
    if not all(sender.add(url) for url in urls.reveal_all()):
        raise SendError(
            f"apprise: an address in {urls.masked()} is of no service it knows", retryable=False
        )
    return bool(sender.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT))


def _library() -> Any:
    try:
        import apprise  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as exc:
        raise SendError(_MISSING) from exc
    logging.getLogger("apprise").disabled = True  # it logs addresses, which are secrets
    return apprise
