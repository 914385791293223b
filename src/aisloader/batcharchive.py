"""GetBatch whose answer is a compressed archive: unpacked as it comes, so that what is inside can be compared.

A zip has its table of contents at the end, so it is collected in a file first; the others are streams.
"""

import io
import tarfile
import zipfile
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, cast

from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import MISSING_PREFIX, BatchRequest
from aiscore.transport.base import Transport
from aisloader.stats.failure import ShortBatchError

__all__ = ["delivered_in_archive", "expected_names"]

SPOOL_MAX = 32 << 20
"""Bytes of a zip that stay in memory; larger ones go to a temporary file."""


def delivered_in_archive(transport: Transport, request: BatchRequest) -> Iterator[tuple[int, bool]]:
    """Size of each entry, and whether it is a placeholder.

    Raises:
        ShortBatchError: names or their order are not those of the request, or the archive is malformed.
    """
    wanted = expected_names(request)
    with transport.get_batch_archive(request) as stream:
        blocks = iter(stream)
        try:
            for index, (name, size) in enumerate(_members(blocks, request.output_format)):
                is_missing = name.startswith(MISSING_PREFIX)
                if index >= len(wanted) or name.removeprefix(MISSING_PREFIX) != wanted[index]:
                    raise ShortBatchError(
                        f"a batch of {request.bucket} delivered {name!r} out of turn"
                    )
                yield size, is_missing
            for _ in blocks:  # what follows the last member
                pass
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError) as exc:
            raise ShortBatchError(f"a batch of {request.bucket} is no archive: {exc}") from exc


def expected_names(request: BatchRequest) -> list[str]:
    """Member names in request order: `BUCKET/OBJECT[/ARCHPATH]`."""
    names = []
    for entry in request.entries:
        bucket = entry.bucket or request.bucket
        before = "" if request.only_obj_name or bucket is None else f"{bucket.name}/"
        names.append(f"{before}{entry.name}" + (f"/{entry.archpath}" if entry.archpath else ""))
    return names


def _members(
    blocks: Iterator[memoryview], output_format: ArchiveFormat
) -> Iterator[tuple[str, int]]:
    source = cast("IO[bytes]", io.BufferedReader(_Blocks(blocks), 1 << 18))
    if output_format is ArchiveFormat.ZIP:
        yield from _zip_members(source)
        return
    if output_format is ArchiveFormat.TAR_LZ4:
        import lz4.frame

        file = cast("IO[bytes]", lz4.frame.open(source, "rb"))
        mode = "r|"
    else:
        file, mode = source, "r|gz"
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for member in archive:
            opened = archive.extractfile(member)
            size = 0
            while opened is not None and (block := opened.read(1 << 18)):
                size += len(block)
            yield member.name, size
            archive.members = []  # it keeps every header otherwise


def _zip_members(source: IO[bytes]) -> Iterator[tuple[str, int]]:
    with SpooledTemporaryFile(SPOOL_MAX) as spool:
        while block := source.read(1 << 18):
            spool.write(block)
        with zipfile.ZipFile(spool) as archive:
            for info in archive.infolist():
                size = 0
                with archive.open(info) as member:  # compares the checksum at its end
                    while block := member.read(1 << 18):
                        size += len(block)
                yield info.filename, size


class _Blocks(io.RawIOBase):
    """An iterator of blocks as a file."""

    def __init__(self, blocks: Iterator[memoryview]) -> None:
        super().__init__()
        self._blocks = blocks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        """Fill as much as one block gives; 0 at the end."""
        if not self._rest:
            # Copied: a block is valid until the next one only.
            self._rest = bytes(next(self._blocks, b""))
        with memoryview(buffer) as view:  # type: ignore[arg-type]
            count = min(len(view), len(self._rest))
            view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
