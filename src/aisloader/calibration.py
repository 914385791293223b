"""What the loader can do at most on this machine: everything of a run but the store.

The same loop, plan, content and counters as in a run, on one worker, over a store that answers at once. What comes out
is a ceiling: a store that seems as fast as that was not measured. Beside it, how late the machine wakes a sleeper:
the precision of `-rate`.
"""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, cast

from aiscore.model.batch import BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef
from aiscore.model.units import MICROSECOND, SECOND
from aiscore.transport.base import Transport
from aisloader.content import WorkerContent
from aisloader.loop import WorkerLoop, run_worker
from aisloader.names import TemplateNames
from aisloader.operations import Operations
from aisloader.params import Params, parse
from aisloader.payload import Pool
from aisloader.plan import Plan
from aisloader.stats.board import CONTROL_WORDS, Board, Control, Head
from aisloader.stats.histogram import Histogram
from aisloader.stats.recorder import Recorder, SlotHead
from aisloader.stats.text import pretty_duration, pretty_number, pretty_speed

if TYPE_CHECKING:
    from aisloader.stats.series import Series

__all__ = ["lines_of", "measure"]

_NAMES = "n-{000000..099999}"
_WORKLOADS: Mapping[str, tuple[str, ...]] = {
    "GET": (f"-name-template={_NAMES}",),
    "PUT": ("-pctput=100",),
    "PUT without checksum": ("-pctput=100", "-cksum-type=none"),
    "GetBatch of 64": (f"-name-template={_NAMES}", "-get-batchsize=64"),
}
_SLEEP_NS = 500 * MICROSECOND
_SLEEPS = 400


def measure(seconds: float, size: str) -> dict[str, Any]:
    """All figures: by workload, and of the clock.

    Args:
        seconds: for each workload.
        size: of an object, as `-minsize` takes it.

    Raises:
        InvalidArgumentError: not a size.
    """
    found: dict[str, Any] = {}
    for name, flags in _WORKLOADS.items():
        duration = f"-duration={max(round(seconds * 1000), 1)}ms"
        argv = ["-bucket=ais://calibrate", "-cleanup=false", duration, "-numworkers=1", "-seed=1"]
        params = parse([*argv, *flags, f"-minsize={size}", f"-maxsize={size}"], {})
        found[name] = _workload(params)
    return {"workloads": found, "sleep_late_ns": _sleeps(), "clock_ns": _clock()}


def lines_of(figures: Mapping[str, Any]) -> Iterator[str]:
    """The figures for people."""
    row = "{:<24}{:>14}{:>14}{:>16}"
    yield row.format("ONE WORKER", "OPERATIONS/S", "FOR EACH", "THROUGHPUT")
    for name, one in figures["workloads"].items():
        yield row.format(
            name,
            pretty_number(one["ops_per_second"]),
            pretty_duration(one["ns_per_operation"]),
            pretty_speed(one["bytes_per_second"]),
        )
    late = figures["sleep_late_ns"]
    yield ""
    yield (
        f"A sleeper wakes late by p50 {pretty_duration(late['p50'])}, p99 {pretty_duration(late['p99'])}: "
        "the precision of -rate"
    )
    yield f"Reading the clock takes {figures['clock_ns']} ns"


def _workload(params: Params) -> dict[str, int]:
    from aisloader.run import layout_of

    names = TemplateNames(_NAMES) if params.naming.name_template else None
    layout = layout_of(params)
    buffer = memoryview(bytearray(layout.size))
    board = Board(layout, buffer)
    control = buffer.cast("q")[:CONTROL_WORDS]
    recorders: dict[Series, Recorder] = {
        series: Recorder(layout, buffer, 0, series) for series in layout.metrics
    }
    store = cast("Transport", _NullStore(params.size_cksum.minsize))
    operations = Operations(store, params, WorkerContent(params, Pool.create(1), 0), recorders)
    plan = Plan(params, names).worker(0)
    plan.next()
    control[Control.START_NS] = start = time.perf_counter_ns()
    control[Control.DEADLINE_NS] = start + (params.deadline_ns or SECOND)
    run_worker(
        WorkerLoop(
            control=control,
            plan=plan,
            operations=operations,
            recorders=recorders,
            head=SlotHead(layout, buffer, 0),
            quota=None,
            arrivals=None,
            complaints=_Silent(),
            has_deadline=True,
        )
    )
    elapsed = int(board.heads()[0, Head.ENDED_NS]) - start
    count = sum(totals.count for totals in board.totals().values())
    size = sum(totals.size for totals in board.totals().values())
    return {
        "ops_per_second": count * SECOND // elapsed,
        "ns_per_operation": elapsed // max(count, 1),
        "bytes_per_second": size * SECOND // elapsed,
    }


def _sleeps() -> dict[str, int]:
    late = []
    for _ in range(_SLEEPS):
        due = time.perf_counter_ns() + _SLEEP_NS
        time.sleep(_SLEEP_NS / SECOND)
        late.append(time.perf_counter_ns() - due)
    p50, p99 = Histogram.of(late).percentiles((50, 99))
    return {"p50": p50, "p99": p99}


def _clock() -> int:
    count = 100_000
    start = time.perf_counter_ns()
    for _ in range(count):
        time.perf_counter_ns()
    return (time.perf_counter_ns() - start) // count


class _Silent:
    def add(self, series: "Series", error: BaseException) -> None:
        """A store that does nothing does nothing wrong."""
        raise error


class _NullStore:
    """The calls of a transport that the loader's loop makes; they answer at once."""

    def __init__(self, size: int) -> None:
        self._data = bytes(size)

    def put(self, *_args: object, **_options: object) -> None:
        """Drop it."""

    def read(self, *_args: object) -> bytes:
        """The same bytes every time."""
        return self._data

    def open(self, *_args: object) -> "_NullReader":
        """The same bytes every time."""
        return _NullReader(self._data)

    def get_batch(self, request: BatchRequest) -> "_NullBatch":
        """Every entry, with the same bytes."""
        return _NullBatch(request, self._data)


class _NullReader:
    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class _NullBatch:
    def __init__(self, request: BatchRequest, data: bytes) -> None:
        self._request = request
        self._data = data

    def __iter__(self) -> Iterator[tuple[BatchResult, bytes]]:
        bucket = self._request.bucket or BucketRef("calibrate")
        size = len(self._data)
        for entry in self._request.entries:
            yield BatchResult(entry, bucket, entry.name, size), self._data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass
