"""What a query is tested against and the parts it is made of: folded words and counts.

Owns folding and tokens, how a paper looks to a query, and the three-valued outcome of every
part: True, False or None (unknown). Pure. Must not know the syntax (``query.py``), rules or
the store.

A query is settled in two steps, because words rarely change and counts always do: ``settle``
answers what the words alone decide (worth remembering per paper), ``weigh`` the rest.
"""

# ruff: noqa: D102, ARG002 - the contracts of the methods stand at Node

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from typing import Protocol
from unicodedata import combining, normalize

from watcher.model import Paper, Value

ANY, ONE = "\ue000", "\ue001"
"""Stand for the wildcards * and ? in folded tokens."""
_TOKEN = re.compile(rf"(?:[^\W_]|[{ANY}{ONE}])+")
_ASCII = {i: chr(i).lower() if chr(i).isalnum() else " " for i in range(128)}
_UNSTROKED = {
    "ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe",
    "þ": "th",
}  # fmt: skip
"""Letters that no accent can be taken from, as people write them who have no such key."""
_STROKED = re.compile(f"[{''.join(_UNSTROKED)}]")
_FIRST_ACCENT = "\u0300"
_VOICED = "\u3099\u309a"
"""Marks that make another letter in Japanese: モデル is not モテル."""
_FTS_COLUMNS = {
    "title": "title",
    "abstract": "abstract",
    "summary": "ai_summary",
    "author": "authors",
}
"""Columns of the store's full-text index; other fields are checked by matching alone."""
_SIGNS = (
    *(("ffi", "ﬃ"), ("ffl", "ﬄ"), ("ff", "ﬀ"), ("fi", "ﬁ"), ("fl", "ﬂ"), ("ss", "ß")),
    *((plain, stroked) for stroked, plain in _UNSTROKED.items()),
)
_ALPHABETS = (
    str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"),
    str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"),
    {code: code + 0xFEE0 for code in range(0x21, 0x7F)},  # the letters of full width
)
_MOST_SPELLINGS = 40


# --- what a query looks at --------------------------------------------------------------


def fold(text: str) -> str:
    """The tokens of a text, case- and accent-folded (NFKD, casefold), joined by one space.

    A token is a run of letters and digits: ``GPT-4o`` is the two tokens ``gpt 4o``.
    """
    if text.isascii():
        return " ".join(text.translate(_ASCII).split())
    folded = normalize("NFKD", text).casefold()
    plain = "".join([c for c in folded if c < _FIRST_ACCENT or not combining(c) or c in _VOICED])
    plain = _STROKED.sub(_unstroked, plain)
    return " ".join(_TOKEN.findall(normalize("NFC", plain)))


def _unstroked(found: re.Match[str]) -> str:
    return _UNSTROKED[found[0]]


class Text(Value, frozen=True, kw_only=True):
    """The folded words of a paper, each field as `` one two `` with values parted by a newline.

    None is unknown, a single space is "has none". What ``partial`` names may hold more than
    is known here (an author list cut by the page).
    """

    title: str | None = None
    abstract: str | None = None
    summary: str | None = None
    author: str | None = None
    organization: str | None = None
    keyword: str | None = None
    partial: frozenset[str] = frozenset()


class Facts(Protocol):
    """What moves while the words stay: counts, age, and the sources that show the paper.

    None is unknown; a NaN count is "has none" and satisfies no comparison.
    """

    @property
    def source(self) -> str | None:
        """Folded names of the sources, as by ``spread``."""

    @property
    def upvotes(self) -> float | None: ...
    @property
    def comments(self) -> float | None: ...
    @property
    def stars(self) -> float | None: ...
    @property
    def age_h(self) -> float | None:
        """Hours since listing; None without a listing."""

    @property
    def older_h(self) -> float | None:
        """Without a listing: it is surely at least so old."""


class FixedFacts(Value, frozen=True, kw_only=True):
    """``Facts`` as a value."""

    source: str | None = None
    upvotes: float | None = None
    comments: float | None = None
    stars: float | None = None
    age_h: float | None = None
    older_h: float | None = None


class Doc(Value, frozen=True, kw_only=True):
    """A paper as a query sees it."""

    text: Text
    facts: Facts = FixedFacts()


def text_of(paper: Paper, shows: frozenset[str] = frozenset()) -> Text:
    """Fold a paper's words; an absent field that the page shows is "has none", not unknown."""
    authors = paper.authors
    known = len(authors or ())
    partial = authors is not None and paper.author_count is not None and known < paper.author_count
    return Text(
        title=spread((paper.title,)),
        abstract=_one(paper.abstract, "abstract" in shows),
        summary=_one(paper.ai_summary, "ai_summary" in shows),
        author=spread(authors) if authors or "authors" in shows else None,
        organization=_one(paper.organization, "organization" in shows),
        keyword=spread(paper.keywords) if paper.keywords or "keywords" in shows else None,
        partial=frozenset({"author"}) if partial else frozenset(),
    )


