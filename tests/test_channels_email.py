"""Mail: what arrives at a real server, and what each of its refusals means."""

import email
import re
import unicodedata
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.loopback import client_tls
from tests.makers import NOW, digest_of, event, message, paper
from tests.smtp_server import MISBEHAVIOURS, Mode, smtp_server
from watcher.channels.edge import Edge
from watcher.channels.email import EmailChannel, EmailOptions
from watcher.channels.mime import WIRE, Envelope, header_text, mime_bytes
from watcher.config.secrets import Secret, SmtpUrl
from watcher.config.values import Mailbox
from watcher.errors import SendError
from watcher.model import Letter, Links

TRUST = client_tls()
ENVELOPE = Envelope(channel="me", sender=Mailbox(address="papers@example.org", name="Papers"))


def channel(port: int, *, scheme: str = "smtp", login: str = "", seconds=1.0, **fields):
    options = EmailOptions(
        name="me",
        type="email",
        smtp=SmtpUrl(f"{scheme}://{login}localhost:{port}"),
        from_=Mailbox(address="papers@example.org", name="Papers"),
        **fields,
    )
    edge = Edge(now=lambda: NOW, tls=TRUST, mail_timeout=seconds)
    return EmailChannel("me", options, edge=edge)


async def failure(to: EmailChannel, said=None) -> SendError:
    with pytest.raises(SendError) as caught:
        await to.send(said or message())
    return caught.value


def to_address(name: str, **fields):
    return message(recipient=f"{name}@example.org", key=f"msg_{name}", **fields)


# --- sessions ------------------------------------------------------------------------


async def test_a_mail_arrives_by_starttls_with_a_login():
    async with smtp_server() as server:
        to = channel(server.port, login="me:s3cret@")
        await to.send(message())
        await to.close()
    (mail,) = server.mails
    assert mail.sender == "papers@example.org"
    assert mail.recipients == ["reader@example.org"]
    assert server.logins == [("me", "s3cret")]
    assert "Paper number 1" in mail.text
    assert "Paper number 1" in mail.html


async def test_a_mail_arrives_by_tls_from_the_first_byte():
    async with smtp_server(tls=True) as server:
        to = channel(server.port, scheme="smtps", login="me:s3cret@")
        await to.send(message())
        await to.close()
    assert len(server.mails) == 1


async def test_messages_in_a_row_share_a_session_one_mail_each():
    async with smtp_server() as server:
        to = channel(server.port)
        for name in ("ada", "bo", "chi"):
            await to.send(to_address(name))
        await to.close()
    assert server.connections == 1
    assert [mail.recipients for mail in server.mails] == [
        ["ada@example.org"],
        ["bo@example.org"],
        ["chi@example.org"],
    ]
    assert all(mail.message["To"] == mail.recipients[0] for mail in server.mails)


async def test_a_session_the_server_ended_is_opened_again():
    async with smtp_server() as server:
        to = channel(server.port)
        await to.send(message())
        assert to._smtp is not None
        to._smtp.transport.abort()
        await to.send(message())
        await to.close()
        await to.send(message())
        await to.close()
    assert len(server.mails) == 3
    assert server.connections == 3


async def test_without_starttls_nothing_leaves():
    async with smtp_server(starttls=False) as server:
        to = channel(server.port)
        error = await failure(to)
        await to.close()
    assert "does not offer STARTTLS" in str(error)
    assert "allow_plaintext" in str(error)
    assert error.retryable
    assert server.mails == []
    assert "MAIL" not in server.verbs()


async def test_plaintext_needs_to_be_asked_for_and_never_carries_a_password():
    async with smtp_server(starttls=False, login_in_clear=True) as server:
        plain = channel(server.port, allow_plaintext=True)
        await plain.send(message())
        await plain.close()
        assert len(server.mails) == 1
        with_login = channel(server.port, allow_plaintext=True, login="me:s3cret@")
        error = await failure(with_login)
        await with_login.close()
    assert "never goes in clear" in str(error)
    assert "AUTH" not in server.verbs()
    assert not any(b"s3cret" in line for line in server.commands)


async def test_plaintext_allowed_still_prefers_tls():
    async with smtp_server() as server:
        to = channel(server.port, allow_plaintext=True)
        await to.send(message())
        await to.close()
    assert "STARTTLS" in [verb.strip() for verb in server.verbs()]


async def test_a_certificate_of_somebody_else_is_refused():
    async with smtp_server() as server:
        to = EmailChannel(
            "me",
            EmailOptions(
                name="me",
                type="email",
                smtp=SmtpUrl(f"smtp://me:s3cret@localhost:{server.port}"),
                from_=Mailbox(address="papers@example.org"),
            ),
            edge=Edge(mail_timeout=2),
        )
        error = await failure(to)
    assert "certificate is not valid" in str(error)
    assert error.retryable
    assert server.logins == []


