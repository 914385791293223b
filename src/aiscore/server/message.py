"""Control messages: bodies that are small enough to be collected, and work that must not run on the event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, ParamSpec

from aiscore.server.faults import MessageTooLargeError
from aiscore.server.http import Outcome, Request, Response, ServerContext

if TYPE_CHECKING:
    from aiscore.engine.objectwriter import ObjectWriter
    from aiscore.engine.partwriter import PartWriter

__all__ = ["MessageSink", "in_pool", "push", "read_message"]

P = ParamSpec("P")
Answer = Response | Awaitable[Response]


class MessageSink:
    """Collects a body, up to a limit, and hands it over."""

    __slots__ = ("_data", "_limit", "_then")

    def __init__(self, limit: int, then: Callable[[bytes], Answer]) -> None:
        self._data = bytearray()
        self._limit = limit
        self._then = then

    def write(self, data: memoryview) -> None:
        """Take a block.

        Raises:
            MessageTooLargeError: the body is over the limit.
        """
        if len(self._data) + len(data) > self._limit:
            raise _too_large(self._limit)
        self._data += data

    def finish(self) -> Answer:
        """Give the body to whom it is for."""
        data, self._data = self._data, bytearray()
        return self._then(bytes(data))

    def abort(self) -> None:
        """Forget it."""
        self._data = bytearray()


def read_message(
    request: Request, context: ServerContext, then: Callable[[bytes], Answer]
) -> Outcome:
    """Collect the body of `request`, at most `message_bytes_max`, and answer with `then(body)`.

    Without a body `then` runs at once, with nothing.

    Raises:
        MessageTooLargeError: the body is announced to be over the limit.
    """
    length = request.content_length
    if length == 0:
        return then(b"")
    limit = context.settings.message_bytes_max
    if length is not None and length > limit:
        raise _too_large(limit)
    return MessageSink(limit, then)


def in_pool(
    context: ServerContext,
    work: Callable[P, Response],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Awaitable[Response]:
    """Run `work` in a thread of the pool; call it on the event loop.

    It is never cancelled: when the client goes it is done all the same, and the response is dropped.
    """
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(context.pool, partial(work, *args, **kwargs))


def push(
    writer: "ObjectWriter | PartWriter", data: memoryview, context: ServerContext
) -> Awaitable[None] | None:
    """Write a block of a body to its file, into the page cache; what to wait for when hashing has fallen behind."""
    writer.write(data)
    if not writer.is_behind:
        return None
    return asyncio.get_running_loop().run_in_executor(context.pool, writer.catch_up)


def _too_large(limit: int) -> MessageTooLargeError:
    return MessageTooLargeError(
        f"message is too long: more than {limit} bytes",
        hint="send less at a time, or raise message_bytes_max of the server",
    )
