"""Hashing beside writing: a second thread, for bodies large enough to pay for it."""

import queue
import threading
from collections.abc import Callable, Sequence

__all__ = ["BackgroundHasher"]

_Block = bytes | bytearray | memoryview

_TOGETHER = 4
"""Blocks of `bytes` handed over at once: waking the other thread costs 20 to 40 us, a third of hashing a mebibyte."""
_BEHIND_MAX = 2
"""Hand-overs that the hashing may lie behind the writing: it bounds the memory that waits."""


class BackgroundHasher:
    """Runs `update` on blocks in order. Hash libraries release the interpreter lock on large blocks."""

    def __init__(self, update: Callable[[_Block], None]) -> None:
        self._update = update
        self._gathered: list[_Block] = []
        self._work: queue.SimpleQueue[Sequence[_Block] | None] = queue.SimpleQueue()
        self._done = threading.Semaphore(0)
        self._behind = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="aiscore-hash", daemon=True)
        self._thread.start()

    def submit(self, block: _Block) -> None:
        """Hand over one block; unless it is `bytes` it must stay unchanged until `settle`."""
        self._gathered.append(block)
        if len(self._gathered) >= _TOGETHER or not isinstance(block, bytes):
            self._hand_over()

    def settle(self, block: _Block) -> None:
        """The block has been written: wait for its hash, if the caller may use it again, or too many are waiting."""
        self._wait(_BEHIND_MAX if isinstance(block, bytes) else 0)

    def finish(self) -> None:
        """Until every block is hashed.

        Raises:
            BaseException: what `update` raised.
        """
        self._hand_over()
        self._wait(0)

    def close(self) -> None:
        """End the thread."""
        self._work.put(None)
        self._thread.join()

    def _hand_over(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._work.put(gathered)
            self._behind += 1

    def _wait(self, behind: int) -> None:
        while self._behind > behind:
            self._done.acquire()
            self._behind -= 1
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (blocks := self._work.get()) is not None:
            try:
                for block in blocks:
                    self._update(block)
            except BaseException as exc:
                self._failure = exc
            self._done.release()
