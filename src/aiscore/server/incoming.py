"""The body of a request on its way in: counted or in chunks, from the receive buffer into its sink, or drained."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable
from enum import IntEnum
from math import inf
from typing import TYPE_CHECKING, TypeVar

from aiscore.errors import UnavailableError
from aiscore.server.chunks import ChunkedDecoder
from aiscore.server.faults import HttpFault
from aiscore.server.head import HttpRequest
from aiscore.server.heads import CONTINUE
from aiscore.server.http import BodySink, Response
from aiscore.server.outgoing import OutgoingHalf

if TYPE_CHECKING:
    from aiscore.server.listener import Listener

__all__ = ["DRAIN_BYTES_MAX", "IncomingBody", "Phase", "error_of"]

T = TypeVar("T")

DRAIN_BYTES_MAX = 1 << 20
"""Rest of a body that nobody wants, up to which reading it is cheaper than a new connection."""


class Phase(IntEnum):
    """What a connection is at (see `protocol`)."""

    HEAD = 0
    BODY = 1
    BUSY = 2
    LINGER = 3
    CLOSED = 4


_BODY, _BUSY, _CLOSED = Phase.BODY, Phase.BUSY, Phase.CLOSED


class IncomingBody(OutgoingHalf):
    """Takes bodies. Heads, and what a connection does next, are the subclass's."""

    __slots__ = ("_chunks", "_drained_bytes", "_left", "_phase", "_sink")

    def __init__(self, server: "Listener") -> None:
        super().__init__(server)
        self._phase = Phase.HEAD
        self._sink: BodySink | None = None
        self._chunks: ChunkedDecoder | None = None
        self._left = 0
        self._drained_bytes = 0

    @abstractmethod
    def _proceed(self) -> None:
        """Take what was kept back meanwhile."""

    @abstractmethod
    def _next_request(self) -> None:
        """The request is answered, and its body is over."""

    @abstractmethod
    def _wait_for(self, outcome: "Awaitable[Response]") -> None:
        """Answer when `outcome` is there."""

    @abstractmethod
    def _fail(self, fault: HttpFault) -> None:
        """Say what is wrong with the request, and close."""

    @abstractmethod
    def _linger(self) -> None:
        """Close our half, and let the client find the answer before the connection goes."""

    def _receive_body(self, request: HttpRequest) -> None:
        if not self._left and self._chunks is None:
            self._end_body()
            return
        self._phase = _BODY
        self.deadline = self._server.now + self._server.settings.body_timeout_s
        if request.wants_continue:
            request.wants_continue = False  # the client sends now
            self._transport.write(CONTINUE)

    def _take_body(self, data: memoryview) -> int:
        """Give the front of `data` to the sink; how much of it belonged to the body."""
        piece: memoryview | None
        if self._chunks is None:
            piece = data[: self._left]
            taken = len(piece)
            self._left -= taken
            is_last = not self._left
        else:
            try:
                taken, piece = self._chunks.take(data)
            except HttpFault as fault:
                self._drop_sink()
                self._fail(fault)
                return len(data)
            is_last = self._chunks.is_complete
        self.deadline = self._server.now + self._server.settings.body_timeout_s
        if piece is not None and not self._give(piece):
            return taken
        if is_last:
            self._end_body()
        return taken

    def _give(self, piece: memoryview) -> bool:
        """Write to the sink; False when the body does not go on for now, or at all."""
        sink = self._sink
        if sink is None:
            self._drained_bytes += len(piece)
            if self._drained_bytes > DRAIN_BYTES_MAX:
                self._linger()
                return False
            return True
        try:
            waiting = sink.write(piece)
        except Exception as exc:
            assert self._request is not None
            self._drop_sink()
            self._respond(self._server.error_response(exc, self._request))
            return False
        if waiting is None:
            return True
        self._phase = _BUSY
        self.deadline = inf
        self._server.run(waiting, self._written)
        return False

    def _written(self, future: "asyncio.Future[None]") -> None:
        """The sink that asked to wait is ready for more."""
        sink, request = self._sink, self._request
        assert sink is not None
        assert request is not None
        error = error_of(future)
        if self._phase is _CLOSED:
            self._drop_sink()
        elif error is not None:
            self._drop_sink()
            self._respond(self._server.error_response(error, request))
            self._proceed()
        else:
            self._phase = _BODY
            self.deadline = self._server.now + self._server.settings.body_timeout_s
            if self._is_body_complete():
                self._end_body()
            self._proceed()

    def _is_body_complete(self) -> bool:
        return not self._left if self._chunks is None else self._chunks.is_complete

    def _end_body(self) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            self._next_request()
            return
        request = self._request
        assert request is not None
        self._chunks = None
        try:
            outcome = sink.finish()
        except Exception as exc:
            sink.abort()
            outcome = self._server.error_response(exc, request)
        if isinstance(outcome, Response):
            self._respond(outcome)
        else:
            self._wait_for(outcome)

    def _drop_sink(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.abort()

    def _is_mid_body(self) -> bool:
        return self._left > 0 or (self._chunks is not None and not self._chunks.is_complete)


def error_of(future: "asyncio.Future[T]") -> BaseException | None:
    """Why there is no result."""
    if future.cancelled():
        return UnavailableError("server is stopping")
    return future.exception()
