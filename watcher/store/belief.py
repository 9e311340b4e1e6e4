"""Which counts of a card are believed.

Owns the table ``falls`` and the rules of belief: a rounded count that agrees with an exact one is
no news, and one that fell far waits until three visits have seen it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from watcher.model import Card
from watcher.store.trail import Known

Seen = tuple[int | None, int | None, int | None]
"""(upvotes, comments, stars)"""
NOTHING: Seen = (None, None, None)


class Falls:
    """Counts of one source that fell by more than three and are not believed yet."""

    def __init__(
        self, conn: sqlite3.Connection, source: int, seen: dict[tuple[int, str], int]
    ) -> None:
        self._conn = conn
        self._source = source
        self._seen = seen
        self.doubted = False
        """Whether this visit saw one."""

    def __bool__(self) -> bool:
        return bool(self._seen)

    def see(self, paper: int, field: str, value: int, before: int) -> int:
        """The count to believe of a fall: the old one, until the third visit in a row."""
        times = self._seen.get((paper, field), 0) + 1
        if times >= 3:
            self.forget(paper, field)
            return value
        self._seen[paper, field] = times
        self.doubted = True
        self._conn.execute(
            "insert into falls (paper, source, field, seen) values (?, ?, ?, ?)"
            " on conflict do update set seen = excluded.seen",
            (paper, self._source, field, times),
        )
        return before

    def forget(self, paper: int, field: str) -> None:
        """The count is back, or believed."""
        if self._seen.pop((paper, field), None) is not None:
            self._conn.execute(
                "delete from falls where paper = ? and source = ? and field = ?",
                (paper, self._source, field),
            )


def believe(
    paper: Known, card: Card, last: Seen | None, *, rounded: frozenset[str], falls: Falls
) -> tuple[Seen, bool]:
    """A card's counts as they are to be stored, and whether they say anything new.

    ``last`` is what the card's source showed before, ``rounded`` names the fields that its page
    abbreviates.
    """
    upvotes = card.upvotes
    if upvotes is None and card.dashed and paper.listed_at is not None:
        upvotes = 0
    shown = (upvotes, card.comments, card.stars)
    if not (falls or rounded or (last and any(map(_is_doubtful, shown, last)))):
        return shown, shown != last
    seen = _believed(paper, shown, last or NOTHING, rounded, falls)
    if last is None or _differs(seen, last, rounded):
        return seen, True
    return last, False  # a rounded count that agrees is the exact one


def _is_doubtful(now: int | None, before: int | None) -> bool:
    """Whether a count that is exact is not simply to be believed: it is gone, or fell far."""
    return before is not None and (now is None or now < before - 3)


def _believed(paper: Known, shown: Seen, last: Seen, rounded: frozenset[str], falls: Falls) -> Seen:
    """A count that a rounded page cannot contradict keeps its exact value; one that fell by
    more than three is not believed until three visits have seen it."""
    seen = list(shown)
    for i, field in enumerate(("upvotes", "comments", "stars")):
        value, before = shown[i], last[i]
        if value is None:
            # A source that has shown a count and now does not: its last holds.
            seen[i] = before
            continue
        exact = getattr(paper, field) if rounded else None
        if field in rounded and exact is not None and agrees(value, exact):
            seen[i] = exact
        elif before is not None and value < before - 3:
            seen[i] = falls.see(paper.row, field, value, before)
        elif falls:
            falls.forget(paper.row, field)
    return seen[0], seen[1], seen[2]


def agrees(rounded: int, exact: int) -> bool:
    """True when a count abbreviated to three digits can stand for an exact one."""
    if rounded == exact:
        return True
    step: int = 10 ** max(len(str(rounded)) - 3, 0)
    return step > 1 and abs(rounded - exact) < step


def _differs(
    seen: Sequence[int | None], last: Sequence[int | None], rounded: frozenset[str]
) -> bool:
    if seen[0] != last[0] or seen[1] != last[1]:
        return True
    now, then = seen[2], last[2]
    if now == then or now is None or then is None:
        return now != then
    return "stars" not in rounded or not agrees(now, then)
