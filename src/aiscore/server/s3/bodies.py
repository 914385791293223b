"""Bodies on their way in: small ones collected, long ones straight into the file of an object or a part."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from aiscore.server.http import BodySink, Response, ServerContext
from aiscore.server.message import in_pool, push
from aiscore.server.s3 import checksums
from aiscore.server.s3.algorithms import Watcher, is_slow
from aiscore.server.s3.body import Received
from aiscore.server.s3.call import Call
from aiscore.server.s3.faults import S3Error

if TYPE_CHECKING:
    from aiscore.engine.objectwriter import ObjectWriter
    from aiscore.engine.partwriter import PartWriter

__all__ = ["DOCUMENT_BYTES_MAX", "Collected", "CollectedBeside", "Pushed", "document"]

Answer = Response | Awaitable[Response]

DOCUMENT_BYTES_MAX = 4 << 20
"""Bytes of an XML body: 10,000 parts with a SHA-256 each are 2.5 MiB."""


class Collected:
    """A body in memory, of a length that is bounded (`body.Inbound`)."""

    __slots__ = ("_data", "_limit", "_then", "_watchers")

    def __init__(self, limit: int, then: Callable[[bytes, Received], Answer]) -> None:
        self._watchers: Sequence[Watcher] = ()
        self._data: bytes | bytearray = b""
        self._limit = limit
        self._then = then

    def write(self, data: memoryview) -> None:
        """Take a block; most bodies are one, and copied once.

        Raises:
            S3Error: the body is over the limit.
        """
        if len(self._data) + len(data) > self._limit:
            raise S3Error(
                "MaxMessageLengthExceeded", f"your request was too big: over {self._limit} bytes"
            )
        if not self._data:
            self._data = bytes(data)
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += data

    def watch(self, watchers: Sequence[Watcher]) -> None:
        """Feed these in the end, all of it at once."""
        self._watchers = watchers

    def finish(self, verify: Callable[[], Received]) -> Answer:
        """Use it, when it is right."""
        data = self._whole()
        for watcher in self._watchers:
            watcher.update(data)
        return self._then(data, verify())

    def abort(self) -> None:
        """Forget it."""
        self._data = b""

    def _whole(self) -> bytes:
        data, self._data = self._data, b""
        return bytes(data)


class CollectedBeside(Collected):
    """The same for one whose hashes take as long as many requests: it is hashed and used in the pool."""

    __slots__ = ("_context", "_use")

    def __init__(
        self, limit: int, use: Callable[[bytes, Received], Response], context: ServerContext
    ) -> None:
        super().__init__(limit, use)
        self._use = use
        self._context = context

    def finish(self, verify: Callable[[], Received]) -> Awaitable[Response]:
        """Use it, when it is right."""
        return in_pool(self._context, self._run, self._whole(), verify)

    def _run(self, data: bytes, verify: Callable[[], Received]) -> Response:
        for watcher in self._watchers:
            watcher.update(data)
        return self._use(data, verify())


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

    def write(self, data: memoryview) -> Awaitable[None] | None:
        """Write a block to the file."""
        return push(self._writer, data, self._context)

    def watch(self, watchers: Sequence[Watcher]) -> None:
        """Feed these where the writer computes its own."""
        for watcher in watchers:
            self._writer.watch(watcher.update, is_slow=is_slow(watcher))

    def finish(self, verify: Callable[[], Received]) -> Awaitable[Response]:
        """Commit what is right: waits for hashing and maybe for the disk, and reclaims what was there before."""
        return in_pool(self._context, self._finish, verify)

    def _finish(self, verify: Callable[[], Received]) -> Response:
        try:
            self._writer.drain()
            received = verify()
        except BaseException:
            self._writer.abort()
            raise
        return self._commit(received)

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
