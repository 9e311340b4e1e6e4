"""An invented world of papers and what each page of the site lists at a time.

Owns the order of every list and what of a paper is visible when. Pure and deterministic: two
worlds of the same seed agree where they overlap. Must not know markup or HTTP.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from math import sin

from watcher.demo.invent import InventedPaper, invent_day, invent_old, moment
from watcher.demo.prose import dice
from watcher.demo.votes import DAY, HOUR
from watcher.model import Card, Value

PAGE_SIZE = 50
SEARCH_SIZE = 100

_BEFORE = 14
"""Days of papers before the start, so that the first pages are full."""
_OLD_TRENDING, _OBSCURE = 70, 60
_TRENDING_AGE = 17 * DAY


class Shown(Value, frozen=True, kw_only=True):
    """A paper as a page of the site shows it at a time."""

    paper: InventedPaper
    rank: int
    upvotes: int
    comments: int
    stars: int | None
    summarised: bool
    """True when the site has its ``ai_summary`` ready."""

    def card(self) -> Card:
        """What a perfect reader of the richest page makes of it."""
        paper = self.paper
        told = moment(paper.discussion_at)
        return Card(
            rank=self.rank,
            paper_id=paper.id,
            title=paper.title,
            abstract=paper.abstract,
            ai_summary=paper.ai_summary if self.summarised else None,
            authors=tuple(person.name for person in paper.authors),
            author_count=len(paper.authors),
            published_on=paper.published_on,
            listed_at=told if told.date() == paper.listed_on else None,
            upvotes=self.upvotes,
            comments=self.comments,
            stars=self.stars,
            github=paper.github,
            project=paper.project,
            organization=paper.organization.fullname if paper.organization else None,
            submitted_by=paper.submitter.login if paper.submitter else None,
            keywords=paper.keywords,
            thumbnail=paper.thumbnail,
            listed_on=paper.listed_on,
        )


class World:
    """The papers of ``days`` days from ``start``, and what is listed where at a time.

    ``now`` is always an aware datetime. Lists fill up during a day, are ordered as the site
    orders them and hold at most fifty papers (a search: a hundred). About two weeks before
    ``start`` are invented too, so that the first pages are full.
    """

    def __init__(self, seed: int, start: date, days: int = 30) -> None:
        self.seed, self.start, self.days = seed, start, days
        first, last = start - timedelta(days=_BEFORE), start + timedelta(days=days)
        self._by_day = {
            day: invent_day(seed, day)
            for day in (first + timedelta(days=n) for n in range((last - first).days))
        }
        self._listed = [paper for day in self._by_day.values() for paper in day]
        self._listed_at = [paper.listed_at for paper in self._listed]
        start_at, end_at = _midnight(first), _midnight(last)
        old = [
            invent_old(seed, n, start=start_at, end=end_at, obscure=n >= _OLD_TRENDING)
            for n in range(_OLD_TRENDING + _OBSCURE)
        ]
        self._old, self._obscure = old[:_OLD_TRENDING], old[_OLD_TRENDING:]
        self._warmth = {paper.id: 6.0 * 1.04 ** dice(paper.id).randrange(70) for paper in self._old}
        self._by_id = {paper.id: paper for paper in self.papers}
        self._haystacks: dict[str, tuple[str, str, str]] = {}
        self._order: tuple[int, list[InventedPaper]] = (-1, [])

    @property
    def papers(self) -> tuple[InventedPaper, ...]:
        """Every paper that will ever be shown: the listed ones by time, then old ones."""
        return (*self._listed, *self._old, *self._obscure)

    def daily(self, day: date, now: datetime) -> tuple[Shown, ...]:
        """The list of one day, most upvotes first; empty on a Sunday and for days to come."""
        return _top(self._by_day.get(day, ()), now)

    def week(self, now: datetime, *, of: date | None = None) -> tuple[Shown, ...]:
        """The best of the ISO week that holds ``of`` (default: this week)."""
        wanted = (of or now.date()).isocalendar()[:2]
        days = [day for day in self._by_day if day.isocalendar()[:2] == wanted]
        return _top((paper for day in days for paper in self._by_day[day]), now)

    def month(self, now: datetime, *, of: date | None = None) -> tuple[Shown, ...]:
        """The best of the month that holds ``of`` (default: this month)."""
        wanted = f"{of or now.date():%Y-%m}"
        days = [day for day in self._by_day if f"{day:%Y-%m}" == wanted]
        return _top((paper for day in days for paper in self._by_day[day]), now)

    def trending(self, now: datetime) -> tuple[Shown, ...]:
        """Fifty papers, new and old mixed, hottest first; the order moves once an hour."""
        hour = _unix(now) // HOUR * HOUR
        if self._order[0] != hour:
            self._order = (hour, self._hottest(hour))
        return _show_all(self._order[1], now)

    def search(self, query: str, now: datetime) -> tuple[Shown, ...]:
        """Up to a hundred papers by where they hold the words of ``query``."""
        terms = [term for term in query.lower().replace('"', " ").split() if len(term) > 1]
        known = [paper for paper in self._by_id.values() if paper.listed_at <= _unix(now)]
        scores = {paper.id: self._score(paper, terms) for paper in known}
        found = [paper for paper in known if scores[paper.id]]
        found.sort(key=lambda paper: -scores[paper.id])
        return _show_all(found[:SEARCH_SIZE], now)

    def paper(self, paper_id: str, now: datetime) -> Shown | None:
        """One paper; None when there is none of that id yet."""
        paper = self._by_id.get(paper_id)
        known = paper is not None and paper.listed_at <= _unix(now)
        return show(paper, _unix(now), rank=1) if paper and known else None

    def _hottest(self, at: int) -> list[InventedPaper]:
        young = slice(bisect_right(self._listed_at, at - _TRENDING_AGE), None)
        recent = self._listed[young][: bisect_right(self._listed_at[young], at)]
        heat = {paper.id: _heat(paper, at) for paper in recent}
        # Old ones have a steady warmth that swings by a few places within a week.
        for n, (name, warmth) in enumerate(self._warmth.items()):
            heat[name] = warmth * (1.0 + 0.08 * sin(at / (1.3 * DAY) + n))
        pool = [*recent, *self._old]
        return sorted(pool, key=lambda paper: -heat[paper.id])[:PAGE_SIZE]

    def _score(self, paper: InventedPaper, terms: list[str]) -> int:
        haystacks = self._haystacks.get(paper.id)
        if haystacks is None:
            parts = (paper.title, " ".join(paper.keywords), paper.abstract)
            haystacks = (parts[0].lower(), parts[1].lower(), parts[2].lower())
            self._haystacks[paper.id] = haystacks
        return sum(
            weight
            for term in terms
            for weight, text in zip((4, 2, 1), haystacks, strict=True)
            if term in text
        )


def show(paper: InventedPaper, at: int, *, rank: int) -> Shown:
    """A paper with its counts at ``at`` (Unix seconds)."""
    tally = paper.tally
    return Shown(
        paper=paper,
        rank=rank,
        upvotes=tally.upvotes_at(at),
        comments=tally.comments_at(at),
        stars=tally.stars_at(at),
        summarised=paper.ai_summary_at is not None and paper.ai_summary_at <= at,
    )


def _show_all(papers: Iterable[InventedPaper], now: datetime) -> tuple[Shown, ...]:
    at = _unix(now)
    return tuple(show(paper, at, rank=n) for n, paper in enumerate(papers, 1))


def _top(papers: Iterable[InventedPaper], now: datetime) -> tuple[Shown, ...]:
    """The listed ones, most upvotes first, as the daily page and the API order them."""
    at = _unix(now)
    listed = [paper for paper in papers if paper.listed_at <= at]
    listed.sort(key=lambda paper: (-paper.tally.upvotes_at(at), paper.listed_at))
    return _show_all(listed[:PAGE_SIZE], now)


def _heat(paper: InventedPaper, at: int) -> float:
    """Votes of the last three days; damped at first, so that papers enter from below."""
    tally, age = paper.tally, at - paper.listed_at
    gained = tally.upvotes_at(at) - tally.upvotes_at(at - 3 * DAY)
    code = 1.3 if paper.github else 1.0
    return gained * code * min(1.0, (age + HOUR) / (16 * HOUR))


def _unix(now: datetime) -> int:
    return int(now.timestamp())


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
