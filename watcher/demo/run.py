"""The demo: a month at the stand-in site, through the same ``check`` that the daemon uses.

Owns the jumping clock, the demo's config and what is printed. Everything else is the real
thing: real pages over real HTTP on loopback, a real database, real mail in a maildir.
"""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from watcher.accounting import footer_of
from watcher.agenda import Agenda
from watcher.channels import OPTIONS
from watcher.config import Config, parse
from watcher.daemon import fetch_options, open_channels
from watcher.deliver import Deliverer, Surroundings
from watcher.demo.site import Fault, Incident, Site, serve
from watcher.demo.world import World
from watcher.errors import WatcherError
from watcher.fetch import Fetcher
from watcher.model import CheckOutcome, Event, EventType
from watcher.owed import plan_of
from watcher.rulebook import compile_rules
from watcher.store import Lock, Store, open_records
from watcher.watch import App, Checked, check
from watcher.web import WebContext
from watcher.web import start as start_web

CONFIG = """\
# The demo's config: the stand-in site instead of the real one, everything else as in life.
[watcher]
database = "watcher.db"
timezone = "UTC"
contact = "mailto:demo@example.org"
operator = "me"

[fetch]
per_host_rate = 0
allow_private = true

[[source]]
name = "trending"
url = "{site}/papers/trending"
every = "1h"

[[source]]
name = "daily"
url = "{site}/papers"
every = "2h"

[[rule]]
name = "rising"
events = ["rising", "resurging"]
channels = ["me"]

[[rule]]
name = "alignment"
query = 'alignment OR preference'
min_upvotes = 20
channels = ["me"]

[channel.me]
type = "maildir"
path = "mail"
digest = "08:00"

[web]
listen = "127.0.0.1:8484"
"""


class JumpingClock:
    """The one injected clock, which never waits: sleeping moves it on."""

    def __init__(self, start: datetime) -> None:
        self._start = self._now = start

    def now(self) -> datetime:
        """The demo's time."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the demo began."""
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self._now += timedelta(seconds=max(seconds, 0))
        await asyncio.sleep(0)

    def jump(self, to: datetime) -> None:
        """Move on to a time, never back."""
        self._now = max(self._now, to)


def incidents(start: datetime, days: int) -> tuple[Incident, ...]:
    """What goes wrong on the way: an outage of five hours, a cut answer, a redesign."""
    outage = start + timedelta(days=days * 0.3, hours=9)
    cut = start + timedelta(days=days * 0.5, hours=7)
    redesign = start + timedelta(days=days * 0.7, hours=11)
    return (
        Incident(fault=Fault.OUTAGE, since=outage, until=outage + timedelta(hours=5)),
        Incident(fault=Fault.TRUNCATED, since=cut, until=cut + timedelta(hours=4), times=2),
        Incident(fault=Fault.REDESIGN, since=redesign),
    )


async def run_demo(folder: Path, *, seed: int, days: int, out: Console) -> int:
    """Watch an invented month and say what was seen; the exit code.

    Raises WatcherError, and touches nothing, when the folder holds what is no earlier demo's.
    """
    _refuse_others(folder)
    lock = Lock(folder / "watcher.db")
    lock.acquire()
    try:
        return await _run_demo(folder, seed=seed, days=days, out=out)
    finally:
        lock.release()


async def _run_demo(folder: Path, *, seed: int, days: int, out: Console) -> int:
    start = datetime(2026, 10, 19, 6, 0, tzinfo=UTC)
    clock = JumpingClock(start)
    world = World(seed, start.date(), days + 1)
    script = incidents(start, days)
    _clear(folder)
    out.print(
        f"[bold]A month in a minute.[/] A stand-in site with {len(world.papers):,} invented "
        f"papers, watched from {start:%d %B} on.\nOn the way: an outage, two cut answers, "
        "and a redesign. Nothing leaves this machine.\n"
    )
    async with await serve(Site(world, script=script), clock.now) as site:
        text = CONFIG.format(site=site.url)
        (folder / "config.toml").write_text(text, "utf-8")
        config = parse(text.encode(), OPTIONS, env={}, folder=folder.absolute())
        story = Story(out)
        await _watch(config, clock, start + timedelta(days=days), story)
    story.close(folder)
    await _show(config, clock, out)
    return 0


async def _show(config: Config, clock: JumpingClock, out: Console) -> None:
    """The page over what was seen: until Ctrl-C in a terminal, else for a moment."""
    path = Path(config.watcher.database)
    store = Store(path, lambda: open_records(path))
    try:
        for port in (config.web.listen.port, 0):  # a taken port is no reason to end without a page
            listen = msgspec.structs.replace(config.web.listen, port=port)
            web = msgspec.structs.replace(config.web, listen=listen)
            context = WebContext(
                config=msgspec.structs.replace(config, web=web),
                store=store,
                rules=compile_rules(config),
                clock=clock,
            )
            try:
                page = await start_web(context)
                break
            except WatcherError:
                if port == 0:
                    raise
        out.print(f"\nLook at it: [bold]{page.url}[/]")
        if out.is_terminal:
            out.print("The page stays until Ctrl-C.")
            await _until_interrupted()
        await page.close()
    finally:
        await store.close()


async def _until_interrupted() -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    await asked.wait()


_MADE = ("watcher.db", "watcher.db-wal", "watcher.db-shm")
_MAIL = ("mail/cur/*", "mail/new/*", "mail/tmp/*")


def _refuse_others(folder: Path) -> None:
    """Raise WatcherError when a demo here would remove what another watcher has made."""
    config = folder / "config.toml"
    if config.is_file():
        if config.read_bytes().startswith(CONFIG.partition("\n")[0].encode()):
            return
        found = config
    else:
        made = (path for pattern in (*_MADE, *_MAIL) for path in folder.glob(pattern))
        first = next(made, None)
        if first is None:
            return
        found = first
    raise WatcherError(f"{found} is no earlier demo's; name another folder with --folder")


