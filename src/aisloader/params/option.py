"""What one flag is, and how its text becomes a value.

A parameter is a field of a section's dataclass; the flag that sets it travels in the field's metadata, so name,
default, range and help have one home. The parser, the usage text and completion read them from here.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, TypeVar

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import (
    INT64_MAX,
    UINT64_MAX,
    Units,
    format_duration,
    format_size_exact,
    parse_bool,
    parse_duration,
    parse_size,
)

__all__ = [
    "Kind",
    "Option",
    "Value",
    "check_section",
    "option",
    "options_of",
    "parse_value",
    "show_value",
]

Value: TypeAlias = str | int | float | bool | None
T = TypeVar("T", bound=Value)

_METADATA = "option"


class Kind(StrEnum):
    """How a flag's text is read; the value is the metavar of the usage text."""

    TEXT = "STRING"
    BOOL = "BOOL"
    INT = "INT"
    UINT = "UINT"
    SIZE = "SIZE"
    DURATION = "DURATION"
    INTERVAL = "SECONDS"
    """A whole number of seconds as upstream has it, or a duration."""
    RATE = "RATE"
    """Operations in a second, e.g. `500`, `500/s`, `2.5/s`, `3000/m`."""
    PERCENT = "N|N%"
    """A count or, with `%`, a share; see `-max-errors`."""


@dataclass(frozen=True, slots=True)
class Option:
    """One flag.

    Attributes:
        name: as upstream spells it, without dashes.
        field: attribute of the section that it sets.
        kind: how its text is read.
        help: one sentence, no full stop.
        aliases: other spellings; silent.
        choices: the only texts allowed; empty allows all.
        low: smallest value allowed, None for no limit.
        high: largest value allowed, None for no limit.
        default: value when the flag is absent.
        shown_default: text of the default in the usage, "" to derive it.
    """

    name: str
    field: str
    kind: Kind
    help: str
    aliases: tuple[str, ...]
    choices: tuple[str, ...]
    low: int | None
    high: int | None
    default: Value
    shown_default: str

    @property
    def spellings(self) -> tuple[str, ...]:
        """The name, then its aliases."""
        return (self.name, *self.aliases)


def option(
    default: T,
    name: str,
    kind: Kind,
    text: str,
    *,
    aliases: Sequence[str] = (),
    choices: Sequence[str] = (),
    low: int | None = None,
    high: int | None = None,
    shown_default: str = "",
) -> T:
    """A dataclass field that a flag sets; see `Option` for the arguments."""
    made = Option(
        name, "", kind, text, tuple(aliases), tuple(choices), low, high, default, shown_default
    )
    return dataclasses.field(default=default, metadata={_METADATA: made})


def options_of(section: object) -> tuple[Option, ...]:
    """The flags of a section, in the order of its fields."""
    return tuple(
        dataclasses.replace(field.metadata[_METADATA], field=field.name)
        for field in dataclasses.fields(section)  # type: ignore[arg-type]
        if _METADATA in field.metadata
    )


def check_section(section: object) -> None:
    """Check every value of a section against its flag's range and choices.

    Raises:
        InvalidArgumentError: the first one outside.
    """
    for each in options_of(section):
        value = getattr(section, each.field)
        if each.choices and value not in each.choices:
            raise InvalidArgumentError(
                f'invalid -{each.name} "{value}"', hint=f"use one of: {', '.join(each.choices)}"
            )
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            _check_range(each, value)


def parse_value(each: Option, text: str) -> Value:
    """The value of a flag's text.

    Raises:
        InvalidArgumentError: the text is not of the flag's kind; names the flag.
    """
    try:
        return _PARSERS[each.kind](text)
    except InvalidArgumentError as exc:
        raise InvalidArgumentError(
            f"invalid value for -{each.name}: {exc.message}", hint=exc.hint
        ) from None


