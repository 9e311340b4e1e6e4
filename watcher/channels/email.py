"""Mail: the options of an email channel.

Owns the keys of ``[channel.NAME]`` with ``type = "email"``. Must not import other channels.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from watcher.config import kinds
from watcher.config.secrets import Secret, SmtpServer, SmtpUrl
from watcher.config.settings import ChannelOptions, Fault
from watcher.config.values import BadValue, Mailbox, split_url


def _smtp(text: str) -> None:
    parts = split_url(text, ("smtp", "smtps"), "smtp://user@host:587")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise BadValue("needs smtp://user@host:587, with nothing after the port")


SMTP = kinds.secret(
    "smtp: or smtps: address",
    SmtpUrl,
    _smtp,
    inline=lambda url: url.server().password is not None,
)


class EmailOptions(ChannelOptions, frozen=True, kw_only=True):
    """Digests and alerts by mail."""

    smtp: Annotated[
        SmtpUrl,
        SMTP,
        "the server: `smtp://user@host:587` demands STARTTLS, `smtps://user@host:465` speaks TLS "
        "at once; without user or password there is no login",
    ]
    user: Annotated[str | None, "the login, if it does not stand in `smtp`"] = None
    password: Annotated[Secret | None, "the password, if it does not stand in `smtp`"] = None
    from_: Annotated[Mailbox, "who the mail comes from"] = msgspec.field(name="from")
    to: Annotated[
        tuple[Mailbox, ...],
        "who gets it, one message each; may be absent on the channel of `[web] subscribe`",
    ] = ()
    allow_plaintext: Annotated[
        bool, "let mail leave without TLS, when the server offers none; never a password"
    ] = False

    @property
    def server(self) -> SmtpServer:
        """Where mail is handed in, with the login from wherever it was given."""
        server = self.smtp.server()
        return msgspec.structs.replace(
            server, user=server.user or self.user, password=server.password or self.password
        )

    def faults(self) -> tuple[Fault, ...]:
        """Logins given twice or in halves."""
        given = self.smtp.server()
        found = [
            Fault(key=key, message="stands in smtp already; keep one")
            for key in ("user", "password")
            if getattr(given, key) and getattr(self, key)
        ]
        if self.server.user and not self.server.password:
            found.append(Fault(key="smtp", message="has a user but no password", fatal=False))
        if self.server.password and not self.server.user:
            found.append(Fault(key="smtp", message="has a password but no user", fatal=False))
        return tuple(found)
