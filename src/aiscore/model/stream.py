"""Bytes on their way in and out: what a body may be, and what a reader offers."""

from collections.abc import Iterable, Iterator
from typing import Protocol, Self

__all__ = ["BLOCK_SIZE", "Body", "ByteReader", "ReadableBody"]

BLOCK_SIZE = 1 << 20
"""Bytes in one step of a stream: a mebibyte amortises system calls and still fits the second-level cache."""


class ReadableBody(Protocol):
    """An open file, socket file or anything else that reads."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; b"" at the end."""
        ...


Body = bytes | bytearray | memoryview | ReadableBody | Iterable[bytes | bytearray | memoryview]
"""What `put` takes: bytes at hand, something that reads, or an iterable of blocks. Never collected whole."""


class ByteReader(Protocol):
    """A stream of bytes. A context manager; iterates over blocks of `BLOCK_SIZE` at most."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left for a negative size; b"" at the end."""
        ...

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill as much of `buffer` as one step gives; 0 at the end."""
        ...

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """Release files; safe to repeat."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
