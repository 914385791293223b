"""Small PUTs that arrive together are committed together.

Bodies that are complete in one turn of the event loop are stored in the next one, in one transaction: half of what a
small PUT costs is its transaction. No client waits for another to send: what is there, goes. A client that is alone is
answered at once, as long as a look now and then finds nobody beside it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from aiscore.engine.puts import SmallPut
from aiscore.errors import BusyError
from aiscore.model.objects import ObjectProps
from aiscore.server.changes import Changes
from aiscore.server.http import Response, ServerContext

__all__ = ["GROUPED_SIZE_MAX", "GroupedPuts"]

GROUPED_SIZE_MAX = 64 << 10
"""Bytes of a body that waits for others; of a longer one the transaction is a small part."""
GROUP_MAX = 64
"""Objects in one transaction: a few milliseconds of the event loop."""
ALONE_MAX = 16
"""PUTs that are stored by themselves, after one that found no other beside it."""

Encode = Callable[[ObjectProps], Response]
_Waiting = tuple[SmallPut, Encode, "asyncio.Future[Response]"]


class GroupedPuts:
    """Stores small objects of buckets that are not durable. Belongs to one event loop."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store
        self._changes = Changes(context)
        self._waiting: list[_Waiting] = []
        self._alone = 0

    def put(self, put: SmallPut, encode: Encode) -> Response | Awaitable[Response]:
        """Store an object, and answer what `encode` makes of its properties."""
        waiting = self._waiting
        if self._alone and not waiting:
            self._alone -= 1
            return self._changes.run(False, self._store_one, put, encode)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Response] = loop.create_future()
        waiting.append((put, encode, future))
        if len(waiting) == 1:
            loop.call_soon(self._store_all)
        elif len(waiting) == GROUP_MAX:
            self._store_all()
        return future

    def _store_one(self, put: SmallPut, encode: Encode) -> Response:
        return encode(self._store.put(*put))

    def _store_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        if len(waiting) == 1:
            self._alone = ALONE_MAX
        if not waiting:  # there were so many that they have not waited
            return
        busy = waiting
        if not self._store.is_writing:
            try:
                with self._store.briefly():
                    results = self._store.put_many([put for put, _, _ in waiting])
            except BaseException as exc:
                _fail(waiting, exc)
                raise
            busy = _answer(waiting, results)
        if busy:  # of those nothing has been done: they are tried again where it may wait
            self._store_in_pool(busy)

    def _store_in_pool(self, waiting: Sequence[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        work = partial(self._store.put_many, [put for put, _, _ in waiting])
        loop.run_in_executor(self._context.pool, work).add_done_callback(
            partial(_answer_from_pool, waiting)
        )


def _answer(
    waiting: Sequence[_Waiting], results: Sequence[ObjectProps | Exception]
) -> list[_Waiting]:
    """Answer all but those that found the index busy, which are given back."""
    busy = []
    for item, result in zip(waiting, results, strict=True):
        if isinstance(result, BusyError):
            busy.append(item)
        else:
            _finish(item, result)
    return busy


def _answer_from_pool(
    waiting: Sequence[_Waiting], future: "asyncio.Future[list[ObjectProps | Exception]]"
) -> None:
    if future.cancelled():  # the server is stopping
        for _, _, each in waiting:
            each.cancel()
        return
    error = future.exception()
    if error is not None:
        _fail(waiting, error)
        return
    for item, result in zip(waiting, future.result(), strict=True):
        _finish(item, result)


def _finish(item: _Waiting, result: ObjectProps | Exception) -> None:
    _, encode, future = item
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
        return
    try:
        future.set_result(encode(result))
    except Exception as exc:
        future.set_exception(exc)


def _fail(waiting: Sequence[_Waiting], error: BaseException) -> None:
    for _, _, future in waiting:
        if not future.done():
            future.set_exception(error)
