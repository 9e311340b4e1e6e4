"""A message as people read it: every word cleaned, clipped and put in order, for any medium.

Pure. Owns which facts of a paper are shown and which links are let through. Must not know
HTML, MIME or any chat's markup: mail, chats and the console render this and nothing else,
so that a hostile title is met in one place first.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, tzinfo
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from watcher.digest import is_late_bloomer
from watcher.model import Counts, Digest, Entry, Event, Message, Paper, Section, Value
from watcher.text import clean, clip, count_of, draw_votes, name_authors

HOSTS = frozenset({"huggingface.co", "arxiv.org", "github.com"})
"""Where links out of a paper may lead."""
TITLE_LIMIT = 250
REASON_LIMIT = 300
SUMMARY_LIMIT = 280

_KINDS = {"new": "New", "rising": "Rising", "resurging": "Resurging"}


class EntryView(Value, frozen=True, kw_only=True):
    """One paper. Texts are one line each and may be empty, links may be None."""

    kind: str
    """``New``, ``Rising``, ``Resurging`` or ``Late bloomer``."""
    title: str
    url: str | None
    """Its page on the site."""
    arxiv_url: str | None
    github_url: str | None
    authors: str
    organization: str
    votes: str
    """``142 votes``, or empty when unknown."""
    others: str
    """``8 comments · 1.2k stars``: what else is known of it."""
    sparkline: str
    """Votes over time in block characters; empty when they never changed."""
    reasons: tuple[str, ...]
    """At least one line."""
    summary: str
    """The short summary, else the beginning of the abstract."""
    strength: float
    """How much there is to tell: of too many papers the strongest stay."""

    @property
    def counts(self) -> str:
        """Votes and their line, comments and stars."""
        votes = " ".join(filter(None, (self.votes, self.sparkline)))
        return " · ".join(filter(None, (votes, self.others)))


class SectionView(Value, frozen=True, kw_only=True):
    """A titled group of papers."""

    title: str
    note: str
    entries: tuple[EntryView, ...]


class NoticeView(Value, frozen=True, kw_only=True):
    """A line about the watcher itself."""

    text: str
    good: bool = False
    """Whether it says that something works again."""

    def __str__(self) -> str:
        return self.text


class View(Value, frozen=True, kw_only=True):
    """A whole message in words, ready to be set in any medium."""

    subject: str
    headline: str = ""
    """The subject without what ``date`` says; empty where the only paper's title is enough."""
    date: str = ""
    """When it was composed, in the reader's zone."""
    lines: tuple[str, ...] = ()
    """Paragraphs above everything else: a letter's words, why a digest is late."""
    link: str | None = None
    """What a letter asks its reader to open."""
    link_text: str = ""
    notices: tuple[NoticeView, ...] = ()
    sections: tuple[SectionView, ...] = ()
    cut: int = 0
    more: str = ""
    """One line about the papers left out; empty when there are none."""
    more_url: str | None = None
    footer: tuple[str, ...] = ()
    preferences_url: str | None = None
    unsubscribe_url: str | None = None
    is_letter: bool = False
    instant: bool = False

    @property
    def entries(self) -> tuple[EntryView, ...]:
        """All papers in the order of the sections."""
        return tuple(entry for section in self.sections for entry in section.entries)

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to tell but that all is well."""
        return not (self.is_letter or self.entries or self.notices or self.cut)

    @property
    def preview(self) -> str:
        """What a mail program shows beside the subject."""
        titles = [entry.title for entry in self.entries[:3]]
        if self.entries and not self.headline:  # the subject is the only paper's title
            titles = [*self.entries[0].reasons, self.entries[0].summary]
        told = [*map(str, self.notices), *filter(None, titles), *self.lines]
        return clip(" · ".join(told), 140)


def view_of(message: Message) -> View:
    """The words of a message, times in its reader's zone."""
    if message.digest is not None:
        return _digest_view(message, message.digest)
    letter = message.letter
    return View(
        subject=clean(letter.subject) if letter else "",
        headline=clean(letter.subject) if letter else "",
        lines=tuple(clean(line) for line in letter.lines) if letter else (),
        link=own_link(letter.link) if letter else None,
        link_text=clean(letter.link_text) if letter else "",
        unsubscribe_url=own_link(message.links.unsubscribe),
        is_letter=True,
    )


