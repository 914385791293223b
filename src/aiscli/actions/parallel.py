"""Many small transfers at once: results in order, memory that does not grow with their number."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["WORKERS_DEFAULT", "WORKERS_MAX", "bounded_map"]

WORKERS_DEFAULT = 4
WORKERS_MAX = 128

T = TypeVar("T")
R = TypeVar("R")


def bounded_map(call: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """`map`, by at most `workers` threads, at most twice as many items ahead of the consumer.

    The first exception ends it: what has not begun is dropped, what runs is waited for.
    """
    if workers <= 1:
        yield from map(call, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(min(workers, WORKERS_MAX))
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(call, item))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
