"""Counters that all workers of a server share, so that each of them can tell what the server has done.

They lie in memory that the supervisor maps before it forks. Every worker has a row of its own and is the only one that
writes to it; a reader adds the rows up. A worker that is started again goes on in the row of the one that died.
"""

import mmap
from collections.abc import Callable, Mapping

from aiscore.model.counters import Counters

__all__ = ["NAMES", "Row", "SharedCounters"]

_OPERATIONS = ("get", "put", "append", "head", "del", "ren", "lst")
_BATCH = (
    "err.getbatch.n",
    "err.soft.getbatch.n",
    "getbatch.file.n",
    "getbatch.file.size",
    "getbatch.n",
    "getbatch.obj.n",
    "getbatch.obj.size",
    "getbatch.rxwait.ns",
    "getbatch.throttle.ns",
)
NAMES: tuple[str, ...] = (
    *(f"{operation}.n" for operation in _OPERATIONS),
    *(f"{operation}.ns.total" for operation in _OPERATIONS),
    *(f"err.{operation}.n" for operation in _OPERATIONS),
    "get.size",
    "put.size",
    "append.size",
    "job.throttle.ns",
    *_BATCH,
)
"""What is shared; a counter of another name is told by the worker that has it."""

_WORD = 8
_MASK = (1 << 64) - 1
_INDEX = {name: index for index, name in enumerate(NAMES)}
# Rows begin on cache lines of their own, or workers would slow each other down.
_ROW_WORDS = -(-len(NAMES) // 8) * 8


class SharedCounters:
    """The memory, with a row for each worker."""

    def __init__(self, workers: int) -> None:
        # The last row holds what the sums were when they were reset.
        self._memory = mmap.mmap(-1, (workers + 1) * _ROW_WORDS * _WORD)
        self.words = memoryview(self._memory).cast("Q")
        self.workers = workers

    def row(self, index: int) -> "Row":
        """What the worker of this number counts with."""
        return Row(self, index)


class Row(Counters):
    """The counters of one worker; `totals` are those of all."""

    def __init__(self, shared: SharedCounters, index: int) -> None:
        super().__init__()
        self._shared = shared
        start = index * _ROW_WORDS
        self._words = shared.words[start : start + _ROW_WORDS]

    def add(self, amounts: Mapping[str, int]) -> None:
        """See `Counters.add`."""
        unknown = {}
        words = self._words
        with self._lock:
            for name, amount in amounts.items():
                index = _INDEX.get(name)
                if index is None:
                    unknown[name] = amount
                else:
                    words[index] = (words[index] + amount) & _MASK
        if unknown:
            super().add(unknown)

    def adder(self, *names: str) -> Callable[..., None]:
        """See `Counters.adder`."""
        words, indexes = self._words, [_INDEX[name] for name in names]

        def add(*amounts: int) -> None:
            with self._lock:
                for index, amount in zip(indexes, amounts, strict=True):
                    words[index] = (words[index] + amount) & _MASK

        return add

    def totals(self) -> dict[str, int]:
        """See `Counters.totals`: the sums of all workers."""
        found = super().totals()
        words, base = self._shared.words, self._shared.workers * _ROW_WORDS
        for name, index in _INDEX.items():
            total = self._sum(index) - words[base + index]
            if total > 0:
                found[name] = total
        return found

    def reset(self, prefix: str = "") -> None:
        """See `Counters.reset`; for all workers."""
        super().reset(prefix)
        words, base = self._shared.words, self._shared.workers * _ROW_WORDS
        for name, index in _INDEX.items():
            if name.startswith(prefix):
                words[base + index] = self._sum(index)

    def _sum(self, index: int) -> int:
        words = self._shared.words
        return sum(words[row * _ROW_WORDS + index] for row in range(self._shared.workers))
