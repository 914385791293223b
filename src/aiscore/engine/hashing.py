"""Hashing beside writing: a second thread, for bodies large enough to pay for it."""

import _thread
import os
import queue
from collections import deque
from collections.abc import Callable, Sequence
from typing import Self

__all__ = ["BackgroundHasher"]

_Block = bytes | bytearray | memoryview

THREADS_MAX = 8
"""Hashing threads of one process: a server takes hundreds of bodies at once, which has no more processors for it."""
_slots: deque[None] = deque((None,) * THREADS_MAX)
"""A slot each. A deque, because taking one and giving it back cannot be interrupted half way."""


class BackgroundHasher:
    """Runs `update` on blocks in order. Hash libraries release the interpreter lock on large blocks."""

    @classmethod
    def start(cls, update: Callable[[_Block], None]) -> Self | None:
        """A hasher with a thread of its own; None while `THREADS_MAX` of them are busy."""
        try:
            _slots.pop()
        except IndexError:
            return None
        try:
            return cls(update)
        except BaseException as exc:
            _slots.append(None)
            if isinstance(exc, RuntimeError):
                return None  # the system has no thread left
            raise

    def __init__(self, update: Callable[[_Block], None]) -> None:
        """Begin the thread, for which `start` has taken a slot."""
        self._update = update
        self._work: queue.SimpleQueue[Sequence[_Block] | None] = queue.SimpleQueue()
        # A queue and not a semaphore: that is written in Python, and an interrupt inside of it leaves its lock held.
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._behind = 0
        self._failure: BaseException | None = None
        # For the same reason the thread is started below `threading`.
        _thread.start_new_thread(self._run, ())

    def submit(self, blocks: Sequence[_Block]) -> None:
        """Hand over blocks, which must stay unchanged until `wait`."""
        self._work.put(blocks)
        self._behind += 1

    @property
    def behind(self) -> int:
        """Hand-overs that are not hashed."""
        return self._behind - self._done.qsize()

    def wait(self, behind: int = 0) -> None:
        """Until at most `behind` hand-overs are not hashed.

        Raises:
            BaseException: what `update` raised.
        """
        while self._behind > behind:
            self._behind -= 1
            self._done.get()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Let the thread end when it has hashed what it was given; safe to repeat, and does not wait."""
        self._work.put(None)

    def _run(self) -> None:
        try:
            while (blocks := self._work.get()) is not None:
                try:
                    for block in blocks:
                        self._update(block)
                except BaseException as exc:
                    self._failure = exc
                self._done.put(None)
        finally:
            _slots.append(None)


def _refill() -> None:
    """The threads of the parent are not in the child."""
    _slots.clear()
    _slots.extend((None,) * THREADS_MAX)


os.register_at_fork(after_in_child=_refill)
