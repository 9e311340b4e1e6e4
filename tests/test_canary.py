"""Secrets: put into everything that has one, looked for in everything that leaves the process."""

import base64
import re
from pathlib import Path
from urllib.parse import quote

import aiohttp

from tests import lives
from tests.servers import Site, closed_port, page

PASSWORD = "canary-password-7f3a"
HOOK_KEY = base64.b64encode(b"canary-webhook-key-19bd-0123456789").decode()
HOOK_PATH = "canary-hook-path-55e1"
SLACK_PATH = "canary-slack-path-e07c"
BEAT = "canary-heartbeat-3b92"
TOKEN = "canary-web-token-a4d8-0123456789abcdef"
SIGNING = "canary-signing-c6f0-0123456789abcdef"
HUB = "hf_canaryhubtoken81e2"
CANARIES = {PASSWORD, HOOK_KEY, HOOK_PATH, SLACK_PATH, BEAT, TOKEN, SIGNING, HUB}

TABLES = """\
hf_token = "{hub}"

[alert]
heartbeat = "{down}/{beat}?key={beat}"
heartbeat_every = "1s"
allow_private = true

[backup]
[archive]

[channel.mail]
type = "email"
smtp = "smtp://me@127.0.0.1:{closed}"
password = "{password}"
allow_plaintext = true
from = "me@example.org"
to = ["me@example.org"]

[channel.hook]
type = "webhook"
url = "{down}/{hook_path}"
secret = "whsec_{hook_key}"
allow_private = true

[channel.slack]
type = "slack"
url = "{down}/{slack_path}"
allow_private = true

[web]
listen = "127.0.0.1:{web}"
token = "{token}"
secret = "{signing}"

[[rule]]
name = "all"
known = "tell"
channels = ["mail", "hook", "slack"]

[[source]]
name = "broken"
url = "{down}/papers"
every = "1s"
"""


async def test_no_secret_is_in_logs_metrics_pages_files_or_the_process_list(tmp_path):
    async with lives.site() as (_, site), Site(page(b"no", status=500)) as down:
        web = closed_port()
        tables = TABLES.format(
            hub=HUB, down=down.url, beat=BEAT, closed=closed_port(), password=PASSWORD,
            hook_path=HOOK_PATH, hook_key=HOOK_KEY, slack_path=SLACK_PATH, web=web, token=TOKEN,
            signing=SIGNING,
        )  # fmt: skip
        path = lives.config(tmp_path, site.url, tables=tables, watcher='operator = "hook"')
        path.chmod(0o600)
        async with lives.running(path, args=("-vv",)) as life:
            await life.notify.hear("READY=1")
            await life.see("heartbeat_failed")
            await lives.until(lambda: failed_channels(life) >= {"mail", "hook", "slack"})
            await life.see("check_failed", times=3)
            said = await pages_of(f"http://127.0.0.1:{web}")
            said["process list"] = Path(f"/proc/{life.process.pid}/cmdline").read_text()
            life.process.terminate()
            assert await life.end() == 0
            said["log"] = "\n".join(map(str, life.log))
        checked = await lives.start("check-config", "-c", str(path))
        out, err = await checked.communicate()
        said["check-config"] = (out + err).decode()
        assert checked.returncode == 0, said["check-config"]
        asked = " ".join(request.target for request in down.requests)
        assert all(name in asked for name in (HOOK_PATH, SLACK_PATH, BEAT)), "the secrets were used"
    for file in tmp_path.rglob("*"):
        if file.is_file() and file != path:
            said[str(file.relative_to(tmp_path))] = file.read_bytes().decode("latin-1")
    found = {
        (place, canary)
        for place, text in said.items()
        for canary in CANARIES
        for spelling in (canary, quote(canary, safe=""), base64.b64encode(canary.encode()).decode())
        if spelling in text
    }
    assert not found
    assert said["metrics"].count("watcher_") > 20


def failed_channels(life):
    return {line.get("channel") for line in life.events("message_failed")}


async def pages_of(url):
    """Everything the page shows to its owner, without the token that opened it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    said = {}
    async with aiohttp.ClientSession(headers=headers) as session:
        for name in ("metrics", "healthz", "readyz", "", "sources", "channels", "feed.xml"):
            async with session.get(f"{url}/{name}") as answer:
                said[name or "start"] = await answer.text() + str(answer.headers)
        for link in set(re.findall(r'href="(/[^"#?]*)"', said["start"])):
            async with session.get(url + link) as answer:
                said[link] = await answer.text()
    return said
