"""What went wrong on a connection, in words a person can act on.

Owns the reading of exceptions by their causes: the outer layers of HTTP libraries call
everything a timeout. Must not decide whether to try again.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

_CLOSED = "the connection was closed before an answer came"
_NOT_HTTP = "what it answered is not HTTP"
_WORDS = (
    ("SSLError", "TLS failed"),
    ("gaierror", "its host name was not found"),
    ("ConnectionRefusedError", "connection refused"),
    ("ServerDisconnectedError", _CLOSED),
    ("ConnectionError", _CLOSED),
    ("ClientPayloadError", _CLOSED),
    ("ClientResponseError", _NOT_HTTP),
    ("HttpProcessingError", _NOT_HTTP),
)
"""By class name, because the libraries are imported only when something is sent."""


def words_for(exc: BaseException, timeout: float) -> str:
    """One clause about the innermost cause that is known; empty when none is.

    ``timeout`` is the seconds that were given to the whole exchange.
    """
    return next(filter(None, (_words(cause, timeout) for cause in _causes(exc))), "")


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """The innermost cause first."""
    chain = [exc]
    while len(chain) < 20:
        inner = chain[-1].__cause__ or getattr(chain[-1], "os_error", None)
        if not isinstance(inner, BaseException) or inner in chain:
            break
        chain.append(inner)
    return reversed(chain)


def _words(cause: BaseException, timeout: float) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {cause.verify_message}"
    if isinstance(cause, TimeoutError):
        return f"no complete answer within {timeout:g} s"
    names = {base.__name__ for base in type(cause).__mro__}
    for name, words in _WORDS:
        if name in names:
            return words
    if isinstance(cause, OSError):
        # A name with several addresses: the loop joins what each of them said.
        refused = "Connect call failed" in str(cause)
        return "connection refused" if refused else cause.strerror or ""
    return ""
