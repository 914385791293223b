"""`/v1/health`: is the server up, and ready."""

import time

from aiscore.errors import InvalidArgumentError
from aiscore.server.http import Outcome, Request, Response, ServerContext
from aiscore.server.router import Router
from aiscore.wire.names import H, Path, Q
from aiscore.wire.values import query_bool

__all__ = ["register"]


def register(router: Router, context: ServerContext) -> None:
    """Answer `/v1/health`."""

    def health(request: Request) -> Outcome:
        asks_readiness = query_bool(request.query, Q.READINESS) or query_bool(
            request.query, Q.PRIMARY_READY
        )
        if query_bool(request.query, Q.CLUSTER_INFO) and query_bool(request.query, Q.PRIMARY_READY):
            raise InvalidArgumentError(
                f'invalid query parameters: "{Q.CLUSTER_INFO}" (internal use only) and "{Q.PRIMARY_READY}"'
            )
        if asks_readiness and context.state.is_draining:
            return Response(503)
        uptime = str(time.time_ns() - context.state.started_ns)
        return Response(200, [(H.CLUSTER_UPTIME, uptime), (H.NODE_UPTIME, uptime)])

    router.add(Path.HEALTH, {"GET": health, "HEAD": health})
