"""What one visit leaves behind: each function here is one transaction's work.

Owns what is remembered, judged and noted of a page seen, unchanged or failed. Runs on the
store's thread; must not wait for anything, and must not know HTTP or channels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import msgspec

from watcher import growth, learning, notices, owed
from watcher.case import Subject, counted
from watcher.clock import from_unix, to_unix
from watcher.errors import FetchError, ParseError
from watcher.hearing import Hearing, hear, ripe_spans
from watcher.judgement import Decision, may_speak
from watcher.model import (
    CARD_FIELDS,
    CheckOutcome,
    Counts,
    Event,
    PageKind,
    Paper,
    Snapshot,
    Value,
)
from watcher.store import Kept, Met, Records, SourceState
from watcher.telemetry import log
from watcher.visit import App, Checked, Memory, Seen, Visit, sighted


def record_seen(app: App, records: Records, visit: Visit, seen: Seen) -> Checked:
    """Remember a snapshot, judge it, and write down all that follows from it."""
    snapshot, target, now = seen.snapshot, visit.target, visit.at
    assert snapshot is not None  # noqa: S101 - the caller asked
    source = records.sources.id_of(target.name, target.url, target.family)
    state = records.sources.state(target.name)
    met = records.papers.meet(source, snapshot)
    rows, ranked = [m.row for m in met], snapshot.kind is PageKind.TRENDING
    steady = ranked and growth.keeps_its_top(records.sources.order(source), rows)
    trending = frozenset({source}) if steady else frozenset()
    hearing = _hearing(app, records, visit, trending=trending)
    subjects = _subjects(app, records, hearing, snapshot, met)
    subjects += _ripened(records, hearing, state, frozenset(rows))
    judged = judge(app, records, hearing, subjects, source=source, looked=True)
    records.sources.keep_order(source, to_unix(now), rows, ranked=ranked)
    notices.note_success(app, records, state, now)
    due = app.next_due(target, 0, None)
    kind = snapshot.kind.value if snapshot.kind else None
    unsure = records.papers.unsure
    kept = _kept(visit, sighted(seen.memory) if unsure else seen.memory)
    records.sources.succeed(source, now, kept=kept, cards=len(met), kind=kind, next_due_at=due)
    fresh, moved = sum(m.fresh for m in met), sum(m.moved for m in met)
    records.sources.record_check(
        visit.check(
            source,
            CheckOutcome.OK,
            reader=snapshot.reader,
            cards=len(met),
            fresh=fresh,
            moved=moved,
            events=judged.told,
            fills=dict(seen.fills) or fills_of(snapshot),
            page=seen.page,
        )
    )
    _note_looks(app, records, visit, seen)
    return Checked(
        target=target.name,
        at=now,
        outcome=CheckOutcome.OK,
        cards=len(met),
        fresh=fresh,
        moved=moved,
        told=judged.told,
        known=judged.known,
        owed=judged.owed,
        baseline=state is None or state.first_ok_at is None,
        next_due_at=due,
        warnings=snapshot.warnings,
        drifting=_drifting(seen),
        page=seen.page,
        unsure=unsure,
    )


def record_unchanged(app: App, records: Records, visit: Visit, seen: Seen) -> Checked:
    """The page says what it said: judge what has ripened since, and note the visit."""
    target, now = visit.target, visit.at
    source = records.sources.id_of(target.name, target.url, target.family)
    state = records.sources.state(target.name)
    hearing = _hearing(app, records, visit)
    subjects = _ripened(records, hearing, state)
    judged = judge(app, records, hearing, subjects, source=source)
    notices.note_success(app, records, state, now)
    due = app.next_due(target, 0, None)
    records.sources.succeed(source, now, kept=_kept(visit, seen.memory), next_due_at=due)
    records.sources.record_check(
        visit.check(source, CheckOutcome.UNCHANGED, status=304, events=judged.told)
    )
    _note_looks(app, records, visit, seen)
    return Checked(
        target=target.name,
        at=now,
        outcome=CheckOutcome.UNCHANGED,
        cards=state.cards if state else None,
        told=judged.told,
        known=judged.known,
        owed=judged.owed,
        next_due_at=due,
        drifting=_drifting(seen),
    )


def record_doubted(app: App, records: Records, visit: Visit, seen: Seen) -> Checked:
    """A page that contradicts itself or its past: noted, kept for a look, not judged."""
    why = f"the page was put aside: {'; '.join(seen.doubts)}"
    return _record_nothing(
        app, records, visit, CheckOutcome.QUARANTINED, error=ParseError(why), page=seen.page
    )


def record_failed(
    app: App, records: Records, visit: Visit, error: FetchError | ParseError
) -> Checked:
    """Nothing was seen: note it, and tell it once it has lasted. What the next visit may skip
    stays as it was."""
    page = error.page if isinstance(error, ParseError) else None
    return _record_nothing(app, records, visit, CheckOutcome.FAILED, error=error, page=page)


def _record_nothing(
    app: App,
    records: Records,
    visit: Visit,
    outcome: CheckOutcome,
    *,
    error: FetchError | ParseError,
    page: str | None,
) -> Checked:
    target = visit.target
    source = records.sources.id_of(target.name, target.url, target.family)
    kept = f" (page kept: watcher archive show {page[:12]})" if page else ""
    asked = not isinstance(error, FetchError) or error.asked
    records.sources.fail(source, visit.at, f"{error}{kept}", asked=asked)
    status = error.status if isinstance(error, FetchError) else 200
    records.sources.record_check(
        visit.check(source, outcome, status=status, error=str(error), page=page)
    )
    state = records.sources.state(target.name)
    assert state is not None  # noqa: S101 - it was just written
    failures = state.failures if outcome is CheckOutcome.FAILED else 0
    due = app.next_due(target, failures, error.retry_after)
    if due is not None:
        records.sources.plan(source, due)
    notices.note_failure(app, records, state, visit.at)
    return Checked(
        target=target.name,
        at=visit.at,
        outcome=outcome,
        error=str(error),
        retry_after=error.retry_after,
        failures=state.failures,
        next_due_at=due,
        page=page,
    )


def _note_looks(app: App, records: Records, visit: Visit, seen: Seen) -> None:
    """Remember how the page looked, and tell what is odd about it."""
    if seen.scrutiny is None or not seen.scrutiny.changed:
        return
    source = records.sources.id_of(visit.target.name)
    records.care.keep_portrait(source, seen.memory.portrait)
    if seen.scrutiny.tell or seen.scrutiny.healed:
        state = records.sources.state(visit.target.name)
        assert state is not None  # noqa: S101 - the visit has just been noted
        notices.note_drift(app, records, state, seen.scrutiny, now=visit.at, page=seen.page)


def _drifting(seen: Seen) -> int | None:
    return None if seen.scrutiny is None else len(seen.scrutiny.portrait.drifts)


class Judged(Value, frozen=True, kw_only=True):
    """What a judgement led to."""

    told: int = 0
    known: int = 0
    owed: int = 0
    """Deliveries."""


def _hearing(
    app: App, records: Records, visit: Visit, *, trending: frozenset[int] = frozenset()
) -> Hearing:
    """What the whole visit is judged under: other rules may be put in force on the way."""
    baseline, rules = app.learnt(records, visit.at) if app.rules else (growth.PRIOR, ())
    return Hearing(
        target=visit.target,
        now=visit.at,
        midnight=learning.midnight(visit.at, app.zone),
        baseline=baseline,
        rules=rules,
        trending=trending,
    )


def judge(
    app: App,
    records: Records,
    hearing: Hearing,
    subjects: Sequence[Subject],
    *,
    source: int,
    looked: bool = False,
) -> Judged:
    """Decide, record the events, and write down who is owed them.

    ``looked``: a page was read, even if none of its papers is a subject.
    """
    decisions = hear(records.events, hearing, subjects, matches=app.matches, looked=looked)
    if not decisions:
        return Judged()
    now, papers = hearing.now, {s.paper.row: s.paper for s in subjects}
    events = _record(records, decisions, papers, now, source)
    telling = [(event, beyond) for event, beyond in events if not event.known]
    for event, _ in telling:
        app.metrics.events.labels(event.type.value).inc()
        log.info("event_recorded", id=event.id, type=event.type.value, rule=event.rule)
    return Judged(
        told=len(telling),
        known=len(events) - len(telling),
        owed=owed.owe(records, app.plan, telling, now),
    )


def _record(
    records: Records,
    decisions: Iterable[Decision],
    papers: dict[int, Paper],
    now: datetime,
    source: int,
) -> list[tuple[Event, bool]]:
    """Store decisions as events; the ones that were new, with "beyond the budget"."""
    recorded = []
    for decision in decisions:
        paper = papers[decision.paper]
        event = Event(
            cursor=0,
            id=decision.keys[0],
            type=decision.kind.event_type,
            at=now,
            rule=decision.rule,
            paper=paper,
            counts=Counts(upvotes=paper.upvotes, comments=paper.comments, stars=paper.stars),
            reason=decision.reason,
            conditions=decision.conditions,
            known=decision.known,
            strength=decision.strength,
            late=decision.late,
        )
        records.events.use_keys(decision.paper, decision.keys, now)
        cursor = records.events.add(event, source=source)
        if cursor:
            recorded.append((msgspec.structs.replace(event, cursor=cursor), decision.overflow))
    return recorded


def _kept(visit: Visit, memory: Memory) -> Kept:
    """What makes the next visit cheap, also after a restart."""
    return Kept(
        etag=memory.validators.etag,
        last_modified=memory.validators.last_modified,
        context=visit.context,
        island_hash=memory.island,
    )


def _subjects(
    app: App, records: Records, hearing: Hearing, snapshot: Snapshot, met: Sequence[Met]
) -> list[Subject]:
    """The papers of a page that a rule may speak about: of most it is certain that none does."""
    rules, family = hearing.rules, hearing.target.family
    shows, matches = snapshot.shows, app.matches
    asked = [m for m in met if may_speak(rules, family, matches.known(m.words, shows), m.most)]
    return [
        Subject(
            paper=paper,
            key=m.key,
            source=family,
            history=m.history,
            further=m.further,
            shows=shows,
            words=m.words,
        )
        for m, paper in zip(asked, _laid_over(records, asked, snapshot), strict=True)
    ]


def _laid_over(records: Records, met: Sequence[Met], snapshot: Snapshot) -> list[Paper]:
    """The remembered papers with the page laid over; remembered words are fetched only where
    the page leaves something out, or is not the richest."""
    poor = [m.row for m in met if not m.words]
    remembered = {paper.row: paper for paper in records.papers.many(poor)} if poor else {}
    return [laid_over(m, remembered.get(m.row), snapshot) for m in met]


def laid_over(met: Met, remembered: Paper | None, snapshot: Snapshot) -> Paper:
    """One paper as rules see it: what is remembered, with the page's card on top."""
    card = met.card
    history = met.history
    if remembered is not None:
        # The store has merged the card's words by now, by the rules of rich and poor readers.
        return msgspec.structs.replace(
            remembered,
            upvotes=met.counts.upvotes,
            comments=met.counts.comments,
            stars=met.counts.stars,
        )
    count = card.author_count
    complete = card.authors is not None and count in (None, len(card.authors))
    return Paper(
        row=met.row,
        arxiv_id=card.paper_id,
        title=card.title,
        abstract=card.abstract,
        ai_summary=card.ai_summary,
        authors=card.authors if complete else None,
        author_count=count if count is not None else len(card.authors or ()) or None,
        published_on=card.published_on,
        listed_at=_moment(history.listed_at),
        listed_exact=history.listed_exact,
        first_seen_at=_moment(history.first_seen_at) or snapshot.taken_at,
        upvotes=met.counts.upvotes,
        comments=met.counts.comments,
        stars=met.counts.stars,
        github=card.github,
        project=card.project,
        organization=card.organization,
        submitted_by=card.submitted_by,
        keywords=card.keywords,
        thumbnail=card.thumbnail,
    )


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else from_unix(seconds)


