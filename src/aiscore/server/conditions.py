"""Conditional requests (RFC 9110, 13): what a client knows already, or what it wants to be so. Pure."""

import re
from collections.abc import Callable
from typing import Final

from aiscore.wire.values import parse_http_date

__all__ = ["CONDITIONS", "NOT_MODIFIED", "PRECONDITION_FAILED", "check_read", "keeps_range"]

NOT_MODIFIED: Final = 304
PRECONDITION_FAILED: Final = 412
CONDITIONS: Final = (
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
)
"""Headers that `check_read` looks at."""

_SECOND_NS = 10**9
_TAG = re.compile(r'\s*(W/)?"([^"]*)"\s*(?:,|$)|\s*([^\s",]+)\s*(?:,|$)')

Header = Callable[[str], str | None]


def check_read(header: Header, etag: str, mtime_ns: int) -> int | None:
    """The status that the conditions of a GET or HEAD lead to instead of the object; None when they hold.

    Args:
        header: of the request, by lower-case name.
        etag: of the object, without quotes; a strong one.
        mtime_ns: when the object was written; HTTP knows whole seconds of it.
    """
    match = header("if-match")
    if match is not None:
        if not _names(match, etag, weak=False):
            return PRECONDITION_FAILED
    elif (date := _date(header("if-unmodified-since"))) is not None and _seconds(mtime_ns) > date:
        return PRECONDITION_FAILED
    none_match = header("if-none-match")
    if none_match is not None:
        return NOT_MODIFIED if _names(none_match, etag, weak=True) else None
    date = _date(header("if-modified-since"))
    return NOT_MODIFIED if date is not None and _seconds(mtime_ns) <= date else None


def keeps_range(if_range: str | None, etag: str, mtime_ns: int) -> bool:
    """False when `If-Range` names another object than this: then the whole is sent instead of the range."""
    if if_range is None:
        return True
    date = _date(if_range)
    if date is not None:
        return _seconds(mtime_ns) == date
    return _names(if_range, etag, weak=False)


def _names(tags: str, etag: str, *, weak: bool) -> bool:
    """True when one of the listed tags is `etag`, or any is meant."""
    if tags.strip() == "*":
        return True
    position = 0
    while match := _TAG.match(tags, position):
        is_weak, quoted, bare = match.groups()
        # Without quotes it is malformed, and what many clients send.
        if (quoted if bare is None else bare) == etag and (weak or not is_weak):
            return True
        if match.end() == position:
            break
        position = match.end()
    return False


def _date(text: str | None) -> int | None:
    time_ns = None if text is None else parse_http_date(text)
    return None if time_ns is None else _seconds(time_ns)


def _seconds(time_ns: int) -> int:
    return time_ns // _SECOND_NS
