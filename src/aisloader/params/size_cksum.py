"""Sizes of the objects that are PUT, and checksums."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiscore.errors import InvalidArgumentError
from aiscore.model.checksum import ChecksumType
from aiscore.model.units import GIB, MIB, format_size_exact
from aisloader.params.option import Kind, check_section, option

__all__ = ["SIZE_DISTRIBUTIONS", "SizeCksumParams", "resolve"]

SIZE_DISTRIBUTIONS = ("uniform", "log2", "lognormal")


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeCksumParams:
    """Sizes of the objects that are PUT (bytes, both ends included), and checksums."""

    minsize: int = option(
        MIB, "minsize", Kind.SIZE, "smallest object to PUT; every suffix is a power of 1024"
    )
    maxsize: int = option(GIB, "maxsize", Kind.SIZE, "largest object to PUT")
    size_dist: str = option(
        "uniform",
        "size-dist",
        Kind.TEXT,
        "how sizes spread between the two: uniform, log2 (each octave alike), lognormal",
        choices=SIZE_DISTRIBUTIONS,
    )
    cksum_type: str = option(
        "xxhash",
        "cksum-type",
        Kind.TEXT,
        f"checksum of PUTs: {', '.join(ChecksumType)}",
        choices=tuple(ChecksumType),
    )
    verifyhash: bool = option(
        False,
        "verifyhash",
        Kind.BOOL,
        "compare what is read with the checksum that came with it",
    )

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        for name in ("minsize", "maxsize"):
            if getattr(self, name) < 0:
                raise InvalidArgumentError(f"invalid -{name}: it is negative")
        if self.maxsize < self.minsize:
            raise InvalidArgumentError(
                f"-maxsize ({format_size_exact(self.maxsize)}) is below -minsize "
                f"({format_size_exact(self.minsize)})"
            )


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """One bound given alone moves the other one's default out of its way."""
    del environ, notes
    if "minsize" not in given and "maxsize" in given:
        values["minsize"] = min(MIB, values["maxsize"])
    if "maxsize" not in given and "minsize" in given:
        values["maxsize"] = max(GIB, values["minsize"])
