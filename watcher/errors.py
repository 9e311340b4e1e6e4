"""One small tree of exceptions.

A message says what happened, to what, and what to do. Attributes are data: callers
decide by ``retryable`` and ``retry_after``, never by the text. Third-party exceptions
never leave the module that called the third party.
"""

from __future__ import annotations


class WatcherError(Exception):
    """Root of everything the watcher raises on purpose.

    Attributes:
        retryable: whether trying the same again later can help.
        retry_after: seconds the other side asked us to wait, if it did.
    """

    retryable: bool = False

    def __init__(
        self, message: str, *, retryable: bool | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        if retryable is not None:
            self.retryable = retryable
        self.retry_after = retry_after


class ConfigError(WatcherError):
    """The configuration cannot be used; ``problems`` names every fault at once."""

    def __init__(self, message: str, *, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems or (message,)


class UnknownName(WatcherError):
    """A person asked for a source, rule, paper or channel that is not there."""


class FetchError(WatcherError):
    """A page could not be fetched. ``status`` is the HTTP status, if there was an answer; ``asked``
    is False when nobody was asked, because the host wants a pause."""

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retryable: bool | None = None,
        retry_after: float | None = None,
        status: int | None = None,
        asked: bool = True,
    ) -> None:
        super().__init__(message, retryable=retryable, retry_after=retry_after)
        self.status = status
        self.asked = asked


class ParseError(WatcherError):
    """A page has no papers where it should have some, or is too odd to read.

    Attributes:
        page: the hash under which the page was kept for a look, if it was.
    """

    page: str | None = None


class QueryError(WatcherError):
    """A rule's query is not in the query language; the message carries a hint."""


class RefusedAddress(WatcherError):
    """The guard refused to connect to an address."""


class StoreError(WatcherError):
    """The store is full, locked or read-only for now: try again."""

    retryable = True


class StoreRefused(WatcherError):
    """The store is damaged, foreign, newer than this program or empty: a person must look."""


class SendError(WatcherError):
    """A channel did not take a message.

    Attributes:
        permanent: this message will never be taken; do not retry it.
        gone: the endpoint asked never to be called again (HTTP 410).
        bad_recipient: the recipient's address is refused for good; suppress it.
        refused_recipient: the recipient is refused for now; others may be taken.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retryable: bool | None = None,
        retry_after: float | None = None,
        gone: bool = False,
        bad_recipient: bool = False,
        refused_recipient: bool = False,
    ) -> None:
        super().__init__(message, retryable=retryable, retry_after=retry_after)
        self.gone = gone
        self.bad_recipient = bad_recipient
        self.refused_recipient = refused_recipient

    @property
    def permanent(self) -> bool:
        """True when retrying this message cannot help."""
        return not self.retryable
