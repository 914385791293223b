"""One leaf of a settings tree: how it is read, checked, written to the wire and shown.

Values are plain: sizes are bytes, durations nanoseconds, masks integers. Fields are declared with
the functions of `fields`, which put a `FieldSpec` into the dataclass field's metadata.
"""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from aiscore.errors import InvalidArgumentError
from aiscore.model.bitmask import BitNames
from aiscore.model.units import (
    INT64_MAX,
    SECOND,
    Units,
    format_duration,
    format_size_exact,
    parse_bool,
    parse_duration,
    parse_size,
)

__all__ = ["CENSORED", "SPEC", "TEXT_LENGTH_MAX", "FieldSpec", "Kind", "Scalar", "refused"]

SPEC = "aiscore.spec"
"""Key of the `FieldSpec` in a dataclass field's metadata."""

CENSORED = "**********"
"""What stands for the value of a secret wherever it is shown or sent."""

TEXT_LENGTH_MAX = 1024
"""Characters of a text setting: paths, URLs, region names."""

Scalar = bool | int | float | str

_INTEGER = r"[+-]?[0-9]{1,20}"


class Kind(Enum):
    """What a field holds."""

    SIZE = auto()
    DURATION = auto()
    BOOL = auto()
    INT = auto()
    FLOAT = auto()
    ENUM = auto()
    TEXT = auto()
    BITMASK = auto()
    TIME = auto()
    SECTION = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """Everything there is to know about one field.

    Attributes:
        kind: what the field holds.
        attribute: its name in Python; filled in from the class.
        name: its name on the wire and in dotted keys; the attribute without `_ns` unless given.
        minimum: smallest value, inclusive; None means no bound.
        maximum: largest value, inclusive; None means no bound.
        also: values outside of the bounds that have a meaning of their own, such as -1.
        choices: the only values, when not empty.
        zero_means: what a zero is replaced with; None keeps it.
        blank: what an empty text stands for in an enumeration; None refuses it.
        enum: class of an enumeration.
        bits: names of a bit mask.
        section: class of a nested section.
        quoted: the wire carries this integer as a JSON string (64 bits do not survive every JSON
            reader).
        unquoted: the wire carries this size as a JSON number.
        readonly: only the store itself changes it.
        hidden: not listed; old or internal.
        secret: shown and sent as `CENSORED`.
        omit_empty: left out of JSON and listings when empty or zero.
    """

    kind: Kind
    attribute: str = ""
    name: str = ""
    minimum: float | None = None
    maximum: float | None = None
    also: tuple[int, ...] = ()
    choices: tuple[Scalar, ...] = ()
    zero_means: int | None = None
    blank: str | None = None
    enum: type[StrEnum] | None = None
    bits: BitNames | None = None
    section: type | None = None
    quoted: bool = False
    unquoted: bool = False
    readonly: bool = False
    hidden: bool = False
    secret: bool = False
    omit_empty: bool = False

    def decode(self, key: str, raw: object) -> Scalar:
        """Turn what a user, a file or a request gave into a value; bounds are checked by `check`.

        Accepts text for every kind, as flags and queries give it, and the JSON type. A number is
        bytes for a size and nanoseconds for a duration, while a bare integer in text is seconds.

        Raises:
            InvalidArgumentError: not a value of this kind; the message starts with `key`.
        """
        try:
            return _DECODERS[self.kind](self, raw)
        except InvalidArgumentError as exc:
            reason = f"invalid {self.kind.name.lower()}" if self.secret else exc.message
            hint = None if self.secret else exc.hint
            raise InvalidArgumentError(f"{key}: {reason}", hint=hint) from exc

    def check(self, key: str, value: Scalar) -> None:
        """Check bounds and choices.

        Raises:
            InvalidArgumentError: out of bounds; the message names key, value and what is expected.
        """
        if self.choices:
            if value in self.choices:
                return
            expected = "one of: " + ", ".join(
                self._plain(choice) or '""' for choice in self.choices
            )
        elif isinstance(value, str):
            if len(value) <= TEXT_LENGTH_MAX and value.isprintable():
                return
            expected = f"at most {TEXT_LENGTH_MAX} printable characters"
        elif value in self.also or self._in_bounds(value):
            return
        else:
            expected = self._describe_bounds()
        shown = CENSORED if self.secret else self._plain(value)[:100]
        raise refused(key, shown, expected)

    def encode(self, value: Scalar) -> Scalar:
        """The value as JSON carries it, in AIStore's encoding; secrets are not censored here."""
        if self.kind is Kind.DURATION:
            return format_duration(int(value))
        if self.kind is Kind.SIZE and not self.unquoted:
            return format_size_exact(int(value))
        if self.quoted:
            return str(value)
        return str(value) if isinstance(value, StrEnum) else value

    def show(self, value: Scalar) -> str:
        """The value as `bucket props show` and `config show` print it; a secret is censored."""
        if self.secret and value:
            return CENSORED
        return self._plain(value)

    def _plain(self, value: Scalar) -> str:
        if self.kind is Kind.BOOL:
            return "true" if value else "false"
        if self.bits is not None:
            return self.bits.format(int(value))
        if self.kind is Kind.TIME:
            return (
                time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(value) // SECOND))
                if value
                else "-"
            )
        return str(self.encode(value))

    def _in_bounds(self, value: float) -> bool:
        above = self.minimum is None or value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)

    def _describe_bounds(self) -> str:
        low, high = self.minimum, self.maximum
        if self.bits is not None:
            described = f"a mask of known bits: {', '.join(self.bits.names)}"
        elif low is not None and high is not None:
            described = f"range [{self._bound(low)}, {self._bound(high)}]"
        else:
            described = (
                f">= {self._bound(low)}" if low is not None else f"<= {self._bound(high or 0)}"
            )
        return " or ".join([described, *(self._plain(value) for value in self.also)])

    def _bound(self, bound: float) -> str:
        return self._plain(bound if self.kind is Kind.FLOAT else int(bound))


