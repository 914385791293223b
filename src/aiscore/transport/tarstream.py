"""A tar as it comes over the network: header by header, strictly, in bounded memory.

Only what an archive of GetBatch consists of is accepted: regular files, with PAX or GNU extensions for long names and
large sizes. Anything else means that the stream is not what was asked for, and is an error rather than skipped.
"""

from collections.abc import Callable
from typing import NamedTuple
from zlib import adler32

from aiscore.errors import ProtocolError
from aiscore.transport.answer import MalformedAnswerError

__all__ = ["TAR_END", "TarMember", "TarStream"]

BLOCK = 512
BUFFER_SIZE = 256 << 10
"""Receive buffer; members that fit are handed out from it."""
EXTENSION_MAX = 64 << 10
"""Bytes of one extended header: a long name and its company."""
EXTENSIONS_MAX = 8
"""Extended headers in front of one member."""
TRAILER_MAX = 1 << 20
"""Bytes after the end marker; writers pad to a record of 10 KiB."""
TAR_END = bytes(2 * BLOCK)

_ZEROS = bytes(BLOCK)
_REGULAR = frozenset(b"0\0")
_SIZE_MAX = 1 << 62


class TarMember(NamedTuple):
    """One member whose content comes next.

    Attributes:
        name: as stored, without a leading `./`.
        size: bytes of content.
        header: all its header blocks, extended ones too.
    """

    name: bytes
    size: int
    header: bytes


