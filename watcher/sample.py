"""An invented digest, for trying templates and channels: one of everything that can be shown.

Pure. The papers, people and numbers are made up. Must not be mistaken for news: every
message made of it says that it is a sample.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from watcher.digest import Frame, compose
from watcher.model import Counts, Digest, Event, EventType, Letter, Links, Message, Paper
from watcher.view import View, view_of

AT = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)


def sample_events() -> tuple[Event, ...]:
    """Six changes by two rules, one of them a late bloomer, and a notice."""
    return (
        _event(1, EventType.RISING, "alignment", strength=3.4, upvotes=142),
        _event(2, EventType.NEW, "alignment", strength=1.2, upvotes=31),
        _event(3, EventType.RESURGING, "efficient models", strength=2.2, upvotes=388),
        _event(4, EventType.NEW, "efficient models", strength=0.7, upvotes=None),
        _event(5, EventType.NEW, "alignment", strength=1.0, upvotes=57, age=timedelta(days=12)),
        _event(7, EventType.NEW, "alignment", strength=0.1, upvotes=3),
        Event(
            cursor=6,
            id="evt_sample000000000006",
            type=EventType.SOURCE_RECOVERED,
            at=AT - timedelta(hours=3),
            reason="source trending answers again after 2 h 10 min (HTTP 503)",
        ),
    )


_PAPERS = {
    1: (
        "Preference Optimisation Without a Reference Model",
        (
            "Trains a policy on pairs of answers by comparing it with its own slow average, which "
            "halves the memory needed and keeps the gains on three invented benchmarks."
        ),
        ("Ada Lindqvist", "Bo Marchetti", "Chiamaka Obi", "Dmitri Sato", "Elif Nowak"),
        "Northern Lights Lab",
        "https://github.com/example/reference-free",
    ),
    2: (
        "Ask Twice: Small Questions That Reveal What a Reward Model Missed",
        (
            "Short follow-up questions find blind spots of reward models at a fraction of the cost "
            "of new labels."
        ),
        ("Farid Aziz", "Greta Holm"),
        None,
        None,
    ),
    3: (
        "Sparse Experts on a Single Graphics Card",
        "Keeps rarely used experts on disk and fetches them ahead of time by a tiny predictor.",
        ("Hana Kim", "Ivo Petrov", "Júlia Sousa"),
        "Riverside Institute",
        "https://github.com/example/one-card",
    ),
    4: ("A Field Guide to Quantisation Errors", None, None, None, None),
    5: (
        "Consistency Checks for Long Chains of Thought",
        None,
        ("Kofi Mensah",),
        "Harbour University",
        None,
    ),
    7: ("Notes on Preference Data", None, None, None, None),
}
_REASONS = {
    1: "142 votes in 9 h, surely 3.4 × the usual for papers of this age (3.9 ×)"
    " · matches preference",
    2: "new: 31 votes, needs 20 · matches reward",
    3: "+47 votes in a day, 5 days after listing",
    4: "new · matches quantisation",
    5: "late bloomer: 57 votes, 12 days after listing, needs 20 · matches consistency",
    7: "new: 3 votes · matches preference",
}
_CURVES = {
    1: (0, 2, 5, 9, 14, 22, 31, 45, 60, 82, 104, 121, 142),
    3: (210, 240, 255, 262, 266, 268, 270, 284, 310, 341, 366, 388),
    5: (1, 2, 2, 3, 3, 4, 9, 21, 40, 57),
}


def _event(
    number: int,
    kind: EventType,
    rule: str,
    *,
    strength: float,
    upvotes: int | None,
    age: timedelta = timedelta(hours=9),
) -> Event:
    return Event(
        cursor=number,
        id=f"evt_sample{number:012d}",
        type=kind,
        at=AT - timedelta(minutes=5),
        rule=rule,
        paper=_paper(number, age),
        counts=Counts(upvotes=upvotes, comments=number if upvotes else None),
        reason=_REASONS[number],
        strength=strength,
        late=age > timedelta(days=7),
    )


def _paper(number: int, age: timedelta) -> Paper:
    title, summary, authors, organization, github = _PAPERS[number]
    return Paper(
        row=number,
        arxiv_id=f"2611.{90000 + number}",
        title=title,
        title_hash=f"{number:016x}",
        ai_summary=summary,
        authors=authors,
        author_count=len(authors) if authors else None,
        published_on=date(2026, 11, 19),
        listed_at=AT - age,
        first_seen_at=AT - age,
        organization=organization,
        github=github,
    )


def sample_digest() -> Digest:
    """The whole sample, capped so that the line about what was left out shows too."""
    frame = Frame(
        due_at=AT,
        max_papers=5,
        more_url="https://papers.example.org/",
        footer=("48 of 48 checks ok, 61 papers seen, 6 told, 0 waiting",),
        votes=_CURVES,
    )
    return compose(sample_events(), frame, AT)


def sample_message(recipient: str = "reader@example.org") -> Message:
    """The sample as a message to one reader, with links."""
    return Message(
        key="msg_sample",
        channel="sample",
        batch="d:2026-11-21",
        recipient=recipient,
        digest=sample_digest(),
        links=Links(
            preferences="https://papers.example.org/preferences/token",
            unsubscribe="https://papers.example.org/unsubscribe/token",
        ),
    )


def sample_views() -> tuple[View, ...]:
    """What a template must be able to show: a full digest, an empty one, a notice, a letter."""
    empty = compose((), Frame(due_at=AT), AT)
    notice = compose(sample_events()[-1:], Frame(instant=True), AT)
    messages = [sample_message()] + [
        Message(key="msg_sample", channel="sample", batch="i:0", digest=digest)
        for digest in (empty, notice)
    ]
    letter = Letter(
        subject="Please confirm",
        lines=("This is a sample of a letter.",),
        link="https://papers.example.org/confirm/token",
        link_text="Confirm",
    )
    messages.append(Message(key="msg_sample", channel="sample", batch="i:1", letter=letter))
    return tuple(view_of(message) for message in messages)
