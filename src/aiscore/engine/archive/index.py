"""The member index of one shard, in memory and as bytes for a database row.

In memory and stored it is the same three columns: all names in one NUL-terminated string, and two
arrays of unsigned 64-bit integers. Loading is a checksum and a few copies, with no object per
member. The first few look-ups by name search that string; after `SEARCHES_BEFORE_DICT` of them a
dict is built, which a cached index then keeps.

Stored form, version 1, little-endian:

    magic "AISX", version u8, format u8, zero u16, refused u64, end u64, count u64, length of names
    u64 offsets u64[count], sizes u64[count]
    zip only: packed u64[count], crc u32[count], method u16[count]
    names: NUL, then each name and a NUL
    XXH3-64 of everything before, u64

The form is a cache: whatever does not load is rebuilt from the shard.
"""

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import xxhash

from aiscore.engine.archive.names import (
    clean_name,
    decode_name,
    encode_name,
    show_name,
)
from aiscore.errors import ArchiveError, ArchpathNotFoundError
from aiscore.model.archive import ArchiveFormat

__all__ = [
    "MEMBER_COUNT_MAX",
    "NAMES_SIZE_MAX",
    "IndexBuilder",
    "Member",
    "MemberIndex",
    "Names",
    "ZipColumns",
]

MEMBER_COUNT_MAX = 10_000_000
"""Most members of one shard; their offsets and sizes alone are 160 MB then."""

NAMES_SIZE_MAX = 512 * 1024 * 1024
"""Most bytes of all names of one shard: 50 each at the member limit."""

SEARCHES_BEFORE_DICT = 8
"""Look-ups by search before a dict is built, which costs a little more than this many."""

SEARCHED_MAX = 1_000
"""Names that are searched, or made a dict of, in less time than it takes to leave that to another thread."""

_MAGIC = b"AISX"
_VERSION = 1
_HEADER = struct.Struct("<4sBBHQQQQ")
_CHECKSUM = struct.Struct("<Q")
_FORMATS = {
    1: ArchiveFormat.TAR,
    2: ArchiveFormat.TGZ,
    3: ArchiveFormat.TAR_LZ4,
    4: ArchiveFormat.ZIP,
}
_FORMAT_CODES = {value: code for code, value in _FORMATS.items()}


class Member(NamedTuple):
    """One regular file of a shard.

    Attributes:
        position: place in archive order, from 0.
        name: clean name, see `names`.
        size: of the content, in bytes.
    """

    position: int
    name: str
    size: int


@dataclass(slots=True)
class ZipColumns:
    """What a zip member needs besides: packed size, CRC-32, and method with `ZIP_ENCRYPTED`."""

    packed: "array[int]" = field(default_factory=lambda: array("Q"))
    crcs: "array[int]" = field(default_factory=lambda: array("I"))
    methods: "array[int]" = field(default_factory=lambda: array("H"))


class Names:
    """All names of an index as one string of bytes, and the ways to look into it."""

    def __init__(self, packed: bytes, count: int) -> None:
        self.packed = packed
        self.count = count
        self._list: list[str] | None = None
        self._positions: dict[str, int] | None = None
        self._searches = 0

    def as_list(self) -> list[str]:
        """Return every name, in archive order; built once."""
        if self._list is None:
            self._list = decode_name(self.packed[1:-1]).split("\0") if self.count else []
        return self._list

    def find(self, name: str) -> int | None:
        """Return the position of the last member of this name, or None."""
        if self._positions is not None:
            return self._positions.get(name)
        if self._searches >= SEARCHES_BEFORE_DICT:
            return self.positions().get(name)
        self._searches += 1
        raw = encode_name(name)
        if not raw or b"\0" in raw:
            return None
        at = self.packed.rfind(b"\0" + raw + b"\0")
        return self.packed.count(b"\0", 0, at) if at >= 0 else None

    @property
    def is_quick(self) -> bool:
        """True when the next look-up takes microseconds: by the dict, or among names that are few."""
        return self._positions is not None or self.count <= SEARCHED_MAX

    def positions(self) -> dict[str, int]:
        """Return name to position, the last one of each name; built once."""
        if self._positions is None:
            names = self.as_list()
            self._positions = dict(zip(names, range(len(names)), strict=True))
        return self._positions


