"""Maildir: the options of a channel that drops mail into a folder on this machine.

Owns the keys of ``[channel.NAME]`` with ``type = "maildir"``. Must not import other channels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from watcher.config.settings import ChannelOptions


class MaildirOptions(ChannelOptions, frozen=True, kw_only=True):
    """Mail into a folder that mail programs can read; needs no account."""

    path: Annotated[Path, "the Maildir; made when it is missing"]
