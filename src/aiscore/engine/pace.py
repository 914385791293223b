"""Slowing down by advice: jobs between two objects, GetBatch before it begins.

Neither comes to a halt. A job sleeps for half of its time at most, and a store as a whole delays batches for a
hundredth of the time: where the load is not ours, waiting for it to go would be for nothing.
"""

import time
from collections.abc import Callable

from aiscore.engine.load import SAMPLE_INTERVAL_S, Load
from aiscore.errors import ThrottledError
from aiscore.model.load import Grade, LoadUse

__all__ = ["BATCH_WORK_MIN", "BatchGate", "Pace"]

BATCH_WORK_MIN = 100
"""Times the length of a delay that have to pass before another batch is delayed."""
FIRST_LOOK = 32
"""Operations of a job before it asks for advice."""
_NS_PER_S = 1_000_000_000

Count = Callable[[str, int], None]
"""Adds to a counter."""


class Pace:
    """The pace of one job. Belongs to its thread.

    Attributes:
        slept_ns: in all.
    """

    def __init__(
        self,
        load: Load,
        use: LoadUse,
        count: Count,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._load = load
        self._use = use
        self._count = count
        self._clock = clock
        self._sleep = sleep
        self._woke_at = clock()
        # A job that is done by then is over before its advice would matter.
        self._left = FIRST_LOOK
        self._look_at = self._woke_at + SAMPLE_INTERVAL_S
        self.slept_ns = 0

    def spent(self, operations: int) -> float:
        """So many operations are done. Returns, when it is time for more, the clock.

        Advice is asked for when it says so, and after `SAMPLE_INTERVAL_S` in any case: operations may be large.
        """
        now = self._clock()
        self._left -= operations
        if self._left > 0 and now < self._look_at:
            return now
        advice = self._load.advice(self._use)
        self._left = advice.every
        self._look_at = now + SAMPLE_INTERVAL_S
        if not advice.sleep_s or now - self._woke_at < advice.sleep_s:
            return now
        self._sleep(advice.sleep_s)
        self._woke_at = self._clock()
        slept_ns = int((self._woke_at - now) * _NS_PER_S)
        self.slept_ns += slept_ns
        self._count("job.throttle.ns", slept_ns)
        return self._woke_at


class BatchGate:
    """Lets batches in; from any thread."""

    def __init__(
        self,
        load: Load,
        count: Count,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._load = load
        self._count = count
        self._clock = clock
        self._sleep = sleep
        self._next_delay = 0.0

    def admit(self) -> None:
        """Return when a batch may begin.

        Raises:
            ThrottledError: it may not: memory, or file descriptors, are about to run out.
        """
        advice = self._load.advice(LoadUse.BATCH)
        if advice.overall is not Grade.CRITICAL:
            return
        if advice.is_refused:
            self._count("err.getbatch.n", 1)
            raise ThrottledError(
                f"get-batch is refused, resources run out: {self._load.vector().text}",
                hint="try again later; `ais show cluster` tells when it is over",
                retry_after_s=SAMPLE_INTERVAL_S,
            )
        now = self._clock()
        if not advice.sleep_s or now < self._next_delay:
            return
        # Two that come at the same time may both be delayed: a lock would cost all others more.
        self._next_delay = now + advice.sleep_s * (1 + BATCH_WORK_MIN)
        self._sleep(advice.sleep_s)
        self._count("getbatch.throttle.ns", int((self._clock() - now) * _NS_PER_S))
