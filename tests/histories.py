"""Random histories through the real ``check``: pages, silences, faults; and what came of them.

A history is a list of visits made from a seed, so that a shorter one is the beginning of a
longer one. Pages are real bytes; only the network is missing.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests import pages
from tests.pages import Fake
from watcher.agenda import Target
from watcher.backtest import Replay, Told
from watcher.errors import FetchError
from watcher.model import Event
from watcher.owed import Plan
from watcher.page import NotModified, Page
from watcher.rules import Rule
from watcher.store import Store, open_records
from watcher.visit import App, Checked
from watcher.watch import check

START = datetime(2026, 10, 5, 6, tzinfo=UTC)
"""A Monday."""
SITE = "https://papers.example.org"
PATHS = {
    "trending": "/papers/trending",
    "daily": "/papers",
    "search": "/papers?q=alignment",
    "api": "/api/daily_papers",
}
TOPICS = ("alignment", "speech", "survey", "robots", "cafés", "preference optimization")
GAPS = (0, 61, 120, 1740, 1800, 3599, 3600, 3601, 7200, 10_800, 40_000, 86_400, 90_001, 200_000)
"""Seconds between two visits: within the hour that counts, at its edges, days."""


@dataclass(frozen=True)
class Step:
    """One visit."""

    at: datetime
    source: str
    body: bytes | None = None
    """None: not modified."""
    fails: bool = False
    restarts: bool = False
    """The watcher is started anew before it."""

    @property
    def target(self) -> Target:
        family, _, day = self.source.partition("@")
        url = f"{SITE}{PATHS[family]}" + (f"/date/{day}" if day else "")
        return Target(
            name=self.source,
            url=url,
            family=family,
            day=datetime.fromisoformat(day).date() if day else None,
        )


class Script:
    """A fetcher that answers what the step says."""

    def __init__(self) -> None:
        self.step: Step

    async def get(self, url: str, *, validators: Any = None, packed: bool = False) -> Any:
        step = self.step
        if step.fails:
            raise FetchError(f"{url}: HTTP 503", status=503)
        if step.body is None:
            return NotModified(url=url, fetched_at=step.at)
        html = not step.source.startswith("api")
        return Page(
            url=url,
            body=step.body,
            fetched_at=step.at,
            content_type="text/html" if html else "application/json",
        )


# --- making a history -------------------------------------------------------------------------


def history(seed: int, length: int, *, zigzag: bool = True, words: bool = True) -> list[Step]:
    """So many visits of several sources; ``zigzag``: some are recorded out of their order;
    ``words``: what papers are about changes too, not their counts alone."""
    rng = random.Random(seed)
    known = _papers(rng)
    # Two visits in one second may teach a listing or words of the same paper: the store keeps
    # what was known before that second, so that a replay cannot tell them apart.
    apart = words or any(fake.submitted and not fake.opened for fake in known)
    gaps = GAPS[1:] if apart else GAPS
    now, last = START, dict[str, datetime]()
    bodies: dict[str, bytes] = {}
    steps: list[Step] = []
    for number in range(length):
        gap = rng.choice(gaps)
        now += timedelta(seconds=gap, microseconds=rng.randrange(1000) if gap else 0)
        if gap:
            known = [_move(rng, fake, words=words) for fake in known]
        source = _source(rng, now)
        at = now - timedelta(seconds=5) if zigzag and number and rng.random() < 0.1 else now
        if source in last and at - last[source] < timedelta(seconds=1):
            at = last[source] + timedelta(seconds=1)
        last[source], now = at, max(now, at)
        step = Step(at=at, source=source, restarts=rng.random() < 0.1)
        fate = rng.random()
        if fate < 0.08:
            steps.append(replace(step, fails=True))
        elif fate < 0.12:
            steps.append(replace(step, body=b"<html><body>Please log in</body></html>"))
        elif fate < 0.3 and source in bodies:
            steps.append(replace(step, body=rng.choice((None, bodies[source]))))
        else:
            # Most pages show most papers: one that is half of the last is put aside.
            least = 1 if rng.random() < 0.2 else (2 * len(known) + 2) // 3
            shown = rng.sample(known, rng.randint(least, len(known)))
            bodies[source] = page_of(source, shown, at, island=rng.random() < 0.8)
            steps.append(replace(step, body=bodies[source]))
    return steps


def _source(rng: random.Random, now: datetime) -> str:
    source = rng.choice(("trending", "trending", "daily", "daily", "search", "api", "past"))
    if source != "past":
        return source
    return f"daily@{(now - timedelta(days=rng.randint(1, 4))).date()}"


def page_of(source: str, shown: Sequence[Fake], at: datetime, *, island: bool = True) -> bytes:
    """What a source's page shows."""
    family, _, day = source.partition("@")
    if family == "trending":
        return pages.trending(shown, with_island=island, size=3)
    if family == "search":
        if not island:
            return pages.dump(shown, today=at.date())
        return pages.search("alignment", shown, today=at.date())
    if family == "api":
        return pages.api([pages.item_2026(fake) for fake in shown])
    listed = datetime.fromisoformat(day).date() if day else at.date()
    return pages.grid_2026(shown, listed, with_island=island)


