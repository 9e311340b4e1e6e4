"""Delivering through real servers that misbehave: nothing lost, nothing sent twice without need."""

import shutil
from datetime import time, timedelta

import pytest
from aiohttp import web

from tests.loopback import client_tls, receiver
from tests.makers import NOW
from tests.postbox import Obedient, Post, plan, with_outlet
from tests.servers import FakeClock, closed_port, reset, silence
from tests.servers import Site as RawSite
from tests.smtp_server import MISBEHAVIOURS, Mode, smtp_server
from watcher.channels.edge import Edge
from watcher.channels.email import EmailChannel, EmailOptions
from watcher.channels.webhook import WebhookChannel, WebhookOptions
from watcher.config.secrets import Secret, SecretUrl, SmtpUrl
from watcher.config.values import EVERY_DAY, Mailbox, Weekday
from watcher.model import EventType, MessageState
from watcher.store import open_records

SECRET = Secret("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
TRUST = client_tls()


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    path = tmp_path_factory.mktemp("servers") / "empty.db"
    open_records(path, create=True, migrate=True).close()
    return path


@pytest.fixture
def path(tmp_path, empty):
    return shutil.copy(empty, tmp_path / "w.db")


def mail(port: int, clock: FakeClock) -> EmailChannel:
    options = EmailOptions(
        name="me",
        type="email",
        smtp=SmtpUrl(f"smtp://me:s3cret@localhost:{port}"),
        from_=Mailbox(address="papers@example.org"),
    )
    return EmailChannel("me", options, edge=Edge(now=clock.now, tls=TRUST, mail_timeout=0.5))


def webhook(url: str, clock: FakeClock) -> WebhookChannel:
    options = WebhookOptions(
        name="me", type="webhook", url=SecretUrl(url), secret=SECRET, allow_private=True
    )
    return WebhookChannel("me", options, edge=Edge(now=clock.now, timeout=0.5))


READERS = with_outlet(
    plan("me", "other", operators=("other",), wants={"alignment": ("me",)}),
    "me",
    to=("a@example.org", "b@example.org"),
)
ABOUT_THE_ADDRESS = {Mode.NO_RECIPIENT}
TAKEN_ALL_THE_SAME = {Mode.DROP_AFTER}


@pytest.mark.parametrize("mode", MISBEHAVIOURS, ids=lambda mode: mode.name)
async def test_whatever_a_mail_server_does_everybody_gets_each_mail_once(path, mode):
    clock = FakeClock(NOW)
    async with smtp_server(mode) as server:
        channel = mail(server.port, clock)
        async with Post(path, channel, Obedient("other"), base=READERS, clock=clock) as here:
            await here.tell(1)
            await here.live(NOW + timedelta(minutes=2))
            while_bad = [(m.message["To"], m.message["Message-ID"]) for m in server.mails]
            server.mode = Mode.FINE
            await here.live(NOW + timedelta(hours=6))
            lines = await here.lines(channel="me")
            await channel.close()
    arrived = [(m.message["To"], m.message["Message-ID"]) for m in server.mails]
    if mode in ABOUT_THE_ADDRESS:
        assert {line.state for line in lines} == {MessageState.SUPPRESSED}
        return
    assert {line.state for line in lines} == {MessageState.SENT}
    assert sorted({to for to, _ in arrived}) == ["a@example.org", "b@example.org"]
    assert len(set(arrived)) == 2, "a repeat has the Message-ID of the first"
    if mode in TAKEN_ALL_THE_SAME:
        assert while_bad
    else:
        assert len(arrived) == 2


async def test_a_mail_server_that_refuses_everybody_for_two_days_costs_nobody_their_mail(path):
    clock = FakeClock(NOW)
    other = Obedient("other")
    async with smtp_server(Mode.POLICY) as server:
        channel = mail(server.port, clock)
        async with Post(path, channel, other, base=READERS, clock=clock) as here:
            await here.tell(1)
            await here.live(NOW + timedelta(hours=48))
            assert not await here.read(lambda r: r.standing.suppressed())
            server.mode = Mode.FINE
            await here.live(NOW + timedelta(hours=76))
            assert {line.state for line in await here.lines(channel="me")} == {MessageState.SENT}
            await channel.close()
    told = [notice.type for m in other.got for notice in m.digest.notices]
    assert told == [EventType.CHANNEL_FAILING, EventType.CHANNEL_RECOVERED]


ENDS = {
    **dict.fromkeys((200, 201, 204), "sent"),
    **dict.fromkeys((400, 413, 422), "dead"),
    410: "disabled",
    **dict.fromkeys((301, 302, 307, 308, 401, 403, 404, 408, 425, 429), "retried"),
    **dict.fromkeys((500, 502, 503, 504, 599), "retried"),
}


@pytest.mark.parametrize(("status", "end"), ENDS.items())
async def test_a_webhooks_status_decides_and_only_once_is_needed(path, status, end):
    clock = FakeClock(NOW)
    base = plan("me", "other", operators=("other",), wants={"alignment": ("me",)})
    async with receiver(status=status) as there:
        channel = webhook(there.url, clock)
        other = Obedient("other")
        async with Post(path, channel, other, base=base, clock=clock) as here:
            await here.tell(1)
            await here.live(NOW + timedelta(minutes=2))
            tried = len(there.requests)
            there.answer = web.Response
            await here.live(NOW + timedelta(hours=1))
            (line,) = await here.lines(channel="me")
            state = await here.state()
            await channel.close()
    keys = {headers["webhook-id"] for headers, _ in there.requests}
    bodies = {body for _, body in there.requests}
    assert len(keys) == len(bodies) == 1
    assert state.disabled == (end == "disabled")
    assert (tried, len(there.requests), line.state) == {
        "sent": (1, 1, MessageState.SENT),
        "dead": (1, 1, MessageState.DEAD),
        "disabled": (1, 1, MessageState.WAITING),
        "retried": (2, 3, MessageState.SENT),
    }[end]


@pytest.mark.parametrize("trouble", [reset(), silence()], ids=["reset", "silence"])
async def test_a_webhook_that_breaks_the_connection_is_tried_again(path, trouble):
    clock = FakeClock(NOW)
    async with RawSite(answers=trouble) as there:
        channel = webhook(f"{there.url}/hook", clock)
        async with Post(path, channel, clock=clock) as here:
            await here.tell(1)
            await here.live(NOW + timedelta(minutes=2))
            (line,) = await here.lines()
            assert (line.state, line.attempts) == (MessageState.WAITING, 2)
            await channel.close()


async def test_a_webhook_nobody_listens_at_is_tried_again(path):
    clock = FakeClock(NOW)
    channel = webhook(f"http://127.0.0.1:{closed_port()}/hook", clock)
    async with Post(path, channel, clock=clock) as here:
        await here.tell(1)
        await here.live(NOW + timedelta(minutes=2))
        (line,) = await here.lines()
        assert line.state is MessageState.WAITING
        assert "connection refused" in line.error
        await channel.close()


@pytest.mark.parametrize("days", [(Weekday.MON,), EVERY_DAY], ids=["weekly", "daily"])
@pytest.mark.parametrize("answer", ["552 5.2.2 mailbox full", "451 4.7.1 later"])
async def test_one_mailbox_that_refuses_costs_the_others_nothing(path, days, answer):
    base = with_outlet(
        READERS, "me", to=("a@example.org", "b@example.org"), digest=time(8), days=days
    )
    clock, weeks = FakeClock(NOW), 6
    async with smtp_server(replies={"b@example.org": answer}) as server:
        channel, other = mail(server.port, clock), Obedient("other")
        async with Post(path, channel, other, base=base, clock=clock) as here:
            for number in range(1, weeks + 1):
                await here.tell(number)
                await here.live(NOW + timedelta(days=7 * number))
            state = await here.state()
            await channel.close()
    assert [m.message["To"] for m in server.mails] == ["a@example.org"] * weeks
    assert state.disabled is False
    assert [said.digest.title for said in other.got] == []


async def test_a_server_that_refuses_everybody_is_told_all_the_same(path):
    clock = FakeClock(NOW)
    async with smtp_server(Mode.POLICY) as server:
        channel, other = mail(server.port, clock), Obedient("other")
        async with Post(path, channel, other, base=READERS, clock=clock) as here:
            await here.tell(1)
            await here.live(NOW + timedelta(hours=6))
            await channel.close()
    (said,) = other.got
    assert "channel me fails since" in said.digest.title
