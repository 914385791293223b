from aisloader.reporter import Reporter
from aisloader.stats.board import Board, BoardLayout
from aisloader.stats.recorder import Recorder
from aisloader.stats.sample import Final, RunInfo, Sample
from aisloader.stats.series import Metric, Series

LAYOUT = BoardLayout(1, {Series.GET: (Metric.SERVICE,)})
SECOND = 10**9
START = 100 * SECOND


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_ns = START

    def __call__(self) -> int:
        return self.now_ns


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


def made(
    interval_ns: int = 2 * SECOND, warmup_ns: int = 0
) -> tuple[Reporter, Recorder, Seen, Clock]:
    buffer = memoryview(bytearray(LAYOUT.size))
    seen, clock = Seen(), Clock()
    reporter = Reporter([seen], Board(LAYOUT, buffer), interval_ns, warmup_ns, clock)
    reporter.begin(START)
    return reporter, Recorder(LAYOUT, buffer, 0, Series.GET), seen, clock


def count(sample: Sample) -> int:
    return sample.interval.totals[Series.GET].count


def test_nothing_is_told_before_it_is_due() -> None:
    reporter, recorder, seen, clock = made()
    recorder.done(5, 5)
    clock.now_ns += SECOND - 1
    reporter.tick()
    assert seen.seconds == seen.intervals == []
    assert reporter.time_to_next_s() == 1e-9
    clock.now_ns += 1
    reporter.tick()
    assert [count(sample) for sample in seen.seconds] == [1]
    assert seen.intervals == []
    assert reporter.time_to_next_s() == 1


def test_times_that_were_missed_are_one_interval() -> None:
    reporter, recorder, seen, clock = made()
    recorder.done(5, 5)
    clock.now_ns += 5 * SECOND + SECOND // 2
    assert reporter.elapsed_ns() == 5 * SECOND + SECOND // 2
    reporter.tick()
    assert [count(sample) for sample in seen.seconds] == [1]
    assert [count(sample) for sample in seen.intervals] == [1]
    assert seen.seconds[0].interval.elapsed_ns == 5 * SECOND + SECOND // 2
    assert reporter.time_to_next_s() == 0.5


def test_intervals_add_up_to_the_run() -> None:
    reporter, recorder, seen, clock = made(interval_ns=SECOND)
    recorder.done(5, 5)
    clock.now_ns += SECOND
    reporter.tick()
    recorder.done(5, 5)
    recorder.done(5, 5)
    run = reporter.measured(START + 3 * SECOND // 2)
    assert [count(sample) for sample in seen.seconds] == [1, 2]
    assert [count(sample) for sample in seen.intervals] == [1, 2]
    assert run.totals[Series.GET].count == 3
    assert run.elapsed_ns == 3 * SECOND // 2


def test_warm_up_is_not_measured() -> None:
    reporter, recorder, _, clock = made(warmup_ns=SECOND // 2)
    recorder.done(5, 5)
    assert reporter.time_to_next_s() == 0.5
    clock.now_ns += SECOND // 2
    reporter.tick()
    recorder.done(5, 7)
    clock.now_ns += 2 * SECOND
    run = reporter.measured(0)
    assert (run.totals[Series.GET].count, run.totals[Series.GET].size) == (1, 7)
    assert run.elapsed_ns == 2 * SECOND


def test_without_interval_only_seconds_are_told() -> None:
    reporter, recorder, seen, clock = made(interval_ns=0)
    recorder.done(5, 5)
    clock.now_ns += SECOND
    reporter.tick()
    reporter.measured(0)
    assert len(seen.seconds) == 1
    assert seen.intervals == []
