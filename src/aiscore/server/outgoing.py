"""The outgoing half of a connection: from a response to bytes, and to a client that may not want to read them."""

import asyncio
import logging
import os
from abc import abstractmethod
from math import inf
from time import perf_counter_ns
from typing import TYPE_CHECKING, cast

from aiscore.server.faults import HttpFault, fault_response
from aiscore.server.filestream import SENDFILE_MAX, SENDFILE_MIN, FileStream
from aiscore.server.head import HttpRequest
from aiscore.server.heads import encode_head, has_body
from aiscore.server.http import BlockSource, Response
from aiscore.server.sockets import unacknowledged
from aiscore.server.sources import ReaderSource
from aiscore.server.stream import BodyStream

if TYPE_CHECKING:
    from aiscore.server.listener import Listener

__all__ = ["OutgoingHalf", "release"]

log = logging.getLogger(__name__)

JOIN_BYTES_MAX = 256 << 10
"""Answers up to this size are one piece: copying is cheaper than a second buffer for the kernel."""
_IN_MEMORY = (bytes, bytearray, memoryview)
_CLOSE = b"Connection: close\r\n"
_KEEP_ALIVE = b"Connection: keep-alive\r\n"


class OutgoingHalf(asyncio.BufferedProtocol):
    """Sends responses. What comes in, and what comes next, is the subclass's."""

    __slots__ = (
        "_keep",
        "_loop",
        "_peer",
        "_request",
        "_room_fd",
        "_server",
        "_started_ns",
        "_stream",
        "_stream_response",
        "_transport",
        "_unsent",
        "can_write",
        "deadline",
        "is_tls",
    )

    def __init__(self, server: "Listener") -> None:
        self._server = server
        self._loop = server.loop
        self._transport = cast("asyncio.Transport", None)
        self._request: HttpRequest | None = None
        self._stream: BodyStream | None = None
        self._stream_response: Response | None = None
        self._keep = True
        self._peer = ""
        self._started_ns = 0
        self._unsent = 0
        self._room_fd = -1
        self.can_write = True
        self.is_tls = server.is_tls
        self.deadline = inf

    @property
    def peer(self) -> str:
        """`IP:PORT` of the client."""
        if not self._peer:
            name = self._transport.get_extra_info("peername")
            if name:
                host = f"[{name[0]}]" if ":" in name[0] else name[0]
                self._peer = f"{host}:{name[1]}"
        return self._peer

    @abstractmethod
    def _stream_begins(self) -> None:
        """A response will take its time."""

    @abstractmethod
    def _response_ended(self, status: int, sent: int) -> None:
        """It was handed over whole, with `sent` bytes of body."""

    @abstractmethod
    def _go_on_soon(self) -> None:
        """Outside of any call of the incoming half: look at what has come meanwhile."""

    @abstractmethod
    def _can_skip_rest(self) -> bool:
        """False when what has not come yet of the request's body is too much to be read for nothing."""

    def _respond(self, response: Response) -> None:
        body = response.body
        if not isinstance(body, _IN_MEMORY):
            self._respond_stream(response, body)
            return
        length = len(body)
        if self._is_bare(response):
            self._respond_bare(response, length)
            return
        head = self._encode(response, length, is_chunked=False)
        if head is None:
            return
        if length <= JOIN_BYTES_MAX:
            self._transport.write(b"".join((head, body)))
        else:
            self._transport.writelines((head, body))
        self._response_ended(response.status, length)

    def _is_bare(self, response: Response) -> bool:
        assert self._request is not None
        return self._request.method == "HEAD" or not has_body(response.status)

    def _respond_bare(self, response: Response, length: int | None) -> None:
        """Send a head alone; `length` is that of the body that does not come."""
        if response.content_length is not None:
            length = response.content_length
        response.body = b""
        head = self._encode(response, length, is_chunked=False)
        if head is not None:
            self._transport.write(head)
            self._response_ended(response.status, 0)

    def _respond_stream(self, response: Response, source: BlockSource) -> None:
        request = self._request
        assert request is not None
        length = source.length
        if self._is_bare(response):
            source.close()
            self._respond_bare(response, length)
            return
        self._stream_begins()
        self._stream_response = response
        pool = self._server.pool
        if (
            isinstance(source, ReaderSource)
            and not self.is_tls
            and SENDFILE_MIN < (source.length or 0) <= SENDFILE_MAX
        ):
            self._stream = FileStream(source, self, loop=self._loop, pool=pool)
        else:
            is_chunked = length is None and not request.is_http_1_0
            self._stream = BodyStream(
                source, self, is_chunked=is_chunked, loop=self._loop, pool=pool
            )
        self._stream.proceed()

    def stream_started(self, error: BaseException | None) -> bytes | None:
        """The head for the first block; None when `error` was answered in its place."""
        response, request = self._stream_response, self._request
        assert response is not None
        assert request is not None
        if error is not None:
            self._stream = self._stream_response = None
            self._respond(self._server.error_response(error, request))
            self._go_on_soon()
            return None
        length = cast("BlockSource", response.body).length
        if length is None and request.is_http_1_0:
            request.keep_alive = False  # the end of the connection is the end of the body
        head = self._encode(response, length, is_chunked=length is None and not request.is_http_1_0)
        if head is None:
            self._stream = self._stream_response = None
            self._go_on_soon()
        return head

    def write(self, *pieces: bytes | memoryview) -> None:
        """Send pieces of a stream."""
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        elif sum(map(len, pieces)) <= JOIN_BYTES_MAX:
            self._transport.write(b"".join(pieces))
        else:
            self._transport.writelines(pieces)

    def socket_fd(self) -> int:
        """The descriptor to send on; -1 when something else is to be sent before, or nothing can be sent."""
        transport = self._transport
        if transport.is_closing() or transport.get_write_buffer_size():
            return -1
        one = transport.get_extra_info("socket")
        return -1 if one is None else int(one.fileno())

    def wait_for_room(self) -> None:
        """Go on with the stream when the kernel takes more of it."""
        # The event loop has the descriptor itself, and waits on each for one purpose only.
        self._room_fd = os.dup(self.socket_fd())
        self._loop.add_writer(self._room_fd, self._has_room)
        self.can_write = False
        self._unsent = -1

    def _has_room(self) -> None:
        self._stop_waiting()
        self.can_write = True
        if self._stream is not None:
            self._stream.proceed()

    def _stop_waiting(self) -> None:
        fd, self._room_fd = self._room_fd, -1
        if fd >= 0:
            self._loop.remove_writer(fd)
            os.close(fd)

    def stream_ended(self, sent: int, *, is_whole: bool) -> None:
        """The body is sent, or cannot be."""
        response = self._stream_response
        assert response is not None
        self._stream = self._stream_response = None
        if not is_whole:
            self._log(response.status, sent)
            self._transport.abort()
            return
        self._response_ended(response.status, sent)
        self._go_on_soon()

    def _encode(self, response: Response, length: int | None, *, is_chunked: bool) -> bytes | None:
        """The head; decides whether the connection goes on. None when an error was answered in its place."""
        request = self._request
        assert request is not None
        server = self._server
        # A client that waits for 100 may or may not send its body after another status: nobody could tell.
        self._keep = (
            request.keep_alive
            and not server.state.is_draining
            and not request.wants_continue
            and self._can_skip_rest()
        )
        connection = b"" if self._keep else _CLOSE
        if self._keep and request.is_http_1_0:
            connection = _KEEP_ALIVE
        try:
            return encode_head(
                response, server.date, length=length, is_chunked=is_chunked, connection=connection
            )
        except ValueError:
            log.exception("response dropped: method=%s path=%s", request.method, request.raw_path)
            self._respond(
                fault_response(
                    500,
                    "internal error",
                    method=request.method,
                    path=request.raw_path,
                    peer=self.peer,
                )
            )
            return None

    def _write_fault(self, fault: HttpFault) -> None:
        """Answer what is not a request, or a request that broke off."""
        request = self._request
        response = fault_response(
            fault.status,
            fault.message,
            method=request.method if request else "",
            path=request.raw_path if request else "",
            peer=self.peer,
        )
        body = cast("bytes", response.body)
        head = encode_head(
            response, self._server.date, length=len(body), is_chunked=False, connection=_CLOSE
        )
        self._transport.write(head + body)
        self._server.log_fault(self.peer, request, fault.status, len(body))

    def _check_writing(self, now: float) -> None:
        """A client that reads, however slowly, is waited for; one that does not is cut off."""
        # Less what was sent: a client that reads as much as it is sent reads, too.
        unsent = self._transport.get_write_buffer_size() + unacknowledged(self._transport)
        if self._stream is not None:
            unsent -= self._stream.sent
        if unsent != self._unsent:
            self._unsent = unsent
            self.deadline = now + self._server.settings.body_timeout_s
        elif now >= self.deadline:
            self._transport.abort()

    def _log(self, status: int, sent: int) -> None:
        request = self._request
        if request is None:
            return
        took_ns = perf_counter_ns() - self._started_ns
        self._server.meter.note(request, status, sent, took_ns)
        access_log = self._server.access_log
        if access_log is not None:
            access_log.add(request, status, sent, took_ns // 1000)


def release(response: Response) -> None:
    """Free what a response holds that nobody will read."""
    if not isinstance(response.body, _IN_MEMORY):
        response.body.close()
