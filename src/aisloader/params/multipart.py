"""Objects that move in pieces, both ways."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiscore.errors import InvalidArgumentError
from aiscore.model.multipart import CHUNK_COUNT_MAX
from aiscore.model.units import KIB, MIB
from aisloader.params.option import Kind, check_section, option

__all__ = ["MultipartParams", "resolve"]

STREAM_WORKERS = 16
STREAM_CHUNK = 8 * MIB
STREAM_CHUNK_MIN = 4 * KIB
STREAM_CHUNK_MAX = 128 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartParams:
    """Multipart PUT, and GET of one object by several range reads (multipart download stream).

    Attributes:
        chunks: parts of one upload; 0 switches multipart off.
        pct: share of PUTs that are multipart, in percent.
        stream_pct: share of GETs that are streams, in percent.
        stream_workers: range reads in flight for one stream.
        stream_chunk_size: bytes of one of them.
    """

    chunks: int = option(
        0,
        "multipart-chunks",
        Kind.INT,
        "parts of one multipart PUT; 0: no multipart",
        low=0,
        high=CHUNK_COUNT_MAX,
    )
    pct: int = option(
        0, "pctmultipart", Kind.INT, "percentage of PUTs that are multipart", low=0, high=100
    )
    stream_pct: int = option(
        0,
        "pctmpdstream",
        Kind.INT,
        "percentage of GETs that read an object by parallel ranges",
        low=0,
        high=100,
    )
    stream_workers: int = option(
        STREAM_WORKERS,
        "mpdstream-workers",
        Kind.INT,
        "parallel ranges of one such GET",
        low=0,
        high=1000,
    )
    stream_chunk_size: int = option(
        STREAM_CHUNK, "mpdstream-chunk-size", Kind.SIZE, "bytes of one range, 4KiB to 128MiB"
    )

    @property
    def is_enabled(self) -> bool:
        """True when some PUTs are multipart."""
        return self.chunks > 0 and self.pct > 0

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        if not STREAM_CHUNK_MIN <= self.stream_chunk_size <= STREAM_CHUNK_MAX:
            raise InvalidArgumentError(
                f"invalid -mpdstream-chunk-size {self.stream_chunk_size}: expected "
                f"{STREAM_CHUNK_MIN} to {STREAM_CHUNK_MAX} bytes"
            )


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """0 asks for the default, as upstream has it; sizes out of range are clamped, and that is said."""
    del environ
    values["stream_workers"] = values["stream_workers"] or STREAM_WORKERS
    size = values["stream_chunk_size"] or STREAM_CHUNK
    clamped = min(max(size, STREAM_CHUNK_MIN), STREAM_CHUNK_MAX)
    if clamped != size:
        notes.append(f"-mpdstream-chunk-size {size} is out of range: using {clamped}")
    values["stream_chunk_size"] = clamped
    if values["pct"] and not values["chunks"]:
        notes.append("-pctmultipart has no effect without -multipart-chunks")
    if values["chunks"] and "pctmultipart" not in given:
        notes.append("-multipart-chunks has no effect without -pctmultipart")
