"""Sends the body of a response that is not at hand: block by block, as fast as the client reads.

The next block is fetched when the transport has nothing left to send: what a source gave last is free by then, and a
client that stops reading holds one block and no thread. Small bodies, and blocks that a source has at hand, are fetched
on the event loop, because a hop to the pool costs more than they do; the rest in the pool.
"""

import asyncio
import logging
from concurrent.futures import Executor, Future
from typing import Protocol

from aiscore.errors import AisError
from aiscore.server.http import BlockSource

__all__ = ["INLINE_BYTES_MAX", "BodyStream", "StreamOwner"]

log = logging.getLogger(__name__)

INLINE_BYTES_MAX = 256 << 10
"""Body up to which a source is asked on the event loop: a read of that much from the page cache takes 40 us."""

_REASON_LENGTH_MAX = 1000

_Block = bytes | memoryview | None


class StreamOwner(Protocol):
    """The connection, as far as a stream knows it."""

    @property
    def can_write(self) -> bool:
        """False while the transport has something left to send."""
        ...

    def stream_started(self, error: BaseException | None) -> bytes | None:
        """The head for the first block; None when `error` was answered in its place."""
        ...

    def write(self, *pieces: bytes | memoryview) -> None:
        """Send; afterwards `can_write` tells whether it has gone."""
        ...

    def stream_ended(self, sent: int, *, is_whole: bool) -> None:
        """Everything was sent, or the rest cannot be: then the connection must be cut."""
        ...


class BodyStream:
    """One body on its way out.

    Attributes:
        sent: bytes of it that were handed over.
    """

    __slots__ = (
        "_has_head",
        "_is_chunked",
        "_is_closed",
        "_is_fetching",
        "_is_inline",
        "_left",
        "_loop",
        "_owner",
        "_pool",
        "_source",
        "sent",
    )

    def __init__(
        self,
        source: BlockSource,
        owner: StreamOwner,
        *,
        is_chunked: bool,
        loop: asyncio.AbstractEventLoop,
        pool: Executor,
    ) -> None:
        self._source = source
        self._owner = owner
        self._is_chunked = is_chunked
        self._loop = loop
        self._pool = pool
        self._left = source.length
        self._is_inline = self._left is not None and self._left <= INLINE_BYTES_MAX
        self._has_head = False
        self._is_fetching = False
        self._is_closed = False
        self.sent = 0

    def proceed(self) -> None:
        """Fetch and send until the transport is full or the pool is asked; called again when there is room."""
        while self._owner.can_write and not self._is_fetching and not self._is_closed:
            if not self._is_inline and not getattr(self._source, "is_at_hand", False):
                self._ask_pool()
                return
            block: _Block = None
            error: BaseException | None = None
            try:
                block = self._source.next()
            except Exception as exc:
                error = exc
            self._send(block, error)

    def cancel(self) -> None:
        """Nothing more can be sent. The source is closed, at once or when the pool is through with it."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self._is_fetching:
            self._source.close()

    def _ask_pool(self) -> None:
        self._is_fetching = True
        try:
            self._pool.submit(self._source.next).add_done_callback(self._in_pool)
        except RuntimeError as exc:  # the pool is shut down: the server is going
            self._is_fetching = False
            self._send(None, exc)

    def _in_pool(self, future: "Future[_Block]") -> None:
        """In the thread that fetched."""
        try:
            self._loop.call_soon_threadsafe(self._fetched, future)
        except RuntimeError:  # the loop is closed: nobody else will
            self._source.close()

    def _fetched(self, future: "Future[_Block]") -> None:
        self._is_fetching = False
        if self._is_closed:
            self._source.close()
            return
        error = future.exception()
        self._send(None if error else future.result(), error)
        self.proceed()

    def _send(self, block: _Block, error: BaseException | None) -> None:
        if error is None and self._left is not None:
            error = self._counted(block)
        if error is not None and self._has_head:
            # The status has gone out: a cut connection is the only way left to say it.
            if isinstance(error, AisError):  # what the client asked for, not a defect
                log.warning("response cut: sent=%d reason=%s", self.sent, _one_line(error.message))
            else:
                log.error("response cut: sent=%d", self.sent, exc_info=error)
            self._end(is_whole=False)
            return
        pieces: list[bytes | memoryview] = []
        if not self._has_head:
            head = self._owner.stream_started(error)
            if head is None:
                self.cancel()
                return
            self._has_head = True
            pieces.append(head)
        if block is not None and len(block):
            self.sent += len(block)
            if self._is_chunked:
                pieces += (b"%x\r\n" % len(block), block, b"\r\n")
            else:
                pieces.append(block)
        is_last = block is None or self._left == 0
        if is_last and self._is_chunked:
            pieces.append(b"0\r\n\r\n")
        if pieces:
            self._owner.write(*pieces)
        if is_last and not self._is_closed:
            self._end(is_whole=True)

    def _counted(self, block: _Block) -> BaseException | None:
        """Hold the source to its length: a longer or shorter body would be taken for the next response."""
        assert self._left is not None
        size = 0 if block is None else len(block)
        if size > self._left or (block is None and self._left):
            return RuntimeError(f"source gave {size} bytes at the end, with {self._left} left")
        self._left -= size
        return None

    def _end(self, *, is_whole: bool) -> None:
        self.cancel()
        self._owner.stream_ended(self.sent, is_whole=is_whole)


def _one_line(message: str) -> str:
    """Names in it may hold anything: no line end, no control character."""
    text = message[:_REASON_LENGTH_MAX]
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