class MemberIndex:
    """Regular files of one shard, in archive order. Immutable; safe to share between threads.

    Attributes:
        format: of the shard.
        offsets: where the content starts. In the shard for tar, in the decompressed stream for tgz
            and tar.lz4; for zip, where the local header starts.
        sizes: of the contents, in bytes.
        refused: entries that are not reachable: hostile names, and sparse files.
        end: where the end marker starts, in the space of `offsets`; for zip, the central directory.
        zip: further columns, for zip only.
    """

    __slots__ = ("_names", "end", "format", "offsets", "refused", "sizes", "zip")

    def __init__(
        self,
        archive_format: ArchiveFormat,
        names: Names,
        offsets: "array[int]",
        sizes: "array[int]",
        *,
        end: int,
        refused: int = 0,
        zip_columns: ZipColumns | None = None,
    ) -> None:
        self.format = archive_format
        self._names = names
        self.offsets = offsets
        self.sizes = sizes
        self.end = end
        self.refused = refused
        self.zip = zip_columns

    def __len__(self) -> int:
        return self._names.count

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def __iter__(self) -> Iterator[Member]:
        names = self._names.as_list()
        return map(Member, range(len(names)), names, self.sizes)

    @property
    def names(self) -> list[str]:
        """Every name in archive order, duplicates included. Do not modify."""
        return self._names.as_list()

    @property
    def is_quick(self) -> bool:
        """True when `find` takes microseconds."""
        return self._names.is_quick

    @property
    def positions(self) -> dict[str, int]:
        """Name to position; of duplicates the last. Do not modify."""
        return self._names.positions()

    def find(self, name: str) -> int | None:
        """Return the position of a member, or None.

        Args:
            name: as `names` gives it; leading `/` and `./` are ignored. Of duplicates the last one
                is found.
        """
        position = self._names.find(name)
        if position is None and name[:1] in "./":
            raw = clean_name(encode_name(name) or b"")
            position = self._names.find(decode_name(raw)) if raw else None
        return position

    def position_of(self, name: str) -> int:
        """Return the position of a member.

        Raises:
            ArchpathNotFoundError: no member has this name.
        """
        position = self.find(name)
        if position is None:
            raise ArchpathNotFoundError(
                f'"{show_name(name.encode("utf-8", "backslashreplace"))}" not found in archive'
            )
        return position

    def to_bytes(self) -> bytes:
        """Return the stored form, see the module's docstring."""
        code = _FORMAT_CODES[self.format]
        names = self._names
        parts = [
            _HEADER.pack(
                _MAGIC, _VERSION, code, 0, self.refused, self.end, names.count, len(names.packed)
            ),
            _little(self.offsets),
            _little(self.sizes),
        ]
        if self.zip is not None:
            parts += [_little(c) for c in (self.zip.packed, self.zip.crcs, self.zip.methods)]
        parts.append(names.packed)
        body = b"".join(parts)
        return body + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(body))

    @classmethod
    def from_bytes(cls, stored: bytes) -> Self:
        """Load the stored form.

        Raises:
            ArchiveError: not this form, another version, or damaged; the caller rebuilds the index.
        """
        body = memoryview(stored)[: -_CHECKSUM.size]
        if (
            len(body) < _HEADER.size
            or xxhash.xxh3_64_intdigest(body) != _CHECKSUM.unpack_from(stored, len(body))[0]
        ):
            raise ArchiveError("stored member index is damaged: checksum does not match")
        magic, version, code, _, refused, end, count, names_size = _HEADER.unpack_from(body)
        archive_format = _FORMATS.get(code)
        if magic != _MAGIC or version != _VERSION or archive_format is None:
            raise ArchiveError(
                f"stored member index has magic {magic!r} version {version} format {code}, "
                f"expected {_MAGIC!r} version {_VERSION}"
            )
        has_zip = archive_format is ArchiveFormat.ZIP
        if len(body) != _HEADER.size + count * (30 if has_zip else 16) + names_size:
            raise ArchiveError("stored member index is damaged: lengths do not match")
        at = _HEADER.size
        columns = []
        for typecode in "QQQIH" if has_zip else "QQ":
            column = array(typecode)
            until = at + count * column.itemsize
            column.frombytes(body[at:until])
            if sys.byteorder == "big":
                column.byteswap()
            columns.append(column)
            at = until
        return cls(
            archive_format,
            Names(bytes(body[at:]), count),
            columns[0],
            columns[1],
            end=end,
            refused=refused,
            zip_columns=ZipColumns(*columns[2:]) if has_zip else None,
        )


