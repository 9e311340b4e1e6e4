"""One paper as an HTML card, in each generation of the site.

Owns the structure of a card: which elements, in which order, with which of the classes that tell
them apart. The text of the markup is our own; drawings are stand-ins of a realistic length. Must
not know the page around the cards.
"""

from __future__ import annotations

import re
from datetime import date
from html import escape

from watcher.demo.invent import InventedPaper
from watcher.demo.items import Template, printed_abstract, printed_title
from watcher.demo.prose import Person, dice

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_PILL = (
    "inline-flex min-w-0 max-w-full items-center rounded-full border border-blue-200/70 "
    "bg-blue-50 py-0.5 text-blue-700 hover:bg-blue-100 dark:border-blue-500/20 "
    "dark:bg-blue-900/30 dark:text-blue-300 px-1.5 text-xs gap-1"
)
_BUTTON = "btn flex h-9 w-full items-center justify-center gap-1 text-sm"
_CHECKBOX = (
    "shadow-alternate group flex h-9 cursor-pointer select-none items-center gap-2 rounded-lg "
    "border pl-3 pr-3.5 border-gray-300 bg-white dark:bg-gray-850 w-full justify-center"
)
_AVATAR = (
    "-mr-1.5 h-3 w-3 md:h-4 md:w-4 bg-linear-to-br block flex-none rounded-full border-2 "
    "border-white from-gray-300 to-gray-100 dark:border-gray-900 dark:to-gray-800"
)


