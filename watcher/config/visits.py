"""How often each source will really be visited, and which of its earlier pages.

Owns what ``check-config`` says beyond faults, how long a silence is meant, and where a list has
its past days. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from watcher.config.settings import Config, path_of
from watcher.config.values import Hours
from watcher.model import PageKind, Value

FOLLOW = timedelta(days=7)
"""How long the past days of a daily source are visited again, unless it says otherwise."""


class Visit(Value, frozen=True, kw_only=True):
    """What a source asks for and what the rate of its host lets it have."""

    source: str
    host: str
    wanted: timedelta
    really: timedelta

    @property
    def stretched(self) -> bool:
        """True when the host's rate makes it wait longer than it asks for."""
        return self.really > self.wanted


def effective_intervals(config: Config) -> tuple[Visit, ...]:
    """For each source its wanted and its real interval, in the order of the config.

    When the sources of one host together ask for more than ``per_host_rate``, all of them
    are stretched in proportion. Follow-up visits of earlier days use what is left of the
    rate and are not counted. A rate of 0 stretches nothing: the site's own limit is only
    known once it speaks.
    """
    hosts = [source.host for source in config.sources]
    wanted: dict[str, float] = defaultdict(float)
    for source, host in zip(config.sources, hosts, strict=True):
        wanted[host] += 1 / source.every.total_seconds()
    rate = config.fetch.per_host_rate
    return tuple(
        Visit(
            source=source.name,
            host=host,
            wanted=source.every,
            really=source.every * max(1.0, wanted[host] / rate if rate else 1.0),
        )
        for source, host in zip(config.sources, hosts, strict=True)
    )


def patience(config: Config) -> timedelta:
    """How long no source at all need be read well: ``[alert] hours``, or as long as the sources
    themselves wait. A quarter more: visits are spread, and take their time."""
    pauses = (
        1.25 * visit.really + _closed(source.active)
        for visit, source in zip(effective_intervals(config), config.sources, strict=True)
    )
    return max(timedelta(hours=config.alert.hours), min(pauses, default=timedelta(0)))


def _closed(active: Hours | None) -> timedelta:
    """How much of a day lies outside the active hours."""
    return timedelta(0) if active is None else timedelta(days=1) - active.length


def day_pages(url: str, kind: PageKind | None = None) -> Callable[[date], str] | None:
    """How a daily list's page of a given day is addressed; None for what is no daily list."""
    path, _ = path_of(url)
    if kind not in (None, PageKind.DAILY) or not path.endswith(("/api/daily_papers", "/papers")):
        return None
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if path.endswith("/api/daily_papers") and not query.keys() & {"date", "week", "month", "sort"}:
        return lambda day: urlunsplit(
            parts._replace(query=urlencode({**query, "date": day.isoformat()}))
        )
    if path.endswith("/papers") and not query.keys() & {"q", "date"}:
        return lambda day: urlunsplit(parts._replace(path=f"{path}/date/{day.isoformat()}"))
    return None
