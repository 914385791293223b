"""Workers that share a thread, against a peer that answers some names as it should not."""

import socket
import threading
import time
from collections import Counter

from tests.unit.aisloader.run.test_loop import Texts
from tests.unit.transport.peer import Peer, ok

from aiscore.transport.options import ConnectionOptions
from aiscore.transport.remote import RemoteTransport
from aisloader.content import WorkerContent
from aisloader.loop import STOPPED, WorkerLoop
from aisloader.names import TemplateNames
from aisloader.operations import Operations
from aisloader.params import Params, parse
from aisloader.payload import Pool
from aisloader.plan import Plan
from aisloader.run import layout_of
from aisloader.stats.board import CONTROL_WORDS, Board, Control, Head
from aisloader.stats.failure import FailureKind
from aisloader.stats.recorder import Recorder, SlotHead
from aisloader.stats.series import Metric, Series, Totals
from aisloader.together import can_share_a_thread, run_together

NAMES = "n-{00..49}"
SIZE = 3000
WORKERS = 5
LIMIT_S = 1.5


class Run:
    """Workers of one process over a real transport, to their end."""

    def __init__(self, url: str, *flags: str) -> None:
        given = ["-bucket=b", "-cleanup=false", f"-numworkers={WORKERS}", f"-endpoint={url}"]
        self.params: Params = parse([*given, f"-name-template={NAMES}", *flags], {})
        layout = layout_of(self.params)
        buffer = memoryview(bytearray(layout.size))
        self._board = Board(layout, buffer)
        self.control = buffer.cast("q")[:CONTROL_WORDS]
        self.control[Control.START_NS] = start = time.perf_counter_ns()
        limit = self.params.deadline_ns
        self.control[Control.DEADLINE_NS] = (1 << 62) if limit is None else start + limit
        self.texts = Texts()
        options = ConnectionOptions(read_timeout_s=LIMIT_S, connect_timeout_s=2, retries=0)
        plan = Plan(self.params, TemplateNames(NAMES))
        self._transport = RemoteTransport(url, options)
        self.loops = []
        for worker in range(WORKERS):
            recorders = {s: Recorder(layout, buffer, worker, s) for s in layout.metrics}
            content = WorkerContent(self.params, Pool.create(1, 1 << 16), worker)
            self.loops.append(
                WorkerLoop(
                    control=self.control,
                    plan=plan.worker(worker),
                    operations=Operations(self._transport, self.params, content, recorders),
                    recorders=recorders,
                    head=SlotHead(layout, buffer, worker),
                    quota=None,
                    arrivals=None,
                    complaints=self.texts,
                    has_deadline=limit is not None,
                )
            )

    def work(self) -> Totals:
        assert can_share_a_thread(self.params, self.loops)
        run_together(self.loops)
        heads = self._board.heads()
        assert heads[:, Head.ENDED].all()
        for loop in self.loops:
            loop.operations.close()
        self._transport.close()
        return self._board.totals()[Series.GET]


def names_of(peer: Peer) -> Counter[str]:
    return Counter(
        head.split()[1].decode().partition("?")[0].rpartition("/")[2] for head in peer.heads
    )


def test_every_name_is_read_and_what_is_odd_holds_nobody_up() -> None:
    with Peer() as peer:

        def script(connection: socket.socket) -> None:
            while request := peer.request(connection):
                name = request.split()[1].partition(b"?")[0].rpartition(b"/")[2]
                if name == b"n-07":
                    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
                elif name == b"n-13":
                    connection.sendall(ok(bytes(SIZE))[:SIZE])
                    return
                elif name == b"n-21":
                    continue  # no answer
                elif name == b"n-34":
                    there = b"Location: /v1/objects/b/there\r\nContent-Length: 0\r\n\r\n"
                    connection.sendall(b"HTTP/1.1 307 Moved\r\n" + there)
                elif name == b"n-40":
                    connection.sendall(ok(bytes(SIZE), b"Connection: close\r\n"))
                    return
                elif name == b"n-45":
                    connection.sendall(ok(bytes(SIZE)))
                    return  # without having said so
                else:
                    connection.sendall(ok(bytes(SIZE)))

        peer._scripts.append(script)
        run = Run(peer.url, "-epochs=2")
        found = run.work()
        asked = names_of(peer)
    assert found.count == 2 * (50 - 3), run.texts.found
    assert found.size == SIZE * found.count
    assert found.of(Metric.SERVICE).count == found.of(Metric.FIRST).count == found.count
    assert found.failures == {
        FailureKind.NOT_FOUND: 2,
        FailureKind.BROKEN: 2,
        FailureKind.TIMEOUT: 2,
    }
    assert found.started == 100
    assert len(run.texts.found) == 6
    assert asked.pop("there") == 2
    assert len(asked) == 50
    # One more where a kept connection turned out to be closed before it was answered.
    assert all(2 <= count <= 4 for count in asked.values())
    assert sum(loop.plan.picks for loop in run.loops) == 100


def test_time_and_the_coordinator_end_all_of_them() -> None:
    with Peer() as peer:

        def script(connection: socket.socket) -> None:
            while peer.request(connection):
                connection.sendall(ok(bytes(SIZE)))

        peer._scripts.append(script)
        found = Run(peer.url, "-duration=200ms").work()
        assert 0 < found.count == found.started
        run = Run(peer.url, "-duration=1h")
        stopper = threading.Timer(0.2, lambda: run.control.__setitem__(Control.STOP, STOPPED))
        stopper.start()
        found = run.work()
        stopper.join()
        assert 0 < found.count == found.started


def test_only_plain_reads_in_a_closed_loop_share_a_thread() -> None:
    with Peer() as peer:
        for flags in (
            ["-pctput=10"],
            ["-pctupdate=10"],
            ["-rate=10"],
            ["-get-batchsize=2"],
            ["-readlen=10"],
            ["-verifyhash"],
            ["-pctmpdstream=10"],
        ):
            run = Run(peer.url, *flags)
            assert not can_share_a_thread(run.params, run.loops), flags
        run = Run(peer.url)
        assert can_share_a_thread(run.params, run.loops)
        assert not can_share_a_thread(run.params, run.loops[:1])
