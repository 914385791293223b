"""The loop of one worker against stores that stall, fail and lie: what is counted, and as what."""

import threading
import time
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

    def __init__(self, store: Store, *flags: str, workers: int = 1) -> None:
        argv = ["-bucket=ais://b", "-cleanup=false", "-seed=5", f"-numworkers={workers}"]
        params = parse([*argv, *flags], {})
        layout = layout_of(params)
        buffer = memoryview(bytearray(layout.size))
        self.board = Board(layout, buffer)
        self.control = buffer.cast("q")[:CONTROL_WORDS]
        self.texts = Texts()
        self.store = store
        work = params.workload
        self.control[Control.START_NS] = start = time.perf_counter_ns() + 1_000_000
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
        self.elapsed_ns = time.perf_counter_ns() - start

    def __getitem__(self, series: Series) -> Totals:
        return self.board.totals()[series]


def sleeping(seconds: float, *, stall_at: int = 0, stall: float = 0.0) -> Callable[[int], None]:
    def behave(number: int) -> None:
        time.sleep(stall if number == stall_at else seconds)

    return behave


def failing(error: AisError, *, every: int = 1) -> Callable[[int], None]:
    def behave(number: int) -> None:
        if number % every == 0:
            raise error

    return behave


def nothing(_: int) -> None:
    pass


def test_a_stall_hides_in_service_time_and_shows_in_response_time() -> None:
    # 200 operations in a second are due; the store is away for 0.5 s once.
    store = Store(sleeping(0.0005, stall_at=50, stall=0.5))
    scheduled = Run(store, "-rate=200", "-duration=1500ms")[Series.GET]
    service, response = scheduled.service, scheduled.of(Metric.RESPONSE)
    assert service.percentile(90) < 50_000_000
    assert response.percentile(90) > 200_000_000
    assert response.max_ns >= service.max_ns >= 450_000_000
    # About a third of the operations were due while it stalled.
    late = 1 - response.share_within(50_000_000)
    assert 0.2 < late < 0.5


def test_the_schedule_is_kept_whatever_the_store_does() -> None:
    store = Store(sleeping(0.0005, stall_at=20, stall=0.2))
    run = Run(store, "-rate=500", "-duration=1s")
    totals = run[Series.GET]
    assert totals.count + totals.errors == pytest.approx(500, abs=2)
    assert totals.count > 450


def test_what_was_due_and_not_sent_is_an_error() -> None:
    run = Run(Store(sleeping(0.05)), "-rate=100", "-duration=500ms")
    totals = run[Series.GET]
    assert totals.failures.get(FailureKind.UNSENT, 0) + totals.count == pytest.approx(50, abs=1)
    assert totals.failures[FailureKind.UNSENT] >= 35


def test_without_a_rate_there_is_no_response_time() -> None:
    run = Run(Store(sleeping(0.001)), "-duration=200ms")
    assert Metric.RESPONSE not in run[Series.GET].durations
    assert run[Series.GET].count > 50


def test_nothing_begins_after_the_deadline() -> None:
    run = Run(Store(sleeping(0.03)), "-duration=100ms")
    assert run.elapsed_ns < 1_000_000_000
    assert run[Series.GET].count == run.store.requests <= 4


def test_failures_are_counted_by_kind_and_the_run_goes_on() -> None:
    store = Store(failing(ThrottledError("slow down"), every=3))
    run = Run(store, "-epochs=2")
    totals = run[Series.GET]
    assert totals.failures == {FailureKind.THROTTLED: 66}
    assert totals.count == 134
    assert totals.started == 200
    assert totals.of(Metric.FAILED).count == 66
    assert run.texts.found[0] == "GET slow down"


def test_a_store_that_refuses_everything_is_not_asked_in_a_hot_loop() -> None:
    run = Run(Store(failing(ObjectNotFoundError("gone"))), "-duration=500ms")
    assert run[Series.GET].failures == {FailureKind.NOT_FOUND: run.store.requests}
    assert run.store.requests < 50


def test_a_run_without_end_gives_up_when_nothing_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aisloader.loop.FAILURES_IN_A_ROW_MAX", 8)
    run = Run(
        Store(failing(ThrottledError("no"))),
        "-pctput=100",
        "-maxputs=10",
        "-minsize=1",
        "-maxsize=9",
    )
    assert run.control[Control.STOP] == GAVE_UP
    assert run.store.requests == 8


@pytest.mark.parametrize("workers", [1, 4])
def test_limits_are_met_exactly_with_failures(workers: int) -> None:
    store = Store(failing(ThrottledError("no"), every=4))
    run = Run(
        store, "-pctput=100", "-totalputsize=100000", "-minsize=1K", "-maxsize=3K", workers=workers
    )
    assert run[Series.PUT].size == store.bytes == 100_000
    store = Store(failing(ThrottledError("no"), every=4))
    run = Run(store, "-pctput=100", "-maxputs=57", "-minsize=1K", "-maxsize=3K", workers=workers)
    assert run[Series.PUT].count == 57


def test_batches_are_compared_with_the_request() -> None:
    run = Run(Store(nothing), "-get-batchsize=20", "-epochs=5")
    totals = run[Series.GBT]
    # Of 25 batches: 5 short, 5 out of order, 5 with a wrong length, 5 with a placeholder, 5 whole.
    assert totals.failures == {FailureKind.BATCH: 15}
    assert totals.count == 10
    assert (totals.entries, totals.missing) == (200, 5)
    assert totals.size == 5 * 20 * 10 + 5 * 19 * 10
    assert totals.of(Metric.FIRST).count >= 10
    assert any("delivered 19" in text for text in run.texts.found)


def test_an_update_that_fails_in_its_second_half_has_succeeded_in_its_first() -> None:
    store = Store(failing(ThrottledError("no"), every=2))
    run = Run(store, "-pctupdate=100", "-epochs=1")
    assert run[Series.GET].count == 100
    assert run[Series.PUT].failures == {FailureKind.THROTTLED: 100}
    assert run[Series.GET].errors == 0


def test_the_loaders_own_time_for_an_operation_is_small() -> None:
    run = Run(Store(nothing), "-duration=500ms")
    heads = run.board.heads()
    own = heads[0, Head.OWN_NS] / run[Series.GET].count
    assert own < 100_000  # 30 us is the aim; a busy machine has its say


def test_a_defect_of_the_loader_is_a_failure_with_its_text_and_no_end_of_the_run() -> None:
    def behave(number: int) -> None:
        if number == 3:
            raise KeyError("defect")

    run = Run(Store(behave), "-epochs=1")
    assert run[Series.GET].failures == {FailureKind.OTHER: 1}
    assert run[Series.GET].count == 99
    assert run.texts.found == ["GET 'defect'"]
