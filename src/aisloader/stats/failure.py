"""Kinds of failures: what an operation that did not succeed is counted as."""

from enum import StrEnum

from aiscore.errors import (
    AccessDeniedError,
    AisError,
    ArchiveError,
    ChecksumMismatchError,
    ConnectError,
    CorruptionError,
    NotFoundError,
    ProtocolError,
    ThrottledError,
    TransportError,
    TransportTimeoutError,
)

__all__ = ["KINDS", "FailureKind", "ShortBatchError", "classify"]


class FailureKind(StrEnum):
    """What went wrong, by who has to act."""

    TIMEOUT = "timeout"
    """No answer in time."""
    CONNECT = "connect"
    """Nobody answers at the endpoint."""
    BROKEN = "broken"
    """The answer ended early, or was no HTTP."""
    THROTTLED = "throttled"
    """429: the store asks to slow down."""
    NOT_FOUND = "not-found"
    DENIED = "denied"
    REFUSED = "refused"
    """Any other answer of class 4xx."""
    SERVER = "server"
    """5xx, or a failure of the embedded engine."""
    CONTENT = "content"
    """The bytes are not those that their checksum or the request promises."""
    BATCH = "batch"
    """A GetBatch whose entries are too few, too many, in another order or of another name."""
    UNSENT = "unsent"
    """Due by the schedule, and never sent before the end: all connections were busy."""
    OTHER = "other"


KINDS = tuple(FailureKind)
"""In the order of their counters."""


class ShortBatchError(AisError):
    """The entries of a GetBatch are not those that were asked for."""

    code = "ErrBatchContent"


_BY_CLASS: tuple[tuple[type[AisError], FailureKind], ...] = (
    (ShortBatchError, FailureKind.BATCH),
    (TransportTimeoutError, FailureKind.TIMEOUT),
    (ConnectError, FailureKind.CONNECT),
    (ProtocolError, FailureKind.BROKEN),
    (TransportError, FailureKind.BROKEN),
    (ThrottledError, FailureKind.THROTTLED),
    (NotFoundError, FailureKind.NOT_FOUND),
    (AccessDeniedError, FailureKind.DENIED),
    (ChecksumMismatchError, FailureKind.CONTENT),
    (CorruptionError, FailureKind.CONTENT),
    (ArchiveError, FailureKind.CONTENT),
)


def classify(error: BaseException) -> FailureKind:
    """The kind of a failure."""
    for cls, kind in _BY_CLASS:
        if isinstance(error, cls):
            return kind
    if isinstance(error, AisError):
        return FailureKind.REFUSED if 400 <= error.status < 500 else FailureKind.SERVER
    return FailureKind.OTHER
