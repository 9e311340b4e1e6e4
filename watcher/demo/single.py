"""The page of a single paper, island and text.

Owns its structure: title, dates, buttons, authors, the summary box, the abstract with its keywords
as links. Must not know lists.
"""

from __future__ import annotations

import re
from datetime import date
from html import escape

import msgspec

from watcher.demo import items
from watcher.demo.cards import pill, short_date
from watcher.demo.frame import FOOT, head
from watcher.demo.world import Shown


def page(shown: Shown, today: date, *, menu: bytes, request_id: str) -> bytes:
    """The whole page, UTF-8. ``menu`` is the header of every page."""
    paper = shown.paper
    out = [
        head(f"Paper page - {paper.title}", f"/papers/{paper.id}", request_id=request_id),
        menu,
        b'<div class="SVELTE_HYDRATER contents" data-target="PaperContent" data-props="',
        items.escape_attribute(b'{"comments":' + _comments(shown) + b',"paper":'),
    ]
    inner = items.paper_object(paper, summarised=shown.summarised)
    inner.fill(out, items.values(shown))
    out.append(items.escape_attribute(b',"upvoted":false,"acceptLanguages":["*"]}'))
    out.append(b'">' + _body(shown, today).encode() + b"</div>" + FOOT)
    return b"".join(out)


def _comments(shown: Shown) -> bytes:
    comment = {"id": "6a0000000000000000000000", "type": "comment", "data": {"edited": False}}
    return msgspec.json.encode([comment] * shown.comments)


def _body(shown: Shown, today: date) -> str:
    paper = shown.paper
    names = "".join(
        f'<span class="author"><button>{escape(person.name)}</button>,</span> '
        for person in paper.authors
    )
    return (
        '<section class="pt-8 md:col-span-7"><div class="pb-10 md:pt-3">'
        f'<h1 class="text-2xl">{escape(items.printed_title(paper))}</h1>'
        f"<div>Published on {short_date(paper.published_on, today)}</div>{_submitted(shown)}"
        f"{pill(paper)}{_upvote(shown)}<div>Authors:</div>{names}</div>"
        f'<div class="pb-8"><h2>Abstract</h2>{_summary(shown)}'
        f'<p class="text-gray-600">{_linked(shown)}</p></div>{_buttons(shown)}'
        f'<h3 id="community">Community</h3></section>'
        f'<section class="md:col-span-5">{_upvote(shown)}</section>'
    )


def _submitted(shown: Shown) -> str:
    submitter = shown.paper.submitter
    if submitter is None:
        return ""
    name = escape(submitter.name)
    return f'<div>Submitted by <a href="/{submitter.login}">{name}</a></div>'


def _upvote(shown: Shown) -> str:
    return (
        f'<a href="/login?next=%2Fpapers%2F{shown.paper.id}" class="self-start">'
        '<div class="shadow-alternate group flex h-9">Upvote '
        f'<div class="font-semibold text-orange-500">{shown.upvotes}</div></div></a>'
    )


def _summary(shown: Shown) -> str:
    if not shown.summarised:
        return ""
    return (
        f'<div class="bg-blue-500/5"><p class="text-blue-700">{escape(shown.paper.ai_summary)}</p>'
        "<div>AI-generated summary</div></div>"
    )


def _linked(shown: Shown) -> str:
    """The abstract with the paper's keywords as links to searches: text in fragments."""
    text = escape(items.printed_abstract(shown.paper), quote=False)
    words = sorted((escape(word, quote=False) for word in shown.paper.keywords), key=len)
    pattern = "|".join(re.escape(word) for word in reversed(words))
    return re.sub(rf"\b({pattern})\b", r'<a href="/papers?q=\1">\1</a>', text)


def _buttons(shown: Shown) -> str:
    paper = shown.paper
    buttons = [
        f'<a class="btn" href="https://arxiv.org/abs/{paper.id}">View arXiv page</a>',
        f'<a class="btn" href="https://arxiv.org/pdf/{paper.id}">View PDF</a>',
    ]
    if paper.project:
        buttons.append(f'<a class="btn" href="{paper.project}">Project page</a>')
    if paper.github:
        stars = items.abbreviate(shown.stars or 0)
        buttons.append(
            f'<a class="btn" href="{paper.github}"><span>GitHub</span> <span>{stars}</span></a>'
        )
    return " ".join(buttons)
