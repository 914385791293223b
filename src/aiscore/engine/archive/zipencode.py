"""Zip, written front to back: local entries, then the central directory.

Members are stored by default: shards hold media, which is compressed already, and a stored member
is read as a plain range. A member of up to `ZIP_BUFFERED_MAX` bytes is complete before its header
is written, so sizes and CRC stand in front, where streaming readers want them. A larger one gets a
data descriptor behind its content. Zip64 is used for the entries and directories that need it, and
only there.
"""

import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from aiscore.engine.archive.encode import Compressor, Piece, exactly
from aiscore.engine.archive.inflate import fast_zlib
from aiscore.engine.archive.names import clean_name
from aiscore.engine.archive.ziptable import (
    CENTRAL_HEADER,
    DEFLATED,
    END_LOCATOR_64,
    END_RECORD,
    END_RECORD_64,
    EXTRA_ZIP64,
    LOCAL_HEADER,
    STORED,
    UINT16_MAX,
    UINT32_MAX,
    Record,
)

__all__ = ["ZIP_BUFFERED_MAX", "ZipEncoder"]

ZIP_BUFFERED_MAX = 1024 * 1024
"""Largest member that is held in memory to put its CRC in front of it."""

_RAW_DEFLATE = -15
_LEVEL = 1
_VERSION, _VERSION_64 = 20, 45
_MADE_BY_UNIX = 3 << 8
_MODE = 0o100644 << 16
_FLAG_DESCRIPTOR, _FLAG_UTF8 = 0x0008, 0x0800
_WIDE_FROM = UINT32_MAX  # what is as large goes into zip64 fields
_STREAMED_WIDE_FROM = 0xF0000000  # the same, before deflate may make it larger


