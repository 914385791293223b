"""Workers of one process that share a thread: each has an object under way, and the thread waits for all of them.

Threads that take turns at Python's lock cost two switches an operation. A plain GET needs none of it: its request fits
into one call, and its answer comes over one socket. So workers that do nothing else are driven by one thread here.
Whatever is not a plain GET with the usual answer (a redirect, an error, a connection that broke) would hold up the
others: its worker leaves for a thread of its own, and stays there until the end of the run.
"""

import select
import threading
from collections.abc import Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING

from aiscore.errors import TransportError
from aiscore.model.units import MILLISECOND, SECOND
from aiscore.transport.lean import StaleConnectionError
from aisloader.loop import Begun, WorkerLoop, run_worker, sleep_until
from aisloader.plan import Op, OpKind
from aisloader.stats.board import Control
from aisloader.stats.series import Series

if TYPE_CHECKING:
    from aiscore.transport.lean import Connection
    from aisloader.params import Params

__all__ = ["can_share_a_thread", "run_together"]

_NAP_S = 50 * MILLISECOND / SECOND
"""Longest wait between two looks at what takes too long."""


def can_share_a_thread(params: "Params", loops: Sequence[WorkerLoop]) -> bool:
    """Whether all that these workers will do is plain GETs, one as soon as the other has ended."""
    work = params.workload
    return (
        len(loops) > 1
        and work.is_read_only
        and not (work.pctupdate or work.rate or params.read.get_batchsize)
        and not (params.multipart.stream_pct or params.read.readlen)
        and not params.arch.reads_members
        and all(loop.operations.drain is not None for loop in loops)
    )


def run_together(loops: Sequence[WorkerLoop]) -> None:
    """Work, as `run_worker` does for each, until all of them have ended."""
    control = loops[0].control
    sleep_until(control[Control.START_NS], control)
    now = max(perf_counter_ns(), control[Control.START_NS])
    with select.epoll() as poll:
        lanes = [_Lane(loop, poll) for loop in loops]
        for lane in lanes:
            lane.begin(now)
        under_way = {lane.descriptor: lane for lane in lanes if lane.descriptor >= 0}
        while under_way:
            for descriptor, _ in poll.poll(_NAP_S):
                lane = under_way[descriptor]
                lane.go_on()
                if lane.descriptor != descriptor:
                    del under_way[descriptor]
                    if lane.descriptor >= 0:
                        under_way[lane.descriptor] = lane
            if perf_counter_ns() - now > SECOND:
                now = perf_counter_ns()
                for lane in list(under_way.values()):
                    if lane.has_expired(now):
                        del under_way[lane.descriptor]
                        lane.expire()
    for lane in lanes:
        if lane.thread is not None:
            lane.thread.join()


class _Lane:
    """One worker.

    Attributes:
        descriptor: of the socket over which an answer is to come; -1 when the worker has ended, or left.
        thread: to which it has left.
    """

    __slots__ = (
        "_begun",
        "_buffer",
        "_connection",
        "_control",
        "_deadline",
        "_drain",
        "_last",
        "_loop",
        "_next",
        "_op",
        "_own",
        "_poll",
        "_recorder",
        "descriptor",
        "thread",
    )

    def __init__(self, loop: WorkerLoop, poll: select.epoll) -> None:
        drain = loop.operations.drain
        assert drain is not None
        self._loop = loop
        self._poll = poll
        self._drain = drain
        self._buffer = loop.operations.buffer
        self._control = loop.control
        self._deadline = loop.control[Control.DEADLINE_NS]
        self._next = loop.plan.next
        self._own = loop.head.own
        self._recorder = loop.recorders[Series.GET]
        self._op: Op | None = None
        self._connection: Connection | None = None
        self._begun = self._last = 0
        self.descriptor = -1
        self.thread: threading.Thread | None = None

    def begin(self, last: int) -> None:
        """Begin the next operation, if there is one; the one before had ended at `last`."""
        if self._control[Control.STOP] or last >= self._deadline:
            self._end()
            return
        op = self._next()
        if op is None:
            self._end()
            return
        self._op, self._last = op, last
        is_plain = op.kind is OpKind.GET and not op.length and not op.archpath
        if not is_plain or self._control[Control.TRACE]:
            self._leave(Begun(op, last, self._loop.operations.run))
            return
        self._recorder.started()
        self._begun = perf_counter_ns()
        self._send()

    def go_on(self) -> None:
        """Take what has come; when that was all of it, begin the next."""
        connection = self._connection
        assert connection is not None
        try:
            found = connection.drain(self._buffer, wait=False)
        except StaleConnectionError:
            self._forget()
            self._send()
            return
        except TransportError as exc:
            self._finish_alone(exc)
            return
        if found is None:
            return
        first, size = found
        if not first:
            self._finish_alone(None)
            return
        ended = perf_counter_ns()
        begun = self._begun
        self._recorder.read(begun, first, ended, size)
        self._own(begun - self._last)
        self._drain.used(ended)
        self.begin(ended)

    def has_expired(self, now: int) -> bool:
        """True when the answer takes longer than it may."""
        connection = self._connection
        return (
            connection is not None
            and connection.limit_s > 0
            and now - self._begun > connection.limit_s * SECOND
        )

    def expire(self) -> None:
        """Give the operation up."""
        assert self._connection is not None
        self._finish_alone(self._connection.expire())

    def _send(self) -> None:
        assert self._op is not None
        try:
            connection = self._drain.begin(self._op.name)
        except Exception as exc:  # counted, as what else may fail, where there is time for it
            self._finish_alone(exc)
            return
        if connection is not self._connection:
            self._forget()
            self._connection = connection
            self.descriptor = connection.fileno()
            self._poll.register(self.descriptor, select.EPOLLIN)

    def _finish_alone(self, error: Exception | None) -> None:
        op, begun = self._op, self._begun
        assert op is not None

        def finish(op: Op) -> tuple[int, int]:
            return self._loop.operations.settle(op, begun, error)

        self._leave(Begun(op, self._last, finish))

    def _leave(self, begun: Begun) -> None:
        self._forget()
        self.thread = threading.Thread(target=run_worker, args=(self._loop, begun), daemon=True)
        self.thread.start()

    def _end(self) -> None:
        self._forget()
        self._loop.head.ended(perf_counter_ns())

    def _forget(self) -> None:
        """Wait no longer for the connection; one that was closed is forgotten already."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed:
            self._poll.unregister(self.descriptor)
        self.descriptor = -1
