"""Sizes, durations and booleans as people and the wire write them.

A size is an integer number of bytes, a duration an integer number of nanoseconds. Parsing and
printing use integer arithmetic only, so the exact forms round-trip to the last byte and nanosecond.
"""

import re
from enum import StrEnum

from aiscore.errors import InvalidArgumentError

__all__ = [
    "GIB",
    "HOUR",
    "INT64_MAX",
    "KIB",
    "MIB",
    "MICROSECOND",
    "MILLISECOND",
    "MINUTE",
    "SECOND",
    "TIB",
    "UINT64_MAX",
    "Units",
    "format_duration",
    "format_go_duration",
    "format_size",
    "format_size_exact",
    "parse_bool",
    "parse_duration",
    "parse_query_bool",
    "parse_size",
]

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

INT64_MAX = (1 << 63) - 1
"""Largest size and duration: clients keep both in signed 64-bit integers."""
UINT64_MAX = (1 << 64) - 1

_SHOWN_MAX = 64
"""Characters of a refused value that an error repeats."""

# Patterns stay text until the first use: compiling them would be most of the cost of the import.
_SIZE = r"(?ai)([+-]?)(\d{1,19})(?:\.(\d{1,18}))?(?:([kmgt])(i?))?(b?)"
_DURATION_PART = r"([0-9]{1,19})(?:\.([0-9]{1,18}))?(ns|us|µs|μs|ms|s|m|h)"
_DURATION = rf"([+-]?)((?:{_DURATION_PART}){{1,16}})"
_SECONDS = r"([+-]?)([0-9]{1,19})"