def _clear(folder: Path) -> None:
    """Begin anew: the demo's own files of an earlier run go, nothing else is touched.

    The lock's file stays: whoever waits for it would else hold one that nobody sees.
    """
    for pattern in (*_MADE, *_MAIL):
        for path in folder.glob(pattern):
            if not path.is_dir():
                path.unlink()


async def _watch(config: Config, clock: JumpingClock, end: datetime, story: Story) -> None:
    path = Path(config.watcher.database)
    store = Store(path, lambda: open_records(path, migrate=True, create=True))
    threads = ThreadPoolExecutor(1)
    try:
        async with Fetcher(fetch_options(config), clock=clock) as fetcher:
            plan = plan_of(config)
            app = App(
                store=store,
                fetcher=fetcher,
                rules=compile_rules(config),
                threads=threads,
                plan=plan,
            )
            around = Surroundings(clock=clock, footer=footer_of(lambda: config))
            post = Deliverer(store, plan, open_channels(config), around=around)
            await post.begin(hold=False)
            agenda = Agenda(config, now=clock.now(), due={})
            begin = clock.now()
            with story.progress as bar:
                task = bar.add_task("", total=(end - begin).total_seconds())
                while clock.now() < end:
                    await _next_step(app, agenda, clock, story)
                    story.sent += (await post.deliver_due()).sent
                    bar.update(
                        task,
                        completed=(clock.now() - begin).total_seconds(),
                        description=f"{clock.now():%a %d %b %H:%M}",
                    )
    finally:
        await store.close()
        threads.shutdown()


async def _next_step(app: App, agenda: Agenda, clock: JumpingClock, story: Story) -> None:
    """Visit what is due, or jump to what is due next: a visit or a message."""
    agenda.follow(clock.now())
    target = agenda.take(clock.now())
    if target is None:
        messages = (await app.store.read(lambda r: r.outbox.due())).values()
        visits = agenda.next_due() or clock.now() + timedelta(hours=1)
        clock.jump(min([visits, *messages]))
        return
    checked = await check(app, target, clock.now())
    agenda.done(target, clock.now(), failures=checked.failures, retry_after=checked.retry_after)
    cursor = story.cursor
    fresh = await app.store.read(lambda r: r.events.after(cursor))
    story.tell(checked, fresh)


_COLOURS = {EventType.SOURCE_FAILING: "red", EventType.SOURCE_DRIFTING: "yellow"}
"""Of notices; the others are good news."""


class Story:
    """What is worth a line, and the sums at the end."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._checks = self._failed = self._unchanged = 0
        self._told: dict[EventType, int] = {}
        self._shown = 0
        self._best: Event | None = None
        self._day: date | None = None
        self._heard: set[tuple[int, str]] = set()
        self.cursor = 0
        self.sent = 0
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), console=out, transient=True
        )

    def tell(self, checked: Checked, events: tuple[Event, ...]) -> None:
        """Take note of a visit and of what it led to."""
        self._checks += 1
        self._failed += checked.outcome is CheckOutcome.FAILED
        self._unchanged += checked.outcome is CheckOutcome.UNCHANGED
        if checked.baseline and "@" not in checked.target:
            self._line(
                checked.at,
                f"first visit of [bold]{checked.target}[/]: {checked.cards} papers are remembered "
                "as its baseline, and told to nobody",
            )
        for event in events:
            self.cursor = max(self.cursor, event.cursor)
            if not event.known:
                self._tell_event(event)

    def _tell_event(self, event: Event) -> None:
        subject = (event.paper.row if event.paper else event.cursor, event.type.value)
        if subject in self._heard:
            return
        self._heard.add(subject)
        self._told[event.type] = self._told.get(event.type, 0) + 1
        if not event.type.is_change:
            colour = _COLOURS.get(event.type, "green")
            self._line(event.at, f"[{colour}]{escape(event.reason)}[/]")
            return
        if self._best is None or event.strength > self._best.strength:
            self._best = event
        if event.type is not EventType.NEW or self._told[event.type] <= 3:
            title = escape(event.paper.title if event.paper else "")
            self._line(
                event.at,
                f"[bold]{event.type.kind}[/] {title}\n{'':15}[dim]{escape(event.reason)}[/]",
            )

    def _line(self, at: datetime, text: str) -> None:
        self._shown += 1
        self.progress.console.print(f"{at:%d %b %H:%M}   {text}")

    def close(self, folder: Path) -> None:
        """The sums, where the data lies, and what to do next."""
        kinds = {kind.kind: number for kind, number in self._told.items() if kind.is_change}
        said = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        self._out.print(
            f"\n[bold]{self._checks:,} visits[/] ({self._unchanged:,} unchanged, "
            f"{self._failed} failed); told: {said or 'nothing'}; {self.sent} mails, one a day and "
            "one for each notice."
        )
        config = folder / "config.toml"
        self._out.print(
            f"\nThe data lies in [bold]{folder}[/]. Look at it:\n"
            f"  watcher -c {config} papers alignment\n"
            f"  watcher -c {config} stats\n"
            f"  watcher -c {config} deliveries\n"
            f"  the mails are in {folder / 'mail' / 'new'}"
        )
        if self._best is not None and self._best.paper is not None:
            self._out.print(f"  watcher -c {config} why {self._best.paper.name}\n")
        self._out.print(
            "For the real site:\n"
            "  watcher init            write a config.toml, and edit it\n"
            "  watcher once            the first visit: a baseline\n"
            "  watcher run             from then on"
        )