class IndexBuilder:
    """Collects members batch by batch into columns, and cleans the names when any needs it.

    Names come raw: without NUL, at most `NAME_BYTES_MAX` bytes; one that was not comes empty, and
    is refused.
    """

    def __init__(
        self, archive_format: ArchiveFormat, zip_columns: ZipColumns | None = None
    ) -> None:
        self.format = archive_format
        self.zip = zip_columns
        self._names = [b""]
        self._names_size = 0
        self._offsets = array("Q")
        self._sizes = array("Q")
        self._is_suspicious = False

    def add(self, names: list[bytes], offsets: list[int], sizes: list[int]) -> None:
        """Append one batch, not empty.

        Raises:
            ArchiveError: too many members, or too many bytes of names.
        """
        joined = b"\0".join(names)
        # The least name finds all that are empty or begin with "." or "/" at half the price of
        # searching for them.
        self._is_suspicious = self._is_suspicious or min(names) < b"0" or b"/.." in joined
        self._names.append(joined)
        self._names_size += len(joined) + 1
        self._offsets.extend(array("Q", offsets))
        self._sizes.extend(array("Q", sizes))
        if len(self._offsets) > MEMBER_COUNT_MAX or self._names_size > NAMES_SIZE_MAX:
            raise ArchiveError(
                f"archive has {len(self._offsets)} members with {self._names_size} bytes of names, "
                f"limits are {MEMBER_COUNT_MAX} and {NAMES_SIZE_MAX}"
            )

    def build(self, *, end: int, refused: int) -> MemberIndex:
        """Return the index of what was added; refused names are counted on top of `refused`."""
        before = len(self._offsets)
        names = b"\0".join([*self._names, b""]) if before else b"\0"
        if self._is_suspicious:
            names = self._clean(names)
        return MemberIndex(
            self.format,
            Names(names, len(self._offsets)),
            self._offsets,
            self._sizes,
            end=end,
            refused=refused + before - len(self._offsets),
            zip_columns=self.zip,
        )

    def _clean(self, names: bytes) -> bytes:
        cleaned = [clean_name(raw) for raw in names[1:-1].split(b"\0")]
        kept = [position for position, name in enumerate(cleaned) if name is not None]
        if len(kept) < len(cleaned):
            self._offsets = _pick(self._offsets, kept)
            self._sizes = _pick(self._sizes, kept)
            if self.zip is not None:
                columns = (self.zip.packed, self.zip.crcs, self.zip.methods)
                self.zip = ZipColumns(*(_pick(column, kept) for column in columns))
        return b"\0" + b"".join([name + b"\0" for name in cleaned if name is not None])


def _pick(column: "array[int]", positions: list[int]) -> "array[int]":
    return array(column.typecode, map(column.__getitem__, positions))


def _little(column: "array[int]") -> bytes:
    if sys.byteorder == "big":
        column = array(column.typecode, column)
        column.byteswap()
    return column.tobytes()
