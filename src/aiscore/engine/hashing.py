"""Hashing beside writing: a second thread, for bodies large enough to pay for it."""

import queue
import threading
from collections.abc import Callable, Sequence

__all__ = ["BackgroundHasher"]

_Block = bytes | bytearray | memoryview


class BackgroundHasher:
    """Runs `update` on blocks in order. Hash libraries release the interpreter lock on large blocks."""

    def __init__(self, update: Callable[[_Block], None]) -> None:
        self._update = update
        self._work: queue.SimpleQueue[Sequence[_Block] | None] = queue.SimpleQueue()
        self._done = threading.Semaphore(0)
        self._behind = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="aiscore-hash", daemon=True)
        self._thread.start()

    def submit(self, blocks: Sequence[_Block]) -> None:
        """Hand over blocks, which must stay unchanged until `wait`."""
        self._work.put(blocks)
        self._behind += 1

    def wait(self, behind: int = 0) -> None:
        """Until at most `behind` hand-overs are not hashed.

        Raises:
            BaseException: what `update` raised.
        """
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
        while (blocks := self._work.get()) is not None:
            try:
                for block in blocks:
                    self._update(block)
            except BaseException as exc:
                self._failure = exc
            self._done.release()
