"""One connection: HTTP/1.1 over a shared receive buffer.

Theory of operation. A connection is in one phase at a time, and requests are answered strictly one after the other:

    HEAD -> (route) -> BODY -> BUSY -> HEAD      a request, its body into a sink, its answer under way
    any  -> LINGER -> CLOSED                     the answer is given, the client still sends: heard out, then closed

What arrives while a request is BUSY is kept, up to `KEPT_BYTES_MAX`, and then not read: that bounds pipelining. Whole
heads go to the parser; bodies never do, they are views of the receive buffer given to the sink. The buffer belongs to
the loop, not to the connection: nothing of it may be kept past the callback, and an idle connection owns no buffer.

Time limits are checked by a sweep over all connections (`check`), because a timer for each request costs as much as
the rest of it. The clock of deadlines, `Server.now`, is that of the last sweep.
"""

import asyncio
import logging
from collections.abc import Awaitable
from math import inf
from time import perf_counter_ns
from typing import TYPE_CHECKING, cast

from aiscore.server.chunks import ChunkedDecoder
from aiscore.server.faults import HttpFault
from aiscore.server.http import BodySink, Outcome, Response
from aiscore.server.incoming import DRAIN_BYTES_MAX, IncomingBody, Phase, error_of
from aiscore.server.outgoing import release
from aiscore.server.repeats import Repeat
from aiscore.server.sockets import unacknowledged

if TYPE_CHECKING:
    from aiscore.server.listener import Listener

__all__ = ["Connection"]

log = logging.getLogger(__name__)

HEAD_BUFFER_SIZE = 64 << 10
"""Of the receive buffer, what is offered outside of bodies; it bounds what one read can bring of pipelined requests."""
KEPT_BYTES_MAX = 64 << 10
REQUESTS_PER_TURN = 32
"""Pipelined requests that are answered before other connections have their turn."""
LINGER_S = 5.0
"""How long a client that was answered early may go on sending. Closing at once would reset the connection, and the
reset would overtake the answer."""
IDLE_LINGER_S = 1.0
"""The same for one that has nothing to come, when the server stops."""
_HEAD_END = b"\r\n\r\n"
_LINE_END = b"\r\n"


_HEAD, _BODY, _BUSY, _LINGER, _CLOSED = Phase


