"""The wishes of a reader as forms send them and as people read them.

Owns the fields of both forms, what they offer, and the words for wishes. Pure but for reading
the names of time zones. Must not answer requests.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from watcher.channels.mime import ascii_address
from watcher.config.values import BadValue, read_address
from watcher.model import Value
from watcher.rules import Rule
from watcher.text import clean, clip, count_of
from watcher.view import show_time
from watcher.wants import MAX_VOTES, BadWish, Frequency, Wishes, checked
from watcher.web.common import Form
from watcher.web.context import WebContext
from watcher.web.rule_pages import asks_of

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Topic(Value, frozen=True, kw_only=True):
    """A rule as it is offered to readers."""

    name: str
    words: str


def choices(context: WebContext) -> dict[str, object]:
    """What the forms offer, for their templates."""
    return {
        "topics": topics_of(context),
        "zones": zones(),
        "frequencies": tuple(Frequency),
        "weekdays": DAYS,
    }


def topics_of(context: WebContext) -> tuple[Topic, ...]:
    """The rules as readers may choose them."""
    return tuple(Topic(name=rule.name, words=_topic_words(rule)) for rule in context.rules)


def _topic_words(rule: Rule) -> str:
    """``new, rising: matches agent* OR tool*``."""
    told = ("matches", "always tells", "but never")
    asked = [f"{name} {clip(clean(need), 160)}" for name, need in asks_of(rule) if name in told]
    kinds = ", ".join(change.value for change in rule.events)
    return f"{kinds}: {'; '.join(asked) or 'every paper'}"


@cache
def zones() -> tuple[str, ...]:
    """Names of time zones that people know, ``UTC`` first."""
    areas = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian")
    known = (z for z in available_timezones() if z.partition("/")[0] in (*areas, "Pacific"))
    return ("UTC", *sorted(known))


# --- reading forms ------------------------------------------------------------------------


def read_own_address(text: str, context: WebContext) -> str:
    """A checked address; raises BadWish."""
    try:
        address = read_address(text)
    except BadValue as exc:
        raise BadWish("Write a mail address, such as me@example.org.", "address") from exc
    # As it goes over the wire: a domain has many spellings in Unicode, a mailbox should have one.
    known = ascii_address(address)
    if known is None:
        raise BadWish("An address with such letters cannot be written to from here.", "address")
    local, _, domain = known.rpartition("@")
    known = f"{local}@{domain.lower()}"
    allowed = context.config.web.allow_domains
    if allowed and not {address.rpartition("@")[2].lower(), domain.lower()}.intersection(allowed):
        names = ", ".join(allowed)
        raise BadWish(f"Only addresses at {names} can subscribe here.", "address")
    return known


def read_wishes(given: Form, context: WebContext) -> Wishes:
    """The wishes of a form, checked; raises BadWish."""
    asked = as_given(given, context)
    votes = text_of(given, "min_upvotes", 12) or "0"
    if not (votes.isascii() and votes.isdecimal() and int(votes) <= MAX_VOTES):
        raise BadWish("Votes are a whole number, such as 20.", "min_upvotes")
    if text_of(given, "frequency", 20) not in {f.value for f in Frequency}:
        raise BadWish("Choose how often you want to be written to.", "frequency")
    return checked(asked, [rule.name for rule in context.rules])


def as_given(given: Form, context: WebContext) -> Wishes:
    """The wishes of a form as far as they can be read, to be shown again."""
    frequency = text_of(given, "frequency", 20)
    known = {f.value for f in Frequency}
    return Wishes(
        topics=tuple(clip(str(t), 80) for t in given.getall("topics", []))[:200],
        query=text_of(given, "query", 600) or None,
        min_upvotes=_within(given, "min_upvotes", 0, MAX_VOTES, default=0),
        frequency=Frequency(frequency) if frequency in known else Frequency.DAILY,
        hour=_within(given, "hour", 0, 23, default=8),
        weekday=_within(given, "weekday", 0, 6, default=0),
        timezone=text_of(given, "timezone", 60) or str(context.zone),
    )


def _within(given: Form, name: str, least: int, most: int, *, default: int) -> int:
    text = text_of(given, name, 12)
    good = text.isascii() and text.isdecimal() and least <= int(text) <= most
    return int(text) if good else default


def text_of(given: Form, name: str, most: int) -> str:
    """A field as one clean line; empty when it is absent or a file."""
    value = given.get(name, "")
    return clean(value)[:most] if isinstance(value, str) else ""


def summary(wishes: Wishes, *, quoted: bool = True) -> str:
    """``alignment and speech, from 20 votes, every day at 08:00 (Europe/Berlin)``.

    Without ``quoted`` a query is not repeated: a letter to somebody who may never have asked
    must not carry a stranger's words.
    """
    names = [clean(topic) for topic in wishes.topics]
    if wishes.query:
        own = f"what matches “{clip(clean(wishes.query), 120)}”"
        names.append(own if quoted else "what matches a query of your own")
    what = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    votes = f", from {count_of(wishes.min_upvotes, 'vote')} on" if wishes.min_upvotes else ""
    return f"{what}{votes}, {when(wishes)}"


def local_time(at: datetime | None, wishes: Wishes) -> str | None:
    """``Mon 23 Nov, 08:00 (Europe/Berlin)``: a time as a reader's wishes speak of it, whatever
    zone their browser is in."""
    if at is None:
        return None
    return f"{show_time(at, ZoneInfo(wishes.timezone))} ({wishes.timezone})"


def when(wishes: Wishes) -> str:
    """``every day at 08:00 (Europe/Berlin)``."""
    if wishes.frequency is Frequency.INSTANT:
        return "within the hour"
    day = "every day" if wishes.frequency is Frequency.DAILY else f"every {DAYS[wishes.weekday]}"
    return f"{day} at {wishes.hour:02d}:00 ({wishes.timezone})"
