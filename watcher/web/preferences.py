"""What a subscriber gets: looking at it, changing it, leaving and coming back.

Owns the pages behind the signed links of every mail. Whoever holds a link is its subscriber: no
account, no cookie. GET changes nothing, because mail scanners follow links.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from aiohttp import web

from watcher.store import Records
from watcher.telemetry import log
from watcher.wants import (
    MUTE_FOR,
    OWN_QUERY,
    BadWish,
    Frequency,
    Purpose,
    Subscriber,
    SubscriberState,
    Wishes,
    begins_anew,
    mask,
    next_due,
)
from watcher.web.common import TOKENS, Problem, context_of, form_of, render, see_other
from watcher.web.wishes import as_given, choices, local_time, read_wishes, summary, text_of

_SAID = {
    "saved": "Saved. It counts from the very next mail.",
    "less": "Less often from now on.",
    "muted": "Muted for two weeks.",
    "unmuted": "You hear of it again.",
    "back": "Welcome back: you are subscribed again.",
}


async def look(request: web.Request) -> web.Response:
    """What somebody gets, and everything they can change about it."""
    person = await _by_token(request, Purpose.PREFERENCES)
    return _page(request, person, person.wishes)


def _page(
    request: web.Request,
    person: Subscriber,
    wishes: Wishes,
    *,
    wrong: BadWish | None = None,
    votes: str = "",
) -> web.Response:
    """``votes`` as they were written, where they were ``wrong``."""
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
        votes=votes,
        next_look=local_time(person.due_at, person.wishes),
        summary=summary(person.wishes),
        heard=heard,
        less=None if person.wishes.frequency is Frequency.WEEKLY else person.wishes.frequency.less,
        said=_SAID.get(request.query.get("said", "")),
        **choices(context),
    )


async def change(request: web.Request) -> web.Response:
    """A change of somebody's preferences, by its ``action``."""
    person = await _by_token(request, Purpose.PREFERENCES)
    context = context_of(request)
    given = await form_of(request)
    action = text_of(given, "action", 20)
    topic = text_of(given, "topic", 80)
    frequency = text_of(given, "frequency", 20)
    now = context.now
    try:
        wishes = read_wishes(given, context) if action == "save" else person.wishes
    except BadWish as wrong:
        asked, votes = as_given(given, context), text_of(given, "min_upvotes", 12)
        return _page(request, person, asked, wrong=wrong, votes=votes)
    if action == "leave":
        await context.store.write(lambda r: r.people.leave(person.id, now))
        log.info("subscriber_changed", change="left")
        return _gone(request, person)
    said = await context.store.write(
        lambda r: _change(
            r, person, action, wishes=wishes, topic=topic, frequency=frequency, now=now
        )
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
    frequency: str,
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
        calmer = msgspec.structs.replace(
            person.wishes, frequency=_calmer(person.wishes.frequency, frequency)
        )
        people.change(person.id, calmer, now, due_at=_due(person, calmer, now))
        return "less"
    if action == "mute":
        if topic not in (*person.wishes.topics, OWN_QUERY):
            return None
        people.mute(person.id, topic, now + MUTE_FOR)
        return "muted"
    if action == "unmute":
        people.unmute(person.id, topic, now)
        return "unmuted"
    return None


def _calmer(now: Frequency, asked: str) -> Frequency:
    """What the button said; as it is, where it was pressed twice or on an old page."""
    steps = (now.less, Frequency.WEEKLY)
    return next((step for step in steps if asked in ("", step.value)), now)


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
