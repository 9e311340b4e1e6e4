"""A case: one paper at one moment, and what holds of it.

Owns the subject and the moment of a judgement and the meaning of every condition, each a
three-valued answer (None is unknown). Pure. Must not put anything into words
(``reasons.py``) or decide whether to speak (``judgement.py``).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping
from operator import attrgetter

import msgspec

from watcher import growth
from watcher.matching import Doc, Node, Outcome, Text, spread, text_of
from watcher.model import Counts, History, Paper, Value
from watcher.query import Query
from watcher.rules import Rule

NEW_WINDOW = 7 * growth.DAY
"""Later than this after listing and first sight, a ``new`` paper is a late bloomer."""
_NOT_ASKED = object()
_AT = attrgetter("at")
_SHORT_PAST = 6 * growth.HOUR
"""A pace is not read from less."""
_EPOCH_DAY = 719_163
"""``date(1970, 1, 1).toordinal()``."""


class Subject(Value, frozen=True, kw_only=True):
    """One paper in one check: the remembered paper with the page laid over it."""

    paper: Paper
    key: str
    """The paper's name at birth, from which the keys of its changes are made."""
    source: str
    """The source whose check judges it."""
    history: History
    """Up to now, with what the page shows."""
    shows: frozenset[str] = frozenset()
    """Fields the page shows: absent there is "has none", elsewhere "unknown"."""
    sources: tuple[str, ...] = ()
    """All sources that ever showed it; ``source`` alone when empty."""
    words: int = 0
    """Stands for the paper's words wherever they are the same; 0: look at them."""
    further: Callable[[], History] | None = None
    """Gives the whole history where ``history`` has the last hour only: most cases ask no
    further. The same answer whenever it is asked."""


class Moment(Value, frozen=True, kw_only=True):
    """Everything a decision knows besides rules and papers."""

    now: int
    """Unix seconds. Nothing after it plays a part."""
    baseline: growth.Baseline = growth.PRIOR
    trending: frozenset[int] = frozenset()
    """The store's numbers of the sources whose page is a trending list."""
    said: Collection[str] = frozenset()
    """The keys used up so far (a set, for speed)."""
    first_looks: Collection[tuple[str, str]] = frozenset()
    """Pairs (rule, source) that judge their first snapshot: its events are recorded as known."""
    told_today: Mapping[str, int] = {}
    """Changes each rule told since midnight, for its budget."""


def counted(paper: Paper, counts: Counts) -> Paper:
    """The paper with other counts: those of the moment it is judged at."""
    return msgspec.structs.replace(
        paper, upvotes=counts.upvotes, comments=counts.comments, stars=counts.stars
    )


def ripe_at(rule: Rule, history: History) -> float:
    """When (Unix seconds) a rule begins to judge ``new``: counted from listing, or first sight."""
    begin = history.first_seen_at if history.listed_at is None else history.listed_at
    return begin + rule.ripen_s


