"""What `open` gives: an object, a range, a member or a selection of members, as one kind of reader."""

import time
from collections.abc import Iterator
from typing import NamedTuple, Self

from aiscore.engine.archive.encode import Piece, TarEncoder
from aiscore.engine.archive.names import encode_name
from aiscore.engine.archive.reader import open_member, read_members
from aiscore.engine.archive.selection import select
from aiscore.engine.blocks import BlockReader
from aiscore.engine.content import ContentSource, FileContent
from aiscore.engine.contentreader import ContentReader
from aiscore.engine.core import Core
from aiscore.engine.index.objects import ObjectRow
from aiscore.engine.read import (
    find_or_raise,
    open_content,
    open_verified,
    props_of,
    read_piece,
    read_whole,
)
from aiscore.engine.shards import index_of, is_seekable
from aiscore.engine.verify import verify_bytes
from aiscore.errors import AisError, ArchiveError, ArchpathNotFoundError, CorruptionError
from aiscore.model.access import Access
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.names import check_object_name
from aiscore.model.objects import GetOptions, ObjectProps
from aiscore.model.stream import ByteReader

__all__ = [
    "Glance",
    "OpenObject",
    "glance_at",
    "is_quick",
    "open_object",
    "read_again",
    "read_object",
]


class Glance(NamedTuple):
    """An object, and its bytes when they are few: what answers most requests of a server.

    Attributes:
        state: stands for all that is known of the object; pass it to `Store.props_of`. Two looks at an object that
            did not change may give the same `state` (`is`), and never after a change. Pass it to `Store.read_again` to
            read the object once more.
        size: bytes of the object.
        is_cheap: opening it means opening one file; otherwise there are more, or all of it is verified first.
        data: its content; None when it is longer than was asked for, or must be verified.
    """

    state: ObjectRow
    size: int
    is_cheap: bool
    data: bytes | None


class OpenObject:
    """An open object, range, member or selection (`transport.ObjectReader`). A context manager.

    Attributes:
        state: as `Glance.state`.
        size: bytes it delivers; None when only reading tells.
        start: first byte of them in the object or member.
        total: bytes of the whole object or member; None for a selection.
    """

    def __init__(
        self,
        core: Core,
        row: ObjectRow,
        content: ContentSource,
        reader: ByteReader,
        size: int | None,
        *,
        start: int = 0,
        total: int | None = None,
    ) -> None:
        self._core = core
        self.start = start
        self.total = total
        self.state = row
        self._content = content
        self._reader = reader
        self.size = size
        self._props: ObjectProps | None = None
        self.read = reader.read
        self.readinto = reader.readinto

    @property
    def props(self) -> ObjectProps:
        """Properties of the object as it was opened."""
        if self._props is None:
            self._props = props_of(self._core, self.state)
        return self._props

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._reader)

    def place(self) -> tuple[int, int] | None:
        """Descriptor and position of the next byte, when it lies in one file as it is; None: `read` it."""
        if isinstance(self._reader, ContentReader) and isinstance(self._content, FileContent):
            return self._content.fd, self._reader.position
        return None

    def skip(self, count: int) -> None:
        """Go on so many bytes after the next one that `place` gave."""
        assert isinstance(self._reader, ContentReader)
        self._reader.position += count

    def close(self) -> None:
        """Close the files; safe to repeat."""
        self._reader.close()
        self._content.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_object(core: Core, bucket: BucketRef, name: str, options: GetOptions) -> OpenObject:
    """Open an object, a range, a member, or a selection. See `Transport.open`."""
    check_object_name(name)
    bucket_row = core.bucket(bucket, Access.GET)
    cname = bucket.object_cname(name)
    if options.verify_checksum or bucket_row.props.checksum.validate_warm_get:
        row, content = open_verified(core, bucket_row, name, cname)
    else:
        row, content = open_content(core, bucket_row, name)
    try:
        if options.archpath is not None:
            return _open_member(core, row, content, cname, options)
        if options.archregx is not None:
            return _open_selection(core, row, content, cname, options)
        start, length = 0, row.size
        if options.byte_range is not None:
            start, length = options.byte_range.resolve(row.size, cname)
        core.touch(row)
        reader = ContentReader(content, start, length, cname)
        return OpenObject(core, row, content, reader, length, start=start, total=row.size)
    except BaseException:
        content.close()
        raise


