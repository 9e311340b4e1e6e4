"""From a page's bytes to what is judged of it: read, doubted, compared with its usual look.

Owns the order of these steps and how much looking a page gets: all of it happens on a thread,
on the critical path, so the dear comparison of island and cards is made only now and then, or
when something cheap is odd. Must not store or tell anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from isal import isal_zlib

from watcher import doubt, drift, readers
from watcher.agenda import Target
from watcher.archive import Keeper
from watcher.clock import to_unix
from watcher.drift import Finding, Portrait
from watcher.errors import ParseError
from watcher.model import PageKind, ReaderName, Snapshot, columns_of
from watcher.page import Page, Validators, unpack
from watcher.readers import Memo, Tag
from watcher.store import Records
from watcher.visit import Memory, Scrutiny, Seen

PROBED = 2
"""Cards read beside the island at a thorough look."""
THOROUGH = 300
"""Seconds between two thorough looks: at usual intervals every visit is one."""
_SHRUNK = 0.8
"""A page with fewer papers than this share of its last is looked at twice."""
COMPARE_EVERY = timedelta(hours=1)
"""Between two full comparisons of island and cards of one kind of page, while nothing is odd."""

_DIGITS = b"0123456789"
_encode = msgspec.json.Encoder().encode
_portrait = msgspec.json.Decoder(Portrait)


class Means(NamedTuple):
    """What a reading is given beside the page."""

    keeper: Keeper = Keeper()
    """Where odd pages are kept."""
    memo: Memo | None = None
    """The target's own: spares decoding what its last page said."""
    compare: bool = False
    """Whether island and cards are to be compared in full, though nothing seems odd."""


def read_page(
    page: Page, target: Target, memory: Memory, now: datetime, means: Means | None = None
) -> Seen:
    """Bytes to a snapshot, unless the page's data is that of the last judged visit.

    ``doubts`` in the answer say why a page must not be judged. Raises FetchError for a body
    that is cut or damaged, ParseError for a page that cannot be read.
    """
    means = means or Means()
    sent, page = page, unpack(page)
    tag = readers.find(page.body)
    span = tag.span if tag else None
    mark = None if span is None else _mark(memoryview(page.body)[slice(*span)])
    front = first_cards(page.body, span[1] if span else 0)
    fresh = Memory(
        validators=page.validators,
        island=mark,
        form=isal_zlib.crc32(front.translate(None, _DIGITS)),
        looked_at=memory.looked_at,
        read_at=to_unix(now),
        reference=memory.reference,
        portrait=memory.portrait,
    )
    if mark is not None and mark == memory.island:
        return _unchanged(page, memory, fresh, now, tag)
    look = Look(sent, page, target, means, front, tag)
    look.read(now)
    return _look(look, memory, fresh)


def _mark(island: memoryview) -> str:
    """What stands for an island's bytes from visit to visit."""
    return f"{isal_zlib.crc32(island):08x}{len(island):x}"


class Look:
    """A page while it is looked at."""

    __slots__ = ("front", "means", "page", "sent", "snapshot", "tag", "target")

    snapshot: Snapshot

    def __init__(
        self,
        sent: Page,
        page: Page,
        target: Target,
        means: Means,
        front: bytes,
        tag: Tag | None,
    ) -> None:
        self.sent = sent
        self.page = page
        self.target = target
        self.means = means
        self.front = front
        """See ``first_cards``."""
        self.tag = tag
        """The island's, if there is one."""

    def read(self, now: datetime) -> None:
        """Bytes to a snapshot; raises ParseError."""
        page, tag = self.page, self.tag
        try:
            snapshot = readers.parse(page.body, url=page.url, at=now, memo=self.means.memo, tag=tag)
        except ParseError as exc:
            exc.page = self.keep(str(exc))
            raise
        kind = self.target.kind
        if kind is not None and snapshot.kind is not kind:
            snapshot = msgspec.structs.replace(snapshot, kind=kind)
        self.snapshot = snapshot

    def keep(self, why: str) -> str | None:
        """Keep the page for a look."""
        odd = self.means.keeper.odd
        return None if odd is None else odd.put(self.sent, source=self.target.name, why=why)


