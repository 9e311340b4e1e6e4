"""The tables of config.toml as frozen values, with their defaults and what they mean.

Owns every key but those of single channel types, which stand beside each channel. Must not
read, check or print: the annotations say all that the rest of this folder needs.
The second part of an annotation is the kind of value, the text is the documentation
(``docs/config.md`` and the JSON Schema are made from it).
"""

from __future__ import annotations

import re
from datetime import time, timedelta
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from watcher.config import kinds
from watcher.config.kinds import UNSET, duration, number, several, whole
from watcher.config.nearest import nearest
from watcher.config.secrets import Secret, SecretUrl
from watcher.config.values import (
    EVERY_DAY,
    Hours,
    Listen,
    Network,
    Weekday,
    is_loopback,
    read_url,
)
from watcher.errors import UnknownName
from watcher.model import Change, PageKind, Value

UTC = ZoneInfo("UTC")
SECRET_URL = kinds.secret("address (http, https)", SecretUrl, read_url)


class Known(StrEnum):
    """What a rule does with papers that are there at its first look."""

    RECORD = "record"
    TELL = "tell"


class WatcherSettings(Value, frozen=True, kw_only=True):
    """The watcher itself."""

    database: Annotated[
        Path,
        kinds.DATABASE,
        "the SQLite file; relative to `$STATE_DIRECTORY` when that is set, else to the "
        "config's folder",
    ] = Path("watcher.db")
    timezone: Annotated[ZoneInfo, "for due times and pages"] = UTC
    contact: Annotated[
        str | None,
        kinds.CONTACT,
        "who the site can write to; goes into the User-Agent of every request",
    ] = None
    operator: Annotated[
        str | None,
        kinds.NAME,
        "the channel told when the watcher is blind or a channel is broken",
    ] = None


class FetchSettings(Value, frozen=True, kw_only=True):
    """How pages are fetched."""

    timeout: Annotated[
        timedelta, duration("100ms", "10m"), "for one whole request, its body included"
    ] = timedelta(seconds=30)
    per_host_concurrency: Annotated[int, whole(1, 100), "requests at a time to one host"] = 2
    per_host_rate: Annotated[
        float,
        number(0, 10_000),
        "requests a second to one host, over all sources; 0 = no limit of our own, the site's "
        "still holds",
    ] = 0.15
    robots: Annotated[bool, "obey robots.txt"] = True
    allow_private: Annotated[bool, "let sources on private or loopback addresses be fetched"] = (
        False
    )
    hf_token: Annotated[
        Secret | None,
        "goes to https://huggingface.co and nowhere else; without it `$HF_TOKEN` is taken",
    ] = None


class Source(Value, frozen=True, kw_only=True):
    """One page that is visited again and again."""

    name: Annotated[str, kinds.SOURCE_NAME, "what it is called everywhere; unique, without `@`"]
    url: Annotated[str, kinds.URL, "the page, an API address, or a saved search"]
    every: Annotated[
        timedelta,
        duration("100ms"),
        "how often it is visited; under a minute only for loopback addresses",
    ] = timedelta(minutes=30)
    follow: Annotated[
        timedelta | None,
        duration("0s", "60d"),
        "daily lists only: the date pages of the last days are visited again at a falling "
        "pace; absent = 7d for daily lists; 0s = never",
    ] = None
    active: Annotated[
        Hours | None, "hours of the day, in the watcher's zone, in which it is visited"
    ] = None
    kind: Annotated[
        PageKind | None, "what the page lists, where content and address do not say"
    ] = None

    @property
    def host(self) -> str:
        """Host and port as limits count them: in lower case, with the port if it is odd."""
        return host_of(self.url)


class Rule(Value, frozen=True, kw_only=True):
    """What is told, to whom."""

    name: Annotated[str, kinds.NAME, "what it is called in every reason; unique"]
    query: Annotated[str | None, "which papers, in the query language; absent = every paper"] = None
    sources: Annotated[
        tuple[str, ...] | None,
        several(kinds.NAME, least=1),
        "which sources it looks at; absent = all",
    ] = None
    events: Annotated[
        tuple[Change, ...], several(kinds.choice(Change), least=1), "which changes it tells"
    ] = tuple(Change)
    min_upvotes: Annotated[int, whole(), "votes a paper needs, for every kind of change"] = 0
    min_multiplier: Annotated[
        float,
        number(0, 10_000, above=True),
        "how many times the votes of papers of its age a paper needs, for `rising`",
    ] = 2.0
    ripen: Annotated[timedelta, duration("0s", "30d"), "wait so long before judging `new`"] = (
        timedelta(0)
    )
    exclude: Annotated[
        tuple[str, ...],
        several(kinds.TEXT),
        "queries; a paper that matches one of them is never told",
    ] = ()
    authors: Annotated[
        tuple[str, ...], several(kinds.TEXT), "authors whose papers are always told"
    ] = ()
    organizations: Annotated[
        tuple[str, ...], several(kinds.TEXT), "organisations whose papers are always told"
    ] = ()
    budget: Annotated[
        float | None,
        number(0, 10_000, above=True),
        "about so many papers a day: thresholds are learnt each midnight, the overflow goes "
        "to the digest",
    ] = None
    known: Annotated[
        Known, "papers there at the first look: `record` them in silence, or `tell` them"
    ] = Known.RECORD
    channels: Annotated[
        tuple[str, ...], several(kinds.NAME), "who is told; absent = recorded, sent nowhere"
    ] = ()


