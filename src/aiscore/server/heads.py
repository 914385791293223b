"""The head of a response, as bytes."""

from http import HTTPStatus

from aiscore.server.http import Response

__all__ = ["CONTINUE", "encode_head", "has_body"]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_BODYLESS = frozenset({204, 304})


def has_body(status: int) -> bool:
    """False for the statuses that never have one."""
    return status not in _BODYLESS


def encode_head(
    response: Response, date: bytes, *, length: int | None, is_chunked: bool, connection: bytes
) -> bytes:
    """Status line and headers, up to and including the empty line.

    Args:
        response: what to send.
        date: the `Date` line.
        length: for `Content-Length`; None leaves it out.
        is_chunked: the body comes in chunks.
        connection: the `Connection` line, or nothing.

    Raises:
        ValueError: a header holds a line end or a NUL: it would begin another header, or another response.
    """
    status = response.status
    headers = response.headers
    if status == 200 and not headers and length is not None:
        return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n%b%b\r\n" % (
            response.raw_headers,
            length,
            date,
            connection,
        )
    parts = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d Status\r\n" % status]
    if response.raw_headers:
        parts.append(response.raw_headers)
    if headers:
        text = "".join([f"{name}: {value}\r\n" for name, value in headers])
        count = len(headers)
        if text.count("\n") != count or text.count("\r") != count or "\0" in text:
            raise ValueError("header with a line end or a NUL")
        parts.append(text.encode("utf-8", "replace"))
    if is_chunked:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    elif length is not None and status != 204:
        parts.append(b"Content-Length: %d\r\n" % length)
    parts += (date, connection, b"\r\n")
    return b"".join(parts)
