"""Limits that all workers share: how many objects may be PUT, and how many bytes.

A PUT is reserved before it is sent and given back when it fails, so the limits are met exactly: the last object is cut
to the bytes that are left, and the run ends when all that was reserved has succeeded.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from aisloader.plan import Op, OpKind
from aisloader.stats.board import Control

__all__ = ["Quota"]

_NAP_S = 0.001


class Quota:
    """One worker's view of the shared limits.

    Args:
        control: shared words; `PUTS`, `PUT_BYTES` and `CONFIRMED` are this class's.
        lock: held, for microseconds, while they change.
        maxputs: 0 is no limit.
        totalputsize: bytes; 0 is no limit.
        clock: what time it is, ns; that of the deadline.
    """

    def __init__(
        self,
        control: memoryview,
        lock: AbstractContextManager[Any],
        maxputs: int,
        totalputsize: int,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._control = control
        self._lock = lock
        self._maxputs = maxputs
        self._totalputsize = totalputsize
        self._clock = clock

    def reserve(self, op: Op) -> Op | None:
        """The operation, cut to what is left; None when the limit is reached and everything below it has succeeded.

        While others' PUTs are under way it waits: one that fails has to be made up for.
        """
        control = self._control
        while True:
            with self._lock:
                puts, size = control[Control.PUTS], control[Control.PUT_BYTES]
                if not self._is_full(puts, size):
                    if self._totalputsize and op.kind is not OpKind.SHARD:
                        op = op._replace(size=min(op.size, self._totalputsize - size))
                    control[Control.PUTS] = puts + 1
                    control[Control.PUT_BYTES] = size + op.size
                    return op
                if control[Control.CONFIRMED] == puts:
                    control[Control.STOP] = control[Control.STOP] or 1
                    return None
            if control[Control.STOP] or self._clock() >= control[Control.DEADLINE_NS]:
                return None
            time.sleep(_NAP_S)

    def confirm(self) -> None:
        """A reserved PUT has succeeded."""
        with self._lock:
            self._control[Control.CONFIRMED] += 1

    def give_back(self, op: Op) -> None:
        """A reserved PUT has failed."""
        with self._lock:
            self._control[Control.PUTS] -= 1
            self._control[Control.PUT_BYTES] -= op.size

    def _is_full(self, puts: int, size: int) -> bool:
        return bool(
            (self._maxputs and puts >= self._maxputs)
            or (self._totalputsize and size >= self._totalputsize)
        )
