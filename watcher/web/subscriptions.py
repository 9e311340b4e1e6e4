"""Subscribing by oneself: asking, and confirming by mail.

Owns the form and what its posts do. GET changes nothing, because mail scanners follow links.
No account, no cookie: whoever holds a signed token is its subscriber. Must not send mail:
letters go into the outbox in the transaction that records what they are about.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from aiohttp import web

from watcher.model import Letter
from watcher.store import Records
from watcher.store.ledger import Words
from watcher.telemetry import log
from watcher.wants import (
    CONFIRM_WITHIN,
    BadWish,
    Purpose,
    Subscriber,
    SubscriberState,
    Wishes,
    begins_anew,
    handle_of,
    mask,
    next_due,
)
from watcher.web.common import (
    CLIENT,
    TOKENS,
    Problem,
    context_of,
    form_of,
    render,
)
from watcher.web.context import WebContext
from watcher.web.security import Rates
from watcher.web.wishes import (
    as_given,
    choices,
    local_time,
    read_own_address,
    read_wishes,
    summary,
    text_of,
)

LETTERS_A_DAY = 3
"""Confirmations that one address is asked for within a day, whoever asks."""
_FROM_ONE: web.AppKey[Rates] = web.AppKey("subscribe_rates_one", Rates)
_FROM_ALL: web.AppKey[Rates] = web.AppKey("subscribe_rates_all", Rates)


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
    request: web.Request,
    wishes: Wishes,
    *,
    address: str,
    wrong: BadWish | None = None,
    votes: str = "",
) -> web.Response:
    """``votes`` as they were written, where something is ``wrong``."""
    context = context_of(request)
    return render(
        request,
        "subscribe.html",
        status=400 if wrong else 200,
        wishes=wishes,
        address=address,
        wrong=wrong,
        votes=votes,
        domains=context.config.web.allow_domains,
        **choices(context),
    )


async def ask(request: web.Request) -> web.Response:
    """Someone asks: keep their wishes and write them a letter to confirm.

    The answer is the same for every address, known or not.
    """
    context = _open(request)
    given = await form_of(request)
    address = text_of(given, "address", 254)
    try:
        wishes = read_wishes(given, context)
        known = read_own_address(address, context)
    except BadWish as wrong:
        asked, votes = as_given(given, context), text_of(given, "min_upvotes", 12)
        return _form(request, asked, address=address, wrong=wrong, votes=votes)
    _limit(request, context)  # of letters: a slip in the form writes none
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
    wanted = summary(wishes, quoted=False)
    return Letter(
        subject="Please confirm the change of your papers"
        if changes
        else "Please confirm that you want these papers",
        lines=(
            f"Somebody, most likely you, asked for papers to be {what}: {wanted}.",
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
        next_look=local_time(person.due_at, person.wishes),
        preferences=f"/p/{tokens.make(Purpose.PREFERENCES, person.handle)}",
    )


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
