"""What the chats share: one JSON post at the pace their services allow.

Owns pacing and the reading of ``retry_after``. Must not know any one chat's format.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from aiolimiter import AsyncLimiter

from watcher.channels.edge import Edge
from watcher.channels.post import GONE, Answer, Post, judge
from watcher.config import kinds
from watcher.config.secrets import SecretUrl
from watcher.config.values import read_url
from watcher.errors import SendError

ADDRESS = kinds.secret("address (https)", SecretUrl, read_url)
RATES = ((1, 1.0), (6, 15.0))
"""Messages per seconds: one a second, and never more than 30 in any minute, which is what both
services take from one webhook. A leaky bucket of ``n`` in ``t`` seconds lets ``n`` through at once
and ``60 n / t`` more in the minute that follows: 6 + 24."""
DELETED = 404
"""Both services answer this when the webhook was deleted; it does not come back."""


class ChatPost:
    """Posts payloads to one incoming webhook, never faster than the service takes them."""

    def __init__(self, url: SecretUrl, *, allow_private: bool, edge: Edge | None) -> None:
        self._edge = edge or Edge()
        self._post = Post(url, allow_private=allow_private, edge=self._edge)
        self._limits = tuple(AsyncLimiter(count, seconds) for count, seconds in RATES)

    @property
    def deadline(self) -> float:
        """Seconds after which a send has surely ended, waiting for its turn included."""
        return self._edge.timeout + max(seconds / count for count, seconds in RATES)

    async def send(self, payload: Mapping[str, Any]) -> None:
        """Post the payload; raises ``SendError`` as ``docs/channels.md`` lists."""
        for limit in self._limits:
            await limit.acquire()
        answer = await self._post.send(
            msgspec.json.encode(payload), {"content-type": "application/json"}
        )
        try:
            judge(answer, self._post.where, self._edge.now(), gone=frozenset({GONE, DELETED}))
        except SendError as exc:
            exc.retry_after = _longer(exc.retry_after, _asked_for(answer))
            raise

    async def close(self) -> None:
        """Close connections."""
        await self._post.close()


class _Limited(msgspec.Struct):
    retry_after: float | None = None


def _asked_for(answer: Answer) -> float | None:
    """Seconds in the JSON of a 429, which are more exact than the header."""
    if answer.status != 429:
        return None
    try:
        seconds = msgspec.json.decode(answer.body, type=_Limited).retry_after
    except msgspec.MsgspecError:
        return None
    return seconds if seconds is not None and 0 <= seconds <= 86_400 else None


def _longer(one: float | None, other: float | None) -> float | None:
    return max((seconds for seconds in (one, other) if seconds is not None), default=None)
