"""Packing tar headers, as many a second as a batch of small objects needs.

A header is a name, two numbers and a checksum between constants, so it is put together from slices
of one template. The checksum is the sum of the constant part plus that of the first 148 bytes,
which Adler-32 sums in C: its low half is one plus the sum, and exact, because 148 bytes sum to less
than 65521 here. What plain ustar cannot hold gets a PAX extended header in front.
"""

from zlib import adler32

from aiscore.engine.archive.names import encode_name
from aiscore.engine.archive.tarheader import BLOCK
from aiscore.errors import InvalidNameError

__all__ = ["TAR_EOF", "padding", "tar_header"]

TAR_EOF = bytes(2 * BLOCK)
"""What ends an archive."""

_NAME_SIZE, _PREFIX_SIZE = 100, 155
_NUMBER_MAX = 0o77777777777
_PADDINGS = tuple(bytes(size) for size in range(BLOCK))

_MODE_AND_OWNER = b"0000644\x000000000\x000000000\x00"
_AFTER_NAME = tuple(bytes(_NAME_SIZE - size) + _MODE_AND_OWNER for size in range(_NAME_SIZE + 1))
_MAGIC_AND_OWNERS = bytes(100) + b"ustar\x0000" + bytes(32 + 32 + 8 + 8)
_AFTER_CHECKSUM = b"\0 0" + _MAGIC_AND_OWNERS + bytes(_PREFIX_SIZE + 12)
# The checksum counts its own eight bytes as spaces. One less, because Adler-32 starts at one.
_SUM = sum(_AFTER_CHECKSUM[2:]) + 8 * 0x20 - 1


def tar_header(name: str | bytes, size: int, mtime: int) -> bytes:
    """Return the header of a regular file with mode 0644 and owner 0.

    Args:
        name: of the member, not empty and without NUL; text is stored as UTF-8.
        size: of the content that follows, in bytes.
        mtime: modification time, in whole seconds since 1970.

    Returns:
        512 bytes of ustar. A multiple of it, with a PAX header in front, for a name that is not
        ASCII, or is longer than 100 bytes and does not split at a `/`, and for numbers beyond
        eleven octal digits.

    Raises:
        InvalidNameError: the name is empty, has a NUL, or has no encoding.
    """
    raw = encode_name(name) if isinstance(name, str) else name
    if not raw or 0 in raw:
        raise InvalidNameError(f"invalid archived name {name!r}: empty, or with a NUL")
    if (
        len(raw) <= _NAME_SIZE
        and raw.isascii()
        and 0 <= size <= _NUMBER_MAX
        and 0 <= mtime <= _NUMBER_MAX
    ):
        head = b"%b%b%011o\0%011o\0" % (raw, _AFTER_NAME[len(raw)], size, mtime)
        return b"%b%06o%b" % (head, _SUM + (adler32(head) & 0xFFFF), _AFTER_CHECKSUM)
    return _odd_header(raw, size, mtime)


def padding(size: int) -> bytes:
    """Return the zeros that follow a content of `size` bytes."""
    return _PADDINGS[-size % BLOCK]


def _odd_header(raw: bytes, size: int, mtime: int) -> bytes:
    """Return a header with the prefix field, or one behind a PAX header."""
    records: dict[bytes, bytes] = {}
    split = _split(raw) if raw.isascii() else None
    if split is None:
        if not _is_utf8(raw):
            records[b"hdrcharset"] = b"BINARY"
        records[b"path"] = raw
        split = (b"", raw.decode("ascii", "replace").encode("ascii", "replace")[-_NAME_SIZE:])
    if not 0 <= size <= _NUMBER_MAX:
        records[b"size"] = b"%d" % size
        size = 0
    if not 0 <= mtime <= _NUMBER_MAX:
        records[b"mtime"] = b"%d" % mtime
        mtime = 0
    block = _block(*split, size, mtime, b"0")
    if not records:
        return block
    data = b"".join(_pax_record(keyword, value) for keyword, value in records.items())
    extended = _block(b"", b"././@PaxHeader", len(data), 0, b"x")
    return b"".join((extended, data, padding(len(data)), block))


def _block(prefix: bytes, name: bytes, size: int, mtime: int, kind: bytes) -> bytes:
    head = b"%b%b%011o\0%011o\0" % (name, _AFTER_NAME[len(name)], size, mtime)
    tail = kind + _MAGIC_AND_OWNERS + prefix.ljust(_PREFIX_SIZE + 12, b"\0")
    return b"%b%06o\0 %b" % (head, sum(head) + sum(tail) + 8 * 0x20, tail)


def _split(raw: bytes) -> tuple[bytes, bytes] | None:
    """Split a path at a `/` so that both parts fit their fields, or return None."""
    if len(raw) <= _NAME_SIZE:
        return b"", raw
    slash = raw.find(b"/", len(raw) - _NAME_SIZE - 1)
    if 0 < slash <= _PREFIX_SIZE and slash < len(raw) - 1:
        return raw[:slash], raw[slash + 1 :]
    return None


def _pax_record(keyword: bytes, value: bytes) -> bytes:
    """Return "length keyword=value", where the length counts its own digits."""
    rest = len(keyword) + len(value) + 3
    length = rest + len(str(rest))
    if rest + len(str(length)) != length:
        length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, keyword, value)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
