"""A server of raw bytes: it says exactly what a test gives it, and keeps what it was told."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from aiscore.transport.endpoint import Endpoint

Script = Callable[[socket.socket], None]


class Peer:
    """Runs one script for each connection, in order; the last one for all that follow."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.endpoint = Endpoint("127.0.0.1", self.port, is_tls=False)
        self.connections = 0
        self.heads: list[bytes] = []
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._spawn(self._accept)

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self._open.append(connection)
            self._spawn(self._run, script, connection)

    def _run(self, script: Script, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            script(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    # parts of scripts

    def answers(self, *answers: bytes) -> Script:
        """Read a request (head and body) for each answer, then close."""

        def script(connection: socket.socket) -> None:
            for answer in answers:
                if not self.request(connection):
                    return
                connection.sendall(answer)

        return script

    def request(self, connection: socket.socket) -> bytes:
        """Read a request; its body. The head is kept."""
        data = b""
        while b"\r\n\r\n" not in data:
            block = connection.recv(65536)
            if not block:
                return b""
            data += block
        head, _, body = data.partition(b"\r\n\r\n")
        self.heads.append(head)
        lower = head.lower()
        if b"content-length: " in lower:
            size = int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(body) < size and (block := connection.recv(65536)):
                body += block
        elif b"chunked" in lower:
            while not body.endswith(b"0\r\n\r\n") and (block := connection.recv(65536)):
                body += block
        return head + b"\r\n\r\n" + body


def ok(body: bytes = b"", headers: bytes = b"") -> bytes:
    """A usual answer."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), headers, body)


def abort(connection: socket.socket) -> None:
    """End a connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
