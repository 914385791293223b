"""Hashing beside writing: a second thread, for bodies large enough to pay for it."""

import queue
import threading
from collections.abc import Callable

__all__ = ["BackgroundHasher"]

_BEHIND_MAX = 4
"""Blocks the hashing may lie behind the writing: it bounds the memory that waits."""


class BackgroundHasher:
    """Runs `update` on blocks in order. Hash libraries release the interpreter lock on large blocks."""

    def __init__(self, update: Callable[[bytes | bytearray | memoryview], None]) -> None:
        self._update = update
        self._work: queue.SimpleQueue[bytes | bytearray | memoryview | None] = queue.SimpleQueue()
        self._done = threading.Semaphore(0)
        self._behind = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="aiscore-hash", daemon=True)
        self._thread.start()

    def submit(self, block: bytes | bytearray | memoryview) -> None:
        """Hand over one block; unless it is `bytes` it must stay unchanged until `settle`."""
        self._work.put(block)
        self._behind += 1

    def settle(self, block: bytes | bytearray | memoryview) -> None:
        """The block has been written: wait for its hash, if the caller may use it again, or too many are waiting."""
        self.wait(_BEHIND_MAX if isinstance(block, bytes) else 0)

    def wait(self, behind: int = 0) -> None:
        """Until at most `behind` blocks are not hashed."""
        while self._behind > behind:
            self._done.acquire()
            self._behind -= 1
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End the thread."""
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (block := self._work.get()) is not None:
            try:
                self._update(block)
            except BaseException as exc:
                self._failure = exc
            self._done.release()
