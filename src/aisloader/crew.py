"""The worker processes of a run, as the coordinator sees them: started, watched, stopped.

They are spawned, never forked: a fork of a process with threads, locks and random states is a source of faults that
show up once a week.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Self

from aiscore.errors import AisError, UnavailableError
from aisloader.loop import STOPPED
from aisloader.memory import SharedBlock
from aisloader.payload import Pool
from aisloader.payload.content import POOL_SIZE
from aisloader.stats.board import Board, BoardLayout, Control
from aisloader.worker import WorkerSpec, main

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from aisloader.names import NameSource
    from aisloader.params import Params

__all__ = ["Crew", "process_count"]

READY_TIMEOUT_S = 120.0
START_DELAY_NS = 20_000_000
"""Between the word and the start of the clock: every thread is asleep at the line by then."""
WORKERS_PER_PROCESS = 8
NO_DEADLINE = (1 << 63) - 1


def process_count(params: "Params") -> int:
    """Worker processes: as asked; else one for each 8 workers, at most one a core.

    The embedded engine computes where a client of a server waits, and threads of one process compute in turns: there
    every worker has a process of its own, as far as there are cores.
    """
    workers = params.workload.numworkers
    asked = params.workload.processes
    if asked:
        return min(asked, workers)
    per_process = 1 if params.cluster.is_embedded else WORKERS_PER_PROCESS
    return min(len(os.sched_getaffinity(0)), -(-workers // per_process))


@dataclass(slots=True)
class _Member:
    process: "SpawnProcess"
    pipe: Connection
    workers: int
    is_ended: bool = False


class Crew:
    """Processes and the memory they count in. A context manager: leaving it ends what still runs.

    Attributes:
        board: what they have counted.
        died: processes that ended without being asked.
    """

    def __init__(
        self,
        params: "Params",
        names: "NameSource | None",
        layout: BoardLayout,
        gateways: tuple[str, ...] = (),
    ) -> None:
        self._params = params
        self._gateways = gateways
        self._names = names
        self._layout = layout
        self._memory = SharedBlock.create(layout.size)
        self.board = Board(layout, self._memory.view)
        self._pool: SharedBlock | None = None
        if params.workload.pctput or params.workload.pctupdate:
            self._pool = SharedBlock.create(POOL_SIZE)
            Pool.fill(self._pool.view, params.workload.seed)
        self._members: list[_Member] = []
        self._tell: Callable[[tuple[Any, ...]], None] = lambda _: None
        self.died = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        self.board.close()
        for memory in (self._memory, self._pool):
            if memory is not None:
                memory.close()

    def start(
        self, tell: Callable[[tuple[Any, ...]], None], is_stopped: Callable[[], bool]
    ) -> bool:
        """Start all processes and wait until they are ready; False when the run was stopped meanwhile.

        Args:
            tell: takes messages of the processes: `("failure", operation, kind, text)`, `("broken", text, hint)`, and
                `("died", pid, workers)` of one that cannot send any more.
            is_stopped: asked now and then.

        Raises:
            AisError: a process could not get ready.
        """
        self._tell = tell
        context = multiprocessing.get_context("spawn")
        lock = context.Lock()
        count = process_count(self._params)
        workers = self._params.workload.numworkers
        for number in range(count):
            first, end = number * workers // count, (number + 1) * workers // count
            ours, theirs = context.Pipe()
            spec = WorkerSpec(
                params=self._params,
                names=self._names,
                layout=self._layout,
                board=self._memory.path,
                pool=self._pool.path if self._pool is not None else "",
                first=first,
                count=end - first,
                number=number,
                lock=lock,
                gateways=self._gateways,
            )
            process = context.Process(target=main, args=(spec, theirs), daemon=True)
            process.start()
            theirs.close()
            self._members.append(_Member(process, ours, end - first))
        return self._wait_ready(is_stopped)

    def wait(self, until_ns: int, is_stopped: Callable[[], bool]) -> bool:
        """Wait, ready, until shortly before a moment on `perf_counter_ns`; False when the run was stopped meanwhile."""
        while (left := until_ns - 5 * START_DELAY_NS - time.perf_counter_ns()) > 0:
            if is_stopped():
                self.stop()
                return False
            if not self.is_running:
                return True  # the run will tell that they died
            self.attend(min(left / 1e9, 0.1))
        return True

    def go(self, due_ns: int = 0) -> int:
        """Start the clock, at `due_ns` or as soon as possible after it; when it starts, on `perf_counter_ns`."""
        control = self.board.control
        start = max(time.perf_counter_ns() + START_DELAY_NS, due_ns)
        limit = self._params.deadline_ns
        control[Control.START_NS] = start
        control[Control.DEADLINE_NS] = NO_DEADLINE if limit is None else start + limit
        control[Control.STATE] = 1
        return start

    def stop(self) -> None:
        """No worker begins anything more."""
        self.board.control[Control.STOP] |= STOPPED

    @property
    def is_running(self) -> bool:
        """True while a process has not said that it has ended."""
        return any(not member.is_ended for member in self._members)

    def attend(self, timeout_s: float) -> None:
        """Take messages until time is up, or all have ended."""
        until = time.monotonic() + timeout_s
        while True:
            pipes = {member.pipe: member for member in self._members if not member.is_ended}
            left = until - time.monotonic()
            if not pipes or left <= 0:
                return
            ready = set(wait(list(pipes), left))
            for pipe, member in pipes.items():
                if pipe in ready:
                    self._receive(member)

    def kill(self) -> None:
        """End processes that still run, whatever they do."""
        for member in self._members:
            if member.process.is_alive():
                member.process.kill()
        for member in self._members:
            member.process.join()
            member.pipe.close()
        self._members.clear()

    def _wait_ready(self, is_stopped: Callable[[], bool]) -> bool:
        waiting = {member.pipe for member in self._members}
        deadline = time.monotonic() + READY_TIMEOUT_S
        while waiting:
            if is_stopped():
                self.stop()
                return False
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"worker processes were not ready after {READY_TIMEOUT_S:g} s",
                    hint="lower -numworkers, or check the machine's load",
                )
            ready = set(wait(list(waiting), 0.1))
            for pipe in [pipe for pipe in waiting if pipe in ready]:
                try:
                    message = pipe.recv()
                except (EOFError, OSError):
                    raise UnavailableError("a worker process died before it was ready") from None
                if message[0] == "broken":
                    raise AisError(str(message[1]), hint=message[2])
                waiting.discard(pipe)
        return True

    def _receive(self, member: _Member) -> None:
        try:
            message = member.pipe.recv()
        except (EOFError, OSError):
            member.is_ended = True
            self.died += 1
            self._tell(("died", member.process.pid, member.workers))
            return
        if message[0] == "ended":
            member.is_ended = True
        elif message[0] == "broken":
            self.died += 1
            member.is_ended = True
            self._tell(message)
        else:
            self._tell(message)