def _digest_view(message: Message, digest: Digest) -> View:
    zone = _zone(message.timezone)
    return View(
        subject=clean(digest.title),
        headline=_headline(digest),
        date=show_time(digest.composed_at, zone),
        lines=_why_late(digest, zone),
        notices=tuple(_notice_view(event, zone) for event in digest.notices),
        sections=tuple(map(_section_view, digest.sections)),
        cut=digest.cut,
        more=_more(digest.cut),
        more_url=own_link(digest.more_url),
        footer=tuple(clean(line) for line in digest.footer),
        preferences_url=own_link(message.links.preferences),
        unsubscribe_url=own_link(message.links.unsubscribe),
        instant=digest.instant,
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")  # a zone that was renamed must not cost anybody their mail


def _headline(digest: Digest) -> str:
    if digest.instant and len(digest.entries) + len(digest.notices) == 1 and not digest.cut:
        return ""
    title = clean(digest.title)
    headline = title if digest.instant else title.partition(": ")[2] or title
    return headline[:1].upper() + headline[1:]


def _notice_view(event: Event, zone: tzinfo) -> NoticeView:
    text = f"{show_time(event.at, zone)}: {clean(event.reason)}"
    return NoticeView(text=text, good=event.type.is_relief)


def _why_late(digest: Digest, zone: tzinfo) -> tuple[str, ...]:
    if not digest.late or digest.due_at is None:
        return ()
    return (f"This was due on {show_time(digest.due_at, zone)} and could not be sent before.",)


def _more(cut: int) -> str:
    if not cut:
        return ""
    return f"{count_of(cut, 'more paper')} did not fit into this message."


def without_weakest(view: View, number: int) -> View:
    """The view with its ``number`` weakest papers counted as cut; of equals the last ones."""
    places = sorted(range(len(view.entries)), key=lambda n: (-view.entries[n].strength, n))
    stay = frozenset(places[: max(len(places) - number, 0)])
    kept: list[SectionView] = []
    begin = 0
    for section in view.sections:
        entries = tuple(e for n, e in enumerate(section.entries, begin) if n in stay)
        begin += len(section.entries)
        if entries:
            kept.append(msgspec.structs.replace(section, entries=entries))
    cut = view.cut + len(places) - len(stay)
    return msgspec.structs.replace(view, sections=tuple(kept), cut=cut, more=_more(cut))


def without_summaries(view: View) -> View:
    """The view without the words of the papers themselves but their titles."""
    sections = (
        msgspec.structs.replace(
            section,
            entries=tuple(msgspec.structs.replace(e, summary="") for e in section.entries),
        )
        for section in view.sections
    )
    return msgspec.structs.replace(view, sections=tuple(sections))


def _section_view(section: Section) -> SectionView:
    return SectionView(
        title=clip(clean(section.title), 80),
        note=clean(section.note),
        entries=tuple(map(entry_view, section.entries)),
    )


def entry_view(entry: Entry) -> EntryView:
    """The words of one paper."""
    event = entry.event
    paper = event.paper or Paper(row=0, first_seen_at=event.at)
    return EntryView(
        kind=_kind(event),
        title=clip(clean(paper.title), TITLE_LIMIT) or "(no title)",
        url=safe_link(paper.url),
        arxiv_url=safe_link(paper.arxiv_url),
        github_url=safe_link(paper.github),
        authors=clip(name_authors(paper.authors, paper.author_count), 200),
        organization=clip(clean(paper.organization or ""), 80),
        votes=_count(event.counts.upvotes, "vote"),
        others=_others(event.counts),
        sparkline=draw_votes(entry.votes) if len(set(entry.votes)) > 1 else "",
        reasons=_reasons(entry),
        summary=clip(clean(paper.ai_summary or paper.abstract or ""), SUMMARY_LIMIT),
        strength=event.strength,
    )


def _kind(event: Event) -> str:
    if is_late_bloomer(event):
        return "Late bloomer"
    return _KINDS.get(event.type.kind, event.type.kind)


def _reasons(entry: Entry) -> tuple[str, ...]:
    own = f"{_kind(entry.event).lower()}: "  # stands beside the title already
    reasons = [_without(own, clip(clean(reason), REASON_LIMIT)) for reason in entry.reasons]
    if entry.event.late and not is_late_bloomer(entry.event):
        reasons.append("told late: nobody was looking when it happened")
    return tuple(filter(None, reasons)) or (_kind(entry.event),)


def _without(kind: str, reason: str) -> str:
    """``new: 26 votes`` or ``rule: new: 26 votes`` without the kind."""
    if reason.startswith(kind):
        return reason.removeprefix(kind)
    return reason.replace(f": {kind}", ": ", 1)


def _others(counts: Counts) -> str:
    known = (
        _count(counts.comments, "comment"),
        _count(counts.stars, "star"),
    )
    return " · ".join(filter(None, known))


def _count(number: int | None, noun: str) -> str:
    if number is None:
        return ""
    if number < 10_000:
        return count_of(number, noun)
    return f"{number / 1000:.1f}k {noun}s"


def show_time(at: datetime, zone: tzinfo) -> str:
    """``Sat 21 Nov, 08:00`` in the reader's zone."""
    local = at.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"


def safe_link(url: str | None, hosts: Collection[str] = HOSTS) -> str | None:
    """An https address on one of ``hosts``, spelled in ASCII; None for anything else."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        usual = parts.port in (None, 443) and parts.username is None
    except ValueError:
        return None
    if parts.scheme != "https" or not usual or (parts.hostname or "") not in hosts:
        return None
    return f"https://{parts.hostname}{_spell(parts.path)}{_question(parts.query)}"


def own_link(url: str | None) -> str | None:
    """An address made by this watcher from its own public URL; None unless http or https."""
    if not url or not url.startswith(("https://", "http://")):
        return None
    return quote(url, safe="/:?&=%#~+,;@!$'()*[]-._")


def _spell(path: str) -> str:
    return quote(path, safe="/%~+,;@=-._")


def _question(query: str) -> str:
    return f"?{quote(query, safe='&=%~+,;-._/')}" if query else ""
