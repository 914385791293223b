"""A worker process: a few workers in threads, one transport, and nothing else while the clock is on.

The process tells the coordinator over a pipe that it is ready, the first few texts of failures, and that it has ended;
everything that is counted goes through shared memory. When the coordinator dies the pipe closes, and so the process
ends: nothing keeps loading a store unattended.
"""

import gc
import heapq
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from aisloader.loop import WorkerLoop, run_worker
from aisloader.memory import SharedBlock
from aisloader.operations import Operations, describe
from aisloader.plan import Op, Plan, WorkerPlan
from aisloader.quota import Quota
from aisloader.stats.board import BoardLayout, Control
from aisloader.stats.failure import FailureKind, classify
from aisloader.stats.recorder import Recorder, SlotHead
from aisloader.stats.series import Series
from aisloader.together import can_share_a_thread, run_together
from aisloader.tracing import PhaseTracer

if TYPE_CHECKING:
    from aisloader.arrivals import Arrivals
    from aisloader.names import NameSource
    from aisloader.params import Params

__all__ = ["WorkerSpec", "main"]

COMPLAINTS_MAX = 10
"""Different texts of one kind of failure that one process sends."""
SWITCH_INTERVAL_S = 0.0005
"""Python's own 5 ms would let one thread's answer wait that long for another's arithmetic."""
GC_THRESHOLD = 50_000
_STATE_NAP_S = 0.001


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker process is started with; picklable.

    Attributes:
        params: of the run.
        names: what there is to read.
        layout: of the board.
        board: path of its memory.
        pool: path of the memory with the bytes of PUTs; "" when nothing is PUT.
        first: its first worker.
        count: its workers.
        number: of the process.
        lock: between the processes, for the quota.
        gateways: see `reach.open_store`.
    """

    params: "Params"
    names: "NameSource | None"
    layout: BoardLayout
    board: str
    pool: str
    first: int
    count: int
    number: int
    lock: Any
    gateways: tuple[str, ...] = ()


def main(spec: WorkerSpec, pipe: Connection) -> None:
    """Entry point of the process."""
    # Ctrl-C reaches every process of the terminal; only the coordinator decides what it means.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    board = SharedBlock.attach(spec.board)
    words = board.view.cast("q")
    complaints = _Complaints(pipe)
    try:
        try:
            process = _Process(spec, board.view, words, complaints)
        except Exception as exc:  # the process's outermost frame: the coordinator tells it
            complaints.send(("broken", describe(exc), getattr(exc, "hint", None)))
            return
        try:
            process.run(pipe)
        except Exception as exc:
            complaints.send(("broken", describe(exc), None))
            return
        complaints.finish()
    finally:
        sys.stdout.flush()
        # Threads that hang in a request must not keep the process: what they would still count nobody reads.
        os._exit(0)


class _Complaints:
    """Texts of failures on their way to the coordinator."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        # Rank 1 of 1: held while something is sent.
        self._lock = threading.Lock()
        self._told: dict[tuple[Series, FailureKind], set[str]] = {}

    def send(self, message: tuple[Any, ...]) -> None:
        """Send; a coordinator that is gone does not matter here."""
        with self._lock, suppress(OSError):
            self._pipe.send(message)

    def add(self, series: Series, error: BaseException) -> None:
        """Send the first few different ones of each kind."""
        kind = classify(error)
        told = self._told.setdefault((series, kind), set())
        if len(told) < COMPLAINTS_MAX and (text := describe(error)) not in told:
            told.add(text)
            self.send(("failure", series.label, kind.value, text))

    def finish(self) -> None:
        """Nothing more will come."""
        self.send(("ended",))


