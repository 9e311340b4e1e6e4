"""What the outcome of a send means: for the message, for its channel, for the operator.

Owns the schedule after failures, and when a channel is disabled, told of or hurried. Runs on
the store's thread, one transaction per outcome. Must not send or wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from watcher import owed
from watcher.config.settings import DeliverySettings
from watcher.errors import SendError
from watcher.model import EventType, MessageState, Value
from watcher.owed import Plan
from watcher.store import Records
from watcher.store.ledger import Claimed
from watcher.store.standing import ChannelState

JITTER = 0.1
"""A wait is up to so much longer than the schedule says, so that repeats do not come in step."""
BROKEN_AFTER = timedelta(minutes=1)
"""A channel that only failed for longer, and three times, was broken, not just unlucky."""
TELL_AFTER = timedelta(hours=1)
"""The operator is told of a broken channel after so long."""
FORGOTTEN = timedelta(days=10)
"""A failure after a longer silence begins a new run of failures."""


class Outcome(Value, frozen=True, kw_only=True):
    """How a send ended."""

    claimed: Claimed
    at: datetime
    error: SendError | None = None


class Recorded(Value, frozen=True, kw_only=True):
    """What an outcome led to."""

    state: MessageState
    due_at: datetime | None = None
    """Of the next attempt."""
    notice: EventType | None = None
    """The notice that this gave rise to."""
    told: str | None = None
    """The channel through which the operator is told; None when there is none."""


def record(
    records: Records, plan: Plan, settings: DeliverySettings, outcome: Outcome, *, chance: float
) -> Recorded:
    """Write an outcome down, in one transaction with what follows from it for the channel."""
    claimed, error, now = outcome.claimed, outcome.error, outcome.at
    state = records.standing.get(claimed.channel)
    assert state is not None  # noqa: S101 - it was claimed from
    if error is None:
        records.outbox.sent(claimed.key, now)
        return _works(records, plan, state, now)
    if error.bad_recipient:
        # The server answered well about somebody: no word against the channel.
        records.standing.suppress(claimed.channel, claimed.recipient, str(error), now)
        records.outbox.suppressed(claimed.key, now, error=str(error))
        return Recorded(state=MessageState.SUPPRESSED)
    due_at = _try_again(settings, outcome, chance)
    if due_at is None:
        records.outbox.dead(claimed.key, now, error=_why_dead(claimed, error))
    else:
        records.outbox.failed(claimed.key, now, error=str(error), due_at=due_at)
    notice: EventType | None = None
    told: str | None = None
    if not (error.refused_recipient and _serves_others(records, state, claimed, now)):
        notice, told = _fails(records, plan, settings, state, outcome)
    ended = MessageState.DEAD if due_at is None else MessageState.WAITING
    return Recorded(state=ended, due_at=due_at, notice=notice, told=told)


def _serves_others(records: Records, state: ChannelState, claimed: Claimed, now: datetime) -> bool:
    """Whether a refused recipient says nothing against the channel: it has taken mail since this
    message was first promised, or there is some that it was not asked to take yet."""
    promised = records.outbox.first_promise(claimed)
    if state.last_sent_at is not None and state.last_sent_at >= promised:
        return True
    return records.outbox.has_untried(claimed.channel, now)


def _try_again(settings: DeliverySettings, outcome: Outcome, chance: float) -> datetime | None:
    error, attempt = outcome.error, outcome.claimed.attempt
    if error is None:
        return None
    if error.gone:
        # The channel is disabled with it; once it is enabled, this is due like all else.
        return outcome.at
    if error.permanent:
        return None
    wait = wait_after(settings.retry, attempt, retry_after=error.retry_after, chance=chance)
    return None if wait is None else outcome.at + wait


def wait_after(
    retry: Sequence[timedelta], attempt: int, *, retry_after: float | None, chance: float
) -> timedelta | None:
    """How long to wait after a failed attempt (1 is the first); None when it was the last.

    ``retry`` holds the waits before the first, second, third … attempt. The wait is up to a
    tenth longer, by ``chance`` in [0, 1), and at least the seconds the other side asked for.
    """
    if attempt >= len(retry):
        return None
    wait = retry[attempt] * (1 + JITTER * chance)
    return max(wait, timedelta(seconds=retry_after or 0.0))


def _why_dead(claimed: Claimed, error: SendError) -> str:
    if error.permanent:
        return str(error)
    return f"{error}; given up after {claimed.attempt} attempts"


def was_broken(state: ChannelState, now: datetime) -> bool:
    """Whether a channel only failed for so long that a good send is news."""
    since = state.failing_since
    return since is not None and state.failures >= 3 and now - since >= BROKEN_AFTER


def _works(records: Records, plan: Plan, state: ChannelState, now: datetime) -> Recorded:
    """The channel took a message: what failed while it was broken is due at once."""
    records.standing.succeed(state.name, now)
    if state.told is None and not was_broken(state, now):
        return Recorded(state=MessageState.SENT)
    # A message that failed before the last good one does not fail because of the channel.
    records.standing.bring_forward(state.name, now, since=state.last_sent_at)
    if state.told is None:
        return Recorded(state=MessageState.SENT)
    records.standing.tell(state.name, None)
    kind = EventType.CHANNEL_RECOVERED
    told = owed.give_notice(
        records,
        plan,
        kind,
        subject=state.name,
        reason=f"channel {state.name} works again",
        since=now,
        now=now,
    )
    return Recorded(state=MessageState.SENT, notice=kind, told=told)


def _fails(
    records: Records,
    plan: Plan,
    settings: DeliverySettings,
    state: ChannelState,
    outcome: Outcome,
) -> tuple[EventType | None, str | None]:
    """The channel did not take a message: rest, tell the operator or disable it.

    Returns the notice this gave rise to, and the channel it goes through.
    """
    error, now = outcome.error, outcome.at
    assert error is not None  # noqa: S101 - the caller asked
    since = state.failing_since
    if since is None or state.last_failed_at is None or now - state.last_failed_at > FORGOTTEN:
        since = now
    records.standing.fail(state.name, now, str(error), since=since)
    if error.retry_after:
        records.standing.rest(state.name, now + timedelta(seconds=error.retry_after))
    kind = _notice_for(state, error, now - since, settings)
    if kind is None:
        return None, None
    if kind is EventType.CHANNEL_DISABLED:
        records.standing.disable(state.name, now, why=str(error))
    records.standing.tell(state.name, kind.kind)
    told = owed.give_notice(
        records,
        plan,
        kind,
        subject=state.name,
        reason=_words_for(kind, state.name, error, since, _waiting(records, state.name)),
        since=since,
        now=now,
    )
    return kind, told


def _notice_for(
    state: ChannelState, error: SendError, failing: timedelta, settings: DeliverySettings
) -> EventType | None:
    if state.disabled:
        return None
    if error.gone or failing >= settings.disable_after:
        return EventType.CHANNEL_DISABLED
    if state.told is None and state.failures >= 2 and failing >= TELL_AFTER:
        return EventType.CHANNEL_FAILING
    return None


def _waiting(records: Records, channel: str) -> int:
    return sum(part.messages for part in records.outbox.waiting() if part.channel == channel)


def _words_for(kind: EventType, name: str, error: SendError, since: datetime, waiting: int) -> str:
    kept = f"{waiting} message{'' if waiting == 1 else 's'} wait{'s' if waiting == 1 else ''}"
    if kind is EventType.CHANNEL_FAILING:
        return f"channel {name} fails since {since:%Y-%m-%d %H:%M} UTC; {kept}: {error}"
    hint = f"`watcher channels enable {name}` sends them"
    return f"channel {name} is disabled; {kept}, {hint}: {error}"
