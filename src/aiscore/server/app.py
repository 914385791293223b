"""Everything the server answers: which module answers which paths."""

from aiscore.errors import InvalidArgumentError, UnsupportedError
from aiscore.server import absent, buckets, cluster, daemon, extensions, health, moss, objects, s3
from aiscore.server.head import HttpRequest
from aiscore.server.http import Handler, Outcome, Request, ServerContext
from aiscore.server.router import Router

__all__ = ["build_router"]

_UNSUPPORTED = ("/v1/tokens", "/metrics")
_EASY_PROVIDERS = {"ais": "ais", "gs": "gcp", "az": "azure"}
"""First word of an "easy URL" -> provider."""


def build_router(context: ServerContext) -> Router:
    """The router of the whole API."""
    router = Router()
    for module in (objects, moss, buckets, cluster, daemon, health, extensions, absent, s3):
        module.register(router, context)
    for prefix in _UNSUPPORTED:
        router.add(prefix, {"*": _unsupported})
    for scheme, provider in _EASY_PROVIDERS.items():
        router.add(f"/{scheme}", {"*": _easy(router, provider)})
    return router


def _unsupported(request: Request) -> Outcome:
    raise UnsupportedError(f"cannot {request.method} {request.path} - operation not supported")


def _easy(router: Router, provider: str) -> Handler:
    """`/ais/BUCKET/OBJECT` and its like: another spelling of `/v1/objects/BUCKET/OBJECT?provider=ais`."""

    def answer(request: Request) -> Outcome:
        assert isinstance(request, HttpRequest)
        rest = request.path.lstrip("/").partition("/")[2]
        bucket, _, name = rest.lstrip("/").partition("/")
        if name:
            path = f"/v1/objects/{bucket}/{name}"
        elif bucket:
            if request.method == "PUT":
                raise InvalidArgumentError('missing destination object name in the "easy URL"')
            path = f"/v1/buckets/{bucket}"
        else:
            path = "/v1/buckets"
        return router.dispatch(request.moved(path, {"provider": provider}))

    return answer