class _Process:
    """The workers of this process."""

    def __init__(
        self, spec: WorkerSpec, buffer: memoryview, control: memoryview, complaints: _Complaints
    ) -> None:
        from aisloader.content import WorkerContent
        from aisloader.payload import Pool
        from aisloader.reach import open_store

        params = spec.params
        self._spec = spec
        self._control = control
        tracer = None if params.cluster.is_embedded else PhaseTracer(control)
        self.transport = open_store(params, spec.gateways, tracer)
        self._pool = SharedBlock.attach(spec.pool) if spec.pool else None
        pool = Pool(self._pool.view if self._pool else bytes(64))
        plan = Plan(params, spec.names)
        arrivals = _arrivals(spec)
        self._heads: list[SlotHead] = []
        self._loops: list[WorkerLoop] = []
        for worker in range(spec.first, spec.first + spec.count):
            recorders = {
                series: Recorder(spec.layout, buffer, worker, series)
                for series in spec.layout.metrics
            }
            head = SlotHead(spec.layout, buffer, worker)
            self._heads.append(head)
            content = WorkerContent(params, pool, worker)
            operations = Operations(self.transport, params, content, recorders, tracer)
            self._loops.append(
                WorkerLoop(
                    control=control,
                    plan=_Primed(plan.worker(worker)),
                    operations=operations,
                    recorders=recorders,
                    head=head,
                    quota=_quota(spec, control),
                    arrivals=arrivals,
                    complaints=complaints,
                    has_deadline=params.deadline_ns is not None,
                    backlog_ns=_backlog_ns(params),
                )
            )

    def run(self, pipe: Connection) -> None:
        """Say that all is ready, wait for the start, work."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 50, 100)
        threading.Thread(target=_watch, args=(pipe,), daemon=True).start()
        if can_share_a_thread(self._spec.params, self._loops):
            threads = [threading.Thread(target=run_together, args=(self._loops,), daemon=True)]
        else:
            threads = [
                threading.Thread(target=run_worker, args=(loop,), daemon=True)
                for loop in self._loops
            ]
        pipe.send(("ready",))
        while not self._control[Control.STATE]:
            if self._control[Control.STOP]:
                return
            time.sleep(_STATE_NAP_S)
        cpu = time.process_time_ns()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._heads[0].cpu(time.process_time_ns() - cpu)
        for loop in self._loops:
            loop.head.picks(loop.plan.picks - _picks_of(loop.undone))
            loop.operations.close()
        self.transport.close()


class _Primed:
    """A plan whose first decisions are made before the clock starts."""

    def __init__(self, plan: WorkerPlan) -> None:
        self._first: Op | None = plan.next()
        self._is_fresh = True
        self._next = plan.next
        self.added = plan.added
        self._plan = plan

    def next(self) -> Op | None:
        """The next operation."""
        if self._is_fresh:
            self._is_fresh = False
            return self._first
        return self._next()

    @property
    def picks(self) -> int:
        """Names picked for reading so far."""
        return self._plan.picks - (_picks_of(self._first) if self._is_fresh else 0)


def _picks_of(op: Op | None) -> int:
    """Names that an operation took from the name getter."""
    if op is None or op.kind.writes_new:
        return 0
    return len(op.names) or 1


def _quota(spec: WorkerSpec, control: memoryview) -> Quota | None:
    work = spec.params.workload
    if not work.maxputs and not work.totalputsize:
        return None
    return Quota(control, spec.lock, work.maxputs, work.totalputsize)


def _backlog_ns(params: "Params") -> int:
    """How long the backlog is that `-max-backlog` operations make."""
    work = params.workload
    return round(work.max_backlog * 1e9 / work.rate) if work.rate else 1 << 62


def _arrivals(spec: WorkerSpec) -> "Arrivals | None":
    from aisloader.arrivals import Arrivals, constant, poisson
    from aisloader.streams import derive_key

    work = spec.params.workload
    if not work.rate:
        return None
    if work.arrival == "poisson":
        key = derive_key(work.seed, spec.params.loader.stream_key, spec.number, 0x41525256)
        return Arrivals(poisson(work.rate, spec.count / work.numworkers, key))
    # Shares by worker, so that processes with unequal numbers of workers get unequal shares.
    shares = [
        constant(work.rate, spec.first + index, work.numworkers) for index in range(spec.count)
    ]
    return Arrivals(heapq.merge(*shares))


def _watch(pipe: Connection) -> None:
    """End with the coordinator."""
    with suppress(EOFError, OSError):
        pipe.recv()
    os._exit(1)
