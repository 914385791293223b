"""A server whose handlers do what a path says, and a client that is nothing but a socket."""

import asyncio
import os
import re
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiscore.errors import CapacityExceededError
from aiscore.server.http import Outcome, Request, Response, ServerContext
from aiscore.server.message import in_pool, read_message
from aiscore.server.router import Router
from aiscore.server.settings import ServerSettings
from aiscore.server.sockets import bind
from aiscore.server.worker import Worker

DEADLINE_S = 20.0


@dataclass
class Counts:
    """What became of sinks, sources and work."""

    sinks: int = 0
    finished: int = 0
    aborted: int = 0
    sources: int = 0
    closed: int = 0
    worked: int = 0
    asked: int = 0
    bodies: list[bytes] = field(default_factory=list)


class EchoSink:
    """Keeps a body and answers with it; holds a descriptor while it lives, as a writer would."""

    def __init__(
        self, counts: Counts, *, refuse_at: int = -1, pool: Executor | None = None
    ) -> None:
        self.counts = counts
        self.data = bytearray()
        self.refuse_at = refuse_at
        self.pool = pool
        self.fd = os.open(os.devnull, os.O_RDONLY)
        self.is_over = False
        counts.sinks += 1

    def write(self, data: memoryview) -> Awaitable[None] | None:
        self.data += data
        if 0 <= self.refuse_at < len(self.data):
            raise CapacityExceededError("no space left for ais://b/o")
        if self.pool is None:
            return None
        return asyncio.get_running_loop().run_in_executor(self.pool, time.sleep, 0.002)

    def finish(self) -> Response:
        self._end()
        self.counts.finished += 1
        self.counts.bodies.append(bytes(self.data))
        return Response(200, [("Got", str(len(self.data)))], bytes(self.data))

    def abort(self) -> None:
        self._end()
        self.counts.aborted += 1

    def _end(self) -> None:
        assert not self.is_over, "ended twice"
        self.is_over = True
        os.close(self.fd)


class PatternSource:
    """Bytes whose value is their position; holds a descriptor, as a reader would."""

    def __init__(self, counts: Counts, size: int, block: int, query: dict[str, str]) -> None:
        self.counts = counts
        self.left = size
        self.buffer = bytearray(block)
        self.at = 0
        self.query = query
        self.fd = os.open(os.devnull, os.O_RDONLY)
        self.is_closed = False
        counts.sources += 1

    @property
    def length(self) -> int | None:
        announced = self.query.get("announce", str(self.left + self.at))
        return None if announced == "none" else int(announced)

    def next(self) -> memoryview | None:
        assert not self.is_closed, "asked after its end"
        time.sleep(float(self.query.get("slow", "0")))
        if "fail_at" in self.query and self.at >= int(self.query["fail_at"]):
            raise CapacityExceededError("the disk of ais://b/o is gone")
        if not self.left:
            return None
        count = min(self.left, len(self.buffer))
        self.buffer[:count] = pattern(self.at, count)  # the block before is overwritten
        self.at += count
        self.left -= count
        return memoryview(self.buffer)[:count]

    def close(self) -> None:
        assert not self.is_closed, "closed twice"
        self.is_closed = True
        os.close(self.fd)
        self.counts.closed += 1


_PATTERN = bytes(i % 251 for i in range(251 * 8400))


def pattern(start: int, count: int) -> bytes:
    """Bytes `start` to `start + count` of the endless pattern."""
    first = start % 251
    assert first + count <= len(_PATTERN)
    return _PATTERN[first : first + count]


def build(counts: Counts) -> Callable[[ServerContext], Router]:
    """The router of a test server."""

    def make(context: ServerContext) -> Router:
        router = Router()

        def echo(request: Request) -> Outcome:
            refuse_at = int(request.query.get("refuse_at", "-1"))
            pool = context.pool if "wait" in request.query else None
            return EchoSink(counts, refuse_at=refuse_at, pool=pool)

        def source(request: Request) -> Outcome:
            query = dict(request.query)
            block = int(query.get("block", str(1 << 18)))
            return Response(
                200, [("Kind", "source")], PatternSource(counts, int(query["size"]), block, query)
            )

        def body(request: Request) -> Outcome:
            size = int(request.query.get("size", "5"))
            counts.asked += 1
            return Response(200, [("Kind", "bytes")], pattern(0, size))

        def work(request: Request) -> Outcome:
            def run() -> Response:
                time.sleep(float(request.query.get("s", "0.05")))
                counts.worked += 1
                return Response(200, [], request.query.get("say", "done").encode())

            return in_pool(context, run)

        def spin(request: Request) -> Outcome:
            time.sleep(float(request.query["s"]))  # on the event loop
            return Response()

        def late_source(request: Request) -> Outcome:
            def run() -> Response:
                time.sleep(0.05)
                return Response(200, [], PatternSource(counts, 1 << 20, 1 << 18, {}))

            return in_pool(context, run)

        def message(request: Request) -> Outcome:
            return read_message(request, context, lambda data: Response(200, [], data))

        def fail(request: Request) -> Outcome:
            raise RuntimeError("secret of the inside")

        def fail_late(request: Request) -> Outcome:
            def run() -> Response:
                raise RuntimeError("secret of the inside")

            return in_pool(context, run)

        def headers(request: Request) -> Outcome:
            return Response(200, [("X", request.query["x"])], b"")

        def status(request: Request) -> Outcome:
            return Response(int(request.query["is"]), [], b"text", int(request.query.get("n", 4)))

        def seen(request: Request) -> Outcome:
            query = repr(dict(request.query))
            lines = [request.method, request.path, query, request.peer, *request.header_all("a")]
            return Response(200, [], "\n".join(lines).encode())

        every = ("GET", "PUT", "POST", "HEAD", "DELETE")
        handlers = {
            "echo": echo,
            "source": source,
            "bytes": body,
            "work": work,
            "spin": spin,
            "late-source": late_source,
            "message": message,
            "fail": fail,
            "fail-late": fail_late,
            "headers": headers,
            "status": status,
            "seen": seen,
        }
        for name, handler in handlers.items():
            router.add(f"/{name}", dict.fromkeys(every, handler))
        return router

    return make


