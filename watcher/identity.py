"""Names that outlive a process: of papers, events, batches and messages.

Pure. Every name here is derived from what it names, never random: after losing the last
transaction in a crash, the same work done again gives the same names, and a consumer can
tell a repeat from news.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable


def normalise_title(title: str) -> str:
    """Fold a title to its letters and digits, case- and accent-free, single-spaced."""
    folded = unicodedata.normalize("NFKD", title).casefold()
    kept = "".join(c if c.isalnum() else " " for c in folded if not unicodedata.combining(c))
    return " ".join(kept.split())


def title_hash(title: str) -> str:
    """Sixteen hex digits that name a paper known only by its title."""
    return digest_of(normalise_title(title))


def digest_of(*parts: str, length: int = 16) -> str:
    """``length`` hex digits of the SHA-256 of the parts, unambiguously joined."""
    joined = "\x1f".join(parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def event_id(rule: str, paper_key: str, kind: str) -> str:
    """The id of a change: the same in CLI, webhook, feed and API, and after any restore."""
    return "evt_" + digest_of("change", rule, paper_key, kind, length=20)


def notice_id(kind: str, subject: str, at: str) -> str:
    """The id of a notice about ``subject`` that began at ``at``."""
    return "evt_" + digest_of("notice", kind, subject, at, length=20)


def instant_batch(event_ids: Iterable[str]) -> str:
    """The name of a batch that is due at once: a hash of what it tells."""
    return "i:" + digest_of("batch", *sorted(event_ids))


def message_key(channel: str, batch: str, recipient: str) -> str:
    """The key of a message: ``webhook-id`` and Message-ID are made of it."""
    return "msg_" + digest_of("message", channel, batch, recipient, length=24)
