"""Small changes of the index: on the event loop when they take microseconds, in the pool when they may wait."""

from collections.abc import Awaitable, Callable
from typing import ParamSpec

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
        empties the row cache of this one. In the pool when it waits for the disk, or would wait for another thread.
        """
        if is_durable or self._store.is_writing:
            return in_pool(self._context, work, *args, **kwargs)
        return work(*args, **kwargs)
