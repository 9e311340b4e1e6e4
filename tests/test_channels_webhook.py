"""Webhooks: what is posted, how it is signed, and what each answer means."""

import asyncio
import base64
import hmac
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.conftest import ROOT
from tests.loopback import client_tls, raw_server, receiver, server_tls
from tests.makers import NOW, digest_of, event, message, notice, paper, rising
from watcher import guard
from watcher.channels.edge import Edge
from watcher.channels.post import READ_LIMIT, retry_after
from watcher.channels.webhook import LIMIT, WebhookChannel, WebhookOptions, body_of
from watcher.config.secrets import Secret, SecretUrl
from watcher.digest import Frame, compose
from watcher.errors import SendError
from watcher.model import Condition, Counts, Letter

KEY = base64.b64encode(bytes(range(32))).decode()
TRUST = client_tls()
OLD_KEY = base64.b64encode(bytes(range(32, 64))).decode()


def channel(url: str, *, edge: Edge | None = None, **fields) -> WebhookChannel:
    options = WebhookOptions(
        name="team",
        type="webhook",
        url=SecretUrl(url),
        secret=Secret(f"whsec_{KEY}"),
        **{"allow_private": True, **fields},
    )
    return WebhookChannel("team", options, edge=edge or Edge(now=lambda: NOW, tls=TRUST))


async def failure(url: str, *, edge: Edge | None = None, **fields) -> SendError:
    """The error that a message to this address ends with."""
    to = channel(url, edge=edge, **fields)
    with pytest.raises(SendError) as caught:
        await to.send(message())
    await to.close()
    assert "hook" not in str(caught.value)  # the path works like a password
    return caught.value


@asynccontextmanager
async def sent(said=None, **fields):
    """What arrived at a receiver for one message."""
    async with receiver(status=204) as there:
        to = channel(there.url, **fields)
        await to.send(said or message())
        await to.close()
        yield there.requests[0]


# --- what is posted ------------------------------------------------------------------


async def test_the_signed_bytes_are_the_bytes_that_arrive():
    said = message(digest_of(event(1, paper=paper(1, title="Größe “∑” 🦉"))))
    now = datetime.now(UTC)
    async with sent(said, edge=Edge(now=lambda: now)) as (headers, body):
        assert Webhook(KEY).verify(body, headers) == json.loads(body)
        assert headers["webhook-id"] == said.key == json.loads(body)["id"]
        assert headers["content-type"] == "application/json"
        assert headers["user-agent"].startswith("paper-watcher/")
        assert "cookie" not in headers


@given(st.binary(min_size=24, max_size=64), st.text(max_size=200))
def test_signatures_equal_a_plain_hmac(secret, title):
    key = base64.b64encode(secret).decode()
    options = WebhookOptions(
        name="t", type="webhook", url=SecretUrl("https://x.example/"), secret=Secret(key)
    )
    said = message(digest_of(event(1, paper=paper(1, title=title))))
    body = body_of(said, NOW)
    headers = WebhookChannel("t", options)._headers(said.key, body, NOW)
    signed = f"{said.key}.{int(NOW.timestamp())}.".encode() + body
    expected = base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


async def test_while_a_secret_is_changed_both_sign():
    now = datetime.now(UTC)
    edge = Edge(now=lambda: now)
    async with sent(edge=edge, previous_secret=Secret(f"whsec_{OLD_KEY}")) as (headers, body):
        Webhook(KEY).verify(body, headers)
        Webhook(OLD_KEY).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(base64.b64encode(b"x" * 32).decode()).verify(body, headers)


async def test_a_retry_says_the_same_under_the_same_id_with_a_new_timestamp():
    times = iter([NOW, NOW + timedelta(hours=2)])
    async with receiver() as there:
        to = channel(there.url, edge=Edge(now=lambda: next(times)))
        await to.send(message())
        await to.send(message(attempt=2))
        await to.close()
    (first, first_body), (second, second_body) = there.requests
    assert first_body == second_body
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 7200
    assert first["webhook-signature"] != second["webhook-signature"]


def body(said) -> dict:
    return json.loads(body_of(said, NOW))


def test_a_single_event_gives_its_type_and_several_are_a_digest():
    assert body(message(digest_of(rising(1))))["type"] == "paper.rising"
    assert body(message(digest_of(notice(1))))["type"] == "source.failing"
    assert body(message(digest_of(rising(1), event(2))))["type"] == "digest"
    assert body(message(digest_of()))["type"] == "digest"


