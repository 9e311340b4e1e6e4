"""Slack: messages as blocks, posted to an incoming webhook.

Owns the keys of ``[channel.NAME]`` with ``type = "slack"``, Slack's markup and its limits. Must
not import other channels.
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


class SlackOptions(ChannelOptions, frozen=True, kw_only=True):
    """Messages in a Slack channel."""

    url: Annotated[SecretUrl, ADDRESS, "the address of an incoming webhook, as Slack gave it"]

    def faults(self) -> tuple[Fault, ...]:
        """Addresses that will be refused."""
        return address_faults(self.url, allow_private=self.allow_private)


MOST_BLOCKS = 50
LONGEST_TEXT = 3000
LONGEST_HEADER = 150


class SlackChannel:
    """Posts each message as blocks."""

    def __init__(self, name: str, options: SlackOptions, *, edge: Edge | None = None) -> None:
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
    """A message of at most 50 blocks; papers that do not fit are counted.

    Source of the limits: Slack's reference of blocks.
    """
    blocks = _blocks(view)
    while len(blocks) > MOST_BLOCKS and view.entries:
        view = without_weakest(view, max(1, len(blocks) - MOST_BLOCKS))
        blocks = _blocks(view)
    return {
        "text": escape(clip(view.subject, LONGEST_HEADER)),
        "blocks": blocks[:MOST_BLOCKS],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escape(text: str) -> str:
    """Words as Slack shows them unchanged: no link, mention or formatting can be in them."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = safe.translate(_LOOKALIKES)
    return _OUTER_UNDERSCORE.sub("\uff3f", safe)


_LOOKALIKES = str.maketrans({"*": "∗", "~": "∼", "`": "ʹ", "|": "¦"})
_OUTER_UNDERSCORE = re.compile(r"(?<!\w)_|_(?!\w)")


def _blocks(view: View) -> list[JsonObject]:
    blocks: list[JsonObject] = [
        {"type": "header", "text": _plain(clip(view.subject, LONGEST_HEADER))}
    ]
    blocks += [_section(escape(line)) for line in view.lines]
    if view.link:
        blocks.append(_section(_link(view.link, view.link_text or "Open")))
    for notice in view.notices:
        mark = ":white_check_mark:" if notice.good else ":warning:"
        blocks.append(_section(f"{mark} {escape(notice.text)}"))
    for section in view.sections:
        note = f"\n{escape(section.note)}" if section.note else ""
        blocks.append(_section(f"*{escape(section.title)}*{note}"))
        blocks += [_section(_entry_text(entry)) for entry in section.entries]
    small = _footer(view)
    if small:
        blocks.append({"type": "context", "elements": [_marked(small)]})
    return blocks


def _footer(view: View) -> str:
    lines = [escape(line) for line in view.footer]
    if view.more:
        more = f" {_link(view.more_url, 'See them all')}" if view.more_url else ""
        lines.insert(0, escape(view.more) + more)
    return "\n".join(lines)


def _entry_text(entry: EntryView) -> str:
    title = f"*{_link(entry.url, entry.title)}*" if entry.url else f"*{escape(entry.title)}*"
    people = filter(None, (entry.authors, entry.organization))
    lines = [
        title,
        " · ".join(filter(None, (f"*{entry.kind}*", escape(entry.counts)))),
        *map(escape, entry.reasons),
        " · ".join(map(escape, people)),
        " · ".join(
            _link(url, words)
            for url, words in ((entry.arxiv_url, "arXiv"), (entry.github_url, "Code"))
            if url
        ),
    ]
    return "\n".join(filter(None, lines))


def _link(url: str | None, words: str) -> str:
    target = (url or "").replace("|", "%7C").replace("<", "%3C").replace(">", "%3E")
    return f"<{target.replace('&', '&amp;')}|{escape(words)}>"


def _section(text: str) -> JsonObject:
    return {"type": "section", "text": _marked(text)}


def _marked(text: str) -> JsonObject:
    # verbatim: names of channels and bare addresses in titles do not become links.
    return {"type": "mrkdwn", "text": clip_markup(text, LONGEST_TEXT), "verbatim": True}


def clip_markup(text: str, limit: int) -> str:
    """At most ``limit`` characters, whole lines kept, so that no markup is cut in two."""
    if len(text) <= limit:
        return text
    kept = ""
    for line in text.splitlines():
        if len(kept) + len(line) + 2 > limit:
            break
        kept += line + "\n"
    return kept + "…"


def _plain(text: str) -> JsonObject:
    return {"type": "plain_text", "text": text or "Paper watcher", "emoji": False}
