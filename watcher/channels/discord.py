"""Discord: messages as embeds, posted to a channel's webhook.

Owns the keys of ``[channel.NAME]`` with ``type = "discord"``, Discord's markup and its limits.
Must not import other channels.
"""

from __future__ import annotations

import re
from typing import Annotated

from watcher.channels.chat import ADDRESS, ChatPost
from watcher.channels.edge import Edge
from watcher.channels.post import address_faults
from watcher.config.secrets import SecretUrl
from watcher.config.settings import ChannelOptions, Fault
from watcher.model import Message
from watcher.text import clip
from watcher.view import EntryView, View, view_of, without_weakest
from watcher.wire import JsonObject


class DiscordOptions(ChannelOptions, frozen=True, kw_only=True):
    """Messages in a Discord channel."""

    url: Annotated[SecretUrl, ADDRESS, "the address of an incoming webhook, as Discord gave it"]

    def faults(self) -> tuple[Fault, ...]:
        """Addresses that will be refused."""
        return address_faults(self.url, allow_private=self.allow_private)


MOST_EMBEDS = 10
MOST_CHARACTERS = 6000
"""Of all embeds of a message together, counted as UTF-16."""
LONGEST_TITLE = 256
LONGEST_CONTENT = 2000
LONGEST_AUTHOR = 256

_COLOURS = {"Rising": 0xE0752D, "New": 0x2D7DD2, "Resurging": 0x9B4DCA}
_OTHER_COLOUR = 0x3A9A5B
_MARKUP = re.compile(r"([\\*_~`|<>\[\](){}#:@!+.-])")


class DiscordChannel:
    """Posts each message as embeds, one per paper."""

    def __init__(self, name: str, options: DiscordOptions, *, edge: Edge | None = None) -> None:
        self.name = name
        self._post = ChatPost(options.url, allow_private=options.allow_private, edge=edge)

    @property
    def deadline(self) -> float:
        """Seconds after which a send has surely ended."""
        return self._post.deadline

    async def send(self, message: Message) -> None:
        """Post the message; raises ``SendError`` as ``docs/channels.md`` lists."""
        await self._post.send(payload_of(view_of(message)))

    async def close(self) -> None:
        """Close connections."""
        await self._post.close()


def payload_of(view: View) -> JsonObject:
    """A message within Discord's limits; papers that do not fit are counted.

    Nobody is mentioned, whatever a title says. Source of the limits: Discord's documentation
    of embeds.
    """
    if len(view.entries) > MOST_EMBEDS:
        view = without_weakest(view, len(view.entries) - MOST_EMBEDS)
    embeds = _embeds(view)
    while sum(map(_size, embeds)) > MOST_CHARACTERS:
        view = without_weakest(view, 1)
        embeds = _embeds(view)
    return {
        "content": _content(view),
        "embeds": embeds,
        "allowed_mentions": {"parse": []},
    }


def escape(text: str) -> str:
    """Words as Discord shows them unchanged: a backslash before whatever may be markup."""
    return _MARKUP.sub(r"\\\1", text)


def fit(text: str, limit: int) -> str:
    """The text, escaped, in at most ``limit`` UTF-16 units; clipped before it is escaped."""
    room = limit
    while True:
        escaped = escape(clip(text, room))
        over = _units(escaped) - limit
        if over <= 0:
            return escaped
        room = min(room, len(text)) - max(1, over // 2)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _embeds(view: View) -> list[JsonObject]:
    return [_embed(entry, section.title) for section in view.sections for entry in section.entries]


def _embed(entry: EntryView, section: str) -> JsonObject:
    embed: JsonObject = {
        "title": fit(entry.title, LONGEST_TITLE),
        "description": _description(entry),
        "color": _COLOURS.get(entry.kind, _OTHER_COLOUR),
    }
    if section:
        embed["author"] = {"name": clip(section, LONGEST_AUTHOR)}
    if entry.url:
        embed["url"] = entry.url
    return embed


def _description(entry: EntryView) -> str:
    people = " · ".join(filter(None, (entry.authors, entry.organization)))
    links = ((entry.arxiv_url, "arXiv"), (entry.github_url, "Code"))
    lines = [
        f"**{entry.kind}** {fit(entry.counts, 200)}".rstrip(),
        *(fit(reason, 300) for reason in entry.reasons[:5]),
        fit(people, 300),
        " · ".join(f"[{words}]({url})" for url, words in links if url),
    ]
    return "\n".join(filter(None, lines))


def _size(embed: JsonObject) -> int:
    author = embed.get("author", {}).get("name", "")
    return sum(map(_units, (embed["title"], embed["description"], author)))


def _content(view: View) -> str:
    lines = [f"**{fit(view.subject, 300)}**", *(fit(line, 500) for line in view.lines)]
    if view.link:
        lines.append(f"<{view.link}>")
    lines += [f"{'✅' if n.good else '⚠️'} {fit(n.text, 300)}" for n in view.notices]
    if view.more:
        more = f" <{view.more_url}>" if view.more_url else ""
        lines.append(fit(view.more, 200) + more)
    lines += [f"-# {fit(line, 200)}" for line in view.footer]
    content = ""
    for line in filter(None, lines):
        if _units(content) + _units(line) + 1 <= LONGEST_CONTENT:
            content += line + "\n"
    return content.rstrip()
