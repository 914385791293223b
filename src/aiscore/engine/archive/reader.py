"""Reading shards: build the index, open one member, or pass over many.

What is cheap depends on the format. A member of a tar is a byte range; so is a stored member of a
zip. A deflated one is inflated alone. In a tgz or tar.lz4 everything in front of a member has to be
decompressed, so several members are read in one pass (`read_members`), and the first look at a
shard can fetch one member on the way (`index_and_read`).
"""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self
from zlib import crc32

from aiscore.engine.archive.index import IndexBuilder, MemberIndex
from aiscore.engine.archive.inflate import InflatedStream, inflate_raw
from aiscore.engine.archive.names import clean_name, decode_name, encode_name
from aiscore.engine.archive.source import Source, read_blocks
from aiscore.engine.archive.tarheader import BLOCK
from aiscore.engine.archive.tarwalk import BATCH, STREAM_SIZE_UNKNOWN, TarWalk, build_tar_index
from aiscore.engine.archive.ziptable import (
    DEFLATED,
    STORED,
    ZIP_ENCRYPTED,
    build_zip_index,
    content_offset,
)
from aiscore.errors import ArchiveError, RangeNotSatisfiableError
from aiscore.model.archive import ArchiveFormat

__all__ = [
    "KEEP_SIZE_MAX",
    "MemberReader",
    "build_index",
    "index_and_read",
    "iter_members",
    "member_range",
    "open_member",
    "read_members",
]

KEEP_SIZE_MAX = 16 * 1024 * 1024
"""Largest member that `index_and_read` keeps in memory; a larger one costs a second pass."""

DEFLATE_RATIO_MAX = 1032
"""Most bytes that deflate can make of one; a zip member that declares more lies."""

_DEFLATE_SLACK = 64


class MemberReader:
    """The content of one member, or of a part of it: read it, or iterate over its blocks, once.

    Memory is bounded by a block (`BLOCK_SIZE`), whatever the size of the member.

    Attributes:
        size: bytes that this reader gives, in all.
    """

    def __init__(self, size: int, blocks: Iterator[bytes]) -> None:
        self.size = size
        self._blocks = blocks
        self._rest = b""

    def read(self, count: int = -1) -> bytes:
        """Return the next `count` bytes, fewer only at the end; all of the rest if negative.

        Raises:
            ArchiveError: the archive is damaged here; what was read before is not the whole member.
        """
        parts, size = [self._rest], len(self._rest)
        while size < count or count < 0:
            block = next(self._blocks, b"")
            if not block:
                break
            parts.append(block)
            size += len(block)
        data = b"".join(parts)
        if count < 0:
            count = size
        self._rest = data[count:]
        return data[:count] if self._rest else data

    def __iter__(self) -> Iterator[bytes]:
        if self._rest:
            rest, self._rest = self._rest, b""
            yield rest
        yield from self._blocks

    def close(self) -> None:
        """Drop what is buffered; the source stays open. Reading on gives nothing."""
        self._rest, self._blocks = b"", iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def build_index(source: Source, archive_format: ArchiveFormat) -> MemberIndex:
    """Index a shard: one walk over the headers, one decompression, or the central directory.

    Raises:
        ArchiveError: malformed, truncated, hostile, or beyond a limit.
    """
    match archive_format:
        case ArchiveFormat.TAR:
            return build_tar_index(source)
        case ArchiveFormat.ZIP:
            return build_zip_index(source)
        case ArchiveFormat.TGZ | ArchiveFormat.TAR_LZ4:
            return _index_stream(source, archive_format, None)[0]


def index_and_read(
    source: Source, archive_format: ArchiveFormat, name: str
) -> tuple[MemberIndex, bytes | None]:
    """Index a shard and fetch one member of it, in one pass where that saves the second.

    Returns:
        The index, and the content of the member if it was fetched on the way: only from tgz and
        tar.lz4, and only up to `KEEP_SIZE_MAX` bytes. None says nothing about whether the member
        exists.

    Raises:
        ArchiveError: as `build_index`.
    """
    if archive_format in (ArchiveFormat.TAR, ArchiveFormat.ZIP):
        return build_index(source, archive_format), None
    return _index_stream(source, archive_format, clean_name(encode_name(name) or b""))


def member_range(source: Source, index: MemberIndex, position: int) -> tuple[int, int] | None:
    """Return (offset, size) of a member that lies in the shard as plain bytes, or None.

    A tar costs nothing; a stored zip member one read of its local header. The CRC of zip is not
    checked on this way.

    Raises:
        ArchiveError: the local header is damaged.
    """
    if index.format is ArchiveFormat.TAR:
        return index.offsets[position], index.sizes[position]
    if index.zip is not None and index.zip.methods[position] == STORED:
        _check_zip_member(index, position)
        return content_offset(source, index, position), index.sizes[position]
    return None


def open_member(
    source: Source, index: MemberIndex, name: str | int, start: int = 0, length: int | None = None
) -> MemberReader:
    """Open one member, or a part of it.

    Args:
        source: the shard, of which `index` is the index.
        index: tells the format.
        name: of the member, or its position.
        start: first byte of the part.
        length: bytes of the part, cut at the end of the member; None for all up to the end.

    Raises:
        ArchpathNotFoundError: no such member.
        RangeNotSatisfiableError: `start` lies behind the end of the member, or a number is
            negative.
        ArchiveError: the member is damaged, encrypted, or packed by an unknown method. Damage may
            show only while reading.
    """
    position = index.position_of(name) if isinstance(name, str) else name
    size = index.sizes[position]
    if not 0 <= start <= size or (length is not None and length < 0):
        raise RangeNotSatisfiableError(
            f'range {start}+{length} is not satisfiable: "{index.names[position]}" has {size} bytes'
        )
    length = size - start if length is None else min(length, size - start)
    offset = index.offsets[position]
    match index.format:
        case ArchiveFormat.TAR:
            blocks = read_blocks(source, offset + start, length)
        case ArchiveFormat.ZIP:
            blocks = _zip_blocks(source, index, position, start, length)
        case ArchiveFormat.TGZ | ArchiveFormat.TAR_LZ4:
            blocks = InflatedStream(source, index.format).blocks(offset + start, length)
    return MemberReader(length, blocks)


