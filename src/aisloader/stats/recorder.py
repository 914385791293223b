"""What a worker counts with: plain arithmetic on shared memory, without allocation that lasts.

This is the hot path of the measuring itself: one operation costs about a microsecond here. The arithmetic of
`histogram.bucket_of` is repeated in line, and a test compares the two.
"""

from collections.abc import Sequence

from aisloader.stats.board import (
    FAILURES_AT,
    HEAD_WORDS,
    PHASES_AT,
    SERIES_WORDS,
    BoardLayout,
    Head,
    Word,
)
from aisloader.stats.failure import KINDS, FailureKind
from aisloader.stats.histogram import BUCKET_COUNT, DURATION_MAX
from aisloader.stats.series import Metric, Series

__all__ = ["Recorder", "SlotHead"]

_KIND_INDEX = {kind: FAILURES_AT + index for index, kind in enumerate(KINDS)}


def _add(words: memoryview, extremes: int, histogram: int, duration_ns: int) -> None:
    """Count one duration: bucket, sum, minimum, maximum."""
    if duration_ns < 256:
        # A clock that did not move still tells a reader that the histogram is in use.
        duration_ns = max(duration_ns, 1)
        bucket = duration_ns
    elif duration_ns > DURATION_MAX:
        bucket = BUCKET_COUNT - 1
    else:
        shift = duration_ns.bit_length() - 8
        bucket = (shift << 7) + (duration_ns >> shift)
    words[histogram + bucket] += 1
    words[extremes] += duration_ns
    least = words[extremes + 1]
    if duration_ns < least or not least:
        words[extremes + 1] = duration_ns
    if duration_ns > words[extremes + 2]:
        words[extremes + 2] = duration_ns


class Recorder:
    """Counters of one operation in one worker's slot."""

    __slots__ = ("_at", "_words")

    def __init__(
        self, layout: BoardLayout, buffer: memoryview, worker: int, series: Series
    ) -> None:
        """Write to `buffer`, the whole shared memory."""
        at = layout.slot_at(worker) + layout.series_at(series)
        metrics = layout.metrics[series]
        count = SERIES_WORDS + len(metrics) * BUCKET_COUNT
        self._words = buffer.cast("q")[at : at + count]
        # Metric -> (extremes, histogram); what is not measured is None.
        self._at = [
            (Word.EXTREMES + 3 * metric, SERIES_WORDS + metrics.index(metric) * BUCKET_COUNT)
            if metric in metrics
            else None
            for metric in Metric
        ]

    def close(self) -> None:
        """Let go of the memory."""
        self._words.release()

    def started(self) -> None:
        """An operation begins."""
        self._words[Word.STARTED] += 1

    def done(self, service_ns: int, size: int) -> None:
        """An operation succeeded: its service time, and the bytes of its content."""
        words = self._words
        at = self._at[0]
        if at is not None:
            _add(words, at[0], at[1], service_ns)
        words[Word.SIZE] += size
        words[Word.COUNT] += 1

    def read(self, begun: int, first: int, ended: int, size: int) -> None:
        """A read succeeded: when it began, its first byte came, and it ended; an empty object has no first byte."""
        at = self._at[Metric.FIRST]
        if size and at is not None:
            _add(self._words, at[0], at[1], first - begun)
        self.done(ended - begun, size)

    def duration(self, metric: Metric, duration_ns: int) -> None:
        """One more duration of a metric; nothing when the layout does not have it."""
        at = self._at[metric]
        if at is not None:
            _add(self._words, at[0], at[1], duration_ns)

    def failed(self, kind: FailureKind, duration_ns: int) -> None:
        """An operation failed."""
        self._words[_KIND_INDEX[kind]] += 1
        self.duration(Metric.FAILED, duration_ns)

    def unsent(self, count: int) -> None:
        """Operations that were due and will never be sent."""
        self._words[_KIND_INDEX[FailureKind.UNSENT]] += count

    def entries(self, count: int, missing: int) -> None:
        """Entries that a GetBatch delivered, and how many of them are placeholders."""
        self._words[Word.ENTRIES] += count
        if missing:
            self._words[Word.MISSING] += missing

    def unverified(self) -> None:
        """A read had nothing to compare its content with."""
        self._words[Word.UNVERIFIED] += 1

    def phases(self, durations: Sequence[int]) -> None:
        """A request was traced: ns of each of `PHASES`, negative for one that there was not."""
        words = self._words
        for at, duration_ns in zip(range(PHASES_AT, SERIES_WORDS, 2), durations, strict=False):
            if duration_ns >= 0:
                words[at] += 1
                words[at + 1] += duration_ns

    def retried(self, count: int) -> None:
        """Repetitions."""
        self._words[Word.RETRIED] += count


class SlotHead:
    """The head of a worker's slot: how the loader itself fares."""

    __slots__ = ("_has_lateness", "_words")

    def __init__(self, layout: BoardLayout, buffer: memoryview, worker: int) -> None:
        at = layout.slot_at(worker)
        count = HEAD_WORDS + (BUCKET_COUNT if layout.has_lateness else 0)
        self._words = buffer.cast("q")[at : at + count]
        self._has_lateness = layout.has_lateness

    def close(self) -> None:
        """Let go of the memory."""
        self._words.release()

    def own(self, duration_ns: int) -> None:
        """Time that went neither into an operation nor into waiting."""
        self._words[Head.OWN_NS] += duration_ns
        self._words[Head.SEQUENCE] += 1

    def waited(self, duration_ns: int, late_ns: int) -> None:
        """Slept until an operation was due, and began it this much later."""
        self._words[Head.WAITED_NS] += duration_ns
        if self._has_lateness:
            _add(self._words, Head.LATE_SUM_NS, HEAD_WORDS, late_ns)

    def cpu(self, cpu_ns: int) -> None:
        """CPU time of the process since the start."""
        self._words[Head.CPU_NS] = cpu_ns

    def picks(self, count: int) -> None:
        """Names that were picked for reading."""
        self._words[Head.PICKS] = count

    def ended(self, now_ns: int) -> None:
        """The worker begins nothing more."""
        self._words[Head.ENDED_NS] = now_ns
        self._words[Head.ENDED] = 1
