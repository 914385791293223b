"""This loader among several."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

import xxhash

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import UINT64_MAX
from aisloader.params.option import Kind, check_section, option

__all__ = ["LoaderParams", "resolve"]

HASH_BITS_MAX = 63
_HASH_SEED = 1103515245
"""The seed with which AIStore hashes names; ids must agree with loaders of its own make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderParams:
    """This loader among several that run at the same time.

    Attributes:
        loaderid: a number, or any text with `loaderidhashlen`.
        loadernum: how many loaders there are; 0 when nobody said.
        loaderidhashlen: bits of an id that is hashed from `loaderid`; 0 off.
        getloaderid: print the id and end.
        start_at: when the clock starts; "" as soon as all is ready.
    """

    loaderid: str = option("0", "loaderid", Kind.TEXT, "id of this loader among several")
    loadernum: int = option(
        0, "loadernum", Kind.UINT, "number of loaders; ids are below it", high=UINT64_MAX
    )
    loaderidhashlen: int = option(
        0,
        "loaderidhashlen",
        Kind.UINT,
        f"bits of an id hashed from -loaderid, 1 to {HASH_BITS_MAX}; 32 or more avoid collisions",
        high=HASH_BITS_MAX,
    )
    getloaderid: bool = option(False, "getloaderid", Kind.BOOL, "print this loader's id and exit")
    start_at: str = option(
        "",
        "start-at",
        Kind.TEXT,
        "start the clock at this moment, for loaders that start together: seconds since 1970, or a "
        'time and its zone, as in "2026-12-01T09:30:00Z"',
    )

    @property
    def mask_bits(self) -> int:
        """Low bits of a new name's number that hold the id: a whole number of hex digits; 0 for none."""
        if self.loadernum:
            return max(4, _round_up_to_4((self.loadernum - 1).bit_length()))
        return _round_up_to_4(self.loaderidhashlen)

    @property
    def number(self) -> int:
        """The id as a number."""
        if self.loaderidhashlen:
            digest = xxhash.xxh64_intdigest(self.loaderid.encode(), seed=_HASH_SEED)
            return digest & ((1 << self.mask_bits) - 1)
        return int(self.loaderid)

    @property
    def stream_key(self) -> int:
        """Keys this loader's random streams, so that no two loaders of a fleet do the same things."""
        return xxhash.xxh64_intdigest(self.loaderid.encode(), seed=0)

    @property
    def start_s(self) -> float:
        """When the clock starts, in seconds since 1970; 0 as soon as all is ready."""
        return _moment(self.start_at) if self.start_at else 0.0

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        _ = self.start_s
        if not self.loaderid:
            raise InvalidArgumentError("-loaderid must not be empty")
        if self.loadernum and self.loaderidhashlen:
            raise InvalidArgumentError("-loadernum and -loaderidhashlen exclude each other")
        if self.loaderidhashlen:
            return
        text = self.loaderid
        if not (text.isascii() and text.isdecimal()) or int(text) > UINT64_MAX:
            raise InvalidArgumentError(
                f'-loaderid "{text}" is not a number',
                hint="to use any text add -loaderidhashlen=32",
            )
        if self.loadernum and self.number >= self.loadernum:
            raise InvalidArgumentError(
                f"-loaderid {self.number} must be below -loadernum {self.loadernum}",
                hint="ids count from 0",
            )


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """Short hashes collide sooner than people expect."""
    del given, environ
    if 0 < values["loaderidhashlen"] < 16:
        notes.append(
            f"-loaderidhashlen={values['loaderidhashlen']}: hosts with the same id overwrite each "
            "other's objects; 32 bits make that unlikely"
        )


def _moment(text: str) -> float:
    """Seconds since 1970.

    Raises:
        InvalidArgumentError: neither a number nor a time with its zone.
    """
    try:
        if text[:1].isdecimal() and "-" not in text and "e" not in text.lower():
            moment = float(text)
        else:
            found = datetime.fromisoformat(text)
            if found.tzinfo is None:
                raise ValueError("no zone")
            moment = found.timestamp()
        if not (isfinite(moment) and moment > 0):
            raise ValueError("not after 1970")
    except (ValueError, OverflowError):
        raise InvalidArgumentError(
            f'invalid -start-at "{text[:64]}": expected seconds since 1970, or a time with its zone',
            hint="as in -start-at=$(date -d '+30 seconds' +%s), or 2026-12-01T09:30:00Z",
        ) from None
    return moment


def _round_up_to_4(bits: int) -> int:
    return -(-bits // 4) * 4
