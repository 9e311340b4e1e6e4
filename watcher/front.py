"""What readers come to: the pages of a running daemon, and the rounds of its subscribers.

Owns what the pages are lent by the daemon, and the part of it that only ``[web]`` needs. Its
imports are large: the daemon imports it when its config has ``[web]``. Must not visit or send.
"""

from __future__ import annotations

from datetime import datetime

from watcher.config import Config
from watcher.errors import WatcherError
from watcher.people import Readers, hold_round
from watcher.rules import Rule
from watcher.store import Records
from watcher.store.ledger import Claimed
from watcher.telemetry import log
from watcher.web import Web, WebContext, start
from watcher.web.app import keys_of


class Front:
    """Pages and subscribers of one config, which ``use`` puts in force, and replaces."""

    def __init__(self, context: WebContext) -> None:
        """``context.mail_ready`` is called when there is something to send."""
        self._context = context
        self._readers: Readers
        self._web: Web | None = None

    async def readers_of(self, config: Config) -> Readers:
        """The subscribers under a config. Where nobody can subscribe any more, what still waits
        for those who did is theirs to stop."""
        return Readers(await keys_of(self._context, config), config.web.public_url)

    def use(self, config: Config, rules: tuple[Rule, ...], readers: Readers) -> None:
        """Follow a config from now on; ``readers`` are those of the config."""
        self._context.use(config, rules)
        self._readers = readers

    async def open(self) -> None:
        """Listen."""
        self._web = await start(self._context)

    async def close(self) -> None:
        """Answer what is being asked, and listen no more."""
        if self._web is not None:
            await self._web.close()

    def finish(self, records: Records, claimed: Claimed, now: datetime) -> Claimed | str:
        """A message as its reader wants it now; those of the config pass as they are."""
        return self._readers.finish(records, claimed, now)

    async def hold_round(self, now: datetime) -> None:
        """Fill the messages of subscribers whose hour has come; what fails is tried again."""
        config = self._context.config
        channel = config.web.subscribe
        if channel is None:
            return
        try:
            most = config.channel(channel).max_papers
            held = await hold_round(self._context.store, channel, now, max_papers=most)
        except WatcherError as exc:
            log.warning("task_failed", task="the round of subscribers", error=exc)
            return
        if held.mailed:
            log.info("digest_due", channel=channel, readers=held.mailed)
            self._context.mail_ready()
