"""The harness: a site whose papers are known, receivers that remember, and a daemon that dies.

``run`` starts the installed ``watcher run`` (or the test-only entry, which dies between two named
steps), kills it, checks the database, starts it again; at the end lets it finish its work and
compares what arrived with what the site showed and with what the store says.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import hashlib
import json
import mailbox
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from itertools import pairwise
from pathlib import Path

from tests.faults.entry import STEPS
from tests.pages import Fake, trending
from tests.servers import Request, Site, page
from tests.smtp_server import SmtpServer, smtp_server
from watcher.model import MessageState
from watcher.store import open_records
from watcher.store.ledger import Line

ROOT = Path(__file__).resolve().parents[2]
PAPER = re.compile(r"2611\.\d{5}")
SHOWN = 40
"""Papers on the page: the newest of all."""
LIKED = 5
"""Votes at which the second rule speaks."""
PATIENCE = 40.0
"""Seconds for a process to get somewhere; a machine under load is slow."""
WARM_UP = 0.6
"""A kill at random comes within so many seconds after the daemon is ready."""

CONFIG = """\
[watcher]
database = "watcher.db"
operator = "mail"

[fetch]
per_host_rate = 0
robots = false
allow_private = true

[delivery]
retry = ["0s", "100ms", "200ms", "500ms", "1s", "1s", "1s", "1s", "1s", "1s"]

[[source]]
name = "trending"
url = "{site}/papers/trending"
every = "100ms"

[[rule]]
name = "all"
events = ["new"]
known = "tell"
channels = ["hook", "mail"]

[[rule]]
name = "liked"
events = ["new"]
min_upvotes = {liked}
known = "tell"
channels = ["hook", "box"{days}]

[channel.hook]
type = "webhook"
url = "{site}/hook"
secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
allow_private = true

[channel.mail]
type = "email"
smtp = "smtp://127.0.0.1:{port}"
allow_plaintext = true
from = "watcher@example.org"
to = ["reader@example.org"]

