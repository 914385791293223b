"""Byte ranges as `Range` and `Content-Range` have them."""

import re

from aiscore.errors import ProtocolError, RangeNotSatisfiableError
from aiscore.model.byterange import ByteRange
from aiscore.wire.names import H

__all__ = ["content_range", "parse_content_range", "parse_range", "range_header"]

_RANGE = r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})"
_CONTENT_RANGE = r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)"


def range_header(byte_range: ByteRange) -> str:
    """`bytes=5-9`, `bytes=5-`, `bytes=-5`."""
    if byte_range.offset < 0:
        return f"bytes={byte_range.offset}"
    if byte_range.length is None:
        return f"bytes={byte_range.offset}-"
    return f"bytes={byte_range.offset}-{byte_range.offset + byte_range.length - 1}"


def parse_range(text: str) -> ByteRange:
    """Read one range.

    Raises:
        RangeNotSatisfiableError: more than one, or malformed; AIStore answers 416 to both.
    """
    match = re.fullmatch(_RANGE, text.strip(), re.ASCII | re.IGNORECASE)
    if match is None or not (match[1] or match[2]):
        what = "more than one range" if "," in text else "expected bytes=FIRST-LAST"
        raise RangeNotSatisfiableError(f'not satisfiable range "{text[:100]}": {what}')
    if not match[1]:
        if int(match[2]) == 0:
            raise RangeNotSatisfiableError(f'not satisfiable range "{text[:100]}": no bytes')
        return ByteRange(-int(match[2]))
    first = int(match[1])
    if not match[2]:
        return ByteRange(first)
    if int(match[2]) < first:
        raise RangeNotSatisfiableError(
            f'not satisfiable range "{text[:100]}": ends before it starts'
        )
    return ByteRange(first, int(match[2]) - first + 1)


def content_range(start: int, length: int, size: int) -> str:
    """`bytes 5-9/100` for `length` bytes, at least one, from `start`."""
    return f"bytes {start}-{start + length - 1}/{size}"


def parse_content_range(text: str) -> tuple[int, int, int | None]:
    """Start, length and size of the whole (None for `*`).

    Raises:
        ProtocolError: malformed.
    """
    match = re.fullmatch(_CONTENT_RANGE, text.strip(), re.ASCII)
    if match is None or int(match[2]) < int(match[1]):
        raise ProtocolError(f'invalid {H.CONTENT_RANGE} "{text[:100]}" in the answer')
    start, last = int(match[1]), int(match[2])
    size = None if match[3] == "*" else int(match[3])
    if size is not None and last >= size:
        raise ProtocolError(f'invalid {H.CONTENT_RANGE} "{text[:100]}" in the answer')
    return start, last - start + 1, size
