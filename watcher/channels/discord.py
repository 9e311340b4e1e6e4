"""Discord: the options of a channel that writes into a Discord channel.

Owns the keys of ``[channel.NAME]`` with ``type = "discord"``. Must not import other channels.
"""

from __future__ import annotations

from typing import Annotated

from watcher.config.secrets import SecretUrl
from watcher.config.settings import SECRET_URL, ChannelOptions


class DiscordOptions(ChannelOptions, frozen=True, kw_only=True):
    """Messages in a Discord channel."""

    url: Annotated[SecretUrl, SECRET_URL, "the address of an incoming webhook, as Discord gave it"]