[channel.box]
type = "maildir"
path = "box"
"""
DAILY = """
[channel.{name}]
type = "maildir"
path = "{name}"
digest = "{hour:%H:%M}"
max_papers = 1000
"""


@dataclass(frozen=True)
class Arrival:
    """One message as it was accepted by its receiver."""

    channel: str
    key: str
    life: int
    """Which process it came from, counted from 1."""
    words: str
    """Hash of everything it said."""
    papers: frozenset[str]
    events: frozenset[str] = frozenset()
    cut: int = 0
    """Papers that a long digest counts instead of naming them."""


@dataclass
class Verdict:
    """What a run has shown; ``faults`` is empty when it went as promised."""

    kills: int = 0
    seconds: float = 0.0
    papers: int = 0
    messages: int = 0
    digests: int = 0
    repeats: int = 0
    most_repeats_of_a_kill: int = 0
    """Per channel."""
    steps: Counter[str] = field(default_factory=Counter)
    """How often it died where."""
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.faults

    def add(self, other: Verdict) -> None:
        self.kills += other.kills
        self.papers += other.papers
        self.messages += other.messages
        self.digests += other.digests
        self.repeats += other.repeats
        self.most_repeats_of_a_kill = max(self.most_repeats_of_a_kill, other.most_repeats_of_a_kill)
        self.steps += other.steps
        self.faults += other.faults

    def __str__(self) -> str:
        died = ", ".join(f"{step} {times}" for step, times in sorted(self.steps.items()))
        lines = [
            f"{self.kills} kills in {self.seconds:.0f} s, {self.papers} papers shown",
            f"{self.messages} messages arrived, {self.digests} of them digests",
            f"died at: {died}",
            f"repeats: {self.repeats}",
        ]
        if self.ok:
            lines[-1] += (
                f", at most {self.most_repeats_of_a_kill} per kill and channel, each with the "
                "same key and words"
            )
            return "\n".join([*lines, "lost 0, phantoms 0, database ok after every kill"])
        return "\n".join([*lines, f"{len(self.faults)} FAULTS", *self.faults[:40]])


class Lane:
    """One site, one store, one daemon at a time."""

    def __init__(self, folder: Path, seed: int, *, digests: int = 0) -> None:
        self.folder = folder
        self.days = [f"day{number}" for number in range(digests)]
        """Channels with a digest; one comes due with each minute that passes."""
        self.random = random.Random(seed)
        self.papers: list[Fake] = []
        self.growing = True
        self.life = 0
        self.arrivals: list[Arrival] = []
        self.verdict = Verdict()
        self._smtp: SmtpServer
        self._site: Site
        self._forks: asyncio.subprocess.Process
        self._asked = 0
        """Visits of the site."""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Lane]:
        routes = {"/papers/trending": self._show, "/hook": self._hear}
        site = Site(answers=page(b"", status=404), routes=routes)
        async with site, smtp_server(starttls=False) as smtp:
            self._smtp, self._site = smtp, site
            smtp.mails = Remembering(self._mail)
            self.config = self.folder / "config.toml"
            self.config.write_text(self._config(site.url, smtp.port))
            self.config.chmod(0o600)
            async with self._serving():
                yield self

    def _config(self, site: str, port: int) -> str:
        first = datetime.now(UTC) + timedelta(minutes=1)
        more = "".join(f', "{name}"' for name in self.days)
        text = CONFIG.format(site=site, port=port, liked=LIKED, days=more)
        for number, name in enumerate(self.days):
            text += DAILY.format(name=name, hour=first + timedelta(minutes=number))
        return text

    @contextlib.asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        """The process that forks daemons which kill themselves."""
        self._forks = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.entry", "--serve"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            self._forks.kill()
            await self._forks.wait()

    # --- the site ---

    async def _show(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """The newest papers; each visit finds up to three more, and more votes."""
        self._asked += 1
        if self.growing:
            for _ in range(self.random.randint(0, 3)):
                self.papers.append(self.paper())
            shown = self.papers[-SHOWN:]
            self.papers[-SHOWN:] = [fake.but(upvotes=min(fake.upvotes + 1, 40)) for fake in shown]
        listed = list(reversed(self.papers[-SHOWN:]))
        return await page(trending(listed, size=2))(request, writer)

    def paper(self) -> Fake:
        """Another one."""
        name = f"2611.{len(self.papers):05d}"
        now = datetime.now(UTC)
        return Fake(
            id=name,
            title=f"Paper {name}",
            upvotes=0,
            published=now.date(),
            submitted=now - timedelta(hours=2),
            opened=now - timedelta(hours=2),
            abstract="An invented abstract.",
        )

    # --- the receivers ---

    async def _hear(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(self.random.random() * 0.01)
        if self.random.random() < 0.03:
            return await page(b"", status=503, keep=False)(request, writer)
        body = json.loads(request.body)
        events = body["data"]["events"]
        self._arrive(
            "hook",
            request.headers["webhook-id"],
            request.body,
            papers=frozenset(e["paper"]["paper_id"] for e in events if e["paper"]),
            events=frozenset(i for e in events for i in e.get("event_ids", [e["id"]])),
        )
        await asyncio.sleep(self.random.random() * 0.02)
        return await page(b"", status=204, keep=False)(request, writer)

    def _mail(self, raw: bytes) -> None:
        key = re.search(rb"(?im)^Message-ID:\s*<([^@>]+)@", raw)
        assert key
        self._arrive("mail", key[1].decode(), raw, papers=papers_in(raw)[0])

    def _arrive(
        self,
        channel: str,
        key: str,
        words: bytes,
        *,
        papers: frozenset[str],
        events: frozenset[str] = frozenset(),
    ) -> None:
        said = hashlib.sha256(words).hexdigest()
        self.arrivals.append(Arrival(channel, key, self.life, said, papers, events))

    # --- lives ---

    async def die_anywhere(self) -> None:
        """Start the installed daemon and kill it at a random moment."""
        begun = self.random.random() < 0.15
        async with self._process("watcher", "run", "-c", str(self.config)) as process:
            if begun:
                await asyncio.sleep(self.random.random())
            else:
                await until_ready(process)
                await asyncio.sleep(self.random.random() * WARM_UP)
        self._died("while starting" if begun else "anywhere")

    async def die_at(self, step: str, times: int) -> None:
        """Let the daemon kill itself between two steps."""
        wish = ["--die-at", step, "--times", str(times), "run", "-c", str(self.config)]
        self.life += 1
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        self._forks.stdin.write(json.dumps(wish).encode() + b"\n")
        code = (await self._forks.stdout.readline()).strip()
        # What the kernel still holds of it arrives before the next one starts.
        await asyncio.sleep(0.03)
        self._died(step if code == b"-9" else f"never: {step} was not reached ({code.decode()})")

    @contextlib.asynccontextmanager
    async def _process(self, program: str, *args: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A process of the daemon; killed at the end."""
        if program == "watcher":
            program = str(Path(sys.executable).with_name("watcher"))
        self.life += 1
        process = await asyncio.create_subprocess_exec(
            program,
            *args,
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
            # What the kernel still holds of it arrives before the next one starts.
            await asyncio.sleep(0.03)

    def _died(self, where: str) -> None:
        self.verdict.kills += 1
        self.verdict.steps[where] += 1
        self.verdict.faults += look_at(self.folder / "watcher.db", self.life)

    async def drain(self, *, mutant: str | None = None) -> None:
        """No more papers, no more deaths: wait until all that is owed has arrived."""
        self.growing = False
        command = ["watcher", "run", "-c", str(self.config)]
        if mutant is not None:
            command = [sys.executable, "-m", "tests.faults.entry", "--mutant", mutant, *command[1:]]
        async with self._process(command[0], *command[1:]) as process:
            asked = self._asked
            said = await until_ready(process)
            reader = asyncio.ensure_future(swallow(process))
            # A mutant may never come to an end.
            patience = time.monotonic() + (PATIENCE if mutant is None else 5.0)
            while time.monotonic() < patience and (self._asked < asked + 3 or self._waiting()):
                await asyncio.sleep(0.05)
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                process.terminate()
            code = await process.wait()
            reader.cancel()
        if code != 0:
            self.verdict.faults.append(f"the last daemon ended with {code}: {said}")
        self.verdict.faults += look_at(self.folder / "watcher.db", self.life)

    def _waiting(self) -> bool:
        """Whether the store has not seen the whole page yet, or owes somebody something."""
        with contextlib.suppress(sqlite3.Error):
            uri = f"file:{self.folder / 'watcher.db'}?mode=ro"
            with contextlib.closing(sqlite3.connect(uri, uri=True)) as conn:
                seen = conn.execute("select count(*) from papers").fetchone()[0]
                owed = conn.execute(
                    "select count(*) from messages where state = 'waiting' and promised_at < ?",
                    (datetime.now(UTC).isoformat(),),
                )
                return bool(seen < len(self.papers) or owed.fetchone()[0])
        return True

    # --- the comparison ---

    def judge(self) -> Verdict:
        """What arrived against what the site showed and what the store says."""
        verdict = self.verdict
        with open_records(self.folder / "watcher.db") as records:
            self._lines = {(line.channel, line.key): line for line in records.outbox.lines()}
            self._events = {event.id: event for event in records.events.after()}
        for name in ("box", *self.days):
            self.arrivals += self._dropped(name)
        verdict.papers, verdict.messages = len(self.papers), len(self.arrivals)
        verdict.digests = sum(arrival.channel in self.days for arrival in self.arrivals)
        shown = {fake.id for fake in self.papers}
        liked = {fake.id for fake in self.papers if fake.upvotes >= LIKED}
        self._compare("hook", shown)
        self._compare("mail", shown)
        for name in ("box", *self.days):
            self._compare(name, liked)
        self._compare_repeats()
        self._compare_with_store()
        return verdict

    def _compare(self, channel: str, wanted: set[str]) -> None:
        """Every paper is told under one key, or waits for tomorrow's digest."""
        told = {
            (paper, arrival.key)
            for arrival in self.arrivals
            if arrival.channel == channel
            for paper in self._told_by(arrival)
        }
        for (name, key), line in self._lines.items():
            if name == channel and line.state is MessageState.WAITING:
                told |= {(paper, key) for paper in self._papers_of(line)}
        heard = Counter(paper for paper, _ in told)
        self.verdict.faults += [
            f"lost: {channel} never heard of {paper}" for paper in wanted - heard.keys()
        ]
        self.verdict.faults += [
            f"doubled: {channel} was told of {paper} under {times} keys"
            for paper, times in heard.items()
            if times > 1
        ]

    def _told_by(self, arrival: Arrival) -> Collection[str]:
        """The papers of a message, those included that it only counts."""
        line = self._lines.get((arrival.channel, arrival.key))
        if line is None or not arrival.cut:
            return arrival.papers
        owed = self._papers_of(line)
        told = len(arrival.papers) + arrival.cut
        if not arrival.papers <= owed or told != len(owed):
            fault = f"lost: {arrival.channel} {arrival.key} told {told} papers of {len(owed)}"
            self.verdict.faults.append(fault)
        return owed

    def _papers_of(self, line: Line) -> set[str]:
        owed = [self._events[i].paper for i in line.events]
        return {paper.arxiv_id or "" for paper in owed if paper}

    def _dropped(self, channel: str) -> list[Arrival]:
        """What lies in a Maildir; a repeat would have another name."""
        found: list[Arrival] = []
        if (self.folder / channel).is_dir():
            for name, mail in mailbox.Maildir(self.folder / channel).iteritems():
                raw = mail.as_bytes()
                words = hashlib.sha256(raw).hexdigest()
                papers, cut = papers_in(raw)
                key = name.split(".")[0]
                found.append(Arrival(channel, key, 0, words, papers, cut=cut))
        return found

    def _compare_repeats(self) -> None:
        """A repeat needs a kill between it and the one before, and says the same."""
        by_key: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
        for arrival in self.arrivals:
            by_key[arrival.channel, arrival.key].append(arrival)
        of_kill: Counter[tuple[str, int]] = Counter()
        for (channel, key), all_of_it in by_key.items():
            if len({a.words for a in all_of_it}) > 1:
                self.verdict.faults.append(f"reworded: {channel} {key} did not say the same again")
            for before, after in pairwise(all_of_it):
                self.verdict.repeats += 1
                of_kill[channel, before.life] += 1
                if before.life == after.life:
                    self.verdict.faults.append(f"doubled: {channel} {key} twice in one life")
        most = max(of_kill.values(), default=0)
        self.verdict.most_repeats_of_a_kill = most
        if most > 1:
            self.verdict.faults.append(f"doubled: {most} repeats on one channel after one kill")

    def _compare_with_store(self) -> None:
        arrived = {(a.channel, a.key): a for a in self.arrivals}
        faults, now = self.verdict.faults, datetime.now(UTC)
        for place, line in self._lines.items():
            if line.state is MessageState.WAITING and line.promised_at > now:
                continue
            if line.state is not MessageState.SENT:
                faults.append(f"not sent: {place} is {line.state.value}: {line.error}")
            elif place not in arrived:
                faults.append(f"lost: the store says that {place} was sent, nothing arrived")
        for place, arrival in arrived.items():
            if place not in self._lines:
                faults.append(f"phantom: {place} arrived, the store knows nothing of it")
                continue
            line = self._lines[place]
            if arrival.papers != self._papers_of(line) and not arrival.cut:
                owed = self._papers_of(line)
                faults.append(f"phantom: {place} told {set(arrival.papers)}, was owed {owed}")
            if arrival.events and arrival.events != set(line.events):
                faults.append(f"phantom: {place} carried events that it was not owed")


class Remembering(list):
    """The SMTP server's list of mails; hands each on at the moment it is taken."""

    def __init__(self, hear) -> None:
        super().__init__()
        self._hear = hear

    def append(self, mail) -> None:
        self._hear(mail.raw)


def papers_in(raw: bytes) -> tuple[frozenset[str], int]:
    """The papers that a mail's text names, and how many more it counts."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    body = mail.get_body(("plain",))
    text = body.get_content() if body else ""
    more = re.search(r"(\d+) more papers? did not fit", text)
    return frozenset(PAPER.findall(text)), int(more[1]) if more else 0


async def until_ready(process: asyncio.subprocess.Process) -> str:
    """Read the log until the daemon says that checks begin; its last line."""
    assert process.stderr is not None
    said = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while line := await process.stderr.readline():
                said = line
                if b"daemon_ready" in line:
                    break
    return said.decode("utf-8", "replace").strip()


async def swallow(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    while await process.stderr.readline():
        pass


def look_at(path: Path, life: int) -> list[str]:
    """What is wrong with a database that was left behind: integrity, half transactions.

    Looks at a copy, so that the next daemon finds everything as the kill left it.
    """
    if not path.exists():
        return []
    with tempfile.TemporaryDirectory() as folder:
        for part in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(path.with_name(path.name + part), Path(folder) / f"copy.db{part}")
        with contextlib.closing(sqlite3.connect(Path(folder) / "copy.db")) as conn:
            found = conn.execute("pragma quick_check").fetchone()[0]
            if found != "ok":
                return [f"damaged: quick_check after life {life}: {found}"]
            if not conn.execute("select 1 from sqlite_master where name = 'deliveries'").fetchone():
                return []
            half = conn.execute(
                "select count(*) from events e where e.rule = 'all' and not e.known and 2 > ("
                " select count(*) from deliveries d where d.event = e.cursor)"
            ).fetchone()[0]
            bare = conn.execute(
                "select count(*) from deliveries d where not exists (select 1 from messages m"
                " where m.channel = d.channel and m.batch = d.batch)"
            ).fetchone()[0]
    faults = [f"half written: {half} events without deliveries after life {life}"] if half else []
    return faults + ([f"half written: {bare} deliveries without messages"] if bare else [])


def plan_of(kills: int, chance: random.Random) -> list[str | None]:
    """Where to die: half at random moments (None), half at the steps in turn."""
    steps = [*STEPS] * (kills // (2 * len(STEPS)) + 1)
    deaths: list[str | None] = [*steps[: kills // 2], *[None] * (kills - kills // 2)]
    chance.shuffle(deaths)
    return deaths


async def run_lane(
    folder: Path,
    deaths: Sequence[str | None],
    *,
    seed: int,
    mutant: str | None = None,
    papers: int = 0,
) -> Verdict:
    """One daemon after the other over one store; ``papers`` are on the page from the start."""
    digests = min(len(deaths) // 20, 8)
    async with Lane(folder, seed, digests=digests).open() as lane:
        for _ in range(papers):
            lane.papers.append(lane.paper())
        for step in deaths:
            if step is None:
                await lane.die_anywhere()
            else:
                await lane.die_at(step, lane.random.randint(1, 4))
        await lane.drain(mutant=mutant)
        return lane.judge()


async def run(folder: Path, *, kills: int, seed: int = 1, lanes: int = 2) -> Verdict:
    """Kill the daemon so often, over several stores side by side."""
    begun = time.monotonic()
    deaths = plan_of(kills, random.Random(seed))
    work = []
    for number in range(lanes):
        place = folder / f"lane{number}"
        place.mkdir(parents=True)
        work.append(run_lane(place, deaths[number::lanes], seed=seed * 100 + number))
    total = Verdict()
    for verdict in await asyncio.gather(*work):
        total.add(verdict)
    total.seconds = time.monotonic() - begun
    return total
