"""Counters of what a store has done, by AIStore's internal names (`get.n`, `get.size`, `getbatch.obj.n`)."""

from collections import Counter
from collections.abc import Callable, Mapping
from threading import Lock

__all__ = ["Counters"]


class Counters:
    """Sums of this process; from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sums: Counter[str] = Counter()

    def add(self, amounts: Mapping[str, int]) -> None:
        """Add to each of the named sums."""
        with self._lock:
            for name, amount in amounts.items():
                self._sums[name] += amount

    def adder(self, *names: str) -> Callable[..., None]:
        """A function that adds an amount to each of these sums, given in their order: `add` for what is told often."""

        def add(*amounts: int) -> None:
            with self._lock:
                sums = self._sums
                for name, amount in zip(names, amounts, strict=True):
                    sums[name] += amount

        return add

    def totals(self) -> dict[str, int]:
        """All sums that are not 0."""
        with self._lock:
            return {name: total for name, total in self._sums.items() if total}

    def reset(self, prefix: str = "") -> None:
        """Begin at 0 again: all sums, or those whose names begin with `prefix`."""
        with self._lock:
            for name in [name for name in self._sums if name.startswith(prefix)]:
                del self._sums[name]

    def reset_after_fork(self) -> None:
        """A lock that a thread of the parent held is never released."""
        self._lock = Lock()
