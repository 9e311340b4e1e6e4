"""Drift: does a source's page still look as it used to?

Owns what is usual of each field (the share of cards that carry it, the size of its values),
the comparison of island, cards and API, and the life of a drift from its first sight to its
end. Pure: snapshots, the source's portrait and ``now`` go in. Must not read pages, store
anything or tell anyone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

from watcher.clock import to_unix
from watcher.identity import normalise_title
from watcher.model import Card, Columns, PageKind, ReaderName, Snapshot, Value, columns_of

DAY = 86_400
LEAST = 5
"""Fewer papers than this prove nothing."""
TELL_AFTER = 2
"""Visits in a row that see a drift before it is told."""
EMPTY_AFTER = 8 * DAY
"""A list that had papers has had none for longer: no weekend, and no holiday that was seen."""
ADOPT_AFTER = 14 * DAY
"""A drift that lasts so long is how the page looks now."""

YOUNG, STORED_EVERY = 48, 16
"""Pages: of younger portraits every one is stored, of older ones each sixteenth."""

_CREEP = 0.01
"""How fast the usual follows what is seen, per page."""
_LATE_FIELDS = frozenset(("ai_summary", "keywords"))
"""Written by machines some hours after a paper is listed: empty at dawn, and no fault."""
_NEVER_MEASURED = frozenset(("rank", "title", "paper_id"))
_NUMBERS = ("upvotes", "comments", "stars")
_LENGTHS = ("title", "abstract")
_LATE = _LATE_FIELDS.union(_NUMBERS)
"""What is missing or small on papers of the first day."""
_SUBJECTS = {"cards": "the cards", "reader": "the page is"}
_COMPARED = frozenset(
    ("upvotes", "comments", "stars", "github", "organization", "submitted_by", "published_on")
)


# --- the usual look of a source's pages ------------------------------------------------------


class Habit(msgspec.Struct, frozen=True, array_like=True):
    """How a field usually is on a source's pages."""

    low: float
    """The lowest usual share of cards that carry it."""
    since: int
    """Unix seconds of the first page it was measured on."""
    least: float | None = None
    most: float | None = None
    """Between these the page's median usually lies: a count, or the length of a text."""


class Drift(msgspec.Struct, frozen=True, array_like=True):
    """A field that is not as usual, from its first sight on."""

    since: int
    """Unix seconds."""
    seen: int
    """Visits in a row."""
    told: bool
    what: str
    """``missing on 80 % of cards| (usually 4 %)``; the time is put where the bar stands."""


class Portrait(Value, frozen=True, kw_only=True):
    """What a source's pages usually look like, and what is odd about them now.

    Drifts are named ``field`` for the page as it is judged, ``cards:field`` for the cards
    beside an island, ``api:field`` for the API.
    """

    reader: ReaderName | None = None
    pages: int = 0
    listed_on: date | None = None
    filled_on: int = 0
    """Unix seconds of the begin of the last day with papers, later by the time in which nobody
    read it since; 0: none yet."""
    habits: Mapping[str, Habit] = {}
    drifts: Mapping[str, Drift] = {}

    @property
    def is_pending(self) -> bool:
        """Whether a drift waits for the visit that confirms it."""
        return any(not drift.told for drift in self.drifts.values())

    @property
    def must_compare(self) -> bool:
        """Whether something about the cards is odd, so that each visit looks at them."""
        return any(name.startswith("cards:") for name in self.drifts)


class Finding(Value, frozen=True, kw_only=True):
    """Something that is not as usual on one page."""

    name: str
    """As in ``Portrait.drifts``."""
    what: str


