"""The loop of one worker against stores that stall, fail and lie: what is counted, and as what."""

import threading
from collections.abc import Callable, Iterator
from typing import Self, cast

import pytest

from aiscore.errors import AisError, ObjectNotFoundError, ThrottledError
from aiscore.model.batch import BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef
from aiscore.transport.base import Transport
from aisloader.arrivals import Arrivals, constant
from aisloader.content import WorkerContent
from aisloader.loop import GAVE_UP, WorkerLoop, run_worker
from aisloader.names import TemplateNames
from aisloader.operations import Operations
from aisloader.params import parse
from aisloader.payload import Pool
from aisloader.plan import Plan
from aisloader.quota import Quota
from aisloader.run import layout_of
from aisloader.stats.board import CONTROL_WORDS, Board, Control, Head
from aisloader.stats.failure import FailureKind
from aisloader.stats.recorder import Recorder, SlotHead
from aisloader.stats.series import Metric, Series, Totals

NAMES = TemplateNames("o-{00..99}")
MILLISECOND = 1_000_000
LOOK_NS = 1_000


class Clock:
    """The only time there is here: it moves when somebody sleeps, and by a microsecond when somebody looks."""

    def __init__(self) -> None:
        self.now = 10**9
        self._lock = threading.Lock()

    def look(self) -> int:
        return self._move(LOOK_NS)

    def sleep(self, seconds: float) -> None:
        self._move(round(seconds * 1e9))

    def _move(self, by_ns: int) -> int:
        with self._lock:
            self.now += by_ns
            return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("aisloader.loop.time", clock)
    monkeypatch.setattr("aisloader.loop.perf_counter_ns", clock.look)
    monkeypatch.setattr("aisloader.operations.perf_counter_ns", clock.look)
    return clock


class Store:
    """A store whose answers a function makes; called with the number of the request."""

    def __init__(self, behave: Callable[[int], None]) -> None:
        self.requests = 0
        self.bytes = 0
        self._behave = behave

    def open(self, *_args: object) -> "Reader":
        self.requests += 1
        self._behave(self.requests)
        return Reader()

    def put(self, _bucket: object, _name: str, body: object, *_args: object) -> None:
        self.requests += 1
        self._behave(self.requests)
        self.bytes += sum(map(len, body)) if isinstance(body, list) else len(body)  # type: ignore[arg-type]

    def get_batch(self, request: BatchRequest) -> "Batch":
        self.requests += 1
        return Batch(request, self.requests)


class Reader:
    """A hundred bytes."""

    def __init__(self) -> None:
        self._left = 100

    def readinto(self, _buffer: object) -> int:
        count, self._left = self._left, 0
        return count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class Batch:
    """Answers that are whole, short, out of order, of wrong length, with a placeholder: by number."""

    def __init__(self, request: BatchRequest, number: int) -> None:
        entries = list(request.entries)
        self._sizes = 10
        self._missing = -1
        match number % 5:
            case 1:
                entries.pop()
            case 2:
                entries.reverse()
            case 3:
                self._sizes = 9
            case 4:
                self._missing = 0
        self._entries = entries

    def __iter__(self) -> Iterator[tuple[BatchResult, bytes]]:
        for index, entry in enumerate(self._entries):
            error = "not found" if index == self._missing else None
            size = 0 if error else 10
            data = b"x" * (0 if error else self._sizes)
            yield BatchResult(entry, BucketRef("b"), entry.name, size, error), data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class Texts:
    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, series: Series, error: BaseException) -> None:
        self.found.append(f"{series.label} {error}")


