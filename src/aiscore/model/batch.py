"""GetBatch: what is asked, and what came of each entry."""

from dataclasses import dataclass
from typing import NamedTuple

from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef

__all__ = ["BATCH_ENTRIES_MAX", "MISSING_PREFIX", "BatchEntry", "BatchRequest", "BatchResult"]

BATCH_ENTRIES_MAX = 1_000_000
"""Entries in one request; upstream has no limit. Bounds what a request can make the store plan."""
MISSING_PREFIX = "__404__/"
"""Where the placeholder of a missing entry stands in the output archive."""


class BatchEntry(NamedTuple):
    """One thing to fetch. A named tuple, not a dataclass: they are built by the thousand in a training loop.

    Attributes:
        name: object name.
        bucket: None means the request's bucket.
        archpath: member of the shard `name`; None is the object itself.
        opaque: bytes of the caller's own, given back with the result.
        start: first byte of the object or member.
        length: bytes; 0 with `start` 0 is the whole, -1 is up to the end. A range outside of the content is an error.
    """

    name: str
    bucket: BucketRef | None = None
    archpath: str | None = None
    opaque: bytes | None = None
    start: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """An ordered list of entries and how to answer it.

    Attributes:
        entries: at least one; duplicates are answered as often as they are asked.
        bucket: bucket of entries that name none.
        output_format: format of the archive.
        cont_on_err: put an empty `__404__/NAME` in the place of what cannot be read and go on, up to the soft-error
            budget; otherwise the first such entry fails the request.
        only_obj_name: member names without the bucket.
        streaming: emit while reading; otherwise nothing is emitted before everything has been read.
    """

    entries: tuple[BatchEntry, ...] | list[BatchEntry]
    bucket: BucketRef | None = None
    output_format: ArchiveFormat = ArchiveFormat.TAR
    cont_on_err: bool = False
    only_obj_name: bool = False
    streaming: bool = True

    def __post_init__(self) -> None:
        if not self.entries:
            raise InvalidArgumentError("the batch is empty", hint="add at least one object")
        if len(self.entries) > BATCH_ENTRIES_MAX:
            raise InvalidArgumentError(
                f"the batch has {len(self.entries)} entries, the limit is {BATCH_ENTRIES_MAX}",
                hint="split it",
            )


class BatchResult(NamedTuple):
    """What came of one entry, in request order.

    Attributes:
        entry: the entry as asked.
        bucket: the bucket it was read from.
        member_name: its name in the output archive.
        size: payload bytes, 0 when missing.
        error: why it is missing; None on success.
    """

    entry: BatchEntry
    bucket: BucketRef
    member_name: str
    size: int
    error: str | None = None
