"""Violations of HTTP itself: what the protocol answers before, or instead of, any handler."""

import json
from typing import ClassVar

from aiscore.errors import InvalidArgumentError
from aiscore.server.http import Response

__all__ = ["HttpFault", "MessageTooLargeError", "fault_response"]


class HttpFault(Exception):
    """The bytes are not a request that can be answered; the connection ends after saying so.

    Attributes:
        status: HTTP status.
        message: what is wrong, lower case, no full stop.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class MessageTooLargeError(InvalidArgumentError):
    """A control message is longer than the server takes."""

    status: ClassVar[int] = 413
    code: ClassVar[str] = "ErrMessageTooLarge"


def fault_response(
    status: int, message: str, *, method: str = "", path: str = "", peer: str = ""
) -> Response:
    """AIStore's error JSON, for a request that no handler has seen; ends with a line end."""
    text = json.dumps(
        {
            "message": message,
            "method": method,
            "url_path": path,
            "remote_addr": peer,
            "caller": "",
            "node": "",
            "status": status,
        },
        separators=(",", ":"),
    )
    headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if status == 503:  # there are too many; some will have gone
        headers.append(("Retry-After", "1"))
    if method == "HEAD":
        return Response(status, [*headers, ("Hdr-Error", text)])
    return Response(status, headers, f"{text}\n".encode())