def test_the_body_has_the_documented_shape():
    said = body(message(digest_of(rising(7))))
    assert list(said) == ["id", "type", "timestamp", "data"]
    assert said["timestamp"] == "2026-11-21T07:00:00Z"
    assert list(said["data"]) == ["events", "cut", "cursor"]
    (told,) = said["data"]["events"]
    assert " ".join(told) == "cursor id type at rule paper counts reason conditions"
    assert told["paper"] == {
        "paper_id": "2611.00007",
        "title": "Paper number 7",
        "url": "https://huggingface.co/papers/2611.00007",
    }
    assert told["counts"] == {"upvotes": 17, "comments": None, "stars": None}
    assert told["conditions"] == [
        {
            "name": "multiplier",
            "value": "3.4 × papers of its age, lower bound 2.6",
            "need": "2.0",
            "ok": True,
        }
    ]


def test_a_paper_of_several_rules_is_one_event_with_all_ids_and_reasons():
    same = paper(1)
    said = body(
        message(
            digest_of(
                event(1, paper=same, rule="a", strength=1),
                event(2, paper=same, rule="b", strength=2),
            )
        )
    )
    (told,) = said["data"]["events"]
    assert told["id"] == event(2).id
    assert told["event_ids"] == [event(2).id, event(1).id]
    assert told["reasons"] == ["b: reason 2", "a: reason 1"]


def test_large_batches_stay_under_the_limit_and_nothing_is_lost_from_the_count():
    long = Condition(name="query", value="x" * 200, need="y" * 200, ok=True)
    events = [event(n, conditions=(long,), strength=-n) for n in range(1, 201)]
    said = message(digest_of(*events, max_papers=150))
    raw = body_of(said, NOW)
    data = json.loads(raw)["data"]
    assert len(raw) < LIMIT
    assert len(data["events"]) > 20
    assert len(data["events"]) + data["cut"] == 200
    told = {e["cursor"] for e in data["events"]}
    assert all(n in told or n > data["cursor"] for n in range(1, 201))


def test_no_event_of_a_paper_that_does_not_fit_lies_before_the_cursor():
    long = Condition(name="query", value="x" * 200, need="y" * 200, ok=True)
    weakest = {"paper": paper(99), "conditions": (long,)}
    events = [
        event(1, rule="a", strength=-2, **weakest),
        *(event(n, strength=99 - n, conditions=(long,)) for n in range(2, 32)),
        event(32, rule="b", strength=-1, **weakest),
    ]
    data = body(message(digest_of(*events)))["data"]
    assert data["cut"]
    told = {name for e in data["events"] for name in e.get("event_ids", [e["id"]])}
    assert [e.cursor for e in events if e.id not in told and e.cursor <= data["cursor"]] == []


def test_one_enormous_event_is_shortened():
    huge = event(
        1,
        paper=paper(1, title="word " * 10_000),
        reason="why " * 5_000,
        conditions=tuple(Condition(name="n", value="v" * 99, need="", ok=None) for _ in range(300)),
    )
    raw = body_of(message(digest_of(huge)), NOW)
    assert len(raw) < LIMIT
    (told,) = json.loads(raw)["data"]["events"]
    assert told["id"] == huge.id
    assert told["paper"]["title"].endswith("…")


def test_a_test_letter_is_posted_as_a_test():
    said = body(message(letter=Letter(subject="Test", lines=("It works.",))))
    assert said["type"] == "test"
    assert said["data"] == {"events": [], "cut": 0, "cursor": 0, "text": ["Test", "It works."]}


# --- what answers mean ---------------------------------------------------------------

DOCUMENTED = re.compile(r"^\| `(?P<codes>[^`]+)` \| (?P<fate>\w+)", re.MULTILINE)


def documented_fates() -> dict[str, str]:
    text = (ROOT / "docs" / "channels.md").read_text()
    table = text.partition("<!-- webhook statuses -->")[2].partition("<!-- end -->")[0]
    return {m["codes"]: m["fate"] for m in DOCUMENTED.finditer(table)}


def fate_of(error: SendError | None) -> str:
    if error is None:
        return "sent"
    if error.gone:
        return "gone"
    return "retried" if error.retryable else "ended"


def expected_fate(status: int) -> str:
    fates = documented_fates()
    if str(status) in (codes := {c: f for k, f in fates.items() for c in k.split()}):
        return codes[str(status)]
    return codes[f"{status // 100}xx"]


