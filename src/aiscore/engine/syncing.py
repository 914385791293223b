"""Pieces on their way to the disk beside the writing of the next ones.

A piece goes to another mountpath than the one before it, so with several disks several of them are busy at once: with
what was written and is being synced, and with what is being written. Without syncs the kernel does the same with the
pages that it was given.
"""

import _thread
import queue

from aiscore.engine.fileio import Files

__all__ = ["SYNCS_MAX", "BackgroundSync"]

SYNCS_MAX = 4
"""Pieces of one object that are being synced at a time; the writer waits for one of them before it adds another."""


class BackgroundSync:
    """Syncs and closes finished files in threads of their own."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._running = 0
        self._failure: BaseException | None = None

    def submit(self, fd: int) -> None:
        """Take over a descriptor; waits while `SYNCS_MAX` are at work."""
        if self._running >= SYNCS_MAX:
            self._take()
        try:
            # Below `threading`, as in `hashing`: what is interrupted there leaves a lock held.
            _thread.start_new_thread(self._run, (fd,))
        except RuntimeError:
            self._run(fd)  # the system has no thread left
        self._running += 1

    def wait(self) -> None:
        """Until everything is on the disk.

        Raises:
            OSError: the first of the calls that failed.
        """
        while self._running:
            self._take()
        if self._failure is not None:
            raise self._failure

    def settle(self) -> None:
        """Until nothing is at work any more, whatever came of it; safe to repeat."""
        while self._running:
            self._take()

    def _take(self) -> None:
        failure = self._done.get()
        self._running -= 1
        if self._failure is None:
            self._failure = failure

    def _run(self, fd: int) -> None:
        failure: BaseException | None = None
        try:
            try:
                self._files.fsync(fd)
            finally:
                self._files.close(fd)
        except BaseException as exc:
            failure = exc
        self._done.put(failure)
