"""Reading one object: whole, in blocks, or as a file."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiscore.client.attributes import ObjectAttributes
from aiscore.client.errors import UsageError
from aiscore.errors import RangeNotSatisfiableError
from aiscore.model.archive import ArchiveMode
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.objects import GetOptions
from aiscore.model.stream import BLOCK_SIZE

if TYPE_CHECKING:
    from aiscore.client.client import Client
    from aiscore.transport.base import ObjectReader as TransportReader

__all__ = ["ArchiveConfig", "ObjectFileReader", "ObjectReader", "parse_byte_range"]


@dataclass(frozen=True, slots=True)
class ArchiveConfig:
    """What to read out of a shard: one member, or a TAR of all members that match.

    Attributes:
        archpath: path of the member.
        regex: pattern; needs `mode`.
        mode: how `regex` matches.
    """

    archpath: str = ""
    regex: str = ""
    mode: ArchiveMode | None = None

    def __post_init__(self) -> None:
        if bool(self.regex) != (self.mode is not None):
            raise UsageError("archive regex and archive mode need each other")
        if self.regex and self.archpath:
            raise UsageError("archive regex and archive path are mutually exclusive")


class ObjectReader:
    """Reads an object, a range, or files of a shard; each call asks the store anew."""

    def __init__(
        self,
        client: "Client",
        bucket: BucketRef,
        name: str,
        options: GetOptions,
        chunk_size: int = BLOCK_SIZE,
    ) -> None:
        if chunk_size < 1:
            raise UsageError(f"invalid chunk size {chunk_size}: expected 1 or more")
        self._client = client
        self._bucket = bucket
        self._name = name
        self._options = options
        self._chunk_size = chunk_size
        self._attributes: ObjectAttributes | None = None

    @property
    def attributes(self) -> ObjectAttributes:
        """Properties of the object as of the last read, or as of now when nothing was read yet."""
        return self._attributes or self.head()

    def head(self) -> ObjectAttributes:
        """Ask for the properties."""
        props = self._client.transport.head(self._bucket, self._name)
        self._attributes = ObjectAttributes(self._bucket, props)
        return self._attributes

    def read_all(self) -> bytes:
        """The whole content in memory."""
        with self._open() as reader:
            return reader.read()

    def raw(self) -> "ObjectFileReader":
        """The content as an unbuffered file; close it."""
        return ObjectFileReader(self._open())

    def as_file(self, buffer_size: int | None = None) -> io.BufferedReader:
        """The content as a file that is read from start to end; close it.

        Args:
            buffer_size: bytes read ahead for small reads; None is one block.
        """
        size = BLOCK_SIZE if buffer_size is None else buffer_size
        if size < 1:
            raise UsageError(f"invalid buffer size {size}: expected 1 or more")
        return io.BufferedReader(self.raw(), size)

    def __iter__(self) -> Iterator[bytes]:
        with self._open() as reader:
            if self._chunk_size == BLOCK_SIZE:
                yield from reader
                return
            while block := _read_full(reader, self._chunk_size):
                yield block

    def _open(self) -> "TransportReader":
        reader = self._client.transport.open(self._bucket, self._name, self._options)
        self._attributes = ObjectAttributes(self._bucket, reader.props)
        return reader


class ObjectFileReader(io.RawIOBase):
    """An open object as a raw, read-only file that cannot seek."""

    def __init__(self, reader: "TransportReader") -> None:
        super().__init__()
        self._reader = reader

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes; all that is left for a negative size or None."""
        self._check_open()
        return self._reader.read(-1 if size is None else size)

    def readall(self) -> bytes:
        """All that is left."""
        return self.read()

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # typeshed: any buffer
        """Fill as much of `buffer` as one step gives; 0 at the end."""
        self._check_open()
        return self._reader.readinto(buffer)

    def close(self) -> None:
        """Release the object; safe to repeat."""
        if not self.closed:
            self._reader.close()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


def parse_byte_range(text: str, cname: str) -> ByteRange:
    """Read a single range as HTTP writes it: `bytes=0-499`, `bytes=500-`, `bytes=-500`.

    Raises:
        UsageError: it is not one.
        RangeNotSatisfiableError: it asks for the last zero bytes.
    """
    unit, separator, spec = text.partition("=")
    first, dash, last = spec.strip().partition("-")
    if unit.strip() != "bytes" or not separator or not dash or not (first or last):
        raise _bad_range(text, cname)
    if any(part and not (part.isascii() and part.isdigit()) for part in (first, last)):
        raise _bad_range(text, cname)
    if not first:
        if int(last) == 0:
            raise RangeNotSatisfiableError(f'not satisfiable range "{text}" of {cname}: no bytes')
        return ByteRange(offset=-int(last))
    if not last:
        return ByteRange(offset=int(first))
    if int(last) < int(first):
        raise _bad_range(text, cname)
    return ByteRange(offset=int(first), length=int(last) - int(first) + 1)


def _bad_range(text: str, cname: str) -> UsageError:
    return UsageError(
        f'invalid range "{text}" of {cname}',
        hint='write it as "bytes=0-499", "bytes=500-" or "bytes=-500"',
    )


def _read_full(reader: "TransportReader", size: int) -> bytes:
    """`size` bytes, fewer only at the end: a transport may answer a read in part."""
    block = reader.read(size)
    if not block or len(block) == size:
        return block
    parts = [block]
    missing = size - len(block)
    while missing and (block := reader.read(missing)):
        parts.append(block)
        missing -= len(block)
    return b"".join(parts)
