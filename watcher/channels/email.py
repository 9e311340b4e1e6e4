"""Mail: one message per recipient, handed to an SMTP server.

Owns the keys of ``[channel.NAME]`` with ``type = "email"``, the session with the server and
what its refusals mean. Must not import other channels, or know how a mail looks (``mime``).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec

from watcher.channels.edge import Edge
from watcher.channels.faults import words_for
from watcher.channels.mime import Envelope, ascii_address, mime_bytes, template_faults
from watcher.config import kinds
from watcher.config.secrets import Secret, SmtpServer, SmtpUrl
from watcher.config.settings import ChannelOptions, Fault
from watcher.config.values import BadValue, Mailbox, split_url
from watcher.errors import SendError
from watcher.model import Message
from watcher.text import clean, clip

if TYPE_CHECKING:
    import aiosmtplib

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?!\d)")
_ABOUT_THE_SENDER = ("5.1.7", "5.1.8")
"""Said to RCPT by servers that delay their judgement of MAIL: no fault of the recipient."""


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

    takes_template: ClassVar[bool] = True

    @property
    def server(self) -> SmtpServer:
        """Where mail is handed in, with the login from wherever it was given."""
        server = self.smtp.server()
        return msgspec.structs.replace(
            server, user=server.user or self.user, password=server.password or self.password
        )

    def faults(self) -> tuple[Fault, ...]:
        """Logins given twice or in halves, an unusual port, an address that no mail would reach
        (without SMTPUTF8 what stands before the @ is ASCII), a template that does not work."""
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
        right = {465: "smtps", 587: "smtp"}.get(self.server.port)
        if right and right != ("smtps" if self.server.tls else "smtp"):
            message = f"port {self.server.port} is that of {right}:// as a rule"
            found.append(Fault(key="smtp", message=message, fatal=False))
        for key, boxes in (("from", (self.from_,)), ("to", self.to)):
            found += [
                Fault(key=key, message=f"{box.address} has letters that mail cannot carry")
                for box in boxes
                if ascii_address(box.address) is None
            ]
        return (*found, *template_faults(self))


class EmailChannel:
    """Hands over one mail at a time; a session with the server serves messages in a row."""

    def __init__(self, name: str, options: EmailOptions, *, edge: Edge | None = None) -> None:
        self.name = name
        self.recipients = tuple(mailbox.address for mailbox in options.to)
        self._options = options
        self._server = options.server
        self._edge = edge or Edge()
        self._envelope = Envelope(channel=name, sender=options.from_, template=options.template)
        self._smtp: aiosmtplib.SMTP | None = None
        self._accepted = False
        """Whether this session has taken a mail for somebody."""
        self._turn = asyncio.Lock()

    @property
    def deadline(self) -> float:
        """Seconds after which a send has surely ended."""
        return self._edge.mail_timeout

    async def send(self, message: Message) -> None:
        """Hand the mail over, or raise ``SendError`` as ``docs/channels.md`` lists.

        ``bad_recipient`` is set only when the server refused the address itself for good.
        """
        recipient = _recipient(message)
        mail = await asyncio.to_thread(mime_bytes, message, self._envelope, now=self._edge.now())
        async with self._turn:
            try:
                async with asyncio.timeout(self._edge.mail_timeout):
                    await self._hand_over(recipient, mail)
            except TimeoutError as exc:
                self._drop_session()
                raise self._lost(exc) from exc
            except SendError as exc:
                if not exc.bad_recipient:
                    self._drop_session()
                raise
            except BaseException:
                self._drop_session()
                raise
            self._accepted = True

    async def _hand_over(self, recipient: str, mail: bytes) -> None:
        import aiosmtplib  # noqa: PLC0415 - see Post._open

        sender = ascii_address(self._envelope.sender.address) or ""
        try:
            smtp = await self._session()
            await smtp.sendmail(sender, [recipient], mail)
        except aiosmtplib.SMTPRecipientsRefused as exc:
            first = exc.recipients[0]
            raise self._refusal(first.code, first.message) from exc
        except aiosmtplib.SMTPResponseException as exc:
            raise self._fault(_stage(exc)) from exc
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as exc:
            raise self._lost(exc) from exc

    async def _session(self) -> aiosmtplib.SMTP:
        """The open session if the server still wants it, else a new one."""
        import aiosmtplib  # noqa: PLC0415

        if self._smtp is not None and self._smtp.is_connected:
            try:
                await self._smtp.rset()
            except (aiosmtplib.SMTPException, OSError):
                self._drop_session()
            else:
                return self._smtp
        self._drop_session()
        self._smtp = smtp = aiosmtplib.SMTP(
            hostname=self._server.host,
            port=self._server.port,
            use_tls=self._server.tls,
            start_tls=False,  # decided below: the library would go on in clear
            timeout=self._edge.mail_timeout,
            tls_context=self._edge.tls,
            local_hostname=_own_name(),
        )
        await smtp.connect()
        await self._secure(smtp)
        await self._log_in(smtp)
        return smtp

    async def _secure(self, smtp: aiosmtplib.SMTP) -> None:
        if self._server.tls:
            return
        await smtp.ehlo()
        if smtp.supports_extension("starttls"):
            await smtp.starttls()
        elif not self._options.allow_plaintext:
            raise self._fault(
                "it does not offer STARTTLS; use smtps:// if it speaks TLS at once, or set "
                "allow_plaintext = true to send in clear"
            )

    async def _log_in(self, smtp: aiosmtplib.SMTP) -> None:
        user, password = self._server.user, self._server.password
        if not user:
            return
        if smtp.get_transport_info("sslcontext") is None:
            raise self._fault("it offers no TLS, and a password never goes in clear")
        await smtp.login(user, password.reveal() if password else "")

    def _fault(self, words: str) -> SendError:
        return SendError(f"mail server {self._server.host}:{self._server.port}: {words}")

    def _lost(self, exc: BaseException) -> SendError:
        return self._fault(words_for(exc, self._edge.mail_timeout) or _said(str(exc)))

    def _refusal(self, code: int, text: str) -> SendError:
        """What a refused RCPT means: the address, or the channel, or just not now."""
        blamed = code >= 500 and self._blames_address(text)
        return SendError(
            f"mail server {self._server.host}:{self._server.port}: "
            f"the recipient was refused: {code} {_said(text)}",
            retryable=not blamed,
            bad_recipient=blamed,
            refused_recipient=not blamed,
        )

    def _blames_address(self, text: str) -> bool:
        enhanced = _ENHANCED.match(text.strip())
        if enhanced is None:
            return self._accepted
        return enhanced[1].startswith("5.1.") and enhanced[1] not in _ABOUT_THE_SENDER

    def _drop_session(self) -> None:
        smtp, self._smtp, self._accepted = self._smtp, None, False
        if smtp is not None:
            smtp.close()

    async def close(self) -> None:
        """Say goodbye to the server, if it still listens."""
        if self._smtp is None:
            return
        import aiosmtplib  # noqa: PLC0415

        async with self._turn:
            if self._smtp is not None and self._smtp.is_connected:
                with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                    await self._smtp.quit(timeout=2)
            self._drop_session()


def _recipient(message: Message) -> str:
    address = ascii_address(message.recipient)
    if address is None:
        raise SendError(
            f"{clip(clean(message.recipient), 80) or 'nobody'}: is no mail address that can be "
            "written to",
            retryable=False,
            bad_recipient=True,
        )
    return address


def _stage(exc: aiosmtplib.SMTPResponseException) -> str:
    if exc.code < 0:
        return "what it speaks is not SMTP"
    stages = {
        "SMTPConnectResponseError": "it does not want us",
        "SMTPHeloError": "EHLO was refused",
        "SMTPAuthenticationError": "the login was refused",
        "SMTPSenderRefused": "the sender was refused",
        "SMTPDataError": "the mail was refused",
    }
    stage = stages.get(type(exc).__name__, "it refused a command")
    return f"{stage}: {exc.code} {_said(exc.message)}"


def _said(text: str) -> str:
    return clip(clean(text), 200)


def _own_name() -> str:
    # The library's default asks the resolver for our own name, which can take seconds.
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"