class Run:
    """One worker's run, in this thread."""

    def __init__(self, clock: Clock, store: Store, *flags: str, workers: int = 1) -> None:
        argv = ["-bucket=ais://b", "-cleanup=false", "-seed=5", f"-numworkers={workers}"]
        params = parse([*argv, *flags], {})
        layout = layout_of(params)
        buffer = memoryview(bytearray(layout.size))
        self.board = Board(layout, buffer)
        self.control = buffer.cast("q")[:CONTROL_WORDS]
        self.texts = Texts()
        self.store = store
        work = params.workload
        self.control[Control.START_NS] = start = clock.now + MILLISECOND
        limit = params.deadline_ns
        self.control[Control.DEADLINE_NS] = (1 << 62) if limit is None else start + limit
        arrivals = Arrivals(constant(work.rate, 0, 1)) if work.rate else None
        quota = None
        if work.maxputs or work.totalputsize:
            quota = Quota(self.control, threading.Lock(), work.maxputs, work.totalputsize)
        plan = Plan(params, None if work.is_write_only else NAMES)
        threads = []
        for worker in range(workers):
            recorders = {s: Recorder(layout, buffer, worker, s) for s in layout.metrics}
            loop = WorkerLoop(
                control=self.control,
                plan=plan.worker(worker),
                operations=Operations(
                    cast("Transport", store),
                    params,
                    WorkerContent(params, Pool.create(1, 1 << 16), worker),
                    recorders,
                ),
                recorders=recorders,
                head=SlotHead(layout, buffer, worker),
                quota=quota,
                arrivals=arrivals,
                complaints=self.texts,
                has_deadline=limit is not None,
            )
            threads.append(threading.Thread(target=run_worker, args=(loop,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.elapsed_ns = clock.now - start

    def __getitem__(self, series: Series) -> Totals:
        return self.board.totals()[series]


def slow(
    clock: Clock, seconds: float, *, stall_at: int = 0, stall: float = 0.0
) -> Callable[[int], None]:
    def behave(number: int) -> None:
        clock.sleep(stall if number == stall_at else seconds)

    return behave


def failing(error: AisError, *, every: int = 1) -> Callable[[int], None]:
    def behave(number: int) -> None:
        if number % every == 0:
            raise error

    return behave


def nothing(_: int) -> None:
    pass


def test_a_stall_hides_in_service_time_and_shows_in_response_time(clock: Clock) -> None:
    # 100 operations in a second are due for 100 s; the store is away for 1 s once.
    store = Store(slow(clock, 0.001, stall_at=5_000, stall=1.0))
    scheduled = Run(clock, store, "-rate=100", "-duration=100s")[Series.GET]
    service, response = scheduled.service, scheduled.of(Metric.RESPONSE)
    assert service.count == response.count == 10_000
    assert service.percentile(99.9) == pytest.approx(1 * MILLISECOND, rel=0.02)
    # Those that were due while it stalled waited for up to a second, and those behind them while it caught up.
    assert response.percentile(99) == pytest.approx(100 * MILLISECOND, rel=0.2)
    assert response.percentile(99.9) == pytest.approx(910 * MILLISECOND, rel=0.02)
    assert response.max_ns >= service.max_ns >= 1_000 * MILLISECOND


def test_the_schedule_is_kept_whatever_the_store_does(clock: Clock) -> None:
    store = Store(slow(clock, 0.0005, stall_at=20, stall=0.2))
    totals = Run(clock, store, "-rate=500", "-duration=1s")[Series.GET]
    assert (totals.count, totals.errors) == (500, 0)


def test_what_was_due_and_not_sent_is_an_error(clock: Clock) -> None:
    run = Run(clock, Store(slow(clock, 0.05)), "-rate=100", "-duration=500ms")
    totals = run[Series.GET]
    assert (totals.count, totals.failures) == (10, {FailureKind.UNSENT: 40})


def test_without_a_rate_there_is_no_response_time(clock: Clock) -> None:
    run = Run(clock, Store(slow(clock, 0.001)), "-duration=200ms")
    assert Metric.RESPONSE not in run[Series.GET].durations
    assert run[Series.GET].count == run.store.requests > 100


def test_nothing_begins_after_the_deadline(clock: Clock) -> None:
    run = Run(clock, Store(slow(clock, 0.03)), "-duration=100ms")
    assert run[Series.GET].count == run.store.requests == 4
    assert run.elapsed_ns == pytest.approx(120 * MILLISECOND, abs=50 * LOOK_NS)


def test_failures_are_counted_by_kind_and_the_run_goes_on(clock: Clock) -> None:
    store = Store(failing(ThrottledError("slow down"), every=3))
    run = Run(clock, store, "-epochs=2")
    totals = run[Series.GET]
    assert totals.failures == {FailureKind.THROTTLED: 66}
    assert totals.count == 134
    assert totals.started == 200
    assert totals.of(Metric.FAILED).count == 66
    assert run.texts.found[0] == "GET slow down"


def test_a_store_that_refuses_everything_is_not_asked_in_a_hot_loop(clock: Clock) -> None:
    run = Run(clock, Store(failing(ObjectNotFoundError("gone"))), "-duration=10s")
    assert run[Series.GET].failures == {FailureKind.NOT_FOUND: run.store.requests}
    # The pauses double from 2 ms to 1 s.
    assert 10 < run.store.requests < 25


def test_a_run_without_end_gives_up_when_nothing_succeeds(clock: Clock) -> None:
    run = Run(
        clock,
        Store(failing(ThrottledError("no"))),
        "-pctput=100",
        "-maxputs=10",
        "-minsize=1",
        "-maxsize=9",
    )
    assert run.control[Control.STOP] == GAVE_UP
    assert run.store.requests == 100
    # Long enough for a server to come back.
    assert 60 < run.elapsed_ns / 1e9 < 120


@pytest.mark.parametrize("workers", [1, 4])
def test_limits_are_met_exactly_with_failures(clock: Clock, workers: int) -> None:
    store = Store(failing(ThrottledError("no"), every=4))
    run = Run(
        clock,
        store,
        "-pctput=100",
        "-totalputsize=100000",
        "-minsize=1K",
        "-maxsize=3K",
        workers=workers,
    )
    assert run[Series.PUT].size == store.bytes == 100_000
    store = Store(failing(ThrottledError("no"), every=4))
    run = Run(
        clock, store, "-pctput=100", "-maxputs=57", "-minsize=1K", "-maxsize=3K", workers=workers
    )
    assert run[Series.PUT].count == 57


def test_batches_are_compared_with_the_request(clock: Clock) -> None:
    run = Run(clock, Store(nothing), "-get-batchsize=20", "-epochs=5")
    totals = run[Series.GBT]
    # Of 25 batches: 5 short, 5 out of order, 5 with a wrong length, 5 with a placeholder, 5 whole.
    assert totals.failures == {FailureKind.BATCH: 15}
    assert totals.count == 10
    assert (totals.entries, totals.missing) == (200, 5)
    assert totals.size == 5 * 20 * 10 + 5 * 19 * 10
    assert totals.of(Metric.FIRST).count >= 10
    assert any("delivered 19" in text for text in run.texts.found)


def test_an_update_that_fails_in_its_second_half_has_succeeded_in_its_first(clock: Clock) -> None:
    store = Store(failing(ThrottledError("no"), every=2))
    run = Run(clock, store, "-pctupdate=100", "-epochs=1")
    assert run[Series.GET].count == 100
    assert run[Series.PUT].failures == {FailureKind.THROTTLED: 100}
    assert run[Series.GET].errors == 0


def test_an_update_whose_read_fails_writes_nothing(clock: Clock) -> None:
    run = Run(clock, Store(failing(ThrottledError("no"))), "-pctupdate=100", "-duration=1s")
    assert run[Series.GET].failures == {FailureKind.THROTTLED: run.store.requests}
    assert run[Series.GET].of(Metric.FAILED).min_ns >= 0
    assert run[Series.PUT].started == 0


def test_fewer_puts_than_workers_is_no_failure(clock: Clock) -> None:
    run = Run(clock, Store(nothing), "-pctput=100", "-maxputs=2", "-maxsize=1K", workers=4)
    assert run[Series.PUT].count == run.store.requests == 2
    assert run[Series.PUT].errors == 0


@pytest.mark.parametrize("flags", ["", "-pctput=100 -minsize=1K -maxsize=1K", "-pctupdate=100"])
def test_the_loaders_own_time_is_what_is_not_the_stores(clock: Clock, flags: str) -> None:
    run = Run(clock, Store(slow(clock, 0.005)), "-duration=2s", *flags.split())
    totals = run.board.totals().values()
    operations = sum(one.count for one in totals)
    service = sum(one.count * one.service.mean_ns for one in totals)
    own = run.board.heads()[0, Head.OWN_NS]
    # A look at the clock is all that takes time outside of the store, and an operation may look twice.
    assert 0 < own <= 2 * LOOK_NS * operations
    assert own + service == pytest.approx(run.elapsed_ns, abs=LOOK_NS * (3 * operations + 10))


def test_waiting_for_the_schedule_is_not_the_loaders_own_time(clock: Clock) -> None:
    run = Run(clock, Store(slow(clock, 0.001)), "-rate=10", "-duration=2s")
    heads = run.board.heads()
    assert heads[0, Head.OWN_NS] < 10 * LOOK_NS * 20
    assert heads[0, Head.WAITED_NS] == pytest.approx(19 * 99 * MILLISECOND, rel=0.01)


def test_a_defect_of_the_loader_is_a_failure_with_its_text_and_no_end_of_the_run(
    clock: Clock,
) -> None:
    def behave(number: int) -> None:
        if number == 3:
            raise KeyError("defect")

    run = Run(clock, Store(behave), "-epochs=1")
    assert run[Series.GET].failures == {FailureKind.OTHER: 1}
    assert run[Series.GET].count == 99
    assert run.texts.found == ["GET 'defect'"]
