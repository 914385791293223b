"""One HTTP/1.1 connection: blocking, kept alive, with one receive buffer for its whole life.

The client of the data path, where a request must cost little more than its system calls. Heads are parsed by
httptools; bodies go from the socket straight into the caller's memory. A plain socket stays in blocking mode and the
kernel keeps its timeouts (`SO_RCVTIMEO`), which saves the `poll` that Python's own make before each call.

While a body is sent, the socket is watched for an answer: a server that refuses a request says so before it has read
it all, and that answer is what the caller must see, not the broken pipe that follows.
"""

import os
import select
import socket
from collections.abc import Iterator
from time import perf_counter_ns
from typing import TYPE_CHECKING

from aiscore.errors import ProtocolError, TransportError, TransportTimeoutError
from aiscore.transport.answer import HEAD_MAX, Head, MalformedAnswerError, Response, plain_length
from aiscore.transport.body import NO_BODY, Block, Payload
from aiscore.transport.endpoint import Endpoint
from aiscore.transport.sockets import connect, poll_for

if TYPE_CHECKING:
    import ssl

    from aiscore.transport.options import ConnectionOptions
    from aiscore.transport.tracing import RequestTimes

__all__ = ["BodyError", "Connection", "EarlyAnswer", "StaleConnectionError", "current_epoch"]

CHUNK_MIN = 64 << 10
"""Smaller blocks of a stream without length are put together before they are sent."""
CONTINUE_WAIT_S = 1.0
"""How long `100 Continue` is waited for; servers that do not know it wait for the body."""
INTERIM_MAX = 16
"""Answers of class 1xx before the answer."""
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})
_CONTINUE = b"Expect: 100-continue\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"

_epoch = 0


def _forked() -> None:
    global _epoch
    _epoch += 1


os.register_at_fork(after_in_child=_forked)


def current_epoch() -> int:
    """Grows with each fork: a connection of an earlier epoch belongs to the parent."""
    return _epoch


class StaleConnectionError(ProtocolError):
    """The server closed a kept-alive connection before it answered anything."""


class EarlyAnswer(Exception):
    """The server answers before the body has been sent."""