def show_value(kind: Kind, value: Value) -> str:
    """A value as a person would type it; round-trips through `parse_value`."""
    if value is None or value == "":
        return "" if value == "" else "-"
    if kind is Kind.BOOL:
        return "true" if value else "false"
    if isinstance(value, int) and kind is Kind.SIZE:
        return format_size_exact(value) if value else "0"
    if isinstance(value, int) and kind in {Kind.DURATION, Kind.INTERVAL}:
        return format_duration(value)
    return str(value)


def _check_range(each: Option, value: float) -> None:
    if (each.low is None or value >= each.low) and (each.high is None or value <= each.high):
        return
    low = "" if each.low is None else show_value(each.kind, each.low)
    high = "" if each.high is None else show_value(each.kind, each.high)
    expected = (
        f"{low} to {high}" if low and high else f"{low} or more" if low else f"{high} at most"
    )
    raise InvalidArgumentError(
        f"invalid -{each.name} {show_value(each.kind, value)}: expected {expected}"
    )


def _int(text: str) -> int:
    """Go's integer literals: decimal, or with a base prefix, and with `_` between digits."""
    try:
        value = int(text, 0) if text.strip() == text and text.isascii() else None
    except ValueError:
        # Go reads a leading zero as octal; people mean a decimal. Neither guess is safe.
        value = None
    if value is None or not -INT64_MAX - 1 <= value <= UINT64_MAX:
        raise InvalidArgumentError(f'"{_shorten(text)}" is not an integer')
    return value


def _signed(text: str) -> int:
    value = _int(text)
    if value > INT64_MAX:
        raise InvalidArgumentError(f'"{_shorten(text)}" does not fit 64 bits')
    return value


def _unsigned(text: str) -> int:
    value = _int(text)
    if value < 0 or text.startswith("-"):
        raise InvalidArgumentError(f'"{_shorten(text)}" is not an integer of 0 or more')
    return value


def _size(text: str) -> int:
    return parse_size(text, Units.IEC)


def _bool(text: str) -> bool:
    return True if text == "" else parse_bool(text)


def _duration(text: str) -> int:
    """Go's durations; a bare number is refused, because seconds and nanoseconds are both plausible."""
    if text.strip().lstrip("+-").isdecimal() and int(text) != 0:
        raise InvalidArgumentError(
            f'"{_shorten(text)}" has no unit', hint=f'write "{_shorten(text)}s" for seconds'
        )
    value = parse_duration(text)
    if value < 0:
        raise InvalidArgumentError(f'"{_shorten(text)}" is negative')
    return value


def _interval(text: str) -> int:
    value = parse_duration(text)
    if value < 0:
        raise InvalidArgumentError(f'"{_shorten(text)}" is negative')
    return value


_PER = {"": 1.0, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def _rate(text: str) -> float:
    number, _, unit = text.strip().lower().partition("/")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf") or unit not in _PER or number.strip() != number:
        raise InvalidArgumentError(
            f'"{_shorten(text)}" is not a rate', hint='write operations in a second: "500/s"'
        )
    return value / _PER[unit]


def _percent(text: str) -> str:
    number = text.strip().removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf") or (text.strip().endswith("%") and value > 100):
        raise InvalidArgumentError(
            f'"{_shorten(text)}" is neither a count nor a percentage', hint='write "100" or "0.1%"'
        )
    if not text.strip().endswith("%") and value != int(value):
        raise InvalidArgumentError(f'"{_shorten(text)}" is not a whole number of errors')
    return text.strip()


def _text(text: str) -> str:
    if not text.isprintable():
        raise InvalidArgumentError("it has characters that cannot be printed")
    return text


_PARSERS: Mapping[Kind, Callable[[str], Value]] = {
    Kind.TEXT: _text,
    Kind.BOOL: _bool,
    Kind.INT: _signed,
    Kind.UINT: _unsigned,
    Kind.SIZE: _size,
    Kind.DURATION: _duration,
    Kind.INTERVAL: _interval,
    Kind.RATE: _rate,
    Kind.PERCENT: _percent,
}


def _shorten(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:64]}..."
