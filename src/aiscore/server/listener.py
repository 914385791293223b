"""What all connections of one event loop share: buffers, the parser, clock, limits, and the way to the handlers."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from typing import Any, TypeVar

from aiscore.errors import AisError
from aiscore.model.load import Grade
from aiscore.server.accesslog import AccessLog
from aiscore.server.faults import fault_response
from aiscore.server.head import HeadParser, HttpRequest
from aiscore.server.http import Outcome, Request, Response, ServerContext
from aiscore.server.meter import Meter
from aiscore.server.protocol import HEAD_BUFFER_SIZE, Connection
from aiscore.server.repeats import Repeats
from aiscore.server.router import Router

__all__ = ["Listener"]

log = logging.getLogger(__name__)

T = TypeVar("T")

RECEIVE_BUFFER_SIZE = 1 << 20
"""One buffer for all connections of the loop: the body of a large PUT goes from it straight to the file."""
LOGGED_PATH_MAX = 1_024
SWEEP_S = 1.0
SWEEPS_PER_LIMIT = 4
"""A time limit is kept to a quarter of itself, when it is shorter than a few seconds."""

ErrorResponse = Callable[[BaseException, Request], Response]


class Listener:
    """Makes connections and watches over them."""

    def __init__(
        self,
        context: ServerContext,
        router: Router,
        error_response: ErrorResponse,
        *,
        loop: asyncio.AbstractEventLoop,
        access_log: AccessLog | None = None,
        is_tls: bool = False,
    ) -> None:
        """`error_response` turns what a handler raises into the answer."""
        self.settings = context.settings
        self.state = context.state
        self.pool = context.pool
        self.loop = loop
        self.is_tls = is_tls
        self.access_log = access_log
        self.meter = Meter(context.node.store.tally)
        self._load = context.node.store.load
        self.parser = HeadParser(context.settings)
        self.repeats = Repeats()
        self.receive_buffer = bytearray(RECEIVE_BUFFER_SIZE)
        self.receive_view = memoryview(self.receive_buffer)
        self.head_view = self.receive_view[:HEAD_BUFFER_SIZE]
        self.connections: set[Connection] = set()
        self.running: set[asyncio.Future[Any]] = set()
        self.now = loop.time()
        self.date = b""
        self.dispatch: Callable[[HttpRequest], Outcome] = router.dispatch
        self._error_response = error_response
        self._quiet = asyncio.Event()
        self._tick()

    def connect(self) -> Connection:
        """The protocol of a new connection."""
        return Connection(self)

    def admit(self, connection: Connection) -> str:
        """Take it among the watched ones; why it is not served, if it is not."""
        self.connections.add(connection)
        if len(self.connections) > self.settings.connections_max:
            return "too many connections"
        if self._load().files is Grade.CRITICAL:
            return "too many open files"  # what is left of them is for the requests that are served
        return ""

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        self.connections.discard(connection)
        self._look_if_quiet()

    def run(self, work: Awaitable[T], then: "Callable[[asyncio.Future[T]], None]") -> None:
        """Call `then` with the result of `work`, which nothing cancels."""
        future = asyncio.ensure_future(work)
        self.running.add(future)
        future.add_done_callback(self._ran)
        future.add_done_callback(then)

    def error_response(self, error: BaseException, request: Request) -> Response:
        """The answer to a request whose handler failed; it must not fail itself.

        What is not an error of ours is a defect: the answer tells nothing of it, so the log tells all.
        """
        if not isinstance(error, AisError):
            log.error(
                "request failed: method=%s path=%s",
                request.method,
                request.raw_path[:LOGGED_PATH_MAX],
                exc_info=error,
            )
        try:
            return self._error_response(error, request)
        except Exception:
            log.exception("error not encoded: method=%s path=%s", request.method, request.raw_path)
            return fault_response(
                500,
                "internal error",
                method=request.method,
                path=request.raw_path,
                peer=request.peer,
            )

    def log_fault(self, peer: str, request: HttpRequest | None, status: int, sent: int) -> None:
        """Note a request that was refused before any handler saw it."""
        if self.access_log is None:
            return
        if request is None:
            self.access_log.add_refused(peer, status, sent)
        else:
            self.access_log.add(request, status, sent, 0)

    async def watch(self) -> None:
        """Check time limits, until cancelled."""
        settings = self.settings
        shortest = min(settings.head_timeout_s, settings.idle_timeout_s, settings.body_timeout_s)
        interval = min(SWEEP_S, max(shortest / SWEEPS_PER_LIMIT, 0.01))
        while True:
            await asyncio.sleep(interval)
            self._tick()
            for connection in list(self.connections):
                self._check(connection)
            if self.access_log is not None:
                self.access_log.flush()

    async def drain(self, timeout_s: float) -> None:
        """Let requests in flight finish; cut what is left after `timeout_s`."""
        self.state.is_draining = True
        self.repeats.stop()
        for connection in list(self.connections):
            connection.drain()
        self._look_if_quiet()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), timeout_s)
        if self.connections:
            log.warning("connections cut: count=%d", len(self.connections))
        self.cut()
        await asyncio.sleep(0)  # connection_lost is called in the next turn
        await asyncio.sleep(0)

    def cut(self) -> None:
        """End every connection now."""
        for connection in list(self.connections):
            connection.abort()

    def _check(self, connection: Connection) -> None:
        try:
            connection.check(self.now)
        except Exception:  # one broken connection must not end the watch over all others
            log.exception("connection cut: peer=%s", connection.peer)
            connection.abort()

    def _ran(self, future: asyncio.Future[Any]) -> None:
        self.running.discard(future)
        self._look_if_quiet()

    def _look_if_quiet(self) -> None:
        if self.state.is_draining and not self.connections and not self.running:
            self._quiet.set()

    def _tick(self) -> None:
        self.now = self.loop.time()
        self.date = f"Date: {formatdate(time.time(), usegmt=True)}\r\n".encode()