class ChannelOptions(Value, frozen=True, kw_only=True):
    """Keys of every channel; each channel type adds its own in a struct of its own."""

    name: Annotated[str, UNSET]
    """The last part of ``[channel.NAME]``."""
    type: Annotated[str, kinds.NAME, "the way out"]
    enabled: Annotated[bool, "false = nothing is sent, what is owed waits"] = True
    digest: Annotated[time | None, "one message a day at this time; absent = told at once"] = None
    timezone: Annotated[ZoneInfo | None, "for its hours and times; absent = the watcher's"] = None
    days: Annotated[tuple[Weekday, ...], kinds.DAYS, "days on which the digest leaves"] = EVERY_DAY
    quiet_hours: Annotated[
        Hours | None,
        kinds.QUIET_HOURS,
        "hours in which no alert is sent, not even again after a failure; what comes up waits",
    ] = None
    max_papers: Annotated[
        int, whole(1, 1000), "papers in one message; the rest is counted and linked"
    ] = 40
    quiet_note: Annotated[bool, "send the digest also when it is empty, as a proof of life"] = False
    allow_private: Annotated[
        bool, "let it go to private or loopback addresses, by http, and to any port"
    ] = False
    template: Annotated[
        Path | None, "a template of one's own for the body, relative to the config's folder"
    ] = None

    takes_template: ClassVar[bool] = False
    """Whether ``template`` means anything to channels of this type."""

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone; ``parse`` has put the watcher's in place of an absent one."""
        return self.timezone or UTC

    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with keys that are each fine by themselves; channels override it.

        Called only when every key was read. That ``template`` is a file is checked elsewhere;
        whether it is a template is for the channel to say.
        """
        return ()


class Fault(Value, frozen=True, kw_only=True):
    """Something wrong with a channel's key; a warning unless ``fatal``."""

    key: str
    message: str
    fatal: bool = True


class WebSettings(Value, frozen=True, kw_only=True):
    """Pages, feeds, events API and subscriptions. On when the table is there."""

    enabled: Annotated[bool, "false = no page, although the table is there"] = True
    listen: Annotated[Listen, "where it listens; anything but loopback needs `token`"] = Listen(
        host="127.0.0.1", port=8484
    )
    public_url: Annotated[
        str | None, kinds.BASE_URL, "how readers reach it; goes into every link in mails and feeds"
    ] = None
    token: Annotated[Secret | None, "opens the private pages and the API"] = None
    secret: Annotated[
        Secret | None, "signs the links in mails; absent = one is made and kept in the database"
    ] = None
    hosts: Annotated[
        tuple[str, ...],
        several(kinds.HOST),
        "host names it answers to, besides its own address and `public_url`",
    ] = ()
    trusted_proxies: Annotated[
        tuple[Network, ...],
        several(kinds.NETWORK),
        "whose X-Forwarded-For is believed",
    ] = ()
    subscribe: Annotated[
        str | None, kinds.NAME, "the mail channel whose readers subscribe by themselves"
    ] = None
    allow_domains: Annotated[
        tuple[str, ...],
        several(kinds.DOMAIN),
        "mail domains that may subscribe; absent = all",
    ] = ()


RETRY: tuple[timedelta, ...] = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)


class DeliverySettings(Value, frozen=True, kw_only=True):
    """How messages are sent again; one send at a time per channel."""

    retry: Annotated[
        tuple[timedelta, ...],
        several(duration("0s", "30d"), least=1, unique=False),
        "waits before the first, second, third … attempt; after the last one a message is dead",
    ] = RETRY
    lease: Annotated[
        timedelta, duration("1s", "1h"), "how long a claimed message belongs to its sender"
    ] = timedelta(seconds=30)
    disable_after: Annotated[
        timedelta, duration("1m"), "a channel that failed for so long is disabled, its mail kept"
    ] = timedelta(days=5)


class AlertSettings(Value, frozen=True, kw_only=True):
    """When the operator is told that the watcher is blind."""

    after: Annotated[int, whole(1, 10_000), "failures of a source in a row"] = 3
    hours: Annotated[
        float, number(0, 10_000, above=True), "hours without a good check of a source"
    ] = 6.0
    heartbeat: Annotated[
        SecretUrl | None, SECRET_URL, "address that is called while all is well"
    ] = None
    heartbeat_every: Annotated[timedelta, duration("1s"), "how often"] = timedelta(minutes=5)
    allow_private: Annotated[
        bool, "let the heartbeat go to private or loopback addresses, by http"
    ] = False


