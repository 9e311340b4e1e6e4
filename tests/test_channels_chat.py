"""Slack and Discord: their limits, their pace, and titles that try to be markup."""

import asyncio
import itertools
import json
import logging
import re

import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from tests.loopback import client_tls
from tests.makers import NOW, digest_of, event, message, notice, paper, rising
from watcher.channels import chat, discord, slack
from watcher.channels.discord import DiscordChannel, DiscordOptions
from watcher.channels.edge import Edge
from watcher.channels.slack import SlackChannel, SlackOptions
from watcher.config.secrets import SecretUrl
from watcher.errors import SendError
from watcher.model import Letter
from watcher.view import view_of

SLACK = "https://hooks.slack.example/services/T0/B0/path-is-secret"
DISCORD = "https://discord.example/api/webhooks/1/path-is-secret"
EDGE = Edge(now=lambda: NOW, tls=client_tls())

HOSTILE = [
    "<!channel> <@U123> <https://evil.example|click>",
    "@everyone @here <@123> <@&5> <#7>",
    "*bold* _it_ ~no~ `code` ```block```",
    "[click](https://evil.example) ||spoiler|| <t:0:R>",
    "https://evil.example/",
    "a|b>c<d&amp;",
    "x" * 5000,
    "*" * 5000,
    "🦉" * 3000,
    "\u202etxt.exe\x00\x1b[31m",
    "> quote\n# heading\n- list",
    "",
]


def slack_channel() -> SlackChannel:
    return SlackChannel(
        "chat", SlackOptions(name="chat", type="slack", url=SecretUrl(SLACK)), edge=EDGE
    )


def discord_channel() -> DiscordChannel:
    return DiscordChannel(
        "chat", DiscordOptions(name="chat", type="discord", url=SecretUrl(DISCORD)), edge=EDGE
    )


def said(*events, **frame):
    return message(digest_of(*events, **frame), recipient="")


def many(count: int, title: str = "A title"):
    return [
        event(n, paper=paper(n, title=f"{title} {n}", organization=title), reason=title)
        for n in range(1, count + 1)
    ]


# --- limits --------------------------------------------------------------------------


def check_slack(payload) -> None:
    blocks = payload["blocks"]
    assert 1 <= len(blocks) <= 50
    assert len(payload["text"]) < 4000
    for block in blocks:
        if block["type"] == "header":
            assert block["text"]["type"] == "plain_text"
            assert 1 <= len(block["text"]["text"]) <= 150
        if block["type"] == "section":
            assert 1 <= len(block["text"]["text"]) <= 3000
            assert block["text"]["verbatim"]


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def check_discord(payload) -> None:
    assert payload["allowed_mentions"] == {"parse": []}
    assert units(payload["content"]) <= 2000
    assert len(payload["embeds"]) <= 10
    total = 0
    for embed in payload["embeds"]:
        author = embed.get("author", {}).get("name", "")
        assert 1 <= units(embed["title"]) <= 256
        assert units(embed["description"]) <= 4096
        assert units(author) <= 256
        total += units(embed["title"]) + units(embed["description"]) + units(author)
    assert total <= 6000


@pytest.mark.parametrize("title", HOSTILE)
@pytest.mark.parametrize("count", [1, 9, 40, 200])
def test_no_message_breaks_a_limit(title, count):
    view = view_of(said(*many(count, title), max_papers=200))
    check_slack(slack.payload_of(view))
    check_discord(discord.payload_of(view))


@given(st.text(max_size=400), st.integers(1, 60))
def test_no_text_breaks_a_limit(title, count):
    view = view_of(said(*many(count, title), notice(99, reason=title), max_papers=60))
    check_slack(slack.payload_of(view))
    check_discord(discord.payload_of(view))


def test_what_does_not_fit_is_counted():
    view = view_of(said(*many(200), max_papers=120, more_url="https://p.example.org/"))
    told = [b for b in slack.payload_of(view)["blocks"] if "huggingface.co" in json.dumps(b)]
    footer = slack.payload_of(view)["blocks"][-1]["elements"][0]["text"]
    assert footer.startswith(f"{200 - len(told)} more papers")
    assert "<https://p.example.org/|See them all>" in footer
    payload = discord.payload_of(view)
    assert f"{200 - len(payload['embeds'])} more papers" in payload["content"]


@pytest.mark.parametrize("make", [slack.payload_of, discord.payload_of])
def test_the_strongest_papers_stay_whatever_rule_tells_them(make):
    told = [rising(n, rule="odd" if n % 2 else "even", strength=n) for n in range(1, 81)]
    shown = json.dumps(make(view_of(said(*told, max_papers=80))))
    numbers = [n for n in range(1, 81) if f"papers/2611.{n:05d}" in shown]
    assert 10 <= len(numbers) < 80
    assert numbers == [*range(81 - len(numbers), 81)]


