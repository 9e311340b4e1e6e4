"""Subscriptions by readers themselves: asking, confirming, preferences, leaving.

Owns the forms and what their posts do. GET changes nothing, because mail scanners follow links.
No account, no cookie: whoever holds a signed token is its subscriber. Must not send mail:
letters go into the outbox in the transaction that records what they are about.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from functools import cache
from zoneinfo import available_timezones

import msgspec
from aiohttp import web

from watcher.channels.mime import ascii_address
from watcher.config.values import BadValue, read_address
from watcher.model import Letter, Value
from watcher.rules import Rule
from watcher.store import Records
from watcher.store.ledger import Words
from watcher.telemetry import log
from watcher.text import clean, clip, count_of
from watcher.wants import (
    CONFIRM_WITHIN,
    MAX_VOTES,
    MUTE_FOR,
    OWN_QUERY,
    BadWish,
    Frequency,
    Purpose,
    Subscriber,
    SubscriberState,
    Wishes,
    begins_anew,
    checked,
    handle_of,
    mask,
    next_due,
)
from watcher.web.common import (
    CLIENT,
    TOKENS,
    Form,
    Problem,
    context_of,
    form_of,
    render,
    see_other,
)
from watcher.web.context import WebContext
from watcher.web.rule_pages import asks_of
from watcher.web.security import Rates

LETTERS_A_DAY = 3
"""Confirmations that one address is asked for within a day, whoever asks."""
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SAID = {
    "saved": "Saved. It counts from the very next mail.",
    "less": "Less often from now on.",
    "muted": "Muted for two weeks.",
    "unmuted": "You hear of it again.",
    "back": "Welcome back: you are subscribed again.",
}
_FROM_ONE: web.AppKey[Rates] = web.AppKey("subscribe_rates_one", Rates)
_FROM_ALL: web.AppKey[Rates] = web.AppKey("subscribe_rates_all", Rates)


class Topic(Value, frozen=True, kw_only=True):
    """A rule as it is offered to readers."""

    name: str
    words: str


def set_up(app: web.Application) -> None:
    """From one address five at once and twenty an hour; from all together 500 an hour."""
    app[_FROM_ONE] = Rates(5, 20)
    app[_FROM_ALL] = Rates(100, 500)


# --- asking -----------------------------------------------------------------------------


async def form(request: web.Request) -> web.Response:
    """The form to subscribe."""
    context = _open(request)
    wishes = Wishes(timezone=str(context.zone))
    return _form(request, wishes, address="")


def _form(
    request: web.Request, wishes: Wishes, *, address: str, wrong: BadWish | None = None
) -> web.Response:
    context = context_of(request)
    return render(
        request,
        "subscribe.html",
        status=400 if wrong else 200,
        wishes=wishes,
        address=address,
        wrong=wrong,
        domains=context.config.web.allow_domains,
        **_choices(context),
    )


def _choices(context: WebContext) -> dict[str, object]:
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


async def ask(request: web.Request) -> web.Response:
    """Someone asks: keep their wishes and write them a letter to confirm.

    The answer is the same for every address, known or not.
    """
    context = _open(request)
    _limit(request, context)
    given = await form_of(request)
    address = _text(given, "address", 254)
    try:
        wishes = _wishes(given, context)
        known = _address(address, context)
    except BadWish as wrong:
        return _form(request, _as_given(given, context), address=address, wrong=wrong)
    nonce = secrets.token_urlsafe(12)
    handle = handle_of(secrets.token_bytes(9))
    now = context.now
    await context.store.write(
        lambda r: _asked(request, r, known, wishes, handle=handle, nonce=nonce, now=now)
    )
    context.mail_ready()
    log.info("subscriber_changed", change="asked")
    return render(
        request,
        "message.html",
        title="Look into your mailbox",
        lines=_asked_lines(known),
        link=None,
    )


def _asked_lines(address: str) -> tuple[str, ...]:
    first = f"If {address} can be written to, a letter is on its way: open the link in it."
    second = "Nothing else is sent before that. No letter after some minutes? Look among the spam."
    return first, second


def _limit(request: web.Request, context: WebContext) -> None:
    moment, client = context.clock.monotonic(), request[CLIENT]
    one, everybody = request.app[_FROM_ONE], request.app[_FROM_ALL]
    if one.take(client, moment) and everybody.take("all", moment):
        return
    wait = max(one.wait(client, moment), everybody.wait("all", moment))
    raise Problem(
        429,
        "Too often",
        "There were too many requests for subscriptions; try it again in some minutes.",
        headers={"Retry-After": str(int(wait) + 1)},
    )


def _asked(
    request: web.Request,
    records: Records,
    address: str,
    wishes: Wishes,
    *,
    handle: str,
    nonce: str,
    now: datetime,
) -> None:
    context = context_of(request)
    people = records.people
    if people.letters_today(address, now) >= LETTERS_A_DAY:
        return  # said to nobody: whoever asks learns nothing about an address
    person_row = people.ask(address, wishes, handle=handle, nonce=nonce, now=now)
    person = people.by_address(address)
    assert person is not None and person.id == person_row  # noqa: S101, PT018 - just written
    token = request.app[TOKENS].make(Purpose.CONFIRM, person.handle, nonce)
    link = f"{context.config.web.public_url}/confirm/{token}"
    letter = confirmation(wishes, link, changes=person.state is SubscriberState.ACTIVE)
    _enqueue(context, records, person.address, letter, nonce=nonce, now=now)


def confirmation(wishes: Wishes, link: str, *, changes: bool) -> Letter:
    """The letter that asks an address whether it really wants this."""
    what = "changed to" if changes else "sent to this address"
    return Letter(
        subject="Please confirm the change of your papers"
        if changes
        else "Please confirm that you want these papers",
        lines=(
            f"Somebody, most likely you, asked for papers to be {what}: {summary(wishes)}.",
            "If that is right, open this address within a week and confirm there.",
            "If it was not you, do nothing: nothing more will be sent.",
        ),
        link=link,
        link_text="Look at it and confirm",
    )


def _enqueue(
    context: WebContext,
    records: Records,
    address: str,
    letter: Letter,
    *,
    nonce: str,
    now: datetime,
) -> None:
    name = f"l:{nonce}"
    if context.enqueue_letter is not None:
        context.enqueue_letter(records, address, letter, name, now)
        return
    channel = context.config.web.subscribe or ""
    records.outbox.post(channel, name, address, words=Words(letter=letter), due_at=now)


# --- confirming -------------------------------------------------------------------------


async def confirm_page(request: web.Request) -> web.Response:
    """What is to be confirmed; changes nothing."""
    person = await _to_confirm(request)
    if person.asked is None:
        return await _welcome(request, person)
    return render(
        request,
        "confirm.html",
        summary=summary(person.asked),
        address=mask(person.address),
        changes=person.state is SubscriberState.ACTIVE,
    )


async def confirm(request: web.Request) -> web.Response:
    """They confirmed: from now on they are written to."""
    person = await _to_confirm(request)
    context, now = context_of(request), context_of(request).now
    if person.asked is not None:
        wishes = person.asked
        due_at = next_due(wishes, now)
        anew = begins_anew(person, now)
        await context.store.write(
            lambda r: r.people.activate(person.id, wishes, now, due_at=due_at, anew=anew)
        )
        log.info("subscriber_changed", change="confirmed")
    found = await context.store.read(lambda r: r.people.by_handle(person.handle))
    return await _welcome(request, found or person)


async def _to_confirm(request: web.Request) -> Subscriber:
    context, token = _open(request), request.match_info["token"]
    handle = request.app[TOKENS].handle(token)
    person = await context.store.read(lambda r: r.people.by_handle(handle)) if handle else None
    genuine = (
        person is not None
        and bool(person.nonce)
        and request.app[TOKENS].opens(token, Purpose.CONFIRM, person.nonce)
    )
    if person is None or not genuine:
        raise Problem(
            404,
            "This link is no longer good",
            "A newer letter has replaced it, or it was not copied whole. You can subscribe anew.",
        )
    late = person.asked_at is not None and context.now - person.asked_at > CONFIRM_WITHIN
    if person.asked is not None and late:
        raise Problem(
            410, "This link is too old", "It was good for a week. You can subscribe anew."
        )
    return person


async def _welcome(request: web.Request, person: Subscriber) -> web.Response:
    tokens = request.app[TOKENS]
    return render(
        request,
        "welcome.html",
        summary=summary(person.wishes),
        due_at=person.due_at,
        preferences=f"/p/{tokens.make(Purpose.PREFERENCES, person.handle)}",
    )


# --- preferences ------------------------------------------------------------------------


async def preferences(request: web.Request) -> web.Response:
    """What somebody gets, and everything they can change about it."""
    person = await _by_token(request, Purpose.PREFERENCES)
    return _preferences(request, person, person.wishes)


def _preferences(
    request: web.Request, person: Subscriber, wishes: Wishes, *, wrong: BadWish | None = None
) -> web.Response:
    context = context_of(request)
    now = context.now
    own = [OWN_QUERY] if person.wishes.query else []
    known = {rule.name for rule in context.rules}
    heard = [
        (topic, topic or "your own query", person.mutes(topic, now))
        for topic in (*person.wishes.topics, *own)
        if topic in known or topic == OWN_QUERY
    ]
    return render(
        request,
        "preferences.html",
        status=400 if wrong else 200,
        person=person,
        address=mask(person.address),
        active=person.state is SubscriberState.ACTIVE,
        wishes=wishes,
        wrong=wrong,
        summary=summary(person.wishes),
        heard=heard,
        less=None if person.wishes.frequency is Frequency.WEEKLY else person.wishes.frequency.less,
        said=_SAID.get(request.query.get("said", "")),
        **_choices(context),
    )


async def change(request: web.Request) -> web.Response:
    """A change of somebody's preferences, by its ``action``."""
    person = await _by_token(request, Purpose.PREFERENCES)
    context = context_of(request)
    given = await form_of(request)
    action = _text(given, "action", 20)
    topic = _text(given, "topic", 80)
    now = context.now
    try:
        wishes = _wishes(given, context) if action == "save" else person.wishes
    except BadWish as wrong:
        return _preferences(request, person, _as_given(given, context), wrong=wrong)
    if action == "leave":
        await context.store.write(lambda r: r.people.leave(person.id, now))
        log.info("subscriber_changed", change="left")
        return _gone(request, person)
    said = await context.store.write(
        lambda r: _change(r, person, action, wishes=wishes, topic=topic, now=now)
    )
    if said is None:
        raise Problem(400, "Not understood", "The form was not filled in as it was sent.")
    log.info("subscriber_changed", change=said)
    return see_other(f"/p/{request.match_info['token']}?said={said}")


