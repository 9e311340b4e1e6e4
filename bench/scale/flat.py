"""What a visit costs beside 1,000 papers and more, up to 1,000,000 with 20 million sightings.

``python -m bench.scale flat``. From the bytes of a page to the commit of what it left behind:
``read_page``, ``record_seen``, one synced transaction; no HTTP, which knows nothing of the store.
Twenty pages of fifty papers with two days of history are visited in all stores in turns, so
that a slow machine slows all. Half of the pages show the newest papers, as pages mostly do; the
papers of the other half were met one by one over all the years and lie far apart in the file.
The made-up papers are not in the full-text index (see ``filling.py``). ``bench/out/flat.png``
shows the cost over the papers stored.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench import site
from bench.drawing import costs
from bench.loop import BETWEEN, CONFIG, START, home
from bench.scale.figures import Figure
from bench.scale.filling import LOOKS, Stretch, add_sources, fill, hurried
from bench.scale.setting import VISITS, Setting, loop_pages, main, room
from watcher import growth, readers, telemetry
from watcher.agenda import Target
from watcher.channels import OPTIONS
from watcher.clock import to_unix
from watcher.config import parse
from watcher.model import Snapshot
from watcher.owed import plan_of
from watcher.page import Page, unpack
from watcher.reading import read_page
from watcher.record import record_seen
from watcher.rulebook import compile_rules
from watcher.store import Records, open_records
from watcher.visit import App, Memory, Visit

PAGES = 20
SCATTERED = 10
"""Pages whose papers lie far apart."""
STAGES = 25
"""So many stretches of made-up papers, with two papers of each scattered page between them."""
YEARS, DAYS = timedelta(days=4 * 365), timedelta(days=2)
WARM = 3
"""Rounds that are not timed."""
AIM = 1.2
FACTORS, QUICK_FACTORS = (1, 10, 100, 1_000), (1, 20)
"""How many times the papers of the pages the stores hold."""
GROUPS = {"newest": range(SCATTERED, PAGES), "scattered": range(SCATTERED)}
OUT = Path(__file__).parent.parent / "out"


class Spent(NamedTuple):
    """Seconds of one visit."""

    read: float
    record: float
    """With the commit."""
    cpu: float

    @property
    def all(self) -> float:
        """From the bytes to the commit."""
        return self.read + self.record


class Side:
    """One store, and the watcher over it."""

    def __init__(self, folder: Path, name: str, pages: Path) -> None:
        self.path = folder / f"{name}.db"
        self.spent: dict[int, list[Spent]] = {page: [] for page in range(PAGES)}
        self.told = 0
        config = parse(CONFIG.format(connections=1).encode(), OPTIONS, env={}, folder=folder)
        self._pages = pages
        self.app = App(
            store=None,  # type: ignore[arg-type]
            fetcher=None,  # type: ignore[arg-type]
            rules=compile_rules(config),
            plan=plan_of(config),
        )
        self._memory: dict[int, Memory] = {}
        self.records = open_records(self.path, create=True)

    def visit(self, page: int, number: int, now: datetime) -> Spent:
        """Read a page as its visit ``number`` finds it, and record it."""
        target = target_of(page)
        sent = _page(target.url, self._body(page, number), now)
        began, cpu = time.perf_counter(), time.process_time()
        seen = read_page(sent, target, self._memory.get(page, Memory()), now)
        if seen.snapshot is None or seen.doubts:
            raise SystemExit(f"page {page}, visit {number}: {seen.doubts or 'unchanged'}")
        visit = Visit(target=target, at=now, began=began).answered(sent)
        read = time.perf_counter()
        with self.records.transaction():
            checked = record_seen(self.app, self.records, visit, seen)
        ended = time.perf_counter()
        self._memory[page] = seen.memory
        self.told += checked.told
        return Spent(read - began, ended - read, time.process_time() - cpu)

    def snapshot(self, page: int, at: datetime) -> Snapshot:
        """What a page's first visit shows, without votes yet."""
        sent = unpack(_page(target_of(page).url, self._body(page, 0), at))
        found = readers.parse(sent.body, url=sent.url, at=at)
        cards = (msgspec.structs.replace(card, upvotes=0) for card in found.cards)
        return msgspec.structs.replace(found, cards=tuple(cards))

    def _body(self, page: int, number: int) -> bytes:
        return (self._pages / "visits" / f"{page:02}" / f"{number:03}.html.gz").read_bytes()


def _page(url: str, body: bytes, now: datetime) -> Page:
    kind = "text/html"
    return Page(url=url, body=body, fetched_at=now, encoding="gzip", content_type=kind)


def target_of(page: int) -> Target:
    """The source that shows a page."""
    name = f"t{page:02}"
    return Target(name=name, url=f"https://none.invalid/{page}", family=name)


def measure(setting: Setting) -> list[Figure]:
    """The ratios, and the times they are made of."""
    sizes = [PAGES * site.CARDS * factor for factor in setting.sized(FACTORS, QUICK_FACTORS)]
    lacking = room(sum(sizes) * 8_000)
    if lacking:
        return [Figure(what="a visit beside a million papers", at_most=AIM, note=lacking)]
    telemetry.configure(level="error")
    pages = loop_pages()
    with home() as folder:
        sides = [Side(folder, str(papers), pages) for papers in sizes]
        began = time.monotonic()
        for side, papers in zip(sides, sizes, strict=True):
            build(side, papers - PAGES * site.CARDS)
        filled = time.monotonic() - began
        learning = _learn(sides)
        _take_turns(sides)
        figures = _figures(sides)
        for side in sides:
            side.records.close()
    _draw(sides, sizes)
    what = "the week's curve learnt beside all of them"
    learnt = Figure(what=what, value=learning, unit="s", note=f"the stores: {filled:.0f} s")
    return [*figures, learnt]


