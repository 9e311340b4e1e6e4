"""Webhook: events as JSON, posted and signed as Standard Webhooks says.

Owns the keys of ``[channel.NAME]`` with ``type = "webhook"``, the body's limit and its
signature. Must not import other channels or know what an answer means (``post.judge``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from standardwebhooks.webhooks import Webhook

from watcher.channels.edge import Edge
from watcher.channels.post import Post, address_faults, judge
from watcher.config import kinds
from watcher.config.secrets import Secret, SecretUrl
from watcher.config.settings import ChannelOptions, Fault
from watcher.config.values import BadValue, read_url
from watcher.model import Message
from watcher.text import clip
from watcher.wire import JsonObject, message_json


def _signing_key(text: str) -> None:
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise BadValue('is no signing secret: "whsec_" and then base64') from None
    if not key:
        raise BadValue('is no signing secret: "whsec_" and then base64')


ADDRESS = kinds.secret("address (https)", SecretUrl, read_url, inline=lambda _: False)
"""Masked when shown, but no warning when it stands in the config: posts are signed."""
SIGNING_KEY = kinds.secret("secret (whsec_…)", Secret, _signing_key)


class WebhookOptions(ChannelOptions, frozen=True, kw_only=True):
    """Events as signed JSON, posted to an address."""

    url: Annotated[SecretUrl, ADDRESS, "where events are posted; https"]
    secret: Annotated[Secret, SIGNING_KEY, "signs what is posted (Standard Webhooks)"]
    previous_secret: Annotated[
        Secret | None, SIGNING_KEY, "signs too, while receivers change to the new secret"
    ] = None

    def faults(self) -> tuple[Fault, ...]:
        """Addresses that will be refused, and short secrets."""
        found = list(address_faults(self.url, allow_private=self.allow_private))
        key = base64.b64decode(self.secret.reveal().removeprefix("whsec_"))
        if not 24 <= len(key) <= 64:
            message = f"has {len(key)} bytes; the standard asks for 24 to 64"
            found.append(Fault(key="secret", message=message, fatal=False))
        return tuple(found)


LIMIT = 20_000
"""A body stays under this many bytes (Standard Webhooks)."""


class WebhookChannel:
    """Posts each message once per attempt: same id and body, a new timestamp and signature."""

    def __init__(self, name: str, options: WebhookOptions, *, edge: Edge | None = None) -> None:
        self.name = name
        self._edge = edge or Edge()
        self._post = Post(options.url, allow_private=options.allow_private, edge=self._edge)
        self._signers = [
            Webhook(secret.reveal())
            for secret in (options.secret, options.previous_secret)
            if secret is not None
        ]

    @property
    def deadline(self) -> float:
        """Seconds after which a send has surely ended."""
        return self._edge.timeout

    async def send(self, message: Message) -> None:
        """Post the message; raises ``SendError`` as ``docs/channels.md`` lists."""
        now = self._edge.now()
        body = body_of(message, now)
        answer = await self._post.send(body, self._headers(message.key, body, now))
        judge(answer, self._post.where, now)

    def _headers(self, key: str, body: bytes, now: datetime) -> dict[str, str]:
        text = body.decode()
        return {
            "content-type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(s.sign(key, now, text) for s in self._signers),
        }

    async def close(self) -> None:
        """Close connections."""
        await self._post.close()


def body_of(message: Message, now: datetime) -> bytes:
    """The JSON of a message in under ``LIMIT`` bytes; ``now`` dates letters only.

    What does not fit is counted in ``cut``; ``cursor`` then stands before the first event left
    out, so that asking the API for the events after it misses nothing.
    """
    body = message_json(message, now)
    data = body["data"]
    encoded = msgspec.json.encode(body)
    entries = message.digest.entries if message.digest else ()
    first = {entry.event.id: entry.first_cursor or entry.event.cursor for entry in entries}
    while len(encoded) >= LIMIT and len(data["events"]) > 1:
        surplus = len(encoded) - LIMIT
        _drop_last(data, surplus, first)
        encoded = msgspec.json.encode(body)
    if len(encoded) >= LIMIT and data["events"]:
        _shorten(data["events"][0])
        encoded = msgspec.json.encode(body)
    return encoded


def _drop_last(data: JsonObject, surplus: int, first: Mapping[str, int]) -> None:
    """Leave out events from the end until at least ``surplus`` bytes are saved.

    ``first`` has the lowest cursor of all that an event stands for, by the event's id.
    """
    saved = 0
    while saved <= surplus and len(data["events"]) > 1:
        event = data["events"].pop()
        saved += len(msgspec.json.encode(event)) + 1
        data["cut"] += 1
        data["cursor"] = min(data["cursor"], first.get(event["id"], event["cursor"]) - 1)


def _shorten(event: JsonObject) -> None:
    """One event that is too long by itself: its words are cut, its facts stay."""
    event["conditions"] = []
    event["reason"] = clip(event["reason"], 500)
    if "reasons" in event:
        event["reasons"] = [clip(reason, 200) for reason in event["reasons"][:20]]
        event["event_ids"] = event["event_ids"][:100]
    if event["paper"]:
        event["paper"]["title"] = clip(event["paper"]["title"], 500)
