"""The nouns of the watcher, as frozen values.

Owns every value that crosses a module boundary. Must not do I/O, read a clock or know
any library but msgspec. The words are those of ``docs/glossary.md``; use no others.

Times are aware UTC ``datetime``; in sightings they are integer Unix seconds, because a
store holds millions of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of every noun: immutable and comparable by value. Values form no cycles, so the
    garbage collector need not watch them.

    ``kw_only`` is not inherited in msgspec, so each noun says it itself.
    """


class PageKind(StrEnum):
    """What a page lists. ``PAPER`` is the page of a single paper."""

    DAILY = "daily"
    WEEK = "week"
    MONTH = "month"
    TRENDING = "trending"
    SEARCH = "search"
    PAPER = "paper"


class ReaderName(StrEnum):
    """Which reader understood a page, from the richest to the poorest."""

    ISLAND = "island"
    API = "api"
    CARDS = "cards"
    DUMP = "dump"


class EventType(StrEnum):
    """A change of a paper, or a notice about the watcher itself.

    The value is what a webhook's ``type`` says; ``kind`` is its last word for a change.
    """

    NEW = "paper.new"
    RISING = "paper.rising"
    RESURGING = "paper.resurging"
    SOURCE_FAILING = "source.failing"
    SOURCE_RECOVERED = "source.recovered"
    SOURCE_DRIFTING = "source.drifting"
    CHANNEL_FAILING = "channel.failing"
    CHANNEL_DISABLED = "channel.disabled"
    CHANNEL_RECOVERED = "channel.recovered"
    STORE_FAILING = "store.failing"

    @property
    def is_change(self) -> bool:
        """True for changes of papers, False for notices."""
        return self.value.startswith("paper.")

    @property
    def is_relief(self) -> bool:
        """True for notices that something works again."""
        return self.value.endswith(".recovered")

    @property
    def kind(self) -> str:
        """``new`` of ``paper.new``; the whole value for a notice."""
        return self.value.removeprefix("paper.")


class Change(StrEnum):
    """The kinds of change a rule can speak about."""

    NEW = "new"
    RISING = "rising"
    RESURGING = "resurging"

    @property
    def event_type(self) -> EventType:
        """The type of the event that tells this change."""
        return EventType(f"paper.{self.value}")


class CheckOutcome(StrEnum):
    """How one visit of one source ended."""

    OK = "ok"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    QUARANTINED = "quarantined"


class Card(Value, frozen=True, kw_only=True):
    """One paper as one page shows it.

    ``None`` means "has none" when the snapshot shows the field, else "unknown".
    Exactly the fields of the ``parse`` contract, in its order, and then two that are not
    printed: ``listed_on``, the list day, known even where the time of day is not; ``dashed``.
    """

    rank: int | None = None
    """Position on the page, from 1."""
    paper_id: str | None = None
    """arXiv id without version, e.g. ``2609.20519``."""
    title: str
    abstract: str | None = None
    ai_summary: str | None = None
    authors: tuple[str, ...] | None = None
    """All authors in order, or the ones the page names (then ``author_count`` is larger)."""
    author_count: int | None = None
    published_on: date | None = None
    listed_at: datetime | None = None
    """When it was submitted to the daily list, if the page tells the exact time."""
    upvotes: int | None = None
    comments: int | None = None
    stars: int | None = None
    """GitHub stars, to three digits where the page abbreviates (see ``Snapshot.rounded``)."""
    github: str | None = None
    project: str | None = None
    organization: str | None = None
    submitted_by: str | None = None
    keywords: tuple[str, ...] | None = None
    thumbnail: str | None = None
    listed_on: date | None = None
    dashed: bool = False
    """Upvotes stood there as ``-``: 0 for a paper known to be listed, else unknown."""


CARD_FIELDS: tuple[str, ...] = tuple(
    f for f in Card.__struct_fields__ if f not in ("listed_on", "dashed")
)
"""The names printed by ``parse`` and used in ``Snapshot.shows``."""


