"""What a subscriber wants: their wishes, when they are due, which changes match, their tokens.

Pure. Owns the wishes of one person, the choice of what they are told, and the signed tokens
that stand in their links. Must not know the store, mail or the web, or read a clock.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

from watcher.config.values import EVERY_DAY, Hours, Weekday
from watcher.digest import LATE_MARK, count_kinds
from watcher.errors import QueryError, WatcherError
from watcher.identity import digest_of, event_id
from watcher.matching import Doc, doc_of, is_costly
from watcher.model import Change, Counts, Digest, Event, EventType, Paper, Section, Value
from watcher.query import Query, compile_query
from watcher.schedule import next_digest
from watcher.text import count_of

OWN_QUERY = ""
"""The topic that an own query is, beside the names of rules."""
MUTE_FOR = timedelta(days=14)
SETTLED = timedelta(minutes=3)
"""After so long what a visit saw is written down: longer than a visit may take."""
LOOK_BACK = timedelta(days=7)
"""A paper whose change was longer ago than this at someone's last look is not told any more when
it passes their threshold."""
SHARED_PREFIX = "s:"
"""Of the batches made here, so that they are never taken for a channel's own."""
MAX_VOTES = 1_000_000
MOST_COSTLY = 2
"""Words of an own query that no paper can be searched for quickly."""


class BadWish(WatcherError):
    """A wish that cannot be followed; ``field`` is the one to correct."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class Frequency(StrEnum):
    """How often somebody is written to."""

    INSTANT = "instant"
    DAILY = "daily"
    WEEKLY = "weekly"

    @property
    def less(self) -> Frequency:
        """One step less often."""
        return Frequency.DAILY if self is Frequency.INSTANT else Frequency.WEEKLY


class SubscriberState(StrEnum):
    """Asked and not yet confirmed, written to, or gone (and kept, so that it can be undone)."""

    ASKED = "asked"
    ACTIVE = "active"
    LEFT = "left"


class Wishes(Value, frozen=True, kw_only=True):
    """What one person wants to be told, and when."""

    topics: tuple[str, ...] = ()
    """Names of rules; their changes."""
    query: str | None = None
    """An own query over all papers that were seen."""
    min_upvotes: Annotated[int, msgspec.Meta(ge=0, le=MAX_VOTES)] = 0
    frequency: Frequency = Frequency.DAILY
    hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 8
    """Local; of daily and weekly mails."""
    weekday: Annotated[int, msgspec.Meta(ge=0, le=6)] = 0
    """0 is Monday; of weekly mails."""
    timezone: str = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """The zone of their hour and of the times they read."""
        return ZoneInfo(self.timezone)


class Subscriber(Value, frozen=True, kw_only=True):
    """Someone who asked to be written to."""

    id: int
    handle: str
    """Random; stands in tokens instead of the address."""
    address: str
    state: SubscriberState
    wishes: Wishes
    asked: Wishes | None = None
    """Wishes that wait for a confirmation."""
    asked_at: datetime | None = None
    nonce: str = ""
    muted: Mapping[str, datetime] = {}
    """Topic to the end of its mute; ended ones may still be there."""
    created_at: datetime
    changed_at: datetime
    """When they came, left, wished for something else or ended a mute."""
    confirmed_at: datetime | None = None
    left_at: datetime | None = None
    told_cursor: int = 0
    told_at: datetime | None = None
    mailed_at: datetime | None = None
    due_at: datetime | None = None

    def mutes(self, topic: str, now: datetime) -> datetime | None:
        """Until when a topic is muted; None when it is not."""
        until = self.muted.get(topic)
        return until if until is not None and until > now else None


# --- checking wishes --------------------------------------------------------------------


def checked(wishes: Wishes, offered: Sequence[str]) -> Wishes:
    """The wishes, tidied; raises ``BadWish`` for what cannot be followed.

    ``offered`` are the names of the rules there are; topics that are gone are dropped.
    """
    query = (wishes.query or "").strip() or None
    topics = tuple(name for name in offered if name in wishes.topics)
    if not topics and query is None:
        raise BadWish("Choose a topic, or write a query of your own.", "topics")
    if query is not None:
        try:
            asked = compile_query(query)
        except QueryError as exc:
            raise BadWish(f"The query cannot be read: {exc}", "query") from exc
        if sum(is_costly(leaf) for leaf in asked.root.leaves()) > MOST_COSTLY:
            raise BadWish(
                f"At most {MOST_COSTLY} words may begin with * or ?: write their beginnings.",
                "query",
            )
    try:
        ZoneInfo(wishes.timezone)
    except (KeyError, ValueError, OSError) as exc:
        raise BadWish(
            "There is no such time zone; write for example Europe/Berlin.", "timezone"
        ) from exc
    return msgspec.structs.replace(wishes, topics=topics, query=query)


# --- when -------------------------------------------------------------------------------


class _Table(Value, frozen=True, kw_only=True):
    """Wishes as the schedule reads them."""

    digest: time
    zone: ZoneInfo
    days: tuple[Weekday, ...] = EVERY_DAY
    quiet_hours: Hours | None = None


def next_due(wishes: Wishes, now: datetime) -> datetime:
    """The next time after ``now`` at which they are to be written to.

    Instant means the next full hour; an hour that does not exist on a day is the first that does.
    """
    if wishes.frequency is Frequency.INSTANT:
        return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    weekly = wishes.frequency is Frequency.WEEKLY
    table = _Table(
        digest=time(wishes.hour),
        zone=wishes.zone,
        days=(Weekday(wishes.weekday),) if weekly else EVERY_DAY,
    )
    return next_digest(table, now)[1]


# --- what -------------------------------------------------------------------------------


class Window(Value, frozen=True, kw_only=True):
    """Everything one pass over the events looks at; made once for all subscribers."""

    now: datetime
    horizon: datetime
    """Counts are taken as of then, a little before now: what was seen until then is surely
    written down, so that the next pass finds the same."""
    events: tuple[Event, ...]
    """Changes from ``LOOK_BACK`` before anybody's last look on, baselines left out, oldest first;
    papers as they are now."""
    young: tuple[Paper, ...] = ()
    """Papers that began since then, for own queries."""
    votes_at: Callable[[datetime], Mapping[int, int]] = lambda _: {}
    """The counts that were known at an instant, by the paper's row."""
    sources: Mapping[int, tuple[str, ...]] = {}
    """The sources that showed a paper, where a query asks for them."""
    docs: dict[int, Doc] = msgspec.field(default_factory=dict)
    """Papers as queries see them, filled as they are asked for."""

    def doc(self, paper: Paper) -> Doc:
        """A paper as queries see it: folded once for all who ask."""
        doc = self.docs.get(paper.row)
        if doc is None:
            doc = doc_of(paper, now=self.now, sources=self.sources.get(paper.row, ()))
            self.docs[paper.row] = doc
        return doc


