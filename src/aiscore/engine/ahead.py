"""Reading ahead of whatever is done with what was read.

A thread fills blocks while those before are written or hashed. It reads and hashes a block in one go, while that is in
its processor's cache, and is a few blocks ahead: nobody waits for the other at each block, which would cost more than
the hashing.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Self

from aiscore.engine.buffers import Buffers
from aiscore.engine.hashing import BackgroundHasher
from aiscore.model.stream import BLOCK_SIZE

__all__ = ["ReadAhead"]

_AHEAD_MIN = 4 * BLOCK_SIZE
"""Bytes from which a thread is worth starting."""
_BLOCKS = 4


class ReadAhead:
    """The blocks of one content, in order; a context manager, at whose end the thread is through with them.

    A block is filled anew when the next one is asked for.
    """

    def __init__(self, buffers: Buffers, fill: Callable[[memoryview], int], size: int) -> None:
        """`fill` fills a block and returns how much, 0 at the end; for a large `size` it runs in another thread."""
        self._buffers = buffers
        self._fill = fill
        self._counts: deque[int] = deque()
        self._is_over = False
        self._thread = BackgroundHasher.start(self._run) if size >= _AHEAD_MIN else None
        if size < BLOCK_SIZE:
            self._blocks = [memoryview(bytearray(max(size, 1)))]
        else:
            count = 1 if self._thread is None else _BLOCKS
            self._blocks = [buffers.take() for _ in range(count)]

    def __iter__(self) -> Iterator[memoryview]:
        """The blocks.

        Raises:
            BaseException: what `fill` raised.
        """
        thread = self._thread
        if thread is None:
            (block,) = self._blocks
            while count := self._fill(block):
                yield block[:count]
            return
        for block in self._blocks:
            thread.submit([block])
        while True:
            for block in self._blocks:
                thread.wait(_BLOCKS - 1)
                count = self._counts.popleft()
                if not count:
                    return
                yield block[:count]
                thread.submit([block])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over = True
        if self._thread is not None:
            with suppress(Exception):  # it was raised by `__iter__`, or comes too late to matter
                self._thread.wait()
            self._thread.close()
        for block in self._blocks:
            self._buffers.give_back(block)

    def _run(self, block: bytes | bytearray | memoryview) -> None:
        assert isinstance(block, memoryview)
        if self._is_over:
            return
        try:
            count = self._fill(block)
        except BaseException:
            self._is_over = True
            raise
        self._is_over = not count
        self._counts.append(count)