def doc_of(paper: Paper, *, now: datetime, sources: Iterable[str] | None = None) -> Doc:
    """A remembered paper as a search sees it, with the sources that ever showed it (None: they
    are unknown)."""
    age_h = None if paper.listed_at is None else (now - paper.listed_at) / timedelta(hours=1)
    facts = FixedFacts(
        source=None if sources is None else spread(sources),
        upvotes=paper.upvotes,
        comments=paper.comments,
        stars=paper.stars,
        age_h=age_h,
        older_h=surely_older(paper, now=now),
    )
    return Doc(text=text_of(paper), facts=facts)


def surely_older(paper: Paper, *, now: datetime) -> float:
    """Hours since the first sight, or since the end of the day it was published on."""
    since = paper.first_seen_at
    if paper.published_on is not None:
        day_end = datetime.combine(paper.published_on, time(), UTC) + timedelta(days=1)
        since = min(since, day_end)
    return max(0.0, (now - since) / timedelta(hours=1))


def spread(values: Iterable[str] | None) -> str:
    """Fold several values into one field, so that no phrase runs across two of them."""
    joined = " \n ".join(filter(None, map(fold, values or ())))
    return f" {joined} " if joined else " "


def _one(value: str | None, shown: bool) -> str | None:
    if value is None and not shown:
        return None
    return spread((value or "",))


# --- what a query is made of ------------------------------------------------------------


class Node(Value, frozen=True, kw_only=True):
    """A part of a query. Outcomes are three-valued: None is unknown."""

    def settle(self, text: Text) -> Outcome:
        """What the words alone decide: an outcome, or the part that needs the facts."""
        raise NotImplementedError

    def weigh(self, facts: Facts) -> bool | None:
        """The outcome of a part that was settled."""
        raise NotImplementedError

    def fts(self) -> str | None:
        """An FTS5 expression that holds wherever this does; None for everything."""
        return None

    def leaves(self) -> Iterator[Node]:
        """The smallest parts, as written."""
        yield self

    def blame(self, doc: Doc) -> tuple[str, ...]:
        """The smallest parts that made the outcome what it is, as their own text."""
        raise NotImplementedError

    def outcome(self, doc: Doc) -> bool | None:
        """Both steps at once."""
        settled = self.settle(doc.text)
        return settled.weigh(doc.facts) if isinstance(settled, Node) else settled


Outcome = bool | None | Node


class Words(Node, frozen=True, kw_only=True):
    """A word or phrase in one of some fields, as consecutive whole tokens."""

    shown: str
    tokens: tuple[str, ...]
    fields: tuple[str, ...]
    pattern: re.Pattern[str] | None = None
    """Only with wildcards."""

    def found(self, field: str) -> bool:
        """Whether a folded field holds it."""
        if self.pattern is not None:
            return self.pattern.search(field) is not None
        return f" {' '.join(self.tokens)} " in field

    def settle(self, text: Text) -> Outcome:
        outcome: bool | None = False
        for name in self.fields:
            field: str | None = getattr(text, name)
            if field is not None and self.found(field):
                return True
            if field is None or name in text.partial:
                outcome = None
        return outcome

    def fts(self) -> str | None:
        columns = [_FTS_COLUMNS.get(name) for name in self.fields]
        words = " ".join(self.tokens)
        prefix = words.endswith(ANY)
        words = words.removesuffix(ANY)
        if None in columns or not words.isascii() or words.endswith(" ") or not words:
            return None  # the index folds foreign letters in its own way: check them all
        if prefix and len(words) == 1:
            return None  # half of all words: gathering them costs more than looking at papers
        phrases = [f'"{spelling}"' + (" *" if prefix else "") for spelling in _spellings(words)]
        return f"{{{' '.join(map(str, columns))}}} : ({' OR '.join(phrases)})"

    def blame(self, doc: Doc) -> tuple[str, ...]:
        return (self.shown,)


def is_costly(leaf: Node) -> bool:
    """Whether a part has to be tried at every word of a paper, as ``*a`` has to."""
    return isinstance(leaf, Words) and leaf.tokens[0].startswith((ANY, ONE))


