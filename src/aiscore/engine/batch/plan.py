"""From entries to places: which bytes of which open file each entry of a batch means.

A shard is looked up once, however many of its members are asked for; its open file and its members stay at hand while
it is among the last `OPEN_TARGETS_MAX` shards opened. An object that is asked for as a whole is closed when the next
entry comes: most are named once. So memory and descriptors are bounded, whatever the number of entries.
"""

from collections import deque
from typing import NamedTuple

from aiscore.engine.archive.index import MemberIndex
from aiscore.engine.archive.reader import MemberReader, open_member
from aiscore.engine.content import ContentSource
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.index.database import Connection
from aiscore.engine.index.objects import ObjectRow, find_object
from aiscore.engine.openshards import Target
from aiscore.engine.read import open_content
from aiscore.engine.shards import index_of
from aiscore.engine.unpacked import unpacked_content
from aiscore.errors import (
    ArchpathNotFoundError,
    InvalidArgumentError,
    RangeNotSatisfiableError,
)
from aiscore.model.access import Access
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.names import check_object_name

__all__ = ["OPEN_TARGETS_MAX", "BatchBucket", "Place", "Planner"]

OPEN_TARGETS_MAX = 32
"""Shards a batch keeps open at once; well under the usual limit of 1,024 descriptors a process."""


class Place(NamedTuple):
    """Where the bytes of one entry are.

    Attributes:
        content: the open file they are in.
        offset: first byte in `content`, when they lie there plainly.
        size: payload bytes.
        reader: reads them otherwise (zip members, large compressed shards).
    """

    content: ContentSource
    offset: int
    size: int
    reader: MemberReader | None = None


class BatchBucket:
    """A bucket of a batch, with those of its objects that are open."""

    __slots__ = ("bucket", "prefix", "row", "targets")

    def __init__(self, row: BucketRow, *, only_obj_name: bool) -> None:
        self.row = row
        self.bucket = row.bucket
        self.prefix = "" if only_obj_name else f"{row.bucket.name}/"
        self.targets: dict[str, Target] = {}


