import time

from aisloader.reporter import Reporter
from aisloader.stats.board import Board, BoardLayout
from aisloader.stats.recorder import Recorder
from aisloader.stats.sample import Final, RunInfo, Sample
from aisloader.stats.series import Metric, Series

LAYOUT = BoardLayout(1, {Series.GET: (Metric.SERVICE,)})
SECOND = 10**9


class Seen:
    def __init__(self) -> None:
        self.seconds: list[Sample] = []
        self.intervals: list[Sample] = []

    def start(self, info: RunInfo) -> None:
        pass

    def second(self, sample: Sample) -> None:
        self.seconds.append(sample)

    def interval(self, sample: Sample) -> None:
        self.intervals.append(sample)

    def finish(self, final: Final) -> None:
        pass

    def close(self) -> None:
        pass


def made(interval_ns: int = 2 * SECOND, warmup_ns: int = 0) -> tuple[Reporter, Recorder, Seen]:
    buffer = memoryview(bytearray(LAYOUT.size))
    seen = Seen()
    reporter = Reporter([seen], Board(LAYOUT, buffer), interval_ns, warmup_ns)
    return reporter, Recorder(LAYOUT, buffer, 0, Series.GET), seen


def count(sample: Sample) -> int:
    return sample.interval.totals[Series.GET].count


def test_nothing_is_told_before_it_is_due() -> None:
    reporter, recorder, seen = made()
    reporter.begin(time.perf_counter_ns())
    recorder.done(5, 5)
    reporter.tick()
    assert seen.seconds == seen.intervals == []
    assert 0 < reporter.time_to_next_s() <= 1


def test_times_that_were_missed_are_one_interval() -> None:
    reporter, recorder, seen = made()
    reporter.begin(time.perf_counter_ns() - 5 * SECOND - SECOND // 2)
    recorder.done(5, 5)
    reporter.tick()
    assert [count(sample) for sample in seen.seconds] == [1]
    assert [count(sample) for sample in seen.intervals] == [1]
    assert seen.seconds[0].interval.elapsed_ns >= 5 * SECOND
    assert 0 < reporter.time_to_next_s() <= 0.5


def test_intervals_add_up_to_the_run() -> None:
    reporter, recorder, seen = made(interval_ns=SECOND)
    start = time.perf_counter_ns() - SECOND
    reporter.begin(start)
    recorder.done(5, 5)
    reporter.tick()
    recorder.done(5, 5)
    recorder.done(5, 5)
    run = reporter.measured(start + 3 * SECOND // 2)
    assert [count(sample) for sample in seen.seconds] == [1, 2]
    assert [count(sample) for sample in seen.intervals] == [1, 2]
    assert run.totals[Series.GET].count == 3
    assert run.elapsed_ns == 3 * SECOND // 2


def test_warm_up_is_not_measured() -> None:
    reporter, recorder, _ = made(warmup_ns=SECOND // 2)
    start = time.perf_counter_ns() - SECOND
    reporter.begin(start)
    recorder.done(5, 5)
    reporter.tick()
    recorder.done(5, 7)
    run = reporter.measured(time.perf_counter_ns() + SECOND)
    assert (run.totals[Series.GET].count, run.totals[Series.GET].size) == (1, 7)
    assert SECOND <= run.elapsed_ns < 2 * SECOND


def test_without_interval_only_seconds_are_told() -> None:
    reporter, recorder, seen = made(interval_ns=0)
    reporter.begin(time.perf_counter_ns() - SECOND)
    recorder.done(5, 5)
    reporter.tick()
    reporter.measured(0)
    assert len(seen.seconds) == 1
    assert seen.intervals == []