def _change(
    records: Records,
    person: Subscriber,
    action: str,
    *,
    wishes: Wishes,
    topic: str,
    now: datetime,
) -> str | None:
    """Do what a form asks; the word for what was done, None when it makes no sense."""
    people = records.people
    if action == "rejoin":
        due_at = next_due(person.wishes, now)
        anew = begins_anew(person, now)
        people.activate(person.id, person.wishes, now, due_at=due_at, anew=anew)
        return "back"
    if action == "save":
        people.change(person.id, wishes, now, due_at=_due(person, wishes, now))
        return "saved"
    if action == "less":
        calmer = msgspec.structs.replace(person.wishes, frequency=person.wishes.frequency.less)
        people.change(person.id, calmer, now, due_at=_due(person, calmer, now))
        return "less"
    if action == "mute":
        people.mute(person.id, topic, now + MUTE_FOR)
        return "muted"
    if action == "unmute":
        people.unmute(person.id, topic)
        return "unmuted"
    return None


def _due(person: Subscriber, wishes: Wishes, now: datetime) -> datetime | None:
    return next_due(wishes, now) if person.state is SubscriberState.ACTIVE else None


# --- leaving ----------------------------------------------------------------------------


async def unsubscribe_page(request: web.Request) -> web.Response:
    """A page with a button; changes nothing, because mail scanners follow links."""
    person = await _by_token(request, Purpose.UNSUBSCRIBE)
    if person.state is SubscriberState.LEFT:
        return _gone(request, person)
    return render(
        request,
        "unsubscribe.html",
        address=mask(person.address),
        summary=summary(person.wishes),
        preferences=_preferences_path(request, person),
        less=None if person.wishes.frequency is Frequency.WEEKLY else person.wishes.frequency.less,
    )