def _papers(rng: random.Random) -> list[Fake]:
    """Papers that are listed before, during and long before the history, or never."""
    made = []
    for number, fake in enumerate(pages.fakes(rng.randint(1, 9), seed=rng.randrange(1000))):
        opened = START + timedelta(hours=rng.choice((-400, -40, -30, -6, -1, 2, 30, 70)))
        exact, listed = rng.random() < 0.7, rng.random() < 0.8
        midnight = opened.replace(hour=0, minute=0, second=0)
        topics = rng.sample(TOPICS, rng.randint(0, 3))
        made.append(
            fake.but(
                id=f"2610.{number + 1:05d}",
                title=f"{' '.join(topics[:1])} {fake.title}".strip(),
                abstract=f"{' '.join(topics)}. {fake.abstract}"[: rng.choice((40, 300))],
                opened=opened if exact and listed else None,
                submitted=midnight if listed else None,
                published=(opened - timedelta(days=rng.choice((0, 1, 9)))).date(),
                upvotes=rng.choice((0, 0, 3, 15, 19, 25, 90)),
                comments=rng.choice((0, 2)),
                stars=rng.choice((None, 4, 62_240)),
                organization=rng.choice((None, "Tiny Lab")),
                ai_summary=None,
            )
        )
    return made


def _move(rng: random.Random, fake: Fake, *, words: bool) -> Fake:
    """Time passes for a paper: votes come, seldom some go; words change now and then."""
    steps = (0, 0, 0, 1, 2, 4, 9, 30, -1, -2, -9)
    fake = fake.but(upvotes=max(0, fake.upvotes + rng.choice(steps)))
    if fake.stars is not None and rng.random() < 0.2:
        fake = fake.but(stars=fake.stars + rng.choice((1, 70)))
    if rng.random() < 0.05:
        fake = fake.but(comments=fake.comments + 1)
    if not words:
        return fake
    if rng.random() < 0.05:
        fake = fake.but(ai_summary=f"A {rng.choice(TOPICS)} summary.")
    if rng.random() < 0.03:
        fake = fake.but(keywords=(*fake.keywords[1:], rng.choice(TOPICS)))
    if rng.random() < 0.02:
        fake = fake.but(title=f"{fake.title} (v2)", organization="Tiny Lab")
    return fake


# --- living it, and looking back --------------------------------------------------------------


def live(
    path: Path,
    steps: Sequence[Step],
    rules: Sequence[Rule],
    *,
    zone: str = "UTC",
    plan: Plan | None = None,
) -> list[Checked]:
    """Go through a history as the daemon does."""

    async def run() -> list[Checked]:
        script, done = Script(), []
        store = app = None
        for step in steps:
            if app is None or step.restarts:
                if store is not None:
                    await store.close()
                store = Store(path, lambda: open_records(path, create=True, migrate=True))
                app = App(store=store, fetcher=script, rules=rules, zone=ZoneInfo(zone), plan=plan)
            script.step = step
            done.append(await check(app, step.target, step.at))
        if store is not None:
            await store.close()
        return done

    return asyncio.run(run())


def replayed(path: Path, rules: Sequence[Rule], *, zone: str = "UTC") -> list[tuple[Any, ...]]:
    """What a back-test says that the rules would have told, oldest first."""
    with open_records(path) as records:
        replay = Replay(records, rules, zone=ZoneInfo(zone))
        return [_of_told(told) for _, found in replay.run() for told in found]


def recorded(path: Path) -> list[tuple[Any, ...]]:
    """The changes that were recorded, in the same form."""
    with open_records(path) as records:
        events = records.events.after()
        return [_of_event(event) for event in events if event.type.is_change]


def forget_learnt(path: Path) -> None:
    """Let the next one learn anew."""
    with open_records(path) as records:
        records.conn.execute("delete from learnt")


def _of_told(told: Told) -> tuple[Any, ...]:
    decision, paper = told.decision, told.paper
    return (
        told.at,
        decision.keys[0],
        decision.rule,
        decision.kind.value,
        paper.title,
        decision.known,
        decision.late,
        decision.reason,
        decision.conditions,
        round(decision.strength, 9),
        (paper.upvotes, paper.comments, paper.stars),
    )


def _of_event(event: Event) -> tuple[Any, ...]:
    paper, counts = event.paper, event.counts
    assert paper is not None
    return (
        event.at,
        event.id,
        event.rule,
        event.type.kind,
        paper.title,
        event.known,
        event.late,
        event.reason,
        event.conditions,
        round(event.strength, 9),
        (counts.upvotes, counts.comments, counts.stars),
    )
