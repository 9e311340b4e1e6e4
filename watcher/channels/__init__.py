"""The ways out: one module per channel type, each with its options struct and its class.

Owns the maps from a channel's type to its parts. A new way out is a module and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping

from watcher.channels.apprise import AppriseOptions
from watcher.channels.console import ConsoleOptions
from watcher.channels.discord import DiscordOptions
from watcher.channels.email import EmailOptions
from watcher.channels.maildir import MaildirOptions
from watcher.channels.slack import SlackOptions
from watcher.channels.webhook import WebhookOptions
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
