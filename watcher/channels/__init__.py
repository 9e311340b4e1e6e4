"""The ways out: one module per channel type, each with its options struct and its class.

Owns the maps from a channel's type to its parts. A new way out is a module and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watcher.channels.apprise import AppriseChannel, AppriseOptions
from watcher.channels.console import ConsoleChannel, ConsoleOptions
from watcher.channels.discord import DiscordChannel, DiscordOptions
from watcher.channels.edge import Channel, Edge
from watcher.channels.email import EmailChannel, EmailOptions
from watcher.channels.maildir import MaildirChannel, MaildirOptions
from watcher.channels.slack import SlackChannel, SlackOptions
from watcher.channels.webhook import WebhookChannel, WebhookOptions
from watcher.config.settings import ChannelOptions

OPTIONS: Mapping[str, type[ChannelOptions]] = {
    "email": EmailOptions,
    "webhook": WebhookOptions,
    "slack": SlackOptions,
    "discord": DiscordOptions,
    "apprise": AppriseOptions,
    "maildir": MaildirOptions,
    "console": ConsoleOptions,
}
"""For each channel type the struct of its keys: what ``config.parse`` is given."""

CHANNELS: Mapping[str, type[Any]] = {
    "email": EmailChannel,
    "webhook": WebhookChannel,
    "slack": SlackChannel,
    "discord": DiscordChannel,
    "apprise": AppriseChannel,
    "maildir": MaildirChannel,
    "console": ConsoleChannel,
}
"""For each channel type the class that sends; its options are those of ``OPTIONS``."""


def open_channel(name: str, options: ChannelOptions, *, edge: Edge | None = None) -> Channel:
    """The channel of that name; nothing is connected to before its first ``send``."""
    channel: Channel = CHANNELS[options.type](name, options, edge=edge or Edge())
    return channel