class Wanting(Value, frozen=True, kw_only=True, cache_hash=True):
    """All that decides what a subscriber is told: equal ones are told the same."""

    topics: tuple[str, ...]
    """Those that are not muted."""
    query: str | None
    min_upvotes: int
    cursor: int
    """They have been told of what came up to here."""
    since: datetime | None
    """The horizon of that look."""
    steady_since: datetime | None = None
    """From then on they were told what these topics said; not further back than such a look
    reaches, so that it parts only those who changed something lately."""


def wanting(subscriber: Subscriber, now: datetime) -> Wanting:
    """What decides about a subscriber's next message."""
    wishes = subscriber.wishes
    heard = tuple(topic for topic in wishes.topics if subscriber.mutes(topic, now) is None)
    silent = subscriber.mutes(OWN_QUERY, now) is not None
    since = subscriber.told_at
    changes = (
        subscriber.changed_at,
        *(subscriber.muted[t] for t in heard if t in subscriber.muted),
    )
    return Wanting(
        topics=tuple(sorted(heard)),
        query=None if silent else wishes.query,
        min_upvotes=wishes.min_upvotes,
        cursor=subscriber.told_cursor,
        since=since,
        steady_since=max(since - LOOK_BACK, *changes) if since else None,
    )


def choose(wanting: Wanting, window: Window) -> tuple[Event, ...]:
    """The changes to tell, each paper and kind once, oldest first.

    A change is told when it came after the last look; and, under a threshold, when its paper
    has passed it since; but not when another of their topics had told the same before. For an
    own query every paper that was seen counts, whether or not a rule spoke about it: it is new
    when it first matches.
    """
    chosen: dict[tuple[int, EventType], Event] = {}
    query = compile_query(wanting.query) if wanting.query else None
    passing = _Passing(wanting, window)
    told = {
        (event.paper.row, event.type)
        for event in window.events
        if event.paper and event.rule in wanting.topics and passing.told(event, event.paper)
    }
    for event in window.events:
        paper = event.paper
        if paper is None or not passing.tells(event, paper):
            continue
        if (paper.row, event.type) in told or (paper.row, event.type) in chosen:
            continue
        by_query = query is not None and event.type is not EventType.NEW
        if event.rule in wanting.topics or (by_query and _matches(query, paper, window)):
            chosen[paper.row, event.type] = event
    if query is not None:
        for paper in filter(passing.has_begun, window.young):
            if (paper.row, EventType.NEW) not in told and _matches(query, paper, window):
                change = _own_change(query, paper, wanting.min_upvotes, window.now)
                chosen.setdefault((paper.row, EventType.NEW), change)
    return _without_lesser(chosen.values())


