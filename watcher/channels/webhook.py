"""Webhook: the options of a channel that posts JSON, signed as Standard Webhooks says.

Owns the keys of ``[channel.NAME]`` with ``type = "webhook"``. Must not import other channels.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated
from urllib.parse import urlsplit

from watcher.config import kinds
from watcher.config.secrets import Secret, SecretUrl
from watcher.config.settings import ChannelOptions, Fault
from watcher.config.values import BadValue, read_url

PORTS = (80, 443, 8443)
"""Ports a webhook may use without ``allow_private``."""


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


def address_faults(url: SecretUrl, allow_private: bool) -> tuple[Fault, ...]:
    """What the guard will refuse about an address, known from its text alone."""
    parts = urlsplit(url.reveal())
    if allow_private:
        return ()
    if parts.scheme != "https":
        message = "is not https; it is refused without allow_private"
        return (Fault(key="url", message=message, fatal=False),)
    if (parts.port or 443) not in PORTS:
        message = f"uses port {parts.port}; it is refused without allow_private"
        return (Fault(key="url", message=message, fatal=False),)
    return ()


class WebhookOptions(ChannelOptions, frozen=True, kw_only=True):
    """Events as signed JSON, posted to an address."""

    url: Annotated[SecretUrl, ADDRESS, "where events are posted; https"]
    secret: Annotated[Secret, SIGNING_KEY, "signs what is posted (Standard Webhooks)"]
    previous_secret: Annotated[
        Secret | None, SIGNING_KEY, "signs too, while receivers change to the new secret"
    ] = None

    def faults(self) -> tuple[Fault, ...]:
        """Addresses that will be refused, and short secrets."""
        found = list(address_faults(self.url, self.allow_private))
        key = base64.b64decode(self.secret.reveal().removeprefix("whsec_"))
        if not 24 <= len(key) <= 64:
            message = f"has {len(key)} bytes; the standard asks for 24 to 64"
            found.append(Fault(key="secret", message=message, fatal=False))
        return tuple(found)