def medians(snapshot: Snapshot, columns: Columns | None = None) -> dict[str, float]:
    """The middle count, or the middle length of a text, of the cards that carry it."""
    columns = columns or columns_of(snapshot)
    found = {}
    for field in (*_NUMBERS, *_LENGTHS):
        if field not in snapshot.shows:
            continue
        values = [value for value in columns[field] if value is not None]
        if len(values) >= LEAST:
            sized = sorted(map(len, values) if field in _LENGTHS else values)
            found[field] = float(sized[len(sized) // 2])
    return found


def oddities(
    portrait: Portrait,
    snapshot: Snapshot,
    fills: Mapping[str, int],
    middles: Mapping[str, float] | None = None,
) -> tuple[Finding, ...]:
    """Fields of a page that are not as usual: filled on far fewer cards, or of another size.

    ``fills`` says how many cards carry each field, ``middles`` are the snapshot's ``medians``
    (``None``: not known yet; those that are left out are not looked at). A page that another
    reader had to read is odd as a whole, under the name ``reader``; a list that stays empty is,
    under the name ``papers``.
    """
    empty = 0 if snapshot.cards else to_unix(snapshot.taken_at) - portrait.filled_on
    if portrait.filled_on and empty > EMPTY_AFTER:
        return (Finding(name="papers", what=f"missing| (none for {empty // DAY} days)"),)
    if len(snapshot.cards) < LEAST or portrait.reader is None:
        return ()
    if portrait.reader is not snapshot.reader:
        what = f"read by its {snapshot.reader}| (usually by its {portrait.reader})"
        return (Finding(name="reader", what=what),)
    now, cards = to_unix(snapshot.taken_at), len(snapshot.cards)
    early = _LATE.difference(portrait.drifts) if _has_just_begun(snapshot) else ()
    found = []
    for field, habit in portrait.habits.items():
        if field in _NEVER_MEASURED or (field in _LATE_FIELDS and field in early):
            continue
        share = fills.get(field, 0) / cards
        if _has_emptied(field, habit, share, snapshot, now):
            what = f"missing on {1 - share:.0%} of cards| (usually {1 - habit.low:.0%})"
            found.append(Finding(name=field, what=what))
    for field, median in (medians(snapshot) if middles is None else middles).items():
        usual = portrait.habits.get(field)
        if field not in early and usual is not None and _is_out_of_range(field, usual, median, now):
            unit = " characters" if field in _LENGTHS else ""
            what = f"of {median:g}{unit} on average| (usually {usual.least:g} to {usual.most:g})"
            found.append(Finding(name=field, what=what))
    return tuple(found)


def emptied(portrait: Portrait, *, at: int, read_at: int, had_papers: bool) -> Portrait:
    """The portrait of a list that is empty at ``at``, when it was last read at ``read_at``.

    What a list held while nobody read it is unknown: such a time counts as a day at most.
    """
    if not portrait.filled_on:
        return portrait
    since = max(portrait.filled_on, read_at) if had_papers else portrait.filled_on
    return msgspec.structs.replace(portrait, filled_on=since + max(at - read_at - DAY, 0))


def _has_just_begun(snapshot: Snapshot) -> bool:
    """Whether it is the list of a week or month of which most papers came within a day."""
    if snapshot.kind not in (PageKind.WEEK, PageKind.MONTH):
        return False
    yesterday = snapshot.taken_at - timedelta(days=1)
    listed = [card.listed_at for card in snapshot.cards if card.listed_at is not None]
    return sum(at > yesterday for at in listed) > len(snapshot.cards) / 2


def _has_emptied(field: str, habit: Habit, share: float, snapshot: Snapshot, now: int) -> bool:
    """Far below the lowest usual share; a field that is often empty needs a day's knowledge."""
    sure = habit.low >= 0.9 and field not in _LATE_FIELDS
    if not sure and now - habit.since < DAY:
        return False
    cards = len(snapshot.cards)
    noise = math.sqrt(max(habit.low * (1 - habit.low), 0.01) / cards)
    return share < 0.5 * habit.low and habit.low - share > max(3 * noise, 3 / cards)


def _is_out_of_range(field: str, habit: Habit, median: float, now: int) -> bool:
    if habit.least is None or habit.most is None:
        return False
    if field in _LENGTHS:
        return median > 4 * habit.most + 20 or median < habit.least / 4
    # Counts begin small each dawn: a day must be known, and zero is as good as one.
    if now - habit.since < DAY:
        return False
    return median > 20 * max(habit.most, 1) or max(median, 1) < habit.least / 20


def cards_oddities(snapshot: Snapshot, by_cards: Snapshot | str) -> tuple[Finding, ...]:
    """What the cards of a page lack or say otherwise than its island.

    ``by_cards`` is the error when the cards could not be read at all.
    """
    if isinstance(by_cards, str):
        return (Finding(name="cards:cards", what=f"cannot be read ({by_cards})"),)
    theirs = {card.paper_id: card for card in by_cards.cards if card.paper_id}
    ours = [card for card in snapshot.cards if card.paper_id]
    both = [(card, by) for card in ours if (by := theirs.get(card.paper_id or ""))]
    found = []
    if len(ours) >= LEAST and len(both) < 0.7 * len(ours):
        gone = 1 - len(both) / len(ours)
        found.append(Finding(name="cards:cards", what=f"missing for {gone:.0%} of the papers"))
    for field in sorted((snapshot.shows & by_cards.shows) - _NEVER_MEASURED):
        finding = _field_on_cards(field, both, rounded=field in by_cards.rounded)
        if finding is not None:
            found.append(finding)
    return tuple(found)


def _field_on_cards(
    field: str, both: Sequence[tuple[Card, Card]], *, rounded: bool
) -> Finding | None:
    if field not in _COMPARED:
        return None
    # A card shows no zero: no comments and no stars are simply not there.
    pairs = [
        (a, b) for card, by in both if (a := getattr(card, field)) for b in (_shown(by, field),)
    ]
    if len(pairs) < LEAST - 1:
        return None
    missing = sum(b is None for _, b in pairs)
    other = sum(b is not None and not _agree(a, b, rounded=rounded) for a, b in pairs)
    for count, word in ((missing, "missing"), (other, "different")):
        if count >= LEAST - 1 and count > 0.3 * len(pairs):
            return Finding(
                name=f"cards:{field}", what=f"{word} on {count / len(pairs):.0%} of cards"
            )
    return None


def _shown(card: Card, field: str) -> object:
    return 0 if field == "upvotes" and card.dashed else getattr(card, field)


def _agree(ours: object, theirs: object, *, rounded: bool) -> bool:
    if rounded and isinstance(ours, int) and isinstance(theirs, int):
        return bool(abs(ours - theirs) <= 10 ** max(len(str(theirs)) - 3, 0))
    return ours == theirs


def probe_agrees(cards: Sequence[Card], snapshot: Snapshot, shows: frozenset[str]) -> bool:
    """Whether a few cards, read from a piece of the page, say what the island says of them.

    Cheap and strict: False only asks for the full comparison.
    """
    ours = {card.paper_id: card for card in snapshot.cards if card.paper_id}
    for theirs in cards:
        mine = ours.get(theirs.paper_id or "")
        if mine is None or normalise_title(mine.title) != normalise_title(theirs.title):
            return False
        for field in _COMPARED & snapshot.shows & shows:
            value = getattr(mine, field)
            if value and not _agree(value, _shown(theirs, field), rounded=field == "stars"):
                return False
    return bool(cards)


# --- remembering -----------------------------------------------------------------------------


def learn(
    portrait: Portrait,
    snapshot: Snapshot,
    fills: Mapping[str, int],
    odd: Iterable[str] = (),
    middles: Mapping[str, float] | None = None,
) -> Portrait:
    """The portrait after one more judged page; what is odd now does not become usual.

    ``odd`` names the fields found odd on this page, ``middles`` are the snapshot's ``medians``
    if they are known already. What another reader than usual shows is not learnt.
    """
    at = to_unix(snapshot.taken_at)
    odd = frozenset(odd).union(_LATE if _has_just_begun(snapshot) else ())
    if snapshot.cards and at - portrait.filled_on >= DAY:
        portrait = msgspec.structs.replace(portrait, filled_on=at - at % DAY)
    if len(snapshot.cards) < LEAST or "reader" in odd:
        return msgspec.structs.replace(portrait, listed_on=snapshot.listed_on)
    cards, middles = len(snapshot.cards), medians(snapshot) if middles is None else middles
    habits = dict(portrait.habits)
    for field in fills:
        if field not in odd and field not in ("rank", "paper_id"):
            share = fills[field] / cards
            habits[field] = _lived(habits.get(field), share, middles.get(field), at)
    return msgspec.structs.replace(
        portrait,
        reader=snapshot.reader,
        pages=portrait.pages + 1,
        listed_on=snapshot.listed_on,
        habits=habits,
    )


def is_to_be_stored(before: Portrait, after: Portrait) -> bool:
    """Whether a portrait is worth a write: while it is young, when more than its habits changed,
    and else now and then. What a restart forgets of habits is soon learnt again."""
    if after == before:
        return False
    if after.pages < YOUNG or after.pages % STORED_EVERY == 0:
        return True
    habits = {"pages": before.pages, "habits": before.habits}
    return msgspec.structs.replace(after, **habits) != before


def _lived(habit: Habit | None, share: float, median: float | None, at: int) -> Habit:
    if habit is None:
        return Habit(round(share, 3), at, median, median)
    low = share if share < habit.low else habit.low + _CREEP * (share - habit.low)
    least, most = habit.least, habit.most
    if median is not None:
        least = median if least is None else min(median, least + _CREEP * (median - least))
        most = median if most is None else max(median, most + _CREEP * (median - most))
    return Habit(round(low, 3), habit.since, _short(least), _short(most))


def _short(value: float | None) -> float | None:
    """Three digits are enough, and keep the stored portrait from changing with every page."""
    return None if value is None else float(f"{value:.3g}")


def follow(
    portrait: Portrait, findings: Iterable[Finding], *, at: int, looked: frozenset[str]
) -> tuple[Portrait, tuple[str, ...], tuple[str, ...]]:
    """Follow drifts from visit to visit: the new portrait, the names to tell, the names healed.

    ``looked`` says what this visit looked at: ``page``, ``papers`` (whether there are any),
    ``cards``, ``api``. A drift is told once, when it was seen twice in a row, and its end when
    it had been told. One that lasts two weeks is the usual from then on, without a word.
    """
    found = {finding.name: finding.what for finding in findings}
    drifts: dict[str, Drift] = {}
    tell, healed, adopted = [], [], set()
    for name, drift in portrait.drifts.items():
        if name not in found and _place_of(name) in looked:
            if drift.told:
                healed.append(name)
        elif at - drift.since > ADOPT_AFTER:
            adopted.add(name)
        elif name not in found:
            drifts[name] = drift
    for name, what in found.items():
        if name in adopted:
            continue
        before = portrait.drifts.get(name)
        seen = 1 if before is None else before.seen + 1
        told = before is not None and before.told
        if seen >= TELL_AFTER and not told:
            tell.append(name)
            told = True
        since = at if before is None else before.since
        drifts[name] = Drift(since, min(seen, TELL_AFTER), told, what)
    portrait = _adopt(portrait, adopted)
    return msgspec.structs.replace(portrait, drifts=drifts), tuple(tell), tuple(healed)


def _adopt(portrait: Portrait, names: set[str]) -> Portrait:
    """The portrait without what some drifts were held against: it is learnt anew."""
    if "reader" in names:
        portrait = msgspec.structs.replace(portrait, reader=None, habits={})
    if "papers" in names:
        portrait = msgspec.structs.replace(portrait, filled_on=0)
    habits = {name: h for name, h in portrait.habits.items() if name not in names}
    return msgspec.structs.replace(portrait, habits=habits)


def _place_of(name: str) -> str:
    if name == "papers":
        return name  # one is enough to heal it, which proves nothing of the rest
    return name.partition(":")[0] if ":" in name else "page"


def describe(portrait: Portrait, names: Iterable[str], *, local: datetime) -> str:
    """``stars missing on 80 % of cards since 09:10; island used, digests not affected``.

    ``local`` is now, in the zone in which times are told.
    """
    names, parts, places = sorted(names), [], set()
    for name in names:
        drift = portrait.drifts[name]
        place = _place_of(name)
        places.add(place)
        field = name.partition(":")[2] or name
        since = datetime.fromtimestamp(drift.since, local.tzinfo)
        when = f"{since:%H:%M}" if since.date() == local.date() else f"{since:%d %b %H:%M}"
        what, _, usual = drift.what.replace("%", " %").partition("|")
        said = f"{_SUBJECTS.get(field, field)} {what}{' by the API' if place == 'api' else ''}"
        parts.append(f"{said} since {when}{usual}")
    return f"{', '.join(parts)}; {_consequence(places, names)}"


def _consequence(places: set[str], names: Iterable[str]) -> str:
    if "reader" in names:
        return "what it does not show counts as unknown, and rules that need it wait"
    if "papers" in names:
        return "nothing new can be told of it"
    if "page" in places:
        return "the last known values are used, rules that need newer ones wait"
    if places == {"cards"}:
        return "island used, digests not affected"
    return "the page's own values are used"
