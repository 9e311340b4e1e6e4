"""Subscribing by oneself: the form, double opt-in, preferences, leaving, and what abuse meets."""

import re
from datetime import timedelta

import pytest

from tests.webworld import NOW, FixedClock, changed, copy_of, open_to_readers, seeded, visiting
from watcher.model import Message, MessageState
from watcher.view import view_of
from watcher.wants import Frequency, Purpose, SubscriberState, Tokens, Wishes
from watcher.web.wishes import summary

FORM = {
    "address": "Ada@Example.org",
    "topics": "fast",
    "query": "",
    "min_upvotes": "20",
    "frequency": "daily",
    "hour": "9",
    "weekday": "2",
    "timezone": "Europe/Berlin",
}
PUBLIC = "https://papers.example.org"


@pytest.fixture
def path(tmp_path):
    return copy_of(seeded(), tmp_path)


class Reader:
    """Someone with a browser and a mailbox."""

    def __init__(self, visitor, context):
        self.visitor, self.context = visitor, context

    async def letters(self):
        """``(recipient, letter)`` of every letter in the outbox, oldest first."""

        def read(r):
            lines = sorted(r.outbox.lines(), key=lambda line: line.promised_at)
            return [(line.recipient, r.outbox.words(line.key).letter) for line in lines]

        return [found for found in await self.context.store.read(read) if found[1]]

    async def person(self, address="ada@example.org"):
        return await self.context.store.read(lambda r: r.people.by_address(address))

    async def ask(self, **fields):
        self.context.clock.move(seconds=1)
        return await self.visitor.post("/subscribe", {**FORM, **fields})

    async def subscribe(self, **fields):
        await self.ask(**fields)
        letter = (await self.letters())[-1][1]
        assert letter.link.startswith(PUBLIC)
        answer = await self.visitor.post(letter.link.removeprefix(PUBLIC))
        assert answer.status == 200
        return await self.person(fields.get("address", "ada@example.org"))

    async def links(self):
        key = await self.context.store.read(
            lambda r: bytes(r.conn.execute("select value from own_keys").fetchone()[0])
        )
        tokens, person = Tokens(key), await self.person()
        return (
            f"/p/{tokens.make(Purpose.PREFERENCES, person.handle)}",
            f"/u/{tokens.make(Purpose.UNSUBSCRIBE, person.handle)}",
        )


@pytest.fixture
async def reader(path):
    async with visiting(path, clock=FixedClock(), **open_to_readers()) as (visitor, context):
        yield Reader(visitor, context)


# --- asking and confirming ----------------------------------------------------------------


async def test_the_form_offers_the_rules_and_says_what_they_look_for(reader):
    text = (await reader.visitor.get("/subscribe")).text
    assert 'value="agents &amp; tools"' in text
    assert "agent* OR tool* OR plan*" in text
    assert "Europe/Berlin" in text


async def test_nothing_is_sent_before_the_letter_is_confirmed(reader):
    answer = await reader.ask()
    assert answer.status == 200
    assert "Look into your mailbox" in answer.text
    ((recipient, letter),) = await reader.letters()
    assert recipient == "Ada@example.org"
    assert "fast, from 20 votes on, every day at 09:00 (Europe/Berlin)" in letter.lines[0]
    person = await reader.person()
    assert (person.state, person.due_at) == (SubscriberState.ASKED, None)
    words = letter.link.rpartition("/")[2]
    assert re.fullmatch(r"[A-Za-z0-9_-]{34}", words)
    assert "ada" not in letter.link.lower()


async def test_opening_the_link_changes_nothing_because_scanners_do_it(reader):
    await reader.ask()
    link = (await reader.letters())[0][1].link.removeprefix(PUBLIC)
    for _ in range(3):
        assert (await reader.visitor.get(link)).status == 200
    assert (await reader.person()).state is SubscriberState.ASKED
    assert (await reader.visitor.post(link)).status == 200
    person = await reader.person()
    assert person.state is SubscriberState.ACTIVE
    assert person.due_at.astimezone(person.wishes.zone).hour == 9
    again = await reader.visitor.post(link)
    assert (again.status, "You are subscribed" in again.text) == (200, True)
    assert await reader.person() == person


async def test_the_answer_is_the_same_for_an_address_that_is_known(reader):
    first = await reader.ask()
    await reader.subscribe()
    assert (await reader.ask()).text == first.text


async def test_asking_again_changes_nothing_until_it_is_confirmed(reader):
    await reader.subscribe()
    await reader.ask(topics="everything", frequency="weekly")
    person = await reader.person()
    assert (person.wishes.topics, person.state) == (("fast",), SubscriberState.ACTIVE)
    letter = (await reader.letters())[-1][1]
    assert "change" in letter.subject
    await reader.visitor.post(letter.link.removeprefix(PUBLIC))
    person = await reader.person()
    assert (person.wishes.topics, person.wishes.frequency) == (("everything",), Frequency.WEEKLY)


