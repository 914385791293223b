"""What one worker does while the clock is on: take the next operation, wait until it is due, do it, count it.

No printing, no JSON, no lists that grow. The time that the loop itself takes, between two operations, is counted too:
it is how the loader knows whether it was the limit.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import NamedTuple, Protocol

from aiscore.model.units import MILLISECOND
from aisloader.arrivals import Arrivals
from aisloader.operations import SERIES_OF, Operations, Outcome
from aisloader.plan import Op, OpKind
from aisloader.quota import Quota
from aisloader.stats.board import Control
from aisloader.stats.failure import classify
from aisloader.stats.recorder import Recorder, SlotHead
from aisloader.stats.series import Metric, Series

__all__ = [
    "FAILURES_IN_A_ROW_MAX",
    "GAVE_UP",
    "STOPPED",
    "Begun",
    "Complaints",
    "Planned",
    "WorkerLoop",
    "run_worker",
    "sleep_until",
]

STOPPED = 1
"""Value of `Control.STOP`: end after the operation under way."""
GAVE_UP = 2
"""The same, because nothing succeeds any more and nothing else would end the run."""
FAILURES_IN_A_ROW_MAX = 100
"""For one worker of a run without a limit of time: with the pauses a minute and a half, a server's restart."""
UNSENT_MAX = 10_000_000
"""Operations that were due and not sent, as far as one process counts them."""
_BACKOFF_AFTER = 3
_BACKOFF_MAX_S = 1.0
_NAP_MAX_NS = 50 * MILLISECOND
"""Longest sleep between two looks at the stop word."""


class Planned(Protocol):
    """Where operations come from (`plan.WorkerPlan`)."""

    def next(self) -> Op | None:
        """The next one; None at the end."""
        ...

    def added(self, op: Op) -> None:
        """A new name exists."""
        ...

    @property
    def picks(self) -> int:
        """Names picked for reading so far."""
        ...


class Complaints(Protocol):
    """Where the texts of failures go."""

    def add(self, series: Series, error: BaseException) -> None:
        """Keep the first few."""
        ...


@dataclass(slots=True)
class WorkerLoop:
    """What one worker works with."""

    control: memoryview
    plan: Planned
    operations: Operations
    recorders: dict[Series, Recorder]
    head: SlotHead
    quota: Quota | None
    arrivals: Arrivals | None
    complaints: Complaints
    has_deadline: bool
    backlog_ns: int = 1 << 62
    """What is due for longer is given up."""
    undone: Op | None = None
    """What the plan gave out last, when the run ended before it was begun."""


class Begun(NamedTuple):
    """An operation that was begun elsewhere.

    Attributes:
        op: the operation.
        last: when the one before it had ended, ns.
        finish: what is left to do of it.
    """

    op: Op
    last: int
    finish: Callable[[Op], Outcome]


def run_worker(loop: WorkerLoop, begun: Begun | None = None) -> None:
    """Work until the plan, the time or the coordinator ends it; first of all, finish what was begun."""
    control = loop.control
    start, deadline = control[Control.START_NS], control[Control.DEADLINE_NS]
    sleep_until(start, control)
    last = max(perf_counter_ns(), start)
    in_a_row = 0
    op: Op | None = None
    if begun is not None:
        in_a_row = 0 if _perform(loop, begun.op, 0, begun.last, begun.finish) else 1
        last = perf_counter_ns()
    while not control[Control.STOP] and last < deadline:
        op = loop.plan.next()
        if op is None:
            break
        due = 0
        if loop.arrivals is not None:
            due = start + loop.arrivals.take()
            now = perf_counter_ns()
            loop.head.own(now - last)
            if due >= deadline or not _wait(loop, due, now):
                loop.undone = op
                break
            last = perf_counter_ns()
            if last - due > loop.backlog_ns:
                loop.recorders[SERIES_OF[op.kind]].unsent(1)
                continue
        if loop.quota is not None and op.kind.writes_new:
            reserved = loop.quota.reserve(op)
            if reserved is None:
                loop.undone = op
                break
            op = reserved
        succeeded = _perform(loop, op, due, last)
        last = perf_counter_ns()
        if succeeded:
            in_a_row = 0
            continue
        in_a_row += 1
        if in_a_row >= FAILURES_IN_A_ROW_MAX and not loop.has_deadline:
            control[Control.STOP] = control[Control.STOP] or GAVE_UP
        elif in_a_row > _BACKOFF_AFTER and loop.arrivals is None:
            # A store that refuses everything at once must not be asked a hundred thousand times a second.
            sleep_until(
                last + int(min(0.001 * 2 ** (in_a_row - _BACKOFF_AFTER), _BACKOFF_MAX_S) * 1e9),
                control,
                deadline,
            )
            last = perf_counter_ns()
    if loop.arrivals is not None and op is not None:
        _count_unsent(loop, op, min(perf_counter_ns(), deadline) - start)
    loop.head.ended(perf_counter_ns())


def _count_unsent(loop: WorkerLoop, op: Op, limit_ns: int) -> None:
    """What was due before the end and no worker had taken: the first worker of a process to end finds it."""
    assert loop.arrivals is not None
    loop.recorders[SERIES_OF[op.kind]].unsent(loop.arrivals.count_until(limit_ns, UNSENT_MAX))


def _perform(
    loop: WorkerLoop,
    op: Op,
    due: int,
    last: int,
    action: Callable[[Op], Outcome] | None = None,
) -> bool:
    """Do one operation and count it; True when it succeeded."""
    operations = loop.operations
    try:
        begun, ended = (action or operations.run)(op)
    except (
        Exception
    ) as exc:  # a worker's outermost frame: whatever it was, the run goes on and counts it
        ended = perf_counter_ns()
        series, begun = operations.series, operations.begun_ns
        if begun < last:  # it failed before its window opened
            series, begun = SERIES_OF[op.kind], ended
        loop.recorders[series].failed(classify(exc), ended - begun)
        loop.complaints.add(series, exc)
        if loop.quota is not None and op.kind.writes_new:
            loop.quota.give_back(op)
        loop.head.own(begun - last)
        # The first half of an update has succeeded: the store is there.
        return op.kind is OpKind.UPDATE and series is Series.PUT
    if op.kind.writes_new:
        loop.plan.added(op)
        if loop.quota is not None:
            loop.quota.confirm()
    if due:
        loop.recorders[operations.series].duration(Metric.RESPONSE, ended - due)
        return True
    loop.head.own(begun - last)
    return True


def _wait(loop: WorkerLoop, due: int, now: int) -> bool:
    """Sleep until an operation is due; False when the run ends before."""
    if now >= due:
        return True  # no worker was free: that is the store's doing, and part of the response time
    if not sleep_until(due, loop.control):
        return False
    woken = perf_counter_ns()
    loop.head.waited(woken - now, woken - due)
    return True


def sleep_until(moment: int, control: memoryview, limit: int = 0) -> bool:
    """Sleep; False when the run was stopped meanwhile."""
    if limit:
        moment = min(moment, limit)
    while (left := moment - perf_counter_ns()) > 0:
        if control[Control.STOP]:
            return False
        time.sleep(min(left, _NAP_MAX_NS) / 1e9)
    return True
