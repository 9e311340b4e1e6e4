"""A real SMTP server (aiosmtpd) on loopback that can misbehave in fifteen ways.

``async with smtp_server() as server`` gives a well-behaved one with STARTTLS; set
``server.mode`` at any time, or answers for single recipients in ``server.replies``.
"""

import asyncio
import contextlib
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import Enum
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

from tests.loopback import server_tls


class Mode(Enum):
    """How the server behaves; all but FINE are misbehaviours."""

    FINE = "takes every mail"
    BUSY = "421 instead of a greeting"
    UNWANTED = "554 instead of a greeting"
    BABBLE = "greets in another protocol"
    NO_EHLO = "refuses EHLO and HELO"
    NO_STARTTLS = "does not offer STARTTLS"
    BROKEN_TLS = "offers STARTTLS and then speaks no TLS"
    NO_LOGIN = "refuses the login with 535"
    NO_SENDER = "refuses the sender with 550 5.7.1"
    NO_RECIPIENT = "refuses every recipient with 550 5.1.1"
    GREYLIST = "refuses every recipient with 451"
    POLICY = "refuses every recipient with 550 5.7.1"
    NO_DATA = "refuses the mail with 552 after its end"
    DROP_BEFORE = "hangs up while the mail arrives"
    DROP_AFTER = "takes the mail and hangs up without an answer"
    HANG_UP = "says 421 in the middle and hangs up"
    SILENT = "accepts the connection and says nothing"
    DRIP = "says one byte at a time, for ever"


MISBEHAVIOURS = [mode for mode in Mode if mode is not Mode.FINE]


@dataclass
class Mail:
    """One mail as it arrived."""

    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content())

    @property
    def html(self) -> str:
        part = self.message.get_body(("html",))
        assert part is not None
        return str(part.get_content())


@dataclass
class SmtpServer:
    """What a test sets and what it can look at."""

    mode: Mode = Mode.FINE
    replies: dict[str, str] = field(default_factory=dict)
    """Answer to RCPT per address, where it is not to be accepted."""
    mails: list[Mail] = field(default_factory=list)
    """Taken, also where no answer was given."""
    commands: list[bytes] = field(default_factory=list)
    connections: int = 0
    logins: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    def verbs(self) -> list[str]:
        return [line.split(b" ")[0].split(b":")[0].decode().upper() for line in self.commands]

    # Hooks of aiosmtpd.

    async def handle_MAIL(self, server: Any, *args: Any) -> str:  # noqa: N802
        _, envelope, address, options = args
        if self.mode is Mode.NO_SENDER:
            return "550 5.7.1 we do not relay for you"
        if self.mode is Mode.HANG_UP:
            await server.push("421 4.3.2 going down")
            server.transport.close()
            await asyncio.sleep(60)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: Any, *args: Any) -> str:  # noqa: N802
        _, envelope, address, _ = args
        everybody = {
            Mode.NO_RECIPIENT: "550 5.1.1 no such user",
            Mode.GREYLIST: "451 4.7.1 come back later",
            Mode.POLICY: "550 5.7.1 blocked by policy",
        }
        reply = self.replies.get(address) or everybody.get(self.mode)
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, *args: Any) -> str:  # noqa: N802
        _, envelope = args
        if self.mode is Mode.NO_DATA:
            return "552 5.3.4 too large"
        self.mails.append(Mail(envelope.mail_from, envelope.rcpt_tos, envelope.content))
        if self.mode is Mode.DROP_AFTER:
            server.transport.abort()
            await asyncio.sleep(60)
        return "250 2.0.0 taken"

    def authenticate(self, _server: Any, *args: Any) -> AuthResult:
        _, _, _, data = args
        login, password = data.login.decode(), data.password.decode()
        self.logins.append((login, password))
        return AuthResult(success=self.mode is not Mode.NO_LOGIN, handled=False)


class _Session(SMTP):
    """aiosmtpd's session, with what no hook of it can do."""

    def __init__(self, owner: SmtpServer, tls: ssl.SSLContext | None, **more: Any) -> None:
        super().__init__(
            owner,
            hostname="mail.test",
            ident="test",
            tls_context=tls if owner.mode is not Mode.NO_STARTTLS else None,
            authenticator=owner.authenticate,
            **more,
        )
        self.owner = owner

    async def push(self, status: Any) -> None:
        text = status if isinstance(status, str) else status.decode()
        mode = self.owner.mode
        if text.startswith("220 mail.test"):
            self.owner.connections += 1
            text = await self._greeting(text)
        elif mode is Mode.NO_EHLO and text.startswith("250") and not self.owner.mails:
            text = "550 5.7.1 who are you?"
        if mode is Mode.DRIP:
            await self._drip(text)
        await super().push(text)

    async def _greeting(self, text: str) -> str:
        mode = self.owner.mode
        if mode is Mode.SILENT:
            await asyncio.sleep(60)
        if mode is Mode.BABBLE:
            return "HTTP/1.1 400 Bad Request"
        return {
            Mode.BUSY: "421 4.3.2 too many connections",
            Mode.UNWANTED: "554 5.7.1 you are on a list",
        }.get(mode, text)

    async def _drip(self, text: str) -> None:
        while True:
            self._writer.write(text[:1].encode())
            await self._writer.drain()
            await asyncio.sleep(0.02)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        if self.owner.mode is Mode.BROKEN_TLS:
            await self.push("220 go ahead")
            self._writer.write(b"this is not TLS\r\n" * 10)
            return
        await super().smtp_STARTTLS(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if self.owner.mode is Mode.DROP_BEFORE:
            await self.push("354 go on")
            await self._reader.read(100)
            self.transport.abort()
            await asyncio.sleep(60)
        await super().smtp_DATA(arg)

    def data_received(self, data: bytes) -> None:
        self.owner.commands.append(bytes(data[:512]))
        super().data_received(data)


@contextlib.asynccontextmanager
async def smtp_server(
    mode: Mode = Mode.FINE,
    *,
    starttls: bool = True,
    tls: bool = False,
    login_in_clear: bool = False,
    replies: dict[str, str] | None = None,
    port: int = 0,
) -> AsyncIterator[SmtpServer]:
    """A server on loopback; ``tls`` speaks TLS from the first byte instead of STARTTLS."""
    owner = SmtpServer(mode=mode, replies=replies or {})
    context = server_tls()
    sessions: list[_Session] = []

    def session() -> _Session:
        made = _Session(
            owner,
            context if starttls and not tls else None,
            auth_require_tls=not login_in_clear and not tls,
            loop=asyncio.get_running_loop(),
        )
        sessions.append(made)
        return made

    server = await asyncio.get_running_loop().create_server(
        session, "127.0.0.1", port, ssl=context if tls else None
    )
    owner.port = server.sockets[0].getsockname()[1]
    try:
        yield owner
    finally:
        server.close()
        for one in sessions:
            if one.transport is not None:
                one.transport.abort()
        await asyncio.sleep(0)
