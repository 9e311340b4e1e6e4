"""Back-tests: recorded history once more before the rules, in the order in which it came.

Owns the replay: it rebuilds each visit from the records (the page's papers in their order, the
counts its source showed last, the words of the time) and puts it before ``hearing.hear``, as
the live loop does. What a visit could not know plays no part. Only reads; decisions are
collected, not written. What a back-test says of them is ``watcher.report``'s.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from operator import attrgetter
from zoneinfo import ZoneInfo

import msgspec

from watcher import growth, learning
from watcher.agenda import Target
from watcher.case import Matches, Subject, counted
from watcher.clock import to_unix
from watcher.hearing import Hearing, hear, ripe_spans
from watcher.judgement import Decision
from watcher.model import CheckOutcome, Counts, History, Look, Paper, Place, Value
from watcher.rules import Rule
from watcher.store import Records
from watcher.store.past import Past, PastChange, PastCheck, PastPaper, PastSource

_WHEN = attrgetter("at", "source")
_Place = tuple[int, int]
"""Time (Unix seconds) and source of a visit or an import."""


class Told(Value, frozen=True, kw_only=True):
    """A decision of the replay: what the live loop would have recorded as an event."""

    at: datetime
    decision: Decision
    paper: Paper
    """As it was known then."""


class Replay:
    """The recorded visits before other rules, or the same. Use it once."""

    def __init__(self, records: Records, rules: Sequence[Rule], *, zone: ZoneInfo) -> None:
        """``rules`` as they are compiled: budgets are learnt on the way, as in life."""
        past = Past(records.conn, records.papers)
        self._records = records
        self._past = past
        self._rules = tuple(rules)
        self._zone = zone
        self._sources = {source.id: source for source in past.sources()}
        self._targets = {source.id: _target(source) for source in self._sources.values()}
        self._orders = past.orders()
        self._sightings = past.sightings()
        self._steps = self._in_turn()
        places = [_place_of(step) for step in self._steps]
        self._turns = {place: turn for turn, place in enumerate(places)}
        self._ends = list(accumulate((at for at, _ in places), max))
        self._papers = {paper.row: _Track(paper, self._turn_of) for paper in past.papers()}
        self._begins = _Begins() if any(rule.ripen_s for rule in rules) else None
        self._ledger = _Ledger()
        self._matches = Matches(limit=200_000)
        self._last_ok: dict[int, datetime] = {}
        self._shows: dict[int, frozenset[str]] = {}
        self._turn = -1
        self._learnt: tuple[tuple[int, datetime], growth.Baseline, tuple[Rule, ...]] | None = None
        self.visits = past.count_checks()
        """How many visits ``run`` goes through."""

    def run(self) -> Iterator[tuple[datetime, tuple[Told, ...]]]:
        """Replay every good visit; yields its time and what the rules newly said."""
        for turn, step in enumerate(self._steps):
            self._turn = turn
            if isinstance(step, PastCheck):
                yield step.at, self._replay(step)
            else:
                self._import(step)

    def _in_turn(self) -> list[PastCheck | _Place]:
        """All steps in the order in which they were recorded, which is what each could know:
        visits that overlap end in another order than they began. Sightings that no visit
        brought were imported, and count from their own time on."""
        checks = list(self._past.checks())
        visited = {
            (to_unix(check.at), check.source)
            for check in checks
            if check.outcome is CheckOutcome.OK
        }
        imported = deque(sorted(self._sightings.keys() - visited))
        steps: list[PastCheck | _Place] = []
        for check in checks:
            while imported and imported[0][0] <= to_unix(check.at):
                steps.append(imported.popleft())
            steps.append(check)
        return steps

    def _turn_of(self, change: PastChange) -> int:
        """The turn of the visit or import that changed a paper."""
        known = self._turns.get((change.at, change.source))
        return bisect_right(self._ends, change.at) - 1 if known is None else known

    def _import(self, place: _Place) -> None:
        for row, look in self._sightings.pop(place):
            track = self._papers[row]
            track.add(look, self._family(look.source))
            track.lay_over(look)
            self._keep_begin(track)

    def _replay(self, check: PastCheck) -> tuple[Told, ...]:
        """One visit, as ``record_seen`` and ``record_unchanged`` have it."""
        target, now = self._targets[check.source], check.at
        if now == self._sources[check.source].began and check.source in self._last_ok:
            del self._last_ok[check.source]
            self._ledger.drop_pairs(target.name)  # another page under the old name
        subjects: list[Subject] = []
        trending: frozenset[int] = frozenset()
        if check.outcome is CheckOutcome.OK:
            ranked, rows, before = self._page(check.source, to_unix(now))
            if ranked and growth.keeps_its_top(before, rows):
                trending = frozenset({check.source})
            subjects = self._on_page(check, rows, ranked=ranked)
        on_page = {subject.paper.row for subject in subjects}
        subjects += self._ripened(target, check, on_page)
        baseline, rules = self._in_force(now)
        hearing = Hearing(
            target=target,
            now=now,
            midnight=learning.midnight(now, self._zone),
            baseline=baseline,
            rules=rules,
            trending=trending,
        )
        looked = check.outcome is CheckOutcome.OK
        decisions = hear(self._ledger, hearing, subjects, matches=self._matches, looked=looked)
        self._ledger.record(decisions, now)
        self._last_ok[check.source] = now
        if check.outcome is CheckOutcome.OK:
            self._shows[check.source] = check.shows
        papers = {subject.paper.row: subject.paper for subject in subjects} if decisions else {}
        return tuple(Told(at=now, decision=d, paper=papers[d.paper]) for d in decisions)

    def _page(self, source: int, now: int) -> tuple[bool, list[int], list[int]]:
        """Whether the page's order was a rank, its papers, and those of a ranked page before."""
        orders = self._orders.get(source, [])
        found = bisect_right(orders, now, key=lambda order: order[0])
        if not found:
            return False, [], []
        at, ranked, rows = orders[found - 1]
        before = orders[found - 2] if found > 1 and at == now else orders[found - 1]
        return ranked, rows, before[2] if before[1] else []

    def _on_page(self, check: PastCheck, rows: list[int], *, ranked: bool) -> list[Subject]:
        now = to_unix(check.at)
        family = self._family(check.source)
        stored = self._sightings.pop((now, check.source), ())
        for row, look in stored:
            self._papers[row].add(look, family)
        subjects = []
        for rank, row in enumerate(rows, 1):
            track = self._papers[row]
            here = track.shown_by(check.source, now)
            places: tuple[Place, ...] = ()
            if ranked:
                place = Place(at=now, source=check.source, rank=rank, page_size=len(rows))
                places = track.stand(place)
            history = track.history(now, self._turn, here=here, places=places)
            counts = track.lay_over(here) or history.counts
            self._keep_begin(track)
            subjects.append(
                Subject(
                    paper=counted(track.version(self._turn), counts),
                    key=track.key,
                    source=family,
                    history=history,
                    shows=check.shows,
                )
            )
        return subjects

    def _family(self, source: int) -> str:
        return self._sources[source].family

    # --- ripening ---

    def _keep_begin(self, track: _Track) -> None:
        if self._begins is not None:
            self._begins.keep(track.row, track.begin(self._turn))

    def _ripened(self, target: Target, check: PastCheck, on_page: Collection[int]) -> list[Subject]:
        """Papers of this source whose ripening for some rule ended since the last visit."""
        if self._begins is None:
            return []
        rows: set[int] = set()
        since = self._last_ok.get(check.source)
        for begin, end in ripe_spans(self._rules, target, since=since, now=check.at):
            rows.update(self._begins.between(begin, end))
        return [
            self._remembered(self._papers[row], target.family, to_unix(check.at))
            for row in sorted(rows)
            if row not in on_page and target.family in self._papers[row].families
        ]

    def _remembered(self, track: _Track, family: str, now: int) -> Subject:
        history = track.history(now, self._turn)
        shown = next(
            (look for look in reversed(history.looks) if self._family(look.source) == family), None
        )
        return Subject(
            paper=counted(track.version(self._turn), history.counts),
            key=track.key,
            source=family,
            history=history,
            shows=self._shows.get(shown.source, frozenset()) if shown else frozenset(),
        )

    def _in_force(self, now: datetime) -> tuple[growth.Baseline, tuple[Rule, ...]]:
        """The baseline of the week and the rules as their budgets have them that day."""
        at = to_unix(now)
        key = (growth.monday(at), learning.midnight(now, self._zone))
        if self._learnt is None or self._learnt[0] != key:
            baseline = (
                self._learnt[1]
                if self._learnt is not None and self._learnt[0][0] == key[0]
                else learning.baseline_at(self._records, at, keep=False)
            )
            rules = learning.rules_at(
                self._records,
                self._rules,
                now=now,
                zone=self._zone,
                baseline=baseline,
                keep=False,
            )
            self._learnt = (key, baseline, rules)
        return self._learnt[1], self._learnt[2]


