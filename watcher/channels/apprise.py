"""Apprise: the options of a channel for everything that has no channel of its own.

Owns the keys of ``[channel.NAME]`` with ``type = "apprise"``. Must not import other channels.
The library is an extra: import it only when a message is sent.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from watcher.config.kinds import Kind
from watcher.config.secrets import SecretUrls
from watcher.config.settings import ChannelOptions
from watcher.config.values import BadValue, read_text

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
