"""Hashing beside writing: one block at a time on a second thread, for bodies large enough to pay for it."""

import queue
import threading
from collections.abc import Callable

__all__ = ["BackgroundHasher"]


class BackgroundHasher:
    """Runs `update` on submitted blocks, in order. Hash libraries release the interpreter lock on large blocks."""

    def __init__(self, update: Callable[[bytes | bytearray | memoryview], None]) -> None:
        self._update = update
        self._work: queue.SimpleQueue[bytes | bytearray | memoryview | None] = queue.SimpleQueue()
        self._done = threading.Semaphore(0)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="aiscore-hash", daemon=True)
        self._thread.start()

    def submit(self, block: bytes | bytearray | memoryview) -> None:
        """Hand over one block; it must stay unchanged until `wait`."""
        self._work.put(block)

    def wait(self) -> None:
        """Until the submitted block is hashed."""
        self._done.acquire()
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