_EXPONENT = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_DURATION_UNITS = {
    "ns": 1,
    "us": MICROSECOND,
    "µs": MICROSECOND,
    "μs": MICROSECOND,  # Greek mu; the line above has the micro sign
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
_TRUE = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE = frozenset({"0", "f", "false", "n", "no", "off"})
# Upstream's own spelling of true in a query; "YES" or "On" are false there, and so here.
_QUERY_TRUE = frozenset({"1", "t", "T", "true", "True", "TRUE", "y", "yes", "on"})


class Units(StrEnum):
    """How sizes are read and shown: powers of 1024, powers of 1000, or plain bytes."""

    IEC = "iec"
    SI = "si"
    RAW = "raw"


def parse_size(text: str, units: Units | None = None, *, allow_negative: bool = False) -> int:
    """Read a size such as `4mb`, `1MiB`, `128k`, `1.5GiB` or `1048576`; case does not matter.

    A suffix with `i` is always a power of 1024. One without is a power of 1000, unless `units` is
    `IEC`: that is how configuration and bucket properties are read, while flags, headers and
    queries leave `units` out.

    Args:
        text: number, fraction allowed with a suffix, then `B`, or `K M G T` with optional `i` and
            `B`.
        units: what a suffix without `i` means; a contradiction between the two is an error.
        allow_negative: accept a sign; a few settings use -1 for "no limit".

    Returns:
        Bytes, at most `INT64_MAX`; a fraction of a byte is dropped.

    Raises:
        InvalidArgumentError: not a size, too large, or its suffix contradicts `units`.
    """
    match = re.fullmatch(_SIZE, text.strip())
    if match is None:
        raise _bad_size(text)
    sign, whole, fraction, letter, binary, _ = match.groups()
    if (sign == "-" and not allow_negative) or (fraction and not letter):
        raise _bad_size(text)
    if (binary and units is Units.SI) or (letter and units is Units.RAW):
        raise InvalidArgumentError(
            f'invalid size "{text}": the suffix contradicts units "{units}"',
            hint="drop the suffix or the units",
        )
    base = 1024 if binary or units is Units.IEC else 1000
    size = _scale(whole, fraction, base ** _EXPONENT[(letter or "").lower()])
    if size > INT64_MAX:
        raise InvalidArgumentError(f'invalid size "{text}": more than {INT64_MAX} bytes')
    return -size if sign == "-" else size


def format_size(size: int, units: Units = Units.IEC, digits: int = 2) -> str:
    """Show a size to people: `11B`, `2.50KiB`, `30.49MiB`; it may be rounded.

    Args:
        size: bytes.
        units: IEC gives `KiB`…`TiB`, SI gives `KB`…`TB`, RAW gives the plain integer.
        digits: decimals from the first suffix up; bytes never have any.
    """
    if units is Units.RAW:
        return str(size)
    base, suffix = (1000, "B") if units is Units.SI else (1024, "iB")
    for letter, exponent in (("T", 4), ("G", 3), ("M", 2), ("K", 1)):
        if size >= base**exponent:
            return f"{size / base**exponent:.{digits}f}{letter}{suffix}"
    return f"{size}B"


def format_size_exact(size: int) -> str:
    """Write a size so that `parse_size` gives it back: `1GiB`, `1536MiB`, `1000B`, `0B`.

    This is the form of configuration and bucket properties. Upstream prints the nearest whole
    multiple instead, so its 1.5GiB comes back as 2GiB; every reader of that form reads this one
    too.
    """
    if size:
        for unit, suffix in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
            if size % unit == 0:
                return f"{size // unit}{suffix}"
    return f"{size}B"


def parse_duration(text: str) -> int:
    """Read a duration in Go syntax: `1m30s`, `500ms`, `1.5h`; a bare integer is seconds.

    Returns:
        Nanoseconds, negative after a minus sign, at most `INT64_MAX` either way (292 years).

    Raises:
        InvalidArgumentError: not a duration, or too long.
    """
    value = text.strip()
    if match := re.fullmatch(_SECONDS, value):
        sign, total = match[1], int(match[2]) * SECOND
    elif match := re.fullmatch(_DURATION, value):
        sign = match[1]
        parts = re.findall(_DURATION_PART, match[2])
        total = sum(_scale(whole, part, _DURATION_UNITS[unit]) for whole, part, unit in parts)
    else:
        raise InvalidArgumentError(
            f'invalid duration "{_shorten(text)}": expected numbers with ns, us, ms, s, m or h, '
            'or seconds, as in "1m30s"'
        )
    if total > INT64_MAX:
        raise InvalidArgumentError(f'invalid duration "{value}": more than 292 years')
    return -total if sign == "-" else total


def format_duration(duration_ns: int) -> str:
    """Write a duration as AIStore's configuration does: `2m`, `1m30s`, `2h0m`, `500ms`.

    That is Go's form without a trailing `0s`; minutes after hours stay, so two hours are `2h0m`.
    """
    text = format_go_duration(duration_ns)
    return text[:-2] if text.endswith("m0s") else text


def format_go_duration(duration_ns: int) -> str:
    """Write a duration as Go's `Duration.String` does: `2h0m0s`, `1.5s`, `100ms`, `0s`."""
    sign, left = ("-", -duration_ns) if duration_ns < 0 else ("", duration_ns)
    if left < SECOND:
        if left == 0:
            return "0s"
        for unit, name in ((MILLISECOND, "ms"), (MICROSECOND, "µs"), (1, "ns")):
            if left >= unit:
                return f"{sign}{_decimal(left, unit)}{name}"
    minutes, rest = divmod(left, MINUTE)
    seconds = f"{_decimal(rest, SECOND)}s"
    if not minutes:
        return f"{sign}{seconds}"
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes}m{seconds}" if hours else f"{sign}{minutes}m{seconds}"


def parse_bool(text: str) -> bool:
    """Read a setting: `true yes y on t 1` or `false no n off f 0`, in any case.

    Raises:
        InvalidArgumentError: neither.
    """
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise InvalidArgumentError(
        f'invalid boolean "{_shorten(text)}": expected true or false, yes or no, on or off, 1 or 0'
    )


def parse_query_bool(text: str) -> bool:
    """Read a query parameter: anything but the known spellings of true is false, as on the wire."""
    return text in _QUERY_TRUE


def _scale(whole: str, fraction: str | None, unit: int) -> int:
    """`whole.fraction` times `unit`, rounded down; floats would lose bytes above 2**53."""
    total = int(whole) * unit
    return total + int(fraction) * unit // 10 ** len(fraction) if fraction else total


def _decimal(value: int, unit: int) -> str:
    """`value / unit` without trailing zeros; `unit` is a power of ten."""
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).zfill(len(str(unit)) - 1).rstrip('0')}"


def _bad_size(text: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f'invalid size "{_shorten(text)}": expected bytes, or a number with K, M, G or T and '
        'optional "iB", as in "64MiB"'
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."
