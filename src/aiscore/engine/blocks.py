"""A reader over blocks: what a generator makes, read like a file."""

from collections.abc import Iterator
from typing import Self

from aiscore.model.stream import BLOCK_SIZE

__all__ = ["BlockReader"]


class BlockReader:
    """A stream over blocks that somebody else makes."""

    def __init__(self, blocks: Iterator[bytes | bytearray | memoryview]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left for a negative size."""
        if size < 0:
            rest, self._rest = self._rest, memoryview(b"")
            return b"".join([bytes(rest), *map(bytes, self._blocks)])
        if not self._refill():
            return b""
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill as much of `buffer` as one block gives; 0 at the end."""
        if not self._refill():
            return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK_SIZE):
            yield block

    def close(self) -> None:
        """Drop what is left."""
        self._blocks, self._rest = iter(()), memoryview(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _refill(self) -> bool:
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return False
            self._rest = memoryview(block)
        return True