def _look(look: Look, memory: Memory, fresh: Memory) -> Seen:
    """Doubt a page, then see whether it looks as usual."""
    snapshot, columns = look.snapshot, columns_of(look.snapshot)
    fills = readers.fill(snapshot, columns)
    known = portrait = portrait_of(memory)
    at = to_unix(snapshot.taken_at)
    if not snapshot.cards and (last := memory.reference) is not None:
        portrait = drift.emptied(known, at=at, read_at=last.at, had_papers=last.cards > 0)
    thorough = bool(portrait.drifts) or not 0 <= at - memory.looked_at < THOROUGH
    middles = drift.medians(snapshot, columns) if thorough else {}
    odd = drift.oddities(portrait, snapshot, fills, middles)
    agrees = thorough and _probe(look, same=fresh.form == memory.agreed)
    by_cards = None
    if (thorough and not agrees) or _wants_cards(look, memory, portrait, odd=bool(odd)):
        by_cards = _by_cards(look.page, snapshot, look.tag)
    seen_twice = None if isinstance(by_cards, str) else by_cards
    reference = doubt.reference_of(snapshot, columns)
    doubts = doubt.contradictions(
        snapshot, memory.reference, seen_twice, columns=columns, fresh=reference
    )
    if doubts:
        return Seen(memory=memory, snapshot=snapshot, doubts=doubts, page=look.keep(doubts[0]))
    if thorough or odd or by_cards is not None:
        scrutiny = scrutinise(
            portrait, snapshot, fills, odd=odd, by_cards=by_cards, middles=middles or None
        )
    else:
        scrutiny = Scrutiny(portrait=portrait, changed=False)
    if portrait != known:
        scrutiny = msgspec.structs.replace(scrutiny, changed=True)
    kept = None
    if look.means.keeper.pages is not None:
        kept = look.means.keeper.pages.put(look.sent, source=look.target.name)
    if scrutiny.tell or any(f.name not in portrait.drifts for f in scrutiny.findings):
        odd_one = scrutiny.findings[0]
        kept = look.keep(f"{odd_one.name} {odd_one.what.replace('|', '')}") or kept
    memory = msgspec.structs.replace(
        fresh,
        # An island that told nothing stays the same while the cards, which did, change.
        island=fresh.island if snapshot.reader is ReaderName.ISLAND else None,
        reference=reference,
        portrait=_encode(scrutiny.portrait) if scrutiny.portrait != known else memory.portrait,
        looked_at=at if thorough else memory.looked_at,
        agreed=fresh.form if agrees else memory.agreed,
    )
    return Seen(memory=memory, snapshot=snapshot, scrutiny=scrutiny, page=kept, fills=fills)


def scrutinise(
    portrait: Portrait,
    snapshot: Snapshot,
    fills: Mapping[str, int],
    *,
    odd: Sequence[Finding] = (),
    by_cards: Snapshot | str | None = None,
    middles: Mapping[str, float] | None = None,
) -> Scrutiny:
    """Follow what is odd about a page from visit to visit, and learn what is not.

    ``middles`` are the snapshot's medians, where the caller has them already.
    """
    at = to_unix(snapshot.taken_at)
    findings = [*odd]
    # A list of a few papers, as each midnight begins one, proves no drift and heals none.
    looked = {"page", "papers"} if len(snapshot.cards) >= drift.LEAST else {"papers"}
    if by_cards is not None:
        findings += drift.cards_oddities(snapshot, by_cards)
        looked.add("cards")
    after, tell, healed = drift.follow(portrait, findings, at=at, looked=frozenset(looked))
    after = drift.learn(after, snapshot, fills, [finding.name for finding in odd], middles)
    return Scrutiny(
        portrait=after,
        changed=drift.is_to_be_stored(portrait, after),
        findings=tuple(findings),
        tell=tell,
        healed=healed,
    )


def _wants_cards(look: Look, memory: Memory, portrait: Portrait, *, odd: bool) -> bool:
    """Whether island and cards are to be compared in full, though the first cards agree: dear,
    several times all the rest."""
    snapshot = look.snapshot
    if snapshot.reader is not ReaderName.ISLAND or not snapshot.cards:
        return False
    if (
        odd
        or portrait.must_compare
        or _is_cut(look.page.body)
        or (memory.reference is None and portrait.pages)
    ):
        return True
    if memory.reference is not None and len(snapshot.cards) < _SHRUNK * memory.reference.cards:
        return True
    return look.means.compare


def _probe(look: Look, *, same: bool) -> bool:
    """Whether the first cards say what the island says of them.

    A tree of them is built only when more than digits has changed since they last did (not
    ``same``), or when the votes that the island has are not among their texts.
    """
    snapshot, front = look.snapshot, look.front
    if snapshot.reader is not ReaderName.ISLAND or not snapshot.cards:
        return True
    if front.count(b"</article>") < PROBED:
        return False
    if same and _shows_votes(front, snapshot):
        return True
    try:
        few = readers.parse(front, url=look.page.url, at=snapshot.taken_at, reader=ReaderName.CARDS)
    except ParseError:
        return False
    return drift.probe_agrees(few.cards, snapshot, few.shows)


