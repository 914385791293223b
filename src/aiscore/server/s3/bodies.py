"""Bodies on their way in: small ones collected, long ones straight into the file of an object or a part."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiscore.server.http import BodySink, Response, ServerContext
from aiscore.server.message import in_pool
from aiscore.server.s3 import checksums
from aiscore.server.s3.body import Received
from aiscore.server.s3.call import Call
from aiscore.server.s3.faults import S3Error

if TYPE_CHECKING:
    from aiscore.engine.objectwriter import ObjectWriter
    from aiscore.engine.partwriter import PartWriter

__all__ = ["DOCUMENT_BYTES_MAX", "Collected", "Pushed", "document"]

Answer = Response | Awaitable[Response]

DOCUMENT_BYTES_MAX = 4 << 20
"""Bytes of an XML body: 10,000 parts with a SHA-256 each are 2.5 MiB."""


class Collected:
    """A body in memory, of a length that is bounded (`body.Inbound`)."""

    __slots__ = ("_data", "_limit", "_then")

    def __init__(self, limit: int, then: Callable[[bytes, Received], Answer]) -> None:
        self._data = bytearray()
        self._limit = limit
        self._then = then

    def write(self, data: memoryview) -> None:
        """Take a block.

        Raises:
            S3Error: the body is over the limit.
        """
        if len(self._data) + len(data) > self._limit:
            raise S3Error(
                "MaxMessageLengthExceeded", f"your request was too big: over {self._limit} bytes"
            )
        self._data += data

    def finish(self, received: Received) -> Answer:
        """Use it."""
        data, self._data = bytes(self._data), bytearray()
        return self._then(data, received)

    def abort(self) -> None:
        """Forget it."""
        self._data = bytearray()


class Pushed:
    """A body that goes straight into a file (`body.Inbound`)."""

    __slots__ = ("_commit", "_context", "_writer")

    def __init__(
        self,
        writer: "ObjectWriter | PartWriter",
        commit: Callable[[Received], Response],
        context: ServerContext,
    ) -> None:
        self._writer = writer
        self._commit = commit
        self._context = context

    def write(self, data: memoryview) -> None:
        """Write a block to the file, into the page cache."""
        self._writer.write(data)

    def finish(self, received: Received) -> Awaitable[Response]:
        """Commit: closes a large file, may wait for the disk, and reclaims what was there before."""
        return in_pool(self._context, self._commit, received)

    def abort(self) -> None:
        """Remove the file; to remove a large one takes its time."""
        try:
            self._context.pool.submit(self._writer.abort)
        except RuntimeError:  # the pool is shut down
            self._writer.abort()


def document(call: Call, context: ServerContext, then: Callable[[bytes], Response]) -> BodySink:
    """Take an XML body, then use it in the pool."""
    inbound = Collected(DOCUMENT_BYTES_MAX, lambda data, _: in_pool(context, then, data))
    return checksums.body_sink(call.request, inbound, call.identity)
