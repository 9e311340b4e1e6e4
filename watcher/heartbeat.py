"""Past the store: the heartbeat while all is well, and a word to the operator when it is not.

Owns the calls to the heartbeat's address and messages that no outbox can remember, because the
store is what fails. Must not repair anything or decide what is told of papers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime

import aiohttp

from watcher import guard
from watcher.channels import open_channel
from watcher.channels.edge import Channel
from watcher.config import Config
from watcher.config.settings import AlertSettings
from watcher.errors import SendError, StoreError, StoreRefused, WatcherError
from watcher.fetch import Clock
from watcher.health import Health, Report
from watcher.identity import digest_of, message_key
from watcher.model import Letter, Message
from watcher.owed import recipients_of
from watcher.telemetry import log

_PING = 10.0
"""Seconds for one call."""


class Heartbeat:
    """Calls an address while all is well, so that silence is noticed (healthchecks.io style).

    ``URL/start`` at the start, ``URL`` while all is well, ``URL/fail`` with the reasons when
    not. The address is a secret: it is never logged.
    """

    def __init__(self, config: Config, *, clock: Clock, health: Health) -> None:
        self._config = config
        self._clock = clock
        self._health = health
        self._failed = False
        self._changed = asyncio.Event()

    def use(self, config: Config) -> None:
        """Put another config in force, from the next beat on."""
        self._config = config
        self._changed.set()

    async def run(self) -> None:
        """Beat for ever, as the config in force says; silent while it names no address."""
        while True:
            self._changed.clear()
            alert = self._config.alert
            if alert.heartbeat is None:
                await self._changed.wait()
            else:
                await self._beat(alert, alert.heartbeat.reveal())

    async def _beat(self, alert: AlertSettings, address: str) -> None:
        """Beat until the config says otherwise."""
        async with _session(alert) as session:
            await self._call(session, address, "/start", "")
            while self._config.alert == alert:
                report = self._health.report(self._clock.now())
                fine = is_well(report, self._health.blind(alert.after))
                await self._call(
                    session, address, "" if fine else "/fail", "\n".join(report.problems)
                )
                await self._clock.sleep(alert.heartbeat_every.total_seconds())

    @contextlib.asynccontextmanager
    async def round(self) -> AsyncIterator[None]:
        """For a round without a daemon: ``/start`` before it, and after it how it went."""
        alert = self._config.alert
        if alert.heartbeat is None:
            yield
            return
        address = alert.heartbeat.reveal()
        async with _session(alert) as session:
            await self._call(session, address, "/start", "")
            try:
                yield
            except (StoreError, StoreRefused) as exc:
                await self._call(session, address, "/fail", str(exc))
                raise
            report = self._health.report(self._clock.now())
            fine = is_well(report, self._health.blind(alert.after))
            await self._call(session, address, "" if fine else "/fail", "\n".join(report.problems))

    async def _call(
        self, session: aiohttp.ClientSession, address: str, suffix: str, words: str
    ) -> None:
        base, mark, query = address.partition("?")
        try:
            async with asyncio.timeout(_PING):
                guard.check_url(base, allow_private=self._config.alert.allow_private)
                async with session.post(
                    f"{base.rstrip('/')}{suffix}{mark}{query}",
                    data=words.encode()[:10_000],
                    allow_redirects=False,
                ) as answer:
                    status = answer.status
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError, WatcherError) as exc:
            refused = guard.refusal(exc)
            # The text of the exception may hold the address.
            self._note(str(refused) if refused else f"no answer ({type(exc).__name__})")
        else:
            self._note(None if status < 300 else f"answered {status}")

    def _note(self, fault: str | None) -> None:
        """Told once when it begins to fail and once when it works again."""
        if fault is not None and not self._failed:
            log.warning("heartbeat_failed", error=fault)
        if fault is None and self._failed:
            log.info("heartbeat_recovered")
        self._failed = fault is not None


def _session(alert: AlertSettings) -> aiohttp.ClientSession:
    factory = guard.socket_factory(allow_private=alert.allow_private)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=factory, limit=1),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def is_well(report: Report, blind: tuple[str, ...]) -> bool:
    """Whether the heartbeat may say that all is well: a single failed visit is no matter, nor is
    a beat amid starting or stopping."""
    return report.well and not blind


async def cry(config: Config, subject: str, *lines: str, now: datetime) -> bool:
    """Tell the operator what the store cannot remember, straight through the channel.

    Tried once for each recipient; whether one of them was reached. Never raises.
    """
    name = config.watcher.operator
    options = next((channel for channel in config.channels if channel.name == name), None)
    if options is None or not options.enabled:
        return False
    letter = Letter(subject=subject, lines=lines)
    channel = open_channel(options.name, options)
    reached = False
    try:
        for recipient in recipients_of(options):
            reached |= await _cry_to(channel, recipient, letter, now)
    finally:
        await channel.close()
    return reached


async def _cry_to(channel: Channel, recipient: str, letter: Letter, now: datetime) -> bool:
    batch = f"cry:{now:%Y%m%dT%H%M%S}:{digest_of(letter.subject, length=8)}"
    key = message_key(channel.name, batch, recipient)
    message = Message(
        key=key, channel=channel.name, batch=batch, recipient=recipient, letter=letter
    )
    try:
        async with asyncio.timeout(channel.deadline):
            await channel.send(message)
    except (SendError, TimeoutError) as exc:
        log.error("message_failed", channel=channel.name, key=key, error=exc)
        return False
    log.info("message_sent", channel=channel.name, key=key)
    return True
