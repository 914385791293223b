"""Small changes of the index: on the event loop when they take microseconds, in the pool when they may wait."""

from collections.abc import Awaitable, Callable
from typing import ParamSpec

from aiscore.errors import BusyError
from aiscore.server.http import Response, ServerContext
from aiscore.server.message import in_pool

__all__ = ["Changes"]

P = ParamSpec("P")


class Changes:
    """Runs small transactions. Belongs to one event loop."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.node.store

    def run(
        self,
        is_durable: bool,
        work: Callable[P, Response],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Response | Awaitable[Response]:
        """Run one small transaction.

        Here, because a hop to the pool costs as much as the transaction, and because what another connection commits
        empties the row cache of this one. In the pool when it waits for the disk, for another thread, or for another
        process: every client would wait with it.
        """
        if not is_durable and not self._store.is_writing:
            try:
                with self._store.briefly():
                    return work(*args, **kwargs)
            except BusyError:
                pass  # nothing has been done: it is tried again where it may wait
        return in_pool(self._context, work, *args, **kwargs)
