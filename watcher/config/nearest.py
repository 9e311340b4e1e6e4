"""The known name that somebody probably meant.

Owns the guess. Must not know what the names stand for.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``word`` regardless of case, or None if none is close."""
    by_fold = {name.casefold(): name for name in sorted(known)}
    found = get_close_matches(word[:100].casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None
