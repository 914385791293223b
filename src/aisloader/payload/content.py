"""What is in the objects that are PUT.

Making random bytes while the clock is on would be timed as the store's work. So a pool is filled before, in memory that
the worker processes share, and content is put together from views of it. The first 16 bytes are a stamp of the
operation's own key, and the rest begins where the key says: no two objects are alike to a store that looks for
duplicates, and nothing is copied.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from aisloader.streams import derive_key, mix64

__all__ = ["POOL_SIZE", "STAMP_SIZE", "Pool", "fresh_content", "part_bounds"]

STAMP_SIZE = 16
POOL_SIZE = 8 << 20
"""Bytes; beyond the caches of most processors, so that reading it costs what reading an application's buffer costs."""

_ALIGN = 64
_FRESH_BLOCK = 1 << 20


class Pool:
    """Random bytes, made once, of which contents are views.

    Args:
        buffer: holds the bytes; `fill` has filled it, in this process or in another one.
    """

    def __init__(self, buffer: memoryview | bytearray | bytes) -> None:
        self._view = memoryview(buffer).toreadonly()
        if len(self._view) < _ALIGN:
            raise ValueError(f"a pool of {len(self._view)} bytes is too small")
        self._slots = len(self._view) // _ALIGN

    @classmethod
    def create(cls, seed: int, size: int = POOL_SIZE) -> "Pool":
        """A pool of this process alone."""
        buffer = bytearray(size)
        cls.fill(buffer, seed)
        return cls(buffer)

    @staticmethod
    def fill(buffer: memoryview | bytearray, seed: int) -> None:
        """Fill a buffer with the bytes of `seed`; about 3 GB/s."""
        target = np.frombuffer(buffer, dtype=np.uint8)
        source = np.random.Generator(np.random.SFC64(derive_key(seed, 0x706F6F6C)))
        for start in range(0, len(target), _FRESH_BLOCK):
            piece = target[start : start + _FRESH_BLOCK]
            piece[:] = np.frombuffer(source.bytes(len(piece)), dtype=np.uint8)

    def content(self, size: int, key: int) -> list[memoryview]:
        """Views that together are `size` bytes; the same for the same key.

        The views are valid as long as the pool's buffer; only the stamp is allocated.
        """
        stamp = key.to_bytes(8, "little") + mix64(key).to_bytes(8, "little")
        views = [memoryview(stamp)[:size]]
        left = size - STAMP_SIZE
        at = mix64(key ^ size) % self._slots * _ALIGN
        while left > 0:
            piece = self._view[at : at + left]
            views.append(piece)
            left -= len(piece)
            at = 0
        return views

    def blocks(self, size: int, key: int) -> Iterator[memoryview]:
        """The same content, for a transport that takes an iterator."""
        return iter(self.content(size, key))


def fresh_content(size: int, key: int) -> Iterator[bytes]:
    """`size` bytes that no pool repeats, for `-readertype=rand`; made while they are sent, at about 1 GB/s."""
    source = np.random.Generator(np.random.SFC64(key))
    while size > 0:
        block = source.bytes(min(size, _FRESH_BLOCK))
        yield block
        size -= len(block)


def part_bounds(size: int, parts: int) -> list[tuple[int, int]]:
    """Start and end of each part of an object; part i of k ends at floor(i * size / k).

    An object with fewer bytes than parts has only as many parts as bytes, at least one: stores refuse empty parts.
    """
    count = max(1, min(parts, size))
    ends = [number * size // count for number in range(count + 1)]
    return list(pairwise(ends))
