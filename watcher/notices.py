"""Telling that a source is blind, sees again, or looks otherwise: once, and never in a storm.

Owns when a failure has lasted, which failures belong together, and the words of these notices.
Runs on the store's thread inside the visit's transaction. Must not know channels: whom a
notice reaches is ``watcher.owed``'s to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from watcher import drift, owed
from watcher.clock import from_unix, span
from watcher.config import host_of
from watcher.model import EventType
from watcher.store import Records, SourceState
from watcher.telemetry import log
from watcher.visit import Alert, App, Scrutiny

EVERYTHING = "all sources"
"""The subject of a notice when nothing at all can be read: mostly our own network."""
FLAPPING = 2
"""So many notices of a kind about one subject in ``FLAP_SPAN``; further ones wait until it ends."""
FLAP_SPAN = timedelta(hours=6)
ALIKE = timedelta(days=1)
"""Sources of one host that drift within such a span are told as one."""
_LOGGED = {
    EventType.SOURCE_RECOVERED: "source_recovered",
    EventType.SOURCE_DRIFTING: "page_drifted",
    EventType.STORE_FAILING: "store_failed",
}
_NAMED = 8
_LIVE = timedelta(days=2)
"""A source not visited for longer is no longer in the config."""


# --- blind, and seeing again -----------------------------------------------------------------


def note_failure(app: App, records: Records, state: SourceState, now: datetime) -> None:
    """Tell a failure once it has lasted: of the source, or of all that fail on its host.

    Past days of a source are never told: the source itself is.
    """
    if _is_past_day(state) or state.told_failing or not has_lasted(app.alert, state, now):
        return
    mates = _mates(records, state, now)
    told_together = next((m.told_as for m in mates if m.told_as not in (None, m.name)), None)
    if told_together is not None:
        records.sources.mark_told(state.id, told_together)
        return
    subject = _subject(state, mates)
    if _flaps(records, EventType.SOURCE_FAILING, subject, now):
        return
    group = (state, *mates) if subject != state.name else (state,)
    reason = _blind(state, now) if len(group) == 1 else _blind_together(subject, group, now)
    since = min(member.failing_since or now for member in group)
    tell(app, records, EventType.SOURCE_FAILING, subject, reason, since=since, now=now)
    for member in group:
        records.sources.mark_told(member.id, subject)


def note_success(app: App, records: Records, state: SourceState | None, now: datetime) -> None:
    """Tell that a source, or its host, sees again, if it was told that it did not.

    ``state`` is as it was before this visit.
    """
    if state is None or not state.told_failing:
        return
    subject = state.told_as or state.name
    began = state.failing_since or now
    blind = span(now - (state.last_ok_at or began))
    if subject == state.name:
        reason = f"source {state.name} works again, after {blind} without a good visit"
    else:
        rest = [
            other
            for other in records.sources.states()
            if other.told_as == subject and other.name != state.name
        ]
        began = min((other.failing_since or began for other in rest), default=began)
        reason = f"{subject} works again, after {blind}: source {state.name} was read"
        if rest:
            reason += f", {_list([other.name for other in rest])} will be tried next"
        # Whichever of them still fails is told anew, for itself.
        for other in rest:
            records.sources.give_another_chance(other.id)
    tell(app, records, EventType.SOURCE_RECOVERED, subject, reason, since=began, now=now)


def has_lasted(alert: Alert, state: SourceState, now: datetime) -> bool:
    """Whether a source has failed often enough in a row, or long enough; never at once."""
    since = state.failing_since or now
    return state.failures >= alert.after or now - since >= timedelta(hours=alert.hours)


def _mates(records: Records, state: SourceState, now: datetime) -> list[SourceState]:
    """The other sources that fail now and belong together with this one: those of its host, or
    all of them when none can be read."""
    others = [
        other
        for other in records.sources.states()
        if other.name != state.name and not _is_past_day(other) and _is_live(other, now)
    ]
    failing = [other for other in others if other.failing_since is not None]
    if others and len(failing) == len(others) and len(_hosts([state, *failing])) > 1:
        return failing
    host = host_of(state.url)
    return [other for other in failing if host_of(other.url) == host]


def _subject(state: SourceState, mates: Sequence[SourceState]) -> str:
    if not mates:
        return state.name
    return EVERYTHING if len(_hosts([state, *mates])) > 1 else host_of(state.url)


def _hosts(states: Sequence[SourceState]) -> set[str]:
    return {host_of(state.url) for state in states}


def _is_past_day(state: SourceState) -> bool:
    return state.family not in ("", state.name)


def _is_live(state: SourceState, now: datetime) -> bool:
    return state.last_check_at is not None and now - state.last_check_at < _LIVE


def _flaps(records: Records, kind: EventType, subject: str, now: datetime) -> bool:
    return len(records.events.notices(subject, (kind,), since=now - FLAP_SPAN)) >= FLAPPING


def _blind(state: SourceState, now: datetime) -> str:
    """``source trending has failed 3 times in a row, last read 2 h ago: …``."""
    return f"{_failed(state)}, {_last_read(state, now)}: {state.last_error}"


def _blind_together(subject: str, group: Sequence[SourceState], now: datetime) -> str:
    """``example.org cannot be read: source trending has failed 3 times in a row, daily and 3
    others with it, last read 2 h ago: …``."""
    what = "no source can be read" if subject == EVERYTHING else f"{subject} cannot be read"
    names = _list([member.name for member in group[1:]])
    last = max((m.last_ok_at for m in group if m.last_ok_at), default=None)
    seen = "never read yet" if last is None else f"last read {span(now - last)} ago"
    return f"{what}: {_failed(group[0])}, {names} with it, {seen}: {group[0].last_error}"


def _failed(state: SourceState) -> str:
    times = "once" if state.failures == 1 else f"{state.failures} times in a row"
    return f"source {state.name} has failed {times}"


def _last_read(state: SourceState, now: datetime) -> str:
    if state.last_ok_at is None:
        return "never read yet"
    return f"last read {span(now - state.last_ok_at)} ago"


def _list(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


# --- looking otherwise -----------------------------------------------------------------------


def note_drift(
    app: App,
    records: Records,
    state: SourceState,
    scrutiny: Scrutiny,
    *,
    now: datetime,
    page: str | None = None,
) -> None:
    """Tell the drifts that are to be told, and the end of those that were."""
    kinds = (EventType.SOURCE_DRIFTING, EventType.SOURCE_RECOVERED)
    if scrutiny.tell and not _is_past_day(state):
        words = drift.describe(scrutiny.portrait, scrutiny.tell, local=now.astimezone(app.zone))
        since = min(scrutiny.portrait.drifts[name].since for name in scrutiny.tell)
        # A page that did not change was kept when it was first seen.
        page = page or records.sources.last_kept_page(state.id, from_unix(since))
        kept = f"; page kept: watcher archive show {page[:12]}" if page else ""
        if not _told_alike(records, state, now):
            tell(
                app,
                records,
                EventType.SOURCE_DRIFTING,
                state.name,
                f"source {state.name}: {words}{kept}",
                since=from_unix(since),
                now=now,
            )
    if scrutiny.healed and not scrutiny.portrait.drifts:
        before = records.events.notices(state.name, kinds)
        if before and before[-1][0] is EventType.SOURCE_DRIFTING:
            names = ", ".join(name.rpartition(":")[2] for name in sorted(scrutiny.healed))
            reason = f"source {state.name} looks as usual again: {names}"
            tell(app, records, EventType.SOURCE_RECOVERED, state.name, reason, since=now, now=now)


def _told_alike(records: Records, state: SourceState, now: datetime) -> bool:
    """Whether this source told a drift lately, or another of its host did just now: a redesign
    strikes all of them, and one notice is enough."""
    if _flaps(records, EventType.SOURCE_DRIFTING, state.name, now):
        return True
    host = host_of(state.url)
    return any(
        records.events.notices(other.name, (EventType.SOURCE_DRIFTING,), since=now - ALIKE)
        for other in records.sources.states()
        if other.name != state.name and not _is_past_day(other) and host_of(other.url) == host
    )


def tell(
    app: App,
    records: Records,
    kind: EventType,
    subject: str,
    reason: str,
    *,
    since: datetime,
    now: datetime,
) -> None:
    """Record a notice, named after what it belongs to and since when: told once."""
    app.metrics.events.labels(kind.value).inc()
    log.warning(_LOGGED.get(kind, "source_failed"), subject=subject, reason=reason)
    owed.give_notice(records, app.plan, kind, subject=subject, reason=reason, since=since, now=now)
