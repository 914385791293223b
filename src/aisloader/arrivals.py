"""When operations are due, if a rate is asked for.

The schedule of a run is fixed before it starts and is the same whatever the store does: a store that stalls cannot
make the loader ask less, and the wait of every delayed operation is seen. Each worker process follows a share of it.
`constant` shares are interleaved, so that together they are evenly spaced; `poisson` shares are independent, and their
sum is a Poisson process again.
"""

import math
import threading
from collections.abc import Iterator

from aiscore.model.units import SECOND

__all__ = ["Arrivals", "constant", "poisson"]

_BLOCK = 4096


def constant(rate: float, share: int, shares: int) -> Iterator[int]:
    """Nanoseconds from the start: every `shares`-th of evenly spaced operations, from number `share` on.

    Args:
        rate: operations in a second over all shares, above 0.
        share: this one, 0 to `shares` - 1.
        shares: how many there are.
    """
    number = share
    while True:
        # From the number and not from the one before: rounding errors must not add up.
        yield math.floor(number * SECOND / rate)
        number += shares


def poisson(rate: float, weight: float, key: int) -> Iterator[int]:
    """Nanoseconds from the start, with independent exponential gaps.

    Args:
        rate: operations in a second over all shares, above 0.
        weight: this share's part of them, above 0 and up to 1.
        key: seeds it; equal keys give equal schedules.
    """
    import numpy as np

    generator = np.random.Generator(np.random.PCG64(key))
    mean_ns = SECOND / (rate * weight)
    now = 0.0
    while True:
        # Summed in blocks of floats: after a day at a million a second the error is still below a microsecond.
        times = now + np.cumsum(generator.exponential(mean_ns, _BLOCK))
        now = float(times[-1])
        yield from times.astype(np.int64).tolist()


class Arrivals:
    """The schedule of one process, handed out to its threads in order."""

    def __init__(self, times: Iterator[int]) -> None:
        self._times = times
        # Rank 1 of 1: held while the next time is taken.
        self._lock = threading.Lock()

    def take(self) -> int:
        """When the next operation is due, ns from the start."""
        with self._lock:
            return next(self._times)

    def count_until(self, limit_ns: int, most: int) -> int:
        """How many are due before `limit_ns` and were not taken; counts up to `most`, and takes them."""
        with self._lock:
            count = 0
            while count < most and next(self._times) < limit_ns:
                count += 1
            return count
