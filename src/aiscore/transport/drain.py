"""Whole objects that are read for the time it takes: received and dropped, one after the other.

The load generator's way of reading. The usual answer, a 200 with a length, takes one call to send and one or two to
receive; everything else (redirects, errors, chunks, connections that broke) goes on, from the answer that is there, the
way that all requests go.

Reading has two halves, so that one thread can have many objects under way: `begin` sends and does not wait, and
`receive` can be told not to.
"""

from time import perf_counter_ns
from typing import TYPE_CHECKING

from aiscore.errors import TransportError
from aiscore.model.bucket import BucketRef
from aiscore.model.units import SECOND
from aiscore.transport.lean import Connection, StaleConnectionError
from aiscore.transport.pool import IDLE_CHECK_S
from aiscore.transport.remote_read import plain_target
from aiscore.transport.session import Call, Session
from aiscore.wire.buckets import checked_path

if TYPE_CHECKING:
    from aiscore.transport.answer import Response
    from aiscore.transport.base import Transport

__all__ = ["Drain", "open_drain"]

_IDLE_CHECK_NS = round(IDLE_CHECK_S * SECOND)


def open_drain(transport: "Transport", bucket: BucketRef) -> "Drain | None":
    """A drain of a bucket; None where `Transport.open` is the only way."""
    from aiscore.transport.remote import RemoteTransport

    return transport.drain(bucket) if isinstance(transport, RemoteTransport) else None


class Drain:
    """Reads objects of one bucket over plain HTTP, one at a time. Belongs to one thread."""

    __slots__ = ("_after", "_before", "_bucket", "_connection", "_pool", "_session", "_used_ns")

    def __init__(self, session: Session, bucket: BucketRef) -> None:
        """Prepare the requests; nothing is sent."""
        self._session = session
        self._bucket = bucket
        self._pool = session.home_pool()
        self._connection: Connection | None = None
        self._used_ns = 0
        # All requests are alike but for the name.
        placeholder = "x"
        whole = session.head_of(Call("GET", plain_target(bucket, placeholder))) + b"\r\n"
        before, _, after = whole.partition(f"/{bucket.name}/{placeholder}".encode())
        self._before, self._after = before + f"/{bucket.name}/".encode(), after

    @property
    def connection(self) -> Connection | None:
        """What the object under way comes over."""
        return self._connection

    def read(self, name: str, buffer: memoryview) -> tuple[int, int]:
        """Read an object into `buffer`, again and again over what is there.

        Returns:
            When its first bytes came, on `perf_counter_ns`, and its size.

        Raises:
            AisError: as from `Transport.open`, and reading what it opens.
        """
        try:
            found = self.begin(name).drain(buffer)
        except TransportError as exc:
            return self.settle(name, buffer, exc)
        if found is None or not found[0]:
            return self.settle(name, buffer)
        self.used(found[0])
        return found

    def used(self, now: int) -> None:
        """The connection has given a whole answer at `now`, on `perf_counter_ns`."""
        self._used_ns = now

    def begin(self, name: str) -> Connection:
        """Send the request for an object; its answer comes over what is returned, for `Connection.drain`.

        Raises:
            TransportError: it could not be sent.
        """
        connection = self._connection
        if (
            connection is None
            or connection.is_closed
            or perf_counter_ns() - self._used_ns > _IDLE_CHECK_NS
        ):
            connection = self._take()
        connection.send_request(b"".join((self._before, checked_path(name).encode(), self._after)))
        return connection

    def settle(
        self, name: str, buffer: memoryview, error: Exception | None = None
    ) -> tuple[int, int]:
        """Read what was begun the long way, after an answer that is not the usual one or an error; see `read`."""
        connection, self._connection = self._connection, None
        response: Response | None = None
        try:
            if error is not None:
                raise error
            if connection is not None:
                response = connection.answer("GET")
                response.pool = self._pool
        except StaleConnectionError:
            pass  # the server has closed it, and answered nothing
        except TransportError as exc:
            self._session.attempts().wait(exc)
        call = Call("GET", plain_target(self._bucket, name))
        size = first = 0
        with self._session.open(call, first=response) as opened:
            while count := opened.readinto(buffer):
                first = first or perf_counter_ns()
                size += count
        return first or perf_counter_ns(), size

    def close(self) -> None:
        """Let the connection go; safe to repeat."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed:
            self._pool.give_back(connection)

    def _take(self) -> Connection:
        """A connection that is looked at before it is used."""
        self.close()
        self._connection = connection = self._pool.take(careful=True)
        self._session.has_answered = True
        self._used_ns = perf_counter_ns()
        return connection