class Planner:
    """Resolves entries of one request."""

    def __init__(self, core: Core, request: BatchRequest) -> None:
        """Look up every bucket of the request.

        Raises:
            BucketNotFoundError: one of them does not exist; nothing is answered then.
            AccessDeniedError: one of them does not permit GET.
            InvalidArgumentError: an entry names no bucket and neither does the request.
        """
        self._core = core
        self._only_obj_name = request.only_obj_name
        connection = self._connection = core.connection()
        self._cache = connection.fresh_cache()
        core.open_shards.drop_removed(connection.version)
        self._buckets: dict[BucketRef, BatchBucket] = {}
        self._open_order: deque[tuple[BatchBucket, str]] = deque()
        self._whole: ContentSource | None = None
        self.default = None if request.bucket is None else self._add(request.bucket)
        seen: BucketRef | None = None
        for entry in request.entries:
            bucket = entry.bucket
            if bucket is None:
                if self.default is None:
                    raise InvalidArgumentError(
                        f'missing bucket specification for "{entry.name}"',
                        hint="give the entry, or the batch, a bucket",
                    )
            elif bucket is not seen:
                seen = bucket
                self._add(bucket)

    def whole_of(self, entry: BatchEntry, bucket: BatchBucket) -> ObjectRow | None:
        """The object that the entry asks for as a whole, if it has one piece; None: ask for its `place`."""
        name = entry.name
        if entry.archpath is not None or entry.start or entry.length or name in bucket.targets:
            return None
        row = find_object(self._fresh_connection(), bucket.row.id, name)
        return row if row is not None and row.piece_count == 1 else None

    def member_of(self, entry: BatchEntry, bucket: BatchBucket) -> tuple[int, int, int] | None:
        """Descriptor, offset and size of a whole member of a plain shard that is open; None: ask for its `place`."""
        target = bucket.targets.get(entry.name)
        if target is None or target.plain_fd < 0 or entry.start or entry.length:
            return None
        index, position = target.index, target.positions.get(entry.archpath or "")
        if position is None or index is None:
            return None
        return target.plain_fd, index.offsets[position], index.sizes[position]

    def bucket_of(self, bucket: BucketRef | None) -> BatchBucket:
        """The bucket that an entry's `bucket` field means."""
        if bucket is None:
            assert self.default is not None
            return self.default
        return self._buckets[bucket]

    def place(self, entry: BatchEntry, bucket: BatchBucket) -> Place:
        """Where the entry's bytes are; good until the next call.

        Raises:
            ObjectNotFoundError: no such object, or (`ArchpathNotFoundError`) no such member.
            RangeNotSatisfiableError: the entry's range does not lie inside of it.
            ArchiveError: the object is not an archive.
        """
        target = bucket.targets.get(entry.name)
        if entry.archpath is None:
            content = self._open_whole(bucket, entry.name) if target is None else target.content
            offset, size = 0, content.size
            if entry.start or entry.length:
                offset, size = _range(entry, size, bucket)
            return Place(content, offset, size)
        if target is None:
            target = self._open(bucket, entry.name)
        index = target.index
        if index is None:
            index = self._load_index(target, bucket, entry.name)
        position = index.find(entry.archpath)
        if position is None:
            cname = bucket.bucket.object_cname(entry.name)
            raise ArchpathNotFoundError(
                f'"{entry.archpath}" not found in {cname}',
                hint=f"list its members: ais archive ls {cname}",
            )
        start, size = 0, index.sizes[position]
        if entry.start or entry.length:
            start, size = _range(entry, size, bucket)
        if target.shard is not None:
            return Place(target.shard, index.offsets[position] + start, size)
        reader = open_member(target.content, index, position, start, size)
        return Place(target.content, 0, size, reader)

    def close(self) -> None:
        """Close everything; safe to repeat."""
        self._close_whole()
        while self._open_order:
            self._close_oldest()

    def _fresh_connection(self) -> Connection:
        """That of this thread. A batch goes on in another one, whose cache may be older than the batch."""
        connection = self._core.connection()
        if connection is not self._connection:
            self._connection = connection
            connection.fresh_cache()
        return connection

    def _add(self, bucket: BucketRef) -> BatchBucket:
        found = self._buckets.get(bucket)
        if found is None:
            row = self._core.bucket(bucket, Access.GET)
            found = BatchBucket(row, only_obj_name=self._only_obj_name)
            self._buckets[bucket] = found
        return found

    def _open_whole(self, bucket: BatchBucket, name: str) -> ContentSource:
        self._close_whole()
        check_object_name(name)
        self._fresh_connection()
        _, content = open_content(self._core, bucket.row, name)
        self._whole = content
        return content

    def _close_whole(self) -> None:
        whole, self._whole = self._whole, None
        if whole is not None:
            whole.close()

    def _open(self, bucket: BatchBucket, name: str) -> Target:
        core = self._core
        check_object_name(name)
        self._fresh_connection()
        if len(self._open_order) >= OPEN_TARGETS_MAX:
            self._close_oldest()
        target = None
        # As of the begin of the batch: whoever replaces the shard meanwhile does not disturb it.
        row = self._cache.get((bucket.row.id, name))
        if row is not None:
            target = core.open_shards.take(row.generation)
        if target is None:
            target = Target(*open_content(core, bucket.row, name))
        bucket.targets[name] = target
        self._open_order.append((bucket, name))
        return target

    def _close_oldest(self) -> None:
        bucket, name = self._open_order.popleft()
        self._core.open_shards.release(bucket.targets.pop(name))

    def _load_index(self, target: Target, bucket: BatchBucket, name: str) -> MemberIndex:
        content = target.content
        cname = bucket.bucket.object_cname(name)
        index = index_of(self._core, target.row, content, cname)
        shard: ContentSource | None = None
        if index.format is ArchiveFormat.TAR:
            shard = content
        elif index.format is not ArchiveFormat.ZIP:
            shard = unpacked_content(self._core, target.row, content, index, cname)
        target.set_members(index, shard)
        return index


def _range(entry: BatchEntry, size: int, bucket: BatchBucket) -> tuple[int, int]:
    """Start and length of an entry's range, strictly inside of `size` bytes (wire rule of GetBatch)."""
    start, length = entry.start, entry.length
    if length == -1 and 0 <= start < size:
        return start, size - start
    if start < 0 or length < 1 or start + length > size:
        cname = bucket.bucket.object_cname(entry.name)
        where = f"{cname}/{entry.archpath}" if entry.archpath else cname
        raise RangeNotSatisfiableError(
            f"not satisfiable range of {where}: start {start}, length {length}, the size is {size}"
        )
    return start, length
