"""A simulated year: ``python -m tests.year [--days 365]``.

Twenty sources every half hour (trending, daily with its past days, week, month, sixteen saved
searches), the real recording, judging, outbox and housekeeping over an invented world; no HTTP
and no markup, which cost the same on every day. Prints the store's size and what a visit costs
at the end beside what it cost at the start; exits 1 when a promise is broken.
"""

import argparse
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from statistics import mean

import msgspec

from tests.makers import options
from watcher import care, doubt, drift, owed, readers, reading, telemetry
from watcher.agenda import Target
from watcher.channels import OPTIONS
from watcher.clock import to_unix
from watcher.config import parse
from watcher.demo.world import World, show
from watcher.model import CARD_FIELDS, Change, PageKind, ReaderName, Snapshot
from watcher.owed import Outlet, Plan
from watcher.record import record_seen, record_unchanged
from watcher.rules import compile_rule
from watcher.store import open_records
from watcher.visit import App, Memory, Seen, Visit

START = date(2025, 11, 3)
STEP = timedelta(minutes=30)
PAGE = 50
MOST_BYTES = 500_000_000
MOST_RATIO = 1.2
SHOWS = frozenset(CARD_FIELDS)
QUERIES = (
    "alignment", "diffusion", "agents", "reasoning", "video", "speech", "retrieval", "robot",
    "graph", "vision", "memory", "planning", "benchmark", "compression", "safety", "training",
)  # fmt: skip
RULES = (
    compile_rule("rising", events=(Change.RISING, Change.RESURGING)),
    compile_rule("liked", min_upvotes=20),
    compile_rule("topic", query='alignment OR "preference optimization"'),
)


class Pages:
    """What each source shows at a time, as a perfect reader sees it."""

    def __init__(self, days):
        self.world = World(11, START, days + 1)
        self._fixed = {}
        papers = sorted(self.world.papers, key=lambda paper: paper.listed_at)
        self._topics = {
            query: [paper for paper in papers if self.world._score(paper, [query])]
            for query in QUERIES
        }

    def names(self):
        return ["trending", "daily", "week", "month", *QUERIES]

    def shown(self, name, now):
        day = now.date()
        if name == "trending":
            return PageKind.TRENDING, None, self.world.trending(now)
        if name == "daily":
            return PageKind.DAILY, day, self.world.daily(day, now)
        if name.startswith("daily@"):
            day = date.fromisoformat(name.partition("@")[2])
            return PageKind.DAILY, day, self.world.daily(day, now)
        if name == "week":
            return PageKind.WEEK, None, self.world.week(now)
        if name == "month":
            return PageKind.MONTH, None, self.world.month(now)
        at = to_unix(now)
        known = [paper for paper in self._topics[name] if paper.listed_at <= at][-PAGE:]
        found = (show(paper, at, rank=n) for n, paper in enumerate(reversed(known), 1))
        return PageKind.SEARCH, None, tuple(found)

    def snapshot(self, name, now):
        kind, day, shown = self.shown(name, now)
        return Snapshot(
            reader=ReaderName.ISLAND,
            taken_at=now,
            cards=tuple(self._card(paper) for paper in shown[:PAGE]),
            kind=kind,
            listed_on=day,
            shows=SHOWS,
        )

    def _card(self, shown):
        key = (shown.paper.id, shown.summarised)
        card = self._fixed.get(key)
        if card is None:
            card = self._fixed[key] = shown.card()
        return msgspec.structs.replace(
            card,
            rank=shown.rank,
            upvotes=shown.upvotes,
            comments=shown.comments,
            stars=shown.stars,
        )