class TarStream:
    """Reads members one after the other; each must be read or skipped to its end before the next."""

    def __init__(self, readinto: Callable[[memoryview], int], what: str) -> None:
        """Begin.

        Args:
            readinto: gives more of the archive, 0 at its end.
            what: names the archive in errors.
        """
        self._readinto = readinto
        self._what = what
        self._buffer = bytearray(BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._left = self._padding = 0
        self._is_done = False

    @property
    def left(self) -> int:
        """Bytes of the member's content that have not been read."""
        return self._left

    def next(self) -> TarMember | None:
        """The next member; None at the end of the archive.

        Raises:
            ProtocolError: malformed, or it ends without its end marker.
        """
        self._end_member()
        if self._is_done:
            return None
        header = b""
        path: bytes | None = None
        size: int | None = None
        for _ in range(EXTENSIONS_MAX):
            block = self._exactly(BLOCK)
            header += block
            if block == _ZEROS:
                self._finish(header)
                return None
            kind, name, stored = self._parse(block)
            if kind in _REGULAR:
                size = stored if size is None else size
                self._left, self._padding = size, -size % BLOCK
                return TarMember(name if path is None else path, size, header)
            if kind not in b"xgL" or not 0 <= stored <= EXTENSION_MAX:
                raise self._malformed(f"entry of type {chr(kind)!r} with {stored} bytes")
            data = self._exactly(stored + -stored % BLOCK)
            header += data
            if kind == ord("x"):
                path, size = self._pax(data[:stored], path, size)
            elif kind == ord("L"):
                path = data[:stored].rstrip(b"\0")
        raise self._malformed("too many extended headers")

    def read(self) -> bytes:
        """The rest of the member's content, in memory: for members known to be small."""
        size = self._left
        if size <= BUFFER_SIZE:
            self._need(size)
            start = self._start
            self._start, self._left = start + size, 0
            return bytes(self._view[start : start + size])
        out = bytearray()
        while self._left:
            # What is announced takes memory only when it comes.
            chunk = bytearray(min(self._left, max(len(out), BUFFER_SIZE)))
            with memoryview(chunk) as view:
                self.fill(view)
            out += chunk
        return bytes(out)

    def fill(self, buffer: memoryview) -> None:
        """Read exactly as much of the member as `buffer` holds."""
        while len(buffer):
            buffer = buffer[self.readinto(buffer) :]

    def readinto(self, buffer: memoryview) -> int:
        """Fill as much of `buffer` as one step gives; 0 at the end of the member.

        Raises:
            ProtocolError: the archive ends in the middle of it.
        """
        want = min(len(buffer), self._left)
        if not want:
            return 0
        have = self._end - self._start
        if have:
            count = min(have, want)
            buffer[:count] = self._view[self._start : self._start + count]
            self._start += count
        else:
            count = self._readinto(buffer[:want])
            if not count:
                raise self._cut()
        self._left -= count
        return count

    def skip(self, count: int) -> None:
        """Drop so many bytes of the member."""
        while count:
            have = min(self._end - self._start, count)
            if have:
                self._start += have
                self._left -= have
                count -= have
            elif self._left:
                self._refill()
            else:
                raise self._cut()

    def _end_member(self) -> None:
        self.skip(self._left)
        self._left, padding = self._padding, self._padding
        self.skip(padding)
        self._padding = 0

    def _finish(self, header: bytes) -> None:
        """Check the end marker and read what follows, so that the connection can be used again.

        Raises:
            ProtocolError: something other than padding follows.
        """
        if header != _ZEROS or self._exactly(BLOCK) != _ZEROS:
            raise self._malformed("no end marker after a zero block")
        seen = 0
        while True:
            seen += self._end - self._start
            if self._buffer[self._start : self._end].strip(b"\0") or seen > TRAILER_MAX:
                raise self._malformed("content after the end marker")
            self._start = self._end = 0
            self._end = self._readinto(self._view)
            if not self._end:
                self._is_done = True
                return

    def _exactly(self, size: int) -> bytes:
        self._need(size)
        start = self._start
        self._start = start + size
        return bytes(self._view[start : self._start])

    def _need(self, size: int) -> None:
        """Have at least `size` bytes, which fit the buffer, in one piece."""
        if self._start + size > BUFFER_SIZE:
            count = self._end - self._start
            self._buffer[:count] = self._buffer[self._start : self._end]
            self._start, self._end = 0, count
        while self._end - self._start < size:
            self._refill()

    def _refill(self) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        count = self._readinto(self._view[self._end :])
        if not count:
            raise self._cut()
        self._end += count

    def _parse(self, block: bytes) -> tuple[int, bytes, int]:
        """Type, name and size of a header block."""
        # The sum of 512 bytes; Adler-32 adds in C, and is exact up to 257 bytes.
        total = (adler32(block[:256]) & 0xFFFF) + (adler32(block[256:]) & 0xFFFF) - 2
        if _octal(block[148:156]) != total - sum(block[148:156]) + 8 * 0x20:
            raise self._malformed("a header has a wrong checksum")
        name = block[:100].partition(b"\0")[0]
        if block[257:263] == b"ustar\0" and block[345]:
            name = block[345:500].partition(b"\0")[0] + b"/" + name
        field = block[124:136]
        size = int.from_bytes(field[1:], "big") if field[0] == 0x80 else _octal(field)
        if not 0 <= size <= _SIZE_MAX:
            raise self._malformed(f"a member has the size {field!r}")
        return block[156], name, size

    def _pax(
        self, records: bytes, path: bytes | None, size: int | None
    ) -> tuple[bytes | None, int | None]:
        at = 0
        while at < len(records):
            space = records.find(b" ", at, at + 10)
            digits = records[at:space] if space > 0 else b""
            end = at + int(digits) if digits.isdigit() else 0
            if not space < end <= len(records) or records[end - 1] != 0x0A:
                raise self._malformed("malformed extended header")
            keyword, equals, value = records[space + 1 : end - 1].partition(b"=")
            if not equals:
                raise self._malformed("malformed extended header")
            if keyword == b"path":
                path = value
            elif keyword == b"size":
                if not value.isdigit() or len(value) > 19 or int(value) > _SIZE_MAX:
                    raise self._malformed("malformed extended header")
                size = int(value)
            elif keyword.startswith(b"GNU.sparse."):
                raise self._malformed("a sparse member")
            at = end
        return path, size

    def _malformed(self, why: str) -> ProtocolError:
        return MalformedAnswerError(f"malformed archive from {self._what}: {why}")

    def _cut(self) -> ProtocolError:
        return ProtocolError(f"the archive from {self._what} ended early")


def _octal(field: bytes) -> int:
    """An octal number, -1 for anything else."""
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        return -1
    return int(digits, 8)
