"""Slack: the options of a channel that writes into a Slack channel.

Owns the keys of ``[channel.NAME]`` with ``type = "slack"``. Must not import other channels.
"""

from __future__ import annotations

from typing import Annotated

from watcher.config.secrets import SecretUrl
from watcher.config.settings import SECRET_URL, ChannelOptions


class SlackOptions(ChannelOptions, frozen=True, kw_only=True):
    """Messages in a Slack channel."""

    url: Annotated[SecretUrl, SECRET_URL, "the address of an incoming webhook, as Slack gave it"]
