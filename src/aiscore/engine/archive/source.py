"""Where archive bytes come from: random access to one immutable object, whatever stores it."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from aiscore.errors import ArchiveError

__all__ = ["BLOCK_SIZE", "BytesSource", "FileSource", "Source", "read_blocks", "read_exact"]

BLOCK_SIZE = 256 * 1024
"""Bytes read at a time from large members: the best piece size measured for 1 MiB members."""


class Source(Protocol):
    """Random access to the bytes of one immutable object."""

    @property
    def size(self) -> int:
        """Size of the object, in bytes."""

    def pread(self, count: int, offset: int, /) -> bytes:
        """Read up to `count` bytes at `offset`; short only at the end."""


class FileSource:
    """A whole file as a source. The caller keeps the descriptor open, and closes it.

    `pread` is bound to the system call without a Python frame between, because walking headers is
    one call a member.
    """

    pread: Callable[[int, int], bytes]

    def __init__(self, fd: int, size: int | None = None) -> None:
        self.fd = fd
        self.size = os.fstat(fd).st_size if size is None else size
        self.pread = partial(os.pread, fd)


class BytesSource:
    """Bytes in memory as a source, for objects that are stored inline."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def pread(self, count: int, offset: int, /) -> bytes:
        """Return a copy of the range, short at the end."""
        return self.data[offset : offset + count]


def read_exact(source: Source, count: int, offset: int, what: str) -> bytes:
    """Read `count` bytes at `offset`, all of them.

    Args:
        source: where to read.
        count: number of bytes; the caller bounds it.
        offset: of the first byte.
        what: names the thing in the error.

    Raises:
        ArchiveError: the source ends earlier.
    """
    data = source.pread(count, offset)
    while len(data) < count:
        more = source.pread(count - len(data), offset + len(data))
        if not more:
            raise ArchiveError(
                f"archive is truncated: {what} needs {count} bytes at {offset}, found {len(data)}"
            )
        data += more
    return data


def read_blocks(source: Source, offset: int, length: int) -> Iterator[bytes]:
    """Yield a byte range in blocks of `BLOCK_SIZE`, the last one shorter.

    Raises:
        ArchiveError: the source ends inside of the range.
    """
    end = offset + length
    while offset < end:
        block = source.pread(min(BLOCK_SIZE, end - offset), offset)
        if not block:
            raise ArchiveError(f"archive is truncated: ends at {offset}, expected {end}")
        yield block
        offset += len(block)