class Connection(IncomingBody):
    """The state of one connection."""

    __slots__ = (
        "_has_ended",
        "_is_answered",
        "_is_reading",
        "_pending",
    )

    def __init__(self, server: "Listener") -> None:
        super().__init__(server)
        self._pending = bytearray()
        self._is_reading = True
        self._is_answered = False
        self._has_ended = False

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._transport = cast("asyncio.Transport", transport)
        # "May write" then means that nothing is left to send, which is what a block source needs to know.
        # (Of 0, uvloop's TLS transport is over the limit with nothing to send, and never back below it.)
        self._transport.set_write_buffer_limits(high=1 if self.is_tls else 0, low=0)
        self.deadline = self._server.now + self._server.settings.head_timeout_s
        refusal = self._server.admit(self)
        if refusal:
            self._fail(HttpFault(503, refusal))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was cut off. A sink or source that the pool works with is freed when that returns."""
        was_waiting = self._phase is _BUSY
        self._phase = _CLOSED
        self._pending = bytearray()
        self._stop_waiting()
        if self._stream is not None:
            self._stream.cancel()
        if self._sink is not None and not was_waiting:
            self._drop_sink()
        self._server.forget(self)

    def eof_received(self) -> bool:
        """The client sends nothing more; what it has asked for is still answered."""
        self._has_ended = True
        if self._phase is _BUSY:
            return not self.is_tls
        if self._phase is _BODY and self._sink is not None:
            self._drop_sink()
        return False

    def pause_writing(self) -> None:
        """Something is left to send."""
        self.can_write = False
        self._unsent = -1

    def resume_writing(self) -> None:
        """Everything was sent."""
        self.can_write = True
        if self._stream is not None:
            self._stream.proceed()
        elif self._phase is _BUSY and self._request is None:
            self._next_request()
            self._proceed()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop may write what it receives."""
        server = self._server
        return server.receive_view if self._phase is _BODY else server.head_view

    def buffer_updated(self, nbytes: int) -> None:
        """Something was received."""
        server = self._server
        phase = self._phase
        if phase is _BODY or (phase is _HEAD and not self._pending):
            self._consume(server.receive_buffer, server.receive_view, nbytes)
        elif phase is _HEAD:
            self._grow_head(server.receive_view[:nbytes])
        elif phase is _BUSY:
            self._keep_back(server.receive_view[:nbytes])

    # what the server calls

    def check(self, now: float) -> None:
        """Cut off a client that is over a time limit."""
        settings = self._server.settings
        if not self.can_write:
            self._check_writing(now)
        elif now < self.deadline:
            return
        elif self._phase is _HEAD:
            if self._pending:
                self._fail(HttpFault(408, f"request head took over {settings.head_timeout_s:g} s"))
            else:
                self._finish()
        elif self._phase is _BODY and not self._is_answered:
            self._drop_sink()
            self._fail(HttpFault(408, f"request body stalled for {settings.body_timeout_s:g} s"))
        elif self._phase is _LINGER and self.is_tls and unacknowledged(self._transport):
            self._check_writing(now)  # it is still taking its answer
        elif self._phase is not _BUSY:
            self._transport.abort()

    def drain(self) -> None:
        """The server is going: close at once if nothing is under way, after the answer otherwise."""
        if self._phase is _HEAD and not self._pending:
            self._finish(IDLE_LINGER_S)

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    # receiving

    def _consume(self, buffer: bytes | bytearray, view: memoryview, stop: int) -> None:
        """Take the first `stop` bytes of `buffer`, which `view` shows."""
        start = 0
        turns = REQUESTS_PER_TURN
        while start < stop:
            phase = self._phase
            if phase is _BODY:
                start += self._take_body(view[start:stop])
            elif phase is _HEAD:
                end = buffer.find(_HEAD_END, start, stop)
                if end < 0:
                    self._grow_head(view[start:stop])
                    return
                if not turns:
                    self._phase = _BUSY
                    self._loop.call_soon(self._take_turn)
                    continue
                turns -= 1
                head = bytes(view[start : end + 4])
                start = end + 4
                if len(head) > self._server.settings.head_bytes_max:
                    self._refuse_head()
                elif head[0] != 13 or head.strip():  # an empty line before a request is none
                    self._begin(head)
            elif phase is _BUSY:
                self._keep_back(view[start:stop])
                return
            else:
                return

    def _grow_head(self, data: memoryview) -> None:
        """A head that comes in pieces: rare, so it may be copied."""
        pending = self._pending
        if not pending:
            self.deadline = self._server.now + self._server.settings.head_timeout_s
        scanned = max(0, len(pending) - 3)
        pending += data
        # Empty lines in front of a request are allowed, and sent by some clients after a body.
        while pending and pending[0] in b"\r\n":
            del pending[0]
            scanned = 0
        if pending.find(_HEAD_END, scanned) >= 0:
            self._proceed()
        elif len(pending) > self._server.settings.head_bytes_max:
            self._refuse_head()
        elif pending and (not pending[:1].isalpha() or pending.find(b"\n\n", scanned) >= 0):
            self._fail(HttpFault(400, "malformed request: not HTTP"))

    def _refuse_head(self) -> None:
        limit = self._server.settings.head_bytes_max
        self._fail(HttpFault(431, f"request head is too long: more than {limit} bytes"))

    def _keep_back(self, data: memoryview) -> None:
        self._pending += data
        if len(self._pending) >= KEPT_BYTES_MAX and self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def _take_turn(self) -> None:
        if self._phase is _BUSY:
            self._phase = _HEAD
            self._proceed()

    def _proceed(self) -> None:
        """Take what was kept back, then read again."""
        if self._pending and self._phase in {_HEAD, _BODY}:
            data = bytes(self._pending)
            self._pending.clear()
            self._consume(data, memoryview(data), len(data))
        if self._phase in {_HEAD, _BODY}:
            if self._has_ended:
                self._drop_sink()
                self._finish()
            elif not self._is_reading:
                self._is_reading = True
                self._transport.resume_reading()

    # one request

    def _begin(self, head: bytes) -> None:
        server = self._server
        self._started_ns = perf_counter_ns()
        repeat = server.repeats.get(head)
        if repeat is not None and self._repeat(head, repeat):
            return
        try:
            request = server.parser.parse(head)
        except HttpFault as fault:
            self._fail(fault)
            return
        request.client = self
        self._request = request
        self._is_answered = False
        length = request.content_length
        if length is None:
            self._chunks = ChunkedDecoder()
            self._drained_bytes = 0
        self._left = length or 0
        outcome: Outcome
        try:
            outcome = server.dispatch(request)
        except Exception as exc:
            outcome = server.error_response(exc, request)
        if type(outcome) is Response:
            if outcome.repeat is not None:
                server.repeats.remember(head, request, outcome)
            self._respond(outcome)
        elif hasattr(outcome, "__await__"):
            self._wait_for(cast("Awaitable[Response]", outcome))
        else:
            self._sink = cast("BodySink", outcome)
            self._receive_body(request)

    def _repeat(self, head: bytes, repeat: Repeat) -> bool:
        """Answer a request that came before in the same words; False when it has another answer now."""
        server = self._server
        body = repeat.body()
        if body is None:
            server.repeats.forget(head)
            return False
        self._transport.write(b"".join((repeat.lines, server.date, _LINE_END, body)))
        took_ns = perf_counter_ns() - self._started_ns
        server.meter.note_get(len(body), took_ns)
        if server.access_log is not None:
            repeat.request.client = self
            server.access_log.add(repeat.request, 200, len(body), took_ns // 1000)
        self._next_request()
        return True

    def _wait_for(self, outcome: "Awaitable[Response]") -> None:
        """Answer when `outcome` is there. A client that goes does not stop the work: it is done, and not reported."""
        self._phase = _BUSY
        self.deadline = inf
        self._server.run(outcome, self._answer)

    def _answer(self, future: "asyncio.Future[Response]") -> None:
        request = self._request
        assert request is not None
        error = error_of(future)
        response = future.result() if error is None else self._server.error_response(error, request)
        if self._phase is _CLOSED:
            release(response)
            return
        self._respond(response)
        self._proceed()

    # answering

    def _stream_begins(self) -> None:
        self._phase = _BUSY
        self.deadline = inf

    def _go_on_soon(self) -> None:
        if self._pending or self._has_ended or not self._is_reading:
            self._loop.call_soon(self._proceed)

    def _can_skip_rest(self) -> bool:
        return self._left <= DRAIN_BYTES_MAX

    def _response_ended(self, status: int, sent: int) -> None:
        self._log(status, sent)
        if not self._keep or self._server.state.is_draining:
            if self._is_mid_body():
                self._linger()
            else:
                self._finish()
        elif self._is_mid_body():
            self._is_answered = True
            self._drained_bytes = 0
            self._phase = _BODY
            self.deadline = self._server.now + self._server.settings.body_timeout_s
        else:
            self._next_request()

    def _next_request(self) -> None:
        self._request = None
        self._chunks = None
        if not self.can_write:
            self._phase = _BUSY  # until the client has read its answer
            self.deadline = inf
            return
        self._phase = _HEAD
        self.deadline = self._server.now + self._server.settings.idle_timeout_s

    def _fail(self, fault: HttpFault) -> None:
        """Say what is wrong with the request, and close."""
        if self._phase is _HEAD:
            self._request = None  # that of the request before
        self._write_fault(fault)
        self._linger()

    def _linger(self) -> None:
        """Close our half, and let the client find the answer before the connection goes."""
        self._request = None
        if self._has_ended:
            self._finish()
            return
        self._phase = _LINGER
        self._pending = bytearray()
        self.deadline = self._server.now + LINGER_S
        if not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()
        if not self.is_tls:  # TLS cannot close one half
            self._transport.write_eof()

    def _finish(self, linger_s: float = LINGER_S) -> None:
        """Send what there is to send, then go; who does not answer to the end of TLS is cut off."""
        self._phase = _LINGER
        self._pending = bytearray()
        self.deadline = self._server.now + linger_s
        self._transport.close()
