"""Console: the options of a channel that prints.

Owns the keys of ``[channel.NAME]`` with ``type = "console"``. Must not import other channels.
"""

from __future__ import annotations

from watcher.config.settings import ChannelOptions


class ConsoleOptions(ChannelOptions, frozen=True, kw_only=True):
    """Messages on standard output; needs no account."""
