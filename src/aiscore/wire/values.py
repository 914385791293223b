"""Scalars as the wire has them: numbers in strings, durations, times, booleans of queries."""

import re
import time
from collections.abc import Mapping
from functools import lru_cache

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import INT64_MAX, SECOND, UINT64_MAX, parse_duration, parse_query_bool

__all__ = [
    "TIME_UNSET",
    "decode_duration",
    "decode_int",
    "format_atime",
    "format_http_date",
    "format_rfc3339",
    "header_text",
    "parse_atime",
    "parse_http_date",
    "parse_rfc3339",
    "query_bool",
    "query_int",
]

TIME_UNSET = "0001-01-01T00:00:00Z"
"""Go's zero time: "not yet"."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_INTEGER = r"[+-]?[0-9]{1,20}"
_RFC3339 = r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)"
_RFC822 = r"(\d\d) ([A-Za-z]{3}) (\d\d) (\d\d):(\d\d) [A-Z0-9+-]{1,6}"
_HTTP_DATE = r"(?:[A-Za-z]{3}, )?(\d\d) ([A-Za-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC)"


def decode_int(value: object, what: str) -> int:
    """A 64-bit number that came as JSON number or string; Go clients send both.

    Raises:
        InvalidArgumentError: not an integer, or outside of -2**63..2**64-1.
    """
    if isinstance(value, str) and re.fullmatch(_INTEGER, value, re.ASCII):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and _in_range(value):
        return value
    raise InvalidArgumentError(f'invalid {what} "{str(value)[:64]}": expected an integer')


def decode_duration(value: object, what: str) -> int:
    """Nanoseconds from Go syntax ("1m30s") or from a JSON number, which is nanoseconds already.

    Raises:
        InvalidArgumentError: neither.
    """
    if isinstance(value, str) and not re.fullmatch(_INTEGER, value, re.ASCII):
        return parse_duration(value) if value else 0
    return decode_int(value, what)


def query_bool(query: Mapping[str, str], name: str) -> bool:
    """A yes/no parameter; absent, empty and junk are false."""
    return parse_query_bool(query.get(name, ""))


def query_int(query: Mapping[str, str], name: str, default: int = 0) -> int:
    """A number of a query; absent and empty give the default.

    Raises:
        InvalidArgumentError: not an integer.
    """
    text = query.get(name, "")
    return decode_int(text, f"query parameter {name}") if text else default


def format_rfc3339(time_ns: int) -> str:
    """`2025-11-23T05:18:00.123456789Z` with trailing zeros of the fraction dropped; 0 is `TIME_UNSET`."""
    if time_ns == 0:
        return TIME_UNSET
    seconds, fraction = divmod(time_ns, SECOND)
    at = time.gmtime(seconds)
    text = (
        f"{at.tm_year:04}-{at.tm_mon:02}-{at.tm_mday:02}T"
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    )
    digits = f".{fraction:09}".rstrip("0") if fraction else ""
    return f"{text}{digits}Z"


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since the epoch; 0 for nothing, and for Go's zero time.

    Raises:
        InvalidArgumentError: not a time.
    """
    if not text or text.startswith("0001-01-01"):
        return 0
    match = re.fullmatch(_RFC3339, text, re.ASCII)
    if match is None:
        raise _bad_time(text)
    *parts, fraction, zone = match.groups()
    seconds = _seconds(text, *(int(part) for part in parts))
    if zone not in "Zz":
        offset = int(zone[1:3]) * 3600 + int(zone[4:]) * 60
        seconds += offset if zone[0] == "-" else -offset
    return seconds * SECOND + int((fraction or "0").ljust(9, "0"))


def format_atime(time_ns: int) -> str:
    """Access time of a listing, RFC 822 in UTC: `23 Nov 25 05:18 UTC`; empty when unset."""
    return _format_minute(time_ns // (60 * SECOND)) if time_ns > 0 else ""


def parse_atime(text: str) -> int:
    """Nanoseconds of an access time as listings have it, RFC 822 or RFC 3339; 0 for anything else.

    The zone of RFC 822 is a name without meaning elsewhere: it is taken as UTC, which our servers send.
    """
    match = re.fullmatch(_RFC822, text.strip(), re.ASCII)
    try:
        if match is None or match[2].capitalize() not in _MONTHS:
            return parse_rfc3339(text)
        month = _MONTHS.index(match[2].capitalize()) + 1
        day, year, hour, minute = (int(match[i]) for i in (1, 3, 4, 5))
        return _seconds(text, 2000 + year, month, day, hour, minute, 0) * SECOND
    except InvalidArgumentError:
        return 0


def format_http_date(time_ns: int) -> str:
    """`Last-Modified`: `Sun, 23 Nov 2025 05:18:00 GMT`."""
    return _http_date(time_ns // SECOND)


@lru_cache(maxsize=1_024)
def _http_date(time_s: int) -> str:
    """Remembered, because objects that were loaded together share their seconds."""
    at = time.gmtime(time_s)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04} "
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
    )


def parse_http_date(text: str) -> int | None:
    """Nanoseconds since the epoch, or None for what is not an HTTP date: such conditions are ignored."""
    match = re.fullmatch(_HTTP_DATE, text.strip(), re.ASCII)
    if match is None or match[2].capitalize() not in _MONTHS:
        return None
    month = _MONTHS.index(match[2].capitalize()) + 1
    day, year, hour, minute, second = (int(match[i]) for i in (1, 3, 4, 5, 6))
    try:
        return _seconds(text, year, month, day, hour, minute, second) * SECOND
    except InvalidArgumentError:
        return None


def header_text(value: str) -> str:
    """A text that is safe as a header's value: control characters are percent-encoded."""
    if value.isprintable():
        return value
    return "".join(c if c >= " " and c != "\x7f" else f"%{ord(c):02X}" for c in value)


@lru_cache(maxsize=256)
def _format_minute(minutes: int) -> str:
    # Ten thousand entries of a page share a few minutes.
    at = time.gmtime(minutes * 60)
    return (
        f"{at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year % 100:02} "
        f"{at.tm_hour:02}:{at.tm_min:02} UTC"
    )


def _seconds(
    text: str, year: int, month: int, day: int, hour: int, minute: int, second: int
) -> int:
    import calendar

    in_range = 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61
    if not in_range or year < 1:
        raise _bad_time(text)
    return calendar.timegm((year, month, day, hour, minute, second, 0, 0, 0))


def _bad_time(text: str) -> InvalidArgumentError:
    return InvalidArgumentError(f'invalid time "{text[:64]}": expected RFC 3339')


def _in_range(value: int) -> bool:
    return -INT64_MAX - 1 <= value <= UINT64_MAX