def _shows_votes(first: bytes, snapshot: Snapshot) -> bool:
    return all(b">%d<" % (card.upvotes or 0) in first for card in snapshot.cards[:PROBED])


def _by_cards(page: Page, snapshot: Snapshot, tag: Tag | None) -> Snapshot | str:
    """What the cards say, or why they cannot be read. The island, half of the page, is cut out
    before: the cards do not know it, and a tree of it costs time and memory."""
    span = tag.span if tag else None
    body = page.body[: span[0]] + page.body[span[1] :] if span else page.body
    try:
        return readers.parse(body, url=page.url, at=snapshot.taken_at, reader=ReaderName.CARDS)
    except ParseError as exc:
        return str(exc)


def _unchanged(page: Page, memory: Memory, fresh: Memory, now: datetime, tag: Tag | None) -> Seen:
    """The island is what it was; are the cards?"""
    portrait = portrait_of(memory)
    same = memory.form in (0, fresh.form)
    if same and not portrait.must_compare and not _is_cut(page.body):
        return still(fresh, now)
    try:
        snapshot = readers.parse(page.body, url=page.url, at=now)
    except ParseError:
        return still(fresh, now)
    return still(fresh, now, drift.cards_oddities(snapshot, _by_cards(page, snapshot, tag)))


def still(memory: Memory, now: datetime, on_cards: tuple[Finding, ...] | None = None) -> Seen:
    """A page that is what it was: as odd as it was, and new only in its cards (``on_cards``)."""
    if not memory.read_at:
        memory = msgspec.structs.replace(memory, read_at=to_unix(now))
    if memory.reference is not None:
        reference = msgspec.structs.replace(memory.reference, at=to_unix(now))
        memory = msgspec.structs.replace(memory, reference=reference)
    portrait = portrait_of(memory)
    if on_cards is None and not portrait.is_pending:
        return Seen(memory=memory)
    findings = [
        Finding(name=name, what=odd.what)
        for name, odd in portrait.drifts.items()
        if ":" not in name or on_cards is None
    ]
    findings += on_cards or ()
    looked = frozenset(("page",) if on_cards is None else ("page", "cards"))
    after, tell, healed = drift.follow(portrait, findings, at=to_unix(now), looked=looked)
    scrutiny = Scrutiny(
        portrait=after, changed=True, findings=tuple(findings), tell=tell, healed=healed
    )
    memory = msgspec.structs.replace(memory, portrait=_encode(after))
    return Seen(memory=memory, scrutiny=scrutiny)


def _is_cut(body: bytes) -> bool:
    """Whether an HTML page ends before its end."""
    return b"<html" in body[:2_000] and b"</html" not in body[-4_000:]


def recall(records: Records, name: str, url: str, context: str) -> Memory:
    """What the store remembers of a target's last judged page.

    Nothing if that page had another ``url``, and its validators only if they were stored under
    these rules and readers (``context``).
    """
    state = records.sources.state(name)
    if state is None or state.last_ok_at is None or state.url != url:
        return Memory()
    memory = Memory(portrait=records.care.portrait(state.id))
    reference = doubt.remembered_reference(
        to_unix(state.last_ok_at),
        records.care.last_page(state.id),
        kind=PageKind(state.kind) if state.kind else None,
        listed_on=portrait_of(memory).listed_on,
    )
    valid = state.context == context
    read_at = records.sources.last_read(state.id)
    return msgspec.structs.replace(
        memory,
        read_at=to_unix(read_at) if read_at else 0,
        reference=reference,
        island=state.island_hash if valid else None,
        validators=Validators(
            etag=state.etag if valid else None,
            last_modified=state.last_modified if valid else None,
        ),
    )


def portrait_of(memory: Memory) -> Portrait:
    """The portrait a memory holds; an empty one for a new source or one of another version."""
    if not memory.portrait:
        return Portrait()
    try:
        return _portrait.decode(memory.portrait)
    except msgspec.MsgspecError:
        return Portrait()


def first_cards(body: bytes, behind: int) -> bytes:
    """The first cards of a page as they are written; empty when there are none.

    ``behind`` is a place that usually lies before them: the end of the island.
    """
    start = body.find(b"<article", behind)
    end = start = body.find(b"<article", 0, behind) if start < 0 else start
    for _ in range(PROBED if start >= 0 else 0):
        closing = body.find(b"</article>", end)
        if closing < 0:
            break
        end = closing + 10
    return body[start:end]
