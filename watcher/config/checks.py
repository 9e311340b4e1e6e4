"""Checks between keys and between tables.

Owns what makes a config wrong although each value is right: names used twice or not at
all, intervals too short for a public site, a page open to the network without a token.
Must not change a value.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache

from watcher import guard
from watcher.config.nearest import nearest
from watcher.config.reading import Draft
from watcher.config.report import Place, Report
from watcher.config.settings import ChannelOptions, host_of, hostname_of, is_loopback_url, path_of
from watcher.config.surroundings import Surroundings
from watcher.config.values import file_in_the_way, is_loopback, shown
from watcher.config.visits import day_pages
from watcher.errors import QueryError
from watcher.model import PageKind

LEAST_INTERVAL = timedelta(minutes=1)
LEAST_SECRET = 16
"""Characters of what opens pages; scripts may try as many tokens as they like."""
BASELINE = timedelta(weeks=9)
"""Eight full weeks before a Monday, and the days since it."""
_PERIOD = re.compile(r"/papers/(date|week|month)/\d[\w-]*/?(?:\?|$)|[?&](date|week|month)=\d")
_INSTEAD = {
    "date": "the day's own list is …/papers",
    "week": "each week's in its time is …/papers/week/current",
    "month": "each month's in its time is …/papers/month/current",
}


class Drafts:
    """Every table, read but not yet known to be well."""

    def __init__(self) -> None:
        self.tables: dict[str, Draft] = {}
        self.sources: list[Draft] = []
        self.rules: list[Draft] = []
        self.channels: dict[str, Draft] = {}
        self.channel_names: tuple[str, ...] = ()
        self.channel_types: dict[str, str] = {}
        self.source_names: tuple[str, ...] = ()


def check_all(drafts: Drafts, report: Report, around: Surroundings) -> None:
    """Every check that looks at more than one value."""
    check_names(drafts.sources, "source", report)
    check_names(drafts.rules, "rule", report)
    for source in drafts.sources:
        check_source(source, drafts, report)
    for rule in drafts.rules:
        check_rule(rule, drafts, report)
        check_queries(rule, drafts, report, around)
    for channel in drafts.channels.values():
        check_channel(channel, drafts, report)
    check_paths(drafts, report)
    check_operator(drafts, report)
    check_unused(drafts, report)
    check_heartbeat(drafts, report)
    check_web(drafts, report)
    check_keep(drafts, report)


def check_names(tables: Iterable[Draft], noun: str, report: Report) -> None:
    """Each name once."""
    seen: set[str] = set()
    for draft in tables:
        name = draft["name"]
        if name in seen:
            report.problem(draft.place, "name", f"another {noun} has this name already")
        if name is not None:
            seen.add(name)


def is_daily(url: str | None, kind: PageKind | None) -> bool:
    """Whether a source is the list of the current day, whose earlier days can be followed."""
    if kind is not None:
        return kind is PageKind.DAILY
    path, query = path_of(url or "")
    return path.endswith(("/papers", "/daily_papers")) and not query


def check_source(draft: Draft, drafts: Drafts, report: Report) -> None:
    """Politeness, and addresses that the guard will refuse."""
    url, every = draft["url"], draft["every"]
    if url is None:
        return
    if every < LEAST_INTERVAL and not is_loopback_url(url):
        key = "every" if "every" in draft.given else ""
        report.problem(draft.place, key, "must be at least 1m; less only for loopback addresses")
    if _is_private(hostname_of(url)) and not drafts.tables["fetch"]["allow_private"]:
        report.warning(
            draft.place, "url", "is a private address; it is refused without [fetch] allow_private"
        )
    if found := _PERIOD.search(url):
        period = found[1] or found[2]
        noun = "day" if period == "date" else period
        report.warning(
            draft.place, "url", f"is the page of one {noun}, which ends; {_INSTEAD[period]}"
        )
    if draft["follow"] and day_pages(url, draft["kind"]) is None:
        message = "is ignored: earlier days are known of …/papers and …/api/daily_papers only"
        report.warning(draft.place, "follow", message)


@lru_cache(maxsize=1024)
def _is_private(host: str) -> bool:
    if not (":" in host or host[-1:].isdigit()):  # a name, which only the guard can look up
        return is_loopback(host)
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def _unknown_name(name: str, noun: str, known: Iterable[str]) -> str:
    names = tuple(known)
    guess = nearest(name, names)
    if guess:
        return f"no {noun} is called {shown(name)}; did you mean {shown(guess)}?"
    return f"no {noun} is called {shown(name)}; there is {', '.join(map(shown, names)) or 'none'}"


def check_rule(draft: Draft, drafts: Drafts, report: Report) -> None:
    """The sources and channels it names are there; its authors are names as pages write them."""
    for name in draft["sources"] or ():
        if name not in drafts.source_names:
            message = _unknown_name(name, "source", drafts.source_names)
            report.problem(draft.place, "sources", message)
    for name in draft["channels"] or ():
        if name not in drafts.channel_names:
            message = _unknown_name(name, "channel", drafts.channel_names)
            report.problem(draft.place, "channels", message)
    for name in draft["authors"]:
        if "," in name:
            message = f'{shown(name)} is one name: write ["Ada Ngo", "Bo Li"], given names first'
            report.warning(draft.place, "authors", message)


def check_queries(draft: Draft, drafts: Drafts, report: Report, around: Surroundings) -> None:
    """Its queries are in the query language and mean what they seem to, as far as somebody here
    can tell."""
    queries = [("query", draft["query"]), *(("exclude", q) for q in draft["exclude"])]
    for key, query in queries:
        if query is None or around.check_query is None:
            continue
        try:
            found = around.check_query(query)
        except QueryError as exc:
            report.problem(draft.place, key, str(exc))
            continue
        if found is None:
            continue
        for note in found.notes:
            report.warning(draft.place, key, note)
        for name in found.unknown_sources(drafts.source_names) if drafts.source_names else ():
            message = _unknown_name(name, "source", drafts.source_names)
            report.warning(draft.place, key, message)


def check_channel(draft: Draft, drafts: Drafts, report: Report) -> None:
    """Its own faults, a template that is there, somebody to write to."""
    tell = report.problem if draft.active else report.warning
    template = draft["template"]
    if template is not None and not template.is_file():
        tell(draft.place, "template", f"there is no file {template}")
    if draft["quiet_note"] and draft["digest"] is None:
        report.warning(draft.place, "quiet_note", "has no effect without digest")
    name = str(draft.place.path[-1])
    if _has_nobody(draft) and drafts.tables["web"]["subscribe"] != name:
        report.problem(draft.place, "", "to is missing: nobody to write to")
    if not draft.broken:
        channel: ChannelOptions = draft.build(name=name)
        if template is not None and not channel.takes_template:
            report.warning(draft.place, "template", "is ignored: only mail has one")
        for fault in channel.faults():
            say = report.problem if fault.fatal else report.warning
            say(draft.place, fault.key, fault.message)


def _has_nobody(draft: Draft) -> bool:
    """Whether a mail channel has no recipient of its own, only readers who subscribe."""
    return "to" in draft.values and "to" not in draft.broken and not draft["to"]


def check_paths(drafts: Drafts, report: Report) -> None:
    """The database can be a file, backups and archive can be folders."""
    draft = drafts.tables["watcher"]
    if "database" in draft.given and os.path.isdir(draft["database"]):  # noqa: PTH112 - never raises
        report.problem(draft.place, "database", "is a folder; name a file in it")
    for name, key in (("watcher", "database"), ("backup", "folder"), ("archive", "folder")):
        draft = drafts.tables[name]
        path = draft[key] if key in draft.given else None
        if path is None:
            continue
        if part := file_in_the_way(path.parent if key == "database" else path):
            report.problem(draft.place, key, f"cannot be: {part} is a file and no folder")


def check_heartbeat(drafts: Drafts, report: Report) -> None:
    """Its address will not be refused."""
    draft = drafts.tables["alert"]
    address = draft["heartbeat"]
    if address is None:
        return
    why = guard.why_refused(address.reveal(), allow_private=draft["allow_private"])
    if why:
        report.warning(draft.place, "heartbeat", why)


def check_operator(drafts: Drafts, report: Report) -> None:
    """Somebody is told when the watcher is blind, and the channel is there."""
    draft = drafts.tables["watcher"]
    name = draft["operator"]
    if name is None and "operator" not in draft.broken and drafts.channels:
        report.warning(
            draft.place, "", "operator is missing: nobody is told when the watcher is blind"
        )
    elif name is not None and name not in drafts.channel_names:
        message = _unknown_name(name, "channel", drafts.channel_names)
        report.problem(draft.place, "operator", message)
    elif name in drafts.channels and not drafts.channels[name]["enabled"]:
        report.warning(draft.place, "operator", f"channel {shown(name)} has enabled = false")
    elif name in drafts.channels and _has_nobody(drafts.channels[name]):
        message = f"channel {shown(name)} has nobody in to: nobody is told when it is blind"
        report.warning(draft.place, "operator", message)


def check_unused(drafts: Drafts, report: Report) -> None:
    """Rules are there, and each channel is named by somebody who tells it something."""
    subscribed = drafts.tables["web"]["subscribe"]
    if not drafts.rules:
        if drafts.sources and not subscribed:
            report.warning(Place((), ""), "", "there is no [[rule]]: no paper is told")
        return
    used = {name for rule in drafts.rules for name in rule["channels"] or ()}
    used |= {drafts.tables["watcher"]["operator"], subscribed}
    for name, draft in drafts.channels.items():
        if name not in used and draft["enabled"]:
            report.warning(draft.place, "", "no rule names it in channels: nothing is sent there")


def check_web(drafts: Drafts, report: Report) -> None:
    """No private page open to the network; subscriptions by mail only."""
    draft = drafts.tables["web"]
    name, token = draft["subscribe"], draft["token"] or "token" in draft.broken
    if draft["enabled"] and not draft["listen"].loopback and not token:
        report.problem(
            draft.place, "listen", "is not loopback: set token (token_file, token_env) first"
        )
    elif draft["public_url"] and not token:
        report.warning(
            draft.place, "public_url", "without token the private pages and the API stay closed"
        )
    if path_of(draft["public_url"] or "")[0]:
        report.warning(draft.place, "public_url", "has a path; pages need a host of their own")
    for key in ("token", "secret"):
        if draft[key] and len(draft[key].reveal()) < LEAST_SECRET:
            message = f"can be guessed: take {LEAST_SECRET} random characters or more"
            report.warning(draft.place, key, message)
    if name is None:
        return
    if name not in drafts.channel_names:
        message = _unknown_name(name, "channel", drafts.channel_names)
        report.problem(draft.place, "subscribe", message)
    elif drafts.channel_types.get(name) != "email":
        report.problem(draft.place, "subscribe", f"channel {shown(name)} is not of type email")
    elif not draft["public_url"]:
        report.warning(draft.place, "subscribe", "needs public_url for the links in mails")


def check_keep(drafts: Drafts, report: Report) -> None:
    """Enough history to learn from."""
    draft = drafts.tables["keep"]
    if timedelta(0) < draft["sightings"] < BASELINE:
        report.warning(
            draft.place, "sightings", "is short: what is usual is learnt from the last 8 weeks"
        )


def duplicate_urls(sources: Iterable[Draft], report: Report) -> None:
    """Two sources with one address are allowed, and most often a slip."""
    seen: dict[str, str] = {}
    for draft in sources:
        url = draft["url"]
        if url in seen:
            report.warning(draft.place, "url", f"source {shown(seen[url])} has this address too")
        elif url is not None:
            seen[url] = draft["name"] or host_of(url)
