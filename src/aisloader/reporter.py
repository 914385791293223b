"""Readings of the counters at their times, turned into seconds and intervals for the sinks."""

import time
from collections.abc import Callable, Mapping, Sequence

from aiscore.model.units import SECOND
from aisloader.stats.board import Board
from aisloader.stats.sample import Final, RunInfo, Sample, Sink, Span
from aisloader.stats.series import Series, Totals

__all__ = ["Reporter"]

Reading = Mapping[Series, Totals]
_TAIL_NS = SECOND // 20
"""A last interval that is shorter is added to nothing: it would show the end of the run as a collapse."""


class _Clock:
    """One series of equal times: when the next is due, and what was read at the last."""

    def __init__(self, start_ns: int, period_ns: int, reading: Reading) -> None:
        self.period_ns = period_ns
        self.last_ns = start_ns
        self.next_ns = start_ns + period_ns
        self.reading = reading


class Reporter:
    """Feeds the sinks.

    Args:
        sinks: in the order in which they are told.
        board: what is read.
        interval_ns: 0 for no intervals.
        warmup_ns: beginning that `measured` leaves out.
        clock: what time it is, ns; that of the workers.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        board: Board,
        interval_ns: int,
        warmup_ns: int,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._sinks = sinks
        self._board = board
        self._interval_ns = interval_ns
        self._warmup_ns = warmup_ns
        self._clock = clock
        self._start_ns = 0
        self._wall = 0.0
        self._baseline: Reading = {}
        self._baseline_ns = 0
        self._second = self._interval = _Clock(0, SECOND, {})

    def start(self, info: RunInfo) -> None:
        """Tell the sinks that a run begins."""
        for sink in self._sinks:
            sink.start(info)

    def begin(self, start_ns: int) -> None:
        """The clock starts at `start_ns`, on `clock`."""
        self._start_ns = self._baseline_ns = start_ns
        self._wall = time.time() + (start_ns - self._clock()) / SECOND
        reading = {series: Totals() for series in self._board.layout.metrics}
        self._baseline = reading
        self._second = _Clock(start_ns, SECOND, reading)
        period = self._interval_ns or (1 << 62)
        self._interval = _Clock(start_ns, period, reading)

    def elapsed_ns(self) -> int:
        """Since the start of the clock."""
        return max(self._clock() - self._start_ns, 0)

    def time_to_next_s(self) -> float:
        """Until something is due here."""
        due = min(self._second.next_ns, self._interval.next_ns)
        if self._warmup_ns and self._baseline_ns == self._start_ns:
            due = min(due, self._start_ns + self._warmup_ns)
        return max(due - self._clock(), 0) / SECOND

    def tick(self) -> None:
        """Report what is due."""
        now = self._clock()
        warm = self._start_ns + self._warmup_ns
        if self._warmup_ns and self._baseline_ns == self._start_ns and now >= warm:
            self._baseline, self._baseline_ns = self._board.totals(), now
        if now >= self._second.next_ns or now >= self._interval.next_ns:
            reading = self._board.totals()
            if now >= self._second.next_ns:
                self._tell(self._second, reading, now, is_interval=False)
            if now >= self._interval.next_ns:
                self._tell(self._interval, reading, now, is_interval=True)

    def measured(self, ended_ns: int) -> Span:
        """The run without its warm-up, after the last operation; tells the sinks of the partial last second.

        Args:
            ended_ns: when the last worker ended; 0 when not all did.
        """
        reading = self._board.totals()
        now = ended_ns or self._clock()
        for clock, is_interval in ((self._second, False), (self._interval, True)):
            has_news = _span(clock.reading, reading, 0.0, 1).count or now - clock.last_ns > _TAIL_NS
            if has_news and clock.period_ns < 1 << 62:
                self._tell(clock, reading, max(now, clock.last_ns + 1), is_interval=is_interval)
        return self._since(self._baseline_ns, self._baseline, reading, now)

    def finish(self, final: Final) -> None:
        """Tell the sinks."""
        for sink in self._sinks:
            sink.finish(final)

    def _tell(self, clock: _Clock, reading: Reading, now: int, *, is_interval: bool) -> None:
        sample = Sample(
            self._since(clock.last_ns, clock.reading, reading, now),
            self._since(self._start_ns, self._baseline, reading, now),
        )
        clock.last_ns, clock.reading = now, reading
        # Times that were missed, because the machine was busy or asleep, are one long interval and not many.
        missed = max(now - clock.next_ns, 0) // clock.period_ns
        clock.next_ns += (missed + 1) * clock.period_ns
        for sink in self._sinks:
            if is_interval:
                sink.interval(sample)
            else:
                sink.second(sample)

    def _since(self, begin_ns: int, earlier: Reading, later: Reading, now: int) -> Span:
        started = self._wall + (begin_ns - self._start_ns) / SECOND
        return _span(earlier, later, started, max(now - begin_ns, 1))


def _span(earlier: Reading, later: Reading, started: float, elapsed_ns: int) -> Span:
    return Span(
        started,
        elapsed_ns,
        {series: totals.since(earlier.get(series, Totals())) for series, totals in later.items()},
    )