def _place_of(step: PastCheck | _Place) -> _Place:
    return (to_unix(step.at), step.source) if isinstance(step, PastCheck) else step


def _target(source: PastSource) -> Target:
    return Target(name=source.name, url=source.url, family=source.family, day=source.day)


class _Track:
    """A paper on its way through the replay."""

    __slots__ = (
        "_counts",
        "_first_seen_at",
        "_last",
        "_listed",
        "_places",
        "_turns",
        "_versions",
        "families",
        "key",
        "looks",
        "row",
    )

    def __init__(self, paper: PastPaper, turn_of: Callable[[PastChange], int]) -> None:
        """``turn_of`` tells the turn of the visit that made a change."""
        changes = sorted(paper.changes, key=turn_of)
        self._turns = [turn_of(change) for change in changes]
        self._versions = _versions(paper.paper, changes)
        self._listed = [
            None if version.listed_at is None else to_unix(version.listed_at)
            for version in self._versions
        ]
        self._first_seen_at = paper.first_seen_at
        self.row = paper.row
        self.key = paper.key
        self.looks: list[Look] = []
        self.families: set[str] = set()
        self._last: dict[int, Look] = {}
        self._counts = Counts()
        self._places: dict[int, list[Place]] = {}

    def add(self, look: Look, family: str) -> None:
        """A sighting has been stored."""
        insort(self.looks, look, key=_WHEN)
        self.families.add(family)
        last = self._last.get(look.source)
        if last is None or last.at <= look.at:
            self._last[look.source] = look

    def shown_by(self, source: int, now: int) -> Look:
        """What a source's page says at a visit: what it said last, unless it was stored now."""
        last = self._last[source]
        if last.at == now:
            return last
        return Look(
            at=now,
            source=source,
            upvotes=last.upvotes,
            comments=last.comments,
            stars=last.stars,
        )

    def lay_over(self, here: Look) -> Counts | None:
        """The latest counts known, a page's first; None when newer sightings are known."""
        if self.looks[-1].at > here.at:
            return None
        known = self._counts
        self._counts = Counts(
            upvotes=known.upvotes if here.upvotes is None else here.upvotes,
            comments=known.comments if here.comments is None else here.comments,
            stars=known.stars if here.stars is None else here.stars,
        )
        return self._counts

    def stand(self, here: Place) -> tuple[Place, ...]:
        """Note a place; in the top, the worst of each day of the week before, and this one."""
        days = self._places.setdefault(here.source, [])
        if days and days[-1].at // growth.DAY == here.at // growth.DAY:
            if here.rank > days[-1].rank:
                days[-1] = here
        else:
            days.append(here)
        if here.rank > growth.TOP:
            return (here,)
        since = here.at - growth.WEEK
        return (*(place for place in days if since <= place.at < here.at), here)

    def version(self, turn: int) -> Paper:
        """The paper with the words and the listing that it had after a turn."""
        return self._versions[bisect_right(self._turns, turn)]

    def begin(self, turn: int) -> int:
        """Its listing as it was known, or its first sight."""
        listed = self._listed[bisect_right(self._turns, turn)]
        return self._first_seen_at if listed is None else listed

    def history(
        self, now: int, turn: int, *, here: Look | None = None, places: tuple[Place, ...] = ()
    ) -> History:
        """All that was known of it by then, and what the page says."""
        looks = self.looks
        if looks and looks[-1].at > now:
            looks = looks[: bisect_right(looks, now, key=lambda look: look.at)]
        shown = () if here is None or here is self._last[here.source] else (here,)
        known = bisect_right(self._turns, turn)
        return History(
            listed_at=self._listed[known],
            listed_exact=self._versions[known].listed_exact,
            first_seen_at=self._first_seen_at,
            looks=(*looks, *shown),
            places=places,
        )


