"""Slow hashes of a body beside all else that happens to it: each lane of them in a thread of its own.

What a socket lends is gone when the call returns, so that what is to be hashed later must be copied: a fiftieth of what
its MD5 costs. The copies are collected in blocks, because a hand-over wakes a thread; every lane reads the same ones.
A block is used again when all lanes are through with it, which bounds the memory of a body and makes the slowest lane
hold it back.
"""

from collections.abc import Callable, Sequence
from typing import Self

from aiscore.engine.hashing import BackgroundHasher

__all__ = ["LANES_FROM", "Lanes", "Update"]

Update = Callable[[bytes | bytearray | memoryview], None]

LANES_FROM = 256 << 10
"""Bytes of a body that are hashed where they are written, before threads are started for the rest."""
_BLOCK_SIZE = 256 << 10
"""Half a millisecond of MD5: ten times what the hand-over costs."""
_BLOCK_COUNT = 12
_BEHIND_MAX = _BLOCK_COUNT - 5
"""Blocks that may wait for a lane before `is_behind`: beside the one that is being filled, a read from a socket brings
four at most, and does not wait then."""
_BEHIND_LOW = 3
"""Of these it has caught up: only then waiting was worth a change of threads, and it does not run dry."""


class Lanes:
    """Takes one body. Bound to no thread, but to one at a time."""

    __slots__ = ("_blocks", "_current", "_filled", "_lanes", "_next")

    @classmethod
    def start(cls, updates: Sequence[Update]) -> Self | None:
        """One lane for each of `updates`; None when there are not enough threads for all of them."""
        lanes: list[BackgroundHasher] = []
        for update in updates:
            lane = BackgroundHasher.start(update)
            if lane is None:
                for started in lanes:
                    started.close()
                return None
            lanes.append(lane)
        return cls(lanes)

    def __init__(self, lanes: Sequence[BackgroundHasher]) -> None:
        """Feed `lanes`, which are this one's from now on."""
        self._lanes = lanes
        self._blocks: list[memoryview] = []
        self._next = 0
        self._current: memoryview | None = None
        self._filled = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take a block, which may be changed when this returns; waits for the lanes when all blocks are in use.

        Raises:
            BaseException: what a hash raised.
        """
        view = memoryview(data)
        while view:
            current = self._current
            if current is None:
                current = self._current = self._free_block()
                self._filled = 0
            part = view[: _BLOCK_SIZE - self._filled]
            current[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            view = view[len(part) :]
            if self._filled == _BLOCK_SIZE:
                self._hand_over()

    @property
    def is_behind(self) -> bool:
        """True when whoever must not wait should `catch_up` elsewhere before the next `update`."""
        return any(lane.behind > _BEHIND_MAX for lane in self._lanes)

    def catch_up(self) -> None:
        """Until the lanes have little left to do."""
        self._wait(_BEHIND_LOW)

    def drain(self) -> None:
        """Until every byte has been hashed.

        Raises:
            BaseException: what a hash raised.
        """
        if self._current is not None:
            self._hand_over()
        self._wait(0)

    def close(self) -> None:
        """Let the threads end; does not wait."""
        for lane in self._lanes:
            lane.close()

    def _free_block(self) -> memoryview:
        if len(self._blocks) < _BLOCK_COUNT:
            self._blocks.append(memoryview(bytearray(_BLOCK_SIZE)))
            return self._blocks[-1]
        self._wait(_BLOCK_COUNT - 1)
        block = self._blocks[self._next % _BLOCK_COUNT]
        self._next += 1
        return block

    def _hand_over(self) -> None:
        assert self._current is not None
        block, self._current = self._current[: self._filled], None
        for lane in self._lanes:
            lane.submit([block])

    def _wait(self, behind: int) -> None:
        for lane in self._lanes:
            lane.wait(behind)
