"""Pages that are not what they seem: put aside, never told as news, and the drift named."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from tests import pages
from tests.mutations import MUTATIONS
from tests.servers import FakeClock, Site, page
from watcher.agenda import Target
from watcher.archive import Archive, Keeper
from watcher.fetch import Fetcher, FetchOptions
from watcher.model import Change, CheckOutcome, EventType
from watcher.rules import compile_rule
from watcher.store import Store, open_records
from watcher.watch import App, check

NOW = datetime(2026, 10, 5, 12, tzinfo=UTC)
OPTIONS = FetchOptions(per_host_rate=0, allow_private=True, robots=False)
RULES = (
    compile_rule("any", events=[Change.NEW]),
    compile_rule("votes", events=[Change.NEW, Change.RISING], min_upvotes=20),
)
LAYOUTS = {"trending": pages.trending, "daily": pages.grid_2026}
PATHS = {"trending": "/papers/trending", "daily": "/papers"}
LATECOMER = pages.Fake(id="2610.09999", title="Only after the storm", upvotes=3)


@contextlib.asynccontextmanager
async def watching(tmp_path, layout="trending", rules=RULES):
    """A function that shows a page to the watcher and gives how the visit ended."""
    path = tmp_path / "w.db"
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    clock = FakeClock(NOW)
    async with Site(page(b"")) as site, Fetcher(OPTIONS, clock=clock) as fetcher:
        app = App(store=store, fetcher=fetcher, rules=rules)
        odd = Archive(tmp_path / "odd", keep=timedelta(days=30), max_size=10**8)
        app.keeper = Keeper(odd=odd)
        target = Target(name="t", url=site.url + PATHS[layout], family="t")

        async def show(body, *, minutes=30):
            clock.advance(minutes * 60)
            site.answers = page(body)
            return await check(app, target, clock.now())

        show.app, show.clock = app, clock
        yield show
        odd.close()
        await store.close()


def grown(fakes, by):
    """The same papers with a few more votes."""
    return [fake.but(upvotes=fake.upvotes + by) for fake in fakes]


async def notices_of(app):
    events = await app.store.read(lambda r: r.events.after())
    return [event for event in events if not event.type.is_change]


async def told(app):
    events = await app.store.read(lambda r: r.events.after(known=False))
    return [event for event in events if event.type.is_change]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", MUTATIONS)
async def test_a_mutated_page_invents_nothing_and_is_right_or_put_aside(tmp_path, name, layout):
    shown = [fake.but(upvotes=5 + fake.upvotes % 9) for fake in pages.fakes(25)]
    draw, mutate = LAYOUTS[layout], MUTATIONS[name]
    async with watching(tmp_path, layout) as show:
        for by in (0, 1):
            assert (await show(draw(grown(shown, by)))).outcome is CheckOutcome.OK
        for by in (1, 2, 2):
            truth = grown(shown, by)
            ended = await show(mutate(draw(truth)))
            if ended.outcome in (CheckOutcome.OK, CheckOutcome.UNCHANGED):
                await assert_right(show.app, truth)
        assert await told(show.app) == []
        blind = ended.outcome in (CheckOutcome.FAILED, CheckOutcome.QUARANTINED)
        said = {event.type for event in await notices_of(show.app)}
        if blind:
            assert EventType.SOURCE_FAILING in said, ended.error
        elif (name, layout) not in HARMLESS:
            assert EventType.SOURCE_DRIFTING in said, (ended, show.app.memory["t"].portrait)
        # It recovers: nothing old is news, and what is new is told.
        ended = await show(draw([LATECOMER, *grown(shown, 3)]))
        assert ended.outcome is CheckOutcome.OK
        assert {event.paper.title for event in await told(show.app)} == {LATECOMER.title}


HARMLESS = {
    ("class names renamed", "trending"),  # the readers go by links, roles and words
    ("class names renamed", "daily"),
    ("github links gone", "daily"),  # there are none on that page
    ("organizations gone", "daily"),  # where no card shows one, that page shows none
    ("order reversed", "trending"),
    ("order reversed", "daily"),
}


async def assert_right(app, truth):
    """What is remembered of each paper is what the site meant, or what it was before."""
    papers = {paper.arxiv_id: paper for paper in await app.store.read(lambda r: r.papers.latest())}
    assert set(papers) == {fake.id for fake in truth}
    for fake in truth:
        paper = papers[fake.id]
        assert paper.title == fake.title
        assert fake.upvotes - 2 <= paper.upvotes <= fake.upvotes
        assert paper.comments == fake.comments
