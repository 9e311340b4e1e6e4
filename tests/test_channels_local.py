"""Ways out that need no account: Maildir, console, Apprise's own test service; the factory."""

import asyncio
import io
import mailbox
import os
import sys
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from tests.makers import NOW, digest_of, event, message, notice, paper
from watcher.channels import CHANNELS, OPTIONS, open_channel
from watcher.channels.apprise import AppriseChannel, AppriseOptions
from watcher.channels.console import ConsoleChannel, ConsoleOptions
from watcher.channels.edge import Edge
from watcher.channels.maildir import MaildirChannel, MaildirOptions
from watcher.channels.receiver import Inspector, Received, listen
from watcher.channels.webhook import WebhookChannel, WebhookOptions
from watcher.config.secrets import Secret, SecretUrl, SecretUrls
from watcher.errors import ConfigError, SendError
from watcher.model import Letter

KEY = "whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


def maildir(path: Path) -> MaildirChannel:
    options = MaildirOptions(name="box", type="maildir", path=path)
    return MaildirChannel("box", options, edge=Edge(now=lambda: NOW))


def mails(path: Path) -> list[EmailMessage]:
    box = mailbox.Maildir(path, create=False)
    return [message_from_bytes(mail.as_bytes(), policy=default) for mail in box]


async def test_a_maildir_gets_the_same_mail_as_an_account(tmp_path):
    to = maildir(tmp_path / "deep" / "box")
    await to.send(message(recipient=""))
    await to.close()
    (mail,) = mails(tmp_path / "deep" / "box")
    assert "Paper number 1" in mail.get_body(("html",)).get_content()
    assert mail["Message-ID"].startswith("<msg_")
    assert not list((tmp_path / "deep" / "box" / "tmp").iterdir())


async def test_a_repeat_appears_once_even_after_it_was_read(tmp_path):
    to = maildir(tmp_path)
    await to.send(message())
    await to.send(message(attempt=2))
    assert len(mails(tmp_path)) == 1
    (new,) = (tmp_path / "new").iterdir()
    new.rename(tmp_path / "cur" / f"{new.name}:2,S")
    await to.send(message(attempt=3))
    assert len(mails(tmp_path)) == 1
    await to.send(message(key="msg_other"))
    assert len(mails(tmp_path)) == 2


async def test_a_folder_that_cannot_be_written_is_retried(tmp_path):
    (tmp_path / "box").write_text("a file")
    with pytest.raises(SendError) as caught:
        await maildir(tmp_path / "box").send(message())
    assert caught.value.retryable
    assert str(tmp_path / "box") in str(caught.value)


def console(stream) -> ConsoleChannel:
    options = ConsoleOptions(name="out", type="console")
    return ConsoleChannel("out", options, edge=Edge(stream=stream))


async def test_the_console_prints_words_and_nothing_that_acts():
    out = io.StringIO()
    hostile = paper(1, title="[bold]x[/bold] \x1b[31mred\x1b]0;title\x07 \u202eabc")
    await console(out).send(message(digest_of(event(1, paper=hostile), notice(2))))
    text = out.getvalue()
    assert "[bold]x[/bold]" in text
    assert not set(text) & set("\x1b\x07\u202e")
    assert "source trending fails" in text


async def test_the_console_prints_letters_and_empty_digests():
    out = io.StringIO()
    letter = Letter(subject="Hello", lines=("One.",), link="https://p.example.org/x")
    await console(out).send(message(letter=letter))
    await console(out).send(message(digest_of(due_at=NOW)))
    assert "https://p.example.org/x" in out.getvalue()
    assert "nothing new, all quiet" in out.getvalue()


async def test_a_closed_stream_is_a_failure_like_any_other():
    out = io.StringIO()
    out.close()
    with pytest.raises(SendError):
        await console(out).send(message())


async def test_apprise_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    options = AppriseOptions(name="a", type="apprise", url=SecretUrls("json://localhost"))
    with pytest.raises(SendError, match="paper-watcher\\[apprise\\]"):
        await AppriseChannel("a", options).send(message())


ancient = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what it imports


@ancient
async def test_apprise_hands_over_plain_text():
    pytest.importorskip("apprise")
    taken = asyncio.Queue()

    async def talk(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await taken.put(await reader.readexactly(size))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = AppriseOptions(
        name="a", type="apprise", url=SecretUrls(f"json://127.0.0.1:{port}/secret")
    )
    async with server:
        await AppriseChannel("a", options).send(message())
    assert b"Paper number 1" in taken.get_nowait()


@ancient
async def test_apprise_failures_are_retried_and_unknown_services_end():
    pytest.importorskip("apprise")
    for url, retryable in (("json://127.0.0.1:1/secret", True), ("nosuch://x/secret", False)):
        options = AppriseOptions(name="a", type="apprise", url=SecretUrls(url))
        with pytest.raises(SendError) as caught:
            await AppriseChannel("a", options).send(message())
        assert caught.value.retryable == retryable
        assert "secret" not in str(caught.value)


def test_every_type_has_options_and_a_channel():
    assert set(CHANNELS) == set(OPTIONS)
    opened = open_channel("out", ConsoleOptions(name="out", type="console"))
    assert isinstance(opened, ConsoleChannel)
    assert opened.deadline > 0


# --- the receiver for people who write consumers -------------------------------------


async def test_the_receiver_shows_what_is_genuine_and_refuses_the_rest():
    shown: list[Received] = []
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(listen(0, Secret(KEY), shown.append, on_ready=port.set_result))
    url = f"http://127.0.0.1:{await port}/any/path"

    def channel(secret: str) -> WebhookChannel:
        options = WebhookOptions(
            name="t", type="webhook", url=SecretUrl(url), secret=Secret(secret), allow_private=True
        )
        return WebhookChannel("t", options)

    good, bad = channel(KEY), channel("whsec_" + "QkJC" * 8)
    await good.send(message())
    await good.send(message(attempt=2))
    with pytest.raises(SendError, match="401"):
        await bad.send(message())
    await good.close()
    await bad.close()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [one.repeat for one in shown] == [False, True, False]
    assert shown[0].body["data"]["events"][0]["id"] == event().id
    assert "not genuine" in shown[2].problem


@pytest.mark.parametrize(
    ("headers", "raw"),
    [
        ({}, b"{}"),
        ({"webhook-id": "a", "webhook-timestamp": "x", "webhook-signature": "v1"}, b"{}"),
        ({"webhook-id": "a", "webhook-timestamp": "nan", "webhook-signature": "v1,"}, b"\xff"),
        ({"webhook-id": "a", "webhook-timestamp": "1e99", "webhook-signature": ",,"}, b""),
    ],
)
def test_the_receiver_survives_whatever_is_sent(headers, raw):
    assert Inspector(Secret(KEY)).inspect(headers, raw).problem


def test_the_receiver_says_when_its_secret_is_none():
    with pytest.raises(ConfigError):
        Inspector(Secret("whsec_"))


async def test_a_reader_of_the_console_that_is_gone_is_no_end_of_the_process(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    options = ConsoleOptions(name="out", type="console")
    # A real one: rich lets nothing go to it any more before it ends the process.
    with os.fdopen(os.dup(1), "w") as stdout, os.fdopen(write, "w", buffering=1) as stream:
        monkeypatch.setattr(sys, "stdout", stdout)
        channel = ConsoleChannel("out", options, edge=Edge(stream=stream))
        with pytest.raises(SendError, match="nobody reads"):
            await channel.send(message())
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)