class Artist:
    """Makes cards; ``length`` is that of the drawings on them (60 as on the real pages)."""

    def __init__(self, *, length: int) -> None:
        self._upvote, self._github, self._star, self._arxiv, self._bubble = (
            _drawing(name, length * weight)
            for name, weight in (("up", 1), ("gh", 5), ("star", 2), ("ax", 5), ("bubble", 1))
        )

    def trending(self, paper: InventedPaper, *, summarised: bool) -> Template:
        """A card of the trending list of 2026: one article, two full copies."""
        desktop = self._copy(paper, summarised=summarised, mobile=False)
        mobile = self._copy(paper, summarised=summarised, mobile=True)
        return _template(
            '<!--[0--><article class="relative overflow-hidden rounded-xl border">'
            f'<div class="hidden h-40 md:flex">{desktop}</div> '
            f'<div class="flex flex-col md:hidden">{mobile}</div></article><!--]-->'
        )

    def grid_2026(self, paper: InventedPaper) -> Template:
        """A card of a daily, week or month page of 2026."""
        link = f"/papers/{paper.id}"
        who = pill(paper) or f'<a href="{link}" class="flex">{_avatars(paper, "text-sm")}</a>'
        return _template(
            "<!--[0--><div><article "
            'class="relative flex flex-col overflow-hidden rounded-xl border">'
            f'<a href="{link}" class="shadow-alternate-sm peer relative block h-56 w-full '
            f'cursor-pointer overflow-hidden rounded-xl border">{_picture(paper)}</a> '
            f"{_badge(paper)}"
            '<div class="-mt-2 flex bg-linear-to-b px-6 pb-6 pt-8"><div class="flex w-full gap-6">'
            f'<!--[0--><a href="/login?next=%2Fpapers%2F{paper.id}" class="self-start">'
            '<!----><div role="checkbox" class="shadow-alternate flex h-14 w-12 gap-1 rounded-xl '
            'flex-none cursor-pointer select-none flex-col items-center justify-center">'
            f'<input disabled="" type="checkbox" class="peer hidden"/> {self._upvote}<!----> '
            '<div class="leading-none">@VOTES@</div><!----></div><!----></a><!--]--> '
            '<div class="w-full"><h3 class="mb-1 text-lg/6 font-semibold hover:underline">'
            f'<a href="{link}" class="line-clamp-3 cursor-pointer text-balance">'
            f"{_text(printed_title(paper))}</a></h3> "
            f'<div class="flex items-center justify-between">{who} '
            f'<a href="{link}#community" class="flex items-center gap-2 text-gray-400">'
            f"{self._bubble}<!----> <!---->@COMMENTS@<!----></a></div></div></div></div>"
            "</article></div><!--]-->"
        )

    def grid_2024(self, paper: InventedPaper) -> Template:
        """A card of a date page of 2024: no comment markers, space by tabs and new lines."""
        link = f"/papers/{paper.id}"
        return _template(
            "\n\t\t\t\t<div><article "
            'class="relative flex flex-col overflow-hidden rounded-xl border">'
            f'<a href="{link}" class="shadow-alternate-sm peer relative block h-56 w-full '
            f'cursor-pointer overflow-hidden rounded-xl border">{_picture(paper)}\n\t\t\t\t</a>'
            f"\n\n\t\t\t{_badge_2024(paper)}\n\n\t\t\t"
            '<div class="-mt-2 flex px-6 pb-6 pt-8"><div class="flex w-full gap-6">'
            f'<a href="/login?next=%2Fpapers%2F{paper.id}" class="self-start">\n\n'
            '<div class="shadow-alternate flex h-14 w-12 gap-1 rounded-xl flex-none">'
            f'<input disabled type="checkbox" class="peer hidden">\n\t\t{self._upvote}\n\t\t'
            '<div class="leading-none">@VOTES@</div></div></a>\n\t'
            '<div class="w-full"><h3 class="mb-1 text-lg/6 font-semibold hover:underline">'
            f'<a href="{link}" class="line-clamp-3 cursor-pointer text-balance">'
            f"{_text(paper.title)}</a></h3>\n\t\t\t"
            f'<div class="flex items-center justify-between"><a href="{link}" class="flex">'
            f"{_avatars_2024(paper)}</a>\n\t\t\t"
            f'<a href="{link}#community" class="text-md flex items-center gap-2 text-gray-400">'
            f"{self._bubble}\n\t\t\t\t@COMMENTS@\n\t\t\t</a></div>\n\t\t</div></div></div></article>"
            "\n\t\t\t\t</div>"
        )

    def search(self, paper: InventedPaper, *, query: str, today: date) -> Template:
        """A card of a search page: one copy, the whole abstract, the query's words marked."""
        link = f"/papers/{paper.id}"
        who = (
            pill(paper) or f'<a href="{link}" class="flex">{_avatars(paper, "", claimed=True)}</a>'
        )
        return _template(
            '<!--[0--><article class="flex gap-4 rounded-xl border p-4">'
            f'<a href="/login?next=%2Fpapers%2F{paper.id}" class="self-start">'
            f'<div role="checkbox" class="shadow-alternate flex h-14 w-12">{self._upvote}<!----> '
            '<div class="leading-none">@DASH@</div><!----></div></a> '
            '<div class="w-full"><h3 class="mb-1 text-lg font-semibold">'
            f'<a href="{link}" class="line-clamp-3 cursor-pointer">'
            f"{_marked(printed_title(paper), query)}</a></h3> "
            f'<a href="{link}" class="block"><p class="line-clamp-3 text-sm text-gray-500">'
            f"{_marked(printed_abstract(paper), query)}</p></a> "
            f'<div class="flex items-center text-sm">{who} <!--[0--><span class="mx-2">·</span> '
            f"<span>{short_date(paper.published_on, today)}</span><!--]-->@LINK@</div></div>"
            "</article><!--]-->"
        )

    def redesign(self, paper: InventedPaper, *, summarised: bool) -> Template:
        """An invented card of a site to come: every class renamed, one copy, other order."""
        link = f"/papers/{paper.id}"
        text = paper.ai_summary if summarised else printed_abstract(paper)
        names = "".join(f'<li title="{_attribute(p.name)}"></li>' for p in paper.authors[:5])
        who = (
            f'<a class="fx-org" href="/{paper.organization.name}"><img alt="" src="/o.png"/> '
            f'<span class="fx-name">{_text(paper.organization.fullname)}</span></a>'
            if paper.organization
            else f'<ul class="fx-who">{names}<li class="fx-count">'
            f"{len(paper.authors)} authors</li></ul>"
        )
        code = (
            f'<a class="fx-code" href="{paper.github}">GitHub <b class="fx-number">@ROUND@</b></a>'
            if paper.github
            else ""
        )
        return _template(
            '<article class="fx-card"><div class="fx-body">'
            f'<h3 class="fx-title"><a class="fx-link" href="{link}">'
            f"{_text(printed_title(paper))}</a></h3>"
            f'<p class="fx-blurb">{_text(text)}</p><div class="fx-meta">{who}<span>·</span>'
            f"<span>Published on {long_date(paper.published_on)}</span></div></div>"
            f'<div class="fx-side"><a href="/login?next=%2Fpapers%2F{paper.id}">'
            f'<div role="checkbox" class="fx-vote">{self._upvote}'
            '<div class="fx-number">@VOTES@</div></div></a>'
            f'<a href="{link}#community" class="fx-talk">{self._bubble}@COMMENTS@</a>'
            f"{code}"
            f'<a class="fx-pdf" href="https://arxiv.org/abs/{paper.id}">arXiv Page</a></div>'
            "</article>"
        )

    def _copy(self, paper: InventedPaper, *, summarised: bool, mobile: bool) -> str:
        """The desktop or the mobile copy inside one trending article."""
        link = f"/papers/{paper.id}"
        text = paper.ai_summary if summarised else printed_abstract(paper)
        size = "h-48 w-full" if mobile else "h-full w-56"
        box = "bg-linear-to-b p-4" if mobile else "bg-linear-to-b flex min-w-0 flex-1 flex-col p-6"
        heading = "mb-2 text-lg" if mobile else "mb-1.5 text-xl"
        balance = "" if mobile else " text-balance"
        gray = "text-gray-600 dark:text-gray-300" if mobile else "text-gray-500 dark:text-gray-400"
        written = long_date(paper.published_on)
        return (
            f'<div class="relative flex-shrink-0">{_media(paper, size)} {_badge(paper)}</div> '
            f'<div class="from-gray-50-to-white {box}"><h3 class="{heading} font-semibold '
            f'text-gray-900 hover:underline dark:text-white"><a href="{link}" '
            f'class="line-clamp-2 cursor-pointer{balance}">{_text(printed_title(paper))}</a></h3> '
            f'<!--[0--><div class="mb-2"><p class="line-clamp-2 text-sm {gray}">'
            f"{_text(text)}</p></div><!--]--> "
            '<div class="flex min-w-0 items-center text-sm text-gray-400 dark:text-gray-500">'
            f"{self._who(paper)} <!--[0-->"
            + (
                f'<span class="mx-1">·</span> <span>{written}</span>'
                if mobile
                else f'<span class="mx-2">·</span> <span>Published on {written}</span>'
            )
            + f"<!--]--></div></div> {self._buttons(paper, mobile=mobile)}"
        )

    def _buttons(self, paper: InventedPaper, *, mobile: bool) -> str:
        column = "flex flex-col gap-2" if mobile else "flex w-40 flex-col gap-2 p-4"
        return (
            f'<div class="{column}"><div class="w-full"><div class="flex flex-wrap items-center '
            'gap-2.5 pt-1 z-1 lg:sticky lg:top-8"><!--[0-->'
            f'<a href="/login?next=%2Fpapers%2F{paper.id}" class="self-start"><!--[0--><!---->'
            f'<div role="checkbox" class="{_CHECKBOX}">'
            f'<input disabled="" type="checkbox" class="peer hidden"/> {self._upvote}<!----> '
            'Upvote <div class="font-semibold text-orange-500">@VOTES@</div><!----></div>'
            "<!----><!--]--> <!--[-1--><!--]--><!----></a><!--]--></div> <!--[-1--><!--]--> "
            '<dialog class="shadow-alternate z-40 mx-4 my-auto h-fit select-text rounded-xl">'
            '<div tabindex="-1" class="outline-none"><!--[-1--><!--]--></div></dialog><!----></div>'
            " "
            f"{self._code(paper, mobile=mobile)} "
            f'<a href="https://arxiv.org/abs/{paper.id}" target="_blank" '
            f'rel="noopener noreferrer" class="{_BUTTON}">{self._arxiv}<!----> '
            "<span>arXiv Page</span></a></div>"
        )

    def _code(self, paper: InventedPaper, *, mobile: bool) -> str:
        if paper.github is None:
            return "<!--[-1--><!--]-->"
        number = "@ROUND@" if mobile else "<span>@ROUND@</span>"
        return (
            f'<!--[0--><a href="{paper.github}" target="_blank" rel="noopener noreferrer" '
            f'class="{_BUTTON}">{self._github}<!----> <span>GitHub</span> '
            f'<span class="flex items-center text-xs">{self._star}<!----> {number}</span></a>'
            "<!--]-->"
        )

    def _who(self, paper: InventedPaper) -> str:
        """The pill of the organisation or the row of authors, never both."""
        return pill(paper) or f"<!--[-1--><!--[0-->{_avatars(paper, 'text-xs')}<!--]--><!--]-->"