async def test_no_error_repeats_the_password():
    async with smtp_server(Mode.NO_LOGIN) as server:
        error = await failure(channel(server.port, login="me:s3cret@"))
    assert "535" in str(error)
    assert "s3cret" not in str(error) + repr(error.__cause__)


# --- refusals ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MISBEHAVIOURS, ids=lambda mode: mode.name)
async def test_every_misbehaviour_is_retried_and_healed(mode):
    """Nothing but an answer about the address itself costs anybody their mail."""
    async with smtp_server(mode) as server:
        to = channel(server.port, login="me:s3cret@", seconds=0.5)
        error = await failure(to)
        assert error.bad_recipient == (mode is Mode.NO_RECIPIENT)
        assert error.retryable == (mode is not Mode.NO_RECIPIENT)
        assert not error.gone
        assert len(str(error)) < 400
        server.mode = Mode.FINE
        await to.send(message())
        await to.close()
    told_twice = 2 if mode is Mode.DROP_AFTER else 1
    assert len(server.mails) == told_twice
    assert len({mail.message["Message-ID"] for mail in server.mails}) == 1
    assert len({mail.raw for mail in server.mails}) == 1


RCPT = [
    ("550 5.1.1 unknown", False, "suppressed"),
    ("550 5.1.2 no such domain", False, "suppressed"),
    ("553 5.1.3 bad syntax", False, "suppressed"),
    ("550 5.1.10 null MX", False, "suppressed"),
    ("550 5.1.7 bad sender", True, "retried"),
    ("550 5.1.8 sender's domain is unknown", True, "retried"),
    ("550 unknown user", False, "retried"),
    ("550 unknown user", True, "suppressed"),
    ("554 5.7.1 blocked", True, "retried"),
    ("552 5.2.2 mailbox full", True, "retried"),
    ("550 5.10.1 no such class", True, "retried"),
    ("450 4.1.1 not yet", True, "retried"),
    ("451 come back", True, "retried"),
    ("421 4.7.0 enough", True, "retried"),
]


@pytest.mark.parametrize(("reply", "others", "fate"), RCPT)
async def test_only_an_answer_about_the_address_suppresses_it(reply, others, fate):
    async with smtp_server(replies={"bo@example.org": reply}) as server:
        to = channel(server.port)
        if others:
            await to.send(to_address("ada"))
        error = await failure(to, to_address("bo"))
        assert ("suppressed" if error.bad_recipient else "retried") == fate
        assert error.retryable != error.bad_recipient
        await to.send(to_address("chi"))
        await to.close()
    assert [mail.recipients for mail in server.mails][-1] == ["chi@example.org"]


async def test_three_recipients_have_three_fates():
    replies = {"bo@example.org": "550 5.1.1 unknown", "chi@example.org": "451 later"}
    fates = {}
    async with smtp_server(replies=replies) as server:
        to = channel(server.port)
        for name in ("ada", "bo", "chi", "dee"):
            try:
                await to.send(to_address(name))
                fates[name] = "sent"
            except SendError as exc:
                fates[name] = "suppressed" if exc.bad_recipient else "retried"
        await to.close()
    assert fates == {"ada": "sent", "bo": "suppressed", "chi": "retried", "dee": "sent"}


async def test_a_server_that_refuses_everybody_suppresses_nobody():
    async with smtp_server(Mode.POLICY) as server:
        to = channel(server.port)
        errors = [await failure(to, to_address(f"r{n}")) for n in range(10)]
        server.mode = Mode.FINE
        for n in range(10):
            await to.send(to_address(f"r{n}"))
        await to.close()
    assert not any(error.bad_recipient for error in errors)
    assert len(server.mails) == 10


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@b@c",
        "a b@example.org",
        "a@exa\r\nmple.org",
        "ä@example.org",
        "a@-",
        "<a@b>",
    ],
)
async def test_what_is_no_address_ends_at_once(address):
    to = channel(1)
    error = await failure(to, message(recipient=address))
    assert error.bad_recipient
    assert not error.retryable


async def test_a_domain_in_another_script_is_written_to():
    async with smtp_server() as server:
        to = channel(server.port)
        await to.send(message(recipient="reader@bücher.example"))
        await to.close()
    assert server.mails[0].recipients == ["reader@xn--bcher-kva.example"]


async def test_nobody_listening_is_named():
    async with smtp_server() as server:
        port = server.port
    error = await failure(channel(port))
    assert "connection refused" in str(error)
    assert error.retryable