class Watcher:
    """The daemon's work without its waiting."""

    def __init__(self, folder, pages):
        self.path = folder / "year.db"
        self.pages = pages
        self.records = open_records(self.path, create=True, migrate=True)
        self.config = parse(b"[watcher]\n", OPTIONS, env={}, folder=folder)
        outlet = Outlet(options=options(digest=clock_time(8)))
        plan = Plan(outlets={"me": outlet}, wants={rule.name: ("me",) for rule in RULES})
        self.app = App(store=None, fetcher=None, rules=RULES, plan=plan)
        self.memory = {}
        self.seen = {}
        self.costs = []
        self.checks = self.changed = 0

    def visit(self, name, now, *, day=None):
        snapshot = self.pages.snapshot(name, now)
        state = [(c.paper_id, c.upvotes, c.comments, c.stars) for c in snapshot.cards]
        target = Target(
            name=name, url="https://example.org", family=name.partition("@")[0], day=day
        )
        visit = Visit(target=target, at=now, began=time.perf_counter())
        memory = self.memory.get(name, Memory())
        began = time.process_time()
        if self.seen.get(name) == state:
            record_unchanged(self.app, self.records, visit, Seen(memory=memory))
        else:
            self._record(visit, memory, snapshot)
            self.changed += 1
        spent = time.process_time() - began
        self.checks += 1
        if day is None:
            self.seen[name] = state
            self.costs.append((now, spent))

    def _record(self, visit, memory, snapshot):
        fills = readers.fill(snapshot)
        portrait = reading.portrait_of(memory)
        odd = drift.oddities(portrait, snapshot, fills)
        scrutiny = reading.scrutinise(portrait, snapshot, fills, odd=odd)
        assert not doubt.contradictions(snapshot, memory.reference), visit.target.name
        memory = msgspec.structs.replace(
            memory,
            reference=doubt.reference_of(snapshot),
            portrait=msgspec.json.encode(scrutiny.portrait),
        )
        if visit.target.day is None:
            self.memory[visit.target.name] = memory
        seen = Seen(memory=memory, snapshot=snapshot, scrutiny=scrutiny, fills=fills, page="0" * 32)
        record_seen(self.app, self.records, visit, seen)

    def past_days(self, now):
        """The past days of the daily list at their falling pace."""
        half_hours = int((now - datetime.combine(START, datetime.min.time(), UTC)) / STEP)
        for age in range(1, 8):
            every = min(2**age, 24)
            if half_hours % every == age % every:
                day = now.date() - timedelta(days=age)
                yield f"daily@{day}", day

    def deliver(self, now):
        """Let the digest of the day leave."""
        compose = lambda batch: owed.words_of(self.records, self.app.plan, batch, now)  # noqa: E731
        while claimed := self.records.outbox.claim(
            "me", now, lease=timedelta(minutes=1), compose=compose
        ):
            self.records.outbox.sent(claimed.key, now)

    def tidy(self, now):
        care.prune_records(self.records, care.spans_of(self.config), now)

    def size(self):
        self.records.conn.execute("pragma wal_checkpoint(truncate)")
        return self.path.stat().st_size


def run(days, folder):
    """Live through so many days; what was found."""
    pages = Pages(days)
    watcher = Watcher(folder, pages)
    begin = datetime.combine(START, datetime.min.time(), UTC)
    steps = days * 48
    for n in range(steps):
        now = begin + STEP * n
        with watcher.records.transaction():
            for k, name in enumerate(pages.names()):
                watcher.visit(name, now + timedelta(seconds=7 * k))
            for name, day in watcher.past_days(now):
                watcher.visit(name, now + timedelta(seconds=300), day=day)
            if now.hour == 8 and now.minute == 0:
                watcher.deliver(now)
        if now.hour == 4 and now.minute == 0:
            watcher.tidy(now)
        if n and n % (48 * 30) == 0:
            print(
                f"day {n // 48:3}: {watcher.checks:7,} checks, {watcher.size() / 1e6:6.1f} MB, "
                f"{cost(watcher, now, 7) * 1e3:.2f} ms a check",
                flush=True,
            )
    return watcher, begin + STEP * steps


def cost(watcher, until, days):
    """Mean processor seconds of a check in the days before an instant."""
    since = until - timedelta(days=days)
    return mean(spent for at, spent in watcher.costs if since <= at < until)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    args = parser.parse_args()
    telemetry.configure(level="error")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        watcher, end = run(args.days, Path(folder))
        start = datetime.combine(START, datetime.min.time(), UTC)
        window = min(14, max(1, args.days // 4))
        # The first week fills caches and baselines that later weeks have.
        first = cost(watcher, start + timedelta(days=7 + window), window)
        last = cost(watcher, end, window)
        papers, sightings = watcher.records.papers.count()
        size = watcher.size()
        events = watcher.records.events.count()
        tables = watcher.records.conn.execute(
            "select name, sum(pgsize) from dbstat group by name order by 2 desc limit 12"
        ).fetchall()
        watcher.records.close()
    print(
        f"{args.days} days in {time.monotonic() - began:.0f} s: {watcher.checks:,} checks "
        f"({watcher.changed:,} changed), {papers:,} papers, {sightings:,} sightings, "
        f"{events:,} events"
    )
    print("largest:", ", ".join(f"{name} {bytes_ / 1e6:.0f} MB" for name, bytes_ in tables))
    print(f"store {size / 1e6:.0f} MB (at most {MOST_BYTES / 1e6:.0f})")
    print(
        f"a check costs {first * 1e3:.2f} ms at the start, {last * 1e3:.2f} ms at the end: "
        f"{last / first:.2f} times (at most {MOST_RATIO})"
    )
    sys.exit(size > MOST_BYTES or last / first > MOST_RATIO)


if __name__ == "__main__":
    main()