@dataclass
class Served:
    """A running server."""

    port: int
    counts: Counts
    settings: ServerSettings
    worker: Worker
    thread: threading.Thread

    @property
    def connections(self) -> int:
        """How many the server has."""
        assert self.worker._listener is not None
        return len(self.worker._listener.connections)

    def connect(self, receive_buffer: int = 0) -> "Peer":
        """A new connection."""
        one = socket.socket()
        if receive_buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        one.settimeout(DEADLINE_S)
        one.connect(("127.0.0.1", self.port))
        return Peer(one)

    def ask(self, request: bytes) -> "Answer":
        """One request on a connection of its own."""
        with self.connect() as peer:
            peer.send(request)
            return peer.answer()

    def stop(self) -> None:
        """Stop it, and wait for the end."""
        self.worker.stop()
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()


@contextmanager
def serving(home: str, **settings: str | float) -> Iterator[Served]:
    """Run a server in a thread."""
    short = {
        "head_timeout_s": 5.0,
        "idle_timeout_s": 10.0,
        "body_timeout_s": 5.0,
        "drain_timeout_s": 5.0,
    }
    given: dict[str, Any] = {**short, **settings}
    chosen = ServerSettings(home=home, port=0, **given)
    counts = Counts()
    (listening,) = bind(chosen)
    with listening:
        worker = Worker(chosen, listening, build(counts))
        is_up = threading.Event()
        thread = threading.Thread(target=worker.run, args=(is_up.set,))
        thread.start()
        assert is_up.wait(DEADLINE_S)
        served = Served(listening.getsockname()[1], counts, chosen, worker, thread)
        try:
            yield served
        finally:
            served.stop()
    assert counts.finished + counts.aborted == counts.sinks
    assert counts.closed == counts.sources


@dataclass
class Answer:
    """A parsed response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get("connection") == "close"


class ClosedError(Exception):
    """The server has closed the connection."""


class Peer:
    """A client that sends what it is told, and reads responses as the standard says."""

    def __init__(self, one: socket.socket) -> None:
        self.socket = one
        self.data = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, method: str = "GET") -> Answer:
        """The next response; `method` is that of its request."""
        while (end := self.data.find(b"\r\n\r\n")) < 0:
            self._more()
        head, self.data = self.data[:end], self.data[end + 4 :]
        first, *lines = head.decode().split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Za-z -]+", first)
        assert match, first
        status = int(match[1])
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        if method == "HEAD" or status in {100, 204, 304}:
            return Answer(status, headers, b"")
        return Answer(status, headers, self._body(headers))

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            return self._chunks()
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        return self.rest()

    def _chunks(self) -> bytes:
        pieces: list[bytes] = []
        while True:
            while b"\r\n" not in self.data:
                self._more()
            line, _, self.data = self.data.partition(b"\r\n")
            piece = self._exactly(int(line, 16) + 2)
            assert piece.endswith(b"\r\n")
            if len(piece) == 2:
                return b"".join(pieces)
            pieces.append(piece[:-2])

    def _exactly(self, count: int) -> bytes:
        while len(self.data) < count:
            self._more()
        found, self.data = self.data[:count], self.data[count:]
        return found

    def rest(self) -> bytes:
        """Everything until the server closes."""
        try:
            while True:
                self._more()
        except ClosedError:
            found, self.data = self.data, b""
            return found

    def is_closed(self) -> bool:
        """True when the server closes and has nothing more to say; waits for it."""
        return self.rest() == b""

    def _more(self) -> None:
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            raise ClosedError
        self.data += data


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.005)


def request(
    target: str = "/bytes", method: str = "GET", headers: str = "", version: str = "1.1"
) -> bytes:
    """A request head."""
    return f"{method} {target} HTTP/{version}\r\nHost: h\r\n{headers}\r\n".encode()
