"""How objects are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import KIB
from aisloader.params.option import Kind, check_section, option

__all__ = ["BATCH_FORMATS", "BATCH_MAX", "ReadParams", "resolve"]

BATCH_MAX = 1000
BATCH_FORMATS = ("tar", "tar.gz", "tar.lz4", "zip")
EVICT_BATCH_MAX = 100_000
ALIGN_MAX = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadParams:
    """How objects are read.

    Attributes:
        readoff: offset of every read, bytes.
        readlen: length of every read, bytes; 0 reads whole objects.
        read_random: draw each offset from the whole object instead of `readoff`; needs the sizes of the listing.
        read_align: drawn offsets are multiples of this, bytes.
        get_batchsize: entries of one GetBatch; 0 reads objects one by one.
    """

    readoff: int = option(0, "readoff", Kind.SIZE, "offset of every read; with -readlen")
    readlen: int = option(0, "readlen", Kind.SIZE, "length of every read; 0: whole objects")
    read_random: bool = option(
        False, "readrandom", Kind.BOOL, "draw the offset of each -readlen read from the object"
    )
    read_align: int = option(
        4 * KIB, "readalign", Kind.SIZE, "alignment of drawn offsets", low=1, high=ALIGN_MAX
    )
    get_batchsize: int = option(
        0,
        "get-batchsize",
        Kind.INT,
        f"entries of one GetBatch, 1 to {BATCH_MAX}; 0: GET one by one",
        low=0,
        high=BATCH_MAX,
    )
    batch_format: str = option(
        "tar",
        "get-batch-format",
        Kind.TEXT,
        f"what GetBatch delivers: {', '.join(BATCH_FORMATS)}",
        choices=BATCH_FORMATS,
    )
    cont_on_err: bool = option(
        False,
        "cont-on-err",
        Kind.BOOL,
        "GetBatch: deliver missing entries below __404__/ and go on",
        aliases=("continue-on-err",),
    )
    latest: bool = option(
        False, "latest", Kind.BOOL, "GET: check with the remote bucket for a newer version"
    )
    cached: bool = option(
        False, "cached", Kind.BOOL, "list only what is in the cluster; remote buckets"
    )
    list_dirs: bool = option(
        False, "list-dirs", Kind.BOOL, "list virtual directories too; remote buckets"
    )
    evict_batchsize: int = option(
        1000,
        "evict-batchsize",
        Kind.INT,
        "names of one request when cleaning up",
        low=1,
        high=EVICT_BATCH_MAX,
    )
    nbi: bool = option(False, "nbi", Kind.BOOL, "list from the bucket's inventory; remote buckets")

    @property
    def is_range(self) -> bool:
        """True when reads are of a part of the object."""
        return self.readlen > 0

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        if self.readoff < 0 or self.readlen < 0:
            raise InvalidArgumentError("-readoff and -readlen must not be negative")
        if self.readoff and not self.readlen:
            raise InvalidArgumentError("-readoff needs -readlen", hint="say how much to read")
        if self.read_random and not self.readlen:
            raise InvalidArgumentError("-readrandom needs -readlen", hint="say how much to read")
        if self.read_random and self.readoff:
            raise InvalidArgumentError("-readrandom and -readoff exclude each other")


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """Nothing here depends on anything else."""
    del values, given, environ, notes