# --- filling ---


def build(side: Side, papers: int) -> None:
    """Years of made-up papers, those of the pages among and behind them, their last two days."""
    add_sources(side.records)
    rows: dict[int, list[int]] = {page: [] for page in range(PAGES)}
    for stage in range(STAGES):
        at = START - YEARS + YEARS / STAGES * stage
        part = papers * (stage + 1) // STAGES - papers * stage // STAGES
        if part:
            with hurried(side.records):
                stretch = Stretch(part, to_unix(at), int((YEARS / STAGES).total_seconds()))
                fill(side.records, stretch)
        for page in range(SCATTERED):
            rows[page] += _meet(side, page, slice(stage, None, STAGES), at)
    for page in range(SCATTERED, PAGES):
        rows[page] += _meet(side, page, slice(None), START - DAYS)
    for page, papers_of in rows.items():
        _give_past(side.records, page, papers_of)


def _meet(side: Side, page: int, cards: slice, at: datetime) -> list[int]:
    """Remember some of a page's papers; their rows."""
    snapshot = side.snapshot(page, at)
    snapshot = msgspec.structs.replace(snapshot, cards=snapshot.cards[cards])
    with side.records.transaction() as records:
        return [met.row for met in records.papers.meet(_source(records, page), snapshot)]


def _source(records: Records, page: int) -> int:
    target = target_of(page)
    return records.sources.id_of(target.name, target.url, target.family)


def _give_past(records: Records, page: int, rows: Sequence[int]) -> None:
    """Two days of looks, until half an hour before the first visit."""
    every = int(DAYS.total_seconds()) // LOOKS
    times = range(to_unix(START - DAYS) + every // 2, to_unix(START), every)
    with records.transaction():
        source = _source(records, page)
        records.conn.executemany(
            "insert into sightings values (?, ?, ?, ?, 0, null)",
            [(row, at, source, n % 3) for row in rows for n, at in enumerate(times)],
        )


def _learn(sides: Sequence[Side]) -> float:
    """All judge by the curve that the largest store gives; the seconds it took to learn it."""
    largest = sides[-1]
    began = time.monotonic()
    with largest.records.transaction():
        largest.app.learnt(largest.records, START)
    spent = time.monotonic() - began
    monday = growth.monday(to_unix(START))
    body = largest.records.events.learnt("baseline", monday)
    if body is None:
        raise SystemExit("no curve was learnt")
    for side in sides[:-1]:
        with side.records.transaction():
            side.records.events.keep_learnt("baseline", monday, body)
    return spent


# --- measuring ---


def _take_turns(sides: Sequence[Side]) -> None:
    """Every visit of every page in all stores, one after the other."""
    for number in range(VISITS):
        for page in range(PAGES):
            now = START + BETWEEN * number + BETWEEN / PAGES * page
            for side in sides if page % 2 else sides[::-1]:
                spent = side.visit(page, number, now)
                if number >= WARM:
                    side.spent[page].append(spent)
    told = {side.told for side in sides}
    if len(told) > 1:
        raise SystemExit(f"the work differs: {sorted(told)} changes told")


def _contents(side: Side) -> str:
    papers, sightings = side.records.papers.count()
    size = side.path.stat().st_size / 1e9
    return f"{papers:,} papers, {sightings:,} sightings, {size:.1f} GB"


def _figures(sides: Sequence[Side]) -> list[Figure]:
    found = []
    for side in sides:
        mean = statistics.mean(one.all for one in _of(side, range(PAGES)))
        what = f"a visit, {_contents(side)}"
        found.append(Figure(what=what, value=mean * 1_000, unit="ms"))
    for name, pages in GROUPS.items():
        ratios = _ratios(_of(sides[0], pages), _of(sides[-1], pages))
        what = f"a visit in the last against the first, {name} papers"
        note = ", ".join(f"{part} {ratio:.2f} ×" for part, ratio in ratios.items())
        found.append(Figure(what=what, value=ratios["all"], unit="×", at_most=AIM, note=note))
    return found


def _draw(sides: Sequence[Side], sizes: Sequence[int]) -> None:
    lines = {
        f"{name} papers": [1_000 * statistics.mean(o.all for o in _of(s, pages)) for s in sides]
        for name, pages in GROUPS.items()
    }
    OUT.mkdir(exist_ok=True)
    costs(sizes, lines, OUT / "flat.png")


def _of(side: Side, pages: Iterable[int]) -> list[Spent]:
    return [one for page in pages for one in side.spent[page]]


def _ratios(here: Sequence[Spent], there: Sequence[Spent]) -> dict[str, float]:
    """How many times dearer there, in the mean, by part."""
    parts = ("all", "read", "record", "cpu")
    ratios = {
        part: statistics.mean(getattr(one, part) for one in there)
        / statistics.mean(getattr(one, part) for one in here)
        for part in parts
    }
    middle = [statistics.median(one.all for one in side) for side in (there, here)]
    return {**ratios, "median": middle[0] / middle[1]}


if __name__ == "__main__":
    main(measure)
