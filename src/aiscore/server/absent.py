"""Parts of the API that this release has not got: the questions have the answer "none", everything else is refused."""

from aiscore.errors import UnsupportedError
from aiscore.server.buckets import json_response
from aiscore.server.http import Outcome, Request, ServerContext
from aiscore.server.router import Router
from aiscore.wire.names import Path

__all__ = ["register"]


def register(router: Router, context: ServerContext) -> None:
    """Answer `/v1/download`, `/v1/sort`, `/v1/etl`."""
    for path in (Path.DOWNLOAD, Path.SORT):
        # Clients that show all jobs ask for these too.
        router.add(path, {"GET": _nothing, "*": _refuse})
    router.add(Path.ETL, {"*": _refuse})


def _nothing(request: Request) -> Outcome:
    return json_response([])


def _refuse(request: Request) -> Outcome:
    raise UnsupportedError(f"cannot {request.method} {request.path} - operation not supported")