def _ripened(
    records: Records,
    hearing: Hearing,
    state: SourceState | None,
    on_page: Collection[int] = frozenset(),
) -> list[Subject]:
    """Papers of this source whose ripening for some rule ended since the last visit, but for
    those the page shows."""
    family, since, now = hearing.target.family, state.last_ok_at if state else None, hearing.now
    rows: set[int] = set()
    for begin, end in ripe_spans(hearing.rules, hearing.target, since=since, now=now):
        rows.update(records.papers.begun_between(begin, end, family=family))
    return [remembered_subject(records, row, family, now) for row in sorted(rows - set(on_page))]


def remembered_subject(records: Records, row: int, family: str, now: datetime) -> Subject:
    """A paper as it is remembered, without a page: no place, and as unknown as when a source
    of this family showed it last."""
    families = records.sources.families()
    history = records.papers.history(row, to_unix(now))
    shown = (look.source for look in reversed(history.looks) if families[look.source] == family)
    source = next(shown, None)
    return Subject(
        paper=counted(records.papers.get(row), history.counts),
        key=records.papers.key_of(row),
        source=family,
        history=msgspec.structs.replace(history, places=()),
        shows=frozenset() if source is None else records.sources.shows(source),
    )


def fills_of(snapshot: Snapshot) -> dict[str, int]:
    """How many cards carry each field that the reader shows."""
    return {
        name: sum(getattr(card, name) is not None for card in snapshot.cards)
        for name in CARD_FIELDS
        if name in snapshot.shows
    }
