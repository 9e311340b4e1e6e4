"""A card while its parts are being gathered from a text.

Owns how gathered parts become a ``Card`` and which fields a text shows. Must not read text.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec

from watcher.model import Card
from watcher.readers import text

AI_SUMMARY_AT_MOST = 500
"""A trending page shows the AI summary or, if there is none, the abstract, and does not say
which. In the archived answers summaries have at most some 400 characters; abstracts that are
shorter than this are rare."""

DASHES = frozenset("-–—−")

_FOOT = ("author_count", "published_on", "comments")


class Draft(msgspec.Struct):
    """What is known so far of one card. ``foot`` says that its foot was there."""

    title: str
    paper_id: str | None = None
    abstract: str = ""
    organization: str | None = None
    author_count: int | None = None
    published_on: date | None = None
    comments: int | None = None
    votes: str | None = None
    github: str | None = None
    stars: int | None = None
    stars_rounded: bool = False
    submitted_by: str | None = None

    def card(self, rank: int, *, trending: bool) -> Card:
        """The card at a place of the page."""
        abstract = text.clean(self.abstract)
        summarized = trending and abstract is not None and len(abstract) <= AI_SUMMARY_AT_MOST
        return Card(
            rank=rank,
            paper_id=self.paper_id,
            title=text.clean(self.title, text.TITLE_LIMIT) or "?",
            abstract=None if summarized else abstract,
            ai_summary=abstract if summarized else None,
            author_count=self.author_count,
            published_on=self.published_on,
            upvotes=text.count(self.votes)[0],
            comments=self.comments,
            stars=self.stars,
            github=text.link(self.github),
            organization=text.clean(self.organization, text.NAME_LIMIT),
            submitted_by=self.submitted_by,
            dashed=self.votes in DASHES,
        )


def once(drafts: Iterable[Draft]) -> list[Draft]:
    """Leave out second copies: trending pages hold each card for wide and narrow screens."""
    seen: set[tuple[str, str]] = set()
    kept: list[Draft] = []
    for draft in drafts:
        name = (draft.paper_id or draft.title.casefold(), "" if draft.paper_id else draft.abstract)
        if name not in seen:
            seen.add(name)
            kept.append(draft)
    return kept


def shown(drafts: list[Draft], *, trending: bool) -> frozenset[str]:
    """The fields of a text. What a foot says is shown only if every card has its foot: without
    it nothing is known, which is not the same as none."""
    shows = {"rank", "title"} | (set() if trending else {"abstract"})
    for name in ("paper_id", *_FOOT):
        if all(getattr(draft, name) is not None for draft in drafts):
            shows.add(name)
    if all(draft.votes is not None for draft in drafts):
        shows.add("upvotes")
    if trending and any(draft.stars is not None for draft in drafts):
        shows |= {"stars"}
    return frozenset(shows)
