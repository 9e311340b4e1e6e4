"""For tests of the outbox: a store with papers, a way to record changes, channels that obey."""

import inspect
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tests.makers import NOW, options
from tests.servers import FakeClock
from watcher import owed
from watcher.config.settings import DeliverySettings
from watcher.deliver import Deliverer, Report, Surroundings
from watcher.errors import SendError
from watcher.identity import event_id
from watcher.model import Card, Counts, Event, EventType, Message, ReaderName, Snapshot
from watcher.owed import Outlet, Plan
from watcher.store import Records, Store, open_records

KINDS = {"new": EventType.NEW, "rising": EventType.RISING, "resurging": EventType.RESURGING}


def plan(*names: str, wants: dict[str, tuple[str, ...]] | None = None, **fields: Any) -> Plan:
    """Instant channels of these names that all hear the rule ``alignment``."""
    return Plan(
        outlets={name: outlet(name) for name in names},
        wants=wants or {"alignment": names},
        **fields,
    )


def outlet(name: str = "me", *, to: Sequence[str] = ("",), **fields: Any) -> Outlet:
    return Outlet(options=options(name=name, **fields), recipients=tuple(to))


def with_outlet(base: Plan, name: str, **fields: Any) -> Plan:
    return msgspec.structs.replace(base, outlets={**base.outlets, name: outlet(name, **fields)})


def change(
    records: Records, paper: int, kind: str = "new", *, rule: str = "alignment", at: datetime = NOW
) -> Event:
    """A change of the paper with that number, recorded unless it was; then its cursor is 0."""
    row = paper_row(records, paper)
    event = Event(
        cursor=0,
        id=event_id(rule, f"2611.{paper:05d}", kind),
        type=KINDS[kind],
        at=at,
        rule=rule,
        paper=records.papers.get(row),
        counts=Counts(upvotes=paper),
        reason=f"{rule} says {kind} of {paper}",
        strength=float(paper),
    )
    return msgspec.structs.replace(event, cursor=records.events.add(event))


def paper_row(records: Records, number: int) -> int:
    name = f"2611.{number:05d}"
    found = records.papers.find(name)
    if found is not None:
        return found
    source = records.sources.id_of("trending", "https://example.org/papers")
    card = Card(paper_id=name, title=f"Paper number {number}", upvotes=number)
    shown = Snapshot(
        reader=ReaderName.ISLAND,
        taken_at=NOW - timedelta(hours=1),
        cards=(card,),
        shows=frozenset(),
    )
    return records.papers.meet(source, shown)[0].row


def tell(
    records: Records,
    base: Plan,
    *papers: int,
    kind: str = "new",
    rule: str = "alignment",
    at: datetime = NOW,
    beyond: bool = False,
) -> int:
    """One check's transaction: record changes of papers and what is owed for them."""
    with records.transaction():
        events = [change(records, paper, kind, rule=rule, at=at) for paper in papers]
        return owed.owe(records, base, [(e, beyond) for e in events if e.cursor], at)


class Obedient:
    """A channel that does what its script says, and remembers what it was given."""

    def __init__(
        self,
        name: str = "me",
        *script: SendError | None,
        then: SendError | None = None,
        deadline: float = 15.0,
        on_send: Callable[[Message], Any] | None = None,
    ) -> None:
        self.name = name
        self.deadline = deadline
        self.script = deque(script)
        self.then = then
        """What happens when the script is at its end: None is success."""
        self.tried: list[Message] = []
        self.got: list[Message] = []
        self.closed = 0
        self._on_send = on_send

    async def send(self, message: Message) -> None:
        self.tried.append(message)
        if self._on_send is not None:
            answer = self._on_send(message)
            if inspect.isawaitable(answer):
                await answer
        error = self.script.popleft() if self.script else self.then
        if error is not None:
            raise error
        self.got.append(message)

    async def close(self) -> None:
        self.closed += 1

    @property
    def papers(self) -> list[str]:
        """Titles of the papers it took, in order."""
        return [p for message in self.got for p in papers_of(message)]


def papers_of(message: Message) -> list[str]:
    if message.digest is None:
        return []
    return [e.event.paper.title for e in message.digest.entries if e.event.paper]


def both(one: Report, other: Report) -> Report:
    """What two calls did, in one."""
    names = Report.__struct_fields__
    return Report(**{name: getattr(one, name) + getattr(other, name) for name in names})


class Post:
    """A store, a plan, channels and a clock that is moved by hand."""

    def __init__(self, path, *channels, base=None, clock=None, **around):
        self.path = path
        self.channels = {channel.name: channel for channel in channels}
        self.plan = base or plan(*self.channels)
        self.clock = clock or FakeClock(NOW)
        self.around = Surroundings(clock=self.clock, chance=lambda: 0.0, **around)
        self.store = Store(path, lambda: open_records(path))
        self.deliverer = self.start()

    def start(self, **settings):
        self.deliverer = Deliverer(
            self.store,
            self.plan,
            self.channels,
            settings=DeliverySettings(**settings),
            around=self.around,
        )
        return self.deliverer

    async def __aenter__(self):
        await self.store.write(
            lambda r: r.standing.meet(self.channels, self.clock.now() - timedelta(hours=24))
        )
        return self

    async def __aexit__(self, *exc):
        await self.store.close()

    async def tell(self, *papers, **fields):
        fields.setdefault("at", self.clock.now())
        base = self.plan

        def record(records):
            # ``tell`` has a transaction of its own; the store's thread is in one already.
            at = fields["at"]
            kind, rule = fields.get("kind", "new"), fields.get("rule", "alignment")
            events = [change(records, paper, kind, rule=rule, at=at) for paper in papers]
            owed.owe(records, base, [(event, False) for event in events], at)

        await self.store.write(record)

    async def read(self, work):
        return await self.store.read(work)

    async def state(self, name="me"):
        return await self.read(lambda r: r.standing.get(name))

    async def lines(self, **which):
        return await self.read(lambda r: r.outbox.lines(**which))

    async def next_due(self):
        return min((await self.read(lambda r: r.outbox.due())).values(), default=None)

    async def live(self, until, *, most=500):
        """Deliver whatever is due, jumping from due time to due time."""
        total = Report()
        for _ in range(most):
            total = both(total, await self.deliverer.deliver_due())
            due = await self.next_due()
            if due is None or due > until:
                self.clock.advance((until - self.clock.now()).total_seconds())
                return total
            self.clock.advance(max((due - self.clock.now()).total_seconds(), 0.0))
        raise AssertionError("it does not come to rest")
