"""Shards: which share of PUTs, in what format, with which members."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.units import KIB, MIB, format_size_exact
from aisloader.params.option import Kind, check_section, option

__all__ = ["ARCHIVE_FORMATS", "ArchParams", "resolve"]

ARCHIVE_FORMATS = (".tar", ".tgz", ".tar.gz", ".zip", ".tar.lz4")
FILES_MAX = 10_000
DEFAULT_MIN = KIB
DEFAULT_MAX = MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchParams:
    """Shards.

    Attributes:
        pct: share of PUTs that are shards, in percent.
        format: extension of a new shard, one of `ARCHIVE_FORMATS`.
        prefix: put before the name of every member, as text.
        num_files: members of a shard; 0: as many as the object's size holds.
        minsize: smallest member, bytes.
        maxsize: largest member, bytes.
        list: read the members of shards (`archpath`) and not the shards.
    """

    pct: int = option(
        0, "arch.pct", Kind.INT, "percentage of PUTs that are shards", low=0, high=100
    )
    format: str = option(
        ".tar", "arch.format", Kind.TEXT, f"format of new shards: {', '.join(ARCHIVE_FORMATS)}"
    )
    prefix: str = option("", "arch.prefix", Kind.TEXT, "text before the name of every member")
    num_files: int = option(
        0,
        "arch.num-files",
        Kind.INT,
        "members of a shard; 0: by size. With -minsize=0 -maxsize=0 exactly that many, else at most",
        low=0,
        high=FILES_MAX,
    )
    minsize: int = option(DEFAULT_MIN, "arch.minsize", Kind.SIZE, "smallest member", low=0)
    maxsize: int = option(DEFAULT_MAX, "arch.maxsize", Kind.SIZE, "largest member", low=0)
    list: bool = option(
        False,
        "arch.list",
        Kind.BOOL,
        "read the members of shards instead of whole shards; implied by -arch.pct for reads",
    )

    @property
    def extension(self) -> str:
        """What the name of a new shard ends with."""
        return self.format

    @property
    def archive_format(self) -> ArchiveFormat:
        """The format without its spelling: `.tar.gz` is `.tgz`."""
        return ArchiveFormat.parse(self.format)

    @property
    def reads_members(self) -> bool:
        """True when listing looks into shards, and reads pick their members."""
        return self.list or self.pct > 0

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        if self.format not in ARCHIVE_FORMATS:
            raise InvalidArgumentError(
                f'invalid -arch.format "{self.format}"',
                hint=f"use one of: {', '.join(ARCHIVE_FORMATS)}",
            )
        if self.maxsize < self.minsize:
            raise InvalidArgumentError(
                f"-arch.maxsize ({format_size_exact(self.maxsize)}) is below -arch.minsize "
                f"({format_size_exact(self.minsize)})"
            )
        _check_prefix(self.prefix)

    def check_plan(self, minsize: int, maxsize: int) -> None:
        """Check that a shard can be made for every object size from `minsize` to `maxsize`.

        Raises:
            InvalidArgumentError: neither files nor size are given, or the files do not fit the smallest object.
        """
        if not self.num_files and not maxsize:
            raise InvalidArgumentError(
                "nothing says how large a shard is", hint="give -arch.num-files, or -maxsize"
            )
        if not maxsize:
            return
        least = max(1, self.num_files) * self.minsize
        if self.num_files and least > max(1, minsize):
            raise InvalidArgumentError(
                f"{self.num_files} files of at least {format_size_exact(self.minsize)} do not fit "
                f"the smallest object ({format_size_exact(minsize)})",
                hint="raise -minsize, or lower -arch.num-files or -arch.minsize",
            )
        if not self.num_files and not minsize:
            raise InvalidArgumentError(
                "a shard of 0 bytes has no members", hint="raise -minsize, or give -arch.num-files"
            )


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """Canonical format; one size bound given alone moves the other's default out of its way."""
    del environ, notes
    text = values["format"].strip().lower()
    if text:
        dotted = text if text.startswith(".") else f".{text}"
        aliases = {".gz": ".tgz", ".lz4": ".tar.lz4"}
        values["format"] = aliases.get(dotted, dotted)
    else:
        values["format"] = ".tar"
    low, high = "arch.minsize" in given, "arch.maxsize" in given
    if low and not high:
        values["maxsize"] = values["minsize"] or DEFAULT_MAX
    if high and not low:
        values["minsize"] = min(DEFAULT_MIN, values["maxsize"])
    if low and high and values["maxsize"] == 0 and values["minsize"] == 0:
        values["minsize"], values["maxsize"] = DEFAULT_MIN, DEFAULT_MAX
    elif low and high and values["maxsize"] == 0:
        values["maxsize"] = values["minsize"]


def _check_prefix(prefix: str) -> None:
    parts = prefix.split("/")
    if prefix.startswith("/") or ".." in parts or "." in parts or len(prefix) > 1024:
        raise InvalidArgumentError(
            f'invalid -arch.prefix "{prefix[:64]}": it must be relative, without "." and ".."'
        )
