"""Island against cards: do both readers see the same page?

Owns which fields must agree. Must not decide what to do about it: a difference is a warning.
"""

from __future__ import annotations

from watcher.model import Card, Snapshot

NAMED = 5
"""How many papers a warning names before it counts the rest."""

_EXACT = ("title", "upvotes", "comments", "submitted_by", "organization", "github", "author_count")


def differences(island: Snapshot, cards: Snapshot) -> tuple[str, ...]:
    """One warning per kind of disagreement, naming the papers; empty when both agree."""
    ours = {card.paper_id: card for card in island.cards if card.paper_id}
    theirs = {card.paper_id: card for card in cards.cards if card.paper_id}
    found: list[str] = []
    if only := [name for name in ours if name not in theirs]:
        found.append(f"in the island but not among the cards: {_named(only)}")
    if only := [name for name in theirs if name not in ours]:
        found.append(f"among the cards but not in the island: {_named(only)}")
    both = [name for name in ours if name in theirs]
    if not found and both != [name for name in theirs if name in ours]:
        found.append("island and cards have another order")
    for field in (*_EXACT, "stars"):
        if field in island.shows and field in cards.shows:
            differ = [name for name in both if not _agree(field, ours[name], theirs[name], cards)]
            if differ:
                found.append(f"island and cards differ in {field}: {_named(differ)}")
    return tuple(found)


def _named(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _agree(field: str, ours: Card, theirs: Card, cards: Snapshot) -> bool:
    one: int | str | None = getattr(ours, field)
    other: int | str | None = getattr(theirs, field)
    if field == "upvotes" and theirs.dashed:
        return not one
    if field in cards.rounded and isinstance(one, int) and isinstance(other, int):
        return abs(one - other) <= int(10 ** max(len(str(other)) - 3, 0))
    if field == "comments":
        return (one or 0) == (other or 0)  # cards without any write nothing
    return one == other
