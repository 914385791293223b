"""The walk over the headers of a tar, which indexing, sequential reading and appending share.

Theory: a tar has no table of contents. Headers are visited one after the other, contents are
skipped. First touch of a shard costs one walk, so the loop is written for the common header
(regular file, octal size, no extended header) and leaves all others to `tarheader`. Reads are just
the header, unless members are small: then a window that holds several headers is read at once.

The checksum of the common header is verified with Adler-32, whose low half is one plus the sum of
the bytes modulo 65521: a C loop instead of a Python one. A header of mostly non-ASCII bytes sums
higher, fails that test, and is summed exactly by `tarheader`.
"""

import struct
from collections.abc import Callable, Iterator
from zlib import adler32

from aiscore.engine.archive.index import IndexBuilder, MemberIndex
from aiscore.engine.archive.names import show_name
from aiscore.engine.archive.source import Source
from aiscore.engine.archive.tarheader import (
    BLOCK,
    PAX_SIZE_MAX,
    ZERO_BLOCK,
    Extension,
    Header,
    parse_header,
    parse_pax,
    usable_name,
)
from aiscore.errors import ArchiveError
from aiscore.model.archive import ArchiveFormat

__all__ = ["TarWalk", "build_tar_index"]

WINDOW = 16 * 1024
"""Bytes read at a time while members are small."""

WINDOW_MEMBER_MAX = 2 * 1024
"""Largest member after which a window is read: beyond it, too few headers share one."""

STREAM_SIZE_UNKNOWN = 1 << 63
"""Size to give for a stream whose length only its end tells."""

BATCH = 4096
"""Members collected between two looks at the limits."""

_COMMON = struct.Struct("100s 24x 11s B 12x 8s B 188x B 166x")
_CHECKSUMS_KEPT = 4096
_REGULAR, _SLASH, _SPACE = b"0/ "
_SPARSE_CONTINUED, _SPARSE_CONTINUED_AGAIN = 482, 504
_LONG_NAME, _LONG_LINK, _PAX_GLOBAL, _SPARSE = b"LKgS"
_EXTENDING = b"LgxX"
_REGULAR_KINDS = b"0\0007"
_HEADER_ONLY = (
    b"123456"  # links, devices, directories, fifos: no data follows, whatever the size field says
)
_NOTHING = Extension()

Pread = Callable[[int, int], bytes]
Batch = tuple[list[bytes], list[int], list[int]]


