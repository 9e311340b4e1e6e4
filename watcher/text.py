"""Untrusted words made fit to be shown: titles, names and reasons come from the open web.

Owns cleaning, clipping and the small typographic forms that mail, chat and pages share.
Must not escape for any one medium (each does that for itself), do I/O or read a clock.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"

_JOINERS = "\u200c\u200d"
"""Zero-width (non-)joiners: invisible, but letters of several scripts and emoji need them."""
_BLANK = re.compile(r"\s+")


def clean(text: str) -> str:
    """One line of ``text`` without anything invisible that acts.

    Controls, line and paragraph separators become spaces, lone surrogates U+FFFD; marks that
    turn the direction of writing and other format characters vanish, joiners stay.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    return _BLANK.sub(" ", "".join(map(_shown, text))).strip()


def _shown(char: str) -> str:
    category = unicodedata.category(char)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    if category == "Cs":
        return "\ufffd"
    if category in ("Cf", "Co", "Cn") and char not in _JOINERS:
        return ""
    return char


def clip(text: str, limit: int) -> str:
    """At most ``limit`` characters; what is longer ends at a word, with an ellipsis."""
    if len(text) <= limit:
        return text
    kept = text[: max(limit - 1, 0)]
    at_word = kept.rpartition(" ")[0]
    if len(at_word) >= limit // 2:
        kept = at_word
    return kept.rstrip(" ,;:.-–—\u200d\u200c") + "…"


def name_authors(authors: Sequence[str] | None, count: int | None = None, shown: int = 3) -> str:
    """``A, B and C``, or ``A, B, C et al. (12 authors)``; empty when nobody is known.

    ``count`` is how many there really are, where the page names only some.
    """
    names = [name for name in map(clean, authors or ()) if name]
    total = max(count or 0, len(names))
    if not names:
        return f"{total} authors" if total > 1 else ""
    if total > len(names[:shown]) + (1 if total == len(names) else 0):
        return f"{', '.join(names[:shown])} et al. ({total} authors)"
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def draw_votes(votes: Sequence[int], width: int = 16) -> str:
    """A line of block characters, low to high; empty when there is no curve to show.

    The lowest block is zero votes or the smallest value when all are far from zero.
    """
    if len(votes) < 2:
        return ""
    if len(votes) > width:
        last = len(votes) - 1
        votes = [votes[round(i * last / (width - 1))] for i in range(width)]
    low, high = min(votes), max(votes)
    low = 0 if low * 2 < high else low
    span = high - low
    if span <= 0:
        return BLOCKS[0] * len(votes)
    return "".join(BLOCKS[round((vote - low) * (len(BLOCKS) - 1) / span)] for vote in votes)


def count_of(number: int, noun: str) -> str:
    """``1 paper``, ``12 papers``, ``1,204 papers``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