# Each row of the documented table, and servers that behave as it says.
ROWS = {
    "anything but a success when connecting, at EHLO, STARTTLS, AUTH, MAIL or DATA": (
        Mode.BUSY,
        Mode.UNWANTED,
        Mode.NO_EHLO,
        Mode.BROKEN_TLS,
        Mode.NO_LOGIN,
        Mode.NO_SENDER,
        Mode.NO_DATA,
    ),
    "4xx to RCPT": (Mode.GREYLIST, "450 4.2.1 later", "421 4.7.0 enough"),
    "5xx to RCPT with an enhanced code 5.1.x": (Mode.NO_RECIPIENT, "553 5.1.3 syntax"),
    "5xx to RCPT without an enhanced code, another recipient accepted": ("550 unknown",),
    "any other 5xx to RCPT": (Mode.POLICY, "552 5.2.2 mailbox full", "550 5.1.8 sender"),
    "STARTTLS is not offered": (Mode.NO_STARTTLS,),
    "the connection is lost after the mail was handed over": (Mode.DROP_AFTER,),
    "an address that is none": ("no address",),
}


def documented_rows() -> dict[str, str]:
    text = (ROOT / "docs" / "channels.md").read_text()
    table = text.partition("<!-- mail failures -->")[2].partition("<!-- end -->")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[3:] if "|" in line]
    return dict(rows)


async def fate_of(behaviour) -> str:
    mode = behaviour if isinstance(behaviour, Mode) else Mode.FINE
    replies = {} if isinstance(behaviour, Mode) else {"bo@example.org": behaviour}
    async with smtp_server(mode, replies=replies) as server:
        to = channel(server.port, login="me:s3cret@")
        if mode is Mode.FINE:
            await to.send(to_address("ada"))
        recipient = "nobody" if behaviour == "no address" else "bo@example.org"
        error = await failure(to, message(recipient=recipient))
        await to.close()
    return "suppressed" if error.bad_recipient else "retried" if error.retryable else "ended"


async def test_every_row_of_the_documented_table_is_what_happens():
    rows = documented_rows()
    assert len(rows) == len(ROWS)
    for said, fate in rows.items():
        (behaviours,) = [kinds for start, kinds in ROWS.items() if said.startswith(start)]
        for behaviour in behaviours:
            assert fate.split(",")[0] == await fate_of(behaviour), said


# --- on the wire ---------------------------------------------------------------------


def mime(said, **fields) -> bytes:
    return mime_bytes(said, ENVELOPE, now=NOW)


def headers_of(raw: bytes) -> list[tuple[str, str]]:
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii")
    lines = re.sub(r"\r\n[ \t]", " ", head).split("\r\n")
    return [tuple(line.split(": ", 1)) for line in lines]  # type: ignore[misc]


NAMES = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "List-Id",
    "List-Unsubscribe",
    "MIME-Version",
    "Content-Type",
]


def test_the_headers_of_a_digest():
    found = dict(headers_of(mime(message(links=Links(unsubscribe="https://p.example.org/u/t")))))
    assert found["From"] == "Papers <papers@example.org>"
    assert found["To"] == "reader@example.org"
    assert found["Date"] == "Sat, 21 Nov 2026 07:00:00 +0000"
    assert found["Message-ID"] == "<msg_0123456789abcdef01234567@example.org>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["List-Id"] == "<me.paper-watcher.example.org>"
    assert found["List-Unsubscribe"] == "<https://p.example.org/u/t>"
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert found["Content-Type"].startswith("multipart/alternative")


async def test_a_long_unsubscribe_address_stays_one_plain_line_on_the_wire():
    link = "https://papers.example.org/unsubscribe/" + "t" * 400
    async with smtp_server() as server:
        to = channel(server.port)
        await to.send(message(links=Links(unsubscribe=link)))
        await to.close()
    raw = server.mails[0].raw
    assert f"List-Unsubscribe: <{link}>\r\n".encode() in raw
    assert b"=?" not in raw.partition(b"List-Unsubscribe")[2].partition(b"\r\n")[0]


def test_without_a_public_address_people_unsubscribe_by_mail():
    found = dict(headers_of(mime(message())))
    assert found["List-Unsubscribe"] == "<mailto:papers@example.org?subject=unsubscribe%20me>"
    assert "List-Unsubscribe-Post" not in found


def test_one_click_is_promised_for_https_only():
    found = dict(headers_of(mime(message(links=Links(unsubscribe="http://localhost:1/u")))))
    assert found["List-Unsubscribe"] == "<http://localhost:1/u>"
    assert "List-Unsubscribe-Post" not in found


