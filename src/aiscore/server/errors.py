"""From an exception to an answer: AIStore's error JSON, in a header where there can be no body."""

from math import ceil

from aiscore.errors import AisError, RangeNotSatisfiableError, ThrottledError
from aiscore.server.http import Request, Response
from aiscore.wire.errors import encode_error
from aiscore.wire.names import H

__all__ = ["error_response", "retry_headers"]

_S3_ROOT = "/s3/"
_NAME_LENGTH_MAX = 1024
"""Characters of a path that an error repeats; a name may have three times as many bytes."""


def error_response(exc: BaseException, request: Request, node: str = "") -> Response:
    """The answer that tells of `exc`.

    What is not an error of ours is a defect, and the client learns nothing of our insides; the caller logs it.

    Args:
        exc: what a handler raised.
        request: to what.
        node: `t[ID]` of who answers.
    """
    if request.on_error is not None:
        return request.on_error(exc, request)
    if request.raw_path.startswith(_S3_ROOT):  # so broken that no handler has seen it
        from aiscore.server.s3.errors import error_response as s3_error_response

        return s3_error_response(exc, request)
    error = exc
    if not isinstance(error, AisError):
        error = AisError("internal error", hint="see the server's log")
    body = encode_error(
        error,
        method=request.method,
        path=_path_of(request),
        peer=request.peer,
        node=node,
    )
    status = error.status or 500
    headers = [
        (H.CONTENT_TYPE, "application/json"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if isinstance(error, RangeNotSatisfiableError) and error.size is not None:
        headers.append((H.CONTENT_RANGE, f"bytes */{error.size}"))
    headers += retry_headers(error)
    if request.method == "HEAD":
        return Response(status, [*headers, (H.ERROR, body.decode().rstrip("\n"))])
    return Response(status, headers, body)


def retry_headers(exc: BaseException) -> list[tuple[str, str]]:
    """`Retry-After`, in whole seconds, when the client is asked to slow down."""
    if not isinstance(exc, ThrottledError):
        return []
    return [(H.RETRY_AFTER, str(max(ceil(exc.retry_after_s), 1)))]


def _path_of(request: Request) -> str:
    """As sent when it cannot be decoded, which may be what the error is about."""
    try:
        path = request.path
    except AisError:
        path = request.raw_path
    return path[:_NAME_LENGTH_MAX]
