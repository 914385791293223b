"""Tar header blocks and extended headers: parsing, with every field checked.

Known: old v7, POSIX ustar with its prefix field, GNU (long names and links, base-256 numbers,
sparse) and PAX. The walk over an archive (`tarwalk`) takes common headers apart itself and comes
here for all others.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from aiscore.engine.archive.names import NAME_BYTES_MAX, show_name
from aiscore.errors import ArchiveError

__all__ = [
    "BLOCK",
    "PAX_SIZE_MAX",
    "ZERO_BLOCK",
    "Extension",
    "Header",
    "parse_header",
    "parse_pax",
    "usable_name",
]

BLOCK = 512
"""Size of a header; contents are padded to a multiple of it."""

ZERO_BLOCK = bytes(BLOCK)

PAX_SIZE_MAX = 1024 * 1024
"""Largest extended header or long name, in bytes: 4 KiB of path, the rest is for attributes."""

_OCTAL = re.compile(rb" *([0-7]*)(?:[ \0].*)?", re.DOTALL)  # some leave garbage behind the NUL
_PAX_LENGTH_DIGITS = 10
_SIZE_DIGITS = 20
_USTAR = b"ustar\0"


class Header(NamedTuple):
    """One parsed header block.

    Attributes:
        kind: the typeflag, as a number; 0 for old archives.
        name: raw, prefix included.
        size: of the data that follows, in bytes, without padding.
    """

    kind: int
    name: bytes
    size: int


@dataclass(slots=True)
class Extension:
    """What extended headers say about the entry that follows them; None where they say nothing."""

    path: bytes | None = None
    size: int | None = None
    is_sparse: bool = False


def parse_header(block: bytes, offset: int) -> Header:
    """Take a non-zero header block apart.

    Args:
        block: `BLOCK` bytes.
        offset: of the block in the archive, for errors.

    Raises:
        ArchiveError: the checksum does not match, or a number is malformed or negative.
    """
    stored = _number(block[148:156], "checksum", offset)
    unsigned = sum(block) - sum(block[148:156]) + 8 * 32
    if stored != unsigned:
        # Old tars summed signed characters.
        signed = unsigned - 256 * sum(c > 127 for c in block[:148] + block[156:])
        if stored != signed:
            raise ArchiveError(
                f"not a tar header at {offset}: checksum is {stored}, expected {unsigned}"
            )
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == _USTAR and block[345]:
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    return Header(block[156], name, _number(block[124:136], f'size of "{show_name(name)}"', offset))


def parse_pax(records: bytes, into: Extension) -> None:
    """Apply the records of one PAX extended header: `path`, `size`, and whether the file is sparse.

    Raises:
        ArchiveError: a record is malformed.
    """
    at = 0
    while at < len(records) and records[at]:
        space = records.find(b" ", at, at + _PAX_LENGTH_DIGITS + 1)
        digits = records[at:space] if space > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        if not space < end <= len(records) or records[end - 1] != 0x0A:
            raise ArchiveError(f'malformed PAX record "{show_name(records[at : at + 32])}"')
        keyword, equals, value = records[space + 1 : end - 1].partition(b"=")
        if not equals:
            raise ArchiveError(f'PAX record "{show_name(keyword)}" has no value')
        _apply(keyword, value, into)
        at = end


def usable_name(raw: bytes) -> bytes:
    """Return a name from an extended header; an empty one, which is refused, if too long."""
    return raw if len(raw) <= NAME_BYTES_MAX and b"\0" not in raw else b""


def _apply(keyword: bytes, value: bytes, into: Extension) -> None:
    if keyword == b"path":
        into.path = usable_name(value) if value else None
    elif keyword == b"size":
        if value and not (value.isdigit() and len(value) <= _SIZE_DIGITS):
            raise ArchiveError(f'PAX size is "{show_name(value)}", expected a decimal number')
        into.size = int(value) if value else None
    elif keyword.startswith(b"GNU.sparse."):
        into.is_sparse = True


def _number(field: bytes, what: str, offset: int) -> int:
    """Read an octal field, or a base-256 one, which sets the top bit."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise ArchiveError(f"{what} is {field!r} in the tar header at {offset}, expected octal")
    return int(match[1], 8) if match[1] else 0