def glance_at(core: Core, bucket: BucketRef, name: str, size_max: int) -> Glance:
    """Look up an object, and read it if it has `size_max` bytes at most and its bucket does not verify reads."""
    check_object_name(name)
    bucket_row = core.bucket(bucket, Access.GET)
    row = find_or_raise(core, bucket_row, name)
    if bucket_row.props.checksum.validate_warm_get:
        return Glance(row, row.size, False, None)
    data = None
    if row.size <= size_max:
        row, data = read_whole(core, bucket_row, row)
        core.touch(row)
    return Glance(row, row.size, row.piece_count == 1, data)


def is_quick(core: Core, glance: Glance, options: GetOptions) -> bool:
    """True when `open_object` would open one file, verify nothing, and know already where a member lies."""
    if not glance.is_cheap or options.verify_checksum or options.archregx is not None:
        return False
    return options.archpath is None or is_seekable(core, glance.state, options.archmime)


def read_again(core: Core, row: ObjectRow) -> bytes | None:
    """The content of an object of one piece that was read in a glance, if nothing that it depends on has changed.

    None when it may have: the bucket, its properties, the object, the disk. Then take another glance.
    """
    try:
        # What changes a bucket, a mountpath or the configuration empties the cache.
        if core.connection().fresh_cache().get((row.bucket_id, row.name)) is not row:
            return None
        data = read_piece(core, row)
    except (AisError, OSError):
        return None
    if data is not None:
        core.touch(row)
    return data


def read_object(core: Core, bucket: BucketRef, name: str, options: GetOptions) -> bytes:
    """All that `open_object` would deliver, in memory; whole objects take the short way."""
    check_object_name(name)
    if options.archpath is None and options.archregx is None and options.byte_range is None:
        bucket_row = core.bucket(bucket, Access.GET)
        row = find_or_raise(core, bucket_row, name)
        is_verified = options.verify_checksum or bucket_row.props.checksum.validate_warm_get
        if not is_verified or (row.piece_count == 1 and row.copies == 1):
            row, data = read_whole(core, bucket_row, row)
            if is_verified:
                verify_bytes(row, data, bucket.object_cname(name))
            core.touch(row)
            return data
    with open_object(core, bucket, name, options) as reader:
        return reader.read()


def _open_member(
    core: Core, row: ObjectRow, content: ContentSource, cname: str, options: GetOptions
) -> OpenObject:
    archpath = options.archpath or ""
    index = index_of(core, row, content, cname, options.archmime)
    position = index.find(archpath.lstrip("/"))
    if position is None:
        raise ArchpathNotFoundError(
            f'"{archpath}" not found in {cname}', hint=f"list its members: ais archive ls {cname}"
        )
    total = index.sizes[position]
    start, length = 0, total
    if options.byte_range is not None:
        start, length = options.byte_range.resolve(total, f"{cname}/{archpath}")
    reader: ByteReader
    if index.format is ArchiveFormat.TAR:
        reader = ContentReader(content, index.offsets[position] + start, length, cname)
    else:
        member = open_member(content, index, position, start, length)
        reader = BlockReader(_counted(iter(member), length, f"{cname}/{archpath}"))
    core.touch(row)
    return OpenObject(core, row, content, reader, length, start=start, total=total)


def _open_selection(
    core: Core, row: ObjectRow, content: ContentSource, cname: str, options: GetOptions
) -> OpenObject:
    assert options.archregx is not None
    assert options.archmode is not None
    index = index_of(core, row, content, cname, options.archmime)
    positions = select(index, options.archregx, options.archmode)
    if not positions:
        raise ArchpathNotFoundError(
            f'no member of {cname} matches {options.archmode} "{options.archregx}"',
            hint=f"list its members: ais archive ls {cname}",
        )

    def blocks() -> Iterator[Piece]:
        encoder = TarEncoder(int(time.time()))
        for position, reader in read_members(content, index, positions):
            raw = encode_name(index.names[position])
            assert raw is not None
            yield from encoder.member(raw, index.sizes[position], reader)
        yield from encoder.finish()

    core.touch(row)
    return OpenObject(core, row, content, BlockReader(blocks()), None)


def _counted(blocks: Iterator[bytes], size: int, what: str) -> Iterator[bytes]:
    """Pass blocks through; a member that ends early is damage, not an end."""
    found = 0
    try:
        for block in blocks:
            found += len(block)
            yield block
    except ArchiveError as exc:
        raise CorruptionError(f"{what} is damaged: {exc.message}") from exc
    if found != size:
        raise CorruptionError(f"{what} has {found} bytes, its archive says {size}")