async def unsubscribe(request: web.Request) -> web.Response:
    """Leave: by the button of the page, or by RFC 8058's one-click post from a mail provider.

    Needs nothing but the token, may be repeated, counts for the very next mail.
    """
    context = context_of(request)
    person = await _whose(request, Purpose.UNSUBSCRIBE)
    if person is None:
        lines = ("Your address is not stored here any more.",)
        return render(request, "message.html", title="You get nothing", lines=lines, link=None)
    if await context.store.write(lambda r: r.people.leave(person.id, context.now)):
        log.info("subscriber_changed", change="left")
    return _gone(request, person)


def _gone(request: web.Request, person: Subscriber) -> web.Response:
    return render(
        request,
        "gone.html",
        address=mask(person.address),
        preferences=_preferences_path(request, person),
    )


def _preferences_path(request: web.Request, person: Subscriber) -> str:
    return f"/p/{request.app[TOKENS].make(Purpose.PREFERENCES, person.handle)}"


# --- reading requests -------------------------------------------------------------------


def _open(request: web.Request) -> WebContext:
    """The context, where people can subscribe at all."""
    context = context_of(request)
    settings = context.config.web
    if settings.subscribe is None:
        raise Problem(404, "No subscriptions", "Nobody can subscribe here: [web] subscribe is off.")
    if settings.public_url is None:
        raise Problem(
            404,
            "Not set up yet",
            "Letters need an address to lead back to: set [web] public_url in the config.",
        )
    return context


