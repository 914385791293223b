"""What an error of ours is called in S3, and the answer that tells of it."""

from time import time_ns
from typing import Final

from aiscore import errors as ais
from aiscore.errors import AisError
from aiscore.server.errors import retry_headers
from aiscore.server.faults import MessageTooLargeError
from aiscore.server.http import Request, Response
from aiscore.server.s3.faults import STATUS, S3Error
from aiscore.server.s3.xml import XmlWriter

__all__ = ["S3Error", "code_of", "error_response"]

_CODE_OF: Final[tuple[tuple[type[AisError], str], ...]] = (
    (ais.BucketNotFoundError, "NoSuchBucket"),
    (ais.NotFoundError, "NoSuchKey"),
    (ais.BucketAlreadyExistsError, "BucketAlreadyOwnedByYou"),
    (ais.AccessDeniedError, "AccessDenied"),
    (ais.PreconditionFailedError, "PreconditionFailed"),
    (ais.RangeNotSatisfiableError, "InvalidRange"),
    (ais.ChecksumMismatchError, "BadDigest"),
    (MessageTooLargeError, "MaxMessageLengthExceeded"),
    (ais.InvalidNameError, "InvalidArgument"),
    (ais.InvalidArgumentError, "InvalidArgument"),
    (ais.UnsupportedError, "NotImplemented"),
    (ais.CapacityExceededError, "InsufficientStorage"),
    (ais.BusyError, "OperationAborted"),
    (ais.ThrottledError, "SlowDown"),
    (ais.UnavailableError, "ServiceUnavailable"),
)
"""From the particular to the general; what is not listed is an internal error."""
_NOT_MODIFIED = 304


def code_of(exc: BaseException) -> str:
    """S3's code of an error."""
    if isinstance(exc, S3Error):
        return exc.s3_code
    for kind, code in _CODE_OF:
        if isinstance(exc, kind):
            return code
    return "InternalError"


def error_response(exc: BaseException, request: Request) -> Response:
    """The answer that tells of `exc`: XML, and to HEAD the status alone.

    What is not an error of ours is a defect, and the client learns nothing of our insides; the caller logs it.
    """
    code = code_of(exc)
    request_id = f"{time_ns():016X}"
    headers = [("x-amz-request-id", request_id)]
    if isinstance(exc, ais.RangeNotSatisfiableError) and exc.size is not None:
        headers.append(("Content-Range", f"bytes */{exc.size}"))
    headers += retry_headers(exc)
    status = STATUS[code]
    if request.method == "HEAD" or status == _NOT_MODIFIED:
        return Response(status, headers)
    message = exc.message if isinstance(exc, AisError) else "internal error"
    writer = XmlWriter("Error", namespace="")
    writer.text("Code", code)
    writer.prose("Message", message)
    writer.prose("Resource", request.raw_path)
    writer.text("RequestId", request_id)
    headers.insert(0, ("Content-Type", "application/xml"))
    return Response(status, headers, writer.finish())
