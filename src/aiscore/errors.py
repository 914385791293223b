"""Every failure this package reports, one class each.

A class fixes what the layers above need: the HTTP status, the stable wire code, and whether the same request can
succeed later. Messages hold the cname of the thing, what was expected and what was found; a hint is the one next
step. Local and remote transports raise the same class for the same fault.
"""

from typing import ClassVar

__all__ = [
    "AccessDeniedError",
    "AisError",
    "AlreadyExistsError",
    "ArchiveError",
    "ArchpathNotFoundError",
    "BatchAbortedError",
    "BucketAlreadyExistsError",
    "BucketNotFoundError",
    "BusyError",
    "CapacityExceededError",
    "ChecksumMismatchError",
    "ConnectError",
    "CorruptionError",
    "FormatVersionError",
    "InvalidArgumentError",
    "InvalidNameError",
    "LimitedCoexistenceError",
    "MountpathNotFoundError",
    "NotFoundError",
    "ObjectNotFoundError",
    "PreconditionFailedError",
    "ProtocolError",
    "RangeNotSatisfiableError",
    "StorageError",
    "ThrottledError",
    "TransportError",
    "TransportTimeoutError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "XactionAbortedError",
    "XactionNotFoundError",
]


class AisError(Exception):
    """Base of every error of this package.

    Attributes:
        message: what happened, lower case, no full stop; holds the cname of the thing.
        hint: one thing the reader can do next, or None.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidArgumentError(AisError):
    """The request itself is wrong; the same request never succeeds."""

    status = 400
    code = "ErrInvalidArgument"


class InvalidNameError(InvalidArgumentError):
    """A bucket, object, prefix or member name breaks the naming rules."""

    code = "ErrInvalidName"


class ArchiveError(InvalidArgumentError):
    """An archive is malformed, of an unknown format, or hostile (traversal, bomb, lying sizes)."""

    code = "ErrArchive"


class NotFoundError(AisError):
    """The named thing does not exist."""

    status = 404
    code = "ErrNotFound"


class BucketNotFoundError(NotFoundError):
    """The bucket does not exist."""

    code = "ErrBckNotFound"


class ObjectNotFoundError(NotFoundError):
    """The bucket exists, the object does not."""

    code = "ErrObjNotFound"


class ArchpathNotFoundError(ObjectNotFoundError):
    """The shard exists, no member matches."""

    code = "ErrArchpathNotFound"


class MountpathNotFoundError(NotFoundError):
    """No mountpath of the home has this path."""

    code = "ErrMountpathNotFound"


class XactionNotFoundError(NotFoundError):
    """No job with this id or kind."""

    code = "ErrXactNotFound"


class AccessDeniedError(AisError):
    """The caller is known and not allowed, or the bucket's access mask forbids it."""

    status = 403
    code = "ErrAccessDenied"


class UnauthenticatedError(AccessDeniedError):
    """No token, or one that is invalid or expired."""

    status = 401
    code = "ErrUnauthenticated"


class AlreadyExistsError(AisError):
    """The name is taken."""

    status = 409
    code = "ErrAlreadyExists"


class BucketAlreadyExistsError(AlreadyExistsError):
    """A bucket of this name exists."""

    code = "ErrBucketAlreadyExists"


class PreconditionFailedError(AisError):
    """A condition of the request does not hold: the object is not the version that was expected."""

    status = 412
    code = "ErrPreconditionFailed"


class BusyError(AisError):
    """Somebody else holds the thing; the same request can succeed in a moment."""

    status = 409
    code = "ErrBusy"
    retryable = True


class LimitedCoexistenceError(BusyError):
    """A job that must not run beside this one is running."""

    code = "ErrLimitedCoexistence"


class RangeNotSatisfiableError(AisError):
    """The byte range lies outside of the object.

    Attributes:
        size: bytes of the object; None when that is not what was wrong, or not known.
    """

    status = 416
    code = "ErrRangeNotSatisfiable"

    def __init__(self, message: str, *, hint: str | None = None, size: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.size = size


class UnsupportedError(AisError):
    """The operation is not supported for this thing, or not available yet."""

    status = 501
    code = "ErrUnsupp"


class CapacityExceededError(AisError):
    """No space left, or a limit of the store is reached."""

    status = 507
    code = "ErrCapExceeded"


class ThrottledError(AisError):
    """Too many requests; retry later.

    Attributes:
        retry_after_s: what the store asks to wait before the next try, at least.
    """

    status = 429
    code = "ErrTooManyRequests"
    retryable = True

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after_s: float = 1.0
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class UnavailableError(AisError):
    """The store, or the part of it that holds the data, cannot answer now."""

    status = 503
    code = "ErrUnavailable"
    retryable = True


class StorageError(AisError):
    """A disk refused an operation: I/O error, permission, descriptor limit."""

    code = "ErrStorage"


class ChecksumMismatchError(AisError):
    """What was sent does not have the checksum that came with it."""

    status = 400
    code = "ErrBadCksum"


class CorruptionError(AisError):
    """What was stored is not what was written: a piece is missing, short, or fails its checksum.

    Attributes:
        kind: which of these, as `aiscore.model.storage.FaultKind` names it; empty when it is another damage.
    """

    code = "ErrCorruption"

    def __init__(self, message: str, *, hint: str | None = None, kind: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


class FormatVersionError(AisError):
    """The home was written in an on-disk format that this version cannot open."""

    code = "ErrFormatVersion"


class BatchAbortedError(AisError):
    """A GetBatch spent its soft-error budget."""

    status = 400
    code = "ErrBatchAborted"


class XactionAbortedError(AisError):
    """A job was stopped before its end; what it had done until then stays."""

    code = "ErrAborted"


class TransportError(AisError):
    """No answer came from the remote end."""

    status = 0
    code = "ErrTransport"
    retryable = True


class ConnectError(TransportError):
    """The endpoint cannot be reached."""

    code = "ErrConnect"


class TransportTimeoutError(TransportError):
    """The endpoint did not answer in time."""

    code = "ErrTimeout"


class ProtocolError(TransportError):
    """The answer violates the protocol, or ended early."""

    code = "ErrProtocol"
