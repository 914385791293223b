"""One event loop with its own node: everything between binding a socket and having closed it again."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from socket import socket
from threading import Thread

import uvloop

from aiscore.model.counters import Counters
from aiscore.node import Node
from aiscore.server.accesslog import AccessLog
from aiscore.server.app import build_router
from aiscore.server.errors import error_response
from aiscore.server.http import ServerContext
from aiscore.server.identity import identity_of
from aiscore.server.jobs import STOP_WAIT_S, stop_jobs
from aiscore.server.lag import measure_lag
from aiscore.server.listener import Listener
from aiscore.server.router import Router
from aiscore.server.settings import ServerSettings
from aiscore.server.sockets import BACKLOG
from aiscore.server.tls import Certificate

__all__ = ["Worker"]

log = logging.getLogger(__name__)

CHECK_S = 5.0
"""Between looks at the certificate's files, and at what is kept open."""
TLS_CLOSE_MAX_S = 3_600.0
"""It begins while an answer is still on its way, and what is not sent at its end is lost. So it is for the connection,
which sees whether the client reads, to say that it has lasted long enough (`Connection.check`)."""
POOL_GRACE_S = 1.0
"""For threads of the pool to come to an end, after requests had their time."""


def _nothing() -> None:
    pass


class Worker:
    """A server of one process, or one of several that share a port."""

    def __init__(
        self,
        settings: ServerSettings,
        listening: socket,
        build: Callable[[ServerContext], Router] = build_router,
        counters: Counters | None = None,
    ) -> None:
        """`listening` is bound and listens; it is closed when the worker is told to stop. `build` makes the router.

        `counters` are shared with the other workers.
        """
        self._build = build
        self._counters = counters
        self._settings = replace(settings, port=listening.getsockname()[1])
        self._socket = listening
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_event = asyncio.Event()
        self._stops = 0
        self._certificate: Certificate | None = None
        self._access_log: AccessLog | None = None
        self._listener: Listener | None = None

    def run(
        self,
        on_ready: Callable[[], None],
        *,
        on_stop: Callable[[], None] = _nothing,
        signals: tuple[signal.Signals, ...] = (),
        orphan_fd: int | None = None,
    ) -> bool:
        """Serve until stopped.

        Args:
            on_ready: called once, when requests are answered.
            on_stop: called once, before what is in flight is waited for.
            signals: these stop the worker; a second one does not wait for requests. SIGHUP reloads. Without signals
                (a thread of another program) only `stop` does.
            orphan_fd: pipe whose other end the supervisor holds; its end stops the worker.

        Returns:
            False when a job, or work of the pool, did not end in time: then the process must not wait for its threads.

        Raises:
            AisError: the home, the certificate or the access log cannot be opened.
        """
        settings = self._settings
        with ExitStack() as stack:
            if settings.cert:
                self._certificate = Certificate(settings.cert, settings.key)
            if settings.access_log:
                self._access_log = AccessLog(settings.access_log)
                stack.callback(self._access_log.close)
            # Opened here, in the process and thread that use it: connections of the index do not survive a fork.
            node = stack.enter_context(Node(settings.home))
            if self._counters is not None:
                node.store.share_counters(self._counters)
            pool = ThreadPoolExecutor(settings.pool_threads, thread_name_prefix="ais-pool")
            node.store.enter_event_loop(pool.submit)
            context = ServerContext(node, settings, pool)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                try:
                    runner.run(self._serve(context, on_ready, on_stop, signals, orphan_fd))
                finally:
                    are_jobs_over = stop_jobs(
                        context, runner.get_loop(), timeout_s=self._patience_s(STOP_WAIT_S)
                    )
                    is_over = runner.run(_shut_down(pool)) and are_jobs_over
            if not is_over:
                stack.pop_all()  # the node is in use; what is written so far is safe without a farewell
            return is_over

    def stop(self) -> None:
        """Stop accepting, finish what is in flight, end `run`. From any thread; a second call does not wait."""
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._stop)
            except RuntimeError:  # the loop has ended meanwhile
                return

    async def _serve(
        self,
        context: ServerContext,
        on_ready: Callable[[], None],
        on_stop: Callable[[], None],
        signals: tuple[signal.Signals, ...],
        orphan_fd: int | None,
    ) -> None:
        loop = self._loop = asyncio.get_running_loop()
        listener = self._listener = Listener(
            context,
            self._build(context),
            partial(error_response, node=identity_of(context.node.home_id).target),
            loop=loop,
            access_log=self._access_log,
            is_tls=self._certificate is not None,
        )
        self._take_signals(loop, signals)
        if orphan_fd is not None:
            loop.add_reader(orphan_fd, self._stop_orphan, orphan_fd)
        server = await self._listen(loop, listener)
        watch = asyncio.ensure_future(self._watch(listener, context))
        context.state.started_ns = time.time_ns()
        on_ready()
        try:
            await self._stop_event.wait()
        finally:
            on_stop()
            server.close()
            self._socket.close()  # or the kernel would go on to accept for it
            await listener.drain(self._patience_s(self._settings.drain_timeout_s))
            watch.cancel()

    async def _listen(
        self, loop: asyncio.AbstractEventLoop, listener: Listener
    ) -> asyncio.AbstractServer:
        certificate = self._certificate
        # A duplicate, because the event loop closes what it is given.
        own = self._socket.dup()
        if certificate is None:
            return await loop.create_server(listener.connect, sock=own, backlog=BACKLOG)
        return await loop.create_server(
            listener.connect,
            sock=own,
            backlog=BACKLOG,
            ssl=certificate.context,
            ssl_handshake_timeout=self._settings.head_timeout_s,
            ssl_shutdown_timeout=TLS_CLOSE_MAX_S,
        )

    async def _watch(self, listener: Listener, context: ServerContext) -> None:
        store = context.node.store
        sweep = asyncio.ensure_future(listener.watch())
        lag = asyncio.ensure_future(measure_lag(store.note_lag))
        try:
            while True:
                await asyncio.sleep(CHECK_S)
                context.pool.submit(store.let_go)
                if self._certificate is not None:
                    self._certificate.reload_if_changed()
        finally:
            sweep.cancel()
            lag.cancel()

    def _take_signals(
        self, loop: asyncio.AbstractEventLoop, signals: tuple[signal.Signals, ...]
    ) -> None:
        for number in signals:
            loop.add_signal_handler(number, self._stop)
        if signals:
            loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _stop(self) -> None:
        self._stops += 1
        self._stop_event.set()
        if self._stops > 1 and self._listener is not None:
            self._listener.cut()

    def _patience_s(self, seconds: float) -> float:
        """How long to wait for what is going on: not at all for who has been told to stop twice."""
        return 0.0 if self._stops > 1 else seconds

    def _stop_orphan(self, fd: int) -> None:
        assert self._loop is not None
        self._loop.remove_reader(fd)
        log.warning("supervisor is gone: stopping")
        self._stop()

    def _reload(self) -> None:
        if self._certificate is not None:
            self._certificate.reload()
        if self._access_log is not None:
            self._access_log.reopen()


async def _shut_down(pool: ThreadPoolExecutor) -> bool:
    """End the threads of the pool, with the loop there for what they hand back; False when one is still at work."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    # In a thread of its own, because there is no other way to wait for a pool for a while.
    def close() -> None:
        pool.shutdown(cancel_futures=True)
        with suppress(RuntimeError):  # the loop did not wait so long
            loop.call_soon_threadsafe(ended.set)

    Thread(target=close, daemon=True).start()
    try:
        await asyncio.wait_for(ended.wait(), POOL_GRACE_S)
    except TimeoutError:
        log.warning("work of the pool did not end in time: it is given up")
        return False
    return True
