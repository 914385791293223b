"""S3's keys as object names, and back.

A key may end with a slash, an object name may not: the marker of an empty directory, `a/`, is the object `a/` followed
by U+0001, which is the first name of all that begin with `a/`, so that listings keep S3's order. What no object can be
called (a component `.` or `..`, a leading slash or `~/`, a NUL) is no key either.
"""

from typing import Final

from aiscore.errors import InvalidNameError
from aiscore.model.bucket import BucketRef
from aiscore.model.names import check_object_name
from aiscore.server.s3.faults import S3Error

__all__ = ["KEY_BYTES_MAX", "bucket_named", "key_of", "name_of"]

KEY_BYTES_MAX: Final = 1024
"""S3's limit, in UTF-8."""
_MARK: Final = "\x01"
_MARKED: Final = f"/{_MARK}"


def name_of(key: str) -> str:
    """The object name of a key.

    Raises:
        S3Error: `KeyTooLongError`, or `InvalidArgument` when no object can have it.
    """
    if len(key) * 4 > KEY_BYTES_MAX and len(key.encode()) > KEY_BYTES_MAX:
        raise S3Error(
            "KeyTooLongError", f"your key is too long: the limit is {KEY_BYTES_MAX} bytes"
        )
    if key.endswith(_MARKED):
        raise S3Error("InvalidArgument", "a key must not end with '/' and U+0001")
    name = f"{key}{_MARK}" if key.endswith("/") else key
    try:
        return check_object_name(name)
    except InvalidNameError as exc:
        raise S3Error("InvalidArgument", exc.message.replace(_MARKED, "/")) from None


def key_of(name: str) -> str:
    """The key of an object."""
    return name[:-1] if name.endswith(_MARKED) else name


def bucket_named(name: str) -> BucketRef:
    """The bucket that S3's clients know by this name: an `ais://` one of the global namespace.

    Raises:
        S3Error: `InvalidBucketName`.
    """
    try:
        return BucketRef(name)
    except InvalidNameError as exc:
        raise S3Error("InvalidBucketName", exc.message) from None
