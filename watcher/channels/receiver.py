"""A webhook receiver on this machine, for people who write consumers.

Owns the checking of what arrives, as a consumer should do it: signature first, then JSON, then
whether the id was there before. Must not keep or forward anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from watcher.config.secrets import Secret
from watcher.errors import ConfigError
from watcher.model import Value


class Received(Value, frozen=True, kw_only=True):
    """One post. ``problem`` is empty when it is genuine; ``body`` is then its JSON."""

    id: str
    problem: str = ""
    repeat: bool = False
    """The same id came before: a consumer does nothing and answers 2xx."""
    body: dict[str, Any] = msgspec.field(default_factory=dict)
    raw: bytes = b""


class Inspector:
    """Checks posts one after another and remembers their ids."""

    def __init__(self, secret: Secret) -> None:
        try:
            self._signer = Webhook(secret.reveal())
        except (EmptyWebhookSecretError, ValueError) as exc:
            raise ConfigError("the secret is not whsec_ and then base64") from exc
        self._seen: set[str] = set()

    def inspect(self, headers: dict[str, str], raw: bytes) -> Received:
        """What a post is; never raises for anything that was sent."""
        name = headers.get("webhook-id", "")
        try:
            self._signer.verify(raw, headers, json_parse=False)
            body = msgspec.json.decode(raw, type=dict[str, Any])
        except WebhookVerificationError as exc:
            return Received(id=name, problem=f"not genuine: {exc}", raw=raw)
        except (ValueError, TypeError) as exc:  # no JSON object, or headers that are no headers
            return Received(id=name, problem=f"not readable: {exc}", raw=raw)
        repeat = name in self._seen
        self._seen.add(name)
        return Received(id=name, repeat=repeat, body=body, raw=raw)


async def listen(
    port: int,
    secret: Secret,
    on_event: Callable[[Received], None],
    *,
    host: str = "127.0.0.1",
    on_ready: Callable[[int], None] | None = None,
) -> None:
    """Receive posts on any path until cancelled; ``on_event`` is called for each.

    Answers 204 to genuine posts and 401 to all others. ``on_ready`` is told the port, which
    the system chooses when ``port`` is 0. Raises ``OSError`` when it cannot listen there.
    """
    from aiohttp import web  # noqa: PLC0415 - see Post._open

    inspector = Inspector(secret)

    async def take(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = inspector.inspect(headers, await request.read())
        on_event(received)
        return web.Response(status=401 if received.problem else 204)

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        if on_ready is not None:
            on_ready(runner.addresses[0][1])
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
