"""A bucket like one of another store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiscore.errors import (
    BucketAlreadyExistsError,
    BucketNotFoundError,
    InvalidArgumentError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from aiscli.actions.between.pick import End
    from aiscli.output.base import Output

__all__ = ["ensure_bucket", "exists"]

_SECTIONS = ("checksum", "chunks", "ec", "features", "lru", "mirror", "rate_limit", "versioning")
"""What is carried over. Not `access`, which could forbid the copy itself, and no backend bucket."""
_ESSENTIAL = frozenset({"checksum.type", "versioning.enabled"})
_NAMES_SHOWN = 5


def exists(end: End) -> bool:
    """True if the bucket does."""
    try:
        end.transport.head_bucket(end.bucket)
    except BucketNotFoundError:
        return False
    return True


def ensure_bucket(source: End, target: End, output: Output) -> bool:
    """Make the target's bucket with the properties of the source's; False if it exists.

    What the target refuses (a mirror on one disk) is told in a warning, and left at its default.

    Raises:
        AisError: it cannot be created.
    """
    if exists(target):
        return False
    wanted = _carried(source)
    try:
        try:
            target.transport.create_bucket(target.bucket, wanted)
        except (InvalidArgumentError, UnsupportedError):
            few = {key: value for key, value in wanted.items() if key in _ESSENTIAL}
            target.transport.create_bucket(target.bucket, few)
    except BucketAlreadyExistsError:
        return False  # by somebody else, just now
    made = _carried(target)
    missed = [key for key, value in wanted.items() if made.get(key) != value]
    if missed:
        names = ", ".join(missed[:_NAMES_SHOWN])
        more = ", ..." if len(missed) > _NAMES_SHOWN else ""
        output.warning(
            f"{target.bucket.cname} is created without properties that "
            f"{target.transport.endpoint} does not take: {names}{more}"
        )
    return True


def _carried(end: End) -> dict[str, str]:
    from aiscore.model.sections import flatten

    flat = flatten(end.transport.head_bucket(end.bucket))
    return {key: value for key, value in flat.items() if key.partition(".")[0] in _SECTIONS}