class _Passing:
    """Which changes and papers have come, or passed a threshold, since somebody's last look."""

    def __init__(self, wanting: Wanting, window: Window) -> None:
        self._wanting = wanting
        self._need = wanting.min_upvotes
        self._horizon = window.horizon
        self._reach = wanting.since - LOOK_BACK if wanting.since else None
        counted = bool(self._need)
        self._now = window.votes_at(window.horizon) if counted else {}
        self._before = window.votes_at(wanting.since) if counted and wanting.since else {}

    def tells(self, event: Event, paper: Paper) -> bool:
        """Whether a change is to be told now: it was not before, and will not be again."""
        fresh = event.cursor > self._wanting.cursor
        if not self._need:
            return fresh
        at_once = (event.counts.upvotes or 0) >= self._need
        if fresh:
            return at_once or self._now.get(paper.row, 0) >= self._need
        # What had enough votes by itself was told when it was fresh.
        return not at_once and self._is_recent(event.at) and self._has_passed(paper.row)

    def told(self, event: Event, paper: Paper) -> bool:
        """Whether a change of one of their topics was surely told at an earlier look."""
        steady = self._wanting.steady_since
        if steady is None or event.at <= steady or event.cursor > self._wanting.cursor:
            return False
        at_once = (event.counts.upvotes or 0) >= self._need
        return at_once or self._before.get(paper.row, 0) >= self._need

    def has_begun(self, paper: Paper) -> bool:
        """Whether a paper came, or passed the threshold, between the last look and this one."""
        since = self._wanting.since
        if paper.first_seen_at > self._horizon:
            return False
        if not self._is_recent(paper.listed_at or paper.first_seen_at):
            return False
        if since is None or paper.first_seen_at > since:
            return not self._need or self._now.get(paper.row, 0) >= self._need
        return bool(self._need) and self._has_passed(paper.row)

    def _is_recent(self, at: datetime) -> bool:
        """Counted from the last look: a week later, much of a weekly reader's week is too old."""
        return self._reach is None or at >= self._reach

    def _has_passed(self, row: int) -> bool:
        return self._now.get(row, 0) >= self._need > self._before.get(row, 0)


def _matches(query: Query | None, paper: Paper, window: Window) -> bool:
    return query is not None and query.match(window.doc(paper)) is True


def _upvotes(event: Event) -> int:
    now = event.paper.upvotes if event.paper else None
    return max(now or 0, event.counts.upvotes or 0)


def _own_change(query: Query, paper: Paper, need: int, now: datetime) -> Event:
    votes = "" if paper.upvotes is None else count_of(paper.upvotes, "vote")
    asked = f", needs {need}" if need else ""
    reason = f"new: {votes}{asked}" if votes else "new"
    return Event(
        cursor=0,
        id=event_id(f"query {query.text}", paper.name, Change.NEW.value),
        type=EventType.NEW,
        at=now,
        rule="your query",
        paper=paper,
        counts=Counts(upvotes=paper.upvotes, comments=paper.comments, stars=paper.stars),
        reason=f"{reason} · matches {query.text}",
        strength=(paper.upvotes or 0) / 20,
    )


def _without_lesser(events: Iterable[Event]) -> tuple[Event, ...]:
    """Of a paper that is new and rising at once, the rising."""
    kept = list(events)
    rising = {e.paper.row for e in kept if e.paper and e.type is EventType.RISING}
    return tuple(
        sorted(
            (
                e
                for e in kept
                if not (e.type is EventType.NEW and e.paper and e.paper.row in rising)
            ),
            key=lambda e: (e.cursor or 2**62, e.id),
        )
    )


def batch_name(day: str, events: Iterable[Event], due_at: datetime, now: datetime) -> str:
    """The name of a shared batch: a local date and a hash of what it tells, and when.

    A later pass that tells the same composes it anew: its readers would get words, counts and
    the date of hours ago, and lose the papers that have passed their threshold meanwhile. Who
    was promised another hour (after an outage both are due) gets words that speak of that hour.
    """
    told = sorted(f"{e.id} {e.reason}" for e in events)  # which may name a reader's threshold
    times = (due_at.isoformat(), now.isoformat())
    return f"{SHARED_PREFIX}{day}:{digest_of('shared', *times, *told)}"


