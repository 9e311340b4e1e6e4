"""``watcher test-channel``: a real message through a real server, and what came of it."""

import asyncio
import sys
from datetime import UTC, datetime

from tests.smtp_server import Mode, smtp_server
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


async def tried(home, name):
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "watcher", "test-channel", name),
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(done.communicate(), 60)
    return done.returncode, out.decode(), err.decode()


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
