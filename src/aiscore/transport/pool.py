"""Connections that are kept: one stack for each server, shared by threads, dropped in a forked child."""

import time
from collections import deque
from typing import TYPE_CHECKING

from aiscore.errors import UnavailableError
from aiscore.transport.answer import Response
from aiscore.transport.body import NO_BODY, Payload
from aiscore.transport.endpoint import Endpoint
from aiscore.transport.lean import Connection, StaleConnectionError, current_epoch

if TYPE_CHECKING:
    import ssl

    from aiscore.transport.options import ConnectionOptions

__all__ = ["Pool"]

IDLE_CHECK_S = 1.0
"""A connection unused for longer is looked at before it is used: servers close idle ones."""
IDLE_MAX_S = 60.0
"""A connection unused for longer is closed."""


class Pool:
    """Kept-alive connections to one server, the last used one first. Appending and popping need no lock."""

    def __init__(
        self, endpoint: Endpoint, options: "ConnectionOptions", tls: "ssl.SSLContext | None"
    ) -> None:
        self.endpoint = endpoint
        self._options = options
        self._tls = tls if endpoint.is_tls else None
        self._idle: deque[Connection] = deque()
        self._is_closed = False

    def request(
        self,
        method: str,
        head: bytes,
        payload: Payload = NO_BODY,
        *,
        expect_continue: bool = False,
        is_safe: bool = True,
    ) -> Response:
        """Send a request over a kept connection or a new one, and read the head of the answer.

        Args:
            method: HTTP method.
            head: request line and headers, without those of the body and without the empty line.
            payload: the body.
            expect_continue: ask the server whether it wants the body, before it is sent.
            is_safe: the request may be repeated when the server closes a kept connection without an answer.

        Raises:
            TransportError: no answer came.
        """
        tracer = self._options.tracer
        times = None if tracer is None else tracer.begin()
        while True:
            connection = self.take(careful=not is_safe or not payload.is_repeatable)
            if times is not None:
                times.connected()
            try:
                response = connection.request(
                    method, head, payload, expect_continue=expect_continue, times=times
                )
            except StaleConnectionError:
                # A new connection cannot be stale, so this ends.
                if is_safe and payload.is_repeatable:
                    continue
                raise
            response.pool = self
            if tracer is not None and times is not None:
                times.answered(response.status)
                tracer.add(times)
            if not response.size and response.size is not None:
                response.close()
            return response

    def take(self, *, careful: bool = False) -> Connection:
        """A kept connection, or a new one; `give_back` keeps it for the next.

        Args:
            careful: look whether the server has closed it, however short ago it was used.

        Raises:
            UnavailableError: the pool is closed.
            ConnectError: nobody answers there.
        """
        if self._is_closed:
            raise UnavailableError(f"the connection to {self.endpoint.url} is closed")
        idle = self._idle
        while idle:
            try:
                connection = idle.pop()
            except IndexError:
                break  # another thread took the last one
            age = time.monotonic() - connection.used_at
            if connection.epoch == current_epoch() and age < IDLE_MAX_S:
                if age < IDLE_CHECK_S and not careful:
                    connection.is_reused = True
                    return connection
                if connection.is_alive():
                    connection.is_reused = True
                    return connection
            connection.close()
        return Connection(self.endpoint, self._options, self._tls)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose answer has been read to its end."""
        if (
            self._is_closed
            or len(self._idle) >= self._options.pool_size
            or connection.epoch != current_epoch()
        ):
            connection.close()
            return
        connection.used_at = time.monotonic()
        self._idle.append(connection)
        if self._is_closed:
            self._drop_all()

    def close(self) -> None:
        """Close the kept connections, and later those in use; safe to repeat."""
        self._is_closed = True
        self._drop_all()

    def _drop_all(self) -> None:
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                return
