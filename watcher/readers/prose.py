"""Which paragraphs of a text dump are titles, which are abstracts.

Owns the split of running paragraphs into papers where nothing but their form tells them apart:
titles are short and do not end in a full stop, abstracts are long and are made of sentences,
and each title is followed by its abstract. Knows nothing of dates, counts or chrome.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum

_SENTENCE_BREAK = re.compile(r"[.!?][\"')\]]*\s+[\"'(\[]?[A-Z0-9]")
_EVEN_LENGTH = 160
"""At this length a paragraph may as well be a long title as a short abstract."""

_TWO_PARAGRAPHS = 3.0
"""What an abstract in two paragraphs must be worth."""

_NO_ABSTRACT = 4.5
"""What a title without an abstract must be worth."""

_LOST = 5.0
"""What must speak against reading a paragraph before it is dropped; little if it is short."""

_SHORT_JUNK = 40
_SHORT_SENTENCE = -0.8
"""A short paragraph with a full stop rather begins an abstract than makes junk of its title."""


class Role(IntEnum):
    """What a paragraph is."""

    JUNK = 0
    TITLE = 1
    ABSTRACT = 2


def roles(paragraphs: Sequence[str], *, complete: bool) -> list[Role]:
    """The likeliest roles of paragraphs in a row, by the cheapest path (Viterbi).

    ``complete`` says that a card's foot follows the last one, which therefore belongs to a
    card; otherwise the row may end in the page's own words.
    """
    if not paragraphs:
        return []
    costs: dict[Role, float] = {
        Role.JUNK: _emission(Role.JUNK, paragraphs[0]),
        Role.TITLE: _emission(Role.TITLE, paragraphs[0]),
        Role.ABSTRACT: _emission(Role.ABSTRACT, paragraphs[0]) + _LOST,
    }
    back: list[dict[Role, Role]] = []
    for paragraph in paragraphs[1:]:
        best = {role: _best_before(costs, role) for role in Role}
        costs = {
            role: costs[best[role]] + _step(best[role], role) + _emission(role, paragraph)
            for role in Role
        }
        back.append(best)
    role = min(Role, key=lambda last: costs[last] + _ending(last, complete))
    path = [role]
    for best in reversed(back):
        role = best[role]
        path.append(role)
    return path[::-1]


def _best_before(costs: dict[Role, float], role: Role) -> Role:
    return min(Role, key=lambda before: costs[before] + _step(before, role))


def _emission(role: Role, paragraph: str) -> float:
    if role is Role.JUNK:
        return 1.0 if len(paragraph) <= _SHORT_JUNK else _LOST
    likeness = abstract_likeness(paragraph)
    return max(0.0, likeness if role is Role.TITLE else -likeness)


def _step(before: Role, after: Role) -> float:
    if before is Role.TITLE and after is not Role.ABSTRACT:
        return _NO_ABSTRACT
    if before is after is Role.ABSTRACT:
        return _TWO_PARAGRAPHS
    if before is Role.JUNK and after is Role.ABSTRACT:
        return _LOST
    return 0.0


def _ending(last: Role, complete: bool) -> float:
    if last is Role.TITLE:
        return _NO_ABSTRACT
    return _LOST if last is Role.JUNK and complete else 0.0


def abstract_likeness(paragraph: str) -> float:
    """Above zero for an abstract, below for a title; the size says how sure."""
    score = min(max((len(paragraph) - _EVEN_LENGTH) / 40, -3.0), 6.0)
    if paragraph.endswith((".", "。")):
        score = max(score, _SHORT_SENTENCE) + 3.0
    elif len(paragraph) < 250:
        score -= 1.0
    if _SENTENCE_BREAK.search(paragraph):
        score += 1.5
    if "://" in paragraph:
        score += 3.0
    return score