@pytest.mark.parametrize("status", range(200, 600))
async def test_every_status_ends_as_the_documented_table_says(status):
    error = None
    with respx.mock(using="httpx") as mock:
        route = mock.post("https://example.org/hook").respond(status)
        to = channel("https://example.org/hook", allow_private=False)
        try:
            await to.send(message())
        except SendError as exc:
            error = exc
        await to.close()
    assert route.call_count == 1
    assert fate_of(error) == expected_fate(status)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("9999999", 86_400.0),
        ("Sat, 21 Nov 2026 07:10:00 GMT", 600.0),
        ("Sat, 21 Nov 2026 06:10:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("", None),
        ("Sat, 99 Nov 2026 07:10:00 GMT", None),
        ("Sat, 21 Nov 20260000000000000000 07:10:00 GMT", None),
    ],
)
async def test_retry_after_is_read_in_both_forms(value, seconds):
    assert retry_after({"retry-after": value}, NOW) == seconds
    with respx.mock(using="httpx") as mock:
        mock.post("https://example.org/hook").respond(503, headers={"Retry-After": value})
        error = await failure("https://example.org/hook", allow_private=False)
    assert error.retry_after == seconds


@given(st.text(max_size=30))
def test_no_value_of_retry_after_breaks_anything(value):
    seconds = retry_after({"retry-after": value}, NOW)
    assert seconds is None or 0 <= seconds <= 86_400


async def test_redirects_are_not_followed():
    async with (
        receiver() as inside,
        receiver(status=307, headers={"Location": inside.url}) as there,
    ):
        error = await failure(there.url)
        assert "redirects are not followed" in str(error)
        assert error.retryable
        assert inside.requests == []


async def test_answers_are_not_echoed_and_only_their_beginning_is_read():
    read = 0

    async def endless(reader, writer):
        nonlocal read
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 secret-reason\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"internal secret " * 256)
            read += 4096
            await writer.drain()

    async with raw_server(endless) as port:
        error = await failure(f"http://127.0.0.1:{port}/hook")
    assert "secret" not in str(error)
    assert READ_LIMIT == 4096
    assert read < 8_000_000  # what the sockets' buffers hold, not the endless rest