def test_a_letter_carries_its_link_and_no_list():
    letter = Letter(
        subject="Please confirm",
        lines=("Somebody asked for digests.",),
        link="https://p.example.org/confirm/t",
        link_text="Confirm",
    )
    raw = mime(message(letter=letter))
    names = [name for name, _ in headers_of(raw)]
    assert "List-Id" not in names
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    for kind in ("plain", "html"):
        assert "https://p.example.org/confirm/t" in parsed.get_body((kind,)).get_content()


def test_the_same_message_gives_the_same_bytes():
    assert mime(message()) == mime(message(attempt=5))


SURPRISES = st.text(
    alphabet=st.one_of(
        st.characters(categories=("Cc", "Cf", "Zl", "Zp", "Zs", "Cs", "Co", "Cn")),
        st.characters(),
        st.sampled_from("\r\n\t\0=?:<>\"'@,;\u202e\u2066\u200d"),
    ),
    max_size=300,
)
NASTY = [
    "A\r\nBcc: everybody@example.org",
    "A\nBcc: x@example.org\n\nbody",
    "=?utf-8?q?=0D=0ABcc=3A_x=40example.org?=",
    "=?utf-8?b?DQpCY2M6IHhAZXhhbXBsZS5vcmc=?=",
    "\u2028Bcc: x@example.org",
    "\x85Bcc: x@example.org",
    "\x00\x1b[31mred",
    "\u202egnp.exe",
    "word " * 2000,
    "x" * 10_000,
    "ü" * 10_000,
    "🦉" * 3_000,
    "a" * 77 + "é",
    " ",
    "",
    "\ud800",
    "Title: with colon",
    ".\r\n.",
    "From here",
]


def check_wire(raw: bytes) -> None:
    names = [name for name, _ in headers_of(raw)]
    assert names == NAMES
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert raw.isascii()
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    subject = str(parsed["Subject"])
    assert len(subject) <= 150
    assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") for c in subject)
    assert not set(subject) & set("\u202e\u2066\u2067\u202d")
    assert parsed["From"].addresses == (
        Address(display_name="Papers", addr_spec="papers@example.org"),
    )
    head = raw.partition(b"\r\n\r\n")[0]
    assert all(len(word) <= 75 for word in re.findall(rb"=\?[^ ]*\?=", head))


@pytest.mark.parametrize("title", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("instant", [True, False])
def test_nasty_titles_break_no_header(title, instant):
    said = message(digest_of(event(1, paper=paper(1, title=title)), instant=instant))
    check_wire(mime(said))


@given(SURPRISES)
@settings(max_examples=120)
def test_no_title_breaks_a_header(title):
    told = event(1, paper=paper(1, title=title, organization=title), reason=title)
    check_wire(mime(message(digest_of(told, instant=True))))


def test_ten_thousand_titles_break_no_header():
    """Every code point up to the astral planes, in titles of 40, as a subject's text."""
    points = [chr(n) for n in range(0x3000)] + [chr(n) for n in range(0xD800, 0x10FFFF, 3)]
    titles = ["".join(points[n::10_000]) + "é" * (n % 90) for n in range(10_000)]
    for title in titles:
        mail = EmailMessage(policy=WIRE)
        mail["Subject"] = header_text(title)
        (line,) = re.findall(rb"^Subject:(?:.*(?:\r\n[ \t].*)*)\r\n\r\n$", mail.as_bytes())
        assert max(map(len, line.split(b"\r\n"))) <= 998
        assert len(header_text(title)) <= 150


@given(SURPRISES)
def test_no_name_of_a_sender_breaks_a_header(name):
    envelope = Envelope(channel=name, sender=Mailbox(address="papers@example.org", name=name))
    raw = mime_bytes(message(), envelope, now=NOW)
    assert [header for header, _ in headers_of(raw)] == NAMES


def test_a_template_of_ones_own_that_fails_sends_ours_and_says_so(tmp_path: Path):
    own = tmp_path / "mail.html.j2"
    own.write_text("{{ mail.nothing.here }}")
    envelope = Envelope(channel="me", sender=Mailbox(address="p@example.org"), template=own)
    parsed = email.message_from_bytes(
        mime_bytes(message(), envelope, now=NOW), policy=email.policy.default
    )
    for kind in ("plain", "html"):
        body = parsed.get_body((kind,)).get_content()
        assert "Paper number 1" in body
        assert "mail.html.j2 failed" in body


def test_a_password_may_stand_beside_the_address():
    options = EmailOptions(
        name="me",
        type="email",
        smtp=SmtpUrl("smtp://user@mail.example.org"),
        password=Secret("pw"),
        from_=Mailbox(address="p@example.org"),
        to=(Mailbox(address="a@example.org"), Mailbox(address="b@example.org")),
    )
    assert EmailChannel("me", options).recipients == ("a@example.org", "b@example.org")
