"""A TCP proxy that breaks connections at given places, for tests of what goes on after a break.

with FaultProxy(url) as proxy, open_transport(proxy.url) as transport:
    proxy.arm(Fault("cut", after=1000))
    transport.read(bucket, "o")    # its answer breaks after 1,000 bytes
"""

import array
import fcntl
import socket
import struct
import termios
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

__all__ = ["FAULTS", "Fault", "FaultKind", "FaultProxy"]

FaultKind = Literal["cut", "reset", "stall", "half-close"]
FAULTS: tuple[FaultKind, ...] = ("cut", "reset", "stall", "half-close")
"""`cut` closes both sides in order, `reset` aborts the client's, `stall` passes nothing more and keeps both open,
`half-close` ends the stream and still takes what the client sends."""
BLOCK_SIZE = 64 << 10
JOIN_S = 10.0
TAKEN_S = 5.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and where.

    Attributes:
        kind: see `FAULTS`.
        after: bytes that still pass, counted over all connections from `arm` on.
        is_request: count and break what the client sends, not what it receives.
        times: how often; after each the count begins anew.
    """

    kind: FaultKind
    after: int
    is_request: bool = False
    times: int = 1


class FaultProxy:
    """Listens on a free port of the loopback and passes everything on. A context manager."""

    def __init__(self, url: str) -> None:
        """Begin to listen.

        Args:
            url: `http://HOST:PORT` of the server.
        """
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._server = (parts.hostname, parts.port)
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._left = 0
        self._passed = 0
        self._recorded: bytearray | None = None
        self._connections = 0
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._is_closed = False
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._start(self._accept)

    @property
    def connections(self) -> int:
        """Connections so far."""
        return self._connections

    @property
    def passed(self) -> int:
        """Bytes that came back from the server since `arm`."""
        return self._passed

    @property
    def fired(self) -> bool:
        """True when the fault has happened as often as it was to."""
        return self._fault is None

    def arm(self, fault: Fault | None) -> None:
        """Break what comes next; None breaks nothing more."""
        with self._lock:
            self._fault = fault
            self._left = 0 if fault is None else fault.after
            self._times = 0 if fault is None else fault.times
            self._passed = 0

    def record(self) -> None:
        """Keep what comes back from now on."""
        with self._lock:
            self._recorded = bytearray()

    @property
    def recorded(self) -> bytes:
        """What came back since `record`."""
        with self._lock:
            return bytes(self._recorded or b"")

    def drop_all(self) -> None:
        """Close every connection, as a server that restarts does."""
        with self._lock:
            open_sockets = list(self._open)
        for sock in open_sockets:
            _shut(sock)

    def close(self) -> None:
        """Stop listening and close every connection; safe to repeat."""
        self._is_closed = True
        _shut(self._listening)
        self._listening.close()
        self.drop_all()
        for thread in self._threads:
            thread.join(JOIN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._connections += 1
            try:
                server = socket.create_connection(self._server, 5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            pair = _Pair()
            self._start(self._pass, client, server, True, pair)
            self._start(self._pass, server, client, False, pair)

    def _pass(
        self, source: socket.socket, target: socket.socket, is_request: bool, pair: "_Pair"
    ) -> None:
        kind: FaultKind | None = None
        with suppress(OSError):
            while data := source.recv(BLOCK_SIZE):
                part, kind = self._take(data, is_request)
                if part:
                    target.sendall(part)
                if kind is not None:
                    break
        client, server = (source, target) if is_request else (target, source)
        if kind == "stall":
            with suppress(OSError):
                while source.recv(BLOCK_SIZE):
                    pass
        elif kind == "half-close":
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while source.recv(BLOCK_SIZE):
                    pass
        elif kind == "reset":
            # An abort, not an end: nothing is shut on the way to `close`, which then sends RST. It throws away what
            # the client's machine has not taken yet, so the place of the fault would be up to chance.
            pair.is_reset = True
            _wait_until_taken(client)
            with suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.shutdown(socket.SHUT_RD)  # wakes the other thread
            _shut(server)
        elif not pair.is_reset:
            _shut(source)
            _shut(target)
        with self._lock:
            pair.threads -= 1
            if pair.threads:
                return
            self._open -= {client, server}
        client.close()
        server.close()

    def _take(self, data: bytes, is_request: bool) -> tuple[bytes, FaultKind | None]:
        """What passes of a block, and what happens after it."""
        with self._lock:
            if not is_request:
                self._passed += len(data)
            fault = self._fault
            kind: FaultKind | None = None
            if fault is not None and fault.is_request == is_request:
                if len(data) <= self._left:
                    self._left -= len(data)
                else:
                    data, kind = data[: self._left], fault.kind
                    self._times -= 1
                    self._left = fault.after
                    if not self._times:
                        self._fault = None
            if not is_request and self._recorded is not None:
                self._recorded += data
            return data, kind


class _Pair:
    """The two directions of one connection; the thread that ends last closes the sockets."""

    def __init__(self) -> None:
        self.threads = 2
        self.is_reset = False


def _wait_until_taken(sock: socket.socket) -> None:
    """Until what was sent has arrived at the other machine (not: has been read there), at most `TAKEN_S`."""
    deadline = time.monotonic() + TAKEN_S
    waiting = array.array("i", [0])
    with suppress(OSError):
        while time.monotonic() < deadline:
            fcntl.ioctl(sock, termios.TIOCOUTQ, waiting)
            if not waiting[0]:
                return
            time.sleep(0.001)


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