class Snapshot(Value, frozen=True, kw_only=True):
    """The cards of one page at one time, and the fields its reader shows."""

    reader: ReaderName
    taken_at: datetime
    cards: tuple[Card, ...]
    kind: PageKind | None = None
    """None when the page does not say."""
    listed_on: date | None = None
    """The day of a daily list."""
    shows: frozenset[str] = frozenset()
    """Names out of ``CARD_FIELDS`` that this reader shows on this kind of page."""
    rounded: frozenset[str] = frozenset()
    """Count fields that may be abbreviated to three digits (``62.2k``)."""
    warnings: tuple[str, ...] = ()
    query: str | None = None
    """What a search page searched for."""


Columns = Mapping[str, tuple[Any, ...]]
"""The fields of cards by name, each with one value per card."""


def columns_of(snapshot: Snapshot) -> Columns:
    """A snapshot's cards turned on their side, for whoever looks at fields and not at cards."""
    rows = map(msgspec.structs.astuple, snapshot.cards)
    fields = Card.__struct_fields__
    return (
        dict(zip(fields, zip(*rows, strict=True), strict=True))
        if snapshot.cards
        else dict.fromkeys(fields, ())
    )


class Counts(Value, frozen=True, kw_only=True):
    """What a paper's counters said; None is unknown, not zero."""

    upvotes: int | None = None
    comments: int | None = None
    stars: int | None = None


class Look(Value, frozen=True, kw_only=True):
    """One stored sighting: the counts one source showed for a paper at a time."""

    at: int
    """Unix seconds."""
    source: int
    upvotes: int | None = None
    comments: int | None = None
    stars: int | None = None


class Place(Value, frozen=True, kw_only=True):
    """Where a paper stood on a ranked page at a time."""

    at: int
    """Unix seconds."""
    source: int
    rank: int
    """From 1."""
    page_size: int
    """Cards on that page."""


class Paper(Value, frozen=True, kw_only=True):
    """A remembered paper: everything the pages have told about it so far."""

    row: int
    """The store's integer; events stay with it when titles or ids change."""
    arxiv_id: str | None = None
    title: str = ""
    title_hash: str = ""
    """Hash of the normalised title: the name of a paper without an id."""
    abstract: str | None = None
    ai_summary: str | None = None
    authors: tuple[str, ...] | None = None
    author_count: int | None = None
    published_on: date | None = None
    listed_at: datetime | None = None
    listed_exact: bool = False
    """False when ``listed_at`` is only the first time it was seen listed."""
    first_seen_at: datetime
    upvotes: int | None = None
    comments: int | None = None
    stars: int | None = None
    github: str | None = None
    project: str | None = None
    organization: str | None = None
    submitted_by: str | None = None
    keywords: tuple[str, ...] | None = None
    thumbnail: str | None = None

    @property
    def name(self) -> str:
        """What people and files call it: the arXiv id, else ``t:`` and the title's hash."""
        return self.arxiv_id or f"t:{self.title_hash}"

    @property
    def url(self) -> str | None:
        """Its page on the site; None while it has no id."""
        return f"https://huggingface.co/papers/{self.arxiv_id}" if self.arxiv_id else None

    @property
    def arxiv_url(self) -> str | None:
        """Its page at arXiv; None while it has no id."""
        return f"https://arxiv.org/abs/{self.arxiv_id}" if self.arxiv_id else None


class History(Value, frozen=True, kw_only=True):
    """What is remembered of one paper up to a moment: all that a signal may look at."""

    listed_at: int | None
    """Unix seconds; None while it was never seen listed."""
    listed_exact: bool
    first_seen_at: int
    """Unix seconds."""
    looks: tuple[Look, ...] = ()
    """In time order; a count is stored when it differs from that source's last."""
    places: tuple[Place, ...] = ()
    """In time order, on pages whose order is a rank."""

    @property
    def counts(self) -> Counts:
        """The latest known of each count."""
        upvotes = comments = stars = None
        for look in self.looks:
            upvotes = upvotes if look.upvotes is None else look.upvotes
            comments = comments if look.comments is None else look.comments
            stars = stars if look.stars is None else look.stars
        return Counts(upvotes=upvotes, comments=comments, stars=stars)


class Condition(Value, frozen=True, kw_only=True):
    """One condition of a rule, with what it found and what it needs.

    ``ok`` is None when the value is unknown: unknown never fires.
    """

    name: str
    value: str
    need: str
    ok: bool | None


class Verdict(Value, frozen=True, kw_only=True):
    """Per rule, paper and kind: fires or not, with every condition."""

    rule: str
    kind: Change
    fires: bool
    conditions: tuple[Condition, ...] = ()