class ZipEncoder:
    """Zip, in one forward pass."""

    def __init__(
        self,
        mtime: int,
        *,
        deflate: bool = False,
        offset: int = 0,
        base: int = 0,
        old: Iterable[Record] = (),
        comment: bytes = b"",
    ) -> None:
        """Start an archive, or continue one.

        Args:
            mtime: of every member, in seconds since 1970; zip has local time in steps of two
                seconds, we write UTC.
            deflate: compress members instead of storing them.
            offset: bytes in front of the first new entry.
            base: bytes in front of the old archive proper, which offsets do not count.
            old: records of the entries that lie in front; a new member drops those of its name.
            comment: of the archive.
        """
        self._stamp = _dos_time(mtime)
        self._deflate = deflate
        self._offset = offset
        self._base = base
        self._records: list[bytes] = []
        self._old: dict[bytes | int, list[bytes]] = {}
        for record in old:
            # Directories keep their slash, so they never meet a file; a name that is refused meets
            # nothing.
            key = clean_name(record.name) or record.offset
            self._old.setdefault(key, []).append(record.raw)
        self._comment = comment

    def member(self, raw: bytes, size: int, blocks: Iterable[Piece]) -> Iterator[Piece]:
        """Yield one entry."""
        for piece in self._entry(raw, size, blocks):
            self._offset += len(piece)
            yield piece

    def finish(self) -> Iterator[Piece]:
        """Yield the central directory."""
        start = self._offset
        self._records[:0] = chain.from_iterable(self._old.values())
        for record in self._records:
            self._offset += len(record)
            yield record
        yield self._end(start)

    def _entry(self, raw: bytes, size: int, blocks: Iterable[Piece]) -> Iterator[Piece]:
        blocks = exactly(blocks, size, raw)
        offset = self._offset - self._base
        flags = 0 if raw.isascii() else _FLAG_UTF8
        method = DEFLATED if self._deflate else STORED
        if size <= ZIP_BUFFERED_MAX:
            data = b"".join(blocks)
            crc = zlib.crc32(data)
            packed = _deflate(data) if self._deflate else data
            if len(packed) >= size:
                packed, method = data, STORED
            yield _local(raw, flags, method, self._stamp, crc, len(packed), size)
            yield packed
            self._add_record(raw, flags, method, crc, len(packed), size, offset)
            return
        flags |= _FLAG_DESCRIPTOR
        is_large = size >= _STREAMED_WIDE_FROM
        yield _local(raw, flags, method, self._stamp, 0, 0, 0, is_large=is_large)
        crc = packed_size = 0
        compressor = _new_compressor() if self._deflate else None
        for block in blocks:
            crc = zlib.crc32(block, crc)
            out = block if compressor is None else compressor.compress(block)
            packed_size += len(out)
            if out:
                yield out
        if compressor is not None:
            out = compressor.flush()
            packed_size += len(out)
            yield out
        yield struct.pack("<4sIQQ" if is_large else "<4sIII", b"PK\7\10", crc, packed_size, size)
        self._add_record(raw, flags, method, crc, packed_size, size, offset)

    def _add_record(
        self, raw: bytes, flags: int, method: int, crc: int, packed: int, size: int, offset: int
    ) -> None:
        self._old.pop(clean_name(raw) or raw, None)
        wide = [value for value in (size, packed, offset) if value >= _WIDE_FROM]
        extra = struct.pack(f"<2H{len(wide)}Q", EXTRA_ZIP64, 8 * len(wide), *wide) if wide else b""
        version = _VERSION_64 if wide else _VERSION
        size, packed, offset = _narrow(size), _narrow(packed), _narrow(offset)
        self._records.append(
            CENTRAL_HEADER.pack(
                b"PK\1\2", _MADE_BY_UNIX | version, version, flags, method, *self._stamp, crc,
                packed, size, len(raw), len(extra), 0, 0, 0, _MODE, offset,
            )
            + raw
            + extra
        )  # fmt: skip

    def _end(self, start: int) -> bytes:
        count, size, offset = len(self._records), self._offset - start, start - self._base
        end = b""
        if count >= UINT16_MAX or size >= _WIDE_FROM or offset >= _WIDE_FROM:
            end = END_RECORD_64.pack(
                b"PK\6\6", END_RECORD_64.size - 12, _MADE_BY_UNIX | _VERSION_64, _VERSION_64, 0, 0,
                count, count, size, offset,
            ) + END_LOCATOR_64.pack(b"PK\6\7", 0, self._offset - self._base, 1)  # fmt: skip
        count16 = min(count, UINT16_MAX)
        return (
            end
            + END_RECORD.pack(
                b"PK\5\6", 0, 0, count16, count16, _narrow(size), _narrow(offset), len(self._comment),
            )
            + self._comment
        )  # fmt: skip


def _narrow(value: int) -> int:
    """Return what a 32-bit field holds: the value, or that it is to be found in a zip64 field."""
    return value if value < _WIDE_FROM else UINT32_MAX


def _local(
    raw: bytes,
    flags: int,
    method: int,
    stamp: tuple[int, int],
    crc: int,
    packed: int,
    size: int,
    *,
    is_large: bool = False,
) -> bytes:
    version, extra = _VERSION, b""
    if is_large:
        # The sizes are behind the content; this says that they are 64 bits wide there.
        version, packed, size = _VERSION_64, UINT32_MAX, UINT32_MAX
        extra = struct.pack("<2H2Q", EXTRA_ZIP64, 16, 0, 0)
    return (
        LOCAL_HEADER.pack(
            b"PK\3\4", version, flags, method, *stamp, crc, packed, size, len(raw), len(extra)
        )
        + raw
        + extra
    )


def _new_compressor() -> Compressor:
    return fast_zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW_DEFLATE)


def _deflate(data: bytes) -> bytes:
    compressor = _new_compressor()
    return compressor.compress(data) + compressor.flush()


def _dos_time(mtime: int) -> tuple[int, int]:
    """Return (time, date) fields; zip begins in 1980 and ends in 2107."""
    year, month, day, hour, minute, second, *_ = time.gmtime(min(max(mtime, 315532800), 4354819199))
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day