async def _by_token(request: web.Request, purpose: Purpose) -> Subscriber:
    """Whose token it is; a problem when nobody's."""
    person = await _whose(request, purpose)
    if person is None:
        raise Problem(404, "Not here any more", "Your address is not stored here any more.")
    return person


async def _whose(request: web.Request, purpose: Purpose) -> Subscriber | None:
    """Whose genuine token it is; None when they were removed.

    These never expire, and work when subscribing is switched off.
    """
    token = request.match_info["token"]
    tokens = request.app[TOKENS]
    handle = tokens.handle(token)
    if handle is None or not tokens.opens(token, purpose):
        words = "It was not copied whole. Try the one in another mail."
        raise Problem(404, "This link is not good", words)
    return await context_of(request).store.read(lambda r: r.people.by_handle(handle))


def _address(text: str, context: WebContext) -> str:
    """A checked address; raises BadWish."""
    try:
        address = read_address(text)
    except BadValue as exc:
        raise BadWish("Write a mail address, such as me@example.org.", "address") from exc
    local, _, domain = address.rpartition("@")
    address = f"{local}@{domain.lower()}"
    if ascii_address(address) is None:
        raise BadWish("An address with such letters cannot be written to from here.", "address")
    allowed = context.config.web.allow_domains
    if allowed and domain.lower() not in allowed:
        names = ", ".join(allowed)
        raise BadWish(f"Only addresses at {names} can subscribe here.", "address")
    return address


def _wishes(given: Form, context: WebContext) -> Wishes:
    """The wishes of a form, checked; raises BadWish."""
    asked = _as_given(given, context)
    votes = _text(given, "min_upvotes", 12) or "0"
    if not (votes.isascii() and votes.isdecimal() and int(votes) <= MAX_VOTES):
        raise BadWish("Votes are a whole number, such as 20.", "min_upvotes")
    if _text(given, "frequency", 20) not in {f.value for f in Frequency}:
        raise BadWish("Choose how often you want to be written to.", "frequency")
    return checked(asked, [rule.name for rule in context.rules])


def _as_given(given: Form, context: WebContext) -> Wishes:
    """The wishes of a form as far as they can be read, to be shown again."""
    frequency = _text(given, "frequency", 20)
    known = {f.value for f in Frequency}
    return Wishes(
        topics=tuple(clip(str(t), 80) for t in given.getall("topics", []))[:200],
        query=_text(given, "query", 600) or None,
        min_upvotes=_within(given, "min_upvotes", 0, MAX_VOTES, default=0),
        frequency=Frequency(frequency) if frequency in known else Frequency.DAILY,
        hour=_within(given, "hour", 0, 23, default=8),
        weekday=_within(given, "weekday", 0, 6, default=0),
        timezone=_text(given, "timezone", 60) or str(context.zone),
    )


def _within(given: Form, name: str, least: int, most: int, *, default: int) -> int:
    text = _text(given, name, 12)
    good = text.isascii() and text.isdecimal() and least <= int(text) <= most
    return int(text) if good else default


def _text(given: Form, name: str, most: int) -> str:
    value = given.get(name, "")
    return clean(value)[:most] if isinstance(value, str) else ""


def summary(wishes: Wishes) -> str:
    """``alignment and speech, from 20 votes, every day at 08:00 (Europe/Berlin)``."""
    names = [clean(topic) for topic in wishes.topics]
    if wishes.query:
        names.append(f"what matches “{clip(clean(wishes.query), 120)}”")
    what = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    votes = f", from {count_of(wishes.min_upvotes, 'vote')} on" if wishes.min_upvotes else ""
    return f"{what}{votes}, {when(wishes)}"


def when(wishes: Wishes) -> str:
    """``every day at 08:00 (Europe/Berlin)``."""
    if wishes.frequency is Frequency.INSTANT:
        return "within the hour"
    day = "every day" if wishes.frequency is Frequency.DAILY else f"every {DAYS[wishes.weekday]}"
    return f"{day} at {wishes.hour:02d}:00 ({wishes.timezone})"