def test_everything_that_is_known_is_shown():
    told = rising(
        1,
        rule="alignment",
        paper=paper(
            1, authors=("Ada L", "Bo M"), organization="Lab", github="https://github.com/a/b"
        ),
    )
    view = view_of(said(told, notice(2)))
    for payload in (slack.payload_of(view), discord.payload_of(view)):
        text = json.dumps(payload, ensure_ascii=False).replace("\\\\", "")
        for part in (
            "Rising",
            "alignment",
            "reason 1",
            "Ada L and Bo M",
            "Lab",
            "11 votes",
            "https://huggingface.co/papers/2611.00001",
            "https://arxiv.org/abs/2611.00001",
            "https://github.com/a/b",
            "source trending fails",
        ):
            assert part in text


def test_a_letter_shows_its_words_and_link():
    letter = Letter(subject="Test", lines=("It works.",), link="https://p.example.org/x")
    view = view_of(message(letter=letter))
    assert "https://p.example.org/x" in json.dumps(slack.payload_of(view))
    assert "https://p.example.org/x" in discord.payload_of(view)["content"]


# --- hostile titles ------------------------------------------------------------------


@pytest.mark.parametrize("title", HOSTILE)
def test_no_title_is_markup_in_slack(title):
    view = view_of(said(event(1, paper=paper(1, title=title), reason=title)))
    blocks = slack.payload_of(view)["blocks"]
    text = "\n".join(b["text"]["text"] for b in blocks if b["type"] == "section")
    links = re.findall(r"<([^>]*)>", text)
    assert all(link.startswith(("https://huggingface.co/", "https://arxiv.org/")) for link in links)
    assert not re.search(r"<[!@#]", text)
    assert "`" not in text
    words = re.sub(r"<[^>]*>", "", text).replace("*New*", "").replace("*alignment*", "")
    assert "*" not in words.replace("**", "")


@pytest.mark.parametrize("title", HOSTILE)
def test_no_title_is_markup_in_discord(title):
    told = event(1, paper=paper(1, title=title), reason=title)
    payload = discord.payload_of(view_of(said(told)))
    for text in (payload["content"], *(e["title"] for e in payload["embeds"])):
        plain = re.sub(r"\\[^0-9A-Za-z\s]", "", text)
        assert not re.search(r"[`|<>\[\]_~#]|https?:|\*(?!\*)(?<!\*\*)", plain.strip("*"))


# --- answers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "url"), [(slack_channel, SLACK), (discord_channel, DISCORD)], ids=["slack", "discord"]
)
@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (200, "sent"),
        (204, "sent"),
        (302, "retried"),
        (400, "ended"),
        (403, "retried"),
        (404, "gone"),
        (410, "gone"),
        (429, "retried"),
        (500, "retried"),
        (503, "retried"),
    ],
)
async def test_answers_mean_what_the_services_document(make, url, status, fate):
    to = make()
    found, words = "sent", ""
    with respx.mock(using="httpx") as mock:
        route = mock.post(url).respond(status, text="no_service secret words")
        try:
            await to.send(said(event()))
        except SendError as exc:
            found = "gone" if exc.gone else "retried" if exc.retryable else "ended"
            words = str(exc)
    await to.close()
    assert "secret" not in words
    assert route.call_count == 1
    assert found == fate


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7"}, b"", 7.0),
        ({}, b'{"message": "slow down", "retry_after": 0.65, "global": false}', 0.65),
        ({"Retry-After": "1"}, b'{"retry_after": 64.57}', 64.57),
        ({}, b'{"retry_after": "soon"}', None),
        ({}, b"[" * 5000, None),
        ({}, b'{"retry_after": -1}', None),
    ],
)
async def test_retry_after_is_read_from_header_and_body(headers, body, seconds):
    to = discord_channel()
    with respx.mock(using="httpx") as mock:
        mock.post(DISCORD).respond(429, headers=headers, content=body)
        with pytest.raises(SendError) as caught:
            await to.send(said(event()))
    await to.close()
    assert caught.value.retry_after == seconds


async def test_addresses_stay_out_of_logs(caplog):
    caplog.set_level(logging.DEBUG)
    to = slack_channel()
    with respx.mock(using="httpx") as mock:
        mock.post(SLACK).respond(500)
        with pytest.raises(SendError) as caught:
            await to.send(said(event()))
    await to.close()
    assert "path-is-secret" not in caplog.text + str(caught.value) + repr(to)


# --- pace ----------------------------------------------------------------------------


class SkippingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer instead of waiting for it."""

    skipped = 0.0

    def time(self) -> float:
        return super().time() + self.skipped

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            next_timer = self._scheduled[0].when()  # type: ignore[attr-defined]
            self.skipped += max(0.0, next_timer - self.time())
        super()._run_once()  # type: ignore[misc]


def test_messages_leave_at_the_pace_the_services_take():
    async def leave(count: int) -> list[float]:
        post = chat.ChatPost(SecretUrl(SLACK), allow_private=False, edge=EDGE)
        times = []
        with respx.mock(using="httpx") as mock:
            mock.post(SLACK).respond(200)
            for _ in range(count):
                await post.send({})
                times.append(asyncio.get_running_loop().time())
        await post.close()
        return times

    loop = SkippingLoop()
    try:
        times = loop.run_until_complete(leave(70))
    finally:
        loop.close()
    assert all(later - sooner > 0.95 for sooner, later in itertools.pairwise(times))
    assert all(times[n + 30] - times[n] > 60 for n in range(40))
    assert times[5] - times[0] < 6
    assert times[-1] - times[0] < 180