def _versions(paper: Paper, changes: Sequence[PastChange]) -> list[Paper]:
    """What a paper was before each change, and after the last as it is."""
    found = [paper]
    for change in reversed(changes):
        found.append(msgspec.structs.replace(found[-1], **change.before))
    return found[::-1]


class _Begins:
    """When papers began (their listing, or first sight), in order."""

    def __init__(self) -> None:
        self._sorted: list[tuple[int, int]] = []
        self._of: dict[int, int] = {}

    def keep(self, row: int, begin: int) -> None:
        """A paper begins then, as far as is known now."""
        known = self._of.get(row)
        if known == begin:
            return
        if known is not None:
            del self._sorted[bisect_left(self._sorted, (known, row))]
        self._of[row] = begin
        insort(self._sorted, (begin, row))

    def between(self, first: int, last: int) -> list[int]:
        """The papers that began then, both ends included."""
        begin = bisect_left(self._sorted, (first, 0))
        end = bisect_left(self._sorted, (last + 1, 0))
        return [row for _, row in self._sorted[begin:end]]


class _Ledger:
    """What the replay has said so far: ``store.events`` in memory."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._told: deque[tuple[datetime, str]] = deque()
        self._pairs: dict[str, dict[str, tuple[str, datetime]]] = {}

    def said(self, papers: Sequence[int]) -> Collection[str]:  # noqa: ARG002 - all are known
        """The keys used up so far."""
        return self._keys

    def told_since(self, since: datetime) -> Mapping[str, int]:
        """Per rule how many changes it told since an instant."""
        return Counter(rule for at, rule in self._told if at >= since)

    def pairs(self, source: str) -> Mapping[str, tuple[str, datetime]]:
        """The first looks of the rules at a source."""
        return self._pairs.get(source, {})

    def keep_pair(self, rule: str, source: str, fingerprint: str, at: datetime) -> None:
        """A rule has had its first look at a source."""
        self._pairs.setdefault(source, {})[rule] = (fingerprint, at)

    def drop_pairs(self, source: str) -> None:
        """It begins anew."""
        self._pairs.pop(source, None)

    def record(self, decisions: Sequence[Decision], now: datetime) -> None:
        """Use up the keys, and count what is told."""
        for decision in decisions:
            self._keys.update(decision.keys)
            if not decision.known:
                self._told.append((now, decision.rule))
        while self._told and (now - self._told[0][0]).days >= 2:
            self._told.popleft()