class TarWalk:
    """One pass over the headers; iterate over it once.

    Gives batches of (raw names, content offsets, sizes) of regular files. A raw name has no NUL and
    at most `NAME_BYTES_MAX` bytes; one that had comes out empty.

    Attributes:
        end: after the iteration, where the end marker starts: behind the last entry and its
            padding.
        refused: sparse files seen so far.
    """

    def __init__(
        self, pread: Pread, size: int, *, window: int = WINDOW, batch: int = BATCH
    ) -> None:
        """Prepare the walk.

        Args:
            pread: reads (count, offset); offsets ascend but for what a window covers.
            size: of the archive in bytes, or `STREAM_SIZE_UNKNOWN`.
            window: bytes to read at a time while members are small; `BLOCK` for none.
            batch: members per step, at least 1. No header behind the last member of a batch has
                been read.
        """
        self._pread = pread
        self._size = size
        self._window = window
        self._batch = batch
        self._global = Extension()
        self._next: Extension | None = None
        self.end = 0
        self.refused = 0

    def __iter__(self) -> Iterator[Batch]:
        """Walk.

        Raises:
            ArchiveError: a header is malformed, a member lies outside of the archive, or the
                archive is truncated.
        """
        pread, archive_size, fields, window = self._pread, self._size, _COMMON.unpack, self._window
        batch_size, checksums = self._batch, _Checksums()
        names, offsets, sizes = batch = _new_batch()
        buffer, buffer_start, want, is_plain = b"", 0, window, True
        name, offset, content, size = b"", 0, 0, 0
        while True:
            if want == BLOCK:
                block = pread(BLOCK, offset)
            else:
                at = offset - buffer_start
                if at + BLOCK > len(buffer):
                    buffer, buffer_start, at = pread(want, offset), offset, 0
                block = buffer[at : at + BLOCK]
            try:
                name, size_field, size_end, checksum, kind, prefix = fields(block)
            except struct.error:  # short: the archive ends here, or inside of the last member
                if not block and offset > archive_size:
                    raise _outside(name, content, size, archive_size) from None
                block = self._complete(block, offset)
                name, size_field, size_end, checksum, kind, prefix = fields(block)
            name = name.split(b"\0", 1)[0]
            if (
                kind == _REGULAR
                and not prefix
                and (not size_end or size_end == _SPACE)
                and size_field.isdigit()
                and is_plain
                and name
                and name[-1] != _SLASH
                and adler32(block) & 0xFFFF == checksums[checksum]
            ):
                try:
                    size = int(size_field, 8)
                except ValueError:
                    size = parse_header(block, offset).size  # says what is wrong with it
                content = offset + BLOCK
                offset = content + (size + 511 & -512)
                is_member = True
            elif block == ZERO_BLOCK:
                break
            else:
                name, content, size, offset, is_member = self._uncommon(block, offset)
                if offset > archive_size:  # now, because no system call takes such an offset
                    raise _outside(name, content, size, archive_size)
                is_plain = self._next is None and self._global == _NOTHING
            if is_member:
                names.append(name)
                offsets.append(content)
                sizes.append(size)
                if len(sizes) == batch_size:
                    yield batch
                    names, offsets, sizes = batch = _new_batch()
            want = window if size <= WINDOW_MEMBER_MAX else BLOCK
        self.end = offset
        if self._next is not None:
            raise ArchiveError(f"archive is truncated: an extended header at its end, {offset}")
        if names:
            yield batch

    def _complete(self, block: bytes, offset: int) -> bytes:
        """Return the whole block where a read was short, or zeros at the end of the archive."""
        return self._read(BLOCK, offset, block) if block else ZERO_BLOCK

    def _read(self, count: int, offset: int, data: bytes = b"") -> bytes:
        while len(data) < count:
            more = self._pread(count - len(data), offset + len(data))
            if not more:
                raise ArchiveError(
                    f"archive is truncated: {count} bytes expected at {offset}, found {len(data)}"
                )
            data += more
        return data

    def _uncommon(self, block: bytes, offset: int) -> tuple[bytes, int, int, int, bool]:
        """Handle any entry: return name, content offset, size, next offset, is it a member."""
        header = parse_header(block, offset)
        content = offset + BLOCK
        if header.kind in _EXTENDING:
            self._extend(header, content)
            return header.name, content, header.size, _behind(content, header.size), False
        if header.kind == _LONG_LINK:
            return header.name, content, header.size, _behind(content, header.size), False
        said, self._next = self._next or _NOTHING, None
        path = self._global.path if said.path is None else said.path
        name = header.name if path is None else path
        size = self._global.size if said.size is None else said.size
        size = header.size if size is None else size
        if header.kind in _HEADER_ONLY or (not header.kind and name.endswith(b"/")):
            return name, content, 0, content, False
        if header.kind == _SPARSE:
            content = self._behind_sparse_map(block, content)
        is_member = header.kind in _REGULAR_KINDS
        if (is_member and (said.is_sparse or name.endswith(b"/"))) or header.kind == _SPARSE:
            self.refused += 1
            is_member = False
        return name, content, size, _behind(content, size), is_member

    def _extend(self, header: Header, content: int) -> None:
        if header.size > PAX_SIZE_MAX:
            raise ArchiveError(
                f"extended tar header at {content} has {header.size} bytes, limit is {PAX_SIZE_MAX}"
            )
        data = self._read(header.size, content)
        if header.kind == _PAX_GLOBAL:
            parse_pax(data, self._global)
            return
        self._next = self._next or Extension()
        if header.kind == _LONG_NAME:
            self._next.path = usable_name(data.partition(b"\0")[0])
        else:
            parse_pax(data, self._next)

    def _behind_sparse_map(self, block: bytes, content: int) -> int:
        """Return where the data of an old GNU sparse file starts: its map may take more blocks."""
        is_continued = block[_SPARSE_CONTINUED]
        while is_continued:
            is_continued = self._read(BLOCK, content)[_SPARSE_CONTINUED_AGAIN]
            content += BLOCK
        return content


class _Checksums(dict[bytes, int]):
    """What the low half of Adler-32 of a header must be, by its checksum field."""

    def __missing__(self, field: bytes) -> int:
        digits = field[:6]
        if not digits.isdigit():
            return -1
        if len(self) >= _CHECKSUMS_KEPT:
            self.clear()
        try:
            # The header was summed with eight spaces in place of the field.
            expected = int(digits, 8) - 8 * _SPACE + sum(field) + 1
        except ValueError:
            expected = -1
        self[field] = expected
        return expected


def build_tar_index(source: Source) -> MemberIndex:
    """Index a plain tar by one walk over its headers.

    Raises:
        ArchiveError: see `TarWalk`; also for too many members.
    """
    builder = IndexBuilder(ArchiveFormat.TAR)
    walk = TarWalk(source.pread, source.size)
    for names, offsets, sizes in walk:
        builder.add(names, offsets, sizes)
    return builder.build(end=walk.end, refused=walk.refused)


def _outside(name: bytes, content: int, size: int, archive_size: int) -> ArchiveError:
    return ArchiveError(
        f'archive is truncated, or lies: "{show_name(name)}" has {size} bytes at {content}, '
        f"archive has {archive_size}"
    )


def _new_batch() -> Batch:
    return [], [], []


def _behind(content: int, size: int) -> int:
    return content + (size + BLOCK - 1) // BLOCK * BLOCK