# --- once more, just before sending -------------------------------------------------------


def why_unwanted(subscriber: Subscriber | None) -> str | None:
    """Why nothing is sent to an address any more; None when it is still subscribed."""
    if subscriber is None:
        return "no subscriber has this address any more"
    if subscriber.state is not SubscriberState.ACTIVE:
        return "they have unsubscribed"
    return None


def tailor(digest: Digest, subscriber: Subscriber, now: datetime) -> Digest | None:
    """A composed digest without what its reader no longer wants; None when nothing is left.

    Only takes away: what is told is otherwise what was composed. A query is asked as of then,
    because papers grow older while a message waits.
    """
    wishes = subscriber.wishes
    # The round looked at the highest counts. One that has fallen since would never be told again.
    need = wishes.min_upvotes if subscriber.changed_at >= digest.composed_at else 0
    query = compile_query(wishes.query) if wishes.query else None
    if query is not None and subscriber.mutes(OWN_QUERY, now):
        query = None
    heard = {topic for topic in wishes.topics if subscriber.mutes(topic, now) is None}

    def wants(rules: Iterable[str], event: Event) -> bool:
        if event.paper is None or _upvotes(event) < need:
            return False
        doc = doc_of(event.paper, now=digest.composed_at)
        by_query = query is not None and query.match(doc) is not False
        return by_query or not heard.isdisjoint(rules)

    sections = []
    for section in digest.sections:
        kept = tuple(entry for entry in section.entries if wants(entry.rules, entry.event))
        if kept:
            sections.append(Section(title=section.title, entries=kept, note=section.note))
    if not sections:
        return None
    left = sum(len(section.entries) for section in sections)
    if left == len(digest.entries):
        return digest
    shown = [entry for section in sections for entry in section.entries]
    day, colon, _ = digest.title.partition(": ")
    title = f"{day}: {count_kinds(shown)}" if colon and not digest.instant else count_kinds(shown)
    title += LATE_MARK if digest.late else ""
    return msgspec.structs.replace(digest, sections=tuple(sections), title=title)


# --- tokens -----------------------------------------------------------------------------

_TOKEN = re.compile(r"([A-Za-z0-9_-]{12})([A-Za-z0-9_-]{22})")


class Purpose(StrEnum):
    """What a token opens; a token for one opens no other."""

    CONFIRM = "confirm"
    PREFERENCES = "preferences"
    UNSUBSCRIBE = "unsubscribe"


CONFIRM_WITHIN = timedelta(days=7)
"""A confirmation comes within this time, or is asked for anew."""


def begins_anew(subscriber: Subscriber, now: datetime) -> bool:
    """Whether someone who comes (back) begins with what is told from now on.

    Who left a short while ago and undoes it loses nothing of what came meanwhile.
    """
    if subscriber.state is SubscriberState.ACTIVE:
        return False
    left = subscriber.left_at
    return left is None or subscriber.told_at is None or now - left > LOOK_BACK


class Tokens:
    """Signed tokens: a random handle and a MAC, never an address. They do not expire."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, purpose: Purpose, handle: str, nonce: str = "") -> str:
        """34 characters that open one thing for one subscriber."""
        return handle + self._mac(purpose.value, handle, nonce)

    def handle(self, token: str) -> str | None:
        """Whom a token speaks of; says nothing about whether it is genuine."""
        found = _TOKEN.fullmatch(token)
        return found[1] if found else None

    def opens(self, token: str, purpose: Purpose, nonce: str = "") -> bool:
        """Whether a token was made here for this purpose."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return False
        return hmac.compare_digest(found[2], self._mac(purpose.value, found[1], nonce))

    def seal(self, *parts: str) -> str:
        """22 characters that only this key gives for these parts."""
        return self._mac("seal", *parts)

    def is_seal(self, seal: str, *parts: str) -> bool:
        """Whether a seal belongs to these parts, compared in constant time."""
        return hmac.compare_digest(
            seal.encode("utf-8", "surrogatepass"), self._mac("seal", *parts).encode()
        )

    def _mac(self, *parts: str) -> str:
        message = "\x1f".join(parts).encode("utf-8", "surrogatepass")
        mac = hmac.digest(self._key, message, hashlib.sha256)
        return base64.urlsafe_b64encode(mac[:16]).rstrip(b"=").decode()


def handle_of(random: bytes) -> str:
    """Nine random bytes as a handle of twelve characters."""
    return base64.urlsafe_b64encode(random[:9]).decode()


def mask(address: str) -> str:
    """``m…@example.org``: enough for its owner to know it."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"
