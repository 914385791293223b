"""From entries to places: which bytes of which open file each entry of a batch means.

Entries are looked at in windows, so memory is bounded by the window and not by the batch. Within a window every shard
is looked up once, however many of its members are asked for; its open file and member index stay at hand in a small
cache, least recently used out first.
"""

from collections import OrderedDict
from typing import NamedTuple

from aiscore.engine.archive.index import MemberIndex
from aiscore.engine.archive.reader import MemberReader, open_member
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import BucketRow
from aiscore.engine.read import ContentSource, open_content
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

__all__ = ["OPEN_TARGETS_MAX", "Place", "Planner", "Target"]

OPEN_TARGETS_MAX = 64
"""Objects a batch keeps open at once; well under the usual limit of 1,024 descriptors a process."""


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


class Target:
    """One object of a batch, open.

    Attributes:
        content: the object's bytes.
        size: of them.
        index: members, once one was asked for.
        shard: where members lie when `is_plain`: the content itself, or a compressed one unpacked.
        positions: name to number in `index`.
    """

    __slots__ = ("content", "index", "is_plain", "positions", "shard", "size")

    def __init__(self, content: ContentSource) -> None:
        self.content = content
        self.size = content.size
        self.index: MemberIndex | None = None
        self.shard: ContentSource = content
        self.is_plain = False
        self.positions: dict[str, int] = {}

    def close(self) -> None:
        """Close the files."""
        self.content.close()
        if self.shard is not self.content:
            self.shard.close()


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
        self._default = request.bucket
        self._rows: dict[BucketRef, BucketRow] = {}
        self._targets: OrderedDict[tuple[int, str], Target] = OrderedDict()
        # The row of the bucket seen last: entries of one bucket come in runs, and hashing a reference costs a
        # microsecond.
        self._last: tuple[BucketRef, BucketRow] | None = None
        if request.bucket is not None:
            self._add(request.bucket)
        seen: BucketRef | None = None
        for entry in request.entries:
            bucket = entry.bucket
            if bucket is None:
                if request.bucket is None:
                    raise InvalidArgumentError(
                        f'missing bucket specification for "{entry.name}"',
                        hint="give the entry, or the batch, a bucket",
                    )
            elif bucket is not seen:
                seen = bucket
                self._add(bucket)

    def bucket_of(self, entry: BatchEntry) -> BucketRef:
        """The bucket an entry is read from."""
        bucket = entry.bucket if entry.bucket is not None else self._default
        assert bucket is not None
        return bucket

    def place(self, entry: BatchEntry, bucket: BucketRef) -> Place:
        """Where the entry's bytes are.

        Raises:
            ObjectNotFoundError: no such object, or (`ArchpathNotFoundError`) no such member.
            RangeNotSatisfiableError: the entry's range does not lie inside of it.
            ArchiveError: the object is not an archive.
        """
        last = self._last
        if last is not None and last[0] is bucket:
            row = last[1]
        else:
            row = self._rows[bucket]
            self._last = (bucket, row)
        key = (row.id, entry.name)
        target = self._targets.get(key)
        if target is None:
            target = self._open(key, row, entry.name)
        archpath = entry.archpath
        if archpath is None:
            offset, size = 0, target.size
            if entry.start or entry.length:
                offset, size = _range(entry, size, bucket)
            return Place(target.content, offset, size)
        index = target.index
        if index is None:
            index = self._load_index(target, row, entry.name)
        position = target.positions.get(archpath)
        if position is None:
            position = self._find(index, bucket, entry)
        size = index.sizes[position]
        start = 0
        if entry.start or entry.length:
            start, size = _range(entry, size, bucket)
        if target.is_plain:
            return Place(target.shard, index.offsets[position] + start, size)
        reader = open_member(target.content, index, position, start, size)
        return Place(target.content, 0, size, reader)

    def close(self) -> None:
        """Close everything; safe to repeat."""
        while self._targets:
            self._targets.popitem()[1].close()

    def _add(self, bucket: BucketRef) -> None:
        if bucket not in self._rows:
            self._rows[bucket] = self._core.bucket(bucket, Access.GET)

    def _open(self, key: tuple[int, str], row: BucketRow, name: str) -> Target:
        check_object_name(name)
        _, content = open_content(self._core, row, name)
        if len(self._targets) >= OPEN_TARGETS_MAX:
            self._targets.popitem(last=False)[1].close()
        target = self._targets[key] = Target(content)
        return target

    def _load_index(self, target: Target, bucket: BucketRow, name: str) -> MemberIndex:
        # Opened anew, so that row and content belong together whatever was committed since.
        row, content = open_content(self._core, bucket, name)
        target.content.close()
        target.content = target.shard = content
        target.size = content.size
        cname = bucket.bucket.object_cname(name)
        index = index_of(self._core, row, content, cname)
        if index.format in {ArchiveFormat.TGZ, ArchiveFormat.TAR_LZ4}:
            unpacked = unpacked_content(self._core, row, content, index, cname)
            if unpacked is not None:
                target.shard = unpacked
                target.is_plain = True
        else:
            target.is_plain = index.format is ArchiveFormat.TAR
        target.positions = index.positions
        target.index = index
        return index

    @staticmethod
    def _find(index: MemberIndex, bucket: BucketRef, entry: BatchEntry) -> int:
        position = index.find(entry.archpath or "")
        if position is None:
            raise ArchpathNotFoundError(
                f'"{entry.archpath}" not found in {bucket.object_cname(entry.name)}',
                hint=f"list its members: ais archive ls {bucket.object_cname(entry.name)}",
            )
        return position


def _range(entry: BatchEntry, size: int, bucket: BucketRef) -> tuple[int, int]:
    """Start and length of an entry's range, strictly inside of `size` bytes (wire rule of GetBatch)."""
    start, length = entry.start, entry.length
    if length == -1 and 0 <= start < size:
        return start, size - start
    if start < 0 or length < 1 or start + length > size:
        where = bucket.object_cname(entry.name) + (f"/{entry.archpath}" if entry.archpath else "")
        raise RangeNotSatisfiableError(
            f"not satisfiable range of {where}: start {start}, length {length}, the size is {size}"
        )
    return start, length
