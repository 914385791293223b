"""Declarations of settings: kind, default, bounds and wire encoding of each field of a section.

    chunk_size: int = size(GIB, minimum=KIB, maximum=5 * GIB, zero_means=GIB)

A declaration stands where a bare default would, and is the only place that knows these things;
`sections` derives parsing, validation, JSON and the dotted names from it. Bounds are inclusive.
"""

import dataclasses
from enum import StrEnum
from typing import TypeVar

from aiscore.model.bitmask import BitNames
from aiscore.model.fieldspec import SPEC, FieldSpec, Kind
from aiscore.model.units import INT64_MAX, UINT64_MAX

__all__ = [
    "bitmask",
    "duration",
    "enum",
    "flag",
    "integer",
    "real",
    "size",
    "text",
    "timestamp",
]

E = TypeVar("E", bound=StrEnum)


def size(
    default: int,
    *,
    minimum: int = 0,
    maximum: int = INT64_MAX,
    zero_means: int | None = None,
    also: tuple[int, ...] = (),
    choices: tuple[int, ...] = (),
    unquoted: bool = False,
    omit_empty: bool = False,
) -> int:
    """Declare a number of bytes; suffixes count in powers of 1024 even without `i`."""
    spec = FieldSpec(
        kind=Kind.SIZE,
        minimum=minimum,
        maximum=maximum,
        zero_means=zero_means,
        also=also,
        choices=choices,
        unquoted=unquoted,
        omit_empty=omit_empty,
    )
    return dataclasses.field(default=default, metadata={SPEC: spec})


def duration(
    default_ns: int,
    *,
    minimum: int | None = 0,
    maximum: int | None = None,
    zero_means: int | None = None,
    also: tuple[int, ...] = (),
) -> int:
    """Declare a duration in nanoseconds; the attribute ends in `_ns`, the wire's name does not."""
    spec = FieldSpec(
        kind=Kind.DURATION, minimum=minimum, maximum=maximum, zero_means=zero_means, also=also
    )
    return dataclasses.field(default=default_ns, metadata={SPEC: spec})


def integer(
    default: int,
    *,
    minimum: int = 0,
    maximum: int = INT64_MAX,
    zero_means: int | None = None,
    also: tuple[int, ...] = (),
    quoted: bool = False,
    readonly: bool = False,
    hidden: bool = False,
    omit_empty: bool = False,
) -> int:
    """Declare a count or an identifier."""
    spec = FieldSpec(
        kind=Kind.INT,
        minimum=minimum,
        maximum=maximum,
        zero_means=zero_means,
        also=also,
        quoted=quoted,
        readonly=readonly,
        hidden=hidden,
        omit_empty=omit_empty,
    )
    return dataclasses.field(default=default, metadata={SPEC: spec})


def flag(default: bool) -> bool:
    """Declare a yes/no setting."""
    return dataclasses.field(default=default, metadata={SPEC: FieldSpec(kind=Kind.BOOL)})


def real(default: float, *, minimum: float | None = None, maximum: float | None = None) -> float:
    """Declare a finite fraction."""
    spec = FieldSpec(kind=Kind.FLOAT, minimum=minimum, maximum=maximum)
    return dataclasses.field(default=default, metadata={SPEC: spec})


def text(
    default: str = "",
    *,
    name: str = "",
    choices: tuple[str, ...] = (),
    readonly: bool = False,
    hidden: bool = False,
    secret: bool = False,
    omit_empty: bool = False,
) -> str:
    """Declare a text of up to `TEXT_LENGTH_MAX` characters; a `secret` is never shown."""
    spec = FieldSpec(
        kind=Kind.TEXT,
        name=name,
        choices=choices,
        readonly=readonly,
        hidden=hidden,
        secret=secret,
        omit_empty=omit_empty,
    )
    return dataclasses.field(default=default, metadata={SPEC: spec})


def enum(default: E, *, choices: tuple[E, ...] = (), blank: E | None = None) -> E:
    """Declare a value of an enumeration; `choices` narrows it, `blank` is what empty text means."""
    spec = FieldSpec(
        kind=Kind.ENUM, enum=type(default), choices=choices or tuple(type(default)), blank=blank
    )
    return dataclasses.field(default=default, metadata={SPEC: spec})


def bitmask(default: int, bits: BitNames, *, maximum: int = UINT64_MAX) -> int:
    """Declare a 64-bit mask; read by name or number, sent as a decimal string."""
    spec = FieldSpec(kind=Kind.BITMASK, bits=bits, minimum=0, maximum=maximum, quoted=True)
    return dataclasses.field(default=default, metadata={SPEC: spec})


def timestamp(default_ns: int = 0) -> int:
    """Declare a time the store sets, in nanoseconds since the epoch; 0 is unset."""
    spec = FieldSpec(kind=Kind.TIME, minimum=0, maximum=INT64_MAX, quoted=True, readonly=True)
    return dataclasses.field(default=default_ns, metadata={SPEC: spec})
