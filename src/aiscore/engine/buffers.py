"""Reused output buffers: a fresh mebibyte costs as much to make as a batch of small members to read."""

from threading import Lock

from aiscore.model.stream import BLOCK_SIZE

__all__ = ["Buffers"]

KEPT_MAX = 4


class Buffers:
    """A few buffers of `BLOCK_SIZE`, kept for the next taker."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._free: list[memoryview] = []

    def reset_after_fork(self) -> None:
        """Another thread of the parent may have held the lock, or hold a buffer."""
        self._lock = Lock()
        self._free = []

    def take(self) -> memoryview:
        """A buffer with anything in it."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return memoryview(bytearray(BLOCK_SIZE))

    def give_back(self, buffer: memoryview) -> None:
        """Whoever gives it back must not use it again."""
        if len(buffer) != BLOCK_SIZE:
            return
        with self._lock:
            if len(self._free) < KEPT_MAX:
                self._free.append(buffer)