async def test_a_newer_letter_makes_an_older_one_void_and_a_week_every_one(reader):
    await reader.ask()
    await reader.ask(topics="everything")
    old, new = (letter.link.removeprefix(PUBLIC) for _, letter in await reader.letters())
    assert (await reader.visitor.get(old)).status == 404
    reader.context.clock.move(days=8)
    assert (await reader.visitor.post(new)).status == 410
    assert (await reader.person()).state is SubscriberState.ASKED


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"address": "no address"}, "Write a mail address"),
        ({"address": "x@example.org\r\nBcc: y@example.org"}, "Write a mail address"),
        ({"address": "ä@example.org"}, "cannot be written to"),
        ({"topics": "gone"}, "Choose a topic"),
        ({"query": "title:(robot"}, "The query cannot be read"),
        ({"min_upvotes": "many"}, "whole number"),
        ({"timezone": "Mars/Olympus"}, "no such time zone"),
        ({"frequency": "always"}, "how often"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(reader, fields, said):
    answer = await reader.ask(**fields)
    assert answer.status == 400
    assert said in answer.text
    assert 'role="alert"' in answer.text
    assert "Ada@Example.org" in answer.text or "address" in fields
    assert "<title>Not subscribed yet" in answer.text
    assert answer.text.count(" autofocus") == 1
    assert 'value="many"' in answer.text or "min_upvotes" not in fields
    assert await reader.letters() == []


async def test_only_allowed_domains_can_subscribe(reader):
    changed(reader.context, allow_domains=("lab.example",))
    answer = await reader.ask()
    assert answer.status == 400
    assert "Only addresses at lab.example" in answer.text
    assert (await reader.ask(address="x@LAB.example")).status == 200


async def test_one_address_is_not_flooded_and_nobody_learns_of_it(reader):
    texts = []
    for _ in range(5):
        texts.append((await reader.ask()).text)
        reader.context.clock.moment += 1000
    assert len(await reader.letters()) == 3
    assert len(set(texts)) == 1


async def test_one_mailbox_is_not_flooded_under_other_spellings(reader):
    full_width = "example".translate({code: code + 0xFEE0 for code in range(97, 123)})
    for address in (
        "ada@example.org",
        f"ada@{full_width}.org",
        "ada@\U0001d41example.org",
        "ADA+news@EXAMPLE.org",
        "ada+more@example.org",
    ):
        assert (await reader.ask(address=address)).status == 200
        reader.context.clock.moment += 1000
    assert len(await reader.letters()) == 3
    await reader.ask(address="ada@other.example")
    await reader.ask(address="adam@example.org")
    assert len(await reader.letters()) == 5


async def test_an_address_is_kept_as_it_goes_over_the_wire(reader):
    person = await reader.subscribe(address="Ada@M\u00fcnchen.example")
    assert person.address == "Ada@xn--mnchen-3ya.example"
    assert await reader.person("ada@xn--mnchen-3ya.example") == person


async def test_who_was_kept_in_unicode_is_found_by_either_spelling(reader):
    kept = "ada@m\u00fcnchen.example"
    await reader.context.store.write(
        lambda r: r.people.ask(kept, Wishes(topics=("fast",)), handle="h", nonce="", now=NOW)
    )
    assert (await reader.person(kept)).address == kept
    assert (await reader.person("ada@xn--mnchen-3ya.example")).address == kept


async def test_a_letter_carries_no_words_of_whoever_asked(reader):
    await reader.ask(topics="", query='"pay at https://evil.example now"')
    letter = (await reader.letters())[-1][1]
    assert "evil" not in " ".join(letter.lines)
    assert "a query of your own" in letter.lines[0]
    shown = await reader.visitor.get(letter.link.removeprefix(PUBLIC))
    assert "evil.example" in shown.text  # the page, where they look before they confirm


async def test_an_own_query_may_not_cost_too_much(reader):
    answer = await reader.ask(query="*a OR ?b OR *c")
    assert answer.status == 400
    assert "may begin with" in answer.text
    assert (await reader.ask(query="*a OR ?b OR c* OR d*e")).status == 200


async def test_one_visitor_cannot_ask_for_many_addresses(reader):
    statuses = [(await reader.ask(address=f"a{n}@example.org")).status for n in range(8)]
    assert statuses == [200] * 5 + [429] * 3


async def test_a_form_of_another_site_is_refused(reader):
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = await reader.visitor.post("/subscribe", FORM, headers=headers)
        assert answer.status == 403


async def test_without_subscribe_or_public_url_nobody_can(path):
    async with visiting(path) as (visitor, context):
        assert (await visitor.get("/subscribe")).status == 404
        changed(context, subscribe="mail")
        answer = await visitor.post("/subscribe", FORM)
        assert answer.status == 404
        assert "public_url" in answer.text


# --- preferences ------------------------------------------------------------------------


async def test_preferences_show_a_masked_address_and_change_by_post_only(reader):
    person = await reader.subscribe()
    preferences, _ = await reader.links()
    text = (await reader.visitor.get(preferences)).text
    assert "A…@example.org" in text
    assert "Ada@example.org" not in text
    assert await reader.person() == person


async def test_everything_can_be_changed_with_effect_on_the_next_mail(reader):
    await reader.subscribe()
    preferences, _ = await reader.links()
    answer = await reader.visitor.post(
        preferences, {**FORM, "action": "save", "topics": "everything", "hour": "18", "query": "a"}
    )
    assert answer.status == 303
    assert "Saved" in (await reader.visitor.get(answer.headers["Location"])).text
    person = await reader.person()
    assert (person.wishes.topics, person.wishes.hour) == (("everything",), 18)
    assert person.due_at.astimezone(person.wishes.zone).hour == 18
    wrong = await reader.visitor.post(preferences, {**FORM, "action": "save", "query": "a OR"})
    assert wrong.status == 400
    assert (await reader.person()).wishes == person.wishes


async def test_only_once_a_day_is_what_it_says_also_when_it_is_pressed_twice(reader):
    await reader.subscribe(frequency="instant")
    preferences, _ = await reader.links()
    page = (await reader.visitor.get(preferences)).text
    form = re.search(r"<form[^>]*>(?:(?!</form>).)*Only once a day.*?</form>", page, re.DOTALL)[0]
    fields = dict(re.findall(r'name="(\w+)" value="(\w+)"[^>]*>(?!Unsub)', form))
    for _ in range(2):  # a double click, or another browser that shows the page of before
        assert (await reader.visitor.post(preferences, fields)).status == 303
    assert (await reader.person()).wishes.frequency is Frequency.DAILY


async def test_less_often_goes_step_by_step(reader):
    await reader.subscribe(frequency="instant")
    preferences, _ = await reader.links()
    for expected in (Frequency.DAILY, Frequency.WEEKLY, Frequency.WEEKLY):
        await reader.visitor.post(preferences, {"action": "less"})
        assert (await reader.person()).wishes.frequency is expected


async def test_a_topic_is_muted_for_two_weeks_and_heard_again(reader):
    await reader.subscribe(query="robot")
    preferences, _ = await reader.links()
    for topic in ("fast", ""):
        await reader.visitor.post(preferences, {"action": "mute", "topic": topic})
        assert (await reader.person()).mutes(topic, NOW) == reader.context.now + timedelta(days=14)
        assert "muted until" in (await reader.visitor.get(preferences)).text
        await reader.visitor.post(preferences, {"action": "unmute", "topic": topic})
        assert (await reader.person()).mutes(topic, NOW) is None


async def test_only_what_somebody_gets_can_be_muted(reader):
    await reader.subscribe()
    preferences, _ = await reader.links()
    answer = await reader.visitor.post(preferences, {"action": "mute", "topic": "made up"})
    assert answer.status == 400
    assert not (await reader.person()).muted


async def test_a_form_that_makes_no_sense_changes_nothing(reader):
    person = await reader.subscribe()
    preferences, _ = await reader.links()
    for data in ({}, {"action": "drop"}, b"\xff\xfe"):
        assert (await reader.visitor.post(preferences, data)).status == 400
    assert await reader.person() == person


# --- leaving ----------------------------------------------------------------------------


async def test_the_link_to_unsubscribe_shows_a_page_and_changes_nothing(reader):
    person = await reader.subscribe()
    _, leave = await reader.links()
    for _ in range(3):
        answer = await reader.visitor.get(leave)
        assert (answer.status, "Unsubscribe?" in answer.text) == (200, True)
    assert await reader.person() == person


async def test_one_click_needs_no_cookie_no_origin_and_may_be_repeated(reader):
    await reader.subscribe()
    _, leave = await reader.links()
    headers = {"Origin": "https://mail.provider.example", "Sec-Fetch-Site": "cross-site"}
    for _ in range(2):
        answer = await reader.visitor.post(
            leave, {"List-Unsubscribe": "One-Click"}, headers=headers
        )
        assert answer.status == 200
    assert (await reader.person()).state is SubscriberState.LEFT


async def test_one_click_is_taken_in_both_encodings_and_with_an_empty_body(reader):
    await reader.subscribe()
    _, leave = await reader.links()
    for body in (b"", b"List-Unsubscribe=One-Click"):
        assert (await reader.visitor.post(leave, body)).status == 200


async def test_leaving_disables_and_never_deletes_and_can_be_undone(reader):
    before = await reader.subscribe()
    preferences, leave = await reader.links()
    text = (await reader.visitor.post(leave)).text
    assert f'action="{preferences}"' in text
    assert (await reader.visitor.post(preferences, {"action": "rejoin"})).status == 303
    after = await reader.person()
    assert (after.state, after.wishes, after.told_cursor) == (
        SubscriberState.ACTIVE,
        before.wishes,
        before.told_cursor,
    )


async def test_a_link_of_somebody_who_was_removed_is_answered_kindly(reader):
    await reader.subscribe()
    preferences, leave = await reader.links()
    await reader.context.store.write(lambda r: r.people.remove("ada@example.org"))
    assert (await reader.visitor.post(leave)).status == 200
    assert (await reader.visitor.get(preferences)).status == 404


@pytest.mark.parametrize("place", ["p", "u", "confirm"])
async def test_a_forged_token_opens_nothing(reader, place):
    await reader.subscribe()
    preferences, leave = await reader.links()
    mine, other = preferences[3:], leave[3:]
    forged = [mine[:-1] + ("A" if mine[-1] != "A" else "B"), mine[:12], mine + "x", "x" * 34, "%00"]
    if place != "p":
        forged.append(mine)
    if place != "u":
        forged.append(other)
    for token in forged:
        assert (await reader.visitor.get(f"/{place}/{token}")).status == 404
        assert (await reader.visitor.post(f"/{place}/{token}")).status == 404
    assert (await reader.person()).state is SubscriberState.ACTIVE


async def test_links_work_when_subscribing_is_switched_off(reader):
    await reader.subscribe()
    preferences, leave = await reader.links()
    changed(reader.context, subscribe=None)
    assert (await reader.visitor.get(preferences)).status == 200
    assert (await reader.visitor.post(leave)).status == 200


async def test_a_confirmation_link_of_before_does_not_bring_back_who_left(reader):
    await reader.ask()
    link = (await reader.letters())[0][1].link.removeprefix(PUBLIC)
    await reader.visitor.post(link)
    _, leave = await reader.links()
    await reader.visitor.post(leave)
    assert (await reader.visitor.post(link)).status == 404
    assert (await reader.person()).state is SubscriberState.LEFT


# --- letters ----------------------------------------------------------------------------


async def test_an_address_that_bounced_gets_no_letter(reader):
    def suppress(r):
        r.standing.meet(("mail",), NOW)
        r.standing.suppress("mail", "ada@example.org", "550 5.1.1 no such user", NOW)

    await reader.context.store.write(suppress)
    assert (await reader.ask()).status == 200
    (line,) = await reader.context.store.read(lambda r: r.outbox.lines())
    assert line.state is MessageState.SUPPRESSED


async def test_a_letter_can_be_rendered_as_every_message_can(reader):
    await reader.ask(query='"<b> robots"')
    ((_, letter),) = await reader.letters()
    view = view_of(Message(key="msg_x", channel="mail", batch="l:1", letter=letter))
    assert view.link == letter.link
    assert view.is_letter


async def test_letters_go_through_the_owners_hook_when_there_is_one(path):
    taken, woken = [], []
    hooks = {
        "enqueue_letter": lambda _, *what: taken.append(what),
        "mail_ready": lambda: woken.append(1),
    }
    async with visiting(path, hooks=hooks, **open_to_readers()) as (visitor, _):
        await visitor.post("/subscribe", FORM)
    (address, letter, name, due_at) = taken[0]
    assert (address, due_at) == ("Ada@example.org", NOW)
    assert name.startswith("l:")
    assert letter.subject.startswith("Please confirm")
    assert woken


async def test_the_key_of_links_outlives_a_restart(path):
    async with visiting(path, **open_to_readers()) as (visitor, context):
        here = Reader(visitor, context)
        await here.subscribe()
        links = await here.links()
    async with visiting(path, **open_to_readers()) as (visitor, _):
        for link in links:
            assert (await visitor.get(link)).status == 200


def test_wishes_in_words():
    both = Wishes(topics=("a", "b"), query="x y", frequency=Frequency.INSTANT)
    assert summary(both) == "a, b and what matches “x y”, within the hour"
    weekly = Wishes(topics=("a",), frequency=Frequency.WEEKLY, weekday=4, hour=7)
    assert summary(weekly) == "a, every Friday at 07:00 (UTC)"