def pill(paper: InventedPaper) -> str:
    """The link to the organisation; nothing when there is none."""
    organization = paper.organization
    if organization is None:
        return ""
    return (
        f'<!--[0--><a href="/{organization.name}" class="{_PILL}"><!--[0-->'
        f'<img src="{organization.avatar}" alt="{organization.name}" '
        'class="size-3 rounded-sm"/><!--]--> <span class="block min-w-0 truncate font-medium">'
        f"{_text(organization.fullname)}</span></a><!--]-->"
    )


def _template(text: str) -> Template:
    return Template(text.encode())


def _text(text: str) -> str:
    return escape(text, quote=False)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;")


def _marked(text: str, query: str) -> str:
    """Text with the query's words in highlight spans, which may cut a word in two."""
    terms = [re.escape(term) for term in query.split() if term.isalpha() and len(term) > 2]
    if not terms:
        return _text(text)
    pattern = re.compile(rf"(?<!&)({'|'.join(terms)})", re.IGNORECASE)
    return pattern.sub(r'<span class="highlight">\1</span>', _text(text))


def _media(paper: InventedPaper, size: str) -> str:
    video = next((url for url in paper.media[:1] if url.endswith(".mp4")), None)
    frame = (
        f'<a href="/papers/{paper.id}" class="block {size} cursor-pointer overflow-hidden '
        'bg-white dark:border-gray-800 max-md:border-b md:border-r">'
    )
    if video:
        return f'<!--[0-->{frame}<video src="{video}" loop="" muted="" playsinline=""></video></a>'
    return f"<!--[-1-->{frame}{_picture(paper)}</a><!--]-->"


