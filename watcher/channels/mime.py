"""A message as MIME: headers that no title can break, text and HTML side by side.

Owns headers, Message-ID and encodings; used by mail and Maildir. Must not connect, choose
words (``watcher.view``) or set them (``watcher.render``).
"""

from __future__ import annotations

import re
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

from watcher.config.settings import ChannelOptions, Fault
from watcher.config.values import Mailbox
from watcher.errors import ConfigError
from watcher.model import Message, Value
from watcher.text import clean, clip
from watcher.view import View, view_of

SUBJECT_LIMIT = 150
LINE_LIMIT = 998
"""Bytes of a header line, RFC 5322 section 2.1.1."""


class _Wire(EmailPolicy):
    """The SMTP policy, but ASCII headers stay on one line.

    Folding turns an address of more than 77 characters into an encoded word, which breaks
    one-click unsubscribing, and leaves an empty first line before a long subject. Other
    headers are folded, so that no encoded word is longer than RFC 2047 allows.
    """

    def fold(self, name: str, value: str) -> str:
        line = f"{name}: {value}"
        if line.isascii() and len(line) <= LINE_LIMIT:
            return line + self.linesep
        if name == "Subject":  # the newer code makes encoded words of more than 75 characters
            coded = Header(str(value), "utf-8", header_name=name, maxlinelen=75).encode()
            return f"{name}: {coded}\n".replace("\n", self.linesep)
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii", "replace")


WIRE = _Wire(linesep="\r\n", max_line_length=78, cte_type="7bit")


class Envelope(Value, frozen=True, kw_only=True):
    """Who a channel's mail comes from, and how it looks."""

    channel: str
    sender: Mailbox
    template: Path | None = None
    contact: str | None = None
    """Where to write in order to unsubscribe without a public URL; None: the sender."""


def template_faults(options: ChannelOptions) -> tuple[Fault, ...]:
    """What is wrong with a channel's own template; its absence is noticed elsewhere."""
    if options.template is None or not options.template.is_file():
        return ()
    from watcher.render import check_template  # noqa: PLC0415 - see there

    try:
        check_template(options.template)
    except ConfigError as exc:
        return (Fault(key="template", message=f"cannot be used: {exc}"),)
    return ()


def mime_bytes(message: Message, envelope: Envelope, *, now: datetime) -> bytes:
    """The mail as it goes over the wire: ASCII lines of at most 998 bytes, CRLF.

    The same message gives the same bytes (but for the boundary) in every attempt; ``now``
    dates letters, which have no time of their own.
    """
    from watcher.render import render  # noqa: PLC0415 - see there

    view = view_of(message)
    body = render(view, envelope.template)
    mail = EmailMessage(policy=WIRE)
    _set_headers(mail, message, envelope, view=view, now=now)
    mail.set_content(body.text, cte="quoted-printable")
    mail.add_alternative(body.html, subtype="html", cte="quoted-printable")
    mail.set_boundary(f"=_{_token(message.key)}_=")
    return mail.as_bytes(policy=WIRE)


def _set_headers(
    mail: EmailMessage, message: Message, envelope: Envelope, *, view: View, now: datetime
) -> None:
    sender = envelope.sender
    mail["From"] = _address(sender.address, sender.name)
    mail["To"] = _address(message.recipient or sender.address)
    mail["Subject"] = header_text(view.subject) or "Paper watcher"
    mail["Date"] = format_datetime(message.digest.composed_at if message.digest else now)
    mail["Message-ID"] = message_id(message.key, sender.address)
    mail["Auto-Submitted"] = "auto-generated"
    if not view.is_letter:
        mail["List-Id"] = _list_id(envelope)
        for name, value in _unsubscribe(message, envelope):
            mail[name] = value


def header_text(text: str) -> str:
    """A subject or name: one line, nothing invisible, at most 150 characters.

    What looks like an encoded word would be decoded by the header's reader, so it is broken.
    """
    return clip(clean(text).replace("=?", "= ?"), SUBJECT_LIMIT)


def message_id(key: str, sender: str) -> str:
    """``<key@domain of the sender>``: the same in every attempt."""
    return f"<{_token(key)}@{_ascii_domain(sender)}>"


_DOMAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")


def ascii_address(address: str) -> str | None:
    """The address as it goes over the wire, its domain in ASCII; None when it is none."""
    local, at, domain = address.strip().rpartition("@")
    try:
        wire = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    if not at or not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(wire):
        return None
    return f"{local}@{wire}"


def _address(address: str, name: str = "") -> Address:
    local = address.rpartition("@")[0]
    return Address(display_name=header_text(name), username=local, domain=_ascii_domain(address))


def _token(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text).strip(".") or "message"


def _ascii_domain(address: str) -> str:
    domain = address.rpartition("@")[2]
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return "localhost"


def _list_id(envelope: Envelope) -> str:
    # RFC 2919: a name in our own domain that stays the same over the years.
    return f"<{_token(envelope.channel)}.paper-watcher.{_ascii_domain(envelope.sender.address)}>"


def _unsubscribe(message: Message, envelope: Envelope) -> list[tuple[str, str]]:
    link = message.links.unsubscribe
    if link and link.isascii() and link.startswith(("https://", "http://")):
        headers = [("List-Unsubscribe", f"<{link}>")]
        if link.startswith("https://"):  # RFC 8058 asks for https
            headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
        return headers
    target = envelope.contact or envelope.sender.address
    subject = quote(clean(f"unsubscribe {envelope.channel}"))
    return [("List-Unsubscribe", f"<mailto:{quote(target, safe='@+')}?subject={subject}>")]