class Event(Value, frozen=True, kw_only=True):
    """A change of a paper or a notice: one table, one cursor, one outbox."""

    cursor: int
    id: str
    """Deterministic: a hash of rule, paper and kind (or of the notice's subject and time)."""
    type: EventType
    at: datetime
    rule: str | None = None
    """The rule that spoke first; None for a notice."""
    paper: Paper | None = None
    subject: str | None = None
    """Of a notice: the name of the source or channel it is about."""
    counts: Counts = Counts()
    """The counts when it was decided."""
    reason: str = ""
    """One line, part of the event, shown wherever it is shown."""
    conditions: tuple[Condition, ...] = ()
    known: bool = False
    """Recorded at a rule's baseline: owed to nobody."""
    strength: float = 0.0
    """For ordering within a digest: the larger, the stronger."""
    late: bool = False
    """Judged for a time at which we were blind, or a late bloomer."""


class Delivery(Value, frozen=True, kw_only=True):
    """An event goes to a channel in a batch; it has no state of its own."""

    event_id: str
    channel: str
    batch: str
    """An instant batch is named ``i:`` + a hash of its event keys, a digest's ``d:`` + its local
    date. What comes up in quiet hours shares one ``i:`` batch, named by their end."""
    due_at: datetime


class MessageState(StrEnum):
    """Where a message stands. Only ``WAITING`` messages are ever claimed."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"


class Entry(Value, frozen=True, kw_only=True):
    """One paper in a digest, told once with the reasons of all its rules."""

    event: Event
    """The strongest of the paper's events in the batch."""
    reasons: tuple[str, ...] = ()
    """One line per rule that spoke, ``rule: reason`` when there are several; rules that say the
    same share one."""
    rules: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    """Every event this entry tells."""
    first_cursor: int = 0
    """The lowest cursor of these; 0 in digests that were stored before it was kept."""
    votes: tuple[int, ...] = ()
    """Upvotes over time, evenly spaced, for a sparkline."""


class Section(Value, frozen=True, kw_only=True):
    """A titled group of entries: a rule, or the box of late bloomers."""

    title: str
    entries: tuple[Entry, ...]
    note: str = ""
    """One line under the title, where it needs one."""


class Digest(Value, frozen=True, kw_only=True):
    """What a batch says: composed once, when it closes, and the same in every retry.

    An instant alert is a digest too, usually of one entry.
    """

    title: str
    """The subject line, with counts."""
    composed_at: datetime
    sections: tuple[Section, ...] = ()
    notices: tuple[Event, ...] = ()
    instant: bool = False
    late: bool = False
    """Its hour had passed long before it could leave."""
    due_at: datetime | None = None
    """The time promised."""
    cut: int = 0
    """Papers left out by the channel's cap."""
    more_url: str | None = None
    """Where the papers that were cut can be seen."""
    cursor: int = 0
    """A consumer that asks for the events after this one misses nothing: the highest cursor of
    the batch (of all events, when it is empty), or the one before the first that was cut."""
    footer: tuple[str, ...] = ()
    """Accounting lines: checks, papers seen, gaps."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, in the order of the sections."""
        return tuple(entry for section in self.sections for entry in section.entries)


class Letter(Value, frozen=True, kw_only=True):
    """Words for one person without an event: a confirmation, a test."""

    subject: str
    lines: tuple[str, ...]
    """Paragraphs of plain text."""
    link: str | None = None
    """What the reader is asked to open, if anything."""
    link_text: str = ""


class Links(Value, frozen=True, kw_only=True):
    """Signed addresses for one recipient, made when the message is sent."""

    preferences: str | None = None
    unsubscribe: str | None = None
    """For people and for RFC 8058 one-click POST; None without a public URL."""


class Message(Value, frozen=True, kw_only=True):
    """Channel + batch + recipient: what is claimed, sent, retried and resent."""

    key: str
    """Stable over all retries: the ``webhook-id``, and the left part of the Message-ID."""
    channel: str
    batch: str
    recipient: str = ""
    """Address for mail; empty where the channel itself is the recipient."""
    digest: Digest | None = None
    letter: Letter | None = None
    links: Links = Links()
    attempt: int = 1
    timezone: str = "UTC"
    """In which the recipient reads times."""
