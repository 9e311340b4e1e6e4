"""Maildir: mail dropped into a folder on this machine.

Owns the keys of ``[channel.NAME]`` with ``type = "maildir"`` and the writing of its files. Must
not import other channels.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, ClassVar

from watcher.channels.edge import Edge
from watcher.channels.mime import Envelope, mime_bytes, template_faults
from watcher.config.settings import ChannelOptions, Fault
from watcher.config.values import Mailbox, file_in_the_way
from watcher.errors import SendError
from watcher.model import Message
from watcher.owner import make_folder, own_like

SENDER = "paper-watcher@localhost"
"""Who such mail comes from: nobody's address, it never leaves the machine."""


class MaildirOptions(ChannelOptions, frozen=True, kw_only=True):
    """Mail into a folder that mail programs can read; needs no account."""

    path: Annotated[Path, "the Maildir; made when it is missing"]

    takes_template: ClassVar[bool] = True

    def faults(self) -> tuple[Fault, ...]:
        """A file where the folder should be, a template that does not work."""
        if part := file_in_the_way(self.path):
            return (Fault(key="path", message=f"{part} is a file; a Maildir is a folder"),)
        return template_faults(self)


class MaildirChannel:
    """Writes each message once: the file's name is made of its key."""

    def __init__(self, name: str, options: MaildirOptions, *, edge: Edge | None = None) -> None:
        self.name = name
        self._path = options.path
        self._edge = edge or Edge()
        self._envelope = Envelope(
            channel=name, sender=Mailbox(address=SENDER, name=name), template=options.template
        )

    @property
    def deadline(self) -> float:
        """Seconds after which a send has surely ended."""
        return self._edge.timeout

    async def send(self, message: Message) -> None:
        """Put the mail into ``new/``, safely on the disk; ``SendError`` when that fails."""
        mail = await asyncio.to_thread(mime_bytes, message, self._envelope, now=self._edge.now())
        try:
            await asyncio.to_thread(_drop, self._path, f"{message.key}.paper-watcher", mail)
        except OSError as exc:
            raise SendError(
                f"Maildir {self._path}: cannot be written: {exc.strerror or exc}"
            ) from exc

    async def close(self) -> None:
        """Nothing is kept open."""


def _drop(folder: Path, name: str, mail: bytes) -> None:
    """Write a file into ``tmp``, then link it into ``new``, unless it is there or was read.

    As the Maildir convention asks; a crash leaves at most a file in ``tmp``.
    """
    for part in ("", "tmp", "new", "cur"):
        make_folder(folder / part)
    if (folder / "new" / name).exists() or any((folder / "cur").glob(f"{name}*")):
        return
    draft = folder / "tmp" / f"{name}.{os.getpid()}"
    with draft.open("wb") as file:
        file.write(mail.replace(b"\r\n", b"\n"))
        file.flush()
        os.fsync(file.fileno())
    own_like(draft, folder)
    draft.replace(folder / "new" / name)
    _sync(folder / "new")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
