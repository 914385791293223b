"""Writing archives into an output, in one forward pass."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from aiscore.engine.archive.append import NewMember
from aiscore.engine.archive.encode import CompressedTarEncoder, Encoder, Piece, TarEncoder
from aiscore.engine.archive.names import check_member_name
from aiscore.engine.archive.zipencode import ZipEncoder
from aiscore.errors import ArchiveError, InvalidArgumentError
from aiscore.model.archive import ArchiveFormat

__all__ = ["ArchiveWriter", "new_archive", "new_encoder", "open_writer"]


class ArchiveWriter(Protocol):
    """Writes members one after the other."""

    def add(self, name: str, size: int, blocks: Iterable[Piece]) -> None:
        """Write one member from blocks that add up to `size` bytes.

        Raises:
            InvalidNameError: see `check_member_name`; nothing was written, and the writer stays
                usable.
            ArchiveError: the blocks do not add up, or the writer failed or finished before.
        """

    def add_bytes(self, name: str, data: Piece) -> None:
        """Write one member that is in memory; raises as `add` does."""

    def finish(self) -> None:
        """Write the end of the archive. The output stays open."""


class _StreamWriter:
    """Pushes what an encoder yields into an output callable, piece by piece."""

    def __init__(self, encoder: Encoder, write: Callable[[Piece], object]) -> None:
        self._encoder = encoder
        self._write = write
        self._is_usable = True

    def add(self, name: str, size: int, blocks: Iterable[Piece]) -> None:
        """See `ArchiveWriter.add`."""
        raw = check_member_name(name)
        self._push(self._encoder.member(raw, size, blocks))

    def add_bytes(self, name: str, data: Piece) -> None:
        """See `ArchiveWriter.add_bytes`."""
        self.add(name, len(data), (data,) if data else ())

    def finish(self) -> None:
        """See `ArchiveWriter.finish`."""
        self._push(self._encoder.finish())
        self._is_usable = False

    def _push(self, pieces: Iterable[Piece]) -> None:
        if not self._is_usable:
            raise ArchiveError("archive cannot be continued: it is finished, or a member failed")
        # Unusable until all of it is out: what fails halfway leaves half a member behind.
        self._is_usable = False
        for piece in pieces:
            self._write(piece)
        self._is_usable = True


def new_encoder(archive_format: ArchiveFormat, *, mtime: int = 0, deflate: bool = False) -> Encoder:
    """Return the encoder of a format; see `open_writer`."""
    match archive_format:
        case ArchiveFormat.TAR:
            return TarEncoder(mtime)
        case ArchiveFormat.ZIP:
            return ZipEncoder(mtime, deflate=deflate)
        case ArchiveFormat.TGZ | ArchiveFormat.TAR_LZ4:
            return CompressedTarEncoder(archive_format, mtime)


def new_archive(
    cname: str, shard: str, members: Iterable[NewMember], archive_format: ArchiveFormat | None
) -> Iterator[Piece]:
    """The bytes of a shard with these members, written now.

    Args:
        cname: names the shard in errors.
        shard: its object name, whose extension tells the format that is not given.
        members: pulled as the bytes are.
        archive_format: of the archive.

    Raises:
        InvalidArgumentError: nothing tells the format.
        InvalidNameError: see `check_member_name`.
        ArchiveError: a member's blocks do not add up to its size.
    """
    archive_format = archive_format or ArchiveFormat.of_name(shard)
    if archive_format is None:
        raise InvalidArgumentError(
            f"{cname} has no archive extension and no format was given",
            hint=f"use one of: {', '.join(ArchiveFormat)}",
        )
    encoder = new_encoder(archive_format, mtime=int(time.time()))
    for name, size, blocks in members:
        yield from encoder.member(check_member_name(name), size, blocks)
    yield from encoder.finish()


def open_writer(
    archive_format: ArchiveFormat,
    write: Callable[[Piece], object],
    *,
    mtime: int = 0,
    deflate: bool = False,
) -> ArchiveWriter:
    """Start an archive.

    The same members in the same order make the same bytes.

    Args:
        archive_format: of the archive.
        write: takes each piece of the archive, in order, all of it; a piece must not be kept
            without a copy.
        mtime: of every member, in seconds since 1970.
        deflate: compress the members of a zip, which are stored by default; other formats ignore
            it.
    """
    return _StreamWriter(new_encoder(archive_format, mtime=mtime, deflate=deflate), write)
