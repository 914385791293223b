"""Many transfers at once: results in order, memory that does not grow with their number."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from aiscore.errors import InvalidArgumentError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from aiscore.transport.base import Transport

__all__ = ["HEAVY_SIZE_MIN", "WORKERS_DEFAULT", "WORKERS_MAX", "Pace", "StoppedError", "Workers"]

WORKERS_DEFAULT = 4
WORKERS_MAX = 128
HEAVY_SIZE_MIN = 1 << 20
"""Bytes from which a transfer with a store in this process is worth a thread of its own: hashing and
file I/O of a block run outside of the interpreter lock, all that a smaller object costs runs inside."""

T = TypeVar("T")
R = TypeVar("R")


class StoppedError(Exception):
    """A transfer that was ended because the run ends; never reported."""


class Pace:
    """Lets running transfers end early; safe to share by threads."""

    def __init__(self) -> None:
        self._stop = Event()

    def stop(self) -> None:
        """Ask every transfer to end at its next block."""
        self._stop.set()

    def check(self) -> None:
        """Called between blocks.

        Raises:
            StoppedError: the run ends.
        """
        if self._stop.is_set():
            raise StoppedError


class Workers:
    """How many transfers run at a time, and which of them.

    Args:
        count: as the user said, 1 to `WORKERS_MAX`; None decides here.
        transport: with a store in this process several threads take more than twice as long for small
            objects, because they share the interpreter lock: those are then transferred one by one.
    """

    def __init__(self, count: int | None, transport: "Transport") -> None:
        if count is not None and not 1 <= count <= WORKERS_MAX:
            raise InvalidArgumentError(f"--num-workers must be 1 to {WORKERS_MAX}, not {count}")
        self.count = WORKERS_DEFAULT if count is None else count
        self._small_inline = count is None and transport.endpoint.startswith("file://")

    def map(
        self, call: Callable[[T], R], items: Iterable[T], pace: Pace, size_of: Callable[[T], int]
    ) -> Iterator[R]:
        """`map` in order, at most twice as many items ahead of the consumer as there are workers.

        Whatever ends it early stops `pace`: what has not begun is dropped, what runs ends at its
        next block.
        """
        if self.count == 1:
            yield from map(call, items)
            return
        heavy_from = HEAVY_SIZE_MIN if self._small_inline else 0
        pool = None
        waiting: deque[Future[R] | R] = deque()
        try:
            for item in items:
                if size_of(item) < heavy_from:
                    if not waiting:
                        yield call(item)
                        continue
                    waiting.append(call(item))
                else:
                    if pool is None:
                        # Imported late: the module costs milliseconds that one small file never needs.
                        from concurrent.futures import ThreadPoolExecutor

                        pool = ThreadPoolExecutor(self.count)
                    waiting.append(pool.submit(call, item))
                if len(waiting) >= 2 * self.count:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        except BaseException:
            pace.stop()
            raise
        finally:
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)


def _result(waiting: "Future[R] | R") -> R:
    from concurrent.futures import Future

    return waiting.result() if isinstance(waiting, Future) else waiting