def read_members(
    source: Source, index: MemberIndex, wanted: Sequence[str | int]
) -> Iterator[tuple[int, MemberReader]]:
    """Open several members in one pass.

    A compressed shard is decompressed once, up to the last of them.

    Args:
        source: the shard.
        index: of the shard.
        wanted: names or positions; repeats count once.

    Yields:
        (position, reader) in the order of offsets. A reader is good until the next step.

    Raises:
        ArchpathNotFoundError: a name is not in the shard; before anything is read.
        ArchiveError: as `open_member`.
    """
    positions = {index.position_of(w) if isinstance(w, str) else w for w in wanted}
    offsets = index.offsets
    ordered = sorted(positions, key=offsets.__getitem__)
    if index.format in (ArchiveFormat.TAR, ArchiveFormat.ZIP):
        return ((position, open_member(source, index, position)) for position in ordered)
    stream = InflatedStream(source, index.format)
    return (
        (position, MemberReader(size, stream.blocks(offsets[position], size)))
        for position in ordered
        for size in (index.sizes[position],)
    )


def iter_members(
    source: Source, archive_format: ArchiveFormat
) -> Iterator[tuple[str, int, MemberReader]]:
    """Pass over a shard from its begin to its end, without an index.

    Duplicates come each; refused members are left out. What the consumer does not read is skipped.

    Yields:
        (name, size in bytes, reader). A reader is good until the next step.

    Raises:
        ArchiveError: as `build_index`, but when the pass gets there.
    """
    if archive_format is ArchiveFormat.ZIP:
        index = build_zip_index(source)
        for member in index:
            yield member.name, member.size, open_member(source, index, member.position)
        return
    if archive_format is ArchiveFormat.TAR:
        walk = TarWalk(source.pread, source.size, window=BLOCK, batch=1)
        stream = None
    else:
        stream = InflatedStream(source, archive_format)
        walk = TarWalk(stream.pread, STREAM_SIZE_UNKNOWN, window=BLOCK, batch=1)
    for (raw,), (offset,), (size,) in walk:
        name = clean_name(raw)
        if name is None:
            continue
        if stream is None:
            blocks = read_blocks(source, offset, size)
        else:
            blocks = stream.blocks(offset, size)
        yield decode_name(name), size, MemberReader(size, blocks)
    if stream is not None:
        stream.drain()


def _index_stream(
    source: Source, archive_format: ArchiveFormat, keep: bytes | None
) -> tuple[MemberIndex, bytes | None]:
    stream = InflatedStream(source, archive_format)
    walk = TarWalk(
        stream.pread,
        STREAM_SIZE_UNKNOWN,
        window=BLOCK,
        batch=1 if keep else BATCH,
    )
    builder = IndexBuilder(archive_format)
    kept = None
    for names, offsets, sizes in walk:
        builder.add(names, offsets, sizes)
        if keep and clean_name(names[0]) == keep:
            kept = None
            if sizes[0] <= KEEP_SIZE_MAX:
                kept = b"".join(stream.blocks(offsets[0], sizes[0]))
    stream.drain()
    return builder.build(end=walk.end, refused=walk.refused), kept


def _check_zip_member(index: MemberIndex, position: int) -> None:
    """Refuse what cannot be read, and sizes that contradict each other."""
    assert index.zip is not None
    method, packed, size = (
        index.zip.methods[position],
        index.zip.packed[position],
        index.sizes[position],
    )
    if method & ZIP_ENCRYPTED:
        raise ArchiveError(f'"{index.names[position]}" is encrypted')
    if method not in (STORED, DEFLATED):
        raise ArchiveError(
            f'"{index.names[position]}" is packed by zip method {method}, '
            f"expected {STORED} (stored) or {DEFLATED} (deflated)"
        )
    limit = packed if method == STORED else packed * DEFLATE_RATIO_MAX + _DEFLATE_SLACK
    if size > limit or (method == STORED and size != packed):
        raise ArchiveError(
            f'zip lies: "{index.names[position]}" declares {size} bytes, packed are {packed}'
        )


def _zip_blocks(
    source: Source, index: MemberIndex, position: int, start: int, length: int
) -> Iterator[bytes]:
    _check_zip_member(index, position)
    assert index.zip is not None
    offset = content_offset(source, index, position)
    size = index.sizes[position]
    if index.zip.methods[position] == STORED and length < size:
        return read_blocks(source, offset + start, length)
    blocks = read_blocks(source, offset, index.zip.packed[position])
    if index.zip.methods[position] == DEFLATED:
        blocks = inflate_raw(blocks, size)
    if length < size:
        return _cut(blocks, start, length)
    return _verified(blocks, index.zip.crcs[position], index.names[position])


def _verified(blocks: Iterator[bytes], expected: int, name: str) -> Iterator[bytes]:
    crc = 0
    for block in blocks:
        crc = crc32(block, crc)
        yield block
    if crc != expected:
        raise ArchiveError(f'"{name}" is damaged: CRC-32 is {crc:08x}, expected {expected:08x}')


def _cut(blocks: Iterator[bytes], start: int, length: int) -> Iterator[bytes]:
    for block in blocks:
        if length <= 0:
            return
        part = block[start : start + length]
        start = max(0, start - len(block))
        length -= len(part)
        if part:
            yield part