def _picture(paper: InventedPaper) -> str:
    return (
        f'<img loading="lazy" src="{paper.thumbnail}" decoding="async" alt="" '
        'class="size-full object-cover object-center opacity-80 dark:opacity-70 dark:invert"/>'
    )


def _badge(paper: InventedPaper) -> str:
    """Who submitted it; nothing for a paper that never was on a daily list."""
    if paper.submitter is None:
        return "<!--[-1--><!--]-->"
    return (
        '<!--[0--><div class="shadow-xs pointer-events-none absolute bottom-2 right-2 flex h-6 '
        'items-center gap-1 whitespace-nowrap rounded-md border bg-white px-2 text-xs">'
        f'Submitted by <div class="flex-none"><img alt="" src="{paper.submitter.avatar}" '
        f'class="size-2.5 rounded-full"/> <!--[-1--><!--]--></div><!----> '
        f"{paper.submitter.login}</div><!--]-->"
    )


def _badge_2024(paper: InventedPaper) -> str:
    if paper.submitter is None:
        return ""
    return (
        '<div class="pointer-events-none absolute right-2 top-56 -mt-8 flex h-6">Submitted by'
        '\n\t\t\t\t<img alt="" class="w-2.5 h-2.5 rounded-full flex-none" '
        f'src="{paper.submitter.avatar}">\n\t\t\t\t{paper.submitter.login}</div>'
    )


def _avatars(paper: InventedPaper, size: str, *, claimed: bool = False) -> str:
    """At most five authors, last first, then how many there are in all."""
    shown = [p for p in paper.authors if p.login or not claimed][:5]
    heads = "".join(
        f'<li class="{_AVATAR}" title="{_attribute(person.login or person.name)}" '
        f'style="content-visibility:auto;">{_head(person)}</li>'
        for person in reversed(shown)
    )
    return (
        f'<ul class="flex items-center text-gray-600 flex-row-reverse {size}"><!--[-->{heads}'
        '<!--]--> <!--[0--><li class="text-xs hover:text-gray-700 order-first ml-2"><!--[-->'
        f"<span>{len(paper.authors)} authors</span><!--]--></li><!--]--></ul>"
    )


def _head(person: Person) -> str:
    if not person.login:
        return "<!--[-1--><!--]-->"
    picture = f'<img class="overflow-hidden" alt="" src="{person.avatar}" loading="lazy"/>'
    return f"<!--[1-->{picture}<!--]-->"


def _avatars_2024(paper: InventedPaper) -> str:
    heads = "".join(
        '<li class="-mr-2 h-4 w-4 md:h-5 md:w-5 block flex-none rounded-full" '
        f'title="{_attribute(person.login or person.name)}" style="content-visibility:auto;">'
        + (f'<img alt="" src="{person.avatar}">' if person.login else "")
        + "\n\t\t\t</li>"
        for person in reversed(paper.authors[:5])
    )
    return (
        f'<ul class="flex items-center flex-row-reverse text-sm">{heads}\n\n\t\t'
        '<li class="text-gray-600 hover:text-gray-700 order-first ml-3">'
        '<div class="flex truncate text-base"><div class="ml-1 mr-2.5">·</div>\n\t\t\t\t\t'
        f"{len(paper.authors)} authors\n\t\t\t\t</div>\n\t\t\t</li></ul>"
    )


def long_date(day: date) -> str:
    """A date with its year: ``Jun 2, 2026``."""
    return f"{_MONTHS[day.month - 1]} {day.day}, {day.year}"


def short_date(day: date, today: date) -> str:
    """Search cards leave the year out when it is the current one."""
    return f"{_MONTHS[day.month - 1]} {day.day}" if day.year == today.year else long_date(day)


def _drawing(name: str, points: int) -> str:
    """An icon: a made-up path of a realistic length, always the same."""
    random = dice("drawing", name)
    path = "".join(
        f"c{random.uniform(-3, 3):.2f} {random.uniform(-3, 3):.2f}" for _ in range(points)
    )
    return (
        '<svg class="size-3" xmlns="http://www.w3.org/2000/svg" aria-hidden="true" role="img" '
        f'width="1em" height="1em" viewBox="0 0 32 32"><path fill="currentColor" d="M4 4{path}"/>'
        "</svg>"
    )