class Connection:
    """One connection. Belongs to one request at a time; raises `TransportError` subclasses only."""

    __slots__ = (
        "_buffer",
        "_content_first",
        "_content_left",
        "_content_size",
        "_end",
        "_is_closed",
        "_is_plain",
        "_limit_s",
        "_socket",
        "_start",
        "_times",
        "_view",
        "endpoint",
        "epoch",
        "is_reused",
        "is_spoiled",
        "url",
        "used_at",
    )

    def __init__(
        self, endpoint: Endpoint, options: "ConnectionOptions", tls: "ssl.SSLContext | None"
    ) -> None:
        """Connect.

        Raises:
            ConnectError: nobody answers there, or not with a certificate to trust.
        """
        self.endpoint = endpoint
        self.url = endpoint.url
        self.epoch = _epoch
        self.is_reused = False
        self.is_spoiled = False
        self.used_at = 0.0
        self._is_plain = tls is None
        self._is_closed = False
        self._limit_s = options.read_timeout_s
        self._socket = connect(endpoint, options, tls)
        self._buffer = bytearray(HEAD_MAX)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._times: RequestTimes | None = None
        self._content_first = self._content_left = self._content_size = 0

    # life

    def close(self) -> None:
        """Close the socket; safe to repeat."""
        if not self._is_closed:
            self._is_closed = True
            self._socket.close()

    @property
    def is_closed(self) -> bool:
        """True after `close`."""
        return self._is_closed

    def is_alive(self) -> bool:
        """False when the server has closed it, or sent what nobody asked for."""
        if self._is_closed or self.epoch != _epoch or self._start != self._end:
            return False
        try:
            return not poll_for(self._socket, select.POLLIN, 0)
        except (OSError, ValueError):
            return False

    # requests

    def request(
        self,
        method: str,
        head: bytes,
        payload: Payload = NO_BODY,
        *,
        expect_continue: bool = False,
        times: "RequestTimes | None" = None,
    ) -> Response:
        """Send one request and read the head of its answer.

        Args:
            method: the method that `head` begins with.
            head: request line and headers without those of the body, and without the empty line.
            payload: the body.
            expect_continue: ask the server whether it wants the body, before it is sent.
            times: is told when what of the request has been sent.

        Raises:
            StaleConnectionError: a kept-alive connection was closed; nothing was answered.
            TransportError: the answer did not come, or is no HTTP.
        """
        self._times = times
        try:
            if payload is NO_BODY and method in _BODILESS and self._is_plain:
                self._send_head(head)
            else:
                self._send(method, head, payload, expect_continue=expect_continue)
            if times is not None:
                times.sent()
            return self._answer(method)
        except BodyError as exc:
            self.close()
            raise exc.reason from None
        except BaseException:
            self.close()
            raise

    def _answer(self, method: str) -> Response:
        for _ in range(INTERIM_MAX):
            head = self._read_head()
            if head.status >= 200:  # 100 and 103 only announce the answer
                return Response(self, method, head)
        raise MalformedAnswerError(f"{self.url} does not come to its answer")

    def drain(self, buffer: memoryview, *, wait: bool = True) -> tuple[int, int] | None:
        """Receive the answer to a GET and drop its content, after `send_request` on a plain connection.

        Args:
            buffer: where content goes that has not come with the head.
            wait: until all of it is there.

        Returns:
            When the first bytes came, on `perf_counter_ns`, and the size of the content. None, without `wait`: more of
            it is to come. Zeros for an answer that is no plain 200 with a length: `answer` reads it then.

        Raises:
            StaleConnectionError: a kept-alive connection was closed; nothing was answered.
            TransportError: the answer did not come, or ended early.
        """
        flags = 0 if wait else socket.MSG_DONTWAIT
        try:
            left = self._content_left
            if not left:
                count = self._socket.recv_into(self._buffer, 0, flags)
                first = self._content_first = perf_counter_ns()
                if not count:
                    raise self._closed_early()
                self._start, self._end = 0, count
                at = self._buffer.find(b"\r\n\r\n", 0, count) + 4
                lower = self._buffer[:at].lower()
                if at < 4 or self.is_spoiled or not lower.startswith(b"http/1.1 200"):
                    return 0, 0
                size = self._content_size = plain_length(lower)
                left = size - (count - at)
                if left < 0:
                    return 0, 0
                self._start = self._end = 0
                self.is_reused = True
                if not left:
                    return first, size
            while left:
                self._content_left = left
                part = buffer if left >= len(buffer) else buffer[:left]
                got = self._socket.recv_into(part, 0, flags)
                if not got:
                    raise ProtocolError(f"the answer of {self.url} ended early")
                left -= got
            self._content_left = 0
            return self._content_first, self._content_size
        except (BlockingIOError, TimeoutError):
            if not wait:
                return None
            self.close()
            raise self._timed_out("sent nothing") from None
        except OSError as exc:
            self.close()
            # In the middle of an answer it is no idle connection that the server had closed.
            self.is_reused = self.is_reused and not self._content_left
            raise self._broken(exc) from exc
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Of the socket, to wait on several connections."""
        return self._socket.fileno()

    def expire(self) -> TransportError:
        """Give up an answer that was waited for elsewhere; the error that says so."""
        self.close()
        return self._timed_out("sent nothing")

    @property
    def limit_s(self) -> float:
        """How long to wait for an answer; 0 is no limit."""
        return self._limit_s

    def answer(self, method: str) -> Response:
        """The answer that `drain` has left.

        Raises:
            TransportError: it is no HTTP, or does not come to its end.
        """
        try:
            return self._answer(method)
        except BaseException:
            self.close()
            raise

    def _send_head(self, head: bytes) -> None:
        self.send_request(head + b"\r\n")

    def send_request(self, data: bytes) -> None:
        """Send a request without body, all of `data`: one call, as a rule.

        Raises:
            TransportError: the connection broke, or takes nothing.
        """
        try:
            sent = self._socket.send(data, socket.MSG_DONTWAIT)
            if sent != len(data):
                self._send_all(data[sent:])
        except (BlockingIOError, EarlyAnswer):
            # The send buffer of a connection without requests under way is full: nobody reads there.
            raise self._timed_out("takes no data") from None
        except OSError as exc:
            self._failed_to_send(exc)

    def _send(self, method: str, head: bytes, payload: Payload, *, expect_continue: bool) -> None:
        size, data = payload.size, payload.data
        if size is None:
            head += _CHUNKED
        elif size or method in {"PUT", "POST", "PATCH"}:
            head += b"Content-Length: %d\r\n" % size
        try:
            if expect_continue and size != 0:
                self._send_all(head + _CONTINUE + b"\r\n")
                self._head_sent()
                if not self._wants_body():
                    self.is_spoiled = True
                    return
                head = b""
            else:
                head += b"\r\n"
            if data is not None:
                self._send_both(head, data)
            elif size is None:
                self._send_chunks(head, payload)
            else:
                self._send_blocks(head, payload)
        except EarlyAnswer:
            self.is_spoiled = True
        except TransportTimeoutError:
            raise
        except OSError as exc:
            self._failed_to_send(exc)

    def _failed_to_send(self, exc: OSError) -> None:
        """Go on to the answer if there is one: what the server said before it closed is in the receive buffer.

        Raises:
            ProtocolError: there is none.
        """
        if not self._answer_is_there():
            raise self._broken(exc) from exc
        self.is_spoiled = True

    def _send_both(self, head: bytes, data: Block) -> None:
        if not data:
            self._send_all(head)
        elif self._is_plain:
            sent = self._socket.sendmsg((head, data), (), socket.MSG_DONTWAIT)
            self._head_sent()
            if sent < len(head):
                self._send_all(head[sent:])
                sent = len(head)
            sent -= len(head)
            if sent < len(data):
                self._send_all(memoryview(data)[sent:])
        else:
            if len(data) <= CHUNK_MIN:
                self._send_all(b"".join((head, data)))
            else:
                self._send_all(head)
                self._head_sent()
                self._send_all(memoryview(data))

    def _head_sent(self) -> None:
        if self._times is not None:
            self._times.head_sent()

    def _send_blocks(self, head: bytes, payload: Payload) -> None:
        self._send_all(head)
        self._head_sent()
        for block in _guarded(payload.blocks()):
            self._send_all(block)

    def _send_chunks(self, head: bytes, payload: Payload) -> None:
        self._send_all(head)
        self._head_sent()
        small = bytearray()
        for block in _guarded(payload.blocks()):
            if len(block) + len(small) < CHUNK_MIN:
                small += block
                continue
            if small:
                self._send_chunk(bytes(small))
                small.clear()
            self._send_chunk(block)
        if small:
            self._send_chunk(bytes(small))
        self._send_all(b"0\r\n\r\n")

    def _send_chunk(self, block: Block) -> None:
        self._send_both(b"%x\r\n" % len(block), block)
        self._send_all(b"\r\n")

    def _send_all(self, data: Block) -> None:
        """Send all of it, unless an answer comes first.

        Raises:
            EarlyAnswer: there is something to read.
        """
        if not self._is_plain:
            self._send_encrypted(memoryview(data))
            return
        sent = 0
        while True:
            try:
                sent += self._socket.send(memoryview(data)[sent:], socket.MSG_DONTWAIT)
            except BlockingIOError:
                events = poll_for(
                    self._socket, select.POLLIN | select.POLLOUT, self._limit_s or None
                )
                if events & select.POLLIN:
                    raise EarlyAnswer from None
                if not events:
                    raise self._timed_out("took no data") from None
                continue
            if sent >= len(data):
                return

    def _send_encrypted(self, data: memoryview) -> None:
        for start in range(0, len(data), CHUNK_MIN):
            if start and poll_for(self._socket, select.POLLIN, 0) and self._answer_is_there():
                raise EarlyAnswer
            try:
                self._socket.sendall(data[start : start + CHUNK_MIN])
            except TimeoutError:
                if self._answer_is_there():
                    raise EarlyAnswer from None
                raise self._timed_out("took no data") from None

    def _wants_body(self) -> bool:
        """Wait for the answer to `Expect`; False when the request is answered without its body."""
        if not poll_for(self._socket, select.POLLIN, CONTINUE_WAIT_S):
            return True
        head = self._read_head()
        if head.status == 100:
            return True
        self._unread(head)
        return False

    # answers

    def _read_head(self) -> Head:
        """The next response head; what follows it stays in the buffer."""
        buffer = self._buffer
        if self._start == self._end:
            self._start, self._end = 0, self._receive(buffer)
            if not self._end:
                raise self._closed_early()
        searched = self._start
        while True:
            at = buffer.find(b"\r\n\r\n", searched, self._end)
            if at >= 0:
                break
            start, end = self._start, self._end
            if end - start >= 5 and not buffer.startswith(b"HTTP/", start):
                shown = bytes(buffer[start : min(end, start + 40)])
                raise MalformedAnswerError(
                    f"{self.url} does not speak HTTP: it answers {shown!r}",
                    hint="check host, port and scheme (http or https) of the endpoint",
                )
            if start:
                buffer[: end - start] = buffer[start:end]
                self._start, self._end = 0, end - start
            if self._end == len(buffer):
                raise MalformedAnswerError(
                    f"the head of the answer of {self.url} is longer than {HEAD_MAX} bytes"
                )
            searched = max(self._end - 3, 0)
            count = self._receive(self._view[self._end :])
            if not count:
                raise ProtocolError(f"the answer of {self.url} ended in the middle of its head")
            self._end += count
        head = Head(bytes(self._view[self._start : at + 4]), self.url)
        self._start = at + 4
        return head

    def _unread(self, head: Head) -> None:
        """Put a head back: it was the final answer, and the usual way reads it."""
        self._start -= len(head.raw)

    def take(self, buffer: "bytearray | memoryview") -> int:
        """Fill as much of `buffer`, which is not empty, as one step gives; 0 when the server has closed.

        Raises:
            ProtocolError: the connection broke.
            TransportTimeoutError: nothing came in time.
        """
        have = self._end - self._start
        if not have:
            return self._receive(buffer)
        count = min(have, len(buffer))
        buffer[:count] = self._view[self._start : self._start + count]
        self._start += count
        return count

    def take_bytes(self, size: int) -> bytes | None:
        """Exactly `size` bytes if they have come already."""
        start = self._start
        if self._end - start < size:
            return None
        self._start = start + size
        return bytes(self._view[start : self._start])

    def take_line(self, limit: int) -> bytes:
        """A line without its end, for the framing of chunks.

        Raises:
            ProtocolError: it is longer than `limit`, or the connection ended.
        """
        buffer = self._buffer
        while True:
            at = buffer.find(b"\r\n", self._start, min(self._end, self._start + limit + 2))
            if at >= 0:
                line = bytes(self._view[self._start : at])
                self._start = at + 2
                return line
            # One more: half of its end may have come.
            if self._end - self._start > limit + 1:
                raise MalformedAnswerError(f"malformed chunk from {self.url}")
            if self._end == len(buffer) or self._start == self._end:
                count = self._end - self._start
                buffer[:count] = buffer[self._start : self._end]
                self._start, self._end = 0, count
            count = self._receive(self._view[self._end :])
            if not count:
                raise ProtocolError(f"the answer of {self.url} ended early")
            self._end += count

    def _receive(self, buffer: "bytearray | memoryview") -> int:
        if self.epoch != _epoch:
            self.close()
            raise ProtocolError(
                "the connection was opened before this process was forked",
                hint="open objects and batches in the process that reads them",
            )
        try:
            return self._socket.recv_into(buffer)
        except (BlockingIOError, TimeoutError):
            raise self._timed_out("sent nothing") from None
        except OSError as exc:
            raise self._broken(exc) from exc

    def _answer_is_there(self) -> bool:
        """True when the server has said something; it is in the buffer then. Does not wait."""
        if self._start == self._end:
            try:
                # Not by `poll` alone: on an encrypted connection what has come may be no content.
                self._socket.setblocking(False)
                self._start, self._end = 0, 0
                self._end = self._socket.recv_into(self._buffer)
            except OSError:
                return False
            finally:
                self._socket.settimeout(None if self._is_plain else self._limit_s or None)
        return self._end > self._start

    # errors

    def _closed_early(self) -> TransportError:
        if self.is_reused:
            return StaleConnectionError(f"{self.url} closed an idle connection")
        return ProtocolError(f"{self.url} closed the connection without an answer")

    def _broken(self, exc: OSError) -> TransportError:
        reason = exc.strerror or type(exc).__name__
        if self.is_reused and isinstance(exc, ConnectionError):
            return StaleConnectionError(f"the connection to {self.url} broke: {reason}")
        return ProtocolError(f"the connection to {self.url} broke: {reason}")

    def _timed_out(self, what: str) -> TransportTimeoutError:
        return TransportTimeoutError(
            f"{self.url} {what} for {self._limit_s:g} s",
            hint="wait longer: set AIS_READ_TIMEOUT (seconds; 0 is no limit)",
        )


class BodyError(Exception):
    """Carries a failure of the caller's body past the handlers of the socket's failures."""

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


def _guarded(blocks: Iterator[Block]) -> Iterator[Block]:
    """The blocks; an error of the caller's file must not be taken for one of the socket."""
    try:
        yield from blocks
    except Exception as exc:
        raise BodyError(exc) from exc
