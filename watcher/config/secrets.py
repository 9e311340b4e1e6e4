"""Values that must never be shown: passwords, tokens, addresses that work like passwords.

Owns how they are masked. Must not read them from anywhere: ``reading`` does.
Printing, formatting and logging a secret gives its mask; ``reveal()`` gives the text, and
is to be called only where the text leaves for the one place it is meant for.
"""

from __future__ import annotations

import hmac
from typing import Self
from urllib.parse import unquote, urlsplit

from watcher.model import Value

MASK = "***"


class Secret:
    """A text that prints as ``***``. Equal when the texts are equal."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Never log, print or store what this gives."""
        return self._text

    def masked(self) -> str:
        """What may be shown of it."""
        return MASK

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __str__(self) -> str:
        return self.masked()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.masked()!r})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class SecretUrl(Secret):
    """An http(s) address whose path is the password: shown as ``https://host/***``."""

    __slots__ = ()

    def masked(self) -> str:
        """Scheme, host and port; nothing of user, path or query."""
        try:
            parts = urlsplit(self._text)
            host, port = parts.hostname, parts.port
        except ValueError:
            return MASK
        if not host or not parts.scheme:
            return MASK
        place = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{place}{f':{port}' if port else ''}/{MASK}"


class SecretUrls(Secret):
    """Addresses of any scheme, one per line: shown as ``scheme://***``."""

    __slots__ = ()

    def reveal_all(self) -> tuple[str, ...]:
        """The addresses, one by one."""
        return tuple(self._text.split())

    def masked(self) -> str:
        """The schemes only."""
        return " ".join(f"{url.partition('://')[0]}://{MASK}" for url in self.reveal_all()) or MASK


class SmtpServer(Value, frozen=True, kw_only=True):
    """Where mail is handed in. ``tls`` True means TLS from the first byte, else STARTTLS."""

    host: str
    port: int
    tls: bool
    user: str | None = None
    password: Secret | None = None


class SmtpUrl(Secret):
    """``smtp://user:password@host:port`` (STARTTLS) or ``smtps://…`` (TLS at once)."""

    __slots__ = ()

    def server(self) -> SmtpServer:
        """Its parts; user and password percent-decoded; port 587, or 465 for smtps."""
        parts = urlsplit(self._text)
        tls = parts.scheme == "smtps"
        return SmtpServer(
            host=parts.hostname or "",
            port=parts.port or (465 if tls else 587),
            tls=tls,
            user=unquote(parts.username) if parts.username else None,
            password=Secret(unquote(parts.password)) if parts.password else None,
        )

    def masked(self) -> str:
        """The address with its password hidden."""
        try:
            parts = urlsplit(self._text)
            user, password, place = parts.username, parts.password, parts.netloc.rpartition("@")[2]
        except ValueError:
            return MASK
        if not place:
            return MASK
        login = f"{user}{f':{MASK}' if password else ''}@" if user else ""
        return f"{parts.scheme}://{login}{place}"
