"""The shared memory in which workers count, and the coordinator reads.

Every worker (a thread of a worker process) has a slot of its own and is its only writer; all words are 64-bit and
aligned, so there is no lock, and a reader sees each word whole. Counters only grow: what happened in an interval is
the difference of two readings, and nobody resets anything.

    control words | slot 0 | slot 1 | ...
    slot: head | for each operation: counters, failures, then one histogram a metric
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aisloader.stats.failure import KINDS
from aisloader.stats.histogram import BUCKET_COUNT, Histogram
from aisloader.stats.series import PHASES, Metric, Series, Totals

__all__ = ["CONTROL_WORDS", "Board", "BoardLayout", "Control", "Head", "Word"]

CONTROL_WORDS = 64
HEAD_WORDS = 16
FAILURES_AT = 24
"""Where the counters of failures begin, in an operation's part of a slot."""
PHASES_AT = 40
"""Where the phases of traced requests begin: count and sum of each."""
SERIES_WORDS = 64
"""Words of an operation before its histograms."""


class Control:
    """Words that the coordinator and all workers share."""

    STATE = 0
    """0: prepare, 1: run."""
    STOP = 1
    """Not 0: begin nothing more."""
    START_NS = 2
    DEADLINE_NS = 3
    """Clock of `perf_counter_ns`; nothing begins at or after it."""
    PUTS = 4
    """PUTs reserved so far."""
    PUT_BYTES = 5
    """Their bytes."""
    TRACE = 6
    """Not 0: follow requests through their phases."""
    CONFIRMED = 7
    """PUTs that succeeded."""


class Head:
    """Words at the begin of a slot."""

    OWN_NS = 0
    """Time between operations: what the loader itself takes."""
    WAITED_NS = 1
    """Time spent waiting for an operation to be due."""
    ENDED = 2
    """1 once the worker has ended."""
    CPU_NS = 3
    """CPU time of the process since the start; in the slot of its first worker."""
    LATE_SUM_NS = 4
    LATE_MIN_NS = 5
    LATE_MAX_NS = 6
    ENDED_NS = 7
    """When it ended, on the clock of `perf_counter_ns`."""
    SEQUENCE = 8
    """Operations that the plan gave out."""
    PICKS = 9
    """Names that it picked for reading; once the worker has ended."""


class Word:
    """Words of an operation in a slot. Each metric has sum, minimum and maximum from `EXTREMES` on."""

    COUNT = 0
    SIZE = 1
    STARTED = 2
    ENTRIES = 3
    MISSING = 4
    UNVERIFIED = 5
    RETRIED = 6
    EXTREMES = 8


@dataclass(frozen=True, slots=True)
class BoardLayout:
    """Where everything is. Picklable: worker processes get it.

    Attributes:
        workers: slots.
        metrics: what is measured, by operation.
        has_lateness: a slot has a histogram of how late a free worker began what was due.
    """

    workers: int
    metrics: Mapping[Series, tuple[Metric, ...]]
    has_lateness: bool = False

    @property
    def slot_words(self) -> int:
        """Words of a slot."""
        count = HEAD_WORDS + (BUCKET_COUNT if self.has_lateness else 0)
        return count + sum(SERIES_WORDS + len(m) * BUCKET_COUNT for m in self.metrics.values())

    @property
    def size(self) -> int:
        """Bytes of all of it; pages that nobody touches take no memory."""
        return 8 * (CONTROL_WORDS + self.workers * self.slot_words)

    def slot_at(self, worker: int) -> int:
        """First word of a worker's slot."""
        return CONTROL_WORDS + worker * self.slot_words

    def series_at(self, series: Series) -> int:
        """First word of an operation, in a slot."""
        at = HEAD_WORDS + (BUCKET_COUNT if self.has_lateness else 0)
        for other, metrics in self.metrics.items():
            if other is series:
                return at
            at += SERIES_WORDS + len(metrics) * BUCKET_COUNT
        raise KeyError(series)

    def histogram_at(self, series: Series, metric: Metric) -> int:
        """First word of a histogram, in a slot."""
        index = self.metrics[series].index(metric)
        return self.series_at(series) + SERIES_WORDS + index * BUCKET_COUNT


class Board:
    """The coordinator's view."""

    def __init__(self, layout: BoardLayout, buffer: memoryview) -> None:
        """Look at `layout.size` bytes of zeroed memory."""
        self.layout = layout
        words = np.frombuffer(buffer, np.int64, layout.size // 8)
        self.control = words[:CONTROL_WORDS]
        self._slots = words[CONTROL_WORDS:].reshape(layout.workers, layout.slot_words)

    def close(self) -> None:
        """Let go of the memory."""
        del self.control, self._slots

    def heads(self) -> npt.NDArray[np.int64]:
        """Head words of every worker, copied."""
        return self._slots[:, :HEAD_WORDS].copy()

    def totals(self) -> dict[Series, Totals]:
        """What all workers have counted since the start."""
        return {series: self._totals(series) for series in self.layout.metrics}

    def lateness(self) -> Histogram:
        """How late workers that were free began what was due."""
        if not self.layout.has_lateness:
            return Histogram.empty()
        heads = self._slots[:, :HEAD_WORDS]
        counts = self._slots[:, HEAD_WORDS : HEAD_WORDS + BUCKET_COUNT].sum(axis=0)
        return Histogram.from_counts(
            counts,
            int(heads[:, Head.LATE_SUM_NS].sum()),
            max_ns=int(heads[:, Head.LATE_MAX_NS].max()),
        )

    def _totals(self, series: Series) -> Totals:
        at = self.layout.series_at(series)
        words = self._slots[:, at : at + SERIES_WORDS].copy()
        sums = words.sum(axis=0).tolist()
        failures = sums[FAILURES_AT : FAILURES_AT + len(KINDS)]
        phases = sums[PHASES_AT : PHASES_AT + 2 * len(PHASES)]
        return Totals(
            count=sums[Word.COUNT],
            size=sums[Word.SIZE],
            started=sums[Word.STARTED],
            entries=sums[Word.ENTRIES],
            missing=sums[Word.MISSING],
            unverified=sums[Word.UNVERIFIED],
            retried=sums[Word.RETRIED],
            failures={kind: n for kind, n in zip(KINDS, failures, strict=True) if n},
            durations={
                metric: self._histogram(series, metric, words)
                for metric in self.layout.metrics[series]
            },
            phases={
                name: (count, total_ns)
                for name, count, total_ns in zip(PHASES, phases[::2], phases[1::2], strict=True)
                if count
            },
        )

    def _histogram(self, series: Series, metric: Metric, words: npt.NDArray[np.int64]) -> Histogram:
        total, least, most = Word.EXTREMES + 3 * metric + np.arange(3)
        used = words[:, most] > 0
        if not used.any():  # pages that were never written are not read either
            return Histogram.empty()
        at = self.layout.histogram_at(series, metric)
        return Histogram(
            self._slots[used, at : at + BUCKET_COUNT].sum(axis=0),
            int(words[:, total].sum()),
            int(words[used, least].min()),
            int(words[used, most].max()),
        )
