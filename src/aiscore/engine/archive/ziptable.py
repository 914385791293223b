"""The central directory of a zip: an index that the archive brings along.

It is read back to front: the end record names the directory, the directory names every entry. What
an entry's local header repeats is not trusted but for the lengths of its variable fields, which are
needed to find the content. Entries that overlap, inside of each other or of the directory, are how
small archives pretend to be huge: refused.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from aiscore.engine.archive.index import MEMBER_COUNT_MAX, IndexBuilder, MemberIndex, ZipColumns
from aiscore.engine.archive.names import NAME_BYTES_MAX, show_name
from aiscore.engine.archive.source import Source, read_exact
from aiscore.errors import ArchiveError
from aiscore.model.archive import ArchiveFormat

__all__ = [
    "CENTRAL_HEADER",
    "DEFLATED",
    "END_LOCATOR_64",
    "END_RECORD",
    "END_RECORD_64",
    "EXTRA_ZIP64",
    "LOCAL_HEADER",
    "STORED",
    "UINT16_MAX",
    "UINT32_MAX",
    "ZIP_ENCRYPTED",
    "Directory",
    "Record",
    "build_zip_index",
    "content_offset",
    "find_directory",
    "iter_records",
]

STORED, DEFLATED = 0, 8
ZIP_ENCRYPTED = 0x8000
"""Set in the method of an encrypted member."""

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
CENTRAL_HEADER = struct.Struct("<4s6H3I5H2I")
END_RECORD = struct.Struct("<4s4H2IH")
END_RECORD_64 = struct.Struct("<4sQ2H2I4Q")
END_LOCATOR_64 = struct.Struct("<4sIQI")
UINT32_MAX, UINT16_MAX = 0xFFFFFFFF, 0xFFFF
EXTRA_ZIP64 = 1

_ENCRYPTED_FLAGS = 0x0041
_UTF8_FLAG = 0x0800
_UNIX, _REGULAR = 3, 8  # who made it, and the file type in the top bits of the mode it gave
_WINDOW = 1024 * 1024
_RECORD_MAX = CENTRAL_HEADER.size + 3 * UINT16_MAX


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory is.

    Attributes:
        offset: of its first record, in the object.
        size: of all records, in bytes.
        count: of records.
        base: bytes in front of the archive proper, which recorded offsets do not count.
        comment: of the archive.
    """

    offset: int
    size: int
    count: int
    base: int
    comment: bytes


class Record(NamedTuple):
    """One record of the central directory, with zip64 fields resolved; `raw` is as stored."""

    raw: bytes
    name: bytes
    offset: int
    size: int
    packed: int
    crc: int
    method: int
    is_regular: bool


def find_directory(source: Source) -> Directory:
    """Locate the central directory.

    Raises:
        ArchiveError: no end record, several disks, or a directory that does not fit where it should
            be.
    """
    tail_size = min(source.size, END_RECORD.size + UINT16_MAX)
    tail_offset = source.size - tail_size
    tail = read_exact(source, tail_size, tail_offset, "zip end record")
    at = len(tail)
    while True:
        at = tail.rfind(b"PK\5\6", 0, at)
        if at < 0:
            raise ArchiveError("zip has no end record: truncated, or not a zip")
        if at + END_RECORD.size <= len(tail):
            fields = END_RECORD.unpack_from(tail, at)
            if at + END_RECORD.size + fields[7] == len(tail):
                break
        at += 3  # also find one that overlaps this
    _, disk, directory_disk, _, count, size, offset, _ = fields
    end = tail_offset + at
    # Some writers add the zip64 record without need, so the locator is looked for, not announced.
    found = _find_directory_64(source, end)
    if found is not None:
        end, disk, directory_disk, count, size, offset = found
    base = end - size - offset
    if disk or directory_disk or base < 0 or size < count * CENTRAL_HEADER.size:
        raise ArchiveError(
            f"zip end record does not fit: disk {disk}, {count} entries in {size} bytes "
            f"at {offset}, expected to end at {end}"
        )
    return Directory(offset + base, size, count, base, tail[at + END_RECORD.size :])


def iter_records(source: Source, directory: Directory) -> Iterator[Record]:
    """Yield the records of the central directory in their order, reading a window at a time.

    Raises:
        ArchiveError: a record is malformed or lies outside of the directory.
    """
    window, at, read = b"", 0, 0
    for _ in range(directory.count):
        if len(window) - at < _RECORD_MAX and read < directory.size:
            count = min(_WINDOW, directory.size - read)
            window = window[at:] + read_exact(
                source, count, directory.offset + read, "zip central directory"
            )
            at = 0
            read += count
        record = _parse_record(window, at, directory)
        yield record
        at += len(record.raw)