class Matches:
    """What the words of papers decided, remembered per text and rule.

    The key is the hash of all words, so a changed abstract is a new text. Holds outcomes
    only, never the words; forgets everything when full.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._known: dict[int, dict[Query, Outcome]] = {}

    def known(self, words: int, shows: frozenset[str]) -> Mapping[Query, Outcome]:
        """The outcomes known for a subject with these ``words`` (its field); 0 is unknown."""
        return self._known.get(hash((words, shows)), {}) if words else {}

    def of(self, subject: Subject) -> dict[Query, Outcome]:
        """The outcomes known for the words of this subject; to be added to."""
        key = hash((subject.words or _words_of(subject.paper), subject.shows))
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= self._limit:
                self._known.clear()
            known = self._known[key] = {}
        return known


def _words_of(paper: Paper) -> tuple[object, ...]:
    return (
        paper.title,
        paper.abstract,
        paper.ai_summary,
        paper.authors,
        paper.author_count,
        paper.organization,
        paper.keywords,
    )


class Case:
    """A subject at a moment; whatever costs something is worked out when first asked for.

    It is also the ``Facts`` that a query weighs.
    """

    __slots__ = (
        "_again",
        "_history",
        "_signals",
        "_text",
        "age_s",
        "key",
        "moment",
        "outcomes",
        "subject",
        "upvotes",
    )

    def __init__(self, subject: Subject, moment: Moment, outcomes: dict[Query, Outcome]) -> None:
        history = subject.history
        self.subject = subject
        self.key = subject.key
        self.moment = moment
        self.outcomes = outcomes
        self.upvotes = growth.count_at(history.looks, moment.now)
        self.age_s = None if history.listed_at is None else moment.now - history.listed_at
        self._again: bool | object | None = _NOT_ASKED
        self._history = history if subject.further is None else None
        self._signals: growth.Signals | None = None
        self._text: Text | None = None

    @property
    def history(self) -> History:
        """All of the past that a condition may ask of."""
        if self._history is None:
            further = self.subject.further
            self._history = self.subject.history if further is None else further()
        return self._history

    @property
    def signals(self) -> growth.Signals:
        """Every number computed from its sightings."""
        if self._signals is None:
            moment = self.moment
            self._signals = growth.signals(
                self.history,
                moment.now,
                baseline=moment.baseline,
                trending=moment.trending,
            )
        return self._signals

    @property
    def text(self) -> Text:
        """Its folded words."""
        if self._text is None:
            self._text = text_of(self.subject.paper, self.subject.shows)
        return self._text

    @property
    def source(self) -> str:
        """The names of the sources that showed it, folded."""
        return spread(self.subject.sources or (self.subject.source,))

    @property
    def comments(self) -> float | None:
        """Comments; NaN for "has none"."""
        return self._count("comments", self.subject.paper.comments)

    @property
    def stars(self) -> float | None:
        """Stars; NaN for "has none"."""
        return self._count("stars", self.subject.paper.stars)

    def _count(self, field: str, value: int | None) -> float | None:
        return math.nan if value is None and field in self.subject.shows else value

    @property
    def age_h(self) -> float | None:
        """Hours since listing; None without a listing."""
        return None if self.age_s is None else self.age_s / growth.HOUR

    @property
    def older_h(self) -> float:
        """It is surely at least so many hours old, listed or not."""
        return self.least_age_s / growth.HOUR

    @property
    def least_age_s(self) -> float:
        """Seconds since the first sight, or since the end of the day it was published on."""
        since: float = self.subject.history.first_seen_at
        published = self.subject.paper.published_on
        if published is not None:
            since = min(since, (published.toordinal() - _EPOCH_DAY + 1) * growth.DAY)
        return max(0.0, self.moment.now - since)

    def outcome(self, query: Query) -> bool | None:
        """Whether it matches a query; what its words decide is remembered."""
        outcomes = self.outcomes
        try:
            settled = outcomes[query]
        except KeyError:
            settled = outcomes[query] = query.settle(self.text)
        return settled.weigh(self) if isinstance(settled, Node) else settled

    def explain(self, query: Query) -> str:
        """What made the outcome what it is."""
        return query.explain(Doc(text=self.text, facts=self))

    # --- the conditions ---

    def enough(self, needed: int) -> bool | None:
        """At least so many votes; 0 asks for nothing."""
        if not needed:
            return True
        return None if self.upvotes is None else self.upvotes >= needed

    def ripe(self, rule: Rule) -> bool:
        """The rule has waited long enough to judge ``new``."""
        return not rule.ripen_s or self.moment.now >= ripe_at(rule, self.subject.history)

    def late(self, rule: Rule) -> bool:
        """Whether both listing and first sight are more than seven days ago (and it was ripe)."""
        history = self.subject.history
        begin = max(history.first_seen_at, history.listed_at or history.first_seen_at)
        return self.moment.now - begin > max(NEW_WINDOW, rule.ripen_s + growth.DAY)

    def surely(self, rule: Rule) -> bool | None:
        """The lower bound of the multiplier reaches the need, by the table of votes per age."""
        upvotes, age_s = self.upvotes, growth.oldest_age(self.subject.history, self.moment.now)
        if upvotes is not None and upvotes < growth.RISING_FLOOR:
            return False
        if upvotes is None or age_s is None or self.age_s is None or self.age_s < 0:
            return None
        needed = growth.bar(self.moment.baseline, rule.min_multiplier).needed(age_s)
        return needed is not None and upvotes >= needed

    @property
    def again(self) -> bool | None:
        """Older than 36 h and gaining 5 a day, or entering the trending top ten from below."""
        if self._again is _NOT_ASKED:
            self._again = self._is_back()
        return self._again  # type: ignore[return-value]

    def _is_back(self) -> bool | None:
        if self._near_top() and self.signals.entered_top is not None:
            return True
        limit = growth.RESURGING_AGE * growth.HOUR
        if self.age_s is not None:
            if self.age_s <= limit or self._too_small(self.age_s):
                return False
            older: bool | None = True
        else:
            older = True if self.least_age_s > limit else None
        gain = self.gain_day
        if gain is None:
            return None
        return older if gain >= self.gain_needed else False

    def _too_small(self, age_s: float) -> bool:
        """In its first week a paper with few votes gains a few more; after it that is news."""
        followed = age_s < growth.FOLLOW_HOURS * growth.HOUR
        return followed and self.upvotes is not None and self.upvotes < growth.RISING_FLOOR

    def _near_top(self) -> bool:
        """Cheap: whether the signal of entering the top ten can be there at all."""
        trending = self.moment.trending
        if not trending:
            return False
        for place in reversed(self.subject.history.places):
            if place.source in trending and place.at <= self.moment.now:
                return place.rank <= growth.TOP
        return False

    @property
    def gain_day(self) -> int | None:
        """Votes gained in the last 24 hours, for a paper older than that."""
        if self.upvotes is None:
            return None
        before = self._count_ago(growth.DAY)
        return None if before is None else self.upvotes - before

    @property
    def gain_needed(self) -> int:
        """Votes in a day that are a coming back: five, and no fewer than in the day before.

        A paper that slows down is not back: its rise has a long tail. Whole days are compared,
        because votes come by daylight; of a shorter past what is known is taken as its pace.
        """
        yesterday, span = self._count_ago(growth.DAY), growth.DAY
        if yesterday is None:
            return growth.RESURGING_GAIN
        earlier = self._count_ago(2 * growth.DAY)
        if earlier is None:
            first = next(look for look in self.history.looks if look.upvotes is not None)
            earlier, span = first.upvotes or 0, self.moment.now - growth.DAY - first.at
        before = (yesterday - earlier) * growth.DAY / max(span, _SHORT_PAST)
        return max(growth.RESURGING_GAIN, math.ceil(before))

    def _count_ago(self, seconds: int) -> int | None:
        looks, then = self.history.looks, self.moment.now - seconds
        return growth.held_at(looks[: bisect_right(looks, then, key=_AT)], then)