async def test_cookies_and_proxies_of_the_surroundings_are_ignored(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    async with receiver(headers={"Set-Cookie": "a=b"}) as there:
        to = channel(there.url)
        await to.send(message())
        await to.send(message())
        await to.close()
    assert len(there.requests) == 2
    assert all("cookie" not in headers for headers, _ in there.requests)


async def test_sending_again_after_close_opens_a_new_client():
    async with receiver() as there:
        to = channel(there.url)
        await to.send(message())
        await to.close()
        await to.send(message())
        await to.close()
    assert len(there.requests) == 2


# --- failures without an answer ------------------------------------------------------


def short(seconds: float = 0.2) -> Edge:
    return Edge(now=lambda: NOW, timeout=seconds)


async def test_a_refused_connection_is_named_and_retried():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        error = await failure(f"http://127.0.0.1:{held.getsockname()[1]}/hook")
    assert "connection refused" in str(error)
    assert error.retryable


async def test_an_unknown_host_is_named_and_retried():
    error = await failure("https://no-such-host.invalid/hook", allow_private=False)
    assert "host name was not found" in str(error)
    assert error.retryable


async def test_silence_ends_by_the_total_time():
    async def silent(reader, writer):
        await asyncio.sleep(60)

    async with raw_server(silent) as port:
        error = await failure(f"http://127.0.0.1:{port}/hook", edge=short())
    assert "no complete answer within 0.2 s" in str(error)
    assert error.retryable


async def test_a_dripping_answer_ends_by_the_total_time():
    async def drip(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with raw_server(drip) as port:
        error = await failure(f"http://127.0.0.1:{port}/hook", edge=short())
    assert "no complete answer" in str(error)


async def test_a_reset_is_named_and_retried():
    async def reset(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()

    async with raw_server(reset) as port:
        error = await failure(f"http://127.0.0.1:{port}/hook")
    assert "closed before an answer" in str(error)
    assert error.retryable


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n"])
async def test_what_is_no_http_is_named_and_retried(answer):
    async def babble(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with raw_server(babble) as port:
        error = await failure(f"http://127.0.0.1:{port}/hook")
    assert re.search("not HTTP|closed before", str(error))
    assert error.retryable


async def test_an_untrusted_certificate_is_named_and_retried():
    async def never(reader, writer):
        raise AssertionError("spoke to a server with an untrusted certificate")

    async with raw_server(never, server_tls()) as port:
        error = await failure(f"https://localhost:{port}/hook", edge=Edge(now=lambda: NOW))
    assert "certificate is not valid" in str(error)
    assert error.retryable


async def test_a_trusted_certificate_is_spoken_to():
    async def fine(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        await reader.readexactly(size)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async with raw_server(fine, server_tls()) as port:
        to = channel(f"https://localhost:{port}/hook", edge=Edge(now=lambda: NOW, tls=client_tls()))
        await to.send(message())
        await to.close()


async def test_plain_http_where_tls_is_expected_is_named():
    async def plain(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with raw_server(plain) as port:
        error = await failure(f"https://localhost:{port}/hook")
    assert "TLS failed" in str(error)
    assert error.retryable


# --- the guard -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "0"],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_private_addresses_are_refused_for_good(scheme, host):
    async def never(reader, writer):
        raise AssertionError("a private address was connected to")

    async with raw_server(never) as port:
        error = await failure(f"{scheme}://{host}:{port}/hook", allow_private=False)
    assert not error.retryable
    assert not error.gone


async def test_a_name_that_leads_inside_is_refused_when_connecting():
    """The guard sees the address, not the name: no check of the text could know this one."""
    reached = []

    async def note(reader, writer):
        reached.append(1)

    async with raw_server(note) as port:
        edge = Edge(now=lambda: NOW, socket_factory=guard.socket_factory(ports=None))
        error = await failure(f"http://localhost:{port}/hook", edge=edge)
    assert "may not be connected to" in str(error)
    assert not error.retryable
    assert reached == []


# --- documents -----------------------------------------------------------------------


def snippet(language: str) -> str:
    text = (ROOT / "docs" / "webhooks.md").read_text()
    return re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)[1]


def form_of(value):
    """Keys, types and the form of times, but no values."""
    if isinstance(value, dict):
        return {key: form_of(part) for key, part in value.items()}
    if isinstance(value, list):
        return [form_of(part) for part in value]
    is_time = isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value)
    return re.sub(r"\d", "0", value) if is_time else type(value).__name__


def test_the_documented_body_has_the_form_of_what_arrives():
    now = NOW.replace(microsecond=204_518)  # a clock is hardly ever at a whole second
    one = rising(1, at=now, counts=Counts(upvotes=142, comments=8))
    real = body(message(compose([one], Frame(), now)))
    assert form_of(json.loads(snippet("json"))) == form_of(real)


def test_an_event_that_others_were_cut_beside_is_a_digest():
    assert body(message(digest_of(event(1), event(2), max_papers=1)))["type"] == "digest"


def run_snippet(command: list[str], code: str, tmp_path: Path, suffix: str) -> None:
    """The snippet defines ``verify``; good bytes pass it and changed ones do not."""
    said = message(digest_of(event(1, paper=paper(1, title="Größe 🦉"))))
    raw = body_of(said, NOW)
    now = datetime.now(UTC)
    options = WebhookOptions(
        name="t", type="webhook", url=SecretUrl("https://x.example/"), secret=Secret(KEY)
    )
    headers = WebhookChannel("t", options)._headers(said.key, raw, now)
    stale = WebhookChannel("t", options)._headers(said.key, raw, now - timedelta(minutes=10))
    cases = [
        (raw, headers, True),
        (raw.replace(b"Paper", b"Papet") + b" ", headers, False),
        (raw, {**headers, "webhook-id": "msg_other"}, False),
        (raw, {**headers, "webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}, True),
        (raw, stale, False),
        (raw, {}, False),
        (raw, {**headers, "webhook-signature": "v1,é \udce9"}, False),
        (raw, {**headers, "webhook-timestamp": "9" * 400}, False),
    ]
    (tmp_path / "cases.json").write_text(
        json.dumps([[base64.b64encode(b).decode(), h, ok] for b, h, ok in cases])
    )
    path = tmp_path / f"snippet{suffix}"
    path.write_text(code)
    done = subprocess.run(
        [*command, str(path)],
        cwd=tmp_path,
        env={**os.environ, "WHSEC": f"whsec_{KEY}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ok"


PYTHON_CASES = """
import base64, json, os
for body, headers, good in json.load(open("cases.json")):
    try:
        verify(base64.b64decode(body), headers, os.environ["WHSEC"])
        passed = True
    except ValueError:
        passed = False
    assert passed == good, headers
print("ok")
"""

NODE_CASES = """
const fs = require("node:fs");
for (const [body, headers, good] of JSON.parse(fs.readFileSync("cases.json", "utf8"))) {
  let passed = true;
  try { verify(Buffer.from(body, "base64"), headers, process.env.WHSEC); }
  catch { passed = false; }
  if (passed !== good) { console.error(headers); process.exit(1); }
}
console.log("ok");
"""


def test_the_python_snippet_verifies(tmp_path):
    run_snippet([sys.executable], snippet("python") + PYTHON_CASES, tmp_path, ".py")


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_the_node_snippet_verifies(tmp_path):
    run_snippet(["node"], snippet("js") + NODE_CASES, tmp_path, ".cjs")