def _spellings(words: str) -> list[str]:
    """How a text may spell folded words in ways that the index takes for other words.

    Not all of them: one sign in one place or in all its places, one alphabet at a time.
    """
    found = {words: None, **{words.translate(alphabet): None for alphabet in _ALPHABETS}}
    for plain, odd in _SIGNS:
        if plain in words:
            found[words.replace(plain, odd)] = None
            for place in re.finditer(plain, words):
                found[f"{words[: place.start()]}{odd}{words[place.end() :]}"] = None
    return list(found)[:_MOST_SPELLINGS]


class Source(Words, frozen=True, kw_only=True):
    """A word in the names of the sources that show the paper."""

    def settle(self, text: Text) -> Outcome:
        return self

    def weigh(self, facts: Facts) -> bool | None:
        return None if facts.source is None else self.found(facts.source)

    def fts(self) -> str | None:
        return None


class Number(Node, frozen=True, kw_only=True):
    """A count or an age within bounds."""

    shown: str
    field: str
    low: float = -math.inf
    high: float = math.inf
    with_low: bool = True
    with_high: bool = True

    def settle(self, text: Text) -> Outcome:
        return self

    def weigh(self, facts: Facts) -> bool | None:
        if self.field == "age":
            return self._weigh_age(facts)
        value: float | None = getattr(facts, self.field)
        return None if value is None else self._above(value) and self._below(value)

    def _weigh_age(self, facts: Facts) -> bool | None:
        """Without a listing only "older than" can be known, from the least age."""
        if facts.age_h is not None:
            return self._above(facts.age_h) and self._below(facts.age_h)
        if facts.older_h is None:
            return None
        if not self._below(facts.older_h):
            return False
        return True if self.high == math.inf and self._above(facts.older_h) else None

    def _above(self, value: float) -> bool:
        return value >= self.low if self.with_low else value > self.low

    def _below(self, value: float) -> bool:
        return value <= self.high if self.with_high else value < self.high

    def blame(self, doc: Doc) -> tuple[str, ...]:
        return (self.shown,)


class Not(Node, frozen=True, kw_only=True):
    """The opposite; unknown stays unknown."""

    part: Node

    def settle(self, text: Text) -> Outcome:
        settled = self.part.settle(text)
        if isinstance(settled, Node):
            return Not(part=settled)
        return None if settled is None else not settled

    def weigh(self, facts: Facts) -> bool | None:
        outcome = self.part.weigh(facts)
        return None if outcome is None else not outcome

    def leaves(self) -> Iterator[Node]:
        return self.part.leaves()

    def blame(self, doc: Doc) -> tuple[str, ...]:
        return tuple(f"NOT {shown}" for shown in self.part.blame(doc))


class Several(Node, frozen=True, kw_only=True):
    """AND when ``decisive`` is False, OR when it is True: one such outcome decides."""

    parts: tuple[Node, ...]
    decisive: bool

    def settle(self, text: Text) -> Outcome:
        rest: list[Node] = []
        for part in self.parts:
            settled = part.settle(text)
            if settled is self.decisive:
                return settled
            if settled is None:
                rest.append(_UNKNOWN)
            elif isinstance(settled, Node):
                rest.append(settled)
        if all(part is _UNKNOWN for part in rest):
            return None if rest else not self.decisive
        return rest[0] if len(rest) == 1 else Several(parts=tuple(rest), decisive=self.decisive)

    def weigh(self, facts: Facts) -> bool | None:
        return self._join(part.weigh(facts) for part in self.parts)

    def _join(self, outcomes: Iterable[bool | None]) -> bool | None:
        joined: bool | None = not self.decisive
        for outcome in outcomes:
            if outcome is self.decisive:
                return outcome
            if outcome is None:
                joined = None
        return joined

    def fts(self) -> str | None:
        found = [part.fts() for part in self.parts]
        kept = [f"({expression})" for expression in found if expression is not None]
        if not kept or (self.decisive and len(kept) < len(found)):
            return None
        return (" OR " if self.decisive else " AND ").join(kept)

    def leaves(self) -> Iterator[Node]:
        return chain.from_iterable(part.leaves() for part in self.parts)

    def blame(self, doc: Doc) -> tuple[str, ...]:
        outcomes = [part.outcome(doc) for part in self.parts]
        joined = self._join(outcomes)
        guilty = [p for p, o in zip(self.parts, outcomes, strict=True) if o is joined]
        return tuple(shown for part in guilty for shown in part.blame(doc))


class Unknown(Node, frozen=True, kw_only=True):
    """What stays of words that are unknown, beside parts that need the facts."""

    def settle(self, text: Text) -> Outcome:
        return None

    def weigh(self, facts: Facts) -> bool | None:
        return None

    def blame(self, doc: Doc) -> tuple[str, ...]:
        return ()


_UNKNOWN = Unknown()