def build_zip_index(source: Source) -> MemberIndex:
    """Index a zip by its central directory.

    Raises:
        ArchiveError: malformed, or entries overlap.
    """
    directory = find_directory(source)
    if directory.count > MEMBER_COUNT_MAX:
        raise ArchiveError(f"zip has {directory.count} entries, limit is {MEMBER_COUNT_MAX}")
    columns = ZipColumns()
    builder = IndexBuilder(ArchiveFormat.ZIP, columns)
    names: list[bytes] = []
    offsets: list[int] = []
    sizes: list[int] = []
    spans: list[tuple[int, int]] = []
    for record in iter_records(source, directory):
        spans.append((record.offset, LOCAL_HEADER.size + record.packed))
        if not record.is_regular:
            continue
        names.append(record.name)
        offsets.append(record.offset)
        sizes.append(record.size)
        columns.packed.append(record.packed)
        columns.crcs.append(record.crc)
        columns.methods.append(record.method)
    _check_overlap(spans, directory.offset)
    if names:
        builder.add(names, offsets, sizes)
    return builder.build(end=directory.offset, refused=0)


def content_offset(source: Source, index: MemberIndex, position: int) -> int:
    """Return where the packed bytes of a member start.

    Raises:
        ArchiveError: the local header is not one.
    """
    header_offset = index.offsets[position]
    header = read_exact(source, LOCAL_HEADER.size, header_offset, "zip local header")
    fields = LOCAL_HEADER.unpack(header)
    offset = header_offset + LOCAL_HEADER.size + fields[9] + fields[10]
    assert index.zip is not None
    if fields[0] != b"PK\3\4" or offset + index.zip.packed[position] > index.end:
        raise ArchiveError(
            f'zip local header of "{index.names[position]}" at {header_offset} is damaged'
        )
    return int(offset)


def _find_directory_64(source: Source, end: int) -> tuple[int, int, int, int, int, int] | None:
    """Read the zip64 end record: where it starts, disk, directory's disk, count, size, offset."""
    at = end - END_LOCATOR_64.size
    if at < END_RECORD_64.size:
        return None
    magic, _, recorded, disks = END_LOCATOR_64.unpack(
        read_exact(source, END_LOCATOR_64.size, at, "zip64 locator")
    )
    if magic != b"PK\6\7":
        return None
    # Where it is recorded, or, when bytes were put in front of the archive, right before the
    # locator.
    for offset in (recorded, at - END_RECORD_64.size):
        if offset + END_RECORD_64.size > at or disks > 1:
            continue
        fields = END_RECORD_64.unpack(
            read_exact(source, END_RECORD_64.size, offset, "zip64 end record")
        )
        if fields[0] == b"PK\6\6":
            return offset, fields[4], fields[5], fields[7], fields[8], fields[9]
    raise ArchiveError(f"zip64 end record not found at {recorded}")


def _parse_record(window: bytes, at: int, directory: Directory) -> Record:
    if at + CENTRAL_HEADER.size > len(window):
        raise ArchiveError(
            f"zip central directory is truncated, expected {directory.count} records"
        )
    fields = CENTRAL_HEADER.unpack_from(window, at)
    magic, made_by, _, flags, method, _, _, crc, packed, size, n, m, k, _, _, mode, offset = fields
    name_end = at + CENTRAL_HEADER.size + n
    end = name_end + m + k
    name = window[name_end - n : name_end]
    if magic != b"PK\1\2" or end > len(window):
        raise ArchiveError(f"zip central directory is damaged, expected {directory.count} records")
    if UINT32_MAX in (size, packed, offset):
        size, packed, offset = _zip64(window[name_end : name_end + m], size, packed, offset, name)
    offset += directory.base
    if offset + LOCAL_HEADER.size + packed > directory.offset:
        raise ArchiveError(
            f'zip lies: "{show_name(name)}" has {packed} bytes at {offset}, '
            f"central directory starts at {directory.offset}"
        )
    if not flags & _UTF8_FLAG and not name.isascii():
        name = _as_utf8(name)
    if b"\0" in name or len(name) > NAME_BYTES_MAX:
        name = b""
    is_odd = made_by >> 8 == _UNIX and mode >> 28 not in (0, _REGULAR)
    return Record(
        window[at:end],
        name,
        offset,
        size,
        packed,
        crc,
        (method & 0x7FFF) | (ZIP_ENCRYPTED if flags & _ENCRYPTED_FLAGS else 0),
        not (is_odd or name.endswith(b"/")),
    )


def _zip64(extra: bytes, size: int, packed: int, offset: int, name: bytes) -> tuple[int, int, int]:
    """Replace those of the three that say "look in the extra field"."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == EXTRA_ZIP64:
            values = [
                v for (v,) in struct.iter_unpack("<Q", extra[at + 4 : at + 4 + length // 8 * 8])
            ]
            needed = (size, packed, offset).count(UINT32_MAX)
            if len(values) < needed:
                break
            found = iter(values)
            size, packed, offset = (
                next(found) if value == UINT32_MAX else value for value in (size, packed, offset)
            )
            return size, packed, offset
        at += 4 + length
    raise ArchiveError(f'zip64 sizes of "{show_name(name)}" are missing')


def _as_utf8(name: bytes) -> bytes:
    """Recode a name without the UTF-8 flag: if it is no UTF-8 anyway, it is code page 437."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return name.decode("cp437").encode()
    return name


def _check_overlap(spans: list[tuple[int, int]], limit: int) -> None:
    end = 0
    for offset, size in sorted(spans):
        if offset < end:
            raise ArchiveError(
                f"zip entries overlap: one starts at {offset}, another ends at {end}"
            )
        end = offset + size
    if end > limit:
        raise ArchiveError(f"zip entries end at {end}, central directory starts at {limit}")
