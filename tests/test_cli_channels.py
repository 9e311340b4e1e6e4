"""``watcher test-channel``: a real message through a real server, and what came of it."""

import asyncio
import base64
import io
import json
import os
import re
import sys
from datetime import UTC, datetime, timedelta

from rich.console import Console

from tests.smtp_server import Mode, smtp_server
from watcher.cli.sending import _print_lines
from watcher.store import open_records

CONFIG = """\
[watcher]
database = "w.db"
contact = "mailto:me@example.org"

[channel.box]
type = "maildir"
path = "mail"

[channel.mail]
type = "email"
smtp = "smtp://127.0.0.1:{port}"
from = "papers@example.org"
to = ["ada@example.org", "bo@example.org"]
allow_plaintext = true
"""


async def verb(home, *args):
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "watcher", *args),
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(done.communicate(), 60)
    return done.returncode, out.decode(), err.decode()


async def tried(home, name):
    return await verb(home, "test-channel", name)


async def test_a_channel_that_only_readers_subscribe_to_cannot_be_tried(tmp_path):
    config = CONFIG.format(port=1)
    text = re.sub(r"(?m)^to = .*\n", "", config) + "[web]\nsubscribe = 'mail'\n"
    assert text.count("to = ") < config.count("to = ")
    (tmp_path / "config.toml").write_text(text)
    code, out, err = await tried(tmp_path, "mail")
    assert (code, out) == (1, "")
    assert "mail has nobody in `to`, only readers who subscribe" in err


async def test_a_test_message_reaches_every_recipient_and_leaves_no_store(tmp_path):
    async with smtp_server(starttls=False) as server:
        (tmp_path / "config.toml").write_text(CONFIG.format(port=server.port))
        code, out, err = await tried(tmp_path, "mail")
        assert (code, err) == (0, "")
        assert out == (
            "✓ mail to ada@example.org: the test message was accepted\n"
            "✓ mail to bo@example.org: the test message was accepted\n"
        )
        assert len(server.mails) == 2
    assert (await tried(tmp_path, "box"))[0] == 0
    assert len([*(tmp_path / "mail" / "new").iterdir()]) == 1
    assert not (tmp_path / "w.db").exists()


async def test_what_a_listener_receives_is_in_the_pipe_at_once(tmp_path):
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    listener = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "watcher", "webhook-listen", "--port", "0", "--json"),
        env={n: v for n, v in os.environ.items() if n != "PYTHONUNBUFFERED"}
        | {"HOOK_SECRET": secret},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        ready = await asyncio.wait_for(listener.stderr.readline(), 30)
        url = ready.decode().split()[2]
        config = f"""[channel.team]
type = "webhook"
url = "{url}"
secret = "{secret}"
allow_private = true
"""
        (tmp_path / "config.toml").write_text(config)
        assert (await tried(tmp_path, "team"))[0] == 0
        line = await asyncio.wait_for(listener.stdout.readline(), 5)
        assert json.loads(line)["type"] == "test"
    finally:
        listener.terminate()
        await listener.wait()


async def test_an_address_that_bounced_is_named_although_the_test_reaches_it(tmp_path):
    made = open_records(tmp_path / "w.db", create=True, migrate=True)
    with made as records, records.transaction():
        records.standing.suppress("mail", "bo@example.org", "550 no", datetime.now(UTC))
    async with smtp_server(starttls=False) as server:
        (tmp_path / "config.toml").write_text(CONFIG.format(port=server.port))
        code, out, err = await tried(tmp_path, "mail")
    assert (code, out.count("✓")) == (0, 2)
    assert err.startswith("! mail to bo@example.org: nothing else is sent to it since it bounced")
    assert "550 no" in err
    assert err.count("\n") == 1


async def test_a_channel_that_the_config_keeps_off_cannot_be_enabled(tmp_path):
    text = CONFIG.format(port=25).replace('path = "mail"', 'path = "mail"\nenabled = false')
    (tmp_path / "config.toml").write_text(text)
    open_records(tmp_path / "w.db", create=True, migrate=True).close()
    code, out, err = await verb(tmp_path, "channels", "enable", "box")
    assert (code, out) == (1, "")
    assert err == "watcher: [channel.box] has enabled = false in the config; set it to true\n"
    assert (await verb(tmp_path, "channels", "enable", "mail"))[0] == 0


async def test_a_preview_in_a_template_that_is_not_there_says_so(tmp_path):
    text = CONFIG.format(port=25) + 'template = "none.html"\n'
    (tmp_path / "config.toml").write_text(text)
    open_records(tmp_path / "w.db", create=True, migrate=True).close()
    code, out, err = await verb(tmp_path, "digest", "preview", "mail", "--html", "o.html")
    assert (code, out) == (78, "")
    assert f"there is no file {tmp_path / 'none.html'}" in err


def owed_lines(home):
    """A message that is overdue and one that waits for tomorrow."""
    now = datetime.now(UTC)
    with open_records(home / "w.db", create=True, migrate=True) as records:
        with records.transaction():
            for batch, days in (("i:1", -1), ("i:2", 1)):
                due = now + timedelta(days=days)
                records.outbox.open("mail", batch, due_at=due, to=["ada@example.org"], now=now)
        return records.outbox.lines()


async def test_what_is_overdue_is_due(tmp_path):
    (tmp_path / "config.toml").write_text(CONFIG.format(port=25))
    owed_lines(tmp_path)
    out = (await verb(tmp_path, "deliveries"))[1]
    assert "waiting, due " in out
    assert "waiting, next in 23 h" in out


def test_messages_are_readable_on_a_narrow_terminal(tmp_path):
    lines = owed_lines(tmp_path)
    for width in (40, 60, 200):
        out = Console(file=io.StringIO(), width=width)
        _print_lines(out, lines)
        shown = out.file.getvalue()
        for line in lines:
            assert line.key in shown
            assert f"{line.promised_at:%Y-%m-%d %H:%M}" in shown
        assert shown.count("ada@example.org") == 2


async def test_what_a_server_refuses_is_one_line_and_exit_1_or_75(tmp_path):
    async with smtp_server(Mode.NO_RECIPIENT, starttls=False) as server:
        (tmp_path / "config.toml").write_text(CONFIG.format(port=server.port))
        code, out, err = await tried(tmp_path, "mail")
    assert (code, out) == (1, "")
    assert "✗ mail to ada@example.org: " in err
    assert "550 5.1.1 no such user" in err
    code, _, err = await tried(tmp_path, "mail")  # now nobody listens
    assert code == 75
    assert "Traceback" not in err