class KeepSettings(Value, frozen=True, kw_only=True):
    """How long records are kept; 0s = for ever. Papers and events are always kept."""

    sightings: Annotated[timedelta, duration(), "counts of papers"] = timedelta(days=400)
    places: Annotated[timedelta, duration(), "the order of ranked pages"] = timedelta(days=100)
    checks: Annotated[timedelta, duration(), "one row per visit"] = timedelta(days=400)
    messages: Annotated[timedelta, duration(), "messages that were sent or died"] = timedelta(
        days=180
    )
    quarantine: Annotated[timedelta, duration(), "odd pages kept for a look"] = timedelta(days=30)


class BackupSettings(Value, frozen=True, kw_only=True):
    """Nightly copies of the database. On when the table is there."""

    enabled: Annotated[bool, "false = no nightly backup, although the table is there"] = True
    folder: Annotated[Path | None, "where they go; absent = `backups` beside the database"] = None
    at: Annotated[time, "when, in the watcher's zone"] = time(3, 30)
    keep: Annotated[int, whole(1, 10_000), "how many are kept"] = 7


class ArchiveSettings(Value, frozen=True, kw_only=True):
    """Raw pages, compressed. On when the table is there."""

    enabled: Annotated[bool, "false = no page is kept, although the table is there"] = True
    folder: Annotated[Path | None, "where they go; absent = `archive` beside the database"] = None
    keep: Annotated[timedelta, duration("1h"), "how long"] = timedelta(days=90)
    max_size: Annotated[int, kinds.SIZE, "the oldest go when it is larger"] = 5_000_000_000


_Named = TypeVar("_Named", Source, Rule, ChannelOptions)


class Config(Value, frozen=True, kw_only=True):
    """Everything that config.toml, secret files and environment say; equal by value."""

    watcher: WatcherSettings = WatcherSettings()
    fetch: FetchSettings = FetchSettings()
    sources: tuple[Source, ...] = ()
    rules: tuple[Rule, ...] = ()
    channels: tuple[ChannelOptions, ...] = ()
    """Instances of the structs that ``options`` gave for their type."""
    web: WebSettings = WebSettings(enabled=False)
    delivery: DeliverySettings = DeliverySettings()
    alert: AlertSettings = AlertSettings()
    keep: KeepSettings = KeepSettings()
    backup: BackupSettings = BackupSettings(enabled=False)
    archive: ArchiveSettings = ArchiveSettings(enabled=False)
    warnings: tuple[str, ...] = ()
    """What works but deserves a look; each one line, like a problem."""

    def source(self, name: str) -> Source:
        """The source of that name; ``UnknownName`` says which is nearest."""
        return _named(self.sources, name, "source")

    def rule(self, name: str) -> Rule:
        """The rule of that name; ``UnknownName`` says which is nearest."""
        return _named(self.rules, name, "rule")

    def channel(self, name: str) -> ChannelOptions:
        """The channel of that name; ``UnknownName`` says which is nearest."""
        return _named(self.channels, name, "channel")


def _named(things: tuple[_Named, ...], name: str, noun: str) -> _Named:
    for thing in things:
        if thing.name == name:
            return thing
    names = [thing.name for thing in things]
    guess = nearest(name, names)
    hint = f"did you mean {guess!r}?" if guess else f"there is {', '.join(names) or 'none'}"
    raise UnknownName(f"no {noun} is called {name!r} in the config; {hint}")


def host_of(url: str) -> str:
    """Host of a checked address, with its port when it is not the scheme's own."""
    return _place(_origin(url))[1]


def hostname_of(url: str) -> str:
    """Host of a checked address, without a port."""
    return _place(_origin(url))[0]


def path_of(url: str) -> tuple[str, str]:
    """Path (without a slash at its end) and query of a checked address."""
    path, _, query = url[len(_origin(url)) :].partition("#")[0].partition("?")
    return path.rstrip("/"), query


_ORIGIN = re.compile(r"(?:[^/?#]*//)?[^/?#]*")


def _origin(url: str) -> str:
    """Scheme and host of an address: what stands before its path."""
    match = _ORIGIN.match(url)
    return match[0] if match else ""


@lru_cache(maxsize=1024)
def _place(origin: str) -> tuple[str, str]:
    """Host name, and host as limits count it: thousands of sources are of a few hosts."""
    parts = urlsplit(origin)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    name = parts.hostname or ""
    host = name.rstrip(".")
    return name, host if parts.port in (None, usual) else f"{host}:{parts.port}"


def is_loopback_url(url: str) -> bool:
    """Whether a checked address can only be this machine."""
    return is_loopback(hostname_of(url))