def refused(key: str, shown: str, expected: str) -> InvalidArgumentError:
    """The error for a well-formed value that is not allowed; every rule of every tree uses it."""
    return InvalidArgumentError(f"invalid {key}={shown} (expected {expected})")


def _decode_size(_spec: FieldSpec, raw: object) -> int:
    if isinstance(raw, str):
        return parse_size(raw, Units.IEC, allow_negative=True)
    return _json_integer(raw, 'a size, as in "64MiB"')


def _decode_duration(_spec: FieldSpec, raw: object) -> int:
    return (
        parse_duration(raw)
        if isinstance(raw, str)
        else _json_integer(raw, 'a duration, as in "1m30s"')
    )


def _decode_bool(_spec: FieldSpec, raw: object) -> bool:
    if isinstance(raw, str):
        return parse_bool(raw)
    if isinstance(raw, bool):
        return raw
    raise _unexpected(raw, "true or false")


def _decode_int(_spec: FieldSpec, raw: object) -> int:
    if isinstance(raw, str):
        if re.fullmatch(_INTEGER, raw.strip()):
            return int(raw)
        raise _unexpected(raw, "an integer")
    return _json_integer(raw, "an integer")


def _decode_time(spec: FieldSpec, raw: object) -> int:
    value = _decode_int(spec, raw)
    if 0 <= value <= INT64_MAX:
        return value
    raise _unexpected(value, "nanoseconds since 1970")


def _decode_float(_spec: FieldSpec, raw: object) -> float:
    try:
        value = (
            float(raw)
            if isinstance(raw, str | int | float) and not isinstance(raw, bool)
            else math.nan
        )
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise _unexpected(raw, "a number")
    return value


def _decode_enum(spec: FieldSpec, raw: object) -> str:
    assert spec.enum is not None
    if isinstance(raw, str):
        word = raw.strip().lower()
        if not word and spec.blank is not None:
            return spec.blank
        for member in spec.enum:
            if member.value == word:
                return member
    raise _unexpected(raw, "one of: " + ", ".join(str(choice) for choice in spec.choices))


def _decode_text(spec: FieldSpec, raw: object) -> str:
    if not isinstance(raw, str):
        raise _unexpected(raw, "a text")
    if spec.secret and raw == CENSORED:
        raise InvalidArgumentError("this is the mask of the value, not a value")
    return raw


def _decode_bitmask(spec: FieldSpec, raw: object) -> int:
    assert spec.bits is not None
    return spec.bits.parse(raw) if isinstance(raw, str) else _json_integer(raw, "names or a number")


def _decode_section(_spec: FieldSpec, raw: object) -> Scalar:
    raise _unexpected(raw, "an object")


_DECODERS: dict[Kind, Callable[[FieldSpec, object], Scalar]] = {
    Kind.SIZE: _decode_size,
    Kind.DURATION: _decode_duration,
    Kind.BOOL: _decode_bool,
    Kind.INT: _decode_int,
    Kind.FLOAT: _decode_float,
    Kind.ENUM: _decode_enum,
    Kind.TEXT: _decode_text,
    Kind.BITMASK: _decode_bitmask,
    Kind.TIME: _decode_time,
    Kind.SECTION: _decode_section,
}


def _json_integer(raw: object, expected: str) -> int:
    """An integer of JSON, also one that a writer of floats spelled `30.0`."""
    if isinstance(raw, float) and raw.is_integer():
        return int(raw)
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    raise _unexpected(raw, expected)


def _unexpected(raw: object, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError(f'invalid value "{str(raw)[:100]}": expected {expected}')
